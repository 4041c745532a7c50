//! `shardwire bench`: loads a server with very many connections, judges it, tells what came of it.
//!
//! Reads the profile and the flags over it, hands the plan to the conductor, shows how it goes on
//! standard error, and prints the outcome on standard output. Exit status: 0; 1 when the run
//! was unsound (deliveries, connections: see `load::judge`), failed, or broke a bound that was
//! given for it; 2 for a wrong usage; 130 when it was interrupted.

mod command;
mod flags;
mod own;

use std::fmt::Display;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::process::ExitCode;

pub(super) use flags::BenchFlags;

use super::EXIT_USAGE;
use crate::load::conductor::{self, Fault, Plan, Problem};
use crate::load::judge;
use crate::load::outcome::Outcome;
use crate::load::probe::Blind;
use crate::load::profile::{self, BUILT_IN, Settled, Source, Surroundings};
use crate::load::report;
use crate::load::report::bounds::Bound;

/// What is done when nothing is said.
const USUAL: &str = "fanout";
/// Bytes of a profile.
const PROFILE_BYTES_MAX: u64 = 1 << 20;
/// Bytes of an earlier outcome: a run of a day has some hundred thousand points.
const OUTCOME_BYTES_MAX: u64 = 1 << 28;
/// Exit status of what was interrupted, as shells have it: 128 and the number of SIGINT.
const EXIT_INTERRUPTED: u8 = 130;
/// Processors looked for in what this process may run on.
const PROCESSORS_MAX: usize = 1024;

/// Runs it.
pub(super) fn run(flags: &BenchFlags) -> ExitCode {
    if flags.list {
        return print(&list());
    }
    let (file, name, text) = match profile_of(flags.profile.as_deref().unwrap_or(USUAL)) {
        Ok(found) => found,
        Err(what) => return usage(&format!("error: {what}")),
    };
    let source = Source { file: &file, name: &name, text: &text };
    let around = Surroundings {
        resolve: &resolve,
        processors: &processors(),
        exists: &|path| path.is_file(),
    };
    if flags.show {
        return match profile::shown(source, &flags.given(), &around) {
            Ok(text) => print(&text),
            Err(problems) => usage(&problems.to_string()),
        };
    }
    let settled = match profile::settle(source, &flags.given(), &around) {
        Ok(settled) => settled,
        Err(problems) => return usage(&problems.to_string()),
    };
    match own::broker(&settled) {
        Ok(own) => {
            let Settled { scenario, warnings, .. } = settled;
            let words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
            let command = command::told(words);
            let (pid, metrics) = (flags.pid, flags.metrics.clone());
            measure(Plan { scenario, command, pid, metrics, own }, &warnings, flags)
        }
        Err(problems) => usage(&problems),
    }
}

fn measure(plan: Plan, warnings: &[String], flags: &BenchFlags) -> ExitCode {
    for (file, what) in [(&flags.json, "JSON"), (&flags.html, "page")] {
        // A run is not to be lost for a folder that is not there.
        let folder = file.as_deref().and_then(Path::parent);
        if let Some(folder) = folder.filter(|it| !it.as_os_str().is_empty() && !it.is_dir()) {
            return usage(&format!("error: no folder {} for the {what}", folder.display()));
        }
    }
    let earlier = match flags.against.as_deref().map(earlier).transpose() {
        Ok(earlier) => earlier,
        Err(what) => return usage(&format!("error: --against: {what}")),
    };
    let scenario = plan.scenario.clone();
    let mut watch = report::progress::Progress::new(&plan.scenario, flags.quiet);
    if !flags.quiet {
        for warning in warnings {
            say(format_args!("warning: {warning}"));
        }
    }
    let outcome = conductor::run(plan, &mut watch);
    watch.done();
    let mut outcome = match outcome {
        Ok(outcome) => outcome,
        Err(problem) => {
            say(format_args!("error: {problem}"));
            let hints = match (&problem, &flags.metrics) {
                (Problem::Blind(Blind::Page(_)), Some(url)) => {
                    vec![report::hints::of_metrics(url)]
                }
                _ => report::hints::of(&problem.to_string(), &scenario),
            };
            for hint in hints {
                say(format_args!("hint: {hint}"));
            }
            return match problem.fault() {
                _ if matches!(problem, Problem::Interrupted) => ExitCode::from(EXIT_INTERRUPTED),
                Fault::Asker => ExitCode::from(EXIT_USAGE),
                _ => ExitCode::FAILURE,
            };
        }
    };
    bounded(&mut outcome, &flags.fail_if);
    // First what was asked for by name: standard output may be closed, or wait for a reader.
    let written = write_files(&outcome, flags);
    let mut text = report::table::of(&outcome);
    if let (Some(then), Some(file)) = (&earlier, &flags.against) {
        let against = report::against::of(&outcome, then);
        text.push_str(&report::table::beside(&against, &file.display().to_string()));
    }
    let printed = print(&text);
    let is_sound = judge::is_sound(&outcome);
    if outcome.interrupted {
        ExitCode::from(EXIT_INTERRUPTED)
    } else if is_sound && written && printed == ExitCode::SUCCESS {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Takes what breaks a bound for a fault; of an interrupted run none is judged.
fn bounded(outcome: &mut Outcome, bounds: &[Bound]) {
    if outcome.interrupted {
        return;
    }
    let broken: Vec<_> = bounds.iter().filter_map(|bound| bound.broken(outcome)).collect();
    for what in broken {
        say(format_args!("error: --fail-if {what}"));
        outcome.faults.push(format!("--fail-if {what}"));
    }
}

/// The outcome of an earlier run, from its JSON file.
fn earlier(file: &Path) -> Result<Outcome, String> {
    let text = read(file, OUTCOME_BYTES_MAX)
        .map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
    serde_json::from_str(&text).map_err(|error| {
        format!("{}: not an outcome of --json, or of another version: {error}", file.display())
    })
}

/// Writes what was asked for; whether all of it is written.
fn write_files(outcome: &Outcome, flags: &BenchFlags) -> bool {
    let mut all = true;
    let mut write = |file: &Path, text: String| {
        if let Err(error) = std::fs::write(file, text) {
            say(format_args!("error: {} cannot be written: {error}", file.display()));
            all = false;
        } else if !flags.quiet {
            say(format_args!("written: {}", file.display()));
        }
    };
    if let Some(file) = &flags.json {
        write(file, outcome.to_json());
    }
    if let Some(file) = &flags.html {
        write(file, report::page::of(outcome));
    }
    all
}

/// What errors call a profile, its name, and its text.
fn profile_of(wanted: &str) -> Result<(String, String, String), String> {
    if let Some(text) = profile::built_in(wanted) {
        return Ok((format!("built-in profile {wanted}"), wanted.to_owned(), text.to_owned()));
    }
    let path = Path::new(wanted);
    match read(path, PROFILE_BYTES_MAX) {
        Ok(text) if text.trim().is_empty() => Err(format!("{wanted}: an empty profile")),
        Ok(text) => {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            Ok((wanted.to_owned(), name, text))
        }
        Err(error) => {
            let names: Vec<_> = BUILT_IN.iter().map(|(name, _)| *name).collect();
            let names = names.join(", ");
            Err(format!(
                "{wanted}: neither a file ({error}) nor a built-in profile; these are {names}"
            ))
        }
    }
}

/// The text of a regular file, of at most so many bytes: what else there is may have no end, or
/// wait for a writer for ever.
fn read(path: &Path, bytes_max: u64) -> io::Result<String> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("no regular file"));
    }
    let mut text = String::new();
    File::open(path)?.take(bytes_max + 1).read_to_string(&mut text)?;
    if text.len() as u64 > bytes_max {
        return Err(io::Error::other(format!("longer than {bytes_max} bytes")));
    }
    Ok(text)
}

/// The built-in profiles with what they are for.
fn list() -> String {
    let longest = BUILT_IN.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let line = |(name, text): (&str, &str)| format!("{name:longest$}  {}\n", profile::about(text));
    BUILT_IN.into_iter().map(line).collect()
}

fn resolve(host: &str, port: u16) -> io::Result<SocketAddr> {
    let mut found = (host, port).to_socket_addrs()?;
    found.next().ok_or_else(|| io::Error::other("it has no address"))
}

/// The processors that this process may run on, ascending.
fn processors() -> Vec<u32> {
    let allowed = rustix::thread::sched_getaffinity(None);
    let is_allowed = |cpu: &usize| allowed.as_ref().is_ok_and(|set| set.is_set(*cpu));
    (0..PROCESSORS_MAX).filter(is_allowed).map(|cpu| cpu as u32).collect()
}

fn print(text: &str) -> ExitCode {
    let mut stdout = io::stdout();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads has read enough (`| head -1`): no fault of the run.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            say(format_args!("error: standard output cannot be written: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// A line on standard error. Whoever closed it wants none: no reason to end a run.
fn say(what: impl Display) {
    let _ = writeln!(io::stderr(), "{what}");
}

fn usage(what: &str) -> ExitCode {
    say(what);
    ExitCode::from(EXIT_USAGE)
}

#[cfg(test)]
mod tests;

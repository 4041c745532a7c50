//! `shardwire bench`: loads a server with very many connections, judges it, tells what came of it.
//!
//! Reads the profile and the flags over it, hands the plan to the conductor, shows how it goes on
//! standard error, and prints the outcome on standard output. Exit status: 0; 1 when the run
//! was unsound (deliveries, connections: see `report::faults`) or failed; 2 for a wrong usage.

mod command;
mod flags;
mod own;

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::process::ExitCode;

pub(super) use flags::BenchFlags;

use super::EXIT_USAGE;
use crate::load::conductor::{self, Fault, Plan};
use crate::load::outcome::Outcome;
use crate::load::profile::{self, BUILT_IN, Settled, Source, Surroundings};
use crate::load::report;

/// What is done when nothing is said.
const USUAL: &str = "fanout";
/// Bytes of a profile.
const PROFILE_BYTES_MAX: u64 = 1 << 20;
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
    if flags.show {
        return print(&text);
    }
    let source = Source { file: &file, name: &name, text: &text };
    let around = Surroundings {
        resolve: &resolve,
        processors: &processors(),
        exists: &|path| path.is_file(),
    };
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
    let mut watch = report::progress::Progress::new(&plan.scenario, flags.quiet);
    if !flags.quiet {
        for warning in warnings {
            say(format_args!("warning: {warning}"));
        }
    }
    let outcome = conductor::run(plan, &mut watch);
    watch.done();
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(problem) => {
            say(format_args!("error: {problem}"));
            return match problem.fault() {
                Fault::Asker => ExitCode::from(EXIT_USAGE),
                _ => ExitCode::FAILURE,
            };
        }
    };
    // First what was asked for by name: standard output may be closed, or wait for a reader.
    let written = write_files(&outcome, flags);
    let printed = print(&report::table::of(&outcome));
    let is_sound = report::faults::is_sound(&outcome);
    if is_sound && written && printed == ExitCode::SUCCESS {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
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
        write(file, report::json::of(outcome));
    }
    if let Some(file) = &flags.html {
        write(file, report::page::of(outcome));
    }
    all
}

/// What errors call a profile, its name, and its text.
fn profile_of(wanted: &str) -> Result<(String, String, String), String> {
    if let Some(text) = profile::built_in(wanted) {
        return Ok((format!("{wanted}.toml"), wanted.to_owned(), text.to_owned()));
    }
    let path = Path::new(wanted);
    match read(path) {
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

/// The text of a file, or of what can be read like one.
fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(PROFILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > PROFILE_BYTES_MAX {
        return Err(io::Error::other(format!("longer than {PROFILE_BYTES_MAX} bytes")));
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
mod tests {
    use clap::Parser;

    use super::*;
    use crate::load::floor::Mode;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        bench: BenchFlags,
    }

    fn parse(words: &str) -> BenchFlags {
        Line::try_parse_from(words.split_whitespace())
            .unwrap_or_else(|error| panic!("{error}"))
            .bench
    }

    fn settled(words: &str) -> Settled {
        let flags = parse(words);
        let (file, name, text) = profile_of(flags.profile.as_deref().unwrap_or(USUAL)).unwrap();
        let source = Source { file: &file, name: &name, text: &text };
        let around = Surroundings { resolve: &resolve, processors: &[0, 1], exists: &|_| true };
        profile::settle(source, &flags.given(), &around).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn every_flag_is_a_key_of_a_profile() {
        let words = "bench rooms --url wss://127.0.0.1:1/x --dialect events --compression \
             --token t --insecure --pid 7 --metrics http://127.0.0.1:1/metrics --connections 50 \
             --topics 9 --subscriptions 3 --interest exact --connect-rate 10 --connecting 5 \
             --workers 1 --cpu 1 --publishers 2 --members=false --rate 1.5 --payload 99 \
             --warm-up 1s --measure 20s --drain 3s --with times.sample=50ms \
             --json a --html b -q";
        let scenario = settled(words).scenario;
        let text = serde_json::to_string(&scenario).unwrap();
        for part in [
            r#""name":"rooms""#,
            r#""dialect":"events","compression":true,"credentials":{"Token":"t"}"#,
            r#""tls":"Any""#,
            r#""connections":50,"topics":9,"subscriptions":3,"interest":"exact""#,
            r#""connect_per_s":10,"connecting_max":5,"per_address":20000,"workers":1"#,
            r#""processors":[1]"#,
            r#""publishers":2,"members":false,"pace":{"Open":{"per_s":1.5}},"payload_bytes":99"#,
            r#""warm_up_ms":1000,"measure_ms":20000,"drain_ms":3000,"sample_ms":50"#,
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn a_broker_of_its_own_gets_its_settings() {
        let settled = settled(
            "bench --shards 2 --server-cpu 1 --set websocket.flush_delay_us=5 \
             --in-flight 9 --batch 3 --floor --floor-sends each",
        );
        assert_eq!(settled.scenario.floor_pairs, 10);
        assert_eq!(settled.scenario.floor_mode, Mode::Each);
        let own = own::broker(&settled).unwrap().unwrap();
        assert_eq!(own.processor, Some(1));
        let line = own.arguments.join(" ");
        for part in
            ["--set server.shards=2", "--set log.level=warn", "--set websocket.flush_delay_us=5"]
        {
            assert!(line.contains(part), "{part} in {line}");
        }
    }

    #[test]
    fn its_secret_is_in_no_list_of_processes() {
        for words in ["bench --secret SECV", "bench --secret other --set auth.secret=SECV"] {
            let own = own::broker(&settled(words)).unwrap().unwrap();
            assert_eq!(own.environment, [("JWT_SECRET".to_owned(), "SECV".to_owned())]);
            assert!(!own.arguments.join(" ").contains("auth.secret"), "{:?}", own.arguments);
        }
        assert_eq!(own::broker(&settled("bench")).unwrap().unwrap().environment, []);
    }

    #[test]
    fn wrong_settings_of_it_are_told_before_the_start() {
        let problems = own::broker(&settled("bench --set nonsense=1 --set a.b=2")).unwrap_err();
        assert!(problems.contains("nonsense") && problems.contains("2 errors"), "{problems}");
        for (name, _) in BUILT_IN {
            assert!(own::broker(&settled(&format!("bench {name}"))).is_ok(), "{name}");
        }
    }

    #[test]
    fn usage_errors() {
        for words in [
            "bench --nonsense",
            "bench a b",
            "bench --pid 7",
            "bench --metrics http://127.0.0.1:1/metrics",
            "bench --with novalue",
            "bench --list --show",
            "bench --pid x --url ws://h",
        ] {
            assert!(Line::try_parse_from(words.split_whitespace()).is_err(), "{words}");
        }
        let own = std::process::id();
        for pid in ["0".to_owned(), "-1".to_owned(), own.to_string()] {
            let words = ["bench", "--url", "ws://h", "--pid", &pid];
            assert!(Line::try_parse_from(words).is_err(), "{pid}");
        }
        let endless = profile_of("/dev/zero").unwrap_err();
        assert!(endless.contains("longer than 1048576 bytes"), "{endless}");
        let missing = profile_of("no-such-profile").unwrap_err();
        assert!(missing.contains("fanout, fanout-burst, rooms"), "{missing}");
    }

    #[test]
    fn the_list_tells_what_each_is_for() {
        let list = list();
        assert_eq!(list.lines().count(), BUILT_IN.len());
        assert!(list.lines().all(|line| line.chars().count() <= 80), "{list}");
        assert!(list.starts_with("fanout        one topic, "), "{list}");
    }
}

//! The command line: what can be typed, and which file carries it out.
//!
//! A command is a file of this folder. Flags that give a setting are only carried to `config`, which
//! judges them like any other source, so that one start shows every error. Exit status: 0,
//! 1 (failed), 2 (usage or configuration). Spec: protocols.md section 10.

pub mod bench;
pub mod check_config;
mod reload;
pub mod serve;
pub mod token;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{self, Environment, Loaded, LogFormat, Override, Problems, Sources};
use crate::load::{floor, worker};
use crate::node::SetupErrors;

/// Exit status for a wrong usage or configuration.
pub const EXIT_USAGE: u8 = 2;

const AFTER_HELP: &str = "\
Without a command: serve. Settings come from the TOML file, the environment over it, and flags
over both; `shardwire check-config --explain` lists them all.";

/// A sharded WebSocket publish/subscribe broker
#[derive(Debug, Parser)]
#[command(name = "shardwire", version, after_help = AFTER_HELP)]
#[command(args_conflicts_with_subcommands = true)]
struct Line {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeFlags,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the broker (the default command)
    Serve(ServeFlags),
    /// Mint a token with the configured secret
    Token(token::TokenFlags),
    /// Report every error of the configuration, or print what it means
    CheckConfig(check_config::CheckFlags),
    /// One process of the load, started by `bench`
    #[command(hide = true)]
    BenchWorker,
    /// The bare send loop, started by `bench`
    #[command(hide = true)]
    BenchFloor(floor::Options),
    /// Load a server with very many connections and judge what it does
    Bench(Box<bench::BenchFlags>),
}

/// Where settings come from, beside the environment.
#[derive(Args, Clone, Debug, Default)]
struct ConfigFlags {
    /// Read settings from this TOML file [env: SHARDWIRE_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Give any setting, as server.drain_ms=5000; repeatable
    #[arg(long, value_name = "KEY=VALUE", value_parser = assignment)]
    set: Vec<(String, String)>,
}

/// The settings of `serve` that have flags of their own.
#[derive(Args, Clone, Debug, Default)]
struct ServeFlags {
    #[command(flatten)]
    config: ConfigFlags,
    /// Listen on this address [default: 0.0.0.0]
    #[arg(long, value_name = "ADDRESS")]
    host: Option<String>,
    /// Listen on this port; 0: a free one [default: 3000]
    #[arg(long, value_name = "PORT", allow_hyphen_values = true)]
    port: Option<String>,
    /// Threads that serve connections; 0: one per core [default: 0]
    #[arg(long, value_name = "COUNT", allow_hyphen_values = true)]
    shards: Option<String>,
    /// Try it out: anyone may do everything, from this machine only
    #[arg(long)]
    dev: bool,
    /// Drain and end at the end of the standard input: with who started it
    #[arg(long, hide = true)]
    until_input_ends: bool,
    /// How log lines are written: text, json [default: text]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// Log no less than: error, warn, info, debug, trace [default: info]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
}

/// The program: reads the command line of the process, runs the command, gives the exit status.
pub fn main() -> ExitCode {
    let line = Line::parse();
    match line.command.unwrap_or(Command::Serve(line.serve)) {
        Command::Serve(flags) => match load(&flags) {
            Ok(loaded) => serve::run(loaded, &flags),
            Err(status) => status,
        },
        Command::Token(flags) => token::run(&flags),
        Command::CheckConfig(flags) => check_config::run(&flags),
        Command::BenchWorker => worker::run(),
        Command::BenchFloor(options) => match floor::run(&options) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::FAILURE
            }
        },
        Command::Bench(flags) => bench::run(&flags),
    }
}

/// Loads the configuration of this process and prints what there is to say about it on standard
/// error.
///
/// # Errors
/// The exit status, when there are errors.
fn load(flags: &ServeFlags) -> Result<Loaded, ExitCode> {
    match flags.read(&Environment::of_process()) {
        Ok(loaded) => {
            if loaded.settings.log.format == LogFormat::Text {
                for warning in &loaded.warnings {
                    eprintln!("warning: {warning}");
                }
            }
            Ok(loaded)
        }
        Err(problems) => {
            eprintln!("{problems}");
            Err(ExitCode::from(EXIT_USAGE))
        }
    }
}

/// Prints what is wrong with a setup on standard error, a line for each.
fn tell(errors: &SetupErrors) {
    errors.to_string().lines().for_each(|line| eprintln!("error: {line}"));
}

impl ServeFlags {
    /// Reads the configuration: the file, the environment over it, and these flags over both.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    fn read(&self, environment: &Environment) -> Result<Loaded, Problems> {
        config::load(&Sources {
            file: self.config.config.clone(),
            environment,
            overrides: self.overrides(),
            dev: self.dev,
            read: &config::read_file,
        })
    }

    /// The given flags as settings: `--set` first, so that a flag of its own name counts more.
    fn overrides(&self) -> Vec<Override> {
        let set = self.config.set.iter().map(|(key, text)| Override {
            flag: "--set".to_owned(),
            key: key.clone(),
            text: text.clone(),
        });
        let named = [
            ("--host", "server.host", &self.host),
            ("--port", "server.port", &self.port),
            ("--shards", "server.shards", &self.shards),
            ("--log-format", "log.format", &self.log_format),
            ("--log-level", "log.level", &self.log_level),
        ];
        let named = named.into_iter().filter_map(|(flag, key, text)| {
            Some(Override { flag: flag.to_owned(), key: key.to_owned(), text: text.clone()? })
        });
        set.chain(named).collect()
    }
}

/// `KEY=VALUE`, cut at the first equals sign.
fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) => Ok((key.trim().to_owned(), value.trim().to_owned())),
        None => Err("allowed: KEY=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(words: &str) -> Line {
        Line::try_parse_from(words.split_whitespace()).unwrap()
    }

    #[test]
    fn the_grammar_is_consistent() {
        Line::command().debug_assert();
    }

    #[test]
    fn serve_is_the_default_command() {
        let bare = parse("shardwire --port 0 --dev --set auth.issuer=a=b --set x=1");
        assert!(bare.command.is_none());
        let Some(Command::Serve(named)) = parse("shardwire serve --port 0 --dev").command else {
            panic!("serve is a command");
        };
        assert!(named.dev && bare.serve.dev);
        assert_eq!(named.port, bare.serve.port);
        let overrides = bare.serve.overrides();
        let pairs: Vec<_> = overrides.iter().map(|o| (&*o.key, &*o.text)).collect();
        assert_eq!(pairs, [("auth.issuer", "a=b"), ("x", "1"), ("server.port", "0")]);
    }

    #[test]
    fn processes_of_the_load_are_no_commands_for_people() {
        assert!(matches!(parse("shardwire bench-worker").command, Some(Command::BenchWorker)));
        let floor = parse("shardwire bench-floor --mode each --processor 0");
        assert!(matches!(floor.command, Some(Command::BenchFloor(_))));
        let ends = parse("shardwire serve --until-input-ends --dev").command;
        assert!(matches!(ends, Some(Command::Serve(flags)) if flags.until_input_ends));
        let help = Line::command().render_long_help().to_string();
        assert!(!help.contains("bench-") && !help.contains("until-input"), "{help}");
    }

    #[test]
    fn usage_errors_have_status_2() {
        for words in [
            "shardwire --nonsense",
            "shardwire nonsense",
            "shardwire --set novalue",
            "shardwire token",
            "shardwire token --sub",
            "shardwire token --sub u --ttl 1y",
            "shardwire --port 1 token --sub u",
        ] {
            let error = Line::try_parse_from(words.split_whitespace()).unwrap_err();
            assert_eq!(error.exit_code(), i32::from(EXIT_USAGE), "{words}");
        }
    }

    #[test]
    fn a_wrong_number_is_left_to_the_configuration() {
        assert_eq!(parse("shardwire --port eighty").serve.port.as_deref(), Some("eighty"));
        assert_eq!(parse("shardwire --shards -1").serve.shards.as_deref(), Some("-1"));
    }
}

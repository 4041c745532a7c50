//! `shardwire check-config`: every error of the configuration at once, or what it means.
//!
//! Takes the flags of `serve`, so that what is checked is what would run. Prints the configuration
//! as TOML on standard output; warnings and errors go to standard error. Starts nothing.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Args;

use super::{EXIT_USAGE, ServeFlags};
use crate::config::Secret;
use crate::node::Setup;

/// The flags of `check-config`.
#[derive(Args, Clone, Debug)]
pub(super) struct CheckFlags {
    #[command(flatten)]
    serve: ServeFlags,
    /// Say of each setting what it means, what is allowed, and its names in the environment
    #[arg(long)]
    explain: bool,
}

/// Runs it. Status 2 when the configuration has errors, 1 when standard output cannot be written.
pub(super) fn run(flags: &CheckFlags) -> ExitCode {
    let loaded = match super::load(&flags.serve) {
        Ok(loaded) => loaded,
        Err(status) => return status,
    };
    // What only shows when it is tried: names, keys, rules. The key of a run is made at its start.
    if let Err(errors) = Setup::new(&loaded.settings, &Secret::new("not the one of any run")) {
        super::tell(&errors);
        return ExitCode::from(EXIT_USAGE);
    }
    let mut text =
        String::from("# The configuration as meant; a comment says where a value is from.\n");
    if loaded.settings.dev {
        text.push_str("# --dev: anonymous connections are let in and allowed every topic.\n");
    }
    text.push('\n');
    text.push_str(&loaded.to_toml(flags.explain));
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

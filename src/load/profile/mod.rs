//! Profiles: what a load shall do, as people type it, and the scenario that is meant by it.
//!
//! A profile is a TOML file (`tuning/profiles/`, built in by name, or any other by its path); flags
//! of `shardwire bench` are laid over it key by key. [`settle`] gives the [`Scenario`] and, where no
//! server is named, the broker to start for it, or every error at once.
//!
//! ```text
//! read (typed, value) -> address -> meant -> check
//! ```

mod address;
mod check;
mod meant;
mod problem;
mod read;
mod shown;
#[cfg(test)]
mod tests;
mod typed;
mod value;

use std::io;
use std::net::SocketAddr;

pub use address::usual_path;
pub use problem::{Problem, Problems};
pub use read::{Given, is_likely_secret};

use crate::load::scenario::Scenario;
use read::Read;

/// The profiles that are built in, by name, in the order of `--list`.
pub const BUILT_IN: [(&str, &str); 10] = [
    ("fanout", include_str!("../../../tuning/profiles/fanout.toml")),
    ("fanout-burst", include_str!("../../../tuning/profiles/fanout-burst.toml")),
    ("rooms", include_str!("../../../tuning/profiles/rooms.toml")),
    ("wildcard", include_str!("../../../tuning/profiles/wildcard.toml")),
    ("chat", include_str!("../../../tuning/profiles/chat.toml")),
    ("churn", include_str!("../../../tuning/profiles/churn.toml")),
    ("slow", include_str!("../../../tuning/profiles/slow.toml")),
    ("storm", include_str!("../../../tuning/profiles/storm.toml")),
    ("reconnect", include_str!("../../../tuning/profiles/reconnect.toml")),
    ("idle", include_str!("../../../tuning/profiles/idle.toml")),
];

/// A profile's text.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// What errors call it: its path, or `fanout.toml` of the built-in `fanout`.
    pub file: &'a str,
    /// What the scenario is called.
    pub name: &'a str,
    /// TOML.
    pub text: &'a str,
}

/// What is needed of the machine to tell what is meant.
#[expect(missing_debug_implementations, reason = "it holds a function")]
pub struct Surroundings<'a> {
    /// Finds the address of a host.
    pub resolve: &'a dyn Fn(&str, u16) -> io::Result<SocketAddr>,
    /// The processors that this process may run on, ascending.
    pub processors: &'a [u32],
    /// Whether the file is there.
    pub exists: &'a dyn Fn(&std::path::Path) -> bool,
}

/// What is meant.
#[derive(Clone, Debug, PartialEq)]
pub struct Settled {
    /// The run. Where a broker is to be started, its address is not known yet: port 0.
    pub scenario: Scenario,
    /// The broker to start, where no server is named.
    pub broker: Option<Broker>,
    /// What is allowed and probably not meant.
    pub warnings: Vec<String>,
}

/// A broker for the run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Broker {
    /// Its shards.
    pub shards: u32,
    /// The processor it is bound to, if to one.
    pub processor: Option<u32>,
    /// Its settings: key and value as for `--set`; of two for one key the later counts.
    pub settings: Vec<(String, String)>,
}

/// The text of a built-in profile.
pub fn built_in(name: &str) -> Option<&'static str> {
    BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// What a profile says that it is for; empty when it says nothing.
pub fn about(text: &str) -> String {
    let table = text.parse::<toml::Table>().unwrap_or_default();
    table.get("about").and_then(toml::Value::as_str).unwrap_or_default().to_owned()
}

/// Reads a profile and the flags over it.
///
/// # Errors
/// Everything that is wrong, at once; the fault of whoever typed it (exit status 2).
pub fn settle(
    source: Source<'_>,
    flags: &[Given],
    around: &Surroundings<'_>,
) -> Result<Settled, Problems> {
    settle_with(source, flags, around).map(|(settled, _)| settled)
}

/// What is meant by a profile and the flags over it, as a profile again: every default in it,
/// secrets left out.
///
/// # Errors
/// As of [`settle`].
pub fn shown(
    source: Source<'_>,
    flags: &[Given],
    around: &Surroundings<'_>,
) -> Result<String, Problems> {
    let (settled, read) = settle_with(source, flags, around)?;
    let header = source.text.split_inclusive('\n').take_while(|line| line.starts_with('#'));
    Ok(shown::text(&settled, &read, &header.collect::<String>()))
}

fn settle_with(
    source: Source<'_>,
    flags: &[Given],
    around: &Surroundings<'_>,
) -> Result<(Settled, Read), Problems> {
    let mut read = Read::default();
    read.file(source.file, source.text);
    read.flags(flags);
    let typed = read.typed();
    let (target, own) = meant::target(&typed, &mut read, around);
    let scenario = meant::scenario(source.name, &typed, target, own, around);
    let broker = own.then(|| meant::broker(&typed, around));
    let mut warnings = Vec::new();
    check::contradictions(&scenario, &typed, own, &mut read, &mut warnings);
    if read.problems.is_empty() {
        Ok((Settled { scenario, broker, warnings }, read))
    } else {
        Err(Problems(read.problems))
    }
}

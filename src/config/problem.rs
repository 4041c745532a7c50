//! What is wrong with a configuration, and where each value came from.
//!
//! Problems are collected, never thrown at the first: one start shows them all. Each is one line
//! of the form `where: key = value: what; allowed: …`, so that it reads well and greps well.

use std::fmt;
use std::sync::Arc;

use super::setting::Setting;
use super::value::Value;
use crate::limits::CONFIG_PROBLEMS_LISTED;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The table of settings.
    Default,
    /// A line of the TOML file, counted from 1.
    File { file: Arc<str>, line: usize },
    /// An environment variable.
    Env(&'static str),
    /// A command-line flag, as it would be typed.
    Flag(Arc<str>),
    /// What follows from another setting.
    Derived(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { file, line } => write!(f, "{file}:{line}"),
            Origin::Env(name) => f.write_str(name),
            Origin::Flag(flag) => f.write_str(flag),
            Origin::Derived(from) => f.write_str(from),
        }
    }
}

/// One thing that is wrong. Whoever wrote the configuration has to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    text: String,
}

impl Problem {
    /// Something that concerns no single key.
    pub(super) fn new(place: &impl fmt::Display, what: impl fmt::Display) -> Self {
        Self { text: format!("{place}: {what}") }
    }

    /// A value that its setting does not take; `shown` is the value as typed.
    pub(super) fn refused(origin: &Origin, setting: &Setting, shown: &str, what: &str) -> Self {
        let Setting { key, .. } = setting;
        let allowed = setting.allowed();
        Self { text: format!("{origin}: {key} = {shown}: {what}; allowed: {allowed}") }
    }

    /// A value that is well formed and does not go with the rest.
    pub(super) fn contradiction(
        origin: &Origin,
        key: &str,
        value: &Value,
        what: impl fmt::Display,
    ) -> Self {
        Self { text: format!("{origin}: {key} = {value}: {what}") }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Everything that is wrong with a configuration; the first of them in words, the rest as a number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    listed: Vec<Problem>,
    more: usize,
}

impl Problems {
    /// Adds one.
    pub(super) fn push(&mut self, problem: Problem) {
        self.push_with(|| problem);
    }

    /// Adds one that is put into words only where it is listed.
    pub(super) fn push_with(&mut self, problem: impl FnOnce() -> Problem) {
        if self.listed.len() < CONFIG_PROBLEMS_LISTED {
            self.listed.push(problem());
        } else {
            self.more += 1;
        }
    }

    /// Whether nothing is wrong.
    pub(super) fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    /// Each that is listed.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.listed.iter()
    }

    /// How many there are beyond those.
    pub fn more(&self) -> usize {
        self.more
    }
}

/// A line for each that is listed, and a last line with the number of all.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.listed {
            writeln!(f, "error: {problem}")?;
        }
        if self.more > 0 {
            writeln!(f, "error: and {} more", self.more)?;
        }
        match self.listed.len() + self.more {
            1 => f.write_str("The configuration has 1 error."),
            count => write!(f, "The configuration has {count} errors."),
        }
    }
}

impl std::error::Error for Problems {}

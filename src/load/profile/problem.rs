//! What is wrong with a profile or the flags over it, and where each value was typed.
//!
//! Problems are collected, never thrown at the first. Each is one line of the form
//! `where: key = value: what; allowed: …`, like those of the broker's configuration.

use std::fmt;
use std::rc::Rc;

/// Where a value was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A line of the profile, counted from 1.
    File { file: Rc<str>, line: usize },
    /// A flag, as typed.
    Flag(Rc<str>),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, line } => write!(f, "{file}:{line}"),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// One thing that is wrong. Whoever typed it has to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem(String);

impl Problem {
    /// Something about a place.
    pub fn new(place: impl fmt::Display, what: impl fmt::Display) -> Self {
        Self(format!("{place}: {what}"))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Everything that is wrong, at least one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

/// A line for each, and a last line with their number.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.0 {
            writeln!(f, "error: {problem}")?;
        }
        match self.0.len() {
            1 => f.write_str("The scenario has 1 error."),
            count => write!(f, "The scenario has {count} errors."),
        }
    }
}

impl std::error::Error for Problems {}

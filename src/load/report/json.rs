//! The outcome as a JSON file: for programs, and to compare runs.
//! Field names and units are those of [`Outcome`].

use crate::load::outcome::Outcome;

/// It, indented, with a newline at its end.
///
/// # Panics
/// Never: an outcome holds nothing that JSON has not.
pub fn of(outcome: &Outcome) -> String {
    let mut text = serde_json::to_string_pretty(outcome).expect("an outcome is plain data");
    text.push('\n');
    text
}

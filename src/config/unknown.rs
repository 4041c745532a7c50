//! Names that the table of settings does not have: what was probably meant by them.
//!
//! Called by the readers; only makes texts. The value of a key that could be a misspelt secret is
//! never shown.

use super::keys::SETTINGS;
use super::problem::{Origin, Problem};
use super::read::FILE_VARIABLE;
use super::setting::{Setting, edit_distance, nearest};

/// Beginnings of names in the environment that are probably meant for this program.
const PREFIXES: [&str; 4] = ["WEBSOCKET_", "PUBSUB_", "SHARDWIRE_", "JWT_SEC"];
/// Parts of names that container platforms make for services of their own.
const PLATFORM_PARTS: [&str; 3] = ["_SERVICE_", "_PORT_", "_TCP"];
/// Parts of a name that make its value a likely secret.
const SECRET_WORDS: [&str; 5] = ["secret", "key", "token", "password", "url"];
/// Letters that may be wrong in the name of a variable.
const VARIABLE_DISTANCE_MAX: usize = 2;

/// The problem of an unknown key; `shown` is its value as typed.
pub(super) fn key(origin: &Origin, key: &str, shown: &str) -> Problem {
    let section = key.split_once('.').map_or("", |(section, _)| section);
    let names: Vec<_> =
        SETTINGS.iter().filter(|row| row.section() == section).map(Setting::name).collect();
    let hint = match nearest(key) {
        Some(setting) => format!("is {} meant?", setting.key),
        None if names.is_empty() => format!("sections: {}", sections().join(", ")),
        None => format!("{section} has: {}", names.join(", ")),
    };
    let shown = if hides(key) { "(hidden)" } else { shown };
    Problem::new(origin, format_args!("{key} = {shown}: unknown key; {hint}"))
}

/// Whether a section exists.
pub(super) fn is_section(name: &str) -> bool {
    SETTINGS.iter().any(|setting| setting.section() == name)
}

/// The warning for a variable that looks like one of ours and is none. Not an error: container
/// platforms set variables of their own with such beginnings.
pub(super) fn variable(name: &str) -> Option<String> {
    let known = || SETTINGS.iter().flat_map(|row| row.env).copied().chain([FILE_VARIABLE]);
    let is_ours = PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    let is_platform = PLATFORM_PARTS.iter().any(|part| name.contains(part));
    if !is_ours || is_platform || known().any(|known| known == name) {
        return None;
    }
    let closest = known().min_by_key(|known| edit_distance(name, known))?;
    let hint = if edit_distance(name, closest) <= VARIABLE_DISTANCE_MAX {
        format!("is {closest} meant?")
    } else {
        "`shardwire check-config --explain` lists those that do".to_owned()
    };
    Some(format!("the environment variable {name} means nothing; {hint}"))
}

/// The sections in the order of the table.
fn sections() -> Vec<&'static str> {
    let mut sections: Vec<_> = SETTINGS.iter().map(Setting::section).collect();
    sections.dedup();
    sections
}

/// Whether the value of an unknown key could be a secret: unless the key was meant to be one that
/// is none, or stands in a section that has none.
fn hides(key: &str) -> bool {
    let name = key.to_ascii_lowercase();
    let prefix = key.split_once('.').map_or(key, |(section, _)| section);
    let mut section = SETTINGS.iter().filter(|row| row.section() == prefix).peekable();
    SECRET_WORDS.iter().any(|word| name.contains(word))
        || match nearest(key) {
            Some(setting) => setting.is_hidden(),
            None => section.peek().is_none() || section.any(Setting::is_hidden),
        }
}

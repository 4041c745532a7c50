//! The profile's text and the flags over it become one [`Typed`], every key judged by itself.
//!
//! An entry is tried alone before it is put together with the others: so each wrong one is told,
//! not the first only. A flag takes the place of what the profile says, and of what contradicts it
//! there: `--rate` makes a closed loop an open one.

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use serde::Deserialize;
use toml::de::DeTable;
use toml::{Table, Value};

use super::problem::{Origin, Problem};
use super::typed::Typed;

/// Characters of a value that an error shows.
const SHOWN_CHARS_MAX: usize = 60;
/// What stands for a value that no error shows.
const HIDDEN: &str = "(hidden)";
/// What is said of a key that no profile has.
const UNKNOWN: &str = "unknown key";
/// Letters by which a key may be off to be taken for another.
const MISTYPED_MAX: usize = 2;
/// What no error shows.
const SECRETS: [&str; 2] = ["target.token", "target.secret"];
/// Keys that a flag for the first of them drops from the profile.
const RIVALS: [(&str, &[&str]); 8] = [
    ("search.p99", &["talk.in_flight", "talk.batch"]),
    ("talk.per_s", &["talk.in_flight", "talk.batch"]),
    ("talk.in_flight", &["talk.per_s"]),
    ("talk.batch", &["talk.per_s"]),
    ("target.token", &["target.secret", "target.tenant"]),
    ("target.secret", &["target.token"]),
    ("target.ca", &["target.insecure"]),
    ("target.insecure", &["target.ca"]),
];

/// A value from the command line.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    /// As typed: `--connections`.
    pub flag: String,
    /// Of the profile: `crowd.connections`.
    pub key: String,
    /// As TOML would have it.
    pub value: Value,
}

impl Given {
    /// What is a text whatever it looks like.
    pub fn text(flag: &str, key: &str, text: &str) -> Self {
        Self { flag: flag.into(), key: key.into(), value: Value::String(text.into()) }
    }

    /// A number or a switch where it looks like one, else a text.
    pub fn guess(flag: &str, key: &str, text: &str) -> Self {
        let value = format!("v = {text}").parse::<Table>().ok().and_then(|mut it| it.remove("v"));
        let value = value.filter(|value| !value.is_datetime());
        Self {
            flag: flag.into(),
            key: key.into(),
            value: value.unwrap_or_else(|| Value::String(text.into())),
        }
    }
}

/// Where a value was typed, and what an error shows of it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    origin: Origin,
    shown: String,
}

/// What could be read.
#[derive(Debug, Default)]
pub(super) struct Read {
    table: Table,
    seen: BTreeMap<String, Seen>,
    pub(super) problems: Vec<Problem>,
}

impl Read {
    /// The profile's text; `file` is what errors call it.
    pub(super) fn file(&mut self, file: &str, text: &str) {
        let file: Rc<str> = file.into();
        let (document, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let line = line(text, error.span().map_or(0, |span| span.start));
            let what = format_args!("TOML syntax: {}", error.message());
            self.problems.push(Problem::new(format_args!("{file}:{line}"), what));
        }
        let Ok(values) = text.parse::<Table>() else { return };
        let origin = |at| Origin::File { file: Rc::clone(&file), line: line(text, at) };
        // The parser sorts by name; people read by line.
        let mut sections: Vec<_> = document.get_ref().iter().collect();
        sections.sort_by_key(|(name, _)| name.span().start);
        for (section, value) in sections {
            let at = section.span().start;
            let (name, value) = (&**section.get_ref(), value.get_ref());
            match value.as_table().filter(|table| !table.is_empty()) {
                None => self.entry(None, name, values[name].clone(), origin(at)),
                Some(table) => {
                    let mut keys: Vec<_> = table.keys().collect();
                    keys.sort_by_key(|key| key.span().start);
                    for key in keys {
                        let (at, key) = (key.span().start, &**key.get_ref());
                        let value = values[name][key].clone();
                        self.entry(Some(name), key, value, origin(at));
                    }
                }
            }
        }
    }

    /// Flags, over what is there.
    pub(super) fn flags(&mut self, given: &[Given]) {
        for (key, rivals) in RIVALS {
            if given.iter().any(|one| one.key == key) {
                for rival in rivals {
                    self.forget(rival);
                }
            }
        }
        for Given { flag, key, value } in given {
            let (section, name) = match key.split_once('.') {
                Some((section, name)) => (Some(section), name),
                None => (None, &**key),
            };
            let mut value = value.clone();
            // Settings add up, the later counts; everything else is replaced.
            if key == "broker.settings" {
                let before = self.table.get("broker").and_then(|broker| broker.get("settings"));
                let mut all = before.and_then(Value::as_array).cloned().unwrap_or_default();
                all.push(value);
                value = Value::Array(all);
            }
            self.entry(section, name, value, Origin::Flag(flag.as_str().into()));
        }
    }

    /// Everything together. Values that were refused are not in it.
    pub(super) fn typed(&self) -> Typed {
        let typed = Typed::deserialize(Value::Table(self.table.clone()));
        typed.expect("each entry was tried alone")
    }

    /// Where a value was typed, as errors tell it: `where: key = value`.
    pub(super) fn place(&self, key: &str) -> String {
        match self.seen.get(key) {
            Some(Seen { origin, shown }) => format!("{origin}: {key} = {shown}"),
            None => key.to_owned(),
        }
    }

    /// Whether a key was given, rightly or wrongly.
    pub(super) fn has(&self, key: &str) -> bool {
        self.seen.contains_key(key)
    }

    /// A value as it was given; the section of what stands before all sections is empty.
    pub(super) fn given(&self, section: &str, key: &str) -> Option<&Value> {
        if section.is_empty() { self.table.get(key) } else { self.table.get(section)?.get(key) }
    }

    /// Whether a section is there, be it empty.
    pub(super) fn has_section(&self, section: &str) -> bool {
        self.table.get(section).is_some_and(Value::is_table)
    }

    /// Whether a key was given by a flag.
    pub(super) fn has_flag(&self, key: &str) -> bool {
        self.seen.get(key).is_some_and(|seen| matches!(seen.origin, Origin::Flag(_)))
    }

    /// Something is wrong with a value that is well formed.
    pub(super) fn refuse(&mut self, key: &str, what: impl fmt::Display) {
        let problem = Problem::new(self.place(key), what);
        self.problems.push(problem);
    }

    fn entry(&mut self, section: Option<&str>, name: &str, value: Value, origin: Origin) {
        let alone = Table::from_iter([(name.to_owned(), value.clone())]);
        let (key, alone) = match section {
            None => (name.to_owned(), alone),
            Some(section) => {
                let inside = Table::from_iter([(section.to_owned(), Value::Table(alone))]);
                (format!("{section}.{name}"), inside)
            }
        };
        let shown = shown(&key, &value);
        let judged = Typed::deserialize(Value::Table(alone));
        // Serde would take a list for a table.
        let is_list = section.is_none() && value.is_array();
        let what = match judged {
            Ok(_) if is_list => Some(format!("allowed: a table: [{name}]")),
            Ok(_) => None,
            Err(error) => Some(plainly(error.message(), &key)),
        };
        if let Some(what) = what {
            // A key that is none may be a secret's, mistyped.
            let is_hidden = what.starts_with(UNKNOWN) && may_be_secret(name, &value);
            let shown = if is_hidden { HIDDEN.to_owned() } else { shown };
            self.problems.push(Problem::new(format_args!("{origin}: {key} = {shown}"), what));
            self.seen.entry(key).or_insert(Seen { origin, shown });
            return;
        }
        let place = match section {
            None => &mut self.table,
            Some(section) => self
                .table
                .entry(section)
                .or_insert_with(|| Value::Table(Table::new()))
                .as_table_mut()
                .expect("a section was tried to be one"),
        };
        place.insert(name.to_owned(), value);
        self.seen.insert(key, Seen { origin, shown });
    }

    fn forget(&mut self, key: &str) {
        let Some((section, name)) = key.split_once('.') else { return };
        self.seen.remove(key);
        if let Some(section) = self.table.get_mut(section).and_then(Value::as_table_mut) {
            section.remove(name);
        }
    }
}

/// Whether the value of a setting is likely secret, by its key.
pub fn is_likely_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["secret", "key", "token", "password", "url"].iter().any(|word| key.contains(word))
}

/// Whether an unknown key may be that of a secret, or its value hold one.
fn may_be_secret(name: &str, value: &Value) -> bool {
    let near = |secret: &str| distance(name, secret) <= MISTYPED_MAX;
    value.is_table()
        || is_likely_secret(name)
        || ["secret", "token", "password"].iter().any(|secret| near(secret))
}

/// Whether one of the broker's settings is likely secret; what is no setting may be anything.
fn has_secret_setting(value: &Value) -> bool {
    let is_secret = |one: &Value| {
        let setting = one.as_str().and_then(|text| text.split_once('='));
        setting.is_none_or(|(key, _)| is_likely_secret(key))
    };
    value.as_array().map_or_else(|| is_secret(value), |all| all.iter().any(is_secret))
}

/// A value on one line, cut with an ellipsis; nothing of a secret.
fn shown(key: &str, value: &Value) -> String {
    let is_secret = SECRETS.contains(&key)
        || (key == "broker.settings" && has_secret_setting(value))
        || (key == "target.url" && value.as_str().is_some_and(|url| url.contains(['?', '@'])));
    if is_secret {
        return HIDDEN.to_owned();
    }
    let text = value.to_string();
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// What serde says, in the words of all our errors. The value stands before it already.
fn plainly(message: &str, key: &str) -> String {
    let (what, expected) = message.split_once(", expected ").unwrap_or((message, ""));
    let expected = expected.strip_prefix("one of ").unwrap_or(expected).replace('`', "");
    let last = key.rsplit('.').next().unwrap_or(key);
    if expected.is_empty() {
        what.to_owned()
    } else if what.starts_with("unknown field") {
        let mistyped = what.split('`').nth(1).unwrap_or(last);
        let meant = expected.split(", ").map(|known| (distance(mistyped, known), known));
        let meant = meant.min().filter(|(letters, _)| *letters <= MISTYPED_MAX);
        let meant = meant.map_or_else(String::new, |(_, it)| format!(" (did you mean {it}?)"));
        let section = key.strip_suffix(last).and_then(|it| it.strip_suffix('.'));
        match section {
            Some(section) if !what.contains(&format!("`{section}`")) => {
                format!("{UNKNOWN}{meant}; {section} has: {expected}")
            }
            _ => format!("{UNKNOWN}{meant}; allowed: {expected}"),
        }
    } else {
        format!("allowed: {expected}")
    }
}

/// Letters to insert, remove or change to make one word the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (at, one) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], at + 1);
        for (place, other) in (1..).zip(b.bytes()) {
            let changed = diagonal + usize::from(one != other);
            diagonal = row[place];
            row[place] = changed.min(diagonal + 1).min(row[place - 1] + 1);
        }
    }
    row[b.len()]
}

/// The line of a byte, counted from 1.
fn line(text: &str, at: usize) -> usize {
    text[..text.floor_char_boundary(at)].matches('\n').count() + 1
}

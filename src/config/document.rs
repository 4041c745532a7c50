//! TOML into the configuration as typed: the file, or the value of one `--set` flag.
//!
//! Works on the parser's tree with its spans, so that each problem names its line. What is not
//! understood becomes a [`Problem`] and reading goes on. Called by `read.rs`.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::keys::SETTINGS;
use super::problem::{Origin, Problem, Problems};
use super::setting::{LISTS, Preset, find};
use super::typed::{Typed, Values};
use super::unknown;
use super::value::Value;

/// Characters of a value that an error message shows.
const SHOWN_CHARS_MAX: usize = 60;

/// One TOML text and how to name a place in it.
pub(super) struct Source<'a> {
    pub(super) text: &'a str,
    /// From a byte's place in the text to what an error message calls it.
    pub(super) origin: &'a dyn Fn(usize) -> Origin,
}

impl Source<'_> {
    fn shown(&self, span: Range<usize>) -> String {
        shortened(&self.text[span])
    }
}

/// Reads the file at `path`, whose content is `text`, over what is there.
pub(super) fn file(path: &Path, text: &str, typed: &mut Typed, problems: &mut Problems) {
    let file: Arc<str> = path.display().to_string().into();
    let lines = Lines::of(text);
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        // What could be read of a broken file would only bring errors that are not there.
        for error in errors {
            problems.push_with(|| {
                let (line, column) = lines.position(error.span().map_or(0, |span| span.start));
                let what = format_args!("TOML syntax: {}", error.message());
                Problem::new(&format_args!("{file}:{line}:{column}"), what)
            });
        }
        return;
    }
    let origin = |at| Origin::File { file: Arc::clone(&file), line: lines.line(at) };
    let source = Source { text, origin: &origin };
    // The parser sorts by name; people read by line.
    let mut sections: Vec<_> = document.get_ref().iter().collect();
    sections.sort_by_key(|(name, _)| name.span().start);
    for (name, value) in sections {
        let origin = origin(name.span().start);
        let name: &str = name.get_ref();
        match value.get_ref() {
            value if LISTS.contains(&name) => {
                list(&source, name, value, &origin, typed, problems);
            }
            DeValue::Table(entries) if !entries.is_empty() || unknown::is_section(name) => {
                table(&source, name, entries, &mut typed.values, problems);
            }
            _ => problems.push_with(|| unknown::key(&origin, name, &source.shown(value.span()))),
        }
    }
}

/// The entries of one of [`LISTS`]; they replace what an earlier source gave.
pub(super) fn list(
    source: &Source<'_>,
    name: &str,
    value: &DeValue<'_>,
    origin: &Origin,
    typed: &mut Typed,
    problems: &mut Problems,
) {
    let list = LISTS.into_iter().find(|known| *known == name).expect("the caller has looked");
    let no_list = |origin: &Origin| {
        Problem::new(origin, format_args!("{list}: not a list of tables; write [[{list}]]"))
    };
    let DeValue::Array(array) = value else {
        problems.push(no_list(origin));
        return;
    };
    let mut entries = Vec::new();
    for item in array {
        let origin = (source.origin)(item.span().start);
        match item.get_ref() {
            DeValue::Table(entry) => {
                let mut values = Values::entry(list);
                table(source, list, entry, &mut values, problems);
                require(list, &mut values, &origin, problems);
                entries.push(values);
            }
            _ => problems.push(no_list(&origin)),
        }
    }
    typed.lists.insert(list, Some(entries));
}

/// The keys of one table, into `values`.
fn table(
    source: &Source<'_>,
    section: &str,
    table: &DeTable<'_>,
    values: &mut Values,
    problems: &mut Problems,
) {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    for (name, value) in entries {
        let key = format!("{section}.{}", name.get_ref());
        let origin = (source.origin)(name.span().start);
        let shown = source.shown(value.span());
        let Some(setting) = find(&key) else {
            problems.push_with(|| unknown::key(&origin, &key, &shown));
            continue;
        };
        match Value::from_toml(setting, value.get_ref()) {
            Ok(value) => values.set(setting.key, value, origin),
            Err(what) => {
                let is_secret = setting.is_hidden();
                let shown = if is_secret { "(hidden)" } else { &shown };
                values.refuse(setting.key);
                problems.push(Problem::refused(&origin, setting, shown, &what));
            }
        }
    }
}

/// Every required key of an entry must be there.
fn require(list: &str, values: &mut Values, origin: &Origin, problems: &mut Problems) {
    for setting in SETTINGS.iter().filter(|setting| setting.section() == list) {
        let is_required = matches!(setting.default, Preset::Required);
        if is_required && values.sound(&[setting.key]) && !values.is_set(setting.key) {
            values.refuse(setting.key);
            let what = format!("{} is missing; allowed: {}", setting.key, setting.allowed());
            problems.push(Problem::new(origin, what));
        }
    }
}

/// A text on one line, cut with an ellipsis.
pub(super) fn shortened(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// Where the lines of a text begin: each key asks for its own.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        let starts = text.match_indices('\n').map(|(newline, _)| newline + 1);
        Self { text, starts: [0].into_iter().chain(starts).collect() }
    }

    /// Line and column of a byte, both counted from 1, the column in characters.
    fn position(&self, at: usize) -> (usize, usize) {
        let at = self.text.floor_char_boundary(at);
        let line = self.line(at);
        (line, self.text[self.starts[line - 1]..at].chars().count() + 1)
    }

    /// The line alone, however long it is.
    fn line(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at)
    }
}

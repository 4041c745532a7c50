//! The configuration as meant, as a TOML file.
//!
//! Sections and keys in the order of the table. What cannot stand as a TOML value (a secret, what
//! is unset) is a comment, so that the text can be read back.

use std::fmt::Write as _;

use super::keys::SETTINGS;
use super::problem::Origin;
use super::setting::{LISTS, Preset, Setting, Support};
use super::typed::{Given, Typed, Values};
use super::value::Value;

/// Columns before the comment of a line, in a section with lines that are not longer.
const COMMENT_COLUMN_MAX: usize = 48;

/// Writes it; `explain` adds what each setting means and lists those of later versions.
pub(super) fn to_toml(typed: &Typed, explain: bool) -> String {
    let mut out = String::new();
    // A list that was given and is empty can only stand before the first section.
    for list in LISTS {
        let is_off = list == "endpoint" && !typed.values.flag("websocket.enabled");
        if typed.lists[list].as_ref().is_some_and(Vec::is_empty) && !is_off {
            _ = writeln!(out, "{list} = []");
        }
    }
    for rows in SETTINGS.chunk_by(|a, b| a.section() == b.section()) {
        let section = rows[0].section();
        if !LISTS.contains(&section) {
            write_table(&mut out, &format!("[{section}]"), rows, &typed.values, explain);
            continue;
        }
        for entry in typed.entries(section) {
            write_table(&mut out, &format!("[[{section}]]"), rows, entry, explain);
        }
        if explain && typed.entries(section).is_empty() {
            // What an entry would look like, all of it a comment.
            let title = format!("# [[{section}]]");
            write_table(&mut out, &title, rows, &Values::entry(section), explain);
        }
    }
    out
}

/// One section, or one entry of a list; nothing where this version has nothing of it.
fn write_table(out: &mut String, title: &str, rows: &[Setting], values: &Values, explain: bool) {
    let is_shown = |row: &&Setting| {
        explain || row.support == Support::Full || values.get(row.key).origin != Origin::Default
    };
    let rows: Vec<&Setting> = rows.iter().filter(is_shown).collect();
    if rows.is_empty() {
        return;
    }
    if !out.is_empty() {
        out.push('\n');
    }
    _ = writeln!(out, "{title}");
    let is_comment = title.starts_with('#');
    let lines: Vec<String> =
        rows.iter().map(|row| line(row, values.get(row.key), is_comment)).collect();
    let is_short = |line: &&String| line.chars().count() <= COMMENT_COLUMN_MAX;
    let column = lines.iter().filter(is_short).map(|line| line.chars().count()).max().unwrap_or(0);
    for (row, line) in rows.into_iter().zip(lines) {
        if explain {
            write_explanation(out, row);
        }
        match &values.get(row.key).origin {
            Origin::Default => _ = writeln!(out, "{line}"),
            origin => _ = writeln!(out, "{line:column$}  # {origin}"),
        }
    }
}

fn line(row: &Setting, given: &Given, is_comment: bool) -> String {
    let name = row.name();
    match &given.value {
        Value::Unset if matches!(row.default, Preset::Required) => format!("# {name} = (required)"),
        value if is_comment || !value.is_toml() => format!("# {name} = {value}"),
        value => format!("{name} = {value}"),
    }
}

/// What a setting means, what is allowed, and its names in the environment.
fn write_explanation(out: &mut String, row: &Setting) {
    _ = write!(out, "\n# {}", row.about);
    if let Support::Absent(feature) | Support::Idle(feature) = row.support {
        _ = write!(out, " (this version does not have {feature})");
    }
    _ = write!(out, "\n#   allowed: {}", row.allowed());
    if row.restart {
        _ = write!(out, "\n#   a running broker keeps it: needs a restart");
    }
    if !row.env.is_empty() {
        _ = write!(out, "\n#   environment: {}", row.env.join(", "));
    }
    out.push('\n');
}

//! The outcome at the end of a run, on standard output: plain text for 80 columns.
//!
//! Without colour, and with nothing that does not survive a copy into a report: loss, doubles and
//! order first and what else went wrong, then times, then the rest, then what a reader has to know.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::facts::{self, Fact, to_f64};
use super::figures::{micros, several};
use crate::load::outcome::{Outcome, Percentiles};

/// Columns that the text has at most, where no word is longer.
pub const WIDTH: u16 = 80;

/// It, with a newline at its end.
pub fn of(outcome: &Outcome) -> String {
    let told = facts::of(outcome);
    let mut text = format!("\n{}\n\n", head(outcome));
    let word = if told.is_sound { "ok" } else { "FAILED" };
    let _ = writeln!(text, "  {word}: {}", told.verdict);
    text.push_str(&list(&outcome.faults));
    if !told.times.is_empty() {
        let _ = write!(text, "\n{}", times(&told.times));
    }
    let _ = write!(text, "\n{}", groups(&told.groups));
    if !outcome.remarks.is_empty() {
        text.push_str("\n  to know\n");
        text.push_str(&list(&outcome.remarks));
    }
    // The gap before a unit kept it on its line; a terminal shows it oddly when copied.
    text.replace('\u{a0}', " ")
}

fn head(outcome: &Outcome) -> String {
    let scenario = &outcome.scenario;
    let crowd = &scenario.crowd;
    let mut parts = vec![
        several(crowd.connections.into(), "connection"),
        several(crowd.topics.into(), "topic"),
    ];
    if let Some(talk) = &scenario.talk {
        parts.push(several(talk.publishers.into(), "publisher"));
    }
    let talk = scenario.talk.as_ref().map(|talk| facts::pace(talk.pace));
    let pace = talk.map_or_else(String::new, |(pace, how)| format!("\n{pace}, {how}"));
    format!("{}: {}\n{}{pace}", scenario.name, parts.join(", "), facts::url(scenario))
}

fn plain() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(WIDTH);
    table
}

fn times(times: &[(&str, Percentiles)]) -> String {
    let mut table = plain();
    table.set_header(["time", "min", "p50", "p90", "p99", "p99.9", "p99.99", "max"]);
    for (name, it) in times {
        let figures = [it.min, it.p50, it.p90, it.p99, it.p99_9, it.p99_99, it.max];
        let figures = figures.map(|us| micros(to_f64(us)));
        table.add_row([(*name).to_owned()].into_iter().chain(figures));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    indented(&table)
}

fn groups(groups: &[(&'static str, Vec<Fact>)]) -> String {
    let mut table = plain();
    for (title, facts) in groups {
        for (at, Fact { name, value, note }) in facts.iter().enumerate() {
            let title = if at == 0 { title } else { "" };
            table.add_row([title, name, value, note]);
        }
    }
    if let Some(column) = table.column_mut(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    indented(&table)
}

/// Each line begins with two spaces, one of them the table's own.
fn indented(table: &Table) -> String {
    let mut text = String::new();
    for line in table.lines() {
        let _ = writeln!(text, " {}", line.trim_end());
    }
    text
}

/// One below the other, broken at the width.
fn list(items: &[String]) -> String {
    let mut text = String::new();
    for item in items {
        let mut line = String::from("  -");
        for word in item.split_whitespace() {
            if line.chars().count() + word.chars().count() >= usize::from(WIDTH) {
                text.push_str(&line);
                text.push('\n');
                line = String::from("   ");
            }
            line.push(' ');
            line.push_str(word);
        }
        text.push_str(&line);
        text.push('\n');
    }
    text
}

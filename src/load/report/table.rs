//! The outcome at the end of a run, on standard output: plain text for 80 columns.
//!
//! Without colour, and with nothing that does not survive a copy into a report: loss, doubles and
//! order first and what else went wrong, then times, then the rest, then what a reader has to know.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::against::Against;
use super::facts::{self, Fact, to_f64};
use super::{search, setting};
use crate::load::judge::is_counted;
use crate::load::numbers::{micros, several};
use crate::load::outcome::{Outcome, Percentiles, Search};

/// Columns that the text has at most, where no word is longer.
pub const WIDTH: u16 = 80;

/// What a run came to beside an earlier one, told in `file`; to stand below the table of the run.
pub fn beside(against: &Against, file: &str) -> String {
    let mut table = plain();
    table.set_header(["figure", "now", "then", "now / then"]);
    for row in &against.rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let text = format!("\n  against {file}\n{}{}", list(&against.warnings), indented(&table));
    text.replace('\u{a0}', " ")
}

/// It, with a newline at its end.
pub fn of(outcome: &Outcome) -> String {
    let told = facts::of(outcome);
    let mut text = format!("\n{}\n\n", head(outcome));
    if outcome.interrupted {
        text.push_str("  INTERRUPTED: this is what was measured until then\n");
    }
    let word = match (told.is_sound, is_counted(outcome) && !outcome.interrupted) {
        (_, false) => "not judged",
        (false, _) => "FAILED",
        (true, _) => "ok",
    };
    text.push_str(&wrapped("  ", "    ", &format!("{word}: {}", told.verdict)));
    text.push_str(&list(&outcome.faults));
    for hint in &told.hints {
        text.push_str(&wrapped("  hint: ", "    ", hint));
    }
    if let (Some(answer), Some(found)) = (&told.answer, &outcome.search) {
        let _ = write!(text, "\n{}\n{}", wrapped("  ", "    ", answer), steps(found));
    }
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
    let talk = scenario.talk.as_ref().map(|talk| setting::pace(talk.pace));
    let pace = match (talk, &scenario.search) {
        (None, _) => String::new(),
        (Some((pace, how)), None) => format!("\n{pace}, {how}"),
        (Some((pace, _)), Some(_)) => format!("\nsearch for the highest rate, from {pace}"),
    };
    let (name, kind) = (&scenario.name, setting::kind(scenario));
    let server = format!("{}, {}", setting::url(scenario), setting::dialect(scenario));
    format!("{name}, {kind}: {}\n{server}{pace}", parts.join(", "))
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

fn steps(found: &Search) -> String {
    let mut table = plain();
    table.set_header(search::COLUMNS);
    for row in search::rows(found) {
        table.add_row(row);
    }
    for column in table.column_iter_mut().take(search::COLUMNS.len() - 1) {
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
    items.iter().map(|item| wrapped("  - ", "    ", item)).collect()
}

/// A text broken at the width, its first line begun so and the others so.
fn wrapped(first: &str, others: &str, item: &str) -> String {
    let (mut text, mut line) = (String::new(), first.to_owned());
    let mut is_begun = false;
    for word in item.split([' ', '\n', '\t']).filter(|word| !word.is_empty()) {
        if is_begun && line.chars().count() + word.chars().count() >= usize::from(WIDTH) {
            text.push_str(&line);
            text.push('\n');
            others.clone_into(&mut line);
            is_begun = false;
        }
        if is_begun {
            line.push(' ');
        }
        line.push_str(word);
        is_begun = true;
    }
    text.push_str(&line);
    text.push('\n');
    text
}

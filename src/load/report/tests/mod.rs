//! What is told of a run, as a whole: the table as it looks, the page as browsers read it.

mod data;
mod faults;
pub(super) mod fixture;

use super::{json, page, table};
use crate::load::outcome::Outcome;

/// The golden text of the fixture's table.
const GOLDEN: &str = include_str!("table.txt");

#[test]
fn the_table_looks_like_this() {
    let text = table::of(&fixture::outcome());
    assert_eq!(text, GOLDEN, "\n{text}");
    let longest = text.lines().map(|line| line.chars().count()).max();
    assert!(longest <= Some(usize::from(table::WIDTH)), "{longest:?}");
    assert!(!text.contains('\x1b'), "no colour");
}

#[test]
fn a_table_of_little_is_sound_too() {
    let text = table::of(&fixture::idle());
    assert!(text.contains("ok: 0 lost, 0 doubled, 0 out of order of 0 deliveries\n"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
}

#[test]
fn loss_is_told_first() {
    let mut outcome = fixture::outcome();
    outcome.deliveries.account.lost = 1234;
    let text = table::of(&outcome);
    assert!(text.lines().nth(5).unwrap().starts_with("  FAILED: 1,234 lost, 0 doubled"), "{text}");
    let page = page::of(&outcome);
    assert!(page.contains("verdict unsound") && page.contains("<dd>1,234</dd>"));
}

#[test]
fn json_reads_back() {
    let text = json::of(&fixture::outcome());
    let back: Outcome = serde_json::from_str(&text).unwrap();
    assert!(json::of(&back) == text, "{text}");
}

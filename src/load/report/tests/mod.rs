//! What is told of a run, as a whole: the table as it looks, the page as browsers read it.

mod data;
mod faults;
mod fields;
pub(super) mod fixture;

use super::{against, bounds, page, table};
use crate::load::outcome::Outcome;
use crate::load::scenario::Storm;

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
    outcome.deliveries.account_mut().lost = 1234;
    let text = table::of(&outcome);
    assert!(text.lines().nth(5).unwrap().starts_with("  FAILED: 1,234 lost, 0 doubled"), "{text}");
    let page = page::of(&outcome);
    assert!(page.contains("verdict unsound") && page.contains("<dd>1,234</dd>"));
}

#[test]
fn what_had_not_arrived_is_told_apart_from_loss() {
    let mut outcome = fixture::outcome();
    outcome.deliveries.account_mut().unarrived = 1234;
    outcome.deliveries.account_mut().received -= 1234;
    let text = table::of(&outcome).split_whitespace().collect::<Vec<_>>().join(" ");
    let told = "FAILED: 0 lost, 1,234 not arrived when the drain ended, 0 doubled";
    assert!(text.contains(told), "{text}");
    assert!(text.contains("arrived 4,930,766 of 4,932,000 due"), "{text}");
    // A run that failed has its figures all the same.
    for figure in ["delivered 412 k/s", "published 412 /s", "delivery 41 µs 1.18 ms"] {
        assert!(text.contains(figure), "{figure}: {text}");
    }
    let page = page::of(&outcome);
    assert!(page.contains("<dt>not arrived when the drain ended</dt><dd>1,234</dd>"));
    assert!(page.contains("verdict unsound") && page.contains("Latency p99"));
}

#[test]
fn nothing_delivered_is_a_figure_too() {
    let mut outcome = fixture::outcome();
    (outcome.deliveries.measured, outcome.deliveries.per_second) = (0, Some(0.0));
    let text = table::of(&outcome);
    assert!(text.contains("nothing of what was measured"), "{text}");
}

#[test]
fn an_interrupted_run_says_so_first() {
    let mut outcome = fixture::outcome();
    outcome.interrupted = true;
    let text = table::of(&outcome);
    assert!(text.lines().nth(5).unwrap().starts_with("  INTERRUPTED: "), "{text}");
    assert!(page::of(&outcome).contains("<b>Interrupted:</b>"));
    assert!(!page::of(&fixture::outcome()).contains("<b>Interrupted:</b>"));
    // What was not counted is not sound.
    outcome.deliveries.account = None;
    let text = table::of(&outcome);
    assert!(text.contains("\n  not judged: loss, doubles and order were not counted\n"), "{text}");
    let page = page::of(&outcome);
    assert!(page.contains("verdict unjudged") && !page.contains("All came"));
    let lost = bounds::Bound::parse("lost>0").unwrap().broken(&outcome);
    assert_eq!(lost.unwrap(), "lost>0: lost was not measured");
    // Whatever went wrong until then: nobody waited for the end.
    outcome.faults = vec!["2 of 1,001 connections failed".into()];
    (outcome.connecting.latency_us, outcome.connecting.per_second) = (None, None);
    outcome.deliveries.frame_bytes = None;
    let (text, page) = (table::of(&outcome), page::of(&outcome));
    assert!(text.contains("2 of 1,001") && !text.contains("FAILED"), "{text}");
    assert!(!text.contains("connecting  287"), "{text}");
    assert!(page.contains("verdict unjudged") && !page.contains("FAILED"));
    let json: serde_json::Value = serde_json::from_str(&outcome.to_json()).unwrap();
    for place in ["/deliveries/lost", "/deliveries/closes", "/connecting/latency_us"] {
        assert_eq!(json.pointer(place), Some(&serde_json::Value::Null), "{place}");
    }
    let back: Outcome = serde_json::from_str(&outcome.to_json()).unwrap();
    assert!(back.deliveries.account.is_none() && back.to_json() == outcome.to_json());
}

#[test]
fn a_search_is_told_step_by_step() {
    let outcome = fixture::searched();
    let text = table::of(&outcome);
    assert!(text.starts_with("\nfanout, open loop: "), "{text}");
    assert!(text.contains("\nsearch for the highest rate, from 100 /s\n"), "{text}");
    assert!(text.contains("\n  highest rate held: 1.20 k/s messages with p99 within"), "{text}");
    assert!(text.contains("no: p99 of "), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    let page = page::of(&outcome);
    assert!(page.contains("id=\"plot-search\"") && page.contains("highest rate held"));
    assert!(!page::of(&fixture::outcome()).contains("<div id=\"plot-search\""));
}

#[test]
fn a_storm_is_told_in_a_line() {
    let mut outcome = fixture::outcome();
    outcome.scenario.storm = Some(Storm { connections: 4000, at_ms: 1, back: true });
    outcome.deliveries.account_mut().away = 10;
    let text = table::of(&outcome).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("storm lost 4,000 back 3,990"), "{text}");
}

#[test]
fn failures_have_hints() {
    let mut outcome = fixture::outcome();
    outcome.connecting.failed = 3;
    outcome.connecting.reasons = vec!["HTTP 503 Service Unavailable".into()];
    let text = table::of(&outcome);
    assert!(text.contains("\n  hint: the server takes no more connections now"), "{text}");
    assert!(page::of(&outcome).contains("<li>hint: the server takes no more"));
}

#[test]
fn two_runs_stand_beside_each_other() {
    let mut then = fixture::outcome();
    then.machine.processors = 64;
    let text = table::beside(&against::of(&fixture::outcome(), &then), "then.json");
    assert!(text.starts_with("\n  against then.json\n  - another machine"), "{text}");
    let row = text.lines().find(|line| line.starts_with("  p99 ")).unwrap();
    assert_eq!(row.split_whitespace().collect::<Vec<_>>().join(" "), "p99 2.46 ms 2.46 ms 1.00×");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
}

#[test]
fn json_reads_back() {
    let text = fixture::outcome().to_json();
    let back: Outcome = serde_json::from_str(&text).unwrap();
    assert!(back.to_json() == text, "{text}");
}

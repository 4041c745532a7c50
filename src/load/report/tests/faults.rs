//! What makes a run unsound though every delivery that came was due, once and in order.

use super::fixture;
use crate::load::outcome::{Deliveries, Outcome};
use crate::load::report::faults::{self, is_sound};
use crate::load::report::{page, table};
use crate::load::scenario::Slow;

/// The faults of the fixture, changed so.
fn told(change: impl FnOnce(&mut Outcome)) -> Vec<String> {
    judged(change).faults
}

fn judged(change: impl FnOnce(&mut Outcome)) -> Outcome {
    let mut outcome = fixture::outcome();
    change(&mut outcome);
    outcome.faults = faults::of(&outcome);
    outcome
}

fn closed(closes: &[(u16, u64)]) -> Vec<String> {
    told(|outcome| outcome.deliveries.account.closes = closes.to_vec())
}

#[test]
fn a_run_without_faults_has_none() {
    assert!(told(|_| {}).is_empty());
    assert!(faults::of(&fixture::idle()).is_empty(), "nobody was to publish");
}

#[test]
fn who_is_thrown_out_is_told() {
    assert_eq!(closed(&[(1006, 2)]), ["2 connections were ended by the server (1006)"]);
    assert_eq!(closed(&[(1013, 1)]), ["1 connection was ended by the server (1013)"]);
    let both = "1,002 connections were ended by the server (1006 ×2, 1008 ×1,000)";
    assert_eq!(closed(&[(1006, 2), (1008, 1000)]), [both]);
    assert_eq!(told(|it| it.deliveries.account.away = 3), ["3 did not come back"]);
}

#[test]
fn slow_readers_are_thrown_out_by_policy() {
    let slow = |closes: &[(u16, u64)], away| {
        told(|outcome| {
            outcome.scenario.slow = Some(Slow { readers: 10, bytes_per_s: 0 });
            outcome.deliveries.account.closes = closes.to_vec();
            outcome.deliveries.account.away = away;
        })
    };
    assert!(slow(&[(1006, 10), (1013, 5)], 15).is_empty());
    let faults =
        ["3 connections were ended by the server (1006 ×2, 1008 ×1)", "1 did not come back"];
    assert_eq!(slow(&[(1006, 12), (1008, 1)], 11), faults);
}

#[test]
fn who_fails_to_connect_is_told() {
    let faults = told(|outcome| {
        outcome.connecting.failed = 200;
        outcome.connecting.reasons = vec!["429".into(), "reset".into()];
    });
    assert_eq!(faults, ["200 of 1,001 connections failed: 429; reset"]);
    let faults = told(|outcome| {
        outcome.connecting.failed = 200;
        outcome.scenario.talk.as_mut().unwrap().members = true;
    });
    assert_eq!(faults, ["200 of 1,000 connections failed"]);
}

#[test]
fn silence_where_talk_was_wanted_is_told() {
    let faults = told(|outcome| outcome.deliveries = Deliveries::default());
    assert_eq!(faults, ["nothing was published"]);
    assert_eq!(told(|outcome| outcome.deliveries.measured = 0), ["nothing was delivered"]);
    let all_slow = |outcome: &mut Outcome| {
        outcome.deliveries.measured = 0;
        outcome.scenario.slow = Some(Slow { readers: 1000, bytes_per_s: 0 });
    };
    assert!(told(all_slow).is_empty());
}

#[test]
fn faults_are_told_before_figures() {
    let outcome = judged(|outcome| outcome.deliveries.account.closes = vec![(1006, 2)]);
    assert!(!is_sound(&outcome) && is_sound(&fixture::outcome()));
    let text = table::of(&outcome);
    let mut lines = text.lines().skip(5);
    assert!(lines.next().unwrap().starts_with("  FAILED: 0 lost"), "{text}");
    assert_eq!(lines.next(), Some("  - 2 connections were ended by the server (1006)"));
    let page = page::of(&outcome);
    assert!(page.contains("<li>2 connections were ended by the server (1006)</li>"));
    assert!(page.contains("verdict unsound") && page.contains("Not all went well"));
}

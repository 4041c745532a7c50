//! What makes a run unsound though every delivery that came was due, once and in order.

use super::fixture;
use crate::load::judge::{self, is_sound};
use crate::load::outcome::{Deliveries, Outcome};
use crate::load::report::{page, table};
use crate::load::scenario::{Pace, Slow};

/// The faults of the fixture, changed so.
fn told(change: impl FnOnce(&mut Outcome)) -> Vec<String> {
    judged(change).faults
}

fn judged(change: impl FnOnce(&mut Outcome)) -> Outcome {
    let mut outcome = fixture::outcome();
    change(&mut outcome);
    outcome.faults = judge::faults(&outcome, 5000);
    outcome
}

fn closed(closes: &[(u16, u64)]) -> Vec<String> {
    told(|outcome| outcome.deliveries.account_mut().closes = closes.to_vec())
}

#[test]
fn a_run_without_faults_has_none() {
    assert!(told(|_| {}).is_empty());
    assert!(judge::faults(&fixture::idle(), 0).is_empty(), "nobody was to publish");
}

#[test]
fn who_is_thrown_out_is_told() {
    assert_eq!(closed(&[(1006, 2)]), ["2 connections were ended by the server (1006)"]);
    assert_eq!(closed(&[(1013, 1)]), ["1 connection was ended by the server (1013)"]);
    let both = "1,002 connections were ended by the server (1006 ×2, 1008 ×1,000)";
    assert_eq!(closed(&[(1006, 2), (1008, 1000)]), [both]);
    assert_eq!(told(|it| it.deliveries.account_mut().away = 3), ["3 did not come back"]);
}

#[test]
fn slow_readers_are_thrown_out_by_policy() {
    let slow = |closes: &[(u16, u64)], slow: &[(u16, u64)], away| {
        told(|outcome| {
            outcome.scenario.slow = Some(Slow { readers: 10, bytes_per_s: 0 });
            outcome.deliveries.account_mut().closes = closes.to_vec();
            outcome.deliveries.account_mut().closes_slow = slow.to_vec();
            outcome.deliveries.account_mut().away = away;
        })
    };
    assert!(slow(&[(1006, 10), (1013, 5)], &[(1006, 10), (1013, 5)], 15).is_empty());
    let faults =
        ["3 connections were ended by the server (1006 ×2, 1008 ×1)", "1 did not come back"];
    assert_eq!(slow(&[(1006, 12), (1008, 1)], &[(1006, 10)], 11), faults);
    // Who kept up was not to be thrown out, with whatever code.
    let kept_up = slow(&[(1013, 5)], &[(1013, 3)], 4);
    assert_eq!(kept_up, ["2 connections were ended by the server (1013)", "1 did not come back"]);
    let nobody_slow = told(|outcome| {
        outcome.deliveries.account_mut().closes = vec![(1013, 1)];
        outcome.deliveries.account_mut().closes_slow = vec![(1013, 1)];
    });
    assert_eq!(nobody_slow, ["1 connection was ended by the server (1013)"]);
}

#[test]
fn what_the_server_did_not_take_is_told() {
    let open = |outcome: &mut Outcome| {
        outcome.scenario.talk.as_mut().unwrap().pace = Pace::Open { per_s: 412.0 };
        outcome.deliveries.unread = Some(7);
    };
    assert_eq!(told(open), ["the server did not read 7 messages in time"]);
    assert!(told(|outcome| outcome.deliveries.unread = Some(7)).is_empty(), "a closed loop waits");
    let refused = |troubles: &[&str]| {
        told(|outcome| {
            let account = outcome.deliveries.account_mut();
            (account.refused, account.publishes_refused) = (20, 12);
            account.troubles = troubles.iter().map(|it| ((*it).to_owned(), 1)).collect();
        })
    };
    assert_eq!(refused(&["corrupt deflate"]), ["12 of 5,000 messages were refused"]);
    let stopped = "a publisher was stopped, all it said was refused: no rights";
    let words = ["refused: 429 too fast", stopped];
    assert_eq!(refused(&words), ["12 of 5,000 messages were refused: 429 too fast; no rights"]);
    assert_eq!(refused(&[stopped]), ["12 of 5,000 messages were refused: no rights"]);
    assert!(
        told(|it| it.deliveries.account_mut().refused = 3).is_empty(),
        "who came back came later"
    );
}

#[test]
fn what_was_late_or_not_sent_is_told() {
    let faults = told(|outcome| outcome.deliveries.late = Some(1));
    assert_eq!(faults, ["1 delivery came after the drain of their window, or not at all"]);
    let unsent = |unsent| {
        let outcome = judged(|outcome| {
            outcome.deliveries.published = 10_000 - unsent;
            outcome.deliveries.unsent = Some(unsent);
        });
        let text = table::of(&outcome);
        let verdict = text.lines().nth(5).unwrap().to_owned();
        (outcome.faults, verdict)
    };
    let (faults, verdict) = unsent(100);
    assert!(faults.is_empty() && verdict.contains("of 4,932,000 deliveries; 100"), "{verdict}");
    let (faults, verdict) = unsent(101);
    let fault = "101 of 10,000 messages that came due did not go out: the load was late, or their \
                 publisher gone";
    assert_eq!(faults, [fault]);
    assert!(verdict.starts_with("  FAILED: 0 lost"), "{verdict}");
}

#[test]
fn what_came_before_it_was_sent_is_told() {
    let fault = "3 deliveries came before the time in their stamp: forged, or of a clock apart from \
                 the load's";
    assert_eq!(told(|outcome| outcome.deliveries.account_mut().early = 3), [fault]);
}

#[test]
fn a_search_that_held_nothing_failed() {
    let searched = |inconclusive, interrupted| {
        told(|outcome| {
            let mut search = fixture::searched().search.unwrap();
            search.held_per_s = None;
            search.steps.truncate(2);
            for step in &mut search.steps {
                (step.held, step.inconclusive) = (false, inconclusive);
            }
            outcome.search = Some(search);
            outcome.interrupted = interrupted;
        })
    };
    assert_eq!(searched(false, false), ["no rate was held"]);
    assert!(searched(true, false)[0].starts_with("no rate was held: at each the load was late"));
    assert!(searched(false, true).is_empty());
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
    // Interrupted in the warm-up, nothing that counts was published yet.
    let early = |outcome: &mut Outcome| {
        outcome.deliveries = Deliveries::default();
        outcome.interrupted = true;
    };
    assert!(told(early).is_empty());
}

#[test]
fn faults_are_told_before_figures() {
    let outcome = judged(|outcome| outcome.deliveries.account_mut().closes = vec![(1006, 2)]);
    assert!(!is_sound(&outcome) && is_sound(&fixture::outcome()));
    let text = table::of(&outcome);
    let mut lines = text.lines().skip(5);
    assert!(lines.next().unwrap().starts_with("  FAILED: 0 lost"), "{text}");
    assert_eq!(lines.next(), Some("  - 2 connections were ended by the server (1006)"));
    let page = page::of(&outcome);
    assert!(page.contains("<li>2 connections were ended by the server (1006)</li>"));
    assert!(page.contains("verdict unsound") && page.contains("Not all went well"));
}

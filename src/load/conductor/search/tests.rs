//! The search as it would go with servers that hold so much and no more.

use super::*;
use crate::load::conductor::tests::scenario;

/// Searches where all up to a rate is held; the rates that were tried, and the highest held.
fn found(first: f64, within_percent: u32, capacity: f64) -> (Vec<f64>, Option<f64>) {
    let mut tried = Vec::new();
    while let Some(per_s) = next(first, within_percent, &tried) {
        assert!(tried.iter().all(|(rate, _)| (rate - per_s).abs() > 0.0), "{tried:?} {per_s}");
        tried.push((per_s, per_s <= capacity));
    }
    let held = tried.iter().filter(|one| one.1).map(|one| one.0).max_by(f64::total_cmp);
    (tried.into_iter().map(|one| one.0).collect(), held)
}

#[test]
fn it_doubles_and_then_halves_the_gap() {
    let (tried, held) = found(100.0, 10, 700.0);
    assert_eq!(tried, [100.0, 200.0, 400.0, 800.0, 600.0, 700.0, 750.0]);
    assert_eq!(held, Some(700.0));
}

#[test]
fn from_too_high_a_rate_it_goes_down_first() {
    let (tried, held) = found(1000.0, 20, 150.0);
    assert_eq!(tried, [1000.0, 500.0, 250.0, 125.0, 187.5, 156.25, 140.625]);
    assert_eq!(held, Some(140.625));
}

#[test]
fn it_ends_whatever_the_server_holds() {
    let (tried, held) = found(100.0, 5, f64::INFINITY);
    assert_eq!(held, Some(RATE_MAX_PER_S));
    assert!(tried.len() < SEARCH_STEPS_MAX);
    let (tried, held) = found(100.0, 5, 0.0);
    assert_eq!((tried.last(), held), (Some(&RATE_MIN_PER_S), None));
    let (tried, _) = found(100.0, 0, 333.3);
    assert_eq!(tried.len(), SEARCH_STEPS_MAX);
    for capacity in [3.0, 47.0, 999.0, 12_345.0, 8_000_000.0] {
        let held = found(250.0, 5, capacity).1.unwrap();
        assert!(held <= capacity && held * 1.06 > capacity, "{capacity}: {held}");
    }
}

fn span(done: WindowDone, took_ms: u64) -> Span {
    Span { done: vec![done], took: Duration::from_millis(took_ms), ..Span::default() }
}

#[test]
fn a_rate_is_held_when_all_is_in_time() {
    let search = Search { p99_us: 5000, within_percent: 5 };
    let fine = WindowDone {
        published: 100,
        delivered: 1000,
        latency: vec![(4000, 995), (9000, 5)],
        late: vec![(100, 100)],
        ..WindowDone::default()
    };
    let because = |done: WindowDone, took_ms, ended| {
        let span = span(done, took_ms);
        let length = Duration::from_secs(1);
        let due = Some(1000);
        let tried = Tried { per_s: 100.0, length, span: &span, due, ended, publishers: 1 };
        let step = tried.step(tried.judged(search));
        assert_eq!(step.held, step.because.is_empty());
        if step.inconclusive { format!("? {}", step.because) } else { step.because }
    };
    assert_eq!(because(fine.clone(), 1010, 0), "");
    assert_eq!(because(fine.clone(), 1200, 0), "the last delivery came 200 ms behind");
    assert_eq!(because(fine.clone(), 1010, 3), "3 connections were ended");
    let done = WindowDone { delivered: 990, ..fine.clone() };
    assert_eq!(because(done, 1010, 0), "10 of 1000 deliveries had not arrived");
    let done = WindowDone { overdue: 2, ..fine.clone() };
    assert_eq!(because(done, 1010, 0), "2 messages had not reached everyone");
    let done = WindowDone { owed: 5, overdue: 2, ..fine.clone() };
    assert_eq!(because(done, 1010, 0), "5 deliveries had not arrived");
    let done = WindowDone { unread: 6, ..fine.clone() };
    assert_eq!(because(done, 1010, 0), "the server did not read 6 messages in time");
    let done = WindowDone { unsent: 7, ..fine.clone() };
    assert_eq!(because(done, 1010, 0), "? the load was late: 7 messages not sent");
    let done = WindowDone { refused: 2, ..fine.clone() };
    assert_eq!(because(done, 1010, 0), "2 messages were refused");
    let late = vec![(100, 90), (2000, 10)];
    let slow = vec![(4000, 980), (9000, 20)];
    let done = WindowDone { late: late.clone(), latency: slow, ..fine.clone() };
    assert_eq!(because(done, 1010, 0), "p99 9.0 ms, over 5.0 ms");
    let done = WindowDone { late, latency: vec![(6000, 1000)], ..fine.clone() };
    assert_eq!(because(done, 1010, 0), "? the load published late: p99 2.0 ms");
    let done = WindowDone { late: vec![(100, 90), (2000, 10)], ..fine.clone() };
    assert_eq!(because(done, 1010, 0), "? the load published late: p99 2.0 ms");
    let done = WindowDone { latency: vec![(4000, 980), (9000, 20)], ..fine };
    assert_eq!(because(done, 1010, 0), "p99 9.0 ms, over 5.0 ms");
}

#[test]
fn what_is_due_is_known_of_a_whole_crowd() {
    let mut scenario = scenario();
    (scenario.crowd.connections, scenario.crowd.topics) = (10, 3);
    let hearers = Hearers::new(&scenario, true).unwrap();
    assert_eq!(hearers.many, [4, 3, 3]);
    assert_eq!(hearers.due(&[1, 1, 1], &[2, 3, 1]), 4 + 2 * 3);
    assert_eq!(hearers.due(&[], &[1, 0, 0]), 4);
    assert!(Hearers::new(&scenario, false).is_none());
}

//! What is gathered, and what comes of it.

use std::time::Duration;

use super::*;
use crate::load::conductor::tests::scenario;

fn tally(alone: Option<Reading>) -> Tally {
    Tally::new((scenario(), "typed".to_owned()), Timestamp(0), 2, alone)
}

fn reading(cpu_us: f64, rss_bytes: u64) -> Reading {
    let (cpu_us, rss_bytes) = (Some(cpu_us), Some(rss_bytes));
    Reading { cpu_us, waited_us: cpu_us, rss_bytes, processes: 1, ..Reading::default() }
}

fn span(delivered: u64, server_us: Option<f64>) -> Span {
    let done = WindowDone {
        published: 1,
        delivered: delivered / 2,
        delivered_bytes: 100 * (delivered / 2),
        latency: vec![(40, delivered / 2)],
        returned: vec![(1000, 1)],
        unsent: 3,
        unread: 1,
        owed: 2,
        published_by_stream: vec![1, 0],
        ..WindowDone::default()
    };
    let other = WindowDone { published_by_stream: vec![0, 2, 5], ..done.clone() };
    let workers_us = vec![100_000.0, 950_000.0];
    let (done, took) = (vec![done, other], Duration::from_secs(1));
    Span {
        done,
        took,
        server_us,
        server_waited_us: server_us,
        sends: 10,
        floor_lost: 0,
        workers_us,
        workers_waited_us: Some(vec![10_000.0, 30_000.0]),
    }
}

#[test]
fn windows_of_several_workers_are_one_outcome() {
    let mut tally = tally(Some(reading(0.0, 1_000_000)));
    let connected = Connected {
        subscribed: 45,
        publishers: 5,
        latency: vec![(1000, 45)],
        took_us: 500_000,
        resident_bytes: (1000, 6000),
        ..Connected::default()
    };
    let after = Some(reading(1000.0, 1_100_000));
    tally.connected(&[connected.clone(), connected], Some(reading(0.0, 0)), after);
    tally.seen(Some(reading(1.0, 3_000_000)));
    tally.full(Some(reading(1000.0, 1_200_000)));
    tally.streams(&span(8, None).done);
    assert_eq!(tally.published_by_stream(), [1, 2, 5]);
    for server_us in [1000.0, 3000.0] {
        tally.measured(&span(1000, Some(server_us)));
    }
    let closes = [vec![(1013, 2), (1006, 1)], vec![(1006, 3)]];
    tally.settled(&closes.map(|closes| Account {
        lost: 1,
        unarrived: 4,
        closes_slow: closes[..1].to_vec(),
        closes,
        publishes_refused: 1,
        refused: 1,
        away: 2,
        unjudged: 3,
        troubles: vec![("corrupt deflate".into(), 4)],
        ..Account::default()
    }));
    tally.empty(Some(reading(5000.0, 1_050_000)));
    let outcome = tally.outcome(Vec::new(), false);
    assert_eq!(outcome.started, "1970-01-01T00:00:00.000Z");
    let deliveries = &outcome.deliveries;
    assert_eq!((deliveries.published, deliveries.measured), (4, 2000));
    assert_eq!((deliveries.per_second, deliveries.frame_bytes), (Some(1000.0), Some(100.0)));
    assert_eq!((deliveries.account().lost, deliveries.account().unarrived), (2, 8));
    assert_eq!(deliveries.account().closes, [(1006, 4), (1013, 2)]);
    let account = deliveries.account();
    assert_eq!((account.away, account.unjudged), (4, 6));
    assert_eq!(account.troubles, [("corrupt deflate".to_owned(), 8)]);
    assert_eq!(
        (deliveries.unsent, deliveries.unread, deliveries.late),
        (Some(12), Some(4), Some(8))
    );
    assert_eq!((account.publishes_refused, account.refused), (2, 2));
    assert_eq!(account.closes_slow, [(1006, 3), (1013, 2)]);
    let faults = [
        "8 deliveries came after the drain of their window, or not at all",
        "2 of 8 messages were refused",
        "12 of 20 messages that came due did not go out: the load was late, or their publisher gone",
        "6 connections were ended by the server (1006 ×4, 1013 ×2)",
        "4 did not come back",
    ];
    assert_eq!(outcome.faults, faults);
    assert_eq!(outcome.latency_us.unwrap().p99, 40);
    assert_eq!((outcome.connecting.subscribed, outcome.connecting.per_second), (90, Some(180.0)));
    assert_eq!(outcome.connecting.returning_us.unwrap().p50, 1000);
    assert_eq!(outcome.load.busiest, Some(0.95));
    assert_eq!(outcome.load.starved, Some(0.03));
    assert_eq!(outcome.load.rss_bytes_per_connection, Some(100.0));
    let server = outcome.server.unwrap();
    assert_eq!((server.cpu_us, server.cpu_us_per_delivery), (Some(4000.0), Some(2.0)));
    assert_eq!(server.deliveries_per_cpu_second, Some(500_000.0));
    assert_eq!(server.starved, Some(0.002));
    assert_eq!(server.cpu_us_per_connection, Some(10.0));
    assert_eq!(server.rss_bytes_per_connection, Some(2000.0));
    assert_eq!(server.rss_bytes, Some([1_000_000, 1_200_000, 3_000_000, 1_050_000]));
    assert!(outcome.floor.is_none());
    assert_eq!(outcome.remarks[0], "corrupt deflate (8 times)");
}

#[test]
fn what_was_not_measured_is_absent() {
    let mut unread = tally(None);
    unread.measured(&span(0, None));
    let outcome = unread.outcome(Vec::new(), false);
    assert!(outcome.server.is_none() && outcome.latency_us.is_none());
    let mut once = tally(Some(reading(0.0, 0)));
    once.measured(&span(10, Some(5.0)));
    once.measured(&span(10, None));
    let server = once.outcome(Vec::new(), false).server.unwrap();
    assert_eq!(server.cpu_us, None);
    assert_eq!((server.cpu_us_per_delivery, server.deliveries_per_cpu_second), (None, None));
    assert_eq!(server.rss_bytes_per_connection, None);
}

#[test]
fn memory_that_was_there_before_is_no_figure() {
    let mut tally = tally(Some(reading(0.0, 5_000_000)));
    let connected = Connected { subscribed: 1000, ..Connected::default() };
    tally.connected(&[connected], None, None);
    tally.full(Some(reading(1.0, 5_004_096)));
    let outcome = tally.outcome(Vec::new(), false);
    assert_eq!(outcome.server.unwrap().rss_bytes_per_connection, None);
    let told = outcome.remarks.iter().any(|remark| remark.contains("restart it"));
    assert!(told, "{:?}", outcome.remarks);
}

#[test]
fn neighbouring_windows_make_a_ratio() {
    let mut tally = tally(Some(reading(0.0, 0)));
    for (server_us, floor_us) in [(100.0, 100.0), (300.0, 200.0), (200.0, 100.0)] {
        tally.pair(&span(100, Some(server_us)), &span(50, Some(floor_us)));
    }
    tally.pair(&span(100, Some(1.0)), &span(0, Some(200.0)));
    tally.floor_waited(7);
    let outcome = tally.outcome(Vec::new(), false);
    let told = |words: &str| outcome.remarks.iter().any(|remark| remark.starts_with(words));
    assert!(told("1 of 4 pairs") && told("the floor had to wait"), "{:?}", outcome.remarks);
    let floor = outcome.floor.unwrap();
    assert_eq!(floor.pairs, [(1.0, 2.0), (3.0, 4.0), (2.0, 2.0)]);
    assert_eq!(floor.ratio, [0.625, 0.75, 0.875]);
    assert_eq!(floor.cpu_us_per_delivery, 4.0);
    assert_eq!(floor.cpu_us_per_send, 15.0);
}

#[test]
fn without_a_pair_there_is_no_ratio() {
    let mut tally = tally(Some(reading(0.0, 0)));
    tally.pair(&span(100, None), &span(50, Some(100.0)));
    tally.pair(&span(100, Some(100.0)), &span(50, Some(0.0)));
    let outcome = tally.outcome(Vec::new(), false);
    assert!(outcome.floor.is_none());
    let told = outcome.remarks.iter().any(|remark| remark.starts_with("no ratio to the floor"));
    assert!(told, "{:?}", outcome.remarks);
}

#[test]
fn members_that_publish_are_counted_once() {
    for (members, bytes, cpu) in [(true, 200.0, 20.0), (false, 100.0, 10.0)] {
        let mut tally = tally(Some(reading(0.0, 0)));
        tally.scenario.talk.as_mut().unwrap().members = members;
        let connected = Connected {
            subscribed: 50,
            publishers: 50,
            resident_bytes: (0, 5000),
            ..Connected::default()
        };
        let after = Some(reading(1000.0, 0));
        tally.connected(&[connected], Some(reading(0.0, 0)), after);
        tally.full(Some(reading(1000.0, 10_000)));
        let outcome = tally.outcome(Vec::new(), false);
        let server = outcome.server.unwrap();
        assert_eq!(server.rss_bytes_per_connection, Some(bytes));
        assert_eq!(server.cpu_us_per_connection, Some(cpu));
        assert_eq!(outcome.load.rss_bytes_per_connection, Some(bytes / 2.0));
    }
}

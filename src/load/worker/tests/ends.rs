//! What could not be said, what does not come, who does not come back.

use super::*;
use crate::load::account::NUMBER_MAX;

#[test]
fn what_is_not_taken_is_not_numbered() {
    for talk in [Pace::Open { per_s: 1000.0 }, Pace::Closed { in_flight: 4, batch: 4 }] {
        let mut scenario = scenario((2, 2, 1), Interest::Exact, Some((1, false)));
        scenario.talk.as_mut().unwrap().pace = talk;
        let mut stage = Stage::new(scenario, true);
        stage.connect_all();
        let mut talking = stage.window(0, 4000);
        stage.is_deaf = true;
        assert_eq!(stage.turn(&mut talking, 3000), 0);
        assert_eq!(stage.turn(&mut talking, 4000), 0);
        let is_open = matches!(talk, Pace::Open { .. });
        assert_eq!(talking.is_over(), !is_open);
        assert_eq!(stage.turn(&mut talking, 4000 + LAST_WORDS_US), 0);
        assert!(talking.is_over());
        // In open loop four messages came due, in closed loop none.
        let done = stage.clients.figures.window(0);
        let unread = if is_open { 4 } else { 0 };
        assert_eq!((done.published, done.unsent, done.unread), (0, 0, unread));
        assert_eq!(stage.settle(), Account::default());
        assert!(stage.clients.flights.is_empty());
        // The numbers that were not used are used then, of each topic in turn.
        stage.is_deaf = false;
        let mut talking = stage.window(205_000, 209_000);
        assert_eq!(stage.turn(&mut talking, 208_000), 4);
        let said = stage.said.iter().map(|(_, stamp)| (stamp.stream, stamp.number));
        assert_eq!(said.collect::<Vec<_>>(), [(0, 0), (1, 0), (0, 1), (1, 1)]);
        assert_eq!(stage.clients.figures.window(0).published, 4);
    }
}

#[test]
fn who_has_no_room_is_asked_again_and_its_times_are_kept() {
    let mut stage = Stage::new(scenario((4, 2, 1), Interest::Exact, Some((2, false))), true);
    stage.connect_all();
    // A message each millisecond, of the two by turns.
    let mut talking = stage.window(0, 1_000_000);
    stage.is_deaf = true;
    assert_eq!(stage.turn(&mut talking, 100_000), 0);
    // There is nothing to be done before the next is due.
    assert_eq!(talking.next_us(&stage.clients), Some(101_000));
    assert_eq!(stage.turn(&mut talking, 600_000), 0);
    assert_eq!(stage.turn(&mut talking, 600_000), 0);
    stage.is_deaf = false;
    // No more than a turn's at a time; and at once again.
    assert_eq!(stage.turn(&mut talking, 600_000), 256);
    assert_eq!(talking.next_us(&stage.clients), Some(0));
    assert_eq!((stage.turn(&mut talking, 600_000), stage.turn(&mut talking, 600_000)), (256, 89));
    assert_eq!(talking.next_us(&stage.clients), Some(601_000));
    let mut times: Vec<u64> = stage.said.iter().map(|(_, stamp)| stamp.at_us).collect();
    times.sort_unstable();
    assert!(times.into_iter().eq((0..=600).map(|message| message * 1000)));
    for place in [4, 5] {
        let of = stage.said.iter().filter(|said| said.0 == place).map(|(_, stamp)| stamp.at_us);
        assert!(of.is_sorted());
    }
    // The load itself was late by no more than what passed between its turns.
    let late = stage.clients.figures.window(0).late;
    assert!(late.last().unwrap().0 < 501_000, "{late:?}");
    assert_eq!(late.iter().map(|(_, count)| count).sum::<u64>(), 601);
}

#[test]
fn what_finds_no_room_is_unread_unless_its_publisher_goes() {
    let mut stage = Stage::new(scenario((4, 2, 1), Interest::Exact, Some((2, false))), true);
    stage.connect_all();
    let mut talking = stage.window(0, 20_000);
    stage.is_deaf = true;
    assert_eq!(stage.turn(&mut talking, 20_000), 0);
    stage.happened(5, Happened::Ended(1006));
    assert_eq!(stage.turn(&mut talking, 20_000 + LAST_WORDS_US - 1), 0);
    assert!(!talking.is_over());
    assert_eq!(stage.clients.figures.window(0).unread, 0);
    assert_eq!(stage.turn(&mut talking, 20_000 + LAST_WORDS_US), 0);
    assert!(talking.is_over());
    let done = stage.clients.figures.window(0);
    assert_eq!((done.published, done.unsent, done.unread), (0, 10, 10));
}

#[test]
fn a_load_that_is_late_did_not_send() {
    let mut stage = Stage::new(scenario((4, 2, 1), Interest::Exact, Some((1, false))), true);
    stage.connect_all();
    let mut talking = stage.window(0, 1_000_000);
    assert_eq!(stage.turn(&mut talking, 1_000_000 + LAST_WORDS_US), 256);
    assert!(talking.is_over());
    let done = stage.clients.figures.window(0);
    assert_eq!((done.published, done.unsent, done.unread), (256, 744, 0));
}

#[test]
fn a_closed_loop_tries_again_when_there_is_room() {
    let mut stage = Stage::new(closed((2, false), 4, 2), true);
    stage.connect_all();
    let mut talking = stage.window(0, 10_000);
    stage.is_deaf = true;
    assert_eq!(stage.turn(&mut talking, 0), 0);
    assert_eq!(talking.next_us(&stage.clients), None);
    stage.is_deaf = false;
    assert_eq!(stage.turn(&mut talking, 1), 4);
    let done = stage.clients.figures.window(0);
    assert_eq!((done.published, done.unsent, done.unread), (4, 0, 0));
}

#[test]
fn who_has_no_numbers_left_stops() {
    let mut stage = Stage::new(closed((1, false), 4, 2), true);
    stage.connect_all();
    // Of two streams by turns.
    stage.clients.sent[0] = 2 * NUMBER_MAX;
    assert!(stage.clients.has_numbers(0, 2));
    assert!(stage.settle().troubles.is_empty());
    stage.clients.sent[0] += 1;
    assert!(stage.clients.has_numbers(0, 1));
    let mut talking = stage.window(0, 1000);
    assert_eq!(stage.turn(&mut talking, 0), 0);
    assert_eq!(stage.clients.figures.window(0).unsent, 2);
    let troubles = stage.settle().troubles;
    assert!(troubles[0].0.contains("2147483647 of them"), "{troubles:?}");
    assert_eq!((troubles.len(), troubles[0].1), (1, 1));
}

#[test]
fn without_a_publisher_a_window_ends() {
    let mut stage = Stage::new(closed((2, false), 8, 2), true);
    (0..4).for_each(|place| stage.connect(place));
    let mut talking = stage.window(0, 1000);
    assert_eq!(stage.turn(&mut talking, 0), 0);
    assert_eq!(talking.next_us(&stage.clients), None);
    assert_eq!(stage.turn(&mut talking, 1000), 0);
    assert!(talking.is_over());
    // A batch of each.
    assert_eq!(stage.clients.figures.window(0).unsent, 4);
}

#[test]
fn other_workers_messages_are_waited_for_once() {
    let mut stage = Stage::beside_another(1);
    let none = GivenUp::default();
    let mut waiting = Waiting::new(vec![2], 1000);
    assert!(!waiting.has_all(&stage.clients, &none));
    for (place, number) in [(0, 0), (0, 1), (1, 0)] {
        stage.heard(place, foreign(0, number));
        assert!(!waiting.has_all(&stage.clients, &none));
    }
    assert!(!waiting.is_late(999) && waiting.is_late(1000));
    // The second has not all: a later window does not wait for that, but for what is new.
    NOW_US.set(900);
    let mut given_up = GivenUp::default();
    assert_eq!(given_up.renew(&stage.clients, vec![2]), 1);
    assert!(Waiting::new(vec![2], 1000).has_all(&stage.clients, &given_up));
    let mut waiting = Waiting::new(vec![3], 1000);
    assert!(!waiting.has_all(&stage.clients, &given_up));
    stage.heard(0, foreign(0, 2));
    assert!(!waiting.has_all(&stage.clients, &given_up));
    // Of the later window one is owed, and one of the first still.
    let mut later = GivenUp::default();
    later.renew(&stage.clients, vec![2]);
    assert_eq!(later.renew(&stage.clients, vec![3]), 1);
    assert_eq!(later.renew(&stage.clients, vec![3]), 0);
    stage.heard(1, foreign(0, 2));
    assert!(waiting.has_all(&stage.clients, &given_up));
    // It comes after all: now there is nothing that would not be waited for.
    stage.heard(1, foreign(0, 1));
    assert!(!Waiting::new(vec![4], 1000).has_all(&stage.clients, &given_up));
    assert!(waiting.has_all(&stage.clients, &none));
    let done = stage.clients.figures.window(0);
    assert_eq!((done.delivered, done.last_us), (6, 900));
}

#[test]
fn a_place_is_held_for_the_drain_time() {
    let mut scenario = closed((1, false), 2, 2);
    scenario.times.drain_ms = 5000;
    let mut stage = Stage::new(scenario, true);
    stage.connect_all();
    let mut talking = stage.window(0, 10_000_000);
    assert_eq!(stage.turn(&mut talking, 0), 2);
    assert_eq!(stage.turn(&mut talking, 4_999_999), 0);
    assert_eq!(stage.turn(&mut talking, 5_000_000), 2);
    assert_eq!(stage.clients.flights.overdue(), 2);
    // At the end of a window nothing is held any more.
    stage.clients.expire(u64::MAX);
    assert_eq!(stage.clients.flights.overdue(), 4);
    assert!(stage.clients.flights.is_empty());
}

#[test]
fn each_is_given_up_for_itself() {
    let mut stage = Stage::new(scenario((3, 1, 1), Interest::Exact, None), true);
    let patience_us = 10_000_000;
    stage.clients.begin(0, 0, 0);
    stage.clients.begin(1, 0, 0);
    NOW_US.set(6_000_000);
    stage.happened(1, Happened::Ready);
    stage.connect(2);
    assert!(stage.clients.stuck(9_999_999, patience_us).is_empty());
    assert_eq!(stage.clients.stuck(10_000_000, patience_us), [0]);
    assert_eq!(stage.clients.stuck(16_000_000, patience_us), [0, 1]);
    // One that comes back is not given up for having been away for long.
    assert!(stage.clients.leave(2, 17_000_000, true));
    stage.clients.begin(2, 40_000_000, 40_000_000);
    assert!(!stage.clients.stuck(41_000_000, patience_us).contains(&2));
}

#[test]
fn who_does_not_come_back_is_away() {
    let mut stage = Stage::new(scenario((4, 1, 1), Interest::Exact, None), true);
    stage.clients.begin(3, 0, 0);
    stage.happened(3, Happened::Refused("HTTP 503"));
    (0..3).for_each(|place| stage.connect(place));
    assert_eq!(stage.settle().away, 0);
    assert!(stage.clients.leave(0, 1, false));
    assert!(stage.clients.leave(1, 1, true) && stage.clients.leave(2, 1, true));
    assert_eq!(stage.settle().away, 2);
    stage.clients.begin(1, 2, 2);
    stage.happened(1, Happened::Refused("HTTP 503"));
    stage.connect(2);
    assert_eq!(stage.settle().away, 1);
}

#[test]
fn latecomers_that_hear_nothing_are_not_judged() {
    // Streams 0 and 1 of the only topic: the first is the other worker's.
    let mut stage = Stage::beside_another(2);
    let mut talking = stage.window(0, 4000);
    assert_eq!(stage.turn(&mut talking, 4000), 2);
    let unjudged = |stage: &Stage, of_other| {
        let published = [of_other, stage.published()[1]];
        waiting::settle(&stage.clients, &published).unjudged
    };
    assert_eq!(unjudged(&stage, 5), 0);
    assert!(stage.clients.leave(0, 5000, true));
    stage.connect(0);
    assert_eq!((unjudged(&stage, 0), unjudged(&stage, 5)), (0, 1));
    stage.heard(0, foreign(0, 3));
    assert_eq!(unjudged(&stage, 5), 0);
}

#[test]
fn a_delivery_behind_something_else_has_its_frames_time_and_bytes() {
    let mut stage = Stage::new(scenario((2, 1, 1), Interest::Exact, Some((1, false))), true);
    stage.connect_all();
    let mut talking = stage.window(0, 1000);
    assert_eq!(stage.turn(&mut talking, 0), 1);
    let stamp = stage.said[0].1;
    NOW_US.set(700);
    stage.heard(0, Heard::Other);
    let heard = Heard::Delivery(stamp);
    stage.happened(0, Happened::Heard { heard, count: 1, frame_bytes: 0 });
    // Another frame with nothing in it that counts, and one of a single message.
    stage.heard(1, Heard::Other);
    stage.heard(1, heard);
    let done = stage.clients.figures.window(0);
    assert_eq!((done.delivered, done.delivered_bytes, done.last_us), (2, 200, 700));
    assert_eq!(done.latency.iter().map(|(_, count)| count).sum::<u64>(), 2);
    assert!(done.latency[0].0.abs_diff(700) < 2, "{:?}", done.latency);
}

#[test]
fn a_window_may_have_a_rate_of_its_own() {
    for members in [false, true] {
        // A thousand a second, the scenario says.
        let mut stage = Stage::new(scenario((4, 2, 1), Interest::Exact, Some((2, members))), true);
        stage.connect_all();
        let mut talking = stage.window_at(Some(5000.0), 1000, 11_000);
        assert_eq!(stage.turn(&mut talking, 11_000), 50);
        let done = stage.clients.figures.window(0);
        assert_eq!((done.published, done.unsent), (50, 0));
        let times: Vec<u64> = stage.said.iter().map(|(_, stamp)| stamp.at_us).collect();
        assert_eq!((times.iter().min(), times.iter().max()), (Some(&1000), Some(&10_800)));
        // And the next one none.
        let mut talking = stage.window(20_000, 30_000);
        assert_eq!(stage.turn(&mut talking, 30_000), 10);
    }
    // A closed loop has no rate.
    let mut stage = Stage::new(closed((1, false), 4, 2), true);
    stage.connect_all();
    let mut talking = stage.window_at(Some(5000.0), 100, 1000);
    assert_eq!(stage.turn(&mut talking, 100), 4);
}

#[test]
fn who_reads_slowly_is_told_apart_when_it_is_closed() {
    let mut stage = Stage::new(scenario((3, 1, 1), Interest::Exact, Some((1, false))), true);
    stage.connect_all();
    assert!(stage.clients.slow(1));
    for place in [0, 1, 3] {
        stage.happened(place, Happened::Ended(1013));
    }
    let account = stage.settle();
    assert_eq!(account.closes, [(1013, 3)]);
    assert_eq!(account.closes_slow, [(1013, 1)]);
}

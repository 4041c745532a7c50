//! What the server does not take, and numbers that nobody said.

use super::*;

/// All connected, and a window in which so many messages are said at once to one topic with two
/// subscribers.
fn said(messages: u32) -> (Stage, Talking) {
    let mut scenario = scenario((2, 1, 1), Interest::Exact, Some((1, false)));
    scenario.talk.as_mut().unwrap().pace = Pace::Closed { in_flight: messages, batch: messages };
    let mut stage = Stage::new(scenario, true);
    stage.connect_all();
    let mut talking = stage.window(0, 10_000_000);
    assert_eq!(stage.turn(&mut talking, 0), messages as usize);
    (stage, talking)
}

impl Stage {
    /// Both subscribers have these.
    fn both_have(&mut self, messages: impl IntoIterator<Item = usize>) {
        for at in messages {
            (0..2).for_each(|place| self.heard(place, Heard::Delivery(self.said[at].1)));
        }
    }

    fn refuse(&mut self, words: &[u8]) {
        self.heard(2, Heard::Refused(words));
    }
}

/// Expected, received, lost, not arrived, refused.
fn counts(stage: &Stage) -> [u64; 5] {
    let account = stage.settle();
    [account.expected, account.received, account.lost, account.unarrived, account.refused]
}

#[test]
fn a_refusal_that_quotes_its_message_is_counted_once() {
    let (mut stage, mut talking) = said(4);
    let mut quote = b"429 not ".to_vec();
    stage.said[1].1.put(&mut quote, 0);
    stage.refuse(&quote);
    stage.both_have([0, 2]);
    assert_eq!(counts(&stage), [6, 4, 0, 2, 1]);
    // Of what is there already, and of what was never said, it names none.
    stage.both_have([3]);
    assert_eq!(stage.turn(&mut talking, 1), 4);
    for stamp in [Stamp { number: 800, ..stage.said[0].1 }, Stamp { stream: 7, ..stage.said[0].1 }]
    {
        let mut quote = Vec::new();
        stamp.put(&mut quote, 0);
        stage.refuse(&quote);
    }
    stage.both_have([4, 6, 7]);
    assert_eq!(counts(&stage), [14, 12, 2, 0, 3]);
}

#[test]
fn a_refusal_that_names_nothing_stands_for_what_nobody_had() {
    let (mut stage, _) = said(6);
    stage.refuse(b"429 slower");
    stage.both_have([0, 3]);
    stage.heard(0, Heard::Delivery(stage.said[1].1));
    assert_eq!(counts(&stage), [12, 5, 3, 4, 1]);
    // 1 one of them has; 2 it may have been; 4 and 5 it was not: there was one refusal.
    stage.clients.expire(u64::MAX);
    assert_eq!(counts(&stage), [10, 5, 1, 4, 1]);
    assert_eq!(stage.clients.flights.overdue(), 3);
    // It was another one.
    stage.both_have([2]);
    assert_eq!(counts(&stage), [12, 7, 1, 4, 1]);
}

#[test]
fn what_is_refused_is_lost_to_nobody_who_leaves() {
    let (mut stage, _) = said(3);
    stage.refuse(b"no");
    stage.both_have([0, 2]);
    stage.clients.expire(u64::MAX);
    assert!(stage.clients.leave(0, 5, false));
    assert_eq!(counts(&stage), [4, 4, 0, 0, 1]);
    let mut waiting = Waiting::new(vec![3], 0);
    assert!(waiting.has_all(&stage.clients, &GivenUp::default()));
}

#[test]
fn who_is_always_refused_stops() {
    let mut scenario = scenario((1, 1, 0), Interest::Exact, Some((2, false)));
    scenario.talk.as_mut().unwrap().pace = Pace::Closed { in_flight: 32, batch: 16 };
    let mut stage = Stage::new(scenario, true);
    stage.connect_all();
    let mut talking = stage.window(0, 10_000_000);
    // Nobody hears it, and nothing paces it.
    let per_turn = stage.turn(&mut talking, 0);
    let of = |stage: &Stage, place| stage.said.iter().filter(|said| said.0 == place).count();
    let (first, second) = (of(&stage, 1), of(&stage, 2));
    assert!(first >= 16 && second >= 16 && first + second == per_turn);
    for _ in 0..16 {
        stage.heard(1, Heard::Refused(b"401 who is it\n"));
        stage.heard(2, Heard::Refused(b"429"));
    }
    assert_eq!(stage.turn(&mut talking, 1), 0);
    assert_eq!(stage.clients.refusals.stopped(), None);
    for _ in 16..first {
        stage.heard(1, Heard::Refused(b"401 who is it\n"));
    }
    // What the other said besides was taken: it goes on.
    stage.turn(&mut talking, 1_000_000);
    assert!(stage.turn(&mut talking, 1_000_001) > 0);
    assert_eq!(of(&stage, 1), first);
    assert!(of(&stage, 2) > second);
    let (stopped, words) = stage.clients.refusals.stopped().unwrap();
    assert_eq!((stopped, words), (1, "401 who is it"));
    assert!(!stage.clients.refusals.have_stopped_all());
}

#[test]
fn when_all_have_stopped_nothing_is_left() {
    let (mut stage, mut talking) = said(16);
    (0..16).for_each(|_| stage.refuse(b"403"));
    assert_eq!(stage.turn(&mut talking, OVERDUE_US + 1), 0);
    assert!(stage.clients.refusals.have_stopped_all());
    assert_eq!(counts(&stage), [0, 0, 0, 0, 16]);
    assert_eq!(stage.settle().publishes_refused, 16);
}

#[test]
fn a_refused_return_is_no_refused_publish() {
    let mut stage = said(1).0;
    assert!(stage.clients.leave(0, 1, true));
    stage.clients.begin(0, 2, 2);
    stage.happened(0, Happened::Refused("HTTP 429"));
    stage.refuse(b"429");
    let account = stage.settle();
    assert_eq!((account.refused, account.publishes_refused), (2, 1));
}

#[test]
fn who_was_heard_may_be_refused() {
    let (mut stage, mut talking) = said(20);
    stage.both_have(0..2);
    (2..20).for_each(|_| stage.refuse(b"429"));
    assert_eq!(stage.turn(&mut talking, OVERDUE_US + 1), 20);
    assert_eq!(stage.clients.refusals.stopped(), None);
    assert_eq!(counts(&stage)[0], 4 + 2 * 20);
}

#[test]
fn a_number_that_was_not_said_is_astray() {
    let (mut stage, _) = said(2);
    let forged = Stamp { number: 4_000_000, ..stage.said[0].1 };
    stage.heard(0, Heard::Delivery(forged));
    // The last of a run of three is one too many.
    let heard = Heard::Delivery(stage.said[0].1);
    stage.happened(0, Happened::Heard { heard, count: 3, frame_bytes: 100 });
    stage.heard(1, heard);
    assert_eq!(counts(&stage), [4, 3, 0, 1, 0]);
    assert_eq!(stage.settle().astray, 2);
}

#[test]
fn refusals_are_told_in_words_each_once() {
    let (mut stage, _) = said(4);
    for at in 0..2 {
        let mut quote = b"413 not \"".to_vec();
        stage.said[at].1.put(&mut quote, 60);
        stage.refuse(&[&quote, &b"\""[..]].concat());
    }
    stage.refuse(b"429 eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJiIn0.abc, slower\n");
    let troubles = stage.settle().troubles;
    let told: Vec<(&str, u64)> = troubles.iter().map(|(why, times)| (&**why, *times)).collect();
    assert_eq!(
        told,
        [("refused: 413 not \"(the message)\"", 2), ("refused: 429 (hidden), slower", 1)]
    );
}

#[test]
fn a_stamp_from_later_on_is_early_and_has_no_latency() {
    let (mut stage, _) = said(2);
    NOW_US.set(40);
    let forged = Stamp { at_us: 41, ..stage.said[0].1 };
    stage.heard(0, Heard::Delivery(forged));
    stage.heard(1, Heard::Delivery(stage.said[0].1));
    assert_eq!((stage.settle().early, counts(&stage)), (1, [4, 2, 0, 2, 0]));
    assert_eq!(stage.clients.figures.window(0).latency, [(40, 1)]);
}

#[test]
fn a_window_has_its_refusals() {
    let (mut stage, _) = said(2);
    stage.refuse(b"429");
    stage.heard(0, Heard::Refused(b"of no publish"));
    assert_eq!(stage.clients.figures.window(0).refused, 1);
    stage.window(20_000_000, 30_000_000);
    assert_eq!(stage.clients.figures.window(0).refused, 0);
}

#[test]
fn of_others_it_is_known_when_all_have_told() {
    let mut stage = Stage::beside_another(1);
    for number in [0, 1, 4_000_000] {
        (0..2).for_each(|place| stage.heard(place, foreign(0, number)));
    }
    stage.clients.bound(&[3]);
    let account = waiting::settle(&stage.clients, &[3]);
    assert_eq!((account.received, account.astray), (4, 2));
    assert_eq!((account.lost, account.unarrived, account.expected), (0, 2, 6));
}

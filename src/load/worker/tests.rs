//! Clients and publishing without a socket: what a swarm would tell is told by hand.

mod ends;
mod orders;
mod refused;

use std::cell::Cell;
use std::rc::Rc;

use super::clients::Clients;
use super::talk::{LAST_WORDS_US, Outlet, Talking};
use super::token::Mint;
use super::waiting::{self, GivenUp, Waiting};
use crate::load::dialect::{Dialect, Heard, Who, Words};
use crate::load::layout::Layout;
use crate::load::layout::tests::scenario;
use crate::load::orders::{Account, Begin, Side, Window};
use crate::load::pace::OVERDUE_US;
use crate::load::scenario::{Credentials, Interest, Pace, Scenario};
use crate::load::stamp::Stamp;
use crate::load::swarm::{Audience, Happened};

thread_local! {
    static NOW_US: Cell<u64> = const { Cell::new(0) };
}

fn clock() -> u64 {
    NOW_US.get()
}

/// A topic's name and a payload, unmasked, behind one another.
struct Plain {
    echoes: bool,
}

impl Dialect for Plain {
    fn handshake(&self, _: &Who<'_>, _: &str, _: Option<&str>, _: &mut Vec<u8>) {}

    fn opened(&self, _: &Who<'_>, _: &mut Words<'_>) -> bool {
        true
    }

    fn subscribe(&self, pattern: &str, _: u16, say: &mut Words<'_>) -> bool {
        say.text(pattern.as_bytes());
        true
    }

    fn echoes(&self) -> bool {
        self.echoes
    }

    fn publish(&self, _topic: &str, payload: &[u8], say: &mut Words<'_>) {
        say.text(payload);
    }

    fn hear(
        &self,
        _: &Who<'_>,
        payload: &[u8],
        _: &mut Words<'_>,
        _: &mut dyn FnMut(Heard<'_>),
    ) -> usize {
        payload.len()
    }
}

/// Clients of a scenario, and what they published.
struct Stage {
    clients: Clients,
    scenario: Scenario,
    /// By the place of the publisher's connection.
    said: Vec<(u32, Stamp)>,
    /// The swarm takes nothing.
    is_deaf: bool,
}

impl Stage {
    fn new(scenario: Scenario, echoes: bool) -> Self {
        Self::part(scenario, echoes, (0, 1))
    }

    /// One worker's of several.
    fn part(scenario: Scenario, echoes: bool, (worker, workers): (u32, u32)) -> Self {
        NOW_US.set(0);
        let layout = Rc::new(Layout::new(&scenario));
        let begin = Begin { scenario: scenario.clone(), worker, workers };
        let mint = Mint::new(&scenario.target.credentials);
        let clients = Clients::new(&begin, &layout, Box::new(Plain { echoes }), mint, clock);
        Self { clients, scenario, said: Vec::new(), is_deaf: false }
    }

    /// Connections 2 and 3 of 4, in the second of two workers, in a window: one topic, the first of
    /// whose publishers is the other worker's.
    fn beside_another(publishers: u32) -> Self {
        let scenario = scenario((4, 1, 1), Interest::Exact, Some((publishers, false)));
        let mut stage = Self::part(scenario, true, (1, 2));
        stage.connect_all();
        stage.window(0, 100);
        stage
    }

    fn happened(&mut self, place: u32, what: Happened<'_>) {
        self.clients.came();
        self.clients.happened(place, what, &mut Vec::new());
    }

    fn heard(&mut self, place: u32, heard: Heard<'_>) {
        self.happened(place, Happened::Heard { heard, count: 1, frame_bytes: 100 });
    }

    /// Connects one, with all its subscriptions.
    fn connect(&mut self, place: u32) {
        self.clients.begin(place, clock(), clock());
        self.happened(place, Happened::Ready);
        let (layout, start) = (&self.clients.layout, self.clients.part.start);
        let subscriptions =
            if self.clients.is_crowd(place) { layout.patterns(start + place).len() } else { 0 };
        for _ in 0..subscriptions {
            assert!(!self.clients.is_ready(place));
            self.heard(place, Heard::Subscribed);
        }
        assert!(self.clients.is_ready(place));
    }

    fn connect_all(&mut self) {
        (0..self.clients.len()).for_each(|place| self.connect(place));
    }

    fn window(&mut self, from_us: u64, until_us: u64) -> Talking {
        self.window_at(None, from_us, until_us)
    }

    /// A window with a rate of its own.
    fn window_at(&mut self, per_s: Option<f64>, from_us: u64, until_us: u64) -> Talking {
        let window = Window { side: Side::Target, from_us, until_us, counted: true, per_s };
        self.clients.has_begun = true;
        self.clients.figures.begin(&window);
        Talking::new(self.scenario.talk.as_ref().unwrap(), &window, &mut self.clients)
    }

    /// Publishes what is due; how many messages.
    fn turn(&mut self, talking: &mut Talking, now_us: u64) -> usize {
        NOW_US.set(now_us);
        self.clients.expire(now_us);
        let before = self.said.len();
        let mut ears = Ears { said: &mut self.said, is_deaf: self.is_deaf };
        talking.turn(now_us, &mut self.clients, &mut ears);
        self.said.len() - before
    }

    fn settle(&self) -> Account {
        waiting::settle(&self.clients, &self.published())
    }

    /// By stream, of this worker.
    fn published(&self) -> Vec<u32> {
        let Clients { flights, layout, .. } = &self.clients;
        (0..layout.streams()).map(|stream| flights.published(stream).unwrap_or(0)).collect()
    }
}

/// Takes what is said.
struct Ears<'a> {
    said: &'a mut Vec<(u32, Stamp)>,
    is_deaf: bool,
}

impl Outlet for Ears<'_> {
    fn has_room(&self, _: u32, _: usize) -> bool {
        !self.is_deaf
    }

    fn say(&mut self, place: u32, frames: &[u8]) -> bool {
        assert!(!self.is_deaf, "it was asked before");
        // Masking is undone byte by byte; headers are of no matter.
        let mut at = 0;
        while at < frames.len() {
            let (length, head) = match frames[at + 1] & 0x7F {
                126 => (usize::from(u16::from_be_bytes([frames[at + 2], frames[at + 3]])), 4),
                short => (usize::from(short), 2),
            };
            let (key, payload) = frames[at + head..at + head + 4 + length].split_at(4);
            let plain: Vec<u8> =
                payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
            self.said.push((place, Stamp::find(&plain).unwrap().0));
            at += head + 4 + length;
        }
        true
    }
}

/// A message of another worker's publisher.
fn foreign(stream: u32, number: u32) -> Heard<'static> {
    Heard::Delivery(Stamp { stream, number, at_us: 50 })
}

fn closed(publishers: (u32, bool), in_flight: u32, batch: u32) -> Scenario {
    let mut scenario = scenario((4, 2, 1), Interest::Exact, Some(publishers));
    scenario.talk.as_mut().unwrap().pace = Pace::Closed { in_flight, batch };
    scenario
}

#[test]
fn connecting_asks_and_counts() {
    let mut stage = Stage::new(scenario((3, 5, 2), Interest::Exact, Some((1, false))), true);
    assert_eq!(stage.clients.len(), 4);
    // Meant to come earlier than it could be begun.
    stage.clients.begin(0, 4, 10);
    let mut answer = Vec::new();
    stage.clients.happened(0, Happened::Ready, &mut answer);
    // Two frames of a header, a key and a name.
    assert_eq!(answer.len(), 2 * (2 + 4 + "bench.t0".len()));
    NOW_US.set(25);
    stage.heard(0, Heard::Subscribed);
    stage.heard(0, Heard::Subscribed);
    stage.connect(3);
    stage.clients.begin(1, 25, 25);
    stage.happened(1, Happened::Refused("HTTP 503"));
    stage.clients.begin(2, 25, 25);
    stage.happened(2, Happened::Ready);
    stage.heard(2, Heard::Refused(b"403: no"));
    let standing = &stage.clients.standing;
    assert_eq!((standing.subscribed, standing.publishers), (1, 1));
    assert_eq!((standing.failed, standing.connecting), (2, 0));
    assert_eq!(standing.reasons, ["HTTP 503", "403: no"]);
    assert_eq!(stage.clients.useless, [2]);
    assert_eq!(stage.clients.figures.connected(), [(0, 1), (21, 1)]);
}

#[test]
fn everyone_is_somebody() {
    let mut scenario = scenario((3, 5, 2), Interest::Exact, Some((1, false)));
    scenario.target.credentials = Credentials::Secret { secret: "s".into(), tenant: None };
    let mut stage = Stage::new(scenario, true);
    stage.clients.begin(3, 0, 0);
    let who = stage.clients.who(3);
    assert_eq!((who.number, who.topic, who.publishes), (3, "bench.t0", true));
    assert!(who.token.is_some());
    stage.happened(3, Happened::Ready);
    assert_eq!(stage.clients.who(3).token, None);
    assert_eq!(stage.clients.who(2).topic, "bench.t2");
}

#[test]
fn a_closed_loop_waits_for_everyone() {
    let mut stage = Stage::new(closed((1, false), 4, 2), true);
    stage.connect_all();
    let mut talking = stage.window(100, 1000);
    assert_eq!(stage.turn(&mut talking, 99), 0);
    assert_eq!(stage.turn(&mut talking, 100), 4);
    assert_eq!(stage.turn(&mut talking, 101), 0);
    // Topics by turns; two connections hear each.
    for (place, stamp) in [(0, 0), (2, 0), (1, 1)] {
        stage.heard(place, Heard::Delivery(stage.said[stamp].1));
    }
    assert_eq!(stage.turn(&mut talking, 102), 0);
    stage.heard(3, Heard::Delivery(stage.said[1].1));
    assert_eq!(stage.turn(&mut talking, 103), 2);
    assert_eq!(stage.said[4].1, Stamp { stream: 0, number: 2, at_us: 103 });
    assert_eq!(stage.turn(&mut talking, 1000), 0);
    assert!(talking.is_over());
    let done = stage.clients.figures.window(0);
    assert_eq!((done.published, done.delivered, done.delivered_bytes), (6, 4, 400));
    let account = stage.settle();
    assert_eq!((account.expected, account.received, account.unarrived), (12, 4, 8));
}

#[test]
fn who_is_gone_or_slow_is_not_waited_for() {
    let mut stage = Stage::new(closed((1, false), 2, 2), true);
    stage.connect_all();
    let mut talking = stage.window(0, 10_000_000);
    assert_eq!(stage.turn(&mut talking, 0), 2);
    stage.heard(1, Heard::Delivery(stage.said[1].1));
    assert!(stage.clients.slow(3));
    stage.heard(0, Heard::Delivery(stage.said[0].1));
    stage.happened(2, Happened::Ended(1013));
    assert_eq!(stage.turn(&mut talking, 1), 2);
    for (place, stamp) in [(0, 2), (1, 3)] {
        stage.heard(place, Heard::Delivery(stage.said[stamp].1));
    }
    assert_eq!(stage.turn(&mut talking, 2), 2);
    // Nothing comes any more: what is overdue makes room.
    assert_eq!(stage.turn(&mut talking, 2 + OVERDUE_US), 2);
    assert_eq!(stage.clients.flights.overdue(), 2);
    let account = stage.settle();
    assert_eq!((account.withheld, account.unarrived, account.received), (8, 4, 4));
    assert_eq!(account.closes, [(1013, 1)]);
}

#[test]
fn a_latecomer_is_due_what_is_published_then() {
    let mut stage = Stage::new(closed((1, false), 2, 2), true);
    stage.connect_all();
    let mut talking = stage.window(0, 1000);
    assert_eq!(stage.turn(&mut talking, 0), 2);
    assert!(stage.clients.leave(2, 5, true));
    stage.connect(2);
    // Of the first message nothing is known, nor is it waited for; the second is due.
    for place in [0, 1, 3] {
        let stamp = stage.said[place as usize % 2].1;
        stage.heard(place, Heard::Delivery(stamp));
    }
    assert_eq!(stage.turn(&mut talking, 10), 2);
    for place in [0, 1, 3] {
        let stamp = stage.said[2 + place as usize % 2].1;
        stage.heard(place, Heard::Delivery(stamp));
    }
    assert_eq!(stage.turn(&mut talking, 11), 0);
    let account = stage.settle();
    assert_eq!((account.expected, account.received, account.unarrived), (7, 6, 1));
    let (first, second) = (stage.said[0].1, stage.said[2].1);
    stage.heard(2, Heard::Delivery(first));
    stage.heard(2, Heard::Delivery(second));
    stage.heard(2, Heard::Delivery(second));
    stage.heard(2, Heard::Delivery(Stamp { stream: 1, ..second }));
    let account = stage.settle();
    assert_eq!((account.expected, account.received, account.lost), (8, 8, 0));
    assert_eq!((account.duplicated, account.astray, account.out_of_order), (1, 1, 0));
}

#[test]
fn nobody_waits_for_an_echo_that_does_not_come() {
    let mut stage = Stage::new(closed((4, true), 4, 1), false);
    stage.connect_all();
    let mut talking = stage.window(0, 1000);
    // Connections 0 and 2, and 1 and 3, are in a room.
    assert_eq!(stage.turn(&mut talking, 0), 4);
    for (place, stamp) in stage.said.clone() {
        stage.heard((place + 2) % 4, Heard::Delivery(stamp));
    }
    assert_eq!(stage.turn(&mut talking, 1), 4);
    for (place, stamp) in stage.said.split_off(4) {
        stage.heard((place + 2) % 4, Heard::Delivery(stamp));
    }
    let account = stage.settle();
    assert_eq!((account.expected, account.received, account.lost), (8, 8, 0));
}

#[test]
fn an_open_loop_keeps_every_time() {
    let mut stage = Stage::new(scenario((4, 2, 1), Interest::Exact, Some((2, false))), true);
    stage.connect_all();
    // A thousand a second for 20 ms, and a stall in the midst.
    let mut talking = stage.window(1000, 21_000);
    assert_eq!(talking.next_us(&stage.clients), Some(1000));
    assert_eq!(stage.turn(&mut talking, 1000), 1);
    stage.happened(5, Happened::Ended(1006));
    assert_eq!(stage.turn(&mut talking, 15_000), 7);
    assert_eq!(stage.turn(&mut talking, 30_000), 2);
    assert!(talking.is_over());
    let times: Vec<u64> = stage.said.iter().map(|(_, stamp)| stamp.at_us).collect();
    let meant: Vec<u64> = (0..10).map(|message| 1000 + 2000 * message).collect();
    assert_eq!(times, meant);
    let stamp = stage.said[0].1;
    stage.heard(0, Heard::Delivery(stamp));
    let done = stage.clients.figures.window(0);
    // The other publisher's messages nobody had.
    assert_eq!((done.published, done.unsent, done.overdue), (10, 10, 0));
    assert_eq!(done.latency.len(), 1);
    assert!(done.latency[0].0.abs_diff(29_000) < 30, "{:?}", done.latency);
    assert_eq!(done.late.iter().map(|(_, count)| count).sum::<u64>(), 10);
    assert_eq!(done.late.last().unwrap().0 / 1000, 13);
}

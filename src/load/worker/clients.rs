//! The clients of one crowd: what each of them waits for, what it hears, what is made of it.
//!
//! The audience of a swarm. It gives each delivery to the [`Ledger`] and to the [`Flights`]; how
//! connections become ready and how they go is [`super::comings`]. It opens and closes nothing:
//! who is to be given up or to come back is told to [`super::half`].
//!
//! Connections are known by their place: those of this worker's part of the crowd, then its
//! publishers, where these are no members of the crowd. A delivery costs table look-ups, no hash
//! and no allocation, a read of many one reading of the clock.

use std::collections::BTreeSet;
use std::ops::Range;
use std::rc::Rc;

use crate::load::account::{Ledger, NUMBER_MAX};
use crate::load::dialect::{Dialect, Heard, Who};
use crate::load::layout::Layout;
use crate::load::orders::Begin;
use crate::load::pace::{Closed, Flights, MESSAGES_MAX, OVERDUE_US, Outgoing};
use crate::load::stamp::Stamp;
use crate::load::swarm::{Audience, Happened};

use super::figures::Figures;
use super::refusals::Refusals;
use super::seat::{Seat, Stage, Standing};
use super::token::Mint;
use super::words::Plain;

/// All clients that a worker has at one server.
pub(super) struct Clients {
    pub(super) layout: Rc<Layout>,
    pub(super) dialect: Box<dyn Dialect>,
    pub(super) mint: Mint,
    /// Makes the server's words fit to be told.
    pub(super) plain: Plain,
    pub(super) clock: fn() -> u64,
    /// When what is being heard came.
    pub(super) now_us: u64,
    /// Bytes of the frame that is being heard, until they are a delivery's.
    frame_bytes: usize,
    /// This worker's connections of the crowd.
    pub(super) part: Range<u32>,
    /// This worker's publishers, by their numbers in the run.
    pub(super) own: Vec<u32>,
    /// Connections of the whole crowd: publishers beside it are numbered behind.
    pub(super) crowd: u32,
    pub(super) seats: Vec<Seat>,
    /// Tokens of those that are connecting; empty when nobody has one of its own.
    pub(super) tokens: Vec<Option<Box<str>>>,
    pub(super) ledger: Ledger,
    pub(super) flights: Flights,
    /// By publisher of this worker: messages sent so far.
    pub(super) sent: Vec<u32>,
    /// Publishers that have said all that can be numbered.
    pub(super) spent: BTreeSet<u32>,
    /// What of it the server did not take.
    pub(super) refusals: Refusals,
    /// How long a message may be on its way before it gives up its place in the closed loop.
    pub(super) patience_us: u64,
    /// The closed loop, in a window that has one.
    pub(super) closed: Option<Closed>,
    /// By topic: who is subscribed and does not read slowly.
    pub(super) listeners: Vec<u32>,
    pub(super) figures: Figures,
    pub(super) standing: Standing,
    /// Who was to come back and was refused.
    pub(super) refused: Vec<u32>,
    /// Who is there and was refused what it is there for.
    pub(super) useless: Vec<u32>,
    /// Who subscribes from now on has missed something.
    pub(super) has_begun: bool,
}

impl Clients {
    /// Nobody there yet.
    pub(super) fn new(
        begin: &Begin,
        layout: &Rc<Layout>,
        dialect: Box<dyn Dialect>,
        mint: Mint,
        clock: fn() -> u64,
    ) -> Self {
        let part = layout.part(begin.worker, begin.workers);
        let own = layout.publishers_of(begin.worker, begin.workers);
        let is_members = own.first().is_some_and(|one| layout.member(*one).is_some());
        let seats = part.len() + if is_members { 0 } else { own.len() };
        let tokens = if matches!(mint, Mint::Each(_)) { seats } else { 0 };
        Self {
            dialect,
            mint,
            plain: Plain::new(&begin.scenario.target),
            clock,
            now_us: clock(),
            frame_bytes: 0,
            crowd: begin.scenario.crowd.connections,
            seats: vec![Seat::default(); seats],
            tokens: vec![None; tokens],
            ledger: Ledger::new(part.len() as u32),
            flights: Flights::new(layout, &own),
            sent: vec![0; own.len()],
            spent: BTreeSet::new(),
            refusals: Refusals::new(own.len()),
            patience_us: OVERDUE_US.max(begin.scenario.times.drain_ms * 1000),
            closed: None,
            listeners: vec![0; layout.topics() as usize],
            figures: Figures::new(),
            standing: Standing::default(),
            refused: Vec::new(),
            useless: Vec::new(),
            has_begun: false,
            layout: Rc::clone(layout),
            part,
            own,
        }
    }

    /// Connections in all, publishers beside the crowd included.
    pub(super) fn len(&self) -> u32 {
        self.seats.len() as u32
    }

    /// The place of the connection of a publisher, known by its place among this worker's; `None`
    /// when it cannot publish now.
    pub(super) fn speaker(&self, publisher: u32) -> Option<u32> {
        if !self.refusals.may_speak(publisher) {
            return None;
        }
        let member = self.layout.member(self.own[publisher as usize]);
        let beside = self.part.len() as u32 + publisher;
        let place = member.map_or(beside, |connection| connection - self.part.start);
        (self.seats[place as usize].stage == Stage::Ready).then_some(place)
    }

    /// A publisher's message that goes after `ahead` others, if these are sent: it takes its
    /// topics in turns. `None` when it has nothing to publish to.
    pub(super) fn message(&self, publisher: u32, ahead: u32) -> Option<Outgoing> {
        self.message_at(publisher, self.sent[publisher as usize] + ahead)
    }

    /// A publisher's message, by its place among all of them.
    pub(super) fn message_at(&self, publisher: u32, message: u32) -> Option<Outgoing> {
        let of_run = self.own[publisher as usize];
        let topics = self.layout.publishes(of_run);
        let turns = topics.len() as u32;
        let place = message.checked_rem(turns)? as usize;
        let stream = self.layout.stream_in_turn(of_run, place);
        Some(Outgoing { stream, number: message / turns, topic: topics[place] })
    }

    /// Whether so many more messages of a publisher, at least one, have numbers: in their streams up
    /// to [`NUMBER_MAX`], of this worker [`MESSAGES_MAX`]. One that has none left is remembered.
    pub(super) fn has_numbers(&mut self, publisher: u32, messages: u32) -> bool {
        let at = publisher as usize;
        let turns = self.layout.publishes(self.own[at]).len() as u32;
        let last = self.sent[at].checked_add(messages - 1);
        let is_one = |last: u32| last.checked_div(turns).is_none_or(|number| number <= NUMBER_MAX);
        let has_numbers = last.is_some_and(is_one)
            && self.flights.count().checked_add(messages).is_some_and(|all| all <= MESSAGES_MAX);
        if !has_numbers {
            self.spent.insert(publisher);
        }
        has_numbers
    }

    /// So many messages of a publisher are sent, those that [`Clients::message`] told.
    pub(super) fn sent(&mut self, publisher: u32, messages: u32, now_us: u64) {
        let own = self.layout.member(self.own[publisher as usize]).is_some();
        let itself = u32::from(own && !self.dialect.echoes());
        for _ in 0..messages {
            if let Some(freed) = self.flights.forget() {
                tell_free(self.closed.as_mut(), &self.flights, freed);
            }
            let told = self.message(publisher, 0);
            let listeners = |topic: u32| self.listeners[topic as usize].saturating_sub(itself);
            let sent = self.flights.publish(publisher, now_us, listeners);
            debug_assert_eq!(sent, told, "numbered as they were stamped");
            self.sent[publisher as usize] += 1;
            self.figures.publish();
        }
    }

    /// Messages of a stream came: `count` of them from this one on.
    fn delivered(&mut self, place: u32, stamp: Stamp, count: u32, frame_bytes: usize) {
        let seat = self.seats[place as usize];
        if !seat.stage.is_ready() {
            // Its account begins when all that it asked for is in force.
            return;
        }
        let connection = self.part.start + place;
        let is_crowd = (place as usize) < self.part.len();
        let slot = if is_crowd { self.layout.slot(connection, stamp.stream) } else { None };
        let Some(slot) = slot else { return self.ledger.astray(count) };
        let is_slow = seat.stage == Stage::Slow;
        let count = self.said(stamp, count);
        if stamp.at_us > self.now_us {
            self.ledger.early(count);
        }
        let (mut number, mut left) = (stamp.number, count);
        while left > 0 {
            let slots = || self.layout.slots(connection);
            let (verdict, judged) = self.ledger.hear(place, slots, slot, (number, left));
            if verdict.is_first() {
                let numbers = (number, judged);
                let complete = self.flights.arrived(stamp.stream, numbers, seat.joined);
                if let Some(publisher) = complete {
                    tell_free(self.closed.as_mut(), &self.flights, publisher);
                }
                self.figures.deliver(stamp.at_us, self.now_us, judged, frame_bytes, is_slow);
            }
            number = number.wrapping_add(judged);
            left -= judged;
        }
    }

    /// How many of these messages were said: of this worker's publishers it is known, and what is
    /// beyond is astray. Of others' it is known when all have told ([`Clients::bound`]).
    fn said(&mut self, stamp: Stamp, count: u32) -> u32 {
        let Some(said) = self.flights.published(stamp.stream) else { return count };
        let real = count.min(said.saturating_sub(stamp.number));
        if real < count {
            self.ledger.astray(count - real);
        }
        if !self.refusals.is_empty()
            && let Some(publisher) = self.flights.publisher(stamp.stream)
        {
            let came = stamp.number..stamp.number.saturating_add(real);
            self.refusals.came(publisher, stamp.stream, &came);
        }
        real
    }

    /// By stream: all that was published. What came with a higher number was astray. Costs all
    /// slots, where there are publishers of other workers.
    pub(super) fn bound(&mut self, published: &[u32]) {
        if self.own.len() as u32 == self.layout.publishers() {
            return;
        }
        for (place, connection) in (0..).zip(self.part.clone()) {
            let streams = self.layout.streams_heard(connection);
            self.ledger.bound(place, streams.map(|stream| published[stream as usize]));
        }
    }

    fn heard(&mut self, place: u32, heard: Heard<'_>, answer: &mut Vec<u8>) {
        match heard {
            Heard::Ready => self.greeted(place, answer),
            Heard::Subscribed => {
                let seat = &mut self.seats[place as usize];
                if seat.stage == Stage::Subscribing {
                    seat.pending -= 1;
                    seat.went_on(self.now_us);
                    if seat.pending == 0 {
                        self.subscribed(place);
                    }
                }
            }
            Heard::Refused(words) => {
                if self.is_ready(place) {
                    self.ledger.refused(self.publisher_at(place).is_some());
                    self.publish_refused(place, words);
                } else {
                    self.useless.push(place);
                    self.fail(place, &String::from_utf8_lossy(words));
                }
            }
            Heard::Delivery(_) | Heard::Other => {}
        }
    }

    fn ended(&mut self, place: u32, code: u16) {
        if !self.is_ready(place) {
            return self.fail(place, &format!("closed with {code}"));
        }
        let is_slow = self.seats[place as usize].stage == Stage::Slow;
        self.unseat(place);
        self.ledger.closed(code, is_slow);
        if self.is_crowd(place) {
            self.ledger.withhold(place);
        }
    }
}

impl Audience for Clients {
    fn came(&mut self) {
        self.now_us = (self.clock)();
    }

    fn happened(&mut self, connection: u32, what: Happened<'_>, answer: &mut Vec<u8>) {
        match what {
            Happened::Heard { heard: Heard::Delivery(stamp), count, frame_bytes } => {
                // Of several things in a frame, the first delivery has its bytes.
                let in_front = std::mem::take(&mut self.frame_bytes);
                let frame_bytes = if frame_bytes > 0 { frame_bytes } else { in_front };
                self.delivered(connection, stamp, count, frame_bytes);
            }
            Happened::Heard { heard, frame_bytes, .. } => {
                if frame_bytes > 0 {
                    self.frame_bytes = frame_bytes;
                }
                self.heard(connection, heard, answer);
            }
            Happened::Ready => self.greeted(connection, answer),
            Happened::Refused(reason) => self.fail(connection, reason),
            Happened::Ended(code) => self.ended(connection, code),
        }
    }

    fn who(&self, connection: u32) -> Who<'_> {
        let place = connection as usize;
        let number = number(&self.part, &self.own, self.crowd, connection);
        let token = self.tokens.get(place).and_then(Option::as_deref).or(self.mint.same());
        let publishes = place >= self.part.len();
        let first = if publishes {
            let topics = self.layout.publishes(self.own[place - self.part.len()]);
            topics.first().map(|topic| self.layout.topic_name(*topic))
        } else {
            self.layout.patterns(number).first().map(String::as_str)
        };
        Who { number, token, topic: first.unwrap_or_default(), publishes }
    }
}

/// The number in the run of a connection: publishers beside the crowd have theirs behind it.
pub(super) fn number(part: &Range<u32>, own: &[u32], crowd: u32, place: u32) -> u32 {
    match own.get((place as usize).wrapping_sub(part.len())) {
        Some(publisher) => crowd + publisher,
        None => part.start + place,
    }
}

/// Tells the closed loop, if there is one, that a publisher's message is complete.
pub(super) fn tell_free(closed: Option<&mut Closed>, flights: &Flights, publisher: u32) {
    if let Some(closed) = closed {
        closed.freed(publisher, flights.aloft(publisher));
    }
}

//! How connections become ready, and how they go: begun, greeted, subscribed; left, lost, slow.
//!
//! Keeps the counts of who is there, who listens to which topic, and from when on the ledger and
//! the flights reckon with a connection. Deliveries are [`super::clients`]'s.

use crate::load::account::UNKNOWN;
use crate::load::dialect::Words;
use crate::load::pace::OVERDUE_US;
use crate::load::swarm::Swarm;

use super::clients::{Clients, number, tell_free};
use super::refusals::refused_in;
use super::seat::{NEVER, Stage};

impl Clients {
    /// A connection is about to be begun, which was meant to be at `meant_us`: unless it comes back,
    /// what it takes counts from then.
    pub(super) fn begin(&mut self, place: u32, meant_us: u64, now_us: u64) {
        if let Some(token) = self.tokens.get_mut(place as usize) {
            let number = number(&self.part, &self.own, self.crowd, place);
            *token = self.mint.mint(number);
        }
        let seat = &mut self.seats[place as usize];
        seat.stage = Stage::Connecting;
        seat.went_on(now_us);
        if !seat.returns {
            seat.since_us = meant_us;
        }
        self.standing.connecting += 1;
    }

    /// A connection did not come to be.
    pub(super) fn fail(&mut self, place: u32, reason: &str) {
        let seat = &mut self.seats[place as usize];
        if !seat.stage.is_connecting() {
            return;
        }
        seat.stage = Stage::Away;
        seat.attempts = seat.attempts.saturating_add(1);
        self.standing.connecting -= 1;
        if seat.returns {
            self.ledger.refused(false);
            self.refused.push(place);
        } else {
            self.standing.failed += 1;
        }
        self.standing.note(self.plain.words(reason.as_bytes()));
    }

    /// A connection of the crowd goes by its own will, to come back or not. False when it was not
    /// there.
    pub(super) fn leave(&mut self, place: u32, now_us: u64, returns: bool) -> bool {
        if !self.is_ready(place) {
            return false;
        }
        self.unseat(place);
        let refused = refused_in(&self.refusals, &self.layout, self.part.start + place);
        self.ledger.leave(place, refused);
        let seat = &mut self.seats[place as usize];
        (seat.returns, seat.attempts, seat.since_us) = (returns, 0, now_us);
        true
    }

    /// A connection of the crowd reads slowly from now on, and nobody waits for it. False when it
    /// is not there.
    pub(super) fn slow(&mut self, place: u32) -> bool {
        if self.seats[place as usize].stage != Stage::Ready {
            return false;
        }
        self.no_longer_wait_for(place);
        self.ledger.withhold(place);
        let seat = &mut self.seats[place as usize];
        (seat.stage, seat.joined) = (Stage::Slow, NEVER);
        true
    }

    /// Times that a connection was refused since it was lost.
    pub(super) fn attempts(&self, place: u32) -> u8 {
        self.seats[place as usize].attempts
    }

    /// Who is on the way to being ready and has got no further for so long. Costs all seats.
    pub(super) fn stuck(&self, now_us: u64, patience_us: u64) -> Vec<u32> {
        let is_one = |place: &u32| self.seats[*place as usize].is_stuck(now_us, patience_us);
        (0..self.len()).filter(is_one).collect()
    }

    /// How many left to come back and are not back. Costs all seats.
    pub(super) fn away(&self) -> u64 {
        self.seats.iter().filter(|seat| seat.returns).count() as u64
    }

    /// Gives up waiting for messages that have been on their way for longer than the patience;
    /// with `u64::MAX`, for all.
    pub(super) fn expire(&mut self, now_us: u64) {
        let mut freed = Vec::new();
        self.refusals.release(now_us, &self.sent, |publisher| freed.push(publisher));
        // The flights have a patience of their own, which is no more than this.
        let now_us = now_us.saturating_sub(self.patience_us - OVERDUE_US);
        let closed = &mut self.closed;
        let refusals = &mut self.refusals;
        self.flights.expire(now_us, |overdue| {
            freed.push(overdue.publisher);
            !refusals.explain(overdue)
        });
        for publisher in freed {
            tell_free(closed.as_mut(), &self.flights, publisher);
        }
    }

    pub(super) fn is_crowd(&self, place: u32) -> bool {
        (place as usize) < self.part.len()
    }

    pub(super) fn is_ready(&self, place: u32) -> bool {
        self.seats[place as usize].stage.is_ready()
    }

    /// Whether it publishes, of the crowd or beside it.
    fn is_publisher(&self, place: u32) -> bool {
        !self.is_crowd(place) || self.layout.publisher_at(self.part.start + place).is_some()
    }

    /// The dialect's greeting is over: asks for the subscriptions, all in one send.
    pub(super) fn greeted(&mut self, place: u32, answer: &mut Vec<u8>) {
        let seat = &mut self.seats[place as usize];
        if seat.stage != Stage::Connecting {
            return;
        }
        (seat.stage, seat.pending) = (Stage::Subscribing, 0);
        seat.went_on((self.clock)());
        let mut say = Words::new(answer, Swarm::KEY);
        let mut ask = |pattern: &str| {
            let number = seat.pending as u16;
            seat.pending += u32::from(self.dialect.subscribe(pattern, number, &mut say));
        };
        if (place as usize) < self.part.len() {
            let patterns = self.layout.patterns(self.part.start + place);
            for pattern in patterns {
                ask(pattern);
            }
        } else if self.dialect.joins_to_publish() {
            let publisher = self.own[place as usize - self.part.len()];
            for topic in self.layout.publishes(publisher) {
                ask(self.layout.topic_name(*topic));
            }
        }
        if seat.pending == 0 {
            self.subscribed(place);
        }
    }

    /// The last subscription is in force.
    pub(super) fn subscribed(&mut self, place: u32) {
        let now_us = (self.clock)();
        let count = self.flights.count();
        let seat = &mut self.seats[place as usize];
        let took_us = now_us.saturating_sub(seat.since_us);
        (seat.stage, seat.joined) = (Stage::Ready, count);
        let returned = std::mem::take(&mut seat.returns);
        if returned {
            self.figures.come_back(took_us);
        } else {
            self.figures.connect(took_us);
        }
        if let Some(token) = self.tokens.get_mut(place as usize) {
            *token = None;
        }
        self.standing.connecting -= 1;
        self.standing.ready_us = now_us;
        self.standing.publishers += u32::from(self.is_publisher(place));
        if self.is_crowd(place) {
            self.standing.subscribed += 1;
            self.ledger.join(place, self.due(place));
            for topic in self.layout.hears(self.part.start + place) {
                self.listeners[*topic as usize] += 1;
            }
        }
    }

    /// From which number on a connection that is subscribed now is due each stream.
    fn due(&self, place: u32) -> Option<Box<[u32]>> {
        let connection = self.part.start + place;
        let hears_itself = self.dialect.echoes() || self.layout.publisher_at(connection).is_none();
        if !self.has_begun && hears_itself {
            return None;
        }
        let published = |stream| {
            if self.has_begun { self.flights.published(stream).unwrap_or(UNKNOWN) } else { 0 }
        };
        let mut due: Box<[u32]> = self.layout.streams_heard(connection).map(published).collect();
        if !hears_itself {
            self.layout.own_slots(connection).for_each(|slot| due[slot as usize] = UNKNOWN);
        }
        Some(due)
    }

    /// A connection that was ready is not there any more.
    pub(super) fn unseat(&mut self, place: u32) {
        let is_slow = self.seats[place as usize].stage == Stage::Slow;
        self.standing.publishers -= u32::from(self.is_publisher(place));
        if self.is_crowd(place) {
            self.standing.subscribed -= 1;
            if !is_slow {
                self.no_longer_wait_for(place);
            }
        }
        self.seats[place as usize].stage = Stage::Away;
    }

    /// Messages on their way no longer wait for a connection of the crowd, nor will others.
    fn no_longer_wait_for(&mut self, place: u32) {
        let connection = self.part.start + place;
        let joined = self.seats[place as usize].joined;
        for topic in self.layout.hears(connection) {
            self.listeners[*topic as usize] -= 1;
        }
        for (slot, stream) in (0..).zip(self.layout.streams_heard(connection)) {
            let next = self.ledger.next(place, slot);
            if let Some(publisher) = self.flights.gone(stream, next, joined) {
                tell_free(self.closed.as_mut(), &self.flights, publisher);
            }
        }
    }
}

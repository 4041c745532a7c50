//! One half of the load: the connections to the server, or the same to the floor.
//!
//! A swarm, its clients, and who is to be connected when: the first time at the scenario's rate,
//! afterwards whoever is replaced or comes back. Those that are refused on coming back try again,
//! each time after a longer pause; those refused the first time do not.
//!
//! What connecting takes counts from when a connection was meant to be begun, not from when it was:
//! what a slow server keeps others waiting is in their times. At a rate that is its turn; with none
//! the crowd is meant to come at once, when the connecting begins.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use clap::ValueEnum;

use crate::load::dialect;
use crate::load::layout::Layout;
use crate::load::orders::{Account, Begin, Connected, Window, WindowDone};
use crate::load::scenario::{Spoken, Target};
use crate::load::swarm::{Audience, Leave, Swarm};
use crate::process;

use super::clients::Clients;
use super::talk::Talking;
use super::token::Mint;
use super::unrest::Unrest;
use super::waiting::{self, GivenUp};

/// Connections begun in one go, so that what arrives is read in time.
const TURN_CONNECTS_MAX: u32 = 64;
/// When one that is connecting is given up, if it gets no further.
const GIVE_UP_US: u64 = 10_000_000;
/// Between two looks for such.
const LOOK_US: u64 = 250_000;
/// The pause before coming back after being refused: doubled each time, up to the longest.
const PAUSE_US: u64 = 100_000;
const PAUSE_MAX_US: u64 = 5_000_000;

/// The connections to one server.
pub(super) struct Half {
    pub(super) swarm: Swarm,
    pub(super) clients: Clients,
    /// Connections a second, the first time; 0: as they are taken.
    per_s: f64,
    connecting_max: u32,
    /// The first that has not been begun yet, and since when that goes on.
    next: u32,
    begun_us: Option<u64>,
    resident_before: u64,
    /// When it was last looked for those that get no further.
    looked_us: u64,
    /// Why these are given up.
    silence: String,
    /// What earlier windows no longer wait for.
    pub(super) given_up: GivenUp,
    /// What the swarm had spun away when the window began.
    pub(super) spun_before_us: u64,
    /// Who comes back when.
    back: BinaryHeap<Reverse<(u64, u32)>>,
}

impl Half {
    /// Nobody is connected yet.
    ///
    /// # Errors
    /// As [`Swarm::new`].
    pub(super) fn new(
        begin: &Begin,
        target: &Target,
        layout: &Rc<Layout>,
        clock: fn() -> u64,
    ) -> io::Result<Self> {
        let crowd = &begin.scenario.crowd;
        let swarm = Swarm::new(target, dialect::of(target), crowd.per_address)?;
        let mint = Mint::new(&target.credentials);
        Ok(Self {
            swarm,
            clients: Clients::new(begin, layout, dialect::of(target), mint, clock),
            per_s: f64::from(crowd.connect_per_s) / f64::from(begin.workers),
            connecting_max: (crowd.connecting_max / begin.workers).max(1),
            next: 0,
            begun_us: None,
            looked_us: 0,
            silence: silence(target.dialect),
            given_up: GivenUp::default(),
            spun_before_us: 0,
            resident_before: 0,
            back: BinaryHeap::new(),
        })
    }

    /// The crowd begins to come.
    pub(super) fn start(&mut self, now_us: u64) {
        self.begun_us = Some(now_us);
        self.resident_before = process::resident_bytes().unwrap_or(0);
    }

    /// Lets things happen, waiting at most so long.
    ///
    /// # Errors
    /// As [`Swarm::turn`].
    pub(super) fn turn(&mut self, now_us: u64, wait: Duration) -> io::Result<()> {
        self.swarm.turn(now_us, wait, &mut self.clients)?;
        self.take_back();
        for place in self.clients.useless.drain(..) {
            self.swarm.leave(place, Leave::Close);
        }
        for place in std::mem::take(&mut self.clients.refused) {
            let doubled = PAUSE_US << (self.clients.attempts(place).clamp(1, 8) - 1);
            // Spread, so that those refused together do not come together.
            let share = u64::from(place.wrapping_mul(0x9E37_79B9) >> 22);
            let pause = doubled.min(PAUSE_MAX_US) * (512 + share) / 1024;
            self.back.push(Reverse((now_us + pause, place)));
        }
        Ok(())
    }

    /// What connections had still to send when they went is not published.
    fn take_back(&mut self) {
        for (place, messages) in self.swarm.take_unsent() {
            self.clients.unsaid(place, messages);
        }
    }

    /// Begins the connections that are due, and gives up those that get no further.
    pub(super) fn connect(&mut self, now_us: u64) {
        if self.clients.standing.connecting > 0 && now_us >= self.looked_us + LOOK_US {
            self.looked_us = now_us;
            for place in self.clients.stuck(now_us, GIVE_UP_US) {
                self.swarm.leave(place, Leave::Reset);
                self.clients.fail(place, &self.silence);
            }
        }
        for _ in 0..TURN_CONNECTS_MAX {
            if self.clients.standing.connecting >= self.connecting_max {
                return;
            }
            let Some((place, meant_us)) = self.take_due(now_us) else { return };
            self.clients.begin(place, meant_us, now_us);
            if let Err(error) = self.swarm.connect(place, &self.clients.who(place)) {
                self.clients.fail(place, &error.to_string());
            }
        }
    }

    /// Who is to be connected now, and since when it was to be.
    fn take_due(&mut self, now_us: u64) -> Option<(u32, u64)> {
        if let Some(Reverse((at_us, place))) = self.back.peek().copied()
            && at_us <= now_us
        {
            self.back.pop();
            return Some((place, at_us));
        }
        let meant_us = meant_us(self.begun_us?, self.per_s, self.next);
        let is_due = self.next < self.clients.len() && meant_us <= now_us;
        let place = is_due.then_some(self.next)?;
        self.next += 1;
        Some((place, meant_us))
    }

    /// Whether all have been begun once, and each is there or given up.
    pub(super) fn is_connected(&self) -> bool {
        self.next == self.clients.len() && self.clients.standing.connecting == 0
    }

    /// What the first connecting came to.
    pub(super) fn connected(&self) -> Connected {
        let standing = &self.clients.standing;
        Connected {
            subscribed: standing.subscribed,
            publishers: standing.publishers,
            failed: standing.failed,
            reasons: standing.reasons.clone(),
            latency: self.clients.figures.connected(),
            took_us: standing.ready_us.saturating_sub(self.begun_us.unwrap_or(u64::MAX)),
            resident_bytes: (self.resident_before, process::resident_bytes().unwrap_or(0)),
        }
    }

    /// A window begins, with its publishing, if there is any.
    pub(super) fn begin(&mut self, begin: &Begin, window: &Window) -> Option<Talking> {
        self.clients.has_begun = true;
        self.clients.figures.begin(window);
        self.spun_before_us = self.swarm.counts().spun_us;
        let talk = begin.scenario.talk.as_ref()?;
        Some(Talking::new(talk, window, &mut self.clients))
    }

    /// A window is over; what is still on its way is given up. `before`: messages that were overdue
    /// when it began. `lacking`: what there was of each stream, where not everyone has all of it.
    /// What was published is left to be filled in.
    pub(super) fn finish(&mut self, before: u64, lacking: Option<Vec<u32>>) -> WindowDone {
        // Refusals are told from what did not come before that is counted.
        self.clients.expire(u64::MAX);
        let owed = lacking.map_or(0, |published| self.given_up.renew(&self.clients, published));
        let overdue = self.clients.flights.overdue() - before;
        let spun_us = self.swarm.counts().spun_us - self.spun_before_us;
        WindowDone { owed, spun_us, ..self.clients.figures.window(overdue) }
    }

    /// Publishes what is due.
    pub(super) fn publish(&mut self, now_us: u64, talking: &mut Talking) {
        self.clients.expire(now_us);
        talking.turn(now_us, &mut self.clients, &mut self.swarm);
    }

    /// Lets those leave, come back and read slowly whose time it is.
    pub(super) fn disturb(&mut self, now_us: u64, is_counted: bool, unrest: &mut Unrest) {
        let due = unrest.due(now_us, is_counted);
        if let Some((places, bytes_per_s)) = due.slow {
            for place in places {
                if self.clients.slow(place) {
                    self.swarm.slow_down(place, bytes_per_s);
                }
            }
        }
        if let Some((places, back)) = due.storm {
            for place in places {
                self.leave(place, Leave::Silent, now_us, back);
            }
        }
        for (place, how) in due.replaced {
            if self.leave(place, how, now_us, true) {
                self.clients.ledger.replaced();
            }
        }
    }

    /// A connection goes, to come back at once or not at all; false when it is not there.
    fn leave(&mut self, place: u32, how: Leave, now_us: u64, returns: bool) -> bool {
        if !self.clients.leave(place, now_us, returns) {
            return false;
        }
        self.swarm.leave(place, how);
        self.take_back();
        if returns {
            self.back.push(Reverse((now_us, place)));
        }
        true
    }

    /// By stream: what this worker has published so far.
    pub(super) fn published(&self) -> Vec<u32> {
        let Clients { flights, layout, .. } = &self.clients;
        (0..layout.streams()).map(|stream| flights.published(stream).unwrap_or(0)).collect()
    }

    /// The account, when all that was published is known.
    pub(super) fn settled(&mut self, published: &[u32]) -> Account {
        self.clients.bound(published);
        let mut account = waiting::settle(&self.clients, published);
        let broken = self.swarm.troubles().iter();
        let plain = &self.clients.plain;
        account.troubles.extend(broken.map(|(why, times)| (plain.words(why.as_bytes()), *times)));
        account
    }

    /// Everybody leaves, each with a close frame.
    pub(super) fn leave_all(&mut self) {
        for place in 0..self.clients.len() {
            self.swarm.leave(place, Leave::Close);
        }
    }
}

/// Why one is given up that gets no further.
fn silence(dialect: Spoken) -> String {
    let name = dialect.to_possible_value().map_or_else(String::new, |it| it.get_name().to_owned());
    format!("no answer for {} s to a client of {name}", GIVE_UP_US / 1_000_000)
}

/// When the `index`-th connection of a worker is meant to be begun, if the first is at `begun_us` and
/// so many are a second: all at once, where that is 0.
fn meant_us(begun_us: u64, per_s: f64, index: u32) -> u64 {
    if per_s <= 0.0 {
        return begun_us;
    }
    begun_us + Duration::from_secs_f64(f64::from(index) / per_s).as_micros() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_server_is_told_with_what_it_was_spoken_to_in() {
        assert_eq!(silence(Spoken::Mqtt), "no answer for 10 s to a client of mqtt");
    }

    #[test]
    fn each_is_meant_for_its_turn() {
        assert_eq!([0, 1, 500].map(|index| meant_us(7, 250.0, index)), [7, 4_007, 2_000_007]);
        assert_eq!([0, 1, 500].map(|index| meant_us(7, 0.0, index)), [7; 3]);
    }
}

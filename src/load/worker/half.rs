//! One half of the load: the connections to the server, or the same to the floor.
//!
//! A swarm, its clients, and who is to be connected when: the first time at the scenario's rate,
//! afterwards whoever is replaced or comes back. Those that are refused on coming back try again,
//! each time after a longer pause; those refused the first time do not.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use crate::load::dialect;
use crate::load::layout::Layout;
use crate::load::orders::{Account, Begin, Connected, Window, WindowDone};
use crate::load::scenario::Target;
use crate::load::swarm::{Audience, Leave, Swarm};

use super::clients::Clients;
use super::process;
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
            given_up: GivenUp::default(),
            spun_before_us: 0,
            resident_before: 0,
            back: BinaryHeap::new(),
        })
    }

    /// The crowd begins to come.
    pub(super) fn start(&mut self, now_us: u64) {
        self.begun_us = Some(now_us);
        self.resident_before = process::resident_bytes();
    }

    /// Lets things happen, waiting at most so long.
    ///
    /// # Errors
    /// As [`Swarm::turn`].
    pub(super) fn turn(&mut self, now_us: u64, wait: Duration) -> io::Result<()> {
        self.swarm.turn(now_us, wait, &mut self.clients)?;
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

    /// Begins the connections that are due, and gives up those that get no further.
    pub(super) fn connect(&mut self, now_us: u64) {
        if self.clients.standing.connecting > 0 && now_us >= self.looked_us + LOOK_US {
            self.looked_us = now_us;
            for place in self.clients.stuck(now_us, GIVE_UP_US) {
                self.swarm.leave(place, Leave::Reset);
                self.clients.fail(place, "no answer for 10 s");
            }
        }
        for _ in 0..TURN_CONNECTS_MAX {
            if self.clients.standing.connecting >= self.connecting_max {
                return;
            }
            let Some(place) = self.take_due(now_us) else { return };
            self.clients.begin(place, now_us);
            if let Err(error) = self.swarm.connect(place, &self.clients.who(place)) {
                self.clients.fail(place, &error.to_string());
            }
        }
    }

    /// Who is to be connected now.
    fn take_due(&mut self, now_us: u64) -> Option<u32> {
        if let Some(Reverse((at_us, place))) = self.back.peek().copied()
            && at_us <= now_us
        {
            self.back.pop();
            return Some(place);
        }
        let begun = Duration::from_micros(now_us.saturating_sub(self.begun_us?));
        let is_time = self.per_s <= 0.0 || f64::from(self.next) <= begun.as_secs_f64() * self.per_s;
        let place = (is_time && self.next < self.clients.len()).then_some(self.next)?;
        self.next += 1;
        Some(place)
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
            resident_bytes: (self.resident_before, process::resident_bytes()),
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
    /// when it began. What was published is left to be filled in.
    pub(super) fn finish(&mut self, before: u64) -> WindowDone {
        self.clients.expire(u64::MAX);
        let overdue = self.clients.flights.overdue() - before;
        let spun_us = self.swarm.counts().spun_us - self.spun_before_us;
        WindowDone { spun_us, ..self.clients.figures.window(overdue) }
    }

    /// Publishes what is due.
    pub(super) fn publish(&mut self, now_us: u64, talking: &mut Talking) {
        self.clients.expire(now_us);
        let swarm = &mut self.swarm;
        talking.turn(now_us, &mut self.clients, |place, frames| swarm.say(place, frames));
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
    pub(super) fn settled(&self, published: &[u32]) -> Account {
        let troubles = self.swarm.troubles().to_vec();
        Account { troubles, ..waiting::settle(&self.clients, published) }
    }

    /// Everybody leaves, each with a close frame.
    pub(super) fn leave_all(&mut self) {
        for place in 0..self.clients.len() {
            self.swarm.leave(place, Leave::Close);
        }
    }
}

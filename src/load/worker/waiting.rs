//! Waiting for what was published: until everyone has it, or for the drain time.
//!
//! What there was of each stream, over all workers, is told by the conductor; who is still owed
//! something, by the ledger. What an earlier window has given up is not waited for again, so that
//! one loss does not make every later window as long as its drain time. Sans-io.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::load::account::{NUMBER_MAX, UNKNOWN};
use crate::load::orders::Account;
use crate::load::pace::{FLIGHTS_MAX, MESSAGES_MAX};

use super::clients::Clients;
use super::refusals::refused_in;
use super::seat::Stage;

/// Waiting until a time at most.
#[derive(Debug)]
pub(super) struct Waiting {
    /// By stream.
    pub(super) published: Vec<u32>,
    until_us: u64,
    /// The first connection that may still be owed something.
    place: u32,
}

/// What has been given up.
#[derive(Debug, Default)]
pub(super) struct GivenUp {
    /// By stream: what there was then.
    published: Vec<u32>,
    /// By connection: since when it is there, and what it was owed.
    owed: BTreeMap<u32, (u64, u64)>,
}

impl Waiting {
    pub(super) fn new(published: Vec<u32>, until_us: u64) -> Self {
        Self { published, until_us, place: 0 }
    }

    /// Whether the time is over.
    pub(super) fn is_late(&self, now_us: u64) -> bool {
        now_us >= self.until_us
    }

    /// Whether everyone has all that is due, but for what is given up. Costs the slots of those
    /// who have; goes on next time where it ended.
    pub(super) fn has_all(&mut self, clients: &Clients, given_up: &GivenUp) -> bool {
        while self.place < clients.part.len() as u32 {
            let owed = owed(clients, self.place, &self.published);
            if owed > 0 && owed > given_up.of(clients, self.place) {
                return false;
            }
            self.place += 1;
        }
        true
    }
}

impl GivenUp {
    /// Gives up all that is owed now; how much of it was not before. `published`: by stream.
    /// Costs all slots.
    pub(super) fn renew(&mut self, clients: &Clients, published: Vec<u32>) -> u64 {
        let mut more = 0;
        let mut all = BTreeMap::new();
        for place in 0..clients.part.len() as u32 {
            let owed = owed(clients, place, &published);
            if owed > 0 {
                more += owed.saturating_sub(self.of(clients, place));
                all.insert(place, (clients.seats[place as usize].since_us, owed));
            }
        }
        *self = Self { published, owed: all };
        more
    }

    /// What a connection is owed and will not be waited for: less, when some has come after all;
    /// nothing, when it has left since.
    fn of(&self, clients: &Clients, place: u32) -> u64 {
        match self.owed.get(&place) {
            Some((since_us, owed)) if *since_us == clients.seats[place as usize].since_us => {
                (*owed).min(self::owed(clients, place, &self.published))
            }
            _ => 0,
        }
    }
}

/// How many messages a connection waits for.
fn owed(clients: &Clients, place: u32, published: &[u32]) -> u64 {
    let refused = refused(clients, place);
    clients.ledger.owed(place, slots(clients, place, published), refused)
}

/// How many of the numbers in a connection's slot the server refused.
fn refused(clients: &Clients, place: u32) -> impl Fn(u32, Range<u32>) -> u32 {
    refused_in(&clients.refusals, &clients.layout, clients.part.start + place)
}

/// How many messages there were of what a connection hears, slot by slot.
fn slots<'a>(
    clients: &'a Clients,
    place: u32,
    published: &'a [u32],
) -> impl Iterator<Item = u32> + use<'a> {
    let streams = clients.layout.streams_heard(clients.part.start + place);
    streams.map(|stream| published[stream as usize])
}

/// The account, when all that was published is known. Costs all slots.
pub(super) fn settle(clients: &Clients, published: &[u32]) -> Account {
    let refused = |place, slot, range| refused(clients, place)(slot, range);
    let mut account = clients.ledger.settle(|place| slots(clients, place, published), refused);
    account.away = clients.away();
    let crowd = (0..).zip(&clients.seats[..clients.part.len()]);
    let ready = crowd.filter(|(_, seat)| seat.stage == Stage::Ready);
    account.unjudged = ready.map(|(place, _)| unjudged(clients, place, published)).sum();
    account.troubles = troubles(clients);
    account
}

/// What went wrong with the load's own side of it, in words, and how often.
fn troubles(clients: &Clients) -> Vec<(String, u64)> {
    let told = clients.refusals.told().iter();
    let mut troubles: Vec<_> =
        told.map(|(words, times)| (format!("refused: {words}"), *times)).collect();
    if let Some((stopped, words)) = clients.refusals.stopped() {
        let trouble = format!("a publisher was stopped, all it said was refused: {words}");
        troubles.push((trouble, stopped.into()));
    }
    if !clients.spent.is_empty() {
        let trouble = format!(
            "a publisher was stopped, its messages have no more numbers: a stream has {} of them, a \
             load process {MESSAGES_MAX}",
            u64::from(NUMBER_MAX) + 1
        );
        troubles.push((trouble, clients.spent.len() as u64));
    }
    let forgotten = clients.flights.forgotten();
    if forgotten > 0 {
        let trouble = format!(
            "a message was not waited for any longer, more than {FLIGHTS_MAX} of a load process \
             were on their way"
        );
        troubles.push((trouble, forgotten));
    }
    troubles
}

/// Streams of other workers, not silent, of which a latecomer has heard nothing.
fn unjudged(clients: &Clients, place: u32, published: &[u32]) -> u64 {
    let streams = clients.layout.streams_heard(clients.part.start + place);
    let unjudged = (0..).zip(streams).filter(|(slot, stream)| {
        published[*stream as usize] > 0
            && clients.ledger.next(place, *slot) == UNKNOWN
            && clients.flights.published(*stream).is_none()
    });
    unjudged.count() as u64
}

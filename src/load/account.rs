//! Loss, doubles and order: what each connection of a worker has heard, in a word for each stream.
//!
//! Sans-io. Messages of a stream are numbered from 0 without a gap, so the number that comes next
//! tells all as long as nothing goes wrong; what is skipped is kept as ranges, apart from the
//! connections, so that a message which comes late is told from one that comes twice. What each
//! count claims:
//!
//! - A connection that was subscribed before the first message is due every number of its streams.
//! - A latecomer is due a stream from the first number that it hears, or, where it is known how
//!   many messages there were when it subscribed, from there on if that is less. A stream whose
//!   number was not known then, and of which it heard nothing, it is not due at all. What comes
//!   from before its first number counts as a double.
//! - A connection that left by its own will is due what lies before the last number that it heard
//!   of each stream, no more.
//! - Of a connection that reads slowly, or that the server ended, all that did not come is
//!   withheld: the server's policy and not loss.
//! - What did not come is lost where a later one of its stream did, and unarrived where none did
//!   until the waiting ended: lost too, or still on its way.
//! - What the server refused to take is due to nobody, as far as it is known which it is.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::load::orders::Account;

/// Skipped ranges that are remembered, over all connections. Beyond it what is skipped stays lost,
/// and counts as a double if it comes after all.
pub const GAPS_MAX: usize = 1 << 18;

/// The highest number that a message can have; a higher one is astray.
pub const NUMBER_MAX: u32 = UNKNOWN - 1;

/// In [`Ledger::join`]: it is not known from which number on a stream is due.
pub const UNKNOWN: u32 = !UNHEARD;

/// In a connection's words: nothing was heard yet, and the rest of the word is the number from
/// which on the stream is due. Otherwise the word is the number that comes next.
const UNHEARD: u32 = 1 << 31;

/// What the connections of one worker have heard.
#[derive(Debug, Default)]
pub struct Ledger {
    places: Vec<Place>,
    /// By connection, slot and first number: the first number behind the range.
    gaps: BTreeMap<(u32, u32, u32), u32>,
    /// Whether some ranges were skipped beyond [`GAPS_MAX`].
    has_forgotten: bool,
    /// What is certain already.
    totals: Account,
    /// By close code, and those of connections that read slowly once more.
    closes: BTreeMap<u16, u64>,
    closes_slow: BTreeMap<u16, u64>,
}

/// One connection.
#[derive(Debug, Default)]
struct Place {
    /// A word for each slot; made when the first message comes, all zero before.
    words: Option<Box<[u32]>>,
    /// Numbers skipped and not come since.
    missing: u64,
    standing: Standing,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Standing {
    /// Not there: nothing is due.
    #[default]
    Away,
    Present,
    /// Reads slowly, or was ended by the server.
    Withheld,
}

/// What did not come to one connection.
#[derive(Clone, Copy, Debug, Default)]
struct Lacking {
    /// Something later of the same stream did.
    skipped: u64,
    /// Nothing later did.
    tail: u64,
}

/// What a delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It came for the first time, and none of its stream that is behind it came before.
    Fresh,
    /// For the first time, behind a later one of its stream.
    Late,
    /// Again.
    Double,
    /// To one who is not there.
    Astray,
}

impl Verdict {
    /// Whether the message is there now and was not before.
    pub fn is_first(self) -> bool {
        matches!(self, Self::Fresh | Self::Late)
    }
}

impl Ledger {
    /// For so many connections, none of them there yet.
    pub fn new(connections: u32) -> Self {
        let places = (0..connections).map(|_| Place::default()).collect();
        Self { places, ..Self::default() }
    }

    /// A connection is subscribed. `due`: for each slot the number from which on it is due, or
    /// [`UNKNOWN`]; `None`: all of them from 0.
    pub fn join(&mut self, connection: u32, due: Option<Box<[u32]>>) {
        self.leave(connection, |_, _| 0);
        let words = due.map(|mut due| {
            due.iter_mut().for_each(|word| *word |= UNHEARD);
            due
        });
        let place = &mut self.places[connection as usize];
        *place = Place { words, missing: 0, standing: Standing::Present };
    }

    /// Messages came: `count` of them, at least one, numbered from `number` on. Says what the first
    /// is, and how many are the same: judged are these and no more. `slots` tells how many streams
    /// this connection hears, `slot` is one of them. Constant in time, but for what is skipped or
    /// comes out of order.
    pub fn hear(
        &mut self,
        connection: u32,
        slots: impl FnOnce() -> u32,
        slot: u32,
        (number, count): (u32, u32),
    ) -> (Verdict, u32) {
        let place = &mut self.places[connection as usize];
        if place.standing != Standing::Away {
            let words = place.words.get_or_insert_with(|| vec![0; slots() as usize].into());
            let word = &mut words[slot as usize];
            if *word == number && count <= (NUMBER_MAX + 1).saturating_sub(number) {
                *word += count;
                self.totals.received += u64::from(count);
                return (Verdict::Fresh, count);
            }
        }
        let verdict = self.judge(connection, slot, number);
        match verdict {
            Verdict::Fresh => self.totals.received += 1,
            Verdict::Late => {
                self.totals.received += 1;
                self.totals.out_of_order += 1;
            }
            Verdict::Double => self.totals.duplicated += 1,
            Verdict::Astray => self.totals.astray += 1,
        }
        (verdict, 1)
    }

    /// What is not simply the next one.
    fn judge(&mut self, connection: u32, slot: u32, number: u32) -> Verdict {
        let place = &mut self.places[connection as usize];
        let (Some(words), Standing::Present | Standing::Withheld, 0..=NUMBER_MAX) =
            (&mut place.words, place.standing, number)
        else {
            return Verdict::Astray;
        };
        let word = &mut words[slot as usize];
        let (is_first, due) = (*word & UNHEARD != 0, *word & !UNHEARD);
        // A stream begins with the first that is heard of it, unless it was due before.
        let next = if is_first && (due == UNKNOWN || number < due) { number } else { due };
        if number >= next {
            *word = number + 1;
            let skipped = number.saturating_sub(next);
            place.missing += u64::from(skipped);
            if skipped > 0 {
                if self.gaps.len() < GAPS_MAX {
                    self.gaps.insert((connection, slot, next), number);
                } else {
                    self.has_forgotten = true;
                }
            }
            return Verdict::Fresh;
        }
        if self.fill(connection, slot, number) { Verdict::Late } else { Verdict::Double }
    }

    /// Takes a number out of what is missing; false when it was not.
    fn fill(&mut self, connection: u32, slot: u32, number: u32) -> bool {
        let upto = ..=(connection, slot, number);
        let Some((&start, &end)) = self.gaps.range(upto).next_back() else { return false };
        if (start.0, start.1) != (connection, slot) || number >= end {
            return false;
        }
        self.gaps.remove(&start);
        if start.2 < number {
            self.gaps.insert(start, number);
        }
        if number + 1 < end {
            if self.gaps.len() < GAPS_MAX {
                self.gaps.insert((connection, slot, number + 1), end);
            } else {
                self.has_forgotten = true;
            }
        }
        self.places[connection as usize].missing -= 1;
        true
    }

    /// The number that a connection waits for in a slot; 0 when it is not there.
    pub fn next(&self, connection: u32, slot: u32) -> u32 {
        let words = self.places[connection as usize].words.as_ref();
        words.map_or(0, |words| words[slot as usize] & !UNHEARD)
    }

    /// A connection goes by its own will. `refused`: how many of a slot's numbers the server
    /// refused to take.
    pub fn leave(&mut self, connection: u32, refused: impl Fn(u32, Range<u32>) -> u32) {
        if self.places[connection as usize].standing == Standing::Away {
            return;
        }
        let skipped = self.skipped(connection, refused);
        let place = std::mem::take(&mut self.places[connection as usize]);
        match place.standing {
            Standing::Withheld => self.totals.withheld += skipped,
            Standing::Away | Standing::Present => self.totals.lost += skipped,
        }
        if place.missing > 0 {
            let gaps: Vec<_> =
                self.gaps_of(connection).map(|(slot, gap)| (slot, gap.start)).collect();
            for (slot, start) in gaps {
                self.gaps.remove(&(connection, slot, start));
            }
        }
    }

    /// A connection's ranges that were skipped, and their slots.
    fn gaps_of(&self, connection: u32) -> impl Iterator<Item = (u32, Range<u32>)> {
        let of = (connection, 0, 0)..(connection + 1, 0, 0);
        self.gaps.range(of).map(|((_, slot, start), end)| (*slot, *start..*end))
    }

    /// What was skipped at a connection and has not come since, without what was refused.
    fn skipped(&self, connection: u32, refused: impl Fn(u32, Range<u32>) -> u32) -> u64 {
        let missing = self.places[connection as usize].missing;
        if missing == 0 {
            return 0;
        }
        let refused = self.gaps_of(connection).map(|(slot, gap)| u64::from(refused(slot, gap)));
        missing.saturating_sub(refused.sum())
    }

    /// There were no more messages than these, slot by slot: what a connection heard with a higher
    /// number was astray, and what it skipped on the way there is waited for again. Costs its slots.
    pub fn bound(&mut self, connection: u32, published: impl Iterator<Item = u32>) {
        for (slot, published) in (0..).zip(published) {
            let place = &self.places[connection as usize];
            let Some(word) = place.words.as_ref().map(|words| words[slot as usize]) else { return };
            if word & UNHEARD != 0 || word <= published {
                continue;
            }
            let (next, skipped) = self.take_back(connection, slot, published);
            let beyond = u64::from(word - published);
            // Where a range was forgotten, there was one delivery beyond at least.
            let forged = if self.has_forgotten { 1 } else { beyond - skipped };
            let place = &mut self.places[connection as usize];
            place.words.iter_mut().for_each(|words| words[slot as usize] = next);
            let missing = beyond - forged + u64::from(published - next);
            place.missing = place.missing.saturating_sub(missing);
            self.totals.received = self.totals.received.saturating_sub(forged);
            self.totals.astray += forged;
        }
    }

    /// Forgets the skipped ranges that end behind a number, or at it. Says where the first of them
    /// begins, at that number at the latest, and how many numbers behind it were skipped.
    fn take_back(&mut self, connection: u32, slot: u32, published: u32) -> (u32, u64) {
        let (mut next, mut skipped) = (published, 0);
        let of = (connection, slot, 0)..(connection, slot + 1, 0);
        while let Some((&start, &end)) = self.gaps.range(of.clone()).next_back()
            && end >= published
        {
            self.gaps.remove(&start);
            skipped += u64::from(end - published.max(start.2));
            next = next.min(start.2);
        }
        (next, skipped)
    }

    /// What does not come to a connection is withheld from now on: it reads slowly, or the server
    /// has ended it.
    pub fn withhold(&mut self, connection: u32) {
        let place = &mut self.places[connection as usize];
        if place.standing == Standing::Present {
            place.standing = Standing::Withheld;
        }
    }

    /// The server ended a connection, of the crowd or a publisher. `is_slow`: one that was reading
    /// slowly.
    pub fn closed(&mut self, code: u16, is_slow: bool) {
        *self.closes.entry(code).or_default() += 1;
        if is_slow {
            *self.closes_slow.entry(code).or_default() += 1;
        }
    }

    /// The server refused something. `is_publish`: a message.
    pub fn refused(&mut self, is_publish: bool) {
        self.totals.refused += 1;
        self.totals.publishes_refused += u64::from(is_publish);
    }

    /// A connection left and a new one takes its place.
    pub fn replaced(&mut self) {
        self.totals.replaced += 1;
    }

    /// Deliveries of no stream, or not to be heard here.
    pub fn astray(&mut self, count: u32) {
        self.totals.astray += u64::from(count);
    }

    /// Deliveries from before the time that they were sent at.
    pub fn early(&mut self, count: u32) {
        self.totals.early += u64::from(count);
    }

    /// How many messages a connection still waits for; 0 when they are withheld from it.
    /// `published`: how many there were, slot by slot; `refused` as in [`Ledger::leave`].
    pub fn owed(
        &self,
        connection: u32,
        published: impl Iterator<Item = u32>,
        refused: impl Fn(u32, Range<u32>) -> u32,
    ) -> u64 {
        match self.places[connection as usize].standing {
            Standing::Present => {
                let lacking = self.lacking(connection, published, refused);
                lacking.skipped + lacking.tail
            }
            Standing::Away | Standing::Withheld => 0,
        }
    }

    /// The account, when all that was published is known: by connection, slot by slot. `refused`:
    /// as in [`Ledger::leave`], by connection. Costs all slots.
    pub fn settle<I>(
        &self,
        published: impl Fn(u32) -> I,
        refused: impl Fn(u32, u32, Range<u32>) -> u32,
    ) -> Account
    where
        I: Iterator<Item = u32>,
    {
        let mut account = self.totals.clone();
        account.closes = self.closes.iter().map(|(code, count)| (*code, *count)).collect();
        let slow = self.closes_slow.iter().map(|(code, count)| (*code, *count));
        account.closes_slow = slow.collect();
        for (connection, place) in (0..).zip(&self.places) {
            let lacking = || {
                let refused = |slot, numbers| refused(connection, slot, numbers);
                self.lacking(connection, published(connection), refused)
            };
            match place.standing {
                Standing::Away => {}
                Standing::Present => {
                    let lacking = lacking();
                    account.lost += lacking.skipped;
                    account.unarrived += lacking.tail;
                }
                Standing::Withheld => {
                    let lacking = lacking();
                    account.withheld += lacking.skipped + lacking.tail;
                }
            }
        }
        account.expected = account.received + account.lost + account.withheld + account.unarrived;
        account
    }

    /// Numbers due to a connection and not come, without what was refused.
    fn lacking(
        &self,
        connection: u32,
        published: impl Iterator<Item = u32>,
        refused: impl Fn(u32, Range<u32>) -> u32,
    ) -> Lacking {
        let place = &self.places[connection as usize];
        let mut tail = 0;
        for (slot, published) in (0..).zip(published) {
            let word = place.words.as_ref().map_or(0, |words| words[slot as usize]);
            let next = word & !UNHEARD;
            if word != UNKNOWN | UNHEARD && next < published {
                tail += u64::from(published - next - refused(slot, next..published));
            }
        }
        Lacking { skipped: self.skipped(connection, refused), tail }
    }
}

#[cfg(test)]
mod tests;

//! Who may want a message: bitmaps, one bit a shard, shared by all shards of the process.
//!
//! A publish is mailed only to shards whose bit is set. There is a word per slot of topic hashes,
//! the same per slot of first segments for patterns (`a.*`), and one word for patterns that begin
//! with a wildcard. Each shard counts its own topics and patterns per slot and touches the shared
//! word only at the first and after the last; nobody but a shard writes its bit. Two names in one
//! slot cost a wasted mail, never a lost one. Fixed memory, whatever the number of topics.
//!
//! Order: a bit is set before `subscribed` is sent, so whoever has seen that reply and publishes
//! finds it (protocols.md section 2).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::limits::{INTEREST_SEGMENT_SLOTS, INTEREST_TOPIC_SLOTS, SHARDS_MAX};
use crate::topic::{Pattern, first_segment, name_hash};

/// The shared table: half a megabyte for the process.
#[derive(Debug)]
pub struct Interest {
    topics: Box<[AtomicU64]>,
    segments: Box<[AtomicU64]>,
    anything: AtomicU64,
}

/// A set of shards, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardSet(u64);

impl Interest {
    /// An empty table.
    pub fn new() -> Arc<Self> {
        let words = |count: usize| (0..count).map(|_| AtomicU64::new(0)).collect();
        Arc::new(Self {
            topics: words(INTEREST_TOPIC_SLOTS),
            segments: words(INTEREST_SEGMENT_SLOTS),
            anything: AtomicU64::new(0),
        })
    }

    /// The shards that may have a subscriber of `topic`, whose `name_hash` is `topic_hash`.
    pub fn shards(&self, topic: &str, topic_hash: u64) -> ShardSet {
        let exact = self.topics[slot(topic_hash, INTEREST_TOPIC_SLOTS)].load(Ordering::SeqCst);
        let segment = slot(name_hash(first_segment(topic)), INTEREST_SEGMENT_SLOTS);
        let by_segment = self.segments[segment].load(Ordering::SeqCst);
        ShardSet(exact | by_segment | self.anything.load(Ordering::SeqCst))
    }
}

impl ShardSet {
    /// The shards with numbers below `shards`.
    pub fn all(shards: u8) -> Self {
        Self(
            u64::MAX
                .checked_shr((SHARDS_MAX as u32).saturating_sub(u32::from(shards)))
                .unwrap_or(0),
        )
    }

    /// One shard; nobody where no shard can have the number.
    pub fn only(shard: u8) -> Self {
        Self(1_u64.checked_shl(u32::from(shard)).unwrap_or(0))
    }

    /// The set without one shard.
    #[must_use]
    pub fn without(self, shard: u8) -> Self {
        Self(self.0 & !(1 << shard))
    }

    /// Whether the shard is in it.
    pub fn contains(self, shard: u8) -> bool {
        self.0 & (1 << shard) != 0
    }

    /// Whether no shard is in it.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Its shards, in rising order.
    pub fn iter(self) -> Shards {
        Shards(self.0)
    }
}

/// The shard that orders a topic with history, by the topic's `name_hash`.
pub fn home_of(topic_hash: u64, shards: u8) -> u8 {
    // The bits that neither the topic index nor the interest table takes.
    ((topic_hash >> 24) % u64::from(shards)) as u8
}

/// The shards of a [`ShardSet`].
#[derive(Debug)]
pub struct Shards(u64);

impl Iterator for Shards {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        if self.0 == 0 {
            return None;
        }
        let lowest = self.0.trailing_zeros() as u8;
        self.0 &= self.0 - 1;
        Some(lowest)
    }
}

/// One shard's side: its counts, and the right to its bit.
#[derive(Debug)]
pub struct OwnInterest {
    table: Arc<Interest>,
    bit: u64,
    topics: Box<[u32]>,
    segments: Box<[u32]>,
    anything: u32,
}

impl OwnInterest {
    /// The side of shard number `shard`. Two with one number would clear each other's bits.
    ///
    /// # Panics
    /// When `shard` is not below [`SHARDS_MAX`].
    pub fn new(table: Arc<Interest>, shard: u8) -> Self {
        assert!(usize::from(shard) < SHARDS_MAX, "shard {shard} has no bit");
        Self {
            table,
            bit: 1 << shard,
            topics: vec![0; INTEREST_TOPIC_SLOTS].into(),
            segments: vec![0; INTEREST_SEGMENT_SLOTS].into(),
            anything: 0,
        }
    }

    /// The table of all shards.
    pub fn table(&self) -> &Interest {
        &self.table
    }

    /// The shard got its first subscriber of this pattern.
    pub fn add(&mut self, pattern: Pattern<'_>) {
        let bit = self.bit;
        let (count, word) = self.place(pattern);
        *count += 1;
        if *count == 1 {
            word.fetch_or(bit, Ordering::SeqCst);
        }
    }

    /// The shard lost its last subscriber of this pattern.
    ///
    /// # Panics
    /// When it was never added: the counts would be wrong from then on.
    pub fn remove(&mut self, pattern: Pattern<'_>) {
        let bit = self.bit;
        let (count, word) = self.place(pattern);
        *count = count.checked_sub(1).expect("interest removed more often than added");
        if *count == 0 {
            word.fetch_and(!bit, Ordering::SeqCst);
        }
    }

    /// Asserts that counts and bits are those of just these patterns.
    pub(crate) fn check<'p>(&self, patterns: impl Iterator<Item = Pattern<'p>>) {
        let mut fresh = Self::new(Interest::new(), self.bit.trailing_zeros() as u8);
        for pattern in patterns {
            fresh.add(pattern);
        }
        assert_eq!(fresh.topics, self.topics);
        assert_eq!(fresh.segments, self.segments);
        assert_eq!(fresh.anything, self.anything);
        let bits = |words: &[AtomicU64], counts: &[u32]| {
            words
                .iter()
                .zip(counts)
                .all(|(word, count)| (word.load(Ordering::SeqCst) & self.bit != 0) == (*count > 0))
        };
        assert!(bits(&self.table.topics, &self.topics));
        assert!(bits(&self.table.segments, &self.segments));
        assert!(bits(std::slice::from_ref(&self.table.anything), &[self.anything]));
    }

    fn place(&mut self, pattern: Pattern<'_>) -> (&mut u32, &AtomicU64) {
        if !pattern.is_wildcard() {
            let slot = slot(pattern.hash(), INTEREST_TOPIC_SLOTS);
            return (&mut self.topics[slot], &self.table.topics[slot]);
        }
        let first = pattern.first_segment();
        if first.starts_with('*') {
            return (&mut self.anything, &self.table.anything);
        }
        let slot = slot(name_hash(first), INTEREST_SEGMENT_SLOTS);
        (&mut self.segments[slot], &self.table.segments[slot])
    }
}

/// The high bits: the topic index takes the low ones for its own table.
fn slot(hash: u64, slots: usize) -> usize {
    const { assert!(INTEREST_TOPIC_SLOTS.is_power_of_two()) };
    const { assert!(INTEREST_SEGMENT_SLOTS.is_power_of_two()) };
    (hash >> 40) as usize & (slots - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topic::TopicBounds;

    fn pattern(text: &str) -> Pattern<'_> {
        Pattern::parse(text, TopicBounds::default()).unwrap()
    }

    fn wanted(table: &Interest, topic: &str) -> Vec<u8> {
        table.shards(topic, name_hash(topic)).iter().collect()
    }

    #[test]
    fn a_bit_stands_from_the_first_to_the_last() {
        let table = Interest::new();
        let mut zero = OwnInterest::new(Arc::clone(&table), 0);
        let mut last = OwnInterest::new(Arc::clone(&table), 63);
        for (subscribed, published, other) in
            [("a.b", "a.b", "x.y"), ("a.*", "a.c", "x.y"), ("**.b", "anything", "x.y")]
        {
            zero.add(pattern(subscribed));
            zero.add(pattern(subscribed));
            last.add(pattern(subscribed));
            assert_eq!(wanted(&table, published), [0, 63]);
            zero.remove(pattern(subscribed));
            assert_eq!(wanted(&table, published), [0, 63]);
            zero.remove(pattern(subscribed));
            assert_eq!(wanted(&table, published), [63]);
            last.remove(pattern(subscribed));
            assert!(wanted(&table, published).is_empty());
            assert!(wanted(&table, other).is_empty());
        }
    }

    #[test]
    fn sets_of_shards() {
        let numbers = |set: ShardSet| set.iter().collect::<Vec<_>>();
        assert_eq!(numbers(ShardSet::all(3)), [0, 1, 2]);
        assert_eq!(numbers(ShardSet::all(64)).len(), 64);
        assert!(ShardSet::all(0).is_empty());
        assert_eq!(numbers(ShardSet::only(63)), [63]);
        assert!(ShardSet::only(64).is_empty());
    }
}

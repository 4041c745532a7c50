//! What a shard has said to Socket.IO clients of late, in the order it was said.
//!
//! A socket hears the messages of its own shard in one order, so a place in that order is all that
//! tells where a client stopped hearing. Every message has one place, whoever it is for, so that it
//! is encoded once with it. Places count from 1 without gaps; offsets of two runs of a shard cannot
//! be mixed up, for each begins with the run's epoch.
//!
//! Bounded: bytes, entries and age. Pure: who an entry was for is only kept here, and judged by
//! whoever replays it. Contract: protocols.md section 5.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::audience::Audience;
use crate::limits::{RECOVERY_BYTES_MAX, RECOVERY_ENTRIES_MAX};
use crate::message::Message;
use crate::metrics::ShardMetrics;
use crate::time::Timestamp;

/// Bytes of an offset as text.
const OFFSET_BYTES: usize = 26;
/// Epochs below this have twelve digits at most, and so an offset its bytes.
const EPOCHS: u64 = 36_u64.pow(12);
const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// Whom a message was for.
#[derive(Debug)]
pub(in crate::shard) enum To {
    /// The subscribers of its topic.
    Topic,
    /// These, whatever they are subscribed to.
    Audience(Audience),
}

/// One message that was said.
#[derive(Debug)]
pub(in crate::shard) struct Entry {
    /// It.
    pub message: Arc<Message>,
    /// Whom it was for.
    pub to: To,
    /// The slot of who said it and was not to hear it.
    pub skip: Option<u32>,
    /// The hash of its topic, so that most entries need not be looked into.
    pub topic_hash: u64,
    at: Timestamp,
}

impl Entry {
    fn bytes(&self) -> usize {
        size_of::<Self>() + size_of::<Message>() + self.message.bytes()
    }
}

/// An offset as clients are told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) struct Offset {
    text: [u8; OFFSET_BYTES],
    begin: u8,
}

impl Offset {
    /// A place of an epoch.
    fn new(epoch: u64, place: u64) -> Self {
        let mut offset = Self { text: [0; OFFSET_BYTES], begin: OFFSET_BYTES as u8 };
        offset.push_front(place);
        offset.push_digit(b'-');
        offset.push_front(epoch);
        offset
    }

    fn push_front(&mut self, mut number: u64) {
        loop {
            self.push_digit(DIGITS[(number % 36) as usize]);
            number /= 36;
            if number == 0 {
                break;
            }
        }
    }

    fn push_digit(&mut self, digit: u8) {
        self.begin -= 1;
        self.text[usize::from(self.begin)] = digit;
    }

    /// It.
    pub(in crate::shard) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.text[usize::from(self.begin)..]).expect("digits are ASCII")
    }
}

/// What is at a place.
#[derive(Debug)]
pub(in crate::shard) enum At<'l> {
    /// A message.
    Entry(&'l Entry),
    /// Nothing yet.
    Next,
    /// What is kept no longer.
    Lost,
}

/// The log of one shard.
#[derive(Debug)]
pub(in crate::shard) struct Log {
    epoch: u64,
    age_ms: u64,
    entries: VecDeque<Entry>,
    /// The place of the first of them.
    first: u64,
    bytes: usize,
    metrics: Arc<ShardMetrics>,
}

impl Log {
    /// Nothing said yet. `seed` makes the epochs of two runs differ; entries older than `age_ms` are
    /// dropped.
    pub(in crate::shard) fn new(metrics: Arc<ShardMetrics>, seed: u64, age_ms: u64) -> Self {
        let (epoch, entries) = (seed % EPOCHS, VecDeque::new());
        Self { epoch, age_ms, entries, first: 1, bytes: 0, metrics }
    }

    /// Keeps a message; gives its place.
    pub(in crate::shard) fn push(
        &mut self,
        message: Arc<Message>,
        to: To,
        skip: Option<u32>,
    ) -> u64 {
        let publication = message.publication();
        let (at, topic_hash) = (publication.at, publication.topic_hash);
        let entry = Entry { message, to, skip, topic_hash, at };
        self.bytes += entry.bytes();
        self.entries.push_back(entry);
        let place = self.last();
        while self.bytes > RECOVERY_BYTES_MAX || self.entries.len() > RECOVERY_ENTRIES_MAX {
            self.drop_first();
            self.metrics.recovery_overruns_total.add(1);
        }
        self.tell();
        place
    }

    /// The place of the last message that was said, 0 before the first.
    pub(in crate::shard) fn last(&self) -> u64 {
        self.first + self.entries.len() as u64 - 1
    }

    /// A place as clients are told it.
    pub(in crate::shard) fn offset(&self, place: u64) -> Offset {
        Offset::new(self.epoch, place)
    }

    /// The place of an offset, if it is one that clients have been told.
    pub(in crate::shard) fn place(&self, offset: &str) -> Option<u64> {
        let (_, digits) = offset.split_once('-')?;
        let place = u64::from_str_radix(digits, 36).ok()?;
        let is_written_so = place <= self.last() && self.offset(place).as_str() == offset;
        is_written_so.then_some(place)
    }

    /// Whether everything behind a place is there still.
    pub(in crate::shard) fn is_whole_behind(&self, place: u64, now: Timestamp) -> bool {
        match self.at(place.saturating_add(1)) {
            At::Entry(entry) => !self.is_over(entry, now),
            At::Next => true,
            At::Lost => false,
        }
    }

    /// What is at a place; 0 is none.
    pub(in crate::shard) fn at(&self, place: u64) -> At<'_> {
        let Some(behind) = place.checked_sub(self.first) else { return At::Lost };
        let entry = usize::try_from(behind).ok().and_then(|behind| self.entries.get(behind));
        entry.map_or(At::Next, At::Entry)
    }

    /// Drops what is over; so many entries at most.
    pub(in crate::shard) fn sweep(&mut self, now: Timestamp, most: usize) {
        let mut dropped = 0;
        while dropped < most && self.entries.front().is_some_and(|it| self.is_over(it, now)) {
            self.drop_first();
            dropped += 1;
        }
        if self.entries.is_empty() {
            self.entries.shrink_to_fit();
        }
        self.tell();
    }

    /// Whether [`Log::sweep`] has something to drop at this time.
    pub(in crate::shard) fn has_old(&self, now: Timestamp) -> bool {
        self.entries.front().is_some_and(|entry| self.is_over(entry, now))
    }

    /// Whether anything is kept.
    pub(in crate::shard) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Asserts that the counts are those of what is kept, and the bounds.
    pub(in crate::shard) fn check(&self) {
        let bytes: usize = self.entries.iter().map(Entry::bytes).sum();
        assert_eq!(bytes, self.bytes);
        assert!(bytes <= RECOVERY_BYTES_MAX && self.entries.len() <= RECOVERY_ENTRIES_MAX);
        assert_eq!(self.metrics.recovery_log_bytes.get(), bytes as u64);
        assert!(self.first >= 1 && self.epoch < EPOCHS);
    }

    fn is_over(&self, entry: &Entry, now: Timestamp) -> bool {
        now.0.saturating_sub(entry.at.0) > self.age_ms
    }

    fn drop_first(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.bytes -= entry.bytes();
            self.first += 1;
        }
    }

    fn tell(&self) {
        self.metrics.recovery_log_bytes.set(self.bytes as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Publication;

    fn log(age_ms: u64) -> Log {
        Log::new(ShardMetrics::new(), u64::MAX, age_ms)
    }

    fn message(at_ms: u64, bytes: usize) -> Arc<Message> {
        let data = "1".repeat(bytes);
        Arc::new(Message::new(&Publication::of_server("a", &data, Timestamp(at_ms))))
    }

    #[test]
    fn offsets_are_read_just_as_they_are_written() {
        let mut log = log(1000);
        assert_eq!((log.last(), log.place(log.offset(0).as_str())), (0, Some(0)));
        for place in 1..100 {
            assert_eq!(log.push(message(0, 1), To::Topic, None), place);
        }
        for place in 0..100 {
            assert_eq!(log.place(log.offset(place).as_str()), Some(place));
        }
        let text = log.offset(99).as_str().to_owned();
        let (epoch, digits) = text.split_once('-').unwrap();
        assert_eq!(digits, "2r");
        for other in [
            "",
            "-",
            "2r",
            "-2r",
            &format!("{epoch}-2s"),
            &format!("{epoch}-02r"),
            &format!("{epoch}-2R"),
            &format!("{epoch}-+2"),
            &format!("{epoch}-"),
            &format!("0{text}"),
            &format!("{text} "),
            &format!("{text}-1"),
            "0-1",
            &format!("{epoch}-zzzzzzzzzzzzzz"),
            "zzzzzzzzzzzzz-1",
        ] {
            assert_eq!(log.place(other), None, "{other}");
        }
        let longest = Offset::new(EPOCHS - 1, u64::MAX);
        assert_eq!(longest.as_str().len(), OFFSET_BYTES);
        assert_eq!(Offset::new(0, 0).as_str(), "0-0");
    }

    #[test]
    fn agrees_with_a_plain_list_that_forgets_by_age() {
        let mut random = 1_u64;
        let mut draw = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99_991);
            (random >> 33) % below
        };
        let (mut log, mut plain, mut now_ms) = (log(100), Vec::new(), 0);
        for _ in 0..5000 {
            match draw(4) {
                0 => now_ms += draw(60),
                1 => log.sweep(Timestamp(now_ms), draw(5) as usize),
                _ => {
                    let bytes = draw(50) as usize + 1;
                    let place = log.push(message(now_ms, bytes), To::Topic, None);
                    plain.push((now_ms, bytes));
                    assert_eq!(place, plain.len() as u64);
                }
            }
            log.check();
            let since = draw(plain.len() as u64 + 2);
            let missed: Vec<_> = plain.iter().skip(since as usize).copied().collect();
            let is_whole = missed.first().is_none_or(|(at_ms, _)| now_ms - at_ms <= 100);
            let is_said = since <= plain.len() as u64;
            assert_eq!(log.is_whole_behind(since, Timestamp(now_ms)), is_whole);
            assert_eq!(log.place(log.offset(since).as_str()), is_said.then_some(since));
            if is_whole && is_said {
                let mut told = Vec::new();
                for place in since + 1.. {
                    let At::Entry(entry) = log.at(place) else { break };
                    told.push((entry.at.0, entry.message.publication().data.len()));
                }
                assert_eq!(told, missed);
            }
        }
        log.sweep(Timestamp(now_ms + 101), usize::MAX);
        assert!(log.is_empty() && !log.has_old(Timestamp(u64::MAX)));
        assert_eq!(log.last(), plain.len() as u64);
        assert!(log.is_whole_behind(log.last(), Timestamp(now_ms)));
    }

    #[test]
    fn entries_and_bytes_are_bounded_and_the_oldest_go_first() {
        let mut log = log(u64::MAX);
        let small = message(0, 1);
        for _ in 0..RECOVERY_ENTRIES_MAX + 3 {
            log.push(Arc::clone(&small), To::Topic, None);
        }
        log.check();
        assert!(matches!(log.at(3), At::Lost) && matches!(log.at(4), At::Entry(_)));
        assert!(log.is_whole_behind(3, Timestamp(0)) && !log.is_whole_behind(2, Timestamp(0)));
        let large = message(0, RECOVERY_BYTES_MAX / 4);
        for _ in 0..4 {
            log.push(Arc::clone(&large), To::Topic, None);
        }
        log.check();
        let last = log.last();
        assert!(log.is_whole_behind(last - 3, Timestamp(0)));
        assert!(!log.is_whole_behind(last - 4, Timestamp(0)));
        // One that is larger than all may be leaves nothing, not even itself.
        let place = log.push(message(0, RECOVERY_BYTES_MAX + 1), To::Topic, None);
        log.check();
        assert!(log.is_empty() && matches!(log.at(place), At::Lost));
        assert_eq!(log.last(), place);
    }
}

//! The histories that live on this shard: of the topics whose home it is.
//!
//! A topic that matches a `[[history]]` setting is published through its home shard, the hash of
//! its name, which gives one order and an offset (protocols.md section 2). Offsets count from 1
//! without gaps within an epoch; a topic whose history was dropped begins another epoch.
//!
//! Bounded: messages and age a topic by the setting, topics and bytes a shard by
//! [`HISTORY_TOPICS_MAX`] and [`HISTORY_BYTES_MAX`]. Logs of one setting are kept in the order they
//! were last published to: they grow old in that order too.

use std::collections::VecDeque;
use std::sync::Arc;

use lru::LruCache;

use crate::config::HistorySetting;
use crate::limits::{HISTORY_BYTES_MAX, HISTORY_TOPICS_MAX};
use crate::message::{Message, Position};
use crate::metrics::ShardMetrics;
use crate::time::Now;
use crate::topic::matches;

/// The number of the setting that covers a topic, the first that matches.
pub fn setting_for(settings: &[HistorySetting], topic: &str) -> Option<usize> {
    settings.iter().position(|setting| matches(&setting.topic, topic))
}

#[derive(Debug)]
struct Log {
    epoch: u64,
    last: u64,
    ttl_ms: u64,
    kept: VecDeque<(u64, Arc<Message>)>,
}

type Logs = LruCache<String, Log, ahash::RandomState>;

/// The histories of one shard.
#[derive(Debug)]
pub struct History {
    /// By the number of the setting.
    logs: Vec<Logs>,
    topics: usize,
    bytes: usize,
    metrics: Arc<ShardMetrics>,
    next_epoch: u64,
}

impl History {
    /// No history yet. `seed` makes the epochs of two runs differ.
    pub fn new(metrics: Arc<ShardMetrics>, seed: u64) -> Self {
        Self { logs: Vec::new(), topics: 0, bytes: 0, metrics, next_epoch: seed }
    }

    /// Gives a message its place and keeps it, by setting number `number`.
    pub fn append(
        &mut self,
        mut message: Message,
        number: usize,
        setting: &HistorySetting,
        now: Now,
    ) -> Arc<Message> {
        while self.logs.len() <= number {
            self.logs.push(LruCache::unbounded_with_hasher(ahash::RandomState::new()));
        }
        let is_new = !self.logs[number].contains(message.publication().topic);
        if is_new && self.topics >= HISTORY_TOPICS_MAX {
            self.evict(number);
        }
        let epoch = self.next_epoch;
        let log = self.logs[number].get_or_insert_mut_ref(message.publication().topic, || Log {
            epoch,
            last: 0,
            ttl_ms: if setting.ttl_s == 0 { u64::MAX } else { setting.ttl_s.saturating_mul(1000) },
            kept: VecDeque::new(),
        });
        if is_new {
            self.next_epoch = epoch.wrapping_add(1);
            self.topics += 1;
        }
        log.last += 1;
        message.set_position(Position { epoch: log.epoch, offset: log.last });
        let message = Arc::new(message);
        self.bytes += message.bytes();
        log.kept.push_back((now.mono_ms, Arc::clone(&message)));
        while log.kept.len() > setting.size.max(1) || log.is_over(now.mono_ms) {
            self.bytes -= log.drop_oldest();
        }
        while self.bytes > HISTORY_BYTES_MAX && self.topics > 0 {
            self.evict(number);
        }
        self.tell();
        message
    }

    /// What is kept of a topic behind an offset, the oldest first, and where the topic stands.
    /// `bound`: messages at most, and bytes behind which none is added.
    pub fn after(
        &mut self,
        topic: &str,
        offset: u64,
        bound: (usize, usize),
        now: Now,
    ) -> Option<(Position, Vec<Arc<Message>>)> {
        let log = self.logs.iter_mut().find_map(|logs| logs.peek_mut(topic))?;
        while log.is_over(now.mono_ms) {
            self.bytes -= log.drop_oldest();
        }
        let first = log.last + 1 - log.kept.len() as u64;
        let skip = offset.saturating_add(1).saturating_sub(first);
        let skip = usize::try_from(skip).unwrap_or(usize::MAX).min(log.kept.len());
        let (messages_max, bytes_max) = bound;
        let mut bytes = 0;
        let fits = |message: &&Arc<Message>| {
            let before = bytes;
            bytes += message.bytes();
            before <= bytes_max
        };
        let behind = log.kept.range(skip..).map(|(_, message)| message);
        let kept = behind.take(messages_max).take_while(fits).map(Arc::clone).collect();
        let last = Position { epoch: log.epoch, offset: log.last };
        self.tell();
        Some((last, kept))
    }

    /// Drops histories whose newest message is past its time; at most `most` of each setting.
    pub fn sweep(&mut self, now: Now, most: usize) {
        for number in 0..self.logs.len() {
            for _ in 0..most {
                if due_ms(&self.logs[number]).is_none_or(|due| due > now.mono_ms) {
                    break;
                }
                self.drop_oldest_log(number);
            }
        }
        self.tell();
    }

    /// When [`History::sweep`] has something to drop, in monotonic milliseconds.
    pub fn sweep_due_ms(&self) -> Option<u64> {
        self.logs.iter().filter_map(due_ms).min()
    }

    /// Asserts that the counts are those of what is kept, and the bounds.
    pub(super) fn check(&self) {
        let (mut bytes, mut topics) = (0, 0);
        for (_, log) in self.logs.iter().flatten() {
            assert!(log.kept.len() as u64 <= log.last);
            topics += 1;
            bytes += log.kept.iter().map(|(_, message)| message.bytes()).sum::<usize>();
        }
        assert_eq!((self.topics, self.bytes), (topics, bytes));
        assert!(topics <= HISTORY_TOPICS_MAX && bytes <= HISTORY_BYTES_MAX);
        assert_eq!(self.metrics.history_topics.get(), topics as u64);
        assert_eq!(self.metrics.history_bytes.get(), bytes as u64);
    }

    /// Makes room before its time: the oldest log of this setting goes, or where it has none, the
    /// oldest of another.
    fn evict(&mut self, number: usize) {
        let has_some = |logs: &Logs| !logs.is_empty();
        let other = || self.logs.iter().position(has_some);
        let from = if has_some(&self.logs[number]) { Some(number) } else { other() };
        if let Some(from) = from {
            self.metrics.history_evicted_total.add(1);
            self.drop_oldest_log(from);
        }
    }

    fn drop_oldest_log(&mut self, number: usize) {
        if let Some((_, log)) = self.logs[number].pop_lru() {
            self.bytes -= log.kept.iter().map(|(_, message)| message.bytes()).sum::<usize>();
            self.topics -= 1;
        }
    }

    fn tell(&self) {
        self.metrics.history_topics.set(self.topics as u64);
        self.metrics.history_bytes.set(self.bytes as u64);
    }
}

/// When the oldest log of a setting is past its time.
fn due_ms(logs: &Logs) -> Option<u64> {
    let (_, log) = logs.peek_lru()?;
    Some(log.kept.back().map_or(0, |(newest, _)| newest.saturating_add(log.ttl_ms)))
}

impl Log {
    /// Whether the oldest message is past its time.
    fn is_over(&self, mono_ms: u64) -> bool {
        self.kept.front().is_some_and(|(at, _)| mono_ms.saturating_sub(*at) >= self.ttl_ms)
    }

    /// Drops the oldest message; gives its bytes.
    fn drop_oldest(&mut self) -> usize {
        self.kept.pop_front().map_or(0, |(_, message)| message.bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Publication;
    use crate::time::Timestamp;

    fn message(topic: &str) -> Message {
        Message::new(&Publication::of_server(topic, "1", Timestamp(0)))
    }

    fn at(mono_ms: u64) -> Now {
        Now { mono_ms, wall: Timestamp(mono_ms) }
    }

    #[test]
    fn offsets_have_no_gaps_and_the_bounds_hold() {
        let metrics = ShardMetrics::new();
        let mut history = History::new(Arc::clone(&metrics), 7);
        let rule = HistorySetting { topic: "a.*".into(), size: 3, ttl_s: 10 };
        for n in 1..=5 {
            let kept = history.append(message("a.b"), 0, &rule, at(n * 1000));
            assert_eq!(kept.publication().position, Some(Position { epoch: 7, offset: n }));
        }
        let offsets = |history: &mut History, after, now| -> Vec<u64> {
            let bound = (2, usize::MAX);
            let (last, kept) = history.after("a.b", after, bound, at(now)).unwrap();
            assert_eq!(last, Position { epoch: 7, offset: 5 });
            kept.iter().map(|message| message.publication().position.unwrap().offset).collect()
        };
        assert_eq!(offsets(&mut history, 0, 5000), [3, 4]);
        assert_eq!(offsets(&mut history, 3, 5000), [4, 5]);
        assert_eq!(offsets(&mut history, 4, 5000), [5]);
        for after in [5, 9, u64::MAX] {
            assert!(offsets(&mut history, after, 5000).is_empty());
        }
        // One that is over the bound by itself comes alone.
        let (_, kept) = history.after("a.b", 0, (9, 0), at(5000)).unwrap();
        assert_eq!(kept.len(), 1);
        assert_eq!(offsets(&mut history, 0, 14_000), [5]);
        assert_eq!(metrics.history_bytes.get(), message("a.b").bytes() as u64);
        history.sweep(at(14_999), 10);
        assert_eq!(metrics.history_topics.get(), 1);
        history.sweep(at(15_000), 10);
        assert_eq!(metrics.history_topics.get(), 0);
        assert_eq!(metrics.history_bytes.get(), 0);
        let next = history.append(message("a.b"), 0, &rule, at(16_000));
        assert_eq!(next.publication().position, Some(Position { epoch: 8, offset: 1 }));
    }

    #[test]
    fn a_setting_that_keeps_for_ever_shields_no_other() {
        let metrics = ShardMetrics::new();
        let mut history = History::new(Arc::clone(&metrics), 0);
        let for_ever = HistorySetting { topic: "a".into(), size: 1, ttl_s: 0 };
        let shortly = HistorySetting { topic: "b.*".into(), size: 1, ttl_s: 10 };
        history.append(message("a"), 0, &for_ever, at(0));
        history.append(message("b.c"), 1, &shortly, at(1000));
        assert_eq!(history.sweep_due_ms(), Some(11_000));
        history.sweep(at(11_000), 10);
        assert_eq!(metrics.history_topics.get(), 1);
        assert!(history.after("a", 0, (1, 0), at(1 << 40)).is_some());
        assert!(history.after("b.c", 0, (1, 0), at(11_000)).is_none());
    }

    #[test]
    fn bytes_have_a_bound() {
        let metrics = ShardMetrics::new();
        let mut history = History::new(Arc::clone(&metrics), 0);
        let setting = HistorySetting { topic: "*".into(), size: 1000, ttl_s: 0 };
        let (data, blank) = ("1".repeat(HISTORY_BYTES_MAX / 8), message("a"));
        for n in 0..20 {
            let topic = format!("t{}", n % 5);
            let publication = Publication { topic: &topic, data: &data, ..blank.publication() };
            history.append(Message::new(&publication), 0, &setting, at(n));
            history.check();
        }
        assert!(metrics.history_evicted_total.get() > 0);
    }
}

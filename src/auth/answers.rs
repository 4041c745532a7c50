//! Answers of the webhook that are still good: who asked the same of late is told at once.
//!
//! Least recently used first out, bounded in answers and in bytes. Each shard keeps its own, so
//! that a remembered answer costs no mail, and the webhook keeps those of the process. A hit makes
//! no allocation. Failures never come here. Specification: protocols.md section 6, section 11
//! "Rules".

use std::sync::Arc;

use ahash::RandomState;
use lru::LruCache;

use super::question::{Asking, Question, Viewed};
use crate::limits::{ANSWERS_BYTES_MAX, ANSWERS_MAX};
use crate::mail::Answer;

/// Remembered answers.
#[derive(Debug)]
pub struct Answers {
    kept: LruCache<Arc<Question>, Kept, RandomState>,
    bytes: usize,
    entries_max: usize,
    bytes_max: usize,
}

#[derive(Clone, Copy, Debug)]
struct Kept {
    allowed: bool,
    /// Monotonic milliseconds from which on it is asked again.
    until_ms: u64,
}

/// What an answer takes beside its question: the entry, its links and its place in the table.
const ENTRY_BYTES: usize = 96;

impl Default for Answers {
    fn default() -> Self {
        Self::new(ANSWERS_MAX, ANSWERS_BYTES_MAX)
    }
}

impl Answers {
    /// Room for so many answers, and for so many bytes with their questions.
    pub fn new(entries_max: usize, bytes_max: usize) -> Self {
        let kept = LruCache::unbounded_with_hasher(RandomState::new());
        Self { kept, bytes: 0, entries_max, bytes_max }
    }

    /// The answer to a question, with what is left of its time, where it is still good.
    pub fn get(&mut self, asking: &Asking<'_>, mono_ms: u64) -> Option<Answer> {
        self.find(asking, mono_ms)
    }

    /// As [`get`](Self::get), with the question itself in hand.
    pub fn get_question(&mut self, question: &Question, mono_ms: u64) -> Option<Answer> {
        self.find(question, mono_ms)
    }

    /// Remembers an answer for its time, in place of an older one; one without a time is not
    /// remembered, and nor is one that takes all the room. How many others made room for it.
    pub fn keep(&mut self, question: Arc<Question>, answer: Answer, mono_ms: u64) -> usize {
        let bytes = weight(&question);
        self.drop_question(&*question);
        if answer.ttl_ms == 0 || bytes > self.bytes_max || self.entries_max == 0 {
            return 0;
        }
        let before = self.kept.len();
        while self.kept.len() >= self.entries_max || self.bytes + bytes > self.bytes_max {
            let Some((oldest, _)) = self.kept.pop_lru() else { break };
            self.bytes -= weight(&oldest);
        }
        let evicted = before - self.kept.len();
        let until_ms = mono_ms.saturating_add(answer.ttl_ms);
        self.kept.put(question, Kept { allowed: answer.allowed, until_ms });
        self.bytes += bytes;
        evicted
    }

    /// Forgets all: another webhook may answer otherwise.
    pub fn clear(&mut self) {
        self.kept.clear();
        self.bytes = 0;
    }

    /// How many are remembered, those included whose time is over and that nobody asked for since.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    fn find(&mut self, asked: &dyn Viewed, mono_ms: u64) -> Option<Answer> {
        let kept = *self.kept.get(asked)?;
        let ttl_ms = kept.until_ms.saturating_sub(mono_ms);
        if ttl_ms == 0 {
            self.drop_question(asked);
            return None;
        }
        Some(Answer { allowed: kept.allowed, ttl_ms })
    }

    fn drop_question(&mut self, asked: &dyn Viewed) {
        if let Some((question, _)) = self.kept.pop_entry(asked) {
            self.bytes -= weight(&question);
        }
    }
}

fn weight(question: &Question) -> usize {
    question.bytes() + ENTRY_BYTES
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::rule::Action;
    use crate::topic::{Pattern, TopicBounds};

    const YES: Answer = Answer { allowed: true, ttl_ms: 100 };
    const NO: Answer = Answer { allowed: false, ttl_ms: 100 };

    fn asking(topic: &str) -> Asking<'_> {
        let pattern = Pattern::parse(topic, TopicBounds::default()).unwrap();
        let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Asking { action: Action::Publish, pattern, identity: None, client }
    }

    fn question(topic: &str) -> Arc<Question> {
        Arc::new(asking(topic).to_question())
    }

    #[test]
    fn an_answer_is_good_for_its_time() {
        let mut answers = Answers::default();
        assert_eq!(answers.get(&asking("a"), 0), None);
        answers.keep(question("a"), YES, 1000);
        answers.keep(question("b"), NO, 1000);
        assert_eq!(answers.get(&asking("a"), 1000), Some(YES));
        assert_eq!(answers.get(&asking("b"), 1099), Some(Answer { allowed: false, ttl_ms: 1 }));
        assert_eq!(answers.get_question(&question("a"), 1040).unwrap().ttl_ms, 60);
        assert_eq!(answers.get(&asking("a"), 1100), None);
        assert_eq!(answers.len(), 1);
        // A new answer takes the place of the old one; one without a time ends it.
        answers.keep(question("b"), YES, 1050);
        assert_eq!((answers.get(&asking("b"), 1140).unwrap().allowed, answers.len()), (true, 1));
        answers.keep(question("b"), Answer { ttl_ms: 0, ..YES }, 1140);
        assert_eq!((answers.get(&asking("b"), 1140), answers.bytes), (None, 0));
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut answers = Answers::new(2, usize::MAX);
        answers.keep(question("a"), YES, 0);
        answers.keep(question("b"), YES, 0);
        assert!(answers.get(&asking("a"), 1).is_some());
        assert_eq!(answers.keep(question("a"), YES, 1), 0, "in place of itself");
        assert_eq!(answers.keep(question("c"), YES, 1), 1);
        let known = ["a", "b", "c"].map(|topic| answers.get(&asking(topic), 2).is_some());
        assert_eq!((known, answers.len()), ([true, false, true], 2));
    }

    #[test]
    fn bytes_are_bounded_too() {
        let one = weight(&question("aaaa"));
        let mut answers = Answers::new(100, 3 * one);
        for topic in ["aaaa", "bbbb", "cccc", "dddd"] {
            answers.keep(question(topic), YES, 0);
            assert!(answers.bytes <= 3 * one);
        }
        assert_eq!((answers.len(), answers.bytes), (3, 3 * one));
        assert_eq!(answers.get(&asking("aaaa"), 0), None);
        // Two must go for this one.
        assert_eq!(answers.keep(question(&"y".repeat(100)), YES, 0), 2);
        assert_eq!(answers.len(), 2);
        answers.clear();
        assert!(answers.is_empty() && answers.bytes == 0);
        assert!(answers.get(&asking("dddd"), 0).is_none());
        // What does not fit at all is not kept, and nothing goes for it.
        let mut small = Answers::new(100, one);
        small.keep(question("aaaa"), YES, 0);
        small.keep(question(&"x".repeat(100)), YES, 0);
        assert!(small.get(&asking("aaaa"), 0).is_some() && small.len() == 1);
    }
}

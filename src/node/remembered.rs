//! Publishes remembered by their `id`: the same id on the same topic is published once and answered
//! twice (protocols.md section 11, "HTTP API").
//!
//! Shared by the HTTP tasks of all shards, off the way of messages. Bounded in number and age: at
//! the bound a publish with an id is refused, for to forget one early would be to publish it twice.

use std::sync::Mutex;

use lru::LruCache;
use tokio::sync::watch;

use crate::close::Refusal;
use crate::http::publish::Published;
use crate::limits::{PUBLISH_ID_MS, PUBLISH_IDS_MAX};

/// The outcome of one publish, once it is known.
pub(super) type Outcome = watch::Receiver<Option<Result<Published, Refusal>>>;
/// The right to say it.
pub(super) type Settle = watch::Sender<Option<Result<Published, Refusal>>>;

/// Whose publish an id is.
#[derive(Debug)]
pub(super) enum Claim {
    /// Nobody's yet: the caller publishes and says what came of it.
    Ours(Settle, Outcome),
    /// Somebody's, who has published or is about to.
    Theirs(Outcome),
    /// So many are remembered that none can be added without forgetting one too early.
    Full,
}

#[derive(Debug)]
struct Entry {
    outcome: Outcome,
    since_ms: u64,
}

/// What was published under an id of late.
#[derive(Debug)]
pub(super) struct Remembered(Mutex<LruCache<(String, String), Entry, ahash::RandomState>>);

impl Remembered {
    pub(super) fn new() -> Self {
        Self(Mutex::new(LruCache::unbounded_with_hasher(ahash::RandomState::new())))
    }

    /// Takes an id for a publish, or finds that it is taken.
    pub(super) fn claim(&self, topic: &str, id: &str, now_ms: u64) -> Claim {
        let mut cache = self.lock();
        let stale = |entry: &Entry| now_ms.saturating_sub(entry.since_ms) >= PUBLISH_ID_MS;
        // The least recently used is the oldest: `peek` below does not make an entry younger.
        while cache.peek_lru().is_some_and(|(_, entry)| stale(entry)) {
            cache.pop_lru();
        }
        let key = (topic.to_owned(), id.to_owned());
        if let Some(entry) = cache.peek(&key) {
            return Claim::Theirs(entry.outcome.clone());
        }
        if cache.len() >= PUBLISH_IDS_MAX {
            return Claim::Full;
        }
        let (settle, outcome) = watch::channel(None);
        cache.put(key, Entry { outcome: outcome.clone(), since_ms: now_ms });
        Claim::Ours(settle, outcome)
    }

    /// Gives an id back: its publish was refused and may be tried again.
    pub(super) fn forget(&self, topic: &str, id: &str) {
        self.lock().pop(&(topic.to_owned(), id.to_owned()));
    }

    fn lock(
        &self,
    ) -> std::sync::MutexGuard<'_, LruCache<(String, String), Entry, ahash::RandomState>> {
        // Nothing panics between two halves of a change.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_ours(remembered: &Remembered, topic: &str, id: &str, now_ms: u64) -> bool {
        matches!(remembered.claim(topic, id, now_ms), Claim::Ours(..))
    }

    #[test]
    fn an_id_is_kept_for_its_time() {
        let remembered = Remembered::new();
        assert!(is_ours(&remembered, "a", "1", 0));
        assert!(!is_ours(&remembered, "a", "1", PUBLISH_ID_MS - 1));
        assert!(is_ours(&remembered, "b", "1", 5));
        assert!(is_ours(&remembered, "a", "2", 6));
        assert!(is_ours(&remembered, "a", "1", PUBLISH_ID_MS));
        remembered.forget("a", "1");
        assert!(is_ours(&remembered, "a", "1", PUBLISH_ID_MS + 1));
    }
}

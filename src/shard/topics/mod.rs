//! The topic index of a shard: who is subscribed to what, and who matches a published topic.
//!
//! [`Topics`] owns both sides of every subscription: the entries (a topic or pattern and its
//! subscribers) and each connection's list of entries. Each side knows its place in the other,
//! so a connection leaves in O(1) per subscription. A topic is matched by one hash probe; only
//! where there are patterns comes the cache of past matches, and behind it the trie. The session
//! and the HTTP routes call it through the shard. It knows no identity, no rule and no message,
//! does not bound what one connection subscribes to (the session does), and does not notice that
//! a connection matches through two entries (the fan-out does). Semantics: protocols.md section 2.

mod cache;
mod list;
mod names;
pub(super) mod slab;
pub(super) mod table;
#[cfg(test)]
mod tests;
mod trie;

use self::cache::Cache;
use self::list::List;
use self::names::Names;
use self::slab::Slab;
use self::trie::Trie;
use crate::topic::{Pattern, Topic, name_hash};

/// A connection in the list of an entry.
#[derive(Clone, Copy, Debug)]
pub struct Subscriber {
    /// The connection's index in the shard's slab.
    pub conn: u32,
    /// Where this entry stands in the connection's list.
    back: u32,
}

/// An entry in the list of a connection.
#[derive(Clone, Copy)]
struct Subscription {
    entry: u32,
    /// Where the connection stands in the entry's list.
    back: u32,
}

/// What became of a subscribe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subscribed {
    /// The connection has this very subscription.
    Already,
    /// It has it now; `first`: nobody on this shard had it before.
    New {
        /// The interest table wants to know.
        first: bool,
    },
}

/// What became of an unsubscribe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsubscribed {
    /// The connection has no such subscription.
    NotThere,
    /// It had it; `last`: nobody on this shard has it any more.
    Removed {
        /// The interest table wants to know.
        last: bool,
    },
}

/// A subscription that was removed with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removed<'a> {
    /// The topic or pattern as written.
    pub pattern: &'a str,
    /// Whether any segment is `*` or `**`.
    pub is_wildcard: bool,
    /// Whether nobody on this shard has it any more.
    pub last: bool,
}

/// The topic index of one shard.
#[derive(Default)]
pub struct Topics {
    /// Subscribers by topic or pattern; nobody's entry is never kept.
    entries: Names<List<Subscriber>>,
    /// Subscriptions by connection; an empty list is never kept.
    connections: Slab<List<Subscription>>,
    /// The entries that are patterns, by segments.
    trie: Trie,
    cache: Cache,
    /// Scratch: the patterns of the latest match that was not in the cache.
    found: Vec<u32>,
    patterns: usize,
    /// Bytes of heap behind the lists of both sides.
    lists_bytes: usize,
}

impl Topics {
    /// Subscribes `conn` to a topic or pattern.
    ///
    /// The shorter of the two lists is scanned for a subscription that is there already.
    pub fn subscribe(&mut self, conn: u32, pattern: Pattern<'_>) -> Subscribed {
        let (name, hash) = (pattern.as_str(), pattern.hash());
        let known = self.entries.find(name, hash);
        if known.is_some_and(|entry| self.position(conn, entry).is_some()) {
            return Subscribed::Already;
        }
        let entry = known.unwrap_or_else(|| {
            let entry = self.entries.insert(name, hash, List::default());
            if pattern.is_wildcard() {
                self.trie.insert(name, entry);
                self.cache.touch(name);
                self.patterns += 1;
            }
            entry
        });
        let subscribers = &mut self.entries.cells[entry].value;
        let subscriptions = self.connections.occupy(conn);
        let there = Subscription { entry, back: subscribers.len() as u32 };
        let here = Subscriber { conn, back: subscriptions.len() as u32 };
        subscriptions.push(there, &mut self.lists_bytes);
        subscribers.push(here, &mut self.lists_bytes);
        Subscribed::New { first: known.is_none() }
    }

    /// Ends the subscription of `conn` to a topic or pattern; found as in [`Self::subscribe`].
    pub fn unsubscribe(&mut self, conn: u32, pattern: Pattern<'_>) -> Unsubscribed {
        let known = self.entries.find(pattern.as_str(), pattern.hash());
        let Some(at) = known.and_then(|entry| self.position(conn, entry)) else {
            return Unsubscribed::NotThere;
        };
        let mut last = false;
        self.remove_at(conn, at, &mut |removed| last = removed.last);
        Unsubscribed::Removed { last }
    }

    /// Ends every subscription of `conn`, telling `on_removed` each; O(1) a subscription.
    pub fn remove_connection(&mut self, conn: u32, mut on_removed: impl FnMut(Removed<'_>)) {
        let Some(subscriptions) = self.connections.remove(conn) else { return };
        self.lists_bytes -= subscriptions.heap_bytes();
        for &subscription in subscriptions.iter() {
            self.leave(subscription, &mut on_removed);
        }
    }

    /// Ends those subscriptions of `conn` that `keep` says no to, telling `on_removed` each.
    pub fn retain(
        &mut self,
        conn: u32,
        mut keep: impl FnMut(&str) -> bool,
        mut on_removed: impl FnMut(Removed<'_>),
    ) {
        // From the end: what is swapped into a place that was left has been asked about.
        for at in (0..self.subscription_count(conn)).rev() {
            let entry = self.connections[conn][at].entry;
            if !keep(self.entries.cells[entry].name.as_str()) {
                self.remove_at(conn, at, &mut on_removed);
            }
        }
    }

    /// Who is subscribed to `topic` by name or by pattern; `hash` is [`Topic::hash`].
    ///
    /// One probe where there are no patterns or the topic's matches are remembered; else a walk
    /// of at most the number of trie nodes for each segment.
    pub fn matching(&mut self, topic: Topic<'_>, hash: u64) -> Matches<'_> {
        let name = topic.as_str();
        debug_assert_eq!(hash, topic.hash());
        let exact = self.entries.find(name, hash);
        let patterns = if self.trie.is_empty() {
            &[]
        } else if let Some(slot) = self.cache.find(name, hash) {
            self.cache.patterns(slot)
        } else {
            self.found.clear();
            self.trie.matching(name, &mut self.found);
            self.cache.put(name, hash, &self.found);
            &*self.found
        };
        Matches { entries: &self.entries, exact, patterns: patterns.iter() }
    }

    /// Whether `conn` is subscribed to just this topic or pattern.
    pub fn is_subscribed(&self, conn: u32, name: &str) -> bool {
        let entry = self.entries.find(name, name_hash(name));
        entry.is_some_and(|entry| self.position(conn, entry).is_some())
    }

    /// The topics and patterns that `conn` is subscribed to, in no order.
    pub fn subscriptions(&self, conn: u32) -> impl Iterator<Item = &str> {
        let list = self.connections.get(conn).map_or(&[][..], |list| list);
        list.iter().map(|subscription| self.entries.cells[subscription.entry].name.as_str())
    }

    /// How many topics and patterns `conn` is subscribed to.
    pub fn subscription_count(&self, conn: u32) -> usize {
        self.connections.get(conn).map_or(0, |list| list.len())
    }

    /// How many connections are subscribed to just this topic or pattern.
    pub fn subscriber_count(&self, name: &str) -> usize {
        let entry = self.entries.find(name, name_hash(name));
        entry.map_or(0, |entry| self.entries.cells[entry].value.len())
    }

    /// The topics that have subscribers by name, and how many, in no order. Patterns are left out.
    pub fn topics(&self) -> impl Iterator<Item = (&str, usize)> {
        let named = self.entries.cells.iter();
        let all = named.map(|(_, entry)| (entry.name.as_str(), entry.value.len()));
        all.filter(|(name, _)| !is_wildcard(name))
    }

    /// The same from a place on, in the order of places, each with its own; patterns' places come
    /// without a name, so that whoever looks at many can stop.
    pub fn places_from(&self, from: u32) -> impl Iterator<Item = (u32, Option<(&str, usize)>)> {
        self.entries.cells.iter_from(from).map(|(place, entry)| {
            let name = entry.name.as_str();
            (place, (!is_wildcard(name)).then(|| (name, entry.value.len())))
        })
    }

    /// How many topics have subscribers by name.
    pub fn topic_count(&self) -> usize {
        self.entries.cells.len() - self.patterns
    }

    /// How many patterns have subscribers.
    pub fn pattern_count(&self) -> usize {
        self.patterns
    }

    /// Steps that matching has cost so far, for who shares out a shard's time.
    pub fn steps(&self) -> u64 {
        self.trie.steps()
    }

    /// Bytes of heap held, as asked of the allocator.
    pub fn heap_bytes(&self) -> usize {
        self.entries.heap_bytes()
            + self.connections.heap_bytes()
            + self.lists_bytes
            + self.trie.heap_bytes()
            + self.cache.heap_bytes()
            + self.found.capacity() * size_of::<u32>()
    }

    /// Where `entry` stands in the list of `conn`; scans the shorter of the two lists.
    fn position(&self, conn: u32, entry: u32) -> Option<usize> {
        let subscriptions = self.connections.get(conn)?;
        let subscribers = &self.entries.cells[entry].value;
        if subscriptions.len() <= subscribers.len() {
            subscriptions.iter().position(|subscription| subscription.entry == entry)
        } else {
            let found = subscribers.iter().find(|subscriber| subscriber.conn == conn);
            found.map(|subscriber| subscriber.back as usize)
        }
    }

    /// Ends the subscription at `at` in the list of `conn`, on both sides.
    fn remove_at(&mut self, conn: u32, at: usize, on_removed: &mut impl FnMut(Removed<'_>)) {
        let subscriptions = &mut self.connections[conn];
        let subscription = subscriptions.swap_remove(at, &mut self.lists_bytes);
        if let Some(moved) = subscriptions.get(at) {
            self.entries.cells[moved.entry].value[moved.back as usize].back = at as u32;
        }
        if subscriptions.is_empty() {
            self.connections.remove(conn);
        }
        self.leave(subscription, on_removed);
    }

    /// Takes a subscription off its entry's list, and the entry away with the last.
    fn leave(&mut self, subscription: Subscription, on_removed: &mut impl FnMut(Removed<'_>)) {
        let at = subscription.back as usize;
        let entry = &mut self.entries.cells[subscription.entry];
        entry.value.swap_remove(at, &mut self.lists_bytes);
        if let Some(moved) = entry.value.get(at) {
            self.connections[moved.conn][moved.back as usize].back = at as u32;
        }
        let last = entry.value.is_empty();
        let pattern = entry.name.as_str();
        let is_wildcard = is_wildcard(pattern);
        on_removed(Removed { pattern, is_wildcard, last });
        if !last {
            return;
        }
        if is_wildcard {
            self.forget_pattern(subscription.entry);
        }
        self.entries.remove(subscription.entry);
    }

    /// Takes a pattern that lost its last subscriber out of what matches.
    fn forget_pattern(&mut self, entry: u32) {
        let pattern = self.entries.cells[entry].name.as_str();
        self.trie.remove(pattern);
        self.patterns -= 1;
        if self.patterns == 0 {
            self.cache.clear();
        } else {
            self.cache.touch(pattern);
        }
        if self.found.capacity() > self.patterns * 4 {
            self.found = Vec::new();
        }
    }

    /// The patterns that have subscribers, in no order.
    pub fn patterns(&self) -> impl Iterator<Item = &str> {
        let names = self.entries.cells.iter().map(|(_, entry)| entry.name.as_str());
        names.filter(|name| is_wildcard(name))
    }

    /// The connections with a subscription, in rising order.
    pub(super) fn connections(&self) -> impl Iterator<Item = u32> {
        self.connections.iter().map(|(conn, _)| conn)
    }

    /// Asserts that both sides of every subscription tell the same story, and trie and counts too.
    ///
    /// For tests; O(everything).
    #[doc(hidden)]
    pub fn check(&self) {
        let mut links = 0;
        let mut lists_bytes = 0;
        for (conn, list) in self.connections.iter() {
            assert!(!list.is_empty(), "connection {conn} has an empty list");
            lists_bytes += list.heap_bytes();
            links += list.len();
            for (at, subscription) in list.iter().enumerate() {
                let other = &self.entries.cells[subscription.entry].value;
                let other = other[subscription.back as usize];
                assert_eq!((other.conn, other.back as usize), (conn, at));
            }
        }
        for (_, entry) in self.entries.cells.iter() {
            assert!(!entry.value.is_empty(), "{} is nobody's", entry.name.as_str());
            lists_bytes += entry.value.heap_bytes();
            links -= entry.value.len();
        }
        assert_eq!((links, lists_bytes), (0, self.lists_bytes));
        self.entries.check();
        let named = self.entries.cells.iter().map(|(id, entry)| (entry.name.as_str(), id));
        let patterns = self.trie.check(named.filter(|(name, _)| is_wildcard(name)));
        assert_eq!(patterns, self.patterns);
    }
}

/// The subscribers of a published topic: one slice for each entry that matches, none twice.
///
/// A connection stands in several slices if several of its subscriptions match.
pub struct Matches<'a> {
    entries: &'a Names<List<Subscriber>>,
    exact: Option<u32>,
    patterns: std::slice::Iter<'a, u32>,
}

impl<'a> Iterator for Matches<'a> {
    type Item = &'a [Subscriber];

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.exact.take().or_else(|| self.patterns.next().copied())?;
        Some(&self.entries.cells[entry].value)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = usize::from(self.exact.is_some()) + self.patterns.len();
        (len, Some(len))
    }
}

impl ExactSizeIterator for Matches<'_> {}

/// Whether a well-formed pattern has a wildcard: a `*` never is a part of a segment.
fn is_wildcard(pattern: &str) -> bool {
    pattern.as_bytes().contains(&b'*')
}

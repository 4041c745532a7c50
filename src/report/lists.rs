//! Lists: a page that is asked of one shard after the other, from a place on, until it is full.
//!
//! A topic with subscribers on several shards is listed once, with the subscribers of all: by the
//! lowest of them. So a page of topics takes two questions, which topics this shard has and how many
//! subscribers the others have for them.

use super::text::{self, Text};
use super::{Cursor, Page};
use crate::audience::Audience;
use crate::interest::ShardSet;
use crate::limits::{LIST_BYTES_MAX, LIST_STEPS_MAX};
use crate::query::{ConnectionFacts, Found, Query};

/// What is to be asked next, and whom.
pub(super) type Question = (Query, ShardSet);

/// How far a page has come.
#[derive(Debug)]
struct Walk {
    /// Where it goes on; `None` at the end of the list.
    at: Option<Cursor>,
    /// The shard that was asked last.
    shard: u8,
    left: u16,
    bytes: usize,
    steps: usize,
}

impl Walk {
    fn new(page: Page) -> Self {
        let at = page.cursor.unwrap_or(Cursor { shard: 0, index: 0 });
        Self { at: Some(at), shard: at.shard, left: page.limit, bytes: 0, steps: 0 }
    }

    /// Where to ask next; `None`: the page is as full as it gets.
    fn place(&self) -> Option<Cursor> {
        let goes_on = self.left > 0 && self.bytes <= LIST_BYTES_MAX && self.steps < LIST_STEPS_MAX;
        self.at.filter(|_| goes_on)
    }

    /// The shard that was asked goes on at `next`, or is at its end.
    fn took(&mut self, next: Option<u32>, shards: u8) {
        let following = self.shard + 1;
        let begins = (following < shards).then_some(Cursor { shard: following, index: 0 });
        self.at = next.map(|index| Cursor { shard: self.shard, index }).or(begins);
        self.steps += 1;
    }

    fn count(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(1);
        self.bytes += bytes;
    }

    /// Ends the list's text.
    fn end(&self, text: &mut Text) {
        let next = self.at.map(|at| at.to_string());
        text.close(']').key("next").name(next.as_deref()).close('}');
    }
}

/// A page of connections.
#[derive(Debug)]
pub(super) struct ConnectionList {
    of: Audience,
    walk: Walk,
    items: Vec<ConnectionFacts>,
}

impl ConnectionList {
    pub(super) fn new(of: Audience, page: Page) -> Self {
        Self { of, walk: Walk::new(page), items: Vec::new() }
    }

    /// The first question; of a shard that may not be there.
    pub(super) fn first(&self) -> Question {
        let at = self.walk.at.unwrap_or(Cursor { shard: 0, index: 0 });
        self.question(at)
    }

    fn question(&self, at: Cursor) -> Question {
        let query =
            Query::Connections { of: self.of.clone(), from: at.index, limit: self.walk.left };
        (query, ShardSet::only(at.shard))
    }

    /// Takes what was told; what is to be asked next, if anything.
    pub(super) fn told(&mut self, parts: Vec<(u8, Found)>, shards: u8) -> Option<Question> {
        let mut end = None;
        for (_, found) in parts {
            let Found::Connections { items, next } = found else { continue };
            for facts in items {
                let texts = facts.subscriptions.iter().chain(&facts.roles);
                self.walk.count(texts.map(|text| text.len()).sum());
                self.items.push(facts);
            }
            end = next;
        }
        self.walk.took(end, shards);
        let at = self.walk.place()?;
        self.walk.shard = at.shard;
        Some(self.question(at))
    }

    pub(super) fn text(&self) -> Text {
        let mut text = Text::default();
        text.open('{').key("items").open('[');
        for facts in &self.items {
            text::connection(&mut text, facts);
        }
        self.walk.end(&mut text);
        text
    }
}

/// A page of topics.
#[derive(Debug)]
pub(super) struct TopicList {
    prefix: Box<str>,
    walk: Walk,
    items: Vec<(Box<str>, u64)>,
    /// What a shard has, while the others are asked.
    found: Vec<(Box<str>, u64)>,
    /// Whether they are.
    asks_others: bool,
    /// Where that shard goes on.
    end: Option<u32>,
}

impl TopicList {
    pub(super) fn new(prefix: Box<str>, page: Page) -> Self {
        let (items, found) = (Vec::new(), Vec::new());
        Self { prefix, walk: Walk::new(page), items, found, asks_others: false, end: None }
    }

    /// The first question; of a shard that may not be there.
    pub(super) fn first(&self) -> Question {
        let at = self.walk.at.unwrap_or(Cursor { shard: 0, index: 0 });
        self.question(at)
    }

    fn question(&self, at: Cursor) -> Question {
        let (limit, prefix) = (self.walk.left, self.prefix.clone());
        (Query::Topics { from: at.index, limit, prefix }, ShardSet::only(at.shard))
    }

    /// Takes what was told; what is to be asked next, if anything.
    pub(super) fn told(&mut self, parts: Vec<(u8, Found)>, shards: u8) -> Option<Question> {
        for (shard, found) in parts {
            match found {
                Found::Topics { items, next } => (self.found, self.end) = (items, next),
                Found::Subscribers(counts) => self.count(shard, &counts),
                _ => {}
            }
        }
        let others = ShardSet::all(shards).without(self.walk.shard);
        let is_whole = std::mem::take(&mut self.asks_others);
        if !is_whole && !self.found.is_empty() && !others.is_empty() {
            self.asks_others = true;
            let names = self.found.iter().map(|(name, _)| name.clone()).collect();
            return Some((Query::Subscribers(names), others));
        }
        for (name, subscribers) in std::mem::take(&mut self.found) {
            // None: a lower shard has listed it.
            if subscribers > 0 {
                self.walk.count(name.len());
                self.items.push((name, subscribers));
            }
        }
        self.walk.took(self.end, shards);
        let at = self.walk.place()?;
        self.walk.shard = at.shard;
        Some(self.question(at))
    }

    /// Takes how many subscribers another shard has for the topics found.
    fn count(&mut self, shard: u8, counts: &[u64]) {
        for ((_, subscribers), there) in self.found.iter_mut().zip(counts) {
            if shard < self.walk.shard && *there > 0 {
                *subscribers = 0;
            } else if *subscribers > 0 {
                *subscribers += there;
            }
        }
    }

    /// Names, and how many subscribers each has.
    pub(super) fn items(&self) -> &[(Box<str>, u64)] {
        &self.items
    }

    pub(super) fn text(&self) -> Text {
        let mut text = Text::default();
        text.open('{').key("items").open('[');
        for (name, subscribers) in &self.items {
            text.open('{').key("topic").string(name);
            text.key("subscribers").number(*subscribers).close('}');
        }
        self.walk.end(&mut text);
        text
    }
}

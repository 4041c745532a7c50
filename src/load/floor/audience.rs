//! Who hears a topic of the floor.
//!
//! Not timed, so plain: names in a map, patterns in a list, and what came of both remembered until
//! someone joins or leaves.

use std::collections::HashMap;

use crate::topic::matches;

/// Subscriptions of the floor's guests, by name or pattern.
#[derive(Debug, Default)]
pub(super) struct Audience {
    names: HashMap<Box<str>, Vec<u32>>,
    patterns: Vec<(Box<str>, u32)>,
    /// Guests by topic, ascending, each once.
    remembered: HashMap<Box<str>, Vec<u32>>,
}

impl Audience {
    /// A guest will hear a topic, or all that match a pattern.
    pub(super) fn join(&mut self, guest: u32, pattern: &str) {
        if is_wildcard(pattern) {
            self.patterns.push((pattern.into(), guest));
            self.remembered.clear();
        } else {
            self.names.entry(pattern.into()).or_default().push(guest);
            self.remembered.remove(pattern);
        }
    }

    /// A guest will hear nothing. Linear in all subscriptions.
    pub(super) fn leave_all(&mut self, guest: u32) {
        self.patterns.retain(|(_, whose)| *whose != guest);
        self.names.retain(|_, guests| {
            guests.retain(|one| *one != guest);
            !guests.is_empty()
        });
        self.remembered.clear();
    }

    /// Who hears a topic, ascending, each once.
    pub(super) fn of(&mut self, topic: &str) -> &[u32] {
        if !self.remembered.contains_key(topic) {
            let by_name = self.names.get(topic).into_iter().flatten().copied();
            let matching = self.patterns.iter().filter(|(pattern, _)| matches(pattern, topic));
            let mut guests: Vec<u32> = by_name.chain(matching.map(|(_, guest)| *guest)).collect();
            guests.sort_unstable();
            guests.dedup();
            self.remembered.insert(topic.into(), guests);
        }
        &self.remembered[topic]
    }
}

fn is_wildcard(pattern: &str) -> bool {
    pattern.split('.').any(|segment| matches!(segment, "*" | "**"))
}

//! What matched before: the patterns of lately published topics.
//!
//! Owns a fixed number of slots, each topic having one by its hash, so no flood of names makes it
//! grow; [`super::Topics`] alone calls it, and only while there are patterns. What it says is
//! always right: a pattern that comes or goes leaves the time at the part of the name-space it
//! could touch, and a slot filled before that time counts for nothing. A topic is remembered when
//! it is asked for the second time, so names that never return cost a store of their hash.

use smallvec::SmallVec;

use super::names::Name;
use super::slab::Slab;
use crate::limits::{MATCH_CACHE_PATTERNS_MAX, MATCH_CACHE_SLOTS};
use crate::topic::{first_segment, name_hash};

/// Parts of the name-space that are told apart.
const PARTS: usize = 1024;

const _: () = assert!(MATCH_CACHE_SLOTS.is_power_of_two());

/// What is remembered of one topic.
#[derive(Default)]
struct Slot {
    /// The hash of the topic seen here last.
    hash: u64,
    /// When the slot was filled; 0: it was not.
    filled: u64,
    /// Where the topic's name shows in `changed`.
    parts: [u16; 3],
    topic: Name,
    patterns: SmallVec<[u32; 4]>,
}

impl Slot {
    fn heap_bytes(&self) -> usize {
        let list = if self.patterns.spilled() { self.patterns.capacity() } else { 0 };
        self.topic.heap_bytes() + list * size_of::<u32>()
    }
}

/// The cache. Its time is the count of changes.
#[derive(Default)]
pub(super) struct Cache {
    slots: Slab<Slot>,
    now: u64,
    /// When a pattern of that part last came or went; empty while nothing is remembered.
    changed: Vec<u64>,
    /// The same of patterns that could match in any part.
    changed_anywhere: u64,
    /// Bytes of heap behind the slots.
    slots_heap: usize,
}

impl Cache {
    /// The slot that holds the patterns that match `topic`, if they are remembered.
    pub(super) fn find(&self, topic: &str, hash: u64) -> Option<u32> {
        let number = slot_of(hash);
        let slot = self.slots.get(number)?;
        let right = slot.hash == hash
            && slot.filled > self.changed_anywhere
            && slot.parts.iter().all(|&part| slot.filled > self.changed[usize::from(part)])
            && slot.topic.is(topic);
        right.then_some(number)
    }

    /// The entries of the patterns in a slot that was just found.
    pub(super) fn patterns(&self, slot: u32) -> &[u32] {
        &self.slots[slot].patterns
    }

    /// Takes note that `patterns` match `topic`.
    pub(super) fn put(&mut self, topic: &str, hash: u64, patterns: &[u32]) {
        if self.changed.is_empty() {
            self.changed = vec![0; PARTS];
        }
        let slot = self.slots.occupy(slot_of(hash));
        if slot.hash == hash && patterns.len() > MATCH_CACHE_PATTERNS_MAX {
            return;
        }
        self.slots_heap -= slot.heap_bytes();
        if slot.hash == hash {
            *slot = Slot {
                hash,
                filled: self.now + 1,
                parts: parts_of_topic(topic),
                topic: Name::new(topic),
                patterns: SmallVec::from_slice(patterns),
            };
        } else {
            *slot = Slot { hash, ..Slot::default() };
        }
        self.slots_heap += slot.heap_bytes();
    }

    /// A pattern came or went: what it could match is forgotten.
    pub(super) fn touch(&mut self, pattern: &str) {
        self.now += 1;
        match part_of_pattern(pattern) {
            Some(part) => {
                if let Some(changed) = self.changed.get_mut(usize::from(part)) {
                    *changed = self.now;
                }
            }
            None => self.changed_anywhere = self.now,
        }
    }

    /// Forgets everything and gives the room back.
    pub(super) fn clear(&mut self) {
        *self = Self { now: self.now, changed_anywhere: self.now, ..Self::default() };
    }

    /// Bytes of heap held.
    pub(super) fn heap_bytes(&self) -> usize {
        self.slots.heap_bytes() + self.slots_heap + self.changed.capacity() * size_of::<u64>()
    }
}

fn slot_of(hash: u64) -> u32 {
    (hash % MATCH_CACHE_SLOTS as u64) as u32
}

/// The three parts by which a pattern that matches `topic` can be known: its first segment, its
/// first two, its last.
fn parts_of_topic(topic: &str) -> [u16; 3] {
    let last = topic.rsplit('.').next().unwrap_or(topic);
    [part(first_segment(topic)), part(first_two(topic)), last_part(last)]
}

/// The narrowest part that holds all that `pattern` could match; `None`: it could be anywhere.
fn part_of_pattern(pattern: &str) -> Option<u16> {
    let is_literal = |segment: &str| !matches!(segment, "*" | "**");
    let first = first_segment(pattern);
    let last = pattern.rsplit('.').next().unwrap_or(pattern);
    if is_literal(first) {
        let two = first_two(pattern);
        let second = &two[(first.len() + 1).min(two.len())..];
        // A topic of one segment has it for its first two as well; such a pattern is longer.
        Some(part(if is_literal(second) { two } else { first }))
    } else if is_literal(last) {
        Some(last_part(last))
    } else {
        None
    }
}

/// `name` up to its second dot.
fn first_two(name: &str) -> &str {
    let first = first_segment(name).len();
    name.get(first + 1..).map_or(name, |rest| &name[..=first + first_segment(rest).len()])
}

fn part(text: &str) -> u16 {
    (name_hash(text) % PARTS as u64) as u16
}

/// First and last segments of one text have places of their own.
fn last_part(text: &str) -> u16 {
    ((name_hash(text) >> 32) % PARTS as u64) as u16
}

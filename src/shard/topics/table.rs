//! A hash table of slab numbers that grows in small steps.
//!
//! A table of a million entries that doubles at once stands still for tens of milliseconds, as each
//! entry's hash is read from its cell, a missed load each. So a table that is no longer small is
//! kept in parts, each with its share of the hashes, and each grows and shrinks by itself.
//! [`super::names`] and the trie keep their numbers so, and `people.rs` its users.

use hashbrown::HashTable;

/// Parts of a table that is not small.
const PARTS: usize = 256;
/// Entries of a table that is one part.
const WHOLE_MAX: usize = 4096;
/// Entries at which it becomes one part again.
const WHOLE_AGAIN: usize = 512;

/// The table; every method gets the hash of an entry as it was inserted.
#[derive(Default)]
pub(in crate::shard) struct Table {
    /// One part, [`PARTS`] of them, or none while there is no entry.
    parts: Vec<HashTable<u32>>,
    len: usize,
}

impl Table {
    /// The number that `is` says yes to, among those of this hash.
    pub(in crate::shard) fn find(&self, hash: u64, is: impl Fn(u32) -> bool) -> Option<u32> {
        self.parts.get(self.part_of(hash))?.find(hash, |&id| is(id)).copied()
    }

    /// Adds a number that is not there yet; `hasher` says the hash of one that is.
    pub(in crate::shard) fn insert(&mut self, hash: u64, id: u32, hasher: impl Fn(u32) -> u64) {
        if self.parts.is_empty() {
            self.parts = vec![HashTable::new()];
        } else if self.len == WHOLE_MAX && self.parts.len() == 1 {
            self.split_into(PARTS, &hasher);
        }
        let part = self.part_of(hash);
        self.parts[part].insert_unique(hash, id, |&id| hasher(id));
        self.len += 1;
    }

    /// Removes a number, and gives room back once seven eighths of its part lie idle; O(1) amortised
    /// over removals.
    ///
    /// # Panics
    /// When it is not there.
    pub(in crate::shard) fn remove(&mut self, hash: u64, id: u32, hasher: impl Fn(u32) -> u64) {
        let at = self.part_of(hash);
        let part = &mut self.parts[at];
        part.find_entry(hash, |&other| other == id).expect("a number in use").remove();
        self.len -= 1;
        if part.len() * 8 <= part.capacity() {
            part.shrink_to(part.len() * 2, |&id| hasher(id));
        }
        if self.len == 0 {
            self.parts = Vec::new();
        } else if self.len == WHOLE_AGAIN && self.parts.len() > 1 {
            self.split_into(1, &hasher);
        }
    }

    /// Entries.
    pub(in crate::shard) fn len(&self) -> usize {
        self.len
    }

    /// Bytes of heap held.
    pub(in crate::shard) fn heap_bytes(&self) -> usize {
        let parts: usize = self.parts.iter().map(HashTable::allocation_size).sum();
        parts + self.parts.capacity() * size_of::<HashTable<u32>>()
    }

    /// The part takes bits that neither the place in it nor the tag there is made of, as long as
    /// a part has no more than 2¹⁷ places.
    fn part_of(&self, hash: u64) -> usize {
        if self.parts.len() > 1 { (hash >> 49) as usize % PARTS } else { 0 }
    }

    /// Puts every entry into its part of so many.
    fn split_into(&mut self, parts: usize, hasher: &impl Fn(u32) -> u64) {
        let before = std::mem::take(&mut self.parts);
        self.parts = (0..parts).map(|_| HashTable::new()).collect();
        for id in before.into_iter().flatten() {
            let hash = hasher(id);
            let part = self.part_of(hash);
            self.parts[part].insert_unique(hash, id, |&id| hasher(id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the hash of a name is: the low half in both.
    fn hash(id: u32) -> u64 {
        let low = u64::from(id).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        low << 32 | low
    }

    #[test]
    fn finds_what_is_there_while_it_grows_and_shrinks() {
        let mut table = Table::default();
        let most = 4 * WHOLE_MAX as u32;
        for id in 0..most {
            table.insert(hash(id), id, hash);
        }
        assert_eq!((table.parts.len(), table.len()), (PARTS, most as usize));
        let fullest = table.parts.iter().map(HashTable::len).max().unwrap();
        assert!(fullest < 4 * most as usize / PARTS, "{fullest} entries are in one part");
        for removed in 0..most {
            let there = |id| table.find(hash(id), |other| other == id) == Some(id);
            assert!(there(removed) && there(most - 1) && (removed == 0 || !there(removed - 1)));
            table.remove(hash(removed), removed, hash);
            let whole = table.len() <= WHOLE_AGAIN;
            assert!(table.parts.len() <= if whole { 1 } else { PARTS });
        }
        assert_eq!((table.len(), table.heap_bytes()), (0, 0));
    }

    #[test]
    fn coming_and_going_at_the_border_splits_once() {
        let mut table = Table::default();
        for id in 0..WHOLE_MAX as u32 {
            table.insert(hash(id), id, hash);
        }
        assert_eq!(table.parts.len(), 1);
        for _ in 0..3 {
            table.insert(hash(u32::MAX), u32::MAX, hash);
            assert_eq!(table.parts.len(), PARTS);
            table.remove(hash(u32::MAX), u32::MAX, hash);
        }
    }
}

//! Who lost its transport and may come back: how many, who first, and in which rooms.
//!
//! A ghost keeps its place in the topic index, so that nothing has to be subscribed anew when it
//! comes back; whoever counts the members of a room takes off those that are ghosts. Bounded: the
//! oldest make room. Contract: protocols.md section 5.

use std::collections::BTreeMap;

use ahash::AHashMap;

/// The ghosts of one shard.
#[derive(Debug, Default)]
pub(in crate::shard) struct Ghosts {
    /// Their slots, in the order they lost their transports.
    slots: BTreeMap<u64, u32>,
    next: u64,
    /// How many are in each room.
    rooms: AHashMap<Box<str>, u32>,
}

impl Ghosts {
    /// One more, in these rooms; gives the number by which it is removed.
    pub(in crate::shard) fn insert<'r>(
        &mut self,
        slot: u32,
        rooms: impl Iterator<Item = &'r str>,
    ) -> u64 {
        for room in rooms {
            match self.rooms.get_mut(room) {
                Some(count) => *count += 1,
                None => _ = self.rooms.insert(room.into(), 1),
            }
        }
        let number = self.next;
        self.next += 1;
        self.slots.insert(number, slot);
        number
    }

    /// One less, in these rooms.
    pub(in crate::shard) fn remove<'r>(
        &mut self,
        number: u64,
        rooms: impl Iterator<Item = &'r str>,
    ) {
        let removed = self.slots.remove(&number);
        debug_assert!(removed.is_some(), "ghost {number} is not there");
        rooms.for_each(|room| self.leave(room));
        if self.slots.is_empty() {
            self.rooms.shrink_to_fit();
        }
    }

    /// One of them is in a room no longer.
    pub(in crate::shard) fn leave(&mut self, room: &str) {
        let Some(count) = self.rooms.get_mut(room) else { return };
        *count -= 1;
        if *count == 0 {
            self.rooms.remove(room);
        }
    }

    /// Puts one behind all others; gives its new number.
    pub(in crate::shard) fn renew(&mut self, number: u64) -> u64 {
        let Some(slot) = self.slots.remove(&number) else { return number };
        let number = self.next;
        self.next += 1;
        self.slots.insert(number, slot);
        number
    }

    /// The slot of who lost its transport first.
    pub(in crate::shard) fn oldest(&self) -> Option<u32> {
        self.slots.first_key_value().map(|(_, slot)| *slot)
    }

    /// How many of them are in a room.
    pub(in crate::shard) fn count_in(&self, room: &str) -> usize {
        self.rooms.get(room).map_or(0, |count| *count as usize)
    }

    /// How many there are.
    pub(in crate::shard) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Their slots, the oldest first.
    pub(in crate::shard) fn slots(&self) -> impl Iterator<Item = u32> {
        self.slots.values().copied()
    }

    /// Asserts that the rooms are those of the ghosts, as `rooms_of` a slot tells them.
    pub(in crate::shard) fn check<'r, R: Iterator<Item = &'r str>>(
        &self,
        rooms_of: impl Fn(u32) -> R,
    ) {
        let mut counts = BTreeMap::<&str, u32>::new();
        for room in self.slots().flat_map(rooms_of) {
            *counts.entry(room).or_default() += 1;
        }
        assert_eq!(counts.len(), self.rooms.len());
        assert!(counts.iter().all(|(room, count)| self.rooms.get(*room) == Some(count)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ghosts_are_counted_by_room_and_found_by_age() {
        let mut ghosts = Ghosts::default();
        let first = ghosts.insert(7, ["a", "b"].into_iter());
        let second = ghosts.insert(3, ["b"].into_iter());
        let rooms = |slot| if slot == 7 { vec!["a", "b"] } else { vec!["b"] };
        ghosts.check(|slot| rooms(slot).into_iter());
        assert_eq!((ghosts.len(), ghosts.oldest(), ghosts.count_in("b")), (2, Some(7), 2));
        let renewed = ghosts.renew(first);
        assert_eq!(ghosts.oldest(), Some(3));
        ghosts.remove(second, ["b"].into_iter());
        assert_eq!((ghosts.count_in("a"), ghosts.count_in("b")), (1, 1));
        ghosts.leave("a");
        ghosts.remove(renewed, ["b"].into_iter());
        assert_eq!((ghosts.len(), ghosts.oldest(), ghosts.count_in("b")), (0, None, 0));
        ghosts.check(|_| [].into_iter());
    }
}

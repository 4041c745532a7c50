//! A list of eight-byte links: two in place, more on the heap, grown by a quarter at a time.
//!
//! Both sides of a subscription are such lists: an entry's subscribers and a connection's
//! subscriptions. Order is of no meaning, so removal is a swap with the last. Room that is no
//! longer used goes back to the allocator, with enough slack that no run of pushes and removals
//! pays more than a constant per step.

use std::ops::{Deref, DerefMut};

use smallvec::SmallVec;

/// Items held in place: with the union layout, the room a pointer and a length need anyway.
const INLINE: usize = 2;

/// The list; `heap` in its methods is the owner's running count of heap bytes of all its lists.
pub(super) struct List<T>(SmallVec<[T; INLINE]>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(SmallVec::new())
    }
}

impl<T> List<T> {
    /// Appends; O(1) amortised.
    pub(super) fn push(&mut self, item: T, heap: &mut usize) {
        let len = self.0.len();
        if len == self.0.capacity() {
            self.resize(len + (len / 4).max(INLINE), heap);
        }
        self.0.push(item);
    }

    /// Removes the item at `at` and puts the last in its place; O(1) amortised.
    pub(super) fn swap_remove(&mut self, at: usize, heap: &mut usize) -> T {
        let item = self.0.swap_remove(at);
        let len = self.0.len();
        if self.0.spilled() && len * 2 <= self.0.capacity() {
            self.resize(len + len / 4, heap);
        }
        item
    }

    fn resize(&mut self, capacity: usize, heap: &mut usize) {
        *heap -= self.heap_bytes();
        self.0.grow(capacity);
        *heap += self.heap_bytes();
    }

    /// Bytes of heap behind the list.
    pub(super) fn heap_bytes(&self) -> usize {
        if self.0.spilled() { self.0.capacity() * size_of::<T>() } else { 0 }
    }
}

impl<T> Deref for List<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> DerefMut for List<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

//! A vector that never moves: pages of a fixed size, found by number.
//!
//! What a shard keeps for each slot stands in such vectors, so that a million connections come
//! without a copy of what is there. Pages are never given back: they serve the next connections.

use std::ops::{Index, IndexMut};

/// Items of one page.
pub const PAGE: usize = 256;

/// Items by number.
#[derive(Debug)]
pub struct Pages<T>(Vec<Box<[T; PAGE]>>);

impl<T> Default for Pages<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Pages<T> {
    /// Adds pages until there is an item `at`; new ones are made by `fill`.
    pub fn reach(&mut self, at: u32, fill: impl Fn() -> T) {
        while self.len() <= at as usize {
            let page: Box<[T]> = (0..PAGE).map(|_| fill()).collect();
            self.0.push(page.try_into().unwrap_or_else(|_| unreachable!("it is of that size")));
        }
    }

    /// Items there are, used or not.
    pub fn len(&self) -> usize {
        self.0.len() * PAGE
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The item of this number, where there is one.
    #[inline]
    pub fn get(&self, at: u32) -> Option<&T> {
        Some(&self.0.get(at as usize / PAGE)?[at as usize % PAGE])
    }

    /// The item of this number, where there is one.
    #[inline]
    pub fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        Some(&mut self.0.get_mut(at as usize / PAGE)?[at as usize % PAGE])
    }

    /// All items with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        (0..).zip(self.0.iter().flat_map(|page| page.iter()))
    }

    /// Bytes of heap held; what the items own is not counted.
    pub fn heap_bytes(&self) -> usize {
        self.len() * size_of::<T>() + self.0.capacity() * size_of::<Box<[T; PAGE]>>()
    }
}

impl<T> Index<u32> for Pages<T> {
    type Output = T;

    #[inline]
    fn index(&self, at: u32) -> &T {
        &self.0[at as usize / PAGE][at as usize % PAGE]
    }
}

impl<T> IndexMut<u32> for Pages<T> {
    #[inline]
    fn index_mut(&mut self, at: u32) -> &mut T {
        &mut self.0[at as usize / PAGE][at as usize % PAGE]
    }
}

//! A slab: values under small numbers that stay theirs, in pages of 64 that come and go.
//!
//! Owns the values of the topic index (its entries, its trie nodes and each connection's list), the
//! links of `people.rs` and what `slot.rs` keeps of those whose rate is limited.
//! A page is never moved and is given back when its last value leaves; there is no doubling, so
//! nothing is copied and at most a part of one page lies idle. New values go to the lowest free
//! number, which lets the pages of a past peak empty and return to the allocator.

use std::array;
use std::ops::{Index, IndexMut};

/// Values of one page: a bit each in the page's word.
const PAGE: usize = u64::BITS as usize;

struct Page<T> {
    /// A bit for each cell that holds a value.
    live: u64,
    /// Absent while no cell is live.
    cells: Option<Box<[T; PAGE]>>,
}

/// Numbered values. A cell without a value holds `T::default()`, which should own no memory.
pub(in crate::shard) struct Slab<T> {
    pages: Vec<Page<T>>,
    /// A bit for each page whose every cell is live; pages behind its end are not full.
    full: Vec<u64>,
    /// No word of `full` before this one has a zero bit.
    low: usize,
    len: usize,
    pages_held: usize,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { pages: Vec::new(), full: Vec::new(), low: 0, len: 0, pages_held: 0 }
    }
}

impl<T: Default> Slab<T> {
    /// Stores `value` under the lowest free number (near enough: lowest free page first).
    pub(in crate::shard) fn insert(&mut self, value: T) -> u32 {
        while self.full.get(self.low) == Some(&u64::MAX) {
            self.low += 1;
        }
        let word = self.full.get(self.low).copied().unwrap_or(0);
        let page = self.low * PAGE + word.trailing_ones() as usize;
        let live = self.pages.get(page).map_or(0, |page| page.live);
        let at = (page * PAGE + live.trailing_ones() as usize) as u32;
        *self.occupy(at) = value;
        at
    }

    /// The value under `at`, made by default if there was none.
    pub(in crate::shard) fn occupy(&mut self, at: u32) -> &mut T {
        let (number, cell) = split(at);
        if number >= self.pages.len() {
            self.pages.resize_with(number + 1, || Page { live: 0, cells: None });
        }
        let page = &mut self.pages[number];
        if page.live >> cell & 1 == 0 {
            page.live |= 1 << cell;
            self.len += 1;
            self.pages_held += usize::from(page.cells.is_none());
            if page.live == u64::MAX {
                let word = number / PAGE;
                if word >= self.full.len() {
                    self.full.resize(word + 1, 0);
                }
                self.full[word] |= 1 << (number % PAGE);
            }
        }
        let cells = page.cells.get_or_insert_with(|| Box::new(array::from_fn(|_| T::default())));
        &mut cells[cell]
    }

    /// Takes the value under `at` out, if there is one.
    pub(in crate::shard) fn remove(&mut self, at: u32) -> Option<T> {
        let (number, cell) = split(at);
        let page = self.pages.get_mut(number)?;
        if page.live >> cell & 1 == 0 {
            return None;
        }
        let value = page.cells.as_mut().map(|cells| std::mem::take(&mut cells[cell]));
        if page.live == u64::MAX {
            self.full[number / PAGE] &= !(1 << (number % PAGE));
            self.low = self.low.min(number / PAGE);
        }
        page.live &= !(1 << cell);
        self.len -= 1;
        if page.live == 0 {
            page.cells = None;
            self.pages_held -= 1;
            self.trim();
        }
        value
    }

    /// Drops the empty pages at the end, and the room for what is no longer there.
    fn trim(&mut self) {
        while self.pages.last().is_some_and(|page| page.live == 0) {
            self.pages.pop();
        }
        if self.pages.len() * 4 <= self.pages.capacity() {
            self.pages.shrink_to(self.pages.len() * 2);
            self.full.truncate(self.pages.len().div_ceil(PAGE));
            self.full.shrink_to(self.full.len() * 2);
            self.low = self.low.min(self.full.len());
        }
    }

    /// The value under `at`, if there is one.
    pub(in crate::shard) fn get(&self, at: u32) -> Option<&T> {
        let (number, cell) = split(at);
        let page = self.pages.get(number)?;
        if page.live >> cell & 1 == 0 {
            return None;
        }
        page.cells.as_ref().map(|cells| &cells[cell])
    }

    /// The same, to be changed.
    pub(in crate::shard) fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        let (number, cell) = split(at);
        let page = self.pages.get_mut(number)?;
        if page.live >> cell & 1 == 0 {
            return None;
        }
        page.cells.as_mut().map(|cells| &mut cells[cell])
    }

    /// All values with their numbers, in the order of these.
    pub(in crate::shard) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.iter_from(0)
    }

    /// The same from a number on; a step a page before it is not taken.
    pub(in crate::shard) fn iter_from(&self, from: u32) -> impl Iterator<Item = (u32, &T)> {
        let (first, _) = split(from);
        let behind = self.pages.iter().enumerate().skip(first);
        let all = behind.flat_map(|(number, page)| {
            page.cells.iter().flat_map(move |cells| {
                let live = cells.iter().enumerate().filter(|(cell, _)| page.live >> cell & 1 == 1);
                live.map(move |(cell, value)| ((number * PAGE + cell) as u32, value))
            })
        });
        all.skip_while(move |(at, _)| *at < from)
    }

    /// Calls `f` with every value.
    pub(in crate::shard) fn each_mut(&mut self, mut f: impl FnMut(&mut T)) {
        for page in &mut self.pages {
            for (cell, value) in
                page.cells.iter_mut().flat_map(|cells| cells.iter_mut().enumerate())
            {
                if page.live >> cell & 1 == 1 {
                    f(value);
                }
            }
        }
    }

    /// How many values there are.
    pub(in crate::shard) fn len(&self) -> usize {
        self.len
    }

    /// Bytes of heap held for pages; what the values own is not counted.
    pub(in crate::shard) fn heap_bytes(&self) -> usize {
        self.pages_held * size_of::<[T; PAGE]>()
            + self.pages.capacity() * size_of::<Page<T>>()
            + self.full.capacity() * size_of::<u64>()
    }
}

/// The value under a number that is known to hold one; panics if it does not have a page.
impl<T> Index<u32> for Slab<T> {
    type Output = T;

    fn index(&self, at: u32) -> &T {
        let (number, cell) = split(at);
        let cells = self.pages[number].cells.as_ref();
        &cells.expect("a number in use has its page")[cell]
    }
}

impl<T> IndexMut<u32> for Slab<T> {
    fn index_mut(&mut self, at: u32) -> &mut T {
        let (number, cell) = split(at);
        let cells = self.pages[number].cells.as_mut();
        &mut cells.expect("a number in use has its page")[cell]
    }
}

fn split(at: u32) -> (usize, usize) {
    (at as usize / PAGE, at as usize % PAGE)
}

//! Names and what is kept under them: a hash table of slab numbers.
//!
//! The topic index keeps its entries so, by topic or pattern, and the trie the texts of its
//! segments. A name of up to 22 bytes lies in its slab cell: finding one of those touches the
//! table and the cell, nothing else. The table gives its room back when it gets sparse.

use super::slab::Slab;
use super::table::Table;

/// Bytes of a name that are held in place; a longer one is a heap block of its own.
const SHORT: usize = 22;

/// A text, in place when short.
pub(super) enum Name {
    Short { len: u8, bytes: [u8; SHORT] },
    Long(Box<str>),
}

impl Default for Name {
    fn default() -> Self {
        Self::Short { len: 0, bytes: [0; SHORT] }
    }
}

impl Name {
    pub(super) fn new(text: &str) -> Self {
        if text.len() > SHORT {
            return Self::Long(text.into());
        }
        let mut bytes = [0; SHORT];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Self::Short { len: text.len() as u8, bytes }
    }

    pub(super) fn is(&self, text: &str) -> bool {
        self.as_bytes() == text.as_bytes()
    }

    /// The text; a short one is checked as UTF-8 again, some nanoseconds.
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Short { .. } => str::from_utf8(self.as_bytes()).expect("a name is made of a str"),
            Self::Long(text) => text,
        }
    }

    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Short { len, bytes } => &bytes[..usize::from(*len)],
            Self::Long(text) => text.as_bytes(),
        }
    }

    /// Bytes of heap behind the name.
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Self::Short { .. } => 0,
            Self::Long(text) => text.len(),
        }
    }
}

/// A name and its value.
#[derive(Default)]
pub(super) struct Named<T> {
    pub(super) name: Name,
    /// The low half of the name's hash: the table grows and shrinks without reading names.
    hash: u32,
    pub(super) value: T,
}

/// Values under names, each with a number that is its own as long as it stays.
pub(super) struct Names<T> {
    table: Table,
    pub(super) cells: Slab<Named<T>>,
    /// Bytes of heap of the long names.
    text_bytes: usize,
}

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self { table: Table::default(), cells: Slab::default(), text_bytes: 0 }
    }
}

impl<T: Default> Names<T> {
    /// The number of `name`; `hash` is its `topic::name_hash`.
    pub(super) fn find(&self, name: &str, hash: u64) -> Option<u32> {
        self.table.find(spread(hash as u32), |id| self.cells[id].name.is(name))
    }

    /// Adds `name`, which must not be there yet.
    pub(super) fn insert(&mut self, name: &str, hash: u64, value: T) -> u32 {
        let hash = hash as u32;
        let name = Name::new(name);
        self.text_bytes += name.heap_bytes();
        let id = self.cells.insert(Named { name, hash, value });
        let cells = &self.cells;
        self.table.insert(spread(hash), id, |id| spread(cells[id].hash));
        id
    }

    /// Removes what has the number `id`; panics if nothing has.
    pub(super) fn remove(&mut self, id: u32) -> Named<T> {
        let removed = self.cells.remove(id).expect("a name in use");
        self.text_bytes -= removed.name.heap_bytes();
        let cells = &self.cells;
        self.table.remove(spread(removed.hash), id, |id| spread(cells[id].hash));
        removed
    }

    /// Bytes of heap held; what the values own is not counted.
    pub(super) fn heap_bytes(&self) -> usize {
        self.table.heap_bytes() + self.cells.heap_bytes() + self.text_bytes
    }

    /// Asserts that table and slab agree.
    pub(super) fn check(&self) {
        assert_eq!(self.table.len(), self.cells.len());
        let mut text_bytes = 0;
        for (id, named) in self.cells.iter() {
            let hash = crate::topic::name_hash(named.name.as_str());
            assert_eq!(named.hash, hash as u32, "{}", named.name.as_str());
            assert_eq!(self.find(named.name.as_str(), hash), Some(id));
            text_bytes += named.name.heap_bytes();
        }
        assert_eq!(text_bytes, self.text_bytes);
    }
}

/// The table takes a place from a hash's low bits, and its tag and part from the highest.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

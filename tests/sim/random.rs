//! Where every choice of a run comes from: a seed, or the bytes that a fuzzer gives.
//!
//! The same source makes the same run, so a failure is replayed by its seed alone.

/// A source of choices.
pub enum Random {
    /// splitmix64.
    Seed(u64),
    /// Bytes in the order of the choices; all choices are 0 once they are used up.
    Bytes(std::vec::IntoIter<u8>),
}

impl Random {
    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        match self {
            Self::Seed(state) => {
                *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut mixed = *state;
                mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                (mixed ^ (mixed >> 31)) % bound
            }
            Self::Bytes(bytes) => {
                let mut number = 0;
                let mut covered = 1_u64;
                while covered < bound {
                    number = number << 8 | u64::from(bytes.next().unwrap_or(0));
                    covered = covered.saturating_mul(256);
                }
                number % bound
            }
        }
    }

    /// A number of a range.
    pub fn within(&mut self, range: std::ops::Range<u64>) -> u64 {
        range.start + self.below(range.end - range.start)
    }

    /// Yes, once in so many times.
    pub fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == times - 1
    }

    /// One of several.
    pub fn pick<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u64) as usize].clone()
    }

    /// A source of its own for another part of the run.
    pub fn fork(&mut self) -> Self {
        Self::Seed(self.below(1 << 32))
    }

    /// Whether a fuzzer's bytes are used up.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Bytes(bytes) if bytes.len() == 0)
    }
}

//! The system's random numbers, fetched in blocks: a call of the system for each name would be dear.
//! For the secret parts of names; each shard has its own.

use std::fmt;

use crate::sid::Secrets;

/// Bytes fetched at once.
const BLOCK_BYTES: usize = 1024;

/// A block of random bytes, each given out once.
pub(super) struct Random {
    block: [u8; BLOCK_BYTES],
    /// Bytes given out.
    used: usize,
}

impl Default for Random {
    fn default() -> Self {
        Self { block: [0; BLOCK_BYTES], used: BLOCK_BYTES }
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random")
    }
}

impl Secrets for Random {
    /// # Panics
    /// When the system has no random numbers: nothing that is a secret can be made then.
    fn fill(&mut self, out: &mut [u8]) {
        if self.used + out.len() > BLOCK_BYTES {
            getrandom::fill(&mut self.block).expect("the system has random numbers");
            self.used = 0;
        }
        let given = &mut self.block[self.used..self.used + out.len()];
        out.copy_from_slice(given);
        // Whoever reads the memory later finds none that is in use.
        given.fill(0);
        self.used += out.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_given_twice() {
        let mut random = Random::default();
        let mut given = std::collections::HashSet::new();
        for _ in 0..3 * BLOCK_BYTES / 16 {
            let mut out = [0; 16];
            random.fill(&mut out);
            assert!(given.insert(out));
        }
    }
}

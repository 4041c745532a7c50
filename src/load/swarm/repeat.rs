//! What many connections are sent alike is read once.
//!
//! Sans-io. A fan-out sends every subscriber the same bytes. What a read comes to depends on these
//! alone where no message was half there before it; so the next connection's read that is the same,
//! byte for byte, comes to the same. Every byte is looked at, but only compared. Kept is the last
//! read that brought nothing but whole deliveries: nothing else was told, nothing said back.
//!
//! Where hardly anything repeats (many rooms, a few members each) to keep a read is in vain: the
//! more often it was, the fewer are kept, until one is repeated again.

use std::mem;

use super::hearing::Told;

/// Bytes of a read that is kept; longer ones are read each by itself.
const READ_BYTES_MAX: usize = 64 << 10;

/// Reads in a row that were kept in vain, from which on the pauses grow no longer.
const IN_VAIN_MAX: u32 = 6;

/// The last read of deliveries alone, and what it came to.
#[derive(Debug, Default)]
pub(super) struct Repeat {
    bytes: Vec<u8>,
    manner: Manner,
    told: Vec<Told>,
    /// It came again.
    repeated: bool,
    /// Reads that were kept one after the other and did not come again.
    in_vain: u32,
    /// Reads that are not kept before the next one that is.
    pause: u32,
}

/// What the reading of frames depends on besides their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Manner {
    /// permessage-deflate was accepted.
    pub(super) compression: bool,
    /// Of the one who hears: [`crate::load::dialect::Who::publishes`].
    pub(super) publishes: bool,
}

impl Repeat {
    /// What these bytes came to when they came last; `None` when these were others.
    pub(super) fn of(&mut self, bytes: &[u8], manner: Manner) -> Option<&[Told]> {
        let repeats = self.manner == manner && self.bytes == bytes;
        if repeats {
            (self.repeated, self.pause) = (true, 0);
        }
        repeats.then_some(&self.told)
    }

    /// Keeps a read, if each of its bytes was of a delivery told, and unless none of the last that
    /// were kept came again: after n of these, 2ⁿ - 1 are not.
    pub(super) fn keep(&mut self, bytes: &[u8], manner: Manner, told: &[Told]) {
        if let Some(pause) = self.pause.checked_sub(1) {
            self.pause = pause;
            return;
        }
        let delivered = told.iter().map(Told::delivery_bytes).sum::<Option<u64>>();
        if bytes.len() > READ_BYTES_MAX || delivered != Some(bytes.len() as u64) {
            return;
        }
        let is_first = self.bytes.is_empty();
        let came_again = mem::take(&mut self.repeated) || is_first;
        self.in_vain = if came_again { 0 } else { (self.in_vain + 1).min(IN_VAIN_MAX) };
        self.pause = (1 << self.in_vain) - 1;
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
        self.manner = manner;
        self.told.clear();
        self.told.extend_from_slice(told);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::stamp::Stamp;

    fn keep(repeat: &mut Repeat, read: u32) {
        let bytes = read.to_be_bytes();
        let stamp = Stamp { stream: read, number: 0, at_us: 0 };
        let told = [Told::delivery(stamp, bytes.len())];
        repeat.keep(&bytes, Manner::default(), &told);
    }

    fn knows(repeat: &mut Repeat, read: u32) -> bool {
        repeat.of(&read.to_be_bytes(), Manner::default()).is_some()
    }

    #[test]
    fn what_never_repeats_is_seldom_kept() {
        let mut repeat = Repeat::default();
        let kept = |repeat: &mut Repeat, reads: std::ops::Range<u32>| {
            let is_kept = |read: &u32| {
                keep(repeat, *read);
                repeat.bytes == read.to_be_bytes()
            };
            reads.filter(is_kept).count()
        };
        assert_eq!(kept(&mut repeat, 0..127), 7, "after 0, 1, 3, 7, 15, 31 others");
        assert_eq!(kept(&mut repeat, 127..127 + 640), 10);
        // One that repeats is enough for those to be kept again that do.
        assert_eq!(kept(&mut repeat, 1000..1004), 1);
        assert!(knows(&mut repeat, 1000));
        for read in 2000..2100 {
            keep(&mut repeat, read);
            assert!(knows(&mut repeat, read));
        }
    }
}

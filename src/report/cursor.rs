//! Where a page of a list begins: a place on a shard, as an opaque text.
//!
//! Lists are in the order of places and are not kept between two pages: what comes or goes in the
//! meantime may be seen or not, but nothing that stays where it is is seen twice or passed over.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Characters of a cursor.
const DIGITS: usize = 10;

/// A place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The shard.
    pub shard: u8,
    /// The place there.
    pub index: u32,
}

/// A text that no page gave. The fault of whoever wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a cursor")]
pub struct NotACursor;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}{:08x}", self.shard, self.index)
    }
}

impl FromStr for Cursor {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Self, NotACursor> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != DIGITS || !text.bytes().all(is_digit) {
            return Err(NotACursor);
        }
        let bits = u64::from_str_radix(text, 16).map_err(|_| NotACursor)?;
        Ok(Self { shard: (bits >> 32) as u8, index: bits as u32 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_is_written() {
        let cursor = Cursor { shard: 63, index: 0x0102_0304 };
        assert_eq!(cursor.to_string(), "3f01020304");
        assert_eq!("3f01020304".parse(), Ok(cursor));
        for text in ["", "3f0102030", "3F01020304", "+f01020304", "3f010203045"] {
            assert_eq!(text.parse::<Cursor>(), Err(NotACursor), "{text}");
        }
    }
}

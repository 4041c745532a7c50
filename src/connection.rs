//! What a connection is called: within its shard, within the process, and for the outside, where
//! clients of the `channels` dialect, the HTTP API and the operator name it.
//!
//! For the outside that is thirty-two hexadecimal digits: the node's number, the shard, the slot and
//! its generation. Whoever has the name knows where to look; no table is kept, and a name is never
//! given twice by one node. Contract: protocols.md sections 4 and 7.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Bits of a node's number in a connection's name.
const NODE_BITS: u32 = 56;
/// Characters of a connection's name.
const DIGITS: usize = 32;
const HEX: [u8; 16] = *b"0123456789abcdef";

/// A connection's name within its shard: the slot and which of the slot's tenants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnKey {
    /// The slot's number.
    pub index: u32,
    /// How many connections held the slot before.
    pub generation: u32,
}

/// A connection's name within the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// The shard that owns it.
    pub shard: u8,
    /// Its name there.
    pub conn: ConnKey,
}

/// A connection of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionId {
    /// The node's number; its lower 56 bits are written.
    pub node: u64,
    /// Where the connection is there.
    pub at: Address,
}

/// A text that names no connection. The fault of whoever wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not the name of a connection")]
pub struct NotAConnection;

impl ConnectionId {
    /// A node's number out of any bits, cut to what a name holds.
    pub fn node_of(bits: u64) -> u64 {
        bits & ((1 << NODE_BITS) - 1)
    }

    /// The name, in ASCII: what [`fmt::Display`] writes.
    pub fn digits(self) -> [u8; DIGITS] {
        let Address { shard, conn: ConnKey { index, generation } } = self.at;
        let bits = u128::from(Self::node_of(self.node)) << 72
            | u128::from(shard) << 64
            | u128::from(index) << 32
            | u128::from(generation);
        let mut digits = [0; DIGITS];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(bits.to_be_bytes()) {
            pair[0] = HEX[usize::from(byte >> 4)];
            pair[1] = HEX[usize::from(byte & 15)];
        }
        digits
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.digits()).expect("digits are ASCII"))
    }
}

impl FromStr for ConnectionId {
    type Err = NotAConnection;

    /// Takes just what [`fmt::Display`] writes, so that a connection has one name.
    fn from_str(text: &str) -> Result<Self, NotAConnection> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != DIGITS || !text.bytes().all(is_digit) {
            return Err(NotAConnection);
        }
        let bits = u128::from_str_radix(text, 16).map_err(|_| NotAConnection)?;
        let conn = ConnKey { index: (bits >> 32) as u32, generation: bits as u32 };
        let at = Address { shard: (bits >> 64) as u8, conn };
        Ok(Self { node: (bits >> 72) as u64, at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_written() {
        let conn = ConnKey { index: 0x0102_0304, generation: u32::MAX };
        let id = ConnectionId { node: 0x00ab_cdef_0123_4567, at: Address { shard: 63, conn } };
        assert_eq!(id.to_string(), "abcdef01234567".to_owned() + "3f" + "01020304" + "ffffffff");
        assert_eq!(id.to_string().parse(), Ok(id));
        let cut = ConnectionId { node: u64::MAX, ..id };
        assert_eq!(cut.to_string().parse(), Ok(ConnectionId { node: (1 << 56) - 1, ..id }));
        let upper = id.to_string().to_uppercase();
        for text in ["", "0", &"0".repeat(33), &"g".repeat(32), &"+".repeat(32), &upper, "ö"] {
            assert_eq!(text.parse::<ConnectionId>(), Err(NotAConnection), "{text}");
        }
    }
}

//! What a load message carries so that its receiver can judge it: stream, number, time.
//!
//! A stamp is fixed-width ASCII, safe in any JSON string, and is found in a frame by its first
//! bytes whatever the envelope around it: one way to read deliveries in every dialect. The rest of
//! the payload is padding, and not looked at: that it came whole and as it was sent is not checked.

use memchr::memchr_iter;

/// What a stamp begins with. No envelope of any dialect has these bytes of its own.
const HEAD: &[u8; 4] = b"~sw:";
/// Hexadecimal digits of the stream, the number and the time.
const DIGITS: [usize; 3] = [8, 8, 14];

/// Bytes of a stamp; the least that a payload can have.
pub const STAMP_BYTES: usize = HEAD.len() + DIGITS[0] + DIGITS[1] + DIGITS[2];

/// One message of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// A publisher and a topic: see [`super::layout::Layout`].
    pub stream: u32,
    /// From 0, without a gap.
    pub number: u32,
    /// When it was meant to be sent, in microseconds of the monotonic clock. In open loop that is
    /// the schedule's time, however late the send was: a stall is counted, not hidden.
    pub at_us: u64,
}

impl Stamp {
    /// Appends a payload of `bytes` bytes, at least [`STAMP_BYTES`].
    pub fn put(self, out: &mut Vec<u8>, bytes: usize) {
        let start = out.len();
        out.extend_from_slice(HEAD);
        let fields = [u64::from(self.stream), u64::from(self.number), self.at_us];
        for (field, digits) in fields.into_iter().zip(DIGITS) {
            for digit in (0..digits).rev() {
                out.push(b"0123456789abcdef"[(field >> (4 * digit) & 0xF) as usize]);
            }
        }
        out.resize(start + bytes.max(STAMP_BYTES), b'.');
    }

    /// The first stamp in some bytes, and where what follows it begins. `None` when there is none,
    /// or only the start of one.
    #[inline]
    pub fn find(bytes: &[u8]) -> Option<(Self, usize)> {
        // Its first byte is rarer in an envelope than a searcher for all four is soon made.
        let head = memchr_iter(HEAD[0], bytes).find(|at| bytes[*at..].starts_with(HEAD))?;
        let digits = bytes[head..].first_chunk::<STAMP_BYTES>()?;
        let (stream, rest) = digits[HEAD.len()..].split_at(DIGITS[0]);
        let (number, at_us) = rest.split_at(DIGITS[1]);
        let [stream, number, at_us] = [hex(stream)?, hex(number)?, hex(at_us)?];
        let stamp = Self { stream: stream as u32, number: number as u32, at_us };
        Some((stamp, head + STAMP_BYTES))
    }
}

/// The values of hexadecimal digits; of all else [`NO_DIGIT`].
const VALUES: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        values[b"0123456789abcdef"[value] as usize] = value as u8;
        values[b"0123456789ABCDEF"[value] as usize] = value as u8;
        value += 1;
    }
    values
};
const NO_DIGIT: u8 = 0x80;

/// The number that some hexadecimal digits are.
#[inline]
fn hex(digits: &[u8]) -> Option<u64> {
    let (mut number, mut seen) = (0, 0);
    for digit in digits {
        let value = VALUES[usize::from(*digit)];
        number = number << 4 | u64::from(value);
        seen |= value;
    }
    (seen & NO_DIGIT == 0).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_found_in_any_envelope() {
        let stamp = Stamp { stream: 0xFFFF_FFFE, number: 7, at_us: 0x00FF_EEDD_CCBB_AA99 };
        let mut bytes = br#"42["message",{"content":""#.to_vec();
        stamp.put(&mut bytes, 128);
        let end = bytes.len();
        bytes.extend_from_slice(br#"","id":1}]"#);
        assert_eq!(end, 25 + 128);
        assert_eq!(Stamp::find(&bytes), Some((stamp, 25 + STAMP_BYTES)));
        assert_eq!(Stamp::find(&bytes[25 + STAMP_BYTES..]), None);
        for cut in 0..25 + STAMP_BYTES {
            assert_eq!(Stamp::find(&bytes[..cut]), None, "{cut}");
        }
        bytes[30] = b'g';
        assert_eq!(Stamp::find(&bytes), None);
    }

    #[test]
    fn the_least_payload_is_the_stamp() {
        let mut bytes = Vec::new();
        Stamp { stream: 1, number: 2, at_us: 3 }.put(&mut bytes, 0);
        assert_eq!(bytes.len(), STAMP_BYTES);
        assert!(bytes.iter().all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(byte)));
    }
}

//! Names that mean something else to a client: they cannot be events on the wire.
//!
//! A client's parser refuses a packet with one of them, and its connection is gone. So they are
//! refused as they come in ([`super::decode`]), and who publishes asks before it sends one.

/// What clients and servers tell themselves by, beside the events on the wire.
const RESERVED: [&str; 6] =
    ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];

/// Whether an event cannot have this name, decoded.
pub fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

/// The same of a name as it is written, a JSON string with its quotes
/// (`Publication::event`): no client of this dialect could be sent that event.
pub fn is_unsayable(event: &str) -> bool {
    let inside = event.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inside.is_some_and(|written| RESERVED.iter().any(|name| spells(written, name)))
}

/// Whether `written`, what stands between the quotes of a JSON string, is this word once decoded.
/// The word's characters are ASCII and have no escape of their own, so that `\u` is the only one
/// that can stand for them.
pub(super) fn spells(written: &str, word: &str) -> bool {
    if written.len() <= word.len() {
        return written == word;
    }
    let mut rest = written.as_bytes();
    for &expected in word.as_bytes() {
        let (byte, behind) = match rest {
            [b'\\', b'u', hex @ ..] => match hex.split_at_checked(4) {
                Some((hex, behind)) => (code_unit(hex), behind),
                None => return false,
            },
            [byte, behind @ ..] => (Some(u32::from(*byte)), behind),
            [] => return false,
        };
        if byte != Some(u32::from(expected)) {
            return false;
        }
        rest = behind;
    }
    rest.is_empty()
}

fn code_unit(hex: &[u8]) -> Option<u32> {
    hex.iter().try_fold(0, |unit, &digit| Some(unit << 4 | char::from(digit).to_digit(16)?))
}

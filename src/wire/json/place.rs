//! Where things stand in a text that is known to be JSON.
//!
//! simd-json's tape names the values; these walk the text beside it, for who cuts parts out of it.
//! They expect a well formed text and a place within it: elsewhere they may run off its end, which
//! is a panic.

use simd_json::Node;

/// Nodes that lie inside this one and follow it on the tape.
pub(super) fn size(node: &Node<'_>) -> usize {
    match *node {
        Node::Object { count, .. } | Node::Array { count, .. } => count,
        Node::String(_) | Node::Static(_) => 0,
    }
}

/// Where the closing quote stands of a string that begins at `start`, behind its opening quote, and
/// has `decoded_len` bytes once decoded.
pub(super) fn string_end(bytes: &[u8], start: usize, decoded_len: usize) -> usize {
    // An escape is longer than what it stands for, so a string without one ends here.
    let mut at = start + decoded_len;
    if bytes[start..at].contains(&b'\\') || bytes[at] != b'"' {
        at = start;
        while bytes[at] != b'"' {
            at += if bytes[at] == b'\\' { 2 } else { 1 };
        }
    }
    at
}

/// Whether it is whitespace of JSON.
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// The first place from `at` on that is no blank.
pub(super) fn skip_blanks(bytes: &[u8], mut at: usize) -> usize {
    while is_blank(bytes[at]) {
        at += 1;
    }
    at
}

/// The last place up to `end` that has no blank before it.
pub(super) fn back_over_blanks(bytes: &[u8], mut end: usize) -> usize {
    while is_blank(bytes[end - 1]) {
        end -= 1;
    }
    end
}

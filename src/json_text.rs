//! Writes JSON strings: for the dialects (`wire/json` re-exports it) and for what the broker reports
//! of itself, which keeps the contract's order of keys and so is written by hand.
//!
//! The fast way is for text without anything to escape, which is what topics and user ids are.

/// Appends `text` as a JSON string with its quotes. Linear.
pub fn push_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    if is_clean(text) {
        out.extend_from_slice(text.as_bytes());
    } else {
        for &byte in text.as_bytes() {
            push_escaped(out, byte);
        }
    }
    out.push(b'"');
}

/// No early exit: so the compiler can look at many bytes at once.
fn is_clean(text: &str) -> bool {
    text.bytes().fold(0, |dirt, byte| dirt | u8::from(needs_escape(byte))) == 0
}

fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

fn push_escaped(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        0x0c => b'f',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0..=0x1f => {
            out.extend_from_slice(b"\\u00");
            return out.extend([HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
        _ => return out.push(byte),
    };
    out.extend([b'\\', short]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_written_as_serde_json_writes_them() {
        let every_ascii: String = (0..=0x7f_u8).map(char::from).collect();
        for text in ["", "a.b", "ö.日本\u{2028}😀", "a\"b", "\\", &*every_ascii] {
            let mut out = b"before".to_vec();
            push_string(&mut out, text);
            assert_eq!(out, format!("before{}", serde_json::json!(text)).into_bytes());
        }
    }
}

//! The places of binary attachments in the JSON of a packet.
//!
//! `{"_placeholder":true,"num":0}` stands for the first attachment, at any depth. The text is known
//! to be JSON ([`super::decode`] has read it), so that one pass over its strings and braces finds
//! them: a string is a key if a colon follows. Objects are judged where they end, for only then it
//! is known which of two equal keys counts: the last, as everywhere in JavaScript.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::{memchr2, memchr3, memmem};
use smallvec::SmallVec;

use super::Malformed;
use super::names::spells;

/// The key that makes an object a placeholder, where its value is `true`.
const MARK: &str = "_placeholder";
/// The key of the attachment's number.
const NUM: &str = "num";
/// No attachment has this number.
const NONE: u8 = u8::MAX;

/// An object that stands for an attachment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placeholder {
    /// Where its brace stands in the text.
    pub start: usize,
    /// Behind its closing brace.
    pub end: usize,
    /// Which attachment, counted from 0.
    pub num: u8,
}

/// An object whose closing brace has not come yet.
struct Open {
    start: usize,
    /// How many placeholders stand before it.
    before: usize,
    is_marked: bool,
    num: u8,
}

/// Finds the placeholders in `text`, JSON values with commas between them, in their order. An
/// attachment may have none or many. What lies within a placeholder is not looked at. Linear.
///
/// # Errors
/// If a placeholder has no number, written in digits, below `attachments`: the client's fault.
pub fn placeholders(text: &str, attachments: u8) -> Result<SmallVec<[Placeholder; 4]>, Malformed> {
    let mut found = SmallVec::new();
    let bytes = text.as_bytes();
    if memmem::find(bytes, MARK.as_bytes()).is_none() && memmem::find(bytes, b"\\u").is_none() {
        return Ok(found);
    }
    let mut open: SmallVec<[Open; 8]> = SmallVec::new();
    let mut at = 0;
    while let Some(skipped) = memchr3(b'"', b'{', b'}', &bytes[at..]) {
        at += skipped + 1;
        match bytes[at - 1] {
            b'{' => {
                let before = found.len();
                open.push(Open { start: at - 1, before, is_marked: false, num: NONE });
            }
            b'}' => {
                if let Some(Open { start, before, num, .. }) = open.pop().filter(|it| it.is_marked)
                {
                    found.truncate(before);
                    found.push(Placeholder { start, end: at, num });
                }
            }
            _ => {
                let (string, behind) = split_string(&text[at..]);
                at = text.len() - behind.len();
                let value = skip_blanks(behind).strip_prefix(':').map(skip_blanks);
                if let (Some(value), Some(object)) = (value, open.last_mut()) {
                    at = text.len() - value.len();
                    object.take_note(string, value);
                }
            }
        }
    }
    if found.iter().all(|it: &Placeholder| it.num < attachments) {
        Ok(found)
    } else {
        Err(Malformed)
    }
}

/// Appends `text` with each placeholder replaced by the attachment it stands for, as a JSON string
/// of base64 (RFC 4648 section 4, padded). Linear in what it writes.
///
/// # Errors
/// Those of [`placeholders`], and if more than `bytes_max` bytes would have to be written: one
/// attachment may be asked for again and again. Then nothing is appended.
pub fn inline(
    out: &mut String,
    text: &str,
    attachments: &[impl AsRef<[u8]>],
    bytes_max: usize,
) -> Result<(), Malformed> {
    let count = u8::try_from(attachments.len()).unwrap_or(NONE);
    let found = placeholders(text, count)?;
    let attachment = |num: u8| attachments[usize::from(num)].as_ref();
    let encoded_len = |num| base64::encoded_len(attachment(num).len(), true).unwrap_or(bytes_max);
    let grown: usize = found.iter().map(|it| encoded_len(it.num) + b"\"\"".len()).sum();
    let replaced: usize = found.iter().map(|it| it.end - it.start).sum();
    let bytes = text.len() - replaced + grown;
    if bytes > bytes_max {
        return Err(Malformed);
    }
    out.reserve(bytes);
    let mut written = 0;
    for Placeholder { start, end, num } in found {
        out.push_str(&text[written..start]);
        out.push('"');
        STANDARD.encode_string(attachment(num), out);
        out.push('"');
        written = end;
    }
    out.push_str(&text[written..]);
    Ok(())
}

impl Open {
    /// Of a member the key, as written, and what follows its colon.
    fn take_note(&mut self, key: &str, value: &str) {
        if spells(key, MARK) {
            self.is_marked = value.starts_with("true");
        } else if spells(key, NUM) {
            let digits = value.bytes().take_while(u8::is_ascii_digit).count();
            let is_whole = skip_blanks(&value[digits..]).starts_with([',', '}']);
            self.num = value[..digits].parse().ok().filter(|_| is_whole).unwrap_or(NONE);
        }
    }
}

/// A string from behind its first quote, and what stands behind its second.
fn split_string(text: &str) -> (&str, &str) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(skipped) = memchr2(b'"', b'\\', &bytes[at..]) {
        at += skipped;
        if bytes[at] == b'"' {
            return (&text[..at], &text[at + 1..]);
        }
        // What stands behind a backslash is ASCII.
        at = (at + 2).min(bytes.len());
    }
    (text, "")
}

fn skip_blanks(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', '\n', '\r'])
}

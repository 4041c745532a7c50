//! The grammar of JSON, checked by hand, for what simd-json refuses.
//!
//! simd-json turns numbers into machine numbers and refuses those that do not fit. RFC 8259 puts no
//! bound on them, and a broker that only passes them on has no reason to. Here the text is checked
//! in one pass without recursion and each number overwritten by a zero of the same length, so that
//! simd-json can read the rest and every offset stays. Only `Scratch::read` calls this, after a
//! refusal.

use super::place::is_blank;
use crate::limits::JSON_NESTING_MAX;

/// Whether `text` (UTF-8) is one JSON value; if so its numbers have become `0` and blanks.
///
/// Refuses lone surrogate escapes and more than [`JSON_NESTING_MAX`] levels. Linear.
pub(super) fn check_blanking_numbers(text: &mut [u8]) -> bool {
    let mut cursor = Cursor { text, at: 0 };
    cursor.document().is_some() && cursor.at == cursor.text.len()
}

/// Where the check stands. Each step moves behind what it has checked, or is `None` where the text
/// breaks the grammar.
struct Cursor<'t> {
    text: &'t mut [u8],
    at: usize,
}

impl Cursor<'_> {
    /// One value with everything in it and the blanks around it.
    fn document(&mut self) -> Option<()> {
        let mut nesting = Nesting::default();
        loop {
            // A value begins.
            self.skip_blanks();
            if let Some(container) = Container::begun_by(self.peek()?) {
                self.at += 1;
                nesting.open(container)?;
                self.skip_blanks();
                if self.peek()? != container.end() {
                    self.key_in(container)?;
                    continue;
                }
            } else {
                self.scalar()?;
            }
            // A value or its last element is over: containers end here until one goes on.
            loop {
                self.skip_blanks();
                let Some(container) = nesting.innermost() else { return Some(()) };
                let byte = self.take()?;
                if byte == b',' {
                    self.skip_blanks();
                    self.key_in(container)?;
                    break;
                }
                if byte != container.end() {
                    return None;
                }
                nesting.close();
            }
        }
    }

    /// A member's key and its colon; nothing in an array.
    fn key_in(&mut self, container: Container) -> Option<()> {
        if container == Container::Object {
            self.expect(b"\"")?;
            self.string()?;
            self.skip_blanks();
            self.expect(b":")?;
        }
        Some(())
    }

    fn scalar(&mut self) -> Option<()> {
        match self.peek()? {
            b'"' => {
                self.at += 1;
                self.string()
            }
            b't' => self.expect(b"true"),
            b'f' => self.expect(b"false"),
            b'n' => self.expect(b"null"),
            _ => {
                let start = self.at;
                self.number()?;
                self.text[start..self.at].fill(b' ');
                self.text[start] = b'0';
                Some(())
            }
        }
    }

    /// RFC 8259 section 6.
    fn number(&mut self) -> Option<()> {
        self.skip_one_of(b"-");
        if !self.skip_one_of(b"0") {
            self.digits()?;
        }
        if self.skip_one_of(b".") {
            self.digits()?;
        }
        if self.skip_one_of(b"eE") {
            self.skip_one_of(b"+-");
            self.digits()?;
        }
        Some(())
    }

    /// One digit or more.
    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.skip_one_of(b"0123456789") {}
        (self.at > start).then_some(())
    }

    /// The rest of a string, behind its first quote (RFC 8259 section 7).
    fn string(&mut self) -> Option<()> {
        loop {
            match self.take()? {
                b'"' => return Some(()),
                b'\\' => self.escape()?,
                0..=0x1f => return None,
                _ => {}
            }
        }
    }

    /// The rest of an escape, behind its backslash; of a surrogate pair both.
    fn escape(&mut self) -> Option<()> {
        match self.take()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => match self.four_hex_digits()? {
                0xd800..=0xdbff => {
                    self.expect(b"\\u")?;
                    matches!(self.four_hex_digits()?, 0xdc00..=0xdfff).then_some(())
                }
                0xdc00..=0xdfff => None,
                _ => Some(()),
            },
            _ => None,
        }
    }

    fn four_hex_digits(&mut self) -> Option<u32> {
        (0..4).try_fold(0, |unit, _| Some(unit << 4 | char::from(self.take()?).to_digit(16)?))
    }

    fn skip_blanks(&mut self) {
        while self.peek().is_some_and(is_blank) {
            self.at += 1;
        }
    }

    fn skip_one_of(&mut self, bytes: &[u8]) -> bool {
        let skipped = self.peek().is_some_and(|byte| bytes.contains(&byte));
        self.at += usize::from(skipped);
        skipped
    }

    fn expect(&mut self, word: &[u8]) -> Option<()> {
        self.at += self.text[self.at..].starts_with(word).then_some(word.len())?;
        Some(())
    }

    fn take(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Container {
    Array,
    Object,
}

impl Container {
    fn begun_by(byte: u8) -> Option<Self> {
        match byte {
            b'[' => Some(Self::Array),
            b'{' => Some(Self::Object),
            _ => None,
        }
    }

    fn end(self) -> u8 {
        match self {
            Self::Array => b']',
            Self::Object => b'}',
        }
    }
}

/// The containers that are open, a bit each: set for an object.
#[derive(Default)]
struct Nesting {
    objects: [u64; JSON_NESTING_MAX.div_ceil(64)],
    depth: usize,
}

impl Nesting {
    fn open(&mut self, container: Container) -> Option<()> {
        if self.depth == JSON_NESTING_MAX {
            return None;
        }
        let (word, bit) = (self.depth / 64, 1 << (self.depth % 64));
        match container {
            Container::Object => self.objects[word] |= bit,
            Container::Array => self.objects[word] &= !bit,
        }
        self.depth += 1;
        Some(())
    }

    fn innermost(&self) -> Option<Container> {
        let level = self.depth.checked_sub(1)?;
        let object = self.objects[level / 64] >> (level % 64) & 1 == 1;
        Some(if object { Container::Object } else { Container::Array })
    }

    fn close(&mut self) {
        self.depth -= 1;
    }
}

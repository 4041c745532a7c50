//! Reads the parts of a JSON object or array as raw text, building no tree; writes JSON strings.
//!
//! Every dialect reads its envelopes here. simd-json checks the grammar in a scratch copy, which it
//! overwrites as it decodes escapes; where it put each key says where that key stands in the
//! original, and between two keys lies a value, to be passed on as it came. What simd-json refuses
//! though it is JSON (numbers beyond u64 and f64) is decided by `strict`, on that path only.
//! A value is never interpreted here. Grammar: RFC 8259.

mod array;
mod place;
mod strict;
#[cfg(test)]
mod tests;

use ahash::AHashSet;
use simd_json::{Buffers, INPUT_PADDING, Node, StaticNode, Tape};

pub use self::array::{Array, Item, Items};
use self::place::{back_over_blanks, size, skip_blanks, string_end};
use crate::close::Refusal;
pub use crate::json_text::push_string;
use crate::limits::{JSON_NESTING_MAX, JSON_SCRATCH_BYTES_KEPT};

/// Keys up to this number are compared each with each rather than hashed.
const FEW_KEYS: usize = 16;

/// The working memory of reading, one a shard; nothing is allocated once it has grown to the
/// messages' size. What a text above [`JSON_SCRATCH_BYTES_KEPT`] made it grow to is given back,
/// the copies of the text itself when the next one is read.
pub struct Scratch {
    /// The copy that simd-json decodes in, and padding.
    copy: Vec<u8>,
    /// The same with its numbers blanked, when the first was refused.
    blanked: Vec<u8>,
    buffers: Buffers,
    /// Empty between two texts: only its memory is kept.
    tape: Tape<'static>,
    spare: String,
}

/// One object, read and found well formed.
#[derive(Debug)]
pub struct Object<'a>(Document<'a>);

/// One text, read and found well formed.
#[derive(Debug)]
struct Document<'a> {
    text: &'a str,
    /// Address of the scratch copy's first byte.
    base: usize,
    tape: Tape<'a>,
    home: &'a mut Tape<'static>,
}

/// One member of an object.
#[derive(Clone, Debug)]
pub struct Member<'t, 'a> {
    /// The key, decoded.
    pub key: &'a str,
    /// The value as written, without whitespace around it.
    pub raw: &'a str,
    /// What kind of value it is.
    pub value: Value<'t, 'a>,
}

/// A value's kind, with what a dialect may want to know of it.
#[derive(Clone, Debug)]
pub enum Value<'t, 'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// Any number; its digits are in [`Member::raw`] alone.
    Number,
    /// A string, decoded.
    String(&'a str),
    /// An array.
    Array(Elements<'t, 'a>),
    /// An object.
    Object(Members<'t, 'a>),
}

/// The members of an object in their order, duplicates included.
#[derive(Clone, Debug)]
pub struct Members<'t, 'a> {
    document: &'t Document<'a>,
    /// Key, value and what the value holds, of each member that is left.
    nodes: &'t [Node<'a>],
    /// Where the object's closing brace stands in the text.
    end: usize,
}

/// The elements of an array in their order: each decoded if it is a string, else `None`.
#[derive(Clone, Debug)]
pub struct Elements<'t, 'a>(&'t [Node<'a>]);

/// The text of a frame that need not be text.
///
/// # Errors
/// [`Refusal::BadJson`] for what is no UTF-8: the client's fault.
pub fn utf8(bytes: &[u8]) -> Result<&str, Refusal> {
    simdutf8::basic::from_utf8(bytes).map_err(|_| Refusal::BadJson)
}

impl Default for Scratch {
    fn default() -> Self {
        Self {
            copy: Vec::new(),
            blanked: Vec::new(),
            buffers: buffers(),
            tape: Tape(Vec::new()),
            spare: String::new(),
        }
    }
}

impl Scratch {
    /// Reads `text` as one object. The string beside it is empty and the caller's to fill, for what
    /// it cannot borrow from the text. Linear in the text.
    ///
    /// # Errors
    /// [`Refusal::BadJson`] and [`Refusal::NotAnObject`], both the client's fault.
    pub fn read<'a>(&'a mut self, text: &'a str) -> Result<(Object<'a>, &'a mut String), Refusal> {
        let (document, spare) = self.document(text)?;
        match document.tape.0.first() {
            Some(Node::Object { .. }) => Ok((Object(document), spare)),
            _ => Err(Refusal::NotAnObject),
        }
    }

    /// Reads `text` as one array. Linear in the text.
    ///
    /// # Errors
    /// [`Refusal::BadJson`] for what is no JSON or no array, the client's fault.
    pub fn read_array<'a>(&'a mut self, text: &'a str) -> Result<Array<'a>, Refusal> {
        let (document, _) = self.document(text)?;
        Array::new(document).ok_or(Refusal::BadJson)
    }

    fn document<'a>(
        &'a mut self,
        text: &'a str,
    ) -> Result<(Document<'a>, &'a mut String), Refusal> {
        self.give_back(text.len());
        let Self { copy, blanked, buffers, tape: home, spare } = self;
        spare.clear();
        let mut tape = std::mem::replace(home, Tape(Vec::new())).reset();
        let padded = pad(copy, text);
        let mut base = padded.as_ptr().addr();
        let parsed = simd_json::fill_tape_padded(padded, text.len(), buffers, &mut tape);
        let parsed = parsed.or_else(|refused| {
            let padded = pad(blanked, text);
            if !strict::check_blanking_numbers(&mut padded[..text.len()]) {
                return Err(refused);
            }
            base = padded.as_ptr().addr();
            simd_json::fill_tape_padded(padded, text.len(), buffers, &mut tape)
        });
        if text.len() > JSON_SCRATCH_BYTES_KEPT {
            *buffers = self::buffers();
        }
        let document = Document { text, base, tape, home };
        parsed.map(|()| (document, spare)).map_err(|_| Refusal::BadJson)
    }

    /// Frees what a larger text left behind, before one of `len` bytes is read.
    fn give_back(&mut self, len: usize) {
        let kept = len.max(JSON_SCRATCH_BYTES_KEPT) + INPUT_PADDING;
        for copy in [&mut self.copy, &mut self.blanked] {
            if copy.capacity() > kept {
                *copy = Vec::new();
            }
        }
        if self.spare.capacity() > kept {
            self.spare = String::new();
        }
    }
}

fn buffers() -> Buffers {
    Buffers::with_max_depth(0, JSON_NESTING_MAX)
}

/// Copies `text` to the beginning of `copy`; returns it with the padding behind it, whose content
/// does not matter.
fn pad<'c>(copy: &'c mut Vec<u8>, text: &str) -> &'c mut [u8] {
    let len = text.len() + INPUT_PADDING;
    if copy.len() < len {
        copy.reserve_exact(len - copy.len());
        copy.resize(len, 0);
    }
    copy[..text.len()].copy_from_slice(text.as_bytes());
    &mut copy[..len]
}

impl<'a> Object<'a> {
    /// Its members.
    pub fn members(&self) -> Members<'_, 'a> {
        let Self(document) = self;
        Members { document, nodes: &document.tape.0[1..], end: document.inner_end() }
    }

    /// Whether two of its own keys are the same once decoded; linear in the number of members.
    pub fn has_duplicate_keys(&self) -> bool {
        self.members().has_duplicate_keys()
    }
}

impl Document<'_> {
    /// Where a decoded string begins in the text.
    fn offset(&self, decoded: &str) -> usize {
        decoded.as_ptr().addr() - self.base
    }

    /// Where the brace or bracket stands that closes it.
    fn inner_end(&self) -> usize {
        self.text.trim_ascii_end().len() - 1
    }
}

impl Drop for Document<'_> {
    /// Brings the tape's memory home.
    fn drop(&mut self) {
        if self.text.len() <= JSON_SCRATCH_BYTES_KEPT {
            *self.home = std::mem::replace(&mut self.tape, Tape(Vec::new())).reset();
        }
    }
}

impl<'t, 'a> Value<'t, 'a> {
    /// Of a node with what it holds; `end` is where it ends in the text.
    fn new(document: &'t Document<'a>, node: Node<'a>, inside: &'t [Node<'a>], end: usize) -> Self {
        match node {
            Node::String(text) => Self::String(text),
            Node::Static(StaticNode::Null) => Self::Null,
            Node::Static(StaticNode::Bool(truth)) => Self::Bool(truth),
            Node::Static(_) => Self::Number,
            Node::Array { .. } => Self::Array(Elements(inside)),
            Node::Object { .. } => {
                Self::Object(Members { document, nodes: inside, end: end - b"}".len() })
            }
        }
    }

    /// The string, decoded, if it is one.
    pub fn string(&self) -> Option<&'a str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// The truth value, if it is one.
    pub fn boolean(&self) -> Option<bool> {
        if let Self::Bool(truth) = self { Some(*truth) } else { None }
    }

    /// The elements, if it is an array.
    pub fn array(self) -> Option<Elements<'t, 'a>> {
        if let Self::Array(elements) = self { Some(elements) } else { None }
    }

    /// The members, if it is an object.
    pub fn object(self) -> Option<Members<'t, 'a>> {
        if let Self::Object(members) = self { Some(members) } else { None }
    }
}

impl<'t, 'a> Members<'t, 'a> {
    /// Whether there is a member of this key.
    pub fn contains_key(&self, key: &str) -> bool {
        keys(self.nodes).any(|one| one == key)
    }

    /// Whether two of the keys that are left are the same once decoded; linear in their number.
    pub fn has_duplicate_keys(&self) -> bool {
        let nodes = self.nodes;
        let (mut seen, mut count, mut suspect) = (0_u64, 0, false);
        for key in keys(nodes) {
            // Keys that differ here differ, and those of an envelope do.
            let first = key.as_bytes().first().copied().unwrap_or_default();
            let bit = 1 << ((usize::from(first) + 7 * key.len()) % 64);
            suspect |= seen & bit != 0;
            seen |= bit;
            count += 1;
        }
        if suspect && count <= FEW_KEYS {
            keys(nodes).enumerate().any(|(at, key)| keys(nodes).take(at).any(|one| one == key))
        } else if suspect {
            let mut all = AHashSet::with_capacity(count);
            !keys(nodes).all(|key| all.insert(key))
        } else {
            false
        }
    }

    /// Appends all members but those of this key, as written, with a comma between two.
    pub fn push_others(mut self, key: &str, out: &mut String) {
        let text = self.document.text;
        while let Some(span) = self.next_span() {
            if span.key != key {
                if !out.is_empty() {
                    out.push(',');
                }
                out.push_str(&text[span.start..span.end]);
            }
        }
    }

    #[allow(clippy::inline_always, reason = "out of line it moves more than it computes")]
    #[inline(always)]
    fn next_span(&mut self) -> Option<Span<'t, 'a>> {
        let [Node::String(key), value, rest @ ..] = self.nodes else { return None };
        let (inside, rest) = rest.split_at(size(value));
        self.nodes = rest;
        let bytes = self.document.text.as_bytes();
        let key_start = self.document.offset(key);
        let key_end = string_end(bytes, key_start, key.len());
        let value_start = skip_blanks(bytes, skip_blanks(bytes, key_end + 1) + b":".len());
        let end = match rest {
            [Node::String(next), ..] => {
                back_over_blanks(bytes, self.document.offset(next) - b"\"".len()) - b",".len()
            }
            _ => self.end,
        };
        let end = back_over_blanks(bytes, end);
        Some(Span { key, start: key_start - b"\"".len(), value_start, end, node: *value, inside })
    }
}

/// Where a member stands in the text.
struct Span<'t, 'a> {
    key: &'a str,
    start: usize,
    value_start: usize,
    end: usize,
    node: Node<'a>,
    inside: &'t [Node<'a>],
}

impl<'t, 'a> Iterator for Members<'t, 'a> {
    type Item = Member<'t, 'a>;

    #[allow(clippy::inline_always, reason = "out of line it moves more than it computes")]
    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        let Span { key, value_start, end, node, inside, .. } = self.next_span()?;
        let raw = &self.document.text[value_start..end];
        let value = Value::new(self.document, node, inside, end);
        Some(Member { key, raw, value })
    }
}

impl<'a> Iterator for Elements<'_, 'a> {
    type Item = Option<&'a str>;

    fn next(&mut self) -> Option<Self::Item> {
        let (element, rest) = self.0.split_first()?;
        self.0 = &rest[size(element)..];
        Some(if let Node::String(text) = *element { Some(text) } else { None })
    }
}

/// The keys of an object's nodes.
fn keys<'a>(mut nodes: &[Node<'a>]) -> impl Iterator<Item = &'a str> {
    std::iter::from_fn(move || {
        let [Node::String(key), value, rest @ ..] = nodes else { return None };
        nodes = &rest[size(value)..];
        Some(*key)
    })
}

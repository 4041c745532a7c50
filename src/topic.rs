//! Topics and patterns: the grammar, checked once, at birth.
//!
//! A [`Topic`] or a [`Pattern`] in hand is well formed; nothing behind this file checks again.
//! Both borrow the text they were made from. Grammar: protocols.md section 2.

use std::hash::Hash;
use std::sync::OnceLock;

use ahash::RandomState;
use thiserror::Error;

/// The bounds of a topic's text; both can be lowered by configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicBounds {
    /// Bytes of the whole name.
    pub bytes_max: usize,
    /// Segments, the parts between dots.
    pub segments_max: usize,
}

impl Default for TopicBounds {
    fn default() -> Self {
        Self {
            bytes_max: crate::limits::TOPIC_BYTES_MAX,
            segments_max: crate::limits::TOPIC_SEGMENTS_MAX,
        }
    }
}

/// Why a text is no topic or no pattern. Always the client's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TopicError {
    /// No bytes at all.
    #[error("topic is empty")]
    Empty,
    /// More bytes than [`TopicBounds::bytes_max`].
    #[error("topic is longer than {0} bytes")]
    TooLong(usize),
    /// Two dots in a row, or one at an end.
    #[error("topic has an empty segment")]
    EmptySegment,
    /// More segments than [`TopicBounds::segments_max`].
    #[error("topic has more than {0} segments")]
    TooManySegments(usize),
    /// U+0000–1F, U+007F or U+0080–9F.
    #[error("topic has a control character")]
    ControlCharacter,
    /// `*` or `**` where a topic, not a pattern, is wanted.
    #[error("wildcards are for subscriptions only")]
    WildcardInTopic,
    /// A `*` that is only a part of its segment.
    #[error("a wildcard must be a whole segment")]
    PartialWildcard,
}

/// The name of a topic: no wildcards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Topic<'a>(&'a str);

/// What a subscription names: a topic, or a pattern with `*` and `**` segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pattern<'a> {
    text: &'a str,
    wildcard: bool,
}

impl<'a> From<Topic<'a>> for Pattern<'a> {
    fn from(topic: Topic<'a>) -> Self {
        Self { text: topic.0, wildcard: false }
    }
}

impl<'a> Topic<'a> {
    /// A topic from text that was one before: out of a message, of an index.
    pub fn checked(text: &'a str) -> Self {
        debug_assert!(!is_wildcard(text));
        Self(text)
    }

    /// Checks `text` as a topic.
    ///
    /// # Errors
    /// The first rule of the grammar that it breaks.
    pub fn parse(text: &'a str, bounds: TopicBounds) -> Result<Self, TopicError> {
        if check(text, bounds)? { Err(TopicError::WildcardInTopic) } else { Ok(Self(text)) }
    }

    /// The name.
    pub fn as_str(self) -> &'a str {
        self.0
    }

    /// The hash that every shard of this process knows the topic by.
    pub fn hash(self) -> u64 {
        name_hash(self.0)
    }

    /// The parts between the dots, at least one.
    pub fn segments(self) -> impl Iterator<Item = &'a str> {
        self.0.split('.')
    }
}

impl<'a> Pattern<'a> {
    /// A pattern from text that was one before: out of an index.
    pub fn checked(text: &'a str) -> Self {
        Self { text, wildcard: is_wildcard(text) }
    }

    /// Checks `text` as a pattern; a topic is one too.
    ///
    /// # Errors
    /// The first rule of the grammar that it breaks.
    pub fn parse(text: &'a str, bounds: TopicBounds) -> Result<Self, TopicError> {
        Ok(Self { wildcard: check(text, bounds)?, text })
    }

    /// The pattern as written.
    pub fn as_str(self) -> &'a str {
        self.text
    }

    /// Whether any segment is `*` or `**`.
    pub fn is_wildcard(self) -> bool {
        self.wildcard
    }

    /// The hash of the pattern's text; for one without wildcards that of the topic.
    pub fn hash(self) -> u64 {
        name_hash(self.text)
    }

    /// The parts between the dots, at least one.
    pub fn segments(self) -> impl Iterator<Item = &'a str> {
        self.text.split('.')
    }

    /// The first part.
    pub fn first_segment(self) -> &'a str {
        first_segment(self.text)
    }
}

/// Whether any segment of a well formed pattern is `*` or `**`.
fn is_wildcard(pattern: &str) -> bool {
    pattern.split('.').any(|segment| segment.starts_with('*'))
}

/// The part of `name` before its first dot.
pub fn first_segment(name: &str) -> &str {
    name.split_once('.').map_or(name, |(first, _)| first)
}

/// The hash of a name. Seeded at random once a process, so nobody outside can aim collisions; not
/// for the wire or a disk.
pub fn name_hash(name: &str) -> u64 {
    NAME_SEED.get_or_init(RandomState::new).hash_one(Bytes(name.as_bytes()))
}

static NAME_SEED: OnceLock<RandomState> = OnceLock::new();

/// Makes [`name_hash`] the same in every process, so that a simulation can be replayed.
///
/// # Panics
/// When a name was hashed before.
#[doc(hidden)]
pub fn fix_name_hash() {
    let fixed = RandomState::with_seeds(1, 2, 3, 4);
    assert!(NAME_SEED.set(fixed).is_ok(), "names were hashed before");
}

/// Hashes the bytes and not, as `str` does, an end mark behind them.
struct Bytes<'a>(&'a [u8]);

impl Hash for Bytes<'_> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write(self.0);
    }
}

/// Whether a well formed pattern matches a well formed topic (protocols.md section 2).
///
/// For a handful of patterns; a shard's subscriptions have an index. Costs segments of the pattern
/// times segments of the topic at most: the positions reached are a set of bits.
pub fn matches(pattern: &str, topic: &str) -> bool {
    // Bit n stands for "the first n segments of the pattern are matched"; the bound on segments
    // leaves room for the last.
    let mut reached = 1_u64;
    for segment in topic.split('.') {
        let mut next = 0;
        for (at, wanted) in pattern.split('.').enumerate() {
            let (here, behind) = (1 << at, 1 << (at + 1));
            if reached & here != 0 && (wanted == "*" || wanted == "**" || wanted == segment) {
                next |= behind;
            }
            if reached & behind != 0 && wanted == "**" {
                next |= behind;
            }
        }
        reached = next;
    }
    reached & (1 << pattern.split('.').count()) != 0
}

/// The grammar in one pass; says whether there is a wildcard segment.
fn check(text: &str, bounds: TopicBounds) -> Result<bool, TopicError> {
    if text.is_empty() {
        return Err(TopicError::Empty);
    }
    if text.len() > bounds.bytes_max {
        return Err(TopicError::TooLong(bounds.bytes_max));
    }
    let bytes = text.as_bytes();
    let (mut segments, mut start, mut star_count, mut wildcard) = (0, 0, 0, false);
    for at in 0..=bytes.len() {
        match bytes.get(at) {
            None | Some(b'.') => {
                let len = at - start;
                if len == 0 {
                    return Err(TopicError::EmptySegment);
                }
                if star_count > 0 {
                    if star_count != len || star_count > 2 {
                        return Err(TopicError::PartialWildcard);
                    }
                    wildcard = true;
                }
                segments += 1;
                (start, star_count) = (at + 1, 0);
            }
            Some(b'*') => star_count += 1,
            Some(0..=0x1f | 0x7f) => return Err(TopicError::ControlCharacter),
            // U+0080–9F are the two-byte sequences C2 80 to C2 9F.
            Some(0xc2) if matches!(bytes.get(at + 1), Some(0x80..=0x9f)) => {
                return Err(TopicError::ControlCharacter);
            }
            Some(_) => {}
        }
    }
    if segments > bounds.segments_max {
        return Err(TopicError::TooManySegments(bounds.segments_max));
    }
    Ok(wildcard)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(text: &str) -> Result<Topic<'_>, TopicError> {
        Topic::parse(text, TopicBounds::default())
    }

    fn pattern(text: &str) -> Result<Pattern<'_>, TopicError> {
        Pattern::parse(text, TopicBounds::default())
    }

    #[test]
    fn well_formed() {
        for text in ["a", "a.b.c", "tenant:acme:general", "a/b.c d", "ö.日本"] {
            assert_eq!(topic(text).unwrap().as_str(), text);
            assert!(!pattern(text).unwrap().is_wildcard());
        }
        for text in ["*", "**", "a.*", "a.**.b.**", "*.b"] {
            assert_eq!(topic(text), Err(TopicError::WildcardInTopic));
            assert!(pattern(text).unwrap().is_wildcard());
        }
    }

    #[test]
    fn matching() {
        for (pattern, topics, others) in [
            ("a.b", &["a.b"][..], &["a", "a.b.c", "a.c"][..]),
            ("a.*", &["a.b", "a.c"], &["a", "a.b.c"]),
            ("a.**", &["a.b", "a.b.c"], &["a", "b.a"]),
            ("**", &["a", "a.b"], &[]),
            ("**.b.**", &["a.b.c", "b.b.b", "a.a.b.c.c"], &["b.c", "a.b"]),
            ("*.**.*", &["a.b.c", "a.b.c.d"], &["a.b", "a"]),
        ] {
            for topic in topics {
                assert!(matches(pattern, topic), "{pattern} {topic}");
            }
            for topic in others {
                assert!(!matches(pattern, topic), "{pattern} {topic}");
            }
        }
    }

    #[test]
    fn ill_formed() {
        let long = "x".repeat(257);
        let deep = ["a"; 33].join(".");
        for (text, error) in [
            ("", TopicError::Empty),
            (&*long, TopicError::TooLong(256)),
            (".", TopicError::EmptySegment),
            ("a.", TopicError::EmptySegment),
            (".a", TopicError::EmptySegment),
            ("a..b", TopicError::EmptySegment),
            (&*deep, TopicError::TooManySegments(32)),
            ("a\u{0}", TopicError::ControlCharacter),
            ("a\u{7f}", TopicError::ControlCharacter),
            ("a\u{85}b", TopicError::ControlCharacter),
            ("a*", TopicError::PartialWildcard),
            ("a.b*.c", TopicError::PartialWildcard),
            ("***", TopicError::PartialWildcard),
        ] {
            assert_eq!(pattern(text), Err(error), "{text:?}");
            assert_eq!(topic(text), Err(error), "{text:?}");
        }
        assert!(topic(&"x".repeat(256)).is_ok());
        assert!(topic(&["a"; 32].join(".")).is_ok());
        assert!(topic("a\u{a0}b").is_ok());
    }
}

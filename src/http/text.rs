//! JSON text in the bodies of requests: its members, and what of it may not go on to clients.
//!
//! Values stay the text that came in. Nothing here knows a route.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::close::Refusal;
use crate::limits::JSON_NESTING_MAX;

/// The members of a JSON object, in their order.
pub(super) struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Object<'a> {
    /// Reads a body. Linear.
    ///
    /// # Errors
    /// It is no JSON object: the client's fault.
    pub(super) fn of_body(body: &'a [u8]) -> Result<Self, Refusal> {
        let value: &RawValue = serde_json::from_slice(body).map_err(|_| Refusal::BadJson)?;
        Self::of(value).ok_or(Refusal::NotAnObject)
    }

    /// Reads a value; `None` where it is no object, or a key holds half a surrogate pair.
    pub(super) fn of(value: &'a RawValue) -> Option<Self> {
        // A sequence would be taken for one.
        value.get().starts_with('{').then(|| serde_json::from_str(value.get()).ok())?
    }

    /// The value of a key, the last where it stands there more than once: so clients read it too.
    pub(super) fn last(&self, key: &str) -> Option<&'a RawValue> {
        self.0.iter().rev().find(|(own, _)| own == key).map(|(_, value)| *value)
    }

    /// The value of a key that may stand there once.
    ///
    /// # Errors
    /// It stands there twice: the client's fault.
    pub(super) fn only(&self, key: &str) -> Result<Option<&'a RawValue>, Refusal> {
        let mut values = self.0.iter().filter(|(own, _)| own == key).map(|(_, value)| *value);
        let first = values.next();
        if values.next().is_some() { Err(Refusal::DuplicateKey) } else { Ok(first) }
    }

    /// The same, where `null` is as good as nothing.
    pub(super) fn optional(&self, key: &str) -> Result<Option<&'a RawValue>, Refusal> {
        Ok(self.only(key)?.filter(|value| value.get() != "null"))
    }
}

#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some((Key(key), value)) = map.next_entry()? {
                    members.push((key, value));
                }
                Ok(Object(members))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// Whether a well formed value may not go on to clients: half a surrogate pair, or nested too deep.
pub(super) fn is_refused(value: &RawValue) -> bool {
    has_lone_surrogate(value.get()) || is_deep(value)
}

/// Whether well formed JSON holds an escape of one half of a surrogate pair without the other.
pub(super) fn has_lone_surrogate(json: &str) -> bool {
    let unit = |at: usize| {
        let digits = json.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let mut rest = 0;
    while let Some(found) = json[rest..].find('\\') {
        let at = rest + found;
        rest = at + 2;
        match unit(at) {
            Some(0xd800..=0xdbff) => match unit(at + 6) {
                Some(0xdc00..=0xdfff) => rest = at + 12,
                _ => return true,
            },
            Some(0xdc00..=0xdfff) => return true,
            _ => {}
        }
    }
    false
}

/// Whether well formed JSON is nested deeper than a message may be.
pub(super) fn is_deep(value: &RawValue) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    value.get().bytes().any(|byte| {
        match byte {
            _ if std::mem::take(&mut escaped) => {}
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth -= 1,
            _ => {}
        }
        depth > JSON_NESTING_MAX
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members() {
        let body = br#" {"a":1, "b":[ 2 ],"a":null,"c":"x"} "#;
        let object = Object::of_body(body).unwrap();
        let text = |value: Option<&RawValue>| value.map(|value| value.get().to_owned());
        assert_eq!(text(object.last("a")).unwrap(), "null");
        assert_eq!(text(object.last("b")).unwrap(), "[ 2 ]");
        assert_eq!(text(object.only("c").unwrap()).unwrap(), "\"x\"");
        assert_eq!(object.only("a").unwrap_err(), Refusal::DuplicateKey);
        assert_eq!(text(object.optional("d").unwrap()), None);
        for (body, refusal) in [
            (&b""[..], Refusal::BadJson),
            (b"{", Refusal::BadJson),
            (b"{}{}", Refusal::BadJson),
            (b"{\"a\":\"\xff\"}", Refusal::BadJson),
            (b"[1]", Refusal::NotAnObject),
            (b"null", Refusal::NotAnObject),
        ] {
            assert_eq!(Object::of_body(body).err(), Some(refusal), "{body:?}");
        }
    }

    #[test]
    fn nesting() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        let is_deep = |json: &str| is_deep(&RawValue::from_string(json.into()).unwrap());
        assert!(!is_deep(&nested(JSON_NESTING_MAX)));
        assert!(is_deep(&nested(JSON_NESTING_MAX + 1)));
        assert!(!is_deep(&serde_json::to_string(&("[\"\\".repeat(5000))).unwrap()));
    }

    #[test]
    fn lone_surrogates() {
        for (text, lone) in [
            (r#""\ud83d\ude00""#, false),
            (r#""\\ud83d""#, false),
            (r#""\u00e9\n\"""#, false),
            (r#""\ud83d""#, true),
            (r#""\ude00\ud83d""#, true),
            (r#"{"\ud83d\u0041":1}"#, true),
            (r#""é\ud83dé""#, true),
        ] {
            assert_eq!(has_lone_surrogate(text), lone, "{text}");
        }
    }
}

//! What the application says to everyone, a tenant or a user: one JSON value, as a message of each
//! dialect.
//!
//! Clients of `channels` get the value itself as a whole frame; for the others it is taken apart
//! here, and nothing in it is changed. Made for the HTTP API and the dialect `admin` alike.
//! Contract: protocols.md section 11, "HTTP API".

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::audience::Audience;
use crate::message::Publication;
use crate::time::Timestamp;

/// The event's type where the message names none.
const EVENT: &str = "\"notification\"";

/// The label that an audience's messages have in place of a topic; no subscription is asked for it,
/// and it need not be well formed as a topic.
pub fn topic_of(audience: &Audience) -> String {
    match audience {
        Audience::Everyone | Audience::Connection(_) | Audience::Socket(_) => "broadcast".into(),
        Audience::Tenant(tenant) => format!("tenant.{tenant}"),
        Audience::User { user, .. } => format!("user.{user}.notifications"),
    }
}

/// The message that `message`, any JSON value, makes under the label `topic`. Linear in it.
pub fn publication<'a>(topic: &'a str, message: &'a str, at: Timestamp) -> Publication<'a> {
    let parts: Parts<'a> = serde_json::from_str(message).unwrap_or_default();
    Publication {
        event: Some(parts.kind.filter(|kind| kind.starts_with('"')).unwrap_or(EVENT)),
        verbatim: Some(message),
        ..Publication::of_server(topic, parts.data.unwrap_or(message), at)
    }
}

/// What a message is to clients whose events have names and one argument: its type as written,
/// where it names one, with its data; the whole of it where it does not, or has no data.
pub fn said(message: &str) -> (Option<&str>, &str) {
    let parts: Parts<'_> = serde_json::from_str(message).unwrap_or_default();
    match parts.kind.filter(|kind| kind.starts_with('"')) {
        Some(kind) => (Some(kind), parts.data.unwrap_or(message)),
        None => (None, message),
    }
}

/// What a message says of itself, where it is an object; of two members with one key the last.
#[derive(Default)]
struct Parts<'a> {
    kind: Option<&'a str>,
    data: Option<&'a str>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Parts<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PartsVisitor)
    }
}

struct PartsVisitor;

impl<'de> Visitor<'de> for PartsVisitor {
    type Value = Parts<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Parts<'de>, A::Error> {
        let mut parts = Parts::default();
        while let Some((key, value)) = members.next_entry::<String, &'de RawValue>()? {
            match &*key {
                "type" => parts.kind = Some(value.get()),
                "data" => parts.data = Some(value.get()),
                _ => {}
            }
        }
        Ok(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_taken_apart_and_not_changed() {
        let deep = format!("{{\"data\":{}{}}}", "[".repeat(1000), "]".repeat(1000));
        for (message, event, data) in [
            (r#"{"type":"news","data":[1]}"#, r#""news""#, "[1]"),
            (r#"{"data": 1e400 ,"type":"\u00e9"}"#, r#""\u00e9""#, "1e400"),
            (r#"{"type":"news","x":1}"#, r#""news""#, r#"{"type":"news","x":1}"#),
            (r#"{"type":7,"data":null}"#, EVENT, "null"),
            (r#"{"t\u0079pe":"a","type":"b","data":1,"data":2}"#, r#""b""#, "2"),
            ("{}", EVENT, "{}"),
            (r#""hello""#, EVENT, r#""hello""#),
            ("7", EVENT, "7"),
            ("null", EVENT, "null"),
            (r#"["type"]"#, EVENT, r#"["type"]"#),
            (&deep, EVENT, &deep[8..deep.len() - 1]),
        ] {
            let made = publication("broadcast", message, Timestamp(5));
            let expected = Publication {
                event: Some(event),
                verbatim: Some(message),
                ..Publication::of_server("broadcast", data, Timestamp(5))
            };
            assert_eq!(made, expected, "{message}");
        }
    }

    #[test]
    fn a_message_is_an_event_of_its_type() {
        for (message, kind, data) in [
            (r#"{"type":"news","data":[1]}"#, Some(r#""news""#), "[1]"),
            (r#"{"type":"news","x":1}"#, Some(r#""news""#), r#"{"type":"news","x":1}"#),
            (r#"{"data":1}"#, None, r#"{"data":1}"#),
            (r#"{"type":7,"data":1}"#, None, r#"{"type":7,"data":1}"#),
            ("null", None, "null"),
        ] {
            assert_eq!(said(message), (kind, data), "{message}");
        }
    }

    #[test]
    fn each_audience_has_its_label() {
        let user = |tenant: Option<&str>| Audience::User {
            tenant: tenant.map(Into::into),
            user: "4*2".into(),
        };
        assert_eq!(topic_of(&Audience::Everyone), "broadcast");
        assert_eq!(topic_of(&Audience::Tenant("a.b".into())), "tenant.a.b");
        assert_eq!(topic_of(&user(None)), "user.4*2.notifications");
        assert_eq!(topic_of(&user(Some("acme"))), "user.4*2.notifications");
    }
}

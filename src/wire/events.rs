//! The dialect `events`: a delivery is the event itself, without an envelope.
//!
//! Only that differs from `topics`: a session of this dialect reads requests and writes replies
//! with those of `wire::topics`. The fan-out calls [`delivery`] once a message. What the publisher
//! wrote as event type and data is passed on byte for byte; its `metadata` and the sender are not
//! part of an event. Contract: protocols.md section 3, "Dialect `events`".

use crate::message::Publication;
use crate::time::RFC3339_BYTES;
use crate::wire::json::push_string;

/// Bytes of a delivery beside its parts.
const DELIVERY_FRAME_BYTES: usize = 80;

/// Appends what a subscriber receives. `at_text` is `publication.at` as `Timestamp::rfc3339` gives
/// it. Linear in the text.
pub fn delivery(out: &mut Vec<u8>, publication: &Publication<'_>, at_text: &[u8; RFC3339_BYTES]) {
    let Publication { topic, event, data, .. } = *publication;
    let event = event.unwrap_or("\"message\"");
    out.reserve(DELIVERY_FRAME_BYTES + topic.len() + event.len() + data.len());
    out.extend_from_slice(b"{\"type\":");
    out.extend_from_slice(event.as_bytes());
    out.extend_from_slice(b",\"data\":");
    out.extend_from_slice(data.as_bytes());
    out.extend_from_slice(b",\"topic\":");
    push_string(out, topic);
    out.extend_from_slice(b",\"timestamp\":\"");
    out.extend_from_slice(at_text);
    out.extend_from_slice(b"\"}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    const AT: Timestamp = Timestamp(1_769_860_800_123);

    #[track_caller]
    fn delivers(publication: &Publication<'_>, expected: &str) {
        let mut out = b"before".to_vec();
        delivery(&mut out, publication, &AT.rfc3339());
        assert_eq!(String::from_utf8(out).unwrap(), format!("before{expected}"));
    }

    /// What the source document's services publish, as its client switches on it.
    #[test]
    fn the_source_documents_events() {
        let at = AT;
        delivers(
            &Publication {
                event: Some("\"notification\""),
                ..Publication::of_server("user.42.notifications", r#"{"id":1,"text":"hi"}"#, at)
            },
            r#"{"type":"notification","data":{"id":1,"text":"hi"},"topic":"user.42.notifications","timestamp":"2026-01-31T12:00:00.123Z"}"#,
        );
        delivers(
            &Publication {
                event: Some("\"system_notification\""),
                ..Publication::of_server("system.notifications", "\"down at 9\"", at)
            },
            r#"{"type":"system_notification","data":"down at 9","topic":"system.notifications","timestamp":"2026-01-31T12:00:00.123Z"}"#,
        );
        delivers(
            &Publication {
                event: Some("\"chat_message\""),
                metadata: "\"k\":1",
                sender: Some("42"),
                ..Publication::of_server("room.7.messages", "{}", at)
            },
            r#"{"type":"chat_message","data":{},"topic":"room.7.messages","timestamp":"2026-01-31T12:00:00.123Z"}"#,
        );
    }

    #[test]
    fn an_event_is_passed_on_as_it_was_written() {
        let bare = Publication::of_server("t", "null", AT);
        delivers(
            &bare,
            r#"{"type":"message","data":null,"topic":"t","timestamp":"2026-01-31T12:00:00.123Z"}"#,
        );
        delivers(
            &Publication { event: Some("\"\""), ..bare },
            r#"{"type":"","data":null,"topic":"t","timestamp":"2026-01-31T12:00:00.123Z"}"#,
        );
        delivers(
            &Publication {
                topic: "a\"ö",
                event: Some(r#""\u00e9""#),
                data: r#"{"n": 12345678901234567890, "n":1e400}"#,
                verbatim: Some("for another dialect"),
                ..bare
            },
            r#"{"type":"\u00e9","data":{"n": 12345678901234567890, "n":1e400},"topic":"a\"ö","timestamp":"2026-01-31T12:00:00.123Z"}"#,
        );
    }
}

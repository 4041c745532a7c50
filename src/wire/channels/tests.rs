//! Every command, fault, reply and delivery of the dialect, in golden texts.

use proptest::prelude::*;

use super::*;
use crate::connection::{Address, ConnKey, ConnectionId};
use crate::limits::{ECHOED_TYPE_BYTES_MAX, TOPICS_PER_REQUEST_MAX};
use crate::message::Publication;
use crate::time::Timestamp;
use crate::wire::json::Scratch;

const AT: Timestamp = Timestamp(1_769_860_800_123);

fn connection_id() -> ConnectionId {
    let conn = ConnKey { index: 0x0102_0304, generation: 0xa0b0_c0d0 };
    ConnectionId { node: 0x00ab_cdef_0123_4567, at: Address { shard: 8, conn } }
}

#[track_caller]
fn accepts(text: &str, command: Command<'_>) {
    assert_eq!(decode(text, &mut Scratch::default()), Ok(command), "{text}");
}

#[track_caller]
fn rejects(text: &str, fault: Fault<'_>) {
    assert_eq!(decode(text, &mut Scratch::default()), Err(fault), "{text}");
}

/// What the source document's client sends.
#[test]
fn the_source_documents_messages() {
    accepts(
        r#"{"type":"join_channel","data":{"channel":"tenant:acme:general"}}"#,
        Command::Join { channel: "tenant:acme:general" },
    );
    accepts(
        r#"{"type":"subscribe_notifications","data":{"types":["all"]}}"#,
        Command::Notifications { types: vec!["all"], raw: r#"["all"]"# },
    );
    accepts(
        r#"{"type":"send_message","data":{"channel":"tenant:acme:general","message":"hi"}}"#,
        Command::Send { channel: "tenant:acme:general", message: "\"hi\"" },
    );
    accepts(
        r#"{"type":"leave_channel","data":{"channel":"public:news"}}"#,
        Command::Leave { channel: "public:news" },
    );
    accepts(r#"{"type":"ping"}"#, Command::Ping);
}

#[test]
fn what_counts_is_found_wherever_it_stands() {
    accepts(
        " { \"more\":[1,{}], \"data\" : { \"x\":{} ,\"chann\\u0065l\":\"\\u0061\\n\" } ,\"typ\\u0065\":\"join_ch\\u0061nnel\" } ",
        Command::Join { channel: "a\n" },
    );
    accepts(r#"{"type":"leave_channel","data":{"channel":""}}"#, Command::Leave { channel: "" });
    for message in [
        "null",
        "[]",
        "12345678901234567890",
        "1e400",
        r#"{ "b" : 1.0,"a":-0, "a":"\u00e9" }"#,
        r#""\ud83d\ude00""#,
    ] {
        accepts(
            &format!(r#"{{"data":{{"message": {message} ,"channel":"c"}},"type":"send_message"}}"#),
            Command::Send { channel: "c", message },
        );
    }
    // A ping needs no data; what stands there is an object all the same.
    for data in ["null", "{}", r#"{"channel":1}"#] {
        accepts(&format!(r#"{{"type":"ping","data":{data}}}"#), Command::Ping);
    }
    for data in ["7", "\"a\"", "[]", "true", r#"{"a":1,"a":2}"#] {
        rejects(&format!(r#"{{"type":"ping","data":{data}}}"#), Fault::Format);
    }
}

#[test]
fn notification_types() {
    for (raw, types) in [
        ("[]", vec![]),
        ("[ \"a\" , \"\\u0062\", \"a\",\"\",\"x.*\" ]", vec!["a", "b", "a", "", "x.*"]),
    ] {
        accepts(
            &format!(r#"{{"type":"subscribe_notifications","data":{{"types": {raw} }}}}"#),
            Command::Notifications { types, raw },
        );
    }
    let many = |count| format!("[{}]", vec!["\"t\""; count].join(","));
    let text =
        |raw: &str| format!(r#"{{"type":"subscribe_notifications","data":{{"types":{raw}}}}}"#);
    let most = many(TOPICS_PER_REQUEST_MAX);
    let types = vec!["t"; TOPICS_PER_REQUEST_MAX];
    accepts(&text(&most), Command::Notifications { types, raw: &most });
    rejects(&text(&many(TOPICS_PER_REQUEST_MAX + 1)), Fault::Format);
    for raw in [
        "\"all\"",
        "{}",
        "null",
        "[1]",
        "[\"a\",null]",
        "[[\"a\"]]",
        r#"["a","b:c"]"#,
        r#"["\u003a"]"#,
    ] {
        rejects(&text(raw), Fault::Format);
    }
}

#[test]
fn faults() {
    for text in [
        "",
        "{",
        "nonsense",
        "null",
        "7",
        "[]",
        "\"ping\"",
        "{}",
        r#"{"type":null}"#,
        r#"{"type":7}"#,
        r#"{"type":["ping"]}"#,
        r#"{"type":"ping"} x"#,
        r#"{"type":"ping","x":"\ud800"}"#,
        r#"{"type":"ping","type":"ping"}"#,
        r#"{"type":"ping","x":1,"x":1}"#,
        r#"{"type":"no such type","type":"ping"}"#,
        r#"{"type":"join_channel"}"#,
        r#"{"type":"join_channel","channel":"a"}"#,
        r#"{"type":"join_channel","data":null}"#,
        r#"{"type":"join_channel","data":"a"}"#,
        r#"{"type":"join_channel","data":["a"]}"#,
        r#"{"type":"join_channel","data":{}}"#,
        r#"{"type":"join_channel","data":{"channel":null}}"#,
        r#"{"type":"join_channel","data":{"channel":["a"]}}"#,
        r#"{"type":"join_channel","data":{"channel":"a","chann\u0065l":"b"}}"#,
        r#"{"type":"join_channel","data":{"channel":"a"},"data":{"channel":"b"}}"#,
        r#"{"type":"leave_channel","data":{"channel":7}}"#,
        r#"{"type":"send_message","data":{"channel":"a"}}"#,
        r#"{"type":"send_message","data":{"message":"a"}}"#,
        r#"{"type":"send_message","data":{"channel":"a","message":1,"message":2}}"#,
        r#"{"type":"send_message","data":{"channel":"a","message":1},"message":2,"message":3}"#,
        r#"{"type":"subscribe_notifications","data":{}}"#,
        r#"{"type":"subscribe_notifications","data":{"types":["a"],"types":["b"]}}"#,
    ] {
        rejects(text, Fault::Format);
    }
    for kind in ["", "Ping", "message", "join_channel ", "\u{e9}"] {
        rejects(&format!(r#"{{"type":"{kind}","data":7}}"#), Fault::UnknownType(kind));
    }
    rejects(r#"{"type":"a\"\u0062"}"#, Fault::UnknownType("a\"b"));
}

#[track_caller]
fn writes(write: impl FnOnce(&mut Vec<u8>), expected: &str) {
    let mut out = b"before".to_vec();
    write(&mut out);
    assert_eq!(String::from_utf8(out).unwrap(), format!("before{expected}"));
    serde_json::from_str::<serde::de::IgnoredAny>(expected).expect("a reply is JSON");
}

#[test]
fn replies() {
    writes(
        |out| connection(out, connection_id(), AT),
        r#"{"type":"connection","data":{"connectionId":"abcdef012345670801020304a0b0c0d0","timestamp":"2026-01-31T12:00:00.123Z"}}"#,
    );
    writes(
        |out| pong(out, AT),
        r#"{"type":"pong","data":{"timestamp":"2026-01-31T12:00:00.123Z"}}"#,
    );
    writes(
        |out| joined(out, "tenant:acme:\"general\""),
        r#"{"type":"channel_joined","data":{"channel":"tenant:acme:\"general\""}}"#,
    );
    writes(|out| left(out, "a\n", None), r#"{"type":"channel_left","data":{"channel":"a\n"}}"#);
    writes(
        |out| left(out, "public:news", Some("forbidden")),
        r#"{"type":"channel_left","data":{"channel":"public:news","reason":"forbidden"}}"#,
    );
    writes(
        |out| notifications(out, r#"[ "all","\u0062" ]"#),
        r#"{"type":"notifications_subscribed","data":{"types":[ "all","\u0062" ]}}"#,
    );
    writes(
        |out| auth_expired(out, AT),
        r#"{"type":"auth_expired","data":{"code":401,"message":"Token expired","timestamp":"2026-01-31T12:00:00.123Z"}}"#,
    );
}

#[test]
fn errors() {
    for (text, expected) in [
        (INVALID_FORMAT, r#"{"type":"error","data":{"error":"Invalid message format"}}"#),
        (ACCESS_DENIED, r#"{"type":"error","data":{"error":"Access denied to channel"}}"#),
        (PERMISSION_DENIED, r#"{"type":"error","data":{"error":"Permission denied"}}"#),
    ] {
        writes(|out| error(out, text), expected);
    }
    for (kind, expected) in [
        ("dance", r#"{"type":"error","data":{"error":"Unknown message type: dance"}}"#),
        ("", r#"{"type":"error","data":{"error":"Unknown message type: "}}"#),
        ("a\"\n\\", r#"{"type":"error","data":{"error":"Unknown message type: a\"\n\\"}}"#),
    ] {
        writes(|out| unknown_type(out, kind), expected);
    }
    // Cut where a character ends.
    let long = format!("x{}", "é".repeat(ECHOED_TYPE_BYTES_MAX));
    let told = &long[..ECHOED_TYPE_BYTES_MAX - 1];
    writes(
        |out| unknown_type(out, &long),
        &format!(r#"{{"type":"error","data":{{"error":"Unknown message type: {told}"}}}}"#),
    );
}

#[test]
fn deliveries() {
    let bare = Publication::of_server("public:news", "\"hi\"", AT);
    let metadata = r#""k":1"#;
    for (publication, expected) in [
        (
            Publication { sender: Some("42"), from: Some(connection_id()), ..bare },
            r#"{"type":"channel_message","data":{"channel":"public:news","message":"hi","sender":{"id":"42","connectionId":"abcdef012345670801020304a0b0c0d0"},"timestamp":"2026-01-31T12:00:00.123Z"}}"#,
        ),
        (
            bare,
            r#"{"type":"channel_message","data":{"channel":"public:news","message":"hi","sender":{"id":null,"connectionId":null},"timestamp":"2026-01-31T12:00:00.123Z"}}"#,
        ),
        (
            Publication {
                topic: "a\"ö",
                event: Some("\"e\""),
                data: r#"{"n": 12345678901234567890, "n":1e400}"#,
                metadata,
                sender: Some("u\\"),
                ..bare
            },
            r#"{"type":"channel_message","data":{"channel":"a\"ö","message":{"n": 12345678901234567890, "n":1e400},"sender":{"id":"u\\","connectionId":null},"timestamp":"2026-01-31T12:00:00.123Z"}}"#,
        ),
    ] {
        writes(|out| delivery(out, &publication, &AT.rfc3339()), expected);
    }
}

/// What the source document's event bus carries is the whole frame.
#[test]
fn what_the_server_side_gives_verbatim_is_the_frame() {
    for frame in [
        r#"{"type":"notification","data":{"type":"status_updated","data":{"status":"away"}}}"#,
        "\"hello\"",
        "7",
    ] {
        let publication = Publication {
            sender: Some("42"),
            verbatim: Some(frame),
            ..Publication::of_server("public:news", "1", AT)
        };
        writes(|out| delivery(out, &publication, &AT.rfc3339()), frame);
    }
}

proptest! {
    #[test]
    fn whatever_is_sent_is_delivered_as_it_was_written(
        channel in ".*",
        text in ".*",
        number in "-?(0|[1-9][0-9]{0,30})([.][0-9]{1,9})?([eE][+-]?[0-9]{1,4})?",
        blanks in "[ \t\r\n]{0,3}",
    ) {
        let json_text = serde_json::to_string(&text).unwrap();
        let json_channel = serde_json::to_string(&channel).unwrap();
        let message = format!("[{json_text},{blanks}{number}{blanks},{{{json_text}:{blanks}null}}]");
        let request = format!(
            "{{\"type\":\"send_message\",\"data\":{{\"message\":{blanks}{message}{blanks},\"channel\":{json_channel}}}}}"
        );
        let mut scratch = Scratch::default();
        let decoded = decode(&request, &mut scratch);
        let sent = Command::Send { channel: &channel, message: &message };
        prop_assert_eq!(decoded, Ok(sent));
        let mut out = Vec::new();
        let publication = Publication {
            sender: Some(&text),
            ..Publication::of_server(&channel, &message, AT)
        };
        delivery(&mut out, &publication, &AT.rfc3339());
        let expected = format!(
            "{{\"type\":\"channel_message\",\"data\":{{\"channel\":{json_channel},\"message\":{message},\"sender\":{{\"id\":{json_text},\"connectionId\":null}},\"timestamp\":\"{AT}\"}}}}"
        );
        prop_assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}

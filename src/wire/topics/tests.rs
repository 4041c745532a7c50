//! Every request, refusal and reply of the dialect, in golden texts.

use proptest::prelude::*;

use super::*;
use crate::limits::{REQUEST_ID_BYTES_MAX, TOPICS_PER_REQUEST_MAX};
use crate::message::{Position, Publication};
use crate::time::Timestamp;
use crate::topic::TopicError;
use crate::wire::json::Scratch;

const AT: Timestamp = Timestamp(1_769_860_800_123);

/// A publish that gives nothing but what it must.
const BARE: Publish<'_> =
    Publish { topic: "t", data: "null", metadata: "", event: None, echo: true };

#[track_caller]
fn accepts(text: &str, id: Option<&str>, command: Command<'_>) {
    assert_eq!(decode(text, &mut Scratch::default()), Ok(Request { id, command }), "{text}");
}

#[track_caller]
fn rejects(text: &str, refusal: Refusal) {
    let id = text.contains(r#""id":7"#).then_some("7");
    let topic = text.contains(r#""topic":"t""#).then_some("t");
    let topic = topic.filter(|_| !text.contains("topics") && refusal != Refusal::DuplicateKey);
    let rejected = Rejected { id, topic, refusal };
    assert_eq!(decode(text, &mut Scratch::default()), Err(rejected), "{text}");
}

fn many<'a>(topics: &[&'a str]) -> Names<'a> {
    Names::Many(topics.to_vec())
}

#[test]
fn requests() {
    accepts(r#"{"type":"ping"}"#, None, Command::Ping);
    accepts(r#" {"id":7,"\u0074ype":"p\u0069ng","more":[1,{}]} "#, Some("7"), Command::Ping);
    accepts(r#"{"type":"auth","token":"a.b"}"#, None, Command::Auth { token: "a.b" });
    accepts(r#"{"type":"auth","token":""}"#, None, Command::Auth { token: "" });
    let topics = Names::One("a.*");
    accepts(
        r#"{"type":"subscribe","topic":"a.*"}"#,
        None,
        Command::Subscribe { topics: topics.clone() },
    );
    accepts(r#"{"type":"unsubscribe","topic":"a.*"}"#, None, Command::Unsubscribe { topics });
    let topics = many(&["a", "", "b\n*", "a"]);
    accepts(
        r#"{"type":"subscribe","topics":[ "a", "","\u0062\n*" ,"a"]}"#,
        None,
        Command::Subscribe { topics },
    );
}

#[test]
fn an_id_travels_digit_for_digit() {
    let long = format!("\"{}\"", "x".repeat(REQUEST_ID_BYTES_MAX - 2));
    for id in
        ["0", "-0.0", "1E+2", "123456789012345678901234567890", "1e400", r#""a\u0062\"""#, &long]
    {
        let text = format!("{{\"type\":\"ping\",\"id\" : {id} }}");
        accepts(&text, Some(id), Command::Ping);
    }
    accepts(r#"{"type":"ping","id":null}"#, None, Command::Ping);
    let too_long = long.replacen('x', "xx", 1);
    for id in ["true", "[]", "{}", "[7]", &too_long] {
        rejects(&format!("{{\"type\":\"ping\",\"id\":{id}}}"), Refusal::IllTyped("id"));
    }
}

#[test]
fn publishes() {
    accepts(r#"{"type":"message","topic":"t","data":null}"#, None, Command::Publish(BARE));
    accepts(
        r#"{"type":"message","topic":"t","data":null,"metadata":null,"eventType":null,"echo":null,"id":null}"#,
        None,
        Command::Publish(BARE),
    );
    accepts(
        r#"{"echo":false,"eventType":"","metadata":{ "k" : 1.0,"k":2 },"data": {"n":12345678901234567890, "n":-0} ,"topic":"\u0074","id":7,"type":"message"}"#,
        Some("7"),
        Command::Publish(Publish {
            data: r#"{"n":12345678901234567890, "n":-0}"#,
            metadata: r#""k" : 1.0,"k":2"#,
            event: Some("\"\""),
            echo: false,
            ..BARE
        }),
    );
    let event = Some(r#""\u00e9\n""#);
    accepts(
        r#"{"type":"message","topic":"t","data":null,"eventType":"\u00e9\n","echo":true}"#,
        None,
        Command::Publish(Publish { event, ..BARE }),
    );
}

#[test]
fn a_sender_of_the_publishers_own_is_dropped() {
    for (given, kept) in [
        ("{}", ""),
        ("{ \n}", ""),
        (r#"{"senderId":"x"}"#, ""),
        (r#"{"a":1,"senderId":"x"}"#, r#""a":1"#),
        (r#"{ "senderId" : {"a":1} , "b" : 2 }"#, r#""b" : 2"#),
        (r#"{"a":1,"sender\u0049d":1,"a":1e400,"senderId":[2],"b":3}"#, r#""a":1,"a":1e400,"b":3"#),
        (r#"{"a":{"senderId":1},"senderid":2}"#, r#""a":{"senderId":1},"senderid":2"#),
    ] {
        accepts(
            &format!(r#"{{"type":"message","topic":"t","data":null,"metadata":{given}}}"#),
            None,
            Command::Publish(Publish { metadata: kept, ..BARE }),
        );
    }
}

#[test]
fn refusals() {
    use Refusal::{DuplicateKey, IllTyped, Missing, TopicAndTopics, UnknownType};
    for (text, refusal) in [
        ("{", Refusal::BadJson),
        ("[]", Refusal::NotAnObject),
        ("{}", Missing("type")),
        (r#"{"id":7,"type":null}"#, IllTyped("type")),
        (r#"{"type":"Ping","id":7}"#, UnknownType),
        (r#"{"type":"","topic":"t"}"#, UnknownType),
        (r#"{"type":"auth","id":7}"#, Missing("token")),
        (r#"{"type":"auth","token":null,"id":7}"#, IllTyped("token")),
        (r#"{"type":"subscribe","id":7}"#, Missing("topic")),
        (r#"{"type":"subscribe","topic":null}"#, IllTyped("topic")),
        (r#"{"type":"subscribe","topic":["t"]}"#, IllTyped("topic")),
        (r#"{"type":"subscribe","topics":[],"id":7}"#, IllTyped("topics")),
        (r#"{"type":"subscribe","topics":"t"}"#, IllTyped("topics")),
        (r#"{"type":"subscribe","topics":null}"#, IllTyped("topics")),
        (r#"{"type":"unsubscribe","topics":["t",1],"id":7}"#, IllTyped("topics")),
        (r#"{"type":"subscribe","topics":["t",["t"]]}"#, IllTyped("topics")),
        (r#"{"type":"subscribe","topic":"t","topics":["t"],"id":7}"#, TopicAndTopics),
        (r#"{"type":"message","topic":"t","topics":["t"],"data":1}"#, TopicAndTopics),
        (r#"{"type":"message","data":1,"id":7}"#, Missing("topic")),
        (r#"{"type":"message","topic":1,"data":1}"#, IllTyped("topic")),
        (r#"{"type":"message","topic":"t","id":7}"#, Missing("data")),
        (r#"{"type":"message","topic":"t","data":1,"metadata":[]}"#, IllTyped("metadata")),
        (r#"{"type":"message","topic":"t","data":1,"metadata":"{}"}"#, IllTyped("metadata")),
        (r#"{"type":"message","topic":"t","data":1,"eventType":1}"#, IllTyped("eventType")),
        (r#"{"type":"message","topic":"t","data":1,"echo":0,"id":7}"#, IllTyped("echo")),
        (r#"{"type":"ping","id":[7],"topic":"t"}"#, IllTyped("id")),
        (r#"{"type":"ping","type":"ping","id":7}"#, DuplicateKey),
        (r#"{"type":"message","topic":"t","top\u0069c":"u","data":1,"id":7}"#, DuplicateKey),
        (r#"{"type":"ping","x":1,"id":7,"x":1}"#, DuplicateKey),
        (r#"{"type":"ping","id":8,"id":9}"#, DuplicateKey),
        (r#"{"type":"ping","id":{},"x":1,"x":1}"#, DuplicateKey),
        (r#"{"type":"message","topic":"t\ud800","data":1}"#, Refusal::BadJson),
    ] {
        rejects(text, refusal);
    }
    let topics = |count| {
        let topics = vec!["\"t\""; count].join(",");
        format!("{{\"type\":\"subscribe\",\"topics\":[{topics}]}}")
    };
    rejects(&topics(TOPICS_PER_REQUEST_MAX + 1), IllTyped("topics"));
    let most = Command::Subscribe { topics: many(&["t"; TOPICS_PER_REQUEST_MAX]) };
    accepts(&topics(TOPICS_PER_REQUEST_MAX), None, most);
}

#[track_caller]
fn writes(write: impl FnOnce(&mut Vec<u8>), expected: &str) {
    let mut out = b"before".to_vec();
    write(&mut out);
    assert_eq!(String::from_utf8(out).unwrap(), format!("before{expected}"));
    serde_json::from_str::<serde_json::Value>(expected).expect("a reply is JSON");
}

#[test]
fn replies() {
    let id = Some("1E+2");
    writes(
        |out| auth_success(out, id, "u\"1", AT),
        r#"{"type":"auth_success","id":1E+2,"userId":"u\"1","timestamp":"2026-01-31T12:00:00.123Z"}"#,
    );
    writes(
        |out| auth_error(out, None, AT),
        r#"{"type":"auth_error","message":"Invalid token","code":401,"timestamp":"2026-01-31T12:00:00.123Z"}"#,
    );
    writes(
        |out| auth_expired(out, AT),
        r#"{"type":"auth_expired","code":401,"message":"Token expired","timestamp":"2026-01-31T12:00:00.123Z"}"#,
    );
    writes(
        |out| subscribed(out, Some("\"a\\u0062\""), "a.*", AT),
        r#"{"type":"subscribed","id":"a\u0062","topic":"a.*","timestamp":"2026-01-31T12:00:00.123Z"}"#,
    );
    writes(
        |out| unsubscribed(out, id, "ö", AT, None),
        r#"{"type":"unsubscribed","id":1E+2,"topic":"ö","timestamp":"2026-01-31T12:00:00.123Z"}"#,
    );
    writes(
        |out| unsubscribed(out, None, "t", AT, Some("forbidden")),
        r#"{"type":"unsubscribed","topic":"t","reason":"forbidden","timestamp":"2026-01-31T12:00:00.123Z"}"#,
    );
    writes(
        |out| published(out, id, "t", None, AT),
        r#"{"type":"published","id":1E+2,"topic":"t","timestamp":"2026-01-31T12:00:00.123Z"}"#,
    );
    let position = Some(Position { epoch: u64::MAX, offset: 9 });
    writes(
        |out| published(out, id, "t", position, AT),
        r#"{"type":"published","id":1E+2,"topic":"t","offset":9,"epoch":"18446744073709551615","timestamp":"2026-01-31T12:00:00.123Z"}"#,
    );
    writes(|out| pong(out, None, AT), r#"{"type":"pong","timestamp":"2026-01-31T12:00:00.123Z"}"#);
}

#[test]
fn errors() {
    let limited = Refusal::RateLimited { retry_after_ms: 1500 };
    for (refusal, id, topic, expected) in [
        (
            Refusal::BadJson,
            None,
            None,
            r#"{"type":"error","code":400,"message":"Invalid JSON","details":{},"timestamp":"2026-01-31T12:00:00.123Z"}"#,
        ),
        (
            Refusal::BadTopic(TopicError::PartialWildcard),
            Some("7"),
            Some("a*\n"),
            r#"{"type":"error","id":7,"code":400,"message":"Invalid topic: a wildcard must be a whole segment","details":{"topic":"a*\n"},"timestamp":"2026-01-31T12:00:00.123Z"}"#,
        ),
        (
            Refusal::Missing("data"),
            None,
            Some("t"),
            r#"{"type":"error","code":400,"message":"Missing field: data","details":{"topic":"t","field":"data"},"timestamp":"2026-01-31T12:00:00.123Z"}"#,
        ),
        (
            Refusal::IllTyped("id"),
            None,
            None,
            r#"{"type":"error","code":400,"message":"Invalid field: id","details":{"field":"id"},"timestamp":"2026-01-31T12:00:00.123Z"}"#,
        ),
        (
            limited,
            Some("\"r\""),
            None,
            r#"{"type":"error","id":"r","code":429,"message":"Rate limit exceeded","details":{"retryAfterMs":1500},"timestamp":"2026-01-31T12:00:00.123Z"}"#,
        ),
    ] {
        writes(|out| error(out, id, &refusal, topic, AT), expected);
    }
}

#[test]
fn deliveries() {
    let bare = Publication {
        topic: "t",
        topic_hash: 0,
        event: None,
        data: "null",
        metadata: "",
        sender: None,
        at: AT,
        position: Some(Position { epoch: 1, offset: 2 }),
        from: None,
        verbatim: None,
        sender_in_metadata: false,
        binary: None,
        ephemeral: false,
    };
    let metadata = r#""k": 1,"k":2"#;
    let full = Publication {
        topic: "a\"b",
        event: Some(r#""\u00e9""#),
        data: r#"{"n": 12345678901234567890, "n":1e400}"#,
        metadata,
        sender: Some("u\\"),
        ..bare
    };
    for (publication, expected) in [
        (
            bare,
            r#"{"type":"message","topic":"t","eventType":"message","data":null,"metadata":{},"timestamp":"2026-01-31T12:00:00.123Z"}"#,
        ),
        (
            Publication { sender: Some("u"), event: Some("\"\""), ..bare },
            r#"{"type":"message","topic":"t","eventType":"","data":null,"metadata":{"senderId":"u"},"timestamp":"2026-01-31T12:00:00.123Z"}"#,
        ),
        (
            Publication { metadata, sender: Some("k"), sender_in_metadata: true, ..bare },
            r#"{"type":"message","topic":"t","eventType":"message","data":null,"metadata":{"k": 1,"k":2},"timestamp":"2026-01-31T12:00:00.123Z"}"#,
        ),
    ] {
        writes(|out| delivery(out, &publication, &AT.rfc3339()), expected);
    }
    // With a number that serde_json does not read.
    let mut out = Vec::new();
    delivery(&mut out, &full, &AT.rfc3339());
    assert_eq!(
        String::from_utf8(out).unwrap(),
        r#"{"type":"message","topic":"a\"b","eventType":"\u00e9","data":{"n": 12345678901234567890, "n":1e400},"metadata":{"k": 1,"k":2,"senderId":"u\\"},"timestamp":"2026-01-31T12:00:00.123Z"}"#
    );
}

proptest! {
    #[test]
    fn whatever_is_published_is_delivered_as_it_was_written(
        topic in ".*",
        text in ".*",
        number in "-?(0|[1-9][0-9]{0,30})([.][0-9]{1,9})?([eE][+-]?[0-9]{1,4})?",
        blanks in "[ \t\r\n]{0,3}",
    ) {
        let json_text = serde_json::to_string(&text).unwrap();
        let json_topic = serde_json::to_string(&topic).unwrap();
        let data = format!("[{json_text},{blanks}{number}{blanks},{{{json_text}:{blanks}null}}]");
        let inside = format!("{json_text}{blanks}:{number}");
        let request = format!(
            "{{\"metadata\":{{{inside}}},\"data\":{data}{blanks},\"type\":\"message\",\"topic\":{json_topic}}}"
        );
        let mut scratch = Scratch::default();
        let decoded = decode(&request, &mut scratch);
        let published = Publish { topic: &topic, data: &data, metadata: &inside, ..BARE };
        prop_assert_eq!(decoded, Ok(Request { id: None, command: Command::Publish(published) }));
        let mut out = Vec::new();
        let publication = Publication {
            topic: &topic,
            topic_hash: 0,
            event: None,
            data: &data,
            metadata: &inside,
            sender: Some(&text),
            at: AT,
            position: None,
            from: None,
            verbatim: None,
            sender_in_metadata: false,
            binary: None,
            ephemeral: false,
        };
        delivery(&mut out, &publication, &AT.rfc3339());
        let delivered = String::from_utf8(out).unwrap();
        let expected = format!(
            "{{\"type\":\"message\",\"topic\":{json_topic},\"eventType\":\"message\",\"data\":{data},\"metadata\":{{{inside},\"senderId\":{json_text}}},\"timestamp\":\"{AT}\"}}"
        );
        prop_assert_eq!(delivered, expected);
    }
}

//! `topics`, `events` and `channels`.

use super::*;
use crate::close::Refusal;
use crate::message::Publication;
use crate::time::Timestamp;
use crate::wire::topics;

const AT: &str = r#""timestamp":"2026-01-31T12:00:00.000Z""#;

#[test]
fn the_token_is_shown_in_the_query() {
    for spoken in [Spoken::Topics, Spoken::Events, Spoken::Channels] {
        let line = |path, who| handshake(spoken, path, who, None).0;
        assert_eq!(line("/ws", &SUBSCRIBER), "GET /ws HTTP/1.1");
        assert_eq!(line("/ws", &WITH_TOKEN), "GET /ws?token=x.y%2Bz HTTP/1.1");
        assert_eq!(line("/ws?v=1", &WITH_TOKEN), "GET /ws?v=1&token=x.y%2Bz HTTP/1.1");
    }
}

#[test]
fn topics_says_what_its_contract_says() {
    for spoken in [Spoken::Topics, Spoken::Events] {
        let dialect = dialect(spoken);
        assert_eq!(said(|say| assert!(dialect.opened(&SUBSCRIBER, say))), []);
        assert_eq!(
            said(|say| assert!(dialect.subscribe("a.*", 3, say))),
            text(r#"{"type":"subscribe","topic":"a.*"}"#)
        );
        assert_eq!(
            said(|say| dialect.publish("a\".b", b"~xyz", say)),
            text(r#"{"type":"message","topic":"a\".b","data":"~xyz"}"#)
        );
        assert!(!dialect.joins_to_publish() && dialect.echoes());
    }
}

#[test]
fn topics_hears_what_its_contract_says() {
    let hears = |payload: &str, what| hears(Spoken::Topics, payload, what);
    hears(&format!(r#"{{"type":"subscribed","topic":"a.b",{AT}}}"#), "Subscribed");
    hears(&format!(r#"{{"type":"published","id":1,"topic":"a.b",{AT}}}"#), "Other");
    hears(&format!(r#"{{"type":"pong",{AT}}}"#), "Other");
    hears(&format!(r#"{{"type":"auth_success","userId":"u",{AT}}}"#), "Other");
    let error = r#"{"type":"auth_error","message":"Invalid token","code":401,"#;
    hears(&format!("{error}{AT}}}"), "Refused 401 Invalid token");
    let error = r#"{"type":"auth_expired","code":401,"message":"Token expired","#;
    hears(&format!("{error}{AT}}}"), "Refused 401 Token expired");
    let error = r#"{"type":"error","code":403,"message":"not \"a\u00e4\"\n","details":{},"#;
    hears(&format!("{error}{AT}}}"), "Refused 403 not \"aä\"\n");
    hears(r#"{"type":"error"}"#, "Refused refused without a word");
    hears(
        r#"{"message":[1],"code":null,"t\u0079pe":"err\u006fr"}"#,
        "Refused refused without a word",
    );
    hears("", "Other");
    hears("[]", "Other");
}

#[test]
fn an_error_that_quotes_a_message_is_no_delivery() {
    let error = format!(r#"{{"type":"error","code":400,"message":"what is {STAMPED}"}}"#);
    hears(Spoken::Topics, &error, &format!("Refused 400 what is {STAMPED}"));
    let error = format!(r#"{{"type":"error","data":{{"error":"what is {STAMPED}"}}}}"#);
    hears(Spoken::Channels, &error, &format!("Refused what is {STAMPED}"));
}

#[test]
fn what_the_broker_encodes_is_heard() {
    let at = Timestamp(1_767_225_600_000);
    let encoded = |encode: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        encode(&mut out);
        String::from_utf8(out).unwrap()
    };
    let data = format!("\"{STAMPED}\"");
    let publication = Publication {
        topic: "a.b",
        topic_hash: 0,
        event: None,
        data: &data,
        metadata: "",
        sender: Some("bench-5"),
        at,
        position: None,
        from: None,
        verbatim: None,
        sender_in_metadata: false,
        binary: None,
        ephemeral: false,
    };
    let delivery = encoded(&|out| topics::delivery(out, &publication, &at.rfc3339()));
    let event = format!(r#"{{"type":"message","data":{data},"topic":"a.b",{AT}}}"#);
    hears(Spoken::Topics, &delivery, "Delivery");
    hears(Spoken::Events, &event, "Delivery");
    let subscribed = encoded(&|out| topics::subscribed(out, None, "a.b", at));
    hears(Spoken::Topics, &subscribed, "Subscribed");
    let published = encoded(&|out| topics::published(out, Some("1"), "a.b", None, at));
    hears(Spoken::Topics, &published, "Other");
    let refusal = Refusal::Missing("data");
    let error = encoded(&|out| topics::error(out, None, &refusal, Some("a.b"), at));
    hears(Spoken::Topics, &error, &format!("Refused {} {refusal}", refusal.code()));
    let expired = encoded(&|out| topics::auth_expired(out, at));
    hears(Spoken::Topics, &expired, "Refused 401 Token expired");
}

#[test]
fn channels_says_what_its_contract_says() {
    let dialect = dialect(Spoken::Channels);
    assert_eq!(said(|say| assert!(!dialect.opened(&SUBSCRIBER, say))), []);
    assert_eq!(
        said(|say| assert!(dialect.subscribe("public:a", 3, say))),
        text(r#"{"type":"join_channel","data":{"channel":"public:a"}}"#)
    );
    assert_eq!(
        said(|say| dialect.publish("public:a", b"~xyz", say)),
        text(r#"{"type":"send_message","data":{"channel":"public:a","message":"~xyz"}}"#)
    );
    // protocols.md section 4: to the other members.
    assert!(!dialect.echoes());
}

#[test]
fn channels_hears_what_its_contract_says() {
    let hears = |payload: &str, what| hears(Spoken::Channels, payload, what);
    hears(&format!(r#"{{"type":"connection","data":{{"connectionId":"c",{AT}}}}}"#), "Ready");
    hears(r#"{"type":"channel_joined","data":{"channel":"public:a"}}"#, "Subscribed");
    hears(&format!(r#"{{"type":"pong","data":{{{AT}}}}}"#), "Other");
    let message = format!(r#""message":"{STAMPED}","sender":{{"id":"u","connectionId":"c"}}"#);
    let data = format!(r#"{{"channel":"public:a",{message},{AT}}}"#);
    hears(&format!(r#"{{"type":"channel_message","data":{data}}}"#), "Delivery");
    let error = r#"{"type":"error","data":{"error":"Access denied to channel"}}"#;
    hears(error, "Refused Access denied to channel");
    hears(r#"{"type":"error"}"#, "Refused refused without a word");
}

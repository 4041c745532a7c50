//! Socket.IO: packets as its protocol documents and protocols.md section 5 have them.

use super::*;

fn hears(payload: &str, what: &str) {
    super::hears(Spoken::Socketio, payload, what);
}

#[test]
fn the_path_asks_for_the_protocol() {
    let line = |path| handshake(Spoken::Socketio, path, &WITH_TOKEN, None).0;
    let expected = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1";
    assert_eq!(line("/socket.io/?EIO=4&transport=websocket"), expected);
    assert_eq!(line("/socket.io/"), expected);
    assert_eq!(line("/io?a=1"), "GET /io?a=1&EIO=4&transport=websocket HTTP/1.1");
}

#[test]
fn it_connects_when_the_engine_is_open() {
    assert_eq!(said(|say| assert!(!dialect(Spoken::Socketio).opened(&SUBSCRIBER, say))), []);
    let open = br#"0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000}"#;
    let (heard, answer, _) = hear(Spoken::Socketio, &SUBSCRIBER, open);
    assert_eq!((heard, answer), (vec!["Other".into()], text("40")));
    let (_, answer, _) = hear(Spoken::Socketio, &WITH_TOKEN, open);
    assert_eq!(answer, text(r#"40{"token":"x.y+z"}"#));
    hears(r#"40{"sid":"s"}"#, "Ready");
    hears(r#"40{"sid":"s","pid":"p"}"#, "Ready");
    hears(r#"44{"message":"AUTHENTICATION_FAILED"}"#, "Refused AUTHENTICATION_FAILED");
    let error = r#"44{"message":"no \"b\"","data":{"code":"x","message":"y"}}"#;
    hears(error, "Refused no \"b\"");
    hears("44", "Refused refused without a word");
    hears("41", "Refused disconnected from the namespace");
}

#[test]
fn a_heartbeat_is_answered() {
    let (heard, answer, done) = hear(Spoken::Socketio, &SUBSCRIBER, b"2");
    assert_eq!((heard, answer, done), (vec!["Other".into()], text("3"), 1));
}

#[test]
fn rooms_are_joined_with_an_acknowledgement() {
    let dialect = dialect(Spoken::Socketio);
    assert_eq!(
        said(|say| assert!(dialect.subscribe("a.b", 12, say))),
        text(r#"4212["join_room",{"room":"a.b"}]"#)
    );
    assert!(dialect.joins_to_publish());
    hears(r#"4312[{"success":true,"room":"a.b","memberCount":1}]"#, "Subscribed");
    hears("4312[]", "Subscribed");
    let why = r#"{"success":false,"code":"INVALID_ROOM","message":"no \u0022room\u0022"}"#;
    hears(&format!("430[{why}]"), "Refused INVALID_ROOM no \"room\"");
    hears("43[]", "Other");
    hears("4399999999999[]", "Other");
    // The same is told by events.
    hears(r#"42["room_joined",{"success":true,"room":"a.b","memberCount":1}]"#, "Other");
    hears(r#"42["room_error",{"code":"INVALID_ROOM","message":"no"}]"#, "Other");
}

#[test]
fn messages_go_to_rooms_and_come_from_them() {
    assert_eq!(
        said(|say| dialect(Spoken::Socketio).publish("a.b", b"~xyz", say)),
        text(r#"42["message",{"from":"bench","room":"a.b","content":"~xyz","type":"text"}]"#)
    );
    let message = format!(
        r#"42["message",{{"from":"u","room":"a.b","content":"{STAMPED}","id":"1","timestamp":2}}]"#
    );
    hears(&message, "Delivery");
    hears(&message.replace(STAMPED, "hello"), "Other");
    let (heard, ..) = hear(Spoken::Socketio, &PUBLISHER, message.as_bytes());
    assert_eq!(heard, ["Other"]);
    let error = r#"42["error",{"code":"AUTHORIZATION_FAILED","message":"no","timestamp":1}]"#;
    hears(error, "Refused AUTHORIZATION_FAILED no");
    hears(&error.replace("no", STAMPED), &format!("Refused AUTHORIZATION_FAILED {STAMPED}"));
    hears(r#"42["error","Invalid token"]"#, "Refused Invalid token");
}

#[test]
fn other_packets_are_nothing_to_it() {
    for packet in ["", "1", "3", "4", "42", "42/ws,[]", "6", r#"451-["x",{}]"#, "\u{1}~sw:"] {
        hears(packet, "Other");
    }
}

//! Each dialect's golden transcripts, and what holds for all of them.

mod json;
mod rooms;
mod streams;
mod telling;

use proptest::prelude::*;

use super::*;
use crate::load::scenario::Credentials;
use crate::load::stamp::STAMP_BYTES;
use crate::wire::frame::{Decoder, Event, FrameBounds, Sender};

const KEY: [u8; 4] = [1, 2, 3, 4];

const ALL: [Spoken; 8] = [
    Spoken::Topics,
    Spoken::Events,
    Spoken::Channels,
    Spoken::Socketio,
    Spoken::Nats,
    Spoken::Mqtt,
    Spoken::Nchan,
    Spoken::Floor,
];

const STAMP: Stamp = Stamp { stream: 7, number: 8, at_us: 9 };
/// [`STAMP`] as a payload of two bytes more.
const STAMPED: &str = "~sw:000000070000000800000000000009..";

const SUBSCRIBER: Who<'_> = Who { number: 5, token: None, topic: "a.b", publishes: false };
const PUBLISHER: Who<'_> = Who { publishes: true, ..SUBSCRIBER };
const WITH_TOKEN: Who<'_> = Who { token: Some("x.y+z"), ..SUBSCRIBER };

fn target(dialect: Spoken, path: &str) -> Target {
    Target {
        address: ([127, 0, 0, 1], 1).into(),
        host: "localhost:1".into(),
        path: path.into(),
        tls: None,
        dialect,
        compression: false,
        credentials: Credentials::None,
    }
}

fn dialect(spoken: Spoken) -> Box<dyn Dialect> {
    of(&target(spoken, "/"))
}

/// The request line and the headers behind the usual ones.
fn handshake(spoken: Spoken, path: &str, who: &Who<'_>, offer: Option<&str>) -> (String, String) {
    let mut out = Vec::new();
    of(&target(spoken, path)).handshake(who, "k", offer, &mut out);
    let text = String::from_utf8(out).unwrap();
    let (first, headers) = text.split_once("\r\n").unwrap();
    let usual = "Host: localhost:1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: k\r\n";
    let rest = headers.strip_prefix(usual).expect("the usual headers").strip_suffix("\r\n\r\n");
    (first.into(), rest.unwrap_or_default().into())
}

/// Frames taken apart: text or not, payload.
type Frames = Vec<(bool, Vec<u8>)>;

/// What a client says, its frames taken apart.
fn said(say: impl FnOnce(&mut Words<'_>)) -> Frames {
    let mut out = Vec::new();
    say(&mut Words::new(&mut out, KEY));
    let bounds =
        FrameBounds { message_bytes_max: 1 << 20, compression: false, sender: Sender::Client };
    let (mut partial, mut frames) = (None, Vec::new());
    let mut decoder = Decoder::new(&mut partial, &mut out, &bounds);
    while let Some(event) = decoder.next_event().unwrap() {
        let Event::Message { text, payload, .. } = event else { panic!("{event:?}") };
        frames.push((text, payload.to_vec()));
    }
    frames
}

fn text(payload: &str) -> Frames {
    vec![(true, payload.into())]
}

fn binary(payload: impl Into<Vec<u8>>) -> Frames {
    vec![(false, payload.into())]
}

/// What a client hears in one payload, what it answers, and how much it is done with.
fn hear(spoken: Spoken, who: &Who<'_>, payload: &[u8]) -> (Vec<String>, Frames, usize) {
    let (mut heard, mut done) = (Vec::new(), 0);
    let answer = said(|say| {
        done = dialect(spoken).hear(who, payload, say, &mut |what| heard.push(word(what)));
    });
    (heard, answer, done)
}

fn word(heard: Heard<'_>) -> String {
    match heard {
        Heard::Refused(words) => format!("Refused {}", String::from_utf8_lossy(words)),
        Heard::Delivery(STAMP) => "Delivery".into(),
        other => format!("{other:?}"),
    }
}

/// A subscriber hears one thing, answers nothing and is done with all of it.
fn hears(spoken: Spoken, payload: &str, what: &str) {
    let (heard, answer, done) = hear(spoken, &SUBSCRIBER, payload.as_bytes());
    assert_eq!(heard, [what], "{payload}");
    assert!(answer.is_empty(), "{payload}");
    assert_eq!(done, payload.len());
}

#[test]
fn a_frame_is_masked_with_the_key() {
    let mut out = Vec::new();
    dialect(Spoken::Floor).subscribe("ab", 0, &mut Words::new(&mut out, KEY));
    assert_eq!(out, [0x81, 0x83, 1, 2, 3, 4, b's' ^ 1, b'a' ^ 2, b'b' ^ 3]);
}

#[test]
fn the_stamp_of_these_tests_is_one() {
    let mut payload = Vec::new();
    STAMP.put(&mut payload, STAMPED.len());
    assert_eq!(payload, STAMPED.as_bytes());
    assert_eq!(STAMPED.len(), STAMP_BYTES + 2);
}

#[test]
fn the_offer_stands_in_the_handshake_of_all() {
    for spoken in ALL {
        let (_, headers) = handshake(spoken, "/", &SUBSCRIBER, Some("permessage-deflate"));
        assert!(headers.ends_with("Sec-WebSocket-Extensions: permessage-deflate"), "{spoken:?}");
        let (_, headers) = handshake(spoken, "/", &SUBSCRIBER, None);
        let protocol = if spoken == Spoken::Mqtt { "Sec-WebSocket-Protocol: mqtt" } else { "" };
        assert_eq!(headers, protocol, "{spoken:?}");
    }
}

#[test]
fn who_greets_otherwise_speaks_something_else() {
    let foreign = |spoken, payload: &str| dialect(spoken).foreign(payload.as_bytes());
    let greetings = [
        (Spoken::Mqtt, "mqtt", "\x20\x02\0\0"),
        (Spoken::Nats, "nats", "INFO {}\r\n"),
        (Spoken::Socketio, "socketio", r#"0{"sid":"s"}"#),
        (Spoken::Channels, "channels", r#"{"type":"connection","data":{}}"#),
    ];
    let others = ["SSH-2.0\r\n", "{\"type\":\"welcome\"}", "~sw", "4", "\x30\x02ab"];
    for (spoken, name, greeting) in greetings {
        for (other, _, theirs) in greetings {
            let expected = (other != spoken).then_some(name);
            assert_eq!(foreign(spoken, theirs), expected, "{name}: {theirs}");
        }
        for strange in others {
            assert_eq!(foreign(spoken, strange), Some(name), "{name}: {strange}");
        }
        // A stream may be cut anywhere.
        if matches!(spoken, Spoken::Mqtt | Spoken::Nats) {
            (0..greeting.len()).for_each(|cut| assert_eq!(foreign(spoken, &greeting[..cut]), None));
        }
    }
    let known = ["2", "40{}", "44{\"message\":\"no\"}", "41", "6", "1"];
    assert!(known.iter().all(|packet| foreign(Spoken::Socketio, packet).is_none()));
    let known = ["PONG\r\n", "PING\r\n", "-ERR 'no'\r\n", "+OK\r\n"];
    assert!(known.iter().all(|line| foreign(Spoken::Nats, line).is_none()));
    assert_eq!(foreign(Spoken::Channels, "{\"type\":\"error\"}"), None);
    for spoken in [Spoken::Topics, Spoken::Events, Spoken::Nchan, Spoken::Floor] {
        assert_eq!(foreign(spoken, "SSH-2.0"), None);
    }
}

/// Bytes like those that servers say, and any others.
fn payloads() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        &b"{\"type\":\"error\""[..],
        b"{\"type\":\"message\",\"data\":\"",
        b"\"}",
        STAMPED.as_bytes(),
        b"42[\"error\",{}]",
        b"431[{\"success\":false}]",
        b"INFO {}\r\n",
        b"MSG a 1 36\r\n",
        b"MSG a 1 99999999999999999999\r\n",
        b"-ERR '\r\n",
        b"\r\n",
        &[0x30, 40, 0, 1, b'a'],
        &[0x90, 3, 0, 1, 0x80],
        &[0xff, 0xff, 0xff, 0xff, 0x7f],
    ]);
    let part = prop_oneof![
        3 => known.prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ];
    prop::collection::vec(part, 0..6).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn whatever_comes_is_heard_without_a_panic(payload in payloads(), publishes: bool) {
        let who = Who { publishes, ..WITH_TOKEN };
        for spoken in ALL {
            let (_, _, done) = hear(spoken, &who, &payload);
            prop_assert!(done <= payload.len());
            // Only streams may leave something.
            let is_stream = matches!(spoken, Spoken::Nats | Spoken::Mqtt);
            prop_assert!(is_stream || done == payload.len());
        }
    }
}

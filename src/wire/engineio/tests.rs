//! Every packet and every fault in golden texts, then what must hold of all of them.

use std::borrow::Cow;

use super::*;
use crate::wire::frame::{self, Decoder, Event, FrameBounds, OpCode, Sender};

fn binary(bytes: &[u8]) -> Packet<'_> {
    Packet::Binary(Cow::Borrowed(bytes))
}

fn record(packet: &Packet<'_>) -> String {
    let mut out = Vec::new();
    put_record(&mut out, packet);
    String::from_utf8(out).unwrap()
}

fn framed(packet: &Packet<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    put_frame(&mut out, packet);
    out
}

/// Each packet, its text, and what carries it on a WebSocket.
fn golden() -> Vec<(Packet<'static>, &'static str, OpCode, &'static [u8])> {
    use OpCode::{Binary, Text};
    vec![
        (Packet::Open, "0", Text, b"0"),
        (Packet::Close, "1", Text, b"1"),
        (Packet::Ping(""), "2", Text, b"2"),
        (Packet::Ping(PROBE), "2probe", Text, b"2probe"),
        (Packet::Pong(""), "3", Text, b"3"),
        (Packet::Pong(PROBE), "3probe", Text, b"3probe"),
        (Packet::Message(""), "4", Text, b"4"),
        (Packet::Message("hello"), "4hello", Text, b"4hello"),
        (Packet::Message("4"), "44", Text, b"44"),
        (Packet::Message("bAQID"), "4bAQID", Text, b"4bAQID"),
        (Packet::Message("=\u{1f}\0\r\n"), "4=\u{1f}\0\r\n", Text, b"4=\x1f\0\r\n"),
        (Packet::Message("€ тест 日本"), "4€ тест 日本", Text, "4€ тест 日本".as_bytes()),
        (Packet::Message("😀👩‍🚀\u{feff}"), "4😀👩‍🚀\u{feff}", Text, "4😀👩‍🚀\u{feff}".as_bytes()),
        (binary(b""), "b", Binary, b""),
        (binary(&[1]), "bAQ==", Binary, &[1]),
        (binary(&[1, 2]), "bAQI=", Binary, &[1, 2]),
        (binary(&[1, 2, 3]), "bAQID", Binary, &[1, 2, 3]),
        (binary(&[1, 2, 3, 4]), "bAQIDBA==", Binary, &[1, 2, 3, 4]),
        (binary(&[0xfb, 0xff, 0xfe, 0x1e]), "b+//+Hg==", Binary, &[0xfb, 0xff, 0xfe, 0x1e]),
        (Packet::Upgrade, "5", Text, b"5"),
        (Packet::Noop, "6", Text, b"6"),
    ]
}

#[test]
fn packets() {
    for (packet, text, opcode, payload) in golden() {
        assert_eq!(decode_text(text).as_ref(), Ok(&packet), "{text}");
        assert_eq!(record(&packet), format!("{text}\u{1e}"));
        let mut direct = Vec::new();
        frame::put_frame(&mut direct, opcode, false, payload);
        assert_eq!(framed(&packet), direct, "{text}");
    }
}

#[test]
fn data_behind_a_packet_that_has_none_is_passed_over() {
    for (text, packet) in [
        ("0{\"sid\":\"x\"}", Packet::Open),
        ("1because", Packet::Close),
        ("5€", Packet::Upgrade),
        ("66", Packet::Noop),
    ] {
        assert_eq!(decode_text(text), Ok(packet));
    }
}

#[test]
fn what_is_no_packet() {
    use Malformed::{Base64, Empty, Type};
    for (text, why) in [
        ("", Empty),
        ("abc", Type),
        ("7", Type),
        ("9hello", Type),
        (" 4hello", Type),
        ("-1", Type),
        ("B", Type),
        ("\u{1e}", Type),
        ("\0", Type),
        ("é4", Type),
        ("\u{feff}4hello", Type),
        ("😀", Type),
        ("bA", Base64),
        ("bAQIDB", Base64),
        ("bAR==", Base64),
        ("bAQJ", Base64),
        ("bAQ=", Base64),
        ("bAQ===", Base64),
        ("bAQI==", Base64),
        ("b=", Base64),
        ("b====", Base64),
        ("bAQ==AQ==", Base64),
        ("bAQID\n", Base64),
        ("b AQID", Base64),
        ("b-__-", Base64),
        ("b4hello!", Base64),
        ("b€", Base64),
    ] {
        assert_eq!(decode_text(text), Err(why), "{text:?}");
    }
    let bodies = [("", Empty), ("abc", Type), ("\u{1e}", Empty), ("b*", Base64)];
    for (body, why) in bodies {
        let mut records = records(body);
        assert_eq!(records.next(), Some(Err(why)), "{body:?}");
        assert_eq!((records.rest(), records.next()), (None, None), "{body:?}");
    }
}

#[test]
fn base64_without_padding() {
    for (text, bytes) in [("bAQ", &[1][..]), ("bAQI", &[1, 2]), ("bAQID", &[1, 2, 3])] {
        assert_eq!(decode_text(text), Ok(binary(bytes)));
    }
}

#[test]
fn the_packet_that_opens() {
    let mut out = b"before".to_vec();
    open(&mut out, "AAECAwQFBgcICQoLDA0O", true, 300, 200, 1_000_000);
    let expected = r#"before0{"sid":"AAECAwQFBgcICQoLDA0O","upgrades":["websocket"],"pingInterval":300,"pingTimeout":200,"maxPayload":1000000}"#;
    assert_eq!(String::from_utf8(out), Ok(expected.into()));
    let mut out = Vec::new();
    open(&mut out, "-_-", false, 25_000, 20_000, 100);
    let expected =
        r#"0{"sid":"-_-","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":100}"#;
    assert_eq!(String::from_utf8(out), Ok(expected.into()));
}

#[test]
fn bodies_of_several_records() {
    for (body, packets) in [
        ("4hello", vec![Packet::Message("hello")]),
        ("4test1\u{1e}4test2\u{1e}4test3", ["test1", "test2", "test3"].map(Packet::Message).into()),
        ("4hello\u{1e}bAQIDBA==", vec![Packet::Message("hello"), binary(&[1, 2, 3, 4])]),
        ("bAQ==\u{1e}bAg\u{1e}3", vec![binary(&[1]), binary(&[2]), Packet::Pong("")]),
        ("4\u{1e}4\u{1e}b\u{1e}1", {
            vec![Packet::Message(""), Packet::Message(""), binary(b""), Packet::Close]
        }),
        ("4😀\u{1e}4é", vec![Packet::Message("😀"), Packet::Message("é")]),
    ] {
        let read: Vec<_> = records(body).map(Result::unwrap).collect();
        assert_eq!(read, packets, "{body:?}");
    }
}

#[test]
fn the_first_malformed_record_is_the_last() {
    for (body, good, why) in [
        ("4a\u{1e}4b\u{1e}xyz\u{1e}4c", 2, Malformed::Type),
        ("4a\u{1e}\u{1e}4c", 1, Malformed::Empty),
        ("4a\u{1e}4b\u{1e}", 2, Malformed::Empty),
        ("\u{1e}4a", 0, Malformed::Empty),
        ("4a\u{1e}b?\u{1e}4c", 1, Malformed::Base64),
        ("4a\u{1e} 4b", 1, Malformed::Type),
    ] {
        let mut records = records(body);
        assert!(records.by_ref().take(good).all(|it| it.is_ok()), "{body:?}");
        assert_eq!(records.next(), Some(Err(why)), "{body:?}");
        assert_eq!((records.rest(), records.next()), (None, None), "{body:?}");
    }
}

/// Interrupted behind each record, and begun again with what was left.
#[test]
fn bodies_in_several_turns() {
    let whole: String = golden().iter().map(|(packet, ..)| record(packet)).collect();
    for body in [whole.strip_suffix('\u{1e}').unwrap(), &whole, "4a\u{1e}x\u{1e}4b", "", "4"] {
        let expected: Vec<_> = records(body).collect();
        for taken in 1..=expected.len() {
            let (mut rest, mut read) = (Some(body), Vec::new());
            while let Some(text) = rest {
                let mut records = records(text);
                read.extend(records.by_ref().take(taken));
                rest = records.rest();
            }
            assert_eq!(read, expected, "{body:?} by {taken}");
        }
    }
}

#[test]
fn very_many_records() {
    const COUNT: usize = 500_000;
    let body = vec!["4"; COUNT].join("\u{1e}");
    assert_eq!(body.len(), 2 * COUNT - 1);
    let mut records = records(&body);
    for count in 1..=COUNT {
        assert_eq!(records.next(), Some(Ok(Packet::Message(""))));
        let left = body.len().checked_sub(2 * count);
        assert_eq!(records.rest().map(str::len), left);
    }
    assert_eq!((records.rest(), records.next()), (None, None));
    let separators = "\u{1e}".repeat(COUNT);
    assert_eq!(super::records(&separators).count(), 1);
    let mut frames = Vec::new();
    records_to_frames(&mut frames, body.as_bytes());
    assert_eq!(frames, framed(&Packet::Message("")).repeat(COUNT));
}

/// A message that is written piece by piece is one that was at hand, at each length of header.
#[test]
fn messages_in_pieces() {
    for len in [0, 1, 124, 125, 126, 65_534, 65_535, 65_536] {
        let text = "x".repeat(len);
        for transport in [Transport::Polling, Transport::WebSocket] {
            let (mut whole, mut pieces) = (b"before".to_vec(), b"before".to_vec());
            put(&mut whole, transport, &Packet::Message(&text));
            let begun = begin_message(&mut pieces, transport);
            let (first, second) = text.split_at(len / 3);
            pieces.extend_from_slice(first.as_bytes());
            pieces.extend_from_slice(second.as_bytes());
            end_message(&mut pieces, begun);
            assert!(whole == pieces, "{len} bytes, {transport:?}");
        }
    }
}

#[test]
#[should_panic(expected = "a separator within a record")]
#[cfg(debug_assertions)]
fn a_record_holds_no_separator() {
    put_record(&mut Vec::new(), &Packet::Message("a\u{1e}4b"));
}

#[test]
fn records_become_frames() {
    let mut expected = Vec::new();
    for (packet, text, ..) in golden() {
        let direct = framed(&packet);
        for record in [text.to_owned(), format!("{text}\u{1e}")] {
            let (mut one, mut all) = (b"before".to_vec(), b"before".to_vec());
            record_to_frames(&mut one, record.as_bytes());
            records_to_frames(&mut all, record.as_bytes());
            assert_eq!((&one[6..], &all[6..]), (&*direct, &*direct), "{record:?}");
        }
        expected.extend(direct);
    }
    let lane: String = golden().iter().map(|(packet, ..)| record(packet)).collect();
    for records in [&*lane, lane.strip_suffix('\u{1e}').unwrap()] {
        let mut frames = Vec::new();
        records_to_frames(&mut frames, records.as_bytes());
        assert_eq!(frames, expected);
    }
    let mut none = Vec::new();
    for empty in ["", "\u{1e}"] {
        record_to_frames(&mut none, empty.as_bytes());
        records_to_frames(&mut none, empty.as_bytes());
    }
    assert_eq!(none, b"");
}

/// splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    /// Mostly short; now and then as long as makes another header.
    fn len(&mut self) -> u64 {
        let bound = [4, 20, 300, 300, 70_000][self.below(5) as usize];
        self.below(bound)
    }

    fn text(&mut self) -> String {
        let len = self.len();
        let chars = std::iter::from_fn(|| {
            let bound = [0x80, 0x800, 0x1_0000, 0x11_0000][self.below(4) as usize];
            Some(char::from_u32(self.below(bound) as u32).unwrap_or('b'))
        });
        chars.filter(|it| *it != '\u{1e}').take(len as usize).collect()
    }

    fn bytes(&mut self) -> Vec<u8> {
        (0..self.len()).map(|_| self.below(256) as u8).collect()
    }
}

/// What frames carry: whether as text, and the payload.
fn carried(mut frames: Vec<u8>) -> Vec<(bool, Vec<u8>)> {
    let bounds =
        FrameBounds { message_bytes_max: 1 << 20, compression: false, sender: Sender::Server };
    let (mut partial, mut carried) = (None, Vec::new());
    let mut decoder = Decoder::new(&mut partial, &mut frames, &bounds);
    while let Some(event) = decoder.next_event().unwrap() {
        let Event::Message { text, compressed: false, payload } = event else {
            panic!("{event:?}")
        };
        carried.push((text, payload.to_vec()));
    }
    assert!(partial.is_none());
    carried
}

#[test]
fn any_packets_are_the_same_by_either_way() {
    let mut random = Random(4);
    for _ in 0..300 {
        let texts: Vec<_> = (0..=random.below(6)).map(|_| random.text()).collect();
        let blobs: Vec<_> = texts.iter().map(|_| random.bytes()).collect();
        let (mut packets, mut lane, mut direct) = (Vec::new(), Vec::new(), Vec::new());
        for (text, bytes) in texts.iter().zip(&blobs) {
            packets.push(match random.below(9) {
                0 => Packet::Open,
                1 => Packet::Close,
                2 => Packet::Ping(text),
                3 => Packet::Pong(text),
                4 => Packet::Upgrade,
                5 => Packet::Noop,
                6 => Packet::Message(text),
                _ => binary(bytes),
            });
            put(&mut lane, Transport::Polling, packets.last().unwrap());
            put(&mut direct, Transport::WebSocket, packets.last().unwrap());
        }
        let body = std::str::from_utf8(lane.strip_suffix(&[SEPARATOR]).unwrap()).unwrap();
        assert!(records(body).eq(packets.iter().cloned().map(Ok)), "{body:?}");
        let mut reframed = Vec::new();
        records_to_frames(&mut reframed, &lane);
        assert!(reframed == direct, "{body:?}");
        let carried = carried(direct);
        let read = carried.iter().map(|(is_text, payload)| match is_text {
            true => decode_text(std::str::from_utf8(payload).unwrap()).unwrap(),
            false => binary(payload),
        });
        assert!(read.eq(packets), "{body:?}");
    }
}

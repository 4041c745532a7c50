use serde_json::Value;

use super::*;
use crate::message::Publication;
use crate::time::Timestamp;

const SID: &str = "AAAAAAAAAAAAAAAAAAAA";

#[test]
fn answers_to_a_connection() {
    for (expected, found) in [
        ("0{\"sid\":\"AAAAAAAAAAAAAAAAAAAA\"}", written(|out| connected(out, "/", SID, None))),
        (
            "0/custom,{\"sid\":\"AAAAAAAAAAAAAAAAAAAA\",\"pid\":\"p-_\"}",
            written(|out| connected(out, "/custom", SID, Some("p-_"))),
        ),
        (
            "4/random,{\"message\":\"Invalid namespace\"}",
            written(|out| connect_error(out, "/random", INVALID_NAMESPACE, None)),
        ),
        (
            "4{\"message\":\"NO\",\"data\":{\"code\":\"A_B\",\"message\":\"say \\\"please\\\"\"}}",
            written(|out| connect_error(out, "/", "NO", Some(("A_B", "say \"please\"")))),
        ),
        ("1", written(|out| disconnect(out, "/"))),
        ("1/ws,", written(|out| disconnect(out, "/ws"))),
    ] {
        assert_eq!(found, expected);
    }
}

#[test]
fn events_and_acknowledgements() {
    let event = |nsp: &str, ack, attachments, name: &str, args: &[&str], offset: Option<&str>| {
        written(|out| super::super::event(out, nsp, ack, attachments, name, args, offset))
    };
    let ack = |nsp: &str, id, attachments, args: &str| {
        written(|out| super::super::ack(out, nsp, id, attachments, args))
    };
    let back = ["1", "\"2\"", "{\"3\":[true]}"];
    let one = "{\"_placeholder\":true,\"num\":0}";
    for (expected, found) in [
        ("2[\"auth\",{}]", event("/", None, 0, "auth", &["{}"], None)),
        ("2/custom,[\"auth\",{}]", event("/custom", None, 0, "auth", &["{}"], None)),
        (
            "2[\"message-back\",1,\"2\",{\"3\":[true]}]",
            event("/", None, 0, "message-back", &back, None),
        ),
        ("2[\"pong\"]", event("/", None, 0, "pong", &[], None)),
        ("2[\"pong\",\"e-1\"]", event("/", None, 0, "pong", &[], Some("e-1"))),
        ("2[\"a\\n\",1,\"e-1\"]", event("/", None, 0, "a\n", &["1"], Some("e-1"))),
        ("2/ws,0[\"ack\"]", event("/ws", Some(0), 0, "ack", &[], None)),
        (
            "51-[\"doge\",{\"_placeholder\":true,\"num\":0}]",
            event("/", None, 1, "doge", &[one], None),
        ),
        ("510-/x,7[\"a\"]", event("/x", Some(7), 10, "a", &[], None)),
        ("3456[1,\"2\",{\"3\":[false]}]", ack("/", 456, 0, "1,\"2\",{\"3\":[false]}")),
        ("3/custom,0[]", ack("/custom", 0, 0, "")),
        ("62-789[1]", ack("/", 789, 2, "1")),
        ("61-/x,9007199254740992[1]", ack("/x", 1 << 53, 1, "1")),
    ] {
        assert_eq!(found, expected);
    }
}

#[test]
fn members_hear_an_event_of_the_publications_type() {
    let plain = Publication::of_server("room", "{\"b\" : 1e400,\"a\":\"\\u00e9\"}", Timestamp(5));
    let typed = Publication { event: Some("\"new \\u006fne\""), metadata: "\"m\":1", ..plain };
    let delivery = |nsp, default, publication, offset| {
        written(|out| delivery(out, nsp, default, publication, offset))
    };
    for (expected, found) in [
        (
            "2[\"message\",{\"b\" : 1e400,\"a\":\"\\u00e9\"}]",
            delivery("/", "message", &plain, None),
        ),
        (
            "2/ws,[\"NEW_NOTIFICATION\",{\"b\" : 1e400,\"a\":\"\\u00e9\"}]",
            delivery("/ws", "NEW_NOTIFICATION", &plain, None),
        ),
        (
            "2[\"new \\u006fne\",{\"b\" : 1e400,\"a\":\"\\u00e9\"},\"e-42\"]",
            delivery("/", "message", &typed, Some("e-42")),
        ),
        (
            "52-[\"say \\\"hi\\\"\",[],\"e-42\"]",
            written(|out| room_message(out, "/", None, "say \"hi\"", 2, "[]", Some("e-42"))),
        ),
    ] {
        assert_eq!(found, expected);
    }
}

/// A small generator of numbers (splitmix64), so that a run can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ mixed >> 31) % bound as u64).unwrap()
    }

    fn text(&mut self) -> String {
        const PIECES: [&str; 12] =
            ["a", "\"", "\\", "\n", "\0", "ö", "😀", "connect", "[", "},", "\u{2028}", "/x,1-"];
        (0..self.below(5)).map(|_| PIECES[self.below(PIECES.len())]).collect()
    }

    /// A JSON value, written with or without blanks.
    fn json(&mut self, depth: usize) -> String {
        let blank = ["", " ", "\n\t"][self.below(3)];
        let kinds = if depth == 0 { 5 } else { 7 };
        match self.below(kinds) {
            0 => "null".into(),
            1 => ["true", "false"][self.below(2)].into(),
            2 => ["0", "-0.0", "1e400", "9007199254740993", "12345678901234567890123"]
                [self.below(5)]
            .into(),
            3 | 4 => Value::from(self.text()).to_string(),
            5 => {
                let elements: Vec<_> = (0..self.below(4)).map(|_| self.json(depth - 1)).collect();
                format!("[{blank}{}{blank}]", elements.join(&format!("{blank},")))
            }
            _ => {
                let members: Vec<_> = (0..self.below(4))
                    .map(|_| {
                        format!("{}{blank}:{}", Value::from(self.text()), self.json(depth - 1))
                    })
                    .collect();
                format!("{{{}{blank}}}", members.join(&format!(",{blank}")))
            }
        }
    }
}

#[test]
fn what_is_written_is_read_as_it_was_meant() {
    let mut random = Random(20);
    let mut scratch = Scratch::default();
    for _ in 0..5_000 {
        let nsp = ["/", "/ws", "/custom?a=1", "/日本"][random.below(4)];
        let ack = [None, Some(random.below(100) as u64), Some(1 << 53)][random.below(3)];
        let attachments = u8::try_from(random.below(11)).unwrap();
        let name = format!("e{}", random.text());
        let mut args: Vec<String> = (0..random.below(5)).map(|_| random.json(3)).collect();
        let offset = [None, Some("k3v9-z7")][random.below(2)];
        let raws: Vec<&str> = args.iter().map(String::as_str).collect();
        let text = written(|out| {
            super::super::event(out, nsp, ack, attachments, &name, &raws, offset);
        });
        let joined = raws.join(",");
        let acked = written(|out| super::super::ack(out, nsp, 9, attachments, &joined));
        let expected = Owned::Ack(nsp.into(), 9, attachments, format!("[{joined}]"));
        assert_eq!(read_with(&acked, &mut scratch), Ok(expected));
        args.extend(offset.map(|offset| Value::from(offset).to_string()));
        let expected = Owned::Event(nsp.into(), ack, attachments, name, args);
        assert_eq!(read_with(&text, &mut scratch), Ok(expected), "{text}");
    }
}

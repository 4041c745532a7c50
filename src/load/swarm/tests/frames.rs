//! The handshake and what comes behind it.

use super::*;
use crate::wire::deflate::Deflater;

#[test]
fn the_request_and_frames_behind_the_answer() {
    let mut rig = Rig::new(Setting { compression: true, ..Setting::default() });
    let mut peer = rig.asked(4);
    let request = peer.request();
    assert!(
        request.starts_with("GET /4 HTTP/1.1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")
    );
    assert!(request.contains("permessage-deflate; client_no_context_takeover; server_no"));
    let mut bytes = format!("{TAKEN}\r\n").into_bytes();
    for word in ["ready", "subscribed", "question", &stamped(7, 200), "no way", "x"] {
        bytes.extend(text(word));
    }
    peer.say(&bytes);
    let expected = ["4 ready", "4 Subscribed 12", "4 delivery 7 204", "4 no way 8", "4 Other 3"];
    assert_eq!(rig.hear(5), expected);
    for said in ["i am 4", "answer", "subscribe"] {
        assert_eq!(peer.frame(), (1, said.into()));
    }
    let counts = rig.swarm.counts();
    assert_eq!((counts.open, counts.waiting), (1, 0));
    assert_eq!(rig.swarm.bytes_read, bytes.len() as u64);
    assert!(rig.swarm.say(4, &[0x81, 0x80, 0, 0, 0, 0]));
    assert_eq!(peer.frame(), (1, vec![]));
    assert!(!rig.swarm.say(3, b"nobody") && !rig.swarm.say(1000, b"nobody"));
}

#[test]
fn a_dialect_that_is_ready_at_once() {
    let mut rig = Rig::new(Setting::default());
    rig.notes.publishes = true;
    let mut peer = rig.opened(0);
    assert_eq!(rig.hear(1), ["0 ready"]);
    assert_eq!(peer.frame(), (1, b"subscribe".into()));
}

/// All that a server may say, and what it leads to.
fn conversation() -> (Vec<u8>, Vec<String>) {
    let mut bytes = format!("{TAKEN}Server: s\r\n\r\n").into_bytes();
    bytes.extend(text("ready"));
    bytes.extend(frame(OpCode::Ping, b"are you there"));
    bytes.extend([0x01, 3, b's', b'u', b'b']);
    bytes.extend(frame(OpCode::Pong, b""));
    bytes.extend([0x80, 7]);
    bytes.extend(b"scribed");
    bytes.extend(frame(OpCode::Binary, stamped(1, 130).as_bytes()));
    bytes.extend(text(""));
    bytes.extend(close(4401));
    let heard = ["0 ready", "0 Subscribed 12", "0 delivery 1 134", "0 ended 4401"];
    (bytes, heard.map(String::from).into())
}

#[test]
fn what_comes_may_be_cut_anywhere() {
    let (bytes, expected) = conversation();
    let mut rig = Rig::new(Setting::default());
    for cut in 0..=bytes.len() {
        let mut peer = rig.asked(0);
        peer.request();
        let (mut front, mut back) = (bytes[..cut].to_vec(), bytes[cut..].to_vec());
        rig.swarm.received(0, &mut front, &mut rig.notes);
        rig.swarm.received(0, &mut back, &mut rig.notes);
        assert_eq!(rig.hear(expected.len()), expected, "{cut}");
        assert_eq!(peer.frame(), (1, b"i am 0".into()));
        let subscribe = (1, b"subscribe".into());
        let pong = (10, b"are you there".into());
        let rest = [peer.frame(), peer.frame()];
        assert!(rest == [pong.clone(), subscribe.clone()] || rest == [subscribe, pong], "{cut}");
        assert_eq!(peer.frame(), (8, 4401_u16.to_be_bytes().into()));
        assert_eq!(rig.swarm.counts().open, 0);
    }
}

#[test]
fn a_byte_at_a_time() {
    let (bytes, expected) = conversation();
    let mut rig = Rig::new(Setting::default());
    let mut peer = rig.asked(0);
    for (sent, byte) in bytes.iter().enumerate() {
        peer.say(&[*byte]);
        rig.until(|swarm, _| swarm.bytes_read > sent as u64);
    }
    assert_eq!(rig.hear(expected.len()), expected);
}

#[test]
fn messages_that_are_pieces_of_a_stream() {
    let mut rig = Rig::new(Setting { lines: true, ..Setting::default() });
    let mut peer = rig.opened(0);
    for piece in ["re", "ad", "y\nsubscribed\nsub", "", "scribed", "\n", "no a\nno b\nx\n"] {
        peer.say(&text(piece));
    }
    let heard = rig.hear(6);
    let words: Vec<&str> = heard.iter().map(|it| it.trim_end_matches(char::is_numeric)).collect();
    assert_eq!(
        words,
        ["0 ready", "0 Subscribed ", "0 Subscribed ", "0 no a ", "0 no b ", "0 Other "]
    );
    assert!(heard[5].ends_with(" 0"), "the bytes of a frame are told once");
    assert!(rig.swarm.slots[0].rare.is_none(), "nothing is kept of a stream that is all read");
}

#[test]
fn compressed_messages() {
    let mut rig = Rig::new(Setting { compression: true, ..Setting::default() });
    let mut peer = rig.asked(0);
    peer.request();
    let accepted = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover";
    peer.say(format!("{TAKEN}{accepted}\r\n\r\n").as_bytes());
    let mut frame_bytes = 0;
    for number in 0..3 {
        let (mut payload, mut bytes) = (Vec::new(), Vec::new());
        Deflater::new(12).deflate(stamped(number, 5000).as_bytes(), &mut payload);
        put_frame(&mut bytes, OpCode::Text, true, &payload);
        bytes.extend(text("subscribed"));
        peer.say(&bytes);
        frame_bytes = bytes.len() - 12;
    }
    let heard = rig.hear(6);
    assert!(frame_bytes < 200);
    assert_eq!(heard[4..], [format!("0 delivery 2 {frame_bytes}"), "0 Subscribed 12".into()]);
    let mut bytes = Vec::new();
    put_frame(&mut bytes, OpCode::Text, true, b"\x06\x00");
    peer.say(&bytes);
    assert_eq!(rig.hear(1), ["0 ended 1006"]);
    assert_eq!(peer.frame().1, b"i am 0");
    assert_eq!(peer.frame(), (8, 1002_u16.to_be_bytes().into()));
    assert!(rig.swarm.troubles()[0].0.contains("corrupt deflate"));
}

#[test]
fn many_and_large_messages() {
    let mut rig = Rig::new(Setting::default());
    let mut peer = rig.opened(0);
    let (small, large) = (text(&stamped(1, 0)), text(&stamped(2, 3 << 20)));
    let mut bytes = small.repeat(20_000);
    bytes.extend(&large);
    bytes.extend(close(1001));
    let writer = std::thread::spawn(move || {
        peer.say(&bytes);
        peer
    });
    let heard = rig.hear(20_002);
    assert!(heard[..20_000].iter().all(|it| it == &format!("0 delivery 1 {}", small.len())));
    assert_eq!(heard[20_000..], [format!("0 delivery 2 {}", large.len()), "0 ended 1001".into()]);
    let mut peer = writer.join().unwrap();
    assert_eq!(peer.frame(), (8, 1001_u16.to_be_bytes().into()));
}

#[test]
fn what_many_are_sent_alike_is_heard_by_each() {
    let mut rig = Rig::new(Setting::default());
    let mut peers = [rig.opened(0), rig.opened(1)];
    let bytes = [text(&stamped(1, 60)), text(&stamped(2, 60)), text(&stamped(9, 70))].concat();
    let expected = |connection| {
        [(1, 62), (2, 62), (9, 72)]
            .map(|(number, of)| format!("{connection} delivery {number} {of}"))
    };
    // To both, to one of them again, and then the same but for one digit.
    for at in [0, 1, 1] {
        peers[at].say(&bytes);
        assert_eq!(rig.hear(3), expected(at), "{at}");
    }
    let mut other = bytes.clone();
    let digit = other.len() - 72 + 2 + 4 + 8 + 7;
    other[digit] = b'8';
    peers[0].say(&other);
    assert_eq!(rig.hear(3)[2], "0 delivery 8 72");
    peers[1].say(&bytes);
    assert_eq!(rig.hear(3), expected(1));
    // The same bytes as the payload of a larger message are something else.
    let head = u8::try_from(bytes.len()).unwrap();
    rig.swarm.received(0, &mut [0x81, 126, 0, head], &mut rig.notes);
    rig.swarm.received(0, &mut bytes.clone(), &mut rig.notes);
    assert_eq!(rig.hear(1), [format!("0 delivery 1 {}", 4 + bytes.len())]);
}

#[test]
fn what_asks_for_an_answer_gets_it_each_time() {
    let mut rig = Rig::new(Setting::default());
    let mut peers = [rig.opened(0), rig.opened(1)];
    let bytes = [text(&stamped(1, 60)), frame(OpCode::Ping, b"there"), text("question")].concat();
    for (at, peer) in peers.iter_mut().enumerate() {
        peer.say(&bytes);
        assert_eq!(rig.hear(1), [format!("{at} delivery 1 62")]);
        assert_eq!([peer.frame(), peer.frame()], [(10, b"there".into()), (1, b"answer".into())]);
    }
}

#[test]
fn what_is_not_whole_has_a_bound_for_all_together() {
    let mut rig = Rig::new(Setting::default());
    let mut peers = [rig.opened(0), rig.opened(1)];
    let message = text(&stamped(1, 1000));
    peers[0].say(&message[..500]);
    rig.until(|swarm, _| swarm.unfinished > 500);
    // As if many others kept as much as there may be.
    let others = UNFINISHED_BYTES_ALL_MAX - rig.swarm.unfinished;
    rig.swarm.unfinished += others;
    peers[1].say(&text(&stamped(2, 1000)));
    rig.until(|_, notes| notes.log == ["1 delivery 2 1004"]);
    peers[1].say(&message[..500]);
    rig.until(|_, notes| notes.log.len() == 2);
    assert_eq!(rig.notes.log[1], "1 ended 1006");
    peers[1].at_end();
    let (why, times) = &rig.swarm.troubles()[0];
    assert!(why.contains("keeps over 536870912 bytes of messages") && *times == 1, "{why}");
    // Who has nothing to do with it stays.
    peers[0].say(&message[500..]);
    rig.until(|_, notes| notes.log.len() == 3);
    assert_eq!(rig.notes.log[2], "0 delivery 1 1004");
    assert_eq!(rig.swarm.unfinished, others);
}

#[test]
fn what_is_not_whole_is_counted_until_it_is_gone() {
    let mut rig = Rig::new(Setting { lines: true, ..Setting::default() });
    for leave in [true, false] {
        let mut asked = rig.asked(1);
        asked.say(&TAKEN.as_bytes()[..40]);
        let mut opened = rig.opened(0);
        opened.say(&[&text("half a line")[..], &[0x01, 1, b'x'], &[0x80, 100, b'x']].concat());
        rig.until(|swarm, _| swarm.slots.iter().all(|slot| slot.unfinished() >= 11));
        assert_eq!(rig.swarm.unfinished, rig.unfinished());
        if leave {
            rig.swarm.leave(0, Leave::Close);
            rig.swarm.leave(1, Leave::Silent);
        } else {
            drop((asked, opened));
            assert_eq!(rig.hear(2).len(), 2);
        }
        assert_eq!(rig.swarm.unfinished, 0);
    }
}

#[test]
fn what_the_dialect_cannot_understand_ends_its_greeting() {
    for lines in [false, true] {
        let mut rig = Rig::new(Setting { lines, ..Setting::default() });
        let mut peer = rig.opened(0);
        peer.say(&text("SSH-2.0"));
        let refused = "0 no the server said what is not words: SSH-2.0 9";
        assert_eq!(rig.hear(1), [refused]);
        let mut peer = rig.opened(1);
        peer.say(&[text("ready\n"), text("SSH-2.0\n")].concat());
        assert_eq!(rig.hear(2), ["1 ready", "1 Other 10"]);
    }
}

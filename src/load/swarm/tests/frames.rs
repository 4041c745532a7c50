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
    for word in ["ready", "subscribed", "question", &stamped(7, 200), "no way", "unsubscribed", "x"]
    {
        bytes.extend(text(word));
    }
    peer.say(&bytes);
    let heard = rig.hear(6);
    let expected =
        ["4 ready", "4 Subscribed 12", "4 delivery 7 204", "4 no way 8", "4 Unsubscribed 14"];
    assert_eq!(heard[..5], expected);
    assert_eq!(heard[5], "4 Other 3");
    for said in ["i am 4", "answer", "subscribe"] {
        assert_eq!(peer.frame(), (1, said.into()));
    }
    let counts = rig.swarm.counts();
    assert_eq!((counts.open, counts.waiting), (1, 0));
    assert_eq!(counts.bytes_in, bytes.len() as u64);
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
        rig.until(|swarm, _| swarm.counts().bytes_in > sent as u64);
    }
    assert_eq!(rig.hear(expected.len()), expected);
}

#[test]
fn messages_that_are_pieces_of_a_stream() {
    let mut rig = Rig::new(Setting { lines: true, ..Setting::default() });
    let mut peer = rig.opened(0);
    for piece in ["re", "ad", "y\nsubscribed\nun", "", "subscribed", "\n", "no a\nno b\nx\n"] {
        peer.say(&text(piece));
    }
    let heard = rig.hear(6);
    let words: Vec<&str> = heard.iter().map(|it| it.trim_end_matches(char::is_numeric)).collect();
    assert_eq!(
        words,
        ["0 ready", "0 Subscribed ", "0 Unsubscribed ", "0 no a ", "0 no b ", "0 Other "]
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

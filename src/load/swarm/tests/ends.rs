//! Refusals, closes and failures, and what is left of them.

use super::*;
use crate::load::swarm::linger::LINGER;

#[test]
fn refused() {
    let mut rig = Rig::new(Setting::default());
    for (said, why) in [
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "HTTP 404 Not Found"),
        ("HTTP/1.1 101 OK\r\nSec-WebSocket-Accept: wrong\r\n\r\n", "wrong Sec-WebSocket-Accept"),
        ("+OK ready\r\n", "not an answer of HTTP"),
        (&format!("{TAKEN}Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"), "not offered"),
        (&format!("{TAKEN}a: {}", "b".repeat(17 << 10)), "16384 bytes"),
        ("", "the server closed the connection"),
        ("HTTP/1.1 101 Swi", "the server closed the connection"),
    ] {
        let mut peer = rig.asked(0);
        peer.request();
        peer.say(said.as_bytes());
        drop(peer);
        let heard = rig.hear(1);
        assert!(heard[0].starts_with("0 refused: ") && heard[0].contains(why), "{heard:?}");
        assert_eq!(rig.swarm.counts().open, 0);
    }
}

#[test]
fn nobody_listens() {
    let mut rig = Rig::new(Setting::default());
    let address = rig.listener.local_addr().unwrap();
    rig.listener = TcpListener::bind("127.0.0.1:0").unwrap();
    assert_ne!(rig.listener.local_addr().unwrap(), address);
    let who = Who { number: 0, token: None, topic: "", publishes: false };
    rig.swarm.connect(2, &who).unwrap();
    let heard = rig.hear(1);
    assert!(heard[0].starts_with("2 refused: cannot connect: Connection refused"), "{heard:?}");
    assert_eq!(rig.swarm.counts(), Counts::default());
}

#[test]
fn the_server_closes() {
    let mut rig = Rig::new(Setting::default());
    for (said, heard, answered) in [
        (close(1013), "0 ended 1013", Some(1013_u16.to_be_bytes().to_vec())),
        (frame(OpCode::Close, b""), "0 ended 1006", Some(vec![])),
        (vec![0x83, 0], "0 ended 1006", Some(1002_u16.to_be_bytes().into())),
        (
            frame(OpCode::Close, b"\x03\xe8\xff"),
            "0 ended 1006",
            Some(1007_u16.to_be_bytes().into()),
        ),
        (vec![0x82, 127, 0, 0, 0, 0, 2, 0, 0, 0], "0 ended 1006", Some(vec![3, 241])),
        (vec![], "0 ended 1006", None),
    ] {
        let mut peer = rig.opened(0);
        peer.say(&said);
        if answered.is_none() {
            peer.0.shutdown(std::net::Shutdown::Write).unwrap();
        }
        assert_eq!(rig.hear(1), [heard]);
        assert!(!rig.swarm.say(0, b"too late"));
        if let Some(payload) = answered {
            assert_eq!(peer.frame(), (8, payload));
            assert_eq!(rig.swarm.lingering.len(), 1, "its socket is the server's to close");
            drop(peer);
            rig.until(|swarm, _| swarm.lingering.len() == 0);
        }
    }
    let troubles: Vec<&str> = rig.swarm.troubles().iter().map(|(why, _)| &**why).collect();
    assert_eq!(
        troubles,
        [
            "the server broke the protocol: protocol error: reserved opcode",
            "the server broke the protocol: invalid UTF-8",
            "the server broke the protocol: message too large",
        ]
    );
}

#[test]
fn a_close_behind_a_reset_is_heard() {
    let mut rig = Rig::new(Setting::default());
    let mut peer = rig.opened(0);
    peer.say(&close(1001));
    // Nothing is read of what the client says: the kernel resets.
    assert!(rig.swarm.say(0, b"unread"));
    drop(peer);
    rig.swarm.say(0, b"lost");
    rig.swarm.say(0, b"lost");
    assert_eq!(rig.hear(1), ["0 ended 1001"]);
    assert_eq!(rig.swarm.counts().waiting, 0);
}

#[test]
fn leaving() {
    let mut rig = Rig::new(Setting::default());
    let mut peer = rig.opened(0);
    rig.swarm.leave(0, Leave::Close);
    assert_eq!(rig.swarm.counts().open, 0);
    assert_eq!(peer.frame(), (8, 1000_u16.to_be_bytes().into()));
    peer.at_end();
    // The number is in use again; the old socket's bytes are nobody's.
    let mut next = rig.opened(0);
    peer.say(&[text("x"), close(1000)].concat());
    drop(peer);
    rig.until(|swarm, _| swarm.lingering.len() == 0);
    next.say(&text("subscribed"));
    assert_eq!(rig.hear(1), ["0 Subscribed 12"]);
    rig.swarm.leave(0, Leave::Silent);
    next.at_end();
    let mut next = rig.opened(0);
    rig.swarm.leave(0, Leave::Reset);
    let error = next.0.read(&mut [0; 64]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    // One that is not there may leave, and one that has not come to be.
    for how in [Leave::Close, Leave::Silent, Leave::Reset] {
        rig.swarm.leave(0, how);
        rig.swarm.leave(99, how);
        let mut peer = rig.asked(1);
        peer.request();
        rig.swarm.leave(1, how);
        assert!(!matches!(peer.0.read(&mut [0; 64]), Ok(1..)));
    }
    assert_eq!(rig.swarm.counts().open, 0);
    rig.swarm.turn(0, Duration::ZERO, &mut rig.notes).unwrap();
    assert_eq!(rig.notes.log, [""; 0]);
}

#[test]
fn an_end_that_is_not_told_yet_is_forgotten_by_leaving() {
    let mut rig = Rig::new(Setting::default());
    let _peer = rig.opened(0);
    rig.swarm.fail(0, &"a failure between two turns");
    rig.swarm.leave(0, Leave::Close);
    let mut peer = rig.opened(0);
    peer.say(&text("subscribed"));
    assert_eq!(rig.hear(1), ["0 Subscribed 12"]);
    assert_eq!(rig.swarm.counts().open, 1);
}

#[test]
fn a_server_that_never_closes_is_not_waited_for() {
    let mut rig = Rig::new(Setting::default());
    let mut peer = rig.opened(0);
    rig.swarm.leave(0, Leave::Close);
    rig.swarm.lingering.expire(Instant::now());
    assert_eq!(rig.swarm.lingering.len(), 1);
    rig.swarm.lingering.expire(Instant::now() + LINGER);
    assert_eq!(rig.swarm.lingering.len(), 0);
    peer.frame();
    peer.at_end();
}

#[test]
fn what_the_kernel_does_not_take_waits() {
    let mut rig = Rig::new(Setting::default());
    let mut peer = rig.opened(0);
    let piece = text(&"x".repeat(100_000));
    let (mut said, mut waiting) = (0, 0);
    while waiting == 0 {
        assert!(rig.swarm.say(0, &piece));
        said += piece.len();
        waiting = rig.swarm.counts().waiting as usize;
    }
    // Behind what waits, though there were room by now.
    assert!(rig.swarm.say(0, b"end"));
    said += 3;
    let mut left = said;
    while left > 0 {
        let bytes =
            peer.bytes(left.min(said - rig.swarm.counts().waiting as usize - (said - left)));
        left -= bytes.len();
        if left == 0 {
            assert!(bytes.ends_with(b"end"));
        } else if bytes.is_empty() {
            rig.until(|swarm, _| said - (swarm.counts().waiting as usize) > said - left);
        }
    }
    assert_eq!(rig.swarm.counts().waiting, 0);
    assert!(rig.swarm.slots[0].rare.is_none());
    // Said before a leave, it goes out before the close.
    while rig.swarm.counts().waiting == 0 {
        assert!(rig.swarm.say(0, &piece));
    }
    rig.swarm.leave(0, Leave::Close);
    assert!(rig.swarm.counts().waiting > 0, "it is counted until it is gone");
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        peer.0.read_to_end(&mut bytes).unwrap();
        bytes
    });
    rig.until(|swarm, _| swarm.lingering.len() == 0);
    let bytes = reader.join().unwrap();
    assert_eq!(bytes.len() % piece.len(), 8);
    assert_eq!(rig.swarm.counts().waiting, 0);
}

#[test]
fn who_leaves_with_much_to_say_takes_room_until_it_is_gone() {
    let mut rig = Rig::new(Setting::default());
    let _peers = [rig.opened(0), rig.opened(1)];
    let piece = text(&"x".repeat(50_000));
    say_all(&mut rig, 0, &piece);
    let waiting = rig.swarm.counts().waiting;
    rig.swarm.leave(0, Leave::Close);
    let lingers = rig.swarm.counts().waiting;
    assert_eq!(lingers, waiting + 8, "the close is behind it");
    rig.swarm.counts.waiting = OUTPUT_BYTES_ALL_MAX as u64 - lingers - 9;
    assert!(!rig.swarm.has_room(1, 10) && rig.swarm.has_room(1, 9));
    rig.swarm.counts.waiting = 0;
    rig.swarm.lingering.expire(Instant::now() + LINGER);
    assert_eq!(rig.swarm.counts().waiting, 0);
}

#[test]
fn of_too_many_that_linger_the_oldest_are_closed() {
    let mut rig = Rig::new(Setting::default());
    let piece = text(&"x".repeat(50_000));
    let mut peers: Vec<Peer> = (0..4).map(|connection| rig.opened(connection)).collect();
    say_all(&mut rig, 0, &piece);
    for connection in [1, 0, 2, 3] {
        rig.swarm.leave(connection, Leave::Close);
    }
    // One is closed by its server before its turn.
    drop(peers.remove(1));
    rig.until(|swarm, _| swarm.lingering.len() == 3);
    assert!(rig.swarm.counts().waiting > 0);
    rig.swarm.lingering.make_room(3);
    assert_eq!((rig.swarm.sockets(), rig.swarm.counts().waiting), (2, 0));
    rig.swarm.lingering.make_room(3);
    assert_eq!(rig.swarm.sockets(), 2);
    // The others go as ever.
    peers.clear();
    rig.until(|swarm, _| swarm.sockets() == 0);
}

/// Says pieces until there is no room; how many were taken.
fn say_all(rig: &mut Rig, connection: u32, piece: &[u8]) -> u32 {
    let mut taken = 0;
    while rig.swarm.say(connection, piece) {
        taken += 1;
        assert!(rig.swarm.counts().waiting <= OUTPUT_BYTES_MAX as u64);
    }
    taken
}

#[test]
fn who_has_too_much_to_say_waits() {
    let mut rig = Rig::new(Setting::default());
    let mut peer = rig.opened(0);
    let piece = text(&"x".repeat(50_000));
    let taken = say_all(&mut rig, 0, &piece);
    assert!(!rig.swarm.has_room(0, piece.len()) && rig.swarm.has_room(0, 0));
    // It is there as before, and answers.
    peer.say(&frame(OpCode::Ping, b"x"));
    peer.say(&text("x"));
    assert_eq!(rig.hear(1), ["0 Other 3"]);
    let reader = std::thread::spawn(move || {
        peer.bytes(taken as usize * piece.len());
        assert_eq!(peer.frame(), (10, b"x".into()));
        peer
    });
    rig.until(|swarm, _| swarm.counts().waiting == 0);
    let mut peer = reader.join().unwrap();
    let huge = vec![0; 2 * OUTPUT_BYTES_MAX];
    assert!(rig.swarm.say(0, &huge), "anything, where nothing waits");
    let reader = std::thread::spawn(move || peer.bytes(huge.len()));
    rig.until(|swarm, _| swarm.counts().waiting == 0);
    reader.join().unwrap();
    assert!(rig.swarm.take_unsent().is_empty() && rig.swarm.troubles().is_empty());
}

#[test]
fn all_together_have_a_bound() {
    let mut rig = Rig::new(Setting::default());
    let _peers = [rig.opened(0), rig.opened(1)];
    rig.swarm.counts.waiting = (OUTPUT_BYTES_ALL_MAX - 9) as u64;
    assert!(!rig.swarm.say(0, &text("12345678")) && !rig.swarm.say(1, &text("12345678")));
    assert!(rig.swarm.say(1, &text("1234567")));
}

#[test]
fn a_server_that_does_not_read_answers_loses_its_client() {
    let mut rig = Rig::new(Setting::default());
    let mut peer = rig.opened(0);
    let pings = frame(OpCode::Ping, &[b'x'; 125]).repeat(1000);
    peer.0.set_write_timeout(Some(PATIENCE)).unwrap();
    while rig.notes.log.is_empty() {
        assert!(rig.swarm.counts().waiting <= 2 * OUTPUT_BYTES_MAX as u64);
        // In the end the client is gone.
        let _ = peer.0.write_all(&pings);
        rig.swarm.turn(0, Duration::ZERO, &mut rig.notes).unwrap();
    }
    assert_eq!(rig.hear(1), ["0 ended 1006"]);
    assert_eq!(rig.swarm.counts().waiting, 0);
    let (why, times) = &rig.swarm.troubles()[0];
    assert!(why.contains("1048576 bytes of answers wait") && *times == 1, "{why}");
}

#[test]
fn what_was_not_sent_is_told() {
    let mut rig = Rig::new(Setting::default());
    let mut piece = Vec::new();
    Words::new(&mut piece, Swarm::KEY).text(&vec![b'x'; 50_000]);
    for end in [Some(close(1008)), None, Some(vec![])] {
        let mut peer = rig.opened(0);
        let taken = say_all(&mut rig, 0, &piece.repeat(2)) * 2;
        match &end {
            Some(bytes) if bytes.is_empty() => rig.swarm.leave(0, Leave::Silent),
            Some(bytes) => {
                peer.say(bytes);
                assert_eq!(rig.hear(1), ["0 ended 1008"]);
            }
            None => {
                peer.0.shutdown(std::net::Shutdown::Write).unwrap();
                assert_eq!(rig.hear(1), ["0 ended 1006"]);
            }
        }
        let unsent = rig.swarm.take_unsent();
        assert!(matches!(unsent[..], [(0, 1..)]), "{unsent:?}");
        let mut bytes = Vec::new();
        peer.0.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len() / piece.len(), (taken - unsent[0].1) as usize);
        assert!(rig.swarm.take_unsent().is_empty());
        assert_eq!((rig.swarm.sockets(), rig.swarm.counts().waiting), (0, 0));
    }
}

#[test]
fn sockets_that_are_given_up_count_until_they_are_gone() {
    let mut rig = Rig::new(Setting::default());
    assert_eq!(rig.swarm.sockets(), 0);
    let peers = [rig.opened(0), rig.opened(1)];
    assert_eq!(rig.swarm.sockets(), 2);
    rig.swarm.leave(0, Leave::Close);
    rig.swarm.leave(1, Leave::Reset);
    assert_eq!((rig.swarm.counts().open, rig.swarm.sockets()), (0, 1));
    drop(peers);
    rig.until(|swarm, _| swarm.sockets() == 0);
}

//! Slow readers, by a clock of the test's own.

use super::*;

#[test]
fn so_many_bytes_a_second() {
    let mut rig = Rig::new(Setting::default());
    let mut peer = rig.opened(0);
    let mut fast = rig.opened(1);
    let before = rig.swarm.bytes_read;
    rig.swarm.slow_down(0, 1000);
    rig.swarm.turn(0, Duration::ZERO, &mut rig.notes).unwrap();
    peer.say(&text(&stamped(0, 96)).repeat(40));
    fast.say(&text("subscribed"));
    assert_eq!(rig.hear(1), ["1 Subscribed 12"]);
    assert_eq!(rig.swarm.bytes_read, before + 12);
    for tick in 1..=20 {
        rig.now_us += 50_000;
        let expected = before + 12 + 50 * tick;
        rig.until(|swarm, _| swarm.bytes_read >= expected);
        assert_eq!(rig.swarm.bytes_read, expected);
    }
    assert_eq!(rig.hear(10).len(), 10, "98 bytes each");
    // After a long time no more than a second's worth at once.
    rig.now_us += 60_000_000;
    rig.swarm.turn(rig.now_us, Duration::ZERO, &mut rig.notes).unwrap();
    assert_eq!(rig.swarm.bytes_read, before + 12 + 2000);
    // The end comes when it has read up to it.
    drop(peer);
    rig.notes.log.clear();
    rig.swarm.turn(rig.now_us, Duration::ZERO, &mut rig.notes).unwrap();
    assert_eq!(rig.notes.log, [""; 0]);
    for _ in 0..3 {
        rig.now_us += 1_000_000;
        rig.swarm.turn(rig.now_us, Duration::ZERO, &mut rig.notes).unwrap();
    }
    assert_eq!(rig.notes.log.last().unwrap(), "0 ended 1006");
    rig.swarm.turn(rig.now_us + 50_000, Duration::ZERO, &mut rig.notes).unwrap();
    assert!(rig.swarm.slow.is_empty());
}

#[test]
fn a_reader_of_nothing() {
    let mut rig = Rig::new(Setting::default());
    let mut peer = rig.opened(0);
    let before = rig.swarm.bytes_read;
    rig.swarm.slow_down(0, 0);
    peer.0.set_nonblocking(true).unwrap();
    let frame = text(&stamped(0, 10_000));
    // More than a reader's kernel holds, less than fills the sender's.
    let mut taken = 0;
    while let Ok(bytes) = peer.0.write(&frame[taken % frame.len()..]) {
        taken += bytes;
    }
    assert!(taken > 1 << 16);
    for _ in 0..100 {
        rig.now_us += 100_000;
        rig.swarm.turn(rig.now_us, Duration::ZERO, &mut rig.notes).unwrap();
    }
    assert_eq!(rig.swarm.bytes_read, before);
    // It still says what it has to.
    assert!(rig.swarm.say(0, b"here"));
    peer.0.set_nonblocking(false).unwrap();
    assert_eq!(peer.bytes(4), b"here");
    rig.swarm.leave(0, Leave::Close);
    assert_eq!(peer.frame(), (8, 1000_u16.to_be_bytes().into()));
    peer.at_end();
}

#[test]
fn why_a_reader_of_nothing_was_dropped() {
    let mut rig = Rig::new(Setting::default());
    let mut peer = rig.opened(0);
    rig.swarm.slow_down(0, 0);
    peer.say(&[text(&stamped(5, 0)), close(1013)].concat());
    rig.swarm.turn(0, Duration::ZERO, &mut rig.notes).unwrap();
    assert_eq!(rig.notes.log, [""; 0]);
    peer.0.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(rig.hear(2), ["0 delivery 5 36", "0 ended 1013"]);
}

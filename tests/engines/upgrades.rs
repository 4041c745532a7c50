//! How a WebSocket takes over from polling: nothing is lost, doubled or out of order, and whatever
//! goes wrong with the newcomer, the session stays.

use shardwire::polling::{Asked, Fault, HttpReply};

use super::world::{INTERVAL_MS, World};

#[test]
fn a_websocket_takes_over() {
    for at in [0, 1] {
        let mut world = World::new(2, 1 << 20);
        let sid = world.handshake(0);
        let poll = world.ask(at, sid, Asked::Poll);
        assert_eq!(world.reply(poll), None);
        let key = world.shards[0].probe(world.now, sid, &World::arrival()).unwrap();
        world.say(0, key, &["2probe"]);
        assert_eq!(world.heard(0, key.index), ["3probe"]);
        assert_eq!(world.body(poll).unwrap(), "6");
        // The next polls get what there is, or an end at once, or after a tick.
        assert_eq!(world.post(at, sid, "4data"), HttpReply::Taken);
        let poll = world.ask(at, sid, Asked::Poll);
        assert_eq!(world.body(poll).unwrap(), "4data");
        for _ in 0..4 {
            let poll = world.ask(at, sid, Asked::Poll);
            assert_eq!(world.body(poll).unwrap(), "6");
        }
        let poll = world.ask(at, sid, Asked::Poll);
        assert_eq!(world.reply(poll), None);
        world.pass_ms(2 * 64);
        assert_eq!(world.body(poll).unwrap(), "6");
        // What waits goes over with it, in its order; what follows the `5` is not read yet.
        assert_eq!(world.post(at, sid, "4one\u{1e}bAQI=\u{1e}4two"), HttpReply::Taken);
        let poll = world.ask(at, sid, Asked::Poll);
        world.rest();
        assert_eq!(world.body(poll).unwrap(), "4one\u{1e}bAQI=\u{1e}4two");
        assert_eq!(world.post(at, sid, "4one\u{1e}bAQI=\u{1e}4two"), HttpReply::Taken);
        let taken = world.say(0, key, &["5", "4three"]);
        assert_eq!(taken, 7);
        assert_eq!(world.sockets[0].rebound.len(), 1);
        let (from, to) = world.sockets[0].rebound[0];
        assert_eq!((from, to.index), (key.index, sid.place()));
        world.say(0, to, &["4three"]);
        assert_eq!(world.heard(0, to.index), ["4one", "[1, 2]", "4two", "4three"]);
        assert_eq!(world.poll(at, sid), HttpReply::Bad(Fault::Request));
        assert_eq!(world.post(at, sid, "4x"), HttpReply::Bad(Fault::Request));
        assert!(world.shards[0].probe(world.now, sid, &World::arrival()).is_none());
        world.say(0, to, &["4four"]);
        assert_eq!(world.heard(0, to.index), ["4four"]);
        assert_eq!(world.metrics[0].connections.get(), 1);
        world.pass_ms(INTERVAL_MS + 64);
        assert_eq!(world.heard(0, to.index), ["2"]);
    }
}

#[test]
fn a_newcomer_at_fault_leaves_the_session_as_it_is() {
    for said in [&["5"][..], &["2"], &["4x"], &["2probe", "2probe"], &["2probe", "4x"], &["abc"]] {
        let mut world = World::new(1, 1 << 20);
        let sid = world.handshake(0);
        let key = world.shards[0].probe(world.now, sid, &World::arrival()).unwrap();
        world.say(0, key, said);
        let heard = world.heard(0, key.index);
        assert_eq!(heard.last().unwrap(), "close 1000", "{said:?}");
        assert_eq!(world.post(0, sid, "4still"), HttpReply::Taken);
        assert_eq!(world.poll(0, sid), HttpReply::Body(b"4still".into()));
        world.shards[0].gone(key);
        world.rest();
        assert_eq!(world.sockets[0].discarded, [key.index]);
        // Another may.
        let key = world.shards[0].probe(world.now, sid, &World::arrival()).unwrap();
        world.say(0, key, &["2probe"]);
        world.say(0, key, &["5"]);
        assert_eq!(world.sockets[0].rebound.len(), 1);
    }
}

#[test]
fn a_newcomer_goes_with_its_session_and_never_alone_stays() {
    let mut world = World::new(1, 1 << 20);
    let sid = world.handshake(0);
    let key = world.shards[0].probe(world.now, sid, &World::arrival()).unwrap();
    assert!(world.shards[0].probe(world.now, sid, &World::arrival()).is_none());
    world.say(0, key, &["2probe"]);
    assert_eq!(world.post(0, sid, "1"), HttpReply::Taken);
    world.pass_ms(200);
    assert_eq!(world.sockets[0].closed, [sid.place()]);
    assert_eq!(world.heard(0, key.index).last().unwrap(), "close 1000");
    world.shards[0].gone(key);
    world.rest();
    assert_eq!(world.sockets[0].discarded, [key.index]);
    world.shards[0].check_empty(world.now);
}

#[test]
fn a_newcomer_that_says_nothing_is_cut_and_the_ping_comes_late_but_comes() {
    let mut world = World::new(1, 1 << 20);
    let sid = world.handshake(0);
    let key = world.shards[0].probe(world.now, sid, &World::arrival()).unwrap();
    world.say(0, key, &["2probe"]);
    let poll = world.ask(0, sid, Asked::Poll);
    world.pass_ms(2 * 64);
    assert_eq!(world.body(poll).unwrap(), "6");
    // No ping meanwhile: the next poll could not tell it from the end of its predecessor.
    let poll = world.ask(0, sid, Asked::Poll);
    world.pass_ms(INTERVAL_MS);
    assert_eq!(world.body(poll).unwrap(), "6");
    world.pass_ms(10_000);
    assert_eq!(world.heard(0, key.index), ["3probe", "close 1000"]);
    let poll = world.ask(0, sid, Asked::Poll);
    world.pass_ms(64);
    assert_eq!(world.body(poll).unwrap(), "2");
}

#[test]
fn who_is_told_to_go_while_it_goes_over_hears_it_there() {
    let mut world = World::new(1, 1 << 20);
    let sid = world.handshake(0);
    let key = world.shards[0].probe(world.now, sid, &World::arrival()).unwrap();
    world.say(0, key, &["2probe"]);
    assert_eq!(world.post(0, sid, "4last"), HttpReply::Taken);
    world.drain(20_000);
    world.pass_ms(100);
    // It polls no more: its `5` is on the way.
    world.say(0, key, &["5"]);
    let (_, to) = world.sockets[0].rebound[0];
    assert_eq!(world.heard(0, to.index), ["4last"]);
    world.pass_ms(200);
    assert_eq!(world.heard(0, to.index), ["close 1001"]);
}

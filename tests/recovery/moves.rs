//! Clients that come back to another shard than that of their socket: their engine is brought there.

use serde_json::{Value, json};
use shardwire::polling::{Asked, Fault, HttpReply};

use super::say;
use super::world::{Client, RECOVERY_MS, World};

#[test]
fn who_comes_to_another_shard_is_brought_to_its_socket() {
    let mut world = World::new(3);
    let (mut a, mut b) = (Client::new("a"), Client::new("b"));
    (a.shard, b.shard) = (2, 0);
    for client in [&mut a, &mut b] {
        world.connect(client);
        world.join(client, "r");
    }
    for round in 0..4 {
        let sid = a.sid.clone();
        world.lose(&mut a);
        say(&mut world, &mut b, &json!(round));
        a.shard = round % 3;
        world.arrive(&mut a);
        let auth = world.auth(&a);
        // What stands behind goes along.
        world.frame(&mut a, &format!("40{auth}"));
        world.frame(&mut a, "40/ws,");
        world.rest();
        world.hear(&mut a);
        assert!(a.recovered && a.sid == sid && a.shard == 2);
        let ws = a.heard.iter().filter_map(Value::as_str);
        assert_eq!(ws.filter(|it| it.starts_with("40/ws,{")).count(), 1);
        assert_eq!(a.messages(), [json!(round)]);
        world.emit(&mut a, &json!(["message", {"room": "r", "content": -1}]));
        assert_eq!(a.messages(), [json!(-1)]);
    }
    assert_eq!((world.reading("engines_moved_total"), world.reading("recovered_total")), (3, 4));
    assert_eq!((world.reading("connections"), world.reading("engines")), (2, 2));
}

#[test]
fn an_engine_that_has_a_socket_does_not_move() {
    let mut world = World::new(2);
    let mut a = Client::new("a");
    world.connect(&mut a);
    world.lose(&mut a);
    let sid = a.sid.clone();
    a.shard = 1;
    world.arrive(&mut a);
    world.frame(&mut a, "40/ws,");
    let auth = world.auth(&a);
    world.frame(&mut a, &format!("40{auth}"));
    world.rest();
    world.hear(&mut a);
    assert!(!a.recovered && a.shard == 1 && a.sid != sid);
    // Nor does one move twice, or to where no shard is.
    let mut b = Client::new("b");
    for pid in ["AQAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAA", "AgAAAAAAAAAAAAAAAAAA"] {
        b.pid = Some(pid.into());
        world.connect(&mut b);
        assert!(!b.recovered && b.engine.is_some());
        world.frame(&mut b, "41");
        let auth = json!({"pid": a.pid, "token": world.auth(&b)["token"]});
        world.frame(&mut b, &format!("40{auth}"));
        world.rest();
        world.hear(&mut b);
        assert!(!b.recovered);
        world.lose(&mut b);
    }
}

/// What a poll was answered.
fn body(world: &mut World, ticket: u64) -> String {
    match world.replies.remove(&ticket) {
        Some(HttpReply::Body(body)) => String::from_utf8(body).expect("text"),
        other => panic!("{ticket} was answered {other:?}"),
    }
}

#[test]
fn a_polling_session_goes_to_its_socket_and_is_asked_where_it_was() {
    let mut world = World::new(3);
    let (mut a, mut b) = (Client::new("a"), Client::new("b"));
    (a.shard, b.shard) = (2, 0);
    for client in [&mut a, &mut b] {
        world.connect(client);
        world.join(client, "r");
    }
    world.lose(&mut a);
    say(&mut world, &mut b, &json!("missed"));
    // Its handshake is on one shard, its requests come to all of them.
    let sid = world.poll_open(0);
    let poll = world.ask(1, sid, Asked::Poll);
    let auth = world.auth(&a);
    let records = format!("40{auth}\u{1e}40/ws,\u{1e}42[\"ping\"]");
    let post = world.ask(2, sid, Asked::Post(records.into_bytes().into()));
    world.rest();
    assert_eq!(world.replies.remove(&post), Some(HttpReply::Taken));
    let heard = body(&mut world, poll);
    let records: Vec<&str> = heard.split('\u{1e}').collect();
    let pid = a.pid.clone().expect("it has one");
    let missed = records.iter().position(|it| it.contains("missed")).expect("the message");
    let connected = records.iter().position(|it| it.contains(&pid)).expect("the reply");
    assert!(missed < connected && records[connected].starts_with("40{\"sid\""), "{records:?}");
    assert!(records.iter().any(|it| it.starts_with("40/ws,{")));
    assert_eq!((world.reading("engines_moved_total"), world.reading("recovered_total")), (1, 1));
    for shard in 0..3 {
        let poll = world.ask(shard, sid, Asked::Poll);
        let text = json!(["message", {"room": "r", "content": shard}]);
        let post = world.ask(shard, sid, Asked::Post(format!("42{text}").into_bytes().into()));
        let look = world.ask(shard, sid, Asked::Look);
        world.rest();
        assert_eq!(world.replies.remove(&post), Some(HttpReply::Taken));
        assert_eq!(world.replies.remove(&look), Some(HttpReply::Taken));
        assert!(body(&mut world, poll).contains(&format!("\"content\":{shard}")));
    }
    assert_eq!(world.shards[0].moved_to(sid), Some(2));
    // Two polls at a time end it; it is come back for, and ends: nothing is left of it anywhere.
    let polls = [world.ask(0, sid, Asked::Poll), world.ask(1, sid, Asked::Poll)];
    world.rest();
    assert_eq!(polls.map(|poll| world.replies.remove(&poll).is_some()), [true, true]);
    assert_eq!((world.reading("engines"), world.reading("engines_polling")), (1, 0));
    assert_eq!(world.shards[0].moved_to(sid), None);
    let look = world.ask(1, sid, Asked::Look);
    world.rest();
    assert_eq!(world.replies.remove(&look), Some(HttpReply::Bad(Fault::Session)));
    a.shard = 1;
    world.connect(&mut a);
    assert!(a.recovered && a.shard == 2);
    for client in [&mut a, &mut b] {
        world.frame(client, "41");
        world.rest();
        world.lose(client);
    }
    // The one of the gateway waits until its time is over.
    world.pass(2 * RECOVERY_MS, &mut []);
    for shard in &world.shards {
        shard.check_empty(world.now());
    }
}

#[test]
fn a_session_that_is_about_to_upgrade_goes_with_its_websocket() {
    for succeeds in [true, false] {
        let mut world = World::new(2);
        let (mut a, mut b) = (Client::new("a"), Client::new("b"));
        for client in [&mut a, &mut b] {
            client.shard = 1;
            world.connect(client);
            world.join(client, "r");
        }
        world.lose(&mut a);
        say(&mut world, &mut b, &json!("missed"));
        let sid = world.poll_open(0);
        // The WebSocket comes before the packet that has the session go.
        let mut probe = Client::default();
        world.probe(&mut probe, sid);
        world.frame(&mut probe, "2probe");
        let poll = world.ask(0, sid, Asked::Poll);
        let auth = world.auth(&a);
        let records = format!("40{auth}\u{1e}40/ws,");
        let post = world.ask(0, sid, Asked::Post(records.into_bytes().into()));
        world.turn();
        // A poll of somebody who upgrades is ended, but not at once.
        world.now_ms += 100;
        world.turn();
        assert_eq!(world.replies.remove(&post), Some(HttpReply::Taken));
        assert_eq!(body(&mut world, poll), "6");
        if succeeds {
            world.frame(&mut probe, "5");
            world.rest();
            a.shard = 0;
            a.engine = Some(world.engine_of(sid));
        } else {
            world.frame(&mut probe, "4x");
            let poll = world.ask(1, sid, Asked::Poll);
            world.rest();
            let heard = body(&mut world, poll);
            heard.split('\u{1e}').for_each(|record| a.take(record));
        }
        world.hear(&mut a);
        assert!(a.recovered, "{a:?}");
        assert!(a.heard.iter().any(|it| it.as_str().is_some_and(|it| it.starts_with("40/ws,"))));
        assert_eq!(a.messages(), [json!("missed")]);
        assert_eq!(world.reading("engines_moved_total"), 1);
    }
}

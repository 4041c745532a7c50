//! Clients of Socket.IO that come back on whichever shard they come in, over either transport.

use std::time::{Duration, Instant};

use serde_json::Value;
use shardwire::node::Node;

use crate::SHARDS;
use crate::client::{Session, Socket, start};

/// So often a client comes back.
const TIMES: usize = 24;

fn moved(node: &Node) -> u64 {
    node.metrics().iter().map(|shard| shard.engines_moved_total.get()).sum()
}

fn ghosts(node: &Node) -> u64 {
    node.metrics().iter().map(|shard| shard.socketio_ghosts.get()).sum()
}

fn recovering(shards: u8) -> Node {
    start(shards, |setup| {
        setup.policy.endpoints[1].engine_only = false;
        setup.policy.socketio.recovery_ms = Some(60_000);
    })
}

/// The reply to a CONNECT, or the last argument of an event.
fn read(text: &str) -> Value {
    let begin = text.find(['{', '[']).unwrap_or_else(|| panic!("{text}"));
    serde_json::from_str(&text[begin..]).unwrap_or_else(|_| panic!("{text}"))
}

/// Waits until the loss of a transport was noticed.
fn await_ghost(node: &Node) {
    let begun = Instant::now();
    while ghosts(node) == 0 {
        assert!(begun.elapsed() < Duration::from_secs(10), "nobody noticed");
        std::thread::yield_now();
    }
}

#[test]
fn who_comes_back_finds_its_socket_on_whichever_shard_it_is() {
    for shards in SHARDS {
        let node = recovering(shards);
        let mut member = Socket::open(&node);
        member.connect("40");
        member.say("42[\"join_room\",{\"room\":\"r\"}]");
        member.hear();
        let mut lost = Socket::open(&node);
        let reply = read(&lost.connect("40"));
        lost.say("42[\"join_room\",{\"room\":\"r\"}]");
        let mut offset = read(&lost.hear().unwrap())[2].clone();
        for turn in 0..TIMES {
            drop(lost);
            await_ghost(&node);
            member.say(&format!("42[\"message\",{{\"room\":\"r\",\"content\":{turn}}}]"));
            assert_eq!(read(&member.hear().unwrap())[1]["content"], turn);
            let connect = format!("40{{\"pid\":{},\"offset\":{offset}}}", reply["pid"]);
            if turn % 2 == 0 {
                lost = Socket::open(&node);
                lost.say(&connect);
                let missed = read(&lost.hear().unwrap());
                assert_eq!(missed[1]["content"], turn);
                offset = missed[2].clone();
                assert_eq!(read(&lost.hear().unwrap()), reply);
            } else {
                let session = Session::open(&node);
                let poll = session.hanging_poll();
                assert_eq!(session.post(&connect).status, 200);
                let heard = poll.answer().body;
                let (missed, connected) = heard.split_once('\x1e').unwrap();
                assert_eq!(read(connected), reply);
                offset = read(missed)[2].clone();
                // It is asked where it was at home before, and upgraded there.
                lost = session.bring(&["2probe"]);
                assert_eq!(lost.hear().as_deref(), Some("3probe"));
                assert_eq!(session.poll().answer().body, "6");
                lost.say("5");
            }
            lost.say("42[\"ping\"]");
            assert_eq!(read(&lost.hear().unwrap())[0], "pong");
        }
        let recovered: u64 = node.metrics().iter().map(|it| it.recovered_total.get()).sum();
        assert_eq!((recovered, ghosts(&node)), (TIMES as u64, 0));
        assert_eq!(moved(&node) > 0, shards > 1);
        drop((lost, member));
    }
}

//! WebSockets that take over from polling, on whichever shard they come in.

use shardwire::node::Node;

use crate::SHARDS;
use crate::client::{Session, start};

/// So often is what depends on who comes first.
const TIMES: usize = 20;

fn crossings(node: &Node) -> u64 {
    node.metrics().iter().map(|shard| shard.crossings_total.get()).sum()
}

#[test]
fn a_websocket_takes_over() {
    for shards in SHARDS {
        let node = start(shards, |_| ());
        for turn in 0..TIMES {
            let session = Session::open(&node);
            // What comes right behind the handshake goes along.
            let mut socket = session.bring(if turn % 2 == 0 { &["2probe"] } else { &[] });
            if turn % 2 == 1 {
                socket.say("2probe");
            }
            assert_eq!(socket.hear().as_deref(), Some("3probe"));
            let poll = session.poll().answer();
            assert_eq!((poll.status, &*poll.body), (200, "6"));
            socket.say("5");
            // Right behind it, and on another connection.
            assert_eq!(session.poll().answer().status, 400);
            socket.say("4hello");
            assert_eq!(socket.hear().as_deref(), Some("4hello"));
            assert_eq!(session.poll().answer().status, 400);
        }
        assert_eq!(crossings(&node) > 0, shards > 1);
    }
}

#[test]
fn a_newcomer_that_says_anything_else_goes_alone() {
    for shards in SHARDS {
        let node = start(shards, |_| ());
        for says in ["5", "2", "4a", "2probex"] {
            let session = Session::open(&node);
            let mut socket = session.bring(&[says]);
            assert_eq!(socket.hear(), None, "{says}");
            assert_eq!(session.post("4here").status, 200);
            let poll = session.poll().answer();
            assert_eq!((poll.status, &*poll.body), (200, "4here"));
        }
    }
}

#[test]
fn a_session_outlives_a_websocket_that_breaks_off() {
    for shards in SHARDS {
        let node = start(shards, |setup| setup.policy.socketio.ping_interval_ms = 200);
        for _ in 0..3 {
            let session = Session::open(&node);
            let mut socket = session.bring(&["2probe"]);
            assert_eq!(socket.hear().as_deref(), Some("3probe"));
            drop(socket);
            // The session asks for a sign of life once nobody wants to take over any more.
            let told = std::iter::repeat_with(|| session.poll().answer());
            let mut told = told.inspect(|poll| assert_eq!(poll.status, 200)).map(|poll| poll.body);
            assert_eq!(told.find(|body| body != "6").as_deref(), Some("2"));
        }
    }
}

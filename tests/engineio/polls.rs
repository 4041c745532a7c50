//! What a poll waits for, and what it is told.

use std::io::Write;

use crate::SHARDS;
use crate::client::{Asking, Session, polls_waiting, start};

/// So often is what depends on who comes first.
const TIMES: usize = 20;

#[test]
fn a_poll_whose_client_goes_ends_the_session() {
    for shards in SHARDS {
        let node = start(shards, |_| ());
        for _ in 0..TIMES {
            let session = Session::open(&node);
            drop(session.hanging_poll());
            // At once, and on whichever shard.
            assert_eq!(session.poll().answer().status, 400);
            assert_eq!(session.poll().answer().status, 400);
        }
        assert_eq!(polls_waiting(&node), 0);
    }
}

#[test]
fn two_polls_at_a_time_end_the_session() {
    for shards in SHARDS {
        let node = start(shards, |_| ());
        for _ in 0..TIMES {
            let session = Session::open(&node);
            let first = session.hanging_poll();
            assert_eq!(session.poll().answer().status, 400);
            let first = first.answer();
            assert_eq!((first.status, &*first.body), (200, "1"));
            assert_eq!(session.poll().answer().status, 400);
        }
    }
}

#[test]
fn a_session_that_is_ended_ends_its_poll() {
    for shards in SHARDS {
        let node = start(shards, |_| ());
        for _ in 0..TIMES {
            let session = Session::open(&node);
            let poll = session.hanging_poll();
            let posted = session.post("1");
            assert_eq!((posted.status, &*posted.body), (200, "ok"));
            assert_eq!(posted.header("content-type"), Some("text/html"));
            let poll = poll.answer();
            assert_eq!((poll.status, &*poll.body), (200, "6"));
            assert_eq!(poll.header("content-type"), Some("text/plain; charset=utf-8"));
            assert_eq!(poll.header("cache-control"), Some("no-store"));
            assert_eq!(session.poll().answer().status, 400);
        }
    }
}

#[test]
fn a_heartbeat_by_polls() {
    for shards in SHARDS {
        let node = start(shards, |setup| setup.policy.socketio.ping_interval_ms = 100);
        let session = Session::open(&node);
        for _ in 0..3 {
            let poll = session.poll().answer();
            assert_eq!((poll.status, &*poll.body), (200, "2"));
            assert_eq!(session.post("3").status, 200);
        }
    }
}

#[test]
fn bodies_that_are_none() {
    let node = start(1, |setup| setup.policy.socketio.payload_bytes_max = 100);
    let session = Session::open(&node);
    let large = session.post(&"4".repeat(101));
    assert_eq!((large.status, &*large.body), (413, ""));
    let bytes = session.asks("POST", "polling", "Content-Type: application/octet-stream\r\n");
    assert_eq!(bytes.status, 400);
    // The session is there still; a record that is none ends it.
    assert_eq!(session.post("3").status, 200);
    assert_eq!(session.post("abc").status, 400);
    assert_eq!(session.poll().answer().status, 400);
}

#[test]
fn a_poll_has_no_body() {
    let node = start(1, |_| ());
    let session = Session::open(&node);
    let Asking(mut stream) = session.begins("GET", "Content-Length: 3\r\n");
    stream.write_all(b"abc").unwrap();
    assert_eq!(Asking(stream).answer().status, 400);
    assert_eq!(session.post("3").status, 200);
}

//! Polling: what polls and posts are answered, on the session's own shard and on another.

use shardwire::polling::{Asked, Fault, HttpReply};

use super::world::{INTERVAL_MS, TIMEOUT_MS, World};

const UNKNOWN: HttpReply = HttpReply::Bad(Fault::Session);
const BAD: HttpReply = HttpReply::Bad(Fault::Request);

/// What is tried where the request comes to the session's shard, and where to the other.
fn on_both(test: impl Fn(&mut World, u8)) {
    for shard in [0, 1] {
        test(&mut World::new(2, 1 << 20), shard);
    }
}

#[test]
fn what_is_posted_comes_back_by_the_poll_that_waits_or_the_next() {
    on_both(|world, at| {
        let sid = world.handshake(0);
        let poll = world.ask(at, sid, Asked::Poll);
        assert_eq!(world.reply(poll), None);
        assert_eq!(world.post(at, sid, "4hello"), HttpReply::Taken);
        assert_eq!(world.body(poll).unwrap(), "4hello");
        assert_eq!(world.post(at, sid, "4a\u{1e}4€\u{1e}bAQIDBA=="), HttpReply::Taken);
        let poll = world.ask(at, sid, Asked::Poll);
        assert_eq!(world.body(poll).unwrap(), "4a\u{1e}4€\u{1e}bAQIDBA==");
        assert_eq!(world.ask_look(at, sid), HttpReply::Taken);
    });
}

#[test]
fn nobody_has_a_session_by_another_name() {
    on_both(|world, at| {
        let sid = world.handshake(0);
        let chars = String::from_utf8(sid.chars().into()).unwrap();
        for (place, by) in [(6, 'A'), (6, 'B'), (10, '_'), (19, 'A'), (0, 'A'), (0, '_')] {
            let mut other = chars.clone();
            other.replace_range(place..=place, by.encode_utf8(&mut [0; 4]));
            let Some(other) = shardwire::sid::Sid::parse(&other).filter(|it| *it != sid) else {
                continue;
            };
            assert_eq!(world.poll(at, other), UNKNOWN);
            assert_eq!(world.post(at, other, "4x"), UNKNOWN);
            assert_eq!(world.ask_look(at, other), UNKNOWN);
        }
        assert_eq!(world.post(at, sid, "4x"), HttpReply::Taken);
    });
}

#[test]
fn two_polls_at_a_time_end_the_session() {
    on_both(|world, at| {
        let sid = world.handshake(0);
        let first = world.ask(at, sid, Asked::Poll);
        assert_eq!(world.reply(first), None);
        assert_eq!(world.poll(at, sid), BAD);
        assert_eq!(world.body(first).unwrap(), "1");
        assert_eq!(world.poll(at, sid), UNKNOWN);
        assert_eq!(world.sockets[0].closed, [sid.place()]);
    });
}

#[test]
fn a_poll_that_is_given_up_ends_the_session() {
    on_both(|world, at| {
        let sid = world.handshake(0);
        let poll = world.ask(at, sid, Asked::Poll);
        world.rest();
        world.abort(at, sid, poll);
        assert_eq!(world.poll(at, sid), UNKNOWN);
        // One whose answer did not reach it, too.
        let sid = world.handshake(0);
        let poll = world.ask(at, sid, Asked::Poll);
        assert_eq!(world.post(at, sid, "4x"), HttpReply::Taken);
        world.abort(at, sid, poll);
        assert_eq!(world.post(at, sid, "4x"), UNKNOWN);
    });
}

#[test]
fn broken_records_end_the_session() {
    on_both(|world, at| {
        for body in ["abc", "4a\u{1e}", "", "\u{1e}", "4a\u{1e}b=", "2", "2probe"] {
            let sid = world.handshake(0);
            assert_eq!(world.post(at, sid, body), BAD, "{body}");
            assert_eq!(world.poll(at, sid), UNKNOWN, "{body}");
        }
        let sid = world.handshake(0);
        let post = world.ask(at, sid, Asked::Post([b'4', 0xff].into()));
        assert_eq!(world.reply(post), Some(BAD));
        assert_eq!(world.poll(at, sid), UNKNOWN);
        assert_eq!(world.metrics[0].connections.get(), 0);
    });
}

#[test]
fn a_client_that_closes_is_told_by_its_poll() {
    on_both(|world, at| {
        let sid = world.handshake(0);
        let poll = world.ask(at, sid, Asked::Poll);
        world.rest();
        assert_eq!(world.post(at, sid, "1"), HttpReply::Taken);
        assert_eq!(world.body(poll).unwrap(), "6");
        assert_eq!(world.poll(at, sid), UNKNOWN);
        // The poll was brought more slowly than the post.
        let sid = world.handshake(0);
        assert_eq!(world.post(at, sid, "1"), HttpReply::Taken);
        let poll = world.ask(at, sid, Asked::Poll);
        assert_eq!(world.body(poll).unwrap(), "6");
        assert_eq!(world.poll(at, sid), UNKNOWN);
        // There was none.
        let sid = world.handshake(0);
        assert_eq!(world.post(at, sid, "1"), HttpReply::Taken);
        world.pass_ms(200);
        assert_eq!(world.poll(at, sid), UNKNOWN);
    });
}

#[test]
fn the_heartbeat_is_the_servers_and_exact() {
    on_both(|world, at| {
        let sid = world.handshake(0);
        let opened_ms = world.now.mono_ms;
        for round in 1..=3 {
            let poll = world.ask(at, sid, Asked::Poll);
            assert_eq!(world.reply(poll), None);
            // None is later because the one before was.
            let due_ms = opened_ms + round * INTERVAL_MS;
            world.pass_ms(due_ms - 1 - world.now.mono_ms);
            assert_eq!(world.reply(poll), None);
            world.pass_ms(65);
            assert_eq!(world.body(poll).unwrap(), "2");
            assert_eq!(world.post(at, sid, "3"), HttpReply::Taken);
        }
        assert_eq!(world.metrics[0].pongs_total.get(), 3);
        // It is pinged though it sends all the time, and a pong that nobody asked for is nothing.
        world.pass_ms(INTERVAL_MS / 2);
        assert_eq!(world.post(at, sid, "3\u{1e}4x"), HttpReply::Taken);
        world.pass_ms(INTERVAL_MS / 2 + 64);
        let poll = world.ask(at, sid, Asked::Poll);
        assert_eq!(world.body(poll).unwrap(), "4x\u{1e}2");
        // Judged when the time is over, not when the next tick comes.
        let sid = world.handshake(0);
        let poll = world.ask(at, sid, Asked::Poll);
        world.pass_ms(INTERVAL_MS + 60);
        assert_eq!(world.body(poll).unwrap(), "2");
        world.now.mono_ms += TIMEOUT_MS - 61;
        assert_eq!(world.ask_look(at, sid), HttpReply::Taken);
        world.now.mono_ms += 1;
        assert_eq!(world.poll(at, sid), UNKNOWN);
    });
}

#[test]
fn a_body_of_many_records_is_answered_when_all_are_taken() {
    on_both(|world, at| {
        let sid = world.handshake(0);
        let body = vec!["4x"; 140_000].join("\u{1e}");
        let poll = world.ask(at, sid, Asked::Poll);
        assert_eq!(world.post(at, sid, &body), HttpReply::Taken);
        let mut came = world.body(poll).unwrap();
        while came.len() < body.len() {
            let poll = world.ask(at, sid, Asked::Poll);
            came.push('\u{1e}');
            came.push_str(&world.body(poll).unwrap());
        }
        assert_eq!(came, body);
    });
}

#[test]
fn a_second_post_before_the_first_is_taken_ends_the_session() {
    let mut world = World::new(1, 1 << 20);
    let sid = world.handshake(0);
    let body = vec!["4x"; 5000].join("\u{1e}");
    let first = world.ask(0, sid, Asked::Post(body.into_bytes().into()));
    let second = world.ask(0, sid, Asked::Post(b"4y".as_slice().into()));
    assert_eq!(world.reply(second), Some(BAD));
    assert_eq!(world.reply(first), Some(BAD));
    assert_eq!(world.poll(0, sid), UNKNOWN);
}

#[test]
fn who_never_polls_is_a_slow_consumer() {
    let mut world = World::new(1, 1000);
    let sid = world.handshake(0);
    let text = format!("4{}", "x".repeat(500));
    assert_eq!(world.post(0, sid, &text), HttpReply::Taken);
    // Replies fill half its outbox: what it sends is not carried out before it polls.
    let post = world.ask(0, sid, Asked::Post(text.clone().into_bytes().into()));
    assert_eq!(world.reply(post), None);
    let poll = world.ask(0, sid, Asked::Poll);
    assert_eq!(world.body(poll).unwrap(), text);
    assert_eq!(world.reply(post), Some(HttpReply::Taken));
    let poll = world.ask(0, sid, Asked::Poll);
    assert_eq!(world.body(poll).unwrap(), text);
    let long = format!("4{}\u{1e}4{}", "x".repeat(400), "y".repeat(700));
    assert_eq!(world.post(0, sid, &long), HttpReply::Taken);
    let poll = world.ask(0, sid, Asked::Poll);
    assert_eq!(world.body(poll).unwrap(), "1");
    assert_eq!(world.poll(0, sid), UNKNOWN);
    assert_eq!(world.metrics[0].outbox_bytes.get(), 0);
}

impl World {
    fn ask_look(&mut self, shard: u8, sid: shardwire::sid::Sid) -> HttpReply {
        let ticket = self.ask(shard, sid, Asked::Look);
        self.reply(ticket).expect("a look is answered")
    }
}

#[test]
fn a_client_that_vanishes_is_missed_also_behind_pongs() {
    for rounds in 0..3 {
        let mut world = World::new(1, 1 << 20);
        let sid = world.handshake(0);
        for _ in 0..rounds {
            let poll = world.ask(0, sid, Asked::Poll);
            while world.reply(poll).is_none() {
                world.pass_ms(10);
            }
            assert_eq!(world.post(0, sid, "3"), HttpReply::Taken);
        }
        for _ in 0..=(INTERVAL_MS + TIMEOUT_MS) / 10 + 2 * 7 {
            world.pass_ms(10);
        }
        assert_eq!(world.metrics[0].engines.get(), 0, "after {rounds} pongs");
        world.shards[0].check_empty(world.now);
    }
}

//! Connections of the dialect `admin`: streams of figures, the order of answers, that HTTP answers
//! the same, and that nothing is left of who goes. The forms of answers are in the transcripts.

mod same;
mod world;

use serde_json::Value;
use shardwire::limits::OPERATOR_REQUESTS_MAX;

use world::World;

fn ids(heard: &[Value]) -> Vec<i64> {
    heard.iter().map(|frame| frame["id"].as_i64().unwrap_or(-1)).collect()
}

#[test]
fn figures_stream_until_they_are_told_not_to() {
    let mut world = World::new();
    let ann = world.open(&["admin"]);
    world.say(ann, r#"{"type":"stats","data":{"everyMs":100},"id":1}"#);
    world.rest();
    let heard = world.kernel.heard(ann);
    assert_eq!(ids(&heard), [1]);
    assert_eq!((&heard[0]["type"], &heard[0]["data"]["total"]), (&"stats".into(), &1.into()));
    assert_eq!(world.shards[0].next_deadline_ms(), Some(1100));
    world.pass(99);
    assert!(world.kernel.heard(ann).is_empty());
    for _ in 0..3 {
        world.pass(100);
        assert_eq!(ids(&world.kernel.heard(ann)), [1]);
    }
    // Asked once in between, the stream goes on; another takes its place.
    world.say(ann, r#"{"type":"stats","id":2}"#);
    world.pass(100);
    assert_eq!(ids(&world.kernel.heard(ann)), [2, 1]);
    world.say(ann, r#"{"type":"stats","data":{"everyMs":250},"id":3}"#);
    world.rest();
    assert_eq!(ids(&world.kernel.heard(ann)), [3]);
    world.pass(249);
    assert!(world.kernel.heard(ann).is_empty());
    // What a late turn has missed is not made up for.
    world.pass(1000);
    assert_eq!(ids(&world.kernel.heard(ann)), [3]);
    world.say(ann, r#"{"type":"stats","data":{"everyMs":0},"id":4}"#);
    world.rest();
    assert_eq!(ids(&world.kernel.heard(ann)), [4]);
    world.pass(10_000);
    assert!(world.kernel.heard(ann).is_empty());
}

#[test]
fn a_stream_waits_for_a_shard_that_does_not_answer() {
    let mut world = World::new();
    let ann = world.open(&["admin"]);
    world.say(ann, r#"{"type":"stats","data":{"everyMs":100}}"#);
    for _ in 0..50 {
        world.now.mono_ms += 100;
        world.turn(0);
    }
    assert!(world.kernel.heard(ann).is_empty());
    world.rest();
    // That which was asked for, and one of the stream.
    assert_eq!(world.kernel.heard(ann).len(), 2);
}

#[test]
fn answers_come_in_their_order() {
    let mut world = World::new();
    let ann = world.open(&["admin"]);
    for (id, text) in
        [r#""stats""#, r#""dance""#, r#""topics""#, r#""broadcast""#].iter().enumerate()
    {
        world.say(ann, &format!(r#"{{"type":{text},"data":{{"message":1}},"id":{id}}}"#));
    }
    world.say(ann, r#"{"type":"connections","id":4}"#);
    world.rest();
    let heard = world.kernel.heard(ann);
    assert_eq!(ids(&heard), [0, 1, 2, 3, 4]);
    let kinds: Vec<_> = heard.iter().map(|frame| frame["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["stats", "error", "topics", "broadcast", "connections"]);
    assert_eq!(heard[3]["data"]["delivered"], 0, "an operator is no audience");
    assert_eq!(heard[4]["data"]["items"][0]["userId"], "root");
    // As many wait as may; the rest hears at once that it may not.
    for id in 0..OPERATOR_REQUESTS_MAX + 3 {
        world.say(ann, &format!(r#"{{"type":"stats","id":{id}}}"#));
    }
    world.turn(0);
    let refused = world.kernel.heard(ann);
    assert_eq!(refused.len(), 2);
    assert!(refused.iter().all(|frame| frame["data"]["code"] == 503));
    world.rest();
    assert_eq!(world.kernel.heard(ann).len(), OPERATOR_REQUESTS_MAX + 1);
}

#[test]
fn who_has_not_the_role_is_answered_nothing() {
    let mut world = World::new();
    let bob = world.open(&["member"]);
    world.say(bob, r#"{"type":"stats","data":{"everyMs":100},"id":1}"#);
    world.pass(1000);
    let heard = world.kernel.heard(bob);
    assert_eq!((heard.len(), &heard[0]["data"]["code"]), (1, &403.into()));
}

#[test]
fn nothing_is_left_of_who_goes() {
    let mut world = World::new();
    for way in 0..3 {
        let ann = world.open(&["admin"]);
        world.say(ann, r#"{"type":"stats","data":{"everyMs":100}}"#);
        world.say(ann, r#"{"type":"topics"}"#);
        match way {
            // While a shard is asked, while figures stream, and by its own wish.
            0 => world.turn(0),
            1 => world.pass(350),
            _ => world.say(ann, r#"{"type":"disconnect","data":{"userId":"root"}}"#),
        }
        world.rest();
        world.shards[0].gone(ann);
        world.rest();
        for shard in &world.shards {
            shard.check_empty(world.now);
        }
        assert_eq!(world.shards[0].next_deadline_ms(), None);
    }
}

//! What clients that come back are told, and what not: each message once, in order, as long as it is
//! kept.

use serde_json::{Value, json};
use shardwire::limits::{RECOVERY_BYTES_MAX, RECOVERY_ENTRIES_MAX};

use super::world::{Client, RECOVERY_MS, World};
use super::{meeting, say};

#[test]
fn what_is_pushed_out_of_the_log_makes_clients_begin_anew() {
    let large = format!("\"{}\"", "x".repeat(1 << 20));
    let floods: [(&str, usize); 2] =
        [(&large, RECOVERY_BYTES_MAX >> 20), ("1", RECOVERY_ENTRIES_MAX)];
    for (data, times) in floods {
        let (mut world, mut a, mut b) = meeting();
        world.lose(&mut b);
        world.lose(&mut a);
        say_from_outside(&mut world, data, 1);
        let before = a.clone();
        say_from_outside(&mut world, data, times);
        world.connect(&mut a);
        assert!(!a.recovered && a.sid != before.sid);
        assert_eq!(a.heard, [json!("connected")]);
        assert!(world.reading("recovery_overruns_total") > 0);
        assert!(world.reading("recovery_log_bytes") <= RECOVERY_BYTES_MAX as u64);
    }
}

fn say_from_outside(world: &mut World, data: &str, times: usize) {
    for _ in 0..times {
        world.publish("r", data);
    }
    world.rest();
}

#[test]
fn a_thousand_missed_come_in_order_with_what_is_said_meanwhile() {
    let (mut world, mut a, _) = meeting();
    world.lose(&mut a);
    let mut said = 0;
    let mut publish = |world: &mut World, times| {
        for _ in 0..times {
            world.publish("r", &said.to_string());
            said += 1;
        }
    };
    publish(&mut world, 1000);
    world.arrive(&mut a);
    let auth = world.auth(&a);
    world.frame(&mut a, &format!("40{auth}"));
    let (mut heard, mut turns) = (Vec::new(), 0);
    while !a.recovered || heard.len() < 1300 {
        if turns < 30 {
            publish(&mut world, 10);
        }
        world.turn();
        world.hear(&mut a);
        heard.extend(a.messages().iter().filter_map(Value::as_u64));
        turns += 1;
        assert!(turns < 100, "{} heard", heard.len());
    }
    assert!(turns > 3, "in slices");
    assert!(heard.into_iter().eq(0..1300));
}

#[test]
fn one_that_does_not_take_what_it_missed_is_not_given_up_for_it() {
    let (mut world, mut a, _) = meeting();
    world.lose(&mut a);
    let data = format!("\"{}\"", "x".repeat(10_000));
    for _ in 0..1000 {
        world.publish("r", &data);
    }
    world.arrive(&mut a);
    let engine = a.engine.expect("it is there");
    world.nets[0].full.push(engine.index);
    let auth = world.auth(&a);
    world.frame(&mut a, &format!("40{auth}"));
    for _ in 0..50 {
        world.now_ms += 100;
        world.turn();
    }
    world.hear(&mut a);
    assert_eq!(a.heard, [] as [Value; 0]);
    world.nets[0].full.clear();
    for _ in 0..200 {
        let now = world.now();
        world.shards[0].writable(engine, &mut world.nets[0]);
        world.shards[0].check(now);
        world.now_ms += 100;
        world.turn();
        world.hear(&mut a);
    }
    assert!(a.recovered);
    assert_eq!(a.messages().len(), 1000);
}

#[test]
fn bytes_are_missed_with_the_message_they_belong_to() {
    let (mut world, mut a, mut b) = meeting();
    world.lose(&mut a);
    let content = json!({"_placeholder": true, "num": 0});
    world.frame(&mut b, &format!("451-{}", json!(["message", {"room": "r", "content": content}])));
    world.send(&mut b, 0x82, &[1, 2, 255]);
    world.rest();
    world.hear(&mut b);
    assert_eq!(b.heard[1], json!({"bytes": [1, 2, 255]}));
    world.connect(&mut a);
    assert!(a.recovered);
    assert_eq!(a.heard[0][1]["content"], content);
    assert_eq!(a.heard[1..], [json!({"bytes": [1, 2, 255]}), json!("connected")]);
}

#[test]
fn what_is_of_the_moment_is_not_told_later() {
    let (mut world, mut a, mut b) = meeting();
    world.lose(&mut a);
    world.emit(&mut b, &json!(["typing_start", {"room": "r"}]));
    world.emit(&mut b, &json!(["presence_update", "away"]));
    world.emit(&mut b, &json!(["ping"]));
    // Whatever its last argument is, it is an offset.
    let last = b.heard.last().expect("an answer");
    assert_eq!((&last[0], last[1].as_str()), (&json!("pong"), b.offset.as_deref()));
    world.connect(&mut a);
    assert_eq!((a.recovered, &a.heard), (true, &vec![json!("connected")]));
}

#[test]
fn what_did_not_arrive_is_told_again_and_what_did_is_not() {
    let (mut world, mut a, mut b) = meeting();
    let first = a.offset.clone();
    world.lose(&mut a);
    say(&mut world, &mut b, &json!(1));
    // It comes back and is told, but that is lost on its way.
    world.connect(&mut a);
    assert_eq!(a.messages(), [json!(1)]);
    world.lose(&mut a);
    a.offset = first;
    say(&mut world, &mut b, &json!(2));
    world.connect(&mut a);
    assert_eq!((a.recovered, a.messages()), (true, vec![json!(1), json!(2)]));
    // Now it has arrived.
    for _ in 0..3 {
        world.lose(&mut a);
        world.connect(&mut a);
        assert_eq!((a.recovered, a.messages()), (true, vec![]));
    }
}

#[test]
fn a_quiet_room_beside_busy_ones_does_not_make_a_client_forgotten() {
    let (mut world, mut a, mut b) = meeting();
    let mut other = Client::new("c");
    world.connect(&mut other);
    world.join(&mut other, "busy");
    // Its last offset is long out of the log; that it has missed nothing its pongs have told.
    for _ in 0..8 {
        world.pass(60_000, &mut [&mut a, &mut b, &mut other]);
        world.publish("busy", "1");
    }
    a.heard.clear();
    world.lose(&mut a);
    say(&mut world, &mut b, &json!(1));
    world.pass(RECOVERY_MS - 2000, &mut [&mut b, &mut other]);
    world.connect(&mut a);
    assert_eq!((a.recovered, a.messages()), (true, vec![json!(1)]));
}

/// Clients that come and go at random hear what is said in their room while they are members, each
/// once and in order.
#[test]
fn whoever_comes_and_goes_hears_everything_once() {
    for seed in 1..40_u64 {
        let shards = if seed % 2 == 0 { 1 } else { 3 };
        let mut random = seed;
        let mut draw = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99_991);
            (random >> 33) % below
        };
        let mut world = World::new(shards);
        let mut clients: Vec<Client> = ["a", "b", "c", "d"].map(Client::new).into();
        let mut heard = vec![Vec::new(); clients.len()];
        for client in &mut clients {
            world.connect(client);
            world.join(client, "r");
        }
        let mut said = 0;
        for _ in 0..200 {
            let at = draw(clients.len() as u64) as usize;
            let client = &mut clients[at];
            if client.engine.is_none() {
                client.shard = draw(shards.into()) as usize;
            }
            match draw(8) {
                0 | 1 if client.engine.is_some() => world.lose(client),
                // What it was sent of late was lost on its way.
                2 if client.engine.is_some() => {
                    let mut unheard = client.clone();
                    world.lose(&mut unheard);
                    client.engine = None;
                }
                3 if client.engine.is_some() => {
                    client.shard = draw(shards.into()) as usize;
                    world.connect(client);
                }
                0..4 => world.connect(client),
                4 => {
                    world.now_ms += draw(10_000);
                    world.rest();
                }
                5 if client.engine.is_some() => {
                    world.hear(client);
                    if client.engine.is_some() {
                        world.frame(client, "3");
                    }
                }
                _ => {
                    world.publish("r", &said.to_string());
                    world.rest();
                    said += 1;
                }
            }
            let client = &mut clients[at];
            if draw(2) == 0 {
                world.hear(client);
            }
            heard[at].extend(client.messages().iter().filter_map(Value::as_u64));
        }
        for (client, heard) in clients.iter_mut().zip(&mut heard) {
            if client.engine.is_none() {
                world.connect(client);
            }
            world.rest();
            world.hear(client);
            heard.extend(client.messages().iter().filter_map(Value::as_u64));
            assert!(heard.iter().copied().eq(0..said), "seed {seed}: {heard:?} of {said}");
        }
    }
}

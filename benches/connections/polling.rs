//! What polling sessions cost: while their polls hang, between polls with their HTTP connections kept,
//! and without these: the session alone.
//!
//! What HTTP has for a connection is the difference. Each client has a token and is in one room that
//! all share; its connection for posts is closed as soon as it is in.

use std::time::{Duration, Instant};

use crate::rig::broker::{self, Broker};
use crate::rig::clients::{self, PATIENCE};
use crate::rig::polling::{Pollers, Told, Way};
use crate::rig::publisher::Publisher;
use crate::{SHARED, print_memory, settle};

/// Clients that are on their way in at a time.
const COMING_MAX: usize = 64;
/// What the kernel and the broker need to see that connections are gone.
const A_MOMENT: Duration = Duration::from_millis(500);

/// Measures so many.
pub fn measure(count: usize, shards: usize) {
    println!("{count} polling sessions in one room, {shards} shards, a token each (HS256)");
    let mut broker = Broker::start(shards, true, None);
    print_memory("fresh", broker.memory(), None);
    leave(enter(&broker, count / 8), count / 8, &mut broker);
    let before = broker.memory();
    print_memory("after a warm-up that left", before, None);
    let mut pollers = enter(&broker, count);
    for number in 0..count {
        pollers.close_post(number);
    }
    let deadline = Instant::now() + PATIENCE;
    while broker.metric("polls_waiting") < count as u64 {
        assert!(Instant::now() < deadline, "not all poll");
        // Some are pinged just now.
        assert_eq!(pollers.wait(A_MOMENT / 10), []);
    }
    std::thread::sleep(A_MOMENT);
    settle(&mut broker, count);
    print_memory("polls hang", broker.memory(), Some((before, count)));
    publish_and_rest(&mut pollers, &broker, count);
    std::thread::sleep(A_MOMENT);
    print_memory("between polls", broker.memory(), Some((before, count)));
    for number in 0..count {
        pollers.close_get(number);
    }
    std::thread::sleep(A_MOMENT);
    settle(&mut broker, count);
    print_memory("without connections", broker.memory(), Some((before, count)));
    leave(pollers, count, &mut broker);
    print_memory("all gone", broker.memory(), None);
}

/// Lets so many in, each into the room.
fn enter(broker: &Broker, count: usize) -> Pollers {
    let mut pollers = Pollers::new(broker.address, broker::ROOMS_PATH);
    let (mut begun, mut joined) = (0, 0);
    while joined < count {
        while begun < count && begun - joined < COMING_MAX {
            let token = broker::token(&format!("user-{begun:05}"));
            pollers.connect(begun, Some(&token));
            begun += 1;
        }
        for (number, told) in pollers.wait(PATIENCE) {
            match told {
                Told::Ready => pollers.say(number, &clients::join(SHARED)),
                Told::Acknowledged => joined += 1,
                other => panic!("client {number}: {other:?}"),
            }
        }
    }
    pollers
}

/// All hear one message, and do not poll again.
fn publish_and_rest(pollers: &mut Pollers, broker: &Broker, count: usize) {
    pollers.rest();
    let delivered = Publisher::to(broker).publish(SHARED, &clients::stamped(0, 0, 0));
    assert_eq!(delivered, count as u64);
    let mut heard = 0;
    while heard < count {
        let told = pollers.wait(PATIENCE);
        assert!(!told.is_empty(), "{} wait in vain", count - heard);
        for (number, told) in told {
            let Told::Message(_) = told else { panic!("client {number}: {told:?}") };
            heard += 1;
        }
    }
}

/// All go: those that still have a connection abort their poll, the others just stay away.
fn leave(mut pollers: Pollers, count: usize, broker: &mut Broker) {
    for number in 0..count {
        pollers.kill(number, Way::Dropped, b"");
    }
    drop(pollers);
    // Who has no connection is given up when no pong comes.
    let deadline = Instant::now() + Duration::from_secs(90);
    while broker.metric("connections") > 0 {
        assert!(Instant::now() < deadline, "sessions stay");
        std::thread::sleep(A_MOMENT / 10);
    }
    std::thread::sleep(A_MOMENT);
}

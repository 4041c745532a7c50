//! A thousand who subscribe and never read, while others on the same topic read all of it.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;

use shardwire::close::Close;
use shardwire::config::SlowConsumerPolicy;
use shardwire::shard::outbox::OutboxBound;

use crate::broker::{ATTACKER, Attack, Scene, until};
use crate::client::{Client, socket};

const SLOW: usize = 1000;
/// Those who read, on the same topic.
const QUICK: usize = 10;
/// Of the slow, those who read again in time.
const WAKING: usize = 20;
/// Bytes that may wait for each.
const OUTBOX_BYTES: usize = 64 << 10;
/// Bytes of a message's `data`.
const DATA_BYTES: usize = 4 << 10;
/// The most that the kernel takes for one whom nobody reads, in messages: some megabytes.
const MESSAGES_MAX: usize = 3000;
/// Of a frame that is begun the rest is kept, for a frame has no end in its midst; and the close.
const REST_BYTES_MAX: u64 = DATA_BYTES as u64 + 1024;

const QUICK_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 10));

pub const GIVEN_UP: Attack = Attack {
    name: "readers who never read",
    // What waits is shared: the messages of one topic, once.
    mib_max: 8,
    set: |setup| {
        let policy = SlowConsumerPolicy::Disconnect;
        setup.policy.outbox = OutboxBound { bytes_max: OUTBOX_BYTES, policy };
    },
    act: |scene| {
        let slow: Vec<Client> = (0..SLOW).map(|_| enter_slow(scene, "flood")).collect();
        let mut crowd = Crowd::enter(scene);
        let closed = || scene.closed(Close::SlowConsumer);
        while closed() < SLOW as u64 {
            crowd.publish();
        }
        scene.honest();
        let (published, most) = (crowd.published, crowd.outbox_max);
        assert!(most <= (SLOW * OUTBOX_BYTES) as u64, "{most} bytes waited");
        let kept = scene.count(|it| it.outbox_bytes.get());
        assert!(kept <= SLOW as u64 * REST_BYTES_MAX, "{kept} bytes kept for the given up");
        // Who does not read again in time is cut, without a word from anyone.
        until("all are cut", || scene.connections() == 1 + QUICK as u64);
        assert_eq!(scene.count(|it| it.outbox_bytes.get()), 0);
        drop(slow);
        wake(scene, &mut crowd);
        assert_eq!(closed(), (SLOW + WAKING) as u64, "nobody else");
        format!(
            "{SLOW} given up after {published} messages of 4 KiB, and cut; {} KiB waited at most, \
            {} KiB once given up, then 0; {WAKING} more read again in time and heard 1013; {} of \
            {} deliveries to {QUICK} others on the topic",
            most >> 10,
            kept >> 10,
            crowd.heard,
            crowd.published * QUICK
        )
    },
};

/// Who is given up and reads again in time has missed nothing up to the word that it was too slow.
fn wake(scene: &Scene<'_>, crowd: &mut Crowd<'_>) {
    let first = crowd.published;
    // With more room in the kernel: a window of a few kilobytes is read in fits and starts.
    let enter = |_| enter_with(scene, "flood", 64 << 10);
    let waking: Vec<Client> = (0..WAKING).map(enter).collect();
    while scene.closed(Close::SlowConsumer) < (SLOW + WAKING) as u64 {
        crowd.publish();
    }
    for client in waking {
        hear_the_end(client, first..crowd.published);
    }
}

pub const DROPPED_FOR: Attack = Attack {
    name: "the same, drop-oldest",
    mib_max: 8,
    set: |setup| {
        let policy = SlowConsumerPolicy::DropOldest;
        setup.policy.outbox = OutboxBound { bytes_max: OUTBOX_BYTES, policy };
    },
    act: |scene| {
        let mut slow: Vec<Client> = (0..SLOW).map(|_| enter_slow(scene, "flood")).collect();
        let mut crowd = Crowd::enter(scene);
        let dropped = || scene.count(|it| it.dropped_oldest_total.get());
        // Until every one of them has lost something, and more.
        while dropped() < 20 * SLOW as u64 {
            crowd.publish();
        }
        assert_eq!(scene.connections(), (SLOW + 1 + QUICK) as u64, "all stay");
        scene.honest();
        let most = crowd.outbox_max;
        assert!(most <= (SLOW * OUTBOX_BYTES) as u64, "{most} bytes waited");
        let mut missed = 0;
        for client in &mut slow[..WAKING] {
            missed += hear_to_the_newest(client, crowd.published);
        }
        assert!(missed > 0);
        let lost = dropped();
        drop(slow);
        format!(
            "{SLOW} stay through {} messages of 4 KiB, {lost} dropped, {} KiB waited at most; \
            {WAKING} read on to the newest; {} of {} deliveries to {QUICK} others on the topic",
            crowd.published,
            most >> 10,
            crowd.heard,
            crowd.published * QUICK
        )
    },
};

pub const APART: Attack = Attack {
    name: "the same, a topic each",
    // A thousand outboxes that share nothing, and the pages of their messages.
    mib_max: 96,
    set: |setup| {
        let policy = SlowConsumerPolicy::Disconnect;
        setup.policy.outbox = OutboxBound { bytes_max: OUTBOX_BYTES, policy };
    },
    act: |scene| {
        let mut slow: Vec<Client> = (0..SLOW).map(|n| enter_slow(scene, &own_topic(n))).collect();
        let mut crowd = Crowd::enter(scene);
        let closed = || scene.closed(Close::SlowConsumer);
        let (mut rounds, mut most) = (0, 0);
        while closed() < SLOW as u64 {
            assert!(rounds < MESSAGES_MAX, "so much is taken for those who do not read");
            for first in (0..SLOW).step_by(100) {
                let topics: Vec<String> = (first..first + 100).map(own_topic).collect();
                crowd.publish_to_all(&topics);
                most = most.max(scene.count(|it| it.outbox_bytes.get()));
            }
            rounds += 1;
        }
        scene.honest();
        crowd.publish();
        assert!(most <= (SLOW * OUTBOX_BYTES) as u64, "{most} bytes waited");
        // Else the memory was not tried.
        assert!(most >= (SLOW * OUTBOX_BYTES / 4) as u64, "only {most} bytes waited");
        slow.clear();
        format!(
            "{SLOW} given up after {rounds} messages of 4 KiB each, {} KiB waited at most",
            most >> 10
        )
    },
};

fn own_topic(n: usize) -> String {
    format!("flood.{n}")
}

/// A publisher, and those who read.
struct Crowd<'a> {
    scene: &'a Scene<'a>,
    publisher: Client,
    quick: Vec<Client>,
    published: usize,
    heard: usize,
    /// The most that waited for anyone at a time.
    outbox_max: u64,
}

impl<'a> Crowd<'a> {
    fn enter(scene: &'a Scene<'a>) -> Self {
        let enter = || Client::enter(scene.address(), QUICK_ADDRESS, "/ws");
        let quick = (0..QUICK).map(|_| subscribed(enter(), "flood")).collect();
        Self { scene, publisher: enter(), quick, published: 0, heard: 0, outbox_max: 0 }
    }

    /// Publishes the next message, which each of those who read hears whole.
    fn publish(&mut self) {
        let n = self.published;
        assert!(n < MESSAGES_MAX, "so much is taken for those who do not read");
        assert!(self.publisher.say(&message("flood", n)));
        assert!(self.publisher.hear_text().contains("published"));
        for client in &mut self.quick {
            assert_eq!(number(&client.hear_text()), n);
            self.heard += 1;
        }
        self.published += 1;
        self.outbox_max = self.outbox_max.max(self.scene.count(|it| it.outbox_bytes.get()));
    }

    /// Publishes one to each of the topics, and waits until all are out.
    fn publish_to_all(&mut self, topics: &[String]) {
        for topic in topics {
            assert!(self.publisher.say(&message(topic, 0)));
        }
        for _ in topics {
            assert!(self.publisher.hear_text().contains("published"));
        }
    }
}

fn message(topic: &str, n: usize) -> String {
    let data = format!("{n:08}{}", "x".repeat(DATA_BYTES - 8));
    format!(r#"{{"type":"message","topic":"{topic}","data":"{data}","id":1}}"#)
}

/// With so little room in the kernel that what is sent soon waits in the broker.
fn enter_slow(scene: &Scene<'_>, topic: &str) -> Client {
    enter_with(scene, topic, 4096)
}

fn enter_with(scene: &Scene<'_>, topic: &str, room: usize) -> Client {
    let socket = socket();
    socket.set_recv_buffer_size(room).expect("a live socket");
    subscribed(Client::connect_with(socket, scene.address(), ATTACKER).upgrade("/ws"), topic)
}

fn subscribed(mut client: Client, topic: &str) -> Client {
    client.say(&format!(r#"{{"type":"subscribe","topic":"{topic}"}}"#));
    assert!(client.hear_text().contains("subscribed"));
    client
}

/// Which of the messages it is.
fn number(message: &str) -> usize {
    let (_, data) = message.split_once(r#""data":""#).expect("a message");
    assert!(message.len() > DATA_BYTES, "whole: {message}");
    data[..8].parse().expect("its number")
}

/// Messages without a gap, and then the close.
fn hear_the_end(mut client: Client, published: Range<usize>) {
    for n in published.clone() {
        let (opcode, payload) = client.hear();
        if opcode == 8 {
            assert_eq!(payload[..2], 1013_u16.to_be_bytes());
            assert!(n > published.start, "nothing was heard");
            return;
        }
        let message = String::from_utf8(payload).expect("UTF-8");
        assert_eq!(number(&message), n);
    }
    panic!("all was heard, and no close");
}

/// Messages in their order, with gaps, to the last that was published: how many are missing.
fn hear_to_the_newest(client: &mut Client, published: usize) -> usize {
    let (mut next, mut missed) = (0, 0);
    while next < published {
        let n = number(&client.hear_text());
        assert!(n >= next, "{n} behind {next}");
        missed += n - next;
        next = n + 1;
    }
    missed
}

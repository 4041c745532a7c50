//! Two who have nothing to do with it: one publishes all the while, the other hears it.
//!
//! They are there before an attack begins and stay until it is over, so "nothing lost for the
//! others" is counted in messages, not assumed.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::client::Client;

/// How many connections they are.
pub const CONNECTIONS: u64 = 2;
/// How many subscriptions, to a topic of their own each.
pub const SUBSCRIPTIONS: u64 = 1;

/// Each from an address of its own, so that no limit of an address is the attack's.
const PUBLISHER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 8));
const SUBSCRIBER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9));

/// Between two messages: few enough for the rate limits that attacks set.
const EVERY: Duration = Duration::from_millis(10);

/// The two, at it.
pub struct Bystanders {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Served>,
}

/// How they fared.
#[derive(Clone, Copy)]
pub struct Served {
    /// Messages, each of which came, once and in its turn.
    pub messages: u64,
    /// The longest that one took, its answer to the publisher included.
    pub longest: Duration,
}

impl Bystanders {
    /// Lets them in and begins.
    pub fn begin(to: SocketAddr) -> Self {
        let mut subscriber = Client::enter(to, SUBSCRIBER, "/ws");
        subscriber.say(r#"{"type":"subscribe","topic":"bystanders"}"#);
        assert!(subscriber.hear_text().contains("subscribed"));
        let mut publisher = Client::enter(to, PUBLISHER, "/ws");
        let over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            let mut served = Served { messages: 0, longest: Duration::ZERO };
            while !told.load(Ordering::Relaxed) {
                exchange(&mut publisher, &mut subscriber, &mut served);
                std::thread::sleep(EVERY);
            }
            served
        });
        Self { over, thread }
    }

    /// Ends it. Panics where a message was lost, doubled or changed.
    pub fn end(self) -> Served {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().expect("the bystanders are served all the while")
    }
}

fn exchange(publisher: &mut Client, subscriber: &mut Client, served: &mut Served) {
    let n = served.messages;
    let begun = Instant::now();
    publisher
        .say(&format!(r#"{{"type":"message","topic":"bystanders","data":"no. {n}","id":{n}}}"#));
    let answer = publisher.hear_text();
    assert!(answer.contains("\"published\""), "{answer}");
    let message = subscriber.hear_text();
    assert!(message.contains(&format!("\"data\":\"no. {n}\"")), "no. {n}: {message}");
    served.messages += 1;
    served.longest = served.longest.max(begun.elapsed());
}

//! A turn of a shard does so much at most: however many connections end or are due at once, what
//! others are to get goes out in between, and nobody is forgotten.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use shardwire::audience::Audience;
use shardwire::auth::Rules;
use shardwire::config::Dialect;
use shardwire::connection::ConnKey;
use shardwire::interest::{Interest, ShardSet};
use shardwire::limits::{
    DEADLINES_PER_TURN_MAX, ENDS_PER_TURN_MAX, INQUIRIES_MAX, MAILS_PER_TURN_MAX, PING_INTERVAL_MS,
    READ_STEPS_MAX,
};
use shardwire::mail::{Mail, Receipt, Request};
use shardwire::mailbox::{Mailbox, Wake};
use shardwire::metrics::ShardMetrics;
use shardwire::query::Query;
use shardwire::shard::{Arrival, Endpoint, Parts, Policy, Port, Sent, Shard};
use shardwire::sid::NotSecret;
use shardwire::time::{Now, Timestamp};
use shardwire::wire::frame::put_close;

const NOW: Now = Now { mono_ms: 1, wall: Timestamp(1_769_860_800_123) };
/// A crowd of some turns.
const CROWD: usize = 3000;

/// Keeps what came, by connection, and who was closed.
#[derive(Default)]
struct Kernel {
    came: HashMap<u32, Vec<u8>>,
    closed: Vec<u32>,
    /// Takes nothing, as if every buffer were full.
    full: bool,
}

impl Port for Kernel {
    fn send(&mut self, conn: u32, bytes: &[u8]) -> Sent {
        if self.full {
            return Sent::Bytes(0);
        }
        self.came.entry(conn).or_default().extend_from_slice(bytes);
        Sent::Bytes(bytes.len())
    }

    fn shut(&mut self, _: u32) {}

    fn close(&mut self, conn: u32, _: IpAddr) {
        self.closed.push(conn);
    }
}

struct Awake;

impl Wake for Awake {
    fn wake(&self) {}
}

fn shard() -> (Shard, Arc<ShardMetrics>) {
    let (shard, metrics, _) = shard_of(1);
    (shard, metrics)
}

/// The first of so many shards, and its mailbox.
fn shard_of(shards: usize) -> (Shard, Arc<ShardMetrics>, Arc<Mailbox>) {
    let metrics = ShardMetrics::new();
    let mailboxes: Arc<[_]> = (0..shards).map(|_| Mailbox::new(Box::new(Awake))).collect();
    let mailbox = Arc::clone(&mailboxes[0]);
    let parts = Parts {
        id: 0,
        mailboxes,
        interest: Interest::new(),
        policy: Arc::new(Policy::new(vec![Endpoint::new(
            "/ws",
            Dialect::Topics,
            false,
            Rules::open(),
        )])),
        metrics: Arc::clone(&metrics),
        seed: 1,
        node: 1,
        all_metrics: Arc::from([Arc::clone(&metrics)]),
        secrets: Box::new(NotSecret(1)),
    };
    (Shard::new(parts, NOW), metrics, mailbox)
}

fn open(shard: &mut Shard) -> ConnKey {
    let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
    shard.open(NOW, Arrival::new(0, address))
}

fn client_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    assert!(payload.len() < 126);
    [&[first, 0x80 | payload.len() as u8, 0, 0, 0, 0], payload].concat()
}

fn say(shard: &mut Shard, kernel: &mut Kernel, key: ConnKey, text: &str) {
    let mut bytes = client_frame(0x81, text.as_bytes());
    assert_eq!(shard.read(NOW, key, &mut bytes, kernel), bytes.len());
}

fn say_goodbye(shard: &mut Shard, kernel: &mut Kernel, key: ConnKey, code: u16) {
    let mut bytes = client_frame(0x88, &code.to_be_bytes());
    assert_eq!(shard.read(NOW, key, &mut bytes, kernel), bytes.len());
}

/// A crowd that subscribed, and one more who stays.
fn crowd(shard: &mut Shard, kernel: &mut Kernel) -> (Vec<ConnKey>, ConnKey) {
    let keys: Vec<ConnKey> = (0..CROWD).map(|_| open(shard)).collect();
    let stays = open(shard);
    for &key in keys.iter().chain([&stays]) {
        say(shard, kernel, key, r#"{"type":"subscribe","topic":"news"}"#);
    }
    shard.flush(NOW, kernel);
    kernel.came.clear();
    (keys, stays)
}

/// Whether the news came to the one who stays, and to nobody else.
fn assert_news(shard: &mut Shard, kernel: &mut Kernel, stays: ConnKey) {
    kernel.came.clear();
    say(shard, kernel, stays, r#"{"type":"message","topic":"news","data":"today"}"#);
    let closed = kernel.closed.len();
    shard.flush(NOW, kernel);
    shard.check(NOW);
    let text = String::from_utf8_lossy(&kernel.came[&stays.index]);
    assert_eq!(text.matches("\"today\"").count(), 1);
    let others = kernel.came.iter().filter(|(conn, _)| **conn != stays.index);
    for (conn, bytes) in others {
        assert!(!bytes.windows(5).any(|some| some == b"today"), "{conn} has left");
    }
    assert_eq!(kernel.closed.len() - closed, ENDS_PER_TURN_MAX);
}

fn flush_until_closed(shard: &mut Shard, kernel: &mut Kernel, count: usize) {
    for _ in 0..count.div_ceil(ENDS_PER_TURN_MAX) {
        shard.flush(NOW, kernel);
    }
    let mut closed = kernel.closed.clone();
    closed.sort_unstable();
    closed.dedup();
    assert_eq!((kernel.closed.len(), closed.len()), (count, count));
    assert!(!shard.is_ending());
}

#[test]
fn those_who_are_gone_are_ended_some_in_a_turn() {
    let (mut shard, metrics) = shard();
    let mut kernel = Kernel::default();
    let (keys, stays) = crowd(&mut shard, &mut kernel);
    for &key in &keys {
        shard.gone(key);
    }
    assert_news(&mut shard, &mut kernel, stays);
    assert_eq!(metrics.connections_ending.get(), (CROWD - ENDS_PER_TURN_MAX) as u64);
    flush_until_closed(&mut shard, &mut kernel, CROWD);
    assert_eq!((shard.connections(), metrics.connections_ending.get()), (1, 0));
}

#[test]
fn goodbyes_are_answered_some_in_a_turn() {
    let (mut shard, metrics) = shard();
    let mut kernel = Kernel::default();
    let (keys, stays) = crowd(&mut shard, &mut kernel);
    let code = |key: &ConnKey| 4000 + (key.index % 900) as u16;
    for key in &keys {
        // An answer of the same turn comes before the close frame.
        say(&mut shard, &mut kernel, *key, r#"{"type":"unsubscribe","topic":"news"}"#);
        say_goodbye(&mut shard, &mut kernel, *key, code(key));
        // Said twice, or said and cut: answered once all the same.
        match key.index % 3 {
            0 => say_goodbye(&mut shard, &mut kernel, *key, 1000),
            1 if key.index as usize > CROWD / 2 => shard.gone(*key),
            _ => {}
        }
    }
    assert!(kernel.closed.is_empty());
    shard.flush(NOW, &mut kernel);
    shard.check(NOW);
    let (mut told, first_turn) = (std::mem::take(&mut kernel.came), kernel.closed.len());
    assert_eq!(first_turn, ENDS_PER_TURN_MAX);
    assert_news(&mut shard, &mut kernel, stays);
    while shard.is_ending() {
        for (conn, bytes) in std::mem::take(&mut kernel.came) {
            told.entry(conn).or_default().extend(bytes);
        }
        shard.flush(NOW, &mut kernel);
    }
    for (conn, bytes) in kernel.came.drain() {
        told.entry(conn).or_default().extend(bytes);
    }
    flush_until_closed(&mut shard, &mut kernel, CROWD);
    for key in &keys {
        let mut close = Vec::new();
        put_close(&mut close, Some(code(key)), "");
        let bytes = &told[&key.index];
        assert!(String::from_utf8_lossy(bytes).contains("unsubscribed"));
        assert!(bytes.ends_with(&close), "{} is not answered", key.index);
        let closes = bytes.windows(close.len()).filter(|some| **some == close[..]).count();
        assert_eq!(closes, 1);
    }
    let normal = metrics.closed_for(shardwire::close::Close::Normal).get();
    assert_eq!((normal, shard.connections()), (CROWD as u64, 1));
}

#[test]
fn ends_go_on_while_output_gathers() {
    let (mut shard, metrics) = shard();
    let mut kernel = Kernel::default();
    let (keys, stays) = crowd(&mut shard, &mut kernel);
    let (gone, leaving) = keys.split_at(CROWD / 2);
    for &key in gone {
        say(&mut shard, &mut kernel, key, r#"{"type":"unsubscribe","topic":"news"}"#);
        shard.gone(key);
    }
    for &key in leaving {
        say(&mut shard, &mut kernel, key, r#"{"type":"unsubscribe","topic":"news"}"#);
        say_goodbye(&mut shard, &mut kernel, key, 4001);
    }
    say(&mut shard, &mut kernel, stays, r#"{"type":"message","topic":"news","data":"today"}"#);
    assert!(shard.is_dirty() && shard.is_ending() && kernel.came.is_empty());
    for ended in 1..=CROWD.div_ceil(ENDS_PER_TURN_MAX) {
        shard.end_some(NOW, &mut kernel);
        shard.check(NOW);
        assert_eq!(kernel.closed.len(), CROWD.min(ended * ENDS_PER_TURN_MAX));
    }
    assert!(!shard.is_ending());
    // Each got what was for it before its end, and what is for others still gathers.
    assert!(!kernel.came.contains_key(&stays.index) && shard.is_dirty());
    let mut goodbye = Vec::new();
    put_close(&mut goodbye, Some(4001), "");
    for key in &keys {
        let bytes = &kernel.came[&key.index];
        assert!(String::from_utf8_lossy(bytes).contains("unsubscribed"));
        assert_eq!(bytes.ends_with(&goodbye), leaving.contains(key), "{}", key.index);
    }
    // Who comes to a place that was just left gets nothing of the one before.
    let comes = open(&mut shard);
    kernel.came.clear();
    shard.flush(NOW, &mut kernel);
    shard.check(NOW);
    let text = String::from_utf8_lossy(&kernel.came[&stays.index]);
    assert_eq!(text.matches("\"today\"").count(), 1);
    assert!(!kernel.came.contains_key(&comes.index) && !shard.is_dirty());
    assert_eq!(metrics.connections_ending.get(), 0);
}

#[test]
fn who_says_goodbye_and_takes_nothing_is_cut_in_time() {
    let (mut shard, metrics) = shard();
    let mut kernel = Kernel { full: true, ..Kernel::default() };
    let (keys, stays) = crowd(&mut shard, &mut kernel);
    for key in &keys {
        say_goodbye(&mut shard, &mut kernel, *key, 1000);
    }
    shard.flush(NOW, &mut kernel);
    while shard.is_ending() {
        shard.flush(NOW, &mut kernel);
        shard.check(NOW);
    }
    assert!(kernel.closed.is_empty(), "their close frames wait for room");
    let later = Now { mono_ms: NOW.mono_ms + 5100, ..NOW };
    while shard.next_deadline_ms().is_some_and(|at| at <= later.mono_ms) {
        shard.advance(later, &mut kernel);
        shard.flush(later, &mut kernel);
    }
    flush_until_closed(&mut shard, &mut kernel, CROWD);
    assert!(!kernel.closed.contains(&stays.index));
    assert_eq!(metrics.closed_for(shardwire::close::Close::Normal).get(), CROWD as u64);
}

#[test]
fn a_goodbye_is_counted_once_however_it_ends() {
    let (mut shard, metrics) = shard();
    let mut kernel = Kernel::default();
    let (keys, _) = crowd(&mut shard, &mut kernel);
    // Some are cut before they say it, some before they are answered, some are not.
    let cut = keys.iter().step_by(3);
    let unheard = cut.len() as u64;
    for key in cut {
        shard.gone(*key);
    }
    for key in &keys {
        say_goodbye(&mut shard, &mut kernel, *key, 1000);
    }
    for key in keys.iter().skip(1).step_by(3) {
        shard.gone(*key);
    }
    while shard.is_ending() {
        shard.flush(NOW, &mut kernel);
    }
    flush_until_closed(&mut shard, &mut kernel, CROWD);
    let counted = metrics.closed_for(shardwire::close::Close::Normal).get();
    assert_eq!(counted, CROWD as u64 - unheard);
    assert_eq!(metrics.connections_ending.get(), 0);
}

#[test]
fn deadlines_that_come_at_once_are_acted_on_some_in_a_turn() {
    let (mut shard, metrics) = shard();
    let mut kernel = Kernel::default();
    let (keys, _) = crowd(&mut shard, &mut kernel);
    // As after a pause of the whole machine.
    let later = Now { mono_ms: NOW.mono_ms + PING_INTERVAL_MS + 100, ..NOW };
    let all = keys.len() + 1;
    let mut turns = 0;
    while kernel.came.len() < all {
        assert!(shard.next_deadline_ms().is_some_and(|at| at <= later.mono_ms));
        let before = kernel.came.len();
        shard.advance(later, &mut kernel);
        shard.flush(later, &mut kernel);
        shard.check(later);
        turns += 1;
        assert_eq!(kernel.came.len() - before, DEADLINES_PER_TURN_MAX.min(all - before));
    }
    assert_eq!(metrics.deadlines_deferred_total.get(), turns - 1);
    assert!(kernel.came.values().all(|bytes| bytes == &[0x89, 0]), "a ping each");
    assert!(shard.next_deadline_ms().is_some_and(|at| at > later.mono_ms));
}

#[test]
fn inquiries_are_answered_as_many_in_a_turn_as_their_work_allows() {
    let (mut shard, metrics, mailbox) = shard_of(1);
    let mut kernel = Kernel::default();
    crowd(&mut shard, &mut kernel);
    let queries = [
        Query::Connections { of: Audience::Everyone, from: 0, limit: 1 },
        Query::Presence { topic: "news".into(), people: false },
    ];
    for query in queries.map(Arc::new) {
        for ticket in 0..MAILS_PER_TURN_MAX as u64 {
            let (query, answer) = (Arc::clone(&query), Receipt { shard: 0, ticket });
            mailbox.push(Mail::from(Request::Ask { query, answer })).expect("it has room");
        }
        let taken = metrics.mails_taken_total.get();
        assert!(shard.take_mail(NOW, &mut kernel), "the rest is taken in the next turn");
        let in_a_turn = metrics.mails_taken_total.get() - taken;
        assert!((1..=READ_STEPS_MAX / CROWD as u64 + 2).contains(&in_a_turn), "{in_a_turn}");
        while shard.take_mail(NOW, &mut kernel) {}
    }
    assert_eq!(metrics.mails_taken_total.get(), 2 * MAILS_PER_TURN_MAX as u64);
}

#[test]
fn inquiries_that_nobody_answers_are_bounded_and_counted() {
    let (mut shard, metrics, _) = shard_of(2);
    let mut kernel = Kernel::default();
    let query = Arc::new(Query::Tally);
    let mut open = 0;
    // The other shard takes no mail.
    while shard.inquire(NOW, &query, ShardSet::only(1)).is_ok() {
        open += 1;
        if open % 1000 == 0 {
            shard.flush(NOW, &mut kernel);
        }
    }
    shard.flush(NOW, &mut kernel);
    assert!((1..=INQUIRIES_MAX as u64).contains(&open));
    assert_eq!((metrics.inquiries_open.get(), metrics.inquiries_refused_total.get()), (open, 1));
}

//! A port that takes more than the kernel does, as one must that encrypts: no connection that is
//! over ends before what is held of it is out, and none waits for that for ever.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use shardwire::auth::Rules;
use shardwire::config::Dialect;
use shardwire::connection::ConnKey;
use shardwire::interest::Interest;
use shardwire::limits::CLOSE_WAIT_MS;
use shardwire::mailbox::{Mailbox, Wake};
use shardwire::metrics::ShardMetrics;
use shardwire::shard::{Arrival, Endpoint, Parts, Policy, Port, Sent, Shard};
use shardwire::sid::NotSecret;
use shardwire::time::{Now, Timestamp};

const NOW: Now = Now { mono_ms: 1, wall: Timestamp(1_769_860_800_123) };
const CLOSE: [u8; 8] = [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8];
const CLOSED: [u8; 4] = [0x88, 2, 0x03, 0xe8];

/// Takes all of an empty buffer's first send, and keeps it until there is room.
#[derive(Default)]
struct Holding {
    held: HashMap<u32, Vec<u8>>,
    came: HashMap<u32, Vec<u8>>,
    closed: Vec<u32>,
    room: bool,
    dead: bool,
}

impl Port for Holding {
    fn send(&mut self, conn: u32, bytes: &[u8]) -> Sent {
        if self.dead {
            return Sent::Gone;
        }
        if self.room {
            let held = self.held.remove(&conn).unwrap_or_default();
            self.came.entry(conn).or_default().extend([&held, bytes].concat());
            return Sent::Bytes(bytes.len());
        }
        if self.holds(conn) || bytes.is_empty() {
            return Sent::Bytes(0);
        }
        self.held.insert(conn, bytes.into());
        Sent::Bytes(bytes.len())
    }

    fn shut(&mut self, _: u32) {}

    fn holds(&self, conn: u32) -> bool {
        self.held.contains_key(&conn)
    }

    fn close(&mut self, conn: u32, _: IpAddr) {
        self.held.remove(&conn);
        self.closed.push(conn);
    }
}

struct Awake;

impl Wake for Awake {
    fn wake(&self) {}
}

fn open() -> (Shard, ConnKey) {
    let metrics = ShardMetrics::new();
    let parts = Parts {
        id: 0,
        mailboxes: Arc::from([Mailbox::new(Box::new(Awake))]),
        interest: Interest::new(),
        policy: Arc::new(Policy::new(vec![Endpoint::new(
            "/ws",
            Dialect::Topics,
            false,
            Rules::open(),
        )])),
        all_metrics: Arc::from([Arc::clone(&metrics)]),
        metrics,
        seed: 1,
        node: 0,
        secrets: Box::new(NotSecret(1)),
    };
    let mut shard = Shard::new(parts, NOW);
    let key = shard.open(NOW, Arrival::new(0, IpAddr::V4(Ipv4Addr::LOCALHOST)));
    (shard, key)
}

fn read(shard: &mut Shard, key: ConnKey, bytes: &[u8], port: &mut Holding) {
    let taken = shard.read(NOW, key, &mut bytes.to_vec(), port);
    assert_eq!(taken, bytes.len());
}

#[test]
fn the_answer_to_a_close_frame_goes_out_before_the_end() {
    let (mut shard, key) = open();
    let mut port = Holding::default();
    read(&mut shard, key, &CLOSE, &mut port);
    for _ in 0..3 {
        shard.flush(NOW, &mut port);
        shard.writable(key, &mut port);
        assert_eq!((shard.connections(), &port.closed[..]), (1, &[][..]));
    }
    assert_eq!(port.held[&key.index], CLOSED);
    port.room = true;
    shard.writable(key, &mut port);
    assert_eq!((shard.connections(), &port.closed[..]), (0, &[key.index][..]));
    assert_eq!(port.came[&key.index], CLOSED);
}

#[test]
fn what_is_held_may_go_out_before_there_is_word_of_room() {
    let (mut shard, key) = open();
    let mut port = Holding::default();
    read(&mut shard, key, &CLOSE, &mut port);
    shard.flush(NOW, &mut port);
    shard.flush(NOW, &mut port);
    assert_eq!((shard.connections(), &port.closed[..]), (1, &[][..]));
    // As where a read of the connection finds that there is room.
    assert_eq!(port.held.remove(&key.index).as_deref(), Some(&CLOSED[..]));
    shard.writable(key, &mut port);
    shard.check(NOW);
    shard.flush(NOW, &mut port);
    assert_eq!((shard.connections(), &port.closed[..]), (0, &[key.index][..]));
}

#[test]
fn a_backlog_goes_behind_what_is_held() {
    let (mut shard, key) = open();
    let mut port = Holding::default();
    let ping = [0x89, 0x81, 0, 0, 0, 0, b'a'];
    read(&mut shard, key, &ping, &mut port);
    shard.flush(NOW, &mut port);
    for _ in 0..3 {
        read(&mut shard, key, &ping, &mut port);
        shard.flush(NOW, &mut port);
    }
    read(&mut shard, key, &CLOSE, &mut port);
    shard.flush(NOW, &mut port);
    assert_eq!(port.held[&key.index], [0x8a, 1, b'a']);
    port.room = true;
    shard.writable(key, &mut port);
    shard.flush(NOW, &mut port);
    assert_eq!(port.came[&key.index], [&[0x8a, 1, b'a'].repeat(4)[..], &CLOSED].concat());
    assert_eq!(port.closed, [key.index]);
}

#[test]
fn the_clients_answer_does_not_end_what_it_has_not_got() {
    let (mut shard, key) = open();
    let mut port = Holding::default();
    // A failed token too often: the broker closes; the client says goodbye at the same time.
    let auth = br#"{"type":"auth","token":"x"}"#;
    let mut frame = vec![0x81, 0x80 | auth.len() as u8, 0, 0, 0, 0];
    frame.extend_from_slice(auth);
    for _ in 0..3 {
        read(&mut shard, key, &frame, &mut port);
    }
    shard.flush(NOW, &mut port);
    assert!(port.holds(key.index));
    read(&mut shard, key, &CLOSE, &mut port);
    shard.flush(NOW, &mut port);
    shard.flush(NOW, &mut port);
    assert_eq!((shard.connections(), port.closed.len()), (1, 0));
    port.room = true;
    shard.writable(key, &mut port);
    assert_eq!((shard.connections(), port.closed.len()), (0, 1));
    assert!(
        port.came[&key.index]
            .windows(4)
            .any(|part| part[..1] == [0x88] && part[2..] == 1008_u16.to_be_bytes())
    );
}

#[test]
fn who_never_takes_it_is_cut_in_time_and_who_is_dead_at_once() {
    let (mut shard, key) = open();
    let mut port = Holding::default();
    read(&mut shard, key, &CLOSE, &mut port);
    shard.flush(NOW, &mut port);
    let mut now = NOW;
    while shard.connections() > 0 {
        now.mono_ms = shard.next_deadline_ms().expect("it is not forgotten");
        assert!(now.mono_ms <= NOW.mono_ms + CLOSE_WAIT_MS + 1000);
        shard.advance(now, &mut port);
        shard.flush(now, &mut port);
    }
    let (mut shard, key) = open();
    read(&mut shard, key, &CLOSE, &mut port);
    shard.flush(NOW, &mut port);
    port.dead = true;
    shard.writable(key, &mut port);
    assert_eq!((shard.connections(), port.closed.len()), (0, 2));
}

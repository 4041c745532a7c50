//! Attackers who are in, and send frames that cost more than they say.

use std::io::Write;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use shardwire::close::Close;
use shardwire::limits::MESSAGE_BYTES_MAX;
use shardwire::shard::{Bucket, Rate};
use shardwire::wire::frame::OpCode;

use crate::broker::{ATTACKER, Attack, Scene, until};
use crate::client::{Client, JSON_PING, frame, handshake};

pub const BOMBS: Attack = Attack {
    name: "deflate bombs",
    mib_max: 48,
    set: |setup| setup.policy.compression_min_bytes = Some(512),
    act: |scene| {
        let inflated = 256 << 20;
        let bomb = bomb(inflated);
        let clients = 50;
        for _ in 0..clients {
            let mut client = Client::connect(scene.address(), ATTACKER);
            let offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
            client.send(handshake("/ws", offer).as_bytes());
            let head = client.head();
            assert!(head.contains("permessage-deflate"), "{head}");
            client.send(&frame(OpCode::Text, true, &bomb));
            assert_eq!(client.hear_close(), 1009);
        }
        scene.honest();
        format!(
            "{clients} bombs, {} KiB to {} MiB each, all 1009",
            bomb.len() >> 10,
            inflated >> 20
        )
    },
};

/// Zeros, compressed as a message is (RFC 7692 section 7.2.1).
fn bomb(bytes: usize) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![0; 1 << 20];
    for _ in 0..bytes >> 20 {
        encoder.write_all(&zeros).expect("into memory");
    }
    encoder.flush().expect("into memory");
    let mut compressed = encoder.get_ref().clone();
    // The empty block of the flush is not sent.
    compressed.truncate(compressed.len() - 4);
    compressed
}

pub const FRAGMENTS: Attack = Attack {
    name: "messages without end",
    // Sixty-four messages of the largest size, which may stand in a buffer twice as large.
    mib_max: 160,
    set: |_| {},
    act: |scene| {
        let mut clients = enter(scene, 64);
        let part = vec![b'x'; MESSAGE_BYTES_MAX / 16];
        for n in 0..16 {
            let opcode = if n == 0 { OpCode::Text } else { OpCode::Continuation };
            let mut part = frame(opcode, false, &part);
            // Not the last.
            part[0] &= 0x7f;
            for client in &mut clients {
                assert!(client.send(&part));
            }
        }
        let all = (clients.len() * MESSAGE_BYTES_MAX) as u64;
        until("all is taken", || scene.count(|it| it.bytes_received_total.get()) >= all);
        scene.honest();
        let mut more = frame(OpCode::Continuation, false, b"x");
        more[0] &= 0x7f;
        for client in &mut clients {
            client.send(&more);
            assert_eq!(client.hear_close(), 1009);
        }
        format!("{} messages of 1 MiB that do not end, all 1009 at one byte more", clients.len())
    },
};

pub const SMALL_FRAGMENTS: Attack = Attack {
    name: "fragments of a byte",
    mib_max: 48,
    set: |_| {},
    act: |scene| {
        let mut clients = enter(scene, 20);
        let mut parts = Vec::new();
        for n in 0..50_000 {
            let opcode = if n == 0 { OpCode::Text } else { OpCode::Continuation };
            let mut part = frame(opcode, false, if n % 2 == 0 { b"x" } else { b"" });
            part[0] &= 0x7f;
            parts.extend(part);
        }
        for client in &mut clients {
            assert!(client.send(&parts));
        }
        scene.honest();
        let end = frame(OpCode::Continuation, false, b"x");
        for client in &mut clients {
            client.send(&end);
            assert!(client.hear_text().contains("Invalid JSON"));
        }
        format!("{} messages in 50,000 parts of a byte or none", clients.len())
    },
};

pub const PINGS: Attack = Attack {
    name: "ping flood",
    mib_max: 24,
    set: |_| {},
    act: |scene| {
        let mut clients = enter(scene, 20);
        let pings = frame(OpCode::Ping, false, &[b'p'; 125]).repeat(5000);
        for client in &mut clients {
            assert!(client.send(&pings));
        }
        scene.honest();
        until("all pings are read", || {
            scene.count(|it| it.bytes_received_total.get()) >= (clients.len() * pings.len()) as u64
        });
        let ignored = scene.count(|it| it.pings_ignored_total.get());
        assert!(ignored > 99_000, "{ignored}");
        format!("{} pings, {ignored} not answered", 5000 * clients.len())
    },
};

pub const FLOOD: Attack = Attack {
    name: "message flood",
    mib_max: 24,
    set: |setup| {
        let messages = Some(Bucket::new(500, 60_000));
        setup.policy.rate = Rate { messages, bytes: None };
    },
    act: |scene| {
        let mut clients = enter(scene, 20);
        let flood = frame(OpCode::Text, false, JSON_PING.as_bytes()).repeat(6000);
        for client in &mut clients {
            client.send(&flood);
        }
        scene.honest();
        assert!(clients.iter_mut().all(|client| client.hear_close() == 4429));
        let closed = scene.closed(Close::RateAbuse);
        assert_eq!(closed, clients.len() as u64);
        format!("{} messages from {closed} clients, all 4429", 6000 * clients.len())
    },
};

fn enter(scene: &Scene<'_>, clients: usize) -> Vec<Client> {
    (0..clients).map(|_| Client::enter(scene.address(), ATTACKER, "/ws")).collect()
}

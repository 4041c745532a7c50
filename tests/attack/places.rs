//! Attackers who fill the places before the door: they ask slowly, or not at all.

use std::time::{Duration, Instant};

use shardwire::limits::{HANDSHAKES_PER_ADDRESS_MIN, HTTP_CONNECTIONS_MAX};

use crate::broker::{API_KEY, ATTACKER, Attack, LIMIT, Scene, until};
use crate::client::Client;

pub const SILENT: Attack = Attack {
    name: "silent sockets",
    // Less than two kilobytes for each of those that have a place.
    mib_max: 10,
    set: |setup| setup.request_timeout = LIMIT * 10,
    act: |scene| {
        // More than the shard has places for: without a cut the door were shut for minutes.
        let sockets = HTTP_CONNECTIONS_MAX + 2000;
        let silent = connect(scene, sockets);
        scene.honest();
        let cut = scene.count(|it| it.handshakes_cut_total.get());
        assert!(cut > 1000, "{cut} cut");
        let open = silent.iter().filter(|client| client.is_open()).count();
        format!("{sockets} sockets that say nothing, {cut} cut, {open} still there")
    },
};

pub const ONE_ADDRESS: Attack = Attack {
    name: "silent, one address",
    mib_max: 24,
    set: |setup| {
        setup.request_timeout = LIMIT * 10;
        setup.connections_per_ip_max = 100;
    },
    act: |scene| {
        let sockets = 3000;
        let silent = connect(scene, sockets);
        until("the address's share", || {
            scene.count(|it| it.handshakes_cut_total.get())
                == (sockets - HANDSHAKES_PER_ADDRESS_MIN as usize) as u64
        });
        scene.honest();
        let open = || silent.iter().filter(|client| client.is_open()).count();
        until("all others are closed", || open() == HANDSHAKES_PER_ADDRESS_MIN as usize);
        format!("{sockets} sockets of one address, {} left", open())
    },
};

pub const SLOW_HEADS: Attack = Attack {
    name: "slow heads",
    mib_max: 48,
    set: |setup| setup.request_timeout = Duration::from_millis(500),
    act: |scene| {
        let mut slow = connect(scene, 1000);
        let begun = Instant::now();
        for byte in b"GET /ws HTTP/1.1\r\nHost: x\r\nX-Slow: " {
            for client in &mut slow {
                client.send(&[*byte]);
            }
            if begun.elapsed() > Duration::from_millis(300) {
                break;
            }
            std::thread::sleep(Duration::from_millis(8));
        }
        scene.honest();
        let clients = slow.len();
        assert!(slow.into_iter().all(Client::ends));
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(3), "{took:?}");
        format!("{clients} heads a byte at a time, all cut by {} ms", took.as_millis())
    },
};

pub const SLOW_BODIES: Attack = Attack {
    name: "slow bodies",
    mib_max: 48,
    set: |setup| setup.request_timeout = Duration::from_millis(500),
    act: |scene| {
        let mut slow = connect(scene, 500);
        let begun = Instant::now();
        let request = format!(
            "POST /api/publish HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {API_KEY}\r\n\
            Content-Length: 1000000\r\n\r\n[{{\"topic\":\"a\","
        );
        for client in &mut slow {
            assert!(client.send(request.as_bytes()));
        }
        scene.honest();
        let clients = slow.len();
        assert!(slow.into_iter().all(Client::ends));
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(3), "{took:?}");
        format!("{clients} bodies that never end, all cut by {} ms", took.as_millis())
    },
};

fn connect(scene: &Scene<'_>, clients: usize) -> Vec<Client> {
    (0..clients).map(|_| Client::connect(scene.address(), ATTACKER)).collect()
}

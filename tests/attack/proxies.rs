//! Attackers who forge PROXY headers, or come by a proxy that speaks none.

use std::time::Duration;

use crate::broker::{ATTACKER, Attack, HONEST, until};
use crate::client::{Client, handshake};

pub const HEADERS: Attack = Attack {
    name: "PROXY headers",
    mib_max: 24,
    set: |setup| {
        setup.trusted_proxies = vec!["127.0.0.3/32".parse().expect("a network")];
        setup.proxy_protocol = true;
        setup.connections_per_ip_max = 2;
        setup.request_timeout = Duration::from_millis(500);
    },
    act: |scene| {
        let proxy = [127, 0, 0, 3].into();
        let by = |from, header: &[u8]| {
            let mut client = Client::connect(scene.address(), from);
            client.send(header);
            client.send(handshake("/ws", "").as_bytes());
            let status = client.status();
            (client, status)
        };
        let mut v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
        v2.extend([203, 0, 113, 9, 192, 0, 2, 1, 1, 1, 0, 80]);
        let mut udp = v2.clone();
        udp[13] = 0x12;
        let mut endless = v2.clone();
        endless[14..16].copy_from_slice(&[255, 255]);
        let v1 = b"PROXY TCP4 203.0.113.9 192.0.2.1 4000 80\r\n";
        let other = b"PROXY TCP4 203.0.113.10 192.0.2.1 4000 80\r\n";
        // Both forms name one client, who may be in twice.
        let held = [by(proxy, v1), by(proxy, &v2)];
        assert!(held.iter().all(|(_, status)| *status == 101));
        assert_eq!(by(proxy, v1).1, 429);
        assert_eq!(by(proxy, other).1, 101);
        // The proxy itself, in its own name.
        assert_eq!(by(proxy, b"PROXY UNKNOWN\r\n").1, 101);
        // A listed proxy must send one, whoever else must not.
        let mut cut = 0;
        for bad in [&b""[..], b"PROXY TCP4 nonsense\r\n", &udp, &endless, b"\x1b\n\n\n\n"] {
            assert_eq!(by(proxy, bad).1, 0, "{bad:?}");
            cut += 1;
        }
        assert_eq!(scene.count(|it| it.proxy_headers_refused_total.get()), cut);
        assert_eq!(by(ATTACKER, v1).1, 400);
        assert_eq!(by(ATTACKER, &v2).1, 400);
        // Half a header, and then nothing.
        let mut halves = Vec::new();
        for n in 0..1000 {
            let mut client = Client::connect(scene.address(), proxy);
            client.send(&v1[..n % v1.len()]);
            halves.push(client);
        }
        scene.honest();
        assert!(halves.into_iter().all(Client::ends));
        drop(held);
        until("all are gone", || scene.connections() == 0);
        assert_eq!(by(HONEST, b"").1, 101);
        format!("{cut} bad headers cut, 2 from strangers 400, 1000 halves cut")
    },
};

pub const FORWARDED: Attack = Attack {
    name: "forged X-Forwarded-For",
    mib_max: 8,
    set: |setup| {
        setup.trusted_proxies = vec!["127.0.0.3/32".parse().expect("a network")];
        setup.connections_per_ip_max = 5;
    },
    act: |scene| {
        let ask = |from, said: String| {
            let mut client = Client::connect(scene.address(), from);
            let status = client.ask(&handshake("/ws", &format!("X-Forwarded-For: {said}\r\n")));
            (client, status)
        };
        let enter = |from, said: &dyn Fn(usize) -> String| {
            let all: Vec<(Client, u16)> = (0..100).map(|n| ask(from, said(n))).collect();
            let count = |wanted| all.iter().filter(|(_, status)| *status == wanted).count();
            assert_eq!((count(101), count(429)), (5, 95));
            all
        };
        // Whoever is no listed proxy says nothing about itself.
        let strangers = enter(ATTACKER, &|n| format!("203.0.113.{n}"));
        // Nor does a client who puts addresses before the one that the proxy adds.
        let proxy = [127, 0, 0, 3].into();
        let behind = enter(proxy, &|n| format!("198.51.100.{n}, 203.0.113.200"));
        let cunning = enter(proxy, &|n| format!("198.51.100.{n}, 203.0.113.201, 127.0.0.3"));
        assert_eq!(scene.connections(), 15);
        scene.honest();
        drop((strangers, behind, cunning));
        "300 handshakes under forged addresses, 5 in for each of 3 clients".into()
    },
};

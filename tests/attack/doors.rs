//! Attackers who ask for what they do not get: too much, nonsense, or with forged tokens.

use std::time::Instant;

use shardwire::origin::Origins;

use crate::broker::{ATTACKER, Attack, Scene, forged_token, until};
use crate::client::{Client, handshake};

pub const LARGE_HEADS: Attack = Attack {
    name: "large heads",
    mib_max: 24,
    set: |_| {},
    act: |scene| {
        let long = handshake("/ws", &format!("X-Long: {}\r\n", "x".repeat(17_000)));
        let many = handshake("/ws", &"X-Line: x\r\n".repeat(120));
        let statuses = ask_all(scene, 500, &[&long, &many]);
        assert!(statuses.iter().all(|status| *status == 431), "{statuses:?}");
        scene.honest();
        format!("{} requests over 16 KiB or 100 lines, all 431", statuses.len())
    },
};

pub const GARBAGE: Attack = Attack {
    name: "garbage",
    mib_max: 24,
    set: |_| {},
    act: |scene| {
        let mut random = 1_u64;
        let mut bytes = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) as u8
        };
        let clients = 500;
        for n in 0..clients {
            let mut client = Client::connect(scene.address(), ATTACKER);
            let noise: Vec<u8> = match n % 3 {
                0 => (0..4096).map(|_| bytes()).collect(),
                // The beginning of TLS, and of HTTP/2.
                1 => [&[22, 3, 1, 2, 0, 1][..], &[0; 512]].concat(),
                _ => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            };
            client.send(&noise);
            let status = client.status();
            assert!(matches!(status, 0 | 400 | 505), "{status}");
        }
        scene.honest();
        format!("{clients} connections of noise, TLS and HTTP/2, none served")
    },
};

pub const ORIGINS: Attack = Attack {
    name: "foreign origins",
    mib_max: 8,
    set: |setup| {
        setup.policy.origins = Origins::Only(vec!["https://app.example".into()]);
    },
    act: |scene| {
        let ask =
            |lines: &str| Client::connect(scene.address(), ATTACKER).ask(&handshake("/ws", lines));
        let mut refused = 0;
        for origin in [
            "https://evil.example",
            "http://app.example",
            "https://app.example.evil.example",
            "https://evil.app.example",
            "https://app.example:8443",
            "https://app.example@evil.example",
            "https://evil.example/https://app.example",
            "https://evil.example#https://app.example",
            "https://app.example, https://evil.example",
            "https://app.example\u{e9}",
            "//app.example",
            "app.example",
            "https://",
            "https://localhost",
            "http://localhost",
            "file://",
            "null",
            "*",
            "",
        ] {
            for times in 1..=20 {
                let status = ask(&format!("Origin: {origin}\r\n"));
                assert_eq!(status, 403, "{origin:?}, no. {times}");
                refused += 1;
            }
        }
        // Those that are listed, however they are spelled, and who is no browser.
        let lines = ["https://app.example", "https://APP.example:443"]
            .map(|it| format!("Origin: {it}\r\n"));
        assert!(lines.iter().all(|line| ask(line) == 101));
        assert_eq!(ask(""), 101);
        scene.honest();
        assert_eq!(scene.count(|it| it.upgrades_refused_origin_total.get()), refused);
        format!("{refused} handshakes from 19 foreign origins, all 403")
    },
};

pub const BAD_TOKENS: Attack = Attack {
    name: "forged tokens",
    mib_max: 24,
    set: |_| {},
    act: |scene| {
        let request = handshake("/guarded", &format!("Cookie: token={}\r\n", forged_token()));
        let begun = Instant::now();
        let statuses = ask_all(scene, 2000, &[&request]);
        assert!(statuses.iter().all(|status| *status == 401), "{statuses:?}");
        let each = begun.elapsed().as_micros() / 2000;
        scene.honest();
        format!("2000 handshakes, all 401, {each} µs each")
    },
};

pub const BAD_TOKENS_OVER_THE_LIMIT: Attack = Attack {
    name: "forged tokens over the limit",
    mib_max: 24,
    set: |setup| setup.connections_per_ip_max = 1,
    act: |scene| {
        let held = Client::enter(scene.address(), ATTACKER, "/ws");
        let request = handshake("/guarded", &format!("Cookie: token={}\r\n", forged_token()));
        let begun = Instant::now();
        let statuses = ask_all(scene, 2000, &[&request]);
        // Not 401: no signature was looked at.
        assert!(statuses.iter().all(|status| *status == 429), "{statuses:?}");
        let each = begun.elapsed().as_micros() / 2000;
        scene.honest();
        drop(held);
        format!("2000 handshakes of a full address, all 429, {each} µs each")
    },
};

pub const RESETS: Attack = Attack {
    name: "upgrades and resets",
    mib_max: 24,
    set: |setup| setup.connections_per_ip_max = 50,
    act: |scene| {
        let (mut in_, mut over) = (0, 0);
        for n in 0..3000 {
            let mut client = Client::connect(scene.address(), ATTACKER);
            client.send(handshake("/ws", "").as_bytes());
            // Some go before they hear that they are in.
            if n % 3 == 0 {
                client.reset();
                continue;
            }
            match client.status() {
                101 => in_ += 1,
                429 => over += 1,
                status => panic!("{status}"),
            }
            client.reset();
        }
        scene.honest();
        until("nobody is counted any more", || scene.connections() == 0);
        // Whole again: the address has all its places.
        let held: Vec<Client> =
            (0..50).map(|_| Client::enter(scene.address(), ATTACKER, "/ws")).collect();
        assert_eq!(Client::connect(scene.address(), ATTACKER).ask(&handshake("/ws", "")), 429);
        drop(held);
        format!("3000 upgrades cut short, {in_} in, {over} over the limit, no place lost")
    },
};

/// So many requests, each on a connection of its own; their statuses.
fn ask_all(scene: &Scene<'_>, times: usize, requests: &[&str]) -> Vec<u16> {
    (0..times)
        .map(|n| {
            let mut client = Client::connect(scene.address(), ATTACKER);
            client.ask(requests[n % requests.len()])
        })
        .collect()
}

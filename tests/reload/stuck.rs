//! Reloads that take long or never end, and files that are too much: the broker hears its signals,
//! and says what is wrong in a few lines.

use std::fmt::Write as _;

use rustix::process::Signal;

use crate::broker::{Broker, connect, runtime, token};
use crate::{OPEN, SECRET};

#[test]
fn a_reload_that_never_ends_keeps_nobody_from_ending_the_broker() {
    for file in ["shardwire.toml", "KEYS"] {
        const KEYS: &str = r#"{"keys":[{"kty":"oct","k":"aHVzaA","kid":"1"}]}"#;
        let text =
            OPEN.replace("secret = \"a secret of the tests of reloads\"", "jwks_file = \"KEYS\"");
        let broker = Broker::start_with(&format!("stuck-{file}"), &text, &[("KEYS", KEYS)]);
        broker.hang(file);
        for _ in 0..3 {
            broker.signal(Signal::HUP);
        }
        std::thread::sleep(std::time::Duration::from_millis(200));
        broker.signal(Signal::TERM);
        assert_eq!(broker.ended(), Some(0), "{file}");
    }
}

#[test]
fn a_second_signal_is_heard_beside_a_reload() {
    let text = format!("{OPEN}\n[server]\ndrain_ms = 600000\n");
    let broker = Broker::start("stuck-twice", &text);
    runtime().block_on(async {
        // It does not read, and so does not go.
        let _client = connect(&broker, &token(SECRET, &serde_json::json!({"sub":"u"}))).await;
        broker.hang("shardwire.toml");
        broker.signal(Signal::HUP);
        broker.signal(Signal::TERM);
        broker.said(|line| line.contains("draining"));
        broker.signal(Signal::TERM);
        assert_eq!(broker.ended(), Some(1));
    });
}

#[test]
fn a_reload_follows_each_that_was_asked_for_meanwhile() {
    let broker = Broker::start("often", OPEN);
    for _ in 0..20 {
        broker.signal(Signal::HUP);
    }
    assert!(broker.reload(OPEN).contains("reloaded: "));
    broker.end();
}

#[test]
fn files_that_are_too_much_are_refused_soon_and_in_a_few_lines() {
    let broker = Broker::start("too-much", OPEN);
    let mut unknown = String::from("[server]\n");
    for number in 0..90_000 {
        let _ = writeln!(unknown, "a{number}=1");
    }
    let said = broker.reload(&unknown);
    assert!(said.contains("not reloaded") && said.contains(" and 89900 more"), "{said}");
    assert_eq!(said.lines().filter(|line| line.contains("unknown key")).count(), 100);
    let said = broker.reload(&"a=1\n".repeat(200_000));
    assert!(said.contains("not reloaded") && said.contains(" and 199899 more"), "{said}");
    let said = broker.reload(&"# a comment of some length\n".repeat(40_000));
    assert!(said.contains("cannot be read: longer than 1048576 bytes"), "{said}");
    broker.end();
}

//! Attackers who would write the log: lines of their own, control sequences, or secrets read off it.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use serde_json::json;
use shardwire::auth::Tenants;
use shardwire::config::Dialect;
use shardwire::shard::Endpoint;
use shardwire::wire::frame::OpCode;
use tracing_subscriber::filter::LevelFilter;

use crate::broker::{API_KEY, ATTACKER, Attack, HONEST, SECRET, Scene, forged_token, token};
use crate::client::{Client, frame, handshake};

/// All that was logged while it listened.
pub struct Log {
    listens: AtomicBool,
    text: Mutex<Vec<u8>>,
}

/// Takes the log of this process as the broker writes it, with everything that it can say.
pub fn capture() -> &'static Log {
    static LOG: OnceLock<Log> = OnceLock::new();
    let log = LOG.get_or_init(|| Log { listens: AtomicBool::new(false), text: Mutex::default() });
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_ansi(false)
        .with_target(false)
        .with_writer(move || Writer(log))
        .init();
    log
}

struct Writer(&'static Log);

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.listens.load(Ordering::Relaxed) {
            let text = &self.0.text;
            text.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What an attacker would have stand in the log at the beginning of a line.
const LINE: &str = "2026-01-31T12:00:00.000000Z  INFO FORGED";

const CUTS: &[&str] = &["\n", "\r\n", "\x1b[2K", "\u{85}", "\u{2028}"];

pub const FORGED: Attack = Attack {
    name: "forged log lines",
    mib_max: 24,
    set: |setup| {
        let policy = &mut setup.policy;
        policy.tenants = Tenants::new(None, &["idle\nx".into()]);
        let rules = shardwire::auth::Rules::open();
        policy.endpoints.push(Endpoint::new("/channels", Dialect::Channels, true, rules));
        let rules = shardwire::auth::Rules::open();
        policy.endpoints.push(Endpoint::new("/admin", Dialect::Admin, true, rules));
        setup.trusted_proxies = vec!["127.0.0.3/32".parse().expect("a network")];
        setup.proxy_protocol = true;
    },
    act: |scene| {
        scene.log.listens.store(true, Ordering::Relaxed);
        let mut tries = 0;
        for cut in CUTS {
            let text = format!("{cut}{LINE}");
            tries += heads(scene, &text) + messages(scene, &text);
        }
        scene.honest();
        scene.log.listens.store(false, Ordering::Relaxed);
        let log = scene.log.text.lock().unwrap_or_else(PoisonError::into_inner);
        let log = String::from_utf8(log.clone()).expect("a log is text");
        let lines = log.lines().count();
        assert!(lines > 20, "too little is logged to be judged:\n{log}");
        for line in log.split('\n').filter(|line| !line.is_empty()) {
            assert!(!line.starts_with("2026-01-31") && line.starts_with("20"), "forged: {line}");
            assert!(!line.chars().any(char::is_control), "{line:?}");
        }
        for told in ["reason=\"the token's tenant is not let in\"", "origin=http://evil.example"] {
            assert!(log.contains(told), "{told} does not stand in the log:\n{log}");
        }
        for secret in [SECRET, API_KEY, &good_token(), &forged_token(), "token=", "hunter2"] {
            assert!(!log.contains(secret), "{secret} stands in the log:\n{log}");
        }
        format!("{tries} tries, {lines} lines of log, all the broker's own, no secret in them")
    },
};

fn good_token() -> String {
    token(&json!({"sub": "alice"}), SECRET)
}

/// In everything that comes with a request.
fn heads(scene: &Scene<'_>, text: &str) -> usize {
    let escaped = text.bytes().fold(String::new(), |text, byte| text + &format!("%{byte:02x}"));
    let tenant = token(&json!({"sub": text, "tenantId": "idle\nx"}), SECRET);
    let user = token(&json!({"sub": text, "tenantId": text}), SECRET);
    let bearer = |token: &str| format!("Authorization: Bearer {token}\r\n");
    let line = |name: &str| format!("{name}: {text}\r\n");
    let good = good_token();
    let requests = [
        handshake(&format!("/ws{text}"), ""),
        handshake(&format!("/{escaped}"), ""),
        handshake(&format!("/ws?token={escaped}"), ""),
        handshake(&format!("/ws?token={good}&x={escaped}"), "Origin: http://evil.example\r\n"),
        handshake("/ws?token=hunter2", ""),
        handshake("/ws", &line("Origin")),
        handshake("/ws", &line("X-Forwarded-For")),
        handshake("/ws", &line("Sec-WebSocket-Protocol")),
        handshake("/ws", &line("Sec-WebSocket-Extensions")),
        handshake("/ws", &line("Sec-WebSocket-Key")),
        handshake("/ws", &line("Cookie")),
        handshake("/ws", &bearer(text)),
        handshake("/ws", &bearer(&tenant)),
        handshake("/ws", &bearer(&forged_token())),
        handshake("/channels", &bearer(&tenant)),
        handshake("/channels", &bearer(&user)),
        handshake("/admin", &bearer(&user)),
        handshake("/admin", &bearer(text)),
        format!("GET /api/{escaped} HTTP/1.1\r\nHost: x\r\n{}\r\n", bearer(API_KEY)),
        format!("GET /api/stats HTTP/1.1\r\nHost: x\r\n{}\r\n", bearer(text)),
        format!("{text} / HTTP/1.1\r\nHost: x\r\n\r\n"),
    ];
    for request in &requests {
        Client::connect(scene.address(), ATTACKER).ask(request);
        // The same from a proxy that should have said whom it speaks for, and from one that does.
        let proxy = [127, 0, 0, 3].into();
        Client::connect(scene.address(), proxy).ask(request);
        let mut announced = Client::connect(scene.address(), proxy);
        announced.send(b"PROXY TCP4 203.0.113.9 192.0.2.1 1 2\r\n");
        announced.ask(request);
    }
    Client::connect(scene.address(), [127, 0, 0, 3].into()).ask(&format!("PROXY {text}\r\n"));
    3 * requests.len() + 1
}

/// In everything that comes with a message.
fn messages(scene: &Scene<'_>, text: &str) -> usize {
    let messages = [
        json!({"type": "subscribe", "topic": text}),
        json!({"type": "subscribe", "topic": "a", "id": text}),
        json!({"type": "unsubscribe", "topic": text}),
        json!({"type": "message", "topic": text, "data": text}),
        json!({"type": "message", "topic": "a", "data": text, "eventType": text, "metadata": {text: text}}),
        json!({"type": "auth", "token": text}),
        json!({"type": "auth", "token": forged_token()}),
        json!({"type": text}),
        json!(text),
    ];
    let mut client = Client::enter(scene.address(), HONEST, "/ws");
    for message in &messages {
        client.say(&message.to_string());
        client.say(&format!("{message}{text}"));
    }
    client.say(text);
    for message in &messages {
        let body = message.to_string();
        Client::connect(scene.address(), HONEST).ask(&format!(
            "POST /api/publish HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {API_KEY}\r\n\
            Content-Length: {}\r\n\r\n{body}",
            body.len()
        ));
    }
    let reason = [&4000_u16.to_be_bytes()[..], text.as_bytes()].concat();
    client.send(&frame(OpCode::Close, false, &reason));
    client.ends();
    // A close that breaks the protocol, with the same behind it.
    let mut client = Client::enter(scene.address(), HONEST, "/ws");
    client.send(&frame(OpCode::Close, false, &[&[3, 237], text.as_bytes()].concat()));
    client.ends();
    3 * messages.len() + 3
}

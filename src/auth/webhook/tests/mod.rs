//! The webhook against a real HTTP server: what it is asked, what counts as an answer, how often
//! it is asked.

mod asking;
mod log;
mod server;
mod tls;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU64, Ordering};

use hyper::header::HeaderMap;

use super::*;
use crate::connection::{Address, ConnKey};
use crate::limits::WEBHOOK_ANSWER_BYTES_MAX;
use crate::rule::Action;
use crate::time::Timestamp;
use server::{Reply, Seen, Server};

const SECRET: &str = "the secret of the webhook";
const WALL_MS: u64 = 1_769_860_800_500;
/// Milliseconds after which a server that does not answer has had its time.
const SHORT_MS: u64 = 150;
/// Milliseconds that are never over in a test that passes.
const LONG_MS: u64 = 60_000;

/// Monotonic milliseconds that only the test moves.
#[derive(Clone, Default)]
struct Clock(Arc<AtomicU64>);

impl Clock {
    fn advance(&self, ms: u64) {
        self.0.fetch_add(ms, Ordering::Relaxed);
    }

    fn now(&self) -> Now {
        let mono_ms = self.0.load(Ordering::Relaxed);
        Now { mono_ms, wall: Timestamp(WALL_MS + mono_ms) }
    }
}

fn settings(url: &str) -> WebhookSettings {
    WebhookSettings {
        url: url.into(),
        secret: Some(Secret::new(SECRET)),
        timeout_ms: LONG_MS,
        cache_ttl_s: 30,
        signed_timestamp: false,
    }
}

fn webhook(settings: &WebhookSettings) -> (Arc<Webhook>, Clock) {
    let clock = Clock::default();
    let read = clock.clone();
    (Arc::new(Webhook::new(settings, move || read.now()).unwrap()), clock)
}

fn question(topic: &str) -> Arc<Question> {
    Arc::new(Question {
        action: Action::Publish,
        topic: topic.into(),
        user: Some("alice".into()),
        tenant: Some("acme".into()),
        roles: Box::new(["member".into()]),
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
    })
}

fn connection(index: u32) -> ConnectionId {
    let conn = ConnKey { index, generation: 0 };
    ConnectionId { node: 7, at: Address { shard: 1, conn } }
}

async fn ask(webhook: &Webhook, topic: &str) -> Option<Answer> {
    webhook.ask(&question(topic), connection(1)).await
}

#[expect(clippy::unnecessary_wraps, reason = "to be compared with what was asked")]
fn answer(allowed: bool, ttl_ms: u64) -> Option<Answer> {
    Some(Answer { allowed, ttl_ms })
}

#[tokio::test]
async fn allows_and_denies_as_it_is_told() {
    let open = r#"{"allow":true}"#;
    let closed = r#"{"allow":false,"ttl":5}"#;
    let script =
        move |seen: &Seen| Reply::Ok(if seen.body.contains("open") { open } else { closed });
    let server = Server::start(script).await;
    let (webhook, clock) = webhook(&settings(&server.url));
    assert_eq!(ask(&webhook, "open").await, answer(true, 30_000));
    assert_eq!(ask(&webhook, "closed").await, answer(false, 5000));
    assert_eq!(server.count(), 2);
    // Both are remembered, each for its time.
    clock.advance(4000);
    assert_eq!(ask(&webhook, "open").await, answer(true, 26_000));
    assert_eq!(ask(&webhook, "closed").await, answer(false, 1000));
    assert_eq!(server.count(), 2);
    clock.advance(1000);
    assert_eq!(ask(&webhook, "closed").await, answer(false, 5000));
    assert_eq!(ask(&webhook, "open").await, answer(true, 25_000));
    assert_eq!(server.count(), 3);
}

#[tokio::test]
async fn an_answer_for_no_time_is_not_remembered() {
    let (said, unsaid) = (r#"{"allow":true,"ttl":0}"#, r#"{"allow":true}"#);
    let script =
        move |seen: &Seen| Reply::Ok(if seen.body.contains("a.said") { said } else { unsaid });
    let server = Server::start(script).await;
    let (webhook, _) = webhook(&WebhookSettings { cache_ttl_s: 0, ..settings(&server.url) });
    for count in 1..=3 {
        assert_eq!(ask(&webhook, "a.said").await, answer(true, 0));
        assert_eq!(ask(&webhook, "a.unsaid").await, answer(true, 0));
        assert_eq!(server.count(), 2 * count);
    }
}

#[tokio::test]
async fn the_question_is_whole() {
    let server = Server::start(|_| Reply::Ok(r#"{"allow":true}"#)).await;
    let (webhook, _) = webhook(&settings(&server.url));
    webhook.ask(&question("room.1.*"), connection(9)).await;
    let [seen] = &server.seen()[..] else { panic!("one question") };
    assert_eq!(seen.line, "POST /authorize?key=of-the-url");
    assert_eq!(
        seen.body,
        format!(
            r#"{{"action":"publish","topic":"room.1.*","userId":"alice","tenantId":"acme","roles":["member"],"connectionId":"{}","clientIp":"127.0.0.1"}}"#,
            connection(9)
        )
    );
    let header = |name: &str| seen.headers.get(name).map(|value| value.to_str().unwrap());
    assert_eq!(header("content-type"), Some("application/json"));
    assert_eq!(header("content-length"), Some(&*seen.body.len().to_string()));
    assert_eq!(
        header("host").map(|host| format!("http://{host}/authorize?key=of-the-url")),
        Some(server.url)
    );
    assert_eq!(header("x-shardwire-timestamp"), None);
}

/// Whether the signature is that of `text`, reckoned from its hex digits.
fn is_signed(headers: &HeaderMap, secret: &str, text: &str) -> bool {
    let value = headers["x-shardwire-signature"].to_str().unwrap();
    let hex = value.strip_prefix("sha256=").unwrap();
    assert_eq!((hex.len(), hex.to_ascii_lowercase()), (64, hex.to_owned()));
    let tag: Vec<u8> =
        (0..32).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect();
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    hmac::verify(&key, text.as_bytes(), &tag).is_ok()
}

#[tokio::test]
async fn the_question_is_signed() {
    let server = Server::start(|_| Reply::Ok(r#"{"allow":true}"#)).await;
    let plain = settings(&server.url);
    let timed = WebhookSettings { signed_timestamp: true, ..plain.clone() };
    let unsigned = WebhookSettings { secret: None, ..plain.clone() };
    for settings in [&plain, &timed, &unsigned] {
        let (webhook, clock) = webhook(settings);
        clock.advance(2000);
        ask(&webhook, "a").await;
    }
    let [plain, timed, unsigned] = &server.seen()[..] else { panic!("three questions") };
    assert!(is_signed(&plain.headers, SECRET, &plain.body));
    assert!(!is_signed(&plain.headers, "another", &plain.body));
    let timestamp = timed.headers["x-shardwire-timestamp"].to_str().unwrap();
    assert_eq!(timestamp, "1769860802");
    assert!(is_signed(&timed.headers, SECRET, &format!("{timestamp}.{}", timed.body)));
    assert!(!is_signed(&timed.headers, SECRET, &timed.body));
    assert!(!unsigned.headers.contains_key("x-shardwire-signature"));
}

#[tokio::test]
async fn what_is_no_answer_denies_and_is_not_remembered() {
    const ALLOW: &str = r#"{"allow":true}"#;
    let too_long = WEBHOOK_ANSWER_BYTES_MAX - ALLOW.len() + 1;
    let replies: &[fn(usize) -> Reply] = &[
        |_| Reply::Status(201, ALLOW),
        |_| Reply::Status(204, ""),
        |_| Reply::Status(301, ALLOW),
        |_| Reply::Status(302, ALLOW),
        |_| Reply::Status(307, ALLOW),
        |_| Reply::Status(308, ALLOW),
        |_| Reply::Status(403, ALLOW),
        |_| Reply::Status(500, ALLOW),
        |_| Reply::Ok(""),
        |_| Reply::Ok("yes"),
        |_| Reply::Ok(r#"{"allow":true"#),
        |_| Reply::Ok(r#"{"allow":"true"}"#),
        |_| Reply::Ok(r#"{"allow":false,"allow":true}"#),
        |_| Reply::Ok(r#"{"allow":true,"ttl":-1}"#),
        Reply::Padded,
        |_| Reply::Padded(10 << 20),
        |_| Reply::LongHead(2 * WEBHOOK_ANSWER_BYTES_MAX),
        |_| Reply::HangUp,
    ];
    for (number, &reply) in replies.iter().enumerate() {
        let server = Server::start(move |_| reply(too_long)).await;
        let (webhook, _) = webhook(&settings(&server.url));
        for count in 1..=2 {
            assert_eq!(ask(&webhook, "a").await, None, "reply {number}");
            assert_eq!(server.count(), count, "reply {number}");
        }
        assert!(server.seen().iter().all(|seen| seen.line.starts_with("POST /authorize")));
    }
    // One byte less is an answer.
    let server = Server::start(move |_| Reply::Padded(too_long - 1)).await;
    let (webhook, _) = webhook(&settings(&server.url));
    assert!(ask(&webhook, "a").await.unwrap().allowed);
}

#[tokio::test]
async fn the_time_limit_is_that_of_the_whole_request() {
    for part in [None, Some(""), Some(r#"{"allow":true}"#)] {
        let server = Server::start(move |_| part.map_or(Reply::Silence, Reply::Part)).await;
        let limited = WebhookSettings { timeout_ms: SHORT_MS, ..settings(&server.url) };
        let (webhook, _) = webhook(&limited);
        for count in 1..=2 {
            assert_eq!(ask(&webhook, "a").await, None, "{part:?}");
            assert_eq!(server.count(), count);
        }
        assert!(webhook.lock().open.is_empty());
    }
}

#[tokio::test]
async fn nobody_there_denies() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let limited = WebhookSettings { timeout_ms: SHORT_MS, ..settings(&url) };
    // The kernel takes the connection and nobody reads it.
    assert_eq!(ask(&webhook(&limited).0, "a").await, None);
    drop(listener);
    assert_eq!(ask(&webhook(&settings(&url)).0, "a").await, None);
}

#[test]
fn settings_are_checked() {
    let new = |settings: &WebhookSettings| Webhook::new(settings, || unreachable!()).err();
    let fine = settings("http://127.0.0.1:1/");
    assert_eq!(new(&fine), None);
    let empty = WebhookSettings { secret: Some(Secret::new("")), ..fine };
    assert_eq!(new(&empty), Some(WebhookError::EmptySecret));
    assert_eq!(new(&settings("/")), Some(WebhookError::BadUrl));
    assert_eq!(new(&settings("http://a:b@c/")), Some(WebhookError::UserInUrl));
}

#[test]
fn each_kind_of_failure_is_said_now_and_then() {
    let mut state = State::default();
    assert!(state.is_due(Failure::Status(500), 0) && state.is_due(Failure::TimedOut, 1));
    assert!(!state.is_due(Failure::Status(502), WEBHOOK_REMARK_MS - 1));
    assert!(state.is_due(Failure::Status(500), WEBHOOK_REMARK_MS));
    assert!(!state.is_due(Failure::TimedOut, WEBHOOK_REMARK_MS));
    for (failure, words) in [
        (Failure::Status(500), "it answered with status 500"),
        (Failure::TimedOut, "no answer in time"),
    ] {
        assert_eq!(failure.to_string(), words);
    }
    assert!(Failure::Malformed.to_string().starts_with("its answer is not"));
}

//! The doors of a whole node in this process, by requests written by hand: whom a token or a key
//! lets in, which hosts are answered in trial mode, what who is refused hears, and for how long a
//! connection may wait.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};
use shardwire::auth::{Rules, Tenants, TokenSettings, Verifier};
use shardwire::config::Dialect;
use shardwire::metrics::ShardMetrics;
use shardwire::node::{Node, Setup};
use shardwire::origin::Origins;
use shardwire::shard::{Endpoint, Policy};

const SECRET: &str = "a secret of the tests of doors";
/// The longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a node of one shard is started with: an endpoint that wants a token, and an API key.
fn setup() -> Setup {
    let endpoint = Endpoint::new("/ws", Dialect::Events, true, Rules::open());
    let settings = TokenSettings { secret: Some(SECRET.into()), ..TokenSettings::default() };
    let verifier = Some(Verifier::new(&settings).unwrap());
    let policy = Policy { verifier, ..Policy::new(vec![endpoint]) };
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    Setup { api_key: Some("key".into()), ..Setup::bare(address, 1, policy) }
}

fn token(claims: &Value) -> String {
    encode(&Header::default(), claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
}

/// A connection to the node.
fn dial(node: &Node) -> TcpStream {
    let stream = TcpStream::connect(node.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// The status and the rest of the first answer on a connection, up to its end, to a request line
/// and headers.
fn ask(node: &Node, head: &str) -> (u16, String) {
    let mut stream = dial(node);
    let head = head.replace('\n', "\r\n");
    stream.write_all(format!("{head}\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    (answer[9..12].parse().unwrap(), answer.to_ascii_lowercase())
}

fn count(node: &Node, counter: impl Fn(&ShardMetrics) -> u64) -> u64 {
    node.metrics().iter().map(|shard| counter(shard)).sum()
}

/// A handshake; what it says of its host and its page is to be added.
fn upgrade(token: &str) -> String {
    format!(
        "GET /ws?token={token} HTTP/1.1\nConnection: Upgrade\nUpgrade: websocket\n\
         Sec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n"
    )
}

#[test]
fn an_admin_of_a_tenant_that_is_inactive_now_is_no_admin() {
    let node = Node::start(setup()).unwrap();
    let token = token(&json!({"sub":"a","roles":["admin"],"tenantId":"acme"}));
    let stats = format!(
        "GET /api/stats HTTP/1.1\nHost: x\nConnection: close\nAuthorization: Bearer {token}"
    );
    assert_eq!(ask(&node, &stats).0, 200);
    let mut idle = setup();
    idle.policy.tenants = Tenants::new(None, &["acme".to_owned()]);
    node.reloader().reload(idle).unwrap();
    for asked in [&stats, &(upgrade(&token) + "Host: x")] {
        let (code, answer) = ask(&node, asked);
        assert_eq!(code, 401);
        assert!(answer.contains("the token's tenant is not let in"), "{answer}");
    }
    assert_eq!(ask(&node, &stats.replace(&token, "key")).0, 200);
    node.drain(Duration::from_millis(100));
}

#[test]
fn who_is_refused_is_counted_and_sent_away() {
    let node = Node::start(Setup { connections_per_ip_max: 1, ..setup() }).unwrap();
    let is_last = |answer: &str| answer.contains("connection: close\r\n");
    let (status, answer) = ask(&node, "GET /api/stats HTTP/1.1\nHost: x\nAuthorization: Bearer no");
    assert_eq!(status, 401, "{answer}");
    assert!(answer.contains("www-authenticate: bearer\r\n") && is_last(&answer), "{answer}");
    let user = token(&json!({"sub":"u"}));
    let asked = format!("GET /api/stats HTTP/1.1\nHost: x\nAuthorization: Bearer {user}");
    let (status, answer) = ask(&node, &asked);
    assert!(status == 403 && is_last(&answer), "{answer}");
    // Without a key nobody hears which methods there are.
    assert_eq!(ask(&node, "PUT /api/stats HTTP/1.1\nHost: x").0, 401);
    assert_eq!(count(&node, |shard| shard.api_refused_total.get()), 3);

    let (status, answer) = ask(&node, "POST /ws HTTP/1.1\nHost: x");
    assert!(status == 405 && answer.contains("allow: get\r\n") && is_last(&answer), "{answer}");
    let (status, answer) = ask(&node, &(upgrade("none") + "Host: x"));
    assert!(status == 401 && answer.contains("www-authenticate: bearer\r\n"), "{answer}");
    assert_eq!(ask(&node, &(upgrade(&user) + "Host: x\nOrigin: http://y")).0, 403);
    let mut stays = dial(&node);
    let head = (upgrade(&user) + "Host: x\n\n").replace('\n', "\r\n");
    stays.write_all(head.as_bytes()).unwrap();
    let mut status = [0; 12];
    stays.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 101");
    let (status, answer) = ask(&node, &(upgrade(&user) + "Host: x"));
    assert!(status == 429 && answer.contains("retry-after: "), "{answer}");
    for (counter, name) in [
        (count(&node, |shard| shard.upgrades_refused_malformed_total.get()), "malformed"),
        (count(&node, |shard| shard.upgrades_refused_token_total.get()), "token"),
        (count(&node, |shard| shard.upgrades_refused_origin_total.get()), "origin"),
        (count(&node, |shard| shard.upgrades_refused_address_total.get()), "address"),
    ] {
        assert_eq!(counter, 1, "{name}");
    }
    drop(stays);
    node.drain(Duration::from_millis(100));
}

#[test]
fn a_request_without_one_host_is_malformed_wherever_it_goes() {
    let node = Node::start(setup()).unwrap();
    for path in ["/health", "/ready", "/metrics", "/api/stats", "/ws", "/nowhere"] {
        for hosts in ["", "Host: x\nHost: x\n"] {
            let rest = "Connection: close\nAuthorization: Bearer key";
            let (status, answer) = ask(&node, &format!("GET {path} HTTP/1.1\n{hosts}{rest}"));
            assert_eq!(status, 400, "{path} {hosts} {answer}");
        }
    }
    assert_eq!(ask(&node, "GET /health HTTP/1.0\nConnection: close").0, 200);
    let pages = "Host: x\nOrigin: http://x\nOrigin: http://evil";
    let user = token(&json!({"sub":"u"}));
    assert_eq!(ask(&node, &(upgrade(&user) + pages)).0, 400);
    node.drain(Duration::from_millis(100));
}

#[test]
fn a_page_that_was_led_here_by_dns_is_not_answered_in_trial_mode() {
    let mut trial = Setup { known_hosts_only: true, ..setup() };
    trial.policy.origins = Origins::only(&["https://app.example"]);
    let node = Node::start(trial).unwrap();
    let user = token(&json!({"sub":"u"}));
    let evil = "Host: evil.example:3000\nOrigin: http://evil.example:3000";
    assert_eq!(ask(&node, &(upgrade(&user) + evil)).0, 403);
    let api = |host: &str| {
        let rest = "Connection: close\nAuthorization: Bearer key";
        ask(&node, &format!("GET /api/stats HTTP/1.1\nHost: {host}\n{rest}")).0
    };
    assert_eq!(api("evil.example:3000"), 403);
    for host in ["localhost:3000", "127.0.0.1", "[::1]:3000", "app.example"] {
        assert_eq!(api(host), 200, "{host}");
    }
    let health = "GET /health HTTP/1.1\nHost: evil.example\nConnection: close";
    assert_eq!(ask(&node, health).0, 200);
    assert_eq!(count(&node, |shard| shard.hosts_refused_total.get()), 2);
    node.drain(Duration::from_millis(100));
    // Elsewhere names are the operator's matter.
    let node = Node::start(setup()).unwrap();
    assert_eq!(ask(&node, &health.replace("/health", "/ready")).0, 200);
    node.drain(Duration::from_millis(100));
}

#[test]
fn who_asked_late_has_the_whole_time_for_its_next_request() {
    let seconds = Duration::from_secs;
    let timeout = seconds(4);
    let node = Node::start(Setup { request_timeout: timeout, ..setup() }).unwrap();
    let mut stream = dial(&node);
    let health = |stream: &mut TcpStream| {
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")?;
        let mut buffer = [0; 1024];
        let read = stream.read(&mut buffer)?;
        std::io::Result::Ok(buffer[..read].starts_with(b"HTTP/1.1 200"))
    };
    // Time itself is what is tested: with a second between it and each limit.
    std::thread::sleep(seconds(2));
    assert!(health(&mut stream).unwrap());
    std::thread::sleep(seconds(3));
    assert!(health(&mut stream).unwrap());
    // And who never finishes its first head is cut in the time of one, however late it began.
    let begun = std::time::Instant::now();
    let mut slow = dial(&node);
    std::thread::sleep(seconds(2));
    slow.write_all(b"GET /health HT").unwrap();
    assert_eq!(slow.read(&mut [0; 64]).unwrap_or(0), 0);
    assert!(begun.elapsed() < timeout + seconds(1), "{:?}", begun.elapsed());
    node.drain(Duration::from_millis(100));
}

#[test]
fn a_proxy_that_announces_nobody_is_counted() {
    let mut setup = setup();
    setup.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    setup.proxy_protocol = true;
    setup.request_timeout = Duration::from_millis(200);
    let node = Node::start(setup).unwrap();
    let mut silent = dial(&node);
    assert_eq!(silent.read(&mut [0]).unwrap(), 0);
    assert_eq!(count(&node, |shard| shard.proxy_headers_refused_total.get()), 1);
    node.drain(Duration::from_millis(100));
}

#[test]
fn a_parameter_that_is_not_known_is_named() {
    let node = Node::start(setup()).unwrap();
    let ask = |method: &str, path: &str| {
        let rest = "Host: x\nConnection: close\nAuthorization: Bearer key\nContent-Length: 0";
        ask(&node, &format!("{method} {path} HTTP/1.1\n{rest}"))
    };
    for path in ["/api/connections?tenant=a&user=b", "/api/connections?tenantId=a&userId=b"] {
        assert_eq!(ask("GET", path).0, 200, "{path}");
    }
    assert_eq!(ask("POST", "/api/users/u/disconnect?tenantId=acme").0, 200);
    let (status, answer) = ask("GET", "/api/connections?tennant=a");
    assert_eq!(status, 400);
    let named = "unknown parameter: tennant; known: limit, cursor, user, userid, tenant, tenantid";
    assert!(answer.contains(named), "{answer}");
    assert_eq!(ask("GET", "/api/stats?x").0, 400);
    assert_eq!(ask("GET", "/health?x=1").0, 200);
    node.drain(Duration::from_millis(100));
}

#[test]
fn who_sends_too_large_a_body_hears_so_and_is_not_reset() {
    let node = Node::start(setup()).unwrap();
    // More than the kernel holds of it for a reader that stopped.
    let body = vec![b' '; 64 << 20];
    let head = format!(
        "POST /api/broadcast HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Authorization: Bearer key\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = dial(&node);
    stream.write_all(head.as_bytes()).unwrap();
    // As clients do that read no answer before they have sent all.
    stream.write_all(&body).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    // Who asks before sending sends nothing.
    let (status, answer) = ask(
        &node,
        "POST /api/broadcast HTTP/1.1\nHost: x\nConnection: close\nAuthorization: Bearer key\n\
         Expect: 100-continue\nContent-Length: 67108864",
    );
    assert_eq!(status, 413);
    assert!(!answer.contains(" 100 continue"), "{answer}");
    node.drain(Duration::from_millis(100));
}

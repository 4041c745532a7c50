//! Who is not let in, and how that is said.

use shardwire::origin::Origins;

use crate::SHARDS;
use crate::client::{Session, UPGRADE, ask, start};

/// A name of the right form that nobody has.
const NOBODY: &str = "AAAAAAAAAAAAAAAAAAAA";

#[test]
fn faults_are_told_as_clients_know_them() {
    let node = start(1, |_| ());
    let nobody = format!("EIO=4&transport=polling&sid={NOBODY}");
    for (method, query, code, message) in [
        ("GET", "transport=polling", 5, "Unsupported protocol version"),
        ("GET", "EIO=3&transport=polling", 5, "Unsupported protocol version"),
        ("GET", "EIO=4&transport=abc", 0, "Transport unknown"),
        ("POST", "EIO=4&transport=polling", 2, "Bad handshake method"),
        ("GET", "EIO=4&transport=websocket", 3, "Bad request"),
        ("GET", "EIO=4&transport=polling&sid=x", 1, "Session ID unknown"),
        ("GET", &nobody, 1, "Session ID unknown"),
        ("PUT", &nobody, 3, "Bad request"),
    ] {
        for path in ["/socket.io/", "/socket.io"] {
            let answer = ask(&node, method, &format!("{path}?{query}"), "");
            let body = format!("{{\"code\":{code},\"message\":\"{message}\"}}");
            assert_eq!((answer.status, &answer.body), (400, &body), "{method} {query}");
            assert_eq!(answer.header("content-type"), Some("application/json"));
        }
    }
    for query in ["EIO=3&transport=websocket", "EIO=4&transport=abc", "EIO=4&transport=polling"] {
        let answer = ask(&node, "GET", &format!("/socket.io/?{query}"), UPGRADE);
        assert_eq!((answer.status, answer.header("content-type")), (400, Some("text/html")));
    }
    let target = format!("/socket.io/?EIO=4&transport=websocket&sid={NOBODY}");
    let answer = ask(&node, "GET", &target, UPGRADE);
    assert_eq!((answer.status, &*answer.body), (400, "Session ID unknown"));
    assert_eq!(ask(&node, "GET", "/socket.io/socket.io.js", "").status, 404);
    assert_eq!(ask(&node, "GET", "/socket.io//?EIO=4&transport=polling", "").status, 404);
}

#[test]
fn pages_of_other_origins() {
    let node = start(1, |setup| {
        setup.policy.origins = Origins::only(&["https://page.example"]);
    });
    let target = "/socket.io/?EIO=4&transport=polling";
    let page = "Origin: https://page.example\r\n";
    for answer in [ask(&node, "GET", target, page), ask(&node, "PUT", target, page)] {
        let allowed = answer.header("access-control-allow-origin");
        assert_eq!(allowed, Some("https://page.example"), "{answer:?}");
        assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
        assert_eq!(answer.header("vary"), Some("origin"));
        assert_eq!(answer.header("set-cookie"), None);
    }
    let asks = format!("{page}Access-Control-Request-Headers: content-type\r\n");
    let preflight = ask(&node, "OPTIONS", "/socket.io/", &asks);
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("access-control-allow-methods"), Some("get,post"));
    assert_eq!(preflight.header("access-control-allow-headers"), Some("content-type"));
    let evil = "Origin: https://evil.example\r\n";
    for method in ["GET", "OPTIONS"] {
        let answer = ask(&node, method, target, evil);
        let forbidden = r#"{"code":4,"message":"Forbidden"}"#;
        assert_eq!((answer.status, &*answer.body), (403, forbidden));
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
}

#[test]
fn who_finds_the_broker_full_is_told_so() {
    for shards in SHARDS {
        let node = start(shards, |setup| setup.connections_max = 1);
        let session = Session::open(&node);
        let target = "/socket.io/?EIO=4&transport=polling";
        let answer = ask(&node, "GET", target, "");
        let full = r#"{"code":4,"message":"server is full"}"#;
        assert_eq!((answer.status, &*answer.body), (503, full));
        let target = "/socket.io/?EIO=4&transport=websocket";
        let answer = ask(&node, "GET", target, UPGRADE);
        assert_eq!((answer.status, &*answer.body), (503, "server is full"));
        // Who is in is not counted again.
        assert_eq!(session.post("3").status, 200);
        assert_eq!(session.asks("PUT", "polling", "").status, 400);
        assert_eq!(session.asks("GET", "websocket", "").status, 400);
    }
}

#[test]
fn polls_that_hang_leave_the_door_open() {
    // So many places before the door has an address, and as many sessions.
    const SHARE: u32 = 300;
    let node = start(1, |setup| {
        setup.connections_per_ip_max = SHARE;
        setup.policy.socketio.ping_interval_ms = 300_000;
    });
    let sessions: Vec<Session<'_>> = (0..SHARE).map(|_| Session::open(&node)).collect();
    let polls: Vec<_> = sessions.iter().map(Session::hanging_poll).collect();
    assert_eq!(ask(&node, "GET", "/health", "").status, 200);
    assert_eq!(sessions[0].post("3").status, 200);
    assert_eq!(node.metrics()[0].handshakes_cut_total.get(), 0);
    drop(polls);
}

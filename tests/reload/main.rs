//! Settings read anew while the broker runs: a real process that is told by SIGHUP, and clients that
//! we did not write (tokio-tungstenite). What one shard does in which turn is `slices.rs`.

mod broker;
#[path = "../secured/certificate.rs"]
mod certificate;
mod doors;
mod slices;
mod stuck;

use broker::{Broker, closed, connect, connect_from, hear, hear_all, runtime, say, token};
use serde_json::json;

/// Everybody may do everything under `a` and `b`.
const OPEN: &str = r#"
[auth]
secret = "a secret of the tests of reloads"
[[endpoint]]
path = "/ws"
[[endpoint]]
path = "/channels"
dialect = "channels"
[[rule]]
topic = "a.**"
allow = ["subscribe", "publish"]
[[rule]]
topic = "b.**"
allow = ["subscribe", "publish"]
"#;

const SECRET: &str = "a secret of the tests of reloads";

/// What is open, with a change.
fn changed(from: &str, to: &str) -> String {
    assert!(OPEN.contains(from), "{from}");
    OPEN.replacen(from, to, 1)
}

#[test]
fn subscriptions_that_the_rules_deny_now_are_ended() {
    let broker = Broker::start("rules", OPEN);
    runtime().block_on(async {
        let mut clients = Vec::new();
        for n in 0..20 {
            let mut client = connect(&broker, &token(SECRET, &json!({"sub":n}))).await;
            say(&mut client, &json!({"type":"subscribe","topics":["a.x","b.y","a.*"]})).await;
            hear_all(&mut client, "subscribed", 3).await;
            clients.push(client);
        }
        let said = broker.reload(&changed("topic = \"a.**\"", "topic = \"c.**\""));
        assert!(said.contains("reloaded: rule"), "{said}");
        for client in &mut clients {
            let mut gone = hear_all(client, "unsubscribed", 2).await;
            gone.sort_by_key(|frame| frame["topic"].to_string());
            for (frame, topic) in gone.iter().zip(["a.*", "a.x"]) {
                assert_eq!(
                    (&frame["topic"], &frame["reason"]),
                    (&json!(topic), &json!("forbidden"))
                );
            }
            say(client, &json!({"type":"subscribe","topic":"a.x"})).await;
            assert_eq!(hear(client).await["code"], 403);
        }
        say(&mut clients[0], &json!({"type":"message","topic":"b.y","data":1})).await;
        for client in &mut clients {
            assert_eq!(hear(client).await["topic"], "b.y");
        }
        // And back: what was ended may be asked for again.
        broker.reload(OPEN);
        say(&mut clients[0], &json!({"type":"subscribe","topic":"a.x"})).await;
        assert_eq!(hear(&mut clients[0]).await["type"], "subscribed");
    });
    broker.end();
}

#[test]
fn who_has_a_key_that_is_gone_hears_that_its_token_is_over() {
    // "hush" and "hust".
    const BOTH: &str =
        r#"{"keys":[{"kty":"oct","k":"aHVzaA","kid":"1"},{"kty":"oct","k":"aHVzdA","kid":"2"}]}"#;
    const ONE: &str = r#"{"keys":[{"kty":"oct","k":"aHVzaA","kid":"1"}]}"#;
    let text = changed("secret = \"a secret of the tests of reloads\"", "jwks_file = \"KEYS\"");
    let broker = Broker::start_with("keys", &text, &[("KEYS", BOTH)]);
    let claims = json!({"sub":"u","tenantId":"acme"});
    let (stays, goes) =
        (broker::token_of("1", "hush", &claims), broker::token_of("2", "hust", &claims));
    runtime().block_on(async {
        let (mut staying, mut going) = (Vec::new(), Vec::new());
        for _ in 0..8 {
            staying.push(connect(&broker, &stays).await);
            going.push(connect(&broker, &goes).await);
        }
        broker.write("KEYS", ONE);
        let said = broker.reload(&text);
        assert!(said.contains("reloaded: auth.jwks_file"), "{said}");
        for client in &mut going {
            let told = hear(client).await;
            assert_eq!((&told["type"], &told["code"]), (&json!("auth_expired"), &json!(401)));
            assert_eq!(closed(client).await, (4401, "token expired".to_owned()));
        }
        for client in &mut staying {
            say(client, &json!({"type":"ping"})).await;
            assert_eq!(hear(client).await["type"], "pong");
        }
        assert_eq!(broker::refused(&broker, &goes).await, 401);
        connect(&broker, &stays).await;
    });
    broker.end();
}

#[test]
fn a_tenant_that_is_inactive_now_is_sent_away() {
    let broker = Broker::start("tenants", OPEN);
    runtime().block_on(async {
        let of = |tenant: &str| token(SECRET, &json!({"sub":"u","tenantId":tenant}));
        let bare = token(SECRET, &json!({"sub":"u"}));
        let mut gone = connect(&broker, &of("idle")).await;
        let mut stays = [connect(&broker, &of("acme")).await, connect(&broker, &bare).await];
        let said = broker.reload(&format!("{OPEN}[tenants]\ninactive = [\"idle\"]\n"));
        assert!(said.contains("reloaded: tenants.inactive"), "{said}");
        assert_eq!(closed(&mut gone).await, (1008, "not allowed any more".to_owned()));
        for client in &mut stays {
            say(client, &json!({"type":"ping"})).await;
            assert_eq!(hear(client).await["type"], "pong");
        }
        let said = broker.reload(&format!("{OPEN}[tenants]\nallowed = [\"other\"]\n"));
        assert!(said.contains("reloaded: tenants.allowed, tenants.inactive"), "{said}");
        assert_eq!(closed(&mut stays[0]).await.0, 1008);
        say(&mut stays[1], &json!({"type":"ping"})).await;
        assert_eq!(hear(&mut stays[1]).await["type"], "pong");
    });
    broker.end();
}

#[test]
fn a_page_that_is_not_let_in_now_is_sent_away() {
    let with = |list: &str| format!("[server]\nallow_origins = {list}\n{OPEN}");
    // Ports that schemes have anyway, and upper case, are no difference.
    let broker =
        Broker::start("origins", &with(r#"["https://one.example:443", "http://two.example"]"#));
    runtime().block_on(async {
        let token = token(SECRET, &json!({"sub":"u"}));
        let mut one = connect_from(&broker, &token, Some("https://ONE.example")).await;
        let mut two = connect_from(&broker, &token, Some("http://two.example:80")).await;
        let mut program = connect_from(&broker, &token, None).await;
        let said = broker.reload(&with(r#"["https://One.example:443"]"#));
        assert!(said.contains("reloaded: server.allow_origins"), "{said}");
        assert_eq!(closed(&mut two).await, (1008, "not allowed any more".to_owned()));
        for client in [&mut one, &mut program] {
            say(client, &json!({"type":"ping"})).await;
            assert_eq!(hear(client).await["type"], "pong");
        }
        // The same host alone, which is none of them.
        broker.reload(OPEN);
        assert_eq!(closed(&mut one).await.0, 1008);
        say(&mut program, &json!({"type":"ping"})).await;
        assert_eq!(hear(&mut program).await["type"], "pong");
    });
    broker.end();
}

#[test]
fn limits_hold_from_the_next_frame_on() {
    let broker = Broker::start("limits", OPEN);
    runtime().block_on(async {
        let mut client = connect(&broker, &token(SECRET, &json!({"sub":"u"}))).await;
        for _ in 0..10 {
            say(&mut client, &json!({"type":"ping"})).await;
            assert_eq!(hear(&mut client).await["type"], "pong");
        }
        let limits = "[limits]\nmessages_per_window = 2\nwindow_ms = 86400000\n\
                      subscriptions_max = 1\n";
        let said = broker.reload(&format!("{OPEN}{limits}"));
        let named = "limits.messages_per_window, limits.window_ms, limits.subscriptions_max";
        assert!(said.contains(&format!("reloaded: {named}")), "{said}");
        say(&mut client, &json!({"type":"subscribe","topics":["b.1","b.2"]})).await;
        assert_eq!(hear(&mut client).await["type"], "subscribed");
        assert_eq!(hear(&mut client).await["code"], 403);
        say(&mut client, &json!({"type":"ping"})).await;
        assert_eq!(hear(&mut client).await["type"], "pong");
        say(&mut client, &json!({"type":"ping"})).await;
        assert_eq!(hear(&mut client).await["code"], 429);
    });
    broker.end();
}

#[test]
fn what_is_wrong_changes_nothing() {
    let broker = Broker::start("errors", OPEN);
    runtime().block_on(async {
        let mut client = connect(&broker, &token(SECRET, &json!({"sub":"u"}))).await;
        say(&mut client, &json!({"type":"subscribe","topic":"a.x"})).await;
        hear(&mut client).await;
        let closing = changed("topic = \"a.**\"", "topic = \"c.**\"");
        for (text, named) in [
            (format!("{closing}[limits]\nwindow_ms = 0\n"), "limits.window_ms = 0: out of range"),
            (format!("{closing}["), "TOML syntax"),
            (format!("{closing}[webhook]\nurl = \"nonsense\"\n"), "webhook"),
        ] {
            let said = broker.reload(&text);
            assert!(said.contains(named) && said.contains("not reloaded"), "{said}");
            assert!(!said.contains("INFO reloaded"), "{said}");
        }
        // As before, the closing rules included.
        say(&mut client, &json!({"type":"message","topic":"a.x","data":1})).await;
        assert_eq!(hear(&mut client).await["topic"], "a.x");
        let said = broker.reload(OPEN);
        assert!(said.contains("nothing that a running broker changes is different"), "{said}");
        broker.reload(&closing);
        assert_eq!(hear(&mut client).await["type"], "unsubscribed");
    });
    broker.end();
}

#[test]
fn what_needs_a_restart_is_named_and_stays() {
    let broker = Broker::start("restart", OPEN);
    runtime().block_on(async {
        let token = token(SECRET, &json!({"sub":"u"}));
        let text = changed("path = \"/ws\"", "path = \"/other\"");
        let said = broker.reload(&format!("{text}[server]\ndrain_ms = 5000\nshards = 7\n"));
        assert!(said.contains("needs a restart: server.shards, endpoint"), "{said}");
        assert!(said.contains("reloaded: server.drain_ms"), "{said}");
        connect(&broker, &token).await;
    });
    broker.end();
}

//! Attackers who are somebody, and want to hear and say what is another's: by patterns, by names
//! that look alike, as another tenant.
//!
//! What is judged is what arrives, not what was answered: each secret is published, heard by whom
//! it is for, and by nobody else before the last word, which all hear.

use serde_json::{Value, json};
use shardwire::auth::{DialectRules, Rules, Tenants};
use shardwire::config::Dialect;
use shardwire::node::Setup;
use shardwire::shard::Endpoint;

use crate::broker::{API_KEY, ATTACKER, Attack, HONEST, SECRET, Scene, token};
use crate::client::{Client, handshake, post};

/// What the last word is published to, one name for each dialect.
const LAST: [&str; 2] = ["public.last", "public:last"];

/// Endpoints with the rules that hold where none are configured.
fn set(setup: &mut Setup) {
    let defaults = |dialect| Rules::defaults(dialect, false);
    setup.policy.endpoints.extend([
        Endpoint::new("/topics", Dialect::Topics, true, defaults(DialectRules::Topics)),
        Endpoint::new("/anonymous", Dialect::Topics, false, defaults(DialectRules::Topics)),
        Endpoint::new("/events", Dialect::Events, true, defaults(DialectRules::Events)),
        Endpoint::new("/channels", Dialect::Channels, true, defaults(DialectRules::Channels)),
    ]);
    setup.policy.tenants = Tenants::new(None, &["idle".into()]);
}

pub const WILDCARDS: Attack = Attack {
    name: "wildcard leaks",
    mib_max: 8,
    set,
    act: |scene| {
        let secrets = ["user.alice.inbox", "user.alice.a.b.c", "admin.audit", "admin.a.b"];
        let hidden = ["user:alice:inbox", "tenant:acme:general", "notifications:acme:alice:mail"];
        let mut alice = enter(scene, "/topics", &json!({"sub": "alice", "roles": ["admin"]}));
        for secret in secrets {
            assert!(subscribe(&mut alice, secret), "it is hers");
        }
        let patterns: Vec<String> =
            secrets.iter().chain(&hidden).flat_map(|name| blurred(name)).collect();
        let (mut tried, mut granted) = (0, 0);
        let mut mallories = Vec::new();
        for path in ["/topics", "/events", "/anonymous"] {
            for patterns in patterns.chunks(200) {
                let mut mallory = if path == "/anonymous" {
                    Client::enter(scene.address(), ATTACKER, path)
                } else {
                    enter(scene, path, &json!({"sub": "mallory", "tenantId": "acme"}))
                };
                for pattern in patterns {
                    granted += usize::from(subscribe(&mut mallory, pattern));
                    tried += 1;
                }
                subscribe(&mut mallory, LAST[0]);
                mallories.push(mallory);
            }
        }
        for secret in secrets.iter().chain(&hidden) {
            publish(scene, secret);
        }
        publish(scene, LAST[0]);
        for secret in secrets {
            assert!(alice.hear_text().contains(&format!("\"data\":\"of {secret}\"")));
        }
        for mallory in &mut mallories {
            assert_last(mallory);
        }
        // Nor may anyone speak where only the broker does.
        let mut told = 0;
        for secret in secrets.iter().chain(&hidden) {
            for mallory in &mut mallories {
                told += usize::from(say(mallory, secret));
            }
        }
        assert_eq!(told, 0);
        publish(scene, secrets[0]);
        assert!(alice.hear_text().contains("\"data\":\"of user.alice.inbox\""), "and nothing else");
        scene.honest();
        format!(
            "{tried} patterns over {} secrets by {} clients, {granted} granted, 0 secrets heard; \
            {} publishes refused",
            secrets.len() + hidden.len(),
            mallories.len(),
            mallories.len() * (secrets.len() + hidden.len())
        )
    },
};

/// The name with its segments replaced by wildcards, in every way, and cut short by `**`.
fn blurred(name: &str) -> Vec<String> {
    let segments: Vec<&str> = name.split('.').collect();
    let mut all = vec!["**".to_owned(), "*".to_owned(), "**.**".to_owned()];
    for ways in 0..3_usize.pow(segments.len() as u32) {
        let mut left = ways;
        let blurred: Vec<&str> = segments
            .iter()
            .map(|segment| {
                let way = left % 3;
                left /= 3;
                [segment, "*", "**"][way]
            })
            .collect();
        for kept in 1..=blurred.len() {
            all.push(format!("{}.**", blurred[..kept].join(".")));
            all.push(format!("**.{}", blurred[blurred.len() - kept..].join(".")));
        }
        all.push(blurred.join("."));
    }
    all.sort();
    all.dedup();
    // Names without dots hide a pattern within a segment, which is none.
    all.extend([name.replace("alice", "*"), name.replace("acme", "*"), format!("{name}*")]);
    all
}

pub const TENANTS: Attack = Attack {
    name: "tenant leaks",
    mib_max: 8,
    set,
    act: |scene| {
        let alice = json!({"sub": "alice", "tenantId": "acme"});
        let mut victim = enter(scene, "/channels", &alice);
        assert!(victim.hear_text().contains("\"connection\""));
        for channel in ["tenant:acme", "tenant:acme:general"] {
            assert!(join(&mut victim, channel), "it is hers");
        }
        victim.say(r#"{"type":"subscribe_notifications","data":{"types":["mail"]}}"#);
        assert!(victim.hear_text().contains("notifications_subscribed"));
        let mut mallories = Vec::new();
        let (mut tried, mut kept_out) = (0, 0);
        for tenant in ["acme2", "acm", "ACME", "acme.", "acme general", "*", "**"] {
            for user in ["alice", "mallory"] {
                let mut mallory =
                    enter(scene, "/channels", &json!({"sub": user, "tenantId": tenant}));
                assert!(mallory.hear_text().contains("\"connection\""));
                tried += intrude(&mut mallory);
                assert!(join(&mut mallory, LAST[1]));
                mallories.push(mallory);
            }
        }
        // With no tenant, one that is put on ice, or one whose name would be a path.
        for claims in [
            json!({"sub": "alice"}),
            json!({"sub": "alice", "tenantId": ""}),
            json!({"sub": "alice", "tenantId": "idle"}),
            json!({"sub": "alice", "tenantId": "acme:general"}),
            json!({"sub": "acme:alice", "tenantId": "notifications"}),
        ] {
            assert_eq!(enter(scene, "/channels", &claims).hear_close(), 1000, "{claims}");
            kept_out += 1;
        }
        let secrets = [
            ("/api/tenants/acme/broadcast", json!({"message": {"type": "of acme"}})),
            ("/api/users/alice/notify?tenant=acme", json!({"message": {"type": "of alice"}})),
            ("/api/channels/tenant:acme:general/send", json!({"message": {"type": "of general"}})),
            (
                "/api/channels/notifications:acme:alice:mail/send",
                json!({"message": {"type": "of mail"}}),
            ),
        ];
        for (path, body) in &secrets {
            let (status, answer) = post(scene.address(), HONEST, path, API_KEY, &body.to_string());
            assert_eq!(
                (status, answer.contains("\"delivered\":1")),
                (200, true),
                "{path}: {answer}"
            );
            let heard = victim.hear_text();
            assert!(heard.contains(body["message"]["type"].as_str().expect("text")), "{heard}");
        }
        publish(scene, LAST[1]);
        for mallory in &mut mallories {
            let heard = mallory.hear_text();
            assert!(heard.contains("of public:last"), "leaked: {heard}");
        }
        scene.honest();
        format!(
            "{tried} tries by {} clients of 7 other tenants, {kept_out} more not let in; {} secrets, \
            each heard by 1",
            mallories.len(),
            secrets.len()
        )
    },
};

/// Tries to join, and to speak in, whatever is another tenant's: how many times.
fn intrude(mallory: &mut Client) -> usize {
    let channels = [
        "tenant:acme",
        "tenant:acme:",
        "tenant:acme:general",
        "tenant:acme:general:x",
        "tenant:*",
        "tenant:**",
        "tenant:acme*",
        "tenant:acme:*",
        "tenant:*:general",
        "*",
        "**",
        "TENANT:acme:general",
        "tenant:acme2:../acme:general",
        " tenant:acme:general",
        "tenant:acme:general ",
        "tenant:acme:general\u{0}",
        "tenant:\u{200b}acme:general",
        "notifications:acme:alice:mail",
        "notifications:acme:alice:*",
        "notifications:*:alice:mail",
        "tenant.acme",
        "admin.audit",
        "public:",
        "public",
        "",
    ];
    for channel in channels {
        assert!(!join(mallory, channel), "{channel:?} was joined");
        let send = json!({"type": "send_message", "data": {"channel": channel, "message": "x"}});
        mallory.say(&send.to_string());
        let answer = mallory.hear_text();
        assert!(answer.contains("\"error\""), "{channel:?}: {answer}");
    }
    let types = ["acme:alice:mail", "*", "**", "../mail", "mail:x"];
    for kind in types {
        let data = json!({"types": [kind]});
        mallory.say(&json!({"type": "subscribe_notifications", "data": data}).to_string());
        // Where it is taken, it is one of its own: what arrives judges that.
        mallory.hear_text();
    }
    2 * channels.len() + types.len()
}

fn enter(scene: &Scene<'_>, path: &str, claims: &Value) -> Client {
    let mut client = Client::connect(scene.address(), ATTACKER);
    let line = format!("Authorization: Bearer {}\r\n", token(claims, SECRET));
    assert_eq!(client.ask(&handshake(path, &line)), 101);
    client
}

/// Whether it was granted.
fn subscribe(client: &mut Client, pattern: &str) -> bool {
    client.say(&json!({"type": "subscribe", "topic": pattern}).to_string());
    let answer = client.hear_text();
    let granted = answer.contains("\"subscribed\"");
    let refused = ["\"code\":403", "\"code\":400"].iter().any(|code| answer.contains(code));
    assert!(granted || refused, "{pattern}: {answer}");
    granted
}

/// Whether it was taken.
fn say(client: &mut Client, topic: &str) -> bool {
    client.say(&json!({"type": "message", "topic": topic, "data": "forged", "id": 1}).to_string());
    let answer = client.hear_text();
    let taken = answer.contains("\"published\"");
    assert!(taken || answer.contains("\"code\":403"), "{answer}");
    taken
}

fn join(client: &mut Client, channel: &str) -> bool {
    client.say(&json!({"type": "join_channel", "data": {"channel": channel}}).to_string());
    let answer = client.hear_text();
    let joined = answer.contains("\"channel_joined\"");
    assert!(joined || answer.contains("\"error\""), "{answer}");
    joined
}

fn publish(scene: &Scene<'_>, topic: &str) {
    let body = json!({"topic": topic, "data": format!("of {topic}")}).to_string();
    let (status, answer) = post(scene.address(), HONEST, "/api/publish", API_KEY, &body);
    assert_eq!(status, 200, "{answer}");
}

/// The next that comes is the last word.
fn assert_last(client: &mut Client) {
    let heard = client.hear_text();
    assert!(heard.contains("of public.last"), "leaked: {heard}");
}

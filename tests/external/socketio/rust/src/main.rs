//! What a user of `rust_socketio` sees of the broker: rooms, acknowledgements, refusals, the
//! notification gateway, bytes, a cut connection, over each of its transports (protocols.md sections
//! 5 and 11).
//!
//! The client hears an event without arguments as a `message` holding the event's name, `ERROR` as
//! `error`, and bytes only where they are an argument by themselves.

mod checks;
mod peer;

use rust_socketio::TransportType;
use serde_json::{json, Value};

use checks::{must, same, Checks, Done};
use peer::{members, notify, open, publish, Options, Peer};

const MESSAGES: u64 = 100;

fn main() {
    let mut checks = Checks::default();
    for (name, transport) in [
        ("polling", TransportType::Polling),
        ("websocket", TransportType::Websocket),
        ("upgrade", TransportType::WebsocketUpgrade),
        ("any", TransportType::Any),
    ] {
        let with = || Options { transport: transport.clone(), ..Options::default() };
        let mut check = |what: &str, run: fn(Options) -> Done| {
            let with = with();
            checks.check(&format!("{name}: {what}"), move || run(with));
        };
        check("rooms: join, message to all, leave", rooms);
        check("messages from two in their order, once", order);
        check("a publish over HTTP is an event", published);
        check("a message to a socket's id", direct);
        check("refusals as event and acknowledgement", refusals);
        check("a bad token", bad_token);
        check("bytes do no harm", bytes);
        check("the notification gateway", gateway);
        check("the gateway without a good token", gateway_refused);
        check("a cut connection comes back", cut);
    }
    checks.finish();
}

fn rooms(with: Options) -> Done {
    let ann = open(&with, "ann")?;
    let bob = open(&with, "bob")?;
    same(&ann.join("rust")?, &json!(1), "members")?;
    same(&bob.join("rust")?, &json!(2), "members")?;
    let sent = json!({"from": "bob", "room": "rust", "content": {"n": [1.5, null]}, "type": "text"});
    let told = bob.ask("message", sent)?;
    same(&told["success"], &json!(true), "success")?;
    for it in [&ann, &bob] {
        let message = it.expect("message")?;
        same(&message["from"], &json!("bob"), "from")?;
        same(&message["content"], &json!({"n": [1.5, null]}), "content")?;
        same(&message["id"], &told["id"], "id")?;
        same(&message["timestamp"], &told["timestamp"], "timestamp")?;
    }
    same(&ann.ask("leave_room", json!({"room": "rust"}))?, &json!({"success": true, "room": "rust"}), "left")?;
    ann.expect("room_left")?;
    bob.ask("message", json!({"room": "rust", "content": 2}))?;
    same(&bob.expect("message")?["content"], &json!(2), "content")?;
    ann.quiet()
}

fn order(with: Options) -> Done {
    let all = members(&with, "rust-order", &["ann", "bob"])?;
    for n in 0..MESSAGES {
        for it in &all {
            it.emit("message", json!({"room": "rust-order", "content": n}))?;
        }
    }
    for it in &all {
        let mut next = [0, 0];
        while next.iter().any(|&n| n < MESSAGES) {
            let message = it.expect("message")?;
            let from = usize::from(message["from"] == "bob");
            same(&message["content"], &json!(next[from]), "the next")?;
            next[from] += 1;
        }
    }
    Ok(())
}

fn published(with: Options) -> Done {
    let all = members(&with, "rust-http", &["ann"])?;
    publish("rust-http", "news", &json!({"n": 1}))?;
    same(&all[0].expect("news")?, &json!({"n": 1}), "argument")?;
    all[0].quiet()
}

fn direct(with: Options) -> Done {
    let ann = open(&with, "ann")?;
    // Nobody has this id.
    let answer = ann.ask("message", json!({"to": "AAAAAAAAAAAAAAAAAAAA", "content": 1}))?;
    same(&answer["delivered"], &json!(0), "delivered")?;
    // The client does not tell its own id; a typing event does.
    let all = members(&with, "rust-ids", &["bob", "cal"])?;
    all[0].emit("typing_start", json!({"room": "rust-ids"}))?;
    let typing = all[1].expect("typing_start")?;
    same(&typing["userId"], &json!("bob"), "userId")?;
    let answer = ann.ask("message", json!({"to": typing["socketId"], "content": "psst"}))?;
    same(&answer["delivered"], &json!(1), "delivered")?;
    same(&all[0].expect("message")?["content"], &json!("psst"), "content")?;
    all[1].quiet()
}

fn refusals(with: Options) -> Done {
    let ann = open(&with, "ann")?;
    for (event, by, given, code) in [
        ("join_room", "room_error", json!({"room": "a..b"}), "INVALID_ROOM"),
        ("join_room", "room_error", json!({"room": "admin.x"}), "AUTHORIZATION_FAILED"),
        ("message", "error", json!({"room": "not-joined", "content": 1}), "AUTHORIZATION_FAILED"),
        ("message", "error", json!({"content": 1}), "INVALID_MESSAGE"),
        ("dance", "error", json!("rust"), "INVALID_MESSAGE"),
    ] {
        let answer = ann.ask(event, given)?;
        same(&answer["success"], &json!(false), "success")?;
        same(&answer["code"], &json!(code), "code")?;
        same(&ann.expect(by)?["code"], &json!(code), by)?;
    }
    ann.quiet()
}

fn bad_token(mut with: Options) -> Done {
    with.token = Some("garbage".into());
    let ann = Peer::dial(&with, "ann")?;
    let error = ann.expect("error")?;
    must(error.to_string().contains("AUTHENTICATION_FAILED"), || format!("error {error}"))
}

fn bytes(with: Options) -> Done {
    let all = members(&with, "rust-bytes", &["ann", "bob"])?;
    // A message that is nothing but bytes has no room.
    all[0].emit_bytes("message", &[0, 1, 255])?;
    same(&all[0].expect("error")?["code"], &json!("INVALID_MESSAGE"), "code")?;
    all[1].ask("message", json!({"room": "rust-bytes", "content": "behind"}))?;
    same(&all[0].expect("message")?["content"], &json!("behind"), "content")
}

fn gateway(mut with: Options) -> Done {
    with.namespace = "/ws";
    let gina = open(&with, "gina")?;
    same(&gina.ask("SUBSCRIBE_NOTIFICATIONS", Value::Null)?, &json!({"success": true}), "answer")?;
    let notification = json!({"id": 7, "message": "Paid", "sentAt": "2026-01-31T12:00:00.000Z", "readAt": null});
    notify("gina", &notification)?;
    same(&gina.expect("NEW_NOTIFICATION")?, &notification, "notification")
}

fn gateway_refused(mut with: Options) -> Done {
    with.namespace = "/ws";
    with.token = Some("garbage".into());
    let it = open(&with, "ann")?;
    it.emit("SUBSCRIBE_NOTIFICATIONS", Value::Null)?;
    same(&it.expect("error")?, &json!("Invalid token"), "ERROR")?;
    it.expect("close").map(drop)
}

fn cut(mut with: Options) -> Done {
    with.relayed = true;
    let ann = open(&with, "ann")?;
    same(&ann.join("rust-cut")?, &json!(1), "members")?;
    peer::cut()?;
    ann.until("connect")?;
    ann.join("rust-cut")?;
    publish("rust-cut", "news", &json!(1))?;
    same(&ann.expect("news")?, &json!(1), "argument")
}

//! What sessions of Engine.IO and their Socket.IO sockets cost: over a WebSocket, between polls, and
//! while a poll waits. What HTTP keeps for a request that waits is not in the figure.

use serde_json::json;
use shardwire::auth::{DialectRules, Rules};
use shardwire::config::Dialect;
use shardwire::connection::ConnKey;
use shardwire::polling::{Asked, HttpReply};
use shardwire::shard::{Arrival, Endpoint, Shard};
use shardwire::sid::Sid;

use super::counting::held;
use super::{CONNECTIONS, NOW, Sink, guarded, leave, say, shard_with, tell_parts};

/// Heap bytes of a session with one socket, which has shown a token and is in a room.
const SESSION_BYTES_MAX: usize = 700;
/// Bytes that stay with a shard for each session of its peak.
const KEPT_MAX: usize = 140;
/// Members of a room.
const ROOM: usize = 50;
/// The endpoint behind those of [`guarded`].
const ENDPOINT: u8 = 2;

fn shard() -> Shard {
    let mut policy = guarded::policy();
    let rules = Rules::defaults(DialectRules::SocketIo, false);
    policy.endpoints.push(Endpoint::new("/socket.io/", Dialect::SocketIo, true, rules));
    shard_with(policy)
}

fn arrival() -> Arrival {
    Arrival::new(ENDPOINT, [127, 0, 0, 1].into())
}

fn connect(user: usize) -> String {
    format!(r#"40{{"token":"{}"}}"#, guarded::token(&json!({"sub": user.to_string()})))
}

fn join(user: usize) -> String {
    format!(r#"421["join_room",{{"room":"lobby.{}"}}]"#, user / ROOM)
}

/// What was asked under this ticket is answered in this turn, or not.
fn answer(shard: &mut Shard, ticket: u64) -> Option<HttpReply> {
    shard.take_mail(NOW, &mut Sink);
    shard.advance(NOW, &mut Sink);
    shard.flush(NOW, &mut Sink);
    let (told, reply) = shard.http_reply()?;
    assert_eq!(told, ticket);
    Some(reply)
}

fn post(shard: &mut Shard, sid: Sid, ticket: u64, text: &str) {
    shard.ask(NOW, sid, Asked::Post(text.as_bytes().into()), ticket);
    assert_eq!(answer(shard, ticket), Some(HttpReply::Taken));
}

fn poll(shard: &mut Shard, sid: Sid, ticket: u64) -> String {
    shard.ask(NOW, sid, Asked::Poll, ticket);
    match answer(shard, ticket) {
        Some(HttpReply::Body(body)) => String::from_utf8(body).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// A client over a WebSocket.
fn enter(shard: &mut Shard, user: usize) -> ConnKey {
    let key = shard.open(NOW, arrival());
    say(shard, key, &connect(user));
    say(shard, key, &join(user));
    shard.flush(NOW, &mut Sink);
    key
}

/// A client that polls; the session's name.
fn enter_polling(shard: &mut Shard, user: usize) -> (ConnKey, Sid) {
    let (key, open) = shard.open_polling(NOW, arrival());
    let open: serde_json::Value = serde_json::from_slice(&open[1..]).unwrap();
    let sid = Sid::parse(open["sid"].as_str().unwrap()).unwrap();
    let ticket = user as u64;
    post(shard, sid, ticket, &connect(user));
    assert!(poll(shard, sid, ticket).starts_with(r#"40{"sid":""#));
    post(shard, sid, ticket, &join(user));
    let joined = poll(shard, sid, ticket);
    assert!(joined.starts_with(r#"431[{"success":true,"#), "{joined}");
    (key, sid)
}

#[test]
fn bytes_of_a_session_over_a_websocket() {
    let mut shard = shard();
    let first = enter(&mut shard, 7);
    leave(&mut shard, &[first]);
    let (before, parts_before) = (held(), shard.heap_bytes());
    let mut keys = Vec::with_capacity(CONNECTIONS);
    keys.extend((10_000..10_000 + CONNECTIONS).map(|user| enter(&mut shard, user)));
    let list = (keys.capacity() * size_of::<ConnKey>()).cast_signed();
    let each = usize::try_from(held() - before - list).unwrap() / CONNECTIONS;
    println!("{each} bytes a session over a WebSocket, of which");
    tell_parts(&shard, parts_before, each);
    shard.check(NOW);
    assert!(each <= SESSION_BYTES_MAX, "{each} bytes a session");
    leave(&mut shard, &keys);
    drop(keys);
    let kept = usize::try_from(held() - before).unwrap() / CONNECTIONS;
    println!("{kept} bytes a session of the peak stay with an empty shard");
    assert!(kept <= KEPT_MAX, "{kept} bytes a session of the peak stay");
}

#[test]
fn bytes_of_a_polling_session() {
    let mut shard = shard();
    let (first, _) = enter_polling(&mut shard, 7);
    leave(&mut shard, &[first]);
    let (before, parts_before) = (held(), shard.heap_bytes());
    let mut crowd = Vec::with_capacity(CONNECTIONS);
    crowd.extend((10_000..10_000 + CONNECTIONS).map(|user| enter_polling(&mut shard, user)));
    let list = (crowd.capacity() * size_of::<(ConnKey, Sid)>()).cast_signed();
    let each = |now: isize| usize::try_from(now - before - list).unwrap() / CONNECTIONS;
    let idle = each(held());
    println!("{idle} bytes a session between polls, of which");
    tell_parts(&shard, parts_before, idle);
    assert!(idle <= SESSION_BYTES_MAX, "{idle} bytes a session between polls");
    for (ticket, (_, sid)) in crowd.iter().enumerate() {
        shard.ask(NOW, *sid, Asked::Poll, ticket as u64);
        assert_eq!(answer(&mut shard, ticket as u64), None, "nothing is there to be told");
    }
    let waiting = each(held());
    println!("{waiting} bytes a session while a poll waits");
    assert!(waiting <= SESSION_BYTES_MAX, "{waiting} bytes a session while a poll waits");
    shard.check(NOW);
    let keys: Vec<ConnKey> = crowd.iter().map(|(key, _)| *key).collect();
    leave(&mut shard, &keys);
    while shard.http_reply().is_some() {}
    drop((crowd, keys));
    let kept = usize::try_from(held() - before).unwrap() / CONNECTIONS;
    println!("{kept} bytes a session of the peak stay with an empty shard");
    assert!(kept <= KEPT_MAX, "{kept} bytes a session of the peak stay");
}

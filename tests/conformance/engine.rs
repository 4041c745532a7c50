//! Engine.IO: how sessions open, carry messages, live, go over to a WebSocket and end.

use serde_json::{Value, json};

use super::Place;
use super::client::Answer;
use super::world::{Session, World};

const MODE: &str = "protocol";

fn quick(place: Place) -> World {
    World::quick(MODE, place.shards, place.path)
}

fn slow(place: Place) -> World {
    World::slow(MODE, place.shards, place.path)
}

/// What a session begins with: just these keys, in this order.
fn assert_opened(said: &str, upgrades: &Value) {
    let opened: Value = serde_json::from_str(said).unwrap();
    let name = opened["sid"].as_str().unwrap();
    let expected = format!(
        "{{\"sid\":\"{name}\",\"upgrades\":{upgrades},\"pingInterval\":300,\"pingTimeout\":200,\
         \"maxPayload\":1000000}}"
    );
    assert_eq!(said, expected);
}

fn fault(answer: &Answer) -> Value {
    assert_eq!((answer.status, answer.all("content-type")), (400, vec!["application/json"]));
    serde_json::from_str(&answer.body).unwrap()
}

pub fn a_poll_opens_a_session(place: Place) {
    let world = quick(place);
    let target = format!("{}?EIO=4&transport=polling", place.path);
    let answer = world.line().ask("GET", &target, "");
    assert_eq!(answer.all("content-type"), ["text/plain; charset=UTF-8"]);
    assert_eq!(answer.status, 200);
    assert_opened(answer.body.strip_prefix('0').unwrap(), &json!(["websocket"]));
}

pub fn a_poll_of_another_version_is_refused(place: Place) {
    let world = quick(place);
    for version in ["", "EIO=abc&", "EIO=3&"] {
        let target = format!("{}?{version}transport=polling", place.path);
        let answer = world.line().ask("GET", &target, "");
        let expected = json!({"code":5,"message":"Unsupported protocol version"});
        assert_eq!(fault(&answer), expected);
    }
}

pub fn a_poll_of_no_transport_of_ours_is_refused(place: Place) {
    let world = quick(place);
    for transport in ["", "&transport=abc"] {
        let target = format!("{}?EIO=4{transport}", place.path);
        let answer = world.line().ask("GET", &target, "");
        assert_eq!(fault(&answer), json!({"code":0,"message":"Transport unknown"}));
    }
}

pub fn a_session_is_opened_by_get(place: Place) {
    let world = quick(place);
    for method in ["POST", "PUT"] {
        let target = format!("{}?EIO=4&transport=polling", place.path);
        let answer = world.line().ask(method, &target, "");
        assert_eq!(fault(&answer), json!({"code":2,"message":"Bad handshake method"}));
    }
}

pub fn a_websocket_opens_a_session(place: Place) {
    let world = quick(place);
    let target = format!("{}?EIO=4&transport=websocket", place.path);
    let mut socket = world.line().upgrade(&target).unwrap();
    assert_opened(socket.hear().strip_prefix('0').unwrap(), &json!([]));
}

pub fn a_websocket_of_another_version_is_refused(place: Place) {
    refuses_websockets(place, &["transport=websocket", "EIO=abc&transport=websocket"]);
}

pub fn a_websocket_of_no_transport_of_ours_is_refused(place: Place) {
    refuses_websockets(place, &["EIO=4", "EIO=4&transport=abc"]);
}

fn refuses_websockets(place: Place, queries: &[&str]) {
    let world = quick(place);
    for query in queries {
        let refused = world.line().upgrade(&format!("{}?{query}", place.path));
        assert_eq!(refused.err(), Some(400), "{query}");
    }
}

/// What is posted comes back by the next poll, both from another shard.
fn comes_back_by_a_poll(place: Place, body: &str) {
    let world = slow(place);
    let Session { mut away, mut third, target, .. } = world.session();
    assert_eq!(away.ask("POST", &target, body).told(), (200, "ok"));
    assert_eq!(third.ask("GET", &target, "").told(), (200, body));
}

pub fn a_text_comes_back_by_a_poll(place: Place) {
    comes_back_by_a_poll(place, "4hello");
}

pub fn three_texts_come_back_by_one_poll(place: Place) {
    comes_back_by_a_poll(place, "4test1\x1e4test2\x1e4test3");
}

pub fn bytes_come_back_by_a_poll(place: Place) {
    comes_back_by_a_poll(place, "4hello\x1ebAQIDBA==");
}

pub fn what_is_no_packet_ends_a_polling_session(place: Place) {
    let world = slow(place);
    let Session { mut away, mut third, target, .. } = world.session();
    assert_eq!(away.ask("POST", &target, "abc").status, 400);
    assert_eq!(third.ask("GET", &target, "").status, 400);
}

pub fn a_second_poll_ends_the_session(place: Place) {
    let world = slow(place);
    let Session { mut home, mut away, mut third, target, .. } = world.session();
    away.send("GET", &target, "");
    world.polls_hang(1);
    assert_eq!(third.ask("GET", &target, "").status, 400);
    assert_eq!(away.hear().told(), (200, "1"));
    assert_eq!(home.ask("GET", &target, "").status, 400);
}

pub fn a_poll_that_goes_away_ends_the_session(place: Place) {
    let world = slow(place);
    let Session { mut home, mut away, third, target, .. } = world.session();
    away.send("GET", &target, "");
    world.polls_hang(1);
    drop(away);
    // At once, and from wherever: the session ends, or sees two polls.
    let mut next = if place.shards == 1 { third } else { world.line_off(home.shard) };
    assert_eq!(next.ask("GET", &target, "").status, 400);
    world.polls_hang(0);
    let unknown = r#"{"code":1,"message":"Session ID unknown"}"#;
    assert_eq!(home.ask("GET", &target, "").told(), (400, unknown));
}

pub fn a_text_comes_back_over_a_websocket(place: Place) {
    let world = slow(place);
    let (mut socket, _) = world.socket();
    socket.say("4hello");
    assert_eq!(socket.hear(), "4hello");
    socket.close();
}

pub fn bytes_come_back_over_a_websocket(place: Place) {
    let world = slow(place);
    let (mut socket, _) = world.socket();
    socket.say_bytes(&[1, 2, 3, 4]);
    assert_eq!(socket.hear_bytes(), [1, 2, 3, 4]);
    socket.close();
}

pub fn what_is_no_packet_ends_a_websocket(place: Place) {
    let world = slow(place);
    let (mut socket, _) = world.socket();
    socket.say("abc");
    socket.hear_end();
}

pub fn who_polls_is_pinged(place: Place) {
    let world = quick(place);
    let Session { mut away, mut third, target, .. } = world.session();
    for _ in 0..3 {
        assert_eq!(away.ask("GET", &target, "").told(), (200, "2"));
        assert_eq!(third.ask("POST", &target, "3").told(), (200, "ok"));
    }
}

pub fn who_polls_and_does_not_answer_is_gone(place: Place) {
    let world = quick(place);
    let Session { mut away, target, .. } = world.session();
    // The interval and the time for a pong, to the millisecond; the session began before.
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(away.ask("GET", &target, "").status, 400);
}

pub fn a_websocket_is_pinged(place: Place) {
    let world = quick(place);
    let (mut socket, _) = world.socket();
    for _ in 0..3 {
        assert_eq!(socket.hear(), "2");
        socket.say("3");
    }
    socket.close();
}

pub fn a_websocket_that_does_not_answer_is_closed(place: Place) {
    let world = quick(place);
    let (mut socket, _) = world.socket();
    socket.hear_end();
}

pub fn a_polling_session_is_ended(place: Place) {
    let world = slow(place);
    let Session { mut home, mut away, mut third, target, .. } = world.session();
    away.send("GET", &target, "");
    world.polls_hang(1);
    assert_eq!(third.ask("POST", &target, "1").told(), (200, "ok"));
    assert_eq!(away.hear().told(), (200, "6"));
    assert_eq!(home.ask("GET", &target, "").status, 400);
    // Both at once: whichever comes first.
    let Session { mut home, mut away, mut third, target, .. } = world.session();
    away.send("GET", &target, "");
    third.send("POST", &target, "1");
    assert_eq!(away.hear().told(), (200, "6"));
    assert_eq!(third.hear().told(), (200, "ok"));
    assert_eq!(home.ask("GET", &target, "").status, 400);
}

pub fn a_websocket_session_is_ended(place: Place) {
    let world = slow(place);
    let (mut socket, _) = world.socket();
    socket.say("1");
    socket.hear_end();
}

pub fn a_websocket_takes_over(place: Place) {
    let world = slow(place);
    let Session { mut away, third, target, upgrade, .. } = world.session();
    let mut socket = third.upgrade(&upgrade).unwrap();
    socket.say("2probe");
    assert_eq!(socket.hear(), "3probe");
    // Whoever polls is let go, to be able to go over.
    assert_eq!(away.ask("GET", &target, "").told(), (200, "6"));
    socket.say("5");
    if place.path == super::EIO.0 {
        socket.say("4hello");
        assert_eq!(socket.hear(), "4hello");
    } else {
        socket.say("40");
        assert!(socket.hear().starts_with("40{\"sid\":"));
    }
    socket.close();
}

pub fn nobody_polls_behind_a_websocket(place: Place) {
    let world = slow(place);
    let Session { mut away, third, target, upgrade, .. } = world.session();
    let mut socket = third.upgrade(&upgrade).unwrap();
    socket.say("2probe");
    assert_eq!(socket.hear(), "3probe");
    socket.say("5");
    assert_eq!(away.ask("GET", &target, "").status, 400);
    socket.close();
}

pub fn a_second_websocket_is_closed(place: Place) {
    let world = slow(place);
    let Session { away, third, upgrade, .. } = world.session();
    let mut socket = third.upgrade(&upgrade).unwrap();
    socket.say("2probe");
    assert_eq!(socket.hear(), "3probe");
    socket.say("5");
    let mut second = away.upgrade(&upgrade).unwrap();
    second.hear_end();
    // The first is as it was.
    if place.path == super::EIO.0 {
        socket.say("4hello");
        assert_eq!(socket.hear(), "4hello");
    }
    socket.close();
}

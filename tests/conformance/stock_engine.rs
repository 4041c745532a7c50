//! What the suite of the stock Engine.IO client takes for granted of its server.

use serde_json::{Value, json};

use super::client::{Line, Socket};
use super::world::{Session, World};

const PATH: &str = "/engine.io/";
const HANDSHAKE: &str = "/engine.io/?EIO=4&transport=polling";

fn everywhere(case: fn(World)) {
    for shards in [1, 4] {
        case(World::quick("engine", shards, PATH));
    }
}

#[test]
fn sessions_begin_with_its_times_and_its_bound() {
    everywhere(|world| {
        let opened = world.line().open(PATH);
        let times = [&opened["pingInterval"], &opened["pingTimeout"], &opened["maxPayload"]];
        assert_eq!(times, [&json!(500), &json!(20_000), &json!(100)]);
    });
}

#[test]
fn a_session_is_greeted() {
    everywhere(|world| {
        let Session { mut away, target, .. } = world.session();
        assert_eq!(away.ask("GET", &target, "").told(), (200, "4hi"));
        assert_eq!(world.socket().0.hear(), "4hi");
    });
}

/// Over a WebSocket: what is said, and what is heard.
fn greeted(world: &World) -> Socket {
    let (mut socket, _) = world.socket();
    assert_eq!(socket.hear(), "4hi");
    socket
}

#[test]
fn messages_come_back_but_two_that_ask_for_something() {
    everywhere(|world| {
        let mut socket = greeted(&world);
        socket.say("4give");
        assert_eq!(socket.hear(), "4give");
        socket.say_bytes(&[7]);
        assert_eq!(socket.hear_bytes(), [7]);
        socket.say("4give binary");
        assert_eq!(socket.hear_bytes(), [0, 1, 2, 3, 4]);
        socket.say("4give utf8");
        assert_eq!(socket.hear(), "4пойду спать всем спокойной ночи");
        let Session { mut away, mut third, target, .. } = world.session();
        let asked = "4give binary\x1e4give utf8\x1e4x";
        assert_eq!(away.ask("POST", &target, asked).told(), (200, "ok"));
        let told = "4hi\x1ebAAECAwQ=\x1e4пойду спать всем спокойной ночи\x1e4x";
        assert_eq!(third.ask("GET", &target, "").told(), (200, told));
    });
}

#[test]
fn the_headers_of_a_post_are_told() {
    everywhere(|world| {
        let Session { mut away, mut third, target, .. } = world.session();
        away.send_with("POST", &target, "Cookie: 1=1; 2=2\r\nX-Y: \"z\"\r\n", "4sendHeaders");
        assert_eq!(away.hear().told(), (200, "ok"));
        let answer = third.ask("GET", &target, "");
        let told = answer.body.strip_prefix("4hi\x1e4").unwrap();
        let told: Value = serde_json::from_str(told).unwrap();
        assert_eq!((&told["cookie"], &told["x-y"]), (&json!("1=1; 2=2"), &json!("\"z\"")));
    });
}

#[test]
fn who_asks_to_be_turned_away_is() {
    everywhere(|world| {
        let refused = world.line().ask("GET", &format!("{HANDSHAKE}&deny=1"), "");
        assert_eq!(refused.told(), (403, r#"{"code":4,"message":"Forbidden"}"#));
        let target = format!("{PATH}?EIO=4&transport=websocket&deny=1");
        assert_eq!(world.line().upgrade(&target).err(), Some(403));
    });
}

#[test]
fn the_first_answer_sets_cookies() {
    fn assert_set(cookies: &[&str]) {
        let [one, two, three, four] = cookies else { panic!("{cookies:?}") };
        assert_eq!(*one, "1=1; Max-Age=86400");
        assert_eq!(*two, "2=2; Path=/; HttpOnly; Secure; SameSite=Strict");
        assert_eq!(*three, "3=3; Max-Age=0");
        assert!(four.starts_with("4=4; Expires=") && four.ends_with(" GMT"), "{four}");
    }
    everywhere(|world| {
        let mut line = world.line();
        let first = line.ask("GET", HANDSHAKE, "");
        assert_set(&first.all("set-cookie"));
        let opened: Value = serde_json::from_str(&first.body[1..]).unwrap();
        let target = format!("{HANDSHAKE}&sid={}", opened["sid"].as_str().unwrap());
        assert!(line.ask("GET", &target, "").all("set-cookie").is_empty());
        let (socket, _) = world.socket();
        assert_set(&socket.cookies.iter().map(String::as_str).collect::<Vec<_>>());
    });
}

#[test]
fn a_body_over_the_bound_is_refused_without_words() {
    everywhere(|world| {
        let Session { mut away, mut third, target, .. } = world.session();
        let just = format!("4{}", "a".repeat(99));
        assert_eq!(away.ask("POST", &target, &just).told(), (200, "ok"));
        assert_eq!(third.ask("POST", &target, &format!("{just}a")).told(), (413, ""));
    });
}

#[test]
fn a_message_over_the_bound_closes_a_websocket_without_words() {
    everywhere(|world| {
        let mut socket = greeted(&world);
        let just = format!("4{}", "a".repeat(99));
        socket.say(&just);
        assert_eq!(socket.hear(), just);
        socket.say(&format!("{just}a"));
        assert_eq!(socket.hear_end(), Some((1009, String::new())));
    });
}

#[test]
fn a_session_that_is_not_there_is_unknown() {
    everywhere(|world| {
        let mut line: Line = world.line();
        for sid in ["abc", "AAAAAAAAAAAAAAAAAAAA", "________AAAAAAAAAAAA"] {
            let answer = line.ask("GET", &format!("{HANDSHAKE}&sid={sid}"), "");
            let unknown = r#"{"code":1,"message":"Session ID unknown"}"#;
            assert_eq!(answer.told(), (400, unknown));
        }
    });
}

//! What the suite of the stock Socket.IO client takes for granted of its server.

use std::time::Instant;

use serde_json::{Value, json};

use super::client::Socket;
use super::world::World;

const PATH: &str = "/socket.io/";
const TARGET: &str = "/socket.io/?EIO=4&transport=websocket";
/// An argument that stands for bytes.
const BYTES: &str = r#"{"_placeholder":true,"num":0}"#;

fn everywhere(case: fn(World)) {
    for shards in [1, 4] {
        // Else each event has one more argument.
        case(World::with("client", shards, PATH, &[("socketio.recovery_ms", "0")]));
    }
}

/// Connects a socket of a namespace, `/foo,` say; gives its name.
fn connect(socket: &mut Socket, namespace: &str, auth: &str) -> String {
    socket.say(&format!("40{namespace}{auth}"));
    let heard = socket.hear();
    let said = heard.strip_prefix(&format!("40{namespace}")).unwrap_or_else(|| panic!("{heard}"));
    let said: Value = serde_json::from_str(said).unwrap();
    said["sid"].as_str().unwrap().to_owned()
}

fn connected(world: &World) -> Socket {
    let (mut socket, _) = world.socket();
    connect(&mut socket, "", "");
    socket
}

fn exchange(socket: &mut Socket, said: &str, heard: &[&str]) {
    socket.say(said);
    for heard in heard {
        assert_eq!(socket.hear(), *heard, "to {said}");
    }
}

#[test]
fn sessions_begin_with_its_times_and_not_at_once() {
    everywhere(|world| {
        let began = Instant::now();
        let opened = world.line().open(PATH);
        assert!(began.elapsed().as_millis() >= 10);
        let times = [&opened["pingInterval"], &opened["pingTimeout"], &opened["maxPayload"]];
        assert_eq!(times, [&json!(2000), &json!(20_000), &json!(1_000_000)]);
        let began = Instant::now();
        world.socket();
        assert!(began.elapsed().as_millis() >= 10);
    });
}

#[test]
fn its_namespaces_are_there_and_one_lets_nobody_in() {
    everywhere(|world| {
        let (mut socket, _) = world.socket();
        for namespace in ["/foo,", "", "/timeout_socket,", "/valid,", "/asd,"] {
            connect(&mut socket, namespace, "");
        }
        let refused = r#"44/no,{"message":"Auth failed (custom namespace)"}"#;
        exchange(&mut socket, "40/no", &[refused]);
        let invalid = r#"44/other,{"message":"Invalid namespace"}"#;
        exchange(&mut socket, "40/other", &[invalid]);
        exchange(&mut socket, r#"42["hi"]"#, &[r#"42["hi"]"#]);
    });
}

#[test]
fn who_asks_to_fail_does() {
    everywhere(|world| {
        let (mut socket, _) = world.socket_at(&format!("{TARGET}&fail=true"));
        let refused = r#"44{"message":"Auth failed (main namespace)"}"#;
        exchange(&mut socket, "40", &[refused]);
        connect(&mut socket, "/foo,", "");
    });
}

#[test]
fn a_socket_hears_its_handshake() {
    everywhere(|world| {
        let (mut socket, _) = world.socket_at(&format!("{TARGET}&%26a=%26%3D%3Fa&b=c"));
        let auth = r#"{"a":"b","c":{"d":1}}"#;
        connect(&mut socket, "/abc,", auth);
        let told: Value = serde_json::from_str(&socket.hear()["42/abc,".len()..]).unwrap();
        let handshake = &told[1];
        assert_eq!(told[0], "handshake");
        assert_eq!(
            (&handshake["query"]["&a"], &handshake["query"]["b"]),
            (&json!("&=?a"), &json!("c"))
        );
        assert_eq!(handshake["auth"], json!({"a":"b","c":{"d":1}}));
        assert_eq!(handshake["headers"]["upgrade"], "websocket");
        // Each socket's own, asked for.
        connect(&mut socket, "", "");
        socket.say(r#"427["getHandshake"]"#);
        let told: Value = serde_json::from_str(&socket.hear()["437".len()..]).unwrap();
        assert_eq!((&told[0]["auth"], &told[0]["query"]["b"]), (&json!({}), &json!("c")));
    });
}

#[test]
fn a_socket_hears_its_name_which_is_not_the_engines() {
    everywhere(|world| {
        let (mut socket, opened) = world.socket();
        let root = connect(&mut socket, "", "");
        let foo = connect(&mut socket, "/foo,", "");
        exchange(&mut socket, r#"421["getId"]"#, &[&format!("431[\"{root}\"]")]);
        exchange(&mut socket, r#"42/foo,1["getId"]"#, &[&format!("43/foo,1[\"{foo}\"]")]);
        assert!(root != foo && opened["sid"] != *root && opened["sid"] != *foo);
    });
}

#[test]
fn what_is_echoed_is_the_first_argument() {
    everywhere(|world| {
        let mut socket = connected(&world);
        exchange(&mut socket, r#"420["echo",42,7]"#, &["430[42]"]);
        exchange(&mut socket, r#"429["echo",{"a":[ 1 ]}]"#, &[r#"439[{"a":[ 1 ]}]"#]);
    });
}

#[test]
fn a_client_acknowledges_in_time_once_and_what_it_was_asked() {
    everywhere(|world| {
        let mut socket = connected(&world);
        exchange(&mut socket, r#"42["ack"]"#, &[r#"421["ack"]"#]);
        // Neither a number that nobody gave, nor another answer.
        socket.say(r#"432[5,{"test":true}]"#);
        exchange(&mut socket, r#"431[5,{"test":true}]"#, &[r#"42["got it"]"#]);
        socket.say(r#"431[5,{"test":true}]"#);
        exchange(&mut socket, r#"42["ack"]"#, &[r#"422["ack"]"#]);
        socket.say(r#"432[5,{"test":false}]"#);
        exchange(&mut socket, r#"42["hi"]"#, &[r#"42["hi"]"#]);
    });
}

#[test]
fn dates_are_texts() {
    everywhere(|world| {
        let mut socket = connected(&world);
        let asked = [
            (r#"421["getAckDate",{"test":true}]"#, "431[\"", "\"]"),
            (r#"42["getDate"]"#, "42[\"takeDate\",\"", "\"]"),
            (r#"42["getDateObj"]"#, "42[\"takeDateObj\",{\"date\":\"", "\"}]"),
        ];
        for (said, before, behind) in asked {
            socket.say(said);
            let heard = socket.hear();
            let date = heard.strip_prefix(before).and_then(|it| it.strip_suffix(behind));
            let date = date.unwrap_or_else(|| panic!("{heard}"));
            assert!(date.len() == 24 && date.starts_with("20") && date.ends_with('Z'), "{date}");
        }
    });
}

#[test]
fn texts_and_false_are_told() {
    everywhere(|world| {
        let mut socket = connected(&world);
        let texts = [
            r#"42["takeUtf8","てすと"]"#,
            r#"42["takeUtf8","Я Б Г Д Ж Й"]"#,
            r#"42["takeUtf8","Ä ä Ü ü ß"]"#,
            r#"42["takeUtf8","utf8 — string"]"#,
            r#"42["takeUtf8","utf8 — string"]"#,
        ];
        exchange(&mut socket, r#"42["getUtf8"]"#, &texts);
        exchange(&mut socket, r#"42["false"]"#, &[r#"42["false",false]"#]);
    });
}

#[test]
fn bytes_are_told() {
    everywhere(|world| {
        let mut socket = connected(&world);
        for (said, name) in [("doge", "doge"), ("getbin", "takebin")] {
            exchange(
                &mut socket,
                &format!("42[\"{said}\"]"),
                &[&format!("451-[\"{name}\",{BYTES}]")],
            );
            assert_eq!(socket.hear_bytes(), b"asdfasdf");
        }
    });
}

/// Says an event with one argument and bytes beside it.
fn say_bytes(socket: &mut Socket, name: &str, argument: &str) {
    socket.say(&format!("451-[\"{name}\",{argument}]"));
    socket.say_bytes(b"x");
}

#[test]
fn bytes_are_known_as_bytes() {
    everywhere(|world| {
        let mut socket = connected(&world);
        let mixed = format!("{{\"hello\":\"lol\",\"message\":{BYTES},\"goodbye\":\"gotcha\"}}");
        let asked = [
            ("buffa", BYTES, "buffack"),
            ("blob", BYTES, "back"),
            ("jsonbuff", &mixed, "jsonbuff-ack"),
            ("jsonblob", &mixed, "jsonblob-ack"),
        ];
        for (name, argument, answer) in asked {
            // Not without.
            socket.say(&format!("42[\"{name}\",\"x\"]"));
            say_bytes(&mut socket, name, argument);
            assert_eq!(socket.hear(), format!("42[\"{answer}\"]"));
        }
    });
}

#[test]
fn bytes_are_known_to_come_in_their_order() {
    everywhere(|world| {
        let mut socket = connected(&world);
        say_bytes(&mut socket, "abuff2", BYTES);
        say_bytes(&mut socket, "abuff1", BYTES);
        say_bytes(&mut socket, "abuff2", BYTES);
        say_bytes(&mut socket, "blob3", BYTES);
        say_bytes(&mut socket, "blob1", BYTES);
        say_bytes(&mut socket, "blob3", BYTES);
        socket.say(r#"42["blob2","second"]"#);
        say_bytes(&mut socket, "blob3", BYTES);
        assert_eq!(socket.hear(), r#"42["abuff2-ack"]"#);
        assert_eq!(socket.hear(), r#"42["blob3-ack"]"#);
    });
}

#[test]
fn a_socket_that_lost_its_transport_comes_back_as_the_same() {
    for shards in [1, 4] {
        let world = World::quick("client", shards, PATH);
        let line = world.line_on(|_| true);
        let shard = line.shard;
        let mut socket = line.upgrade(TARGET).unwrap();
        socket.hear();
        socket.say("40");
        let told: Value = serde_json::from_str(&socket.hear()[2..]).unwrap();
        let (name, pid) = (told["sid"].as_str().unwrap(), told["pid"].as_str().unwrap());
        socket.say(r#"42["hi"]"#);
        let heard: Value = serde_json::from_str(&socket.hear()[2..]).unwrap();
        let [event, offset] = &heard.as_array().unwrap()[..] else { panic!("{heard}") };
        assert_eq!(event, "hi");
        // What is to be acknowledged carries none.
        exchange(&mut socket, r#"42["ack"]"#, &[r#"421["ack"]"#]);
        drop(socket);
        // To the shard that it was on.
        let mut socket = world.line_on(|it| it == shard).upgrade(TARGET).unwrap();
        socket.hear();
        socket.say(&format!("40{{\"pid\":\"{pid}\",\"offset\":{offset}}}"));
        let again: Value = serde_json::from_str(&socket.hear()[2..]).unwrap();
        assert_eq!((&again["sid"], &again["pid"]), (&json!(name), &json!(pid)));
    }
}

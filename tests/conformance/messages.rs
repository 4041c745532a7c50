//! Socket.IO: how sockets connect to namespaces, say things there and leave.

use serde_json::Value;

use super::Place;
use super::client::Socket;
use super::world::World;

const MODE: &str = "protocol";

fn slow(place: Place) -> World {
    World::slow(MODE, place.shards, place.path)
}

/// Connects to a namespace as it is named in packets, and hears what it said of itself.
fn connect(socket: &mut Socket, namespace: &str, auth: &str) {
    socket.say(&format!("40{namespace}{auth}"));
    assert_named(&socket.hear(), namespace);
    let heard = if auth.is_empty() { "{}" } else { auth };
    assert_eq!(socket.hear(), format!("42{namespace}[\"auth\",{heard}]"));
}

/// That a packet names a socket, and says nothing else.
fn assert_named(packet: &str, namespace: &str) {
    let said = packet.strip_prefix(&format!("40{namespace}")).expect("a namespace is connected");
    let said: Value = serde_json::from_str(said).unwrap();
    assert_eq!(said.as_object().unwrap().len(), 1);
    assert_eq!(said["sid"].as_str().unwrap().len(), 20);
}

fn connected(world: &World) -> Socket {
    let (mut socket, opened) = world.socket();
    socket.say("40");
    let packet = socket.hear();
    assert_named(&packet, "");
    assert!(!packet.contains(opened["sid"].as_str().unwrap()), "the engine's name is a secret");
    assert_eq!(socket.hear(), "42[\"auth\",{}]");
    socket
}

pub fn a_socket_connects(place: Place) {
    let world = slow(place);
    connect(&mut world.socket().0, "", "");
}

pub fn a_socket_connects_and_says_who_it_is(place: Place) {
    let world = slow(place);
    connect(&mut world.socket().0, "", r#"{"token":"123"}"#);
}

pub fn a_socket_connects_to_a_namespace(place: Place) {
    let world = slow(place);
    connect(&mut world.socket().0, "/custom,", "");
}

pub fn a_socket_connects_to_a_namespace_and_says_who_it_is(place: Place) {
    let world = slow(place);
    connect(&mut world.socket().0, "/custom,", r#"{"token":"abc"}"#);
}

pub fn a_namespace_that_is_not_there_is_refused(place: Place) {
    let world = slow(place);
    let (mut socket, _) = world.socket();
    for namespace in ["/random", "/ws", "/custom?x=1"] {
        socket.say(&format!("40{namespace}"));
        let refused = format!("44{namespace},{{\"message\":\"Invalid namespace\"}}");
        assert_eq!(socket.hear(), refused);
    }
    // The engine stays.
    connect(&mut socket, "", "");
}

pub fn what_is_no_connect_packet_ends_the_engine(place: Place) {
    let world = slow(place);
    let (mut socket, _) = world.socket();
    socket.say("4abc");
    socket.hear_end();
}

pub fn an_engine_without_a_socket_is_closed(place: Place) {
    let world = slow(place);
    let (mut socket, _) = world.socket();
    socket.hear_end();
}

pub fn a_socket_disconnects_and_the_engine_stays(place: Place) {
    let world = World::quick(MODE, place.shards, place.path);
    let mut socket = connected(&world);
    socket.say("41");
    assert_eq!(socket.hear(), "2");
}

pub fn a_namespace_is_left_and_another_stays(place: Place) {
    let world = slow(place);
    let mut socket = connected(&world);
    socket.say("40/custom");
    assert_named(&socket.hear(), "/custom,");
    assert_eq!(socket.hear(), "42/custom,[\"auth\",{}]");
    socket.say("41/custom");
    socket.say(r#"42["message","message to main namespace"]"#);
    assert_eq!(socket.hear(), r#"42["message-back","message to main namespace"]"#);
}

pub fn an_event_comes_back(place: Place) {
    let world = slow(place);
    let mut socket = connected(&world);
    socket.say(r#"42["message",1,"2",{"3":[true]}]"#);
    assert_eq!(socket.hear(), r#"42["message-back",1,"2",{"3":[true]}]"#);
    socket.say(r#"42["message"]"#);
    assert_eq!(socket.hear(), r#"42["message-back"]"#);
}

const TWO: &str = r#"{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}"#;

fn say_with_bytes(socket: &mut Socket, packet: &str) {
    socket.say(packet);
    socket.say_bytes(&[1, 2, 3]);
    socket.say_bytes(&[4, 5, 6]);
}

fn hear_with_bytes(socket: &mut Socket, packet: &str) {
    assert_eq!(socket.hear(), packet);
    assert_eq!(socket.hear_bytes(), [1, 2, 3]);
    assert_eq!(socket.hear_bytes(), [4, 5, 6]);
}

pub fn an_event_with_bytes_comes_back(place: Place) {
    let world = slow(place);
    let mut socket = connected(&world);
    say_with_bytes(&mut socket, &format!("452-[\"message\",{TWO}]"));
    hear_with_bytes(&mut socket, &format!("452-[\"message-back\",{TWO}]"));
}

pub fn an_event_is_acknowledged(place: Place) {
    let world = slow(place);
    let mut socket = connected(&world);
    socket.say(r#"42456["message-with-ack",1,"2",{"3":[false]}]"#);
    assert_eq!(socket.hear(), r#"43456[1,"2",{"3":[false]}]"#);
    socket.say(r#"420["message-with-ack"]"#);
    assert_eq!(socket.hear(), "430[]");
}

pub fn an_event_with_bytes_is_acknowledged(place: Place) {
    let world = slow(place);
    let mut socket = connected(&world);
    say_with_bytes(&mut socket, &format!("452-789[\"message-with-ack\",{TWO}]"));
    hear_with_bytes(&mut socket, &format!("462-789[{TWO}]"));
}

fn ends_the_engine(place: Place, packet: &str) {
    let world = slow(place);
    let mut socket = connected(&world);
    socket.say(packet);
    socket.hear_end();
}

pub fn a_packet_of_no_type_ends_the_engine(place: Place) {
    ends_the_engine(place, "4abc");
}

pub fn an_event_that_is_no_array_ends_the_engine(place: Place) {
    ends_the_engine(place, "42{}");
}

pub fn an_acknowledgement_by_no_number_ends_the_engine(place: Place) {
    ends_the_engine(place, r#"42abc["message-with-ack",1,"2",{"3":[false]}]"#);
}

//! Clients of Socket.IO that lose their transport and come back: what they find, what they hear, and
//! when they begin anew. A shard is driven without sockets; its invariants are asserted each turn.

#[path = "recovery/missed.rs"]
mod missed;
#[path = "recovery/moves.rs"]
mod moves;
#[path = "recovery/world.rs"]
mod world;

use std::sync::Arc;

use serde_json::{Value, json};
use world::{Client, RECOVERY_MS, World, policy};

/// A world with a client in room `r`, and another who talks there.
fn meeting() -> (World, Client, Client) {
    let mut world = World::new(1);
    let (mut a, mut b) = (Client::new("a"), Client::new("b"));
    for client in [&mut a, &mut b] {
        world.connect(client);
        world.join(client, "r");
    }
    (world, a, b)
}

fn say(world: &mut World, client: &mut Client, content: &Value) {
    world.emit(client, &json!(["message", {"room": "r", "content": content}]));
    client.heard.clear();
}

#[test]
fn who_comes_back_has_its_name_and_its_rooms_and_hears_what_it_missed() {
    let (mut world, mut a, mut b) = meeting();
    say(&mut world, &mut b, &json!(0));
    world.hear(&mut a);
    assert_eq!(a.messages(), [json!(0)]);
    let before = a.clone();
    world.lose(&mut a);
    assert_eq!(world.reading("socketio_ghosts"), 1);
    for number in 1..4 {
        say(&mut world, &mut b, &json!(number));
    }
    world.connect(&mut a);
    assert!(a.recovered);
    assert_eq!((&a.sid, &a.pid), (&before.sid, &before.pid));
    let heard: Vec<_> = a.heard.iter().map(|it| it[1]["content"].as_i64()).collect();
    assert_eq!(heard, [Some(1), Some(2), Some(3), None]);
    assert_eq!(a.heard[3], "connected");
    // Each has an offset of its own, behind the message.
    let offsets: Vec<&str> = a.heard[..3].iter().filter_map(|it| it[2].as_str()).collect();
    assert!(offsets.is_sorted() && offsets[0] != offsets[1] && offsets[1] != offsets[2]);
    a.heard.clear();
    say(&mut world, &mut b, &json!(4));
    world.hear(&mut a);
    assert_eq!(a.messages(), [json!(4)]);
    assert_eq!((world.reading("socketio_ghosts"), world.reading("recovered_total")), (0, 1));
    // It may say something too, as a member.
    say(&mut world, &mut a, &json!(5));
    world.hear(&mut b);
    assert_eq!(b.messages(), [json!(5)]);
}

#[test]
fn who_never_heard_an_event_comes_back_without_an_offset() {
    let (mut world, _, mut b) = meeting();
    let mut a = Client::new("a");
    world.connect(&mut a);
    assert_eq!(a.offset, None);
    for round in 0..3 {
        world.lose(&mut a);
        let to = json!(["message", {"to": a.sid, "content": round}]);
        world.frame(&mut b, &format!("427{to}"));
        world.rest();
        world.hear(&mut b);
        let ack = b.heard.last().and_then(Value::as_str).expect("an acknowledgement");
        assert!(ack.starts_with("437") && ack.contains("\"delivered\":0"), "{ack}");
        world.connect(&mut a);
        assert!(a.recovered);
        assert_eq!(a.messages(), [json!(round)]);
    }
}

#[test]
fn whose_time_is_over_begins_anew() {
    let (mut world, mut a, mut b) = meeting();
    let before = a.clone();
    world.lose(&mut a);
    world.pass(RECOVERY_MS + 1000, &mut [&mut b]);
    assert_eq!(world.reading("socketio_ghosts"), 0);
    world.connect(&mut a);
    assert!(!a.recovered && a.sid != before.sid && a.pid != before.pid);
    assert_eq!(a.heard, [json!("connected")]);
    say(&mut world, &mut b, &json!(1));
    world.hear(&mut a);
    assert_eq!(a.messages(), [] as [Value; 0]);
    assert_eq!(world.reading("ghosts_forgotten_total"), 1);
}

#[test]
fn what_cannot_be_a_return_is_an_ordinary_connect() {
    let (mut world, mut a, _) = meeting();
    let ghost = a.clone();
    world.lose(&mut a);
    let pid = ghost.pid.clone().expect("it has one");
    let offset = ghost.offset.clone().expect("it has one");
    let (epoch, _) = offset.split_once('-').expect("two parts");
    let mut turned = pid.clone();
    turned.replace_range(19.., if pid.ends_with('A') { "Q" } else { "A" });
    for (pid, offset) in [
        (json!(turned), json!(offset)),
        (json!(ghost.sid), json!(offset)),
        (json!(7), json!(offset)),
        (json!("a"), json!(offset)),
        (json!(pid), json!(7)),
        (json!(pid), json!("")),
        (json!(pid), json!(format!("{epoch}-zzz"))),
        (json!(pid), json!(format!("a{offset}"))),
        (json!("____________________"), json!(offset)),
    ] {
        let mut client = Client::new("a");
        world.arrive(&mut client);
        let mut auth = world.auth(&client);
        (auth["pid"], auth["offset"]) = (pid, offset);
        world.frame(&mut client, &format!("40{auth}"));
        world.rest();
        world.hear(&mut client);
        assert_eq!(client.heard, [json!("connected")], "{auth}");
        assert_ne!(client.sid, ghost.sid);
    }
    // Another user has no use for it; another tenant's user of the same id is another.
    for claims in [json!({"sub": "b"}), json!({"sub": "a", "tenantId": "t"})] {
        let mut other = Client { claims, engine: None, ..ghost.clone() };
        world.connect(&mut other);
        assert!(!other.recovered && other.sid != ghost.sid);
    }
    let mut nobody = Client { user: "", engine: None, ..ghost.clone() };
    world.connect(&mut nobody);
    assert!(!nobody.recovered && nobody.sid != ghost.sid);
    assert_eq!(world.reading("socketio_ghosts"), 1);
    world.connect(&mut a);
    assert!(a.recovered);
}

#[test]
fn a_token_that_is_none_is_told_so_and_the_socket_waits() {
    let (mut world, mut a, _) = meeting();
    world.lose(&mut a);
    let mut bad = a.clone();
    world.arrive(&mut bad);
    let auth = json!({"pid": a.pid, "offset": a.offset, "token": "none"});
    world.frame(&mut bad, &format!("40{auth}"));
    world.rest();
    world.hear(&mut bad);
    assert!(bad.heard[0].as_str().is_some_and(|it| it.starts_with("44{")), "{bad:?}");
    world.connect(&mut a);
    assert!(a.recovered);
}

#[test]
fn a_room_that_is_not_allowed_any_more_is_left_silently() {
    let (mut world, _, mut b) = meeting();
    let mut admin = Client::new("x");
    admin.claims = json!({"sub": "x", "roles": ["admin"]});
    world.connect(&mut admin);
    world.join(&mut admin, "admin.news");
    world.join(&mut admin, "r");
    world.lose(&mut admin);
    world.publish("admin.news", "1");
    say(&mut world, &mut b, &json!(2));
    admin.claims = json!({"sub": "x"});
    world.connect(&mut admin);
    assert!(admin.recovered);
    assert_eq!(admin.messages(), [json!(2)]);
    world.publish("admin.news", "3");
    say(&mut world, &mut b, &json!(4));
    world.hear(&mut admin);
    assert_eq!(admin.messages(), [json!(4)]);
}

#[test]
fn a_ghost_is_nobody_to_others() {
    let (mut world, mut a, mut b) = meeting();
    world.lose(&mut a);
    world.emit(&mut b, &json!(["join_room", {"room": "r"}]));
    assert_eq!(b.heard.last().map(|it| &it[1]["memberCount"]), Some(&json!(1)));
    assert_eq!((world.reading("connections"), world.reading("socketio_sockets")), (1, 1));
    assert_eq!(world.reading("connections_authenticated"), 1);
    world.connect(&mut a);
    world.emit(&mut b, &json!(["join_room", {"room": "r"}]));
    assert_eq!(b.heard.last().map(|it| &it[1]["memberCount"]), Some(&json!(2)));
    assert_eq!((world.reading("connections"), world.reading("socketio_sockets")), (2, 2));
}

#[test]
fn a_socket_whose_loss_nobody_noticed_is_taken_from_its_engine() {
    let (mut world, mut a, mut b) = meeting();
    let mut old = a.clone();
    say(&mut world, &mut b, &json!(1));
    // What was on its way to the old transport is missed.
    world.connect(&mut a);
    assert_eq!((a.recovered, a.messages()), (true, vec![json!(1)]));
    world.hear(&mut old);
    assert_eq!(old.heard.last(), Some(&json!("closed")));
    say(&mut world, &mut b, &json!(2));
    world.hear(&mut a);
    assert_eq!(a.messages(), [json!(2)]);
    assert_eq!(world.reading("connections"), 2);
    // A guest's engine too; and one that is said good-bye to while somebody is back already.
    let mut old = a.clone();
    world.connect(&mut a);
    assert!(a.recovered);
    world.hear(&mut old);
    assert_eq!(old.heard.last(), Some(&json!("closed")));
    let mut old = a.clone();
    world.send(&mut old, 0x88, &[]);
    world.connect(&mut a);
    assert!(a.recovered);
    world.hear(&mut old);
    assert_eq!(old.engine, None);
}

#[test]
fn who_says_good_bye_is_not_waited_for() {
    let (mut world, mut a, _) = meeting();
    world.frame(&mut a, "41");
    world.rest();
    world.lose(&mut a);
    assert_eq!(world.reading("socketio_ghosts"), 0);
    let sid = a.sid.clone();
    world.connect(&mut a);
    assert!(!a.recovered && a.sid != sid);
    // Nor who changes its mind while it comes back.
    world.lose(&mut a);
    world.publish("r", "1");
    world.arrive(&mut a);
    let auth = world.auth(&a);
    world.frame(&mut a, &format!("40{auth}"));
    world.frame(&mut a, "41");
    world.rest();
    world.hear(&mut a);
    assert_eq!((world.reading("socketio_ghosts"), a.heard.len()), (0, 1));
}

#[test]
fn two_namespaces_of_one_engine_come_back_each_by_itself() {
    let (mut world, mut a, mut b) = meeting();
    let auth = world.auth(&a);
    world.frame(&mut a, &format!("40/ws,{}", json!({"token": auth["token"]})));
    world.frame(&mut a, "42/ws,[\"SUBSCRIBE_NOTIFICATIONS\"]");
    world.rest();
    world.hear(&mut a);
    let reply = a.heard[0].as_str().and_then(|it| it.strip_prefix("40/ws,")).expect("a reply");
    let reply: Value = serde_json::from_str(reply).expect("an object");
    a.heard.clear();
    world.lose(&mut a);
    assert_eq!(world.reading("socketio_ghosts"), 2);
    world.publish("user:a:notifications", "{\"n\":1}");
    say(&mut world, &mut b, &json!(1));
    world.arrive(&mut a);
    let auth = world.auth(&a);
    let again = json!({"pid": reply["pid"], "token": auth["token"]});
    world.frame(&mut a, &format!("40/ws,{again}"));
    world.frame(&mut a, &format!("40{auth}"));
    world.rest();
    world.hear(&mut a);
    let ws: Vec<&str> = a.heard.iter().filter_map(Value::as_str).collect();
    assert!(ws[0].starts_with("42/ws,[\"NEW_NOTIFICATION\",{\"n\":1},\""), "{ws:?}");
    let replied = ws[1].strip_prefix("40/ws,").map(serde_json::from_str::<Value>);
    assert_eq!(replied.and_then(Result::ok), Some(reply));
    assert_eq!((a.recovered, a.messages()), (true, vec![json!(1)]));
    assert_eq!((world.reading("connections"), world.reading("socketio_sockets")), (2, 3));
}

#[test]
fn nobody_is_waited_for_by_a_process_that_ends() {
    let (mut world, mut a, mut b) = meeting();
    world.lose(&mut a);
    world.send(&mut b, 0x88, &[]);
    let now = world.now();
    world.shards[0].take_mail(now, &mut world.nets[0]);
    drain(&mut world);
    world.rest();
    world.hear(&mut b);
    assert_eq!(world.reading("socketio_ghosts"), 0);
    world.shards[0].check_empty(now);
}

fn drain(world: &mut World) {
    use shardwire::mail::{Delivery, Mail};
    use shardwire::mailbox::Post;
    let mut post = Post::new(Arc::clone(&world.mailboxes));
    let (told_by_ms, gone_by_ms) = (world.now_ms + 1, world.now_ms + 10_000);
    post.send(0, Mail::Delivery(Delivery::Drain { told_by_ms, gone_by_ms }));
    post.flush();
}

#[test]
fn without_recovery_no_event_has_more_than_its_arguments() {
    let mut world = World::with(1, policy(None));
    let mut a = Client::new("a");
    world.connect(&mut a);
    assert_eq!(a.pid, None);
    world.emit(&mut a, &json!(["join_room", {"room": "r"}]));
    world.emit(&mut a, &json!(["ping"]));
    world.publish("r", "{}");
    world.rest();
    world.hear(&mut a);
    let lens: Vec<_> = a.heard.iter().filter_map(|it| it.as_array().map(Vec::len)).collect();
    assert_eq!(lens, [2, 1, 2]);
    world.lose(&mut a);
    world.shards[0].check_empty(world.now());
}

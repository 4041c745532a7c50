//! The section `socketio`: its defaults and ranges, the names of events, the modes of conformance.

use super::*;

/// Path, dialect, whether it wants a token, whether it is Engine.IO alone.
type Row<'a> = (&'a str, Dialect, bool, bool);

fn row(it: &Endpoint) -> Row<'_> {
    (&it.path, it.dialect, it.require_authentication, it.engine_only)
}

fn endpoints(settings: &Settings) -> Vec<Row<'_>> {
    settings.endpoints.iter().map(row).collect()
}

#[test]
fn nothing_configured() {
    let settings = Settings::default().socketio;
    let expected = SocketIoSettings {
        ping_interval_ms: 25_000,
        ping_timeout_ms: 20_000,
        max_http_buffer_bytes: 1_000_000,
        recovery_ms: 0,
        test_notification: false,
        connect_ms: 45_000,
        handshake_delay_ms: 0,
        conformance: None,
        events: Events::default(),
    };
    assert_eq!(settings, expected);
}

#[test]
fn every_key_counts() {
    let given = toml(
        "[socketio]\nping_interval_ms = 100\nping_timeout_ms = 86_400_000\n\
         max_http_buffer_bytes = 64\nrecovery_ms = 120_000\ntest_notification = true\n\
         [socketio.events]\nmessage = 'chat'",
    );
    let settings = given.settings().socketio;
    assert_eq!((settings.ping_interval_ms, settings.ping_timeout_ms), (100, 86_400_000));
    assert_eq!((settings.max_http_buffer_bytes, settings.recovery_ms), (64, 120_000));
    assert!(settings.test_notification);
    assert_eq!(settings.events.message.text(), "chat");
    assert!(given.warnings().is_empty());
    let bare = Given { flags: vec![("endpoint", "[{path = '/a'}]")], ..given };
    let warnings = bare.warnings();
    assert_eq!(warnings.len(), 6, "{warnings:?}");
    let expected = "socketio.events (c.toml:7) has no effect: no endpoint speaks socketio";
    assert_eq!(warnings[5], expected);
}

#[test]
fn what_is_out_of_range() {
    for (key, value, allowed) in [
        ("socketio.ping_interval_ms", "99", "100 to 86400000 ms"),
        ("socketio.ping_interval_ms", "86400001", "100 to 86400000 ms"),
        ("socketio.ping_timeout_ms", "99", "100 to 86400000 ms"),
        ("socketio.max_http_buffer_bytes", "63", "64 to 268435456 bytes"),
        ("socketio.max_http_buffer_bytes", "268435457", "64 to 268435456 bytes"),
        ("socketio.recovery_ms", "86400001", "0 to 86400000 ms"),
    ] {
        let expected = format!("--set: {key} = {value}: out of range; allowed: {allowed}");
        assert_eq!(flags(&[(key, value)]).problems(), [expected]);
    }
    let word = flags(&[("socketio.conformance", "all")]).problems();
    let expected = "--set: socketio.conformance = all: unknown word; allowed: protocol, client, \
                    engine";
    assert_eq!(word, [expected]);
    assert!(flags(&[("socketio.test_notification", "maybe")]).load().is_err());
}

#[test]
fn an_outbox_holds_the_greatest_message() {
    let small = "[websocket]\nmax_message_bytes = 2048\n[slow_consumer]\noutbox_bytes_max = 4096";
    let given = toml(small);
    assert_eq!(given.settings().socketio.max_http_buffer_bytes, 4096);
    let printed = given.load().unwrap().to_toml(false);
    let line = printed.lines().find(|line| line.starts_with("max_http_buffer_bytes")).unwrap();
    assert!(
        line.starts_with("max_http_buffer_bytes = 4096 ") && line.ends_with("outbox_bytes_max")
    );
    let set = Given { flags: vec![("socketio.max_http_buffer_bytes", "4097")], ..given };
    let expected = "c.toml:4: slow_consumer.outbox_bytes_max = 4096: holds no message of the \
                    greatest size, socketio.max_http_buffer_bytes = 4097 (--set)";
    assert_eq!(set.problems(), [expected]);
}

#[test]
fn the_endpoint_is_there_without_its_slash_too() {
    const GIVEN: &str =
        "[[endpoint]]\npath = '/a'\n[[endpoint]]\npath = '/s/'\ndialect = 'socketio'";
    let paths = |given: Given| -> Vec<String> {
        given.settings().endpoints.into_iter().map(|endpoint| endpoint.path).collect()
    };
    let all = ["/ws", "/events", "/channels", "/ws/admin", "/socket.io/"];
    for path in ["/socket.io", "/socket.io/"] {
        assert_eq!(paths(env(&[("WEBSOCKET_PATH", path)])), all, "{path}");
    }
    let renamed = [&["/socket.io/x"], &all[1..]].concat();
    assert_eq!(paths(env(&[("WEBSOCKET_PATH", "/socket.io/x")])), renamed);
    for (path, expected) in [
        ("/s", ["/a", "/s/"]),
        ("/s/", ["/a", "/s/"]),
        ("/b", ["/b", "/s/"]),
        ("/a/", ["/a/", "/s/"]),
    ] {
        assert_eq!(paths(Given { env: vec![("WEBSOCKET_PATH", path)], ..toml(GIVEN) }), expected);
    }
    // Another endpoint may have the path without the slash: it is the one meant by it.
    let both = "[[endpoint]]\npath = '/s'\n[[endpoint]]\npath = '/s/'\ndialect = 'socketio'";
    assert_eq!(paths(toml(both)), ["/s", "/s/"]);
}

#[test]
fn events_by_other_names() {
    let given = toml(
        "[socketio.events]\nmessage = 'say \"it\"'\njoin_room = 'ping'\nping = 'join_room'\n\
         ERROR = 'error'\ndraw = 'drawn'\n'cursor moved' = 'cursor moved'",
    );
    let events = given.settings().socketio.events;
    assert_eq!((events.message.text(), events.message.json()), ("say \"it\"", r#""say \"it\"""#));
    assert_eq!(events.gateway_error.json(), "\"error\"");
    assert_eq!(events.room_joined.text(), "room_joined");
    let relays: Vec<_> =
        events.relays.iter().map(|it| (it.received.text(), it.sent.text())).collect();
    assert_eq!(relays, [("cursor moved", "cursor moved"), ("draw", "drawn")]);
    for (name, meant) in [
        ("say \"it\"", Some(RoomEvent::Message)),
        ("message", None),
        ("ping", Some(RoomEvent::JoinRoom)),
        ("join_room", Some(RoomEvent::Ping)),
        ("leave_room", Some(RoomEvent::LeaveRoom)),
        ("presence_update", Some(RoomEvent::PresenceUpdate)),
        ("draw", Some(RoomEvent::Relay(&events.relays[1]))),
        ("drawn", None),
        ("room_joined", None),
        ("SUBSCRIBE_NOTIFICATIONS", None),
    ] {
        assert_eq!(events.room_event(name), meant, "{name}");
    }
    let inline = flags(&[("socketio.events", "{draw = 'drawn'}")]).settings().socketio.events;
    assert_eq!(inline.relays[0].sent.text(), "drawn");
}

#[test]
fn the_names_of_the_contract() {
    let events = Events::default();
    for (name, expected) in [
        (&events.join_room, "join_room"),
        (&events.leave_room, "leave_room"),
        (&events.message, "message"),
        (&events.typing_start, "typing_start"),
        (&events.typing_stop, "typing_stop"),
        (&events.presence_update, "presence_update"),
        (&events.ping, "ping"),
        (&events.room_joined, "room_joined"),
        (&events.room_left, "room_left"),
        (&events.room_error, "room_error"),
        (&events.pong, "pong"),
        (&events.error, "error"),
        (&events.subscribe_notifications, "SUBSCRIBE_NOTIFICATIONS"),
        (&events.new_notification, "NEW_NOTIFICATION"),
        (&events.test_notification, "TEST_NOTIFICATION"),
        (&events.gateway_error, "ERROR"),
    ] {
        assert_eq!((name.text(), name.json()), (expected, &*format!("\"{expected}\"")));
    }
    assert!(events.relays.is_empty());
}

#[test]
fn names_that_no_event_may_have() {
    const ALLOWED: &str = "allowed: names of 1 to 64 bytes, not connect, connect_error, \
                           disconnect, disconnecting, newListener, removeListener";
    let long: &'static str = "n".repeat(65).leak();
    for (left, right, what) in [
        ("message", "''", "a name is empty"),
        ("''", "'x'", "a name is empty"),
        ("message", "'disconnect'", "disconnect is reserved"),
        ("newListener", "'x'", "newListener is reserved"),
        ("draw", "'connect_error'", "connect_error is reserved"),
        ("message", format!("'{long}'").leak(), "a name is too long"),
        (long, "'x'", "a name is too long"),
    ] {
        let problem = toml(format!("[socketio.events]\n{left} = {right}").leak()).problems();
        assert_eq!(problem.len(), 1, "{problem:?}");
        let end = format!(": {what}; {ALLOWED}");
        assert!(problem[0].starts_with("c.toml:1: socketio.events."), "{problem:?}");
        assert!(problem[0].ends_with(&end), "{problem:?}");
        assert!(problem[0].len() < 400, "{problem:?}");
    }
    let longest = long[..64].to_owned();
    let text = format!("[socketio.events]\nmessage = '{longest}'").leak();
    assert_eq!(toml(text).settings().socketio.events.message.text(), longest);
    for reserved in RESERVED_EVENTS {
        let text = format!("[socketio.events]\nmessage = '{reserved}'").leak();
        assert!(toml(text).load().is_err(), "{reserved}");
    }
}

#[test]
fn one_event_a_name() {
    for (names, event, name, other) in [
        ("ping = 'message'", "ping", "message", "message"),
        ("message = 'ping'", "message", "ping", "ping"),
        ("error = 'room_error'", "error", "room_error", "room_error"),
        ("typing_start = 'typing_stop'", "typing_start", "typing_stop", "typing_stop"),
        ("draw = 'message'", "draw", "message", "message"),
        ("draw = 'x'\npaint = 'x'", "paint", "x", "draw"),
        ("join_room = 'join'\njoin = 'x'", "join", "x", "join_room"),
        ("ERROR = 'NEW_NOTIFICATION'", "ERROR", "NEW_NOTIFICATION", "NEW_NOTIFICATION"),
    ] {
        let expected = format!(
            "c.toml:1: socketio.events.{event} = \"{name}\": is the name of {other} too; \
             allowed: one event a name"
        );
        assert_eq!(toml(format!("[socketio.events]\n{names}").leak()).problems(), [expected]);
    }
    for names in [
        "typing_start = 'typing_stop'\ntyping_stop = 'typing_start'",
        // Of another direction, and of another namespace.
        "join_room = 'room_joined'\nleave_room = 'pong'",
        "ERROR = 'error'\nNEW_NOTIFICATION = 'message'\nSUBSCRIBE_NOTIFICATIONS = 'join_room'",
        "message = 'chat'\ndraw = 'message'",
        "draw = 'draw'",
    ] {
        let loaded = toml(format!("[socketio.events]\n{names}").leak()).load();
        assert!(loaded.is_ok(), "{names}: {}", loaded.unwrap_err());
    }
}

#[test]
fn what_is_no_table_of_names() {
    let number = toml("[socketio.events]\nmessage = 5").problems();
    let expected = "c.toml:1: socketio.events = [socketio.events]: \"message\" is not a text in \
                    quotes; allowed: a table, each name = \"other name\"";
    assert_eq!(number, [expected]);
    assert!(toml("[socketio]\nevents = 'message'").problems()[0].contains("not a table; allowed"));
    assert!(flags(&[("socketio.events", "message")]).problems()[0].contains("not a table"));
    let many = crate::limits::EVENT_NAMES_MAX + 1;
    let names: Vec<_> = (0..many).map(|n| format!("n{n} = 'm{n}'")).collect();
    let problem = toml(format!("[socketio.events]\n{}", names.join("\n")).leak()).problems();
    assert_eq!(problem, ["c.toml:1: socketio.events: 257 names; at most 256 are allowed"]);
}

#[test]
fn what_a_mode_brings() {
    let protocol = flags(&[("socketio.conformance", "protocol")]).settings();
    let rooms = ("/socket.io/", Dialect::SocketIo, false, false);
    let engine = ("/engine.io/", Dialect::SocketIo, false, true);
    assert_eq!(endpoints(&protocol), [rooms, engine]);
    assert_eq!(protocol.server.host, "127.0.0.1");
    let SocketIoSettings { ping_interval_ms, ping_timeout_ms, connect_ms, .. } = protocol.socketio;
    assert_eq!((ping_interval_ms, ping_timeout_ms, connect_ms), (300, 200, 1000));
    assert_eq!(protocol.socketio.recovery_ms, 0);
    assert_eq!(protocol.socketio.conformance, Some(Conformance::Protocol));

    let client = flags(&[("socketio.conformance", "client")]).settings();
    assert_eq!(endpoints(&client), [rooms]);
    let SocketIoSettings { ping_interval_ms, ping_timeout_ms, connect_ms, .. } = client.socketio;
    assert_eq!((ping_interval_ms, ping_timeout_ms, connect_ms), (2000, 20_000, 45_000));
    assert_eq!((client.socketio.recovery_ms, client.socketio.handshake_delay_ms), (120_000, 10));

    let alone = flags(&[("socketio.conformance", "engine")]).settings();
    assert_eq!(endpoints(&alone), [engine]);
    let SocketIoSettings { ping_interval_ms, ping_timeout_ms, .. } = alone.socketio;
    assert_eq!((ping_interval_ms, ping_timeout_ms), (500, 20_000));
    assert_eq!(alone.socketio.max_http_buffer_bytes, 100);
}

#[test]
fn what_is_set_goes_before_the_mode() {
    let given = toml(
        "[socketio]\nconformance = 'protocol'\nping_interval_ms = 25_000\n\
         ping_timeout_ms = 20_000\n[server]\nhost = '::1'\n\
         [[endpoint]]\npath = '/engine.io'\ndialect = 'socketio'\n\
         [[endpoint]]\npath = '/x/'\ndialect = 'socketio'\nrequire_authentication = true\n\
         [[endpoint]]\npath = '/ws'",
    );
    let settings = given.settings();
    assert_eq!((settings.socketio.ping_interval_ms, &*settings.server.host), (25_000, "::1"));
    let expected = [
        ("/engine.io", Dialect::SocketIo, false, true),
        ("/x/", Dialect::SocketIo, true, false),
        ("/ws", Dialect::Topics, true, false),
    ];
    assert_eq!(endpoints(&settings), expected);
    // Without a mode the path means nothing.
    let plain = toml("[[endpoint]]\npath = '/engine.io/'\ndialect = 'socketio'").settings();
    assert_eq!(endpoints(&plain), [("/engine.io/", Dialect::SocketIo, true, false)]);
}

#[test]
fn a_mode_is_for_this_machine_only() {
    for host in ["0.0.0.0", "::", "192.168.0.1", "example.org"] {
        let given = flags(&[("socketio.conformance", "client"), ("server.host", host)]);
        let expected = format!(
            "--set: server.host = \"{host}\": socketio.conformance lets anyone in and listens on \
             loopback only; allowed: 127.0.0.1, ::1, localhost"
        );
        assert_eq!(given.problems(), [expected]);
    }
    // With both, each says it.
    let both = Given {
        dev: true,
        ..flags(&[("socketio.conformance", "client"), ("server.host", "0.0.0.0")])
    };
    assert_eq!(both.problems().len(), 2);
    for host in ["127.9.9.9", "::1", "localhost"] {
        let given = flags(&[("socketio.conformance", "engine"), ("server.host", host)]);
        assert_eq!(given.settings().server.host, host);
    }
}

#[test]
fn the_print_has_the_section() {
    let given = toml("[socketio]\nconformance = 'protocol'\nevents = { message = 'chat' }");
    let printed = given.load().unwrap().to_toml(false);
    let (_, section) = printed.split_once("\n[socketio]\n").unwrap();
    let section: Vec<_> = section.lines().take_while(|line| !line.is_empty()).collect();
    let expected = [
        "ping_interval_ms = 300           # socketio.conformance",
        "ping_timeout_ms = 200            # socketio.conformance",
        "max_http_buffer_bytes = 1000000",
        "recovery_ms = 0",
        "test_notification = false",
        "conformance = \"protocol\"         # c.toml:2",
        "events = { message = \"chat\" }    # c.toml:3",
    ];
    assert_eq!(section, expected);
    assert!(printed.contains("path = \"/engine.io/\""));
    let plain = Loaded::to_toml(&Given::default().load().unwrap(), true);
    assert!(
        plain.contains("\n# conformance = (unset)\n") && plain.contains("\n# events = (unset)")
    );
    assert!(plain.contains("\ndialect = \"socketio\""));
}

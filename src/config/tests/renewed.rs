//! What a reload changes: which settings are named, which are taken over, which stay.

use super::*;

/// From one configuration to another; what is then in force, and the keys taken over and not.
fn renewed(old: &Given, new: &Given) -> (Settings, Vec<&'static str>, Vec<&'static str>) {
    let (loaded, changes) = old.load().unwrap().renewed(new.load().unwrap()).unwrap();
    let keys = |applied| {
        let changes = changes.iter().filter(move |change| change.applied == applied);
        changes.map(|change| change.key).collect()
    };
    (loaded.settings, keys(true), keys(false))
}

#[test]
fn nothing_changes_though_it_is_written_elsewhere() {
    let old = toml("[server]\nport = 80\n[[rule]]\ntopic = 'a'\nallow = ['publish']");
    let new = Given {
        env: vec![("WEBSOCKET_PORT", "80")],
        ..toml("\n\n[[rule]]\nallow = ['publish']\ntopic = 'a'\ndecide = 'allow'")
    };
    let (settings, applied, waiting) = renewed(&old, &new);
    assert_eq!((settings.server.port, applied, waiting), (80, vec![], vec![]));
}

#[test]
fn what_can_be_taken_over_is_and_the_rest_stays() {
    let old = toml("[server]\nport = 80\n[limits]\nwindow_ms = 1000\n[[endpoint]]\npath = '/a'");
    let new = toml(
        "[server]\nport = 81\nallow_origins = ['*']\n[websocket]\ncompression = true\n\
         compression_min_bytes = 9\n[limits]\nwindow_ms = 2000\n[auth]\nsecret = 's'\n\
         [[rule]]\ntopic = 'a'\nallow = ['publish']\n[[history]]\ntopic = 'h'\nsize = 1\n\
         [[endpoint]]\npath = '/b'",
    );
    let (settings, applied, waiting) = renewed(&old, &new);
    let expected = [
        "server.allow_origins",
        "websocket.compression_min_bytes",
        "auth.secret",
        "limits.window_ms",
        "rule",
    ];
    assert_eq!(applied, expected);
    assert_eq!(waiting, ["server.port", "websocket.compression", "endpoint", "history"]);
    assert_eq!((settings.server.port, settings.limits.window_ms), (80, 2000));
    assert_eq!((settings.endpoints.len(), &*settings.endpoints[0].path), (1, "/a"));
    assert_eq!(settings.websocket.compression, None);
    assert_eq!(settings.auth.key, AuthKey::Secret(Secret::new("s")));
    assert!(settings.histories.is_empty() && settings.rules.len() == 1);
}

#[test]
fn what_waits_for_a_restart_is_named_each_time() {
    let (old, new) = (toml("server.port = 80"), toml("server.port = 81"));
    let (once, changes) = old.load().unwrap().renewed(new.load().unwrap()).unwrap();
    let (twice, again) = once.renewed(new.load().unwrap()).unwrap();
    assert_eq!((changes.len(), &changes, twice.settings.server.port), (1, &again, 80));
    let (_, back) = twice.renewed(old.load().unwrap()).unwrap();
    assert_eq!(back, []);
}

#[test]
fn a_file_of_the_same_name_with_another_text_is_another() {
    const TLS: &str = "[tls]\ncert_file = 'cert'\nkey_file = 'key'";
    let with = |cert, key| Given { files: [("cert", cert), ("key", key)].into(), ..toml(TLS) };
    let (_, applied, waiting) = renewed(&with("one", "mine"), &with("two", "mine"));
    assert_eq!((applied, waiting), (vec!["tls.cert_file"], vec![]));
    // Whether there is TLS at all is for the next start.
    let (settings, applied, waiting) = renewed(&toml(""), &with("one", "mine"));
    assert_eq!((applied, waiting), (vec![], vec!["tls.cert_file", "tls.key_file"]));
    assert_eq!(settings.tls, None);
    let (settings, applied, waiting) = renewed(&with("one", "mine"), &toml(""));
    assert_eq!((applied, waiting), (vec![], vec!["tls.cert_file", "tls.key_file"]));
    assert!(settings.tls.is_some());
    let shown = format!("{:?}", with("one", "mine").load().unwrap());
    assert!(!shown.contains("mine"), "{shown}");
}

#[test]
fn what_stays_must_go_with_what_is_new() {
    let old = toml("[[history]]\ntopic = 'abcd'\nsize = 1");
    let new = toml("[limits]\ntopic_bytes_max = 3").load().unwrap();
    let problems = old.load().unwrap().renewed(new).unwrap_err();
    assert!(problems.to_string().contains("history.topic = \"abcd\": topic is longer"));
}

#[test]
fn of_socketio_all_but_recovery_and_the_mode_is_taken_over() {
    let old = toml("[socketio]\nrecovery_ms = 1000");
    let new = toml(
        "[socketio]\nping_interval_ms = 1000\nping_timeout_ms = 500\nmax_http_buffer_bytes = 64\n\
         recovery_ms = 2000\ntest_notification = true\nevents = { message = 'm' }",
    );
    let (settings, applied, waiting) = renewed(&old, &new);
    let expected = [
        "socketio.ping_interval_ms",
        "socketio.ping_timeout_ms",
        "socketio.max_http_buffer_bytes",
        "socketio.recovery_ms",
        "socketio.test_notification",
        "socketio.events",
    ];
    assert_eq!((applied, waiting), (expected.to_vec(), vec![]));
    assert_eq!((settings.socketio.recovery_ms, settings.socketio.ping_timeout_ms), (2000, 500));
    assert_eq!(settings.socketio.events.message.text(), "m");
    // On and off are for the next start.
    for (one, other, stays) in [(&old, &toml(""), 1000), (&toml(""), &old, 0)] {
        let (settings, applied, waiting) = renewed(one, other);
        assert_eq!((applied, waiting), (vec![], vec!["socketio.recovery_ms"]));
        assert_eq!(settings.socketio.recovery_ms, stays);
    }
}

#[test]
fn a_mode_comes_and_goes_whole() {
    let (none, mode) = (toml(""), toml("[socketio]\nconformance = 'client'"));
    let stays = [
        "server.host",
        "socketio.ping_interval_ms",
        "socketio.recovery_ms",
        "socketio.conformance",
        "endpoint",
    ];
    for (old, new) in [(&none, &mode), (&mode, &none)] {
        let (settings, applied, waiting) = renewed(old, new);
        assert_eq!((applied, waiting), (vec![], stays.to_vec()));
        assert_eq!(format!("{settings:?}"), format!("{:?}", old.settings()));
    }
}

//! What is accepted: defaults, the three sources and which of them counts, the printed form.

use super::*;
use crate::origin::Origins;

#[test]
fn the_defaults_are_those_of_the_contract() {
    let settings = Settings::default();
    let Server { host, port, shards, max_connections, max_connections_per_ip, .. } =
        &settings.server;
    assert_eq!((host.as_str(), *port, *shards), ("0.0.0.0", 3000, 0));
    assert_eq!((*max_connections, *max_connections_per_ip), (0, 100));
    assert_eq!((settings.server.drain_ms, settings.server.request_timeout_ms), (10_000, 10_000));
    assert_eq!(settings.server.allow_origins, Origins::SameHost);
    assert_eq!(settings.websocket.auth_deadline_ms, 30_000);
    assert_eq!(settings.websocket.compression, None);
    let endpoint = |path: &str, dialect| Endpoint {
        path: path.to_owned(),
        dialect,
        require_authentication: true,
        engine_only: false,
    };
    let endpoints = [
        endpoint("/ws", Dialect::Topics),
        endpoint("/events", Dialect::Events),
        endpoint("/channels", Dialect::Channels),
        endpoint("/ws/admin", Dialect::Admin),
        endpoint("/socket.io/", Dialect::SocketIo),
    ];
    assert_eq!(settings.endpoints, endpoints);
    assert_eq!(settings.auth.key, AuthKey::Generated);
    assert_eq!((settings.auth.leeway_s, settings.auth.require_exp), (5, false));
    assert_eq!(settings.limits.messages_per_window, 0);
    assert_eq!(settings.limits.topic, crate::topic::TopicBounds::default());
    assert_eq!(settings.slow_consumer.policy, SlowConsumerPolicy::Disconnect);
    assert!(!settings.dev && settings.rules.is_empty() && settings.histories.is_empty());
}

#[test]
fn environment_beats_file_and_flag_beats_both() {
    let mut given = toml("server.port = 1\nwebsocket.max_message_bytes = 100");
    assert_eq!(given.settings().server.port, 1);
    given.env = vec![("WEBSOCKET_PORT", "2"), ("WEBSOCKET_MAX_BUFFER_SIZE", "200")];
    assert_eq!(given.settings().server.port, 2);
    assert_eq!(given.settings().websocket.max_message_bytes, 200);
    given.flags = vec![("server.port", "3"), ("server.port", "4")];
    assert_eq!(given.settings().server.port, 4);
}

#[test]
fn the_file_is_named_by_the_environment_or_by_the_flag() {
    let environment: Environment =
        [("SHARDWIRE_CONFIG".to_owned(), "env.toml")].into_iter().collect();
    let port = |file: Option<&str>| {
        let read = |path: &Path| match path.to_str() {
            Some("env.toml") => Ok("[server]\nport = 1".to_owned()),
            _ => Ok("[server]\nport = 2".to_owned()),
        };
        let (file, overrides) = (file.map(PathBuf::from), Vec::new());
        let sources =
            Sources { file, environment: &environment, overrides, dev: false, read: &read };
        load(&sources).unwrap().settings.server.port
    };
    assert_eq!(port(None), 1);
    assert_eq!(port(Some("flag.toml")), 2);
}

#[test]
fn of_two_names_the_first_counts_and_the_other_is_told() {
    let secrets = [("ACCESS_SECRET_KEY", "b"), ("JWT_SECRET", "a")];
    assert_eq!(env(&secrets).settings().auth.key, AuthKey::Secret(Secret::new("a")));
    assert!(env(&secrets).warnings()[0].starts_with("ACCESS_SECRET_KEY is passed over"));
    assert_eq!(env(&secrets[..1]).settings().auth.key, AuthKey::Secret(Secret::new("b")));
}

#[test]
fn an_empty_variable_is_not_set() {
    assert_eq!(env(&[("WEBSOCKET_PORT", ""), ("JWT_SECRET", "")]).settings().server.port, 3000);
}

#[test]
fn plain_text_is_read_by_the_kind_of_the_setting() {
    let given = env(&[
        ("WEBSOCKET_CORS_ORIGIN", "https://App.example, http://localhost:3000"),
        ("WEBSOCKET_PORT", " 80 "),
    ]);
    let only = ["https://app.example", "http://localhost:3000"].map(str::to_owned).to_vec();
    assert_eq!(given.settings().server.allow_origins, Origins::Only(only));
    assert_eq!(given.settings().server.port, 80);
    let any = env(&[("WEBSOCKET_CORS_ORIGIN", "*")]);
    assert_eq!(any.settings().server.allow_origins, Origins::Any);
    for (text, flag) in [("true", true), ("1", true), ("no", false), ("OFF", false)] {
        let endpoints = env(&[("WEBSOCKET_ENABLED", text)]).settings().endpoints;
        assert_eq!(!endpoints.is_empty(), flag, "{text}");
    }
    let given = flags(&[
        ("server.trusted_proxies", "10.0.0.0/8, ::1"),
        ("auth.secret", "'quoted'"),
        ("auth.issuer", "12"),
        ("auth.algorithms", r#"["HS512"]"#),
    ]);
    let settings = given.settings();
    let networks: Vec<String> =
        settings.server.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["10.0.0.0/8", "::1/128"]);
    assert_eq!(settings.auth.key, AuthKey::Secret(Secret::new("quoted")));
    assert_eq!(settings.auth.issuer.as_deref(), Some("12"));
    assert_eq!(settings.auth.algorithms, [jsonwebtoken::Algorithm::HS512]);
}

const LISTS_GIVEN: &str = r#"
[[endpoint]]
path = "/a"
require_authentication = false
[[endpoint]]
path = "/b"
dialect = "echo"
[[rule]]
topic = "user:{userId}.**"
allow = ["subscribe", "history"]
role = "member"
decide = "webhook"
[[rule]]
topic = "tenant:{tenantId}:*"
allow = ["publish"]
[[history]]
topic = "room.**"
size = 0x10
ttl_s = 60
"#;

#[test]
fn lists_of_tables() {
    let settings = toml(LISTS_GIVEN).settings();
    let endpoint = |path: &str, dialect, require_authentication| Endpoint {
        path: path.to_owned(),
        dialect,
        require_authentication,
        engine_only: false,
    };
    let endpoints = [endpoint("/a", Dialect::Topics, false), endpoint("/b", Dialect::Echo, true)];
    assert_eq!(settings.endpoints, endpoints);
    let first = RuleSetting {
        topic: "user:{userId}.**".to_owned(),
        allow: vec![Action::Subscribe, Action::History],
        role: Some("member".to_owned()),
        decide: Decision::Webhook,
    };
    let second = RuleSetting {
        topic: "tenant:{tenantId}:*".to_owned(),
        allow: vec![Action::Publish],
        role: None,
        decide: Decision::Allow,
    };
    assert_eq!(settings.rules, [first, second]);
    let history = HistorySetting { topic: "room.**".to_owned(), size: 16, ttl_s: 60 };
    assert_eq!(settings.histories, [history]);
    let warnings = toml(LISTS_GIVEN).warnings();
    assert_eq!(warnings, ["the rule at c.toml:12 asks a webhook and none is set: it denies"]);
    let open = toml(
        "[[rule]]\ntopic = 'admin.**'\nallow = ['publish']\ndecide = 'deny'\n\
                     [[rule]]\ntopic = '*.*'\nallow = ['publish']",
    );
    let names = "user.**, user:*.**, notifications:*.**, tenant:*.**";
    let what = "opens names that are for some alone while no rule is configured";
    assert_eq!(open.warnings(), [format!("the rule at c.toml:6 {what}: {names}")]);
    assert!(Given { dev: true, ..open }.warnings().is_empty());
    // What README has against that does what it says, before the rule that stands behind it there.
    let readme = include_str!("../../../README.md");
    let (_, rules) = readme.split_once("\nrule = [").unwrap();
    let (rules, _) = rules.split_once("\n]\n").unwrap();
    let rules = format!("rule = [{}\n]\n", rules.replace("  # {", "  {").replace(", …", ""));
    assert!(toml(rules.leak()).warnings().is_empty());
    let flag = flags(&[("history", r#"[{topic = "a.*", size = 5}]"#)]);
    assert_eq!(flag.settings().histories[0].size, 5);
}

#[test]
fn what_readme_shows_is_accepted() {
    let readme = include_str!("../../../README.md");
    let (_, shown) = readme.split_once("```toml\n[[endpoint]]").unwrap();
    let (shown, _) = shown.split_once("\n```\n").unwrap();
    let shown = format!("[[endpoint]]{shown}");
    let files = [("chain.pem", "PEM"), ("key.pem", "PEM")].into();
    let given = Given { files, ..toml(shown.leak()) };
    let settings = given.settings();
    assert_eq!((settings.endpoints.len(), settings.rules.len()), (1, 2));
    let uncommented = given.toml.replace("\n# conformance", "\nconformance").leak();
    let loopback = ("server.host", "::1");
    let with_mode = Given { toml: uncommented, flags: vec![loopback], ..given };
    let mode = with_mode.settings().socketio.conformance;
    assert_eq!(mode, Some(Conformance::Protocol));
}

#[test]
fn the_first_endpoint_is_renamed() {
    let path = ("WEBSOCKET_PATH", "/socket");
    let renamed = |given: Given| -> Vec<String> {
        given.settings().endpoints.into_iter().map(|endpoint| endpoint.path).collect()
    };
    let others = ["/events", "/channels", "/ws/admin", "/socket.io/"];
    assert_eq!(renamed(env(&[path])), [&["/socket"], &others[..]].concat());
    // A default path yields to the one that was asked for.
    let taken = renamed(env(&[("WEBSOCKET_PATH", "/events")]));
    assert_eq!(taken, others);
    let dialects = env(&[("WEBSOCKET_PATH", "/events")]).settings().endpoints;
    assert_eq!(dialects[0].dialect, Dialect::Topics);
    assert_eq!(renamed(Given { env: vec![path], ..toml(LISTS_GIVEN) }), ["/socket", "/b"]);
    assert!(renamed(env(&[path, ("WEBSOCKET_ENABLED", "false")])).is_empty());
    assert!(renamed(toml("endpoint = []")).is_empty());
}

#[test]
fn dev_is_open_to_this_machine_only() {
    let settings = Given { dev: true, ..Given::default() }.settings();
    assert!(settings.dev);
    assert_eq!(settings.server.host, "127.0.0.1");
    assert!(!settings.endpoints[0].require_authentication);
    for host in ["127.9.9.9", "::1", "localhost"] {
        let given = Given { dev: true, ..flags(&[("server.host", host)]) };
        assert_eq!(given.settings().server.host, host);
    }
}

#[test]
fn what_has_no_effect_is_told() {
    let given = env(&[("REDIS_URL", "redis://u:p@h"), ("PUBSUB_REDIS_PREFIX", "pubsub:")]);
    let warnings = given.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].starts_with("redis.url (REDIS_URL) has no effect"));
    let misspelt = env(&[("WEBSOCKET_PROT", "1"), ("WEBSOCKET_SERVICE_HOST", "10.0.0.1")]);
    let expected =
        "the environment variable WEBSOCKET_PROT means nothing; is WEBSOCKET_PORT meant?";
    assert_eq!(misspelt.warnings(), [expected]);
    assert!(env(&[("JWT_SECRET", "short")]).warnings()[0].contains("shorter than 32 bytes"));
}

#[test]
fn what_is_probably_not_meant_is_told() {
    let open = toml("[webhook]\nurl = 'https://h/ask'");
    let expected =
        "webhook.url (c.toml:2): there is no webhook.secret, so its server cannot tell who asks";
    assert_eq!(open.warnings(), [expected]);
    assert!(toml("[webhook]\nurl = 'https://h/ask'\nsecret = 's'").warnings().is_empty());
    let all = flags(&[("server.trusted_proxies", "::ffff:0.0.0.0/96,10.0.0.0/8,::/0")]).warnings();
    assert_eq!(all.len(), 2, "{all:?}");
    assert!(all[0].contains("trusts ::ffff:0.0.0.0/96: ") && all[1].contains("trusts ::/0: "));
    let admin =
        toml("[[endpoint]]\npath = '/a'\ndialect = 'admin'\nrequire_authentication = false");
    assert!(admin.warnings()[0].contains("(c.toml:4) has no effect"), "{:?}", admin.warnings());
    // What is open to nobody after all hides nothing.
    let rule = ("rule", "[{topic = '**', allow = ['publish']}]");
    let both = Given { flags: vec![rule], toml: admin.toml, ..Given::default() }.warnings();
    assert!(both.len() == 2 && both[1].contains("opens names"), "{both:?}");
    for given in [admin, Given { dev: true, ..Given::default() }] {
        let endpoints = given.settings().endpoints;
        let admin = endpoints.iter().find(|endpoint| endpoint.dialect == Dialect::Admin).unwrap();
        assert!(admin.require_authentication);
    }
}

#[test]
fn networks_are_in_the_form_of_addresses() {
    let given =
        flags(&[("server.trusted_proxies", "::ffff:10.0.0.0/104,::ffff:192.0.2.1,2001:db8::/32")]);
    let networks = given.settings().server.trusted_proxies;
    let texts: Vec<_> = networks.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32"]);
    assert_eq!(flags(&[("server.trusted_proxies", "::ffff:0:0/90")]).problems().len(), 1);
}

#[test]
fn what_is_printed_means_the_same() {
    let everything = Given {
        env: vec![("WEBSOCKET_PATH", "/x"), ("WEBSOCKET_CORS_ORIGIN", "*")],
        flags: vec![
            ("auth.issuer", "a \"quoted\"\\ ü"),
            ("server.trusted_proxies", "::1"),
            ("websocket.compression", "yes"),
            ("slow_consumer.policy", "conflate"),
        ],
        ..toml(LISTS_GIVEN)
    };
    for given in [
        Given::default(),
        Given { dev: true, ..Given::default() },
        env(&[("WEBSOCKET_ENABLED", "false")]),
        env(&[("WEBSOCKET_PATH", "/socket.io")]),
        toml("endpoint = []"),
        toml(
            "socketio.events = {}\nslow_consumer.outbox_bytes_max = 65536\nwebsocket.max_message_bytes = 64",
        ),
        toml("[socketio.events]\nmessage = 'say \"it\"'\n'a b' = 'c'"),
        flags(&[("socketio.conformance", "protocol")]),
        flags(&[("socketio.conformance", "client")]),
        flags(&[
            ("socketio.conformance", "engine"),
            ("endpoint", "[{path = '/e', dialect = 'socketio'}]"),
        ]),
        everything,
    ] {
        let loaded = given.load().unwrap();
        for explain in [false, true] {
            let printed = loaded.to_toml(explain).leak();
            let again = Given { toml: printed, dev: given.dev, ..Given::default() };
            let again = again.load().unwrap_or_else(|problems| panic!("{problems}\n{printed}"));
            let (meant, read) = (&loaded.settings, &again.settings);
            assert_eq!(format!("{read:?}"), format!("{meant:?}"), "{printed}");
        }
    }
}

#[test]
fn the_print_names_origins_and_hides_secrets() {
    let given = Given {
        env: vec![("JWT_SECRET", "hunter2hunter2"), ("SHARDWIRE_API_KEY", "hunter3")],
        flags: vec![("server.shards", "2")],
        ..toml(
            "\n[server]\nport = 3000\n[webhook]\nsecret = 's'\nurl = 'https://h/ask?code=hunter4&x=?'",
        )
    };
    let loaded = given.load().unwrap();
    let printed = loaded.to_toml(false);
    let line = |start: &str| {
        let line = printed.lines().find(|line| line.starts_with(start));
        line.unwrap_or_else(|| panic!("no {start} in {printed}"))
    };
    assert!(line("port = 3000 ").ends_with("  # c.toml:3"));
    assert!(line("shards = 2 ").ends_with("  # --set"));
    assert!(line("# secret = (hidden) ").ends_with("  # JWT_SECRET"));
    assert_eq!(line("drain_ms"), "drain_ms = 10000");
    assert!(line("# url = \"https://h/ask\", query (hidden)").ends_with("  # c.toml:6"));
    assert!(!printed.contains("[nats]") && loaded.to_toml(true).contains("[nats]"));
    for text in [printed.as_str(), &loaded.to_toml(true), &format!("{loaded:?}")] {
        assert!(!text.contains("hunter"), "{text}");
    }
}

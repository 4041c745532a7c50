//! What is refused: each kind of error, that all come at once, and that none shows a secret.

use super::*;

/// The only problem of a configuration.
fn only(given: &Given) -> String {
    let problems = given.problems();
    assert_eq!(problems.len(), 1, "{problems:#?}");
    problems[0].clone()
}

#[test]
fn every_error_at_once_in_the_order_of_the_sources() {
    let given = Given {
        env: vec![("WEBSOCKET_PORT", "eighty")],
        flags: vec![("limits.window_ms", "0")],
        ..toml(
            "[server]\nprot = 1\nshards = 65\n\n[websocket]\nping_interval_ms = 60000\n\
             [[endpoint]]\npath = \"x\"\n",
        )
    };
    let expected = [
        "c.toml:2: server.prot = 1: unknown key; is server.port meant?",
        "c.toml:3: server.shards = 65: out of range; allowed: 0 to 64 threads",
        "c.toml:8: endpoint.path = \"x\": ill formed; allowed: a path that begins with /, without ? or #",
        "WEBSOCKET_PORT: server.port = eighty: not a whole number; allowed: 0 to 65535",
        "--set: limits.window_ms = 0: out of range; allowed: 10 to 86400000 ms",
        "default: websocket.ping_timeout_ms = 60000: must be more than websocket.ping_interval_ms = 60000 (c.toml:6)",
    ];
    assert_eq!(given.problems(), expected);
    let text = given.load().unwrap_err().to_string();
    assert!(
        text.starts_with("error: c.toml:2: ")
            && text.ends_with("\nThe configuration has 6 errors.")
    );
}

#[test]
fn syntax_errors_have_line_and_column() {
    let problem = only(&toml("[auth]\n[server\n"));
    assert!(problem.starts_with("c.toml:2:8: TOML syntax: "), "{problem}");
    let problem = only(&flags(&[("server.trusted_proxies", "[\"::1\"")]));
    assert!(problem.starts_with("--set: server.trusted_proxies: TOML syntax: "), "{problem}");
    let problem = only(&toml("a = 1\na = 2"));
    assert!(problem.contains("duplicate key"), "{problem}");
}

#[test]
fn a_file_that_cannot_be_read() {
    let environment: Environment =
        [("SHARDWIRE_CONFIG".to_owned(), "nowhere.toml")].into_iter().collect();
    let read = |_: &Path| Err(io::Error::from(io::ErrorKind::NotFound));
    let sources = Sources {
        file: None,
        environment: &environment,
        overrides: Vec::new(),
        dev: false,
        read: &read,
    };
    let problems = load(&sources).unwrap_err();
    assert!(problems.to_string().starts_with("error: nowhere.toml: cannot be read: "));
}

#[test]
fn unknown_keys() {
    for (text, problem) in [
        ("port = 80", "c.toml:1: port = 80: unknown key; is server.port meant?"),
        (
            "[webscoket]\nping_interval_ms = 1",
            "c.toml:2: webscoket.ping_interval_ms = 1: unknown key; is websocket.ping_interval_ms meant?",
        ),
        ("[api]\nwibble = 1", "c.toml:2: api.wibble = (hidden): unknown key; api has: key"),
        (
            "[auth]\nsecert = 'hunter2'",
            "c.toml:2: auth.secert = (hidden): unknown key; is auth.secret meant?",
        ),
    ] {
        assert_eq!(only(&toml(text)), problem);
    }
    assert!(only(&toml("[wibble]")).contains("unknown key; sections: log, server"));
    assert!(only(&flags(&[("x", "1")])).starts_with("--set: x = (hidden): unknown key; "));
    assert!(only(&flags(&[("endpoint.path", "/x")])).contains("unknown key"));
}

#[test]
fn values_of_another_kind_or_out_of_range() {
    for (text, middle) in [
        ("[server]\nport = '80'", "server.port = '80': not a whole number; allowed: 0 to 65535"),
        ("[server]\nport = 65536", "server.port = 65536: out of range"),
        ("[server]\nport = -1", "server.port = -1: out of range"),
        ("[server]\nport = 99999999999999999999", "out of range"),
        ("[server]\nport = 8.0", "not a whole number"),
        ("[server]\nhost = 'a b'", "server.host = 'a b': ill formed; allowed: an IP address"),
        ("[server]\nhost = '1.2.3'", "ill formed"),
        ("[server]\nhost = ''", "server.host = '': empty"),
        ("[server]\ntrusted_proxies = '::1'", "not a list of texts"),
        ("[server]\ntrusted_proxies = ['10.0.0.0/33']", "\"10.0.0.0/33\" is ill formed"),
        ("[server]\nallow_origins = ['https://a/']", "\"https://a/\" is ill formed"),
        ("[websocket]\nenabled = 1", "neither true nor false; allowed: true or false"),
        ("[websocket]\npath = '/a?b'", "ill formed"),
        ("[auth]\nalgorithms = []", "auth.algorithms = []: empty; allowed: a list, of HS256"),
        ("[auth]\nalgorithms = ['none']", "unknown word \"none\""),
        ("[slow_consumer]\noutbox_bytes_max = 1023", "allowed: 1024 to 268435456 bytes"),
        (
            "[slow_consumer]\npolicy = 'x'",
            "unknown word; allowed: disconnect, drop-oldest, drop-newest",
        ),
        ("[limits]\ntopic_bytes_max = 257", "out of range; allowed: 1 to 256 bytes"),
        ("[log]\nlevel = 'loud'", "unknown word; allowed: error, warn, info, debug, trace"),
        ("server = 1", "server = 1: unknown key"),
        ("[[server]]", "unknown key"),
        ("[endpoint]\npath = '/a'", "c.toml:1: endpoint: not a list of tables; write [[endpoint]]"),
        ("history = [1]", "history: not a list of tables; write [[history]]"),
        ("[[endpoint]]", "c.toml:1: endpoint.path is missing; allowed: a path"),
        ("[[rule]]\ntopic = 'a'", "rule.allow is missing; allowed: a list, of subscribe, publish"),
        ("[[rule]]\ntopic = 'a'\nallow = ['fly']", "unknown word \"fly\""),
        (
            "[[rule]]\ntopic = 'a.{user}'\nallow = ['publish']",
            "a placeholder is {userId} or {tenantId}",
        ),
        ("[[rule]]\ntopic = 't:{tenantId}*'\nallow = ['publish']", "as in {tenantId}:*"),
        ("[[rule]]\ntopic = 'a.*b'\nallow = ['publish']", "must be a whole segment"),
        ("[[rule]]\ntopic = 'a..b'\nallow = ['publish']", "has an empty segment"),
        ("[[history]]\ntopic = 'a*'\nsize = 1", "history.topic = 'a*': ill formed"),
        ("[[history]]\ntopic = 'a'\nsize = 0", "history.size = 0: out of range"),
    ] {
        let problem = only(&toml(text));
        assert!(problem.contains(middle), "{text:?}: {problem}");
    }
    for (variable, value, middle) in [
        ("WEBSOCKET_PORT", "-1", "WEBSOCKET_PORT: server.port = -1: out of range"),
        ("WEBSOCKET_PORT", "1_000", "not a whole number"),
        ("WEBSOCKET_ENABLED", "maybe", "neither true nor false"),
        ("PUBSUB_ADAPTER", "carrier-pigeon", "unknown word; allowed: memory"),
    ] {
        let problem = only(&env(&[(variable, value)]));
        assert!(problem.contains(middle), "{variable}={value}: {problem}");
    }
}

#[test]
fn contradictions() {
    for (text, problem) in [
        (
            "[slow_consumer]\noutbox_bytes_max = 2048",
            "c.toml:2: slow_consumer.outbox_bytes_max = 2048: holds no message of the greatest \
             size, websocket.max_message_bytes = 1048576 (default)",
        ),
        (
            "endpoint = []\n[websocket]\npath = '/x'",
            "c.toml:3: websocket.path = \"/x\": there is no endpoint to rename",
        ),
        (
            "[[endpoint]]\npath = '/a'\n[[endpoint]]\npath = '/a'",
            "c.toml:4: endpoint.path = \"/a\": another endpoint has this path (c.toml:2)",
        ),
        (
            "[[endpoint]]\npath = '/api/x'",
            "c.toml:2: endpoint.path = \"/api/x\": an HTTP route of the broker is there",
        ),
        (
            "[[history]]\ntopic = 'a'\nsize = 1\n[[history]]\ntopic = 'a'\nsize = 2",
            "c.toml:5: history.topic = \"a\": another history has this topic",
        ),
        (
            "[limits]\ntopic_bytes_max = 3\n[[history]]\ntopic = 'abcd'\nsize = 1",
            "c.toml:4: history.topic = \"abcd\": topic is longer than 3 bytes",
        ),
        (
            "[webhook]\nurl = 'https://h/ask'\nsigned_timestamp = true",
            "c.toml:3: webhook.signed_timestamp = true: there is no webhook.secret to sign it with",
        ),
        ("rule = []", "rule = []: no rule allows nothing; leave the key out for the default rules"),
    ] {
        assert_eq!(only(&toml(text)), problem);
    }
    assert!(toml("[[endpoint]]\npath = '/apis'").load().is_ok());
    let renamed = Given {
        env: vec![("WEBSOCKET_PATH", "/b")],
        ..toml("[[endpoint]]\npath = '/a'\n[[endpoint]]\npath = '/b'")
    };
    let problem =
        "c.toml:4: endpoint.path = \"/b\": another endpoint has this path (WEBSOCKET_PATH)";
    assert_eq!(only(&renamed), problem);
}

#[test]
fn dev_with_an_address_that_others_reach() {
    for host in ["0.0.0.0", "::", "192.168.0.1", "example.org", "::ffff:10.0.0.1"] {
        let given = Given { dev: true, env: vec![("WEBSOCKET_HOST", host)], ..Given::default() };
        let problem = only(&given);
        let start = format!("WEBSOCKET_HOST: server.host = \"{host}\": --dev lets anyone in");
        assert!(problem.starts_with(&start), "{problem}");
    }
}

#[test]
fn what_this_version_does_not_have() {
    for (text, feature) in [
        ("[bus]\nadapter = 'nats'", "nats"),
        ("[redis]\nevent_bus = true", "Redis"),
        ("[rabbitmq]\nurl = 'amqp://h'", "RabbitMQ"),
    ] {
        let problem = only(&toml(text));
        let end = format!("this version does not have {feature}");
        assert!(problem.split(';').next().unwrap().ends_with(&end), "{problem}");
    }
    assert!(toml("[webhook]\ntimeout_ms = 2000\n[tls]").load().is_ok(), "asks for nothing");
}

#[test]
fn a_certificate_has_a_key() {
    let with = |toml| Given { files: [("a", "PEM"), ("b", "PEM")].into(), ..self::toml(toml) };
    let problem = only(&with("[tls]\ncert_file = 'a'"));
    assert_eq!(problem, "c.toml:2: tls.cert_file = \"a\": there is no tls.key_file");
    let problem = only(&with("[tls]\nkey_file = 'b'"));
    assert_eq!(problem, "c.toml:2: tls.key_file = \"b\": there is no tls.cert_file");
    assert!(with("[tls]\ncert_file = 'a'\nkey_file = 'b'").load().is_ok());
    let problem = only(&with("[tls]\ncert_file = 'a'\nkey_file = 'c'"));
    assert!(problem.starts_with("c.toml:3: tls.key_file = \"c\": cannot be read: "), "{problem}");
}

#[test]
fn no_comparison_with_what_was_refused() {
    for text in [
        "[websocket]\nping_interval_ms = 'x'\nping_timeout_ms = 25",
        "[websocket]\nmax_message_bytes = 0\n[slow_consumer]\noutbox_bytes_max = 1024",
        "[auth]\nsecret = 5\nalgorithms = ['RS256']",
    ] {
        only(&toml(text));
    }
}

#[test]
fn a_webhook_that_cannot_be_asked() {
    for url in ["nonsense", "ftp://h/x", "https://u:hunter2@h/x", "/x", "https://", ""] {
        let given = flags(&[("webhook.url", url)]);
        let problem = only(&given);
        assert!(problem.starts_with("--set: webhook.url = (hidden): "), "{problem}");
        assert!(problem.contains("allowed: http://HOST/"), "{problem}");
    }
}

#[test]
fn no_error_shows_a_secret() {
    let given = Given {
        flags: vec![("nats.url", "hunter2"), ("redis.ulr", "redis://:hunter2@h")],
        ..toml("[auth]\nsecret = ['hunter2']\npassword = 'hunter2'\n[api]\nkye = 'hunter2'")
    };
    let problems = given.problems();
    assert_eq!(problems.len(), 5, "{problems:#?}");
    assert!(!problems.concat().contains("hunter2"), "{problems:#?}");
}

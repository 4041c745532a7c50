mod search;
mod shown;

use std::net::IpAddr;

use super::*;
use crate::load::layout::{Layout, STREAMS_MAX};
use crate::load::scenario::{Credentials, Interest, Pace, Spoken, Tls};

fn resolve(host: &str, port: u16) -> io::Result<SocketAddr> {
    match host {
        "far.example" => Ok(SocketAddr::from(([192, 0, 2, 7], port))),
        "localhost" => Ok(SocketAddr::from(([127, 0, 0, 1], port))),
        _ => match host.parse::<IpAddr>() {
            Ok(ip) => Ok(SocketAddr::from((ip, port))),
            Err(_) => Err(io::Error::other("no such name")),
        },
    }
}

/// Keys and values.
type Flags<'a> = &'a [(&'a str, &'a str)];

fn given(flags: Flags<'_>) -> Vec<Given> {
    flags.iter().map(|(key, text)| Given::guess("--with", key, text)).collect()
}

fn settled(text: &str, flags: Flags<'_>) -> Result<Settled, Problems> {
    let around = Surroundings {
        resolve: &resolve,
        processors: &[0, 1, 2, 3],
        exists: &|path| !path.ends_with("missing.pem"),
    };
    settle(Source { file: "p.toml", name: "p", text }, &given(flags), &around)
}

fn problems(text: &str, flags: Flags<'_>) -> Vec<String> {
    let problems = settled(text, flags).expect_err("it is wrong");
    problems.0.iter().map(ToString::to_string).collect()
}

fn scenario(name: &str) -> Scenario {
    let settled = settled(built_in(name).unwrap(), &[]).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(settled.warnings, [] as [String; 0], "{name}");
    settled.scenario
}

#[test]
fn every_built_in_profile_is_sound_and_short() {
    for (name, text) in BUILT_IN {
        let scenario = scenario(name);
        assert!(text.starts_with("# "), "{name} does not begin with what it is for");
        assert!((20..=70).contains(&about(text).len()), "{name}: {}", about(text));
        let times = &scenario.times;
        assert!(times.warm_up_ms + times.measure_ms <= 16_000, "{name}");
        assert!(scenario.crowd.connections <= 10_000, "{name}");
    }
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tuning/profiles");
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), BUILT_IN.len(), "all are built in");
}

#[test]
fn built_in_profiles_mean_what_they_say() {
    let fanout = scenario("fanout");
    assert_eq!((fanout.crowd.connections, fanout.crowd.topics), (1000, 1));
    assert_eq!(fanout.talk.unwrap().pace, Pace::Closed { in_flight: 1, batch: 1 });
    let burst = scenario("fanout-burst").talk.unwrap();
    assert_eq!(burst.pace, Pace::Closed { in_flight: 16, batch: 16 });
    let rooms = scenario("rooms");
    assert_eq!((rooms.crowd.topics, rooms.crowd.subscriptions), (200, 2));
    assert_eq!(rooms.talk.unwrap().pace, Pace::Open { per_s: 2000.0 });
    assert_eq!(scenario("wildcard").crowd.interest, Interest::Wildcard);
    let chat = scenario("chat");
    let talk = chat.talk.unwrap();
    assert!(talk.members && talk.publishers == chat.crowd.connections);
    let churn = scenario("churn").churn.unwrap();
    assert!(churn.resets && churn.per_s == 200);
    let slow = scenario("slow");
    assert!(slow.slow.is_some_and(|slow| slow.readers * 10 <= slow.bytes_per_s));
    let storm = scenario("storm");
    assert!(storm.talk.is_none() && storm.crowd.connect_per_s == 0);
    let reconnect = scenario("reconnect");
    assert!(reconnect.storm.is_some_and(|storm| storm.back && storm.connections == 4000));
    let idle = scenario("idle");
    assert!(idle.talk.is_none() && idle.crowd.connections == 10_000);
}

#[test]
fn an_empty_profile_holds_a_crowd_on_a_broker_of_its_own() {
    let settled = settled("", &[]).unwrap();
    let Scenario { target, crowd, talk, .. } = settled.scenario;
    assert_eq!((target.address.port(), &*target.path), (0, "/ws"));
    assert_eq!(target.credentials, Credentials::None);
    assert_eq!((crowd.connections, talk), (1000, None));
    assert_eq!(crowd.processors, [1, 2, 3]);
    let broker = settled.broker.unwrap();
    assert_eq!((broker.shards, broker.processor), (1, Some(0)));
}

#[test]
fn every_wrong_value_is_told_with_what_is_allowed() {
    let text = "\
abuot = 1
[crowd]
connections = 0
topics = \"many\"
colour = true
interest = \"vague\"
processors = \"3-1\"
[talk]
payload_bytes = 10
per_s = 0.0009
[times]
measure = \"10\"
[nonsense]
a = 1
[target]
dialect = \"floor\"
secret = 5
[broker]
shards = 65
settings = [\"nothing\"]
";
    let dialects = "topics, events, channels, socketio, nats, mqtt, nchan";
    let sections = "about, target, crowd, talk, churn, slow, storm, times, search, floor, broker";
    let expected = [
        format!("p.toml:1: abuot = 1: unknown key (did you mean about?); allowed: {sections}"),
        "p.toml:3: crowd.connections = 0: allowed: a whole number from 1 to 10000000, as 1000 or 1k"
            .into(),
        "p.toml:4: crowd.topics = \"many\": allowed: a whole number from 1 to 10000000, as 1000 or \
         1k"
            .into(),
        "p.toml:5: crowd.colour = true: unknown key; crowd has: connections, topics, \
         subscriptions, interest, connect_per_s, connecting_max, per_address, workers, processors"
            .into(),
        "p.toml:6: crowd.interest = \"vague\": allowed: exact or wildcard".into(),
        "p.toml:7: crowd.processors = \"3-1\": allowed: processors by number from 0, as \"1\" or \
         \"0,2-3\""
            .into(),
        "p.toml:9: talk.payload_bytes = 10: allowed: a whole number from 34 to 1048576, as 1000 or \
         1k"
            .into(),
        "p.toml:10: talk.per_s = 0.0009: allowed: a number from 0.001 to 1000000000".into(),
        "p.toml:12: times.measure = \"10\": allowed: a time from 100ms to 24h, as 10s, 500ms or 2m"
            .into(),
        format!("p.toml:14: nonsense.a = 1: unknown key; allowed: {sections}"),
        format!("p.toml:16: target.dialect = \"floor\": allowed: {dialects}"),
        "p.toml:17: target.secret = (hidden): allowed: a string".into(),
        "p.toml:19: broker.shards = 65: allowed: a whole number from 1 to 64".into(),
        "p.toml:20: broker.settings = (hidden): allowed: settings of the broker, as \
         \"limits.window_ms=1000\""
            .into(),
    ];
    let found = problems(text, &[]);
    assert_eq!(found, expected);
}

#[test]
fn a_mistyped_secret_is_not_told() {
    for key in ["target.tokn", "tokn", "targte.token", "talk.secret", "target.token.x"] {
        let found = problems("", &[(key, "SECV")]).concat();
        assert!(found.contains(key) && !found.contains("SECV"), "{key}: {found}");
    }
    let found = problems("[target.keys]\na = \"SECV\"\n", &[]).concat();
    assert!(found.contains("target.keys") && !found.contains("SECV"), "{found}");
}

#[test]
fn syntax_errors_and_odd_shapes_are_told() {
    let found = problems("[crowd]\nconnections = = 1\n", &[]);
    assert!(found[0].starts_with("p.toml:2: TOML syntax: "), "{found:?}");
    let found = problems("crowd = 5\ntalk = []\n", &[]);
    assert_eq!(found[0], "p.toml:1: crowd = 5: allowed: a table: [crowd]");
    assert_eq!(found[1], "p.toml:2: talk = []: allowed: a table: [talk]");
    let found = problems("[crowd.connections]\nmany = 1\n", &[]);
    assert!(found[0].contains("crowd.connections"), "{found:?}");
}

#[test]
fn choices_that_do_not_go_together_are_told() {
    let url = ("target.url", "ws://127.0.0.1:3000/ws");
    let cases: &[(&str, Flags<'_>, &str)] = &[
        ("[talk]\nper_s = 2\n[floor]\npairs = 1", &[], "floor.pairs = 1: is of a closed loop"),
        ("[talk]\nin_flight = 2\nbatch = 3", &[], "p.toml:3: talk.batch = 3: more at once"),
        ("[talk]\nper_s = 2\nbatch = 3", &[], "talk.batch = 3: is of a closed loop"),
        ("[talk]\nper_s = 2\nin_flight = 3", &[], "talk.in_flight = 3: is of a closed loop"),
        (
            "[talk]\nmembers = true\npublishers = 9\n[crowd]\nconnections = 8",
            &[],
            "p.toml:3: talk.publishers = 9: more than crowd.connections = 8",
        ),
        (
            "[talk]\n[crowd]\nworkers = 2",
            &[],
            "crowd.workers = 2: in a closed loop each has a publisher, and talk.publishers = 1",
        ),
        ("[crowd]\nsubscriptions = 2", &[], "crowd.subscriptions = 2: more than crowd.topics = 1"),
        (
            "[crowd]\nsubscriptions = 2\ntopics = 2",
            &[url, ("target.dialect", "nchan")],
            "crowd.subscriptions = 2: a connection of nchan has its topic in its path",
        ),
        (
            "[crowd]\ntopics = 2\n[talk]",
            &[url, ("target.dialect", "nchan")],
            "crowd.topics = 2: a publisher of nchan has its topic in its path",
        ),
        (
            "[crowd]\ninterest = \"wildcard\"",
            &[("target.dialect", "channels")],
            "crowd.interest = \"wildcard\": Channels has no patterns; allowed: exact",
        ),
        (
            "[talk]\nmembers = true",
            &[url, ("target.dialect", "nchan")],
            "talk.members = true: a subscriber of nchan cannot publish",
        ),
        (
            "[crowd]\ninterest = \"wildcard\"\nsubscriptions = 2",
            &[url, ("target.dialect", "nats")],
            "crowd.subscriptions = 2: patterns overlap, and Nats delivers once for each",
        ),
        (
            "[crowd]\ninterest = \"wildcard\"\nsubscriptions = 3",
            &[url, ("target.dialect", "mqtt")],
            "crowd.subscriptions = 3: patterns overlap, and Mqtt delivers once for each",
        ),
        (
            "[crowd]\ntopics = 1048577\n[talk]",
            &[],
            "crowd.topics = 1048577: each publisher and topic it talks to is a stream to be \
             numbered: 1048577 streams; allowed: 1048576",
        ),
        (
            "[crowd]\nconnections = 2000000\n[talk]\nmembers = true\npublishers = 1048577",
            &[],
            "talk.publishers = 1048577: each publisher and topic",
        ),
        ("[slow]\nreaders = 1001", &[], "slow.readers = 1001: more than crowd.connections = 1000"),
        ("[churn]\nper_s = 1001", &[], "churn.per_s = 1001: more than crowd.connections = 1000"),
        ("[storm]\nconnections = 1001", &[], "storm.connections = 1001: more than crowd."),
        ("[storm]\nat = \"10s\"", &[], "storm.at = \"10s\": not before the end"),
        ("", &[("floor.pairs", "10")], "floor.pairs = 10: there is nothing to compare"),
        ("[talk]\n[floor]\npairs = 99", &[], "times.measure: too short for 99 pairs of windows"),
        ("[times]\nsample = \"11s\"", &[], "times.sample = \"11s\": longer than times.measure"),
        ("", &[("target.dialect", "mqtt")], "target.dialect = \"mqtt\": the broker does not"),
        ("[target]\ntoken = \"t\"", &[], "target.token = (hidden): the broker of a run knows"),
        (
            "[target]\nurl = \"http://h\"",
            &[],
            "p.toml:2: target.url = \"http://h\": allowed: ws://",
        ),
        ("[target]\nurl = \"ws://nowhere\"", &[], "nowhere is not found: no such name"),
        ("[target]\ninsecure = true", &[url], "target.insecure = true: only for a wss:// URL"),
        ("[target]\nca = \"missing.pem\"", &[("target.url", "wss://localhost")], "no such file"),
        ("[target]\ntenant = \"t\"", &[url], "target.tenant = \"t\": is for tokens made with"),
        ("", &[url, ("broker.shards", "2")], "--with: broker.shards = 2: is for the broker of"),
        ("[target]\ntoken = \"a\"\nsecret = \"b\"", &[url], "target.token = (hidden): target.sec"),
        ("", &[("target.url", "ws://u:pass@h")], "target.url = (hidden): allowed: ws://"),
    ];
    for (text, flags, expected) in cases {
        let found = problems(text, flags);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert!(found[0].contains(expected), "{text}: {found:?}");
    }
    let both = problems("[talk]\nin_flight = 2\nbatch = 3\n[slow]\nreaders = 1001", &[]);
    assert_eq!(both.len(), 2);
}

#[test]
fn what_a_run_cannot_hold_is_told() {
    for (text, expected) in [
        (
            "[talk]\npublishers = 3\nin_flight = 2",
            "p.toml:3: talk.in_flight = 2: fewer than talk.publishers = 3",
        ),
        (
            "[talk]\nper_s = 1e6\n[times]\nmeasure = \"1h\"",
            "p.toml:2: talk.per_s = 1000000.0: in 3602 s more messages than a stream has numbers; \
             allowed: up to 596192, or less time",
        ),
        (
            "[times]\nmeasure = \"6h\"\nsample = \"40ms\"",
            "p.toml:3: times.sample = \"40ms\": too short: 540302 points of 500000; allowed: from \
             44ms",
        ),
    ] {
        let found = problems(text, &[]);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert!(found[0].contains(expected), "{text}: {found:?}");
    }
}

#[test]
fn only_secrets_are_hidden() {
    let one = |text, flags| problems(text, flags).remove(0);
    assert!(one("[target]\ntokne = \"s\"", &[]).contains("tokne = (hidden): unknown key (did"));
    assert!(one("[nonsense]\na = { b = \"s\" }", &[]).contains("(hidden)"));
    assert!(
        one("[crowd]\ntopic = 5", &[]).contains("topic = 5: unknown key (did you mean topics?)")
    );
    let fraction = one("", &[("crowd.connections", "10.0000001")]);
    assert!(fraction.contains("crowd.connections = 10.0000001: allowed: a whole"), "{fraction}");
    let late = one("[storm]\nat = \"3s\"\n[times]\nmeasure = \"1s\"", &[]);
    assert!(late.contains("times.measure = 1s; as --with storm.at=333ms"), "{late}");
}

#[test]
fn flags_count_more_and_drop_what_they_contradict() {
    let fanout = built_in("fanout").unwrap();
    let pace = |flags| settled(fanout, flags).unwrap().scenario.talk.unwrap().pace;
    assert_eq!(pace(&[("talk.per_s", "5.5")]), Pace::Open { per_s: 5.5 });
    assert_eq!(pace(&[("talk.in_flight", "1_000")]), Pace::Closed { in_flight: 1000, batch: 1 });
    let chat = built_in("chat").unwrap();
    let closed = settled(chat, &[("talk.in_flight", "4k")]).unwrap().scenario.talk.unwrap();
    assert_eq!(closed.pace, Pace::Closed { in_flight: 4000, batch: 1 });
    let silent = settled(fanout, &[("talk.publishers", "0")]).unwrap().scenario;
    assert_eq!(silent.talk, None);
    let talking = settled(built_in("idle").unwrap(), &[("talk.per_s", "1")]).unwrap().scenario;
    assert_eq!(talking.talk.unwrap().publishers, 1);
    let slow = built_in("slow").unwrap();
    let settings = settled(slow, &[("broker.settings", "\"a.b=c=d\"")]).unwrap().broker.unwrap();
    assert_eq!(settings.settings.len(), 4);
    assert_eq!(settings.settings[3], ("a.b".to_owned(), "c=d".to_owned()));
}

#[test]
fn what_is_not_said_goes_by_what_is() {
    let settle = |text| settled(text, &[]).unwrap().scenario.times.settle_ms;
    assert_eq!(settle("[crowd]\nconnections = 9999"), 500);
    assert_eq!(settle("[crowd]\nconnections = 10000"), 3000);
    assert_eq!(settle("[crowd]\nconnections = 10000\n[times]\nsample = \"2s\""), 4000);
    assert_eq!(settle("[crowd]\nconnections = 10000\n[times]\nsettle = \"0s\""), 0);
    let pace = |text| settled(text, &[]).unwrap().scenario.talk.unwrap().pace;
    assert_eq!(pace("[talk]\npublishers = 3"), Pace::Closed { in_flight: 3, batch: 1 });
}

#[test]
fn a_named_server_is_found_and_its_path_told() {
    let target = |flags: Flags<'_>| settled("", flags).unwrap().scenario.target;
    let plain = target(&[("target.url", "ws://localhost:3000")]);
    assert_eq!(
        (plain.address.to_string(), &*plain.host),
        ("127.0.0.1:3000".into(), "localhost:3000")
    );
    assert_eq!((&*plain.path, plain.tls), ("/ws", None));
    for (url, path) in [("ws://[::1]:1", "/ws"), ("ws://[::1]:1/", "/"), ("ws://[::1]:1?a", "/?a")]
    {
        let target = settled("", &[("target.url", url)]).unwrap().scenario.target;
        assert_eq!(target.path, path, "{url}");
    }
    let socketio = [("target.url", "ws://[::1]:1/sio/"), ("target.dialect", "socketio")];
    assert_eq!(target(&socketio).path, "/sio/?EIO=4&transport=websocket");
    let secure = [("target.url", "wss://far.example/x?y"), ("target.ca", "\"a.pem\"")];
    let target = target(&secure);
    assert_eq!((target.address.port(), &*target.path), (443, "/x?y"));
    assert_eq!(target.tls, Some(Tls::Authorities("a.pem".into())));
}

#[test]
fn a_named_server_binds_nothing_and_has_no_broker() {
    let settled =
        settled(built_in("slow").unwrap(), &[("target.url", "ws://127.0.0.1:1")]).unwrap();
    assert_eq!(settled.broker, None);
    assert_eq!(settled.scenario.crowd.processors, [] as [u32; 0]);
    assert_eq!(settled.warnings, [] as [String; 0]);
}

#[test]
fn what_is_probably_not_meant_is_a_warning() {
    let flags = [("target.url", "ws://far.example"), ("crowd.connections", "30000")];
    let settled = settled("[crowd]\nper_address = 5", &flags).unwrap();
    assert_eq!(settled.warnings.len(), 2);
    assert!(settled.warnings[0].contains("per_address = 5: ignored"), "{:?}", settled.warnings);
}

#[test]
fn the_protocol_with_tenants_gets_tokens_of_one() {
    let settled = settled("", &[("target.dialect", "channels")]).unwrap();
    assert_eq!(settled.scenario.target.dialect, Spoken::Channels);
    let Credentials::Secret { secret, tenant } = settled.scenario.target.credentials else {
        panic!("tokens are needed");
    };
    assert_eq!((secret.len(), tenant.as_deref()), (64, Some("bench")));
}

#[test]
fn what_is_at_the_bounds_is_allowed() {
    let url = ("target.url", "ws://127.0.0.1:3000/ws");
    let nats = [url, ("target.dialect", "nats")];
    for (text, flags) in [
        ("[crowd]\ninterest = \"wildcard\"\ntopics = 40\n[talk]", &nats[..]),
        ("[crowd]\nsubscriptions = 2\ntopics = 2\n[talk]", &nats[..]),
        ("[talk]\nmembers = true", &nats[..]),
        ("[crowd]\ninterest = \"wildcard\"\nsubscriptions = 2\ntopics = 40", &[]),
        ("[crowd]\ntopics = 1048576\n[talk]", &[]),
        ("[crowd]\ntopics = 524288\n[talk]\npublishers = 2", &[]),
        ("[talk]\nper_s = 1e6\n[crowd]\ntopics = 2\n[times]\nmeasure = \"1h\"", &[]),
        ("[times]\nmeasure = \"6h\"\nsample = \"44ms\"", &[]),
        // Who only holds connections has no streams.
        ("[crowd]\ntopics = 2000000", &[]),
    ] {
        let settled = settled(text, flags).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert!(Layout::streams_of_scenario(&settled.scenario) <= STREAMS_MAX);
    }
}

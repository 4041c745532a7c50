//! What `--show` prints gives the same run when it is read again.

use super::*;

fn around() -> Surroundings<'static> {
    Surroundings { resolve: &resolve, processors: &[0, 1, 2, 3], exists: &|_| true }
}

fn shown_of(text: &str, flags: &[Given]) -> String {
    let source = Source { file: "p.toml", name: "p", text };
    shown(source, flags, &around()).unwrap_or_else(|error| panic!("{error}"))
}

/// The text, and that it means what the profile and the flags meant.
fn again(text: &str, flags: &[Given]) -> String {
    let told = shown_of(text, flags);
    let settle = |text, flags| settle(Source { file: "p.toml", name: "p", text }, flags, &around());
    let meant = settle(text, flags).unwrap_or_else(|error| panic!("{error}"));
    let read = settle(&told, &[]).unwrap_or_else(|error| panic!("{error}\n{told}"));
    assert_eq!(read, meant, "{told}");
    assert_eq!(shown_of(&told, &[]), told, "once more it is the same text");
    told
}

#[test]
fn every_built_in_profile_is_shown_as_it_is_meant() {
    for (name, text) in BUILT_IN {
        let told = again(text, &[]);
        assert!(told.starts_with("# "), "{name} keeps what it says of itself: {told}");
        for default in ["drain = \"10s\"", "compression = false", "about = ", "connecting_max = "] {
            assert!(told.contains(default), "{name}: {default} in {told}");
        }
    }
}

#[test]
fn flags_are_in_it() {
    let flags: &[(&str, Flags<'_>)] = &[
        ("fanout", &[("talk.per_s", "5"), ("crowd.connections", "1.5k")]),
        ("fanout-burst", &[("floor.pairs", "7"), ("times.measure", "9s")]),
        ("rooms", &[("search.p99", "2500us"), ("search.within", "5")]),
        ("fanout", &[("search.p99", "5ms")]),
        ("chat", &[("talk.in_flight", "3000"), ("talk.publishers", "7")]),
        ("churn", &[("churn.resets", "false"), ("times.sample", "20ms")]),
        ("slow", &[("broker.settings", "\"a.b=c\""), ("broker.shards", "2")]),
        ("storm", &[("target.url", "ws://localhost:3000/?a=b"), ("target.dialect", "nats")]),
        (
            "reconnect",
            &[("storm.at", "1s"), ("talk.per_s", "1e6"), ("crowd.processors", "\"1-3\"")],
        ),
        ("idle", &[("talk.publishers", "0"), ("crowd.workers", "2")]),
        ("wildcard", &[("target.url", "wss://far.example"), ("target.insecure", "true")]),
    ];
    for (name, flags) in flags {
        let told = again(built_in(name).unwrap(), &given(flags));
        for (key, _) in *flags {
            let key = key.split_once('.').unwrap().1;
            assert!(told.contains(&format!("\n{key} = ")), "{key} in {told}");
        }
    }
    again("[talk]\n[slow]\n[search]\n[storm]\n".replace("[storm]\n", "").as_str(), &[]);
}

#[test]
fn secrets_are_not_told() {
    let url = ("target.url", "ws://localhost:1");
    for key in ["token", "secret"] {
        let name = format!("target.{key}");
        let told = shown_of("", &given(&[url, (&name, "SECV")]));
        assert!(!told.contains("SECV") && told.contains(&format!("# {key}: not told")), "{told}");
    }
    let setting = [Given::text("--set", "broker.settings", "auth.secret=SECV")];
    let told = shown_of(built_in("slow").unwrap(), &setting);
    assert!(!told.contains("SECV") && told.contains("drop-oldest"), "{told}");
    assert!(told.contains("what may be secret"), "{told}");
}

#[test]
fn what_is_wrong_is_not_shown() {
    let source = Source { file: "p.toml", name: "p", text: "[crowd]\nconnections = 0\n" };
    let problems = shown(source, &[], &around()).unwrap_err();
    assert!(problems.to_string().contains("crowd.connections = 0"), "{problems}");
}

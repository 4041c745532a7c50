//! A search for the highest rate, as typed, and whole numbers that are written short.

use super::*;
use crate::load::scenario::Search;

fn scenario_of(name: &str, flags: Flags<'_>) -> Scenario {
    settled(built_in(name).unwrap(), flags).unwrap_or_else(|error| panic!("{error}")).scenario
}

fn begins(scenario: &Scenario) -> f64 {
    match scenario.talk.as_ref().unwrap().pace {
        Pace::Open { per_s } => per_s,
        Pace::Closed { .. } => panic!("a search needs an open loop"),
    }
}

#[test]
fn a_search_makes_an_open_loop() {
    let found = scenario_of("fanout", &[("search.p99", "10ms")]);
    assert_eq!(found.search, Some(Search { p99_us: 10_000, within_percent: 10 }));
    assert!((begins(&found) - 20.0).abs() < 1e-9, "20,000 deliveries a second to begin with");
    let burst = scenario_of("fanout-burst", &[("search.p99", "500us")]);
    assert_eq!(burst.search.unwrap().p99_us, 500);
    let rooms = scenario_of("rooms", &[("search.p99", "10ms")]);
    assert!((begins(&rooms) - 2000.0).abs() < 1e-9, "its own rate");
    let given = scenario_of("fanout", &[("search.p99", "10ms"), ("talk.per_s", "7")]);
    assert!((begins(&given) - 7.0).abs() < 1e-9);
    let bare = settled("[talk]\n[search]\n", &[]).unwrap().scenario;
    assert_eq!(bare.search, Some(Search { p99_us: 10_000, within_percent: 10 }));
    assert_eq!(scenario_of("rooms", &[]).search, None);
}

#[test]
fn what_does_not_go_with_a_search_is_told() {
    let search = ("search.p99", "10ms");
    let cases: &[(&str, Flags<'_>, &str)] = &[
        ("fanout", &[search, ("floor.pairs", "2")], "floor.pairs = 2: is of a closed loop"),
        ("fanout", &[search, ("talk.in_flight", "2")], "talk.in_flight = 2: a search needs an"),
        ("fanout", &[search, ("talk.batch", "1")], "talk.batch = 1: a search needs an open loop"),
        ("idle", &[search], "search.p99 = \"10ms\": there is no rate to search"),
        ("reconnect", &[search], "search.p99 = \"10ms\": a storm breaks out once"),
        ("fanout", &[("search.p99", "1us")], "allowed: a time from 100us to 60s"),
        ("fanout", &[("search.within", "0")], "allowed: a whole number from 1 to 100"),
    ];
    for (name, flags, expected) in cases {
        let found = problems(built_in(name).unwrap(), flags);
        assert_eq!(found.len(), 1, "{name}: {found:?}");
        assert!(found[0].contains(expected), "{name}: {found:?}");
    }
}

#[test]
fn whole_numbers_may_be_written_short() {
    let connections = |text: &str| {
        let settled = settled("", &[("crowd.connections", text)]);
        settled.map(|it| it.scenario.crowd.connections).map_err(|error| error.to_string())
    };
    for (text, number) in [
        ("1k", 1000),
        ("1.5k", 1500),
        ("0.25M", 250_000),
        ("2000.0", 2000),
        ("1e3", 1000),
        ("1_000", 1000),
        ("0.001k", 1),
    ] {
        assert_eq!(connections(text), Ok(number), "{text}");
    }
    let long = ["1.5", "1.0005k", "1kk", "k", "-1k", "1 k", "11M", "nan", "1e99", "0.3", "1K5"];
    for text in long {
        let error = connections(text).unwrap_err();
        let allowed = "allowed: a whole number from 1 to 10000000, as 1000 or 1k";
        assert!(error.contains(allowed), "{text}: {error}");
    }
    let rate = settled("[talk]\nper_s = \"1.5k\"\n", &[]).unwrap().scenario;
    assert!((begins(&rate) - 1500.0).abs() < 1e-9);
}

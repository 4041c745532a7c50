//! Choices of a scenario that do not go together, each told with the key to mend.
//!
//! Ranges of single values are in their types (`typed.rs`). What is allowed and probably not meant
//! becomes a warning.

use super::read::Read;
use super::typed::Typed;
use crate::load::account::NUMBER_MAX;
use crate::load::layout::{Layout, STREAMS_MAX};
use crate::load::outcome::POINTS_MAX;
use crate::load::scenario::{
    Credentials, Interest, Pace, SEARCH_STEPS_MAX, Scenario, Spoken, Talk,
};

/// Milliseconds that a window of a pair lasts at least: shorter ones measure the change of sides.
const WINDOW_MS_MIN: u64 = 100;
/// Ports that the kernel gives to the clients of one address, about.
const PORTS: u32 = 28_000;

/// Finds them.
pub(super) fn contradictions(
    scenario: &Scenario,
    typed: &Typed,
    own: bool,
    read: &mut Read,
    warnings: &mut Vec<String>,
) {
    target(scenario, typed, own, read);
    if own {
        own_broker(scenario, read);
    } else {
        named_server(scenario, read, warnings);
    }
    crowd(scenario, read);
    if let Some(talk) = &scenario.talk {
        talking(scenario, talk, typed, read);
        streams(scenario, read);
    } else if read.has_flag("floor.pairs") || scenario.floor_pairs > 0 {
        read.refuse("floor.pairs", "there is nothing to compare where nobody publishes");
    }
    beside(scenario, read);
    searching(scenario, read);
    let pairs = u64::from(scenario.floor_pairs);
    let measure_ms = scenario.times.measure_ms;
    if pairs > 0 && measure_ms < pairs * 2 * WINDOW_MS_MIN {
        let least = pairs * 2 * WINDOW_MS_MIN;
        read.refuse(
            "times.measure",
            format_args!("too short for {pairs} pairs of windows; allowed: from {least}ms"),
        );
    }
    if scenario.times.sample_ms > measure_ms {
        read.refuse("times.sample", format_args!("longer than times.measure = {measure_ms}ms"));
    }
    points(scenario, read);
}

/// Milliseconds as they are typed.
fn span(ms: u64) -> String {
    if ms.is_multiple_of(1000) { format!("{}s", ms / 1000) } else { format!("{ms}ms") }
}

/// Each sample is a point of the plots, which are kept to the end.
fn points(scenario: &Scenario, read: &mut Read) {
    let times = &scenario.times;
    let windows = if scenario.search.is_some() { SEARCH_STEPS_MAX as u64 } else { 1 };
    let each_ms = times.warm_up_ms + times.measure_ms + times.drain_ms;
    let all_ms = times.settle_ms + windows * each_ms;
    let points = all_ms.div_ceil(times.sample_ms);
    if points > POINTS_MAX as u64 {
        let least = all_ms.div_ceil(POINTS_MAX as u64);
        let what =
            format_args!("too short: {points} points of {POINTS_MAX}; allowed: from {least}ms");
        read.refuse("times.sample", what);
    }
}

fn target(scenario: &Scenario, typed: &Typed, own: bool, read: &mut Read) {
    let has_tls = scenario.target.tls.is_some();
    for key in ["target.ca", "target.insecure"] {
        let is_off = key == "target.insecure" && typed.target.insecure == Some(false);
        if read.has(key) && !is_off && !has_tls {
            read.refuse(key, "only for a wss:// URL");
        }
    }
    if typed.target.ca.is_some() && typed.target.insecure == Some(true) {
        read.refuse("target.insecure", "target.ca is of no use then; allowed: one of the two");
    }
    if typed.target.token.is_some() && typed.target.secret.is_some() {
        read.refuse("target.token", "target.secret is given too; allowed: one of the two");
    }
    let makes_tokens = matches!(scenario.target.credentials, Credentials::Secret { .. });
    if typed.target.tenant.is_some() && !makes_tokens && !own {
        read.refuse("target.tenant", "is for tokens made with target.secret, which is not given");
    }
}

fn own_broker(scenario: &Scenario, read: &mut Read) {
    if matches!(scenario.target.dialect, Spoken::Nats | Spoken::Mqtt | Spoken::Nchan) {
        read.refuse("target.dialect", "the broker does not speak it; name a server with --url");
    }
    if read.has("target.token") {
        let why = "the broker of a run knows no secret but target.secret; name a server with --url";
        read.refuse("target.token", why);
    }
}

fn named_server(scenario: &Scenario, read: &mut Read, warnings: &mut Vec<String>) {
    for key in ["broker.shards", "broker.processor", "broker.settings"] {
        if read.has_flag(key) {
            read.refuse(key, "is for the broker of a run without --url");
        }
    }
    let is_loopback = scenario.target.address.ip().is_loopback();
    if !is_loopback && read.has("crowd.per_address") {
        let place = read.place("crowd.per_address");
        warnings.push(format!("{place}: ignored, as the server is not on this machine"));
    }
    let all = scenario.connections();
    if !is_loopback && all > PORTS {
        warnings.push(format!(
            "{all} connections to another machine: one address has about {PORTS} ports"
        ));
    }
}

fn crowd(scenario: &Scenario, read: &mut Read) {
    let crowd = &scenario.crowd;
    let dialect = scenario.target.dialect;
    let has_patterns =
        !matches!(dialect, Spoken::Channels | Spoken::Socketio | Spoken::Nchan | Spoken::Floor);
    if crowd.interest == Interest::Wildcard && !has_patterns {
        read.refuse("crowd.interest", format_args!("{dialect:?} has no patterns; allowed: exact"));
    }
    // They deliver once for each pattern that matches: what is no fault would be told as doubles.
    let delivers_each = matches!(dialect, Spoken::Nats | Spoken::Mqtt);
    if crowd.interest == Interest::Wildcard && crowd.subscriptions > 1 && delivers_each {
        read.refuse(
            "crowd.subscriptions",
            format_args!("patterns overlap, and {dialect:?} delivers once for each; allowed: 1"),
        );
    }
    if crowd.subscriptions > 1 && dialect == Spoken::Nchan {
        read.refuse(
            "crowd.subscriptions",
            "a connection of nchan has its topic in its path; allowed: 1",
        );
    }
    if crowd.topics > 1 && dialect == Spoken::Nchan && scenario.talk.is_some() {
        read.refuse("crowd.topics", "a publisher of nchan has its topic in its path; allowed: 1");
    }
    if crowd.interest == Interest::Exact && crowd.subscriptions > crowd.topics {
        read.refuse(
            "crowd.subscriptions",
            format_args!("more than crowd.topics = {}", crowd.topics),
        );
    }
    if crowd.workers > crowd.connections {
        let connections = crowd.connections;
        read.refuse("crowd.workers", format_args!("more than crowd.connections = {connections}"));
    }
}

/// A stream is a publisher's messages to a topic, numbered.
#[expect(clippy::cast_precision_loss, reason = "bounds far apart from what is typed")]
fn streams(scenario: &Scenario, read: &mut Read) {
    let streams = Layout::streams_of_scenario(scenario);
    if streams > STREAMS_MAX {
        let key = if read.has("crowd.topics") { "crowd.topics" } else { "talk.publishers" };
        read.refuse(
            key,
            format_args!(
                "each publisher and topic it talks to is a stream to be numbered: {streams} \
                 streams; allowed: {STREAMS_MAX}"
            ),
        );
    }
    let Some(Pace::Open { per_s }) = scenario.talk.as_ref().map(|talk| talk.pace) else { return };
    let times = &scenario.times;
    let seconds = (times.warm_up_ms + times.measure_ms) as f64 / 1000.0;
    let allowed = f64::from(NUMBER_MAX) * streams.max(1) as f64 / seconds;
    // A search chooses its rates.
    if scenario.search.is_none() && per_s > allowed {
        read.refuse(
            "talk.per_s",
            format_args!(
                "in {seconds} s more messages than a stream has numbers; allowed: up to \
                 {allowed:.0}, or less time"
            ),
        );
    }
}

fn talking(scenario: &Scenario, talk: &Talk, typed: &Typed, read: &mut Read) {
    let connections = scenario.crowd.connections;
    if talk.members && scenario.target.dialect == Spoken::Nchan {
        let why = "a subscriber of nchan cannot publish; allowed: false";
        read.refuse("talk.members", why);
    }
    if talk.members && talk.publishers > connections {
        read.refuse(
            "talk.publishers",
            format_args!("more than crowd.connections = {connections}, whose members they are"),
        );
    }
    let workers = scenario.crowd.workers;
    match talk.pace {
        Pace::Open { .. } => {
            let why = if scenario.search.is_some() {
                "a search needs an open loop, which this is not of"
            } else {
                "is of a closed loop; talk.per_s makes it an open one"
            };
            for key in ["talk.in_flight", "talk.batch"] {
                if read.has(key) {
                    read.refuse(key, why);
                }
            }
            // Between two windows a schedule would go on, and come out in one burst after.
            if scenario.floor_pairs > 0 {
                read.refuse(
                    "floor.pairs",
                    "is of a closed loop: give talk.in_flight in place of talk.per_s",
                );
            }
        }
        Pace::Closed { in_flight, batch } => {
            if in_flight < talk.publishers {
                let publishers = talk.publishers;
                let what = "of which each has a message on its way";
                read.refuse(
                    "talk.in_flight",
                    format_args!("fewer than talk.publishers = {publishers}, {what}"),
                );
            }
            if batch > in_flight {
                let key = if read.has("talk.batch") { "talk.batch" } else { "talk.in_flight" };
                read.refuse(key, format_args!("more at once than talk.in_flight = {in_flight}"));
            }
            if workers > talk.publishers && typed.crowd.workers.is_some() {
                let publishers = talk.publishers;
                read.refuse(
                    "crowd.workers",
                    format_args!(
                        "in a closed loop each has a publisher, and talk.publishers = {publishers}"
                    ),
                );
            }
        }
    }
}

/// A search has many windows, each at its rate.
fn searching(scenario: &Scenario, read: &mut Read) {
    if scenario.search.is_none() {
        return;
    }
    if scenario.talk.is_none() {
        read.refuse("search.p99", "there is no rate to search where nobody publishes");
    }
    if scenario.storm.is_some() {
        let why = "a storm breaks out once, and a search has many windows; allowed: one of the two";
        read.refuse("search.p99", why);
    }
}

/// What goes on beside the talk is by some of the crowd.
fn beside(scenario: &Scenario, read: &mut Read) {
    let connections = scenario.crowd.connections;
    let parts = [
        ("churn.per_s", scenario.churn.as_ref().map(|churn| churn.per_s)),
        ("slow.readers", scenario.slow.as_ref().map(|slow| slow.readers)),
        ("storm.connections", scenario.storm.as_ref().map(|storm| storm.connections)),
    ];
    for (key, count) in parts {
        if count.is_some_and(|count| count > connections) {
            read.refuse(key, format_args!("more than crowd.connections = {connections}"));
        }
    }
    let measure_ms = scenario.times.measure_ms;
    if scenario.storm.as_ref().is_some_and(|storm| storm.at_ms >= measure_ms) {
        let earlier = span(measure_ms / 3);
        read.refuse(
            "storm.at",
            format_args!(
                "not before the end: times.measure = {}; as --with storm.at={earlier}, or measure \
                 longer",
                span(measure_ms)
            ),
        );
    }
}

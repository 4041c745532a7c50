//! What is meant, as a profile again: the file, the flags over it and every default in one TOML
//! text, which gives the same run when it is pasted into a file.
//!
//! Given values are told as given. Defaults that depend on the machine are left out, so that a
//! profile may be taken to another. Secrets are left out, and that is said. For `--show`.

use std::fmt::Write as _;

use super::Settled;
use super::read::{Read, is_likely_secret};
use crate::load::scenario::{Interest, Mode, Pace};

/// A section with its keys in the order in which they are told.
type Section = (&'static str, Keys);
/// Keys with their defaults as TOML; without one where it depends on the machine, or is none.
type Keys = Vec<(&'static str, Option<String>)>;

/// The text. `header`: the comment that the profile's file begins with.
pub(super) fn text(settled: &Settled, read: &Read, header: &str) -> String {
    let mut text = header.to_owned();
    if let Some(about) = read.given("", "about") {
        let _ = writeln!(text, "about = {about}");
    }
    for (section, keys) in sections(settled) {
        let mut lines = String::new();
        for (key, default) in keys {
            if let Some(value) = secret(section, key, read) {
                lines.push_str(&value);
            } else if let Some(value) = read.given(section, key) {
                let _ = writeln!(lines, "{key} = {}", without_secrets(section, key, value));
            } else if let Some(default) = default {
                let _ = writeln!(lines, "{key} = {default}");
            }
        }
        // A section may say something by being there.
        if !lines.is_empty() || read.has_section(section) {
            let gap = if text.is_empty() { "" } else { "\n" };
            let _ = write!(text, "{gap}[{section}]\n{lines}");
        }
    }
    text
}

/// What stands for a value that is not told.
fn secret(section: &str, key: &str, read: &Read) -> Option<String> {
    let is_secret = section == "target" && matches!(key, "token" | "secret");
    (is_secret && read.has(&format!("target.{key}"))).then(|| {
        let variable = format!("SHARDWIRE_BENCH_{}", key.to_uppercase());
        format!("# {key}: not told; give it by --{key} or in the environment as {variable}\n")
    })
}

/// A value as TOML; of the broker's settings those that may be told.
fn without_secrets(section: &str, key: &str, value: &toml::Value) -> String {
    let Some(list) = value.as_array().filter(|_| (section, key) == ("broker", "settings")) else {
        return value.to_string();
    };
    let may_be_told = |one: &&toml::Value| {
        one.as_str()
            .and_then(|one| one.split_once('='))
            .is_none_or(|(key, _)| !is_likely_secret(key))
    };
    let told: Vec<_> = list.iter().filter(may_be_told).map(ToString::to_string).collect();
    let rest = match list.len() - told.len() {
        0 => "",
        _ => " # and what may be secret: give it by --set",
    };
    format!("[{}]{rest}", told.join(", "))
}

fn sections(settled: &Settled) -> Vec<Section> {
    vec![
        ("target", target(settled)),
        ("crowd", crowd(settled)),
        ("talk", talk(settled)),
        ("churn", churn(settled)),
        ("slow", slow(settled)),
        ("storm", storm(settled)),
        ("times", times(settled)),
        ("search", search(settled)),
        ("floor", floor(settled)),
        ("broker", broker(settled)),
    ]
}

fn whole(number: u32) -> String {
    number.to_string()
}

fn switch(is_on: bool) -> String {
    is_on.to_string()
}

fn word(text: &str) -> String {
    format!("\"{text}\"")
}

fn time(ms: u64) -> String {
    let is_whole = ms.is_multiple_of(1000);
    word(&if is_whole { format!("{}s", ms / 1000) } else { format!("{ms}ms") })
}

fn target(settled: &Settled) -> Keys {
    let target = &settled.scenario.target;
    vec![
        ("url", None),
        ("dialect", Some(word(&format!("{:?}", target.dialect).to_lowercase()))),
        ("compression", Some(switch(target.compression))),
        ("token", None),
        ("secret", None),
        ("tenant", None),
        ("ca", None),
        ("insecure", None),
    ]
}

fn crowd(settled: &Settled) -> Keys {
    let crowd = &settled.scenario.crowd;
    let interest = match crowd.interest {
        Interest::Exact => "exact",
        Interest::Wildcard => "wildcard",
    };
    vec![
        ("connections", Some(whole(crowd.connections))),
        ("topics", Some(whole(crowd.topics))),
        ("subscriptions", Some(whole(crowd.subscriptions))),
        ("interest", Some(word(interest))),
        ("connect_per_s", Some(whole(crowd.connect_per_s))),
        ("connecting_max", Some(whole(crowd.connecting_max))),
        ("per_address", None),
        ("workers", Some(whole(crowd.workers))),
        ("processors", None),
    ]
}

fn talk(settled: &Settled) -> Keys {
    let talk = settled.scenario.talk.as_ref();
    let (per_s, closed) = match talk.map(|talk| talk.pace) {
        None => (None, None),
        // With its point a whole number of any size is one for TOML.
        Some(Pace::Open { per_s }) => (Some(format!("{per_s:?}")), None),
        Some(Pace::Closed { in_flight, batch }) => (None, Some((in_flight, batch))),
    };
    vec![
        ("publishers", talk.map(|it| whole(it.publishers))),
        ("members", talk.map(|it| switch(it.members))),
        ("per_s", per_s),
        ("in_flight", closed.map(|(in_flight, _)| whole(in_flight))),
        ("batch", closed.map(|(_, batch)| whole(batch))),
        ("payload_bytes", talk.map(|it| whole(it.payload_bytes))),
    ]
}

fn churn(settled: &Settled) -> Keys {
    let churn = settled.scenario.churn.as_ref();
    vec![("per_s", churn.map(|it| whole(it.per_s))), ("resets", churn.map(|it| switch(it.resets)))]
}

fn slow(settled: &Settled) -> Keys {
    let slow = settled.scenario.slow.as_ref();
    vec![
        ("readers", slow.map(|it| whole(it.readers))),
        ("bytes_per_s", slow.map(|it| whole(it.bytes_per_s))),
    ]
}

fn storm(settled: &Settled) -> Keys {
    let storm = settled.scenario.storm.as_ref();
    vec![
        ("connections", storm.map(|it| whole(it.connections))),
        ("at", storm.map(|it| time(it.at_ms))),
        ("back", storm.map(|it| switch(it.back))),
    ]
}

fn times(settled: &Settled) -> Keys {
    let times = &settled.scenario.times;
    vec![
        ("warm_up", Some(time(times.warm_up_ms))),
        ("settle", Some(time(times.settle_ms))),
        ("measure", Some(time(times.measure_ms))),
        ("drain", Some(time(times.drain_ms))),
        ("sample", Some(time(times.sample_ms))),
    ]
}

fn search(settled: &Settled) -> Keys {
    let search = settled.scenario.search.as_ref();
    vec![
        ("p99", search.map(|it| word(&format!("{}us", it.p99_us)))),
        ("within", search.map(|it| whole(it.within_percent))),
    ]
}

/// Told where there is one: it wants a talk.
fn floor(settled: &Settled) -> Keys {
    let scenario = Some(&settled.scenario).filter(|it| it.floor_pairs > 0);
    let sends = scenario.map(|it| match it.floor_mode {
        Mode::Each => word("each"),
        Mode::Together => word("together"),
    });
    vec![("pairs", scenario.map(|it| whole(it.floor_pairs))), ("sends", sends)]
}

fn broker(settled: &Settled) -> Keys {
    let shards = settled.broker.as_ref().map(|it| whole(it.shards));
    vec![("shards", shards), ("processor", None), ("settings", None)]
}

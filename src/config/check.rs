//! Contradictions: values that are each well formed and do not go together, and those that ask for
//! what this version does not have.
//!
//! Runs over the settled values and never stops at the first. A value that was refused before is
//! compared with nothing: it would only bring errors that are not there.

use std::collections::{BTreeMap, BTreeSet};

use super::doubts;
use super::events;
use super::grammar;
use super::keys::SETTINGS;
use super::meant::{self, DEV, topic_bounds};
use super::problem::{Origin, Problem, Problems};
use super::setting::{Setting, Support};
use super::socketio;
use super::typed::{Typed, Values};
use super::words::Dialect;
use crate::auth::protected;
use crate::auth::rules::check_topic;
use crate::rule::Decision;
use crate::topic::Pattern;

/// Everything that does not go together.
pub(super) fn contradictions(typed: &Typed, problems: &mut Problems, warnings: &mut Vec<String>) {
    let values = &typed.values;
    unsupported(values, problems, warnings);
    at_least(
        values,
        ("websocket.ping_timeout_ms", "must be more than"),
        "websocket.ping_interval_ms",
        |timeout, interval| timeout > interval,
        problems,
    );
    at_least(
        values,
        ("slow_consumer.outbox_bytes_max", "holds no message of the greatest size,"),
        "websocket.max_message_bytes",
        |outbox, message| outbox >= message,
        problems,
    );
    at_least(
        values,
        ("slow_consumer.outbox_bytes_max", "holds no message of the greatest size,"),
        "socketio.max_http_buffer_bytes",
        |outbox, message| outbox >= message,
        problems,
    );
    both_or_none(values, ["tls.cert_file", "tls.key_file"], problems);
    without_effect(values, warnings);
    doubts::look(values, problems, warnings);
    events::check(values.get("socketio.events"), problems);
    socketio::without_endpoint(typed, warnings);
    endpoints(typed.entries("endpoint"), problems);
    rules(typed, problems, warnings);
    histories(typed, problems);
}

/// Two numbers that must stand in a relation.
fn at_least(
    values: &Values,
    (key, what): (&str, &str),
    than: &str,
    holds: fn(u64, u64) -> bool,
    problems: &mut Problems,
) {
    if values.sound(&[key, than]) && !holds(values.int(key), values.int(than)) {
        let (given, other) = (values.get(key), values.get(than));
        let what = format_args!("{what} {than} = {} ({})", other.value, other.origin);
        problems.push(Problem::contradiction(&given.origin, key, &given.value, what));
    }
}

/// Two texts of which one alone means nothing.
fn both_or_none(values: &Values, keys: [&str; 2], problems: &mut Problems) {
    if !values.sound(&keys) {
        return;
    }
    for (key, other) in [(keys[0], keys[1]), (keys[1], keys[0])] {
        if values.text(key).is_some() && values.text(other).is_none() {
            let given = values.get(key);
            let what = format_args!("there is no {other}");
            problems.push(Problem::contradiction(&given.origin, key, &given.value, what));
        }
    }
}

/// What was given and differs from the default where this version has nothing behind it.
fn unsupported(values: &Values, problems: &mut Problems, warnings: &mut Vec<String>) {
    let defaults = Typed::defaults().values;
    for setting in SETTINGS.iter().filter(|setting| !setting.in_list()) {
        let Setting { key, support, .. } = setting;
        let given = values.get(key);
        if given.origin == Origin::Default || given.value == defaults.get(key).value {
            continue;
        }
        match support {
            Support::Full => {}
            Support::Absent(feature) => {
                let what = format_args!("this version does not have {feature}");
                problems.push(Problem::contradiction(&given.origin, key, &given.value, what));
            }
            Support::Idle(feature) => warnings.push(format!(
                "{key} ({}) has no effect: this version does not have {feature}",
                given.origin
            )),
        }
    }
}

/// What is allowed and does not do what it seems to.
fn without_effect(values: &Values, warnings: &mut Vec<String>) {
    let (proxy, proxies) = ("server.proxy_protocol", "server.trusted_proxies");
    if values.flag(proxy)
        && values.sound(&[proxies])
        && values.texts(proxies).is_none_or(<[_]>::is_empty)
    {
        let origin = &values.get(proxy).origin;
        warnings.push(format!("{proxy} ({origin}) has no effect: {proxies} names none"));
    }
    let (window, message) = ("limits.bytes_per_window", "websocket.max_message_bytes");
    let (bytes, max): (u64, u64) = (values.int(window), values.int(message));
    if values.sound(&[window, message]) && bytes > 0 && bytes < max {
        let origin = &values.get(window).origin;
        let what = format!("is less than {message} = {max}: longer messages are always refused");
        warnings.push(format!("{window} ({origin}) {what}"));
    }
}

fn endpoints(endpoints: &[Values], problems: &mut Problems) {
    const KEY: &str = "endpoint.path";
    let mut seen: BTreeMap<&str, &Origin> = BTreeMap::new();
    for endpoint in endpoints.iter().filter(|endpoint| endpoint.sound(&[KEY])) {
        let given = endpoint.get(KEY);
        let path = endpoint.required(KEY);
        if grammar::is_route(path) {
            let what = "an HTTP route of the broker is there";
            problems.push(Problem::contradiction(&given.origin, KEY, &given.value, what));
        }
        match seen.get(path) {
            Some(first) => {
                let what = format_args!("another endpoint has this path ({first})");
                problems.push(Problem::contradiction(&given.origin, KEY, &given.value, what));
            }
            None => _ = seen.insert(path, &given.origin),
        }
    }
}

fn rules(typed: &Typed, problems: &mut Problems, warnings: &mut Vec<String>) {
    const KEY: &str = "rule.decide";
    if typed.lists["rule"].as_ref().is_some_and(Vec::is_empty) {
        let what = "no rule allows nothing; leave the key out for the default rules";
        problems.push(Problem::new(&"rule = []", what));
    }
    let is_asking = |endpoint: &&Values| {
        let given = endpoint.get("endpoint.dialect");
        endpoint.sound(&["endpoint.dialect"])
            && given.origin != Origin::Default
            // With --dev no rule is asked.
            && endpoint.get("endpoint.require_authentication").origin != Origin::Derived(DEV)
            && endpoint.word::<Dialect>("endpoint.dialect") == Dialect::Events
    };
    if typed.entries("rule").is_empty() && !typed.values.is_set("webhook.url") {
        // Not the one that is there by default: whoever does not use it need not care.
        for endpoint in typed.entries("endpoint").iter().filter(is_asking) {
            let origin = &endpoint.get("endpoint.dialect").origin;
            let what = "asks a webhook about room.*.** and none is set: it denies";
            warnings.push(format!("the endpoint at {origin} {what}"));
        }
    }
    for rule in typed.entries("rule").iter().filter(|rule| rule.sound(&[KEY])) {
        if rule.word::<Decision>(KEY) == Decision::Webhook && !typed.values.is_set("webhook.url") {
            let origin = &rule.get(KEY).origin;
            warnings
                .push(format!("the rule at {origin} asks a webhook and none is set: it denies"));
        }
    }
    rule_topics(typed, problems, warnings);
}

/// Topics that cannot be compiled, and those that are others' by default.
fn rule_topics(typed: &Typed, problems: &mut Problems, warnings: &mut Vec<String>) {
    const KEY: &str = "rule.topic";
    let entries = typed.entries("rule");
    for rule in entries.iter().filter(|rule| rule.sound(&[KEY])) {
        if let Err(error) = check_topic(rule.required(KEY)) {
            let given = rule.get(KEY);
            problems.push(Problem::contradiction(&given.origin, KEY, &given.value, error));
        }
    }
    // With --dev no rule is asked.
    if is_dev(typed)
        || !entries.iter().all(|rule| rule.sound(&[KEY, "rule.allow", "rule.role", "rule.decide"]))
    {
        return;
    }
    let rules: Vec<_> = entries.iter().map(meant::rule).collect();
    for (rule, names) in entries.iter().zip(protected::opened(&rules)) {
        if !names.is_empty() {
            let (origin, names) = (&rule.get(KEY).origin, names.join(", "));
            let what = "that are for some alone while no rule is configured";
            warnings.push(format!("the rule at {origin} opens names {what}: {names}"));
        }
    }
}

fn is_dev(typed: &Typed) -> bool {
    const KEY: &str = "endpoint.require_authentication";
    let endpoints = typed.entries("endpoint");
    endpoints.iter().any(|it| it.get(KEY).origin == Origin::Derived(DEV))
}

fn histories(typed: &Typed, problems: &mut Problems) {
    const KEY: &str = "history.topic";
    let mut seen = BTreeSet::new();
    let bounds_sound = typed.values.sound(&["limits.topic_bytes_max", "limits.topic_segments_max"]);
    for history in typed.entries("history").iter().filter(|history| history.sound(&[KEY])) {
        let given = history.get(KEY);
        let bounds = topic_bounds(&typed.values);
        if bounds_sound && let Err(error) = Pattern::parse(history.required(KEY), bounds) {
            problems.push(Problem::contradiction(&given.origin, KEY, &given.value, error));
        }
        if !seen.insert(history.required(KEY)) {
            let what = "another history has this topic";
            problems.push(Problem::contradiction(&given.origin, KEY, &given.value, what));
        }
    }
}

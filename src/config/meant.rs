//! From the configuration as typed to the one that is meant.
//!
//! First what follows from other settings is settled in the typed values, so that it is printed
//! too ([`settle`]); then, when nothing is wrong, the plain data is built ([`settings`]). The build
//! is one struct literal a section: a field without its setting does not compile.

use std::path::PathBuf;

use super::grammar;
use super::problem::{Origin, Problem, Problems};
use super::settings::{
    Api, Auth, AuthKey, Bus, Compression, Endpoint, HistorySetting, Limits, Log, Server, Settings,
    SlowConsumer, Tenants, Tls, Websocket,
};
use super::socketio;
use super::typed::{Typed, Values};
use super::value::Value;
use crate::auth::webhook::WebhookSettings;
use crate::origin::Origins;
use crate::rule::RuleSetting;
use crate::topic::TopicBounds;

/// What lets anyone in from this machine.
pub(super) const DEV: &str = "--dev";
/// What is listened on then, unless told otherwise.
const LOOPBACK: &str = "127.0.0.1";
/// The endpoint table while none is configured (protocols.md section 1).
const DEFAULT_ENDPOINTS: [(&str, &str); 5] = [
    ("/ws", "topics"),
    ("/events", "events"),
    ("/channels", "channels"),
    ("/ws/admin", "admin"),
    ("/socket.io/", "socketio"),
];

/// Works out what follows from other settings: the endpoints, and what `--dev` means.
pub(super) fn settle(
    typed: &mut Typed,
    dev: bool,
    problems: &mut Problems,
    warnings: &mut Vec<String>,
) {
    socketio::settle(&mut typed.values, problems);
    let defaults =
        || socketio::mode(&typed.values).map_or_else(default_endpoints, socketio::endpoints);
    let endpoints = match typed.lists.remove("endpoint").flatten() {
        _ if typed.values.sound(&["websocket.enabled"])
            && !typed.values.flag("websocket.enabled") =>
        {
            Vec::new()
        }
        Some(given) => renamed(given, &typed.values, problems),
        None => without_rivals(renamed(defaults(), &typed.values, problems)),
    };
    typed.lists.insert("endpoint", Some(endpoints));
    typed.endpoints_mut().filter(is_admin).for_each(|endpoint| close(endpoint, warnings));
    socketio::open_endpoints(typed);
    if dev {
        settle_dev(typed, problems);
    }
}

fn is_admin(endpoint: &&mut Values) -> bool {
    const KEY: &str = "endpoint.dialect";
    endpoint.sound(&[KEY]) && endpoint.text(KEY) == Some("admin")
}

/// Whatever is configured, operators bring a token.
fn close(endpoint: &mut Values, warnings: &mut Vec<String>) {
    const KEY: &str = "endpoint.require_authentication";
    if !endpoint.flag(KEY) {
        let origin = &endpoint.get(KEY).origin;
        warnings.push(format!("{KEY} = false ({origin}) has no effect: admin always requires it"));
        endpoint.set(KEY, Value::Flag(true), Origin::Derived("the dialect admin"));
    }
}

fn default_endpoints() -> Vec<Values> {
    let entry = |(path, dialect): (&str, &str)| {
        let mut entry = Values::entry("endpoint");
        entry.set("endpoint.path", Value::Text(path.to_owned()), Origin::Default);
        entry.set("endpoint.dialect", Value::Text(dialect.to_owned()), Origin::Default);
        entry
    };
    DEFAULT_ENDPOINTS.into_iter().map(entry).collect()
}

/// The endpoints with `websocket.path` as the path of the first, unless it is where Socket.IO's is.
fn renamed(mut endpoints: Vec<Values>, values: &Values, problems: &mut Problems) -> Vec<Values> {
    let given = values.get("websocket.path");
    let is_there = |endpoint: &Values| {
        let (Value::Text(path), true) = (&given.value, endpoint.sound(&["endpoint.path"])) else {
            return false;
        };
        socketio::is_spoken_at(endpoint)
            && socketio::is_same_path(path, endpoint.required("endpoint.path"))
    };
    if endpoints.iter().any(is_there) {
        return endpoints;
    }
    match (&given.value, endpoints.first_mut()) {
        (Value::Unset, _) => {}
        (path, Some(first)) => first.set("endpoint.path", path.clone(), given.origin.clone()),
        (path, None) => problems.push(Problem::contradiction(
            &given.origin,
            "websocket.path",
            path,
            "there is no endpoint to rename",
        )),
    }
    endpoints
}

/// Default endpoints less those that the renamed first has taken the path of.
fn without_rivals(mut endpoints: Vec<Values>) -> Vec<Values> {
    const KEY: &str = "endpoint.path";
    let mut taken = std::collections::BTreeSet::new();
    endpoints.retain(|endpoint| taken.insert(endpoint.required(KEY).to_owned()));
    endpoints
}

/// `--dev` listens on this machine only and lets anonymous connections in.
fn settle_dev(typed: &mut Typed, problems: &mut Problems) {
    keep_to_this_machine(&mut typed.values, DEV, problems);
    for endpoint in typed.endpoints_mut().filter(|endpoint| !is_admin(endpoint)) {
        endpoint.set("endpoint.require_authentication", Value::Flag(false), Origin::Derived(DEV));
    }
}

/// Listens on loopback, unless told otherwise, which is refused; `why` is what lets anyone in.
pub(super) fn keep_to_this_machine(
    values: &mut Values,
    why: &'static str,
    problems: &mut Problems,
) {
    const KEY: &str = "server.host";
    let host = values.get(KEY);
    if host.origin == Origin::Default && values.sound(&[KEY]) {
        values.set(KEY, Value::Text(LOOPBACK.to_owned()), Origin::Derived(why));
    } else if !grammar::is_loopback(values.required(KEY)) && values.sound(&[KEY]) {
        let what = format_args!(
            "{why} lets anyone in and listens on loopback only; allowed: 127.0.0.1, ::1, localhost"
        );
        problems.push(Problem::contradiction(&host.origin, KEY, &host.value, what));
    }
}

/// The plain data.
///
/// # Panics
/// Only when the table and this file disagree: a bug. Nothing in `typed` may have been refused.
pub(super) fn settings(typed: &Typed, key: AuthKey, dev: bool) -> Settings {
    let values = &typed.values;
    Settings {
        dev,
        log: Log { format: values.word("log.format"), level: values.word("log.level") },
        server: server(values),
        tls: tls(values),
        websocket: websocket(values),
        endpoints: typed.entries("endpoint").iter().map(|entry| endpoint(values, entry)).collect(),
        auth: Auth {
            key,
            algorithms: values.words("auth.algorithms"),
            issuer: owned(values, "auth.issuer"),
            audience: owned(values, "auth.audience"),
            leeway_s: values.int("auth.leeway_s"),
            require_exp: values.flag("auth.require_exp"),
        },
        tenants: Tenants {
            allowed: values.texts("tenants.allowed").map(<[String]>::to_vec),
            inactive: values.texts("tenants.inactive").unwrap_or_default().to_vec(),
        },
        rules: typed.entries("rule").iter().map(rule).collect(),
        webhook: webhook(values),
        limits: Limits {
            messages_per_window: values.int("limits.messages_per_window"),
            bytes_per_window: values.int("limits.bytes_per_window"),
            window_ms: values.int("limits.window_ms"),
            subscriptions_max: values.int("limits.subscriptions_max"),
            topic: topic_bounds(values),
        },
        slow_consumer: SlowConsumer {
            outbox_bytes_max: values.int("slow_consumer.outbox_bytes_max"),
            policy: values.word("slow_consumer.policy"),
        },
        api: Api { key: values.secret("api.key") },
        bus: Bus {
            adapter: values.word("bus.adapter"),
            memory_max_messages: values.int("bus.memory_max_messages"),
        },
        socketio: socketio::settings(values),
        histories: typed.entries("history").iter().map(history).collect(),
    }
}

/// The bounds of a topic's name.
pub(super) fn topic_bounds(values: &Values) -> TopicBounds {
    TopicBounds {
        bytes_max: values.int("limits.topic_bytes_max"),
        segments_max: values.int("limits.topic_segments_max"),
    }
}

fn server(values: &Values) -> Server {
    let networks = values.texts("server.trusted_proxies").unwrap_or_default();
    Server {
        host: values.required("server.host").to_owned(),
        port: values.int("server.port"),
        shards: values.int("server.shards"),
        max_connections: values.int("server.max_connections"),
        max_connections_per_ip: values.int("server.max_connections_per_ip"),
        trusted_proxies: networks.iter().filter_map(|text| grammar::parse_network(text)).collect(),
        proxy_protocol: values.flag("server.proxy_protocol"),
        metrics_address: values.text("server.metrics_address").and_then(|text| text.parse().ok()),
        allow_origins: match values.texts("server.allow_origins") {
            None => Origins::SameHost,
            Some(origins) if origins.iter().any(|origin| origin == "*") => Origins::Any,
            Some(origins) => Origins::only(origins),
        },
        request_timeout_ms: values.int("server.request_timeout_ms"),
        drain_ms: values.int("server.drain_ms"),
    }
}

fn tls(values: &Values) -> Option<Tls> {
    let file = |key| values.text(key).map(PathBuf::from);
    Some(Tls { cert_file: file("tls.cert_file")?, key_file: file("tls.key_file")? })
}

fn webhook(values: &Values) -> Option<WebhookSettings> {
    Some(WebhookSettings {
        url: values.secret("webhook.url")?.expose().to_owned(),
        secret: values.secret("webhook.secret"),
        timeout_ms: values.int("webhook.timeout_ms"),
        cache_ttl_s: values.int("webhook.cache_ttl_s"),
        signed_timestamp: values.flag("webhook.signed_timestamp"),
    })
}

fn websocket(values: &Values) -> Websocket {
    let compression = Compression { bytes_min: values.int("websocket.compression_min_bytes") };
    Websocket {
        ping_interval_ms: values.int("websocket.ping_interval_ms"),
        ping_timeout_ms: values.int("websocket.ping_timeout_ms"),
        max_message_bytes: values.int("websocket.max_message_bytes"),
        auth_deadline_ms: values.int("websocket.auth_deadline_ms"),
        flush_delay_us: values.int("websocket.flush_delay_us"),
        compression: values.flag("websocket.compression").then_some(compression),
    }
}

fn endpoint(values: &Values, entry: &Values) -> Endpoint {
    Endpoint {
        path: entry.required("endpoint.path").to_owned(),
        dialect: entry.word("endpoint.dialect"),
        require_authentication: entry.flag("endpoint.require_authentication"),
        engine_only: socketio::is_engine_only(values, entry),
    }
}

/// A rule of which nothing is wrong.
pub(super) fn rule(entry: &Values) -> RuleSetting {
    RuleSetting {
        topic: entry.required("rule.topic").to_owned(),
        allow: entry.words("rule.allow"),
        role: owned(entry, "rule.role"),
        decide: entry.word("rule.decide"),
    }
}

fn history(entry: &Values) -> HistorySetting {
    HistorySetting {
        topic: entry.required("history.topic").to_owned(),
        size: entry.int("history.size"),
        ttl_s: entry.int("history.ttl_s"),
    }
}

fn owned(values: &Values, key: &str) -> Option<String> {
    values.text(key).map(str::to_owned)
}

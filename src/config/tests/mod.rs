//! Tests of the configuration through its door, [`load`]: no environment but the one handed in.
//!
//! This file has the fixture and the tests of the table itself; beside it, what is accepted
//! (`sources`), what is refused (`refused`), the keys of tokens (`keys`), Socket.IO (`socketio`), and
//! what a reload changes (`renewed`).

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::setting::{LISTS, find, nearest};
use super::value::Value;
use super::*;

mod keys;
mod refused;
mod renewed;
mod socketio;
mod sources;

/// What a test configures; files exist only in here.
#[derive(Default)]
struct Given {
    toml: &'static str,
    env: Vec<(&'static str, &'static str)>,
    /// `--set`, as key and value.
    flags: Vec<(&'static str, &'static str)>,
    dev: bool,
    files: BTreeMap<&'static str, &'static str>,
}

impl Given {
    fn load(&self) -> Result<Loaded, Problems> {
        let environment: Environment =
            self.env.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        let read = |path: &Path| match path.to_str() {
            Some("c.toml") => Ok(self.toml.to_owned()),
            name => match self.files.get(name.unwrap_or_default()) {
                Some(text) => Ok((*text).to_owned()),
                None => Err(io::Error::from(io::ErrorKind::NotFound)),
            },
        };
        let overrides = self.flags.iter().map(|(key, text)| Override {
            flag: "--set".to_owned(),
            key: (*key).to_owned(),
            text: (*text).to_owned(),
        });
        load(&Sources {
            file: Some(PathBuf::from("c.toml")),
            environment: &environment,
            overrides: overrides.collect(),
            dev: self.dev,
            read: &read,
        })
    }

    fn settings(&self) -> Settings {
        self.load().unwrap_or_else(|problems| panic!("{problems}")).settings
    }

    fn warnings(&self) -> Vec<String> {
        self.load().unwrap_or_else(|problems| panic!("{problems}")).warnings
    }

    /// The lines of what is wrong.
    fn problems(&self) -> Vec<String> {
        let problems = self.load().expect_err("something is wrong here");
        problems.iter().map(ToString::to_string).collect()
    }
}

fn toml(toml: &'static str) -> Given {
    Given { toml, ..Given::default() }
}

fn env(env: &[(&'static str, &'static str)]) -> Given {
    Given { env: env.to_vec(), ..Given::default() }
}

fn flags(flags: &[(&'static str, &'static str)]) -> Given {
    Given { flags: flags.to_vec(), ..Given::default() }
}

#[test]
fn the_table_is_whole() {
    let built = concat!(
        include_str!("../meant.rs"),
        include_str!("../key.rs"),
        include_str!("../socketio.rs"),
    );
    for (row, setting) in SETTINGS.iter().enumerate() {
        let Setting { key, about, default, .. } = *setting;
        assert!(key.contains('.') && !about.is_empty(), "{key}");
        assert!(std::ptr::eq(find(key).unwrap(), &raw const SETTINGS[row]), "{key} stands twice");
        let text = match default {
            Preset::Unset | Preset::Required => continue,
            Preset::Int(number) => number.to_string(),
            Preset::Flag(flag) => flag.to_string(),
            Preset::Text(text) => text.to_owned(),
        };
        assert!(Value::from_text(setting, &text).is_ok(), "the default of {key} is refused");
        let is_read = built.contains(&format!("\"{key}\""));
        assert!(is_read || setting.support != Support::Full, "nothing reads {key}");
    }
    let mut variables: Vec<_> = SETTINGS.iter().flat_map(|setting| setting.env).collect();
    let count = variables.len();
    variables.sort();
    variables.dedup();
    assert_eq!(variables.len(), count, "a variable stands twice");
}

/// The names and defaults of protocols.md section 9.
#[test]
fn the_environment_of_the_contract() {
    for (variable, key, default) in [
        ("WEBSOCKET_ENABLED", "websocket.enabled", Some(Value::Flag(true))),
        ("WEBSOCKET_PORT", "server.port", Some(Value::Int(3000))),
        ("WEBSOCKET_HOST", "server.host", Some(Value::Text("0.0.0.0".into()))),
        ("WEBSOCKET_PATH", "websocket.path", None),
        ("WEBSOCKET_PING_INTERVAL", "websocket.ping_interval_ms", Some(Value::Int(30_000))),
        ("WEBSOCKET_PING_TIMEOUT", "websocket.ping_timeout_ms", Some(Value::Int(60_000))),
        ("WEBSOCKET_MAX_CONNECTIONS", "server.max_connections", Some(Value::Int(0))),
        (
            "WEBSOCKET_MAX_CONNECTIONS_PER_IP",
            "server.max_connections_per_ip",
            Some(Value::Int(100)),
        ),
        ("WEBSOCKET_MAX_MESSAGE_SIZE", "websocket.max_message_bytes", Some(Value::Int(1_048_576))),
        ("WEBSOCKET_MAX_BUFFER_SIZE", "websocket.max_message_bytes", Some(Value::Int(1_048_576))),
        ("WEBSOCKET_RATE_LIMIT_WINDOW", "limits.window_ms", Some(Value::Int(60_000))),
        ("WEBSOCKET_CORS_ORIGIN", "server.allow_origins", None),
        ("JWT_SECRET", "auth.secret", None),
        ("ACCESS_SECRET_KEY", "auth.secret", None),
        ("PUBSUB_ADAPTER", "bus.adapter", Some(Value::Text("memory".into()))),
        ("PUBSUB_REDIS_URL", "redis.url", None),
        ("REDIS_URL", "redis.url", None),
        ("PUBSUB_REDIS_PREFIX", "redis.prefix", Some(Value::Text("pubsub:".into()))),
        ("PUBSUB_MEMORY_MAX_MESSAGES", "bus.memory_max_messages", Some(Value::Int(10_000))),
    ] {
        let setting = find(key).unwrap();
        assert!(setting.env.contains(&variable), "{variable}");
        let given = Typed::defaults().values.get(key).value.clone();
        assert_eq!(given, default.unwrap_or(Value::Unset), "{key}");
    }
}

/// The keys of protocols.md sections 10 and 11.
#[test]
fn the_keys_of_the_contract() {
    for (section, names) in [
        ("server", "host port shards max_connections max_connections_per_ip drain_ms"),
        (
            "server",
            "trusted_proxies proxy_protocol allow_origins metrics_address request_timeout_ms",
        ),
        ("tls", "cert_file key_file"),
        ("websocket", "ping_interval_ms ping_timeout_ms max_message_bytes auth_deadline_ms"),
        ("websocket", "flush_delay_us compression compression_min_bytes"),
        ("endpoint", "path dialect require_authentication"),
        (
            "auth",
            "secret public_key_file jwks_file algorithms issuer audience leeway_s require_exp",
        ),
        ("tenants", "allowed inactive"),
        ("rule", "topic allow role decide"),
        ("webhook", "url secret timeout_ms cache_ttl_s signed_timestamp"),
        ("limits", "messages_per_window window_ms subscriptions_max topic_bytes_max"),
        ("limits", "topic_segments_max"),
        ("slow_consumer", "outbox_bytes_max policy"),
        ("api", "key"),
        ("bus", "adapter"),
        ("redis", "url prefix event_bus events_channel socketio socketio_key"),
        ("nats", "url prefix"),
        ("rabbitmq", "url queue prefetch dead_letter_exchange"),
        ("socketio", "ping_interval_ms ping_timeout_ms max_http_buffer_bytes recovery_ms"),
        ("socketio", "test_notification conformance events"),
        ("history", "topic size ttl_s"),
    ] {
        for name in names.split_whitespace() {
            assert!(find(&format!("{section}.{name}")).is_some(), "{section}.{name}");
        }
    }
    assert_eq!(LISTS, ["endpoint", "rule", "history"]);
}

#[test]
fn what_an_unknown_key_was_meant_to_be() {
    for (key, meant) in [
        ("server.prot", Some("server.port")),
        ("sever.port", Some("server.port")),
        ("websocket.ping_interval", Some("websocket.ping_interval_ms")),
        ("port", Some("server.port")),
        ("websocket.trusted_proxies", Some("server.trusted_proxies")),
        ("server.wibble", None),
        ("wibble", None),
    ] {
        assert_eq!(nearest(key).map(|setting| setting.key), meant, "{key}");
    }
}

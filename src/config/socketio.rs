//! The section `socketio`: what follows from other settings, what a mode of conformance brings, and
//! the plain data.
//!
//! A mode stands in for the server that a public conformance suite assumes. It brings endpoints and
//! times as defaults, so that what is given goes before it, and listens on loopback only, since its
//! handlers ask nobody who they are. Called by `meant.rs`. Spec: protocols.md sections 5 and 10.

use super::events::Events;
use super::keys::SETTINGS;
use super::meant;
use super::problem::{Origin, Problems};
use super::settings::SocketIoSettings;
use super::typed::{Typed, Values};
use super::value::Value;
use super::words::{Conformance, Dialect};
use crate::limits;

/// The setting that chooses a mode.
pub(super) const MODE: &str = "socketio.conformance";
/// How long a lost session can be taken up again.
pub(super) const RECOVERY: &str = "socketio.recovery_ms";
const BUFFER: &str = "socketio.max_http_buffer_bytes";
const OUTBOX: &str = "slow_consumer.outbox_bytes_max";

/// Where Engine.IO is spoken with nothing above it.
const ENGINE_PATH: &str = "/engine.io/";
const ROOMS_PATH: &str = "/socket.io/";

impl Conformance {
    /// The paths that it is served at.
    fn paths(self) -> &'static [&'static str] {
        match self {
            Self::Protocol => &[ROOMS_PATH, ENGINE_PATH],
            Self::Client => &[ROOMS_PATH],
            Self::Engine => &[ENGINE_PATH],
        }
    }

    /// The defaults that are others in it.
    fn numbers(self) -> &'static [(&'static str, u64)] {
        match self {
            Self::Protocol => {
                &[("socketio.ping_interval_ms", 300), ("socketio.ping_timeout_ms", 200)]
            }
            Self::Client => &[
                ("socketio.ping_interval_ms", 2000),
                ("socketio.ping_timeout_ms", 20_000),
                (RECOVERY, 120_000),
            ],
            Self::Engine => &[
                ("socketio.ping_interval_ms", 500),
                ("socketio.ping_timeout_ms", 20_000),
                (BUFFER, 100),
            ],
        }
    }

    /// Whether its suite expects Engine.IO alone at a path, with or without its trailing slash.
    fn is_engine_only(self, path: &str) -> bool {
        match self {
            Self::Protocol => is_same_path(path, ENGINE_PATH),
            Self::Client => false,
            Self::Engine => true,
        }
    }
}

/// Whether two paths are the same but for a trailing slash, which Socket.IO's endpoints do not mind.
pub(super) fn is_same_path(one: &str, other: &str) -> bool {
    let bare = |path| str::strip_suffix(path, "/").unwrap_or(path).to_owned();
    bare(one) == bare(other)
}

/// The mode of conformance, if one is chosen.
pub(super) fn mode(values: &Values) -> Option<Conformance> {
    (values.sound(&[MODE]) && values.is_set(MODE)).then(|| values.word(MODE))
}

/// What a mode brings, and how large a message may be where that is not said.
pub(super) fn settle(values: &mut Values, problems: &mut Problems) {
    if let Some(mode) = mode(values) {
        meant::keep_to_this_machine(values, MODE, problems);
        for (key, number) in mode.numbers() {
            if values.sound(&[key]) && values.get(key).origin == Origin::Default {
                values.set(key, Value::Int(*number), Origin::Derived(MODE));
            }
        }
    }
    if values.sound(&[BUFFER, OUTBOX]) && values.get(BUFFER).origin == Origin::Default {
        let outbox: u64 = values.int(OUTBOX);
        if values.int::<u64>(BUFFER) > outbox {
            values.set(BUFFER, Value::Int(outbox), Origin::Derived(OUTBOX));
        }
    }
}

/// The endpoints that a mode is served at, while none are configured.
pub(super) fn endpoints(mode: Conformance) -> Vec<Values> {
    let origin = || Origin::Derived(MODE);
    let entry = |path: &&str| {
        let mut entry = Values::entry("endpoint");
        entry.set("endpoint.path", Value::Text((*path).to_owned()), origin());
        entry.set("endpoint.dialect", Value::Text(Dialect::SocketIo.word().to_owned()), origin());
        entry
    };
    mode.paths().iter().map(entry).collect()
}

/// Suites bring no token.
pub(super) fn open_endpoints(typed: &mut Typed) {
    const KEY: &str = "endpoint.require_authentication";
    if mode(&typed.values).is_none() {
        return;
    }
    for endpoint in typed.endpoints_mut().filter(|endpoint| is_spoken_at(endpoint)) {
        if endpoint.sound(&[KEY]) && endpoint.get(KEY).origin == Origin::Default {
            endpoint.set(KEY, Value::Flag(false), Origin::Derived(MODE));
        }
    }
}

/// Whether an endpoint's dialect is this one.
pub(super) fn is_spoken_at(endpoint: &Values) -> bool {
    const KEY: &str = "endpoint.dialect";
    endpoint.sound(&[KEY]) && endpoint.word::<Dialect>(KEY) == Dialect::SocketIo
}

/// Whether an endpoint speaks Engine.IO with nothing above it.
pub(super) fn is_engine_only(values: &Values, endpoint: &Values) -> bool {
    let path = endpoint.required("endpoint.path");
    is_spoken_at(endpoint) && mode(values).is_some_and(|mode| mode.is_engine_only(path))
}

/// What is given for Socket.IO where nothing speaks it.
pub(super) fn without_endpoint(typed: &Typed, warnings: &mut Vec<String>) {
    let endpoints = typed.entries("endpoint");
    let is_known = endpoints.iter().all(|endpoint| endpoint.sound(&["endpoint.dialect"]));
    if !is_known || endpoints.is_empty() || endpoints.iter().any(is_spoken_at) {
        return;
    }
    let defaults = Typed::defaults().values;
    for setting in SETTINGS.iter().filter(|setting| setting.section() == "socketio") {
        let given = typed.values.get(setting.key);
        let is_given = !matches!(given.origin, Origin::Default | Origin::Derived(_));
        if is_given && given.value != defaults.get(setting.key).value {
            let (key, origin) = (setting.key, &given.origin);
            warnings.push(format!("{key} ({origin}) has no effect: no endpoint speaks socketio"));
        }
    }
}

/// The plain data.
pub(super) fn settings(values: &Values) -> SocketIoSettings {
    let conformance = mode(values);
    let is = |mode| conformance == Some(mode);
    SocketIoSettings {
        ping_interval_ms: values.int("socketio.ping_interval_ms"),
        ping_timeout_ms: values.int("socketio.ping_timeout_ms"),
        max_http_buffer_bytes: values.int("socketio.max_http_buffer_bytes"),
        recovery_ms: values.int("socketio.recovery_ms"),
        test_notification: values.flag("socketio.test_notification"),
        connect_ms: if is(Conformance::Protocol) { 1000 } else { limits::CONNECT_MS },
        handshake_delay_ms: if is(Conformance::Client) { 10 } else { 0 },
        conformance,
        events: match &values.get("socketio.events").value {
            Value::Table(names) => Events::renamed(names),
            _ => Events::default(),
        },
    }
}

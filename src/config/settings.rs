//! The configuration as meant: plain data that the rest of the program is built from.
//!
//! Made by `meant.rs` out of checked values, so whoever holds a [`Settings`] need not check again.
//! Each field is the setting of the same name in `keys.rs`, which has its default and range; units
//! stand in the names. Spec: protocols.md sections 9 and 10.

use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use jsonwebtoken::Algorithm;

use super::events::Events;
use super::words::{BusAdapter, Conformance, Dialect, LogFormat, LogLevel, SlowConsumerPolicy};
use crate::auth::webhook::WebhookSettings;
use crate::origin::Origins;
use crate::rule::RuleSetting;
use crate::secret::Secret;
use crate::topic::TopicBounds;

/// All of it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Trial mode (`--dev`): anonymous connections may do everything, from this machine only.
    pub dev: bool,
    /// What is logged and how.
    pub log: Log,
    /// The listener and its doors.
    pub server: Server,
    /// TLS on the listener, where it is switched on.
    pub tls: Option<Tls>,
    /// What holds for every WebSocket connection.
    pub websocket: Websocket,
    /// What is served where; empty: HTTP only. Paths are distinct.
    pub endpoints: Vec<Endpoint>,
    /// How tokens are judged.
    pub auth: Auth,
    /// Which tenants are let in.
    pub tenants: Tenants,
    /// In order, the first match decides; empty: the default rules.
    pub rules: Vec<RuleSetting>,
    /// Who answers what the rules do not decide, where anybody does.
    pub webhook: Option<WebhookSettings>,
    /// What one connection may do.
    pub limits: Limits,
    /// What happens to a connection that does not read.
    pub slow_consumer: SlowConsumer,
    /// The HTTP API.
    pub api: Api,
    /// The link between nodes.
    pub bus: Bus,
    /// What holds for every connection of Socket.IO.
    pub socketio: SocketIoSettings,
    /// Which topics keep their past messages; the first match decides.
    pub histories: Vec<HistorySetting>,
}

/// What is logged and how.
#[derive(Clone, Debug)]
pub struct Log {
    /// How a line is written.
    pub format: LogFormat,
    /// The least severe event.
    pub level: LogLevel,
}

/// The listener and its doors.
#[derive(Clone, Debug)]
pub struct Server {
    /// An IP address (IPv6 without brackets) or a host name.
    pub host: String,
    /// 0: the system picks one.
    pub port: u16,
    /// 0: one per core.
    pub shards: usize,
    /// 0: as many as the file-descriptor limit carries.
    pub max_connections: u32,
    /// 0: no limit.
    pub max_connections_per_ip: u32,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// They begin each connection with the PROXY protocol.
    pub proxy_protocol: bool,
    /// Where browsers may come from.
    pub allow_origins: Origins,
    /// Where the metrics are served instead of on the listener.
    pub metrics_address: Option<SocketAddr>,
    /// A request that is not complete by then is cut.
    pub request_timeout_ms: u64,
    /// A shutdown ends by then.
    pub drain_ms: u64,
}

/// TLS on the listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The certificate chain, PEM.
    pub cert_file: PathBuf,
    /// Its private key, PEM.
    pub key_file: PathBuf,
}

/// What holds for every WebSocket connection.
#[derive(Clone, Debug)]
pub struct Websocket {
    /// Between two pings.
    pub ping_interval_ms: u64,
    /// Silence after which a connection is closed with 4408; more than the interval.
    pub ping_timeout_ms: u64,
    /// Of one message, after inflating.
    pub max_message_bytes: usize,
    /// Until a connection has authenticated.
    pub auth_deadline_ms: u64,
    /// Output waits so long for company; 0: not at all.
    pub flush_delay_us: u64,
    /// permessage-deflate, where it is switched on.
    pub compression: Option<Compression>,
}

/// permessage-deflate (RFC 7692).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression {
    /// Smaller messages are sent as they are.
    pub bytes_min: usize,
}

/// One WebSocket path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Begins with `/`; compared byte for byte, but that Socket.IO's is meant without its trailing
    /// slash too where no other endpoint is there.
    pub path: String,
    /// What is spoken there.
    pub dialect: Dialect,
    /// Without it, who brings no token is let in as anonymous.
    pub require_authentication: bool,
    /// Engine.IO with nothing above it, as the suites of some modes of conformance have it.
    pub engine_only: bool,
}

/// How tokens are judged.
#[derive(Clone, Debug)]
pub struct Auth {
    /// What their signature is checked with.
    pub key: AuthKey,
    /// Accepted signatures, at least one; each is one that the key is for.
    pub algorithms: Vec<Algorithm>,
    /// What `iss` must be.
    pub issuer: Option<String>,
    /// What `aud` must hold.
    pub audience: Option<String>,
    /// How far the issuer's clock may be off.
    pub leeway_s: u64,
    /// Refuse tokens without `exp`.
    pub require_exp: bool,
}

/// What a token's signature is checked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthKey {
    /// Nothing is configured: the start makes a random secret for this run.
    Generated,
    /// A secret, for HMAC.
    Secret(Secret),
    /// A public key.
    PublicKey {
        /// Where it was read from.
        file: PathBuf,
        /// The text; a public key of a known kind.
        pem: String,
    },
    /// Several keys, chosen by `kid`.
    Jwks {
        /// Where they were read from.
        file: PathBuf,
        /// The text; a JWK set with at least one usable key.
        json: String,
    },
}

/// Which tenants are let in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tenants {
    /// Only these; `None`: all.
    pub allowed: Option<Vec<String>>,
    /// Never these.
    pub inactive: Vec<String>,
}

/// What one connection may do.
#[derive(Clone, Debug)]
pub struct Limits {
    /// 0: no limit.
    pub messages_per_window: u32,
    /// 0: no limit.
    pub bytes_per_window: u32,
    /// The window of the rate limit.
    pub window_ms: u64,
    /// Subscriptions at a time.
    pub subscriptions_max: usize,
    /// Of the name of a topic.
    pub topic: TopicBounds,
}

/// What happens to a connection that does not read.
#[derive(Clone, Debug)]
pub struct SlowConsumer {
    /// May wait for one connection; holds at least one message of the greatest size.
    pub outbox_bytes_max: usize,
    /// When more would wait.
    pub policy: SlowConsumerPolicy,
}

/// The HTTP API.
#[derive(Clone, Debug)]
pub struct Api {
    /// Opens it; without, only the token of an admin does.
    pub key: Option<Secret>,
}

/// The link between nodes.
#[derive(Clone, Debug)]
pub struct Bus {
    /// What carries it.
    pub adapter: BusAdapter,
    /// Messages that the memory adapter keeps.
    pub memory_max_messages: u32,
}

/// What holds for every connection of Socket.IO.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketIoSettings {
    /// Between two pings of the server, whatever else is sent.
    pub ping_interval_ms: u64,
    /// In which a ping must be answered, from when it was due.
    pub ping_timeout_ms: u64,
    /// Of one message with its attachments, and of one request of the polling transport; an outbox
    /// holds at least that.
    pub max_http_buffer_bytes: usize,
    /// How long a lost session can be taken up again; 0: not at all.
    pub recovery_ms: u64,
    /// `TEST_NOTIFICATION` to all of the notification gateway.
    pub test_notification: bool,
    /// In which a client must be in a namespace.
    pub connect_ms: u64,
    /// The answer to a handshake waits so long; 0: not at all.
    pub handshake_delay_ms: u64,
    /// Which suite's handlers are there instead of the broker's.
    pub conformance: Option<Conformance>,
    /// What events are called.
    pub events: Events,
}

/// Which topics keep how much of their past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistorySetting {
    /// A pattern of topics.
    pub topic: String,
    /// Messages kept of each topic.
    pub size: usize,
    /// After which a message is forgotten; 0: never.
    pub ttl_s: u64,
}

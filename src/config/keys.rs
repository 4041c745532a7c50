//! The table of settings: every key of the TOML file, its names in the environment, its default,
//! its range with the unit, and what it means.
//!
//! A row is the only place where a setting's name and range are written; `meant.rs` turns the
//! checked values into [`Settings`](super::Settings). Spec: protocols.md sections 9 and 10.

use super::grammar;
use super::setting::{Kind, Preset, Setting};
use super::words::{BusAdapter, Conformance, Dialect, LogFormat, LogLevel, SlowConsumerPolicy};
use crate::limits;
use crate::rule::{Action, Decision};

/// The signature algorithms of tokens (RFC 7518 section 3.1, RFC 8037).
pub(super) const ALGORITHMS: &[&str] = &[
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "ES384", "PS256", "PS384",
    "PS512", "EdDSA",
];

const DAY_MS: u64 = 86_400_000;
const HOUR_MS: u64 = 3_600_000;
const MINUTE_MS: u64 = 60_000;
const U32_MAX: u64 = u32::MAX as u64;
/// Bytes: what a frame or an outbox may be allowed at most.
const BYTES_MAX: u64 = 1 << 28;

const TEXT: Kind = Kind::Text { allowed: "a text that is not empty", check: grammar::any_text };
const TEXTS: Kind = Kind::Texts { allowed: "a text that is not empty", check: grammar::any_text };
const PATTERN: Kind = Kind::Text {
    allowed: "a topic or a pattern, with * or ** as whole segments",
    check: grammar::pattern,
};
const RULE_TOPIC: Kind = Kind::Text {
    allowed: "a pattern; {userId} and {tenantId} may stand in it, a segment may end in *",
    // Those who compile it say what is wrong with it (`check.rs`).
    check: grammar::any_text,
};
const HOST: Kind = Kind::Text { allowed: "an IP address or a host name", check: grammar::host };
const ADDRESS: Kind =
    Kind::Text { allowed: "an IP address with a port", check: grammar::socket_address };
const PATH: Kind =
    Kind::Text { allowed: "a path that begins with /, without ? or #", check: grammar::path };
const NETWORKS: Kind =
    Kind::Texts { allowed: "an IP address or a network as 10.0.0.0/8", check: grammar::network };
const ORIGINS: Kind = Kind::Texts {
    allowed: "an origin as https://app.example (no path), or *",
    check: grammar::origin,
};

const WEBHOOK_URL: Kind = Kind::Url {
    allowed: "http://HOST/… or https://HOST/…, without user and password",
    check: grammar::webhook_url,
};

/// One of `words`.
const fn word(key: &'static str, default: &'static str, words: &'static [&'static str]) -> Setting {
    Setting::new(key, Kind::Word { words, absent: &[] }, Preset::Text(default))
}

/// A text or list without a default.
const fn unset(key: &'static str, kind: Kind) -> Setting {
    Setting::new(key, kind, Preset::Unset)
}

/// Every setting, section by section in the order of the printed configuration.
pub static SETTINGS: &[Setting] = &[
    word("log.format", "text", LogFormat::WORDS)
        .env(&["SHARDWIRE_LOG_FORMAT"])
        .about("how a line of the log on standard error is written")
        .restart(),
    word("log.level", "info", LogLevel::WORDS)
        .env(&["SHARDWIRE_LOG"])
        .about("the least severe event that is logged")
        .restart(),
    Setting::new("server.host", HOST, Preset::Text("0.0.0.0"))
        .env(&["WEBSOCKET_HOST"])
        .about("the address to listen on")
        .restart(),
    Setting::int("server.port", 3000, 0, 65_535)
        .env(&["WEBSOCKET_PORT"])
        .about("the TCP port; 0 asks the system for a free one")
        .restart(),
    Setting::int("server.shards", 0, 0, limits::SHARDS_MAX as u64)
        .unit("threads")
        .about("threads that serve connections; 0: one per core")
        .restart(),
    Setting::int("server.max_connections", 0, 0, U32_MAX)
        .env(&["WEBSOCKET_MAX_CONNECTIONS"])
        .unit("connections")
        .about("more get 503; 0: as many as the file-descriptor limit carries"),
    Setting::int(
        "server.max_connections_per_ip",
        limits::CONNECTIONS_PER_IP_MAX as u64,
        0,
        U32_MAX,
    )
    .env(&["WEBSOCKET_MAX_CONNECTIONS_PER_IP"])
    .unit("connections")
    .about("more from one client address get 429; 0: no limit"),
    unset("server.trusted_proxies", NETWORKS).about("whose X-Forwarded-For is believed"),
    Setting::flag("server.proxy_protocol", false)
        .about("trusted proxies must begin a connection with PROXY v1 or v2; nobody else may"),
    unset("server.allow_origins", ORIGINS)
        .env(&["WEBSOCKET_CORS_ORIGIN"])
        .about("origins that browsers may come from; unset: the same host only"),
    unset("server.metrics_address", ADDRESS)
        .about("where /metrics is served; unset: on the main port")
        .restart(),
    Setting::int("server.request_timeout_ms", limits::REQUEST_TIMEOUT_MS, 10, HOUR_MS)
        .unit("ms")
        .about("a request is cut whose head, or then its body, is not complete by then"),
    Setting::int("server.drain_ms", limits::DRAIN_MS, 0, HOUR_MS)
        .unit("ms")
        .about("over how long connections are told of a shutdown; it ends by then"),
    unset("tls.cert_file", TEXT).about("the certificate chain, PEM; with it the port is TLS only"),
    unset("tls.key_file", TEXT).about("its private key, PEM"),
    Setting::flag("websocket.enabled", true)
        .env(&["WEBSOCKET_ENABLED"])
        .about("false: HTTP only")
        .restart(),
    unset("websocket.path", PATH)
        .env(&["WEBSOCKET_PATH"])
        .about("renames the path of the first endpoint")
        .restart(),
    Setting::int("websocket.ping_interval_ms", limits::PING_INTERVAL_MS, 10, DAY_MS)
        .env(&["WEBSOCKET_PING_INTERVAL"])
        .unit("ms")
        .about("silence before a connection is pinged, which costs a send"),
    Setting::int("websocket.ping_timeout_ms", limits::PING_TIMEOUT_MS, 20, 2 * DAY_MS)
        .env(&["WEBSOCKET_PING_TIMEOUT"])
        .unit("ms")
        .about("a connection silent for so long is closed with 4408"),
    Setting::int("websocket.max_message_bytes", limits::MESSAGE_BYTES_MAX as u64, 64, BYTES_MAX)
        .env(&["WEBSOCKET_MAX_MESSAGE_SIZE", "WEBSOCKET_MAX_BUFFER_SIZE"])
        .unit("bytes")
        .about("a larger message closes its connection with 1009"),
    Setting::int("websocket.auth_deadline_ms", limits::AUTH_DEADLINE_MS, 10, DAY_MS)
        .unit("ms")
        .about("a connection not authenticated by then is closed with 1008"),
    Setting::int("websocket.flush_delay_us", 0, 0, 1_000_000)
        .unit("µs")
        .about("waits so long for more to send at once: cheaper fan-out for later delivery"),
    Setting::flag("websocket.compression", false)
        .about("negotiate permessage-deflate; costs CPU for each large message")
        .restart(),
    Setting::int(
        "websocket.compression_min_bytes",
        limits::COMPRESSION_BYTES_MIN as u64,
        0,
        BYTES_MAX,
    )
    .unit("bytes")
    .about("smaller messages are sent as they are"),
    Setting::new("endpoint.path", PATH, Preset::Required).about("where it is, exactly").restart(),
    word("endpoint.dialect", "topics", Dialect::WORDS).about("the protocol spoken there").restart(),
    Setting::flag("endpoint.require_authentication", true)
        .about("false: who brings no token is let in as anonymous")
        .restart(),
    unset("auth.secret", Kind::Secret)
        .env(&["JWT_SECRET", "ACCESS_SECRET_KEY"])
        .about("the key of HMAC-signed tokens; without any key a random one is made each run"),
    unset("auth.public_key_file", TEXT).about("the public key of the tokens' issuer, PEM"),
    unset("auth.jwks_file", TEXT).about("the public keys of the tokens' issuer, a JWK set"),
    unset("auth.algorithms", Kind::Words(ALGORITHMS))
        .about("accepted signatures; unset: those that the key is for"),
    unset("auth.issuer", TEXT).about("what a token's iss must be"),
    unset("auth.audience", TEXT).about("what a token's aud must hold"),
    Setting::int("auth.leeway_s", limits::TOKEN_LEEWAY_S, 0, 3600)
        .unit("s")
        .about("how far the issuer's clock may be off"),
    Setting::flag("auth.require_exp", false).about("refuse tokens that never expire"),
    unset("tenants.allowed", TEXTS).about("tenants let in; unset: all"),
    unset("tenants.inactive", TEXTS).about("tenants kept out"),
    Setting::new("rule.topic", RULE_TOPIC, Preset::Required).about("the topics it is about"),
    Setting::new("rule.allow", Kind::Words(Action::WORDS), Preset::Required)
        .about("the actions it is about"),
    unset("rule.role", TEXT).about("only for users with this role"),
    word("rule.decide", "allow", Decision::WORDS).about("what the first matching rule says"),
    unset("webhook.url", WEBHOOK_URL).about("asked by rules that say webhook"),
    unset("webhook.secret", Kind::Secret).about("signs the questions"),
    Setting::int("webhook.timeout_ms", 2000, 10, MINUTE_MS)
        .unit("ms")
        .about("no answer by then is a no"),
    Setting::int("webhook.cache_ttl_s", 30, 0, 86_400)
        .unit("s")
        .about("how long an answer holds that names no time itself"),
    Setting::flag("webhook.signed_timestamp", false).about("sign the time of the question too"),
    Setting::int("limits.messages_per_window", 0, 0, U32_MAX)
        .unit("messages")
        .about("more from one connection in a window get 429; 0: no limit"),
    Setting::int("limits.bytes_per_window", 0, 0, U32_MAX)
        .unit("bytes")
        .about("more from one connection in a window get 429; 0: no limit"),
    Setting::int("limits.window_ms", limits::RATE_WINDOW_MS, 10, DAY_MS)
        .env(&["WEBSOCKET_RATE_LIMIT_WINDOW"])
        .unit("ms")
        .about("the window of the rate limit"),
    Setting::int("limits.subscriptions_max", limits::SUBSCRIPTIONS_MAX as u64, 1, 1_000_000)
        .unit("subscriptions")
        .about("of one connection; more get 403"),
    Setting::int(
        "limits.topic_bytes_max",
        limits::TOPIC_BYTES_MAX as u64,
        1,
        limits::TOPIC_BYTES_MAX as u64,
    )
    .unit("bytes")
    .about("of a topic's name"),
    Setting::int(
        "limits.topic_segments_max",
        limits::TOPIC_SEGMENTS_MAX as u64,
        1,
        limits::TOPIC_SEGMENTS_MAX as u64,
    )
    .unit("segments")
    .about("of a topic's name"),
    Setting::int(
        "slow_consumer.outbox_bytes_max",
        limits::OUTBOX_BYTES_MAX as u64,
        1024,
        BYTES_MAX,
    )
    .unit("bytes")
    .about("may wait for one connection that does not read"),
    word("slow_consumer.policy", "disconnect", SlowConsumerPolicy::WORDS)
        .about("what happens to a connection whose outbox is full"),
    unset("api.key", Kind::Secret)
        .env(&["SHARDWIRE_API_KEY"])
        .about("opens /api; unset: only an admin's token does"),
    Setting::new(
        "bus.adapter",
        Kind::Word { words: BusAdapter::WORDS, absent: &["redis", "nats"] },
        Preset::Text("memory"),
    )
    .env(&["PUBSUB_ADAPTER"])
    .about("how nodes find each other")
    .restart(),
    Setting::int("bus.memory_max_messages", limits::MEMORY_MESSAGES_MAX as u64, 1, U32_MAX)
        .env(&["PUBSUB_MEMORY_MAX_MESSAGES"])
        .unit("messages")
        .about("accepted for old environments; one node keeps none between its shards")
        .restart(),
    unset("redis.url", Kind::Secret)
        .env(&["PUBSUB_REDIS_URL", "REDIS_URL"])
        .about("the Redis server")
        .idle("Redis"),
    Setting::new("redis.prefix", TEXT, Preset::Text("pubsub:"))
        .env(&["PUBSUB_REDIS_PREFIX"])
        .about("before the names of channels")
        .idle("Redis"),
    Setting::flag("redis.event_bus", false)
        .about("read and write ws:broadcast, ws:tenant, ws:channel, ws:user")
        .absent("Redis"),
    unset("redis.events_channel", TEXT).about("a channel of events to read").absent("Redis"),
    Setting::flag("redis.socketio", false)
        .about("speak with Socket.IO's Redis adapter and emitter")
        .absent("Redis"),
    Setting::new("redis.socketio_key", TEXT, Preset::Text("socket.io"))
        .about("the prefix of that adapter")
        .idle("Redis"),
    unset("nats.url", Kind::Secret).about("the NATS server").absent("NATS"),
    Setting::new("nats.prefix", TEXT, Preset::Text("pubsub"))
        .about("the first token of subjects")
        .absent("NATS"),
    unset("rabbitmq.url", Kind::Secret).about("the RabbitMQ server").absent("RabbitMQ"),
    Setting::new("rabbitmq.queue", TEXT, Preset::Text("notifications"))
        .about("the queue of notifications")
        .absent("RabbitMQ"),
    Setting::int("rabbitmq.prefetch", 256, 1, 65_535)
        .unit("messages")
        .about("taken before the first is acknowledged")
        .absent("RabbitMQ"),
    unset("rabbitmq.dead_letter_exchange", TEXT)
        .about("where malformed notifications go")
        .absent("RabbitMQ"),
    Setting::int("socketio.ping_interval_ms", limits::ENGINE_PING_INTERVAL_MS, 100, DAY_MS)
        .unit("ms")
        .about("the server pings so often, whatever else is said; each costs a send"),
    Setting::int("socketio.ping_timeout_ms", limits::ENGINE_PING_TIMEOUT_MS, 100, DAY_MS)
        .unit("ms")
        .about("a client that has not answered a ping by then is gone"),
    Setting::int(
        "socketio.max_http_buffer_bytes",
        limits::ENGINE_PAYLOAD_BYTES_MAX as u64,
        64,
        BYTES_MAX,
    )
    .unit("bytes")
    .about("of one message with its attachments, held while it comes; clients are told"),
    Setting::int("socketio.recovery_ms", 0, 0, DAY_MS).unit("ms").about(
        "a lost session can be taken up again: events are held in memory, each has an argument \
         more; 0: not at all; on or off from the next start",
    ),
    Setting::flag("socketio.test_notification", false)
        .about("TEST_NOTIFICATION to all on the namespace /ws every 60 s, a delivery each"),
    unset("socketio.conformance", Kind::Word { words: Conformance::WORDS, absent: &[] })
        .about("stand in for the server of a conformance suite, on loopback only")
        .restart(),
    unset("socketio.events", Kind::Table)
        .about("events by other names; a name that is none of the broker's is passed on to a room"),
    Setting::new("history.topic", PATTERN, Preset::Required)
        .about("the topics that keep one")
        .restart(),
    Setting::new(
        "history.size",
        Kind::Int { min: 1, max: limits::HISTORY_MESSAGES_MAX },
        Preset::Required,
    )
    .unit("messages")
    .about("kept of each topic; their bytes are held in memory")
    .restart(),
    Setting::int("history.ttl_s", 0, 0, 31_536_000)
        .unit("s")
        .about("after which a message is forgotten; 0: never")
        .restart(),
];

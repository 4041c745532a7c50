//! What a shard must know of the configuration: read only, the same for all shards.
//! Made by `node` out of the configuration or by a test; a shard is given another one as a whole.

use crate::auth::{Rules, Tenants, Verifier};
use crate::config::{Conformance, Dialect, Events, HistorySetting, SlowConsumerPolicy};
use crate::limits;
use crate::origin::Origins;
use crate::shard::outbox::OutboxBound;
use crate::topic::TopicBounds;

const NS_PER_MS: u64 = 1_000_000;
const DAY_MS: u64 = 86_400_000;

/// A path that clients connect to.
#[derive(Debug)]
pub struct Endpoint {
    /// The path, beginning with `/`.
    pub path: String,
    /// What is spoken there.
    pub dialect: Dialect,
    /// Whether a client without a token may do nothing but authenticate.
    pub require_authentication: bool,
    /// Who may do what.
    pub rules: Rules,
    /// Engine.IO alone is spoken, and each message comes back: for conformance suites.
    pub engine_only: bool,
}

impl Endpoint {
    /// An endpoint; what is added to endpoints later has a default here.
    pub fn new(
        path: impl Into<String>,
        dialect: Dialect,
        require_authentication: bool,
        rules: Rules,
    ) -> Self {
        let engine_only = false;
        Self { path: path.into(), dialect, require_authentication, rules, engine_only }
    }
}

/// How much one connection may send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    /// Data frames; `None`: no limit.
    pub messages: Option<Bucket>,
    /// Bytes of data frames; `None`: no limit.
    pub bytes: Option<Bucket>,
}

/// So much in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    amount: u32,
    window_ms: u64,
    /// The part of the window that one takes, in nanoseconds with [`Bucket::FRACTION_BITS`]: made
    /// once, so that a frame needs no division.
    one: u64,
}

impl Bucket {
    /// A day's nanoseconds and these are 63 bits.
    const FRACTION_BITS: u32 = 16;

    /// `amount` of a window of so many milliseconds; a window is one long at least and a day at
    /// most.
    pub fn new(amount: u32, window_ms: u64) -> Self {
        let window_ms = window_ms.clamp(1, DAY_MS);
        let one = ((window_ms * NS_PER_MS) << Self::FRACTION_BITS) / u64::from(amount.max(1));
        Self { amount, window_ms, one }
    }

    /// What may be sent in a window.
    pub fn amount(self) -> u32 {
        self.amount
    }

    /// Milliseconds of a window.
    pub fn window_ms(self) -> u64 {
        self.window_ms
    }

    /// Nanoseconds in which so much comes again, rounded down: the whole amount in a window or
    /// hardly less.
    pub(super) fn takes_ns(self, amount: u32) -> u64 {
        let takes_ns = (u128::from(self.one) * u128::from(amount)) >> Self::FRACTION_BITS;
        u64::try_from(takes_ns).unwrap_or(u64::MAX)
    }
}

/// The settings of the Socket.IO dialect.
#[derive(Clone, Debug)]
pub struct SocketIoPolicy {
    /// Milliseconds between pings.
    pub ping_interval_ms: u64,
    /// Milliseconds for the pong.
    pub ping_timeout_ms: u64,
    /// Milliseconds in which a WebSocket that wants to take over must have.
    pub upgrade_ms: u64,
    /// Milliseconds in which a namespace must be connected.
    pub connect_ms: u64,
    /// Bytes of a message with its attachments, and of the body of a request.
    pub payload_bytes_max: usize,
    /// Milliseconds in which a socket can be come back for; `None`: never.
    pub recovery_ms: Option<u64>,
    /// Whether the gateway says something to all every minute.
    pub test_notification: bool,
    /// What events are called.
    pub events: Events,
    /// The suite whose handlers answer in place of the room server and the gateway.
    pub conformance: Option<Conformance>,
}

impl Default for SocketIoPolicy {
    fn default() -> Self {
        Self {
            ping_interval_ms: limits::ENGINE_PING_INTERVAL_MS,
            ping_timeout_ms: limits::ENGINE_PING_TIMEOUT_MS,
            upgrade_ms: limits::UPGRADE_MS,
            connect_ms: limits::CONNECT_MS,
            payload_bytes_max: limits::ENGINE_PAYLOAD_BYTES_MAX,
            recovery_ms: None,
            test_notification: false,
            events: Events::default(),
            conformance: None,
        }
    }
}

/// The settings of a shard.
#[derive(Debug)]
pub struct Policy {
    /// The endpoints; a connection names its own by index.
    pub endpoints: Vec<Endpoint>,
    /// Checks tokens; without one nobody can authenticate.
    pub verifier: Option<Verifier>,
    /// Topics and patterns.
    pub topic_bounds: TopicBounds,
    /// Subscriptions of a connection.
    pub subscriptions_max: usize,
    /// Bytes of a client's message, after inflating.
    pub message_bytes_max: usize,
    /// What may wait for a slow consumer.
    pub outbox: OutboxBound,
    /// Silence after which a ping is sent, in milliseconds.
    pub ping_interval_ms: u64,
    /// Silence after which a connection is given up, in milliseconds.
    pub ping_timeout_ms: u64,
    /// Time to authenticate, in milliseconds.
    pub auth_deadline_ms: u64,
    /// How much one connection may send.
    pub rate: Rate,
    /// Which tenants are let in.
    pub tenants: Tenants,
    /// From which pages browsers may connect.
    pub origins: Origins,
    /// How long a webhook may take to answer, in milliseconds; `None`: there is no webhook.
    pub webhook_timeout_ms: Option<u64>,
    /// Which webhook that is: under another number another, whose answers are not those of this one.
    pub webhook_number: u64,
    /// Bytes from which on a message is compressed for those who negotiated it; `None`: never.
    pub compression_min_bytes: Option<usize>,
    /// Steps of work that one read of a connection may cause before others get their turn.
    pub read_steps_max: u64,
    /// Topics with a history.
    pub history: Vec<HistorySetting>,
    /// The Socket.IO dialect.
    pub socketio: SocketIoPolicy,
}

impl Policy {
    /// The default limits with these endpoints and no verifier.
    pub fn new(endpoints: Vec<Endpoint>) -> Self {
        Self {
            endpoints,
            verifier: None,
            topic_bounds: TopicBounds::default(),
            subscriptions_max: limits::SUBSCRIPTIONS_MAX,
            message_bytes_max: limits::MESSAGE_BYTES_MAX,
            outbox: OutboxBound {
                bytes_max: limits::OUTBOX_BYTES_MAX,
                policy: SlowConsumerPolicy::Disconnect,
            },
            ping_interval_ms: limits::PING_INTERVAL_MS,
            ping_timeout_ms: limits::PING_TIMEOUT_MS,
            auth_deadline_ms: limits::AUTH_DEADLINE_MS,
            rate: Rate::default(),
            tenants: Tenants::default(),
            origins: Origins::SameHost,
            webhook_timeout_ms: None,
            webhook_number: 0,
            compression_min_bytes: None,
            read_steps_max: limits::READ_STEPS_MAX,
            history: Vec::new(),
            socketio: SocketIoPolicy::default(),
        }
    }

    /// Bytes of a client's message on an endpoint, after inflating.
    pub fn message_bytes_max(&self, endpoint: u8) -> usize {
        match self.endpoints[usize::from(endpoint)].dialect {
            Dialect::SocketIo => self.socketio.payload_bytes_max,
            _ => self.message_bytes_max,
        }
    }
}

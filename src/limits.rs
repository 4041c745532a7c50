//! Every bound of the broker in one place, each with its unit.
//!
//! What an operator may change is a setting (`config.rs`) whose default stands here; the rest is
//! fixed. A bound that is hit has a counter in `metrics.rs` or a refusal in `close.rs`.

/// Bytes of a topic's name (protocols.md section 2).
pub const TOPIC_BYTES_MAX: usize = 256;
/// Segments of a topic's name (protocols.md section 2).
pub const TOPIC_SEGMENTS_MAX: usize = 32;
/// Shards of one process: a bit each in the interest table's words.
pub const SHARDS_MAX: usize = 64;
/// Bytes of one message from a client, after inflating; the sum over its fragments.
pub const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// Bytes queued for one connection that does not read.
pub const OUTBOX_BYTES_MAX: usize = 1 << 20;
/// Subscriptions of one connection.
pub const SUBSCRIPTIONS_MAX: usize = 1000;
/// Connections from one client address.
pub const CONNECTIONS_PER_IP_MAX: u32 = 100;
/// Failed `auth` messages before the connection is closed with 1008.
pub const AUTH_FAILURES_MAX: u8 = 3;
/// Ping frames of one connection that are answered in a second.
pub const PINGS_PER_SECOND_MAX: u8 = 10;
/// Windows in a row over the rate limit before 4429.
pub const RATE_WINDOWS_MAX: u8 = 3;
/// Times the rate limit within one window before 4429.
pub const RATE_BURST_FACTOR: u32 = 10;
/// Milliseconds in which a connection that was told to go must take its close frame and answer.
pub const CLOSE_WAIT_MS: u64 = 5000;
/// Bytes of a token (a JWT) in any carrier.
pub const TOKEN_BYTES_MAX: usize = 16 << 10;
/// Bytes of a close reason: a control frame's payload less its code (RFC 6455 section 5.5).
pub const CLOSE_REASON_BYTES_MAX: usize = 123;
/// Topics in one `subscribe` or `unsubscribe` message.
pub const TOPICS_PER_REQUEST_MAX: usize = 1000;
/// Bytes of a request's `id` as written.
pub const REQUEST_ID_BYTES_MAX: usize = 256;

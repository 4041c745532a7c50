//! Shardwire: a sharded WebSocket publish/subscribe broker for very many connections.
//!
//! # The map
//!
//! Layers only look down; `tests/house.rs` holds that true.
//!
//! | layer | rooms | may import |
//! |---|---|---|
//! | program | [`cli`] | everything below |
//! | process | [`node`]: threads, sockets, the turn, the control thread, the drain | `shard`, `http`, `wire`, `auth`, `config`, root words |
//! | the other side | [`load`]: virtual clients, scenarios, reports | `wire`, root words |
//! | edges | [`http`]: routes, headers, reports | root words |
//! | core | [`shard`]: connections, topics, fan-out as a state machine | `wire`, `auth`, `config`, root words |
//! | settings | [`config`]: settings as typed become settings as meant | `auth`, root words |
//! | codecs | [`wire`]: frames, deflate, JSON, dialects; [`auth`]: tokens, rules | root words |
//! | root words | [`topic`], [`message`], [`connection`], [`audience`], [`announcement`], [`query`], [`report`], [`mail`], [`mailbox`], [`interest`], [`close`], [`json_text`], [`metrics`], [`rule`], [`secret`], [`words`], [`limits`], [`time`], [`process`], [`origin`], [`address`], [`sid`], [`polling`], [`moving`] | each other |
//!
//! `wire`, `auth` and `shard` are *sans-io*: no socket, no clock, no runtime, no lock. Bytes, mail
//! and the time go in; bytes to send and mail come out. Sockets live in `node` and `load`, tokio in
//! `node` and in `cli` for signals. The one exception is `auth::webhook`, which the control thread
//! runs and no shard ever calls.
//!
//! # The way of a message
//!
//! ```text
//! in     kernel -> node/sockets (one read buffer a shard) -> wire/frame (unmasked in place)
//!        -> wire/json, wire/topics: a request that borrows the buffer
//! rule   shard/session: state, rate, auth/rules
//! here   shard/topics: who matches -> shard/fanout: encoded once a lane
//!        -> shard/outbox: a byte range on each subscriber's chain, the subscriber on the dirty list
//! there  mail::Delivery(Arc<Message>) -> mailbox -> the other shard's turn -> the same from "here"
//! out    end of turn: each dirty connection once, one send; what the kernel refuses waits, by
//!        reference and counted, in shard/outbox/backlog
//! ```
//!
//! # The other ways
//!
//! ```text
//! question      shard/asking: the request waits, and its connection with it -> node/local
//!               -> node/control, on its thread: auth/webhook -> mail::Request::Answered
//!               -> the shard's turn: the request goes on
//! announcement  http or shard/session/admin -> shard/announce: mail::Delivery::Announce to every
//!               other shard -> whoever is in the audience, encoded once a lane -> as a message
//! inquiry       http or shard/session/admin -> report: whom to ask what -> shard/inquiry:
//!               mail::Request::Ask -> shard/report: what is found -> mail::Delivery::Told
//!               -> report: the next question, or the JSON
//! upgrade       node/serve: a WebSocket with a session's name -> node/crossings -> the shard of that
//!               -> shard/session/engineio/upgrade: it takes over what was polled
//! recovery      shard/recovery: what is said to Socket.IO clients is logged; a client comes back
//!               -> session/socketio/recover -> its engine goes to the shard of its socket, if need be
//!               (engineio/moving) -> replay: what it missed, then that it is connected
//! settings      cli/reload -> node: node/live for each shard, which takes them in its next turn
//!               -> shard/review: connections held against them, some in each turn; the doors last
//! end           cli/serve -> node: mail::Delivery::Drain -> shard/life: each connection is told at
//!               a time of its own -> shard/ends
//! ```
//!
//! # Invariants
//!
//! - What a shard owns nobody else touches. Between shards there is mail, and the interest table.
//! - A subscription is in the topic index and the interest table before `subscribed` is queued.
//! - A message is encoded once a shard and encoding, whatever the number of subscribers.
//! - A connection is sent to once a turn.
//! - Taking a delivery makes no mail but answers to receipts, which are bounded; taking a request
//!   may, and waits while mail cannot go out.
//! - Every queue, cache and buffer has a bound in [`limits`] or a setting, and a counter or refusal.

pub mod address;
pub mod announcement;
pub mod audience;
pub mod auth;
pub mod cli;
pub mod close;
pub mod config;
pub mod connection;
pub mod http;
pub mod interest;
pub mod json_text;
pub mod limits;
pub mod load;
pub mod mail;
pub mod mailbox;
pub mod message;
pub mod metrics;
pub mod moving;
pub mod node;
pub mod origin;
pub mod polling;
pub mod process;
pub mod query;
pub mod report;
pub mod rule;
pub mod secret;
pub mod shard;
pub mod sid;
pub mod time;
pub mod topic;
pub mod wire;
pub mod words;

//! Shardwire: a sharded WebSocket publish/subscribe broker for very many connections.

pub mod auth;
pub mod close;
pub mod config;
pub mod http;
pub mod interest;
pub mod limits;
pub mod mail;
pub mod mailbox;
pub mod message;
pub mod metrics;
pub mod node;
pub mod shard;
pub mod time;
pub mod topic;
pub mod wire;

//! Shardwire: a sharded WebSocket publish/subscribe broker for very many connections.

pub mod auth;
pub mod close;
pub mod limits;
pub mod message;
pub mod shard;
pub mod time;
pub mod topic;
pub mod wire;

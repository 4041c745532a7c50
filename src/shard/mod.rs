//! A shard: for now its topic index.

pub mod topics;

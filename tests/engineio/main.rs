//! Engine.IO of a whole node, over TCP: what is refused, what hangs, and who hears of whose end.
//!
//! With one shard, where every request comes home, and with four, where most of them do not.

mod client;
mod doors;
mod polls;
mod recovery;
mod upgrades;

/// Numbers of shards to try with.
const SHARDS: [u8; 2] = [1, 4];

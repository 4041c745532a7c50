//! Engine.IO sessions in the core: polling on any shard, the heartbeat, and how a WebSocket takes
//! over. Shards without sockets, time given by the test.

mod polls;
mod upgrades;
mod world;

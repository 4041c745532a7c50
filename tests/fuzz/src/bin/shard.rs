//! Whole runs of the simulation in which the input decides: shards, policy, who does what when.
//!
//! What `tests/sim` draws from a seed comes from the fuzzer's bytes here; every promise that it
//! checks is checked. A run ends when its bytes do, then all come to rest and the broker drains.

#![no_main]

#[path = "../../../sim/acts.rs"]
mod acts;
#[path = "../../../sim/addressed.rs"]
mod addressed;
#[path = "../../../sim/channels.rs"]
mod channels;
#[path = "../../../sim/client.rs"]
mod client;
#[path = "../../../sim/frames.rs"]
mod frames;
#[path = "../../../guarded/mod.rs"]
mod guarded;
#[path = "../../../sim/ledger.rs"]
mod ledger;
#[path = "../../../sim/network.rs"]
mod network;
#[path = "../../../sim/operators.rs"]
mod operators;
#[path = "../../../sim/people.rs"]
mod people;
#[path = "../../../sim/random.rs"]
mod random;
#[path = "../../../sim/run.rs"]
mod run;
#[path = "../../../sim/setting.rs"]
mod setting;
#[path = "../../../sim/webhook.rs"]
mod webhook;
#[path = "../../../sim/world.rs"]
mod world;

use std::sync::Once;

use libfuzzer_sys::fuzz_target;
use random::Random;
use world::Trace;

/// More than the bytes of an input can fill.
const STEPS: u64 = 4000;

fuzz_target!(|bytes: &[u8]| {
    static NAMES: Once = Once::new();
    NAMES.call_once(shardwire::topic::fix_name_hash);
    run::play(Random::Bytes(bytes.to_vec().into_iter()), STEPS, Trace::default());
});

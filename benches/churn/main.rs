//! Clients that are killed at random under load, and others that must not notice.
//!
//! Clients come and are killed in the midst of something, others stay and check what comes: none of
//! it lost, doubled or out of order. Two dialects: `topics` has few who stay and very many who come
//! and go; `socketio` has rooms whose members poll, take a WebSocket during the run, or have one from
//! the start, of whom some are killed. Before, during and after, the broker's memory is read; after,
//! it must be back.
//!
//! `shardwire bench churn` lets connections leave and come back, and judges what the others get.
//! This one kills in the midst of something, and sees the broker's heap.
//!
//! `cargo bench --bench churn -- [--dialect topics|socketio] [--seconds N] [--shards N] [--seed N]
//! [--a-second N]`, of rooms `[--clients N] [--messages N] [--recovery]`; without a dialect both

#![allow(clippy::cast_precision_loss, reason = "figures are for people")]

mod killing;
mod ledger;
#[path = "../rig/mod.rs"]
mod rig;
mod rooms;
mod topics;

use std::time::{Duration, Instant};

use rig::arguments::Arguments;
use rig::broker::{self, Broker};
use rig::memory::{Counting, Memory};
use rig::report;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() {
    let arguments = Arguments::read();
    if arguments.text("role") == Some(broker::ROLE) {
        return broker::run(&arguments);
    }
    let seconds = arguments.size("seconds", 60, 1);
    let shards = arguments.size("shards", 4, 4);
    let seed = arguments.size("seed", 1, 1);
    let dialect = arguments.text("dialect");
    if dialect.is_none_or(|it| it == "topics") {
        report::head("Churn");
        topics::run(&arguments, shards, seconds, seed);
    }
    if dialect.is_none_or(|it| it == "socketio") {
        report::head("Churn of rooms");
        rooms::run(&arguments, shards, seconds, seed);
    }
}

/// The broker's memory over a run.
pub struct Watched {
    before: Memory,
    peak: Memory,
    next: Instant,
}

impl Watched {
    /// From now on.
    pub fn begin(broker: &mut Broker) -> Self {
        Self { before: broker.memory(), peak: Memory::default(), next: Instant::now() }
    }

    /// Looks, if it is time to.
    pub fn look(&mut self, broker: &mut Broker) {
        if self.next <= Instant::now() {
            let now = broker.memory();
            self.peak.heap = self.peak.heap.max(now.heap_peak);
            self.peak.resident = self.peak.resident.max(now.resident);
            self.peak.anonymous = self.peak.anonymous.max(now.anonymous);
            self.next += Duration::from_millis(500);
        }
    }

    /// Tells.
    pub fn print(&self, broker: &mut Broker) {
        let after = broker.memory();
        for (when, memory) in [("before", self.before), ("peak", self.peak), ("after", after)] {
            let kib = |bytes: u64| bytes >> 10;
            println!(
                "  {when:6} heap {:6} KiB, resident {:6} KiB, anonymous {:6} KiB",
                kib(memory.heap),
                kib(memory.resident),
                kib(memory.anonymous)
            );
        }
    }
}

/// A number at random below a bound; `state` goes on.
pub fn random(state: &mut u64, bound: usize) -> usize {
    // splitmix64.
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ (mixed >> 31)) % bound as u64) as usize
}

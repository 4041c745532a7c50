//! The core as a whole, in a simulation that one number decides.
//!
//! Several shards with real mailboxes, small ones, on a virtual network in virtual time; clients
//! that read fast, slowly, not at all, that break the protocol, half-close and die. What clients
//! hear is judged as it comes (`client.rs`, `world.rs`), what they should have heard at the end
//! (`run.rs`), the insides of the shards in between (`Shard::check`).
//!
//! `SHARDWIRE_SIM_SEEDS=from..to` plays other seeds than the usual hundred; a failure names its
//! seed and shows the last events.
// The facts of a model: known or not, there or not, many of them yes or no.
#![allow(clippy::option_option, clippy::struct_excessive_bools)]

mod acts;
mod addressed;
mod channels;
mod client;
mod frames;
#[path = "../guarded/mod.rs"]
mod guarded;
mod ledger;
mod network;
mod operators;
mod people;
mod random;
mod run;
mod setting;
mod webhook;
mod world;

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Once;

use random::Random;
use world::Trace;

/// Names hash the same in every process, so that a seed is the same run.
static NAMES: Once = Once::new();

/// What happens in one run.
const STEPS: u64 = 4000;

fn seeds() -> Range<u64> {
    let Ok(text) = std::env::var("SHARDWIRE_SIM_SEEDS") else { return 0..100 };
    let range =
        text.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    range.expect("SHARDWIRE_SIM_SEEDS is from..to")
}

/// Plays the seeds of `range` whose place is `part` of `parts`.
fn play(range: &Range<u64>, part: u64, parts: u64) {
    for seed in range.clone().filter(|seed| seed % parts == part) {
        let trace = Trace::default();
        let played = catch_unwind(AssertUnwindSafe(|| {
            run::play(Random::Seed(seed), STEPS, Trace::clone(&trace));
        }));
        if let Err(panic) = played {
            let events: Vec<String> = trace.borrow().iter().cloned().collect();
            let events = events.join("\n");
            eprintln!(
                "seed {seed} failed; SHARDWIRE_SIM_SEEDS={seed}..{} replays it\n{events}",
                seed + 1
            );
            resume_unwind(panic);
        }
    }
}

/// A fuzzer's bytes decide as well as a seed; a run ends with them.
#[test]
fn bytes_make_a_run_too() {
    NAMES.call_once(shardwire::topic::fix_name_hash);
    let mut random = Random::Seed(1);
    for len in [0, 1, 20, 300, 4000, 4000] {
        let bytes: Vec<u8> = (0..len).map(|_| random.below(256) as u8).collect();
        run::play(Random::Bytes(bytes.into_iter()), STEPS, Trace::default());
    }
}

/// What tells a seed apart from chance: played again, it ends with the same events.
#[test]
fn a_seed_is_one_run() {
    NAMES.call_once(shardwire::topic::fix_name_hash);
    for seed in 0..6 {
        let play = || {
            let trace = Trace::default();
            run::play(Random::Seed(seed), STEPS, Trace::clone(&trace));
            trace.take()
        };
        assert_eq!(play(), play(), "seed {seed}");
    }
}

#[test]
fn promises_are_kept() {
    NAMES.call_once(shardwire::topic::fix_name_hash);
    let seeds = seeds();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| play(&seeds, 1, 2));
        play(&seeds, 0, 2);
        other.join().expect("a run failed");
    });
}

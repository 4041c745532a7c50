//! What reading and writing one envelope of the dialect `topics` costs, beside whole trees.
//!
//! Before it measures it makes sure of the other cost: that in steady state a publish is read and a
//! delivery written without one allocation.

#![allow(missing_docs, reason = "criterion's macros make public functions")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use shardwire::message::Publication;
use shardwire::time::Timestamp;
use shardwire::wire::json::Scratch;
use shardwire::wire::topics::{self, Command};

/// 201 bytes, most of them in one string.
const FLAT: &str = r#"{"type":"message","topic":"room.general","data":{"text":"the quick brown fox jumps over the lazy dog and then runs away from all of them the quick brown fox jumps o"},"metadata":{"trace":"4bf92f3577"}}"#;
/// 201 bytes of many small tokens.
const PUBLISH: &str = r#"{"type":"message","topic":"tenant.acme.orders.created","data":{"orderId":1234567890,"items":[{"sku":"A-1","n":2},{"sku":"B-22","n":1}],"total":49.95,"currency":"EUR"},"metadata":{"trace":"4bf92f3577"}}"#;
/// About the same with a number that simd-json refuses.
const BIG_NUMBER: &str = r#"{"type":"message","topic":"tenant.acme.orders.created","data":{"orderId":123456789012345678901234567890,"items":[{"sku":"A-1","n":2}],"total":49.95,"currency":"EUR"},"metadata":{"trace":"4bf92f3577"}}"#;
const SUBSCRIBE: &str = r#"{"type":"subscribe","id":17,"topic":"tenant.acme.orders.**"}"#;

/// The system's allocator, counting this thread's calls.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call goes on unchanged to `System`, which keeps the contract; counting touches a
// constant-initialized cell without a destructor, so it neither allocates nor unwinds.
#[allow(unsafe_code, reason = "an allocator cannot be written without")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise, passed on.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise, passed on.
        unsafe { System.realloc(memory, layout, size) }
    }
}

fn allocations(mut work: impl FnMut()) -> u64 {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

fn publication(scratch: &mut Scratch) -> Publication<'_> {
    let Ok(topics::Request { command: Command::Publish(publish), .. }) =
        topics::decode(PUBLISH, scratch)
    else {
        panic!("the envelope is a publish");
    };
    Publication {
        topic: publish.topic,
        topic_hash: 0,
        event: publish.event,
        data: publish.data,
        metadata: publish.metadata,
        sender: Some("user-42"),
        at: Timestamp(1_769_860_800_123),
        position: None,
        from: None,
        verbatim: None,
        sender_in_metadata: false,
        binary: None,
        ephemeral: false,
    }
}

fn steady_state_allocates_nothing() {
    let mut scratch = Scratch::default();
    let mut out = Vec::new();
    let mut round = || {
        for text in [FLAT, PUBLISH, BIG_NUMBER, SUBSCRIBE] {
            assert!(topics::decode(text, &mut scratch).is_ok());
        }
        let publication = publication(&mut scratch);
        out.clear();
        topics::delivery(&mut out, &publication, &publication.at.rfc3339());
    };
    round();
    assert_eq!(allocations(|| (0..100).for_each(|_| round())), 0, "allocations in steady state");
}

fn envelope(c: &mut Criterion) {
    assert_eq!((FLAT.len(), PUBLISH.len()), (201, 201));
    steady_state_allocates_nothing();

    let mut scratch = Scratch::default();
    let mut decode = c.benchmark_group("decode");
    for (name, text) in [
        ("publish_201B_flat", FLAT),
        ("publish_201B", PUBLISH),
        ("big_number", BIG_NUMBER),
        ("subscribe", SUBSCRIBE),
    ] {
        decode.bench_function(name, |b| {
            b.iter(|| topics::decode(black_box(text), &mut scratch).is_ok());
        });
    }
    let mut copy = Vec::new();
    decode.bench_function("publish_201B/simd_json_owned_value", |b| {
        b.iter(|| {
            copy.clear();
            copy.extend_from_slice(black_box(PUBLISH).as_bytes());
            simd_json::to_owned_value(&mut copy)
        });
    });
    decode.bench_function("publish_201B/serde_json_value", |b| {
        b.iter(|| serde_json::from_str::<serde_json::Value>(black_box(PUBLISH)));
    });
    decode.finish();

    let publication = publication(&mut scratch);
    let at_text = publication.at.rfc3339();
    let mut out = Vec::new();
    c.bench_function("encode/delivery", |b| {
        b.iter(|| {
            out.clear();
            topics::delivery(&mut out, black_box(&publication), &at_text);
            out.len()
        });
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .without_plots();
    targets = envelope
}
criterion_main!(benches);

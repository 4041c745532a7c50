//! What reading and writing one envelope of the dialects `topics` and `socketio` costs, beside whole
//! trees.
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
use shardwire::wire::socketio::{self, Packet};
use shardwire::wire::topics::{self, Command};

/// 201 bytes, most of them in one string.
const FLAT: &str = r#"{"type":"message","topic":"room.general","data":{"text":"the quick brown fox jumps over the lazy dog and then runs away from all of them the quick brown fox jumps o"},"metadata":{"trace":"4bf92f3577"}}"#;
/// 201 bytes of many small tokens.
const PUBLISH: &str = r#"{"type":"message","topic":"tenant.acme.orders.created","data":{"orderId":1234567890,"items":[{"sku":"A-1","n":2},{"sku":"B-22","n":1}],"total":49.95,"currency":"EUR"},"metadata":{"trace":"4bf92f3577"}}"#;
/// About the same with a number that simd-json refuses.
const BIG_NUMBER: &str = r#"{"type":"message","topic":"tenant.acme.orders.created","data":{"orderId":123456789012345678901234567890,"items":[{"sku":"A-1","n":2}],"total":49.95,"currency":"EUR"},"metadata":{"trace":"4bf92f3577"}}"#;
const SUBSCRIBE: &str = r#"{"type":"subscribe","id":17,"topic":"tenant.acme.orders.**"}"#;

/// 201 bytes: one argument, as the room server's clients send it.
const EVENT: &str = r#"217["message",{"room":"tenant.acme.orders","from":"user-42","type":"order","content":{"orderId":1234567890,"items":[{"sku":"A-1","n":2},{"sku":"B-22","n":1}],"total":49.95,"currency":"EUR","note":""}}]"#;
/// 201 bytes in several arguments, whose ends are to be looked for.
const EVENT_OF_MANY: &str = r#"217["message",{"room":"tenant.acme.orders","from":"user-42"},1234567890,[{"sku":"A-1","n":2},{"sku":"B-22","n":1}],{"total":49.95,"currency":"EUR"},true,{"note":"the quick brown fox jumps at it"},null]"#;
/// 201 bytes with two attachments to follow.
const BINARY_EVENT: &str = r#"52-17["message",{"room":"tenant.acme.orders","from":"user-42","type":"order","content":[{"_placeholder":true,"num":0},{"name":"scan of the signed order","bytes":{"_placeholder":true,"num":1}},"EURO"]}]"#;

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

/// Reads an event of Socket.IO and each of its arguments; gives their bytes.
fn event_bytes(text: &str, scratch: &mut Scratch) -> usize {
    let Ok(Packet::Event { args, attachments, .. }) = socketio::decode(text, scratch) else {
        panic!("the packet is an event");
    };
    if attachments > 0 {
        let found = socketio::placeholders(args.raw(), attachments);
        assert!(found.is_ok_and(|found| found.len() == usize::from(attachments)));
    }
    args.iter().map(|arg| arg.raw.len()).sum()
}

fn steady_state_allocates_nothing() {
    let mut scratch = Scratch::default();
    let mut out = Vec::new();
    let mut round = || {
        for text in [FLAT, PUBLISH, BIG_NUMBER, SUBSCRIBE] {
            assert!(topics::decode(text, &mut scratch).is_ok());
        }
        for text in [EVENT, EVENT_OF_MANY, BINARY_EVENT] {
            assert!(event_bytes(text, &mut scratch) > 100);
        }
        let publication = publication(&mut scratch);
        out.clear();
        topics::delivery(&mut out, &publication, &publication.at.rfc3339());
        socketio::delivery(&mut out, "/", "message", &publication, Some("k3v9-z7"));
    };
    round();
    assert_eq!(allocations(|| (0..100).for_each(|_| round())), 0, "allocations in steady state");
}

fn envelope(c: &mut Criterion) {
    assert_eq!((FLAT.len(), PUBLISH.len()), (201, 201));
    assert!([EVENT, EVENT_OF_MANY, BINARY_EVENT].iter().all(|text| text.len() == 201));
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
    for (name, text) in [
        ("socketio/event", EVENT),
        ("socketio/event_of_many", EVENT_OF_MANY),
        ("socketio/event_with_placeholders", BINARY_EVENT),
    ] {
        decode.bench_function(name, |b| b.iter(|| event_bytes(black_box(text), &mut scratch)));
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
    c.bench_function("encode/socketio/delivery", |b| {
        b.iter(|| {
            out.clear();
            socketio::delivery(&mut out, "/", "message", black_box(&publication), None);
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

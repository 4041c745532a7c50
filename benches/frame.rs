//! Nanoseconds a frame, in and out, and a message short and inflated.
//!
//! `cargo bench --bench frame`. A decoded frame is masked again by the next decoding of its bytes:
//! a round is the decoder alone, without a copy.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use shardwire::wire::deflate::{Deflater, Inflater};
use shardwire::wire::frame::{
    Decoder, FrameBounds, OpCode, Sender, begin, end, header_len, put_frame,
};

const BOUNDS: FrameBounds =
    FrameBounds { message_bytes_max: 1 << 20, compression: true, sender: Sender::Client };

/// A client's frame. The mask has no top bit set, so ASCII stays UTF-8 masked or not.
fn client_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    put_frame(&mut frame, OpCode::Text, false, payload);
    frame[0] = first;
    frame[1] |= 0x80;
    let header_len = header_len(payload.len());
    frame.splice(header_len..header_len, [0x37, 0x7A, 0x21, 0x3D]);
    frame
}

/// Decodes all of `bytes`, cut into reads of `read_len`.
fn decode(bytes: &mut [u8], read_len: usize) -> usize {
    let (mut partial, mut events) = (None, 0);
    for read in bytes.chunks_mut(read_len) {
        let mut decoder = Decoder::new(&mut partial, read, &BOUNDS);
        while let Some(event) = decoder.next_event().expect("good frames") {
            black_box(event);
            events += 1;
        }
    }
    events
}

fn decoding(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode");
    for (name, first, len) in [
        ("text_200", 0x81, 200),
        ("binary_200", 0x82, 200),
        ("ping_4", 0x89, 4),
        ("text_16k", 0x81, 16 << 10),
    ] {
        let mut bytes = client_frame(first, &vec![b'a'; len]);
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(name, |b| b.iter(|| decode(black_box(&mut bytes), usize::MAX)));
    }
    let mut sixteen = client_frame(0x81, &[b'a'; 200]).repeat(16);
    group.throughput(Throughput::Elements(16));
    group.bench_function("text_200_sixteen_a_read", |b| {
        b.iter(|| decode(black_box(&mut sixteen), usize::MAX));
    });
    let mut cut = client_frame(0x81, &[b'a'; 200]);
    group.throughput(Throughput::Elements(1));
    group.bench_function("text_200_in_two_reads", |b| {
        b.iter(|| decode(black_box(&mut cut), 120));
    });
    group.bench_function("text_200_byte_by_byte", |b| b.iter(|| decode(black_box(&mut cut), 1)));
    group.finish();
}

fn encoding(c: &mut Criterion) {
    let mut out = Vec::with_capacity(64 << 10);
    let mut group = c.benchmark_group("encode");
    for len in [40, 200] {
        let payload = vec![b'a'; len];
        group.bench_function(format!("put_frame_{len}"), |b| {
            b.iter(|| {
                out.clear();
                put_frame(&mut out, OpCode::Text, false, black_box(&payload));
                black_box(&mut out);
            });
        });
        group.bench_function(format!("begin_end_{len}"), |b| {
            b.iter(|| {
                out.clear();
                let mark = begin(&mut out);
                out.extend_from_slice(black_box(&payload));
                end(&mut out, mark, OpCode::Text, false);
                black_box(&mut out);
            });
        });
    }
    group.finish();
}

fn deflating(c: &mut Criterion) {
    let message =
        r#"{"type":"message","topic":"room.42","data":{"price":7919,"size":3}}"#.repeat(8);
    let (mut deflater, mut inflater) = (Deflater::new(15), Inflater::new());
    let (mut short, mut out) = (Vec::new(), Vec::new());
    deflater.deflate(message.as_bytes(), &mut short);
    let mut group = c.benchmark_group("deflate");
    group.throughput(Throughput::Bytes(message.len() as u64));
    group.bench_function(format!("deflate_{}_to_{}", message.len(), short.len()), |b| {
        b.iter(|| {
            out.clear();
            deflater.deflate(black_box(message.as_bytes()), &mut out);
        });
    });
    group.bench_function("inflate_back", |b| {
        b.iter(|| {
            out.clear();
            inflater.inflate(black_box(&short), 1 << 20, &mut out).expect("our own");
        });
    });
    group.finish();
}

criterion_group!(benches, decoding, encoding, deflating);
criterion_main!(benches);

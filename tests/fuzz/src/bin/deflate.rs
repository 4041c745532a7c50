//! The inflater on any bytes, the deflater's output inflated again by ours and by another
//! implementation, and the negotiation on any text.

#![no_main]

use std::cell::RefCell;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZFlush, MZStatus};
use shardwire::wire::deflate::{Deflaters, InflateError, Inflater, negotiate};

/// Three bytes at the front of an input; the rest is the payload.
#[derive(Arbitrary, Debug)]
struct Setup {
    window: u8,
    bytes_max: u16,
}

thread_local! {
    // Kept from run to run, as a shard does.
    static DEFLATERS: RefCell<Deflaters> = RefCell::default();
    static INFLATER: RefCell<Inflater> = RefCell::default();
}

fn ours(inflater: &mut Inflater, payload: &[u8], max: usize) -> Result<Vec<u8>, InflateError> {
    let mut out = b"kept".to_vec();
    let result = inflater.inflate(payload, max, &mut out);
    assert!(out.starts_with(b"kept") && out.len() <= 4 + max);
    result.map(|()| out.split_off(4))
}

/// The message, if the other implementation takes all of `payload` as one without BFINAL.
fn theirs(payload: &[u8], max: usize) -> Option<Vec<u8>> {
    let input = [payload, &[0x00, 0x00, 0xFF, 0xFF, 0x01, 0x00, 0x00, 0xFF, 0xFF]].concat();
    let mut out = vec![0; max + 1];
    let mut state = InflateState::new_boxed(DataFormat::Raw);
    let result = inflate(&mut state, &input, &mut out, MZFlush::Finish);
    out.truncate(result.bytes_written);
    let whole = result.status == Ok(MZStatus::StreamEnd) && result.bytes_consumed == input.len();
    (whole && out.len() <= max).then_some(out)
}

fn any_payload(inflater: &mut Inflater, payload: &[u8], max: usize) {
    let inflated = ours(inflater, payload, max);
    assert_eq!(inflated, ours(&mut Inflater::new(), payload, max));
    if let (Ok(inflated), Some(theirs)) = (&inflated, theirs(payload, max)) {
        assert_eq!(*inflated, theirs);
    }
}

fn round_trip(inflater: &mut Inflater, window_bits: u8, message: &[u8]) {
    let mut deflated = b"kept".to_vec();
    DEFLATERS.with_borrow_mut(|all| all.with_window(window_bits).deflate(message, &mut deflated));
    let deflated = deflated.strip_prefix(b"kept").expect("appended");
    assert_eq!(ours(inflater, deflated, message.len()).as_deref(), Ok(message));
    assert_eq!(theirs(deflated, message.len()).as_deref(), Some(message));
    if let Some(less) = message.len().checked_sub(1) {
        assert_eq!(ours(inflater, deflated, less), Err(InflateError::TooLarge));
    }
}

fn any_offer(text: &str) {
    if let Some(accepted) = negotiate(text.split('\n')) {
        assert!((9..=15).contains(&accepted.server_bits));
        assert_eq!(negotiate(std::iter::once(accepted.response().as_str())), Some(accepted));
    }
}

fuzz_target!(|input: (Setup, &[u8])| {
    let (Setup { window, bytes_max }, payload) = input;
    INFLATER.with_borrow_mut(|inflater| {
        any_payload(inflater, payload, bytes_max.into());
        round_trip(inflater, 9 + window % 7, payload);
    });
    if let Ok(text) = std::str::from_utf8(payload) {
        any_offer(text);
    }
});

//! The examples of RFC 7692, the offers, and deflater against inflater.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn inflate(payload: &[u8], bytes_max: usize) -> Result<Vec<u8>, InflateError> {
    let mut out = b"before".to_vec();
    let result = Inflater::new().inflate(payload, bytes_max, &mut out);
    let inflated = out.split_off(6);
    assert_eq!(out, b"before");
    assert!(result.is_ok() || inflated.is_empty());
    result.map(|()| inflated)
}

fn deflate(window_bits: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Deflater::new(window_bits).deflate(payload, &mut out);
    out
}

/// Bytes that do not deflate, the same each time.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..len).map(|_| next()).collect()
}

#[test]
fn examples_of_the_rfc() {
    let cases: [(&[u8], &[u8]); 8] = [
        // 7.2.3.1: one block, fixed codes.
        (b"\xf2\x48\xcd\xc9\xc9\x07\x00", b"Hello"),
        // 7.2.3.3: a stored block.
        (b"\x00\x05\x00\xfa\xffHello\x00", b"Hello"),
        // 7.2.3.4: a block with BFINAL set.
        (b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", b"Hello"),
        // 7.2.3.5: two blocks.
        (b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", b"Hello"),
        // 7.2.3.6: the empty message.
        (b"\x00", b""),
        // What is lenient: nothing at all, and no byte behind a last block.
        (b"", b""),
        (b"\xf3\x48\xcd\xc9\xc9\x07\x00", b"Hello"),
        // A message after a last block goes on in the same way.
        (b"\xf3\x48\xcd\xc9\xc9\x07\x00\xf2\x48\xcd\xc9\xc9\x07\x00", b"HelloHello"),
    ];
    for (payload, message) in cases {
        assert_eq!(inflate(payload, message.len()).as_deref(), Ok(message));
        let too_large = message.len().checked_sub(1).map(|bytes_max| inflate(payload, bytes_max));
        assert!(matches!(too_large, None | Some(Err(InflateError::TooLarge))));
    }
    assert_eq!(deflate(15, b"Hello"), b"\xf2\x48\xcd\xc9\xc9\x07\x00");
    assert_eq!(deflate(15, b""), b"\x00");
}

#[test]
fn what_is_no_deflated_message() {
    let whole = deflate(15, b"a message that is deflated, a message that is cut");
    for cut in 1..whole.len() {
        assert_eq!(inflate(&whole[..cut], 1000), Err(InflateError::Corrupt), "{cut}");
    }
    for payload in [
        b"\x06\x00".as_slice(),                  // a block of the reserved type
        b"\x00\x05\x00\xfb\xffHello\x00",        // a stored block with a wrong length
        b"\x00\x09\x00\xf6\xffHello\x00",        // a stored block cut short
        b"\xf3\x48\xcd\xc9\xc9\x07\x00\xff\xff", // rubbish behind a last block
        b"\x4b\x04\x22\x00",                     // a distance before the beginning
        b"\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff", // the flush's tail left on, cut wrongly
    ] {
        assert_eq!(inflate(payload, 1000), Err(InflateError::Corrupt), "{payload:x?}");
    }
}

#[test]
fn a_bomb_is_stopped_at_the_bound() {
    let bomb = deflate(15, &vec![0; 64 << 20]);
    assert!(bomb.len() < 400_000);
    let mut out = Vec::new();
    let result = Inflater::new().inflate(&bomb, 100_000, &mut out);
    assert_eq!(result, Err(InflateError::TooLarge));
    assert!(out.capacity() <= 2 * 100_000);
    assert_eq!(Violation::from(InflateError::TooLarge), Violation::TooLarge);
}

#[test]
fn every_window_and_length() {
    let mut deflaters = Deflaters::default();
    let mut inflater = Inflater::new();
    let words = "the quick brown fox jumps over the lazy dog; ".repeat(3000);
    let noise = noise(words.len());
    for window_bits in WINDOW_BITS_MIN..=WINDOW_BITS_MAX {
        let deflater = deflaters.with_window(window_bits);
        for source in [words.as_bytes(), &noise] {
            for len in [1, 2, 100, 126, 127, 128, 129, 1000, 65_535, 65_536, source.len()] {
                let (mut short, mut back) = (Vec::new(), Vec::new());
                deflater.deflate(&source[..len], &mut short);
                inflater.inflate(&short, len, &mut back).unwrap();
                assert_eq!(back, source[..len]);
            }
        }
    }
}

/// A receiver that keeps 512 bytes and no more, fed and drained in small pieces.
#[test]
fn a_small_window_is_kept_to() {
    let payload = [noise(600), noise(600), noise(600)].concat();
    let mut deflated = deflate(9, &payload);
    deflated.extend(FLUSH_TAIL);
    let mut small = Decompress::new_with_window_bits(false, 9);
    let mut inflated = Vec::new();
    while inflated.len() < payload.len() {
        let mut piece = [0; 16];
        let (taken, made) = (small.total_in() as usize, small.total_out());
        small.decompress(&deflated[taken..], &mut piece, FlushDecompress::Sync).unwrap();
        inflated.extend_from_slice(&piece[..(small.total_out() - made) as usize]);
    }
    assert_eq!(inflated, payload);
    assert!(deflate(15, &payload).len() < deflated.len() / 2);
}

#[test]
fn offers() {
    let both = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    let with_bits = |bits: u8| format!("{both}; server_max_window_bits={bits}");
    let answer = |values: &[&str]| {
        negotiate(values.iter().copied())
            .map(|accepted| (accepted.server_bits, accepted.response()))
    };
    let plain = Some((15, both.to_owned()));
    for values in [
        ["permessage-deflate"].as_slice(),
        &["permessage-deflate; client_no_context_takeover; client_max_window_bits"],
        &["permessage-deflate;server_no_context_takeover;client_max_window_bits=8"],
        &["permessage-deflate ; client_max_window_bits = \"1\\0\""],
        &["permessage-bzip2; level=9, permessage-deflate"],
        &["permessage-deflate; server_max_window_bits=8, permessage-deflate"],
        &[" , ,permessage-deflate,"],
        &["x-webkit-deflate-frame", "permessage-deflate"],
        &["broken;;", "permessage-deflate"],
    ] {
        assert_eq!(answer(values), plain, "{values:?}");
    }
    for bits in 9..=15 {
        let offer = format!("permessage-deflate; server_max_window_bits={bits}");
        assert_eq!(answer(&[&offer]), Some((bits, with_bits(bits))));
    }
    let falling = "permessage-deflate; server_max_window_bits=10; client_max_window_bits, \
                   permessage-deflate; client_max_window_bits, permessage-deflate";
    assert_eq!(answer(&[falling]), Some((10, with_bits(10))));
    for declined in [
        "",
        "permessage-deflated",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=8",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=09",
        "permessage-deflate; server_max_window_bits=+9",
        "permessage-deflate; server_max_window_bits=\"\"",
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
        "permessage-deflate; server_max_window_bits=9; server_max_window_bits=9",
        "permessage-deflate; client_max_window_bits; client_max_window_bits=9",
        "permessage-deflate; mystery",
        "permessage-deflate; client_max_window_bits=\"9",
        "permessage-deflate client_max_window_bits",
        "permessage-deflate;",
        "perm\u{e9}ssage, permessage-deflate",
    ] {
        assert_eq!(answer(&[declined]), None, "{declined:?}");
    }
}

proptest! {
    #[test]
    fn deflated_and_inflated(
        payload in vec(prop_oneof![3 => b'a'..=b'd', 1 => any::<u8>()], 0..3000),
        window_bits in WINDOW_BITS_MIN..=WINDOW_BITS_MAX,
    ) {
        let deflated = deflate(window_bits, &payload);
        prop_assert_eq!(inflate(&deflated, payload.len()), Ok(payload));
    }

    #[test]
    fn any_bytes_keep_the_bound(payload in vec(any::<u8>(), 0..300), bytes_max in 0..2000_usize) {
        if let Ok(inflated) = inflate(&payload, bytes_max) {
            prop_assert!(inflated.len() <= bytes_max);
        }
    }

    #[test]
    fn any_offer_is_answered_or_not(value in "[a-z;=,\" \\\\_0-9é-]{0,60}") {
        let _ = negotiate(std::iter::once(value.as_str()));
    }
}

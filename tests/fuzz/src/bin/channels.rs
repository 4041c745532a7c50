//! Any text as a message of the dialect `channels`: no panic, nothing invented, answers that are
//! JSON.
//!
//! serde_json is the judge of the grammar; it bounds nesting lower than the broker does, so what it
//! finds too deep is not judged.

#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use serde_json::Value;
use shardwire::message::Publication;
use shardwire::time::Timestamp;
use shardwire::wire::channels::{self, Command, Fault};
use shardwire::wire::json::{self, Scratch};

const AT: Timestamp = Timestamp(1_769_860_800_123);

thread_local! {
    /// One for all runs, as in a shard: what one text leaves behind must not reach the next.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = json::utf8(bytes) else { return };
    let mut fresh = Scratch::default();
    let fresh = channels::decode(text, &mut fresh);
    SCRATCH.with_borrow_mut(|scratch| {
        let decoded = channels::decode(text, scratch);
        assert_eq!(decoded, fresh);
        if decoded != Err(Fault::Format) {
            check_json(text);
        }
        let mut out = Vec::new();
        answer(text, &decoded, &mut out);
        check_json(json::utf8(&out).expect("an answer is UTF-8"));
    });
});

/// Writes what a session or a fan-out might.
fn answer(text: &str, decoded: &Result<Command<'_>, Fault<'_>>, out: &mut Vec<u8>) {
    match decoded {
        Err(Fault::Format) => channels::error(out, channels::INVALID_FORMAT),
        Err(Fault::UnknownType(kind)) => {
            assert!(is_member(text, &["type"], kind));
            channels::unknown_type(out, kind);
        }
        Ok(Command::Ping) => channels::pong(out, AT),
        Ok(Command::Join { channel }) => {
            assert!(is_member(text, &["data", "channel"], channel));
            channels::joined(out, channel);
        }
        Ok(Command::Leave { channel }) => channels::left(out, channel, Some(channel)),
        Ok(Command::Send { channel, message }) => {
            assert!(text.contains(message));
            let publication = Publication {
                sender: Some(channel),
                ..Publication::of_server(channel, message, AT)
            };
            channels::delivery(out, &publication, &AT.rfc3339());
        }
        Ok(Command::Notifications { types, raw }) => {
            assert!(text.contains(raw) && types.iter().all(|one| !one.contains(':')));
            if let Ok(read) = serde_json::from_str::<Vec<String>>(raw) {
                assert_eq!(&read, types);
            }
            channels::notifications(out, raw);
        }
    }
}

/// Whether a member is this string, as far as serde_json reads the text.
fn is_member(text: &str, path: &[&str], expected: &str) -> bool {
    let Ok(value) = serde_json::from_str::<Value>(text) else { return true };
    path.iter().try_fold(&value, |value, key| value.get(key)).and_then(Value::as_str)
        == Some(expected)
}

fn check_json(text: &str) {
    let parsed = serde_json::from_str::<IgnoredAny>(text);
    assert!(parsed.is_ok() || parsed.is_err_and(|it| it.to_string().contains("recursion")));
}

//! Any text as an envelope: no panic, the same verdict as serde_json, nothing invented.
//!
//! serde_json is the judge of the grammar alone: it bounds nesting lower than the broker does and
//! knows nothing of the dialect. Where it refuses a number for its size, the broker must not.

#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use shardwire::close::Refusal;
use shardwire::wire::json::{self, Scratch};
use shardwire::wire::topics::{self, Command, Request};

thread_local! {
    /// One for all runs, as in a shard: what one text leaves behind must not reach the next.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = json::utf8(bytes) else { return };
    let fresh = topics::decode(text, &mut Scratch::default()).is_ok();
    SCRATCH.with_borrow_mut(|scratch| {
        let decoded = topics::decode(text, scratch);
        assert_eq!(decoded.is_ok(), fresh);
        let well_formed = !decoded.as_ref().is_err_and(|it| it.refusal == Refusal::BadJson);
        check_grammar(text, well_formed);
        if let Ok(request) = &decoded {
            check_spans(text, request);
        }
    });
});

fn check_grammar(text: &str, well_formed: bool) {
    let too_deep = |error: &serde_json::Error| error.to_string().starts_with("recursion limit");
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(_) => assert!(well_formed),
        Err(error) if error.to_string().starts_with("number out of range") => {}
        Err(error) => assert!(!well_formed || too_deep(&error)),
    }
    // Without a look at numbers and surrogates: whatever breaks the grammar here is no JSON.
    if let Err(error) = serde_json::from_str::<IgnoredAny>(text) {
        assert!(!well_formed || too_deep(&error));
    }
}

/// What is passed on untouched is a part of the text, and JSON.
fn check_spans(text: &str, request: &Request<'_>) {
    let is_json = |raw: &str| {
        assert!(text.contains(raw));
        let parsed = serde_json::from_str::<IgnoredAny>(raw);
        assert!(parsed.is_ok() || parsed.is_err_and(|it| it.to_string().contains("recursion")));
    };
    request.id.into_iter().for_each(is_json);
    if let Command::Publish(publish) = &request.command {
        is_json(publish.data);
        publish.event.into_iter().for_each(is_json);
        let members = format!("{{{}}}", publish.metadata);
        let mut scratch = Scratch::default();
        let (object, _) = scratch.read(&members).expect("metadata is made of members");
        assert!(object.members().all(|member| member.key != "senderId"));
    }
}

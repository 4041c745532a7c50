//! Any text as a message of the dialect `admin`: no panic, no number out of its bounds, answers that
//! are JSON.
//!
//! serde_json is the judge of the grammar; it bounds nesting lower than the broker does, so what it
//! finds too deep is not judged.

#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use shardwire::close::is_disconnect_code;
use shardwire::limits::{
    CLOSE_REASON_BYTES_MAX, PAGE_ITEMS_MAX, REPORT_EVERY_MS_MAX, REPORT_EVERY_MS_MIN,
};
use shardwire::report::{Page, Wanted};
use shardwire::wire::admin::{self, Command, Request};
use shardwire::wire::json::{self, Scratch};

thread_local! {
    /// One for all runs, as in a shard: what one text leaves behind must not reach the next.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = json::utf8(bytes) else { return };
    let mut fresh = Scratch::default();
    let fresh = admin::decode(text, &mut fresh);
    SCRATCH.with_borrow_mut(|scratch| {
        let decoded = admin::decode(text, scratch);
        assert_eq!(decoded, fresh);
        let mut out = Vec::new();
        match &decoded {
            Ok(request) => {
                check_json(text);
                check(text, request);
                admin::reply(&mut out, request.id, kind(&request.command), "{}");
            }
            Err(rejected) => {
                let refusal = &rejected.refusal;
                assert!(matches!(refusal.code(), 400 | 404));
                admin::error(&mut out, rejected.id, &refusal.to_string(), refusal.code());
            }
        }
        check_json(json::utf8(&out).expect("an answer is UTF-8"));
    });
});

fn kind(command: &Command<'_>) -> &'static str {
    match command {
        Command::Stats { .. } => admin::STATS,
        Command::Broadcast { .. } => admin::BROADCAST,
        Command::Ask { kind, .. } => kind,
    }
}

fn check(text: &str, request: &Request<'_>) {
    if let Some(id) = request.id {
        assert!(text.contains(id));
        check_json(id);
    }
    match &request.command {
        Command::Stats { every_ms } => {
            let bounds = REPORT_EVERY_MS_MIN..=REPORT_EVERY_MS_MAX;
            assert!(every_ms.is_none_or(|ms| ms == 0 || bounds.contains(&ms)));
        }
        Command::Broadcast { message, tenant } => {
            assert!(text.contains(message) && tenant.as_deref() != Some(""));
            check_json(message);
        }
        Command::Ask { wanted, .. } => check_wanted(wanted),
    }
}

fn check_wanted(wanted: &Wanted) {
    match wanted {
        Wanted::Connections { page: Page { limit, .. }, .. }
        | Wanted::Topics { page: Page { limit, .. }, .. } => {
            assert!((1..=PAGE_ITEMS_MAX).contains(limit));
        }
        Wanted::Disconnect { code, reason, .. } | Wanted::DisconnectOne { code, reason, .. } => {
            assert!(is_disconnect_code(*code) && reason.len() <= CLOSE_REASON_BYTES_MAX);
        }
        Wanted::Connection(_) | Wanted::Topic(_) => {}
        _ => panic!("the dialect has no such request"),
    }
}

fn check_json(text: &str) {
    let parsed = serde_json::from_str::<IgnoredAny>(text);
    assert!(parsed.is_ok() || parsed.is_err_and(|it| it.to_string().contains("recursion")));
}

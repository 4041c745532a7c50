//! What a publication's event is called for Socket.IO clients.
//!
//! The contract's events have the names that the configuration gives them; any other is as its
//! publisher wrote it. What has no name is a message in the room server, and a notification in the
//! gateway. Contract: protocols.md section 5.

use crate::config::{EventName, Events};

/// The form of the notification gateway.
pub(super) const GATEWAY: u8 = 1;

/// The namespace of a form, and what an event is called there: a JSON string. `written` is one too.
pub(super) fn event<'a>(
    events: &'a Events,
    form: u8,
    written: Option<&'a str>,
) -> (&'static str, &'a str) {
    let (nsp, default) =
        if form == GATEWAY { ("/ws", &events.new_notification) } else { ("/", &events.message) };
    let Some(written) = written else { return (nsp, default.json()) };
    let renamed =
        if form == GATEWAY { in_gateway(events, written) } else { in_rooms(events, written) };
    (nsp, renamed.map_or(written, EventName::json))
}

fn in_gateway<'e>(events: &'e Events, written: &str) -> Option<&'e EventName> {
    match written {
        "\"NEW_NOTIFICATION\"" => Some(&events.new_notification),
        "\"TEST_NOTIFICATION\"" => Some(&events.test_notification),
        _ => None,
    }
}

fn in_rooms<'e>(events: &'e Events, written: &str) -> Option<&'e EventName> {
    match written {
        "\"message\"" => Some(&events.message),
        "\"typing_start\"" => Some(&events.typing_start),
        "\"typing_stop\"" => Some(&events.typing_stop),
        "\"presence_update\"" => Some(&events.presence_update),
        _ => None,
    }
}

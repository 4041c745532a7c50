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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contracts_events_are_called_as_configured() {
        let defaults = Events::default();
        let renamed = Events {
            message: defaults.room_joined.clone(),
            typing_stop: defaults.room_left.clone(),
            new_notification: defaults.gateway_error.clone(),
            ..Events::default()
        };
        let (message, stop, other) = ("\"message\"", "\"typing_stop\"", "\"poke\"");
        for (form, written, default, name) in [
            (0, None, message, "\"room_joined\""),
            (0, Some(message), message, "\"room_joined\""),
            (0, Some(stop), stop, "\"room_left\""),
            (0, Some(other), other, other),
            (1, None, "\"NEW_NOTIFICATION\"", "\"ERROR\""),
            (1, Some(message), message, message),
        ] {
            let nsp = if form == 0 { "/" } else { "/ws" };
            assert_eq!(event(&defaults, form, written), (nsp, default));
            assert_eq!(event(&renamed, form, written), (nsp, name));
        }
    }
}

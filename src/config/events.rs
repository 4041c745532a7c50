//! What the events of Socket.IO are called: the names of the contract, those that the configuration
//! has instead, and the events that it only passes on.
//!
//! A name is kept as text, to be compared, and as a JSON string, to be written. Built once from
//! `socketio.events`, after [`check`] has found nothing wrong with it; the sessions of the dialect
//! read it. Spec: protocols.md sections 5 and 10.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::document::shortened;
use super::problem::{Problem, Problems};
use super::typed::Given;
use super::value::{Value, bare_or_quoted};
use crate::json_text::push_string;
use crate::limits::{EVENT_NAME_BYTES_MAX, EVENT_NAMES_MAX};

/// Names that no event may have: clients end a connection on which they hear one.
pub const RESERVED_EVENTS: [&str; 6] =
    ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];

/// The name of an event.
#[derive(Clone, PartialEq, Eq)]
pub struct EventName {
    text: Box<str>,
    json: Box<str>,
}

impl EventName {
    fn new(text: &str) -> Self {
        let mut json = Vec::new();
        push_string(&mut json, text);
        let json = String::from_utf8(json).expect("text with escapes is text");
        Self { text: text.into(), json: json.into() }
    }

    /// To be compared with what a packet says, decoded.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// To be written: a JSON string with its quotes.
    pub fn json(&self) -> &str {
        &self.json
    }
}

impl fmt::Debug for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.json)
    }
}

/// An event that is passed on to the other members of the room that its first argument names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relay {
    /// As it is sent by a member.
    pub received: EventName,
    /// As the others hear it.
    pub sent: EventName,
}

/// What a member of the room server asks for, by the name of its event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoomEvent<'a> {
    /// To be in a room.
    JoinRoom,
    /// To be in it no longer.
    LeaveRoom,
    /// A message to a room or a socket.
    Message,
    /// Somebody began to type.
    TypingStart,
    /// And ended.
    TypingStop,
    /// Whether somebody is there.
    PresenceUpdate,
    /// A sign of life.
    Ping,
    /// To be passed on.
    Relay(&'a Relay),
}

/// Where a name is said: within one of these, names differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// By clients on the namespace `/`.
    RoomsIn,
    /// To them.
    RoomsOut,
    /// By clients on the namespace `/ws`.
    GatewayIn,
    /// To them.
    GatewayOut,
}

macro_rules! events {
    ($($(#[$doc:meta])* $field:ident = $name:literal in $($place:ident),+;)+) => {
        /// The events by the names that they have here.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Events {
            $($(#[$doc])* pub $field: EventName,)+
            /// On `/`, what is only passed on; no two of one name.
            pub relays: Vec<Relay>,
        }

        /// The names of the contract, each with where it is said.
        const DEFAULTS: &[(&str, &[Place])] = &[$(($name, &[$(Place::$place),+]),)+];

        impl Events {
            /// With other names for some events; what is none of the contract's is a relay.
            pub(super) fn renamed(names: &BTreeMap<String, String>) -> Self {
                let name = |default: &str| {
                    EventName::new(names.get(default).map_or(default, String::as_str))
                };
                let relays = names.iter().filter(|(left, _)| !is_default(left));
                let relay = |(left, right): (&String, &String)| {
                    Relay { received: EventName::new(left), sent: EventName::new(right) }
                };
                Self { $($field: name($name),)+ relays: relays.map(relay).collect() }
            }
        }
    };
}

events! {
    /// `/`, from the client: to be in a room.
    join_room = "join_room" in RoomsIn;
    /// `/`, from the client: to be in it no longer.
    leave_room = "leave_room" in RoomsIn;
    /// `/`, both ways: a message.
    message = "message" in RoomsIn, RoomsOut;
    /// `/`, both ways: somebody began to type.
    typing_start = "typing_start" in RoomsIn, RoomsOut;
    /// `/`, both ways: and ended.
    typing_stop = "typing_stop" in RoomsIn, RoomsOut;
    /// `/`, both ways: whether somebody is there.
    presence_update = "presence_update" in RoomsIn, RoomsOut;
    /// `/`, from the client: a sign of life.
    ping = "ping" in RoomsIn;
    /// `/`, to the client: it is in the room.
    room_joined = "room_joined" in RoomsOut;
    /// `/`, to the client: it is in it no longer.
    room_left = "room_left" in RoomsOut;
    /// `/`, to the client: it cannot be, or leave.
    room_error = "room_error" in RoomsOut;
    /// `/`, to the client: the answer to `ping`.
    pong = "pong" in RoomsOut;
    /// `/`, to the client: anything else that was refused.
    error = "error" in RoomsOut;
    /// `/ws`, from the client: to hear its notifications.
    subscribe_notifications = "SUBSCRIBE_NOTIFICATIONS" in GatewayIn;
    /// `/ws`, to the client: a notification.
    new_notification = "NEW_NOTIFICATION" in GatewayOut;
    /// `/ws`, to all, where it is switched on.
    test_notification = "TEST_NOTIFICATION" in GatewayOut;
    /// `/ws`, to the client: it will hear none.
    gateway_error = "ERROR" in GatewayOut;
}

fn is_default(name: &str) -> bool {
    DEFAULTS.iter().any(|(default, _)| *default == name)
}

impl Default for Events {
    /// The names of the contract.
    fn default() -> Self {
        Self::renamed(&BTreeMap::new())
    }
}

impl Events {
    /// What a client of the namespace `/` asks for with an event of this name, if anything; linear
    /// in the relays, of which there are at most [`EVENT_NAMES_MAX`].
    pub fn room_event(&self, name: &str) -> Option<RoomEvent<'_>> {
        let known = [
            (&self.message, RoomEvent::Message),
            (&self.join_room, RoomEvent::JoinRoom),
            (&self.leave_room, RoomEvent::LeaveRoom),
            (&self.typing_start, RoomEvent::TypingStart),
            (&self.typing_stop, RoomEvent::TypingStop),
            (&self.presence_update, RoomEvent::PresenceUpdate),
            (&self.ping, RoomEvent::Ping),
        ];
        let known = known.into_iter().find(|(known, _)| known.text() == name);
        known.map(|(_, event)| event).or_else(|| {
            self.relays.iter().find(|relay| relay.received.text() == name).map(RoomEvent::Relay)
        })
    }
}

/// Holds the table of other names against what names may be, and against each other.
pub(super) fn check(given: &Given, problems: &mut Problems) {
    const KEY: &str = "socketio.events";
    let Value::Table(names) = &given.value else { return };
    if names.len() > EVENT_NAMES_MAX {
        let what = format!("{} names; at most {EVENT_NAMES_MAX} are allowed", names.len());
        problems.push(Problem::new(&given.origin, format_args!("{KEY}: {what}")));
        return;
    }
    let mut wrong = |left: &str, what: &str| {
        let key = format!("{KEY}.{}", bare_or_quoted(&shortened(left)));
        let right = Value::Text(shortened(&names[left]));
        problems.push(Problem::contradiction(&given.origin, &key, &right, what));
    };
    let mut are_names = true;
    for (left, right) in names {
        // The left name of a relay is said by clients.
        let said = [Some(right), Some(left).filter(|left| !is_default(left))];
        if let Some(fault) = said.into_iter().flatten().find_map(|name| fault(name)) {
            wrong(left, &fault);
            are_names = false;
        }
    }
    if are_names {
        for (left, other) in clashes(names) {
            wrong(left, &format!("is the name of {other} too; allowed: one event a name"));
        }
    }
}

/// What is wrong with the name of an event, and what is allowed.
fn fault(name: &str) -> Option<String> {
    let what = if name.is_empty() {
        "a name is empty".to_owned()
    } else if name.len() > EVENT_NAME_BYTES_MAX {
        "a name is too long".to_owned()
    } else if RESERVED_EVENTS.contains(&name) {
        format!("{name} is reserved")
    } else {
        return None;
    };
    let reserved = RESERVED_EVENTS.join(", ");
    Some(format!("{what}; allowed: names of 1 to {EVENT_NAME_BYTES_MAX} bytes, not {reserved}"))
}

/// Entries of the table whose event has the name of another one in the same place, with that one.
fn clashes(names: &BTreeMap<String, String>) -> BTreeSet<(&str, &str)> {
    let mut clashes = BTreeSet::new();
    let mut said: BTreeMap<(Place, &str), &str> = BTreeMap::new();
    let mut say = |place, name, event| match said.insert((place, name), event) {
        // What is not renamed has the name by right.
        Some(other) if names.contains_key(event) => _ = clashes.insert((event, other)),
        Some(other) => _ = clashes.insert((other, event)),
        None => {}
    };
    for (event, places) in DEFAULTS {
        let name = names.get(*event).map_or(*event, String::as_str);
        places.iter().for_each(|place| say(*place, name, event));
    }
    for (left, right) in names.iter().filter(|(left, _)| !is_default(left)) {
        say(Place::RoomsIn, left, left);
        say(Place::RoomsOut, right, left);
    }
    clashes
}

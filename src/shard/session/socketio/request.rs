//! What the events of the room server ask for, read out of their arguments.
//!
//! A pure part: text in, a request or a refusal out. Whose it is and whether it may is judged by who
//! carries it out. Contract: protocols.md section 5, section 11 "Socket.IO".

use crate::close::Refusal;
use crate::config::{Relay, RoomEvent};
use crate::json_text::push_string;
use crate::time::Timestamp;
use crate::wire::json::{Item, Members};
use crate::wire::socketio::Args;

/// Whether somebody is there, as clients may say it.
const STATUSES: [&str; 4] = ["online", "away", "busy", "offline"];
/// What a message is where its sender does not say.
const TEXT: &str = "text";

/// What a client asks for.
#[derive(Debug)]
pub(super) enum Request<'t, 'a, 'e> {
    /// To be in a room.
    Join { room: &'a str },
    /// To be in it no longer.
    Leave { room: &'a str },
    /// That a room or a socket hears this.
    Send(ChatMessage<'t, 'a>),
    /// That the others of a room know of its typing.
    Typing { kind: Typing, room: &'a str },
    /// That all who share a room know that it is there, or not: one of the four words, as JSON.
    Presence { status: &'a str },
    /// A sign of life.
    Ping,
    /// That the others of a room hear an event as it is.
    Relay { relay: &'e Relay, room: &'a str, data: &'a str },
}

/// Whether somebody types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Typing {
    Start,
    Stop,
}

/// To whom a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum To<'a> {
    /// The members of a room.
    Room(&'a str),
    /// A socket, by its name.
    Socket(&'a str),
}

/// A message of a client.
#[derive(Debug)]
pub(super) struct ChatMessage<'t, 'a> {
    pub to: To<'a>,
    members: Members<'t, 'a>,
    has_type: bool,
}

impl ChatMessage<'_, '_> {
    /// The message as it is delivered: its members as written, and what the broker says of it in
    /// place of what its sender did. `from` is `None` of somebody anonymous.
    pub(super) fn payload(&self, from: Option<&str>, id: &str, at: Timestamp) -> String {
        let mut out = b"{".to_vec();
        let mut has_from = false;
        for member in self.members.clone() {
            match member.key {
                "from" => {
                    push_from(&mut out, from);
                    has_from = true;
                }
                "id" | "timestamp" => continue,
                // Meant as if it were not there.
                "type" if member.raw == "null" => continue,
                key => {
                    push_string(&mut out, key);
                    out.push(b':');
                    out.extend_from_slice(member.raw.as_bytes());
                }
            }
            out.push(b',');
        }
        if !has_from {
            push_from(&mut out, from);
            out.push(b',');
        }
        if !self.has_type {
            out.extend_from_slice(b"\"type\":");
            push_string(&mut out, TEXT);
            out.push(b',');
        }
        push_stamp(&mut out, id, at);
        super::replies::text(out)
    }
}

fn push_from(out: &mut Vec<u8>, from: Option<&str>) {
    out.extend_from_slice(b"\"from\":");
    match from {
        Some(from) => push_string(out, from),
        None => out.extend_from_slice(b"null"),
    }
}

/// What the broker calls a message, and when it came.
pub(super) fn push_stamp(out: &mut Vec<u8>, id: &str, at: Timestamp) {
    out.extend_from_slice(b"\"id\":");
    push_string(out, id);
    out.extend_from_slice(b",\"timestamp\":\"");
    out.extend_from_slice(&at.rfc3339());
    out.push(b'"');
}

/// Reads an event's arguments.
///
/// # Errors
/// What is missing or ill typed: the client's fault.
pub(super) fn read<'t, 'a, 'e>(
    event: RoomEvent<'e>,
    args: &'t Args<'a>,
) -> Result<Request<'t, 'a, 'e>, Refusal> {
    let mut items = args.iter();
    let first = items.next();
    match event {
        RoomEvent::JoinRoom => Ok(Request::Join { room: room_of(first)? }),
        RoomEvent::LeaveRoom => Ok(Request::Leave { room: room_of(first)? }),
        RoomEvent::TypingStart => {
            Ok(Request::Typing { kind: Typing::Start, room: room_of(first)? })
        }
        RoomEvent::TypingStop => Ok(Request::Typing { kind: Typing::Stop, room: room_of(first)? }),
        RoomEvent::Ping => Ok(Request::Ping),
        RoomEvent::Message => chat_message(first).map(Request::Send),
        RoomEvent::PresenceUpdate => {
            let status = first.ok_or(Refusal::Missing("status"))?;
            let word = status.value.string().filter(|word| STATUSES.contains(word));
            let status = word.ok_or(Refusal::IllTyped("status"))?;
            Ok(Request::Presence { status })
        }
        RoomEvent::Relay(relay) => {
            let room = first.and_then(|it| it.value.string()).ok_or(Refusal::InvalidRoom)?;
            let data = items.next().ok_or(Refusal::Missing("data"))?.raw;
            if items.next().is_some() {
                return Err(Refusal::IllTyped("data"));
            }
            Ok(Request::Relay { relay, room, data })
        }
    }
}

/// The room in an object.
fn room_of<'a>(argument: Option<Item<'_, 'a>>) -> Result<&'a str, Refusal> {
    let mut members = argument.and_then(|it| it.value.object()).ok_or(Refusal::InvalidRoom)?;
    if members.has_duplicate_keys() {
        return Err(Refusal::DuplicateKey);
    }
    let room = members.find(|member| member.key == "room");
    room.and_then(|it| it.value.string()).ok_or(Refusal::InvalidRoom)
}

fn chat_message<'t, 'a>(argument: Option<Item<'t, 'a>>) -> Result<ChatMessage<'t, 'a>, Refusal> {
    let argument = argument.ok_or(Refusal::Missing("content"))?;
    let members = argument.value.object().ok_or(Refusal::NotAnObject)?;
    if members.has_duplicate_keys() {
        return Err(Refusal::DuplicateKey);
    }
    let (mut room, mut to, mut has_content, mut has_type) = (None, None, false, false);
    for member in members.clone() {
        let is_null = member.raw == "null";
        match member.key {
            "content" => has_content = true,
            "room" if !is_null => {
                room = Some(member.value.string().ok_or(Refusal::IllTyped("room"))?);
            }
            "to" if !is_null => to = Some(member.value.string().ok_or(Refusal::IllTyped("to"))?),
            "type" if !is_null => {
                member.value.string().ok_or(Refusal::IllTyped("type"))?;
                has_type = true;
            }
            _ => {}
        }
    }
    let to = match (room, to) {
        _ if !has_content => return Err(Refusal::Missing("content")),
        (Some(room), None) => To::Room(room),
        (None, Some(to)) => To::Socket(to),
        (None, None) => return Err(Refusal::Missing("room")),
        (Some(_), Some(_)) => return Err(Refusal::IllTyped("to")),
    };
    Ok(ChatMessage { to, members, has_type })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Events;
    use crate::wire::json::Scratch;
    use crate::wire::socketio::{Packet, decode};

    /// What an event with these arguments asks for, in short; of a message its payload.
    fn asks(event: &str) -> Result<String, Refusal> {
        let (events, mut scratch) = (Events::default(), Scratch::default());
        let text = format!("2[{event}]");
        let Ok(Packet::Event { name, args, .. }) = decode(&text, &mut scratch) else {
            panic!("{event} is no event")
        };
        let relay = RoomEvent::Relay(&Relay {
            received: events.test_notification.clone(),
            sent: events.new_notification.clone(),
        });
        Ok(match read(events.room_event(name).unwrap_or(relay), &args)? {
            Request::Join { room } => format!("join {room}"),
            Request::Leave { room } => format!("leave {room}"),
            Request::Typing { kind, room } => format!("{kind:?} {room}"),
            Request::Presence { status } => format!("is {status}"),
            Request::Ping => "ping".into(),
            Request::Relay { room, data, .. } => format!("relay {room} {data}"),
            Request::Send(message) => {
                let payload = message.payload(Some("\"u"), "i", Timestamp(0));
                format!("{:?} {payload}", message.to)
            }
        })
    }

    const STAMP: &str = r#""id":"i","timestamp":"1970-01-01T00:00:00.000Z"}"#;

    #[test]
    fn what_is_well_formed_is_asked_for() {
        for (event, expected) in [
            (r#""join_room",{"room":"a"}"#, "join a"),
            (r#""join_room",{"metadata":[],"r\u006fom":"\u0061"},1"#, "join a"),
            (r#""leave_room",{"room":""}"#, "leave "),
            (r#""typing_start",{"room":"a"}"#, "Start a"),
            (r#""typing_stop",{"room":"a"}"#, "Stop a"),
            (r#""presence_update","aw\u0061y""#, "is away"),
            (r#""ping""#, "ping"),
            (r#""ping",{"a":1}"#, "ping"),
            (r#""x","r", {"a" : 1} "#, r#"relay r {"a" : 1}"#),
        ] {
            assert_eq!(asks(event).as_deref(), Ok(expected), "{event}");
        }
    }

    #[test]
    fn a_message_keeps_what_its_sender_may_say() {
        for (event, expected) in [
            (
                r#"{"room":"r","content":null}"#,
                r#"Room("r") {"room":"r","content":null,"from":"\"u","type":"text","#,
            ),
            (
                r#"{"content":{"a" : 1e400},"from":7,"to":"s","id":{},"type":"x","timestamp":0}"#,
                r#"Socket("s") {"content":{"a" : 1e400},"from":"\"u","to":"s","type":"x","#,
            ),
            (
                r#"{"room":null,"to":"s","type":null,"k\u0022":"\u00e9","content":[]}"#,
                r#"Socket("s") {"room":null,"to":"s","k\"":"\u00e9","content":[],"from":"\"u","type":"text","#,
            ),
        ] {
            let made = asks(&format!("\"message\",{event}"));
            assert_eq!(made, Ok(format!("{expected}{STAMP}")), "{event}");
        }
    }

    #[test]
    fn what_is_ill_formed_is_refused() {
        use Refusal::{DuplicateKey, IllTyped, InvalidRoom, Missing, NotAnObject};
        for (event, refusal) in [
            (r#""join_room""#, InvalidRoom),
            (r#""join_room","a""#, InvalidRoom),
            (r#""leave_room",{"room":null}"#, InvalidRoom),
            (r#""typing_stop",{"Room":"a"}"#, InvalidRoom),
            (r#""join_room",{"room":"a","room":"a"}"#, DuplicateKey),
            (r#""presence_update""#, Missing("status")),
            (r#""presence_update","Online""#, IllTyped("status")),
            (r#""presence_update",["online"]"#, IllTyped("status")),
            (r#""message""#, Missing("content")),
            (r#""message",[]"#, NotAnObject),
            (r#""message",{"room":"a"}"#, Missing("content")),
            (r#""message",{"content":1}"#, Missing("room")),
            (r#""message",{"content":1,"room":"a","to":"b"}"#, IllTyped("to")),
            (r#""message",{"content":1,"room":7}"#, IllTyped("room")),
            (r#""message",{"content":1,"to":7}"#, IllTyped("to")),
            (r#""message",{"content":1,"room":"a","type":7}"#, IllTyped("type")),
            (r#""message",{"content":1,"room":"a","a":1,"\u0061":2}"#, DuplicateKey),
            (r#""x""#, InvalidRoom),
            (r#""x",{"room":"a"},1"#, InvalidRoom),
            (r#""x","a""#, Missing("data")),
            (r#""x","a",1,2"#, IllTyped("data")),
        ] {
            assert_eq!(asks(event), Err(refusal), "{event}");
        }
    }
}

//! JSON text to commands.
//!
//! The `type` says which members of `data` count; the others are not looked at, but for keys that
//! stand twice: no channel may be judged and another used. A `ping` needs no `data`, but what it has
//! is an object like any other. Contract: protocols.md sections 4 and 11, "Identity".

use super::{Command, Fault};
use crate::limits::TOPICS_PER_REQUEST_MAX;
use crate::wire::json::{Elements, Member, Object, Scratch, Value};

/// Separates the parts of a notification channel's name, so no type may hold it.
const SEPARATOR: char = ':';

/// Reads one message. Linear in the text; allocates for `subscribe_notifications` alone.
///
/// # Errors
/// What is wrong with it, always the client's fault. The connection stays.
pub fn decode<'a>(text: &'a str, scratch: &'a mut Scratch) -> Result<Command<'a>, Fault<'a>> {
    let (object, _) = scratch.read(text).map_err(|_| Fault::Format)?;
    let (kind, data) = envelope(&object)?;
    match kind {
        "ping" => match data {
            None | Some(Value::Null) => Ok(Command::Ping),
            Some(_) => Data::of(data).map(|_| Command::Ping),
        },
        "join_channel" => Ok(Command::Join { channel: Data::of(data)?.channel()? }),
        "leave_channel" => Ok(Command::Leave { channel: Data::of(data)?.channel()? }),
        "send_message" => {
            let data = Data::of(data)?;
            let message = data.message.ok_or(Fault::Format)?;
            Ok(Command::Send { channel: data.channel()?, message })
        }
        "subscribe_notifications" => {
            let (raw, elements) = Data::of(data)?.types.ok_or(Fault::Format)?;
            Ok(Command::Notifications { types: types(elements)?, raw })
        }
        _ => Err(Fault::UnknownType(kind)),
    }
}

/// The `type`, and `data` where there is one.
fn envelope<'t, 'a>(object: &'t Object<'a>) -> Result<(&'a str, Option<Value<'t, 'a>>), Fault<'a>> {
    let (mut kind, mut data) = (None, None);
    for Member { key, value, .. } in object.members() {
        match key {
            "type" => kind = value.string(),
            "data" => data = Some(value),
            _ => {}
        }
    }
    match kind {
        Some(kind) if !object.has_duplicate_keys() => Ok((kind, data)),
        _ => Err(Fault::Format),
    }
}

/// The members of `data` that the dialect knows; `None` where one is missing or ill typed.
#[derive(Default)]
struct Data<'t, 'a> {
    channel: Option<&'a str>,
    /// As written.
    message: Option<&'a str>,
    /// As written, and its elements.
    types: Option<(&'a str, Elements<'t, 'a>)>,
}

impl<'t, 'a> Data<'t, 'a> {
    fn of(data: Option<Value<'t, 'a>>) -> Result<Self, Fault<'a>> {
        let members = data.and_then(Value::object).ok_or(Fault::Format)?;
        if members.has_duplicate_keys() {
            return Err(Fault::Format);
        }
        let mut data = Self::default();
        for Member { key, raw, value } in members {
            match (key, value) {
                ("channel", value) => data.channel = value.string(),
                ("message", _) => data.message = Some(raw),
                ("types", Value::Array(elements)) => data.types = Some((raw, elements)),
                _ => {}
            }
        }
        Ok(data)
    }

    fn channel(&self) -> Result<&'a str, Fault<'a>> {
        self.channel.ok_or(Fault::Format)
    }
}

fn types<'a>(elements: Elements<'_, 'a>) -> Result<Vec<&'a str>, Fault<'a>> {
    let mut types = Vec::new();
    for element in elements {
        let one = element.filter(|one| !one.contains(SEPARATOR)).ok_or(Fault::Format)?;
        if types.len() == TOPICS_PER_REQUEST_MAX {
            return Err(Fault::Format);
        }
        types.push(one);
    }
    Ok(types)
}

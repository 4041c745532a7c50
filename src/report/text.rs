//! JSON as it is written for a report: by hand, for the contract's order of keys.
//!
//! [`Text`] puts the commas; what it is given as raw must be JSON already.

use std::sync::Arc;

use crate::json_text::push_string;
use crate::message::{Message, Position, Publication};
use crate::query::{ConnectionFacts, Present};
use crate::sid::Sid;

/// Past messages.
pub(super) type Messages = Vec<Arc<Message>>;

/// JSON that is being written.
#[derive(Debug, Default)]
pub(super) struct Text(Vec<u8>);

impl Text {
    /// Begins an object or array.
    pub(super) fn open(&mut self, bracket: char) -> &mut Self {
        self.separate().0.push(bracket as u8);
        self
    }

    /// Ends one.
    pub(super) fn close(&mut self, bracket: char) -> &mut Self {
        self.0.push(bracket as u8);
        self
    }

    /// A member's key; its value follows.
    pub(super) fn key(&mut self, key: &str) -> &mut Self {
        self.string(key).0.push(b':');
        self
    }

    pub(super) fn string(&mut self, text: &str) -> &mut Self {
        push_string(&mut self.separate().0, text);
        self
    }

    /// A string, or null.
    pub(super) fn name(&mut self, text: Option<&str>) -> &mut Self {
        match text {
            Some(text) => self.string(text),
            None => self.raw("null"),
        }
    }

    pub(super) fn number(&mut self, number: u64) -> &mut Self {
        self.raw(&number.to_string())
    }

    /// A value that is JSON already.
    pub(super) fn raw(&mut self, json: &str) -> &mut Self {
        self.separate().0.extend_from_slice(json.as_bytes());
        self
    }

    pub(super) fn into_string(self) -> String {
        String::from_utf8(self.0).expect("it is made of texts")
    }

    /// Puts the comma between two values.
    fn separate(&mut self) -> &mut Self {
        if !matches!(self.0.last(), None | Some(b'{' | b'[' | b':')) {
            self.0.push(b',');
        }
        self
    }
}

/// One connection.
pub(super) fn connection(text: &mut Text, facts: &ConnectionFacts) {
    text.open('{').key("connectionId").string(&facts.id.to_string());
    if let Some(sid) = facts.socket {
        socket(text.key("socketId"), sid);
    }
    text.key("userId").name(facts.user.as_deref());
    if let Some(tenant) = &facts.tenant {
        text.key("tenantId").string(tenant);
    }
    text.key("roles").open('[');
    for role in &facts.roles {
        text.string(role);
    }
    text.close(']').key("endpoint").string(&facts.endpoint);
    text.key("address").string(&facts.address.to_string());
    text.key("connectedAt").string(&facts.opened.to_string());
    text.key("subscriptions").open('[');
    for topic in &facts.subscriptions {
        text.string(topic);
    }
    text.close(']');
    if facts.socket.is_some() {
        text.key("rooms").open('[');
        for room in &facts.subscriptions {
            text.string(room);
        }
        text.close(']');
    }
    text.key("backlogBytes").number(facts.backlog_bytes).close('}');
}

/// The name of a Socket.IO socket.
pub(super) fn socket(text: &mut Text, sid: Sid) {
    text.string(std::str::from_utf8(&sid.chars()).expect("a name is ASCII"));
}

/// Who would get a message.
pub(super) fn presence(people: &[Present], connections: u64) -> Text {
    let mut text = Text::default();
    text.open('{').key("items").open('[');
    for present in people {
        text.open('{').key("userId").name(present.user.as_deref());
        if let Some(tenant) = &present.tenant {
            text.key("tenantId").string(tenant);
        }
        text.key("connections").number(present.connections).close('}');
    }
    text.close(']').key("connections").number(connections).close('}');
    text
}

/// Past messages, the oldest first, and the offset to go on from.
pub(super) fn history(found: Option<(Position, Messages)>) -> Text {
    let mut text = Text::default();
    text.open('{').key("items").open('[');
    let Some((place, messages)) = found else {
        text.close(']').key("epoch").raw("null").key("next").raw("null").close('}');
        return text;
    };
    let mut last = None;
    for message in &messages {
        let publication = message.publication();
        last = publication.position.map(|position| position.offset);
        past_message(&mut text, &publication);
    }
    text.close(']').key("epoch").string(&place.epoch.to_string()).key("next");
    match last.filter(|last| *last < place.offset) {
        Some(last) => text.number(last),
        None => text.raw("null"),
    };
    text.close('}');
    text
}

fn past_message(text: &mut Text, publication: &Publication<'_>) {
    let Publication { event, data, metadata, sender, position, at, sender_in_metadata, .. } =
        *publication;
    text.open('{').key("offset").number(position.map_or(0, |position| position.offset));
    text.key("eventType").raw(event.unwrap_or("\"message\"")).key("data").raw(data);
    text.key("metadata").open('{');
    if !metadata.is_empty() {
        text.raw(metadata);
    }
    if let Some(sender) = sender.filter(|_| !sender_in_metadata) {
        text.key("senderId").string(sender);
    }
    text.close('}').key("timestamp").string(&at.to_string()).close('}');
}

//! What is published: the borrowed view on its way through one shard, the shared copy for others.
//!
//! A [`Publication`] borrows the bytes that came in; a [`Message`] owns them, once, and is handed
//! from thread to thread behind one `Arc`. Parts that a client wrote as JSON stay JSON text: they
//! go out as they came in and nobody looks inside again.

use crate::connection::ConnectionId;
use crate::time::Timestamp;
use crate::topic::name_hash;

/// Where a message stands in a topic's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Names one run of the history; offsets of two epochs cannot be compared.
    pub epoch: u64,
    /// Counts the topic's messages from 1, without gaps.
    pub offset: u64,
}

/// The form of a message's data that has bytes beside it, as Socket.IO sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binary<'a> {
    /// The data with a placeholder for each of the bytes: any JSON value.
    pub data: &'a str,
    /// The bytes, by the placeholders' numbers.
    pub attachments: &'a [Box<[u8]>],
}

/// One message of one topic, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publication<'a> {
    /// The topic's name, well formed (`topic::Topic`).
    pub topic: &'a str,
    /// `topic::name_hash` of the name.
    pub topic_hash: u64,
    /// The event's type as a JSON string with its quotes; `None` where the publisher gave none.
    pub event: Option<&'a str>,
    /// Any JSON value, byte for byte as published; bytes beside it stand in it as base64 text.
    pub data: &'a str,
    /// The same for those who are sent bytes as they are, where there are any.
    pub binary: Option<Binary<'a>>,
    /// The members of the publisher's `metadata` object as written, without the braces and
    /// without any `senderId`; empty where there are none.
    pub metadata: &'a str,
    /// The publisher's user id, not escaped; `None` for an anonymous one or the server side.
    pub sender: Option<&'a str>,
    /// When the broker took it.
    pub at: Timestamp,
    /// Its place in the topic's history, where the topic has one.
    pub position: Option<Position>,
    /// The connection that published it; `None` for the server side.
    pub from: Option<ConnectionId>,
    /// What clients of the `channels` dialect get in place of their form of a message: a whole
    /// frame, any JSON value, given by the server side.
    pub verbatim: Option<&'a str>,
    /// `sender` stands in `metadata` already, where the server side put it: it is not added there
    /// once more.
    pub sender_in_metadata: bool,
    /// It is of this moment alone: kept in no history, and sent to nobody who comes back for it.
    pub ephemeral: bool,
}

impl<'a> Publication<'a> {
    /// A message of the server side with nothing but a topic and its data. The topic need not be
    /// well formed where it is only a label.
    pub fn of_server(topic: &'a str, data: &'a str, at: Timestamp) -> Self {
        Self {
            topic,
            topic_hash: name_hash(topic),
            event: None,
            data,
            binary: None,
            metadata: "",
            sender: None,
            at,
            position: None,
            from: None,
            verbatim: None,
            sender_in_metadata: false,
            ephemeral: false,
        }
    }
}

/// What a client wants published, before it is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish<'a> {
    /// The topic's name, decoded.
    pub topic: &'a str,
    /// Any JSON value as written.
    pub data: &'a str,
    /// The members of `metadata` as written, without the braces and without any `senderId`; empty
    /// where there are none.
    pub metadata: &'a str,
    /// The event's type, a JSON string as written with its quotes.
    pub event: Option<&'a str>,
    /// Whether the publisher wants its own message too, when it subscribes to the topic.
    pub echo: bool,
}

/// A publication that owns its text: what travels between shards and stays in a history.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each tells of one part")]
pub struct Message {
    text: Box<str>,
    topic_hash: u64,
    at: Timestamp,
    position: Option<Position>,
    from: Option<ConnectionId>,
    topic_end: u32,
    event_end: u32,
    data_end: u32,
    metadata_end: u32,
    sender_end: u32,
    has_event: bool,
    has_sender: bool,
    has_verbatim: bool,
    sender_in_metadata: bool,
    ephemeral: bool,
    binary: Option<Box<Attached>>,
}

/// A [`Binary`] that owns its parts.
#[derive(Debug)]
struct Attached {
    data: Box<str>,
    attachments: Box<[Box<[u8]>]>,
}

impl Message {
    /// Copies a publication into one allocation.
    ///
    /// # Panics
    /// When the parts together pass 4 GiB; the message limit is far below.
    pub fn new(publication: &Publication<'_>) -> Self {
        let Publication { topic, event, data, metadata, sender, verbatim, .. } = *publication;
        let event_text = event.unwrap_or_default();
        let sender_text = sender.unwrap_or_default();
        let verbatim_text = verbatim.unwrap_or_default();
        let parts = [topic, event_text, data, metadata, sender_text, verbatim_text];
        let bytes = parts.into_iter().map(str::len).sum();
        let mut text = String::with_capacity(bytes);
        let mut end_of = |part: &str| {
            text.push_str(part);
            u32::try_from(text.len()).expect("a message is smaller than 4 GiB")
        };
        let topic_end = end_of(topic);
        let event_end = end_of(event_text);
        let data_end = end_of(data);
        let metadata_end = end_of(metadata);
        let sender_end = end_of(sender_text);
        end_of(verbatim_text);
        Self {
            text: text.into_boxed_str(),
            topic_hash: publication.topic_hash,
            at: publication.at,
            position: publication.position,
            from: publication.from,
            topic_end,
            event_end,
            data_end,
            metadata_end,
            sender_end,
            has_event: event.is_some(),
            has_sender: sender.is_some(),
            has_verbatim: verbatim.is_some(),
            sender_in_metadata: publication.sender_in_metadata,
            ephemeral: publication.ephemeral,
            binary: publication.binary.map(|it| {
                Box::new(Attached { data: it.data.into(), attachments: it.attachments.into() })
            }),
        }
    }

    /// The same message, borrowed.
    pub fn publication(&self) -> Publication<'_> {
        let (topic_end, event_end) = (self.topic_end as usize, self.event_end as usize);
        let (data_end, metadata_end) = (self.data_end as usize, self.metadata_end as usize);
        let sender_end = self.sender_end as usize;
        Publication {
            topic: &self.text[..topic_end],
            topic_hash: self.topic_hash,
            event: self.has_event.then(|| &self.text[topic_end..event_end]),
            data: &self.text[event_end..data_end],
            binary: self
                .binary
                .as_deref()
                .map(|it| Binary { data: &it.data, attachments: &it.attachments }),
            metadata: &self.text[data_end..metadata_end],
            sender: self.has_sender.then(|| &self.text[metadata_end..sender_end]),
            at: self.at,
            position: self.position,
            from: self.from,
            verbatim: self.has_verbatim.then(|| &self.text[sender_end..]),
            sender_in_metadata: self.sender_in_metadata,
            ephemeral: self.ephemeral,
        }
    }

    /// Bytes of its text and of what stands beside it, for whoever counts memory.
    pub fn bytes(&self) -> usize {
        let attached = self.binary.as_deref().map_or(0, |it| {
            it.data.len() + it.attachments.iter().map(|bytes| bytes.len()).sum::<usize>()
        });
        self.text.len() + attached
    }

    /// Gives it its place in the history, once, at the topic's home shard.
    pub fn set_position(&mut self, position: Position) {
        self.position = Some(position);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::{Address, ConnKey};

    #[test]
    fn a_copy_shows_what_it_was_made_from() {
        let full = Publication {
            topic: "a.b",
            topic_hash: 7,
            event: Some("\"\""),
            data: "{\"n\":12345678901234567890}",
            binary: Some(Binary {
                data: "{\"_placeholder\":true,\"num\":0}",
                attachments: &[Box::new([0, 255])],
            }),
            metadata: "\"k\":1",
            sender: Some(""),
            at: Timestamp(5),
            position: Some(Position { epoch: 1, offset: 2 }),
            from: Some(ConnectionId {
                node: 3,
                at: Address { shard: 4, conn: ConnKey { index: 5, generation: 6 } },
            }),
            verbatim: Some("[1]"),
            sender_in_metadata: true,
            ephemeral: true,
        };
        let plain = Publication { event: None, metadata: "", sender: None, ..full };
        let bare = Publication::of_server("a.b", "1", Timestamp(5));
        for publication in [full, plain, bare, Publication { verbatim: Some(""), ..bare }] {
            assert_eq!(Message::new(&publication).publication(), publication);
        }
    }
}

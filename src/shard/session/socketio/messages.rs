//! What members of a room say to each other, and one socket to another.
//!
//! A message to a room is a publish of its topic: every dialect hears it. A message to a socket is
//! none, for who is subscribed to everything must not read what was meant for one: it goes to the
//! shard that the socket's name says. Bytes beside a message go as they are to Socket.IO clients, and
//! as base64 text to others. Contract: protocols.md section 5, section 11 "Socket.IO".

use super::replies::{self, DONE};
use super::request::{ChatMessage, To, push_stamp};
use super::{Advice, Said};
use crate::auth::Identity;
use crate::close::Refusal;
use crate::config::{Action, Relay};
use crate::connection::{Address, ConnectionId};
use crate::message::{Binary, Publication, Publish};
use crate::shard::announce::Reach;
use crate::shard::hub::Hub;
use crate::sid::{SID_CHARS, Secret, Sid};
use crate::time::{Now, Timestamp};
use crate::topic::name_hash;
use crate::wire::socketio as dialect;

/// The beginning of what a message's acknowledgement says.
fn sent_as(id: &str, at: Timestamp) -> Vec<u8> {
    let mut sent = b"{\"success\":true,".to_vec();
    push_stamp(&mut sent, id, at);
    sent
}

impl Hub {
    pub(super) fn send_chat(&mut self, now: Now, said: &Said<'_>, message: &ChatMessage<'_, '_>) {
        let done = match message.to {
            To::Room(room) => self.send_to_room(now, said, room, message),
            To::Socket(name) => self.send_to_socket(now, said, name, message),
        };
        if let Err(refusal) = done {
            self.refuse_event(now, said, refusal);
        }
    }

    fn send_to_room(
        &mut self,
        now: Now,
        said: &Said<'_>,
        room: &str,
        message: &ChatMessage<'_, '_>,
    ) -> Result<(), Refusal> {
        let Some(advice) = self.may_publish(now, said, room)? else { return Ok(()) };
        let id = self.message_id();
        let id = std::str::from_utf8(&id).expect("a name is ASCII");
        let data = message.payload(self.user(said.socket), id, now.wall);
        let publish = Publish { topic: room, data: &data, metadata: "", event: None, echo: true };
        self.publish_said(now, said, &publish, advice)?;
        let sent = replies::text(sent_as(id, now.wall));
        self.acknowledge(said.socket, said.ack, &sent);
        Ok(())
    }

    fn send_to_socket(
        &mut self,
        now: Now,
        said: &Said<'_>,
        name: &str,
        message: &ChatMessage<'_, '_>,
    ) -> Result<(), Refusal> {
        let id = self.message_id();
        let id = std::str::from_utf8(&id).expect("a name is ASCII");
        let sent = sent_as(id, now.wall);
        let Some(to) = self.name_of_socket(name) else {
            self.sent(said.socket, said.ack, sent, 0);
            return Ok(());
        };
        let advice = self.ask(now, said, Action::Publish, name);
        let Some(Advice(word)) = advice else { return Ok(()) };
        // A name of this form is a topic within any bounds but the narrowest.
        let topic = self.room(name).ok_or(Refusal::InvalidRoom)?;
        self.judge(said.socket, Action::Publish, topic.into(), word)?;
        if self.gone_by.is_some() {
            return Err(Refusal::ShuttingDown);
        }
        let data = message.payload(self.user(said.socket), id, now.wall);
        let plain = self.inlined(said, &data)?;
        let binary = Binary { data: &data, attachments: said.attachments };
        let conn = self.slots.key(said.socket);
        let carrier = self.slots.key(self.carrier_of(said.socket));
        let identity = self.slots[said.socket].identity.take();
        let publication = Publication {
            topic_hash: name_hash(name),
            sender: identity.as_deref().map(Identity::user_id),
            binary: plain.is_some().then_some(binary),
            from: Some(ConnectionId { node: self.node, at: Address { shard: self.id, conn } }),
            ..Publication::of_server(name, plain.as_deref().unwrap_or(&data), now.wall)
        };
        self.metrics.messages_published_total.add(1);
        let asker = said.ack.is_some().then_some(carrier);
        let reached = self.say_to_socket(&publication, to, asker);
        self.slots[said.socket].identity = identity;
        match reached? {
            Reach::Known(delivered) => self.sent(said.socket, said.ack, sent, delivered),
            Reach::Awaited(ticket) => self.reply_sent(said, ticket, sent),
        }
        Ok(())
    }

    /// Acknowledges a message that went to so many sockets.
    pub(super) fn sent(
        &mut self,
        socket: u32,
        ack: Option<u64>,
        mut sent: Vec<u8>,
        delivered: u64,
    ) {
        sent.extend_from_slice(format!(",\"delivered\":{delivered}").as_bytes());
        self.acknowledge(socket, ack, &replies::text(sent));
    }

    /// Passes an event on to the other members of a room.
    pub(super) fn relay(
        &mut self,
        now: Now,
        said: &Said<'_>,
        relay: &Relay,
        room: &str,
        data: &str,
    ) {
        let event = Some(relay.sent.json());
        let publish = Publish { topic: room, data, metadata: "", event, echo: false };
        let published = match self.may_publish(now, said, room) {
            Ok(Some(advice)) => self.publish_said(now, said, &publish, advice),
            Ok(None) => return,
            Err(refusal) => Err(refusal),
        };
        match published {
            Ok(()) => self.acknowledge(said.socket, said.ack, DONE),
            Err(refusal) => self.refuse_event(now, said, refusal),
        }
    }

    /// Whether a socket may say something in a room, as far as that is known without the rules, and
    /// what a webhook says, where they have it asked. `None`: the event waits for that.
    pub(super) fn may_publish(
        &mut self,
        now: Now,
        said: &Said<'_>,
        room: &str,
    ) -> Result<Option<Advice>, Refusal> {
        self.check_member(said, room)?;
        Ok(self.ask(now, said, Action::Publish, room))
    }

    /// That a room can be one, and a socket is in it.
    pub(super) fn check_member(&self, said: &Said<'_>, room: &str) -> Result<(), Refusal> {
        if self.room(room).is_none() {
            Err(Refusal::InvalidRoom)
        } else if !self.is_member(said.socket, room) {
            Err(Refusal::NotAMember)
        } else {
            Ok(())
        }
    }

    /// Publishes what a socket says, with the bytes beside it.
    fn publish_said(
        &mut self,
        now: Now,
        said: &Said<'_>,
        publish: &Publish<'_>,
        Advice(word): Advice,
    ) -> Result<(), Refusal> {
        let Some(plain) = self.inlined(said, publish.data)? else {
            return self.publish_for(now, said.socket, None, publish, word);
        };
        let binary = Some(Binary { data: publish.data, attachments: said.attachments });
        let publish = Publish { data: &plain, ..*publish };
        self.publish_with(now, said.socket, None, &publish, (binary, false), word)
    }

    /// The data of an event with its bytes in it as text, where there are any.
    fn inlined(&self, said: &Said<'_>, data: &str) -> Result<Option<String>, Refusal> {
        if said.attachments.is_empty() {
            return Ok(None);
        }
        // Base64 is a third longer; one attachment may stand in many places.
        let bytes_max = 2 * self.policy.socketio.payload_bytes_max;
        let mut plain = String::new();
        let fits = dialect::inline(&mut plain, data, said.attachments, bytes_max);
        fits.map(|()| Some(plain)).map_err(|_| Refusal::TooLarge)
    }

    /// The user that a socket is.
    pub(super) fn user(&self, socket: u32) -> Option<&str> {
        self.slots[socket].identity.as_deref().map(Identity::user_id)
    }

    /// A name for a message, as long as a socket's.
    fn message_id(&mut self) -> [u8; SID_CHARS] {
        let number = self.draw() as u32;
        Sid::new(self.id, number, Secret::new(&mut *self.secrets)).chars()
    }
}

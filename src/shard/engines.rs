//! The verbs of Engine.IO sessions: what HTTP asks of them, and WebSockets that take over.
//!
//! A session's home is the shard that answered its handshake. A request that the kernel gave to
//! another shard is mailed home, and so is the answer; a WebSocket that is to take over is brought
//! there by whoever drives the shards. Contract: protocols.md section 5.

use crate::connection::ConnKey;
use crate::limits::ENGINE_REPLIES_KEPT;
use crate::mail::{Delivery, Mail, Receipt, Request};
use crate::polling::{Asked, Fault, HttpReply};
use crate::shard::Shard;
use crate::shard::hub::{Arrival, Hub};
use crate::shard::outbox::Port;
use crate::sid::Sid;
use crate::time::Now;

impl Shard {
    /// Begins a polling session; gives the body that answers the handshake. Whoever calls this has
    /// seen that the shard does not drain.
    pub fn open_polling(&mut self, now: Now, arrival: Arrival) -> (ConnKey, Vec<u8>) {
        self.hub.open_polling(now, arrival)
    }

    /// Asks something of a session, here or on another shard. The answer comes with
    /// [`Shard::http_reply`] under `ticket`, which must tell it from all others that are open.
    /// What goes away ([`Asked::Gone`]) is given the ticket that it asked with, and no answer.
    pub fn ask(&mut self, now: Now, sid: Sid, asked: Asked, ticket: u64) {
        let hub = &mut self.hub;
        let answer = Receipt { shard: hub.id, ticket };
        if sid.shard() == hub.id {
            hub.on_asked(now, sid, asked, answer);
        } else if sid.shard() >= hub.shards {
            if !matches!(asked, Asked::Gone) {
                hub.http_replies.push_back((ticket, HttpReply::Bad(Fault::Session)));
            }
        } else if let Asked::Post(body) = asked {
            if hub.post.congested() {
                hub.http_replies.push_back((ticket, HttpReply::NoRoom));
            } else {
                hub.metrics.mails_sent_total.add(1);
                let request = Request::Post { sid, body, answer };
                hub.post.send(sid.shard(), Mail::Request(request));
            }
        } else {
            hub.send(sid.shard(), Delivery::Http { sid, asked, answer });
        }
    }

    /// An answer to what was asked; to be taken until there is none, in each turn.
    pub fn http_reply(&mut self) -> Option<(u64, HttpReply)> {
        let replies = &mut self.hub.http_replies;
        let reply = replies.pop_front();
        if replies.is_empty() {
            replies.shrink_to(ENGINE_REPLIES_KEPT);
        }
        reply
    }

    /// Carries out records that came in bodies, so many at most.
    pub(super) fn take_records(&mut self, now: Now, port: &mut impl Port) {
        let Self { intake, hub, .. } = self;
        hub.take_records(now, &mut intake.scratch, port);
    }

    /// Takes in a WebSocket that is to take over from a session of this shard. `None`: the session
    /// is not there any more, and the socket is to be closed.
    pub fn probe(&mut self, now: Now, sid: Sid, arrival: &Arrival) -> Option<ConnKey> {
        self.hub.probe(now, sid, arrival)
    }
}

impl Hub {
    /// Whether a request of a connection, or of a Socket.IO socket on it, waits for something.
    pub(super) fn waits(&self, conn: u32) -> bool {
        self.slots[conn].aside.is_some()
    }

    /// What is to be read again once a connection's request waits no longer: itself, or the engine
    /// that it is on. A polling session is not read; what it sent is taken up.
    pub(super) fn read_again(&mut self, key: ConnKey) -> Option<ConnKey> {
        self.slots.get(key)?;
        let carrier = self.slots.key(self.carrier_of(key.index));
        (!self.resume_input(carrier.index)).then_some(carrier)
    }

    /// Answers an HTTP request, wherever it came to.
    pub(super) fn answer_http(&mut self, answer: Receipt, reply: HttpReply) {
        self.send(answer.shard, Delivery::HttpReply { ticket: answer.ticket, reply });
    }
}

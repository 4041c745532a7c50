//! A shard's connections and what joins them: the state behind every verb of the shard.
//!
//! The hub opens and flushes connections here; how they end is `ends.rs`, what a client's message
//! does `session/`, how a message reaches subscribers `fanout.rs`, what time does `life.rs`. It
//! is apart from the shard's reading side so that a request may borrow the bytes it came in while
//! the hub changes.
//!
//! Invariant: a connection is in the topic index only while its phase is `Open`, or it is a
//! Socket.IO socket without a transport of its own (`Guest`, `Ghost`, or about to be a ghost).

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use crate::auth::Identity;
use crate::close::Close;
use crate::config::Dialect;
use crate::connection::ConnKey;
use crate::interest::OwnInterest;
use crate::mailbox::Post;
use crate::metrics::ShardMetrics;
use crate::origin::OriginMark;
use crate::polling::HttpReply;
use crate::shard::asking::Asking;
use crate::shard::encoder::{Encoder, POLLING, lane_of};
use crate::shard::ends::{End, Ending};
use crate::shard::history::History;
use crate::shard::inquiry::Inquiries;
use crate::shard::outbox::{Droppable, Flushed, Outbox, Pending, Port, Sent, Unsent};
use crate::shard::people::People;
use crate::shard::policy::Policy;
use crate::shard::pulse::Pulse;
use crate::shard::receipts::Receipts;
use crate::shard::recovery::Recovery;
use crate::shard::review::Review;
use crate::shard::session::Operators;
use crate::shard::slot::{Phase, Slot, Slots};
use crate::shard::timers::{Tick, Wheel};
use crate::shard::topics::Topics;
use crate::sid::Secrets;
use crate::time::Now;
use crate::topic::Pattern;
use crate::wire::deflate::Accepted;
use crate::wire::frame::{self, OpCode};

/// A connection whose handshake is done.
#[derive(Debug)]
pub struct Arrival {
    /// The endpoint it came in by.
    pub endpoint: u8,
    /// Who it is, when its token came with the handshake.
    pub identity: Option<Identity>,
    /// The compression that was negotiated.
    pub compression: Option<Accepted>,
    /// The client's address.
    pub address: IpAddr,
    /// Why it is let in only to hear that it is not: its handshake was answered, as its dialect
    /// wants, and this is all that follows.
    pub refused: Option<Close>,
    /// Which page it came from.
    pub origin: OriginMark,
    /// Its token was no good; for dialects that say so later.
    pub bad_token: bool,
    /// The request as JSON, for conformance suites.
    pub shown: Option<Box<str>>,
}

impl Arrival {
    /// An anonymous connection without compression that is no browser's.
    pub fn new(endpoint: u8, address: IpAddr) -> Self {
        let (identity, compression, refused) = (None, None, None);
        Self {
            endpoint,
            identity,
            compression,
            address,
            refused,
            origin: OriginMark::NONE,
            bad_token: false,
            shown: None,
        }
    }
}

/// Connections and all that is kept for them.
pub(super) struct Hub {
    pub(super) id: u8,
    pub(super) shards: u8,
    /// The node's number, for the names of connections.
    pub(super) node: u64,
    pub(super) policy: Arc<Policy>,
    pub(super) metrics: Arc<ShardMetrics>,
    pub(super) slots: Slots,
    pub(super) topics: Topics,
    pub(super) interest: OwnInterest,
    pub(super) outbox: Outbox,
    pub(super) encoder: Encoder,
    pub(super) wheel: Wheel,
    pub(super) history: History,
    pub(super) post: Post,
    /// Connections that are over, to be ended by the next flushes, some in each.
    pub(super) ending: VecDeque<Ending>,
    pub(super) receipts: Receipts,
    pub(super) people: People,
    pub(super) inquiries: Inquiries,
    /// Steps of work that inquiries have caused; see [`Hub::steps`].
    pub(super) looked_at: u64,
    /// Connections of the dialect `admin` that asked something.
    pub(super) operators: Operators,
    pub(super) asking: Asking,
    pub(super) review: Review,
    /// The stamp of the last message fanned out.
    pub(super) stamp: u32,
    /// When whoever is left is cut, once the shard drains.
    pub(super) gone_by: Option<Tick>,
    pub(super) random: u64,
    pub(super) secrets: Box<dyn Secrets>,
    /// Answers to HTTP requests that came to this shard, by their numbers.
    pub(super) http_replies: VecDeque<(u64, HttpReply)>,
    /// Polling sessions whose records are to be carried out.
    pub(super) inputs: VecDeque<ConnKey>,
    /// Bytes of bodies that wait to be carried out, of all sessions.
    pub(super) input_bytes: usize,
    pub(super) pulse: Pulse,
    /// When the notification gateway says something to all, in monotonic milliseconds.
    pub(super) hello_ms: u64,
    /// A WebSocket that has taken over, and the session: its socket is to go there.
    pub(super) switched: Option<(u32, ConnKey)>,
    /// What is kept for Socket.IO clients that come back, where that is switched on.
    pub(super) recovery: Option<Box<Recovery>>,
    pub(super) cork: Vec<u8>,
    pub(super) fired: Vec<u32>,
}

impl Hub {
    /// Takes in a connection.
    pub(super) fn open(&mut self, now: Now, arrival: Arrival) -> ConnKey {
        let dialect = self.policy.endpoints[usize::from(arrival.endpoint)].dialect;
        let lane = lane_of(dialect, arrival.compression);
        self.open_in(now, arrival, lane)
    }

    /// Takes in a connection that is sent to in a lane.
    pub(super) fn open_in(&mut self, now: Now, arrival: Arrival, lane: u8) -> ConnKey {
        let tick = Tick::at_ms(now.mono_ms);
        let Arrival { endpoint, identity, compression, address, refused, origin, bad_token, shown } =
            arrival;
        let is_engine = self.policy.endpoints[usize::from(endpoint)].dialect == Dialect::SocketIo;
        // A Socket.IO socket is somebody when it connects.
        let (identity, brought) = if is_engine { (None, identity) } else { (identity, None) };
        let known = identity.is_some();
        self.metrics.connections_authenticated.add(u64::from(known));
        let key = self.slots.insert(Slot {
            identity: identity.map(Box::new),
            compression: compression.is_some(),
            origin,
            ..Slot::open(endpoint, lane, address, tick)
        });
        self.metrics.connections.add(1);
        self.metrics.connections_opened_total.add(1);
        if known {
            self.people.enter(&mut self.slots, key.index);
        }
        if is_engine {
            self.become_engine(now, key.index, brought, bad_token);
            if let Some(shown) = shown {
                self.show(key.index, shown);
            }
        }
        if let Some(close) = refused {
            self.begin_close(now, key.index, close);
        }
        self.hold_against_settings(now, key.index);
        if let Some(gone_by) = self.gone_by {
            self.begin_close(now, key.index, Close::Shutdown);
            self.slots[key.index].go_by = Some(gone_by);
        }
        self.greet(now, key.index);
        self.rearm(now, key.index);
        key
    }

    /// Steps of work so far: deliveries, places asked in the topic index, and what was looked at for
    /// inquiries.
    pub(super) fn steps(&self) -> u64 {
        self.topics.steps() + self.metrics.deliveries_total.get() + self.looked_at
    }

    /// Queues one frame for a connection; `payload` appends its payload.
    pub(super) fn queue_frame(
        &mut self,
        conn: u32,
        opcode: OpCode,
        payload: impl FnOnce(&mut Vec<u8>),
    ) {
        let slot = &mut self.slots[conn];
        let range = self.outbox.write(slot.lane, Droppable::NEVER, |out| {
            let mark = frame::begin(out);
            payload(out);
            frame::end(out, mark, opcode, false);
        });
        self.outbox.queue(conn, &mut slot.pending, range);
    }

    /// Queues a text frame for a connection.
    pub(super) fn reply(&mut self, conn: u32, text: impl FnOnce(&mut Vec<u8>)) {
        self.queue_frame(conn, OpCode::Text, text);
    }

    /// Sends what is queued, once a connection, and ends some of those that are over.
    pub(super) fn flush(&mut self, now: Now, port: &mut impl Port) {
        let ends = self.answer_some();
        let dirty = self.outbox.take_dirty();
        for &conn in &dirty {
            self.flush_one(now, conn, port);
        }
        self.outbox.end_turn(dirty);
        self.close_some(ends, port);
    }

    /// Sends what is queued for a connection, if anything is.
    pub(super) fn flush_one(&mut self, now: Now, conn: u32, port: &mut impl Port) {
        if self.slots[conn].lane == POLLING {
            return self.flush_polling(now, conn);
        }
        let slot = &mut self.slots[conn];
        let chain = std::mem::replace(&mut slot.pending, Pending::NOTHING);
        if chain.is_empty() {
            return;
        }
        let unsent = if slot.backlog.is_some() {
            Unsent::whole(chain)
        } else {
            self.outbox.flush(conn, slot.lane, chain, port)
        };
        self.metrics.sends_total.add(unsent.sends);
        self.metrics.bytes_sent_total.add(unsent.sent_bytes() as u64);
        match unsent.outcome {
            Flushed::All => self.flushed(conn, port),
            Flushed::Kept => self.keep(now, conn, &unsent),
            Flushed::Gone => self.end(conn, port),
        }
    }

    /// The kernel has room again for a connection that has a backlog, or for what its port holds.
    pub(super) fn writable(&mut self, conn: u32, port: &mut impl Port) {
        let slot = &mut self.slots[conn];
        let Some(backlog) = &mut slot.backlog else {
            if port.holds(conn) {
                self.send_held(conn, port);
            } else if slot.phase == Phase::Finishing && slot.pending.is_empty() {
                // What the port held when it was to end has gone out with a read. Soon, not now:
                // a turn ends so many, and this may be one of those who wait for theirs.
                self.end_soon(conn, End::Finish);
            }
            return;
        };
        let before = backlog.bytes();
        let sends = &self.metrics.sends_total;
        let outcome = backlog.send(conn, port, &mut self.cork, sends);
        let sent = (before - backlog.bytes()) as u64;
        self.metrics.bytes_sent_total.add(sent);
        self.metrics.outbox_bytes.sub(sent);
        match outcome {
            Flushed::All => {
                self.slots[conn].backlog = None;
                self.metrics.outbox_connections.sub(1);
                if self.slots[conn].pending.is_empty() {
                    self.flushed(conn, port);
                }
            }
            Flushed::Kept => {}
            Flushed::Gone => self.end(conn, port),
        }
    }

    /// Has a port send what it holds, of a connection without a backlog.
    fn send_held(&mut self, conn: u32, port: &mut impl Port) {
        match port.send(conn, &[]) {
            Sent::Gone => self.end(conn, port),
            Sent::Bytes(_) if self.slots[conn].pending.is_empty() => self.flushed(conn, port),
            Sent::Bytes(_) => {}
        }
    }

    /// All that was queued for a connection is with the kernel, or with its port.
    fn flushed(&mut self, conn: u32, port: &mut impl Port) {
        match self.slots[conn].phase {
            Phase::Finishing => self.finish(conn, port),
            Phase::Failing => port.shut(conn),
            Phase::Free
            | Phase::Open
            | Phase::Closing
            | Phase::Leaving
            | Phase::Gone
            | Phase::Probing
            | Phase::Guest
            | Phase::Ghost => {}
        }
    }

    /// Keeps what the kernel refused; gives the connection up when it is too much.
    pub(super) fn keep(&mut self, now: Now, conn: u32, unsent: &Unsent) {
        let slot = &mut self.slots[conn];
        let bound = self.policy.outbox;
        if slot.backlog.is_none() {
            self.metrics.outbox_connections.add(1);
        }
        let backlog = slot.backlog.get_or_insert_default();
        let before = backlog.bytes() as u64;
        let kept = self.outbox.keep(slot.lane, unsent, backlog, bound);
        self.metrics.outbox_bytes.add((backlog.bytes() as u64).wrapping_sub(before));
        self.dropped(kept.dropped);
        if kept.overflow {
            self.metrics.dropped_disconnect_total.add(kept.lost);
            self.give_up(now, conn);
        }
    }

    fn dropped(&self, messages: u64) {
        use crate::config::SlowConsumerPolicy::{Conflate, Disconnect, DropNewest, DropOldest};
        match self.policy.outbox.policy {
            Disconnect => &self.metrics.dropped_disconnect_total,
            DropOldest => &self.metrics.dropped_oldest_total,
            DropNewest => &self.metrics.dropped_newest_total,
            Conflate => &self.metrics.dropped_conflated_total,
        }
        .add(messages);
    }

    /// Takes a connection out of the topic index, and lets it wait for nothing any more.
    pub(super) fn withdraw(&mut self, conn: u32) {
        self.forget(conn);
        // An engine's own socket leaves them when it ends, and not before.
        if !self.has_own_socket(conn) {
            self.leave_topics(conn);
        }
    }

    /// Takes a connection out of the topic index.
    pub(super) fn leave_topics(&mut self, conn: u32) {
        let Self { topics, interest, metrics, .. } = self;
        metrics.subscriptions.sub(topics.subscription_count(conn) as u64);
        topics.remove_connection(conn, |removed| {
            if removed.last {
                interest.remove(Pattern::checked(removed.pattern));
            }
        });
        self.count_topics();
    }

    /// Brings the gauges of the topic index up to date.
    pub(super) fn count_topics(&self) {
        self.metrics.topics.set(self.topics.topic_count() as u64);
        self.metrics.patterns.set(self.topics.pattern_count() as u64);
    }
}

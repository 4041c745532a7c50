//! A shard's connections and what joins them: the state behind every verb of the shard.
//!
//! The hub opens, ends and flushes connections here; what a client's message does is `session.rs`,
//! how a message reaches subscribers `fanout.rs`, what time does `life.rs`. It is apart from the
//! shard's reading side so that a request may borrow the bytes it came in while the hub changes.
//!
//! Invariant: a connection is in the topic index only while its phase is `Open`.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use crate::auth::Identity;
use crate::close::Close;
use crate::interest::OwnInterest;
use crate::limits::{CLOSE_WAIT_MS, ENDS_PER_TURN_MAX};
use crate::mail::ConnKey;
use crate::mailbox::Post;
use crate::metrics::ShardMetrics;
use crate::shard::encoder::Encoder;
use crate::shard::history::History;
use crate::shard::outbox::{Droppable, Flushed, Outbox, Pending, Port, Unsent};
use crate::shard::policy::Policy;
use crate::shard::receipts::Receipts;
use crate::shard::slot::{Phase, Slot, Slots};
use crate::shard::timers::{Tick, Wheel};
use crate::shard::topics::Topics;
use crate::time::Now;
use crate::topic::Pattern;
use crate::wire::deflate::{Accepted, WINDOW_BITS_MAX, WINDOW_BITS_MIN};
use crate::wire::frame::{self, OpCode};

/// Lanes of the outbox: plain, and compressed with a window of 15 down to 9 bits.
pub(super) const LANES: usize = 2 + (WINDOW_BITS_MAX - WINDOW_BITS_MIN) as usize;

/// The lane of a connection with this compression: 0 is plain.
fn lane_of(compression: Option<Accepted>) -> u8 {
    compression.map_or(0, |accepted| 1 + WINDOW_BITS_MAX - accepted.server_bits)
}

/// The window of a compressed lane.
pub(super) fn window_bits(lane: u8) -> u8 {
    1 + WINDOW_BITS_MAX - lane
}

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
}

/// A connection that is over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ending {
    pub(super) key: ConnKey,
    pub(super) how: End,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    /// At once, whatever is queued for it.
    Cut,
    /// Its close frame is answered first, with the same code.
    Answer(Option<u16>),
}

/// Connections and all that is kept for them.
pub(super) struct Hub {
    pub(super) id: u8,
    pub(super) shards: u8,
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
    /// The stamp of the last message fanned out.
    pub(super) stamp: u32,
    /// When whoever is left is cut, once the shard drains.
    pub(super) gone_by: Option<Tick>,
    pub(super) random: u64,
    pub(super) cork: Vec<u8>,
    pub(super) fired: Vec<u32>,
}

impl Hub {
    /// Takes in a connection.
    pub(super) fn open(&mut self, now: Now, arrival: Arrival) -> ConnKey {
        let tick = Tick::at_ms(now.mono_ms);
        let Arrival { endpoint, identity, compression, address } = arrival;
        self.metrics.connections_authenticated.add(u64::from(identity.is_some()));
        let key = self.slots.insert(Slot {
            identity: identity.map(Box::new),
            compression: compression.is_some(),
            ..Slot::open(endpoint, lane_of(compression), address, tick)
        });
        self.metrics.connections.add(1);
        self.metrics.connections_opened_total.add(1);
        if let Some(gone_by) = self.gone_by {
            self.begin_close(now, key.index, Close::Shutdown);
            self.slots[key.index].go_by = Some(gone_by);
        }
        self.rearm(now, key.index);
        key
    }

    /// Steps of work so far: deliveries, and places asked in the topic index.
    pub(super) fn steps(&self) -> u64 {
        self.topics.steps() + self.metrics.deliveries_total.get()
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

    /// Begins to end a connection: it hears why, and no message any more.
    pub(super) fn begin_close(&mut self, now: Now, conn: u32, close: Close) {
        if self.slots[conn].phase != Phase::Open {
            return;
        }
        self.withdraw(conn);
        self.metrics.closed_for(close).add(1);
        let slot = &mut self.slots[conn];
        // After broken framing nothing the client sends can be read, its close frame included.
        let broken = matches!(close, Close::Protocol | Close::BadUtf8 | Close::TooLarge);
        slot.phase = if broken { Phase::Failing } else { Phase::Closing };
        let range = self.outbox.write(slot.lane, Droppable::NEVER, |out| {
            frame::put_close(out, Some(close.code()), close.reason());
        });
        self.outbox.queue(conn, &mut slot.pending, range);
        self.close_by(now, conn);
    }

    /// The client's close frame came: ours goes out if it has not yet, then the socket goes.
    pub(super) fn on_close(&mut self, now: Now, conn: u32, code: Option<u16>) {
        match self.slots[conn].phase {
            Phase::Open => {
                self.withdraw(conn);
                self.slots[conn].phase = Phase::Leaving;
                // Here and not with the answer: it may be cut or given up before.
                self.metrics.closed_for(Close::Normal).add(1);
                self.end_soon(conn, End::Answer(code));
                self.close_by(now, conn);
            }
            Phase::Closing => {
                let slot = &mut self.slots[conn];
                slot.phase = Phase::Finishing;
                if slot.pending.is_empty() && slot.backlog.is_none() {
                    self.end_soon(conn, End::Cut);
                }
            }
            Phase::Free | Phase::Failing | Phase::Leaving | Phase::Finishing => {}
        }
    }

    /// Puts a connection behind those that the next flushes end.
    pub(super) fn end_soon(&mut self, conn: u32, how: End) {
        let key = ConnKey { index: conn, generation: self.slots[conn].generation };
        self.ending.push_back(Ending { key, how });
    }

    /// Answers the close frame of a connection that waited for it.
    fn answer_close(&mut self, key: ConnKey, code: Option<u16>) {
        // It may have been cut or given up in the meantime.
        if let Some(slot) = self.slots.get(key).filter(|slot| slot.phase == Phase::Leaving) {
            slot.phase = Phase::Finishing;
            let range = self.outbox.write(slot.lane, Droppable::NEVER, |out| {
                frame::put_close(out, code, "");
            });
            self.outbox.queue(key.index, &mut slot.pending, range);
        }
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

    /// Ends some of those that are over, each after what is queued for it; all other output stays.
    pub(super) fn end_some(&mut self, now: Now, port: &mut impl Port) {
        let ends = self.answer_some();
        for at in 0..ends {
            let key = self.ending[at].key;
            if self.slots.get(key).is_some() {
                self.flush_one(now, key.index, port);
            }
        }
        self.close_some(ends, port);
    }

    /// Queues the close frames of the first that wait to be ended; how many these are, whoever of
    /// them is to hear one.
    fn answer_some(&mut self) -> usize {
        let ends = self.ending.len().min(ENDS_PER_TURN_MAX);
        for at in 0..ends {
            if let Ending { key, how: End::Answer(code) } = self.ending[at] {
                self.answer_close(key, code);
            }
        }
        ends
    }

    /// Closes those of the first `ends` that need no answer, or no more.
    fn close_some(&mut self, ends: usize, port: &mut impl Port) {
        for _ in 0..ends {
            let ending = self.ending.pop_front().expect("there were as many before");
            if matches!(ending.how, End::Cut) && self.slots.get(ending.key).is_some() {
                self.end(ending.key.index, port);
            }
        }
        if self.ending.is_empty() {
            self.ending.shrink_to(ENDS_PER_TURN_MAX);
        }
        self.metrics.connections_ending.set(self.ending.len() as u64);
    }

    /// Sends what is queued for a connection, if anything is.
    fn flush_one(&mut self, now: Now, conn: u32, port: &mut impl Port) {
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

    /// The kernel has room again for a connection that has a backlog.
    pub(super) fn writable(&mut self, conn: u32, port: &mut impl Port) {
        let Some(backlog) = &mut self.slots[conn].backlog else { return };
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

    /// All that was queued for a connection is with the kernel.
    fn flushed(&mut self, conn: u32, port: &mut impl Port) {
        match self.slots[conn].phase {
            Phase::Finishing => self.end(conn, port),
            Phase::Failing => port.shut(conn),
            Phase::Free | Phase::Open | Phase::Closing | Phase::Leaving => {}
        }
    }

    /// Keeps what the kernel refused; gives the connection up when it is too much.
    fn keep(&mut self, now: Now, conn: u32, unsent: &Unsent) {
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

    /// A slow consumer: what waits is dropped, and it hears why if it reads again in time.
    /// One that was to go anyway hears this in place of the close frame that did not fit.
    fn give_up(&mut self, now: Now, conn: u32) {
        if self.slots[conn].phase == Phase::Open {
            self.withdraw(conn);
            self.metrics.closed_for(Close::SlowConsumer).add(1);
            self.slots[conn].phase = Phase::Closing;
            self.close_by(now, conn);
        }
        let slot = &mut self.slots[conn];
        if slot.phase == Phase::Leaving {
            slot.phase = Phase::Finishing;
        }
        let mut farewell = Vec::new();
        frame::put_close(
            &mut farewell,
            Some(Close::SlowConsumer.code()),
            Close::SlowConsumer.reason(),
        );
        let backlog = slot.backlog.get_or_insert_default();
        let before = backlog.bytes() as u64;
        self.metrics.dropped_disconnect_total.add(backlog.cut());
        backlog.push_last(farewell.into());
        self.metrics.outbox_bytes.add((backlog.bytes() as u64).wrapping_sub(before));
    }

    /// Ends a connection here and now.
    pub(super) fn end(&mut self, conn: u32, port: &mut impl Port) {
        self.withdraw(conn);
        let slot = &mut self.slots[conn];
        if let Some(backlog) = &slot.backlog {
            self.metrics.outbox_bytes.sub(backlog.bytes() as u64);
            self.metrics.outbox_connections.sub(1);
        }
        self.metrics.connections_authenticated.sub(u64::from(slot.identity.is_some()));
        self.metrics.connections.sub(1);
        self.metrics.connections_ended_total.add(1);
        self.wheel.cancel(conn);
        let address = slot.address;
        self.slots.remove(conn);
        port.close(conn, address);
    }

    /// Takes a connection out of the topic index.
    pub(super) fn withdraw(&mut self, conn: u32) {
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

    fn close_by(&mut self, now: Now, conn: u32) {
        let by = Tick::at_ms(now.mono_ms).plus_ms(CLOSE_WAIT_MS);
        let slot = &mut self.slots[conn];
        slot.go_by = Some(self.gone_by.map_or(by, |gone| gone.min(by)));
        self.rearm(now, conn);
    }
}

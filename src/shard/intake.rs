//! The reading side of a shard: bytes to frames, frames to messages.
//!
//! Owns what decoding needs and keeps between messages: the scratch of JSON, the inflater. Apart
//! from the hub, so that a message may borrow the bytes it came in while the hub changes. A read
//! that causes as much work as one may is cut; the rest is given again. Called by the shard's verbs.

use crate::close::Close;
use crate::connection::ConnKey;
use crate::limits::INFLATED_BYTES_KEPT;
use crate::shard::hub::Hub;
use crate::shard::outbox::Port;
use crate::shard::slot::Phase;
use crate::shard::timers::Tick;
use crate::time::Now;
use crate::wire::deflate::Inflater;
use crate::wire::frame::{Decoder, Event, FrameBounds, Sender, Violation};
use crate::wire::json::Scratch;

/// What decoding needs and keeps between messages.
#[derive(Default)]
pub(super) struct Intake {
    pub(super) scratch: Scratch,
    inflater: Option<Inflater>,
    inflated: Vec<u8>,
}

impl Intake {
    /// Takes bytes that came from a connection; see [`Shard::read`](super::Shard::read).
    pub(super) fn read(
        &mut self,
        hub: &mut Hub,
        now: Now,
        key: ConnKey,
        bytes: &mut [u8],
        port: &mut impl Port,
    ) -> usize {
        let (conn, all) = (key.index, bytes.len());
        let steps_max = hub.steps().saturating_add(hub.policy.read_steps_max);
        let Some(slot) = hub.slots.get(key) else { return all };
        match slot.phase {
            Phase::Free | Phase::Open | Phase::Closing | Phase::Probing => {}
            Phase::Guest | Phase::Ghost => unreachable!("it has no transport"),
            Phase::Failing | Phase::Leaving | Phase::Finishing | Phase::Gone => return all,
        }
        if hub.waits(conn) {
            return 0;
        }
        let Some(slot) = hub.slots.get(key) else { return all };
        slot.heard = Tick::at_ms(now.mono_ms);
        let bounds = FrameBounds {
            message_bytes_max: hub.policy.message_bytes_max(slot.endpoint),
            compression: slot.compression,
            sender: Sender::Client,
        };
        let mut partial = slot.partial.take();
        if std::mem::take(&mut slot.ping_sent) {
            // The wheel stands at the time limit of that ping; the next ping may be due before.
            hub.rearm(now, conn);
        }
        let mut decoder = Decoder::new(&mut partial, bytes, &bounds);
        loop {
            match decoder.next_event() {
                Ok(None) => break,
                Ok(Some(event)) => self.take(hub, now, conn, event),
                Err(violation) => {
                    hub.fail(now, conn, violation.into(), port);
                    return all;
                }
            }
            if hub.outbox.is_full() {
                hub.flush(now, port);
            }
            if hub.hand_socket(now, port).is_some() {
                // What follows is the session's, and comes by its name.
                break;
            }
            let Some(slot) = hub.slots.get(key) else { return all };
            let phase = slot.phase;
            let waits = hub.waits(conn);
            match phase {
                Phase::Failing => return all,
                Phase::Leaving | Phase::Finishing => {
                    if decoder.close_is_followed() {
                        hub.goes_on(conn, port);
                    }
                    return all;
                }
                // What stands behind waits too.
                _ if waits || hub.steps() > steps_max => break,
                _ => {}
            }
        }
        let taken = decoder.consumed();
        if let Some(slot) = hub.slots.get(key) {
            slot.partial = partial;
        }
        hub.metrics.bytes_received_total.add(taken as u64);
        hub.metrics.reads_cut_total.add(u64::from(taken < all));
        taken
    }

    /// Takes one event of a connection's stream.
    fn take(&mut self, hub: &mut Hub, now: Now, conn: u32, event: Event<'_>) {
        match event {
            // Not worth inflating: nobody listens any more.
            Event::Message { .. }
                if !matches!(hub.slots[conn].phase, Phase::Open | Phase::Probing) => {}
            Event::Message { text, compressed: false, payload } => {
                hub.on_message(now, conn, text, payload, &mut self.scratch);
            }
            Event::Message { text, compressed: true, payload } => {
                match self.inflate(hub, conn, text, payload) {
                    Ok(()) => {
                        hub.on_message(now, conn, text, &self.inflated, &mut self.scratch);
                    }
                    Err(close) => hub.begin_close(now, conn, close),
                }
                self.inflated.clear();
                self.inflated.shrink_to(INFLATED_BYTES_KEPT);
            }
            Event::Ping(payload) => hub.on_ping(now, conn, payload),
            Event::Pong(_) => {}
            Event::Close { code, .. } => hub.on_close(now, conn, code),
        }
    }

    /// Carries out the requests whose answers have come.
    pub(super) fn go_on(&mut self, hub: &mut Hub, now: Now, port: &mut impl Port) {
        while let Some(key) = hub.asking.answered() {
            hub.go_on(now, key, &mut self.scratch);
            if hub.outbox.is_full() {
                hub.flush(now, port);
            }
        }
    }

    fn inflate(&mut self, hub: &Hub, conn: u32, text: bool, payload: &[u8]) -> Result<(), Close> {
        hub.metrics.decompressions_total.add(1);
        let inflater = self.inflater.get_or_insert_with(Inflater::new);
        let max = hub.policy.message_bytes_max(hub.slots[conn].endpoint);
        self.inflated.clear();
        inflater.inflate(payload, max, &mut self.inflated).map_err(Violation::from)?;
        if text && simdutf8::basic::from_utf8(&self.inflated).is_err() {
            return Err(Close::BadUtf8);
        }
        Ok(())
    }
}

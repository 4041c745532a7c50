//! What polling requests do: a poll is a flush that waits, a post is input that comes in records.
//!
//! A poll takes what is queued at the end of a turn, and waits for that where nothing is. What is
//! queued while nobody polls waits in the backlog, with its bound and the policy at it. A post is
//! answered when all of its records were taken, some in each turn where they are many; until then
//! the client sends nothing behind it. Contract: protocols.md section 5.

use crate::close::Close;
use crate::connection::ConnKey;
use crate::limits::{INPUT_BYTES_MAX, POLL_BODY_BYTES_MAX, TICK_MS};
use crate::mail::Receipt;
use crate::polling::{Asked, Fault, HttpReply};
use crate::shard::ends::End;
use crate::shard::hub::Hub;
use crate::shard::outbox::{Backlog, Flushed, Pending, Port, Unsent};
use crate::shard::role::{Input, Polling, Transport};
use crate::shard::slot::Phase;
use crate::sid::Sid;
use crate::time::Now;
use crate::wire::engineio::{self as dialect, Packet, SEPARATOR};
use crate::wire::json::Scratch;

/// A body that says nothing: it ends a poll.
pub(super) const NOOP: &[u8] = b"6";
/// A body that ends the session.
pub(super) const CLOSED: &[u8] = b"1";

impl Hub {
    /// Takes an HTTP request of a session; answers it at once or later, once.
    pub(in crate::shard) fn on_asked(&mut self, now: Now, sid: Sid, asked: Asked, answer: Receipt) {
        if let Some(to) = self.moved_to(sid) {
            return self.pass_on(to, sid, asked, answer);
        }
        let session = self.engine_called(sid);
        let (conn, is_session) = (session.unwrap_or(sid.place()), session.is_some());
        if is_session && self.is_overdue(now, conn) {
            self.begin_close(now, conn, Close::PingTimeout);
        }
        let polling = if is_session { self.polling_mut(conn) } else { None };
        let is_polling = polling.is_some();
        let reply = match (asked, self.phase_of(conn)) {
            (Asked::Gone, _) if is_session => return self.on_poll_gone(conn, answer),
            (Asked::Gone, _) => return,
            (_, phase) if !is_session || !matches!(phase, Phase::Open | Phase::Closing) => {
                HttpReply::Bad(Fault::Session)
            }
            // One that comes too late is answered and closed: so clients expect it.
            (Asked::Look, Phase::Open) => HttpReply::Taken,
            (_, _) if !is_polling => HttpReply::Bad(Fault::Request),
            (Asked::Poll, _) => return self.on_poll(now, conn, answer),
            (Asked::Look, _) => HttpReply::Bad(Fault::Session),
            (Asked::Post(body), Phase::Closing) => {
                self.on_late_post(conn, &body);
                HttpReply::Taken
            }
            (Asked::Post(body), _) => return self.on_post(now, conn, body, answer),
        };
        self.answer_http(answer, reply);
    }

    fn phase_of(&self, conn: u32) -> Phase {
        if conn < self.slots.places() { self.slots[conn].phase } else { Phase::Free }
    }

    fn polling(&self, conn: u32) -> Option<&Polling> {
        match &self.engine(conn)?.transport {
            Transport::Polling(polling) => Some(polling),
            Transport::WebSocket => None,
        }
    }

    pub(super) fn polling_mut(&mut self, conn: u32) -> Option<&mut Polling> {
        match &mut self.engine_mut(conn)?.transport {
            Transport::Polling(polling) => Some(polling),
            Transport::WebSocket => None,
        }
    }

    /// Answers the poll that waits, if one does.
    pub(super) fn answer_poll(&mut self, conn: u32, reply: HttpReply) {
        let Some(polling) = self.polling_mut(conn) else { return };
        polling.noop_ms = None;
        if let Some(poll) = polling.poll.take() {
            self.metrics.polls_waiting.sub(1);
            self.answer_http(poll, reply);
        }
    }

    fn on_poll(&mut self, now: Now, conn: u32, answer: Receipt) {
        let Some(polling) = self.polling_mut(conn) else { return };
        if polling.poll.is_some() {
            self.begin_close(now, conn, Close::Overlap);
            return self.answer_http(answer, HttpReply::Bad(Fault::Request));
        }
        polling.poll = Some(answer);
        let has_probe = polling.probe.is_some();
        self.metrics.polls_waiting.add(1);
        // Its turn comes with the flush, as that of whoever has something queued.
        self.outbox.mark_dirty(conn);
        if has_probe {
            let noop_ms = now.mono_ms + TICK_MS;
            if let Some(polling) = self.polling_mut(conn) {
                polling.noop_ms = Some(noop_ms);
            }
            self.rearm(now, conn);
        }
    }

    /// Who polled went away before it had its answer: what went to it is lost, or would have been,
    /// so the session is.
    fn on_poll_gone(&mut self, conn: u32, answer: Receipt) {
        let Some(polling) = self.polling_mut(conn) else { return };
        if polling.poll == Some(answer) {
            polling.poll = None;
            self.metrics.polls_waiting.sub(1);
        }
        if matches!(self.slots[conn].phase, Phase::Open | Phase::Closing) {
            self.hang_up(conn);
        }
    }

    /// A client still says something while it is told that its session is over; it may be that it
    /// has understood.
    fn on_late_post(&mut self, conn: u32, body: &[u8]) {
        let text = std::str::from_utf8(body).unwrap_or_default();
        if dialect::records(text).any(|record| matches!(record, Ok(Packet::Close))) {
            self.answer_poll(conn, HttpReply::Body(NOOP.into()));
            self.slots[conn].phase = Phase::Gone;
            self.end_soon(conn, End::Cut);
        }
    }

    fn on_post(&mut self, now: Now, conn: u32, body: Box<[u8]>, answer: Receipt) {
        let input_bytes = self.input_bytes + body.len();
        let Some(polling) = self.polling_mut(conn) else { return };
        if polling.input.is_some() {
            self.begin_close(now, conn, Close::Overlap);
            return self.answer_http(answer, HttpReply::Bad(Fault::Request));
        }
        if input_bytes > INPUT_BYTES_MAX {
            self.metrics.posts_refused_total.add(1);
            return self.answer_http(answer, HttpReply::NoRoom);
        }
        if simdutf8::basic::from_utf8(&body).is_err() {
            self.begin_close(now, conn, Close::Parse);
            return self.answer_http(answer, HttpReply::Bad(Fault::Request));
        }
        polling.input = Some(Input { body, taken: 0, answer });
        self.input_bytes = input_bytes;
        self.inputs.push_back(self.slots.key(conn));
    }

    /// Puts a session whose records wait for something on the list of those to be taken up.
    pub(in crate::shard) fn resume_input(&mut self, conn: u32) -> bool {
        let waits = self.polling(conn).is_some_and(|it| it.input.is_some());
        let key = self.slots.key(conn);
        if waits && !self.inputs.contains(&key) {
            self.inputs.push_back(key);
        }
        waits
    }

    /// Carries out records that came, so many at most.
    pub(in crate::shard) fn take_records(
        &mut self,
        now: Now,
        scratch: &mut Scratch,
        port: &mut impl Port,
    ) {
        let steps_max = self.steps().saturating_add(self.policy.read_steps_max);
        while self.steps() <= steps_max && !self.post.congested() {
            let Some(key) = self.inputs.pop_front() else { break };
            if self.take_input(now, key, steps_max, scratch, port) {
                self.inputs.push_back(key);
            }
        }
        if self.inputs.is_empty() {
            self.inputs.shrink_to(crate::limits::ENGINE_REPLIES_KEPT);
        }
    }

    /// Carries out records of one session; whether the turn is full and some are left.
    fn take_input(
        &mut self,
        now: Now,
        key: ConnKey,
        steps_max: u64,
        scratch: &mut Scratch,
        port: &mut impl Port,
    ) -> bool {
        let conn = key.index;
        if !self.slots.holds(key) || !self.may_be_heard(conn) {
            // It is taken up again when what holds it back is over.
            return false;
        }
        let Some(input) = self.polling_mut(conn).and_then(|it| it.input.take()) else {
            return false;
        };
        let Input { body, mut taken, answer } = input;
        let text = std::str::from_utf8(&body).expect("it was checked as it came");
        let mut records = dialect::records(&text[taken..]);
        let mut steps = 0_u64;
        loop {
            let Some(record) = records.next() else {
                // All of it.
                self.input_bytes -= body.len();
                self.answer_http(answer, HttpReply::Taken);
                return false;
            };
            let is_goodbye = matches!(record, Ok(Packet::Close));
            match record {
                Ok(packet) => {
                    self.metrics.messages_received_total.add(1);
                    self.on_engine_packet(now, conn, &packet, scratch);
                }
                Err(_) => self.begin_close(now, conn, Close::Parse),
            }
            if self.outbox.is_full() {
                self.flush(now, port);
            }
            let is_open = self.slots.holds(key) && self.slots[conn].phase == Phase::Open;
            if !is_open {
                self.input_bytes -= body.len();
                // Who is told why hears it by the next poll, and had better not fail before.
                let is_told = self.phase_of(conn) == Phase::Closing || is_goodbye;
                let fault = HttpReply::Bad(Fault::Request);
                self.answer_http(answer, if is_told { HttpReply::Taken } else { fault });
                return false;
            }
            steps += 1;
            let is_full = self.steps() > steps_max || steps >= RECORDS_PER_TURN;
            if let Some(rest) = records.rest()
                && (is_full || !self.may_be_heard(conn))
            {
                taken = body.len() - rest.len();
                if let Some(polling) = self.polling_mut(conn) {
                    polling.input = Some(Input { body, taken, answer });
                }
                return is_full;
            }
        }
    }

    /// Whether a session's packets may be carried out now: not while a request of one of its
    /// sockets waits for a webhook, nor while replies fill half its outbox.
    pub(in crate::shard) fn may_be_heard(&self, conn: u32) -> bool {
        let slot = &self.slots[conn];
        let replies_max = self.policy.outbox.bytes_max / 2;
        !self.waits(conn)
            && slot.backlog.as_deref().is_none_or(|it| it.reply_bytes() <= replies_max)
    }

    /// Ends a poll that came once a WebSocket had been tried: its client was about to go over, and
    /// cannot while the poll hangs. That it did go over has been read by now, if it was sent before.
    fn let_go(&mut self, conn: u32) {
        let Some(polling) = self.polling(conn) else { return };
        let (is_probed, is_late) = (self.is_probed(polling.probe), polling.noop_ms.is_some());
        if is_probed && is_late && polling.let_go < LET_GO_AT_ONCE {
            if let Some(polling) = self.polling_mut(conn) {
                polling.let_go += 1;
            }
            self.answer_poll(conn, HttpReply::Body(NOOP.into()));
        }
    }

    /// Answers the poll that waits with what is queued, or keeps that for the next.
    pub(in crate::shard) fn flush_polling(&mut self, now: Now, conn: u32) {
        let slot = &mut self.slots[conn];
        let chain = std::mem::replace(&mut slot.pending, Pending::NOTHING);
        let waits = self.polling(conn).is_some_and(|it| it.poll.is_some());
        let slot = &mut self.slots[conn];
        if !waits {
            if !chain.is_empty() {
                self.keep(now, conn, &Unsent::whole(chain));
            }
            return;
        }
        if chain.is_empty() && slot.backlog.is_none() {
            self.let_go(conn);
            return self.say_last(conn);
        }
        let backlog = slot.backlog.as_deref_mut();
        let waiting = backlog.as_deref().map_or(0, Backlog::bytes);
        let (mut body, unsent) = self.outbox.take(slot.lane, chain, backlog, POLL_BODY_BYTES_MAX);
        debug_assert_eq!(body.last(), Some(&SEPARATOR));
        body.pop();
        self.metrics.sends_total.add(1);
        self.metrics.bytes_sent_total.add(body.len() as u64);
        let left = slot.backlog.as_deref().map_or(0, Backlog::bytes);
        self.metrics.outbox_bytes.sub((waiting - left) as u64);
        if slot.backlog.take_if(|it| it.is_empty()).is_some() {
            self.metrics.outbox_connections.sub(1);
        }
        self.answer_poll(conn, HttpReply::Body(body));
        if unsent.outcome == Flushed::Kept {
            self.keep(now, conn, &unsent);
        }
        self.resume_input(conn);
    }

    /// Ends a session whose client has heard all and polls once more.
    fn say_last(&mut self, conn: u32) {
        let last = self.polling(conn).and_then(|it| it.last);
        if let Some(last) = last.filter(|_| self.slots[conn].phase == Phase::Closing) {
            self.answer_poll(conn, HttpReply::Body(vec![last]));
            self.slots[conn].phase = Phase::Gone;
            self.end_soon(conn, End::Cut);
        }
    }
}

/// Polls that end at once while a WebSocket may take over; those behind wait for a tick each, so that
/// a client whose WebSocket is slow does not ask all the time.
const LET_GO_AT_ONCE: u8 = 4;
/// Records of one session that a turn carries out.
const RECORDS_PER_TURN: u64 = 1024;

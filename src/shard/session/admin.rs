//! The session of the dialect `admin`: an operator's questions, one after the other.
//!
//! A question may need several shards, and some more than one round of them: a session carries out
//! one request at a time and answers in their order. `report` knows whom to ask and makes the text;
//! what the shards tell comes with the inquiries and receipts of this shard, and is taken up at the
//! turn's end. Few connections are an operator's: what is kept for them stands here and not in the
//! slot. Contract: protocols.md section 11, "`admin` dialect".

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use ahash::RandomState;

use crate::announcement;
use crate::audience::Audience;
use crate::close::{Close, Refusal};
use crate::connection::ConnKey;
use crate::limits::{OPERATOR_ANSWERS_PER_TURN, OPERATOR_REQUESTS_MAX};
use crate::metrics::ShardMetrics;
use crate::report::{Around, Plan, Step, Wanted};
use crate::shard::hub::Hub;
use crate::shard::session::Notice;
use crate::shard::session::rate::Admission;
use crate::shard::slot::Phase;
use crate::time::Now;
use crate::wire::admin::{self as dialect, Command};
use crate::wire::json::{self, Scratch};

/// The role without which nothing is answered. The door asks for it too.
const ROLE: &str = "admin";

/// The operators of a shard.
#[derive(Debug)]
pub(in crate::shard) struct Operators {
    sessions: HashMap<ConnKey, Session, RandomState>,
    /// When streams are due, in monotonic milliseconds.
    due: BTreeSet<(u64, ConnKey)>,
    /// The counters of all shards.
    metrics: Arc<[Arc<ShardMetrics>]>,
}

/// An operator who has asked something.
#[derive(Debug, Default)]
struct Session {
    /// What is being carried out.
    current: Option<Current>,
    /// What waits for that; [`OPERATOR_REQUESTS_MAX`] at most.
    waiting: VecDeque<Task>,
    stream: Option<Stream>,
}

/// Figures again and again.
#[derive(Debug)]
struct Stream {
    id: Option<Box<str>>,
    every_ms: u64,
    due_ms: u64,
    /// The last ones are not sent yet: no more are asked for.
    is_behind: bool,
}

/// A request.
#[derive(Debug)]
struct Task {
    head: Head,
    work: Work,
}

/// What of a request its answer has.
#[derive(Debug)]
struct Head {
    id: Option<Box<str>>,
    kind: &'static str,
    /// It is the stream's and no request.
    is_streamed: bool,
}

#[derive(Debug)]
enum Work {
    Report(Wanted),
    Broadcast { message: Box<str>, tenant: Option<Box<str>> },
    Refuse(Refusal),
}

/// A request that waits for shards.
#[derive(Debug)]
struct Current {
    head: Head,
    ticket: u64,
    /// The report that is being made; `None`: deliveries are counted.
    plan: Option<Plan>,
}

impl Operators {
    pub(in crate::shard) fn new(metrics: Arc<[Arc<ShardMetrics>]>) -> Self {
        Self { sessions: HashMap::default(), due: BTreeSet::new(), metrics }
    }

    /// When [`Hub::stream_figures`] has something to do, in monotonic milliseconds.
    fn due_ms(&self) -> Option<u64> {
        self.due.first().map(|(due_ms, _)| *due_ms)
    }

    /// Operators that are connected and have asked something.
    pub(in crate::shard) fn len(&self) -> usize {
        self.sessions.len()
    }

    /// A connection is no more.
    pub(in crate::shard) fn forget(&mut self, key: ConnKey) {
        if !self.sessions.is_empty() {
            self.end_stream(key);
            self.sessions.remove(&key);
            if self.sessions.is_empty() {
                self.sessions.shrink_to_fit();
            }
        }
    }

    fn end_stream(&mut self, key: ConnKey) {
        if let Some(stream) = self.sessions.get_mut(&key).and_then(|it| it.stream.take()) {
            self.due.remove(&(stream.due_ms, key));
        }
    }

    fn begin_stream(&mut self, key: ConnKey, stream: Stream) {
        self.end_stream(key);
        self.due.insert((stream.due_ms, key));
        self.sessions.entry(key).or_default().stream = Some(stream);
    }
}

impl Hub {
    /// Takes a whole message of an operator.
    pub(super) fn on_admin(&mut self, now: Now, conn: u32, payload: &[u8], scratch: &mut Scratch) {
        let over = match self.admit(now, conn, payload.len()) {
            Admission::Within => None,
            Admission::Over(refusal) => Some(refusal),
            Admission::Abuse => return self.begin_close(now, conn, Close::RateAbuse),
        };
        self.metrics.rate_limited_total.add(u64::from(over.is_some()));
        let key = self.slots.key(conn);
        let is_admin = self.slots[conn].identity.as_deref().is_some_and(|it| it.has_role(ROLE));
        let refused = over.or((!is_admin).then_some(Refusal::Forbidden));
        let decoded = json::utf8(payload).map(|text| dialect::decode(text, scratch));
        let (id, command) = match decoded {
            Err(refusal) => (None, Err(refusal)),
            Ok(Err(rejected)) => (rejected.id, Err(rejected.refusal)),
            Ok(Ok(request)) => (request.id, Ok(request.command)),
        };
        let command = refused.map_or(command, Err);
        let head = |kind| Head { id: id.map(Into::into), kind, is_streamed: false };
        let task = match command {
            Err(refusal) => Task { head: head("error"), work: Work::Refuse(refusal) },
            Ok(Command::Stats { every_ms }) => {
                match every_ms {
                    None => {}
                    Some(0) => self.operators.end_stream(key),
                    Some(every_ms) => {
                        let (id, due_ms) = (id.map(Into::into), now.mono_ms + every_ms);
                        let stream = Stream { id, every_ms, due_ms, is_behind: false };
                        self.operators.begin_stream(key, stream);
                    }
                }
                Task { head: head(dialect::STATS), work: Work::Report(Wanted::Stats) }
            }
            Ok(Command::Ask { kind, wanted }) => {
                Task { head: head(kind), work: Work::Report(wanted) }
            }
            Ok(Command::Broadcast { message, tenant }) => {
                let message = message.into();
                Task { head: head(dialect::BROADCAST), work: Work::Broadcast { message, tenant } }
            }
        };
        let session = self.operators.sessions.entry(key).or_default();
        if session.waiting.len() >= OPERATOR_REQUESTS_MAX {
            // Out of turn: what would wait its turn has no room.
            self.metrics.operator_requests_refused_total.add(1);
            return self.refuse_operator(key, &task.head, Refusal::Overloaded);
        }
        session.waiting.push_back(task);
        self.serve_operator(now, key);
    }

    /// Asks for the figures of streams that are due.
    pub(in crate::shard) fn stream_figures(&mut self, now: Now) {
        while let Some(&(due_ms, key)) = self.operators.due.first()
            && due_ms <= now.mono_ms
        {
            self.operators.due.remove(&(due_ms, key));
            let session = self.operators.sessions.get_mut(&key);
            let Some(Session { stream: Some(stream), waiting, .. }) = session else { continue };
            // Where turns were late, what was missed is not made up for.
            stream.due_ms = (due_ms + stream.every_ms).max(now.mono_ms + 1);
            self.operators.due.insert((stream.due_ms, key));
            if !std::mem::replace(&mut stream.is_behind, true) {
                let id = stream.id.clone();
                let head = Head { id, kind: dialect::STATS, is_streamed: true };
                waiting.push_back(Task { head, work: Work::Report(Wanted::Stats) });
                self.serve_operator(now, key);
            }
        }
    }

    /// Whether an answer has come that a session waits for.
    fn has_operators_answers(&self) -> bool {
        self.inquiries.has_answers() || self.receipts.has_answers()
    }

    /// When there is something to do for operators, in monotonic milliseconds.
    pub(in crate::shard) fn operators_due_ms(&self) -> Option<u64> {
        // Answers: more than one turn takes up.
        if self.has_operators_answers() { Some(0) } else { self.operators.due_ms() }
    }

    /// Goes on with what has been told and counted for operators, so many at most, and for Socket.IO
    /// sockets.
    pub(in crate::shard) fn answer_operators(&mut self, now: Now) {
        for _ in 0..OPERATOR_ANSWERS_PER_TURN {
            if let Some((key, told)) = self.inquiries.answered() {
                self.members_told(key, &told);
                if let Some(Current { head, plan: Some(mut plan), .. }) =
                    self.take_current(key, told.ticket)
                {
                    let step = plan.told(told.parts, &self.around(now));
                    self.follow(now, key, head, plan, step);
                    self.serve_operator(now, key);
                }
            } else if let Some((key, settled)) = self.receipts.answered() {
                self.deliveries_counted(key, &settled);
                if let Some(Current { head, plan: None, .. }) =
                    self.take_current(key, settled.ticket)
                {
                    let delivered = format!("{{\"delivered\":{}}}", settled.delivered);
                    self.reply_operator(key, &head, &delivered);
                    self.serve_operator(now, key);
                }
            } else {
                return;
            }
        }
    }

    /// What an operator's connection is told of the broker's own accord.
    pub(super) fn tell_operator(&mut self, now: Now, conn: u32, notice: Notice<'_>) {
        match notice {
            Notice::AuthExpired => self.reply(conn, |out| dialect::auth_expired(out, now.wall)),
            Notice::Refused { refusal, .. } => self.reply(conn, |out| {
                dialect::error(out, None, &refusal.to_string(), refusal.code());
            }),
            // It is subscribed to nothing.
            Notice::Withdrawn { .. } => {}
        }
    }

    /// Carries out what waits, until something has to wait for shards.
    fn serve_operator(&mut self, now: Now, key: ConnKey) {
        while let Some(session) = self.operators.sessions.get_mut(&key)
            && session.current.is_none()
            && let Some(Task { head, work }) = session.waiting.pop_front()
        {
            match work {
                Work::Refuse(refusal) => self.refuse_operator(key, &head, refusal),
                Work::Report(wanted) => {
                    let (plan, step) = Plan::begin(wanted, &self.around(now));
                    self.follow(now, key, head, plan, step);
                }
                Work::Broadcast { message, tenant } => {
                    let audience = tenant.map_or(Audience::Everyone, Audience::Tenant);
                    let topic = announcement::topic_of(&audience);
                    let publication = announcement::publication(&topic, &message, now.wall);
                    match self.announce(&publication, &Arc::new(audience), Some(key)) {
                        Ok(ticket) => self.await_shards(key, Current { head, ticket, plan: None }),
                        Err(refusal) => self.refuse_operator(key, &head, refusal),
                    }
                }
            }
        }
    }

    /// Takes a report's next step.
    fn follow(&mut self, now: Now, key: ConnKey, head: Head, plan: Plan, step: Step) {
        match step {
            Step::Ask { query, of } => match self.inquire(now, &query, of, Some(key)) {
                Ok(ticket) => self.await_shards(key, Current { head, ticket, plan: Some(plan) }),
                Err(refusal) => self.refuse_operator(key, &head, refusal),
            },
            Step::Done(Ok(text)) => self.reply_operator(key, &head, &text),
            Step::Done(Err(refusal)) => self.refuse_operator(key, &head, refusal),
        }
    }

    fn await_shards(&mut self, key: ConnKey, current: Current) {
        // It may have asked for its own end.
        if let Some(session) = self.operators.sessions.get_mut(&key) {
            session.current = Some(current);
        }
    }

    fn take_current(&mut self, key: ConnKey, ticket: u64) -> Option<Current> {
        let session = self.operators.sessions.get_mut(&key)?;
        session.current.take_if(|current| current.ticket == ticket)
    }

    fn reply_operator(&mut self, key: ConnKey, head: &Head, data: &str) {
        let id = head.id.as_deref();
        if self.answers(key, head) {
            self.reply(key.index, |out| dialect::reply(out, id, head.kind, data));
        }
    }

    fn refuse_operator(&mut self, key: ConnKey, head: &Head, refusal: Refusal) {
        self.metrics.refusals_total.add(1);
        let id = head.id.as_deref();
        if self.answers(key, head) {
            self.reply(key.index, |out| {
                dialect::error(out, id, &refusal.to_string(), refusal.code());
            });
        }
    }

    /// Takes note that a request is answered; whether its connection still hears of it.
    fn answers(&mut self, key: ConnKey, head: &Head) -> bool {
        let session = self.operators.sessions.get_mut(&key);
        if let Some(stream) = session.and_then(|it| it.stream.as_mut())
            && head.is_streamed
        {
            stream.is_behind = false;
        }
        let hears = self.slots.get(key).is_some_and(|slot| slot.phase == Phase::Open);
        if !hears {
            self.operators.forget(key);
        }
        hears
    }

    fn around(&self, now: Now) -> Around {
        Around {
            node: self.node,
            shards: self.shards,
            metrics: Arc::clone(&self.operators.metrics),
            now,
            draining: self.gone_by.is_some(),
            topic_bounds: self.policy.topic_bounds,
        }
    }
}

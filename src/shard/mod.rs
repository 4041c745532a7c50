//! A shard: connections, topics and the way of a message among them, as a state machine.
//!
//! Bytes, mail and the time go in by the verbs of [`Shard`]; bytes to send come out through a
//! [`Port`] when the turn is flushed, mail through the mailboxes. A shard knows no socket, no
//! clock, no thread: `node/` drives it with real ones, a simulation with its own.
//!
//! A turn is: [`Shard::take_mail`], [`Shard::read`] for each readable connection,
//! [`Shard::advance`], then [`Shard::flush`] once. Replies and deliveries of one connection go out
//! in the order they were made.

mod announce;
mod asking;
mod check;
mod encoder;
mod ends;
mod engines;
mod fanout;
pub mod history;
mod hub;
mod inquiry;
mod intake;
mod life;
pub mod outbox;
pub mod pages;
mod people;
pub mod policy;
mod pulse;
mod receipts;
mod recovery;
mod report;
mod review;
mod role;
mod session;
mod slot;
pub mod timers;
pub mod topics;

use std::collections::VecDeque;
use std::sync::Arc;

use crate::audience::Audience;
use crate::auth::Asked;
use crate::close::Refusal;
use crate::connection::ConnKey;
use crate::interest::{Interest, OwnInterest, ShardSet};
use crate::limits::{HELLO_MS, MAILS_PER_TURN_MAX, READ_STEPS_MAX};
use crate::mail::{Answer, QuestionTicket, Unanswered};
use crate::mailbox::{Mailbox, Post};
use crate::message::Publication;
use crate::metrics::ShardMetrics;
use crate::query::Query;
use crate::sid::Secrets;
use crate::time::Now;

use encoder::LANES;
pub use hub::Arrival;
use hub::Hub;
pub use inquiry::Told;
use intake::Intake;
pub use outbox::{Port, Sent};
pub use policy::{Bucket, Endpoint, Policy, Rate, SocketIoPolicy};
use receipts::Receipts;
pub use receipts::Settled;
pub use session::Leaving;
use slot::Slots;
use timers::{Tick, Wheel};

/// What a shard is made of.
#[derive(Debug)]
pub struct Parts {
    /// Its number.
    pub id: u8,
    /// The mailboxes of all shards, its own included.
    pub mailboxes: Arc<[Arc<Mailbox>]>,
    /// The table of all shards.
    pub interest: Arc<Interest>,
    /// The settings.
    pub policy: Arc<Policy>,
    /// Its counters.
    pub metrics: Arc<ShardMetrics>,
    /// Makes what need not be secret differ between runs: epochs, the spread of a drain.
    pub seed: u64,
    /// The node's number, the first part of its connections' names.
    pub node: u64,
    /// The counters of all shards, its own included: for reports that a connection asks for.
    pub all_metrics: Arc<[Arc<ShardMetrics>]>,
    /// Where the secret parts of names come from.
    pub secrets: Box<dyn Secrets>,
}

/// One shard.
pub struct Shard {
    intake: Intake,
    mailbox: Arc<Mailbox>,
    hub: Hub,
}

impl Shard {
    /// A shard without connections.
    pub fn new(parts: Parts, now: Now) -> Self {
        let Parts { id, mailboxes, interest, policy, metrics, seed, node, all_metrics, secrets } =
            parts;
        let recovery = recovery::Recovery::new(&metrics, (seed, id), &policy.socketio);
        let hub = Hub {
            id,
            shards: mailboxes.len() as u8,
            node,
            slots: Slots::default(),
            topics: topics::Topics::default(),
            interest: OwnInterest::new(interest, id),
            outbox: outbox::Outbox::new(LANES),
            encoder: encoder::Encoder::new(Arc::clone(&metrics)),
            wheel: Wheel::new(Tick::at_ms(now.mono_ms)),
            history: history::History::new(Arc::clone(&metrics), seed),
            post: Post::new(Arc::clone(&mailboxes)),
            ending: VecDeque::new(),
            receipts: Receipts::default(),
            people: people::People::default(),
            looked_at: 0,
            inquiries: inquiry::Inquiries::default(),
            operators: session::Operators::new(all_metrics),
            asking: asking::Asking::default(),
            review: review::Review::default(),
            stamp: 0,
            gone_by: None,
            random: seed,
            secrets,
            http_replies: VecDeque::new(),
            inputs: VecDeque::new(),
            input_bytes: 0,
            pulse: pulse::Pulse::new(now),
            hello_ms: now.mono_ms + HELLO_MS,
            switched: None,
            recovery,
            cork: Vec::new(),
            fired: Vec::new(),
            policy,
            metrics,
        };
        Self { intake: Intake::default(), mailbox: Arc::clone(&mailboxes[usize::from(id)]), hub }
    }

    /// Takes in a connection whose handshake is done.
    pub fn open(&mut self, now: Now, arrival: Arrival) -> ConnKey {
        self.hub.open(now, arrival)
    }

    /// Takes bytes that came from a connection; they are decoded in place. A turn that holds as
    /// much as it may is flushed in between. Says how many bytes were taken: where they cause much
    /// work, the rest is to be given again next turn, before any further bytes.
    #[must_use]
    pub fn read(
        &mut self,
        now: Now,
        key: ConnKey,
        bytes: &mut [u8],
        port: &mut impl Port,
    ) -> usize {
        self.intake.read(&mut self.hub, now, key, bytes, port)
    }

    /// The other side left or the socket failed: nobody finds it any more or says anything to it.
    /// What is queued is still tried at the next flush, and after that one or a later the connection
    /// is closed.
    pub fn gone(&mut self, key: ConnKey) {
        if self.hub.slots.get(key).is_some() {
            self.hub.hang_up(key.index);
        }
    }

    /// Publishes for the server side. The number of deliveries comes with [`Shard::settled`],
    /// under the ticket given back.
    ///
    /// # Errors
    /// [`Refusal::ShuttingDown`] while draining, [`Refusal::Overloaded`] when too much mail waits
    /// for other shards; nothing was published.
    pub fn publish(&mut self, now: Now, publication: &Publication<'_>) -> Result<u64, Refusal> {
        self.hub.publish(now, publication)
    }

    /// Says something to an audience, whatever that is subscribed to. The number of deliveries
    /// comes with [`Shard::settled`], under the ticket given back.
    ///
    /// # Errors
    /// As [`Shard::publish`].
    pub fn announce(
        &mut self,
        _now: Now,
        publication: &Publication<'_>,
        audience: &Arc<Audience>,
    ) -> Result<u64, Refusal> {
        self.hub.announce(publication, audience, None)
    }

    /// Asks some shards, perhaps this one too. What they find comes with [`Shard::told`], under the
    /// ticket given back.
    ///
    /// # Errors
    /// [`Refusal::Overloaded`] when too much mail waits for other shards, or too many inquiries are
    /// open. A shard that drains still asks and answers.
    ///
    /// # Panics
    /// When `of` is empty or names a shard that is not there.
    pub fn inquire(&mut self, now: Now, query: &Arc<Query>, of: ShardSet) -> Result<u64, Refusal> {
        self.hub.inquire(now, query, of, None)
    }

    /// An inquiry to which all shards have answered by now.
    pub fn told(&mut self) -> Option<Told> {
        self.hub.inquiries.told()
    }

    /// A question that is to be put to the webhook; to be taken until there is none, in each turn.
    /// Each is to be answered with [`Shard::answered`] or by mail, soon or never.
    pub fn question(&mut self) -> Option<Asked> {
        self.hub.asking.question()
    }

    /// Takes the answer to a question; the request that waited for it goes on, and may publish, or
    /// has more to ask.
    pub fn answered(
        &mut self,
        now: Now,
        ticket: QuestionTicket,
        answer: Result<Answer, Unanswered>,
    ) {
        let Self { intake, hub, .. } = self;
        hub.answered(now, ticket, answer);
        while let Some(key) = hub.asking.answered() {
            hub.go_on(now, key, &mut intake.scratch);
        }
    }

    /// A connection that waited for an answer and may be read again; see [`Shard::reads`].
    pub fn resumed(&mut self) -> Option<ConnKey> {
        while let Some(key) = self.hub.asking.resumed() {
            if let Some(key) = self.hub.read_again(key) {
                return Some(key);
            }
        }
        None
    }

    /// Takes new settings. The endpoints must be as many as before, in their order. Connections are
    /// held against them in the next calls of [`Shard::advance`].
    pub fn reconfigure(&mut self, now: Now, policy: Arc<Policy>) {
        self.hub.reconfigure(now, policy);
    }

    /// A publish of the server side whose deliveries are counted by now.
    pub fn settled(&mut self) -> Option<Settled> {
        self.hub.receipts.settled()
    }

    /// Takes mail, so many at most; whether more may be waiting.
    pub fn take_mail(&mut self, now: Now, port: &mut impl Port) -> bool {
        let Self { intake, mailbox, hub } = self;
        let steps_max = hub.steps().saturating_add(READ_STEPS_MAX);
        for _ in 0..MAILS_PER_TURN_MAX {
            if hub.steps() > steps_max {
                break;
            }
            if let Some(delivery) = mailbox.delivery() {
                hub.on_delivery(now, delivery);
            } else if hub.post.takes_requests()
                && let Some(request) = mailbox.request()
            {
                hub.on_request(now, request);
            } else {
                return false;
            }
            if hub.outbox.is_full() {
                hub.flush(now, port);
            }
            intake.go_on(hub, now, port);
        }
        true
    }

    /// Acts on deadlines that have come, so many at most, and holds connections against settings
    /// that have changed; [`Shard::next_deadline_ms`] tells of the rest.
    pub fn advance(&mut self, now: Now, port: &mut impl Port) {
        self.hub.advance(now, port);
        self.take_records(now, port);
        self.hub.keep_recovery(now);
        self.hub.go_on_returns(now, port);
        self.hub.stream_figures(now);
        self.hub.say_hello(now);
        self.intake.go_on(&mut self.hub, now, port);
        self.hub.review_some(now, port);
    }

    /// When [`Shard::advance`] must be called next, in monotonic milliseconds.
    pub fn next_deadline_ms(&self) -> Option<u64> {
        let timers = self.hub.wheel.next().map(Tick::ms);
        let history = self.hub.history.sweep_due_ms();
        let figures = self.hub.operators_due_ms();
        let review = self.hub.review.is_on().then_some(0);
        let records = (!self.hub.inputs.is_empty() && !self.hub.post.congested()).then_some(0);
        let hello = self.hub.hello_due_ms();
        let recovery = self.hub.recovery_due_ms();
        let others = [review, records, hello, recovery];
        [timers, history, figures].into_iter().chain(others).flatten().min()
    }

    /// The kernel has room again for a connection.
    pub fn writable(&mut self, key: ConnKey, port: &mut impl Port) {
        if self.hub.slots.get(key).is_some() {
            self.hub.writable(key.index, port);
        }
    }

    /// Ends a turn: mail goes out; each connection with something queued gets it, in one send; some
    /// of those that are over are closed.
    pub fn flush(&mut self, now: Now, port: &mut impl Port) {
        // First, so that other shards send while this one does.
        self.send_mail(now);
        self.hub.flush(now, port);
        // Polls that the flush answered for other shards.
        self.hub.post.flush();
        self.hub.pulse.beat(now, &self.hub.metrics);
        self.hub.metrics.turns_total.add(1);
    }

    /// Goes on with what operators asked, and sends the turn's mail, without flushing connections,
    /// where their output is to gather.
    pub fn send_mail(&mut self, now: Now) {
        self.hub.answer_operators(now);
        let hub = &mut self.hub;
        hub.post.flush();
        hub.metrics.mails_spilled.set(hub.post.spilled() as u64);
        hub.metrics.inquiries_open.set(hub.inquiries.open() as u64);
    }

    /// Whether the turn holds as much as it may and is to be flushed before more is published.
    pub fn is_full(&self) -> bool {
        self.hub.outbox.is_full()
    }

    /// Whether anything is queued for connections. See also [`Shard::is_ending`].
    pub fn is_dirty(&self) -> bool {
        self.hub.outbox.is_dirty()
    }

    /// Closes some of the connections that are over, in place of [`Shard::flush`], where output is
    /// to gather: only they get what is queued for them.
    pub fn end_some(&mut self, now: Now, port: &mut impl Port) {
        self.hub.end_some(now, port);
    }

    /// Whether connections are over that a further flush is to close.
    pub fn is_ending(&self) -> bool {
        !self.hub.ending.is_empty()
    }

    /// Whether no client may be read now, because mail cannot be sent on.
    pub fn is_congested(&self) -> bool {
        self.hub.post.congested()
    }

    /// Whether requests would be taken now: not while too many deliveries are kept back.
    pub fn takes_requests(&self) -> bool {
        self.hub.post.takes_requests()
    }

    /// Whether mail waits for mailboxes that were full; to be tried again soon.
    pub fn has_unsent_mail(&self) -> bool {
        self.hub.post.spilled() > 0
    }

    /// Whether this connection may be read now: not while it waits for a webhook, nor while replies
    /// fill half its outbox, so that who asks and never reads is not read either. Messages do not
    /// count: a slow consumer is heard.
    pub fn reads(&mut self, key: ConnKey) -> bool {
        self.hub.slots.get(key).is_none() || self.hub.may_be_heard(key.index)
    }

    /// Connections.
    pub fn connections(&self) -> usize {
        self.hub.slots.len()
    }

    /// Whether the shard drains.
    pub fn is_draining(&self) -> bool {
        self.hub.gone_by.is_some()
    }
}

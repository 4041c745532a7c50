//! Questions to a webhook, and the connections that wait for the answers.
//!
//! A request that the rules cannot judge alone is kept as its text, and its connection is not read
//! until all that it has to ask is answered; then the text is read and judged again, with the
//! answers. So no other connection waits, and what the client sent behind it keeps its order. The
//! questions of a request go out so many at a time (`places.rs`), at the end of the turn, by
//! whoever drives the shard; the answers come back as mail. Contract: protocols.md section 6,
//! section 11 "Rules".

mod places;

use places::Underway;
pub(super) use places::{Places, Word};

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use crate::auth::{self, Answers, Asked, Identity, Verdict};
use crate::config::{Action, Dialect};
use crate::connection::{Address, ConnKey, ConnectionId};
use crate::limits::{ANSWER_LATE_MS, QUESTIONS_MAX, WAITING_BYTES_MAX};
use crate::mail::{Answer, QuestionTicket, Unanswered};
use crate::metrics::ShardMetrics;
use crate::shard::hub::Hub;
use crate::shard::session::{Counting, verdict};
use crate::shard::slot::{Phase, Slot, Slots};
use crate::shard::timers::Tick;
use crate::time::Now;
use crate::topic::Pattern;
use crate::wire::json::Scratch;

/// What a request left behind that is not over.
#[derive(Debug)]
pub enum Aside {
    /// It waits for answers, and its connection with it.
    Waiting(Waiting),
    /// It is carried out, and its reply waits for what other shards count.
    Counting(Counting),
}

/// A request that waits for answers.
#[derive(Debug)]
pub struct Waiting {
    text: Box<str>,
    /// Whose it is: the connection, or a Socket.IO socket on it.
    socket: u32,
    action: Action,
    /// Tells it from the shard's other requests that wait or waited.
    number: u32,
    places: Places,
    /// What it is counted for.
    bytes: usize,
    /// When it is denied what is not answered.
    give_up_at: Tick,
}

/// What a shard keeps of its questions.
#[derive(Debug, Default)]
pub(super) struct Asking {
    /// Questions that the driver has not taken yet.
    questions: VecDeque<Asked>,
    /// Connections whose requests can go on.
    answered: VecDeque<ConnKey>,
    /// Connections that may be read again.
    resumed: VecDeque<ConnKey>,
    answers: Answers,
    /// Answers to what was asked of a webhook of before are not remembered; counts them.
    webhook: u32,
    next_number: u32,
    /// Questions of requests that wait.
    open: usize,
    /// Bytes of these requests.
    bytes: usize,
}

impl Asking {
    /// Takes a question that is to be put to the webhook.
    pub(super) fn question(&mut self) -> Option<Asked> {
        self.questions.pop_front()
    }

    /// Takes a connection that waited and may be read again, or is gone by now.
    pub(super) fn resumed(&mut self) -> Option<ConnKey> {
        self.resumed.pop_front()
    }

    /// Takes a connection whose request can go on, or that is gone by now.
    pub(super) fn answered(&mut self) -> Option<ConnKey> {
        self.answered.pop_front()
    }

    /// Forgets what the webhook has answered so far, and will answer to what is under way: another
    /// may answer otherwise.
    pub(super) fn forget_answers(&mut self) {
        self.answers.clear();
        self.webhook = self.webhook.wrapping_add(1);
    }

    /// What the webhook said of late to the same question.
    pub(super) fn remembered(
        &mut self,
        now: Now,
        slot: &Slot,
        action: Action,
        pattern: Pattern<'_>,
    ) -> Option<bool> {
        let identity = slot.identity.as_deref();
        let asking = auth::Asking { action, pattern, identity, client: slot.address };
        self.answers.get(&asking, now.mono_ms).map(|answer| answer.allowed)
    }

    /// Asserts that the counts are those of the connections that wait, and bounded.
    pub(super) fn check(&self, slots: &Slots, metrics: &ShardMetrics) {
        let indices = slots.indices();
        let waiting = || indices.iter().filter_map(|conn| slots[*conn].waiting());
        assert_eq!(waiting().map(|it| it.places.open()).sum::<usize>(), self.open);
        assert_eq!(waiting().map(|it| it.bytes).sum::<usize>(), self.bytes);
        assert_eq!(metrics.questions_open.get(), self.open as u64);
        assert!(self.open <= QUESTIONS_MAX && self.bytes <= WAITING_BYTES_MAX);
        waiting().for_each(|it| it.places.check());
    }
}

/// One connection's questions on their way.
struct Asker<'a> {
    asking: &'a mut Asking,
    metrics: &'a ShardMetrics,
    identity: Option<&'a Identity>,
    client: IpAddr,
    action: Action,
    connection: ConnectionId,
    number: u32,
    now: Now,
    /// Whether the request may wait.
    may_wait: bool,
}

impl places::Asker for Asker<'_> {
    fn ask(&mut self, place: u16, pattern: Pattern<'_>) -> Result<Word, Underway> {
        let Self { asking, action, identity, client, connection, .. } = self;
        let question =
            auth::Asking { action: *action, pattern, identity: *identity, client: *client };
        if let Some(answer) = asking.answers.get(&question, self.now.mono_ms) {
            return Ok(if answer.allowed { Word::Allowed } else { Word::Denied });
        }
        // Questions that nobody waits for any more may not have gone out yet.
        if !self.may_wait || asking.open.max(asking.questions.len()) >= QUESTIONS_MAX {
            self.metrics.questions_refused_total.add(1);
            return Ok(Word::NoRoom);
        }
        let question = Arc::new(question.to_question());
        let Address { shard, conn } = connection.at;
        let ticket = QuestionTicket { conn, number: self.number, place };
        let (connection, to_ask) = (*connection, Arc::clone(&question));
        asking.questions.push_back(Asked { ticket, shard, question: to_ask, connection });
        asking.open += 1;
        self.metrics.webhook_asked_total.add(1);
        self.metrics.questions_open.set(asking.open as u64);
        Err(Underway { question, webhook: asking.webhook })
    }
}

impl Slot {
    /// The request that waits, if one does.
    pub(super) fn waiting(&self) -> Option<&Waiting> {
        match self.aside.as_deref()? {
            Aside::Waiting(waiting) => Some(waiting),
            Aside::Counting(_) => None,
        }
    }

    fn waiting_mut(&mut self) -> Option<&mut Waiting> {
        match self.aside.as_deref_mut()? {
            Aside::Waiting(waiting) => Some(waiting),
            Aside::Counting(_) => None,
        }
    }
}

impl Waiting {
    /// When it is denied what is not answered.
    pub(super) fn give_up_at(&self) -> Tick {
        self.give_up_at
    }
}

impl Hub {
    /// Finds which of a request's names a webhook must judge, and what it says. `None`: the request
    /// waits for that, and is not to be carried out now. Where a Socket.IO socket asks, it is its
    /// engine that waits: what the client said on others comes behind too.
    pub(super) fn consult(
        &mut self,
        now: Now,
        conn: u32,
        text: &str,
        action: Action,
        names: &[&str],
    ) -> Option<Places> {
        let Some(timeout_ms) = self.policy.webhook_timeout_ms else {
            return Some(Places::default());
        };
        let Self { asking, slots, topics, policy, .. } = self;
        let slot = &slots[conn];
        let is_asked = |name: &str| {
            Pattern::parse(name, policy.topic_bounds)
                .is_ok_and(|pattern| verdict(policy, slot, action, pattern) == Verdict::Ask)
        };
        if !names.iter().any(|name| is_asked(name)) {
            return Some(Places::default());
        }
        let takes = |name: &str| action == Action::Subscribe && !topics.is_subscribed(conn, name);
        let places = Places::new(names.iter().copied(), is_asked, takes);
        let bytes = text.len() + places.bytes();
        let may_wait = asking.bytes + bytes <= WAITING_BYTES_MAX;
        let give_up_at = give_up_at(now, timeout_ms);
        let number = asking.next_number;
        let socket = conn;
        let mut waiting =
            Waiting { text: "".into(), socket, action, number, places, bytes, give_up_at };
        let conn = self.carrier_of(socket);
        self.ask_more(now, conn, &mut waiting, may_wait);
        if waiting.places.open() == 0 {
            return Some(waiting.places);
        }
        waiting.text = text.into();
        self.asking.next_number = number.wrapping_add(1);
        self.asking.bytes += bytes;
        self.slots[conn].aside = Some(Box::new(Aside::Waiting(waiting)));
        self.rearm(now, conn);
        None
    }

    /// Asks as much for a request as may be under way.
    fn ask_more(&mut self, now: Now, conn: u32, waiting: &mut Waiting, may_wait: bool) {
        let Self { asking, slots, topics, policy, metrics, id, node, .. } = self;
        let Some(timeout_ms) = policy.webhook_timeout_ms else {
            // It was there when the request came.
            waiting.places.deny_rest();
            return;
        };
        let key = slots.key(conn);
        let slot = &slots[waiting.socket];
        let mut asker = Asker {
            asking,
            metrics,
            identity: slot.identity.as_deref(),
            client: slot.address,
            action: waiting.action,
            connection: ConnectionId { node: *node, at: Address { shard: *id, conn: key } },
            number: waiting.number,
            now,
            may_wait,
        };
        let taken = topics.subscription_count(waiting.socket);
        let room = policy.subscriptions_max.saturating_sub(taken);
        if waiting.places.ask_more(room, &mut asker) {
            waiting.give_up_at = give_up_at(now, timeout_ms);
        }
    }

    /// Takes what became of a question; what nobody waits for any more is nothing.
    pub(super) fn answered(
        &mut self,
        now: Now,
        ticket: QuestionTicket,
        answer: Result<Answer, Unanswered>,
    ) {
        let conn = ticket.conn.index;
        let slot = self.slots.get(ticket.conn);
        let Some(waiting) = slot.and_then(|slot| slot.waiting_mut()) else { return };
        if waiting.number != ticket.number {
            return;
        }
        let told = answer.map(|answer| answer.allowed);
        let Some(asked) = waiting.places.settle(ticket.place, told) else { return };
        self.asking.open -= 1;
        let metrics = &self.metrics;
        metrics.questions_open.set(self.asking.open as u64);
        match told {
            Ok(true) => &metrics.webhook_allowed_total,
            Ok(false) => &metrics.webhook_denied_total,
            Err(Unanswered::Failed) => &metrics.webhook_failed_total,
            Err(Unanswered::NoRoom) => &metrics.questions_refused_total,
        }
        .add(1);
        if let Ok(answer) = answer
            && asked.webhook == self.asking.webhook
        {
            let evicted = self.asking.answers.keep(asked.question, answer, now.mono_ms);
            metrics.answers_evicted_total.add(evicted as u64);
        }
        // Apart from the slot, whose identity is asked for.
        let Some(mut aside) = self.slots[conn].aside.take() else { return };
        if let Aside::Waiting(waiting) = &mut *aside {
            self.ask_more(now, conn, waiting, true);
            if waiting.places.open() == 0 {
                self.asking.answered.push_back(ticket.conn);
            }
        }
        self.slots[conn].aside = Some(aside);
    }

    /// Denies a waiting request what is not answered.
    pub(super) fn give_up_answers(&mut self, conn: u32) {
        let slot = &mut self.slots[conn];
        let key = ConnKey { index: conn, generation: slot.generation };
        let Some(waiting) = slot.waiting_mut().filter(|it| it.places.open() > 0) else { return };
        let unanswered = waiting.places.give_up();
        self.asking.open -= unanswered;
        self.metrics.questions_open.set(self.asking.open as u64);
        self.metrics.webhook_failed_total.add(unanswered as u64);
        self.asking.answered.push_back(key);
    }

    /// Carries out a request whose answers are there, if its connection still waits.
    pub(super) fn go_on(&mut self, now: Now, key: ConnKey, scratch: &mut Scratch) {
        let conn = key.index;
        if self.slots.get(key).is_none_or(|slot| slot.phase != Phase::Open) {
            return;
        }
        let Some(Waiting { text, places, .. }) = self.take_waiting(conn) else { return };
        // It could say nothing meanwhile.
        self.slots[conn].heard = Tick::at_ms(now.mono_ms);
        match self.dialect(conn) {
            Dialect::Topics | Dialect::Events => {
                self.on_topics_answered(now, conn, &text, &places, scratch);
            }
            Dialect::Channels => self.on_channels_answered(now, conn, &text, &places, scratch),
            Dialect::SocketIo => self.on_socketio_answered(now, conn, &text, &places, scratch),
            Dialect::Admin | Dialect::Echo => unreachable!("it asks no webhook"),
        }
        self.rearm(now, conn);
    }

    /// A connection that is about to end waits for nothing any more: it is read again, to its end.
    pub(super) fn forget(&mut self, conn: u32) {
        self.take_waiting(conn);
        self.take_counting(conn, |_| true);
    }

    /// Has a connection wait for what other shards count.
    pub(super) fn count_for(&mut self, conn: u32, counting: Counting) {
        debug_assert!(self.slots[conn].aside.is_none(), "{conn} waits already");
        self.slots[conn].aside = Some(Box::new(Aside::Counting(counting)));
    }

    /// Ends such a wait, if it is this one.
    pub(super) fn take_counting(
        &mut self,
        conn: u32,
        is_this: impl FnOnce(&Counting) -> bool,
    ) -> Option<Counting> {
        let slot = &mut self.slots[conn];
        match slot.aside.as_deref() {
            Some(Aside::Counting(counting)) if is_this(counting) => {}
            _ => return None,
        }
        let aside = slot.aside.take().map(|aside| *aside);
        self.asking.resumed.push_back(self.slots.key(conn));
        let Some(Aside::Counting(counting)) = aside else { return None };
        Some(counting)
    }

    /// A Socket.IO socket ends: its engine waits for nothing that it asked. Whether a request of it
    /// is not carried out for that.
    pub(super) fn forget_socket(&mut self, socket: u32) -> bool {
        let carrier = self.carrier_of(socket);
        self.take_counting(carrier, |it| it.socket == socket);
        let waits = self.slots[carrier].waiting().is_some_and(|it| it.socket == socket);
        if waits {
            self.take_waiting(carrier);
        }
        waits
    }

    fn take_waiting(&mut self, conn: u32) -> Option<Waiting> {
        let slot = &mut self.slots[conn];
        slot.waiting()?;
        let Some(Aside::Waiting(waiting)) = slot.aside.take().map(|aside| *aside) else {
            unreachable!("it was just looked at")
        };
        let key = ConnKey { index: conn, generation: slot.generation };
        self.asking.resumed.push_back(key);
        self.asking.open -= waiting.places.open();
        self.asking.bytes -= waiting.bytes;
        self.metrics.questions_open.set(self.asking.open as u64);
        Some(waiting)
    }

    /// Asserts that nobody waits.
    pub(super) fn check_nobody_waits(&self) {
        assert_eq!((self.asking.open, self.asking.bytes), (0, 0));
    }
}

/// When the answer to what is asked now is not awaited any more.
fn give_up_at(now: Now, timeout_ms: u64) -> Tick {
    let late_ms = now.mono_ms.saturating_add(timeout_ms).saturating_add(ANSWER_LATE_MS);
    Tick::not_before_ms(late_ms)
}

//! Questions to a webhook, and the connections that wait for the answers.
//!
//! A request that the rules cannot judge alone is kept as its text, and its connection is not read
//! until all that it has to ask is answered; then the text is read and judged again, with the
//! answers. So no other connection waits, and what the client sent behind it keeps its order. All
//! questions of a request go out at once, at the end of the turn, by whoever drives the shard; the
//! answers come back as mail. Contract: protocols.md section 6, section 11 "Rules".

use std::collections::VecDeque;
use std::sync::Arc;

use crate::auth::{self, Answers, Asked, Question, Verdict};
use crate::config::{Action, Dialect};
use crate::connection::ConnectionId;
use crate::limits::{ANSWER_LATE_MS, QUESTIONS_MAX, WAITING_BYTES_MAX};
use crate::mail::{Address, Answer, ConnKey, QuestionTicket};
use crate::shard::hub::Hub;
use crate::shard::session::verdict;
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
}

/// A request that waits for answers.
#[derive(Debug)]
pub struct Waiting {
    text: Box<str>,
    /// Tells it from the shard's other requests that wait or waited.
    number: u32,
    places: Vec<Place>,
    /// Questions that are not answered.
    open: usize,
    /// When it is denied what is not answered.
    give_up_at: Tick,
}

/// A name in a request that a webhook must judge.
#[derive(Debug)]
pub(super) struct Place {
    /// Which of the request's names.
    name: u16,
    /// What is asked, until it is answered.
    question: Option<Arc<Question>>,
    allowed: bool,
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

    /// Forgets what the webhook has answered so far: another may answer otherwise.
    pub(super) fn forget_answers(&mut self) {
        self.answers.clear();
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
    pub(super) fn check(&self, slots: &Slots) {
        let indices = slots.indices();
        let waiting = || indices.iter().filter_map(|conn| slots[*conn].waiting());
        assert_eq!(waiting().map(|it| it.open).sum::<usize>(), self.open);
        assert_eq!(waiting().map(|it| it.text.len()).sum::<usize>(), self.bytes);
        assert!(self.open <= QUESTIONS_MAX && self.bytes <= WAITING_BYTES_MAX);
        for it in waiting() {
            let unanswered = it.places.iter().filter(|place| place.question.is_some());
            assert_eq!(unanswered.count(), it.open);
        }
    }
}

impl Slot {
    /// The request that waits, if one does.
    pub(super) fn waiting(&self) -> Option<&Waiting> {
        let Aside::Waiting(waiting) = self.aside.as_deref()?;
        Some(waiting)
    }

    fn waiting_mut(&mut self) -> Option<&mut Waiting> {
        let Aside::Waiting(waiting) = self.aside.as_deref_mut()?;
        Some(waiting)
    }
}

impl Waiting {
    /// When it is denied what is not answered.
    pub(super) fn give_up_at(&self) -> Tick {
        self.give_up_at
    }
}

/// What a webhook says of a request's name; `None` where it was not asked.
pub(super) fn answer_of(places: &[Place], name: usize) -> Option<bool> {
    let at = places.binary_search_by_key(&name, |place| usize::from(place.name)).ok()?;
    Some(places[at].allowed)
}

impl Hub {
    /// Finds which of a request's names a webhook must judge, and what it says. `None`: the request
    /// waits for that, and is not to be carried out now.
    pub(super) fn consult(
        &mut self,
        now: Now,
        conn: u32,
        text: &str,
        action: Action,
        names: &[&str],
    ) -> Option<Vec<Place>> {
        let mut places = Vec::new();
        let Some(timeout_ms) = self.policy.webhook_timeout_ms else { return Some(places) };
        let Self { asking, slots, policy, metrics, .. } = self;
        let slot = &slots[conn];
        let mut unknown = 0;
        for (name, at) in names.iter().zip(0_u16..) {
            let Ok(pattern) = Pattern::parse(name, policy.topic_bounds) else { continue };
            if verdict(policy, slot, action, pattern) != Verdict::Ask {
                continue;
            }
            let known = asking.remembered(now, slot, action, pattern);
            // Questions that nobody waits for any more may not have gone out yet.
            let has_room = asking.open.max(asking.questions.len()) + unknown < QUESTIONS_MAX
                && asking.bytes + text.len() <= WAITING_BYTES_MAX;
            metrics.questions_refused_total.add(u64::from(known.is_none() && !has_room));
            let question = (known.is_none() && has_room).then(|| {
                let identity = slot.identity.as_deref();
                Arc::new(Question::new(action, pattern, identity, slot.address))
            });
            unknown += usize::from(question.is_some());
            places.push(Place { name: at, question, allowed: known.unwrap_or(false) });
        }
        if unknown == 0 {
            return Some(places);
        }
        let give_up_ms = now.mono_ms.saturating_add(timeout_ms).saturating_add(ANSWER_LATE_MS);
        let waiting = Waiting {
            text: text.into(),
            number: self.asking.next_number,
            places,
            open: unknown,
            give_up_at: Tick::not_before_ms(give_up_ms),
        };
        self.wait(now, conn, waiting);
        None
    }

    /// Puts a request's questions, and lets its connection wait.
    fn wait(&mut self, now: Now, conn: u32, waiting: Waiting) {
        let Self { asking, slots, id: shard, node, .. } = self;
        let slot = &mut slots[conn];
        let key = ConnKey { index: conn, generation: slot.generation };
        let connection = ConnectionId { node: *node, at: Address { shard: *shard, conn: key } };
        for (place, at) in waiting.places.iter().zip(0..) {
            let Some(question) = &place.question else { continue };
            let ticket = QuestionTicket { conn: key, number: waiting.number, place: at };
            let question = Arc::clone(question);
            asking.questions.push_back(Asked { ticket, shard: *shard, question, connection });
        }
        asking.next_number = asking.next_number.wrapping_add(1);
        asking.open += waiting.open;
        asking.bytes += waiting.text.len();
        slot.aside = Some(Box::new(Aside::Waiting(waiting)));
        self.rearm(now, conn);
    }

    /// Takes an answer; one that nobody waits for any more is nothing.
    pub(super) fn answered(&mut self, now: Now, ticket: QuestionTicket, answer: Answer) {
        let slot = self.slots.get(ticket.conn);
        let Some(waiting) = slot.and_then(|slot| slot.waiting_mut()) else { return };
        if waiting.number != ticket.number {
            return;
        }
        let place = waiting.places.get_mut(usize::from(ticket.place));
        let Some(place) = place.filter(|place| place.question.is_some()) else { return };
        place.allowed = answer.allowed;
        let question = place.question.take().expect("it was just looked at");
        waiting.open -= 1;
        self.asking.open -= 1;
        if waiting.open == 0 {
            self.asking.answered.push_back(ticket.conn);
        }
        self.asking.answers.keep(question, answer, now.mono_ms);
    }

    /// Denies a waiting request what is not answered.
    pub(super) fn give_up_answers(&mut self, conn: u32) {
        let slot = &mut self.slots[conn];
        let key = ConnKey { index: conn, generation: slot.generation };
        let Some(waiting) = slot.waiting_mut().filter(|it| it.open > 0) else { return };
        for place in &mut waiting.places {
            place.question = None;
        }
        self.asking.open -= std::mem::take(&mut waiting.open);
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
            Dialect::Admin | Dialect::Echo => unreachable!("it asks no webhook"),
        }
        self.rearm(now, conn);
    }

    /// A connection that is about to end waits for nothing any more: it is read again, to its end.
    pub(super) fn forget(&mut self, conn: u32) {
        self.take_waiting(conn);
        self.slots[conn].aside = None;
    }

    fn take_waiting(&mut self, conn: u32) -> Option<Waiting> {
        let slot = &mut self.slots[conn];
        slot.waiting()?;
        let Some(Aside::Waiting(waiting)) = slot.aside.take().map(|aside| *aside) else {
            unreachable!("it was just looked at")
        };
        let key = ConnKey { index: conn, generation: slot.generation };
        self.asking.resumed.push_back(key);
        self.asking.open -= waiting.open;
        self.asking.bytes -= waiting.text.len();
        Some(waiting)
    }

    /// Asserts that nobody waits.
    pub(super) fn check_nobody_waits(&self) {
        assert_eq!((self.asking.open, self.asking.bytes), (0, 0));
    }
}

//! The names of one request that a webhook must judge: some are asked about at a time, the others
//! in their turn.
//!
//! So one connection has a few questions under way, however long the list that it sent, and what it
//! could not subscribe to anyway is never asked. Order is kept: a name is looked at when all before
//! it are under way or settled. Contract: protocols.md section 6, section 11 "Rules".

use std::collections::HashMap;
use std::sync::Arc;

use ahash::RandomState;

use crate::auth::Question;
use crate::limits::{QUESTIONS_PER_CONNECTION_MAX, TOPICS_PER_REQUEST_MAX};
use crate::mail::Unanswered;
use crate::topic::Pattern;

// Names and places are numbered by that.
const _: () = assert!(TOPICS_PER_REQUEST_MAX <= u16::MAX as usize);

/// What is known of a name that a webhook must judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) enum Word {
    /// It may.
    Allowed,
    /// It may not.
    Denied,
    /// It may not, as nobody said that it may.
    Unanswered,
    /// It was not asked: too many questions are open.
    NoRoom,
    /// It was not asked: the connection has as many subscriptions as it may have.
    NoPlace,
}

/// A name in a request that a webhook must judge.
#[derive(Debug)]
struct Place {
    /// Which of the request's names.
    name: u16,
    /// Names before it that take one of the connection's subscriptions without being asked about.
    before: u16,
    /// Whether it would take one too.
    takes: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Not looked at: the name.
    Waits(Box<str>),
    Asked(Underway),
    /// The same name stands at that place.
    As(u16),
    Settled(Word),
}

/// A question under way.
#[derive(Debug)]
pub(super) struct Underway {
    pub(super) question: Arc<Question>,
    /// Which of the shard's webhooks is asked, counted.
    pub(super) webhook: u32,
}

/// The names of a request that a webhook must judge, in the request's order.
#[derive(Debug, Default)]
pub(in crate::shard) struct Places {
    list: Vec<Place>,
    /// The first that is not looked at.
    next: usize,
    /// Questions under way.
    open: usize,
    /// Of the connection's subscriptions: what names that are allowed or under way would take.
    taken: usize,
    /// Questions in a row that were not answered.
    failed: usize,
}

/// What it takes to ask.
pub(super) trait Asker {
    /// Whether the answer is known, or there is no room to ask; else the question, on its way.
    fn ask(&mut self, place: u16, pattern: Pattern<'_>) -> Result<Word, Underway>;
}

impl Places {
    /// The places of a request's names. `is_asked`: whether a webhook must judge it; `takes`:
    /// whether the connection has one subscription more with it.
    pub(super) fn new<'a>(
        names: impl Iterator<Item = &'a str>,
        is_asked: impl Fn(&str) -> bool,
        takes: impl Fn(&str) -> bool,
    ) -> Self {
        let mut seen: HashMap<&str, Option<u16>, RandomState> = HashMap::default();
        let (mut list, mut before) = (Vec::new(), 0);
        for (name, number) in names.zip(0_u16..) {
            if let Some(first) = seen.get(name) {
                if let Some(first) = *first {
                    let state = State::As(first);
                    list.push(Place { name: number, before, takes: false, state });
                }
                continue;
            }
            let (asked, takes) = (is_asked(name), takes(name));
            seen.insert(name, asked.then_some(list.len() as u16));
            if asked {
                let state = State::Waits(name.into());
                list.push(Place { name: number, before, takes, state });
            } else {
                before += u16::from(takes);
            }
        }
        Self { list, ..Self::default() }
    }

    /// Bytes that it takes, but for questions under way.
    pub(super) fn bytes(&self) -> usize {
        let name = |place: &Place| match &place.state {
            State::Waits(name) => name.len(),
            State::Asked(_) | State::As(_) | State::Settled(_) => 0,
        };
        self.list.iter().map(|place| size_of::<Place>() + name(place)).sum()
    }

    /// Questions under way.
    pub(super) fn open(&self) -> usize {
        self.open
    }

    /// Asks as much as may be under way; whether that was anything. `room`: how many subscriptions
    /// more the connection may have.
    pub(super) fn ask_more(&mut self, room: usize, asker: &mut impl Asker) -> bool {
        let before = self.open;
        while self.open < QUESTIONS_PER_CONNECTION_MAX
            && let Some(place) = self.list.get_mut(self.next)
        {
            if let State::Waits(name) = &place.state {
                let taken = self.taken + usize::from(place.before);
                if !place.takes || taken < room {
                    place.state = match asker.ask(self.next as u16, Pattern::checked(name)) {
                        Ok(word) => State::Settled(word),
                        Err(underway) => State::Asked(underway),
                    };
                } else if self.open > 0 {
                    // What is under way may be denied, and leave a place.
                    break;
                } else {
                    place.state = State::Settled(Word::NoPlace);
                }
                let is_asked = matches!(place.state, State::Asked(_));
                self.open += usize::from(is_asked);
                let may_take = is_asked || matches!(place.state, State::Settled(Word::Allowed));
                self.taken += usize::from(place.takes && may_take);
            }
            self.next += 1;
        }
        self.open > before
    }

    /// Takes what became of a question, and gives it back; `None` where it is not under way.
    pub(super) fn settle(
        &mut self,
        place: u16,
        answer: Result<bool, Unanswered>,
    ) -> Option<Underway> {
        let place = self.list.get_mut(usize::from(place))?;
        if !matches!(place.state, State::Asked(_)) {
            return None;
        }
        let word = match answer {
            Ok(true) => Word::Allowed,
            Ok(false) => Word::Denied,
            Err(Unanswered::Failed) => Word::Unanswered,
            Err(Unanswered::NoRoom) => Word::NoRoom,
        };
        let State::Asked(underway) = std::mem::replace(&mut place.state, State::Settled(word))
        else {
            unreachable!("it was just looked at")
        };
        self.open -= 1;
        self.taken -= usize::from(place.takes && word != Word::Allowed);
        self.failed = if answer == Err(Unanswered::Failed) { self.failed + 1 } else { 0 };
        if self.failed >= QUESTIONS_PER_CONNECTION_MAX {
            // The rest would wait for a webhook that is not there.
            self.deny_rest();
        }
        Some(underway)
    }

    /// Denies all that is not settled; how many questions were under way.
    pub(super) fn give_up(&mut self) -> usize {
        self.deny(|state| matches!(state, State::Asked(_)));
        self.deny_rest();
        std::mem::take(&mut self.open)
    }

    /// Denies all that is not asked.
    pub(super) fn deny_rest(&mut self) {
        self.deny(|state| matches!(state, State::Waits(_)));
        self.next = self.list.len();
    }

    fn deny(&mut self, which: impl Fn(&State) -> bool) {
        for place in self.list.iter_mut().filter(|place| which(&place.state)) {
            place.state = State::Settled(Word::Unanswered);
        }
    }

    /// What is known of a request's name; `None` where no webhook must judge it.
    pub(in crate::shard) fn of(&self, name: usize) -> Option<Word> {
        let at = self.list.binary_search_by_key(&name, |place| usize::from(place.name)).ok()?;
        let at = match self.list[at].state {
            State::As(first) => usize::from(first),
            _ => at,
        };
        match self.list[at].state {
            State::Settled(word) => Some(word),
            State::Waits(_) | State::Asked(_) | State::As(_) => None,
        }
    }

    /// Asserts that the counts are those of the list.
    pub(super) fn check(&self) {
        let asked = |place: &&Place| matches!(place.state, State::Asked(_));
        assert_eq!(self.list.iter().filter(asked).count(), self.open);
        assert!(self.open <= QUESTIONS_PER_CONNECTION_MAX);
        let waits = |place: &Place| matches!(place.state, State::Waits(_));
        assert!(!self.list[..self.next].iter().any(waits));
    }
}

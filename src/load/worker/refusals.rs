//! Publishes that the server refused, or that never reached it: which messages they were, and which
//! publishers are to stop.
//!
//! A refused message is counted as refused and as nothing else: it is due to nobody. Where the
//! refusal quotes the message, its stamp says which it was. Where it does not, a refusal stands for
//! the oldest message of its publisher that nobody had when it was given up: never more messages
//! than refusals, and none that anybody has. So a message that was truly lost for everyone, of a
//! publisher that was refused others, may count as refused; one that some have never does. Known
//! are the subscribers and publishers of this worker alone: what was refused to another worker's
//! publisher counts here as what did not come.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use super::clients::{Clients, tell_free};
use crate::load::layout::Layout;
use crate::load::pace::{Outgoing, Overdue};
use crate::load::stamp::{STAMP_BYTES, Stamp};

/// Refused messages that are remembered. What is refused beyond counts as not come, too.
const KNOWN_MAX: usize = 1 << 18;
/// A publisher whose first messages, so many of them, are all refused is stopped.
const FIRST_REFUSED_MAX: u32 = 16;
/// Words of refusals that are told apart. What comes in others beyond is counted alone.
const WORDS_MAX: usize = 8;
/// How long such a one is held to hear what became of all that it sent.
const HOLD_US: u64 = 1_000_000;

/// What was refused to a worker's publishers.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// By stream: the numbers, ascending.
    numbers: BTreeMap<u32, Vec<u32>>,
    /// How many these are.
    known: usize,
    /// By publisher, by its place among this worker's.
    speakers: Vec<Speaker>,
    /// Who is held, and the words of the last refusal.
    held: Vec<(u32, String)>,
    /// How many have been stopped, and the words to one of them.
    stopped: u32,
    words: String,
    /// What the server said, and how often.
    told: Vec<(String, u64)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Speaker {
    refused: u32,
    /// Refusals of which it is not known yet what they were about.
    unnamed: u32,
    trust: Trust,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Trust {
    /// Nothing is known of what became of its messages.
    #[default]
    Unproven,
    /// All that is known is refusals: until then it says nothing.
    Held(u64),
    /// Some were taken.
    Proven,
    /// None was: it says nothing any more.
    Stopped,
}

impl Refusals {
    pub(super) fn new(publishers: usize) -> Self {
        Self { speakers: vec![Speaker::default(); publishers], ..Self::default() }
    }

    /// Whether a publisher may publish.
    pub(super) fn may_speak(&self, publisher: u32) -> bool {
        !matches!(self.speakers[publisher as usize].trust, Trust::Held(_) | Trust::Stopped)
    }

    /// How many publishers have been stopped, and what they were told.
    pub(super) fn stopped(&self) -> Option<(u32, &str)> {
        (self.stopped > 0).then_some((self.stopped, self.words.as_str()))
    }

    /// Whether there are publishers and all have been stopped.
    pub(super) fn have_stopped_all(&self) -> bool {
        self.stopped > 0 && self.stopped as usize == self.speakers.len()
    }

    /// The words of refusals, the first kinds of them, and how often they came.
    pub(super) fn told(&self) -> &[(String, u64)] {
        &self.told
    }

    /// Counts the words of a refusal.
    fn tell(&mut self, words: &str) {
        if let Some((_, times)) = self.told.iter_mut().find(|(known, _)| known == words) {
            *times += 1;
        } else if self.told.len() < WORDS_MAX {
            self.told.push((words.to_owned(), 1));
        }
    }

    /// How many of these numbers of a stream were refused. A binary search.
    fn count(&self, stream: u32, range: &Range<u32>) -> u32 {
        let Some(numbers) = self.numbers.get(&stream) else { return 0 };
        let below = |end: u32| numbers.partition_point(|number| *number < end);
        (below(range.end) - below(range.start)) as u32
    }

    /// A message was refused; false when that is known, or is one too many.
    fn insert(&mut self, stream: u32, number: u32) -> bool {
        if self.known == KNOWN_MAX {
            return false;
        }
        let numbers = self.numbers.entry(stream).or_default();
        let Err(at) = numbers.binary_search(&number) else { return false };
        numbers.insert(at, number);
        self.known += 1;
        true
    }

    /// Whether a message that is given up was refused, as far as can be told.
    pub(super) fn explain(&mut self, overdue: Overdue) -> bool {
        let speaker = &mut self.speakers[overdue.publisher as usize];
        if overdue.is_heard || speaker.unnamed == 0 {
            return false;
        }
        speaker.unnamed -= 1;
        self.insert(overdue.stream, overdue.number)
    }

    /// Messages came after all: the refusal was about another one.
    pub(super) fn came(&mut self, publisher: u32, stream: u32, range: &Range<u32>) {
        let count = self.count(stream, range);
        if count == 0 {
            return;
        }
        self.numbers.entry(stream).or_default().retain(|number| !range.contains(number));
        self.known -= count as usize;
        self.speakers[publisher as usize].unnamed += count;
    }

    /// Whether nothing that was refused is known.
    pub(super) fn is_empty(&self) -> bool {
        self.known == 0
    }

    /// Lets those held go on whose time is over, and stops those of whom all was refused. `sent`:
    /// by publisher, messages.
    pub(super) fn release(&mut self, now_us: u64, sent: &[u32], mut freed: impl FnMut(u32)) {
        let (speakers, stopped, why) = (&mut self.speakers, &mut self.stopped, &mut self.words);
        self.held.retain(|(publisher, words)| {
            let speaker = &mut speakers[*publisher as usize];
            match speaker.trust {
                Trust::Held(_) if speaker.refused >= sent[*publisher as usize] => {
                    speaker.trust = Trust::Stopped;
                    *stopped += 1;
                    why.clone_from(words);
                    false
                }
                Trust::Held(until_us) if now_us < until_us => true,
                _ => {
                    speaker.trust = Trust::Proven;
                    freed(*publisher);
                    false
                }
            }
        });
    }
}

impl Clients {
    /// The server refused something to a connection that is ready: of a publisher, a message.
    pub(super) fn publish_refused(&mut self, place: u32, words: &[u8]) {
        let Some(publisher) = self.publisher_at(place) else { return };
        self.figures.refused();
        match self.quoted(publisher, words) {
            Some(Stamp { stream, number, .. }) => {
                if self.refusals.insert(stream, number)
                    && let Some(publisher) = self.flights.refused(stream, number)
                {
                    tell_free(self.closed.as_mut(), &self.flights, publisher);
                }
            }
            None => self.refusals.speakers[publisher as usize].unnamed += 1,
        }
        let plain = self.plain.words(&without_message(words));
        self.refusals.tell(&plain);
        let speaker = &mut self.refusals.speakers[publisher as usize];
        speaker.refused += 1;
        if speaker.trust == Trust::Unproven && speaker.refused >= FIRST_REFUSED_MAX {
            if self.flights.is_heard(publisher) {
                speaker.trust = Trust::Proven;
            } else {
                speaker.trust = Trust::Held(self.now_us + HOLD_US);
                self.refusals.held.push((publisher, plain));
            }
        }
    }

    /// The last messages of a publisher never left: it went before the kernel took them. They are
    /// due to nobody, as if they were refused, and counted as not sent.
    pub(super) fn unsaid(&mut self, place: u32, messages: u32) {
        let Some(publisher) = self.publisher_at(place) else { return };
        let sent = self.sent[publisher as usize];
        for message in sent.saturating_sub(messages)..sent {
            let Some(Outgoing { stream, number, .. }) = self.message_at(publisher, message) else {
                continue;
            };
            if self.refusals.insert(stream, number) {
                self.figures.unsay();
                if let Some(publisher) = self.flights.refused(stream, number) {
                    tell_free(self.closed.as_mut(), &self.flights, publisher);
                }
            }
        }
    }

    /// The stamp in a refusal's words, if it is that of a message of this publisher.
    fn quoted(&self, publisher: u32, words: &[u8]) -> Option<Stamp> {
        let (stamp, _) = Stamp::find(words)?;
        let is_own = self.flights.publisher(stamp.stream) == Some(publisher);
        let is_said = self.flights.published(stamp.stream).is_some_and(|said| stamp.number < said);
        (is_own && is_said).then_some(stamp)
    }

    /// The publisher that a connection is, by its place among this worker's.
    pub(super) fn publisher_at(&self, place: u32) -> Option<u32> {
        let crowd = self.part.len() as u32;
        if place >= crowd {
            return Some(place - crowd);
        }
        let of_run = self.layout.publisher_at(self.part.start + place)?;
        self.own.binary_search(&of_run).ok().map(|at| at as u32)
    }
}

/// Words without the message that they may quote, so that those of many are the same.
fn without_message(words: &[u8]) -> Cow<'_, [u8]> {
    let Some((_, end)) = Stamp::find(words) else { return words.into() };
    let (front, rest) = (&words[..end - STAMP_BYTES], &words[end..]);
    let padding = rest.iter().take_while(|byte| **byte == b'.').count();
    [front, b"(the message)", &rest[padding..]].concat().into()
}

/// How many of the numbers in a connection's slot were refused.
pub(super) fn refused_in(
    refusals: &Refusals,
    layout: &Layout,
    connection: u32,
) -> impl Fn(u32, Range<u32>) -> u32 {
    move |slot, range| {
        if refusals.is_empty() {
            return 0;
        }
        refusals.count(layout.stream_in(connection, slot), &range)
    }
}

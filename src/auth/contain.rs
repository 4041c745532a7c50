//! Whether one pattern matches, covers or overlaps another: questions about regular languages.
//!
//! The granting side is a [`Glob`], run as an automaton: state `k` means that `k` of its segments
//! have taken something, a set of states is a `u64`, and a `**` behind state `k` keeps it alive.
//! The asking side is walked segment by segment. No allocation. `matches` and `overlaps` are
//! bounded by the product of both lengths; `covers` has a budget, and past it the answer is "no",
//! so that whoever aims at the budget is refused. Rules and token grants ask it (protocols.md
//! section 6). It knows nothing of identities or actions.

use smallvec::SmallVec;

use crate::limits::{COVER_FRONTIER_MAX, COVER_STEPS_MAX, TOPIC_SEGMENTS_MAX};
use crate::topic::Pattern;

// A state more than segments, and a shift beyond it that must not overflow.
const _: () = assert!(TOPIC_SEGMENTS_MAX < 63);

/// A pattern in the form that the automaton reads; at most [`TOPIC_SEGMENTS_MAX`] segments.
pub trait Glob {
    /// How many segments.
    fn segment_count(&self) -> usize;
    /// Bit `k`: segment `k` is `*` or `**`.
    fn any(&self) -> u64;
    /// Bit `k`: segment `k` is `**`.
    fn many(&self) -> u64;
    /// Whether segment `at`, which is neither `*` nor `**`, takes `text`.
    fn takes(&self, at: usize, text: &str) -> bool;
}

/// How the topics that a pattern matches lie to those that a glob matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// None of them is in the glob.
    Disjoint,
    /// Some may be, or it took too long to find out.
    Overlaps,
    /// All are.
    Covered,
}

/// Places `pattern` against `glob`; for a topic the answer is `Disjoint` or `Covered`.
pub fn relation(glob: &impl Glob, pattern: Pattern<'_>) -> Relation {
    if !pattern.is_wildcard() {
        return if matches(glob, pattern) { Relation::Covered } else { Relation::Disjoint };
    }
    if !overlaps(glob, pattern) {
        Relation::Disjoint
    } else if covers(glob, pattern) {
        Relation::Covered
    } else {
        Relation::Overlaps
    }
}

/// Whether `glob` matches the one topic; `topic` has no wildcards.
fn matches(glob: &impl Glob, topic: Pattern<'_>) -> bool {
    let mut states = START;
    for segment in topic.segments() {
        states = after_text(glob, states, segment);
        if states == 0 {
            return false;
        }
    }
    accepts(glob, states)
}

/// Whether a topic exists that both match; the bounds on a topic's length left aside.
fn overlaps(glob: &impl Glob, pattern: Pattern<'_>) -> bool {
    let mut states = START;
    for segment in pattern.segments() {
        match segment {
            "*" => states = after_whatever_fits(glob, states),
            "**" => {
                states = after_whatever_fits(glob, states);
                loop {
                    let more = states | after_whatever_fits(glob, states);
                    if more == states {
                        break;
                    }
                    states = more;
                }
            }
            text => states = after_text(glob, states, text),
        }
        if states == 0 {
            return false;
        }
    }
    accepts(glob, states)
}

/// Whether `glob` matches every topic that `pattern` matches. May say no when it does, never yes
/// when it does not.
///
/// A wildcard of the pattern can stand for a text that no other segment of the glob takes, and
/// any other text leads to the same states or more. So that strange text is the only one to try,
/// and what is left to search is how many segments each `**` stands for. Of the state sets reached
/// so far only the smallest matter: what they accept, their supersets accept.
fn covers(glob: &impl Glob, pattern: Pattern<'_>) -> bool {
    let mut frontier = Frontier::new();
    let mut next = Frontier::new();
    let mut steps = 0;
    frontier.push(START);
    for segment in pattern.segments() {
        for &reached in &frontier {
            let mut states = match segment {
                "*" | "**" => after_strange(glob, reached),
                text => after_text(glob, reached, text),
            };
            // Ends at a set that is no news: where it leads to, the smaller one led before.
            while !next.iter().any(|&known| is_subset(known, states)) {
                steps += 1;
                if states == 0 || steps > COVER_STEPS_MAX || !keep_smallest(&mut next, states) {
                    return false;
                }
                if segment != "**" {
                    break;
                }
                states = after_strange(glob, states);
            }
        }
        std::mem::swap(&mut frontier, &mut next);
        next.clear();
    }
    frontier.iter().all(|&states| accepts(glob, states))
}

type Frontier = SmallVec<[u64; COVER_FRONTIER_MAX]>;

/// Adds a state set and drops its supersets; false when there is no room.
fn keep_smallest(frontier: &mut Frontier, states: u64) -> bool {
    frontier.retain(|known| !is_subset(states, *known));
    if frontier.len() == COVER_FRONTIER_MAX {
        return false;
    }
    frontier.push(states);
    true
}

fn is_subset(small: u64, large: u64) -> bool {
    small & !large == 0
}

/// Nothing taken yet.
const START: u64 = 1;

fn accepts(glob: &impl Glob, states: u64) -> bool {
    states >> glob.segment_count() & 1 == 1
}

/// The states after a segment that reads `text`.
fn after_text(glob: &impl Glob, states: u64, text: &str) -> u64 {
    let mut next = after_strange(glob, states);
    let mut particular = states & !glob.any() & all(glob);
    while particular != 0 {
        let at = particular.trailing_zeros() as usize;
        particular &= particular - 1;
        if glob.takes(at, text) {
            next |= 1 << (at + 1);
        }
    }
    next
}

/// The states after a segment whose text only wildcards take.
fn after_strange(glob: &impl Glob, states: u64) -> u64 {
    (states & glob.any()) << 1 | states & (glob.many() << 1)
}

/// The states after a segment that reads whatever the glob would like.
fn after_whatever_fits(glob: &impl Glob, states: u64) -> u64 {
    (states & all(glob)) << 1 | states & (glob.many() << 1)
}

fn all(glob: &impl Glob) -> u64 {
    (1 << glob.segment_count()) - 1
}

/// A subscription's pattern as the granting side.
#[derive(Debug)]
pub struct Plain<'a> {
    segments: SmallVec<[&'a str; TOPIC_SEGMENTS_MAX]>,
    any: u64,
    many: u64,
}

impl<'a> Plain<'a> {
    /// Takes a well-formed pattern apart.
    ///
    /// # Panics
    /// Never for a [`Pattern`]'s text: one has at most [`TOPIC_SEGMENTS_MAX`] segments.
    pub fn new(pattern: &'a str) -> Self {
        let segments: SmallVec<[&str; TOPIC_SEGMENTS_MAX]> = pattern.split('.').collect();
        assert!(segments.len() <= TOPIC_SEGMENTS_MAX, "a pattern has a bounded length");
        let (mut any, mut many) = (0, 0);
        for (at, &segment) in segments.iter().enumerate() {
            any |= u64::from(matches!(segment, "*" | "**")) << at;
            many |= u64::from(segment == "**") << at;
        }
        Self { segments, any, many }
    }
}

impl Glob for Plain<'_> {
    fn segment_count(&self) -> usize {
        self.segments.len()
    }

    fn any(&self) -> u64 {
        self.any
    }

    fn many(&self) -> u64 {
        self.many
    }

    fn takes(&self, at: usize, text: &str) -> bool {
        self.segments[at] == text
    }
}

#[cfg(test)]
mod tests;

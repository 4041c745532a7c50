//! Who hears which topics, who publishes to which, and which stream is whose.
//!
//! Made from the scenario alone, so that every process of a run has the same. A *stream* is one
//! publisher's messages to one topic, numbered from 0: within it order and loss can be told.
//! Streams are numbered topic by topic, so those of a topic are a range. What a connection hears
//! is a set of topics, and its *slots* are the streams of these, in that order: an array with a
//! place for each slot is all that its account takes.

mod dashboards;

use std::ops::Range;

use crate::load::scenario::{Credentials, Interest, Scenario, Spoken, Target};

use dashboards::Dashboards;

/// Streams that a run can have: every process keeps some words for each, and each window's
/// tidings name them all.
pub const STREAMS_MAX: u64 = 1 << 20;

/// The plan of a run's topics, subscriptions and streams.
#[derive(Debug)]
pub struct Layout {
    /// Connections of the crowd.
    connections: u32,
    /// Connections that publish, of the crowd or beside it.
    publishers: u32,
    /// The names of the topics; twice, where topics are subscribed to by name, so that a run of
    /// them which goes over the end is one slice.
    names: Vec<String>,
    /// The numbers of the topics, twice.
    turns: Vec<u32>,
    interest: Sets,
    /// For topics as they are listed in the sets: the streams of all those listed before; one
    /// longer.
    streams_before: Vec<u32>,
    /// By topic; one longer.
    first_streams: Vec<u32>,
    /// By stream.
    topics_of: Vec<u32>,
    /// Where members publish: their streams.
    members: Option<Members>,
}

/// The sets of topics that connections hear.
#[derive(Debug)]
enum Sets {
    /// So many topics from the connection's number on.
    Runs(u32),
    /// What patterns match.
    Listed(Dashboards),
}

/// The streams of publishers that are members of the crowd.
#[derive(Debug)]
struct Members {
    /// One publisher's after another's, each in the order of the topics that it hears.
    streams: Vec<u32>,
    /// By publisher, where its streams begin.
    starts: Vec<u32>,
}

impl Layout {
    /// Of a scenario. Costs memory and time for each topic, stream and distinct set of patterns,
    /// not for each connection.
    pub fn new(scenario: &Scenario) -> Self {
        let crowd = &scenario.crowd;
        let topics = crowd.topics.max(1);
        let talk = scenario.talk.as_ref();
        let is_members = talk.is_some_and(|talk| talk.members);
        let most = if is_members { crowd.connections } else { u32::MAX };
        let names = || (0..topics).map(|topic| topic_name(scenario, topic));
        let (names, interest): (Vec<String>, _) = match crowd.interest {
            Interest::Exact => {
                let run = crowd.subscriptions.min(topics);
                (names().chain(names()).collect(), Sets::Runs(run))
            }
            Interest::Wildcard => {
                let dashboards = Dashboards::new(topics, crowd.subscriptions, crowd.connections);
                (names().collect(), Sets::Listed(dashboards))
            }
        };
        let mut layout = Self {
            connections: crowd.connections,
            publishers: talk.map_or(0, |talk| talk.publishers.min(most)),
            names,
            turns: (0..topics).chain(0..topics).collect(),
            interest,
            streams_before: Vec::new(),
            first_streams: Vec::new(),
            topics_of: Vec::new(),
            members: None,
        };
        layout.number_streams(is_members);
        layout
    }

    /// Streams of a scenario, without making its layout: more than [`STREAMS_MAX`] are too many.
    /// With wildcards and members it is an upper bound.
    pub fn streams_of_scenario(scenario: &Scenario) -> u64 {
        let Some(talk) = &scenario.talk else { return 0 };
        let topics = u64::from(scenario.crowd.topics.max(1));
        let each = match scenario.crowd.interest {
            Interest::Exact if talk.members => topics.min(scenario.crowd.subscriptions.into()),
            _ => topics,
        };
        each * u64::from(talk.publishers)
    }

    /// Gives the streams their numbers, topic by topic and publisher by publisher.
    fn number_streams(&mut self, is_members: bool) {
        let topics = self.topics() as usize;
        let mut counts = vec![if is_members { 0 } else { self.publishers }; topics];
        if is_members {
            for publisher in 0..self.publishers {
                let connection = nth_of(publisher, self.publishers, self.connections);
                for topic in self.hears(connection) {
                    counts[*topic as usize] += 1;
                }
            }
        }
        self.first_streams = running_sums(counts.iter().copied());
        for (topic, count) in (0..).zip(&counts) {
            self.topics_of.extend(std::iter::repeat_n(topic, *count as usize));
        }
        let sums = running_sums(self.listed().iter().map(|topic| counts[*topic as usize]));
        self.streams_before = sums;
        if is_members {
            self.members = Some(self.number_members());
        }
    }

    fn number_members(&self) -> Members {
        let mut next = self.first_streams.clone();
        let mut members = Members { streams: Vec::new(), starts: vec![0] };
        for publisher in 0..self.publishers {
            for topic in self.hears(nth_of(publisher, self.publishers, self.connections)) {
                members.streams.push(next[*topic as usize]);
                next[*topic as usize] += 1;
            }
            members.starts.push(members.streams.len() as u32);
        }
        members
    }

    /// Topics.
    pub fn topics(&self) -> u32 {
        (self.turns.len() / 2) as u32
    }

    /// Connections that publish, of the crowd or beside it.
    pub fn publishers(&self) -> u32 {
        self.publishers
    }

    /// The name of a topic.
    pub fn topic_name(&self, topic: u32) -> &str {
        &self.names[topic as usize]
    }

    /// What a connection of the crowd subscribes to, in order: topics or patterns.
    pub fn patterns(&self, connection: u32) -> &[String] {
        match &self.interest {
            Sets::Runs(_) => &self.names[self.set(connection)],
            Sets::Listed(dashboards) => dashboards.patterns(connection),
        }
    }

    /// The topics that a connection of the crowd hears, each once: in the order of its
    /// subscriptions, or ascending where those are patterns.
    pub fn hears(&self, connection: u32) -> &[u32] {
        &self.listed()[self.set(connection)]
    }

    /// The topics that a publisher publishes to, in turns.
    pub fn publishes(&self, publisher: u32) -> &[u32] {
        if let Some(connection) = self.member(publisher) {
            return self.hears(connection);
        }
        let start = (publisher % self.topics()) as usize;
        &self.turns[start..start + self.topics() as usize]
    }

    /// The connection of the crowd that a publisher is, where members publish. They are spread
    /// evenly over the crowd.
    pub fn member(&self, publisher: u32) -> Option<u32> {
        self.members.as_ref()?;
        Some(nth_of(publisher, self.publishers, self.connections))
    }

    /// The publisher that a connection of the crowd is, if it is one.
    pub fn publisher_at(&self, connection: u32) -> Option<u32> {
        self.members.as_ref()?;
        rank_of(connection, self.publishers, self.connections)
    }

    /// The stream of a publisher's turn: its topic is that of [`Layout::publishes`] in this place.
    pub fn stream_in_turn(&self, publisher: u32, place: usize) -> u32 {
        if let Some(members) = &self.members {
            return members.streams[members.starts[publisher as usize] as usize + place];
        }
        let topic = self.turns[(publisher % self.topics()) as usize + place];
        self.first_streams[topic as usize] + publisher
    }

    /// The streams of a topic.
    pub fn streams_of(&self, topic: u32) -> Range<u32> {
        self.first_streams[topic as usize]..self.first_streams[topic as usize + 1]
    }

    /// The topic of a stream.
    pub fn topic_of(&self, stream: u32) -> u32 {
        self.topics_of[stream as usize]
    }

    /// All streams.
    pub fn streams(&self) -> u32 {
        self.topics_of.len() as u32
    }

    /// How many streams a connection hears.
    pub fn slots(&self, connection: u32) -> u32 {
        let set = self.set(connection);
        self.streams_before[set.end] - self.streams_before[set.start]
    }

    /// The place of a stream among those that a connection hears; `None` when it hears it not, or
    /// there is no such stream. Arithmetic, or with patterns a binary search in the set.
    pub fn slot(&self, connection: u32, stream: u32) -> Option<u32> {
        let topic = *self.topics_of.get(stream as usize)?;
        let set = self.set(connection);
        let place = match &self.interest {
            Sets::Runs(_) => {
                let (topic, topics) = (topic as usize, self.turns.len() / 2);
                let from_start = topic + if topic < set.start { topics } else { 0 } - set.start;
                (from_start < set.len()).then_some(from_start)?
            }
            Sets::Listed(dashboards) => {
                dashboards.heard()[set.clone()].binary_search(&topic).ok()?
            }
        };
        let before = self.streams_before[set.start + place] - self.streams_before[set.start];
        Some(before + stream - self.first_streams[topic as usize])
    }

    /// The stream that is in a slot of a connection: [`Layout::slot`] backwards. A binary search.
    ///
    /// # Panics
    /// It has no such slot.
    pub fn stream_in(&self, connection: u32, slot: u32) -> u32 {
        let set = self.set(connection);
        let before = &self.streams_before[set.start..=set.end];
        let slot = before[0] + slot;
        let place = before.partition_point(|before| *before <= slot) - 1;
        let topic = self.listed()[set.start..set.end][place];
        self.first_streams[topic as usize] + slot - before[place]
    }

    /// The streams that a connection hears, slot by slot.
    pub fn streams_heard(&self, connection: u32) -> impl Iterator<Item = u32> {
        self.hears(connection).iter().flat_map(|topic| self.streams_of(*topic))
    }

    /// The slots of what a connection of the crowd publishes itself.
    pub fn own_slots(&self, connection: u32) -> impl Iterator<Item = u32> {
        let publisher = self.publisher_at(connection);
        let turns = publisher.map_or(0, |publisher| self.publishes(publisher).len());
        (0..turns)
            .filter_map(move |place| self.slot(connection, self.stream_in_turn(publisher?, place)))
    }

    /// A worker's connections of the crowd.
    pub fn part(&self, worker: u32, workers: u32) -> Range<u32> {
        part_of(self.connections, worker, workers)
    }

    /// A worker's publishers, ascending: those of its part where they are members, else each whose
    /// number is that of the worker modulo the number of workers.
    pub fn publishers_of(&self, worker: u32, workers: u32) -> Vec<u32> {
        let part = self.part(worker, workers);
        let is_its = |publisher: &u32| match self.member(*publisher) {
            Some(connection) => part.contains(&connection),
            None => publisher % workers == worker,
        };
        (0..self.publishers).filter(is_its).collect()
    }

    /// All sets of topics, one after another or one in another.
    fn listed(&self) -> &[u32] {
        match &self.interest {
            Sets::Runs(_) => &self.turns,
            Sets::Listed(dashboards) => dashboards.heard(),
        }
    }

    /// Where a connection's set is in [`Layout::listed`].
    fn set(&self, connection: u32) -> Range<usize> {
        match &self.interest {
            Sets::Runs(run) => {
                let start = (connection % self.topics()) as usize;
                start..start + *run as usize
            }
            Sets::Listed(dashboards) => dashboards.set(connection),
        }
    }
}

/// Names that each dialect takes, and that its default rules allow.
fn topic_name(scenario: &Scenario, topic: u32) -> String {
    let Target { dialect, credentials, .. } = &scenario.target;
    match (dialect, scenario.crowd.interest, credentials) {
        (Spoken::Channels, _, Credentials::Secret { tenant: Some(tenant), .. }) => {
            format!("tenant:{tenant}:bench:t{topic}")
        }
        (Spoken::Channels, ..) => format!("public:bench:t{topic}"),
        (_, Interest::Wildcard, _) => dashboards::topic_name(topic),
        (_, Interest::Exact, _) => format!("bench.t{topic}"),
    }
}

/// Zero, the first, the first two …: one more than there are.
fn running_sums(counts: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut sums = vec![0];
    let mut sum = 0;
    sums.extend(counts.map(|count| {
        sum += count;
        sum
    }));
    sums
}

/// The `index`-th of `chosen` that are spread evenly over `all`; `chosen` is at most `all`.
pub fn nth_of(index: u32, chosen: u32, all: u32) -> u32 {
    (u64::from(index) * u64::from(all) / u64::from(chosen.max(1))) as u32
}

/// Which one of the `chosen` a number is, if it is one: what [`nth_of`] does, backwards.
pub fn rank_of(number: u32, chosen: u32, all: u32) -> Option<u32> {
    let index = (u64::from(number) * u64::from(chosen)).div_ceil(u64::from(all.max(1))) as u32;
    (index < chosen && nth_of(index, chosen, all) == number).then_some(index)
}

/// The `part`-th of `parts` parts of so many, the same but for one.
pub fn part_of(all: u32, part: u32, parts: u32) -> Range<u32> {
    nth_of(part, parts, all)..nth_of(part + 1, parts, all)
}

#[cfg(test)]
pub(super) mod tests;

//! Servers of the run's own: the broker to be measured, where none is given, and the floor.
//!
//! Both are this program in another process, and end when their standard input does. The broker
//! says on standard error where it listens; the floor says it on standard output, and answers each
//! line with what it has done so far.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use super::child::{Child, lines};
use super::crew::command;
use super::{OwnBroker, Problem};
use crate::limits::{DESCRIPTORS_PER_SHARD, DESCRIPTORS_RESERVED, SUBSCRIPTIONS_MAX};
use crate::load::floor::Counts;
use crate::load::scenario::{Mode, Scenario};

/// How long the floor may take for an answer: it gives none in the midst of a round of sends.
const ANSWER: Duration = Duration::from_secs(20);
/// Answers of the floor that wait to be read: it gives one for each question.
const ANSWERS_WAITING_MAX: usize = 4;
/// Bytes of an answer; the rest of a longer one is not read.
const ANSWER_BYTES_MAX: usize = 4096;
/// How long the broker may take to end.
const END: Duration = Duration::from_secs(10);
/// Milliseconds that it may take to tell who is still there that it ends.
const DRAIN_MS: u64 = 1000;

/// The broker that is measured.
#[derive(Debug)]
pub(super) struct Broker {
    child: Child,
    address: SocketAddr,
}

impl Broker {
    /// Starts it with one shard, open to everyone on this machine and without the limits
    /// that a crowd from one machine would meet. What the asker gives counts more.
    ///
    /// # Errors
    /// The machine's: its descriptors, its ports. The asker's: arguments that the broker refuses.
    pub(super) fn start(
        program: &[PathBuf],
        own: &OwnBroker,
        scenario: &Scenario,
        descriptors: u64,
    ) -> Result<Self, Problem> {
        let connections = u64::from(scenario.connections());
        let kept = (DESCRIPTORS_RESERVED + DESCRIPTORS_PER_SHARD) as u64;
        if connections + kept > descriptors {
            let what = "the broker".to_owned();
            return Err(Problem::Descriptors {
                what,
                needed: connections + kept,
                limit: descriptors,
            });
        }
        let subscriptions = u64::from(scenario.crowd.subscriptions).max(SUBSCRIPTIONS_MAX as u64);
        // As settings, not as flags: a flag may be given once only, and may be the asker's.
        let mut settings = vec![
            "server.host=127.0.0.1".to_owned(),
            "server.port=0".to_owned(),
            "server.shards=1".to_owned(),
            "server.max_connections_per_ip=0".to_owned(),
            format!("server.drain_ms={DRAIN_MS}"),
            format!("limits.subscriptions_max={subscriptions}"),
        ];
        if scenario.target.compression {
            settings.push("websocket.compression=true".to_owned());
        }
        let mut arguments = vec!["--dev".to_owned()];
        for setting in settings {
            arguments.extend(["--set".to_owned(), setting]);
        }
        let given = own.arguments.iter().filter(|given| *given != "serve" && *given != "--dev");
        arguments.extend(given.cloned());
        let mut command = command(program);
        command.envs(own.environment.iter().map(|(name, value)| (name, value)));
        let (mut child, stdout) = Child::start("the broker".to_owned(), command.args(arguments))?;
        // It says nothing there.
        drop(stdout);
        if let Some(processor) = own.processor {
            let what = format!("the broker on processor {processor}");
            child.bind(processor).map_err(|why| Problem::Start { what, why })?;
        }
        let address = child.listens()?;
        Ok(Self { child, address })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// That it is still there.
    ///
    /// # Errors
    /// It is not; with its last words.
    pub(super) fn check(&mut self) -> Result<(), Problem> {
        if self.child.is_over() { Err(self.child.ended()) } else { Ok(()) }
    }

    /// Ends it in its own way.
    pub(super) fn end(mut self) {
        self.child.terminate();
        self.child.end(END);
    }
}

/// The bare send loop.
#[derive(Debug)]
pub(super) struct Floor {
    child: Child,
    address: SocketAddr,
    answers: Receiver<String>,
    /// As it said last.
    counts: Counts,
}

impl Floor {
    /// Starts it, on a processor if told.
    ///
    /// # Errors
    /// The machine's.
    pub(super) fn start(
        program: &[PathBuf],
        mode: Mode,
        processor: Option<u32>,
    ) -> Result<Self, Problem> {
        let mut command = command(program);
        let mode = match mode {
            Mode::Each => "each",
            Mode::Together => "together",
        };
        command.args(["--mode", mode]);
        if let Some(processor) = processor {
            command.args(["--processor", &processor.to_string()]);
        }
        let (child, stdout) = Child::start("the floor".to_owned(), &mut command)?;
        let (told, answers) = sync_channel(ANSWERS_WAITING_MAX);
        std::thread::spawn(move || {
            lines(stdout, ANSWER_BYTES_MAX, |line| {
                // Nobody listens any more when the run is over.
                let _ = told.send(line.to_owned());
            });
        });
        let address = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut floor = Self { child, address, answers, counts: Counts::default() };
        floor.address = floor.answer(|line| line.parse().ok())?;
        Ok(floor)
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has done since it began.
    ///
    /// # Errors
    /// It is over.
    pub(super) fn counts(&mut self) -> Result<Counts, Problem> {
        self.child.tell(b"\n")?;
        self.counts = self.answer(|line| serde_json::from_str(line).ok())?;
        Ok(self.counts)
    }

    /// Times that it had to wait for a subscriber, up to when it was asked last.
    pub(super) fn waits(&self) -> u64 {
        self.counts.waits
    }

    /// That it is still there.
    ///
    /// # Errors
    /// It is not; with its last words.
    pub(super) fn check(&mut self) -> Result<(), Problem> {
        if self.child.is_over() { Err(self.child.ended()) } else { Ok(()) }
    }

    fn answer<T>(&mut self, read: impl Fn(&str) -> Option<T>) -> Result<T, Problem> {
        let line = self.answers.recv_timeout(ANSWER).map_err(|_| self.child.ended())?;
        let what = || self.child.what().to_owned();
        read(&line).ok_or_else(|| Problem::Garbled { what: what(), words: line.clone() })
    }
}

//! Why a run cannot begin or go on, and whose fault it is.
//!
//! What only makes figures doubtful is no problem: see `remarks`.

use std::io;
use std::net::SocketAddr;

use thiserror::Error;

use crate::load::probe::Blind;

/// Why there is no outcome.
#[derive(Debug, Error)]
pub enum Problem {
    /// Too many connections for the limit of descriptors of one process.
    #[error(
        "{what} needs {needed} descriptors, and a process may have {limit}; raise the hard limit \
         (ulimit -Hn) or ask for fewer connections"
    )]
    Descriptors {
        /// What holds the connections.
        what: String,
        /// By how many.
        needed: u64,
        /// That are allowed.
        limit: u64,
    },
    /// Fewer workers were asked for than can hold the crowd.
    #[error(
        "{given} load processes cannot hold the connections: each may have {limit} descriptors; \
         at least {needed}, or 0 for as few as it takes"
    )]
    Workers {
        /// As asked for.
        given: u32,
        /// At least.
        needed: u32,
        /// Descriptors of one.
        limit: u64,
    },
    /// A ratio of the server's CPU to the floor's was asked for, and not how to read the server's.
    #[error("the floor is compared by CPU time: give the server's process id or metrics address")]
    NothingToCompare,
    /// The server cannot be read.
    #[error("the server cannot be measured: {0}")]
    Blind(#[from] Blind),
    /// A process cannot be started.
    #[error("{what} cannot be started: {why}")]
    Start {
        /// Which.
        what: String,
        /// What the system says.
        why: io::Error,
    },
    /// A server of ours does not come up.
    #[error("{what} does not listen: {words}")]
    NotListening {
        /// Which.
        what: String,
        /// Its last words.
        words: String,
    },
    /// A process ended in the midst of the run.
    #[error("{what} ended in the midst of the run: {words}")]
    Ended {
        /// Which.
        what: String,
        /// Its last words.
        words: String,
    },
    /// A load process gave up.
    #[error("{what} cannot go on: {words}")]
    Failed {
        /// Which.
        what: String,
        /// What it says.
        words: String,
    },
    /// A load process says nothing any more.
    #[error("{what} hangs: it has said nothing for {seconds} s beyond what it was to wait")]
    Silent {
        /// Which.
        what: String,
        /// For how long.
        seconds: u64,
    },
    /// A load process says what is not understood, or an answer to nothing.
    #[error("{what} says what it should not: {words}")]
    Garbled {
        /// Which.
        what: String,
        /// What.
        words: String,
    },
    /// Nobody could connect and subscribe.
    #[error("nobody could connect and subscribe at {address}{}", because(.reasons))]
    NobodyConnected {
        /// The server.
        address: SocketAddr,
        /// Some of the reasons, each once.
        reasons: Vec<String>,
    },
    /// Connecting takes longer than it may.
    #[error(
        "connecting to {address} takes too long: {connected} of {wanted} connections subscribed \
         within {seconds} s"
    )]
    Connecting {
        /// The server.
        address: SocketAddr,
        /// That were given.
        seconds: u64,
        /// That had subscribed.
        connected: u32,
        /// That were to be.
        wanted: u32,
    },
    /// A search for a rate was asked for where none is set, or beside a floor.
    #[error("a search for the highest rate needs an open loop, and no floor beside it")]
    NothingToSearch,
    /// It was interrupted before anybody could connect.
    #[error("interrupted before anything was measured")]
    Interrupted,
    /// Nothing was delivered in the warm-up, so that the floor does not know what to send.
    #[error("nothing was delivered in the warm-up: the floor needs a message's size")]
    NothingDelivered,
}

/// Who can mend a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Who asked for the run: what was asked for cannot be.
    Asker,
    /// The machine, or its limits.
    Machine,
    /// The server.
    Server,
    /// This program: a bug.
    Ours,
}

impl Problem {
    /// Whose fault it is, as far as can be told.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Workers { .. }
            | Self::NothingToCompare
            | Self::NothingToSearch
            | Self::Interrupted
            | Self::Blind(Blind::Address(_) | Blind::NoFigures) => Fault::Asker,
            Self::Descriptors { .. } | Self::Start { .. } => Fault::Machine,
            Self::Blind(Blind::NoProcess(_) | Blind::Page(_))
            | Self::NotListening { .. }
            | Self::NobodyConnected { .. }
            | Self::Connecting { .. }
            | Self::NothingDelivered => Fault::Server,
            Self::Ended { .. }
            | Self::Failed { .. }
            | Self::Silent { .. }
            | Self::Garbled { .. } => Fault::Ours,
        }
    }
}

fn because(reasons: &[String]) -> String {
    if reasons.is_empty() { String::new() } else { format!(": {}", reasons.join("; ")) }
}

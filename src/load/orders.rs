//! What the conductor and its workers say to each other: a JSON object a line, over pipes.
//!
//! A worker reads [`Order`]s from its standard input and writes [`Tidings`] to its standard output;
//! the end of either is the end of the run. Times are microseconds of the monotonic clock, which all
//! processes of a machine share.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::load::scenario::Scenario;
pub use crate::load::times::Latencies;

/// What a worker is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// The first: the run, and this worker's part of it.
    Begin(Box<Begin>),
    /// Connect the crowd and the publishers, authenticate, subscribe. Answered by
    /// [`Tidings::Connected`] when all are there or given up.
    Connect,
    /// Connect a second crowd, the same, to the bare send loop. Answered by
    /// [`Tidings::Connected`].
    Floor {
        /// Where it is.
        address: SocketAddr,
        /// Bytes of the frames that it shall send, header and payload: as many as the server's.
        frame_bytes: u32,
    },
    /// Talk (or hold) for a time. Answered by [`Tidings::Said`] when all is said; then
    /// [`Order::Finish`] is to follow.
    Window(Window),
    /// The end of a window: how many messages of each stream there were so far, over all workers.
    /// Answered by [`Tidings::Window`] when all have come or the drain time is over.
    Finish {
        /// By stream.
        published: Vec<u32>,
    },
    /// No more will be published: how many messages of each stream there were, over all workers.
    /// Answered by [`Tidings::Settled`] when all have come or the drain time is over.
    Settle {
        /// By stream.
        published: Vec<u32>,
    },
    /// Close everything and end.
    Leave,
}

/// A worker's part.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Begin {
    /// The whole run.
    pub scenario: Scenario,
    /// This worker's number, from 0.
    pub worker: u32,
    /// All workers: worker `w` has the `w`-th part of the crowd, in one piece, and each publisher
    /// whose number is `w` modulo this; where members publish, those in its part.
    pub workers: u32,
}

/// A time of load.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Window {
    /// To whom.
    pub side: Side,
    /// When it begins.
    pub from_us: u64,
    /// When publishing ends.
    pub until_us: u64,
    /// Whether its figures count, or it warms up.
    pub counted: bool,
    /// Messages a second over all publishers, in place of the scenario's rate: a search tries several.
    pub per_s: Option<f64>,
}

/// Which of the two crowds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The server that is measured.
    Target,
    /// The bare send loop.
    Floor,
}

/// What a worker tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tidings {
    /// How it goes, every `sample_ms`, since the last of these.
    Progress(Progress),
    /// The crowd is there.
    Connected(Connected),
    /// A window's last message is sent.
    Said {
        /// By stream: messages published so far by this worker, to the side that had the window.
        published: Vec<u32>,
    },
    /// A window is over.
    Window(WindowDone),
    /// All is counted.
    Settled(Account),
    /// It cannot go on, and why.
    Failed(String),
}

/// One sample.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Progress {
    /// When.
    pub at_us: u64,
    /// Connections that are open now.
    pub open: u32,
    /// Connections that are subscribed now.
    pub subscribed: u32,
    /// Messages published since the last sample.
    pub published: u64,
    /// Deliveries since the last sample.
    pub delivered: u64,
    /// Those of them whose messages were meant for the window under way.
    pub window_delivered: u64,
    /// Latencies of deliveries of the window under way, without those to slow readers.
    pub latency: Latencies,
    /// CPU time of this worker's work since it began, in microseconds: without what it waited
    /// without sleeping.
    pub cpu_us: u64,
}

/// What connecting came to.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Connected {
    /// Connections that are subscribed.
    pub subscribed: u32,
    /// Publishers that are ready.
    pub publishers: u32,
    /// Connections refused or lost, with the first reasons.
    pub failed: u32,
    /// Some of the reasons, each once.
    pub reasons: Vec<String>,
    /// To the last `subscribed`, per connection, from when it was meant to be begun: its turn at
    /// the connect rate, or the begin of the whole connecting where all are to come at once. So what
    /// waits until others are done (`connecting_max`) is in it, and it is no handshake's own time.
    pub latency: Latencies,
    /// From the first connect to the last `subscribed`.
    pub took_us: u64,
    /// This worker's resident memory before and after.
    pub resident_bytes: (u64, u64),
}

/// What a window came to.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct WindowDone {
    /// Messages published in it.
    pub published: u64,
    /// Deliveries of them that came.
    pub delivered: u64,
    /// Bytes of the frames of these deliveries.
    pub delivered_bytes: u64,
    /// From publishing (or when it was meant) to each delivery.
    pub latency: Latencies,
    /// From being replaced (churn) or lost (storm) to being subscribed again, for each connection
    /// that came back in this window.
    pub returned: Latencies,
    /// When the last delivery came.
    pub last_us: u64,
    /// Messages of which not everyone had theirs within the drain time. Told by the publisher's
    /// worker, of its own subscribers.
    pub overdue: u64,
    /// Deliveries of this window due at this worker's subscribers, of all workers' messages, and
    /// not come when its drain ended.
    pub owed: u64,
    /// Messages that came due and did not go out: the load was late, or their publisher was gone.
    pub unsent: u64,
    /// Messages that came due while their publisher's connection had no room, and found none until
    /// shortly after the window's end: the server did not read them. Open loop.
    pub unread: u64,
    /// Publishes that were refused between its begin and the end of its drain.
    pub refused: u64,
    /// How much later than on schedule the load came to its messages; open loop. How long they then
    /// waited for room is in the latencies alone.
    pub late: Latencies,
    /// CPU time that was no work, but waiting without sleep, in microseconds.
    pub spun_us: u64,
    /// By stream: messages published so far in the run.
    pub published_by_stream: Vec<u32>,
}

/// Loss, doubles and order, over the whole run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Deliveries that were due.
    pub expected: u64,
    /// Deliveries that came, each message once.
    pub received: u64,
    /// Due and not come, though a later one of their stream did.
    pub lost: u64,
    /// Due and not come when the waiting ended, nothing later of their stream either: lost, or still
    /// on the way.
    pub unarrived: u64,
    /// Come again.
    pub duplicated: u64,
    /// Come behind a later one of their stream.
    pub out_of_order: u64,
    /// Come to who had not asked, or with a stamp of no stream.
    pub astray: u64,
    /// Come before the time in their stamp: forged, or of a clock apart from this one's. They are
    /// counted above as well, and have no latency.
    pub early: u64,
    /// Not come to connections that read slowly or were closed by the server: its policy, not loss.
    pub withheld: u64,
    /// Connections that the server ended, by close code (1006: without one).
    pub closes: Vec<(u16, u64)>,
    /// Those of them that were reading slowly.
    pub closes_slow: Vec<(u16, u64)>,
    /// Refusals by the server during the run: of publishes, and of connections coming back.
    pub refused: u64,
    /// Those of them that were of publishes.
    pub publishes_refused: u64,
    /// Connections that left and were replaced.
    pub replaced: u64,
    /// Connections that left to come back and were not back in the end. Those that were never
    /// there are in [`Connected::failed`], those that the server ended in `closes`.
    pub away: u64,
    /// Streams of latecomers that nothing was heard of, so that nothing can be said of their loss.
    pub unjudged: u64,
    /// What broke connections besides a close frame, in words, and how often: a failure of the
    /// kernel, a broken protocol, a server that does not read.
    pub troubles: Vec<(String, u64)>,
}

//! What all threads of a node share: settings, counters, the census. Read by all; what changes is
//! atomic or touched off the way of messages.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, OnceLock, PoisonError, RwLock};

use crate::http::health::Facts;
use crate::mailbox::Mailbox;
use crate::metrics::ShardMetrics;
use crate::node::census::Census;
use crate::node::clock;
use crate::node::control::Control;
use crate::node::crossings::Crossings;
use crate::node::live::{Live, Renewal};
use crate::node::process;
use crate::node::remembered::Remembered;

/// Shared by the threads of one node.
#[derive(Debug)]
pub(super) struct Common {
    /// The node's number, drawn at its start.
    pub(super) node: u64,
    /// See [`Common::live`].
    pub(super) live: RwLock<Arc<Live>>,
    /// New settings on their way to each shard; its mailbox is woken for them.
    pub(super) next: Box<[Renewal]>,
    /// WebSockets on their way to each shard; its mailbox is woken for them.
    pub(super) crossings: Box<[Crossings]>,
    pub(super) mailboxes: Arc<[Arc<Mailbox>]>,
    pub(super) metrics: Arc<[Arc<ShardMetrics>]>,
    /// What waits on the outside.
    pub(super) control: Control,
    pub(super) census: Arc<Census>,
    pub(super) remembered: Remembered,
    /// Whether the metrics are served at an address of their own, and nowhere else.
    pub(super) scraped_elsewhere: bool,
    /// HTTP requests that are being answered.
    pub(super) requests: AtomicUsize,
    pub(super) draining: AtomicBool,
    pub(super) over: AtomicBool,
    /// Where the shards wait for each other in their last turns; set once all have started.
    pub(super) barrier: OnceLock<Barrier>,
}

impl Common {
    /// The settings in force.
    pub(super) fn live(&self) -> Arc<Live> {
        // Only ever replaced as a whole.
        Arc::clone(&self.live.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Whether the node has ended and its threads are to stop.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Counts an HTTP request until what is given is dropped.
    pub(super) fn begin_request(&self) -> InProgress<'_> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        InProgress(&self.requests)
    }

    /// HTTP requests that are being answered.
    pub(super) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    pub(super) fn facts(&self) -> Facts<'_> {
        Facts {
            shards: &self.metrics,
            now: clock::now(),
            draining: self.is_draining(),
            process: process::figures,
        }
    }
}

/// An HTTP request that is being answered.
pub(super) struct InProgress<'a>(&'a AtomicUsize);

impl Drop for InProgress<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

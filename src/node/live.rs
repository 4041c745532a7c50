//! What a reload may change: read at the doors, each time anew, and never on the way of messages.
//!
//! A shard has settings of its own, which it is given when they change ([`Renewal`]).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ipnet::IpNet;

use crate::shard::Policy;

/// The settings in force.
#[derive(Debug)]
pub(super) struct Live {
    /// Those of the shards; who comes in is judged by the same.
    pub(super) policy: Arc<Policy>,
    pub(super) trusted_proxies: Vec<IpNet>,
    pub(super) api_key: Option<String>,
    pub(super) request_timeout: Duration,
    pub(super) flush_delay: Duration,
}

/// New settings on their way to one shard.
#[derive(Debug, Default)]
pub(super) struct Renewal {
    /// Looked at each turn, and most turns that is all.
    is_there: AtomicBool,
    policy: Mutex<Option<Arc<Policy>>>,
}

impl Renewal {
    /// Takes them, where there are any.
    pub(super) fn take(&self) -> Option<Arc<Policy>> {
        if !self.is_there.load(Ordering::Relaxed) {
            return None;
        }
        self.is_there.store(false, Ordering::Relaxed);
        self.policy.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

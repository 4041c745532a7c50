//! How long hyper waits for a connection's next request.
//!
//! hyper has one time for all requests of a connection, set before the first is known; who turns
//! out to have a polling session gets more for the next ones. So hyper's timer is this: it adds
//! what the connection is granted when the wait begins.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};
use hyper_util::rt::TokioTimer;

/// A connection's timer; its clones are one.
#[derive(Clone, Debug, Default)]
pub(super) struct Patience(Arc<AtomicU64>);

impl Patience {
    /// Grants so much more to every wait that begins from now on.
    pub(super) fn grant(&self, more: Duration) {
        self.0.store(more.as_millis() as u64, Ordering::Relaxed);
    }

    fn more(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

impl Timer for Patience {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        TokioTimer::new().sleep(duration + self.more())
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        TokioTimer::new().sleep_until(deadline + self.more())
    }
}

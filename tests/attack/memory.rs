//! The memory of this process: now, and the most since a moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often the height is looked for.
const EVERY: Duration = Duration::from_millis(2);

/// Resident bytes.
pub fn now() -> u64 {
    look().expect("the kernel tells it")
}

/// The same; `None` while there is no descriptor to look with.
fn look() -> Option<u64> {
    shardwire::process::resident_bytes()
}

/// Watches until it is asked for the most it saw.
pub struct Watch {
    shared: Arc<(AtomicU64, AtomicBool)>,
    thread: JoinHandle<()>,
}

impl Watch {
    pub fn begin() -> Self {
        let shared = Arc::new((AtomicU64::new(now()), AtomicBool::new(false)));
        let seen = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            while !seen.1.load(Ordering::Relaxed) {
                seen.0.fetch_max(look().unwrap_or(0), Ordering::Relaxed);
                std::thread::sleep(EVERY);
            }
        });
        Self { shared, thread }
    }

    pub fn end(self) -> u64 {
        self.shared.1.store(true, Ordering::Relaxed);
        self.thread.join().expect("it only looks");
        self.shared.0.load(Ordering::Relaxed)
    }
}

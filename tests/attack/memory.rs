//! The memory of this process or another: now, and the most since a moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often the height is looked for.
const EVERY: Duration = Duration::from_millis(2);

/// Resident bytes.
pub fn now() -> u64 {
    shardwire::process::resident_bytes().expect("the kernel tells it")
}

/// Watches until it is asked for the most it saw.
pub struct Watch {
    shared: Arc<(AtomicU64, AtomicBool)>,
    thread: JoinHandle<()>,
}

impl Watch {
    pub fn begin() -> Self {
        Self::of("self".into())
    }

    /// The same of another process.
    pub fn of(process: String) -> Self {
        let shared = Arc::new((AtomicU64::new(0), AtomicBool::new(false)));
        let seen = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            while !seen.1.load(Ordering::Relaxed) {
                let bytes = shardwire::process::resident_bytes_of(&process);
                seen.0.fetch_max(bytes.unwrap_or(0), Ordering::Relaxed);
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

//! The control thread: what a node does beside its shards and waits for on the network.
//!
//! One thread with a runtime of its own, so that nothing there ever holds up a turn. It ends when
//! the node does. In this version nothing runs on it.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::Notify;

/// The thread, while it runs.
#[derive(Debug)]
pub(super) struct Control {
    over: Arc<Notify>,
    thread: JoinHandle<()>,
}

impl Control {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system refuses a thread or descriptors: the operator's.
    pub(super) fn start() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let over = Arc::new(Notify::new());
        let told = Arc::clone(&over);
        let thread = std::thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || runtime.block_on(told.notified()))?;
        Ok(Self { over, thread })
    }

    /// Ends the thread, whatever it does. Blocks.
    ///
    /// # Panics
    /// When it panicked.
    pub(super) fn stop(self) {
        self.over.notify_one();
        self.thread.join().expect("the control thread does not panic");
    }
}

//! Ctrl-C: the first SIGINT or SIGTERM ends what is waited for, a second one this process.
//!
//! Caught from the start of a run to its end. The processes of a run are in groups of their own
//! (see `child`), so that a terminal interrupts the conductor alone, which then lets them end; when
//! it is ended by the second signal they end with their standard input.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag::{register, register_conditional_default};

use super::Problem;

/// Whether the run is interrupted.
#[derive(Debug, Default)]
pub(super) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// By a signal to this process. Once this is dropped the next one ends the process.
    ///
    /// # Errors
    /// The machine's: the signals cannot be caught.
    pub(super) fn caught() -> Result<Self, Problem> {
        let interrupt = Self::default();
        for signal in [SIGINT, SIGTERM] {
            let flag = || Arc::clone(&interrupt.0);
            // In this order: the first signal finds the flag down, and raises it.
            register_conditional_default(signal, flag())
                .and_then(|_| register(signal, flag()))
                .map_err(|why| Problem::Start { what: "the catching of signals".into(), why })?;
        }
        Ok(interrupt)
    }

    /// What raises it.
    #[cfg(test)]
    pub(super) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }

    /// # Errors
    /// [`Problem::Interrupted`].
    pub(super) fn check(&self) -> Result<(), Problem> {
        if self.0.load(Ordering::SeqCst) { Err(Problem::Interrupted) } else { Ok(()) }
    }
}

impl Drop for Interrupt {
    /// From now on a signal does what it does by itself.
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

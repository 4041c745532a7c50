//! A reload of `shardwire serve`: the sources are read anew, and what is different is applied or
//! named.
//!
//! Told by SIGHUP, and done on a thread of its own, one after the other: a file that does not answer
//! keeps nobody from ending the broker. Whatever is wrong with the new settings is logged, and those in force stay. The
//! log names keys and no values; its line `reloaded: …` comes when every shard has the new ones, but
//! for those that the log names before it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};

use super::ServeFlags;
use crate::config::{Change, Environment, Loaded, Secret};
use crate::node::{Reloader, Setup};

/// The thread that reloads.
pub(super) struct Reloads {
    asked: SyncSender<()>,
    drain_ms: Arc<AtomicU64>,
}

impl Reloads {
    /// Starts it.
    pub(super) fn start(mut running: Running, node: Reloader) -> Self {
        let drain_ms = Arc::new(AtomicU64::new(running.loaded.settings.server.drain_ms));
        // One that waits stands for all that are asked while another is done.
        let (asked, asks) = sync_channel(1);
        let in_force = Arc::clone(&drain_ms);
        std::thread::spawn(move || {
            for () in asks {
                running.reload(&node);
                in_force.store(running.loaded.settings.server.drain_ms, Ordering::Relaxed);
            }
        });
        Self { asked, drain_ms }
    }

    /// Asks for one; never waits.
    pub(super) fn ask(&self) {
        if let Err(TrySendError::Disconnected(())) = self.asked.try_send(()) {
            tracing::error!("not reloaded: an earlier reload failed; a restart will do");
        }
    }

    /// `server.drain_ms` as it is in force.
    pub(super) fn drain_ms(&self) -> u64 {
        self.drain_ms.load(Ordering::Relaxed)
    }
}

/// What a running broker was started with, to be read anew.
pub(super) struct Running {
    pub(super) flags: ServeFlags,
    /// What is in force.
    pub(super) loaded: Loaded,
    /// The secret of a run without a key.
    pub(super) generated: Secret,
}

impl Running {
    /// Puts in force what the sources say now, as far as a running broker can.
    fn reload(&mut self, node: &Reloader) {
        // The file may be another; the environment of a process is what it was.
        let new = self.flags.read(&Environment::of_process());
        let (loaded, changes) = match new.and_then(|new| self.loaded.renewed(new)) {
            Ok(renewed) => renewed,
            Err(problems) => {
                problems.iter().for_each(|problem| tracing::error!("{problem}"));
                if problems.more() > 0 {
                    tracing::error!("and {} more", problems.more());
                }
                tracing::error!("not reloaded: the settings in force stay");
                return;
            }
        };
        for warning in &loaded.warnings {
            if !self.loaded.warnings.contains(warning) {
                tracing::warn!("{warning}");
            }
        }
        let setup = Setup::at(node.address(), &loaded.settings, &self.generated);
        if let Err(error) = setup.and_then(|setup| Ok(node.reload(setup)?)) {
            error.to_string().lines().for_each(|line| tracing::error!("{line}"));
            tracing::error!("not reloaded: the settings in force stay");
            return;
        }
        self.loaded = loaded;
        let waiting = keys(&changes, false);
        if !waiting.is_empty() {
            tracing::warn!("needs a restart: {waiting}");
        }
        match keys(&changes, true).as_str() {
            "" => tracing::info!("reloaded: nothing that a running broker changes is different"),
            applied => tracing::info!("reloaded: {applied}"),
        }
    }
}

/// The keys that were applied, or those that were not.
fn keys(changes: &[Change], applied: bool) -> String {
    let changes = changes.iter().filter(|change| change.applied == applied);
    changes.map(|change| change.key).collect::<Vec<_>>().join(", ")
}

//! A reload of `shardwire serve`: the sources are read anew, and what is different is applied or
//! named.
//!
//! Told by SIGHUP. Whatever is wrong with the new settings is logged, and those in force stay. The
//! log names keys and no values; its line `reloaded: …` comes when every shard has the new ones, but
//! for those that the log names before it.

use super::ServeFlags;
use crate::config::{Change, Environment, Loaded, Secret};
use crate::node::{Node, Setup};

/// What a running broker was started with, to be read anew.
pub(super) struct Running<'a> {
    pub(super) flags: &'a ServeFlags,
    /// What is in force.
    pub(super) loaded: Loaded,
    /// The secret of a run without a key.
    pub(super) generated: Secret,
}

impl Running<'_> {
    /// Puts in force what the sources say now, as far as a running broker can.
    pub(super) fn reload(&mut self, node: &Node) {
        // The file may be another; the environment of a process is what it was.
        let new = self.flags.read(&Environment::of_process());
        let (loaded, changes) = match new.and_then(|new| self.loaded.renewed(new)) {
            Ok(renewed) => renewed,
            Err(problems) => {
                problems.iter().for_each(|problem| tracing::error!("{problem}"));
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

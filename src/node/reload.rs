//! Other settings for a running node: on each shard, and then at the doors.
//!
//! A [`Reloader`] is apart from its node, so that what a reload waits for never keeps the node from
//! its end. What of the settings may be different at all is `live.rs`.

use std::net::SocketAddr;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::node::common::Common;
use crate::node::setup::{Setup, SetupError};
use crate::node::{connections_max, live};

/// How long a reload waits for the shards' turns; a turn takes milliseconds.
const IN_FORCE_MAX: Duration = Duration::from_secs(10);

/// What puts other settings in force in a running node.
#[derive(Debug)]
pub struct Reloader {
    pub(super) address: SocketAddr,
    pub(super) common: Arc<Common>,
}

impl Reloader {
    /// The address that the node has bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Puts other settings in force: on each shard and then at the doors, by the time this returns.
    /// A shard whose turn takes longer than ten seconds is not waited for; there is a warning, and it
    /// takes them in its next one. The shards then hold their connections against them, some in each
    /// turn (`shard/review`). The addresses and the number of shards stay as they are. Blocks.
    ///
    /// # Errors
    /// [`SetupError::Fixed`] where something is different that a running broker does not change,
    /// [`SetupError::Descriptors`], and [`SetupError::Ends`]; nothing has changed then.
    pub fn reload(&self, mut setup: Setup) -> Result<(), SetupError> {
        let common = &self.common;
        if common.is_draining() {
            return Err(SetupError::Ends);
        }
        let same = common.control.has_webhook(setup.webhook.as_ref());
        let number = common.live().policy.webhook_number;
        setup.policy.webhook_number = if same { number } else { number + 1 };
        let shards = common.mailboxes.len() as u8;
        let per_address_max = setup.connections_per_ip_max;
        let wanted = setup.connections_max;
        let (webhook, live) = setup.live();
        if !live.may_follow(&common.live()) {
            return Err(SetupError::Fixed);
        }
        let connections_max = connections_max(wanted, shards).map_err(SetupError::Descriptors)?;
        common.census.limit(connections_max, per_address_max);
        common.control.set_webhook(webhook);
        let live = Arc::new(live);
        let (in_force, all) = channel();
        for (next, mailbox) in common.next.iter().zip(common.mailboxes.iter()) {
            next.put((Arc::clone(&live), in_force.clone()));
            mailbox.wake();
        }
        drop(in_force);
        // It ends with the last shard's turn: nothing is ever sent.
        if all.recv_timeout(IN_FORCE_MAX) == Err(RecvTimeoutError::Timeout) {
            let shards = live::not_taken(&common.next);
            tracing::warn!(?shards, "shards that have not taken the new settings yet");
        }
        // The doors last: a shard holds who comes in against its own, and would send away whom only
        // the new ones let in.
        *common.live.write().unwrap_or_else(PoisonError::into_inner) = live;
        Ok(())
    }
}

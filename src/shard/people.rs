//! Who is connected, by user and tenant: how a shard finds the connections of an audience.
//!
//! Kept in step where a connection comes, authenticates and ends. In this version nobody is looked
//! up by name, and it keeps nothing.

use crate::shard::slot::Slots;

/// The users and tenants of a shard's connections.
#[derive(Debug, Default)]
pub(super) struct People {}

impl People {
    /// A connection has an identity from now on.
    #[expect(clippy::unused_self, reason = "it keeps nothing yet")]
    pub(super) fn enter(&mut self, slots: &mut Slots, conn: u32) {
        debug_assert!(slots[conn].identity.is_some());
    }

    /// A connection has its identity, where it has one, no longer.
    #[expect(clippy::unused_self, reason = "it keeps nothing yet")]
    pub(super) fn leave(&mut self, slots: &mut Slots, conn: u32) {
        debug_assert!(slots[conn].phase != super::slot::Phase::Free);
    }
}

//! Settings that change while the shard runs, and what they mean for who is connected already.
//!
//! In this version settings never change: new ones are passed over.

use std::sync::Arc;

use crate::shard::hub::Hub;
use crate::shard::policy::Policy;
use crate::time::Now;

impl Hub {
    /// Takes new settings.
    #[expect(clippy::unused_self, reason = "they never change")]
    pub(super) fn reconfigure(&mut self, _now: Now, _policy: Arc<Policy>) {}
}

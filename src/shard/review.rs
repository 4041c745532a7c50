//! Settings that change while the shard runs, and what they mean for who is connected already.
//!
//! New settings hold from the next frame on. Connections are held against them some in each turn:
//! a million at once would stall the shard. One whose key is gone hears that its token is over, one
//! whose tenant or page is not let in any more is closed, and subscriptions end that the rules deny
//! now, or leave to a webhook that was not asked; what a lower limit would not give is left. Settings
//! that come meanwhile begin it anew. Who comes in is held against them too: the doors may have let
//! it in by those of before. Contract: protocols.md sections 4, 6 and 10.

use std::sync::Arc;

use crate::auth::Verdict;
use crate::close::Close;
use crate::config::Action;
use crate::limits::{REVIEW_POLICIES_MAX, REVIEW_SLOTS_PER_TURN, REVIEW_STEPS_PER_TURN};
use crate::shard::hub::Hub;
use crate::shard::outbox::Port;
use crate::shard::policy::Policy;
use crate::shard::session::{Notice, verdict};
use crate::shard::slot::{Phase, Slot};
use crate::time::Now;
use crate::topic::Pattern;

/// How far the connections are held against new settings.
#[derive(Debug, Default)]
pub(super) struct Review {
    /// The next slot to look at.
    next: u32,
    /// Slots there were when the settings came; those behind came in by them.
    end: u32,
    /// Whether settings have ever changed: what is kept may be above the bounds of now.
    pub(super) has_been: bool,
    /// Those of before: more than one where others came while connections were left to look at.
    before: Vec<Arc<Policy>>,
}

impl Review {
    /// Whether there are connections left to look at.
    pub(super) fn is_on(&self) -> bool {
        self.next < self.end
    }

    /// Puts the settings of now among those of before.
    fn begin(&mut self, end: u32, old: Arc<Policy>) {
        if !self.is_on() {
            self.before.clear();
        }
        if self.before.len() < REVIEW_POLICIES_MAX {
            self.before.push(old);
        }
        (self.next, self.end, self.has_been) = (0, end, true);
    }

    /// Whether a webhook was asked before a connection got this subscription, by all that is known.
    pub(super) fn was_asked(&self, slot: &Slot, pattern: Pattern<'_>) -> bool {
        let asks =
            |old: &Arc<Policy>| verdict(old, slot, Action::Subscribe, pattern) == Verdict::Ask;
        self.before.len() < REVIEW_POLICIES_MAX && self.before.iter().all(asks)
    }

    /// Whether a connection has been held against the settings of now.
    pub(super) fn has_passed(&self, conn: u32) -> bool {
        conn < self.next || conn >= self.end
    }
}

impl Hub {
    /// Takes new settings; [`Hub::review_some`] is to follow in this turn and the next ones.
    ///
    /// # Panics
    /// When the endpoints are not as many as before: slots hold them by number.
    pub(super) fn reconfigure(&mut self, _now: Now, policy: Arc<Policy>) {
        assert_eq!(policy.endpoints.len(), self.policy.endpoints.len(), "endpoints never change");
        if policy.webhook_number != self.policy.webhook_number {
            self.asking.forget_answers();
        }
        let old = std::mem::replace(&mut self.policy, policy);
        self.review.begin(self.slots.places(), old);
    }

    /// Holds some connections against the settings.
    pub(super) fn review_some(&mut self, now: Now, port: &mut impl Port) {
        let last = self.review.next.saturating_add(REVIEW_SLOTS_PER_TURN).min(self.review.end);
        let mut steps = 0;
        while self.review.next < last && steps < REVIEW_STEPS_PER_TURN {
            let conn = self.review.next;
            self.review.next += 1;
            if !matches!(self.slots[conn].phase, Phase::Open | Phase::Guest) {
                continue;
            }
            steps += self.topics.subscription_count(conn);
            self.hold_against_settings(now, conn);
            if matches!(self.slots[conn].phase, Phase::Open | Phase::Guest) {
                self.withdraw_forbidden(now, conn, true);
                self.rearm(now, conn);
            }
            if self.outbox.is_full() {
                self.flush(now, port);
            }
        }
        if !self.review.is_on() {
            self.review.before.clear();
        }
    }

    /// Closes a connection that the settings do not let in any more.
    pub(super) fn hold_against_settings(&mut self, now: Now, conn: u32) {
        let slot = &self.slots[conn];
        if !matches!(slot.phase, Phase::Open | Phase::Guest) {
            return;
        }
        if let Some(close) = objection(&self.policy, slot) {
            if close == Close::TokenExpired {
                self.tell(now, conn, Notice::AuthExpired);
            }
            // Of Socket.IO the whole engine: its client comes back for what is let in.
            self.begin_close(now, self.carrier_of(conn), close);
        }
    }
}

/// Why a connection cannot stay, if so.
fn objection(policy: &Policy, slot: &Slot) -> Option<Close> {
    if let Some(identity) = slot.identity.as_deref() {
        let key = identity.key();
        // Without a verifier identities come from elsewhere.
        if key != 0 && policy.verifier.as_ref().is_some_and(|it| !it.has_key(key)) {
            return Some(Close::TokenExpired);
        }
        if !policy.tenants.admits(identity.tenant()) {
            return Some(Close::Withdrawn);
        }
    }
    (!slot.origin.is_allowed(&policy.origins)).then_some(Close::Withdrawn)
}

//! What must hold of a shard between two of its verbs, as assertions. For tests: O(everything).
//!
//! Each part asserts its own story; here the parts are laid side by side: slots and topic index,
//! gauges and what they count, deadlines and the wheel, subscriptions and the interest table.

use std::collections::BTreeSet;

use super::Shard;
use super::hub::Hub;
use super::role::Role;
use super::slot::Phase;
use super::timers::Tick;

use crate::time::Now;
use crate::topic::Pattern;

impl Shard {
    /// Asserts every invariant of the shard; `now` is the time of the last verb.
    ///
    /// # Panics
    /// When one does not hold: a bug of this crate.
    #[doc(hidden)]
    pub fn check(&self, now: Now) {
        let hub = &self.hub;
        hub.slots.check();
        hub.topics.check();
        hub.wheel.check();
        hub.post.check();
        hub.history.check();
        hub.check_connections(now);
        hub.check_gauges();
        let names = hub.topics.topics().map(|(name, _)| name).chain(hub.topics.patterns());
        hub.interest.check(names.map(Pattern::checked));
        hub.receipts.check();
        hub.asking.check(&hub.slots, &hub.metrics);
        hub.people.check(&hub.slots);
        hub.check_recovery();
    }

    /// Asserts that nothing is left of what came in: no connection, no mail kept back, nobody's
    /// answer awaited.
    ///
    /// # Panics
    /// When something is.
    #[doc(hidden)]
    pub fn check_empty(&self, now: Now) {
        self.check(now);
        let hub = &self.hub;
        assert_eq!((hub.slots.len(), hub.post.spilled(), hub.receipts.open()), (0, 0, 0));
        assert_eq!((hub.inquiries.open(), hub.operators.len()), (0, 0));
        assert_eq!((hub.topics.topic_count(), hub.topics.pattern_count()), (0, 0));
        assert_eq!(hub.wheel.next(), None);
        hub.check_nobody_waits();
        assert!(!self.is_dirty() && !self.is_ending());
        for gauge in [
            &hub.metrics.connections,
            &hub.metrics.connections_authenticated,
            &hub.metrics.subscriptions,
            &hub.metrics.outbox_bytes,
            &hub.metrics.outbox_connections,
            &hub.metrics.mails_spilled,
        ] {
            assert_eq!(gauge.get(), 0);
        }
    }
}

impl Shard {
    /// Bytes of heap by part, where a part can tell; idle connections have no others but the text
    /// of their identities.
    #[doc(hidden)]
    pub fn heap_bytes(&self) -> [(&'static str, usize); 7] {
        let hub = &self.hub;
        let slots = hub.slots.indices();
        let identities = slots.iter().filter_map(|conn| hub.slots[*conn].identity.as_ref());
        let identities = identities.map(|it| size_of_val(&**it) + it.heap_bytes()).sum();
        [
            ("slots", hub.slots.heap_bytes()),
            ("sessions", hub.slots.roles_heap_bytes()),
            ("topic index", hub.topics.heap_bytes()),
            ("timer wheel", hub.wheel.heap_bytes()),
            ("identities", identities),
            ("people", hub.people.heap_bytes()),
            ("outbox", hub.outbox.heap_bytes()),
        ]
    }
}

impl Hub {
    fn check_connections(&self, now: Now) {
        let dirty = self.outbox.check();
        for conn in self.slots.indices() {
            let slot = &self.slots[conn];
            let subscriptions = self.topics.subscription_count(conn);
            let is_there = self.may_subscribe(conn);
            assert!(is_there || subscriptions == 0, "{conn} is closing");
            let max = self.policy.subscriptions_max;
            assert!(subscriptions <= max || self.review.has_been);
            assert!(slot.pending.is_empty() || dirty.contains(&conn), "{conn} is not dirty");
            let ends = self.ending.iter().any(|ending| ending.key.index == conn);
            match self.wheel.due(conn) {
                // Those of before may have let it sleep longer.
                Some(_) if !self.review.has_passed(conn) => {}
                Some(due) => assert!(due <= self.latest_wake(now, conn), "{conn} sleeps too long"),
                None => assert!(ends, "{conn} has no deadline"),
            }
            if let Some(backlog) = &slot.backlog {
                let mut bound = self.policy.outbox;
                if self.review.has_been {
                    bound.bytes_max = usize::MAX;
                }
                backlog.check(bound, slot.phase != Phase::Open);
            }
        }
        let known = self.topics.connections();
        assert!(known.into_iter().all(|conn| self.may_subscribe(conn)));
    }

    /// Whether a slot is one of the topic index: somebody is there, or will be again.
    fn may_subscribe(&self, conn: u32) -> bool {
        matches!(self.slots[conn].phase, Phase::Open | Phase::Guest) || self.ghost(conn).is_some()
    }

    fn check_recovery(&self) {
        let ghosts = self.slots.indices().into_iter().filter(|conn| self.ghost(*conn).is_some());
        let ghosts: BTreeSet<u32> = ghosts.collect();
        assert_eq!(self.metrics.socketio_ghosts.get(), ghosts.len() as u64);
        let sockets = self.slots.indices().into_iter().filter(|conn| self.socket(*conn).is_some());
        let sockets = sockets.filter(|conn| !ghosts.contains(conn)).count();
        assert_eq!(self.metrics.socketio_sockets.get(), sockets as u64);
        let Some(recovery) = &self.recovery else { return assert!(ghosts.is_empty()) };
        for (sid, conn) in &recovery.came {
            let is_its = matches!(
                self.slots.role(*conn),
                Some(Role::Carrier(it)) if it.home.as_deref().is_some_and(|home| home.sid == *sid)
            );
            assert!(is_its, "{conn} is not what came");
        }
        recovery.log.check();
        recovery.ghosts.check(|conn| self.topics.subscriptions(conn));
        assert_eq!(recovery.ghosts.slots().collect::<BTreeSet<_>>(), ghosts);
        for conn in ghosts {
            let Some(ghost) = self.ghost(conn) else { continue };
            assert!(self.slots[conn].identity.is_none(), "ghost {conn} is somebody");
            let is_own = self.slots[conn].phase != Phase::Ghost;
            let waits = ghost.is_returning || recovery.lost.contains(&conn);
            assert!(is_own || waits || ghost.until != Tick::NEVER, "ghost {conn} lasts for ever");
            let returns = recovery.returns.iter().filter(|it| it.number == ghost.number);
            assert_eq!(returns.count(), usize::from(ghost.is_returning));
        }
    }

    /// Whether a slot is none of a connection that was counted in.
    fn is_beside(&self, conn: u32) -> bool {
        matches!(
            self.slots.role(conn),
            Some(Role::Guest(_) | Role::Ghost(_) | Role::Probe(_) | Role::Forward(_))
        )
    }

    fn check_gauges(&self) {
        let (mut authenticated, mut subscriptions, mut bytes, mut backlogs) = (0, 0, 0, 0);
        for conn in self.slots.indices() {
            let slot = &self.slots[conn];
            authenticated += u64::from(slot.identity.is_some());
            subscriptions += self.topics.subscription_count(conn);
            bytes += slot.backlog.as_ref().map_or(0, |backlog| backlog.bytes());
            backlogs += u64::from(slot.backlog.is_some());
        }
        let metrics = &self.metrics;
        let connections = self.slots.indices().into_iter().filter(|conn| !self.is_beside(*conn));
        let connections = connections.count() as u64;
        assert_eq!(metrics.connections.get(), connections);
        let ended = metrics.connections_ended_total.get();
        assert_eq!(metrics.connections_opened_total.get() - ended, connections);
        assert_eq!(metrics.connections_authenticated.get(), authenticated);
        assert_eq!(metrics.subscriptions.get(), subscriptions as u64);
        assert_eq!(metrics.topics.get(), self.topics.topic_count() as u64);
        assert_eq!(metrics.patterns.get(), self.topics.pattern_count() as u64);
        assert_eq!(metrics.outbox_bytes.get(), bytes as u64);
        assert_eq!(metrics.outbox_connections.get(), backlogs);
    }
}

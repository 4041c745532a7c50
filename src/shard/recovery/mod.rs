//! Connection state recovery: what is kept so that a Socket.IO client that lost its transport finds
//! its socket, and hears what it has missed.
//!
//! Here: the state, and how the fan-out comes by a message's offset. What becomes of a lost socket
//! and how it comes back is `session/socketio/recover.rs`. Where recovery is off there is none of
//! this, and no event has an offset. Contract: protocols.md section 5.

mod ghosts;
mod log;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use ahash::AHashMap;

use crate::audience::Audience;
use crate::auth::Identity;
use crate::connection::ConnKey;
use crate::message::{Message, Publication};
use crate::metrics::ShardMetrics;
use crate::shard::policy::SocketIoPolicy;
use crate::shard::role::Namespace;
use crate::sid::Sid;

pub(in crate::shard) use ghosts::Ghosts;
pub(in crate::shard) use log::{At, Log, Offset, To};

/// What recovery keeps on a shard.
#[derive(Debug)]
pub(in crate::shard) struct Recovery {
    /// What was said.
    pub log: Log,
    /// Who lost its transport.
    pub ghosts: Ghosts,
    /// Engines that are to go to the shard of a socket that their clients come back for.
    pub departures: Vec<Departure>,
    /// Engines that came from another shard, by their names of there.
    pub came: AHashMap<Sid, u32>,
    /// Those of them that were lost since the time was last looked at: their time begins there.
    pub lost: Vec<u32>,
    /// Those who come back now, each a slice in a turn.
    pub returns: VecDeque<Return>,
    /// When they are gone on with, in monotonic milliseconds.
    pub due_ms: u64,
    /// When old entries are dropped next, in monotonic milliseconds.
    pub sweep_ms: u64,
    /// For how many milliseconds a ghost is kept.
    pub ghost_ms: u64,
}

/// An engine that is to go to another shard.
pub(in crate::shard) struct Departure {
    /// Its slot.
    pub key: ConnKey,
    /// The shard.
    pub to: u8,
    /// Its client's CONNECT packets, which are answered there.
    pub connects: Connects,
}

/// CONNECT packets that are not answered yet: the namespace, and what the client says of itself.
pub(in crate::shard) type Connects = Vec<(Namespace, Option<Box<str>>)>;

impl fmt::Debug for Departure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What clients say of themselves is secret.
        write!(f, "Departure({:?} to {})", self.key, self.to)
    }
}

/// A socket that comes back.
pub(in crate::shard) struct Return {
    /// Its slot.
    pub socket: u32,
    /// What it came back with; the slot may be somebody else's in the meantime.
    pub number: u64,
    /// The engine that it comes back on.
    pub carrier: ConnKey,
    /// Its namespace.
    pub namespace: Namespace,
    /// Who it is, by the token it has shown now.
    pub identity: Option<Box<Identity>>,
    /// That token, where it is looked at later.
    pub token: Option<Box<str>>,
    /// The place up to which it has heard everything.
    pub heard: u64,
    /// The hashes of its rooms' names, in order, once they were judged.
    pub rooms: Option<Vec<u64>>,
}

impl fmt::Debug for Return {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its token is secret.
        write!(f, "Return({} on {:?}, heard {})", self.socket, self.carrier, self.heard)
    }
}

impl Recovery {
    /// That of a shard; `None` where it is off.
    pub(in crate::shard) fn new(
        metrics: &Arc<ShardMetrics>,
        (seed, shard): (u64, u8),
        policy: &SocketIoPolicy,
    ) -> Option<Box<Self>> {
        // Those of one run need not differ, but are not to be taken for each other either.
        let seed = (seed ^ u64::from(shard)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let ghost_ms = policy.recovery_ms?;
        // A loss is noticed so late at most, and counts from when it is.
        let beat_ms = policy.ping_interval_ms.saturating_add(policy.ping_timeout_ms);
        let log = Log::new(Arc::clone(metrics), seed, ghost_ms.saturating_add(beat_ms));
        Some(Box::new(Self {
            log,
            ghosts: Ghosts::default(),
            departures: Vec::new(),
            came: AHashMap::new(),
            lost: Vec::new(),
            returns: VecDeque::new(),
            due_ms: 0,
            sweep_ms: 0,
            ghost_ms,
        }))
    }

    /// The offset of the last message that was said.
    pub(in crate::shard) fn last_offset(&self) -> Offset {
        self.log.offset(self.log.last())
    }
}

/// A message on its way to those for whom it is: it gets its place in the log when the first of them
/// is met who may come back for it, once.
pub(in crate::shard) struct Said<'a> {
    recovery: Option<&'a mut Recovery>,
    publication: &'a Publication<'a>,
    shared: Option<&'a Arc<Message>>,
    to: Option<&'a Audience>,
    skip: Option<u32>,
    offset: Option<Offset>,
}

impl<'a> Said<'a> {
    /// A message of which nobody was met yet. `to`: its audience, where that is not the subscribers
    /// of its topic; `skip`: the slot of who is not to hear it.
    pub(in crate::shard) fn new(
        recovery: &'a mut Option<Box<Recovery>>,
        publication: &'a Publication<'a>,
        shared: Option<&'a Arc<Message>>,
        to: Option<&'a Audience>,
        skip: Option<u32>,
    ) -> Self {
        Self { recovery: recovery.as_deref_mut(), publication, shared, to, skip, offset: None }
    }

    /// Somebody was met who may come back: the offset that goes with the message, where recovery is
    /// on. One that is of this moment has no place, and goes with the last one's.
    pub(in crate::shard) fn offset(&mut self) -> Option<Offset> {
        if self.offset.is_some() {
            return self.offset;
        }
        let recovery = self.recovery.as_deref_mut()?;
        if !self.publication.ephemeral {
            let message = match self.shared {
                Some(message) => Arc::clone(message),
                None => Arc::new(Message::new(self.publication)),
            };
            let to = self.to.map_or(To::Topic, |to| To::Audience(to.clone()));
            recovery.log.push(message, to, self.skip);
        }
        self.offset = Some(recovery.last_offset());
        self.offset
    }

    /// Whether somebody is away who may come back.
    pub(in crate::shard) fn has_ghosts(&self) -> bool {
        self.recovery.as_deref().is_some_and(|it| it.ghosts.len() > 0)
    }
}

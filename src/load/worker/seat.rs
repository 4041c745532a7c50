//! What a worker keeps of one connection, beside its words in the ledger; and of all of them.
//!
//! A few words each: an idle connection of the load costs this, its slot in the swarm, and no more.
//! Filled by [`super::comings`], read by [`super::clients`].

/// Reasons that are kept, each once.
const REASONS_MAX: usize = 10;

/// How many there are.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// Of the crowd, subscribed.
    pub(super) subscribed: u32,
    /// Publishers that are ready, members or not.
    pub(super) publishers: u32,
    /// On their way to it.
    pub(super) connecting: u32,
    /// Given up.
    pub(super) failed: u32,
    /// Some of the reasons.
    pub(super) reasons: Vec<String>,
    /// When the last became ready.
    pub(super) ready_us: u64,
}

/// One connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seat {
    pub(super) stage: Stage,
    /// It was there before: if it is refused, it tries again.
    pub(super) returns: bool,
    /// Times that it was refused since.
    pub(super) attempts: u8,
    /// Subscriptions that are not confirmed yet.
    pub(super) pending: u32,
    /// Messages of this worker before it was subscribed: [`NEVER`] for who is not waited for.
    pub(super) joined: u32,
    /// When it last got further on its way to being ready: milliseconds, modulo 2³².
    went_on_ms: u32,
    /// When it was meant to be begun, or was lost.
    pub(super) since_us: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    #[default]
    Away,
    Connecting,
    Subscribing,
    Ready,
    /// Ready, and reads slowly.
    Slow,
}

impl Stage {
    /// Whether it is on its way to being ready.
    pub(super) fn is_connecting(self) -> bool {
        matches!(self, Self::Connecting | Self::Subscribing)
    }

    pub(super) fn is_ready(self) -> bool {
        matches!(self, Self::Ready | Self::Slow)
    }
}

impl Seat {
    /// It gets further.
    pub(super) fn went_on(&mut self, now_us: u64) {
        self.went_on_ms = (now_us / 1000) as u32;
    }

    /// Whether it is on its way and has got no further for so long.
    pub(super) fn is_stuck(&self, now_us: u64, patience_us: u64) -> bool {
        let still_ms = ((now_us / 1000) as u32).wrapping_sub(self.went_on_ms);
        self.stage.is_connecting() && u64::from(still_ms) * 1000 >= patience_us
    }
}

impl Standing {
    /// Keeps a reason, if it is a new one. It is told on as it is: see [`super::words`].
    pub(super) fn note(&mut self, reason: String) {
        if self.reasons.len() < REASONS_MAX && !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
    }
}

/// In [`Seat::joined`]: no message waits for it.
pub(super) const NEVER: u32 = u32::MAX;

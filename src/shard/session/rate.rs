//! How much a client may send: its rate limit, counted by windows.
//!
//! Called by the sessions of every dialect, once for each data frame, well formed or not. What is
//! over is refused with the time to come back; who is over again and again, or by far, is closed
//! with 4429 (protocols.md section 11, "Life and limits").

use crate::limits::{RATE_BURST_FACTOR, RATE_WINDOWS_MAX};
use crate::shard::hub::Hub;
use crate::shard::policy::Bucket;
use crate::time::Now;

/// Whether a data frame is within the rate limit.
pub(super) enum Admission {
    Within,
    Over { retry_after_ms: u64 },
    Abuse,
}

impl Hub {
    /// Counts a data frame against the connection's rate limit.
    pub(super) fn admit(&mut self, now: Now, conn: u32) -> Admission {
        let Some(Bucket { amount: frames, window_ms }) = self.policy.rate.messages else {
            return Admission::Within;
        };
        let rate = &mut self.slots[conn].rate;
        let window = (now.mono_ms / window_ms) as u32;
        if rate.window != window {
            if rate.frames <= frames || rate.window.wrapping_add(1) != window {
                rate.strikes = 0;
            }
            (rate.window, rate.frames) = (window, 0);
        }
        rate.frames = rate.frames.saturating_add(1);
        if rate.frames <= frames {
            return Admission::Within;
        }
        if rate.frames == frames + 1 {
            rate.strikes += 1;
        }
        let burst = frames.saturating_mul(RATE_BURST_FACTOR);
        if rate.strikes >= RATE_WINDOWS_MAX || rate.frames > burst {
            return Admission::Abuse;
        }
        Admission::Over { retry_after_ms: window_ms - now.mono_ms % window_ms }
    }
}

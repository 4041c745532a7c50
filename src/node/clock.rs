//! The real clocks, read together.
//!
//! The core gets its time from here and from nowhere else: `node/` reads once or twice a turn.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::time::{Now, Timestamp};

/// The time now; the monotonic clock counts from the first call in the process.
pub fn now() -> Now {
    static START: OnceLock<Instant> = OnceLock::new();
    let mono_ms = START.get_or_init(Instant::now).elapsed().as_millis() as u64;
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now { mono_ms, wall: Timestamp(wall.as_millis() as u64) }
}

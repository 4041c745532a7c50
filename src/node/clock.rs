//! The real clocks, read together.
//!
//! The core gets its time from here and from nowhere else: `node/` reads once or twice a turn. Both
//! clocks are cut to milliseconds, each at a moment of its own, so their difference would waver by
//! one; what is told of the past ("connected at") is counted back from now, and must not.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::time::{Now, Timestamp};

/// The time now; the monotonic clock counts from the first call in the process. The wall clock is
/// the system's to within a millisecond.
pub fn now() -> Now {
    static START: OnceLock<Instant> = OnceLock::new();
    static AHEAD_MS: AtomicU64 = AtomicU64::new(0);
    let mono_ms = START.get_or_init(Instant::now).elapsed().as_millis() as u64;
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now { mono_ms, wall: Timestamp(steady(mono_ms, wall.as_millis() as u64, &AHEAD_MS)) }
}

/// The wall clock by the monotonic one and what it was ahead of that, which is taken anew where it
/// is wrong by more than the two were cut by: somebody has set the clock.
fn steady(mono_ms: u64, wall_ms: u64, ahead_ms: &AtomicU64) -> u64 {
    // Relaxed: whoever reads an old value finds it wrong, and takes it anew too.
    let by_mono = mono_ms.wrapping_add(ahead_ms.load(Ordering::Relaxed));
    if wall_ms.abs_diff(by_mono) <= 1 {
        return by_mono;
    }
    ahead_ms.store(wall_ms.wrapping_sub(mono_ms), Ordering::Relaxed);
    wall_ms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_keep_their_distance_until_one_is_set() {
        let ahead = AtomicU64::new(0);
        assert_eq!(steady(10, 1_000_010, &ahead), 1_000_010);
        // Cut at other moments: one late, then the other.
        assert_eq!(steady(10, 1_000_011, &ahead), 1_000_010);
        assert_eq!(steady(12, 1_000_011, &ahead), 1_000_012);
        // Set forwards, and back behind the monotonic clock.
        assert_eq!(steady(13, 2_000_000, &ahead), 2_000_000);
        assert_eq!(steady(14, 2_000_000, &ahead), 2_000_001);
        assert_eq!(steady(15, 3, &ahead), 3);
        assert_eq!(steady(17, 5, &ahead), 5);
    }
}

//! The monotonic clock, the same for all processes of a machine: what stamps, windows and samples
//! are told in. Microseconds of `CLOCK_MONOTONIC`, which counts from the boot.

use rustix::time::{ClockId, clock_gettime};

/// Microseconds now.
pub fn now_us() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.unsigned_abs() * 1_000_000 + now.tv_nsec.unsigned_abs() / 1000
}

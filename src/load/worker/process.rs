//! What a worker knows of its own process: its CPU time, its memory, its processor.
//!
//! The conductor reads the same from outside where it has to be exact; this is for samples.

use std::fs;
use std::io;

use rustix::param::page_size;
use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

/// CPU time since the process began, of all its threads, in microseconds.
pub(super) fn cpu_us() -> u64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    used.tv_sec.cast_unsigned() * 1_000_000 + used.tv_nsec.cast_unsigned() / 1000
}

/// Resident memory in bytes; 0 where there is no `/proc`.
pub(super) fn resident_bytes() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or(0) * page_size() as u64
}

/// Binds this thread, and those it starts, to a processor.
///
/// # Errors
/// There is no such processor, or it is not for this process.
pub(super) fn pin(processor: u32) -> io::Result<()> {
    let processor = processor as usize;
    if processor >= CpuSet::MAX_CPU {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut set = CpuSet::new();
    set.set(processor);
    Ok(sched_setaffinity(None, &set)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_used_time_and_memory() {
        assert!(cpu_us() > 0);
        assert!(resident_bytes() > 1 << 20);
        assert!(pin(1 << 30).is_err());
    }
}

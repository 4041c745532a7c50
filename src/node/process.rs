//! What the process as a whole uses, for `/metrics`: read when somebody asks, from the kernel.
//!
//! Apart from the shards' counters, which cost nothing to read and are in every report.

use std::fs;
use std::sync::OnceLock;

use rustix::process::{Resource, getrlimit};

use crate::http::health::Process;
use crate::node::clock;
use crate::process::{cpu_time, resident_bytes};

/// The figures of this process. Costs some system calls, whatever the number of connections.
pub(super) fn figures() -> Process {
    static START: OnceLock<u64> = OnceLock::new();
    Process {
        cpu_us: cpu_time().as_micros() as u64,
        resident_bytes: resident_bytes(),
        // The folder's size is the number of open files, since Linux 6.2; before, it is 0.
        open_descriptors: fs::metadata("/proc/self/fd")
            .ok()
            .map(|folder| folder.len())
            .filter(|open| *open > 0),
        descriptors_max: getrlimit(Resource::Nofile).current,
        start_ms: *START.get_or_init(|| {
            let now = clock::now();
            now.wall.0.saturating_sub(now.mono_ms)
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_this_process() {
        let first = figures();
        assert!(first.resident_bytes.is_some_and(|bytes| bytes > 1 << 16), "{first:?}");
        assert!(first.open_descriptors.is_none_or(|open| open >= 3), "{first:?}");
        let second = figures();
        assert!(second.cpu_us >= first.cpu_us && second.start_ms == first.start_ms);
    }
}

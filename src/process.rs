//! What the kernel tells of processes and threads, and grants them: CPU time, resident memory, a
//! processor to run on, descriptors.
//!
//! Each function is one question to the kernel, asked anew at each call; nothing is kept. Used by
//! whoever runs threads or measures them ([`crate::node`], [`crate::load`]); never by the sans-io
//! core, which is told the time and holds no descriptor. Linux, with `/proc` for memory.

use std::fmt::Display;
use std::time::Duration;
use std::{fs, io};

use rustix::param::page_size;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

/// CPU time of this process since it began, of all its threads.
pub fn cpu_time() -> Duration {
    clock(ClockId::ProcessCPUTime)
}

/// CPU time of this thread since it began.
pub fn thread_cpu_time() -> Duration {
    clock(ClockId::ThreadCPUTime)
}

fn clock(id: ClockId) -> Duration {
    let used = clock_gettime(id);
    // Neither is ever negative.
    Duration::from_secs(used.tv_sec.cast_unsigned())
        + Duration::from_nanos(used.tv_nsec.cast_unsigned())
}

/// Resident memory of this process in bytes, off by some pages for each processor; `None` where
/// there is no `/proc`.
pub fn resident_bytes() -> Option<u64> {
    resident_bytes_of("self")
}

/// The same of any process, by its id; `None` when it is not there.
pub fn resident_bytes_of(process: impl Display) -> Option<u64> {
    let statm = fs::read_to_string(format!("/proc/{process}/statm")).ok()?;
    Some(statm_pages(&statm)? * page_size() as u64)
}

/// The resident pages in the text of `statm`: its second field.
fn statm_pages(text: &str) -> Option<u64> {
    text.split_whitespace().nth(1)?.parse().ok()
}

/// Binds this thread, and those it starts from now on, to a processor.
///
/// # Errors
/// There is no such processor, or it is not for this process.
pub fn pin(processor: usize) -> io::Result<()> {
    bind(None, processor)
}

/// Binds the first thread of another process, and those it starts from now on, to a processor.
///
/// # Errors
/// There is no such processor or process, or it is not ours.
pub fn pin_other(process: u32, processor: usize) -> io::Result<()> {
    // 0 would be this thread.
    let pid = Pid::from_raw(process.cast_signed()).ok_or(io::ErrorKind::InvalidInput)?;
    bind(Some(pid), processor)
}

fn bind(pid: Option<Pid>, processor: usize) -> io::Result<()> {
    if processor >= CpuSet::MAX_CPU {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut own = CpuSet::new();
    own.set(processor);
    Ok(sched_setaffinity(pid, &own)?)
}

/// Raises the soft limit of descriptors to the hard one, for this process and those it starts; what
/// it is then, also where it could not be raised. Without a limit that is the greatest number.
pub fn raise_descriptor_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let limit = if setrlimit(Resource::Nofile, raised).is_ok() { raised } else { limit };
    limit.current.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_used_time_and_memory() {
        let thread = thread_cpu_time();
        assert!(!thread.is_zero() && thread <= cpu_time());
        assert!(resident_bytes().is_some_and(|bytes| bytes > 1 << 20));
        assert!(resident_bytes_of(std::process::id()).is_some_and(|bytes| bytes > 1 << 20));
        assert_eq!(resident_bytes_of(u32::MAX), None);
        assert_eq!(statm_pages("765 443 415 5 0 123 0\n"), Some(443));
        assert_eq!(statm_pages("765"), None);
    }

    #[test]
    fn a_processor_that_is_not_there() {
        assert!(pin(1 << 30).is_err());
        assert!(pin_other(std::process::id(), 1 << 30).is_err());
        assert!(pin_other(0, 0).is_err());
    }

    #[test]
    fn descriptors_as_many_as_may_be() {
        let most = raise_descriptor_limit();
        assert!(most >= 64);
        assert_eq!(raise_descriptor_limit(), most);
    }
}

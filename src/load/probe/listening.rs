//! Whether a process is who listens at a port: its descriptors against the kernel's list of sockets.
//!
//! Read once a run, of processes that somebody named: a number mistyped or out of date would measure
//! something else. Bounded, as a process may have very many descriptors.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;

/// Lines of the list that are read; those that listen come first.
const LINES_MAX: usize = 65_536;
/// Descriptors of one process that are looked at.
const DESCRIPTORS_MAX: usize = 65_536;
/// The state of a socket that listens, as the list has it.
const LISTEN: &str = "0A";

/// Whether one of these processes listens at a TCP port, in the network of the first of them.
/// `None`: their descriptors cannot be read, or not all.
pub(super) fn is_one_of(pids: &[u32], port: u16) -> Option<bool> {
    let first = pids.first()?;
    let inodes: HashSet<u64> = ["tcp", "tcp6"]
        .iter()
        .filter_map(|list| File::open(format!("/proc/{first}/net/{list}")).ok())
        .flat_map(|list| listening(BufReader::new(list), port))
        .collect();
    if inodes.is_empty() {
        return Some(false);
    }
    let mut all = true;
    for pid in pids {
        let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else {
            all = false;
            continue;
        };
        let mut entries = entries.flatten();
        let targets = entries.by_ref().take(DESCRIPTORS_MAX);
        let mut sockets = targets.filter_map(|entry| inode(&fs::read_link(entry.path()).ok()?));
        if sockets.any(|inode| inodes.contains(&inode)) {
            return Some(true);
        }
        all &= entries.next().is_none();
    }
    all.then_some(false)
}

/// The inodes of sockets that listen at a port, of the kernel's list.
fn listening(list: impl BufRead, port: u16) -> Vec<u64> {
    let lines = list.lines().map_while(Result::ok).take(LINES_MAX);
    lines.filter_map(|line| listener(&line, port)).collect()
}

/// The inode in a line of that list, if it is of a socket that listens at the port.
fn listener(line: &str, port: u16) -> Option<u64> {
    let mut fields = line.split_whitespace().skip(1);
    let (_, at) = fields.next()?.rsplit_once(':')?;
    let state = fields.nth(1)?;
    let is_it = u16::from_str_radix(at, 16) == Ok(port) && state == LISTEN;
    is_it.then(|| fields.nth(5)?.parse().ok()).flatten()
}

/// The inode in what a socket's descriptor points to.
fn inode(target: &Path) -> Option<u64> {
    target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const LIST: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
        0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 00 100 0\n\
        1: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4712 1 00 100 0\n\
        2: 0100007F:1F90 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 4713 1 00 100 0\n\
        3: 00000000000000000000000000000000:1F90 00:0 0A 0:0 00:0 0 0 0 4714 1 00\n";

    #[test]
    fn who_listens_stands_in_the_list() {
        assert_eq!(listening(LIST.as_bytes(), 8080), [4711, 4714]);
        assert_eq!(listening(LIST.as_bytes(), 54_321), [0; 0]);
        assert_eq!(inode(Path::new("socket:[4711]")), Some(4711));
        assert_eq!(inode(Path::new("/dev/null")), None);
    }

    #[test]
    fn this_process_listens_and_its_parent_does_not() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (own, parent) = (std::process::id(), std::os::unix::process::parent_id());
        assert_eq!(is_one_of(&[own], port), Some(true));
        assert_ne!(is_one_of(&[parent], port), Some(true));
        assert_eq!(is_one_of(&[parent, own], port), Some(true));
        drop(listener);
        assert_eq!(is_one_of(&[own], port), Some(false));
    }
}

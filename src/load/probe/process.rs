//! CPU time and memory of a process and all that descend from it, from `/proc`.
//!
//! CPU is that of every task (`schedstat`, in nanoseconds), not of the process (`stat`, in ticks of
//! 10 ms): a window may be shorter than a tick. A task that ends takes its figure with it, so the
//! most that was seen of each is kept. What cannot be read is not there: processes come and go
//! while they are looked at. This process and those it started are no part of a server, even where
//! one process is the ancestor of both.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::process::resident_bytes_of;

/// How often new descendants are looked for.
const SEARCH_EVERY: Duration = Duration::from_secs(1);

/// Processes of a server.
#[derive(Debug)]
pub(super) struct Tree {
    root: u32,
    /// Its processes as last looked for, and when that was; `None`: never to be looked for.
    members: Vec<u32>,
    searched: Option<Instant>,
    /// Of each task that was seen, by process and task.
    tasks: HashMap<(u32, u32), Spent>,
    /// Of tasks that ended and whose number came again.
    ended: Spent,
}

/// Nanoseconds on a processor, and ready to run without one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Spent {
    cpu_ns: u64,
    waited_ns: u64,
}

impl Spent {
    fn add(&mut self, more: Self) {
        self.cpu_ns += more.cpu_ns;
        self.waited_ns += more.waited_ns;
    }
}

/// One look at them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    /// CPU time since each began.
    pub(super) cpu_ns: u64,
    /// Time that their tasks were ready to run and had no processor, in sum; without those whose
    /// CPU time had to be taken in ticks.
    pub(super) waited_ns: u64,
    /// Resident memory, what several share counted in each.
    pub(super) rss_bytes: u64,
    /// Processes that are there; 0: it is over.
    pub(super) processes: u32,
    /// Whether a figure had to be taken in ticks.
    pub(super) coarse: bool,
}

/// How closely memory is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closely {
    /// `smaps_rollup`: exact; the kernel walks the process's pages.
    Yes,
    /// `statm`: off by some pages for each processor.
    No,
}

impl Closely {
    pub(super) fn is_yes(self) -> bool {
        self == Self::Yes
    }
}

impl Tree {
    /// Of a process and its descendants.
    pub(super) fn new(root: u32) -> Self {
        let members = descendants(root, std::process::id(), &parents());
        Self { searched: Some(Instant::now()), members, ..Self::alone(root) }
    }

    /// Of a process that has no descendants.
    pub(super) fn alone(root: u32) -> Self {
        Self {
            root,
            members: vec![root],
            searched: None,
            tasks: HashMap::new(),
            ended: Spent::default(),
        }
    }

    /// The process that the others descend from.
    pub(super) fn root(&self) -> u32 {
        self.root
    }

    /// Its processes, as last looked for; the root first.
    pub(super) fn members(&self) -> &[u32] {
        &self.members
    }

    /// What they used and hold now. Costs, now and then, a look at every process of the machine.
    pub(super) fn look(&mut self, closely: Closely) -> Look {
        let mut look = Look::default();
        if self.searched.is_some_and(|at| closely.is_yes() || at.elapsed() > SEARCH_EVERY) {
            self.members = descendants(self.root, std::process::id(), &parents());
            self.searched = Some(Instant::now());
        }
        for at in 0..self.members.len() {
            let pid = self.members[at];
            let folder = format!("/proc/{pid}");
            // Of what has ended, and waits for its parent to hear of it, nothing is resident.
            let resident = rss_bytes(pid, closely).filter(|bytes| *bytes > 0);
            let Some(rss_bytes) = resident else { continue };
            look.processes += 1;
            look.rss_bytes += rss_bytes;
            look.coarse |= self.look_at_tasks(pid, &folder);
        }
        let mut spent = self.ended;
        self.tasks.values().for_each(|one| spent.add(*one));
        (look.cpu_ns, look.waited_ns) = (spent.cpu_ns, spent.waited_ns);
        look
    }

    /// Whether some task has no `schedstat`.
    fn look_at_tasks(&mut self, pid: u32, folder: &str) -> bool {
        let mut coarse = false;
        let Ok(entries) = fs::read_dir(format!("{folder}/task")) else { return false };
        for entry in entries.flatten() {
            let Some(task) = number(&entry.file_name()) else { continue };
            let fine = read(&entry.path().join("schedstat")).and_then(|text| schedstat(&text));
            let spent = fine.or_else(|| {
                let cpu_ns = read(&entry.path().join("stat")).and_then(|text| stat_ns(&text))?;
                coarse = true;
                Some(Spent { cpu_ns, waited_ns: 0 })
            });
            let Some(spent) = spent else { continue };
            let seen = self.tasks.entry((pid, task)).or_default();
            if spent.cpu_ns < seen.cpu_ns {
                self.ended.add(*seen);
            }
            *seen = spent;
        }
        coarse
    }
}

/// A process and all that descend from it, of pairs of process and parent; without one of them
/// (`but`) and what descends from that.
fn descendants(root: u32, but: u32, parents: &[(u32, u32)]) -> Vec<u32> {
    let mut found = vec![root];
    let mut at = 0;
    while let Some(parent) = found.get(at).copied() {
        at += 1;
        for (child, of) in parents {
            if *of == parent && *child != but && !found.contains(child) {
                found.push(*child);
            }
        }
    }
    found
}

/// All processes of the machine with their parents.
fn parents() -> Vec<(u32, u32)> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| number(&entry.file_name()));
    pids.filter_map(|pid| {
        let text = read(Path::new(&format!("/proc/{pid}/stat")))?;
        Some((pid, parent(&text)?))
    })
    .collect()
}

fn rss_bytes(pid: u32, closely: Closely) -> Option<u64> {
    if closely == Closely::Yes
        && let Some(exact) = read(Path::new(&format!("/proc/{pid}/smaps_rollup")))
            .and_then(|text| rollup_rss_bytes(&text))
    {
        return Some(exact);
    }
    resident_bytes_of(pid)
}

fn read(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()
}

fn number(name: &std::ffi::OsStr) -> Option<u32> {
    name.to_str()?.parse().ok()
}

/// The first two figures of `schedstat`: the time on a processor, and ready to run without one.
fn schedstat(text: &str) -> Option<Spent> {
    let mut figures = text.split_whitespace().map(|figure| figure.parse().ok());
    Some(Spent { cpu_ns: figures.next()??, waited_ns: figures.next()?? })
}

/// The fields of `stat` behind the name, which is in brackets and may hold anything: the first of
/// them is the third of all.
fn behind_name(stat: &str) -> impl Iterator<Item = &str> {
    stat.rfind(')').map_or("", |at| &stat[at + 1..]).split_whitespace()
}

/// The parent in the text of `stat`: its fourth field.
fn parent(stat: &str) -> Option<u32> {
    behind_name(stat).nth(1)?.parse().ok()
}

/// User and system time in the text of `stat`: its fields 14 and 15, in ticks.
fn stat_ns(stat: &str) -> Option<u64> {
    let mut fields = behind_name(stat).skip(11);
    let ticks = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(ticks * (1_000_000_000 / rustix::param::clock_ticks_per_second().max(1)))
}

/// `Rss` in the text of `smaps_rollup`.
fn rollup_rss_bytes(text: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix("Rss:"))?;
    Some(rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    use super::*;
    use crate::load::clock::now_us;
    use crate::process::thread_cpu_time;

    #[test]
    fn texts_of_proc() {
        let stat = "7 (a) b (c) S 3 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 1 0 9 1 1";
        assert_eq!(parent(stat), Some(3));
        let tick = 1_000_000_000 / rustix::param::clock_ticks_per_second();
        assert_eq!(stat_ns(stat), Some(300 * tick));
        assert_eq!((parent("7 (a"), stat_ns("7 (a) S 3"), parent("")), (None, None, None));
        let spent = Spent { cpu_ns: 123, waited_ns: 45 };
        assert_eq!(schedstat("123 45 6\n"), Some(spent));
        assert_eq!((schedstat("123"), schedstat("")), (None, None));
        let rollup = "5-7 ---p 0 00:00 0 [rollup]\nRss:      1928 kB\nPss: 1 kB\n";
        assert_eq!(rollup_rss_bytes(rollup), Some(1928 << 10));
        assert_eq!(rollup_rss_bytes("Pss: 1 kB\n"), None);
    }

    #[test]
    fn a_tree_of_processes() {
        let parents = [(1, 0), (2, 1), (9, 2), (3, 1), (5, 9), (4, 3), (9, 9)];
        assert_eq!(descendants(2, 7, &parents), [2, 9, 5]);
        assert_eq!(descendants(2, 9, &parents), [2], "without the load's own");
        assert_eq!(descendants(9, 9, &parents), [9, 5], "the root is who was asked for");
        assert_eq!(descendants(77, 7, &parents), [77]);
    }

    #[test]
    fn the_load_is_no_part_of_the_server_it_descends_from() {
        let tree = Tree::new(std::os::unix::process::parent_id());
        assert!(!tree.members.contains(&std::process::id()), "{tree:?}");
    }

    #[test]
    fn children_are_looked_at_until_they_end() {
        // What a shell starts beside itself reads nothing, unless told from where.
        let mut shell = Command::new("sh")
            .args(["-c", "exec 3<&0; cat <&3 & echo up; wait"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut up = String::new();
        BufReader::new(shell.stdout.take().unwrap()).read_line(&mut up).unwrap();
        let mut tree = Tree::new(shell.id());
        let both = tree.look(Closely::No);
        assert_eq!((up.as_str(), both.processes), ("up\n", 2));
        drop(shell.stdin.take());
        shell.wait().unwrap();
        let none = tree.look(Closely::Yes);
        assert_eq!((none.processes, none.rss_bytes), (0, 0));
        assert!(none.cpu_ns >= both.cpu_ns);
    }

    #[test]
    fn what_a_task_used_is_kept_when_it_ends() {
        let mut tree = Tree::new(std::process::id());
        let before = tree.look(Closely::Yes);
        assert!(before.rss_bytes > 100_000 && before.processes >= 1, "{before:?}");
        let (told, spun) = std::sync::mpsc::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let spinner = std::thread::spawn(move || {
            while thread_cpu_time() < Duration::from_millis(60) {
                std::hint::spin_loop();
            }
            told.send(()).unwrap();
            let _ = ended.recv();
        });
        spun.recv().unwrap();
        // A task that runs is brought up to date by the kernel when it sleeps, or at a tick.
        let from = now_us();
        let mut during = tree.look(Closely::No);
        while during.cpu_ns - before.cpu_ns < 60_000_000 && now_us() - from < 5_000_000 {
            during = tree.look(Closely::No);
        }
        assert!(during.cpu_ns - before.cpu_ns >= 60_000_000, "{before:?} {during:?}");
        drop(end);
        spinner.join().unwrap();
        assert!(tree.look(Closely::No).cpu_ns >= during.cpu_ns);
    }
}

//! A process of the run: started from this program, heard, ended with it.
//!
//! Whatever ends the conductor ends its processes: the `Drop` here, or, when the conductor is
//! killed, the end of their standard input, which each of them watches. Each is a process group of
//! its own: Ctrl-C on a terminal is heard by the conductor alone, which may still need them.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::{Child as Process, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::Problem;
use crate::process::pin_other;

/// Last lines that are kept of what a process says on standard error.
const WORDS_LINES: usize = 8;
/// Bytes that are kept of each.
const WORDS_LINE_BYTES: usize = 400;
/// Bytes of a line there that are looked at; the rest of a longer one is not.
const WORDS_READ_MAX: usize = 64 << 10;
/// How long a server of ours may take until it listens.
const START: Duration = Duration::from_secs(20);
/// How long last words are waited for.
const WORDS: Duration = Duration::from_secs(1);
/// How often an ending process is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// Lines for a process that wait to be written: each is answered before the next but one.
const LINES_WAITING_MAX: usize = 8;

/// A process, killed when dropped.
#[derive(Debug)]
pub(super) struct Child {
    what: String,
    process: Process,
    /// Lines for its standard input, written by a thread: who does not read shall not hold up the
    /// run. It ends when this is dropped, and its standard input with it.
    stdin: Option<SyncSender<Vec<u8>>>,
    words: Arc<Mutex<VecDeque<String>>>,
    listening: Receiver<SocketAddr>,
    hearing: JoinHandle<()>,
}

impl Child {
    /// Starts a command, called `what` in problems. Its standard error is heard; its standard
    /// output is given.
    ///
    /// # Errors
    /// The machine's: the command cannot be started.
    pub(super) fn start(
        what: String,
        command: &mut Command,
    ) -> Result<(Self, ChildStdout), Problem> {
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = match piped.process_group(0).spawn() {
            Ok(process) => process,
            Err(why) => return Err(Problem::Start { what, why }),
        };
        let stdin = process.stdin.take().map(writing);
        let stdout = process.stdout.take().expect("standard output is a pipe");
        let stderr = process.stderr.take().expect("standard error is a pipe");
        let words = Arc::<Mutex<VecDeque<String>>>::default();
        // The first address is asked for, no other.
        let (told, listening) = sync_channel(1);
        let kept = Arc::clone(&words);
        let hearing = std::thread::spawn(move || {
            lines(stderr, WORDS_READ_MAX, |line| {
                if let Some(address) = address_in(line) {
                    let _ = told.try_send(address);
                }
                keep(&kept, line);
            });
        });
        Ok((Self { what, process, stdin, words, listening, hearing }, stdout))
    }

    /// What it is called.
    pub(super) fn what(&self) -> &str {
        &self.what
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Binds it to a processor, with all that it starts from now on.
    ///
    /// # Errors
    /// The asker's: there is no such processor.
    pub(super) fn bind(&self, processor: u32) -> io::Result<()> {
        pin_other(self.pid(), processor as usize)
    }

    /// Writes a line to its standard input.
    ///
    /// # Errors
    /// It is over, or does not read.
    pub(super) fn tell(&mut self, line: &[u8]) -> Result<(), Problem> {
        let told = match &self.stdin {
            Some(stdin) => stdin.try_send(line.to_vec()).is_ok(),
            None => false,
        };
        if told { Ok(()) } else { Err(self.ended()) }
    }

    /// Waits until it says on standard error where it listens.
    ///
    /// # Errors
    /// It ends or takes too long; with its last words.
    pub(super) fn listens(&mut self) -> Result<SocketAddr, Problem> {
        self.listening.recv_timeout(START).map_err(|_| {
            let words = self.last_words();
            Problem::NotListening { what: self.what.clone(), words }
        })
    }

    /// That it ended, with its last words.
    pub(super) fn ended(&mut self) -> Problem {
        let words = self.last_words();
        Problem::Ended { what: self.what.clone(), words }
    }

    /// How it ended and what it said at last: ends it, and waits for that.
    fn last_words(&mut self) -> String {
        let status = self.end(WORDS);
        // What it said may still be in the pipe; who else holds the pipe is not waited for.
        let from = Instant::now();
        while !self.hearing.is_finished() && from.elapsed() < WORDS {
            std::thread::sleep(LOOK);
        }
        let status = status.map_or_else(String::new, |status| status.to_string());
        let words = self.words();
        if words.is_empty() { status } else { format!("{status}; its last words:\n{words}") }
    }

    /// Whether it is over.
    pub(super) fn is_over(&mut self) -> bool {
        !matches!(self.process.try_wait(), Ok(None))
    }

    /// Sends SIGTERM.
    pub(super) fn terminate(&mut self) {
        if !self.is_over()
            && let Some(pid) = Pid::from_raw(self.pid().cast_signed())
        {
            let _ = kill_process(pid, Signal::TERM);
        }
    }

    /// Ends its standard input, waits so long for it to end, and kills it then. Its status.
    pub(super) fn end(&mut self, patience: Duration) -> Option<std::process::ExitStatus> {
        drop(self.stdin.take());
        let from = Instant::now();
        while !self.is_over() && from.elapsed() < patience {
            std::thread::sleep(LOOK);
        }
        let _ = self.process.kill();
        self.process.wait().ok()
    }

    fn words(&self) -> String {
        let words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        words.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.end(Duration::ZERO);
    }
}

/// Writes what is sent to its end, or that of the process.
fn writing(mut stdin: ChildStdin) -> SyncSender<Vec<u8>> {
    let (lines, written) = sync_channel::<Vec<u8>>(LINES_WAITING_MAX);
    std::thread::spawn(move || {
        for line in written {
            if stdin.write_all(&line).and_then(|()| stdin.flush()).is_err() {
                return;
            }
        }
    });
    lines
}

/// Each line until the end, cut to so many bytes; what is no text is made some.
pub(super) fn lines(from: impl Read, bytes_max: usize, mut each: impl FnMut(&str)) {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    let next = |from: &mut BufReader<_>, line: &mut Vec<u8>| {
        from.by_ref().take(bytes_max as u64).read_until(b'\n', line)
    };
    while next(&mut from, &mut line).is_ok_and(|bytes| bytes > 0) {
        each(String::from_utf8_lossy(&line).trim_end());
        if line.len() == bytes_max && line.last() != Some(&b'\n') && from.skip_until(b'\n').is_err()
        {
            return;
        }
        line.clear();
    }
}

fn keep(words: &Mutex<VecDeque<String>>, line: &str) {
    if line.is_empty() {
        return;
    }
    let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
    if words.len() == WORDS_LINES {
        words.pop_front();
    }
    words.push_back(line[..line.floor_char_boundary(WORDS_LINE_BYTES)].to_owned());
}

/// The address in a line that says `listening on`, in whatever form of log.
fn address_in(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("listening on ")?;
    let rest = rest.split_once("://").map_or(rest, |(_, rest)| rest);
    let end = rest.find(|c: char| !c.is_ascii_hexdigit() && !".:[]%".contains(c));
    rest[..end.unwrap_or(rest.len())].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> (Child, ChildStdout) {
        Child::start("the shell".to_owned(), Command::new("sh").args(["-c", script])).unwrap()
    }

    #[test]
    fn where_a_server_listens() {
        let address = SocketAddr::from(([127, 0, 0, 1], 80));
        let one = Some(address);
        assert_eq!(address_in("listening on http://127.0.0.1:80"), one);
        assert_eq!(address_in("listening on 127.0.0.1:80\n"), one);
        assert_eq!(address_in(r#"{"message":"listening on http://127.0.0.1:80","a":1}"#), one);
        let six = address_in("listening on http://[::1]:80").unwrap();
        assert!(six.is_ipv6());
        assert_eq!(address_in("not listening"), None);
        assert_eq!(address_in("listening on a wall"), None);

        let (mut child, _) = shell("echo hello >&2; echo listening on 127.0.0.1:80 >&2; cat");
        assert_eq!(child.listens().unwrap(), address);
        assert!(!child.is_over());
        // `cat` ends by itself at the end of its input.
        assert!(child.end(Duration::from_secs(20)).unwrap().success());
    }

    #[test]
    fn long_lines_are_cut() {
        let mut read = Vec::new();
        lines(&b"abcdefgh\nabc\nabcd\n\nabcdefgh"[..], 4, |line| read.push(line.to_owned()));
        assert_eq!(read, ["abcd", "abc", "abcd", "", "abcd"]);
    }

    #[test]
    fn last_words_are_told() {
        let (mut child, _) = shell("for i in 1 2 3 4 5 6 7 8 9; do echo no $i >&2; done; exit 3");
        let problem = child.listens().unwrap_err().to_string();
        let start = "the shell does not listen: exit status: 3; its last words:\nno 2\nno 3\n";
        assert!(problem.starts_with(start), "{problem}");
        assert!(problem.ends_with("\nno 9"), "{problem}");
        let (mut child, _) = shell("exit 3");
        let problem = child.ended().to_string();
        assert!(problem.ends_with("in the midst of the run: exit status: 3"), "{problem}");
    }

    #[test]
    fn who_does_not_end_is_killed() {
        let (child, mut stdout) = shell("trap '' TERM; echo up; while :; do :; done");
        let mut up = [0; 3];
        stdout.read_exact(&mut up).unwrap();
        let pid = child.pid();
        let mut child = child;
        child.terminate();
        drop(child);
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    }
}

//! Child processes: this program in another role, and questions to it over its pipes.

use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

/// A child, killed when it goes out of scope.
pub struct Child {
    process: std::process::Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Child {
    /// Starts this program in a role, with more arguments.
    ///
    /// # Panics
    /// When the system refuses a process.
    pub fn start(role: &str, arguments: &[&str]) -> Self {
        let program = std::env::current_exe().expect("the program's path is known");
        let mut process = Command::new(program)
            .args(["--role", role])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child can be started");
        let questions = process.stdin.take().expect("its input is piped");
        let answers = BufReader::new(process.stdout.take().expect("its output is piped"));
        Self { process, questions, answers }
    }

    /// The next line it says.
    ///
    /// # Panics
    /// When it has ended.
    pub fn hear(&mut self) -> String {
        let mut line = String::new();
        let bytes = self.answers.read_line(&mut line).expect("a pipe can be read");
        assert!(bytes > 0, "the child has ended");
        line.truncate(line.trim_end().len());
        line
    }

    /// Asks, and waits for the answer.
    pub fn ask(&mut self, question: &str) -> String {
        writeln!(self.questions, "{question}").expect("the child reads");
        self.hear()
    }

    /// Asks for a number.
    pub fn ask_number(&mut self, question: &str) -> u64 {
        self.ask(question).parse().expect("a number")
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The child's side: answers questions until there are no more.
///
/// # Panics
/// When the pipes break in the midst.
pub fn answer(mut answer: impl FnMut(&str) -> String) {
    for question in std::io::stdin().lines() {
        say(&answer(&question.expect("a pipe can be read")));
    }
}

/// The child's side: says a line.
///
/// # Panics
/// When nobody listens.
pub fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).expect("the parent reads");
}

/// Pins this thread, and those it starts, to one processor.
///
/// # Panics
/// When there is no such processor.
pub fn pin(processor: usize) {
    let mut own = CpuSet::new();
    own.set(processor);
    sched_setaffinity(None, &own).expect("the processor is there");
}

/// Nanoseconds of processor time that this process has used.
pub fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

/// Processor time of this process in clock ticks: of its own code, of the kernel for it.
///
/// # Panics
/// When `/proc` is not there.
pub fn cpu_ticks() -> (u64, u64) {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("/proc is there");
    // The second field is a name in parentheses; utime and stime are the 14th and 15th.
    let rest = stat.rsplit_once(')').expect("a name in parentheses").1;
    let mut fields = rest.split_whitespace().skip(11).map(|field| field.parse().unwrap_or(0));
    (fields.next().unwrap_or(0), fields.next().unwrap_or(0))
}

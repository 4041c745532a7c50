//! Child processes: this program in another role, and questions to it over its pipes.

use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use shardwire::process;

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
        let mut child = Command::new(program)
            .args(["--role", role])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child can be started");
        let questions = child.stdin.take().expect("its input is piped");
        let answers = BufReader::new(child.stdout.take().expect("its output is piped"));
        Self { process: child, questions, answers }
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
    process::pin(processor).expect("the processor is there");
}

/// Nanoseconds of processor time that this process has used.
pub fn cpu_ns() -> u64 {
    process::cpu_time().as_nanos() as u64
}

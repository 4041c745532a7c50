//! The load's processes: how many, what is ordered, what they tell; and the programs of a run.
//!
//! A thread for each worker reads its tidings into one channel, so that no pipe ever fills; the
//! conductor waits at that channel alone.

use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use super::Problem;
use super::child::{Child, lines};
use serde::Serialize;

use crate::load::orders::{Begin, Order, Tidings};
use crate::load::scenario::Scenario;

/// Descriptors of a worker that are not connections: pipes, its epoll, a timer, files.
const SPARE: u64 = 64;
/// How long a worker may be silent beyond what it was ordered to wait, and beyond two samples.
const SILENCE: Duration = Duration::from_secs(10);
/// How long all workers may take to close their connections and end; and when the run is
/// interrupted.
const LEAVE: Duration = Duration::from_secs(20);
const LEAVE_AT_ONCE: Duration = Duration::from_secs(2);
/// Variables of `bench` itself, of no use to the processes it starts.
const SECRETS: [&str; 2] = ["SHARDWIRE_BENCH_TOKEN", "SHARDWIRE_BENCH_SECRET"];
/// Tidings of all workers that wait to be read; a worker that has more to tell waits.
const TIDINGS_WAITING_MAX: usize = 4096;
/// Bytes of a line of theirs: as many as it takes to tell a number of each stream, three times what
/// a worker can have of latencies beside. A longer one is cut, and so not understood.
const LINE_BYTES_MAX: usize = 16 << 20;
/// Bytes of a line that are told when it is not understood.
const GARBLED_BYTES: usize = 200;

/// All workers of a run.
#[derive(Debug)]
pub(super) struct Crew {
    workers: Vec<Worker>,
    heard: Receiver<(usize, Heard)>,
    /// How long a worker may be silent beyond what it was ordered to wait.
    silence: Duration,
}

#[derive(Debug)]
struct Worker {
    child: Child,
    /// Until when it may be silent.
    patience: Instant,
}

#[derive(Debug)]
enum Heard {
    Tidings(Box<Tidings>),
    Garbled(String),
    Over,
}

impl Crew {
    /// Starts so many workers and tells each its part.
    ///
    /// # Errors
    /// The machine's: they cannot be started.
    pub(super) fn start(
        program: &[PathBuf],
        workers: u32,
        scenario: &Scenario,
    ) -> Result<Self, Problem> {
        let (told, heard) = sync_channel(TIDINGS_WAITING_MAX);
        // Two samples may be that far from each other.
        let silence = SILENCE + 2 * Duration::from_millis(scenario.times.sample_ms);
        let mut crew = Self { workers: Vec::new(), heard, silence };
        for worker in 0..workers {
            let what = format!("load process {worker}");
            let (child, stdout) = Child::start(what, &mut command(program))?;
            listen(worker as usize, stdout, told.clone());
            crew.workers.push(Worker { child, patience: Instant::now() + silence });
        }
        for worker in 0..workers {
            let begin = Begin { scenario: scenario.clone(), worker, workers };
            crew.tell(worker as usize, &Order::Begin(Box::new(begin)))?;
        }
        Ok(crew)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.workers.len()
    }

    /// Their process ids, in order.
    pub(super) fn pids(&self) -> Vec<u32> {
        self.workers.iter().map(|worker| worker.child.pid()).collect()
    }

    /// Orders the same of all; carrying it out may take so long without a word.
    ///
    /// # Errors
    /// One is over.
    pub(super) fn order(&mut self, order: &Order, takes: Duration) -> Result<(), Problem> {
        for worker in 0..self.workers.len() {
            self.tell(worker, order)?;
            self.workers[worker].patience = Instant::now() + takes + self.silence;
        }
        Ok(())
    }

    fn tell(&mut self, worker: usize, order: &Order) -> Result<(), Problem> {
        let mut line = serde_json::to_vec(order).expect("orders are plain data");
        line.push(b'\n');
        self.workers[worker].child.tell(&line)
    }

    /// What the next of them tells, and which. `None`: nothing within that time.
    ///
    /// # Errors
    /// One of them is over, gives up, is not understood or has been silent for too long.
    pub(super) fn next(&mut self, wait: Duration) -> Result<Option<(usize, Tidings)>, Problem> {
        let (at, heard) = match self.heard.recv_timeout(wait) {
            Ok(heard) => heard,
            Err(RecvTimeoutError::Timeout) => return self.check_patience().map(|()| None),
            // The readers' threads end with the last worker, each with a word.
            Err(RecvTimeoutError::Disconnected) => (0, Heard::Over),
        };
        let worker = &mut self.workers[at];
        let what = || worker.child.what().to_owned();
        match heard {
            Heard::Tidings(tidings) => {
                worker.patience = worker.patience.max(Instant::now() + self.silence);
                match *tidings {
                    Tidings::Failed(words) => Err(Problem::Failed { what: what(), words }),
                    // While one talks another may hang.
                    tidings => self.check_patience().map(|()| Some((at, tidings))),
                }
            }
            Heard::Garbled(words) => Err(Problem::Garbled { what: what(), words }),
            Heard::Over => Err(worker.child.ended()),
        }
    }

    /// That a worker said what it was not asked for.
    pub(super) fn unasked(&self, worker: usize, tidings: &impl Serialize) -> Problem {
        let words = serde_json::to_string(tidings).unwrap_or_default();
        Problem::Garbled { what: self.workers[worker].child.what().to_owned(), words: cut(&words) }
    }

    fn check_patience(&self) -> Result<(), Problem> {
        let now = Instant::now();
        match self.workers.iter().find(|worker| worker.patience < now) {
            None => Ok(()),
            Some(worker) => Err(Problem::Silent {
                what: worker.child.what().to_owned(),
                seconds: self.silence.as_secs(),
            }),
        }
    }

    /// Lets them close their connections and end; who does not in time is killed.
    pub(super) fn leave(mut self, at_once: bool) {
        // Who is over already has left.
        let _ = self.order(&Order::Leave, Duration::ZERO);
        let Self { workers, heard, .. } = self;
        let until = Instant::now() + if at_once { LEAVE_AT_ONCE } else { LEAVE };
        // A worker whose last words nobody takes any more would wait for that, and not end.
        drop(heard);
        for mut worker in workers {
            worker.child.end(until.saturating_duration_since(Instant::now()));
        }
    }
}

/// How many workers hold so many connections, each `sockets` of them (two with a floor), where a
/// process may have `limit` descriptors; 0 given: as few as can be.
///
/// # Errors
/// The asker's: fewer are given than can.
pub(super) fn workers(
    given: u32,
    connections: u32,
    sockets: u64,
    limit: u64,
) -> Result<u32, Problem> {
    // Who leaves and who comes in its place may overlap: a hundredth more.
    let needed = u64::from(connections) * sockets + u64::from(connections) / 100;
    let each = limit.saturating_sub(SPARE);
    if each < sockets {
        let what = "a load process".to_owned();
        return Err(Problem::Descriptors { what, needed: SPARE + sockets, limit });
    }
    let least = needed.div_ceil(each).max(1) as u32;
    match given {
        0 => Ok(least),
        given if given < least => Err(Problem::Workers { given, needed: least, limit }),
        given => Ok(given.min(connections.max(1))),
    }
}

/// The programs of a run, each a path and its arguments.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    pub(super) worker: Vec<PathBuf>,
    pub(super) floor: Vec<PathBuf>,
    pub(super) broker: Vec<PathBuf>,
}

impl Programs {
    /// This one, in its several roles.
    ///
    /// # Errors
    /// The machine's: it does not find itself.
    pub(super) fn own() -> Result<Self, Problem> {
        let own = std::env::current_exe()
            .map_err(|why| Problem::Start { what: "this program".to_owned(), why })?;
        let program = |words: &[&str]| {
            [own.clone()].into_iter().chain(words.iter().map(PathBuf::from)).collect()
        };
        Ok(Self {
            worker: program(&["bench-worker"]),
            floor: program(&["bench-floor"]),
            broker: program(&["serve", "--until-input-ends"]),
        })
    }
}

/// A program with its arguments as a command, without the secrets of the asker's environment.
pub(super) fn command(program: &[PathBuf]) -> Command {
    let path = program.first().map_or(Path::new(""), PathBuf::as_path);
    let mut command = Command::new(path);
    command.args(program.iter().skip(1));
    for secret in SECRETS {
        command.env_remove(secret);
    }
    command
}

fn listen(worker: usize, stdout: ChildStdout, told: SyncSender<(usize, Heard)>) {
    std::thread::spawn(move || {
        lines(stdout, LINE_BYTES_MAX, |line| {
            let heard = match serde_json::from_str(line) {
                Ok(tidings) => Heard::Tidings(Box::new(tidings)),
                Err(why) => Heard::Garbled(format!("{why}: {}", cut(line))),
            };
            // Nobody listens any more when the run is over.
            let _ = told.send((worker, heard));
        });
        let _ = told.send((worker, Heard::Over));
    });
}

fn cut(words: &str) -> String {
    words[..words.floor_char_boundary(GARBLED_BYTES)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first worker talks all the time, the others never.
    const ONE_TALKS: &str = r#"
read -r begin
case $begin in *'"worker":0'*) ;; *) exec cat ;; esac
n=0
while [ $((n += 1)) -le 100 ]; do
    echo '{"progress":{"at_us":1,"open":0,"subscribed":0,"published":0,"delivered":0,
        "window_delivered":0,"latency":[],"cpu_us":1}}' | tr -d '\n '; echo
done
cat
"#;

    #[test]
    fn one_that_hangs_is_noticed_beside_one_that_talks() {
        let program = ["sh", "-c", ONE_TALKS].map(PathBuf::from);
        let scenario = crate::load::conductor::tests::scenario();
        let mut crew = Crew::start(&program, 2, &scenario).unwrap();
        let told = crew.next(SILENCE).unwrap();
        assert!(matches!(told, Some((0, Tidings::Progress(_)))), "{told:?}");
        crew.workers[1].patience = Instant::now();
        let problem = crew.next(SILENCE).unwrap_err().to_string();
        assert!(
            problem.starts_with("load process 1 hangs: it has said nothing for 10 s"),
            "{problem}"
        );
    }

    #[test]
    fn who_hangs_holds_nobody_up() {
        let program = ["sh", "-c", "kill -STOP $$"].map(PathBuf::from);
        let scenario = crate::load::conductor::tests::scenario();
        let from = Instant::now();
        let mut crew = Crew::start(&program, 1, &scenario).unwrap();
        // More than a pipe holds.
        let order = Order::Finish { published: vec![u32::MAX; 100_000] };
        crew.order(&order, Duration::ZERO).unwrap();
        crew.workers[0].patience = Instant::now();
        let problem = crew.next(Duration::from_millis(1)).unwrap_err().to_string();
        assert!(problem.contains("hangs"), "{problem}");
        crew.leave(true);
        assert!(from.elapsed() < LEAVE, "nobody waits for it");
    }

    #[test]
    fn as_few_workers_as_descriptors_allow() {
        let count = |given, connections, sockets, limit| {
            workers(given, connections, sockets, limit).map_err(|problem| problem.to_string())
        };
        assert_eq!(count(0, 15_000, 1, 20_000), Ok(1));
        assert_eq!(count(0, 100_000, 1, 20_000), Ok(6));
        assert_eq!(count(0, 15_000, 2, 20_000), Ok(2));
        assert_eq!(count(0, 0, 1, 20_000), Ok(1));
        assert_eq!(count(4, 100, 1, 20_000), Ok(4));
        assert_eq!(count(4, 3, 1, 20_000), Ok(3));
        assert!(count(2, 100_000, 1, 20_000).unwrap_err().contains("at least 6"));
        assert!(count(0, 1, 1, SPARE).unwrap_err().contains("needs 65 descriptors"));
    }
}

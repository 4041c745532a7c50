//! The server from outside: its CPU time, its memory, as it stands.
//!
//! By its process id, where it runs on this machine (exact, and costs it nothing), or else by what
//! it tells of itself over HTTP. With both, only its heap is asked for. Read by the conductor at
//! the ends of windows and for every point of the plots; also for the load's own processes.

#![expect(clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "figures are for people")]

mod listening;
mod process;
mod scrape;

use std::io;
use std::time::Instant;

use process::{Closely, Tree};
use scrape::{Page, Wanted};

/// Processors that a server may have, so many that none has more.
const PROCESSORS_MAX: f64 = 4096.0;
/// Seconds by which what a server tells may be behind.
const SLACK_S: f64 = 60.0;

/// One server.
#[derive(Debug)]
pub struct Probe {
    tree: Option<Tree>,
    page: Option<Page>,
    coarse: bool,
    /// The CPU time that the server told last, and when.
    told_cpu: Option<(f64, Instant)>,
    /// Whether that was what cannot be: from then on it is not taken.
    is_absurd: bool,
}

/// What was seen; what is `None` cannot be.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reading {
    /// CPU time since the server began.
    pub cpu_us: Option<f64>,
    /// Time that its tasks were ready to run and had no processor, in sum, since it began.
    pub waited_us: Option<f64>,
    /// Resident memory.
    pub rss_bytes: Option<u64>,
    /// Bytes in use in its heap.
    pub heap_bytes: Option<u64>,
    /// Messages that it has queued for connections, and sends to them, where it tells both.
    pub sends: Option<(f64, f64)>,
    /// Processes; 1 where the server speaks for itself.
    pub processes: u32,
    /// Whether the server tells of itself what cannot be; such figures are `None`.
    pub is_absurd: bool,
}

/// Why a server cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Blind {
    /// The address is none.
    #[error("{0:?} is no address of metrics; allowed: http://HOST:PORT/PATH")]
    Address(String),
    /// The process is over, or never was.
    #[error("there is no process {0}")]
    NoProcess(u32),
    /// It does not answer as it should.
    #[error("the metrics cannot be read: {0}")]
    Page(#[from] io::Error),
    /// It tells nothing of its process.
    #[error("the metrics have neither process_cpu_seconds_total nor process_resident_memory_bytes")]
    NoFigures,
}

impl Probe {
    /// Of a process and its descendants, or of an address of metrics, or both. `None` of neither.
    ///
    /// # Errors
    /// The address is none.
    pub fn new(pid: Option<u32>, metrics: Option<&str>) -> Result<Option<Self>, Blind> {
        if pid.is_none() && metrics.is_none() {
            return Ok(None);
        }
        let page = metrics.map(|url| Page::new(url).ok_or_else(|| Blind::Address(url.to_owned())));
        let tree = pid.map(Tree::new);
        let page = page.transpose()?;
        Ok(Some(Self { tree, page, coarse: false, told_cpu: None, is_absurd: false }))
    }

    /// Of a process without descendants: one of the load's own.
    pub fn of_process(pid: u32) -> Self {
        let tree = Some(Tree::alone(pid));
        Self { tree, page: None, coarse: false, told_cpu: None, is_absurd: false }
    }

    /// Looks quickly: memory to some pages for each processor, the heap only of a server without a
    /// process id.
    ///
    /// # Errors
    /// See [`Blind`]: the server's end, or its metrics' fault.
    pub fn look(&mut self) -> Result<Reading, Blind> {
        self.read(Closely::No, Wanted::Much)
    }

    /// Looks like [`Probe::look`] for one more point of a plot: a server that was slow to tell its
    /// figures has a rest instead.
    ///
    /// # Errors
    /// Like [`Probe::look`].
    pub fn glance(&mut self) -> Result<Reading, Blind> {
        self.read(Closely::No, Wanted::Little)
    }

    /// Looks closely: memory exactly, and the heap. Costs the kernel a walk over the server's
    /// pages, so never in a window.
    ///
    /// # Errors
    /// Like [`Probe::look`].
    pub fn look_closely(&mut self) -> Result<Reading, Blind> {
        self.read(Closely::Yes, Wanted::Much)
    }

    /// Whether the process or one of its descendants listens at a TCP port; `None`: not known, or
    /// no process was given.
    pub fn listens_at(&self, port: u16) -> Option<bool> {
        listening::is_one_of(self.tree.as_ref()?.members(), port)
    }

    /// Whether the server tells figures of itself.
    pub fn is_told(&self) -> bool {
        self.page.is_some()
    }

    /// Whether each look asks the server, which costs it something.
    pub fn asks(&self) -> bool {
        self.tree.is_none()
    }

    /// Whether CPU time had to be taken in ticks of the kernel instead of nanoseconds.
    pub fn is_coarse(&self) -> bool {
        self.coarse
    }

    fn read(&mut self, closely: Closely, wanted: Wanted) -> Result<Reading, Blind> {
        let mut reading = Reading::default();
        if let Some(tree) = &mut self.tree {
            let look = tree.look(closely);
            if look.processes == 0 {
                return Err(Blind::NoProcess(tree.root()));
            }
            self.coarse |= look.coarse;
            reading = Reading {
                cpu_us: Some(look.cpu_ns as f64 / 1000.0),
                waited_us: (!look.coarse).then_some(look.waited_ns as f64 / 1000.0),
                rss_bytes: Some(look.rss_bytes),
                heap_bytes: None,
                sends: None,
                processes: look.processes,
                is_absurd: false,
            };
        }
        let Some(page) = self.page.as_mut().filter(|_| self.tree.is_none() || closely.is_yes())
        else {
            return Ok(reading);
        };
        let told = match page.read(wanted) {
            // The process tells the rest.
            Err(_) if self.tree.is_some() && page.has_answered() => return Ok(reading),
            told => told?,
        };
        reading.heap_bytes = told.heap_bytes.map(|bytes| bytes as u64);
        reading.sends = told.deliveries.zip(told.sends);
        let cpu_s = told.cpu_s.filter(|cpu_s| self.is_possible(*cpu_s, Instant::now()));
        reading.is_absurd = told.is_absurd || self.is_absurd;
        if self.tree.is_none() {
            reading.cpu_us = cpu_s.map(|seconds| seconds * 1e6);
            reading.rss_bytes = told.rss_bytes.map(|bytes| bytes as u64);
            reading.processes = 1;
            if told.cpu_s.is_none() && told.rss_bytes.is_none() && !told.is_absurd {
                return Err(Blind::NoFigures);
            }
        }
        Ok(reading)
    }

    /// Whether CPU time can be what the server tells: never less than before, nor more than all
    /// processors had meanwhile. Once it was not it never is.
    fn is_possible(&mut self, cpu_s: f64, now: Instant) -> bool {
        if let Some((before_s, then)) = self.told_cpu {
            let most_s = (now.duration_since(then).as_secs_f64() + SLACK_S) * PROCESSORS_MAX;
            self.is_absurd |= !(0.0..=most_s).contains(&(cpu_s - before_s));
        }
        self.told_cpu = Some((cpu_s, now));
        !self.is_absurd
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_that_cannot_be_is_not_taken() {
        use std::time::Duration;
        let mut probe = Probe::of_process(1);
        let now = Instant::now();
        assert!(probe.is_possible(5.0, now) && probe.is_possible(5.0, now));
        assert!(probe.is_possible(9.0, now + Duration::from_secs(1)));
        assert!(!probe.is_possible(8.0, now + Duration::from_secs(2)), "it went backwards");
        assert!(!probe.is_possible(9.0, now + Duration::from_secs(3)), "nor is it believed then");
        let mut probe = Probe::of_process(1);
        assert!(probe.is_possible(0.0, now) && !probe.is_possible(1e9, now));
    }

    #[test]
    fn what_can_be_read() {
        assert!(Probe::new(None, None).unwrap().is_none());
        assert!(matches!(Probe::new(None, Some("ftp://x")), Err(Blind::Address(_))));
        let own = std::process::id();
        let reading = Probe::new(Some(own), None).unwrap().unwrap().look().unwrap();
        assert!(reading.cpu_us.unwrap() > 0.0 && reading.rss_bytes.unwrap() > 0, "{reading:?}");
        // No process has a number this high: the kernel's bound is 2^22.
        let nobody = Probe::of_process(1 << 30).look();
        assert!(matches!(nobody, Err(Blind::NoProcess(_))), "{nobody:?}");
    }
}

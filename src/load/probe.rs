//! The server from outside: its CPU time, its memory, as it stands.
//!
//! By its process id, where it runs on this machine (exact, and costs it nothing), or else by what
//! it tells of itself over HTTP. With both, only its heap is asked for. Read by the conductor at
//! the ends of windows and for every point of the plots; also for the load's own processes.

#![expect(clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "figures are for people")]

mod process;
mod scrape;

use std::io;

use process::{Closely, Tree};
use scrape::{Page, Wanted};

/// One server.
#[derive(Debug)]
pub struct Probe {
    tree: Option<Tree>,
    page: Option<Page>,
    coarse: bool,
}

/// What was seen; what is `None` cannot be.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reading {
    /// CPU time since the server began.
    pub cpu_us: Option<f64>,
    /// Resident memory.
    pub rss_bytes: Option<u64>,
    /// Bytes in use in its heap.
    pub heap_bytes: Option<u64>,
    /// Processes; 1 where the server speaks for itself.
    pub processes: u32,
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
        Ok(Some(Self { tree: pid.map(Tree::new), page: page.transpose()?, coarse: false }))
    }

    /// Of a process without descendants: one of the load's own.
    pub fn of_process(pid: u32) -> Self {
        Self { tree: Some(Tree::alone(pid)), page: None, coarse: false }
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
                rss_bytes: Some(look.rss_bytes),
                heap_bytes: None,
                processes: look.processes,
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
        if self.tree.is_none() {
            reading.cpu_us = told.cpu_s.map(|seconds| seconds * 1e6);
            reading.rss_bytes = told.rss_bytes.map(|bytes| bytes as u64);
            reading.processes = 1;
            if reading.cpu_us.is_none() && reading.rss_bytes.is_none() {
                return Err(Blind::NoFigures);
            }
        }
        Ok(reading)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

//! A running broker: a thread for each shard, and the drain at its end.
//!
//! A [`Node`] binds the address, starts the shards and stays in the hands of whoever started it:
//! `cli/serve` with signals, a test with a call. What a shard does is `shard/`; here it gets its
//! sockets, its clock and its neighbours.

mod api;
mod asking;
mod body;
mod census;
pub mod clock;
mod common;
mod control;
mod crossings;
mod live;
mod local;
mod process;
pub mod proxy;
mod publishing;
mod random;
mod reload;
mod remembered;
mod scrape;
mod serve;
mod setup;
mod sockets;
mod threshold;
pub mod tls;
mod turns;

pub use reload::Reloader;
pub use setup::{Setup, SetupError, SetupErrors};

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Barrier, OnceLock, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_getaffinity};
use socket2::{Domain, Protocol, Socket, Type};

use crate::connection::ConnectionId;
use crate::interest::Interest;
use crate::limits::{BACKLOG_MAX, DESCRIPTORS_PER_SHARD, DESCRIPTORS_RESERVED};
use crate::mail::{Delivery, Mail};
use crate::mailbox::Mailbox;
use crate::metrics::ShardMetrics;
use crate::node::random::Random;
use crate::process::raise_descriptor_limit;
use crate::shard::{Parts, Shard};
use census::Census;
use common::Common;
use control::Control;
use crossings::Crossings;
use live::Renewal;
use local::Local;
use remembered::Remembered;
use sockets::{Sockets, Waker};

/// How often a drain looks whether all are gone.
const DRAIN_POLL: Duration = Duration::from_millis(10);
/// Part of the drain time in which the clients are told; the rest is for them to go.
const TELL_SHARE: (u64, u64) = (3, 5);

/// A running broker.
#[derive(Debug)]
pub struct Node {
    address: SocketAddr,
    metrics_address: Option<SocketAddr>,
    common: Arc<Common>,
    threads: Vec<JoinHandle<()>>,
}

impl Node {
    /// Binds the address and starts the shards.
    ///
    /// # Errors
    /// The address cannot be bound, or the system refuses threads or descriptors: the operator's.
    pub fn start(setup: Setup) -> io::Result<Self> {
        let connections_max = connections_max(setup.connections_max, setup.shards)?;
        let listeners = listen(setup.address, setup.shards)?;
        let address = listeners[0].local_addr()?;
        let scraped = setup.metrics_address.map(scrape::listen).transpose()?;
        let metrics_address = scraped.as_ref().map(TcpListener::local_addr).transpose()?;
        let (mut mailboxes, mut wakers) = (Vec::new(), Vec::new());
        for _ in 0..setup.shards {
            let (waker, watched) = Waker::new()?;
            mailboxes.push(Mailbox::new(Box::new(waker)));
            wakers.push(watched);
        }
        let mailboxes: Arc<[Arc<Mailbox>]> = mailboxes.into();
        let (shards, per_address_max) = (setup.shards, setup.connections_per_ip_max);
        let (webhook, live) = setup.live();
        let (control, outside) = Control::start(Arc::clone(&mailboxes), webhook)?;
        let common = Arc::new(Common {
            node: ConnectionId::node_of(random()),
            next: (0..shards).map(|_| Renewal::default()).collect(),
            crossings: (0..shards).map(|_| Crossings::default()).collect(),
            live: RwLock::new(Arc::new(live)),
            mailboxes,
            metrics: (0..shards).map(|_| ShardMetrics::new()).collect(),
            control,
            census: Arc::new(Census::new(connections_max, per_address_max)),
            remembered: Remembered::new(),
            scraped_elsewhere: scraped.is_some(),
            requests: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
            over: AtomicBool::new(false),
            barrier: OnceLock::new(),
        });
        let interest = Interest::new();
        let (mut threads, (started, starts)) = (vec![outside], channel());
        for ((id, listener), waker) in (0..shards).zip(listeners).zip(wakers) {
            let (common, interest) = (Arc::clone(&common), Arc::clone(&interest));
            let started = started.clone();
            let thread = std::thread::Builder::new()
                .name(format!("shard-{id}"))
                .spawn(move || run(id, listener, waker, common, interest, &started))?;
            threads.push(thread);
        }
        if let Some(listener) = scraped {
            common.control.spawn(scrape::serve(listener, Arc::clone(&common)));
        }
        let node = Self { address, metrics_address, common, threads };
        for _ in 0..shards {
            if let Err(error) = starts.recv().unwrap_or_else(|gone| Err(io::Error::other(gone))) {
                node.stop();
                return Err(error);
            }
        }
        node.common.barrier.get_or_init(|| Barrier::new(usize::from(shards)));
        Ok(node)
    }

    /// The address actually bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address actually bound for the metrics, where they have one of their own.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// Each shard's counters.
    pub fn metrics(&self) -> &[Arc<ShardMetrics>] {
        &self.common.metrics
    }

    /// Connections that may be open at a time.
    pub fn connections_max(&self) -> usize {
        self.common.census.connections_max()
    }

    /// What puts other settings in force, on whichever thread.
    pub fn reloader(&self) -> Reloader {
        Reloader { address: self.address, common: Arc::clone(&self.common) }
    }

    /// Tells the clients to go, spread over a part of `within`, waits until they are gone or
    /// `within` is over, and stops the threads. Blocks.
    ///
    /// # Panics
    /// When a shard's thread panicked.
    pub fn drain(self, within: Duration) {
        let now = clock::now().mono_ms;
        let within_ms = within.as_millis() as u64;
        let told_by_ms = now + within_ms * TELL_SHARE.0 / TELL_SHARE.1;
        let gone_by_ms = now + within_ms;
        self.common.draining.store(true, Ordering::Relaxed);
        for mailbox in self.common.mailboxes.iter() {
            let mut mail = Mail::from(Delivery::Drain { told_by_ms, gone_by_ms });
            while let Err(refused) = mailbox.push(mail) {
                mail = refused;
                std::thread::sleep(DRAIN_POLL);
            }
            mailbox.notify();
        }
        let deadline = Instant::now() + within;
        while (self.common.census.connections() > 0 || self.common.requests() > 0)
            && Instant::now() < deadline
        {
            std::thread::sleep(DRAIN_POLL);
        }
        self.stop();
    }

    /// Stops the threads, whatever they do.
    fn stop(self) {
        self.common.over.store(true, Ordering::Relaxed);
        for mailbox in self.common.mailboxes.iter() {
            mailbox.wake();
        }
        self.common.control.end();
        for thread in self.threads {
            thread.join().expect("a thread of the node does not panic");
        }
    }
}

/// How many connections may be open at a time; `wanted` of 0: as many as the limit of descriptors
/// carries.
///
/// # Errors
/// It carries none.
fn connections_max(wanted: usize, shards: u8) -> io::Result<usize> {
    let descriptors = usize::try_from(raise_descriptor_limit()).unwrap_or(usize::MAX);
    let reserved = DESCRIPTORS_RESERVED + DESCRIPTORS_PER_SHARD * usize::from(shards);
    let carried = descriptors.saturating_sub(reserved);
    if carried == 0 {
        let error = format!("the limit of {descriptors} descriptors leaves none for clients");
        return Err(io::Error::other(error));
    }
    if wanted > carried {
        tracing::warn!(connections_max = wanted, carried, "more connections than descriptors");
    }
    Ok(if wanted == 0 { carried } else { wanted })
}

/// A shard's thread, from its start to the node's end; `started` is told whether it began.
fn run(
    id: u8,
    listener: TcpListener,
    waker: Arc<OwnedFd>,
    common: Arc<Common>,
    interest: Arc<Interest>,
    started: &Sender<io::Result<()>>,
) {
    pin(id);
    let sockets = Sockets::new(waker, Arc::clone(&common.census));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let (sockets, runtime) = match (sockets, runtime) {
        (Ok(sockets), Ok(runtime)) => (sockets, runtime),
        (Err(error), _) | (_, Err(error)) => {
            // Whoever starts the node waits for this.
            let _ = started.send(Err(error));
            return;
        }
    };
    let tasks = tokio::task::LocalSet::new();
    let ended = tasks.block_on(&runtime, async {
        let parts = Parts {
            id,
            mailboxes: Arc::clone(&common.mailboxes),
            interest,
            policy: Arc::clone(&common.live().policy),
            metrics: Arc::clone(&common.metrics[usize::from(id)]),
            seed: random(),
            node: common.node,
            all_metrics: Arc::clone(&common.metrics),
            secrets: Box::<Random>::default(),
        };
        let local = Local::new(Shard::new(parts, clock::now()), sockets, id, common);
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let epoll = local.watch()?;
        tokio::task::spawn_local(serve::accept(Rc::clone(&local), listener));
        let _ = started.send(Ok(()));
        local.drive(epoll).await
    });
    if let Err(error) = ended {
        let _ = started.send(Err(error));
    }
}

/// A number that differs between runs, and need not be secret.
fn random() -> u64 {
    getrandom::u64().unwrap_or_else(|_| clock::now().wall.0)
}

/// Pins the thread to one of the processors that the process may use.
fn pin(id: u8) {
    let Ok(allowed) = sched_getaffinity(None) else { return };
    let processors: Vec<usize> =
        (0..CpuSet::MAX_CPU).filter(|processor| allowed.is_set(*processor)).collect();
    let Some(processor) = processors.get(usize::from(id) % processors.len().max(1)) else { return };
    if let Err(error) = crate::process::pin(*processor) {
        tracing::debug!(%error, "a shard could not be pinned");
    }
}

/// One listener a shard on the same address; the kernel spreads connections over them.
fn listen(address: SocketAddr, shards: u8) -> io::Result<Vec<TcpListener>> {
    // SO_REUSEPORT would let a second broker of the same user in. A bind without it finds the
    // address taken.
    let probe = socket(address)?;
    probe.bind(&address.into())?;
    let address = probe.local_addr()?.as_socket().unwrap_or(address);
    drop(probe);
    (0..shards)
        .map(|_| {
            let socket = socket(address)?;
            socket.set_reuse_port(shards > 1)?;
            socket.bind(&address.into())?;
            socket.listen(BACKLOG_MAX)?;
            socket.set_nonblocking(true)?;
            Ok(socket.into())
        })
        .collect()
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    Ok(socket)
}

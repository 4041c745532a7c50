//! One shard on its thread: the state its tasks share, and its turn.
//!
//! Everything here belongs to one thread. HTTP tasks borrow the shard between turns, never across
//! an await. The turn is the order of design section 2: mail, sockets, deadlines, then one flush.

mod entering;
mod outside;
mod polls;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ahash::RandomState;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{Notify, oneshot};

use crate::connection::ConnKey;
use crate::limits::{LAST_FLUSHES_MAX, READ_BUFFER_BYTES, RETRY_MS, SLEEP_MS_MAX};
use crate::mail::Unanswered;
use crate::mailbox::Mailbox;
use crate::metrics::ShardMetrics;
use crate::node::clock;
use crate::node::common::Common;
use crate::node::sockets::{Read, Sockets};
use crate::shard::{Settled, Shard, Told};
use crate::time::Now;
use polls::Polls;

/// A shard and its sockets, for the tasks of its thread.
pub(super) struct Local {
    pub(super) shard: RefCell<Shard>,
    pub(super) sockets: RefCell<Sockets>,
    pub(super) common: Arc<Common>,
    pub(super) id: u8,
    /// Makes the driver take a turn: an HTTP task has queued something.
    pub(super) wake: Notify,
    mailbox: Arc<Mailbox>,
    awaited: RefCell<HashMap<u64, oneshot::Sender<Settled>, RandomState>>,
    inquired: RefCell<HashMap<u64, oneshot::Sender<Told>, RandomState>>,
    polls: Polls,
    ready: RefCell<Vec<ConnKey>>,
    writable: RefCell<Vec<ConnKey>>,
    dirty_since: Cell<Option<Instant>>,
    /// How long output may gather.
    flush_delay: Cell<Duration>,
    /// When the last connection ended, of HTTP or established, in monotonic milliseconds, until what
    /// it took is given back to the system.
    ended_ms: Cell<Option<u64>>,
    gave_back_ms: Cell<u64>,
}

impl Local {
    pub(super) fn new(shard: Shard, sockets: Sockets, id: u8, common: Arc<Common>) -> Rc<Self> {
        Rc::new(Self {
            flush_delay: Cell::new(common.live().flush_delay),
            mailbox: Arc::clone(&common.mailboxes[usize::from(id)]),
            shard: RefCell::new(shard),
            sockets: RefCell::new(sockets),
            common,
            id,
            wake: Notify::new(),
            awaited: RefCell::default(),
            inquired: RefCell::default(),
            polls: Polls::default(),
            ready: RefCell::default(),
            writable: RefCell::default(),
            dirty_since: Cell::new(None),
            ended_ms: Cell::new(None),
            gave_back_ms: Cell::new(0),
        })
    }

    /// The shard's counters.
    pub(super) fn metrics(&self) -> &ShardMetrics {
        &self.common.metrics[usize::from(self.id)]
    }

    /// Makes the runtime watch the shard's epoll.
    ///
    /// # Errors
    /// The process or the system has no descriptor left.
    pub(super) fn watch(&self) -> io::Result<AsyncFd<OwnedFd>> {
        let epoll = self.sockets.borrow().epoll().try_clone_to_owned()?;
        // SAFETY: an `OwnedFd` gives the same descriptor each time and keeps it open until the
        // registration goes with it.
        #[allow(unsafe_code)]
        let watched = unsafe { AsyncFd::register_with_interest(epoll, Interest::READABLE) };
        Ok(watched?)
    }

    /// Takes turns until the node ends.
    ///
    /// # Errors
    /// The runtime is shutting down.
    pub(super) async fn drive(self: Rc<Self>, epoll: AsyncFd<OwnedFd>) -> io::Result<()> {
        let mut buffer = vec![0; READ_BUFFER_BYTES].into_boxed_slice();
        while !self.common.is_over() {
            // Whatever the load, HTTP and the sockets' driver get their share between two turns.
            if self.turn(&mut buffer) || !self.sleep() {
                tokio::task::yield_now().await;
                continue;
            }
            self.give_back();
            let wait = self.wait();
            tokio::select! {
                ready = epoll.readable() => ready?.clear_ready(),
                () = self.wake.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
            self.mailbox.awake();
        }
        self.end(&mut buffer);
        Ok(())
    }

    /// The last turns: what was acknowledged before the end still goes out, on every shard, and who
    /// said goodbye is answered, so many at most.
    fn end(&self, buffer: &mut [u8]) {
        // A publish goes to its home, from there to the others, and from there to their clients.
        for _ in 0..3 {
            self.turn(buffer);
            if let Some(barrier) = self.common.barrier.get() {
                barrier.wait();
            }
        }
        self.turn(buffer);
        let shard = &mut *self.shard.borrow_mut();
        let sockets = &mut *self.sockets.borrow_mut();
        for _ in 0..LAST_FLUSHES_MAX {
            // Once in any case: output that was to gather gathers no more.
            shard.flush(clock::now(), sockets);
            if !shard.is_ending() {
                break;
            }
        }
    }

    /// A connection ended, or an HTTP connection became something else: its buffers are free.
    pub(super) fn ended(&self) {
        self.ended_ms.set(Some(clock::now().mono_ms));
    }

    /// Called before the shard sleeps. The allocator (mimalloc) keeps freed pages for a second, and
    /// gives them back to the system when another page goes; a shard that only sleeps would keep
    /// for good what a wave of handshakes took, or those who left. So for some time after it a page
    /// goes.
    fn give_back(&self) {
        if self.sockets.borrow_mut().has_closed() {
            self.ended();
        }
        let Some(since_ms) = self.ended_ms.get() else { return };
        let now_ms = clock::now().mono_ms;
        if now_ms.saturating_sub(self.gave_back_ms.get()) < GIVE_BACK_EVERY_MS {
            return;
        }
        self.gave_back_ms.set(now_ms);
        drop(std::hint::black_box(Vec::<u8>::with_capacity(GIVE_BACK_BYTES)));
        if now_ms.saturating_sub(since_ms) > GIVE_BACK_MS {
            self.ended_ms.set(None);
        }
    }

    fn sleep(&self) -> bool {
        self.mailbox.sleep(self.shard.borrow().takes_requests())
    }

    /// How long there is nothing to do, unless something comes.
    fn wait(&self) -> Duration {
        let shard = self.shard.borrow();
        // Nobody wakes a sender when a full mailbox has room again.
        if shard.has_unsent_mail() || !self.ready.borrow().is_empty() {
            return Duration::from_millis(RETRY_MS);
        }
        let now = clock::now().mono_ms;
        let until_deadline = shard
            .next_deadline_ms()
            .map_or(WAIT_MAX, |at| Duration::from_millis(at.saturating_sub(now)));
        let until_flush = self
            .dirty_since
            .get()
            .map_or(WAIT_MAX, |since| self.flush_delay.get().saturating_sub(since.elapsed()));
        until_deadline.min(until_flush).min(WAIT_MAX)
    }

    /// One turn; whether the next should follow at once.
    fn turn(&self, buffer: &mut [u8]) -> bool {
        let shard = &mut *self.shard.borrow_mut();
        let sockets = &mut *self.sockets.borrow_mut();
        let now = clock::now();
        if let Some((live, in_force)) = self.common.next[usize::from(self.id)].take() {
            shard.reconfigure(now, Arc::clone(&live.policy));
            self.flush_delay.set(live.flush_delay);
            drop(in_force);
        }
        self.polls.tell_gone(now, shard);
        let more_mail = shard.take_mail(now, sockets);

        let mut ready = std::mem::take(&mut *self.ready.borrow_mut());
        let more_events = self.poll(shard, sockets, &mut ready);
        // After the wakes that this took from the kernel, so that none is for one left behind.
        for crossing in self.common.crossings[usize::from(self.id)].take() {
            self.take_in(shard, sockets, &mut ready, now, crossing);
        }
        ready.retain(|key| {
            // Asked each time: one connection's messages may be all that other shards can take.
            shard.is_congested() || Self::read(shard, sockets, now, *key, buffer)
        });
        let congested = shard.is_congested();
        self.metrics().congested_turns_total.add(u64::from(congested));
        self.metrics().held_bytes.set(sockets.held_bytes() as u64);
        let more_to_read = !ready.is_empty() && !congested;
        *self.ready.borrow_mut() = ready;

        if shard.next_deadline_ms().is_some_and(|at| at <= now.mono_ms) {
            shard.advance(now, sockets);
        }
        let more_deadlines = shard.next_deadline_ms().is_some_and(|at| at <= now.mono_ms);
        self.put_questions(shard, now);
        self.flush(shard, sockets);
        if shard.has_departures() {
            self.send_off(shard, sockets, now);
            self.flush(shard, sockets);
        }
        let resumed = self.pass_on(shard, sockets);
        more_mail || more_events || more_to_read || more_deadlines || resumed || shard.is_ending()
    }

    /// Puts the turn's questions to the webhook, before the flush: what has no room is denied at
    /// once, and whoever asked hears it now.
    fn put_questions(&self, shard: &mut Shard, now: Now) {
        while let Some(asked) = shard.question() {
            if let Err(asked) = self.common.control.ask(asked) {
                shard.answered(now, asked.ticket, Err(Unanswered::NoRoom));
            }
        }
    }

    /// Hands out what the turn brought for others than its clients; whether it lets clients be read
    /// again.
    fn pass_on(&self, shard: &mut Shard, sockets: &mut Sockets) -> bool {
        // Whoever asked may have gone away.
        while let Some(settled) = shard.settled() {
            if let Some(sender) = self.awaited.borrow_mut().remove(&settled.ticket) {
                let _ = sender.send(settled);
            }
        }
        while let Some(told) = shard.told() {
            if let Some(sender) = self.inquired.borrow_mut().remove(&told.ticket) {
                let _ = sender.send(told);
            }
        }
        while let Some((ticket, reply)) = shard.http_reply() {
            self.polls.reply(ticket, reply);
        }
        let mut resumed = false;
        while let Some(key) = sockets.rebound() {
            if sockets.begin(key) {
                self.ready.borrow_mut().push(key);
                resumed = true;
            }
        }
        while let Some(key) = shard.resumed() {
            if sockets.resume(key) {
                self.ready.borrow_mut().push(key);
                resumed = true;
            }
        }
        resumed
    }

    /// Learns which sockets are ready; whether there may be more.
    fn poll(&self, shard: &mut Shard, sockets: &mut Sockets, ready: &mut Vec<ConnKey>) -> bool {
        let mut writable = self.writable.borrow_mut();
        let more = sockets.poll(ready, &mut writable);
        for key in writable.drain(..) {
            shard.writable(key, sockets);
            if shard.reads(key) && sockets.resume(key) {
                ready.push(key);
            }
        }
        more
    }

    /// Reads a connection once; whether to read it again next turn.
    fn read(
        shard: &mut Shard,
        sockets: &mut Sockets,
        now: Now,
        key: ConnKey,
        buffer: &mut [u8],
    ) -> bool {
        if !shard.reads(key) {
            sockets.was_read(key, false, true);
            return false;
        }
        let again = match sockets.read(key, buffer) {
            Read::More(bytes) => {
                let taken = shard.read(now, key, &mut buffer[..bytes], sockets);
                sockets.hold(key, &buffer[taken..bytes]);
                true
            }
            Read::Drained(bytes) => {
                let taken = shard.read(now, key, &mut buffer[..bytes], sockets);
                sockets.hold(key, &buffer[taken..bytes]);
                // There is no further event for an end that was told already.
                taken < bytes || sockets.is_hung_up(key)
            }
            Read::Nothing => false,
            Read::End => {
                shard.gone(key);
                false
            }
        };
        sockets.was_read(key, again, false);
        again
    }

    /// Flushes, unless the operator wants output gathered for a while and it is not over. Who is to
    /// be ended does not wait for that.
    fn flush(&self, shard: &mut Shard, sockets: &mut Sockets) {
        let delay = self.flush_delay.get();
        if !delay.is_zero() && shard.is_dirty() && !shard.is_full() {
            let since = self.dirty_since.get().unwrap_or_else(Instant::now);
            self.dirty_since.set(Some(since));
            if since.elapsed() < delay {
                let now = clock::now();
                shard.send_mail(now);
                shard.end_some(now, sockets);
                return;
            }
        }
        self.dirty_since.set(None);
        shard.flush(clock::now(), sockets);
    }
}

/// The longest that a shard sleeps without looking whether the node is over.
const WAIT_MAX: Duration = Duration::from_millis(SLEEP_MS_MAX);

/// For how long after a connection ended a shard that is about to sleep has freed pages given back: more
/// than the allocator keeps them, and as long again as a shard sleeps.
const GIVE_BACK_MS: u64 = 2 * (1000 + SLEEP_MS_MAX);

/// How often meanwhile.
const GIVE_BACK_EVERY_MS: u64 = SLEEP_MS_MAX / 2;

/// An allocation that has pages of its own; none of them is ever touched.
const GIVE_BACK_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests;

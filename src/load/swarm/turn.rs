//! The turn: what the kernel tells of the sockets, and how long to wait for it.
//!
//! Edge-triggered, so that a socket costs no call but its reads. While things happen nothing
//! sleeps: to wake a sleeping reader costs the server more than all else of a delivery.

use std::io;
use std::mem;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::slot::{Key, Stage};
use super::{Audience, Swarm};
use crate::process::thread_cpu_time as cpu_time;

/// For so long after something happened, the next thing is waited for without sleeping.
const SPIN: Duration = Duration::from_millis(1);
/// Microseconds between two reads of a slow reader.
const SLOW_TICK_US: u64 = 50_000;

impl Swarm {
    /// Waits until something happens, at most so long, and lets it happen. How many connections
    /// had something. `now_us` is read by slow readers.
    ///
    /// # Errors
    /// The kernel refuses to wait: our fault.
    pub fn turn(
        &mut self,
        now_us: u64,
        wait: Duration,
        audience: &mut impl Audience,
    ) -> io::Result<usize> {
        let begun = Instant::now();
        self.lingering.expire(begun);
        let mut busy = self.read_again(audience) + self.read_slowly(now_us, audience);
        let wait = self.until_slow(now_us).map_or(wait, |until| wait.min(until));
        let mut asked = cpu_time();
        loop {
            busy += self.poll(audience)? + self.tell_fates(audience);
            let now = Instant::now();
            if busy > 0 {
                self.last = now;
                return Ok(busy);
            }
            // Not by the wall clock: a spin that something else interrupts costs no CPU.
            let asked_now = cpu_time();
            self.spun += asked_now.saturating_sub(asked);
            self.counts.spun_us = self.spun.as_micros() as u64;
            asked = asked_now;
            let waited = now - begun;
            if waited >= wait || !self.again.is_empty() {
                return Ok(0);
            }
            if now.saturating_duration_since(self.last) >= SPIN {
                self.sleep(wait.saturating_sub(waited))?;
                busy += self.poll(audience)? + self.tell_fates(audience);
                if busy > 0 {
                    self.last = Instant::now();
                }
                return Ok(busy);
            }
            std::hint::spin_loop();
        }
    }

    /// Sleeps until an event is there. To the microsecond, which waiting on the epoll itself is not.
    fn sleep(&self, wait: Duration) -> io::Result<()> {
        let timeout = Timespec {
            tv_sec: wait.as_secs().cast_signed(),
            tv_nsec: i64::from(wait.subsec_nanos()),
        };
        match poll(&mut [PollFd::new(&self.epoll, PollFlags::IN)], Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes the events there are; how many connections had one.
    fn poll(&mut self, audience: &mut impl Audience) -> io::Result<usize> {
        let mut events = mem::take(&mut self.events);
        events.clear();
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let told = epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&at_once));
        let mut busy = 0;
        if told.is_ok() {
            for event in &events {
                let key = Key::of(event.data.u64());
                busy += usize::from(self.event(key, event.flags, audience));
            }
        }
        self.events = events;
        match told {
            Ok(_) | Err(Errno::INTR) => Ok(busy),
            Err(error) => Err(error.into()),
        }
    }

    /// One event; whether it was a connection's.
    fn event(&mut self, key: Key, flags: EventFlags, audience: &mut impl Audience) -> bool {
        let Some(slot) = self.live(key) else {
            self.read_lingering(key);
            return false;
        };
        let over = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        slot.hung_up |= over;
        if slot.stage == Stage::Connecting {
            if !(over || flags.contains(EventFlags::OUT)) {
                return false;
            }
            self.connected(key.connection, audience);
        } else if flags.contains(EventFlags::OUT) {
            self.flush(key.connection);
        }
        if over || flags.contains(EventFlags::IN) {
            self.readable(key, audience);
        }
        true
    }

    /// Reads a connection, unless it reads slowly.
    fn readable(&mut self, key: Key, audience: &mut impl Audience) {
        let Some(slot) = self.live(key) else { return };
        let rate = slot.slow().map(|slow| slow.bytes_per_s);
        match (rate, slot.hung_up) {
            (None, _) => {}
            (Some(0), true) => {
                slot.rare().slow = None;
                slot.trim();
            }
            (Some(_), _) => return,
        }
        self.read(key, usize::MAX, audience);
    }

    /// Reads those that have more than one read could take; how many.
    fn read_again(&mut self, audience: &mut impl Audience) -> usize {
        let mut busy = 0;
        for key in mem::take(&mut self.again) {
            if self.live(key).is_some() {
                self.readable(key, audience);
                busy += 1;
            } else {
                self.read_lingering(key);
            }
        }
        busy
    }

    fn read_lingering(&mut self, key: Key) {
        if self.lingering.ready(key, &mut self.buffer) {
            self.again.push(key);
        }
    }

    /// When slow readers are to read again.
    fn until_slow(&self, now_us: u64) -> Option<Duration> {
        let due_us = self.slow_at_us + SLOW_TICK_US;
        (!self.slow.is_empty()).then(|| Duration::from_micros(due_us.saturating_sub(now_us)))
    }

    /// Lets slow readers read what they may by now; how many did.
    fn read_slowly(&mut self, now_us: u64, audience: &mut impl Audience) -> usize {
        if self.slow.is_empty() {
            self.slow_at_us = now_us;
        }
        if now_us < self.slow_at_us + SLOW_TICK_US {
            return 0;
        }
        let elapsed_us = now_us - mem::replace(&mut self.slow_at_us, now_us);
        let mut busy = 0;
        let mut slow = mem::take(&mut self.slow);
        slow.retain(|key| {
            let Some(slow) = self.live(*key).and_then(|slot| slot.slow()) else { return false };
            slow.earn(elapsed_us);
            let bytes_max = slow.bytes();
            if bytes_max > 0 {
                self.read(*key, bytes_max, audience);
                busy += 1;
            }
            true
        });
        // None joins them while they read.
        self.slow = slow;
        busy
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use rustix::thread::{CpuSet, sched_getaffinity};

    use super::*;
    use crate::load::dialect::{self, Who};
    use crate::load::scenario::{Credentials, Spoken, Target};

    struct Nobody;

    impl Audience for Nobody {
        fn happened(&mut self, _: u32, _: super::super::Happened<'_>, _: &mut Vec<u8>) {}

        fn who(&self, _: u32) -> Who<'_> {
            unreachable!("nobody connects")
        }
    }

    #[test]
    fn what_interrupts_a_spin_is_not_counted() {
        let target = Target {
            address: ([127, 0, 0, 1], 9).into(),
            host: "localhost".into(),
            path: "/ws".into(),
            tls: None,
            dialect: Spoken::Topics,
            compression: false,
            credentials: Credentials::None,
        };
        let mut swarm = Swarm::new(&target, dialect::of(&target), 1000).unwrap();
        // One processor for this thread and one that never rests.
        let allowed = sched_getaffinity(None).unwrap();
        let first = (0..CpuSet::MAX_CPU).find(|cpu| allowed.is_set(*cpu)).unwrap();
        crate::process::pin(first).unwrap();
        let over = AtomicBool::new(false);
        let (cpu, wall) = thread::scope(|scope| {
            scope.spawn(|| {
                let began = Instant::now();
                while !over.load(Ordering::Relaxed) && began.elapsed() < Duration::from_secs(5) {
                    std::hint::spin_loop();
                }
            });
            let (began, cpu_before) = (Instant::now(), cpu_time());
            while began.elapsed() < Duration::from_millis(100) {
                assert_eq!(swarm.turn(0, Duration::ZERO, &mut Nobody).unwrap(), 0);
            }
            over.store(true, Ordering::Relaxed);
            (cpu_time().saturating_sub(cpu_before), began.elapsed())
        });
        let spun = Duration::from_micros(swarm.counts().spun_us);
        assert!(!spun.is_zero() && spun <= cpu, "{spun:?} of {cpu:?} in {wall:?}");
    }
}

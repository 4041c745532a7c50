//! The timer wheel: one deadline a connection, no object a timer.
//!
//! Each slot of the shard has at most one entry, linked into a bucket by slot numbers: setting,
//! moving and cancelling are O(1) and allocate nothing. A connection has several deadlines (ping,
//! token, drain…); `life.rs` sets the nearest and asks again when it fires. An entry further off
//! than one turn of the wheel stays in its bucket and is passed over until it is due.

use crate::limits::TICK_MS;
use crate::shard::pages::Pages;

/// Buckets of the wheel; with 64 ms a tick one turn is 65 s, longer than the usual ping interval.
const BUCKETS: usize = 1024;
const NONE: u32 = u32::MAX;

/// A point in time, in ticks of [`TICK_MS`] since the process started; lasts for eight years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(pub u32);

impl Tick {
    /// Later than any tick that comes.
    pub const NEVER: Self = Self(u32::MAX - 1);

    /// The tick that is running at this monotonic millisecond.
    pub fn at_ms(mono_ms: u64) -> Self {
        // Behind the last tick time stands still: nothing fires any more, but nothing breaks.
        Self(u32::try_from(mono_ms / TICK_MS).unwrap_or(u32::MAX)).min(Self(Self::NEVER.0 - 1))
    }

    /// The first tick that is not before this monotonic millisecond.
    pub fn not_before_ms(mono_ms: u64) -> Self {
        Self(u32::try_from(mono_ms.div_ceil(TICK_MS)).unwrap_or(u32::MAX)).min(Self::NEVER)
    }

    /// This tick and so many milliseconds, rounded up.
    #[must_use]
    pub fn plus_ms(self, ms: u64) -> Self {
        let ticks = u32::try_from(ms.div_ceil(TICK_MS)).unwrap_or(u32::MAX);
        Self(self.0.saturating_add(ticks)).min(Self::NEVER)
    }

    /// The monotonic millisecond it begins with.
    pub fn ms(self) -> u64 {
        u64::from(self.0) * TICK_MS
    }
}

#[derive(Clone, Copy, Debug)]
struct Link {
    next: u32,
    prev: u32,
    due: Tick,
}

const UNLINKED: Link = Link { next: NONE, prev: NONE, due: Tick(u32::MAX) };

/// The wheel of one shard.
#[derive(Debug)]
pub struct Wheel {
    heads: Box<[u32]>,
    filled: Box<[u64]>,
    links: Pages<Link>,
    /// Every entry due before this tick has fired.
    done: Tick,
}

impl Wheel {
    /// An empty wheel.
    pub fn new(now: Tick) -> Self {
        Self {
            heads: vec![NONE; BUCKETS].into(),
            filled: vec![0; BUCKETS / 64].into(),
            links: Pages::default(),
            done: now,
        }
    }

    /// Sets the deadline of `slot`, in place of the one it had. One in the past fires next.
    pub fn set(&mut self, slot: u32, due: Tick) {
        self.links.reach(slot, || UNLINKED);
        let due = due.max(self.done);
        if self.links[slot].due == due {
            return;
        }
        self.cancel(slot);
        let bucket = due.0 as usize % BUCKETS;
        let head = std::mem::replace(&mut self.heads[bucket], slot);
        if head != NONE {
            self.links[head].prev = slot;
        }
        self.links[slot] = Link { next: head, prev: NONE, due };
        self.filled[bucket / 64] |= 1 << (bucket % 64);
    }

    /// Forgets the deadline of `slot`, if it has one.
    pub fn cancel(&mut self, slot: u32) {
        let Some(link) = self.links.get_mut(slot) else { return };
        if link.due == UNLINKED.due {
            return;
        }
        let Link { next, prev, due } = std::mem::replace(link, UNLINKED);
        if next != NONE {
            self.links[next].prev = prev;
        }
        if prev != NONE {
            self.links[prev].next = next;
            return;
        }
        let bucket = due.0 as usize % BUCKETS;
        self.heads[bucket] = next;
        if next == NONE {
            self.filled[bucket / 64] &= !(1 << (bucket % 64));
        }
    }

    /// Takes out entries due at `now` or before, until `fired` has `most`; whether that were all.
    ///
    /// Costs a step per entry in the buckets passed, and at most one turn of the wheel however
    /// long ago the last call was.
    pub fn advance(&mut self, now: Tick, most: usize, fired: &mut Vec<u32>) -> bool {
        if now < self.done {
            return true;
        }
        let passed = (now.0 - self.done.0) as usize + 1;
        for step in 0..passed.min(BUCKETS) {
            let bucket = (self.done.0 as usize + step) % BUCKETS;
            let mut slot = self.heads[bucket];
            while slot != NONE {
                let Link { next, due, .. } = self.links[slot];
                if due <= now {
                    if fired.len() == most {
                        // What is left is due in this tick or later.
                        self.done = Tick(self.done.0 + step as u32);
                        return false;
                    }
                    self.cancel(slot);
                    fired.push(slot);
                }
                slot = next;
            }
        }
        self.done = Tick(now.0 + 1);
        true
    }

    /// When [`Wheel::advance`] should be called next: never later than the nearest deadline.
    pub fn next(&self) -> Option<Tick> {
        let first = self.done.0 as usize % BUCKETS;
        let words = BUCKETS / 64;
        for step in 0..=words {
            let at = (first / 64 + step) % words;
            let mut word = self.filled[at];
            if step == 0 {
                word &= u64::MAX << (first % 64);
            } else if step == words {
                word &= !(u64::MAX << (first % 64));
            }
            if word != 0 {
                let bucket = at * 64 + word.trailing_zeros() as usize;
                let ahead = (bucket + BUCKETS - first) % BUCKETS;
                return Some(Tick(self.done.0 + ahead as u32));
            }
        }
        None
    }

    /// The deadline of `slot`, if it has one.
    pub fn due(&self, slot: u32) -> Option<Tick> {
        let link = self.links.get(slot)?;
        (link.due != UNLINKED.due).then_some(link.due)
    }

    /// Asserts that the lists hold each entry once, in the bucket of its deadline, none overdue.
    pub(super) fn check(&self) {
        let mut entries = 0;
        for (bucket, &head) in self.heads.iter().enumerate() {
            assert_eq!(self.filled[bucket / 64] >> (bucket % 64) & 1 == 1, head != NONE);
            let (mut at, mut prev) = (head, NONE);
            while at != NONE {
                let link = self.links[at];
                assert_eq!((link.prev, link.due.0 as usize % BUCKETS), (prev, bucket));
                assert!(link.due >= self.done);
                entries += 1;
                (prev, at) = (at, link.next);
            }
        }
        let linked = self.links.iter().filter(|(_, link)| link.due != UNLINKED.due);
        assert_eq!(linked.count(), entries);
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.heads.len() * 4 + self.filled.len() * 8 + self.links.heap_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fired(wheel: &mut Wheel, now: u32) -> Vec<u32> {
        let mut fired = Vec::new();
        // In small steps: those that are cut short must come to the same.
        while !wheel.advance(Tick(now), fired.len() + 2, &mut fired) {}
        fired.sort_unstable();
        fired
    }

    #[test]
    fn fires_at_its_tick_and_once() {
        let mut wheel = Wheel::new(Tick(10));
        wheel.set(0, Tick(12));
        wheel.set(1, Tick(12));
        wheel.set(2, Tick(12 + BUCKETS as u32));
        wheel.set(3, Tick(5));
        assert_eq!(wheel.next(), Some(Tick(10)));
        assert_eq!(fired(&mut wheel, 10), [3]);
        assert_eq!(wheel.next(), Some(Tick(12)));
        wheel.cancel(1);
        assert!(fired(&mut wheel, 11).is_empty());
        assert_eq!(fired(&mut wheel, 12), [0]);
        assert!(fired(&mut wheel, 11 + BUCKETS as u32).is_empty());
        assert_eq!(wheel.next(), Some(Tick(12 + BUCKETS as u32)));
        assert_eq!(fired(&mut wheel, 12 + BUCKETS as u32), [2]);
        assert_eq!(wheel.next(), None);
    }

    #[test]
    fn ticks_last_for_eight_years() {
        let years_ms = |years: u64| years * 365 * 24 * 3600 * 1000;
        assert_eq!(Tick::at_ms(years_ms(8)).ms(), years_ms(8));
        assert_eq!(Tick::at_ms(u64::MAX), Tick::at_ms(years_ms(9)));
        let mut wheel = Wheel::new(Tick::at_ms(years_ms(9)));
        wheel.set(0, Tick::NEVER);
        assert!(fired(&mut wheel, Tick::at_ms(u64::MAX).0).is_empty());
    }

    #[test]
    fn agrees_with_a_sorted_list_over_random_use() {
        let mut random = 1_u64;
        let mut draw = |below: u64| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % below
        };
        let mut wheel = Wheel::new(Tick(0));
        let mut plain = std::collections::BTreeMap::new();
        let mut now = 0;
        for _ in 0..20_000 {
            let slot = draw(50) as u32;
            match draw(4) {
                0 | 1 => {
                    let due = now + draw(9000) as u32;
                    wheel.set(slot, Tick(due));
                    plain.insert(slot, due);
                }
                2 => {
                    wheel.cancel(slot);
                    plain.remove(&slot);
                }
                _ => {
                    now += draw(300) as u32;
                    let nearest = plain.values().min().copied();
                    let told = wheel.next().map(|tick| tick.0);
                    assert_eq!(told.is_some(), nearest.is_some());
                    assert!(told <= nearest.map(|due| due.max(wheel.done.0)));
                    let due: Vec<u32> = plain
                        .iter()
                        .filter(|(_, due)| **due <= now)
                        .map(|(slot, _)| *slot)
                        .collect();
                    for slot in &due {
                        plain.remove(slot);
                    }
                    assert_eq!(fired(&mut wheel, now), due);
                    now += 1;
                }
            }
        }
    }
}

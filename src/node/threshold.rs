//! Who stands before the door: a shard's HTTP connections, which are no WebSockets, or not yet.
//!
//! There are so many places. A connection *waits* while its request is not complete, its first or
//! the next, and is *served* while one is answered. When all places are taken the one that waits
//! longest is cut for who comes new, but none that came just now: a burst of honest clients waits
//! its turn instead. And one address has no more than its share, at the cost of its own that wait,
//! so that nobody fills all places alone. A request of somebody who is in, a poll that hangs, takes
//! no place while it is served: thousands of them would shut the door. Held by the shard's thread;
//! counts, and owns no socket. Who is in for good is the census's matter. Specification: protocols.md sections 9 and 11 ("Doors").

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use ahash::RandomState;
use tokio::sync::Notify;

use crate::address::counted;
use crate::limits::{HANDSHAKE_GRACE_MS, HANDSHAKES_PER_ADDRESS_MIN, SLEEP_MS_MAX};

/// The places before a shard's door.
#[derive(Debug)]
pub(super) struct Threshold {
    places: usize,
    state: RefCell<State>,
    /// Told when somebody goes.
    left: Notify,
}

#[derive(Debug, Default)]
struct State {
    taken: usize,
    /// Numbers the beginnings of waits.
    last: u64,
    /// Those that wait, the longest first.
    waiting: BTreeMap<u64, Waiting>,
    /// The same, each address's together.
    by_address: BTreeSet<(IpAddr, u64)>,
    /// Places that each address has, waiting or served.
    counts: HashMap<IpAddr, u32, RandomState>,
}

#[derive(Debug)]
struct Waiting {
    since_ms: u64,
    address: Option<IpAddr>,
    cut: Rc<Notify>,
}

/// One place; free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    threshold: Rc<Threshold>,
    /// Whose share it counts in: nobody's for a listed proxy.
    address: Cell<Option<IpAddr>>,
    /// How many places that address may have.
    share: Cell<Option<u32>>,
    /// The number of its wait, unless it is served.
    number: Cell<Option<u64>>,
    /// What is served is a request of somebody who is in: no place is taken.
    is_in: Cell<bool>,
    cut: Rc<Notify>,
}

impl Threshold {
    pub(super) fn new(places: usize) -> Rc<Self> {
        Rc::new(Self { places, state: RefCell::default(), left: Notify::new() })
    }

    /// Whether somebody new finds a place without anybody being cut.
    pub(super) fn has_room(&self) -> bool {
        self.state.borrow().taken < self.places
    }

    /// Waits until there is a place. Gives how many were cut for it: more than one where some came
    /// back from being served without a place.
    pub(super) async fn room(&self, now_ms: impl Fn() -> u64) -> u64 {
        let mut cut = 0;
        loop {
            if self.has_room() {
                return cut;
            }
            match self.cut_oldest(now_ms()) {
                Ok(()) => cut += 1,
                Err(after) => {
                    tokio::select! {
                        () = self.left.notified() => {}
                        () = tokio::time::sleep(after) => {}
                    }
                }
            }
        }
    }

    /// Cuts who waits longest, unless that is not long.
    ///
    /// # Errors
    /// Nobody was; when it may be tried again.
    pub(super) fn cut_oldest(&self, now_ms: u64) -> Result<(), Duration> {
        let mut state = self.state.borrow_mut();
        let Some((&number, waiting)) = state.waiting.first_key_value() else {
            return Err(Duration::from_millis(SLEEP_MS_MAX));
        };
        let from_ms = waiting.since_ms + HANDSHAKE_GRACE_MS;
        if from_ms > now_ms {
            return Err(Duration::from_millis(from_ms - now_ms));
        }
        state.cut(number);
        Ok(())
    }

    /// Takes a place, also where there is none. An address may have `share` of them, where that is
    /// given. Gives the place, and how many were cut for it; `None` where the address has its share
    /// and all of it is being served.
    pub(super) fn enter(
        self: &Rc<Self>,
        address: Option<IpAddr>,
        share: Option<u32>,
        now_ms: u64,
    ) -> Option<(Place, u64)> {
        let address = address.map(counted);
        let cut = self.state.borrow_mut().make_way(address, share)?;
        let place = Place {
            threshold: Rc::clone(self),
            address: Cell::new(address),
            share: Cell::new(share),
            number: Cell::new(None),
            is_in: Cell::new(false),
            cut: Rc::default(),
        };
        self.state.borrow_mut().take(address);
        place.waits(now_ms);
        Some((place, cut))
    }
}

impl State {
    /// Cuts one of the address's own where it has its share; `None` where there is none to cut.
    fn make_way(&mut self, address: Option<IpAddr>, share: Option<u32>) -> Option<u64> {
        let (Some(address), Some(share)) = (address, share) else { return Some(0) };
        if self.counts.get(&address).is_none_or(|count| *count < share) {
            return Some(0);
        }
        let (_, number) = *self.by_address.range((address, 0)..=(address, u64::MAX)).next()?;
        self.cut(number);
        Some(1)
    }

    fn cut(&mut self, number: u64) {
        if let Some(waiting) = self.forget(number) {
            waiting.cut.notify_one();
            // Its place is free from now on, though its task ends a little later.
            self.give_back(waiting.address);
        }
    }

    fn take(&mut self, address: Option<IpAddr>) {
        self.taken += 1;
        self.count(address);
    }

    fn give_back(&mut self, address: Option<IpAddr>) {
        self.taken -= 1;
        self.discount(address);
    }

    fn forget(&mut self, number: u64) -> Option<Waiting> {
        let waiting = self.waiting.remove(&number)?;
        if let Some(address) = waiting.address {
            self.by_address.remove(&(address, number));
        }
        Some(waiting)
    }

    fn count(&mut self, address: Option<IpAddr>) {
        if let Some(address) = address {
            *self.counts.entry(address).or_insert(0) += 1;
        }
    }

    fn discount(&mut self, address: Option<IpAddr>) {
        let Some(address) = address else { return };
        if let Some(count) = self.counts.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&address);
            }
        }
    }
}

impl Place {
    /// Its request is complete: from here on it is not cut.
    pub(super) fn is_served(&self) {
        if let Some(number) = self.number.take() {
            // One that was cut already stays so: its task is about to end.
            if self.threshold.state.borrow_mut().forget(number).is_none() {
                self.number.set(Some(number));
            }
        }
    }

    /// The request that is served is of a session that is there: until it is answered it takes no
    /// place. Nothing to one that was cut.
    pub(super) fn is_of_session(&self) {
        if self.number.get().is_some() || self.is_in.replace(true) {
            return;
        }
        self.threshold.state.borrow_mut().give_back(self.address.get());
        self.threshold.left.notify_one();
    }

    /// It waits, for its first request or the next. One that was served without a place takes one,
    /// also where there is none: at the cost of its address's own, where that has its share. Gives
    /// how many were cut for it.
    pub(super) fn waits(&self, now_ms: u64) -> u64 {
        if self.number.get().is_some() {
            return 0;
        }
        let mut state = self.threshold.state.borrow_mut();
        let mut made_room = 0;
        if self.is_in.take() {
            made_room = state.make_way(self.address.get(), self.share.get()).unwrap_or(0);
            state.take(self.address.get());
        }
        state.last += 1;
        let number = state.last;
        let address = self.address.get();
        let cut = Rc::clone(&self.cut);
        state.waiting.insert(number, Waiting { since_ms: now_ms, address, cut });
        if let Some(address) = address {
            state.by_address.insert((address, number));
        }
        self.number.set(Some(number));
        made_room
    }

    /// A proxy told whom it speaks for: the place counts in that address's share from now on. Gives
    /// how many were cut for it; `None` where there is no room in the share.
    pub(super) fn is_of(&self, address: IpAddr, share: Option<u32>) -> Option<u64> {
        let address = Some(counted(address));
        let mut state = self.threshold.state.borrow_mut();
        let number = self.number.get()?;
        let mut waiting = state.forget(number)?;
        let cut = state.make_way(address, share);
        state.discount(self.address.get());
        state.count(address);
        self.address.set(address);
        self.share.set(share);
        waiting.address = address;
        state.by_address.extend(address.map(|address| (address, number)));
        state.waiting.insert(number, waiting);
        cut
    }

    /// Comes when it is cut.
    pub(super) async fn cut(&self) {
        self.cut.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.threshold.state.borrow_mut();
        let was_cut = self.number.get().is_some_and(|number| state.forget(number).is_none());
        if !was_cut && !self.is_in.get() {
            state.give_back(self.address.get());
        }
        drop(state);
        self.threshold.left.notify_one();
    }
}

/// How many places of a shard an address may have, where so many connections of it may be in; 0,
/// and there is no limit.
pub(super) fn share(connections_per_address_max: u32) -> Option<u32> {
    (connections_per_address_max > 0)
        .then(|| connections_per_address_max.max(HANDSHAKES_PER_ADDRESS_MIN))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const ONE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));
    const TWO: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2)));

    fn enter(threshold: &Rc<Threshold>, address: Option<IpAddr>, now_ms: u64) -> Place {
        threshold.enter(address, None, now_ms).unwrap().0
    }

    fn is_cut(place: &Place) -> bool {
        place.cut().now_or_never().is_some()
    }

    #[test]
    fn the_one_that_waits_longest_is_cut_but_no_newcomer_and_nobody_served() {
        let threshold = Threshold::new(3);
        let served = enter(&threshold, ONE, 0);
        served.is_served();
        let (old, new) = (enter(&threshold, ONE, 10), enter(&threshold, TWO, 500));
        assert!(!threshold.has_room());
        assert_eq!(threshold.cut_oldest(1009), Err(Duration::from_millis(1)));
        assert_eq!(threshold.cut_oldest(1010), Ok(()));
        assert!(is_cut(&old) && !is_cut(&new) && !is_cut(&served));
        assert!(threshold.has_room());
        // It is not counted out a second time.
        drop(old);
        let third = enter(&threshold, TWO, 1010);
        assert!(!threshold.has_room());
        assert!(threshold.cut_oldest(1499).is_err());
        // Who was served waits again from then on.
        served.waits(1400);
        assert_eq!(threshold.cut_oldest(1500), Ok(()));
        assert_eq!(threshold.cut_oldest(2010), Ok(()));
        assert!(is_cut(&new) && is_cut(&third) && !is_cut(&served));
        drop((served, new, third));
        let state = threshold.state.borrow();
        assert_eq!((state.taken, state.waiting.len(), state.counts.len()), (0, 0, 0));
        assert!(state.by_address.is_empty());
    }

    #[test]
    fn an_address_over_its_share_pays_itself() {
        let threshold = Threshold::new(100);
        let knock = |address, now_ms| threshold.enter(address, Some(2), now_ms);
        let (first, _) = knock(ONE, 0).unwrap();
        let (second, _) = knock(ONE, 0).unwrap();
        let (other, _) = knock(TWO, 0).unwrap();
        let (third, cut) = knock(ONE, 0).unwrap();
        assert_eq!(cut, 1);
        assert!(is_cut(&first) && !is_cut(&second) && !is_cut(&other));
        second.is_served();
        third.is_served();
        assert!(knock(ONE, 0).is_none());
        // A listed proxy has no share to fill, and what it speaks for has one.
        let proxies: Vec<Place> = (0..50).map(|_| knock(None, 0).unwrap().0).collect();
        assert_eq!(proxies[0].is_of(TWO.unwrap(), Some(2)), Some(0));
        assert_eq!(proxies[1].is_of(TWO.unwrap(), Some(2)), Some(1));
        assert!(is_cut(&other) && !is_cut(&proxies[0]));
        assert_eq!(proxies[2].is_of(ONE.unwrap(), Some(2)), None);
        drop((first, second, third, other, proxies));
        assert_eq!(threshold.state.borrow().taken, 0);
        assert!(threshold.state.borrow().counts.is_empty());
    }

    #[test]
    fn one_who_was_cut_is_served_no_more() {
        let threshold = Threshold::new(1);
        let place = enter(&threshold, ONE, 0);
        threshold.cut_oldest(5000).unwrap();
        place.is_served();
        place.waits(5000);
        drop(place);
        assert_eq!(threshold.state.borrow().taken, 0);
    }

    #[test]
    fn a_request_of_a_session_takes_no_place_while_it_is_served() {
        let threshold = Threshold::new(2);
        let polls: Vec<Place> = (0..10)
            .map(|_| {
                let place = enter(&threshold, ONE, 0);
                place.is_served();
                place.is_of_session();
                // Once for each request, however often it is said.
                place.is_of_session();
                place
            })
            .collect();
        assert_eq!(threshold.state.borrow().taken, 0);
        assert!(threshold.state.borrow().counts.is_empty());
        assert!(threshold.cut_oldest(5000).is_err());
        let (new, served) = (enter(&threshold, TWO, 5000), enter(&threshold, TWO, 5000));
        served.is_served();
        assert!(!threshold.has_room());
        // They wait for their next request like any other, and are cut like any other.
        for poll in &polls[..3] {
            assert_eq!(poll.waits(5000), 0);
            assert_eq!(poll.waits(5001), 0);
        }
        assert_eq!(threshold.state.borrow().taken, 5);
        assert_eq!(threshold.room(|| 6000).now_or_never(), Some(4));
        assert!(is_cut(&new) && polls[..3].iter().all(is_cut) && !is_cut(&polls[3]));
        // One that was cut is of no session any more, and one that hangs may go.
        polls[0].is_of_session();
        drop((polls, new));
        assert_eq!(threshold.state.borrow().taken, 1);
        drop(served);
        let state = threshold.state.borrow();
        assert_eq!((state.taken, state.waiting.len(), state.counts.len()), (0, 0, 0));
        assert!(state.by_address.is_empty());
    }

    #[test]
    fn who_comes_back_over_its_share_pays_itself() {
        let threshold = Threshold::new(100);
        let knock = |address, now_ms| threshold.enter(address, Some(2), now_ms);
        let poll = knock(ONE, 0).unwrap().0;
        poll.is_served();
        poll.is_of_session();
        let (first, second) = (knock(ONE, 0).unwrap().0, knock(ONE, 0).unwrap().0);
        let other = knock(TWO, 0).unwrap().0;
        assert_eq!(poll.waits(0), 1);
        assert!(is_cut(&first) && !is_cut(&second) && !is_cut(&other) && !is_cut(&poll));
        // Where all of its share is being served it is one more.
        poll.is_served();
        poll.is_of_session();
        let third = knock(ONE, 0).unwrap().0;
        second.is_served();
        third.is_served();
        assert_eq!(poll.waits(0), 0);
        assert_eq!(threshold.state.borrow().counts[&ONE.unwrap()], 3);
        // And is cut for the next.
        assert_eq!(knock(ONE, 0).map(|(_, cut)| cut), Some(1));
        assert!(is_cut(&poll));
    }

    #[test]
    fn shares() {
        assert_eq!(share(0), None);
        assert_eq!(share(1), Some(HANDSHAKES_PER_ADDRESS_MIN));
        assert_eq!(share(100_000), Some(100_000));
    }
}

//! Who is in: connections of the process, and of each client address.
//!
//! The only state that all shards share besides the interest table, touched when a connection comes
//! and when it goes, never on the way of a message. Addresses are spread over many small locks, so
//! that two shards that accept at the same time seldom meet.
//!
//! A connection counts until its socket is closed, also while it waits out its close: it holds a
//! descriptor, and an address whose ending connections did not count could hold as many more as it
//! opens and breaks off in the time of a close. Its place is free before the client sees the end.
//! Counted is the part of an address that a client cannot choose ([`counted`]).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use ahash::RandomState;

use crate::address::counted;

const STRIPES: usize = 64;

/// Why nobody more is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// The broker has as many connections as it may have.
    Server,
    /// The address has.
    Address,
}

/// The count.
#[derive(Debug)]
pub struct Census {
    connections_max: AtomicUsize,
    per_address_max: AtomicU32,
    connections: AtomicUsize,
    addresses: Box<[Mutex<HashMap<IpAddr, u32, RandomState>>]>,
    hasher: RandomState,
}

impl Census {
    /// Nobody is in. `per_address_max` of 0 is no limit.
    pub fn new(connections_max: usize, per_address_max: u32) -> Self {
        Self {
            connections_max: AtomicUsize::new(connections_max),
            per_address_max: AtomicU32::new(per_address_max),
            connections: AtomicUsize::new(0),
            addresses: (0..STRIPES).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
        }
    }

    /// Sets other limits, for who comes from now on: nobody who is in is sent away.
    pub fn limit(&self, connections_max: usize, per_address_max: u32) {
        self.connections_max.store(connections_max, Ordering::Relaxed);
        self.per_address_max.store(per_address_max, Ordering::Relaxed);
    }

    /// Whether a connection would be counted in now. It is cheap: what costs more about a newcomer
    /// is looked at after this, though only [`Census::enter`] decides.
    ///
    /// # Errors
    /// Which limit is reached.
    pub fn look(&self, address: IpAddr) -> Result<(), Full> {
        if self.connections() >= self.connections_max() {
            return Err(Full::Server);
        }
        let address = counted(address);
        let max = self.per_address_max();
        if max > 0 && self.stripe(address).get(&address).is_some_and(|in_| *in_ >= max) {
            return Err(Full::Address);
        }
        Ok(())
    }

    /// Counts a connection in.
    ///
    /// # Errors
    /// Which limit is reached; nothing was counted.
    pub fn enter(&self, address: IpAddr) -> Result<(), Full> {
        if self.connections.fetch_add(1, Ordering::Relaxed) >= self.connections_max() {
            self.connections.fetch_sub(1, Ordering::Relaxed);
            return Err(Full::Server);
        }
        let address = counted(address);
        let max = self.per_address_max();
        // Counted without a limit too: there may be one later.
        let mut stripe = self.stripe(address);
        let count = stripe.entry(address).or_insert(0);
        if max > 0 && *count >= max {
            drop(stripe);
            self.connections.fetch_sub(1, Ordering::Relaxed);
            return Err(Full::Address);
        }
        *count += 1;
        Ok(())
    }

    /// Counts a connection out.
    pub fn leave(&self, address: IpAddr) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
        let address = counted(address);
        let mut stripe = self.stripe(address);
        if let Some(count) = stripe.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                stripe.remove(&address);
                if stripe.capacity() > 4 * stripe.len() + 64 {
                    stripe.shrink_to_fit();
                }
            }
        }
    }

    /// Connections of one address that may be in; 0: no limit.
    pub fn per_address_max(&self) -> u32 {
        self.per_address_max.load(Ordering::Relaxed)
    }

    /// Connections that may be in.
    pub fn connections_max(&self) -> usize {
        self.connections_max.load(Ordering::Relaxed)
    }

    /// Connections in.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    fn stripe(
        &self,
        address: IpAddr,
    ) -> std::sync::MutexGuard<'_, HashMap<IpAddr, u32, RandomState>> {
        let at = self.hasher.hash_one(address) as usize % STRIPES;
        // A poisoned count is still a count: nothing panics between its two halves.
        self.addresses[at].lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_limits_hold_and_places_come_back() {
        let census = Census::new(3, 2);
        let (one, two) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        assert_eq!(census.enter(one), Ok(()));
        assert_eq!(census.look(one), Ok(()));
        assert_eq!(census.enter(one), Ok(()));
        assert_eq!(census.look(one), Err(Full::Address));
        assert_eq!(census.enter(one), Err(Full::Address));
        assert_eq!(census.enter(two), Ok(()));
        assert_eq!(census.look(two), Err(Full::Server));
        assert_eq!(census.enter(two), Err(Full::Server));
        census.leave(one);
        assert_eq!(census.look(two), Ok(()));
        assert_eq!(census.enter(two), Ok(()));
        assert_eq!(census.connections(), 3);
        for address in [one, two, two] {
            census.leave(address);
        }
        assert_eq!(census.connections(), 0);
        assert!(census.addresses.iter().all(|stripe| stripe.lock().unwrap().is_empty()));
    }

    #[test]
    fn what_a_client_can_choose_of_its_address_makes_no_second_client() {
        let census = Census::new(10, 2);
        let of = |text: &str| text.parse::<IpAddr>().unwrap();
        let (one, two, three) = (of("2001:db8::1"), of("2001:db8::2:2"), of("2001:db8::3"));
        assert_eq!((census.enter(one), census.enter(two)), (Ok(()), Ok(())));
        assert_eq!(census.look(three), Err(Full::Address));
        assert_eq!(census.enter(three), Err(Full::Address));
        assert_eq!(census.enter(of("2001:db8:0:1::1")), Ok(()));
        for address in [one, two, of("2001:db8:0:1::1")] {
            census.leave(address);
        }
        assert!(census.addresses.iter().all(|stripe| stripe.lock().unwrap().is_empty()));
    }

    #[test]
    fn other_limits_are_for_who_comes_later() {
        let census = Census::new(5, 0);
        let address = IpAddr::from([127, 0, 0, 1]);
        for _ in 0..3 {
            assert_eq!(census.enter(address), Ok(()));
        }
        // Who came without a limit counts for one that is set later.
        census.limit(5, 3);
        assert_eq!(census.enter(address), Err(Full::Address));
        census.leave(address);
        assert_eq!(census.enter(address), Ok(()));
        census.limit(2, 0);
        assert_eq!(census.enter(address), Err(Full::Server));
        census.limit(4, 0);
        assert_eq!(census.enter(address), Ok(()));
        for _ in 0..4 {
            census.leave(address);
        }
        assert_eq!(census.connections(), 0);
        assert!(census.addresses.iter().all(|stripe| stripe.lock().unwrap().is_empty()));
    }
}

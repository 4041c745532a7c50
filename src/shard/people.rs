//! Who is connected, by user and tenant: how a shard finds the connections of an audience.
//!
//! Connections of one user, and those of one tenant, are linked in rings by their numbers, beside
//! the slots and only for who has an identity; a hash table finds a ring by one of its own, and
//! reads the text there. Tenants stand in the order of their names, so that the first of them are
//! told without a look at the rest. Kept in step where a connection comes, authenticates and ends;
//! coming and leaving cost a probe of users and one of tenants, whatever the number of connections.
//! A user is one within a tenant. It judges nobody: whether a connection may be sent to is for
//! whoever asks.

use std::collections::{BTreeMap, BTreeSet};

use ahash::RandomState;

use crate::audience::Audience;
use crate::auth::Identity;
use crate::limits::{LIST_BYTES_MAX, LIST_ITEMS_MAX};
use crate::shard::slot::Slots;
use crate::shard::topics::slab::Slab;
use crate::shard::topics::table::Table;

/// A connection's neighbours in a ring; its own number twice where it is alone.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Link {
    next: u32,
    prev: u32,
}

/// A connection's places.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Links {
    user: Link,
    /// Without meaning where there is no tenant.
    tenant: Link,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ring {
    User,
    Tenant,
}

/// A tenant's connections.
#[derive(Debug)]
struct Tenant {
    head: u32,
    connections: u32,
}

/// The users and tenants of a shard's connections.
#[derive(Default)]
pub(super) struct People {
    links: Slab<Links>,
    /// One connection of each user.
    users: Table,
    tenants: BTreeMap<Box<str>, Tenant>,
    /// Bytes of their names.
    names_bytes: usize,
    random: RandomState,
}

impl People {
    /// A connection has an identity from now on.
    pub(super) fn enter(&mut self, slots: &mut Slots, conn: u32) {
        let Some(identity) = slots[conn].identity.as_deref() else { return };
        debug_assert!(self.links.get(conn).is_none(), "{conn} is somebody already");
        let alone = Link { next: conn, prev: conn };
        *self.links.occupy(conn) = Links { user: alone, tenant: alone };
        let Self { links, users, tenants, names_bytes, random } = self;
        let hash = hash_user(random, identity.tenant(), identity.user_id());
        let is_same = |other| is_user(slots, other, identity.tenant(), identity.user_id());
        match users.find(hash, is_same) {
            Some(head) => join(links, Ring::User, head, conn),
            None => users.insert(hash, conn, |other| hash_of(random, slots, other)),
        }
        let Some(tenant) = identity.tenant() else { return };
        if let Some(known) = tenants.get_mut(tenant) {
            known.connections += 1;
            join(links, Ring::Tenant, known.head, conn);
        } else {
            tenants.insert(tenant.into(), Tenant { head: conn, connections: 1 });
            *names_bytes += tenant.len();
        }
    }

    /// A connection has its identity, where it has one, no longer.
    pub(super) fn leave(&mut self, slots: &mut Slots, conn: u32) {
        if self.links.get(conn).is_none() {
            return;
        }
        let identity = slots[conn].identity.as_deref().expect("who is linked has an identity");
        let Self { links, users, tenants, names_bytes, random } = self;
        let hash = hash_user(random, identity.tenant(), identity.user_id());
        let next = part(links, Ring::User, conn);
        if users.find(hash, |head| head == conn).is_some() {
            let hasher = |other| hash_of(random, slots, other);
            users.remove(hash, conn, hasher);
            if let Some(next) = next {
                users.insert(hash, next, hasher);
            }
        }
        if let Some(tenant) = identity.tenant() {
            let next = part(links, Ring::Tenant, conn);
            let known = tenants.get_mut(tenant).expect("a tenant with a connection");
            known.connections -= 1;
            match next {
                Some(next) if known.head == conn => known.head = next,
                Some(_) => {}
                None => {
                    tenants.remove(tenant);
                    *names_bytes -= tenant.len();
                }
            }
        }
        self.links.remove(conn);
    }

    /// The connections of an audience; of everyone and of no identity, all slots, taken or not.
    pub(super) fn members(&self, slots: &Slots, of: &Audience) -> Members<'_> {
        let (ring, head) = match of {
            Audience::Everyone => return Members::All(0..slots.places()),
            Audience::Connection(key) => {
                let first = key.index;
                return Members::All(if slots.holds(*key) { first..first + 1 } else { 0..0 });
            }
            Audience::Socket(sid) => {
                let place = sid.place();
                let is_there = slots.is_socket(*sid);
                return Members::All(if is_there { place..place + 1 } else { 0..0 });
            }
            Audience::Tenant(tenant) => (Ring::Tenant, self.tenants.get(tenant).map(|it| it.head)),
            Audience::User { tenant, user } => {
                let tenant = tenant.as_deref();
                let hash = hash_user(&self.random, tenant, user);
                let head = self.users.find(hash, |other| is_user(slots, other, tenant, user));
                (Ring::User, head)
            }
        };
        Members::Ring { links: &self.links, ring, head: head.unwrap_or_default(), at: head }
    }

    /// How many connections each tenant has, in the order of their names; where there are more
    /// tenants than a list holds, the first of them. Costs what it gives.
    pub(super) fn tally(&self) -> Vec<(Box<str>, u64)> {
        let mut bytes = 0;
        let first = self.tenants.iter().take(LIST_ITEMS_MAX).take_while(|(tenant, _)| {
            bytes += tenant.len();
            bytes <= LIST_BYTES_MAX
        });
        first.map(|(tenant, known)| (tenant.clone(), u64::from(known.connections))).collect()
    }

    /// Bytes of heap held; of the tree of tenants what its entries take, which fill two thirds or
    /// more of it.
    pub(super) fn heap_bytes(&self) -> usize {
        let tenants = self.tenants.len() * size_of::<(Box<str>, Tenant)>() + self.names_bytes;
        self.links.heap_bytes() + self.users.heap_bytes() + tenants
    }

    /// Asserts that just those with an identity are linked, each in the ring of its user and of its
    /// tenant, once.
    pub(super) fn check(&self, slots: &Slots) {
        let (mut known, mut users, mut tenants) = (0, BTreeSet::new(), BTreeMap::new());
        for conn in slots.indices() {
            let Some(identity) = slots[conn].identity.as_deref() else { continue };
            known += 1;
            users.insert((identity.tenant(), identity.user_id()));
            if let Some(tenant) = identity.tenant() {
                *tenants.entry(tenant).or_insert(0) += 1;
            }
        }
        assert_eq!((self.links.len(), self.users.len()), (known, users.len()));
        for (tenant, user) in users {
            let of = Audience::User { tenant: tenant.map(Into::into), user: user.into() };
            for conn in self.members(slots, &of) {
                assert!(is_user(slots, conn, tenant, user), "{conn} is in the ring of {of:?}");
                known -= 1;
            }
        }
        assert_eq!((known, self.tenants.len()), (0, tenants.len()));
        assert_eq!(self.names_bytes, tenants.keys().map(|it| it.len()).sum::<usize>());
        for (tenant, connections) in tenants {
            let members = self.members(slots, &Audience::Tenant(tenant.into()));
            assert_eq!(members.clone().count(), connections, "of {tenant}");
            assert!(members.into_iter().all(|conn| is_tenant(slots, conn, tenant)));
        }
    }
}

/// The connections of an audience, in no order but for all of them.
#[derive(Clone)]
pub(super) enum Members<'a> {
    /// Slots by number, taken or not.
    All(std::ops::Range<u32>),
    /// Those of a ring, each once.
    Ring { links: &'a Slab<Links>, ring: Ring, head: u32, at: Option<u32> },
}

impl Iterator for Members<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        match self {
            Self::All(range) => range.next(),
            Self::Ring { links, ring, head, at } => {
                let conn = (*at)?;
                let next = link(links, *ring, conn).next;
                *at = (next != *head).then_some(next);
                Some(conn)
            }
        }
    }
}

fn link(links: &Slab<Links>, ring: Ring, conn: u32) -> Link {
    match ring {
        Ring::User => links[conn].user,
        Ring::Tenant => links[conn].tenant,
    }
}

fn link_mut(links: &mut Slab<Links>, ring: Ring, conn: u32) -> &mut Link {
    match ring {
        Ring::User => &mut links[conn].user,
        Ring::Tenant => &mut links[conn].tenant,
    }
}

/// Puts a connection into a ring, at its end.
fn join(links: &mut Slab<Links>, ring: Ring, head: u32, conn: u32) {
    let last = link(links, ring, head).prev;
    *link_mut(links, ring, conn) = Link { next: head, prev: last };
    link_mut(links, ring, last).next = conn;
    link_mut(links, ring, head).prev = conn;
}

/// Takes a connection out of its ring; gives the one behind it, where one is left.
fn part(links: &mut Slab<Links>, ring: Ring, conn: u32) -> Option<u32> {
    let Link { next, prev } = link(links, ring, conn);
    link_mut(links, ring, prev).next = next;
    link_mut(links, ring, next).prev = prev;
    (next != conn).then_some(next)
}

fn hash_user(random: &RandomState, tenant: Option<&str>, user: &str) -> u64 {
    random.hash_one((tenant, user))
}

fn hash_of(random: &RandomState, slots: &Slots, conn: u32) -> u64 {
    let identity = slots[conn].identity.as_deref().expect("who is linked has an identity");
    hash_user(random, identity.tenant(), identity.user_id())
}

fn is_user(slots: &Slots, conn: u32, tenant: Option<&str>, user: &str) -> bool {
    let identity = slots[conn].identity.as_deref();
    identity.is_some_and(|it| it.user_id() == user && it.tenant() == tenant)
}

fn is_tenant(slots: &Slots, conn: u32, tenant: &str) -> bool {
    slots[conn].identity.as_deref().and_then(Identity::tenant) == Some(tenant)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::auth::IdentityParts;
    use crate::connection::ConnKey;
    use crate::shard::slot::Slot;
    use crate::shard::timers::Tick;
    use crate::topic::TopicBounds;

    type Who = (Option<String>, String);

    fn identity((tenant, user): &Who) -> Identity {
        let parts =
            IdentityParts { user_id: user, tenant: tenant.as_deref(), ..Default::default() };
        Identity::new(&parts, TopicBounds::default()).expect("well formed")
    }

    /// Whoever is there, kept plainly.
    #[derive(Default)]
    struct Plain(BTreeMap<u32, (ConnKey, Option<Who>)>);

    impl Plain {
        fn of(&self, is: impl Fn(&Who) -> bool) -> Vec<u32> {
            let known = |(_, who): &(ConnKey, Option<Who>)| who.as_ref().is_some_and(&is);
            self.0.iter().filter(|(_, it)| known(it)).map(|(conn, _)| *conn).collect()
        }
    }

    fn members(people: &People, slots: &Slots, of: &Audience) -> Vec<u32> {
        let mut all: Vec<u32> = people.members(slots, of).collect();
        all.sort_unstable();
        all
    }

    fn agree(people: &People, slots: &Slots, plain: &Plain) {
        people.check(slots);
        let mut tally = BTreeMap::<String, u64>::new();
        for tenant in plain.0.values().filter_map(|(_, who)| who.as_ref()?.0.clone()) {
            *tally.entry(tenant).or_default() += 1;
        }
        let tally: Vec<_> = tally.into_iter().map(|(it, count)| (it.into(), count)).collect();
        assert_eq!(people.tally(), tally);
        for tenant in [None, Some("a"), Some("b"), Some("1")] {
            for user in ["1", "2", "a", "nobody"] {
                let of = Audience::User { tenant: tenant.map(Into::into), user: user.into() };
                let expected = plain.of(|who| who.0.as_deref() == tenant && who.1 == user);
                assert_eq!(members(people, slots, &of), expected, "{of:?}");
            }
            if let Some(tenant) = tenant {
                let expected = plain.of(|who| who.0.as_deref() == Some(tenant));
                assert_eq!(members(people, slots, &Audience::Tenant(tenant.into())), expected);
            }
        }
    }

    #[test]
    fn agrees_with_a_plain_map_over_random_comings_and_goings() {
        let mut random = 1_u64;
        let mut draw = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99_991);
            (random >> 33) % below
        };
        let (mut people, mut slots) = (People::default(), Slots::default());
        let mut plain = Plain::default();
        for step in 0..6000 {
            let tenant = [None, Some("a"), Some("b"), Some("1")][draw(4) as usize];
            let who = (tenant.map(Into::into), ["1", "2", "a"][draw(3) as usize].to_owned());
            let nth = draw(1 << 20) as usize % plain.0.len().max(1);
            let some = plain.0.keys().nth(nth).copied();
            // Now more come, now more leave, so that rings are long and empty in turn.
            match (draw(10), step / 1000 % 2, some) {
                (0..5, 0, _) | (0..3, _, _) | (_, _, None) => {
                    let address = IpAddr::from([127, 0, 0, 1]);
                    let key = slots.insert(Slot::open(0, 0, address, Tick(0)));
                    let who = (draw(3) > 0).then_some(who);
                    slots[key.index].identity = who.as_ref().map(identity).map(Box::new);
                    people.enter(&mut slots, key.index);
                    plain.0.insert(key.index, (key, who));
                }
                (5..7, _, Some(conn)) => {
                    people.leave(&mut slots, conn);
                    slots[conn].identity = Some(Box::new(identity(&who)));
                    people.enter(&mut slots, conn);
                    plain.0.get_mut(&conn).expect("it is there").1 = Some(who);
                }
                (_, _, Some(conn)) => {
                    let (key, _) = plain.0.remove(&conn).expect("it is there");
                    assert_eq!(members(&people, &slots, &Audience::Connection(key)), [conn]);
                    people.leave(&mut slots, conn);
                    slots.remove(conn);
                    assert_eq!(members(&people, &slots, &Audience::Connection(key)), [0; 0]);
                }
            }
            if step % 50 == 0 {
                agree(&people, &slots, &plain);
            }
        }
        for conn in plain.0.into_keys() {
            people.leave(&mut slots, conn);
            slots.remove(conn);
        }
        assert_eq!((people.links.len(), people.users.len(), people.tenants.len()), (0, 0, 0));
    }

    #[test]
    fn the_first_tenants_are_told_without_a_look_at_the_rest() {
        let (mut people, mut slots) = (People::default(), Slots::default());
        // Two of each, and in no order.
        let tenants = 2 * LIST_ITEMS_MAX;
        for number in 0..2 * tenants {
            let tenant = format!("{:05}", number * 7 % tenants);
            let key = slots.insert(Slot::open(0, 0, IpAddr::from([127, 0, 0, 1]), Tick(0)));
            let who = identity(&(Some(tenant), "1".into()));
            slots[key.index].identity = Some(Box::new(who));
            people.enter(&mut slots, key.index);
        }
        people.check(&slots);
        let first = (0..LIST_ITEMS_MAX).map(|number| (format!("{number:05}").into(), 2));
        assert_eq!(people.tally(), first.collect::<Vec<_>>());
    }
}

//! A connection as its shard keeps it: a slot in a slab of pages.
//!
//! The slot holds what every connection needs and nothing that only some do: an unfinished
//! message, queued output and the identity are boxes made when there is something to put in them,
//! and what it sent of late stands beside, of those who sent something while there was a limit.
//! What the connection is subscribed to stands in `topics/`, its deadline in `timers.rs`.

use std::net::IpAddr;

use crate::auth::Identity;
use crate::connection::ConnKey;
use crate::origin::OriginMark;
use crate::shard::asking::Aside;
use crate::shard::outbox::{Backlog, Pending};
use crate::shard::pages::{PAGE, Pages};
use crate::shard::role::{Engine, Role};
use crate::shard::timers::Tick;
use crate::shard::topics::slab::Slab;
use crate::sid::Sid;
use crate::wire::frame::Partial;

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nobody has the slot.
    Free,
    /// Messages go both ways.
    Open,
    /// Our close frame is on its way; the client's is awaited, what else it sends is dropped.
    Closing,
    /// The client broke the protocol, or goes on sending behind its close frame: once our close
    /// frame is out, the sending side is shut, and what still comes in is thrown away, until its
    /// end or its time is over.
    Failing,
    /// The client's close frame came; ours is made in the turn that ends the connection.
    Leaving,
    /// Both close frames are known; the socket goes when ours is out.
    Finishing,
    /// It hung up: the socket goes when what was queued has been tried.
    Gone,
    /// A WebSocket of Engine.IO that wants to take over from a polling session: its packets are
    /// read, and nothing else.
    Probing,
    /// A further Socket.IO socket: it has no transport of its own, and is sent to by its engine's.
    Guest,
    /// A Socket.IO socket whose transport is lost: it keeps its place for a while.
    Ghost,
}

/// How much a connection has sent of late (protocols.md section 11, "Life and limits").
#[derive(Clone, Copy, Debug, Default)]
pub struct Traffic {
    /// When the bucket of its messages will be full, in monotonic nanoseconds.
    pub messages_full_ns: u64,
    /// When the bucket of its bytes will be full, in monotonic nanoseconds.
    pub bytes_full_ns: u64,
    /// Data frames in this window.
    pub frames: u32,
    /// Their bytes.
    pub bytes: u32,
    /// The window's number since the process started.
    pub window: u32,
    /// Windows in a row over a limit.
    pub strikes: u8,
    /// Whether this one is.
    pub over: bool,
}

/// Ping frames of a connection in one second.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pings {
    /// How many.
    pub count: u8,
    /// The second, its low bits.
    pub second: u16,
}

/// One connection.
#[derive(Debug)]
pub struct Slot {
    /// The stamp of the last message queued for it: a message with several matching patterns is
    /// queued at the first.
    pub stamp: u32,
    /// What is queued in this turn.
    pub pending: Pending,
    /// Which encoding it is sent (`outbox::Lane`).
    pub lane: u8,
    /// What messages say in that lane, where that is not the same for all who are sent it
    /// (`encoder.rs`).
    pub form: u8,
    /// The endpoint it came in by, an index into the policy's list.
    pub endpoint: u8,
    /// Where it is in its life.
    pub phase: Phase,
    /// A ping of ours is unanswered.
    pub ping_sent: bool,
    /// Who held the slot before, counted.
    pub generation: u32,
    /// The last sign of life.
    pub heard: Tick,
    /// Drain: when it is told to go. Closing: when it is cut.
    pub go_by: Option<Tick>,
    /// When it came.
    pub opened: Tick,
    /// Its ping frames of late.
    pub pings: Pings,
    /// Failed `auth` messages.
    pub auth_failures: u8,
    /// Compression was negotiated: an offer of the client's, accepted.
    pub compression: bool,
    /// The client's address, or what a trusted proxy says it is.
    pub address: IpAddr,
    /// Which page it came from.
    pub origin: OriginMark,
    /// Who it is, once known.
    pub identity: Option<Box<Identity>>,
    /// What the kernel would not take yet.
    pub backlog: Option<Box<Backlog>>,
    /// A frame or message of which a part is here.
    pub partial: Option<Box<Partial>>,
    /// What a request of its left behind that is not over.
    pub aside: Option<Box<Aside>>,
}

/// The slots of a shard, by number.
#[derive(Default)]
pub struct Slots {
    pages: Pages<Slot>,
    free: Vec<u32>,
    used: usize,
    /// By the numbers of the slots.
    traffic: Slab<Traffic>,
    /// By the numbers of the slots; of the Socket.IO dialect each that is taken has one.
    roles: Slab<Option<Box<Role>>>,
}

impl Slots {
    /// Puts a connection into a free slot; the slot's generation stays.
    pub fn insert(&mut self, filled: Slot) -> ConnKey {
        if self.free.is_empty() {
            self.grow();
        }
        let index = self.free.pop().expect("a page was just added");
        let slot = &mut self.pages[index];
        let key = ConnKey { index, generation: slot.generation };
        *slot = Slot { generation: key.generation, ..filled };
        self.used += 1;
        key
    }

    /// Empties a slot: the boxes go, the next tenant gets another generation.
    pub fn remove(&mut self, index: u32) {
        let slot = &mut self[index];
        let generation = slot.generation.wrapping_add(1);
        *slot = Slot::free(generation);
        self.traffic.remove(index);
        self.roles.remove(index);
        self.free.push(index);
        self.used -= 1;
    }

    /// Leaves a slot to what was in it without a transport: of that only where it came from stays,
    /// and what it has sent of late. Whoever knew it by its name knows it no longer.
    pub(super) fn haunt(&mut self, index: u32) {
        let slot = &mut self[index];
        let (endpoint, form, stamp, opened) = (slot.endpoint, slot.form, slot.stamp, slot.opened);
        let (lane, address, origin) = (slot.lane, slot.address, slot.origin);
        let free = Slot::free(slot.generation.wrapping_add(1));
        let phase = Phase::Ghost;
        *slot = Slot { stamp, lane, form, endpoint, phase, opened, address, origin, ..free };
    }

    /// Takes out of a slot what goes to another shard with its engine. The slot stays, as that of
    /// what comes there still, or is free.
    pub(super) fn move_out(&mut self, index: u32, is_left_behind: bool) -> Slot {
        let slot = &mut self[index];
        let generation = slot.generation.wrapping_add(1);
        let moved = std::mem::replace(slot, Slot::free(generation));
        self.traffic.remove(index);
        self.roles.remove(index);
        if is_left_behind {
            self[index].phase = Phase::Ghost;
        } else {
            self.free.push(index);
            self.used -= 1;
        }
        Slot { stamp: 0, ..moved }
    }

    /// The connection of this name, while it is there.
    pub fn get(&mut self, key: ConnKey) -> Option<&mut Slot> {
        let slot = self.pages.get_mut(key.index)?;
        (slot.generation == key.generation && slot.phase != Phase::Free).then_some(slot)
    }

    /// The name of the connection that has a slot.
    pub fn key(&self, index: u32) -> ConnKey {
        ConnKey { index, generation: self[index].generation }
    }

    /// Whether the connection of this name is there.
    pub fn holds(&self, key: ConnKey) -> bool {
        let slot = self.pages.get(key.index);
        slot.is_some_and(|it| it.generation == key.generation && it.phase != Phase::Free)
    }

    /// How much a connection that is there has sent of late: counted from the first call on.
    pub(super) fn traffic(&mut self, index: u32) -> &mut Traffic {
        self.traffic.occupy(index)
    }

    /// What a slot of the Socket.IO dialect is.
    pub(super) fn role(&self, index: u32) -> Option<&Role> {
        self.roles.get(index)?.as_deref()
    }

    /// The same, to be changed.
    pub(super) fn role_mut(&mut self, index: u32) -> Option<&mut Role> {
        self.roles.get_mut(index)?.as_deref_mut()
    }

    /// Makes a slot something; gives what it was.
    pub(super) fn set_role(&mut self, index: u32, role: Option<Box<Role>>) -> Option<Box<Role>> {
        match role {
            Some(role) => self.roles.occupy(index).replace(role),
            None => self.roles.remove(index).flatten(),
        }
    }

    /// The engine of this name, while it is there; of whichever shard it says it is.
    pub(super) fn engine_of(&self, sid: Sid) -> Option<&Engine> {
        let Some(Role::Carrier(engine)) = self.role(sid.place()) else { return None };
        (engine.secret == sid.secret()).then_some(engine)
    }

    /// Whether a socket of this name is there; of whichever shard it says it is.
    pub fn is_socket(&self, sid: Sid) -> bool {
        let socket = match self.role(sid.place()) {
            Some(Role::Carrier(engine)) => engine.socket.as_ref(),
            Some(Role::Guest(guest)) => Some(&guest.socket),
            Some(Role::Ghost(_) | Role::Probe(_) | Role::Forward(_)) | None => None,
        };
        socket.is_some_and(|it| it.name == sid.secret())
    }

    /// Whether a socket of this name is not there but may come back; of whichever shard it says it
    /// is.
    pub(super) fn is_ghost(&self, sid: Sid) -> bool {
        let ghost = match self.role(sid.place()) {
            Some(Role::Ghost(ghost)) => Some(ghost),
            Some(Role::Carrier(engine)) => engine.ghost.as_deref(),
            Some(Role::Guest(_) | Role::Probe(_) | Role::Forward(_)) | None => None,
        };
        ghost.is_some_and(|it| it.socket.name == sid.secret())
    }

    /// Slots there are, taken or not.
    pub fn places(&self) -> u32 {
        self.pages.len() as u32
    }

    /// Connections.
    pub fn len(&self) -> usize {
        self.used
    }

    /// Every connection's number.
    pub fn indices(&self) -> Vec<u32> {
        let taken = self.pages.iter().filter(|(_, slot)| slot.phase != Phase::Free);
        taken.map(|(index, _)| index).collect()
    }

    /// Asserts that free slots are empty and are just those on the free list.
    pub(super) fn check(&self) {
        let mut free: Vec<u32> = Vec::new();
        for (index, slot) in self.pages.iter().filter(|(_, slot)| slot.phase == Phase::Free) {
            assert!(slot.pending.is_empty(), "free slot {index} has output");
            assert_eq!(slot.origin, OriginMark::NONE, "free slot {index} is somebody's");
            assert!(slot.identity.is_none() && slot.backlog.is_none() && slot.partial.is_none());
            assert!(slot.aside.is_none(), "free slot {index} waits");
            assert!(self.traffic.get(index).is_none(), "free slot {index} has sent something");
            assert!(self.role(index).is_none(), "free slot {index} has a role");
            free.push(index);
        }
        let mut listed = self.free.clone();
        listed.sort_unstable();
        assert_eq!(listed, free);
        assert_eq!(self.used + free.len(), self.pages.len());
    }

    /// Bytes of heap of the slots themselves, whoever has them.
    pub(super) fn heap_bytes(&self) -> usize {
        self.pages.heap_bytes()
            + self.free.capacity() * size_of::<u32>()
            + self.traffic.heap_bytes()
            + self.roles.heap_bytes()
    }

    /// Bytes of heap of what slots of the Socket.IO dialect have beside them. Linear in the slots.
    pub(super) fn roles_heap_bytes(&self) -> usize {
        let taken = self.pages.iter().filter_map(|(index, _)| self.role(index));
        taken.map(|role| size_of_val(role) + role.heap_bytes()).sum()
    }

    fn grow(&mut self) {
        let first = self.pages.len() as u32;
        self.pages.reach(first, || Slot::free(0));
        self.free.reserve_exact(PAGE);
        self.free.extend((first..first + PAGE as u32).rev());
    }
}

impl std::ops::Index<u32> for Slots {
    type Output = Slot;

    fn index(&self, index: u32) -> &Slot {
        &self.pages[index]
    }
}

impl std::ops::IndexMut<u32> for Slots {
    fn index_mut(&mut self, index: u32) -> &mut Slot {
        &mut self.pages[index]
    }
}

impl Slot {
    /// A slot that nobody has.
    fn free(generation: u32) -> Self {
        Self {
            stamp: 0,
            pending: Pending::NOTHING,
            lane: 0,
            form: 0,
            endpoint: 0,
            phase: Phase::Free,
            ping_sent: false,
            generation,
            heard: Tick(0),
            go_by: None,
            opened: Tick(0),
            pings: Pings::default(),
            auth_failures: 0,
            compression: false,
            address: IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
            origin: OriginMark::NONE,
            identity: None,
            backlog: None,
            partial: None,
            aside: None,
        }
    }

    /// A connection that has just been established.
    pub fn open(endpoint: u8, lane: u8, address: IpAddr, now: Tick) -> Self {
        Self {
            endpoint,
            lane,
            address,
            phase: Phase::Open,
            heard: now,
            opened: now,
            ..Self::free(0)
        }
    }
}

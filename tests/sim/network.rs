//! A network without a kernel: for each connection a buffer each way, of a size of its own.
//!
//! [`Sockets`] is what a shard sees of it. A send takes what there is room for and at times less;
//! a socket can die within the bytes of a send.

use std::collections::VecDeque;
use std::net::IpAddr;

use shardwire::connection::{Address, ConnKey};
use shardwire::shard::{Port, Sent};

use super::random::Random;

/// One connection as the network knows it.
pub struct Link {
    pub key: ConnKey,
    pub at: Address,
    pub address: IpAddr,
    /// On its way to the client.
    pub down: VecDeque<u8>,
    /// Bytes that `down` can hold.
    pub down_max: usize,
    /// On its way to the server.
    pub up: VecDeque<u8>,
    /// The client sends no more.
    pub up_ended: bool,
    /// A send fell short: the server is owed a word when there is room.
    pub owed_writable: bool,
    /// When a send fell short for the first time, in monotonic milliseconds.
    pub short_first_ms: Option<u64>,
    /// The last send fell short.
    pub short: bool,
    /// The shard did not want it read, and has not said otherwise.
    pub paused: bool,
    /// Bytes after which the connection dies.
    pub dies_in: Option<usize>,
    /// Reset: whatever was on its way is lost.
    pub dead: bool,
    /// The server sends no more.
    pub shut: bool,
    /// When the server closed it, in monotonic milliseconds.
    pub closed_ms: Option<u64>,
}

/// All connections that ever were, and where they are.
pub struct Net {
    pub links: Vec<Link>,
    /// By shard and slot.
    places: Vec<Vec<Option<usize>>>,
    pub now_ms: u64,
    random: Random,
}

impl Net {
    pub fn new(shards: u8, random: Random) -> Self {
        let places = (0..shards).map(|_| Vec::new()).collect();
        Self { links: Vec::new(), places, now_ms: 0, random }
    }

    /// A new connection, in the slot that the shard gave it.
    pub fn connect(&mut self, shard: u8, key: ConnKey, address: IpAddr, down_max: usize) {
        let places = &mut self.places[usize::from(shard)];
        let slot = key.index as usize;
        places.resize(places.len().max(slot + 1), None);
        assert_eq!(places[slot], None, "the slot was given twice");
        places[slot] = Some(self.links.len());
        self.links.push(Link {
            key,
            at: Address { shard, conn: key },
            address,
            down: VecDeque::new(),
            down_max,
            up: VecDeque::new(),
            up_ended: false,
            owed_writable: false,
            short_first_ms: None,
            short: false,
            paused: false,
            dies_in: None,
            dead: false,
            shut: false,
            closed_ms: None,
        });
    }

    /// The connections that a shard has not closed.
    pub fn of_shard(&self, shard: u8) -> Vec<usize> {
        self.places[usize::from(shard)].iter().filter_map(|place| *place).collect()
    }

    /// What a shard sees.
    pub fn sockets(&mut self, shard: u8) -> Sockets<'_> {
        Sockets { net: self, shard }
    }
}

impl Link {
    /// Kills it: nothing on its way arrives.
    pub fn die(&mut self) {
        self.dead = true;
        self.down.clear();
        self.up.clear();
    }

    /// Whether the server has something to learn by a read.
    pub fn is_readable(&self) -> bool {
        !self.up.is_empty() || self.up_ended || self.dead
    }

    /// Whether the server is to be told of room, which it then is.
    pub fn take_writable(&mut self) -> bool {
        let told = self.owed_writable && (self.dead || self.down.len() * 2 <= self.down_max);
        self.owed_writable &= !told;
        told
    }
}

/// The network as one shard's port.
pub struct Sockets<'n> {
    net: &'n mut Net,
    shard: u8,
}

impl Sockets<'_> {
    fn link(&mut self, conn: u32) -> &mut Link {
        let place = self.net.places[usize::from(self.shard)][conn as usize];
        &mut self.net.links[place.expect("the shard closed this connection before")]
    }
}

impl Port for Sockets<'_> {
    fn send(&mut self, conn: u32, bytes: &[u8]) -> Sent {
        let less = self.net.random.one_in(12);
        let cut = self.net.random.below(bytes.len() as u64 + 1) as usize;
        let now_ms = self.net.now_ms;
        let link = self.link(conn);
        assert!(!link.shut && !bytes.is_empty());
        if link.dead {
            return Sent::Gone;
        }
        if let Some(left) = &mut link.dies_in {
            if bytes.len() >= *left {
                link.die();
                return Sent::Gone;
            }
            *left -= bytes.len();
        }
        let room = link.down_max - link.down.len();
        let taken = bytes.len().min(room).min(if less { cut } else { usize::MAX });
        link.down.extend(&bytes[..taken]);
        link.short = taken < bytes.len();
        if link.short {
            link.owed_writable = true;
            link.short_first_ms.get_or_insert(now_ms);
        }
        Sent::Bytes(taken)
    }

    fn shut(&mut self, conn: u32) {
        self.link(conn).shut = true;
    }

    fn close(&mut self, conn: u32, address: IpAddr) {
        let now_ms = self.net.now_ms;
        let link = self.link(conn);
        assert_eq!(link.address, address);
        link.closed_ms = Some(now_ms);
        self.net.places[usize::from(self.shard)][conn as usize] = None;
    }
}

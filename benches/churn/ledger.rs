//! What was said to rooms and what came of it: nothing may be lost, doubled or out of order.
//!
//! A stream is one client from its coming to its end; its messages are numbered from 0. Who stays
//! must hear each of its room's streams from its first message on; who comes later from some message
//! on. Of those that are still there the last message must have come to everybody, of those that were
//! killed the same last one to all who stayed.

use std::collections::HashMap;

use shardwire::load::stamp::Stamp;

/// A client's messages.
struct Stream {
    room: usize,
    sent: u32,
    is_alive: bool,
}

/// A place in a room, and who has it.
struct Seat {
    room: usize,
    stays: bool,
    /// By stream, the number that must come next.
    next: HashMap<u32, u32>,
}

/// The account of a run.
#[derive(Default)]
pub struct Ledger {
    streams: Vec<Stream>,
    seats: Vec<Seat>,
    /// The places of each room.
    rooms: Vec<Vec<usize>>,
    /// Messages that came.
    pub deliveries: u64,
    /// Messages that did not come to somebody.
    pub lost: u64,
    /// Messages that came once more, or behind a later one.
    pub doubled: u64,
}

impl Ledger {
    /// A place in a room; places are numbered from 0.
    pub fn seat(&mut self, room: usize, stays: bool) {
        self.rooms.resize_with(self.rooms.len().max(room + 1), Vec::new);
        self.rooms[room].push(self.seats.len());
        self.seats.push(Seat { room, stays, next: HashMap::new() });
    }

    /// Somebody has come to a place; the number of the stream.
    pub fn come(&mut self, seat: usize) -> usize {
        let Seat { room, ref mut next, .. } = self.seats[seat];
        next.clear();
        self.streams.push(Stream { room, sent: 0, is_alive: true });
        self.streams.len() - 1
    }

    /// Somebody was killed.
    pub fn go(&mut self, stream: usize) {
        self.streams[stream].is_alive = false;
    }

    /// How many messages of a stream were said: the number of the next.
    pub fn sent(&self, stream: usize) -> usize {
        self.streams[stream].sent as usize
    }

    /// One more was said.
    pub fn send(&mut self, stream: usize) {
        self.streams[stream].sent += 1;
    }

    /// Messages that somebody heard, numbered one after the other.
    ///
    /// # Panics
    /// When they are of another room, or nobody said them.
    pub fn hear(&mut self, seat: usize, first: Stamp, count: u32) {
        let of = &self.streams[first.stream as usize];
        let Seat { room, stays, ref mut next } = self.seats[seat];
        assert_eq!(room, of.room, "{first:?} came to place {seat}");
        let end = first.number + count;
        assert!(end <= of.sent, "nobody said {first:?}");
        self.deliveries += u64::from(count);
        let begin = if stays { 0 } else { first.number };
        let expected = next.entry(first.stream).or_insert(begin);
        if first.number != *expected {
            println!("  place {seat}: {first:?} instead of {expected}");
        }
        self.lost += u64::from(first.number.saturating_sub(*expected));
        self.doubled += u64::from(expected.saturating_sub(first.number));
        *expected = end.max(*expected);
    }

    /// Messages that have not come yet, of all streams that are still there.
    pub fn missing(&self) -> u64 {
        let alive = self.streams.iter().enumerate().filter(|(_, of)| of.is_alive);
        let missing = alive.flat_map(|(stream, of)| {
            self.members(of).map(move |seat| {
                // Who came later may never have heard of it.
                let begin = if seat.stays { 0 } else { of.sent };
                let heard = seat.next.get(&(stream as u32)).copied();
                u64::from(of.sent - heard.unwrap_or(begin))
            })
        });
        missing.sum()
    }

    /// Counts what never came; of those that were killed, what one heard and another did not.
    pub fn close(&mut self) {
        self.lost += self.missing();
        for (stream, of) in self.streams.iter().enumerate().filter(|(_, of)| !of.is_alive) {
            let heard = |seat: &Seat| seat.next.get(&(stream as u32)).copied().unwrap_or(0);
            let heard: Vec<u32> = self.members(of).filter(|seat| seat.stays).map(heard).collect();
            let most = heard.iter().copied().max().unwrap_or(0);
            self.lost += heard.into_iter().map(|it| u64::from(most - it)).sum::<u64>();
        }
    }

    fn members(&self, of: &Stream) -> impl Iterator<Item = &Seat> {
        self.rooms[of.room].iter().map(|seat| &self.seats[*seat])
    }

    /// Messages that were said.
    pub fn published(&self) -> u64 {
        self.streams.iter().map(|of| u64::from(of.sent)).sum()
    }
}

//! Publishing: what is due now, stamped and framed, a publisher's messages in one send.
//!
//! Opens no loop of its own: [`Talking::turn`] is called again and again in a window, and publishes
//! no more than [`TURN_MESSAGES_MAX`] messages at a time, so that deliveries are read in between.
//! In open loop a stamp has the time that the schedule meant, in closed loop that of the send.
//!
//! Where a publisher's connection has no room, the server does not read it. In open loop its times
//! are kept and tried again, until shortly after the window's end: how long the server let them
//! wait is in their latencies. In closed loop it is put back, and tried again in the next turn.

use std::collections::VecDeque;

use crate::load::dialect::Words;
use crate::load::orders::Window;
use crate::load::pace::{Closed, Schedule, TURN_MESSAGES_MAX};
use crate::load::scenario::{Pace, Talk};
use crate::load::stamp::Stamp;
use crate::load::swarm::{OUTPUT_BYTES_MAX, Swarm};

use super::clients::Clients;

/// How long after the end of a window its last messages may still go, when the load is late or the
/// server does not read them.
pub(super) const LAST_WORDS_US: u64 = 100_000;
/// Bytes of payload in one send, if that is more than one message: no more than what finds room
/// where something waits already.
const SEND_BYTES_MAX: usize = OUTPUT_BYTES_MAX / 2;

/// Where frames go: [`Swarm::has_room`] and [`Swarm::say`].
pub(super) trait Outlet {
    fn has_room(&self, place: u32, bytes: usize) -> bool;
    fn say(&mut self, place: u32, frames: &[u8]) -> bool;
}

impl Outlet for Swarm {
    fn has_room(&self, place: u32, bytes: usize) -> bool {
        self.has_room(place, bytes)
    }

    fn say(&mut self, place: u32, frames: &[u8]) -> bool {
        self.say(place, frames)
    }
}

/// What became of a publisher's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tried {
    Sent,
    /// It is there and does not take them: it has no room, or breaks just now, which is heard of in
    /// the next turn.
    NoRoom,
    /// It is not there, or has nothing to say any more.
    Gone,
}

/// The publishing of a window.
#[derive(Debug)]
pub(super) struct Talking {
    from_us: u64,
    until_us: u64,
    /// The open loop; `None`: the closed one, which is the clients'.
    schedule: Option<Schedule>,
    payload_bytes: usize,
    /// Messages of a publisher that go in one send, at most.
    send_messages_max: u32,
    /// In open loop: publishers with times that are kept. In turns.
    due: VecDeque<u32>,
    /// Those of them that had no room in this turn; empty between turns.
    stalled: Vec<u32>,
    /// All that there was to say in the last turn lacked room.
    is_stalled: bool,
    /// Scratch: a payload, a publisher's frames.
    payload: Vec<u8>,
    frames: Vec<u8>,
    /// Nothing is left to be said.
    is_over: bool,
}

impl Talking {
    /// Of a window. The clients are told of a closed loop.
    pub(super) fn new(talk: &Talk, window: &Window, clients: &mut Clients) -> Self {
        let (publishers, own) = (clients.layout.publishers(), clients.own.clone());
        let mut schedule = None;
        clients.closed = None;
        match talk.pace {
            Pace::Open { per_s } => {
                let per_s = window.per_s.unwrap_or(per_s);
                let (from_us, until_us) = (window.from_us, window.until_us);
                schedule = Some(Schedule::new(from_us, until_us, per_s, publishers, own));
            }
            Pace::Closed { in_flight, batch } => {
                clients.closed = Some(Closed::new(in_flight, batch, &own, publishers));
            }
        }
        let payload_bytes = talk.payload_bytes as usize;
        let in_a_send = SEND_BYTES_MAX / payload_bytes.max(1);
        Self {
            from_us: window.from_us,
            until_us: window.until_us,
            schedule,
            payload_bytes,
            send_messages_max: in_a_send.clamp(1, TURN_MESSAGES_MAX) as u32,
            due: VecDeque::new(),
            stalled: Vec::new(),
            is_stalled: false,
            payload: Vec::new(),
            frames: Vec::new(),
            is_over: false,
        }
    }

    /// Publishes what is due. Connections are known by their place.
    pub(super) fn turn(&mut self, now_us: u64, clients: &mut Clients, outlet: &mut impl Outlet) {
        if self.is_over || now_us < self.from_us {
            return;
        }
        match self.schedule.take() {
            Some(mut schedule) => {
                self.as_scheduled(now_us, &mut schedule, clients, outlet);
                self.schedule = Some(schedule);
            }
            None => self.as_there_is_room(now_us, clients, outlet),
        }
    }

    /// When the next turn has something to say; `None`: when something is heard or there is room
    /// again, or never.
    pub(super) fn next_us(&self, clients: &Clients) -> Option<u64> {
        match (&self.schedule, &clients.closed) {
            (Some(schedule), _) if self.due.is_empty() || self.is_stalled => schedule.next_us(),
            (Some(_), _) => Some(self.from_us),
            (None, Some(closed)) if closed.has_room() && !self.is_stalled => Some(self.from_us),
            (None, _) => None,
        }
    }

    /// Whether all is said.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    fn as_scheduled(
        &mut self,
        now_us: u64,
        schedule: &mut Schedule,
        clients: &mut Clients,
        outlet: &mut impl Outlet,
    ) {
        for _ in 0..TURN_MESSAGES_MAX {
            let Some((publisher, at_us)) = schedule.take(now_us) else { break };
            if clients.speaker(publisher).is_some() {
                clients.figures.late(now_us.saturating_sub(at_us));
            }
            if schedule.kept(publisher) == 1 {
                self.due.push_back(publisher);
            }
        }
        self.publish_due(now_us, schedule, clients, outlet);
        if now_us >= self.until_us + LAST_WORDS_US {
            self.give_up(now_us, schedule, clients);
        }
        self.is_stalled = self.due.is_empty();
        self.due.extend(self.stalled.drain(..));
        self.is_over = self.due.is_empty() && schedule.next_us().is_none();
    }

    /// Publishes times that are kept: each publisher's until it has no room.
    fn publish_due(
        &mut self,
        now_us: u64,
        schedule: &mut Schedule,
        clients: &mut Clients,
        outlet: &mut impl Outlet,
    ) {
        let mut left = TURN_MESSAGES_MAX as u32;
        while left > 0
            && let Some(publisher) = self.due.pop_front()
        {
            let kept = schedule.kept(publisher);
            let messages = kept.min(left.min(self.send_messages_max).into()) as u32;
            let times = schedule.times(publisher, messages);
            match self.publish(publisher, now_us, times, clients, outlet) {
                Tried::Sent => {
                    schedule.spend(publisher, messages.into());
                    left -= messages;
                    if kept > messages.into() {
                        self.due.push_back(publisher);
                    }
                }
                Tried::NoRoom => self.stalled.push(publisher),
                Tried::Gone => {
                    schedule.spend(publisher, kept);
                    clients.figures.unsent(kept);
                }
            }
        }
    }

    /// The time for last words is over: what is left nobody will have.
    fn give_up(&mut self, now_us: u64, schedule: &mut Schedule, clients: &mut Clients) {
        for publisher in self.stalled.drain(..) {
            let kept = schedule.kept(publisher);
            schedule.spend(publisher, kept);
            clients.figures.unread(kept);
        }
        // The load does not keep up.
        let late: u64 = self.due.drain(..).map(|publisher| schedule.kept(publisher)).sum();
        let left = std::iter::from_fn(|| schedule.take(now_us)).count();
        clients.figures.unsent(late + left as u64);
    }

    fn as_there_is_room(&mut self, now_us: u64, clients: &mut Clients, outlet: &mut impl Outlet) {
        if now_us >= self.until_us {
            self.is_over = true;
            clients.closed = None;
            return;
        }
        self.is_stalled = false;
        let mut sent = 0;
        while let Some(closed) = clients.closed.as_mut().filter(|_| sent < TURN_MESSAGES_MAX) {
            let Some(publisher) = closed.take() else { return };
            let batch = closed.batch(publisher) as usize;
            let times = std::iter::repeat_n(now_us, batch);
            match self.publish(publisher, now_us, times, clients, outlet) {
                Tried::Sent => {
                    let aloft = clients.flights.aloft(publisher);
                    clients.closed.iter_mut().for_each(|closed| closed.freed(publisher, aloft));
                }
                Tried::NoRoom => {
                    clients.closed.iter_mut().for_each(|closed| closed.put_back(publisher));
                    self.is_stalled = true;
                    return;
                }
                Tried::Gone => clients.figures.unsent(batch as u64),
            }
            sent += batch;
        }
    }

    /// Sends messages of one publisher, each stamped with its time. Only what is sent is numbered:
    /// what nobody can have nobody has lost.
    fn publish(
        &mut self,
        publisher: u32,
        now_us: u64,
        times: impl ExactSizeIterator<Item = u64>,
        clients: &mut Clients,
        outlet: &mut impl Outlet,
    ) -> Tried {
        let messages = times.len();
        let Some(speaker) = clients.speaker(publisher) else { return Tried::Gone };
        if !clients.has_numbers(publisher, messages as u32) {
            return Tried::Gone;
        }
        // Frames are longer, but need not be made where not even this has room.
        if !outlet.has_room(speaker, messages * self.payload_bytes) {
            return Tried::NoRoom;
        }
        if !self.frame(publisher, times, clients) {
            return Tried::Gone;
        }
        if !outlet.say(speaker, &self.frames) {
            return Tried::NoRoom;
        }
        clients.sent(publisher, messages as u32, now_us);
        Tried::Sent
    }

    /// Makes the frames of a publisher's next messages; false when it has nothing to publish to.
    fn frame(
        &mut self,
        publisher: u32,
        times: impl Iterator<Item = u64>,
        clients: &Clients,
    ) -> bool {
        self.frames.clear();
        for (ahead, at_us) in (0..).zip(times) {
            let Some(message) = clients.message(publisher, ahead) else { return false };
            let stamp = Stamp { stream: message.stream, number: message.number, at_us };
            self.payload.clear();
            stamp.put(&mut self.payload, self.payload_bytes);
            let topic = clients.layout.topic_name(message.topic);
            let mut words = Words::new(&mut self.frames, Swarm::KEY);
            clients.dialect.publish(topic, &self.payload, &mut words);
        }
        true
    }
}

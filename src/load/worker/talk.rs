//! Publishing: what is due now, stamped and framed, a publisher's messages in one send.
//!
//! Opens no loop of its own: [`Talking::turn`] is called again and again in a window, and publishes
//! no more than [`TURN_MESSAGES_MAX`] messages at a time, so that deliveries are read in between.
//! In open loop a stamp has the time that the schedule meant, in closed loop that of the send.

use crate::load::dialect::Words;
use crate::load::orders::Window;
use crate::load::pace::{Closed, Schedule, TURN_MESSAGES_MAX};
use crate::load::scenario::{Pace, Talk};
use crate::load::stamp::Stamp;
use crate::load::swarm::Swarm;

use super::clients::Clients;

/// How long after the end of a window its last messages may still go, when the load is late.
const LAST_WORDS_US: u64 = 100_000;

/// The publishing of a window.
#[derive(Debug)]
pub(super) struct Talking {
    from_us: u64,
    until_us: u64,
    /// The open loop; `None`: the closed one, which is the clients'.
    schedule: Option<Schedule>,
    payload_bytes: usize,
    /// Scratch: what is due, and a publisher's frames.
    due: Vec<(u32, u64)>,
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
                let (from_us, until_us) = (window.from_us, window.until_us);
                schedule = Some(Schedule::new(from_us, until_us, per_s, publishers, own));
            }
            Pace::Closed { in_flight, batch } => {
                let own = own.len() as u32;
                clients.closed = Some(Closed::new(in_flight, batch, own, publishers));
            }
        }
        Self {
            from_us: window.from_us,
            until_us: window.until_us,
            schedule,
            payload_bytes: talk.payload_bytes as usize,
            due: Vec::new(),
            payload: Vec::new(),
            frames: Vec::new(),
            is_over: false,
        }
    }

    /// Publishes what is due. `say` sends frames on a connection, known by its place.
    pub(super) fn turn(
        &mut self,
        now_us: u64,
        clients: &mut Clients,
        mut say: impl FnMut(u32, &[u8]) -> bool,
    ) {
        if self.is_over || now_us < self.from_us {
            return;
        }
        match self.schedule {
            Some(_) => self.as_scheduled(now_us, clients, &mut say),
            None => self.as_there_is_room(now_us, clients, &mut say),
        }
    }

    /// When the next turn has something to say; `None`: when something is heard, or never.
    pub(super) fn next_us(&self, clients: &Clients) -> Option<u64> {
        match (&self.schedule, &clients.closed) {
            (Some(schedule), _) => schedule.next_us(),
            (None, Some(closed)) if closed.has_room() => Some(self.from_us),
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
        clients: &mut Clients,
        say: &mut impl FnMut(u32, &[u8]) -> bool,
    ) {
        let Some(schedule) = &mut self.schedule else { return };
        let mut due = std::mem::take(&mut self.due);
        due.extend(std::iter::from_fn(|| schedule.take(now_us)).take(TURN_MESSAGES_MAX));
        if now_us >= self.until_us + LAST_WORDS_US {
            // The load does not keep up: what is left nobody will have.
            let left = std::iter::from_fn(|| schedule.take(now_us)).count();
            clients.figures.unsent(left as u64);
        }
        self.is_over = schedule.next_us().is_none();
        // By publisher; of each in order of time.
        due.sort_unstable();
        for messages in due.chunk_by(|one, next| one.0 == next.0) {
            let times = messages.iter().map(|(_, at_us)| *at_us);
            self.publish(messages[0].0, now_us, times, clients, say);
        }
        due.clear();
        self.due = due;
    }

    fn as_there_is_room(
        &mut self,
        now_us: u64,
        clients: &mut Clients,
        say: &mut impl FnMut(u32, &[u8]) -> bool,
    ) {
        if now_us >= self.until_us {
            self.is_over = true;
            clients.closed = None;
            return;
        }
        let mut sent = 0;
        while let Some(closed) = clients.closed.as_mut().filter(|_| sent < TURN_MESSAGES_MAX) {
            let Some(publisher) = closed.take() else { return };
            let batch = closed.batch() as usize;
            let times = std::iter::repeat_n(now_us, batch);
            if self.publish(publisher, now_us, times, clients, say) {
                let aloft = clients.flights.aloft(publisher);
                clients.closed.iter_mut().for_each(|closed| closed.freed(publisher, aloft));
            }
            sent += batch;
        }
    }

    /// Sends messages of one publisher, each stamped with its time; false when they do not go: it
    /// is not there, or breaks just now, which is heard of in the next turn. Only what is sent is
    /// numbered: what nobody can have nobody has lost.
    fn publish(
        &mut self,
        publisher: u32,
        now_us: u64,
        times: impl ExactSizeIterator<Item = u64> + Clone,
        clients: &mut Clients,
        say: &mut impl FnMut(u32, &[u8]) -> bool,
    ) -> bool {
        let messages = times.len() as u32;
        let is_sent = clients.speaker(publisher).is_some_and(|speaker| {
            self.frame(publisher, times.clone(), clients) && say(speaker, &self.frames)
        });
        if !is_sent {
            clients.figures.unsent(u64::from(messages));
            return false;
        }
        clients.sent(publisher, messages, now_us);
        if self.schedule.is_some() {
            times.for_each(|at_us| clients.figures.late(now_us.saturating_sub(at_us)));
        }
        true
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

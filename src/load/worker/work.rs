//! Orders, carried out one after the other, and the loop of turns that carries them out.
//!
//! An order is answered before the next is taken. At the end of a window each worker tells what it
//! has said, and is told what all have: that is waited for until it is there or the drain time is
//! over.

use std::io::Write;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::mpsc::TryRecvError;
use std::time::Duration;

use crate::load::clock::now_us;
use crate::load::layout::Layout;
use crate::load::orders::{Begin, Order, Progress, Side, Tidings, Window};
use crate::load::pace::unpaced;
use crate::load::scenario::{Credentials, Pace, Spoken, Target};
use crate::process;

use super::half::Half;
use super::talk::Talking;
use super::unrest::Unrest;
use super::waiting::{GivenUp, Waiting};
use super::{Orders, Trouble, tell};

/// Longest wait of a turn while there is load, and while there is none.
const BUSY_WAIT_US: u64 = 1_000;
const IDLE_WAIT_US: u64 = 5_000;
/// Between two turns of the half that has no load.
const OTHER_HALF_US: u64 = 10_000;
/// How long the server is given to hear that everybody leaves, at most.
const FAREWELL_US: u64 = 300_000;

/// A worker that has its part.
pub(super) struct Worker<W> {
    begin: Begin,
    layout: Rc<Layout>,
    target: Half,
    floor: Option<Half>,
    /// Which of the two has the load, or had it last.
    side: Side,
    phase: Phase,
    unrest: Unrest,
    /// When the other half last had a turn.
    other_us: u64,
    /// When the next sample ends.
    sample_us: u64,
    out: W,
}

/// What is being done.
enum Phase {
    Idle,
    Connecting,
    /// With the messages that were overdue before.
    Window(Window, Option<Box<Talking>>, u64),
    /// All is said, and what others have said is to be told. With the same.
    Said(u64),
    /// Until what was said is there. With the same.
    Finishing(Waiting, u64),
    Settling(Waiting),
}

impl<W: Write> Worker<W> {
    /// Nobody is connected yet.
    ///
    /// # Errors
    /// The machine's: no descriptor, no such processor.
    pub(super) fn new(begin: Begin, out: W) -> Result<Self, Trouble> {
        let processors = &begin.scenario.crowd.processors;
        if !processors.is_empty() {
            let processor = processors[begin.worker as usize % processors.len()];
            process::pin(processor as usize).map_err(|why| Trouble::System("cannot bind", why))?;
        }
        let layout = Rc::new(Layout::new(&begin.scenario));
        let target = half(&begin, &begin.scenario.target, &layout)?;
        check_pace(&begin, &layout, target.clients.dialect.echoes())?;
        let now_us = now_us();
        Ok(Self {
            unrest: Unrest::new(&begin, &layout),
            layout,
            target,
            floor: None,
            side: Side::Target,
            phase: Phase::Idle,
            other_us: now_us,
            sample_us: now_us + begin.scenario.times.sample_ms * 1000,
            begin,
            out,
        })
    }

    /// Carries out orders until it is told to leave, or nobody orders any more.
    ///
    /// # Errors
    /// See [`Trouble`].
    pub(super) fn work(mut self, orders: &Orders) -> Result<(), Trouble> {
        loop {
            match orders.try_recv() {
                Ok(Ok(Order::Leave)) | Err(TryRecvError::Disconnected) => break,
                Ok(order) => self.order(order?)?,
                Err(TryRecvError::Empty) => {}
            }
            let now_us = now_us();
            self.go_on(now_us)?;
            if now_us >= self.sample_us {
                self.sample(now_us)?;
            }
            self.turn(now_us)?;
        }
        self.farewell()
    }

    fn order(&mut self, order: Order) -> Result<(), Trouble> {
        match (&self.phase, &order) {
            (Phase::Idle, Order::Finish { .. }) => {
                return Err(Trouble::OutOfTurn("there is no window to finish"));
            }
            (Phase::Idle, _) | (Phase::Said(_), Order::Finish { .. }) => {}
            _ => return Err(Trouble::OutOfTurn("the last is not carried out yet")),
        }
        match order {
            Order::Connect => {
                self.load(Side::Target);
                self.half().start(now_us());
                self.phase = Phase::Connecting;
            }
            Order::Floor { address, frame_bytes } => {
                let target = floor(address, frame_bytes);
                self.floor = Some(half(&self.begin, &target, &self.layout)?);
                self.load(Side::Floor);
                self.half().start(now_us());
                self.phase = Phase::Connecting;
            }
            Order::Window(window) => {
                if window.side == Side::Floor && self.floor.is_none() {
                    return Err(Trouble::OutOfTurn("there is no floor"));
                }
                self.load(window.side);
                if window.side == Side::Target {
                    self.unrest.begin(&window);
                }
                let half = half_of(&mut self.target, &mut self.floor, self.side);
                let before = half.clients.flights.overdue();
                let talking = half.begin(&self.begin, &window);
                self.phase = Phase::Window(window, talking.map(Box::new), before);
            }
            Order::Finish { published } => {
                if let Phase::Said(before) = self.phase {
                    self.phase = Phase::Finishing(self.wait_for(published)?, before);
                }
            }
            Order::Settle { published } => {
                self.load(Side::Target);
                self.phase = Phase::Settling(self.wait_for(published)?);
            }
            Order::Begin(_) | Order::Leave => return Err(Trouble::OutOfTurn("it has begun")),
        }
        Ok(())
    }

    /// Waits for all that was published, for the drain time.
    fn wait_for(&mut self, published: Vec<u32>) -> Result<Waiting, Trouble> {
        if published.len() != self.layout.streams() as usize {
            return Err(Trouble::OutOfTurn("streams that are not those of the run"));
        }
        self.half().clients.bound(&published);
        let until_us = now_us() + self.begin.scenario.times.drain_ms * 1000;
        Ok(Waiting::new(published, until_us))
    }

    /// One of the halves has the load from now on.
    fn load(&mut self, side: Side) {
        self.side = side;
    }

    /// The half that has the load.
    fn half(&mut self) -> &mut Half {
        half_of(&mut self.target, &mut self.floor, self.side)
    }

    /// Does what is due, and answers the order that is carried out.
    fn go_on(&mut self, now_us: u64) -> Result<(), Trouble> {
        let half = half_of(&mut self.target, &mut self.floor, self.side);
        half.connect(now_us);
        if let Some((_, words)) = half.clients.refusals.stopped()
            && half.clients.refusals.have_stopped_all()
        {
            return Err(Trouble::Refused(words.to_owned()));
        }
        let (answer, next) = match &mut self.phase {
            Phase::Connecting if half.is_connected() => {
                (Tidings::Connected(half.connected()), Phase::Idle)
            }
            Phase::Idle | Phase::Connecting | Phase::Said(_) => return Ok(()),
            Phase::Window(window, talking, before) => {
                if now_us >= window.from_us && window.side == Side::Target {
                    half.disturb(now_us, window.counted, &mut self.unrest);
                }
                match talking {
                    Some(talking) => half.publish(now_us, talking),
                    None => half.clients.expire(now_us),
                }
                if now_us < window.until_us || talking.as_ref().is_some_and(|one| !one.is_over()) {
                    return Ok(());
                }
                (Tidings::Said { published: half.published() }, Phase::Said(*before))
            }
            Phase::Finishing(waiting, before) => {
                let has_all = waiting.has_all(&half.clients, &half.given_up);
                if !has_all && !waiting.is_late(now_us) {
                    return Ok(());
                }
                let lacking = (!has_all).then(|| std::mem::take(&mut waiting.published));
                let mut done = half.finish(*before, lacking);
                done.published_by_stream = self.target.published();
                (Tidings::Window(done), Phase::Idle)
            }
            Phase::Settling(waiting) => {
                let has_all = waiting.has_all(&half.clients, &GivenUp::default());
                if !(has_all && half.clients.away() == 0 || waiting.is_late(now_us)) {
                    return Ok(());
                }
                (Tidings::Settled(half.settled(&waiting.published)), Phase::Idle)
            }
        };
        self.phase = next;
        tell(&mut self.out, &answer)
    }

    /// Lets things happen on the half with the load, and now and then on the other.
    fn turn(&mut self, now_us: u64) -> Result<(), Trouble> {
        let wait_us = self.wait_us(now_us);
        let failed = |why| Trouble::System("cannot wait", why);
        self.half().turn(now_us, Duration::from_micros(wait_us)).map_err(failed)?;
        if now_us.saturating_sub(self.other_us) >= OTHER_HALF_US {
            self.other_us = now_us;
            let other = match self.side {
                Side::Target => self.floor.as_mut(),
                Side::Floor => Some(&mut self.target),
            };
            if let Some(other) = other {
                other.connect(now_us);
                other.turn(now_us, Duration::ZERO).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// How long the next turn may wait.
    fn wait_us(&self, now_us: u64) -> u64 {
        let most = match &self.phase {
            Phase::Idle | Phase::Window(_, None, _) => IDLE_WAIT_US,
            Phase::Connecting | Phase::Said(_) | Phase::Finishing(..) | Phase::Settling(_) => {
                BUSY_WAIT_US
            }
            Phase::Window(window, ..) if now_us < window.from_us => {
                (window.from_us - now_us).min(IDLE_WAIT_US)
            }
            Phase::Window(_, Some(talking), _) => {
                let half = self.floor.as_ref().filter(|_| self.side == Side::Floor);
                let clients = &half.unwrap_or(&self.target).clients;
                let next_us = talking.next_us(clients).unwrap_or(u64::MAX);
                BUSY_WAIT_US.min(next_us.saturating_sub(now_us))
            }
        };
        most.min(self.sample_us.saturating_sub(now_us))
    }

    /// Tells how it goes.
    fn sample(&mut self, now_us: u64) -> Result<(), Trouble> {
        let every_us = (self.begin.scenario.times.sample_ms * 1000).max(1);
        self.sample_us += (now_us - self.sample_us) / every_us * every_us + every_us;
        let (counts, standing) = (self.target.swarm.counts(), &self.target.clients.standing);
        let (open, subscribed) = (counts.open, standing.subscribed);
        let spun_us = self.spun_us();
        let half = self.half();
        let figures = &mut half.clients.figures;
        let progress = Progress {
            at_us: now_us,
            open,
            subscribed,
            published: figures.published,
            delivered: figures.delivered,
            window_delivered: figures.window_delivered,
            latency: figures.end_sample(),
            cpu_us: (process::cpu_time().as_micros() as u64).saturating_sub(spun_us),
        };
        tell(&mut self.out, &Tidings::Progress(progress))
    }

    /// What was waited without sleeping, on both sides.
    fn spun_us(&self) -> u64 {
        let of_floor = self.floor.as_ref().map_or(0, |half| half.swarm.counts().spun_us);
        self.target.swarm.counts().spun_us + of_floor
    }

    /// Everybody leaves; the server is given a moment to hear it.
    fn farewell(mut self) -> Result<(), Trouble> {
        self.target.leave_all();
        self.floor.iter_mut().for_each(Half::leave_all);
        // To leave takes a large crowd a while by itself.
        let until_us = now_us() + FAREWELL_US;
        loop {
            let now_us = now_us();
            let floor = self.floor.as_ref().map_or(0, |half| half.swarm.sockets());
            if now_us >= until_us || self.target.swarm.sockets() + floor == 0 {
                return Ok(());
            }
            let wait = Duration::from_micros(BUSY_WAIT_US);
            let failed = |why| Trouble::System("cannot wait", why);
            self.target.turn(now_us, wait).map_err(failed)?;
            if let Some(floor) = &mut self.floor {
                floor.turn(now_us, wait).map_err(failed)?;
            }
        }
    }
}

/// Whether a closed loop is one: what this worker's publishers say, its subscribers hear.
fn check_pace(begin: &Begin, layout: &Layout, echoes: bool) -> Result<(), Trouble> {
    let (worker, workers) = (begin.worker, begin.workers);
    let talk = begin.scenario.talk.as_ref();
    let is_closed = talk.is_some_and(|talk| matches!(talk.pace, Pace::Closed { .. }));
    match is_closed.then(|| unpaced(layout, worker, workers, echoes)).flatten() {
        Some((publisher, topic)) => {
            let topic = layout.topic_name(topic).to_owned();
            Err(Trouble::Unpaced { worker, publisher, topic })
        }
        None => Ok(()),
    }
}

fn half(begin: &Begin, target: &Target, layout: &Rc<Layout>) -> Result<Half, Trouble> {
    let half = Half::new(begin, target, layout, now_us);
    half.map_err(|why| Trouble::System("cannot make connections", why))
}

fn half_of<'a>(target: &'a mut Half, floor: &'a mut Option<Half>, side: Side) -> &'a mut Half {
    match (side, floor) {
        (Side::Floor, Some(floor)) => floor,
        _ => target,
    }
}

/// The floor, as a target.
fn floor(address: SocketAddr, frame_bytes: u32) -> Target {
    Target {
        address,
        host: address.to_string(),
        path: format!("/?bytes={frame_bytes}"),
        tls: None,
        dialect: Spoken::Floor,
        compression: false,
        credentials: Credentials::None,
    }
}

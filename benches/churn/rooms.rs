//! Rooms whose members poll, take a WebSocket during the run, or have one from the start; some are
//! killed in the midst of what they do, and come back as somebody new.
//!
//! Everybody talks in its room, those that will be killed too. Of each ten clients two poll, and a
//! third begins so and takes a WebSocket at some time; half of these lose their first WebSocket on the
//! way, as some of those do that go on polling. A tenth is killed a minute.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use socket2::Socket;

use crate::ledger::Ledger;
use crate::rig::arguments::Arguments;
use crate::rig::broker::{self, Broker};
use crate::rig::clients::{self, Clients, Heard};
use crate::rig::polling::{Pollers, Told, Upgrade, Way};
use crate::{Watched, random};

const ROOM: usize = 50;
/// Of all clients, one in so many is killed a minute.
const KILLED: usize = 10;
/// Clients that are on their way in at a time.
const COMING_MAX: usize = 64;
/// How long the last messages may take.
const DRAIN: Duration = Duration::from_secs(30);
const TENTH: Duration = Duration::from_millis(100);
const STEP: Duration = Duration::from_millis(1);

/// Runs it.
pub fn run(arguments: &Arguments, shards: usize, seconds: usize, seed: usize) {
    let clients = arguments.size("clients", 5000, 200);
    let a_second = arguments.size("messages", 200, 200);
    let recovery = arguments.has("recovery");
    println!(
        "{shards} shards, {seconds} s, recovery {}, {clients} clients in rooms of {ROOM}, {a_second} messages a \
         second, seed {seed}",
        if recovery { "on" } else { "off" }
    );
    let mut broker = Broker::start_brisk(shards, recovery);
    let mut scene = Scene::new(&broker, clients, seconds, seed as u64);
    scene.enter(&mut broker);
    let mut watched = Watched::begin(&mut broker);
    scene.run(Duration::from_secs(seconds as u64), a_second as f64, || watched.look(&mut broker));
    scene.calm(&mut broker);
    scene.print(&mut broker);
    watched.print(&mut broker);
    scene.judge();
}

/// How a client goes its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    WebSocket,
    Polling,
    Upgrading,
}

/// What is to be done with a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    Come,
    Upgrade(Upgrade),
    Kill,
    /// What was begun is ended.
    Finish(Way),
}

/// A place in a room, and who has it.
pub struct Member {
    pub class: Class,
    pub stream: usize,
    /// In the room.
    pub is_in: bool,
    /// Killed at some time.
    is_doomed: bool,
}

pub struct Scene {
    pub clients: Clients,
    pub pollers: Pollers,
    pub address: SocketAddr,
    pub members: Vec<Member>,
    pub ledger: Ledger,
    /// By time and place.
    acts: BTreeMap<(Instant, usize), Act>,
    /// Connections that never ask, or never hear the answer.
    pub mutes: Vec<Socket>,
    random: u64,
    coming: usize,
    pub killed: BTreeMap<String, usize>,
    closed: BTreeMap<u16, usize>,
    /// Those that were not to be: who, and why.
    cut: Vec<String>,
    /// Connections that the broker did not forget.
    kept: u64,
    upgrades: usize,
    probes_lost: usize,
}

impl Scene {
    fn new(broker: &Broker, clients: usize, seconds: usize, seed: u64) -> Self {
        let mut scene = Self {
            clients: Clients::of_rooms(broker),
            pollers: Pollers::new(broker.address, broker::ROOMS_PATH),
            address: broker.address,
            members: Vec::new(),
            ledger: Ledger::default(),
            acts: BTreeMap::new(),
            mutes: Vec::new(),
            random: seed,
            coming: 0,
            killed: BTreeMap::new(),
            closed: BTreeMap::new(),
            cut: Vec::new(),
            kept: 0,
            upgrades: 0,
            probes_lost: 0,
        };
        scene.clients.take_refused();
        let kills_in_s = KILLED * 60;
        for seat in 0..clients {
            let class = match seat % 10 {
                0 | 5 => Class::Polling,
                3 => Class::Upgrading,
                _ => Class::WebSocket,
            };
            let is_doomed = scene.below(kills_in_s) < seconds.max(60);
            scene.ledger.seat(seat / ROOM, !is_doomed);
            scene.members.push(Member { class, stream: 0, is_in: false, is_doomed });
        }
        scene
    }

    /// Lets all in.
    fn enter(&mut self, broker: &mut Broker) {
        let deadline = Instant::now() + Duration::from_mins(2);
        let mut next = 0;
        while next < self.members.len() || self.coming > 0 {
            assert!(Instant::now() < deadline, "{} are still on their way", self.coming);
            assert!(self.cut.is_empty(), "{:?}; closed: {}", self.cut, broker.closed());
            while next < self.members.len() && self.coming < COMING_MAX {
                self.come(next);
                next += 1;
            }
            self.read();
        }
    }

    /// Talks, upgrades and kills, for so long.
    fn run(&mut self, time: Duration, a_second: f64, mut each_step: impl FnMut()) {
        let begin = Instant::now();
        self.plan(begin, time);
        let mut said = 0.0;
        while begin.elapsed() < time {
            while said < begin.elapsed().as_secs_f64() * a_second {
                said += 1.0;
                self.talk();
            }
            self.act(|at| at <= Instant::now());
            self.read();
            each_step();
        }
    }

    /// Decides who does what when.
    fn plan(&mut self, begin: Instant, time: Duration) {
        let ms = time.as_millis() as usize;
        for seat in 0..self.members.len() {
            let Member { class, is_doomed, .. } = self.members[seat];
            if is_doomed {
                let at = begin + Duration::from_millis(self.below(ms) as u64);
                self.plan_act(at, seat, Act::Kill);
            }
            let at = begin + Duration::from_millis(self.below(ms * 3 / 4) as u64);
            let lost = [Upgrade::ToProbe, Upgrade::ToAnswer][self.below(2)];
            let tries_first = self.below(2) == 0;
            match class {
                Class::Upgrading if tries_first => {
                    self.plan_act(at, seat, Act::Upgrade(lost));
                    let then = at + Duration::from_millis(self.below(ms / 5) as u64 + 20);
                    self.plan_act(then, seat, Act::Upgrade(Upgrade::Whole));
                }
                Class::Upgrading => self.plan_act(at, seat, Act::Upgrade(Upgrade::Whole)),
                Class::Polling if self.below(10) == 0 => {
                    self.plan_act(at, seat, Act::Upgrade(lost));
                }
                Class::Polling | Class::WebSocket => {}
            }
        }
    }

    /// Has something be done at a time.
    pub fn plan_act(&mut self, mut at: Instant, seat: usize, act: Act) {
        while self.acts.contains_key(&(at, seat)) {
            at += Duration::from_nanos(1);
        }
        self.acts.insert((at, seat), act);
    }

    /// Does what it is time for.
    fn act(&mut self, is_time: impl Fn(Instant) -> bool) {
        while let Some((&(at, seat), _)) = self.acts.first_key_value()
            && is_time(at)
        {
            let Some((_, act)) = self.acts.pop_first() else { return };
            match act {
                Act::Come => self.come(seat),
                Act::Upgrade(how) => self.pollers.upgrade(seat, how),
                Act::Kill => self.kill(seat),
                Act::Finish(way) => self.finish(seat, way),
            }
        }
    }

    fn come(&mut self, seat: usize) {
        self.members[seat].stream = self.ledger.come(seat);
        self.coming += 1;
        match self.members[seat].class {
            Class::WebSocket => self.clients.connect(seat),
            Class::Polling | Class::Upgrading => self.pollers.connect(seat, None),
        }
    }

    /// Somebody says something to its room.
    fn talk(&mut self) {
        let seat = self.below(self.members.len());
        let Member { class, stream, is_in, .. } = self.members[seat];
        if is_in {
            let text = clients::message(&room(seat), stream, self.ledger.sent(stream));
            let is_said = if class == Class::WebSocket {
                self.clients.say(seat, &clients::packet(&text))
            } else {
                self.pollers.say(seat, &text);
                true
            };
            if is_said {
                self.ledger.send(stream);
            }
        }
    }

    /// Reads whoever has something to read.
    fn read(&mut self) {
        for (seat, heard) in self.clients.wait(STEP) {
            match heard {
                Heard::Open => _ = self.clients.say(seat, &asks_in(seat)),
                Heard::Subscribed => self.is_in(seat),
                Heard::Messages(first, count) => self.ledger.hear(seat, first, count),
                Heard::End(code) if self.members[seat].is_in => {
                    self.cut(seat, &format!("its WebSocket was closed with {code}"));
                }
                Heard::End(code) => *self.closed.entry(code).or_insert(0) += 1,
            }
        }
        for (seat, words) in self.clients.take_refused() {
            if self.members[seat].is_in {
                self.cut(seat, &words);
            }
        }
        for (seat, told) in self.pollers.wait(STEP) {
            match told {
                Told::Ready => self.pollers.say(seat, &clients::join(&room(seat))),
                Told::Acknowledged => self.is_in(seat),
                Told::Message(stamp) => self.ledger.hear(seat, stamp, 1),
                Told::Upgraded => self.upgrades += 1,
                Told::ProbeLost => self.probes_lost += 1,
                Told::End(why) => self.cut(seat, &why),
            }
        }
    }

    fn read_for(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.read();
        }
    }

    fn is_in(&mut self, seat: usize) {
        self.coming -= 1;
        self.members[seat].is_in = true;
    }

    fn cut(&mut self, seat: usize, why: &str) {
        let Member { class, is_doomed, .. } = self.members[seat];
        self.members[seat].is_in = false;
        let fate = if is_doomed { "was to be killed" } else { "was to stay" };
        self.cut.push(format!("place {seat}, {class:?}, {fate}: {why}"));
    }

    /// Lets all come back, and waits for what was said, and until the broker has forgotten the dead.
    fn calm(&mut self, broker: &mut Broker) {
        self.acts.retain(|_, act| matches!(act, Act::Come | Act::Finish(_) | Act::Upgrade(_)));
        while !self.acts.is_empty() {
            self.act(|_| true);
        }
        let deadline = Instant::now() + DRAIN;
        while (self.coming > 0 || self.ledger.missing() > 0) && Instant::now() < deadline {
            self.read_for(TENTH);
        }
        self.mutes.clear();
        let deadline = Instant::now() + DRAIN;
        while broker.metric("connections") > self.members.len() as u64 && Instant::now() < deadline
        {
            self.read_for(TENTH);
        }
        self.kept = broker.metric("connections").saturating_sub(self.members.len() as u64);
        // Nothing more may come.
        self.read_for(5 * TENTH);
        self.ledger.close();
    }

    fn print(&self, broker: &mut Broker) {
        let Ledger { deliveries, lost, doubled, .. } = self.ledger;
        println!("  killed: {:?}", self.killed);
        println!("  closed by the broker for it, by code: {:?}", self.closed);
        println!("  closed in all: {}", broker.closed());
        println!(
            "  {} took their WebSocket, {} lost one on the way; at the end {} poll",
            self.upgrades,
            self.probes_lost,
            broker.metric("engines_polling")
        );
        println!(
            "  {} messages said, {deliveries} deliveries checked: {lost} lost, {doubled} doubled or \
             out of order",
            self.ledger.published()
        );
    }

    /// # Panics
    /// When something went wrong.
    fn judge(&self) {
        for cut in self.cut.iter().take(20) {
            println!("  {cut}");
        }
        assert_eq!(self.cut.len(), 0, "clients were cut");
        assert_eq!((self.ledger.lost, self.ledger.doubled), (0, 0));
        assert_eq!(self.kept, 0, "the broker keeps who is gone");
        assert_eq!(self.coming, 0, "somebody did not come in");
        let upgrading = |(seat, member): (usize, &Member)| {
            member.class == Class::Upgrading && !member.is_doomed && !self.pollers.is_upgraded(seat)
        };
        assert_eq!(self.members.iter().enumerate().filter(|it| upgrading(*it)).count(), 0);
    }

    /// A number at random.
    pub fn below(&mut self, bound: usize) -> usize {
        random(&mut self.random, bound.max(1))
    }
}

/// The room of a place.
pub fn room(seat: usize) -> String {
    format!("lobby.{}", seat / ROOM)
}

/// What asks for a place in its room, over a WebSocket.
fn asks_in(seat: usize) -> Vec<u8> {
    clients::packet(&clients::join(&room(seat)))
}

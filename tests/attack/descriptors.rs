//! Attackers who take the last descriptor: `accept` fails, and the broker lives.
//!
//! The broker is the program itself, in a process of its own, whose limit is lowered under it: ours
//! would be in the way. Its memory, and the CPU time that it takes meanwhile, are told apart.

use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::param::clock_ticks_per_second;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use crate::broker::{ATTACKER, Attack, HONEST, LIMIT, until};
use crate::client::{Client, JSON_PING, handshake};
use crate::memory::Watch;

/// What the limit leaves to those who come.
const LEFT: usize = 50;
/// How many come, in sockets that say nothing and then as clients.
const COMING: usize = 200;
/// For how long it is looked at what the broker does when it can do nothing.
const LOOK: Duration = Duration::from_secs(1);
/// CPU time that it may take for that: it tries again and again, and answers some pings.
const CPU_MAX: Duration = Duration::from_millis(150);
/// How often it may try in a second.
const TRIES_MAX: u64 = 20;

pub const EXHAUSTED: Attack = Attack {
    name: "no descriptors",
    mib_max: 8,
    set: |_| {},
    act: |scene| {
        let broker = Broker::start();
        let watch = Watch::of(broker.child.id().to_string());
        let mut held: Vec<Client> =
            (0..10).map(|_| Client::enter(broker.address, HONEST, "/ws")).collect();
        let whole = broker.limit(broker.descriptors() + LEFT);
        let silent: Vec<Client> =
            (0..COMING).map(|_| Client::connect(broker.address, ATTACKER)).collect();
        // Those who only stand there are cut for who comes.
        let begun = Instant::now();
        let wanting_from = begun;
        newcomer(&broker);
        let waited = begun.elapsed();
        drop(silent);
        // Nobody can be cut of those who are in: the rest waits at the door.
        let begun = Instant::now();
        let mut coming: Vec<Client> = (0..COMING).map(|n| come(&broker, n)).collect();
        let entered = || coming.iter().filter(|client| !client.is_open()).count();
        until("all that there is room for are in", || entered() >= LEFT - 10);
        let cpu = broker.cpu_while(|| {
            let begun = Instant::now();
            while begun.elapsed() < LOOK {
                served(&mut held);
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        let room = entered();
        assert!(room < 2 * LEFT, "{room} are in with {LEFT} descriptors");
        assert!(cpu < CPU_MAX, "{cpu:?} of CPU time in {LOOK:?}: it spins");
        // Some leave: as many come in, and when there is room again, all.
        let leaving = 20;
        let is_in: Vec<bool> = coming.iter().map(|client| !client.is_open()).collect();
        let mut is_in = is_in.into_iter();
        let mut left = 0;
        coming.retain(|_| {
            let leaves = is_in.next() == Some(true) && left < leaving;
            left += usize::from(leaves);
            !leaves
        });
        let entered = || coming.iter().filter(|client| !client.is_open()).count();
        until("their places are taken", || entered() >= room);
        let wanting = wanting_from.elapsed();
        broker.limit(whole);
        until("everyone is in", || entered() == coming.len());
        assert!(coming.iter_mut().all(|client| client.status() == 101));
        let took = begun.elapsed();
        served(&mut held);
        newcomer(&broker);
        let (errors, told) = (broker.accept_errors(), broker.told("accept failed"));
        let tries_max = TRIES_MAX * (wanting.as_secs() + 1) + 1;
        assert!((10..=tries_max).contains(&errors), "{errors} failed accepts in {wanting:?}");
        assert!((1..=6).contains(&told), "{told} lines about {errors} failed accepts");
        drop((coming, held));
        scene.honest();
        let peak_mib = watch.end() >> 20;
        assert!(peak_mib < 64, "{peak_mib} MiB");
        broker.end();
        format!(
            "{COMING} silent for {LEFT} descriptors: a newcomer in after {} ms; {COMING} clients: \
            {room} in, 10 others served, {} ms of CPU in {} ms, then all in, by {} ms; {errors} \
            failed accepts, {told} lines of log, {peak_mib} MiB at most",
            waited.as_millis(),
            cpu.as_millis(),
            LOOK.as_millis(),
            took.as_millis()
        )
    },
};

/// Asks to be let in, and does not wait for it. From several addresses, each within its limit.
fn come(broker: &Broker, n: usize) -> Client {
    let from = IpAddr::V4(Ipv4Addr::new(127, 0, 1, (n % 8) as u8));
    let mut client = Client::connect(broker.address, from);
    assert!(client.send(handshake("/ws", "").as_bytes()));
    client
}

fn newcomer(broker: &Broker) {
    let from = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 11));
    served(&mut [Client::enter(broker.address, from, "/ws")]);
}

fn served(clients: &mut [Client]) {
    for client in clients {
        let begun = Instant::now();
        client.say(JSON_PING);
        assert!(client.hear_text().contains("pong"));
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?} for a pong", begun.elapsed());
    }
}

/// The program, serving.
struct Broker {
    child: Child,
    address: SocketAddr,
    log: Receiver<String>,
}

impl Broker {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_shardwire"))
            .args(["serve", "--dev", "--port", "0", "--shards", "1", "--until-input-ends"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program");
        let lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let (sender, log) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let address = loop {
            let line = log.recv_timeout(LIMIT).expect("a line that says where it listens");
            if let Some((_, address)) = line.split_once("listening on http://") {
                break address.trim().parse().expect("an address");
            }
        };
        Self { child, address, log }
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// How many descriptors it has.
    fn descriptors(&self) -> usize {
        let path = format!("/proc/{}/fd", self.child.id());
        std::fs::read_dir(path).expect("it is there").count()
    }

    /// Sets how many it may have; what that was.
    fn limit(&self, descriptors: usize) -> usize {
        let maximum = getrlimit(Resource::Nofile).maximum;
        let limit = Rlimit { current: Some(descriptors as u64), maximum };
        let before = prlimit(Some(self.pid()), Resource::Nofile, limit).expect("below the maximum");
        before.current.map_or(1 << 20, |before| before as usize)
    }

    /// The CPU time that it takes while something is done.
    fn cpu_while(&self, act: impl FnOnce()) -> Duration {
        let before = self.cpu();
        act();
        self.cpu().saturating_sub(before)
    }

    fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        let stat = stat.expect("it is there");
        // Behind the name, which may hold anything: utime and stime are the fields 14 and 15.
        let (_, fields) = stat.rsplit_once(')').expect("a name");
        let ticks = fields.split_whitespace().skip(11).take(2);
        let ticks: u64 = ticks.map(|field| field.parse::<u64>().expect("a number")).sum();
        Duration::from_millis(ticks * 1000 / clock_ticks_per_second())
    }

    fn accept_errors(&self) -> u64 {
        let mut client = Client::connect(self.address, HONEST);
        client.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let metrics = client.rest();
        let lines = metrics.lines().filter(|line| line.contains("accept_errors_total"));
        let values =
            lines.filter_map(|line| line.split_whitespace().next_back()?.parse::<u64>().ok());
        values.sum()
    }

    /// How many lines of its log so far hold a text.
    fn told(&self, text: &str) -> usize {
        self.log.try_iter().filter(|line| line.contains(text)).count()
    }

    /// Ends it, which must go well.
    fn end(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().expect("our child").success());
    }
}

//! A node in a mode of conformance, set up from a configuration as an operator writes it.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use shardwire::config::{Environment, Override, Secret, Sources, load};
use shardwire::node::{Node, Setup};

use crate::client::{Line, PATIENCE, Socket, shard_of};

/// A node, and the path that is asked there.
pub struct World {
    pub node: Node,
    pub path: &'static str,
    shards: u8,
}

/// A polling session, and connections to ask it by: on its own shard, and on another where there
/// are some.
pub struct Session {
    pub home: Line,
    pub away: Line,
    /// One more that is not at home.
    pub third: Line,
    /// What its polls and posts ask for.
    pub target: String,
    /// What a WebSocket asks for that is to take over.
    pub upgrade: String,
}

/// Heartbeats that come in no test: none has to be quick to be right.
const SLOW: [(&str, &str); 2] =
    [("socketio.ping_interval_ms", "25000"), ("socketio.ping_timeout_ms", "20000")];

impl World {
    /// A node with the times of its mode.
    pub fn quick(mode: &str, shards: u8, path: &'static str) -> Self {
        Self::with(mode, shards, path, &[])
    }

    /// One whose pings do not come.
    pub fn slow(mode: &str, shards: u8, path: &'static str) -> Self {
        Self::with(mode, shards, path, &SLOW)
    }

    pub fn with(mode: &str, shards: u8, path: &'static str, given: &[(&str, &str)]) -> Self {
        let count = shards.to_string();
        let basic = [
            ("server.host", "127.0.0.1"),
            ("server.shards", &count),
            ("socketio.conformance", mode),
        ];
        let overrides = basic.iter().chain(given).map(|(key, text)| Override {
            flag: format!("--set {key}"),
            key: (*key).to_owned(),
            text: (*text).to_owned(),
        });
        let sources = Sources {
            file: None,
            environment: &Environment::default(),
            overrides: overrides.collect(),
            dev: false,
            read: &|_: &Path| Err(io::ErrorKind::NotFound.into()),
        };
        let loaded = load(&sources).unwrap_or_else(|problems| panic!("{problems}"));
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let setup = Setup::at(address, &loaded.settings, &Secret::new("of no run")).unwrap();
        Self { node: Node::start(setup).unwrap(), path, shards }
    }

    pub fn line(&self) -> Line {
        Line::dial(self.node.address())
    }

    /// A connection to a shard of which this is so.
    pub fn line_on(&self, wanted: impl Fn(u8) -> bool) -> Line {
        for _ in 0..1000 {
            let mut line = self.line();
            let opened = line.open(self.path);
            let target = target(self.path, &opened);
            assert_eq!(line.ask("POST", &target, "1").told(), (200, "ok"));
            if wanted(line.shard) {
                return line;
            }
        }
        panic!("no connection came to such a shard");
    }

    /// A connection to another shard, where there is one.
    pub fn line_off(&self, shard: u8) -> Line {
        self.line_on(|it| it != shard || self.shards == 1)
    }

    /// A polling session. Its connections are there before it is: nothing of its time is lost.
    pub fn session(&self) -> Session {
        let mut home = self.line_on(|_| true);
        let (away, third) = (self.line_off(home.shard), self.line_off(home.shard));
        let opened = home.open(self.path);
        assert_eq!(shard_of(&opened), home.shard);
        let target = target(self.path, &opened);
        let upgrade = target.replace("polling", "websocket");
        Session { home, away, third, target, upgrade }
    }

    /// A session over a WebSocket, and what the server says of it.
    pub fn socket(&self) -> (Socket, Value) {
        let target = format!("{}?EIO=4&transport=websocket", self.path);
        self.socket_at(&target)
    }

    /// The same by a query of one's own.
    pub fn socket_at(&self, target: &str) -> (Socket, Value) {
        let mut socket = self.line().upgrade(target).unwrap();
        let opened = socket.hear();
        (socket, serde_json::from_str(opened.strip_prefix('0').unwrap()).unwrap())
    }

    /// Waits until as many polls hang.
    pub fn polls_hang(&self, count: u64) {
        let hang = || self.node.metrics().iter().map(|it| it.polls_waiting.get()).sum::<u64>();
        let by = Instant::now() + PATIENCE;
        while hang() != count {
            assert!(Instant::now() < by, "it did not come to that");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn target(path: &str, opened: &Value) -> String {
    let sid = opened["sid"].as_str().unwrap();
    format!("{path}?EIO=4&transport=polling&sid={sid}")
}

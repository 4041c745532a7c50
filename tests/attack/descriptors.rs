//! Attackers who take the last descriptor: `accept` fails, and the broker lives.

use std::os::fd::AsRawFd;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::Socket;

use crate::broker::{ATTACKER, Attack, LIMIT, until};
use crate::client::{Client, JSON_PING, socket};

pub const EXHAUSTED: Attack = Attack {
    name: "no descriptors",
    mib_max: 24,
    set: |setup| setup.request_timeout = LIMIT * 10,
    act: |scene| {
        let mut held = Client::enter(scene.address(), ATTACKER, "/ws");
        // Ours are made before: what is left for the broker is what the limit leaves.
        let mut sockets: Vec<Socket> = (0..200).map(|_| socket()).collect();
        let newcomer = socket();
        let highest =
            newcomer.as_raw_fd().max(sockets.iter().map(AsRawFd::as_raw_fd).max().unwrap_or(0));
        let before = getrlimit(Resource::Nofile);
        let limit = |current: Option<u64>| {
            let limit = Rlimit { current, maximum: before.maximum };
            setrlimit(Resource::Nofile, limit).expect("below the maximum");
        };
        let left = 50;
        limit(Some(u64::from(highest.unsigned_abs()) + 1 + left));
        let silent: Vec<Client> = sockets
            .drain(..)
            .map(|socket| Client::connect_with(socket, scene.address(), ATTACKER))
            .collect();
        let errors = || scene.count(|it| it.accept_errors_total.get());
        until("accepts fail", || errors() > 3);
        // Who is in is served.
        held.say(JSON_PING);
        assert!(held.hear_text().contains("pong"));
        // And so is who comes new, at the cost of those who only stand there.
        scene.honest_on(newcomer);
        limit(before.current);
        drop(silent);
        let (errors, cut) = (errors(), scene.count(|it| it.handshakes_cut_total.get()));
        format!(
            "{left} descriptors for 200 who come, {errors} failed accepts, {cut} cut, none died"
        )
    },
};

//! `shardwire serve`: the broker from its start to its end.
//!
//! Sets up logging, starts the node, says what a newcomer can paste, reloads at SIGHUP, waits for a
//! signal to end, drains. Everything goes to standard error; the last start-up line is
//! `listening on http://HOST:PORT`, with TLS `https`.

use std::io::IsTerminal;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::LevelFilter;

use super::reload::{Reloads, Running};
use super::token::{TokenRequest, mint};
use super::{EXIT_USAGE, ServeFlags};
use crate::config::{
    AuthKey, Dialect, Endpoint, Loaded, Log, LogFormat, LogLevel, Secret, Settings,
};
use crate::node::{Node, Setup, clock};

/// What is told as a signal when the standard input ends.
const INPUT_ENDED: &str = "end of input";

/// What tells to read the settings anew.
const HANG_UP: &str = "SIGHUP";

/// What `--dev` means.
const EVERYBODY: &str = "everybody may connect and use every topic";

/// What a mode of conformance means.
const STANDS_IN: &str = "stands in for the server of a conformance suite, and is no broker";

/// Hours that the token printed at the start is good for.
const TRIAL_TOKEN_HOURS: u64 = 24;

/// Runs the broker until it is told to end, by a signal or, where the flags say so, also by the end
/// of the standard input.
pub(super) fn run(loaded: Loaded, flags: &ServeFlags) -> ExitCode {
    let Loaded { settings, warnings, .. } = &loaded;
    start_log(&settings.log);
    if settings.log.format == LogFormat::Json {
        for warning in warnings {
            tracing::warn!("{warning}");
        }
    }
    // Caught from before the first connection: a signal must never end the broker undrained.
    let signals = Signals::new(flags.until_input_ends);
    let generated = Secret::new(random_secret());
    let setup = match Setup::new(settings, &generated) {
        Ok(setup) => setup,
        Err(errors) => {
            super::tell(&errors);
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let (shards, wanted) = (setup.shards, setup.address);
    let node = match Node::start(setup) {
        Ok(node) => node,
        Err(error) => {
            eprintln!("error: cannot listen on {wanted}: {error}");
            return ExitCode::FAILURE;
        }
    };
    greet(settings, &node, shards, &generated);
    let running = Running { flags: flags.clone(), loaded, generated };
    let reloads = Reloads::start(running, node.reloader());
    let signal = loop {
        match signals.wait() {
            HANG_UP => reloads.ask(),
            signal => break signal,
        }
    };
    let drain_ms = reloads.drain_ms();
    tracing::info!("{signal}: draining, for {drain_ms} ms at most; once more to end at once");
    std::thread::spawn(move || {
        let mut signal = signals.wait();
        // The input of who is told to end often ends too, or its terminal: that is no second word.
        while matches!(signal, INPUT_ENDED | HANG_UP) {
            signal = signals.wait();
        }
        tracing::warn!("{signal} again: ended undrained");
        std::process::exit(1);
    });
    node.drain(Duration::from_millis(drain_ms));
    tracing::info!("ended");
    ExitCode::SUCCESS
}

fn start_log(log: &Log) {
    let level = match log.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let to_stderr = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_target(false);
    // A second start in one process (a test) keeps the first one's log.
    let _ = match log.format {
        LogFormat::Text => to_stderr.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => to_stderr.json().try_init(),
    };
}

/// What a newcomer needs, and the line that says the broker is up.
fn greet(settings: &Settings, node: &Node, shards: u8, generated: &Secret) {
    let address = node.address();
    let s = if settings.tls.is_some() { "s" } else { "" };
    let up = format!("listening on http{s}://{address}");
    if settings.log.format == LogFormat::Json {
        if settings.auth.key == AuthKey::Generated {
            tracing::warn!("no key is configured (JWT_SECRET): no token of yours will be taken");
        }
        if settings.dev {
            tracing::warn!("--dev: {EVERYBODY}");
        }
        if let Some(mode) = settings.socketio.conformance {
            tracing::warn!("socketio.conformance = {}: {STANDS_IN}", mode.word());
        }
        tracing::info!("{up}");
        return;
    }
    let shards = if shards == 1 { "1 shard".to_owned() } else { format!("{shards} shards") };
    eprintln!(
        "shardwire {}: {shards}, up to {} connections",
        env!("CARGO_PKG_VERSION"),
        node.connections_max()
    );
    if let Some(mode) = settings.socketio.conformance {
        eprintln!("socketio.conformance = {}: {STANDS_IN}", mode.word());
    }
    // What is pasted speaks `topics`.
    let speaks = |it: &&Endpoint| matches!(it.dialect, Dialect::Topics | Dialect::Events);
    let path = settings.endpoints.iter().find(speaks).map(|endpoint| endpoint.path.as_str());
    match path {
        Some(path) if settings.dev => {
            eprintln!("--dev: {EVERYBODY}; to try it:");
            eprintln!("  websocat ws{s}://{}{path}", reachable(address));
        }
        None if settings.dev => eprintln!("--dev: {EVERYBODY}"),
        Some(path) if settings.auth.key == AuthKey::Generated => {
            try_it(settings, reachable(address), path, generated);
        }
        _ => {}
    }
    if let Some(address) = node.metrics_address() {
        eprintln!("metrics on http://{address}/metrics");
    }
    eprintln!("{up}");
}

fn try_it(settings: &Settings, address: SocketAddr, path: &str, generated: &Secret) {
    let request = TokenRequest {
        roles: vec!["admin".to_owned()],
        ttl: Duration::from_secs(TRIAL_TOKEN_HOURS * 3600),
        ..TokenRequest::new(&settings.auth, "you")
    };
    let Ok(token) = mint(generated, &request, clock::now().wall) else { return };
    let s = if settings.tls.is_some() { "s" } else { "" };
    eprintln!(
        "\
no key is configured (JWT_SECRET): tokens are good for this run only. One of role admin, to be
pasted first in each terminal where you try it:

export TOKEN={token}

To hear (Ctrl-D ends it):

websocat \"ws{s}://{address}{path}?token=$TOKEN\"
{{\"type\":\"subscribe\",\"topic\":\"demo.*\"}}

To publish, in another terminal:

curl http{s}://{address}/api/publish -H \"Authorization: Bearer $TOKEN\" \\
  -d '{{\"topic\":\"demo.hello\",\"data\":{{\"n\":1}}}}'
"
    );
}

/// An address that a client on this machine can use: "any address" is none.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        });
    }
    address
}

/// A secret of 256 random bits.
fn random_secret() -> String {
    use std::fmt::Write as _;
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The signals that end the broker or have it read its settings anew, caught from when this is made on.
struct Signals(Receiver<&'static str>);

impl Signals {
    fn new(until_input_ends: bool) -> Self {
        let (told, signals) = channel();
        if until_input_ends {
            let told = told.clone();
            std::thread::spawn(move || {
                // Whatever is said there is read and not heeded.
                let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
                let _ = told.send(INPUT_ENDED);
            });
        }
        let (caught, ready) = channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime needs only descriptors, and some are kept free");
            runtime.block_on(async move {
                let mut term = signal(SignalKind::terminate()).expect("SIGTERM can be caught");
                let mut interrupt = signal(SignalKind::interrupt()).expect("SIGINT can be caught");
                let mut hang_up = signal(SignalKind::hangup()).expect("SIGHUP can be caught");
                let _ = caught.send(());
                loop {
                    let name = tokio::select! {
                        _ = term.recv() => "SIGTERM",
                        _ = interrupt.recv() => "SIGINT",
                        _ = hang_up.recv() => HANG_UP,
                    };
                    if told.send(name).is_err() {
                        return;
                    }
                }
            });
        });
        ready.recv().expect("the thread that catches signals lives");
        Self(signals)
    }

    /// Blocks until the process is told something; by which signal.
    fn wait(&self) -> &'static str {
        self.0.recv().expect("the thread that catches signals lives")
    }
}

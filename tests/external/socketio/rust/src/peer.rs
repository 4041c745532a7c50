//! One socket of `rust_socketio` with what it hears in a queue, and the broker's HTTP side.
//!
//! It is the crate's asynchronous client: over WebSocket the synchronous one stalls as soon as it
//! emits while it listens, whatever the server.

use std::env;
use std::process::Command;
use std::future::{ready, Future};
use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::LazyLock;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use reqwest::blocking::Client as Http;
use rust_socketio::asynchronous::{Client, ClientBuilder};
use rust_socketio::{Event, Payload, TransportType};
use serde_json::{json, Value};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::checks::{must, same, Done};

/// How long something may take to be heard.
const HEARD: Duration = Duration::from_secs(5);

/// Where the clients live; the checks themselves wait outside.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("there are threads"));

/// Waits for what a client does.
fn wait<T>(what: impl Future<Output = Result<T, rust_socketio::Error>>) -> Result<T, String> {
    RUNTIME.block_on(async {
        match timeout(HEARD, what).await {
            Ok(done) => done.map_err(|error| error.to_string()),
            Err(_) => Err("the client is stuck".to_owned()),
        }
    })
}

/// Puts something into a queue to which nobody may be listening any more.
fn tell<T: Send + 'static>(queue: &Sender<T>, what: T) -> BoxFuture<'static, ()> {
    drop(queue.send(what));
    ready(()).boxed()
}

/// How it connects.
pub struct Options {
    pub transport: TransportType,
    pub namespace: &'static str,
    /// In place of the user's own.
    pub token: Option<String>,
    /// By the relay, which can be cut.
    pub relayed: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options { transport: TransportType::Any, namespace: "/", token: None, relayed: false }
    }
}

pub struct Peer {
    client: Client,
    heard: Receiver<(String, Value)>,
}

/// Connects, and answers once it is connected.
pub fn open(with: &Options, user: &str) -> Result<Peer, String> {
    let peer = Peer::dial(with, user)?;
    peer.expect("connect")?;
    Ok(peer)
}

/// Several in one room.
pub fn members(with: &Options, room: &str, users: &[&str]) -> Result<Vec<Peer>, String> {
    users
        .iter()
        .map(|user| {
            let peer = open(with, user)?;
            peer.join(room)?;
            Ok(peer)
        })
        .collect()
}

impl Peer {
    /// Begins to connect.
    pub fn dial(with: &Options, user: &str) -> Result<Peer, String> {
        let (sender, heard) = channel();
        let named = |name: &'static str| {
            let sender = sender.clone();
            move |payload: Payload, _| tell(&sender, (name.to_owned(), value(payload)))
        };
        let any = sender.clone();
        let url = variable(if with.relayed { "SHARDWIRE_RELAY" } else { "SHARDWIRE_URL" });
        let token = with.token.clone().unwrap_or_else(|| token(user));
        let builder = ClientBuilder::new(url)
            .namespace(with.namespace)
            .auth(json!({ "token": token }))
            .transport_type(with.transport.clone())
            .reconnect(with.relayed)
            .reconnect_delay(50, 100)
            .on(Event::Connect, named("connect"))
            .on(Event::Close, named("close"))
            .on(Event::Error, named("error"))
            .on_any(move |event, payload, _| tell(&any, (event.to_string(), value(payload))));
        let client = wait(builder.connect()).map_err(|why| format!("cannot connect: {why}"))?;
        Ok(Peer { client, heard })
    }

    fn next(&self, what: &str) -> Result<(String, Value), String> {
        self.heard.recv_timeout(HEARD).map_err(|_| format!("{what} did not come"))
    }

    /// The first argument of the next event, which has to have this name.
    pub fn expect(&self, name: &str) -> Result<Value, String> {
        let (event, argument) = self.next(name)?;
        must(event == name, || format!("{name} expected, came {event} {argument}"))?;
        Ok(argument)
    }

    /// Passes over what is heard before this.
    pub fn until(&self, name: &str) -> Done {
        while self.next(name)?.0 != name {}
        Ok(())
    }

    pub fn emit(&self, event: &str, argument: Value) -> Done {
        wait(self.client.emit(event, argument))
    }

    /// Emits, and answers with what the acknowledgement brings.
    pub fn ask(&self, event: &str, argument: Value) -> Result<Value, String> {
        let (sender, answer) = channel();
        let told = move |payload, _| tell(&sender, value(payload));
        wait(self.client.emit_with_ack(event, argument, HEARD, told))?;
        let answer = answer.recv_timeout(HEARD).map_err(|_| format!("no acknowledgement of {event}"))?;
        // The client gives the acknowledgement's whole array.
        Ok(match answer {
            Value::Array(mut items) if items.len() == 1 => items.remove(0),
            other => other,
        })
    }

    /// Emits bytes, without asking: what this client calls an acknowledged one is another packet.
    pub fn emit_bytes(&self, event: &str, bytes: &[u8]) -> Done {
        wait(self.client.emit(event, Payload::from(bytes.to_vec())))
    }

    /// Joins a room, as it must be told; the number of members.
    pub fn join(&self, room: &str) -> Result<Value, String> {
        let answer = self.ask("join_room", json!({ "room": room }))?;
        same(&answer["success"], &json!(true), "success")?;
        same(&self.expect("room_joined")?, &answer, "room_joined")?;
        Ok(answer["memberCount"].clone())
    }

    /// Nothing but the answer to this `ping` may be on its way.
    pub fn quiet(&self) -> Done {
        wait(self.client.emit("ping", Payload::Text(vec![])))?;
        let (event, argument) = self.next("pong")?;
        // Without arguments it is a `message` to this client, with the name as its argument.
        must(event == "pong" || argument == "pong", || format!("pong expected, came {event} {argument}"))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = wait(self.client.disconnect());
    }
}

/// The first argument.
fn value(payload: Payload) -> Value {
    match payload {
        Payload::Text(mut values) if !values.is_empty() => values.remove(0),
        Payload::Binary(bytes) => json!({ "bytes": bytes.to_vec() }),
        _ => Value::Null,
    }
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run this through with-broker.mjs"))
}

/// A token from the broker's own command.
fn token(user: &str) -> String {
    let made = Command::new(variable("SHARDWIRE_BIN")).args(["token", "--sub", user]).output();
    let output = made.expect("the broker's command runs").stdout;
    String::from_utf8(output).expect("a token is text").trim().to_owned()
}

fn post(path: &str, body: &Value) -> Done {
    let answer = Http::new()
        .post(variable("SHARDWIRE_URL") + path)
        .bearer_auth(variable("SHARDWIRE_API_KEY"))
        .header("content-type", "application/json")
        .body(body.to_string())
        .send()
        .map_err(|error| error.to_string())?;
    must(answer.status().is_success(), || format!("{path}: {}", answer.status()))
}

pub fn publish(topic: &str, event: &str, data: &Value) -> Done {
    post("/api/publish", &json!({ "topic": topic, "eventType": event, "data": data }))
}

pub fn notify(user: &str, message: &Value) -> Done {
    post(&format!("/api/users/{user}/notify"), &json!({ "message": message }))
}

/// Cuts what goes by the relay; done when it lets through again.
pub fn cut() -> Done {
    reqwest::blocking::get(variable("SHARDWIRE_CUT")).map(drop).map_err(|error| error.to_string())
}

//! One socket of `rust_socketio` with what it hears in a queue, and the broker's HTTP side.

use std::env;
use std::process::Command;
use std::sync::mpsc::{channel, Receiver};
use std::time::Duration;

use reqwest::blocking::Client as Http;
use rust_socketio::client::Client;
use rust_socketio::{ClientBuilder, Event, Payload, TransportType};
use serde_json::{json, Value};

use crate::checks::{must, same, Done};

/// How long something may take to be heard.
const HEARD: Duration = Duration::from_secs(5);

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
        let tell = |name: &'static str| {
            let sender = sender.clone();
            // Nobody may be listening any more.
            move |payload: Payload, _| drop(sender.send((name.to_owned(), value(payload))))
        };
        let any = sender.clone();
        let url = variable(if with.relayed { "SHARDWIRE_RELAY" } else { "SHARDWIRE_URL" });
        let token = with.token.clone().unwrap_or_else(|| token(user));
        let client = ClientBuilder::new(url)
            .namespace(with.namespace)
            .auth(json!({ "token": token }))
            .transport_type(with.transport.clone())
            .reconnect(with.relayed)
            .reconnect_delay(50, 100)
            .on(Event::Connect, tell("connect"))
            .on(Event::Close, tell("close"))
            .on(Event::Error, tell("error"))
            .on_any(move |event, payload, _| drop(any.send((event.to_string(), value(payload)))))
            .connect()
            .map_err(|error| format!("cannot connect: {error}"))?;
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
        self.client.emit(event, argument).map_err(|error| error.to_string())
    }

    /// Emits, and answers with what the acknowledgement brings.
    pub fn ask(&self, event: &str, argument: Value) -> Result<Value, String> {
        self.asked(event, Payload::from(argument))
    }

    pub fn ask_bytes(&self, event: &str, bytes: &[u8]) -> Result<Value, String> {
        self.asked(event, Payload::from(bytes.to_vec()))
    }

    fn asked(&self, event: &str, payload: Payload) -> Result<Value, String> {
        let (sender, answer) = channel();
        self.client
            .emit_with_ack(event, payload, HEARD, move |payload, _| drop(sender.send(value(payload))))
            .map_err(|error| error.to_string())?;
        let answer = answer.recv_timeout(HEARD).map_err(|_| format!("no acknowledgement of {event}"))?;
        // The client gives the acknowledgement's whole array.
        Ok(match answer {
            Value::Array(mut items) if items.len() == 1 => items.remove(0),
            other => other,
        })
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
        self.client.emit("ping", Payload::Text(vec![])).map_err(|error| error.to_string())?;
        let (event, argument) = self.next("pong")?;
        // Without arguments it is a `message` to this client, with the name as its argument.
        must(event == "pong" || argument == "pong", || format!("pong expected, came {event} {argument}"))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.client.disconnect();
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

//! A publish/subscribe server as one would write it first in Rust: axum's WebSocket, a task and a
//! channel a connection, subscribers in a `DashMap` by topic, patterns in a list. It speaks the
//! dialect `topics`, to anyone. A delivery is serialized once a publish and its bytes are shared;
//! a connection writes all that waits for it before it flushes.
//!
//! `plain PORT [WORKERS] [READ_BUFFER_BYTES]`

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::routing::any;
use dashmap::DashMap;
use futures_util::SinkExt;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use shardwire_peers::{argument, run};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::{MissedTickBehavior, interval};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Messages that may wait for one connection; what comes beyond is not sent to it.
const OUTBOX_MESSAGES_MAX: usize = 4096;
const PING_INTERVAL: Duration = Duration::from_secs(30);
const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// The library's own default is 128 KiB, which every connection keeps and every read zeroes.
const READ_BUFFER_BYTES: usize = 4096;

type Outbox = Sender<Utf8Bytes>;
type Subscribers = HashMap<u64, Outbox>;

fn main() -> io::Result<()> {
    let read_buffer = argument(3).unwrap_or(READ_BUFFER_BYTES);
    let broker = Arc::new(Broker::default());
    let upgrade = any(async move |upgrade: WebSocketUpgrade| {
        upgrade
            .read_buffer_size(read_buffer)
            .max_message_size(MESSAGE_BYTES_MAX)
            .on_upgrade(move |socket| connection(socket, broker))
    });
    run(Router::new().route("/ws", upgrade))
}

/// Serves one connection until it ends.
async fn connection(mut socket: WebSocket, broker: Arc<Broker>) {
    let (outbox, mut inbox) = mpsc::channel(OUTBOX_MESSAGES_MAX);
    let mut client = Client::new(outbox, broker);
    let mut pings = interval(PING_INTERVAL);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings.reset();
    let mut alive = true;
    loop {
        tokio::select! {
            Some(text) = inbox.recv() => {
                if write(&mut socket, text, &mut inbox).await.is_err() {
                    return;
                }
            }
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => client.take(&text),
                Some(Ok(Message::Pong(_))) => alive = true,
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            },
            _ = pings.tick() => {
                let ping = Message::Ping(Vec::new().into());
                if !alive || socket.send(ping).await.is_err() {
                    return;
                }
                alive = false;
            }
        }
    }
}

/// Writes `first` and whatever else waits, then flushes.
async fn write(
    socket: &mut WebSocket,
    first: Utf8Bytes,
    inbox: &mut Receiver<Utf8Bytes>,
) -> Result<(), axum::Error> {
    socket.feed(Message::Text(first)).await?;
    while let Ok(text) = inbox.try_recv() {
        socket.feed(Message::Text(text)).await?;
    }
    socket.flush().await
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    topic: Option<Cow<'a, str>>,
    #[serde(borrow)]
    topics: Option<Vec<Cow<'a, str>>>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    metadata: Option<BTreeMap<Cow<'a, str>, &'a RawValue>>,
    #[serde(rename = "eventType", borrow)]
    event_type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Delivery<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    topic: &'a str,
    event_type: &'a str,
    data: Option<&'a RawValue>,
    metadata: BTreeMap<Cow<'a, str>, &'a RawValue>,
    timestamp: String,
}

#[derive(Default, Serialize)]
struct Reply<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'static str>,
    timestamp: String,
}

/// What a connection is to the broker. Its subscriptions end with it.
struct Client {
    id: u64,
    outbox: Outbox,
    broker: Arc<Broker>,
    subscriptions: HashSet<String>,
}

impl Client {
    fn new(outbox: Outbox, broker: Arc<Broker>) -> Self {
        let id = broker.next_client.fetch_add(1, Ordering::Relaxed);
        Self { id, outbox, broker, subscriptions: HashSet::new() }
    }

    /// Does what a client's message asks for.
    fn take(&mut self, text: &str) {
        let Ok(mut request) = serde_json::from_str::<Request<'_>>(text) else {
            return self.fail(None, "Invalid JSON");
        };
        let id = request.id;
        let topics = match request.topic.take() {
            Some(topic) => vec![topic],
            None => request.topics.take().unwrap_or_default(),
        };
        match (&*request.kind, &topics[..]) {
            ("ping", _) => self.reply("pong", None, id),
            ("subscribe" | "unsubscribe" | "message", []) => self.fail(id, "Missing topic"),
            ("subscribe", topics) => {
                for topic in topics {
                    self.subscribe(topic);
                    self.reply("subscribed", Some(topic), id);
                }
            }
            ("unsubscribe", topics) => {
                for topic in topics {
                    self.unsubscribe(topic);
                    self.reply("unsubscribed", Some(topic), id);
                }
            }
            ("message", [topic, ..]) => {
                self.broker.publish(topic, request);
                if id.is_some() {
                    self.reply("published", Some(topic), id);
                }
            }
            _ => self.fail(id, "Unknown message type"),
        }
    }

    fn subscribe(&mut self, pattern: &str) {
        if self.subscriptions.insert(pattern.to_owned()) {
            self.broker.subscribe(pattern, self.id, self.outbox.clone());
        }
    }

    fn unsubscribe(&mut self, pattern: &str) {
        if self.subscriptions.remove(pattern) {
            self.broker.unsubscribe(pattern, self.id);
        }
    }

    fn reply(&self, kind: &'static str, topic: Option<&str>, id: Option<&RawValue>) {
        self.send(&Reply { kind, id, topic, timestamp: now(), ..Reply::default() });
    }

    fn fail(&self, id: Option<&RawValue>, message: &'static str) {
        let message = Some(message);
        let code = Some(400);
        self.send(&Reply { kind: "error", id, code, message, timestamp: now(), topic: None });
    }

    fn send(&self, reply: &Reply<'_>) {
        let text = serde_json::to_string(reply).expect("a reply is JSON");
        let _ = self.outbox.try_send(text.into());
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        for pattern in &self.subscriptions {
            self.broker.unsubscribe(pattern, self.id);
        }
    }
}

/// Who subscribes to what.
#[derive(Default)]
struct Broker {
    next_client: AtomicU64,
    topics: DashMap<String, Subscribers>,
    patterns: RwLock<HashMap<String, Subscribers>>,
}

impl Broker {
    fn subscribe(&self, pattern: &str, client: u64, outbox: Outbox) {
        if is_wildcard(pattern) {
            let mut patterns = self.patterns.write().unwrap_or_else(PoisonError::into_inner);
            patterns.entry(pattern.to_owned()).or_default().insert(client, outbox);
        } else {
            self.topics.entry(pattern.to_owned()).or_default().insert(client, outbox);
        }
    }

    fn unsubscribe(&self, pattern: &str, client: u64) {
        if is_wildcard(pattern) {
            let mut patterns = self.patterns.write().unwrap_or_else(PoisonError::into_inner);
            if let Some(subscribers) = patterns.get_mut(pattern) {
                subscribers.remove(&client);
            }
            patterns.retain(|_, subscribers| !subscribers.is_empty());
        } else {
            if let Some(mut subscribers) = self.topics.get_mut(pattern) {
                subscribers.remove(&client);
            }
            self.topics.remove_if(pattern, |_, subscribers| subscribers.is_empty());
        }
    }

    /// Sends a message to each subscriber once. Linear in the number of patterns with wildcards.
    fn publish(&self, topic: &str, request: Request<'_>) {
        let text = delivery(topic, request);
        let patterns = self.patterns.read().unwrap_or_else(PoisonError::into_inner);
        let matching: Vec<_> =
            patterns.iter().filter(|(pattern, _)| matches(pattern, topic)).collect();
        let exact = self.topics.get(topic);
        let exact = exact.as_deref();
        for (_, outbox) in exact.into_iter().flatten() {
            let _ = outbox.try_send(text.clone());
        }
        let mut reached = HashSet::new();
        for (client, outbox) in matching.into_iter().flat_map(|(_, subscribers)| subscribers) {
            if exact.is_none_or(|exact| !exact.contains_key(client)) && reached.insert(*client) {
                let _ = outbox.try_send(text.clone());
            }
        }
    }
}

fn delivery(topic: &str, request: Request<'_>) -> Utf8Bytes {
    let mut metadata = request.metadata.unwrap_or_default();
    metadata.remove("senderId");
    let delivery = Delivery {
        kind: "message",
        topic,
        event_type: request.event_type.as_deref().unwrap_or("message"),
        data: request.data,
        metadata,
        timestamp: now(),
    };
    serde_json::to_string(&delivery).expect("a delivery is JSON").into()
}

fn is_wildcard(pattern: &str) -> bool {
    pattern.split('.').any(|segment| matches!(segment, "*" | "**"))
}

/// `*` is one segment, `**` one or more.
fn matches(pattern: &str, topic: &str) -> bool {
    let (wanted, patterns) = pattern.split_once('.').map_or((pattern, None), |(a, b)| (a, Some(b)));
    let (segment, topics) = topic.split_once('.').map_or((topic, None), |(a, b)| (a, Some(b)));
    let here = wanted == segment || matches!(wanted, "*" | "**");
    here && match (patterns, topics) {
        (None, None) => true,
        (Some(patterns), Some(topics)) => {
            matches(patterns, topics) || wanted == "**" && matches(pattern, topics)
        }
        (None, Some(_)) => wanted == "**",
        (Some(_), None) => false,
    }
}

fn now() -> String {
    humantime::format_rfc3339_millis(SystemTime::now()).to_string()
}

//! A broker that does not keep its word: the `topics` protocol, spoken well enough for a load, and
//! one fault in every so many deliveries.
//!
//! One thread serves all: what it does is the same in each run but for which bytes come together.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::stream::SplitSink;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, Notify, oneshot};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

/// What it does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: the control of the experiment.
    None,
    /// Every so many-th delivery is left out.
    Loses(u64),
    /// Every so many-th delivery is sent again.
    Doubles(u64),
    /// Every so many-th delivery of a subscriber waits until its next one has gone.
    Swaps(u64),
    /// Every so many-th message also goes to somebody who subscribed to something else.
    Misleads(u64),
    /// Once, at the so many-th message, nothing goes out for a while.
    Stalls(u64, Duration),
    /// Once, in place of the so many-th delivery, the subscriber's connection is ended: with a close
    /// frame of this code, or without any.
    Closes(u64, Option<u16>),
    /// In place of the so many-th delivery all of it goes, every connection at once.
    Dies(u64),
}

type Sender = SplitSink<WebSocketStream<TcpStream>, Message>;

struct Subscriber {
    sender: Sender,
    topics: Vec<String>,
    kept: Option<Message>,
    /// Once it is dropped, so is the connection.
    stays: Option<oneshot::Sender<()>>,
}

struct Liar {
    fault: Fault,
    subscribers: Mutex<HashMap<u64, Subscriber>>,
    messages: AtomicU64,
    deliveries: AtomicU64,
    wrongs: Arc<AtomicU64>,
    dies: Notify,
}

/// Starts one on a thread of its own, for the rest of the test's process; its address, and how
/// often it has done wrong.
pub fn start(fault: Fault) -> (SocketAddr, Arc<AtomicU64>) {
    let wrongs = Arc::new(AtomicU64::new(0));
    let liar = Arc::new(Liar {
        fault,
        subscribers: Mutex::default(),
        messages: AtomicU64::new(0),
        deliveries: AtomicU64::new(0),
        wrongs: Arc::clone(&wrongs),
        dies: Notify::new(),
    });
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            for number in 0.. {
                tokio::select! {
                    Ok((socket, _)) = listener.accept() => {
                        tokio::spawn(Arc::clone(&liar).serve(number, socket));
                    }
                    // All sockets go with the runtime.
                    () = liar.dies.notified() => return,
                }
            }
        });
    });
    (told.recv().unwrap(), wrongs)
}

impl Liar {
    async fn serve(self: Arc<Self>, number: u64, socket: TcpStream) {
        let Ok(socket) = tokio_tungstenite::accept_async(socket).await else { return };
        let (sender, mut receiver) = socket.split();
        let (stays, mut ends) = oneshot::channel();
        let subscriber = Subscriber { sender, topics: Vec::new(), kept: None, stays: Some(stays) };
        self.subscribers.lock().await.insert(number, subscriber);
        loop {
            let message = tokio::select! {
                Some(Ok(message)) = receiver.next() => message,
                _ = &mut ends => break,
                else => break,
            };
            let Ok(text) = message.into_text() else { continue };
            let Ok(request) = serde_json::from_str::<Value>(&text) else { continue };
            match request["type"].as_str() {
                Some("subscribe") => self.subscribe(number, &request).await,
                Some("message") => self.publish(&request).await,
                _ => {}
            }
        }
        self.subscribers.lock().await.remove(&number);
    }

    async fn subscribe(&self, number: u64, request: &Value) {
        let mut subscribers = self.subscribers.lock().await;
        let subscriber = subscribers.get_mut(&number).unwrap();
        let one = request["topic"].as_str().into_iter();
        let many = request["topics"].as_array().into_iter().flatten().filter_map(Value::as_str);
        for topic in one.chain(many) {
            subscriber.topics.push(topic.to_owned());
            let reply = json!({"type":"subscribed","topic":topic,"id":request["id"]});
            let _ = subscriber.sender.send(Message::text(reply.to_string())).await;
        }
    }

    async fn publish(&self, request: &Value) {
        let topic = request["topic"].as_str().unwrap();
        let delivery = json!({"type":"message","topic":topic,"data":request["data"]});
        let message = Message::text(delivery.to_string());
        let count = self.messages.fetch_add(1, Ordering::Relaxed) + 1;
        if let Fault::Stalls(at, how_long) = self.fault
            && count == at
        {
            // Not a task of its own: the whole broker stands still.
            std::thread::sleep(how_long);
        }
        let mut misled = match self.fault {
            Fault::Misleads(every) => count.is_multiple_of(every),
            _ => false,
        };
        for subscriber in self.subscribers.lock().await.values_mut() {
            if subscriber.topics.iter().any(|own| own == topic) {
                self.deliver(subscriber, &message).await;
            } else if misled && !subscriber.topics.is_empty() {
                misled = false;
                self.wrong();
                let _ = subscriber.sender.send(message.clone()).await;
            }
        }
    }

    async fn deliver(&self, subscriber: &mut Subscriber, message: &Message) {
        let count = self.deliveries.fetch_add(1, Ordering::Relaxed) + 1;
        let is_nth = |every: u64| count.is_multiple_of(every);
        match self.fault {
            Fault::Loses(every) if is_nth(every) => return self.wrong(),
            Fault::Doubles(every) if is_nth(every) => {
                self.wrong();
                let _ = subscriber.sender.send(message.clone()).await;
            }
            Fault::Swaps(every) if is_nth(every) && subscriber.kept.is_none() => {
                subscriber.kept = Some(message.clone());
                return;
            }
            Fault::Closes(at, code) if count == at => {
                self.wrong();
                if let Some(code) = code {
                    let frame = CloseFrame { code: code.into(), reason: "".into() };
                    let _ = subscriber.sender.send(Message::Close(Some(frame))).await;
                }
                subscriber.topics.clear();
                subscriber.stays = None;
                return;
            }
            Fault::Dies(at) if count == at => {
                self.wrong();
                self.dies.notify_one();
                return;
            }
            _ => {}
        }
        let _ = subscriber.sender.send(message.clone()).await;
        if let Some(kept) = subscriber.kept.take() {
            self.wrong();
            let _ = subscriber.sender.send(kept).await;
        }
    }

    fn wrong(&self) {
        self.wrongs.fetch_add(1, Ordering::Relaxed);
    }
}

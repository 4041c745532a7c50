//! A broker of its own process with a configuration that a test rewrites, and its clients.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use jsonwebtoken::{EncodingKey, Header, encode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// How long whatever is awaited may take.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A running broker with two shards.
pub struct Broker {
    pub address: SocketAddr,
    child: Child,
    folder: PathBuf,
    log: Receiver<String>,
}

impl Broker {
    /// Starts one with this configuration; `name` tells its folder from those of other tests.
    pub fn start(name: &str, text: &str) -> Self {
        Self::start_with(name, text, &[])
    }

    /// The same beside files that the configuration names.
    pub fn start_with(name: &str, text: &str, files: &[(&str, &str)]) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("reload-{name}"));
        // An earlier run may have left a file that never answers.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        for (file, content) in files.iter().chain([&("shardwire.toml", text)]) {
            fs::write(folder.join(file), content).unwrap();
        }
        let mut child = Command::new(env!("CARGO_BIN_EXE_shardwire"))
            .args(["serve", "--config", "shardwire.toml", "--host", "127.0.0.1", "--port", "0"])
            .args(["--set", "log.level=info"])
            .env_clear()
            .current_dir(&folder)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (told, log) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in stderr.lines() {
                if told.send(line.unwrap()).is_err() {
                    return;
                }
            }
        });
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut broker = Self { address: nowhere, child, folder, log };
        let said = broker.said(|line| line.starts_with("listening on "));
        let at = said.rsplit("://").next().unwrap().trim();
        broker.address = at.parse().unwrap();
        broker
    }

    /// Writes a file that the configuration names.
    pub fn write(&self, file: &str, content: &str) {
        fs::write(self.folder.join(file), content).unwrap();
    }

    /// Gives it this configuration and waits until it is in force or refused; what it says.
    pub fn reload(&self, text: &str) -> String {
        self.write("shardwire.toml", text);
        self.signal(Signal::HUP);
        self.said(|line| line.contains("reloaded: "))
    }

    /// Ends it, and asserts that it ended well.
    pub fn end(mut self) {
        self.signal(Signal::TERM);
        assert!(self.child.wait().unwrap().success());
    }

    /// Puts a file that never answers in the place of one that the configuration names.
    pub fn hang(&self, file: &str) {
        let path = self.folder.join(file);
        fs::remove_file(&path).unwrap();
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    }

    /// With which status it ends.
    pub fn ended(mut self) -> Option<i32> {
        let by = Instant::now() + PATIENCE;
        while Instant::now() < by {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("it does not end");
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The lines of its log up to the one that is awaited.
    pub fn said(&self, is_last: impl Fn(&str) -> bool) -> String {
        let mut said = String::new();
        loop {
            let Ok(line) = self.log.recv_timeout(PATIENCE) else { panic!("it only said {said}") };
            said.push_str(&line);
            said.push('\n');
            if is_last(&line) {
                return said;
            }
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Whatever became of the test; one that ended is none any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A token with these claims.
pub fn token(secret: &str, claims: &Value) -> String {
    encode(&Header::default(), claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}

/// One that names its key.
pub fn token_of(kid: &str, secret: &str, claims: &Value) -> String {
    let header = Header { kid: Some(kid.to_owned()), ..Header::default() };
    encode(&header, claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

pub async fn connect(broker: &Broker, token: &str) -> Client {
    connect_from(broker, token, None).await
}

/// Connects as a page of this origin.
pub async fn connect_from(broker: &Broker, token: &str, origin: Option<&str>) -> Client {
    dial(broker, token, origin).await.unwrap()
}

/// With which status the handshake is refused.
pub async fn refused(broker: &Broker, token: &str) -> u16 {
    match dial(broker, token, None).await {
        Err(Error::Http(answer)) => answer.status().as_u16(),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it was let in"),
    }
}

async fn dial(broker: &Broker, token: &str, origin: Option<&str>) -> Result<Client, Error> {
    let url = format!("ws://{}/ws?token={token}", broker.address);
    let mut request = url.into_client_request().unwrap();
    if let Some(origin) = origin {
        request.headers_mut().insert("origin", origin.parse().unwrap());
    }
    Ok(connect_async(request).await?.0)
}

pub async fn say(client: &mut Client, text: &Value) {
    client.send(Message::text(text.to_string())).await.unwrap();
}

async fn next(client: &mut Client) -> Message {
    let message = tokio::time::timeout(PATIENCE, client.next()).await;
    message.expect("an answer in time").expect("it is not over").unwrap()
}

pub async fn hear(client: &mut Client) -> Value {
    let text = next(client).await.into_text().unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

/// So many frames of one type.
pub async fn hear_all(client: &mut Client, kind: &str, count: usize) -> Vec<Value> {
    let mut heard = Vec::new();
    for _ in 0..count {
        let frame = hear(client).await;
        assert_eq!(frame["type"], kind, "{frame}");
        heard.push(frame);
    }
    heard
}

/// The code and reason of the close frame that comes next.
pub async fn closed(client: &mut Client) -> (u16, String) {
    match next(client).await {
        Message::Close(Some(frame)) => (frame.code.into(), frame.reason.to_string()),
        other => panic!("no close frame: {other}"),
    }
}

//! A node that speaks TLS with a certificate of its own making, and clients that trust it.

pub mod certificate;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use certificate::Certificate;
use futures_util::{SinkExt, StreamExt};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, SupportedProtocolVersion};
use serde_json::Value;
use shardwire::auth::Rules;
use shardwire::config::Dialect;
use shardwire::node::{Node, Setup, tls};
use shardwire::shard::{Endpoint, Policy};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

/// The longest wait for anything.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A handshake by hand.
pub const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A client that we did not write.
pub type Client = WebSocketStream<TlsStream<tokio::net::TcpStream>>;

/// A node that shows a certificate.
pub fn node(shards: u8, certificate: &Certificate, change: impl FnOnce(&mut Setup)) -> Node {
    let policy = Policy::new(vec![Endpoint::new("/ws", Dialect::Topics, false, Rules::open())]);
    let mut setup = Setup {
        tls: Some(tls::load(&certificate.files()).unwrap()),
        ..Setup::bare(SocketAddr::from(([127, 0, 0, 1], 0)), shards, policy)
    };
    change(&mut setup);
    Node::start(setup).unwrap()
}

/// A runtime for the clients.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// A WebSocket over TLS of this version.
pub async fn connect(
    node: &Node,
    certificate: &Certificate,
    version: &'static SupportedProtocolVersion,
) -> Client {
    let socket = tokio::net::TcpStream::connect(node.address()).await.unwrap();
    let connector = TlsConnector::from(certificate.client(&[version]));
    let name = ServerName::try_from("localhost").unwrap();
    let stream = connector.connect(name, socket).await.unwrap();
    tokio_tungstenite::client_async("wss://localhost/ws", stream).await.unwrap().0
}

/// Says something in JSON.
pub async fn say(client: &mut Client, text: &Value) {
    client.send(Message::text(text.to_string())).await.unwrap();
}

/// Hears something in JSON.
pub async fn hear(client: &mut Client) -> Value {
    let message = tokio::time::timeout(PATIENCE, client.next()).await;
    let text = message.expect("an answer in time").unwrap().unwrap().into_text().unwrap();
    serde_json::from_str(&text).unwrap()
}

/// A session that has said nothing, and its socket.
pub fn meet(node: &Node, config: &Arc<ClientConfig>) -> (ClientConnection, TcpStream) {
    let socket = TcpStream::connect(node.address()).unwrap();
    socket.set_nodelay(true).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    (ClientConnection::new(Arc::clone(config), name).unwrap(), socket)
}

/// A session whose handshake is done, and its socket.
pub fn greet_with(node: &Node, config: &Arc<ClientConfig>) -> (ClientConnection, TcpStream) {
    let (mut session, mut socket) = meet(node, config);
    while session.is_handshaking() || session.wants_write() {
        session.complete_io(&mut socket).unwrap();
    }
    (session, socket)
}

/// The same in a version.
pub fn greet(
    node: &Node,
    certificate: &Certificate,
    version: &'static SupportedProtocolVersion,
) -> (ClientConnection, TcpStream) {
    greet_with(node, &certificate.client(&[version]))
}

/// A WebSocket by hand: the session and the socket under it.
pub fn raw(
    node: &Node,
    certificate: &Certificate,
    version: &'static SupportedProtocolVersion,
) -> (ClientConnection, TcpStream) {
    let (mut session, mut socket) = greet(node, certificate, version);
    let mut stream = rustls::Stream::new(&mut session, &mut socket);
    stream.write_all(UPGRADE.as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "));
    (session, socket)
}

/// A client's text frame, masked by zeros.
pub fn frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x81];
    match payload.len() {
        short @ 0..126 => frame.push(0x80 | short as u8),
        middle @ 126..0x1_0000 => {
            frame.push(0x80 + 126);
            frame.extend_from_slice(&(middle as u16).to_be_bytes());
        }
        long => {
            frame.push(0x80 + 127);
            frame.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

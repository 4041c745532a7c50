//! Publishing over HTTP, on one kept connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use rustls::pki_types::ServerName;
use rustls::{ALL_VERSIONS, ClientConnection, StreamOwned};
use serde_json::Value;

use super::broker::{API_KEY, Broker};

/// A client of `POST /api/publish`.
pub struct Publisher(BufReader<Box<dyn Stream>>);

/// Read and written.
trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

impl Publisher {
    /// Connects.
    ///
    /// # Panics
    /// When nobody listens there.
    pub fn connect(address: SocketAddr) -> Self {
        Self(BufReader::new(Box::new(socket(address))))
    }

    /// Connects as the broker speaks.
    ///
    /// # Panics
    /// When nobody listens there.
    pub fn to(broker: &Broker) -> Self {
        let Some(certificate) = &broker.certificate else { return Self::connect(broker.address) };
        let name = ServerName::try_from("localhost").expect("a name");
        let config = certificate.client(ALL_VERSIONS);
        let session = ClientConnection::new(config, name).expect("a configuration");
        Self(BufReader::new(Box::new(StreamOwned::new(session, socket(broker.address)))))
    }

    /// Publishes; says to how many connections it went. `data` is JSON text.
    ///
    /// # Panics
    /// When it is refused.
    pub fn publish(&mut self, topic: &str, data: &str) -> u64 {
        let body = format!(r#"{{"topic":"{topic}","data":{data}}}"#);
        let request = format!(
            "POST /api/publish HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {API_KEY}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len(),
        );
        let stream = self.0.get_mut();
        stream.write_all(request.as_bytes()).expect("the broker reads");
        stream.flush().expect("the broker reads");
        let reply = self.reply();
        reply["delivered"].as_u64().unwrap_or_else(|| panic!("published: {reply}"))
    }

    fn reply(&mut self) -> Value {
        let mut length = 0;
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).expect("the broker answers");
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().expect("a length");
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).expect("the broker answers");
        serde_json::from_slice(&body).expect("JSON")
    }
}

fn socket(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the broker listens");
    stream.set_nodelay(true).expect("a TCP socket");
    stream
}

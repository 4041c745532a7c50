//! What a reload changes for who comes later: the key of the API, places, the certificate.

use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;

use rustls::pki_types::ServerName;
use rustls::version::TLS13;
use rustls::{ClientConnection, StreamOwned};
use serde_json::json;

use crate::broker::{Broker, PATIENCE, connect, refused, runtime, token};
use crate::certificate::Certificate;

const BASE: &str = r#"
[auth]
secret = "a secret of the tests of reloads"
"#;

/// The status of an answer of the API.
fn stats(broker: &Broker, key: &str) -> u16 {
    let mut stream = TcpStream::connect(broker.address).unwrap();
    let head = "GET /api/stats HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer ";
    stream.write_all(format!("{head}{key}\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn the_key_of_the_api_is_the_new_one() {
    let with = |key: &str| format!("{BASE}[api]\nkey = \"{key}\"\n");
    let broker = Broker::start("api", &with("old"));
    assert_eq!((stats(&broker, "old"), stats(&broker, "new")), (200, 401));
    let said = broker.reload(&with("new"));
    assert!(said.contains("reloaded: api.key"), "{said}");
    // Neither is shown.
    assert!(!said.contains("\"old\"") && !said.contains("\"new\""), "{said}");
    assert_eq!((stats(&broker, "old"), stats(&broker, "new")), (401, 200));
    broker.end();
}

#[test]
fn other_limits_of_places_count_who_is_in() {
    let with = |limit: &str| format!("{BASE}[server]\n{limit}\n");
    let broker = Broker::start("places", &with("max_connections_per_ip = 0"));
    runtime().block_on(async {
        let token = token("a secret of the tests of reloads", &json!({"sub":"u"}));
        let mut clients = Vec::new();
        for _ in 0..3 {
            clients.push(connect(&broker, &token).await);
        }
        let said = broker.reload(&with("max_connections_per_ip = 3"));
        assert!(said.contains("reloaded: server.max_connections_per_ip"), "{said}");
        assert_eq!(refused(&broker, &token).await, 429);
        broker.reload(&with("max_connections = 2\nmax_connections_per_ip = 9"));
        assert_eq!(refused(&broker, &token).await, 503);
        broker.reload(&with("max_connections = 4\nmax_connections_per_ip = 9"));
        clients.push(connect(&broker, &token).await);
        assert_eq!(refused(&broker, &token).await, 503);
    });
    broker.end();
}

/// A session with a broker that must show this certificate.
fn greet(
    broker: &Broker,
    certificate: &Certificate,
) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let socket = TcpStream::connect(broker.address)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let name = ServerName::try_from("localhost").unwrap();
    let session = ClientConnection::new(certificate.client(&[&TLS13]), name);
    let mut stream = StreamOwned::new(session.map_err(io::Error::other)?, socket);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

#[test]
fn the_certificate_is_the_new_one_and_nobody_is_cut_for_it() {
    let [old, new] = ["reload-old", "reload-new"].map(Certificate::new);
    let texts = |it: &Certificate| {
        let text = |file| fs::read_to_string(file).unwrap();
        (text(it.file().to_path_buf()), text(it.files().key_file))
    };
    let ((old_chain, old_key), (chain, key)) = (texts(&old), texts(&new));
    let text = format!("{BASE}[tls]\ncert_file = \"chain.pem\"\nkey_file = \"key.pem\"\n");
    let files = [("chain.pem", &*old_chain), ("key.pem", &*old_key)];
    let broker = Broker::start_with("certificate", &text, &files);
    let mut before = greet(&broker, &old).unwrap();
    assert!(greet(&broker, &new).is_err());

    // A certificate without its key is no certificate.
    broker.write("chain.pem", &chain);
    let said = broker.reload(&text);
    assert!(said.contains("not reloaded"), "{said}");
    greet(&broker, &old).unwrap();

    broker.write("key.pem", &key);
    let said = broker.reload(&text);
    assert!(said.contains("reloaded: tls.cert_file, tls.key_file"), "{said}");
    assert!(!said.contains("BEGIN"), "{said}");
    greet(&broker, &new).unwrap();
    assert!(greet(&broker, &old).is_err());
    before.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut status = [0; 12];
    before.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
    broker.end();
}

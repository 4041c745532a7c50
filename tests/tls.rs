//! TLS of a whole node in this process, met by clients that we did not write: rustls under
//! tokio-tungstenite, rustls by the record, openssl where it is installed.

#[path = "secured/mod.rs"]
mod secured;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use rustls::ProtocolVersion::{TLSv1_2, TLSv1_3};
use rustls::version::{TLS12, TLS13};
use secured::certificate::Certificate;
use secured::{Client, PATIENCE, connect, frame, hear, node, raw, runtime, say};
use serde_json::json;
use shardwire::config::SlowConsumerPolicy;
use shardwire::node::{Node, tls};
use shardwire::shard::outbox::OutboxBound;
use tokio_tungstenite::tungstenite::Message;

#[test]
fn messages_of_any_size_go_both_ways_in_both_versions() {
    let certificate = Certificate::new("sizes");
    let node = node(2, &certificate, |_| {});
    for (version, spoken) in [(&TLS12, TLSv1_2), (&TLS13, TLSv1_3)] {
        runtime().block_on(async {
            let mut clients = Vec::new();
            for _ in 0..8 {
                let mut client = connect(&node, &certificate, version).await;
                let session = client.get_ref().get_ref().1;
                assert_eq!(session.protocol_version(), Some(spoken));
                assert_eq!(session.alpn_protocol(), Some(&b"http/1.1"[..]));
                say(&mut client, &json!({"type":"subscribe","topic":"sizes"})).await;
                assert_eq!(hear(&mut client).await["type"], "subscribed");
                clients.push(client);
            }
            // Around a record, several records, about as much as a message may have.
            for bytes in [1, 16_000, 16_383, 16_384, 16_385, 40_000, 100_000, 1_000_000] {
                let data = "x".repeat(bytes);
                let message = json!({"type":"message","topic":"sizes","data":data});
                say(&mut clients[0], &message).await;
                for client in &mut clients {
                    let heard = hear(client).await;
                    assert_eq!(heard["data"].as_str(), Some(&data[..]), "{bytes}");
                }
            }
            for mut client in clients {
                client.close(None).await.unwrap();
                // To the end of the session, which is told before that of the socket.
                while let Some(heard) = client.next().await {
                    assert!(matches!(heard, Ok(Message::Close(_))), "{heard:?}");
                }
            }
        });
    }
    gone(&node);
    node.drain(Duration::from_millis(500));
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::yield_now();
    }
}

/// Waits until nobody is connected.
fn gone(node: &Node) {
    let nobody = || node.metrics().iter().all(|shard| shard.connections.get() == 0);
    until("all are gone", nobody);
}

#[test]
fn who_does_not_speak_tls_is_told_so_and_cut() {
    let certificate = Certificate::new("plain");
    let node = node(1, &certificate, |_| {});
    let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(4000));
    for said in ["GET /ws HTTP/1.1\r\nHost: x\r\n\r\n", &long, "G", "\0"] {
        let mut stream = TcpStream::connect(node.address()).unwrap();
        stream.write_all(said.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an end and no reset");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(head.ends_with(&format!("Content-Length: {}", body.len())), "{answer}");
        let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
        let error = serde_json::json!({"code": 400, "message": "this is a TLS server"});
        assert_eq!(body, serde_json::json!({ "error": error }));
    }
    until("all are counted", || node.metrics()[0].tls_failed_total.get() == 4);
    node.drain(Duration::from_millis(100));
}

#[test]
fn who_stops_in_the_handshake_is_cut() {
    let certificate = Certificate::new("stops");
    let node = node(1, &certificate, |setup| setup.request_timeout = Duration::from_millis(300));
    for said in [&[][..], &[22], &[22, 3, 1, 2, 0, 1]] {
        let mut stream = TcpStream::connect(node.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(said).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap(), 0, "{said:?}");
    }
    // No handshake at all behind the first byte: an alert, and the end.
    let mut stream = TcpStream::connect(node.address()).unwrap();
    stream.write_all(&[22; 64]).unwrap();
    let mut heard = Vec::new();
    // Bytes that nobody read reset the socket; the alert came before or was lost.
    let _ = stream.read_to_end(&mut heard);
    assert!(heard.is_empty() || heard[0] == 21, "{heard:?}");
    node.drain(Duration::from_millis(100));
}

#[test]
fn a_handshake_that_goes_on_and_on_is_cut() {
    let certificate = Certificate::new("long");
    let node = node(1, &certificate, |setup| setup.request_timeout = 10 * PATIENCE);
    let mut stream = TcpStream::connect(node.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // A hello of 60,000 bytes, in records of 1,000, of which the first 40 come.
    let mut record = vec![22, 3, 1, 0x03, 0xe8];
    record.resize(5 + 1000, 0);
    for number in 0..40 {
        record[5..9].copy_from_slice(if number == 0 { &[1, 0, 0xea, 0x60] } else { &[0; 4] });
        // It may be cut in the middle.
        if stream.write_all(&record).is_err() {
            break;
        }
    }
    let end = stream.read(&mut [0]);
    assert!(matches!(&end, Ok(0)) || end.unwrap_err().kind() == ErrorKind::ConnectionReset);
    until("it is counted", || node.metrics()[0].tls_failed_total.get() == 1);
    node.drain(Duration::from_millis(100));
}

#[test]
fn records_may_be_cut_and_joined_anywhere() {
    let certificate = Certificate::new("cut");
    let node = node(1, &certificate, |_| {});
    for version in [&TLS12, &TLS13] {
        let (mut session, mut socket) = raw(&node, &certificate, version);
        // The requests in records of their own, sent byte by byte, then many in one write.
        for piece in [1, 7, 100_000] {
            for _ in 0..20 {
                session.writer().write_all(&frame(br#"{"type":"ping"}"#)).unwrap();
            }
            let mut records = Vec::new();
            while session.wants_write() {
                session.write_tls(&mut records).unwrap();
            }
            for part in records.chunks(piece) {
                socket.write_all(part).unwrap();
            }
            let mut heard = Vec::new();
            let mut stream = rustls::Stream::new(&mut session, &mut socket);
            while heard.windows(6).filter(|part| part == b"\"pong\"").count() < 20 {
                let mut bytes = [0; 1000];
                let read = stream.read(&mut bytes).unwrap();
                heard.extend_from_slice(&bytes[..read]);
            }
        }
    }
    node.drain(Duration::from_millis(100));
}

#[test]
fn requests_right_behind_the_handshake_are_answered() {
    let certificate = Certificate::new("early");
    let node = node(1, &certificate, |_| {});
    for version in [&TLS12, &TLS13] {
        // The upgrade, a request, the close frame and the end of the session in one write.
        let (mut session, mut socket) = secured::greet(&node, &certificate, version);
        let request = br#"{"type":"ping"}"#;
        let bytes = [
            secured::UPGRADE.as_bytes(),
            &frame(request).repeat(200),
            &[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8],
        ];
        session.writer().write_all(&bytes.concat()).unwrap();
        session.send_close_notify();
        let mut heard = Vec::new();
        rustls::Stream::new(&mut session, &mut socket).read_to_end(&mut heard).unwrap();
        assert_eq!(heard.windows(6).filter(|part| part == b"\"pong\"").count(), 200);
        assert!(heard.ends_with(&[0x88, 2, 0x03, 0xe8]));
    }
    gone(&node);
    node.drain(Duration::from_millis(100));
}

#[test]
fn garbage_in_a_session_ends_it_with_an_alert() {
    let certificate = Certificate::new("garbage");
    let node = node(1, &certificate, |_| {});
    // A record that does not decrypt, one of no kind, one too long, a handshake begun anew.
    let bad: [&[u8]; 4] = [
        &[23, 3, 3, 0, 20, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20],
        &[99, 3, 3, 0, 1, 0],
        &[23, 3, 3, 0xff, 0xff],
        &[22, 3, 3, 0, 4, 1, 0, 0, 0],
    ];
    for version in [&TLS12, &TLS13] {
        for bad in bad {
            let (mut session, mut socket) = raw(&node, &certificate, version);
            socket.write_all(bad).unwrap();
            let error = rustls::Stream::new(&mut session, &mut socket).read(&mut [0]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
            assert!(error.to_string().contains("received fatal alert"), "{error}");
        }
    }
    gone(&node);
    node.drain(Duration::from_millis(100));
}

#[test]
fn new_keys_are_taken_and_answered() {
    let certificate = Certificate::new("keys");
    let node = node(1, &certificate, |_| {});
    let (mut session, mut socket) = raw(&node, &certificate, &TLS13);
    for _ in 0..100 {
        session.refresh_traffic_keys().unwrap();
        session.writer().write_all(&frame(br#"{"type":"ping"}"#)).unwrap();
        let mut heard = Vec::new();
        let mut stream = rustls::Stream::new(&mut session, &mut socket);
        while !heard.ends_with(b"}") {
            let mut bytes = [0; 100];
            let read = stream.read(&mut bytes).unwrap();
            heard.extend_from_slice(&bytes[..read]);
        }
    }
    node.drain(Duration::from_millis(100));
}

#[test]
fn a_slow_reader_loses_whole_messages_and_no_part_of_one() {
    let certificate = Certificate::new("slow");
    let node = node(1, &certificate, |setup| {
        setup.policy.outbox =
            OutboxBound { bytes_max: 1 << 20, policy: SlowConsumerPolicy::DropOldest };
    });
    for version in [&TLS12, &TLS13] {
        runtime().block_on(async {
            let mut slow = connect(&node, &certificate, version).await;
            say(&mut slow, &json!({"type":"subscribe","topic":"flood"})).await;
            assert_eq!(hear(&mut slow).await["type"], "subscribed");
            let mut publisher = connect(&node, &certificate, version).await;
            let dropped = || node.metrics()[0].dropped_oldest_total.get();
            let (before, mut sent) = (dropped(), 0);
            // Odd sizes: each record ends at another place of a message.
            while dropped() < before + 100 {
                sent += 1;
                assert!(sent < 20_000, "the outbox does not fill");
                let data = format!("{sent} {}", "x".repeat(1000 + sent * 977 % 30_000));
                say(&mut publisher, &json!({"type":"message","topic":"flood","data":data,"id":0}))
                    .await;
                assert_eq!(hear(&mut publisher).await["type"], "published");
            }
            // It reads again: what comes is whole and in order, and the last came.
            let mut last = 0;
            while last < sent {
                let heard = hear(&mut slow).await;
                let data = heard["data"].as_str().unwrap();
                let (number, rest) = data.split_once(' ').unwrap();
                let number: usize = number.parse().unwrap();
                assert!(number > last);
                assert_eq!(rest.len(), 1000 + number * 977 % 30_000);
                last = number;
            }
            say(&mut slow, &json!({"type":"ping"})).await;
            assert_eq!(hear(&mut slow).await["type"], "pong");
        });
    }
    node.drain(Duration::from_millis(500));
}

#[test]
fn who_reads_late_hears_all_and_the_close_frame_behind_it() {
    let certificate = Certificate::new("late");
    let node = node(1, &certificate, |setup| setup.policy.outbox.bytes_max = 64 << 20);
    let metrics = &node.metrics()[0];
    for version in [&TLS12, &TLS13] {
        for bytes in (0..4).map(|step| 900_000 + step * 3000) {
            let (mut session, mut socket) = raw(&node, &certificate, version);
            let mut stream = rustls::Stream::new(&mut session, &mut socket);
            stream.write_all(&frame(br#"{"type":"subscribe","topic":"t"}"#)).unwrap();
            // More than the kernel keeps for a socket, to the very client that says it.
            let data = "x".repeat(bytes);
            let message = format!(r#"{{"type":"message","topic":"t","data":"{data}"}}"#);
            let before = metrics.outbox_connections.get();
            let mut said = 0;
            while metrics.outbox_connections.get() == before {
                stream.write_all(&frame(message.as_bytes())).unwrap();
                said += 1;
                assert!(said < 40, "the kernel keeps all");
            }
            stream.write_all(&[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]).unwrap();
            let mut heard = Vec::new();
            stream.read_to_end(&mut heard).unwrap();
            assert!(heard.ends_with(&[0x88, 2, 0x03, 0xe8]), "{} bytes came", heard.len());
            assert!(heard.len() > said * bytes, "{} bytes of {said} * {bytes}", heard.len());
        }
    }
    gone(&node);
    node.drain(Duration::from_millis(100));
}

#[test]
fn who_floods_while_being_closed_hears_why() {
    let certificate = Certificate::new("floods");
    let node = node(1, &certificate, |_| {});
    for version in [&TLS12, &TLS13] {
        let (mut session, mut socket) = raw(&node, &certificate, version);
        // A reserved opcode, and much behind it.
        let mut stream = rustls::Stream::new(&mut session, &mut socket);
        stream.write_all(&[0x83, 0x80, 0, 0, 0, 0]).unwrap();
        for _ in 0..200 {
            stream.write_all(&[0xff; 16_000]).expect("whoever is being closed is read");
        }
        let mut heard = Vec::new();
        stream.conn.send_close_notify();
        stream.read_to_end(&mut heard).expect("an end and no reset");
        assert_eq!((heard[0], &heard[2..4]), (0x88, &1002_u16.to_be_bytes()[..]), "{heard:?}");
    }
    gone(&node);
    node.drain(Duration::from_millis(100));
}

#[test]
fn the_api_answers_over_tls_and_sessions_are_resumed() {
    let certificate = Certificate::new("api");
    let node = node(1, &certificate, |_| {});
    for version in [&TLS12, &TLS13] {
        let config = certificate.client(&[version]);
        for kind in [rustls::HandshakeKind::Full, rustls::HandshakeKind::Resumed] {
            let (mut session, mut socket) = secured::greet_with(&node, &config);
            let mut stream = rustls::Stream::new(&mut session, &mut socket);
            let head = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
            stream.write_all(head.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).expect("the end of the session is told");
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
            assert_eq!(session.handshake_kind(), Some(kind));
        }
    }
    node.drain(Duration::from_millis(100));
}

/// `openssl s_client`, trusting the certificate, with what is read of it and written to it.
fn openssl(node: &Node, certificate: &Certificate, how: &[&str]) -> (Child, ChildStdin, Heard) {
    let mut client = Command::new("openssl")
        .args(["s_client", "-verify_return_error", "-alpn", "http/1.1"])
        .args(["-servername", "localhost", "-CAfile"])
        .arg(certificate.file())
        .args(["-connect", &node.address().to_string()])
        .args(how)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (input, output) = (client.stdin.take().unwrap(), client.stdout.take().unwrap());
    (client, input, Heard(output))
}

struct Heard<R = ChildStdout>(R);

impl<R: Read> Heard<R> {
    /// Reads until something was heard.
    fn until(&mut self, words: &[u8]) {
        let mut heard = Vec::new();
        while !heard.ends_with(words) {
            let mut byte = [0];
            let told = self.0.read_exact(&mut byte);
            told.unwrap_or_else(|_| panic!("only {}", String::from_utf8_lossy(&heard)));
            heard.push(byte[0]);
        }
    }
}

#[test]
fn openssl_is_served() {
    if Command::new("openssl").arg("version").output().is_err() {
        return;
    }
    let certificate = Certificate::new("openssl");
    let node = node(1, &certificate, |_| {});
    let close = [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8];
    for version in ["-tls1_2", "-tls1_3"] {
        let (mut client, mut input, mut heard) = openssl(&node, &certificate, &[version, "-quiet"]);
        input.write_all(secured::UPGRADE.as_bytes()).unwrap();
        heard.until(b"\r\n\r\n");
        input.write_all(&frame(br#"{"type":"ping"}"#)).unwrap();
        heard.until(b"\"pong\"");
        input.write_all(&close).unwrap();
        heard.until(&[0x88, 2, 0x03, 0xe8]);
        let mut rest = Vec::new();
        heard.0.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"");
        assert!(client.wait().unwrap().success(), "close_notify came");
    }
    // Without `-quiet` it has commands: K for new keys, which the connection outlives.
    let (mut client, mut input, mut heard) = openssl(&node, &certificate, &["-tls1_3"]);
    let mut remarks = Heard(client.stderr.take().unwrap());
    input.write_all(secured::UPGRADE.as_bytes()).unwrap();
    heard.until(b"HTTP/1.1 101 ");
    for _ in 0..10 {
        input.write_all(b"K\n").unwrap();
        remarks.until(b"KEYUPDATE");
        input.write_all(&frame(br#"{"type":"ping"}"#)).unwrap();
        heard.until(b"\"pong\"");
    }
    input.write_all(&close).unwrap();
    heard.until(&[0x88, 2, 0x03, 0xe8]);
    drop(input);
    client.wait().unwrap();
    // R for another handshake, which is refused: openssl gives up over that, and goes.
    let (mut client, mut input, mut heard) = openssl(&node, &certificate, &["-tls1_2"]);
    let mut remarks = Heard(client.stderr.take().unwrap());
    input.write_all(secured::UPGRADE.as_bytes()).unwrap();
    heard.until(b"HTTP/1.1 101 ");
    input.write_all(b"R\n").unwrap();
    remarks.until(b"RENEGOTIATING");
    heard.0.read_to_end(&mut Vec::new()).unwrap();
    assert!(!client.wait().unwrap().success());
    gone(&node);
    node.drain(Duration::from_millis(100));
}

#[test]
fn what_is_no_certificate() {
    let one = Certificate::new("one");
    let other = Certificate::new("other");
    let mut files = one.files();
    files.key_file = other.files().key_file;
    let error = tls::load(&files).unwrap_err().to_string();
    let (cert, key) = (files.cert_file.display(), files.key_file.display());
    let apart = format!("tls.cert_file {cert} and tls.key_file {key} do not belong together");
    assert_eq!(error, apart);
    files.key_file = "/nonexistent.key".into();
    let error = tls::load(&files).unwrap_err().to_string();
    assert!(error.starts_with("tls.key_file /nonexistent.key: "), "{error}");
    files.key_file = files.cert_file.clone();
    let error = tls::load(&files).unwrap_err().to_string();
    assert!(error.ends_with(": no key is in it"), "{error}");
    files.cert_file = one.files().key_file;
    let error = tls::load(&files).unwrap_err().to_string();
    assert!(error.starts_with("tls.cert_file ") && error.ends_with(": no certificate is in it"));
    assert!(!error.contains("BEGIN"));
}

#[test]
fn a_client_of_another_authority_goes() {
    let certificate = Certificate::new("trusted");
    let stranger = Certificate::new("stranger");
    let node = node(1, &certificate, |_| {});
    let (mut session, mut socket) = secured::meet(&node, &stranger.client(&[&TLS13]));
    assert!(session.complete_io(&mut socket).is_err());
    drop(socket);
    until("it is counted", || node.metrics()[0].tls_failed_total.get() == 1);
    node.drain(Duration::from_millis(100));
}

#[test]
fn a_drain_says_goodbye_over_tls() {
    let certificate = Certificate::new("drain");
    let node = node(2, &certificate, |_| {});
    runtime().block_on(async {
        let mut clients: Vec<Client> = Vec::new();
        for _ in 0..10 {
            clients.push(connect(&node, &certificate, &TLS13).await);
        }
        let drained = std::thread::spawn(move || node.drain(Duration::from_secs(5)));
        for client in &mut clients {
            let end = tokio::time::timeout(PATIENCE, client.next()).await.unwrap();
            let Message::Close(Some(frame)) = end.unwrap().unwrap() else { panic!("a close") };
            assert_eq!(u16::from(frame.code), 1001);
            let _ = client.flush().await;
            assert!(client.next().await.is_none_or(|end| end.is_err()));
        }
        drained.join().unwrap();
    });
}

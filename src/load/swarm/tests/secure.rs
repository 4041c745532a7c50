//! TLS, against rustls' own server in a thread.

use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion, version};

use super::*;

type Stream = StreamOwned<ServerConnection, TcpStream>;

/// A certificate of `localhost` for the server, and its file for the clients.
fn certificate(name: &str) -> (ServerConfigs, PathBuf) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let file = std::env::temp_dir().join(format!("shardwire-{}-{name}.pem", std::process::id()));
    std::fs::write(&file, cert.pem()).unwrap();
    let make = |versions: &[&'static SupportedProtocolVersion]| {
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap()
    };
    let configs = [&version::TLS12, &version::TLS13].map(|version| Arc::new(make(&[version])));
    (configs, file)
}

type ServerConfigs = [Arc<ServerConfig>; 2];

/// A server of one connection.
fn serve(
    rig: &Rig,
    config: &Arc<ServerConfig>,
    script: impl FnOnce(&mut Stream) + Send + 'static,
) -> JoinHandle<()> {
    let (listener, config) = (rig.listener.try_clone().unwrap(), Arc::clone(config));
    thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), socket);
        script(&mut stream);
    })
}

fn connect(rig: &mut Rig) {
    let who = Who { number: 0, token: None, topic: "", publishes: false };
    rig.swarm.connect(0, &who).unwrap();
}

fn request(stream: &mut Stream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"GET /0 HTTP/1.1\r\n"));
}

fn expect(stream: &mut Stream, said: &[u8]) {
    let mut bytes = vec![0; said.len()];
    stream.read_exact(&mut bytes).unwrap();
    assert_eq!(bytes, said);
}

fn said(payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    Words::new(&mut bytes, Swarm::KEY).text(payload);
    bytes
}

#[test]
fn frames_in_records() {
    let (configs, file) = certificate("frames");
    for (version, tls) in [Tls::Authorities(file.clone()), Tls::Any].into_iter().enumerate() {
        let mut rig = Rig::new(Setting { tls: Some(tls), ..Setting::default() });
        let server = serve(&rig, &configs[version], |stream| {
            request(stream);
            let words = [text("ready"), text(&stamped(3, 70_000)), text("question")];
            stream.write_all(&[TAKEN.as_bytes(), b"\r\n", &words.concat()].concat()).unwrap();
            expect(stream, &said(b"i am 0"));
            // Records that the reads cut: more than a read buffer at once.
            let mut heard = vec![0; said(b"subscribe").len() + said(b"answer").len()];
            stream.read_exact(&mut heard).unwrap();
            stream.write_all(&text(&stamped(4, 0)).repeat(30_000)).unwrap();
            expect(stream, &said(&vec![b'y'; 50_000]));
            stream.write_all(&close(4408)).unwrap();
            let mut end = Vec::new();
            Words::new(&mut end, Swarm::KEY).frame(OpCode::Close, &4408_u16.to_be_bytes());
            expect(stream, &end);
            assert_eq!(stream.read(&mut [0]).unwrap(), 0, "close_notify");
        });
        connect(&mut rig);
        let heard = rig.hear(2 + 30_000);
        assert_eq!(heard[..2], ["0 ready", "0 delivery 3 70010"]);
        assert!(heard[2..].iter().all(|it| it == "0 delivery 4 36"));
        assert!(rig.swarm.say(0, &said(&vec![b'y'; 50_000])));
        assert_eq!(rig.hear(1), ["0 ended 4408"]);
        rig.until(|swarm, _| swarm.lingering.len() == 0);
        server.join().unwrap();
    }
    std::fs::remove_file(file).unwrap();
}

#[test]
fn what_was_not_sent_in_records_is_told() {
    let (configs, file) = certificate("unsent");
    // Frames of more than a record, and records with the ends of none.
    let piece = said(&vec![b'x'; 40_000]);
    for config in &configs {
        let tls = Some(Tls::Authorities(file.clone()));
        let mut rig = Rig::new(Setting { tls, ..Setting::default() });
        let ((go_on, told), (count, counted)) = (mpsc::channel(), mpsc::channel());
        let server = serve(&rig, config, move |stream| {
            request(stream);
            stream.write_all(&[TAKEN.as_bytes(), b"\r\n"].concat()).unwrap();
            expect(stream, &said(b"i am 0"));
            let () = told.recv().unwrap();
            stream.write_all(&close(1008)).unwrap();
            let () = told.recv().unwrap();
            let mut bytes = Vec::new();
            // The client goes without a word.
            let _ = stream.read_to_end(&mut bytes);
            count.send(bytes.len()).unwrap();
        });
        connect(&mut rig);
        rig.until(|swarm, _| swarm.slots[0].stage == Stage::Open);
        let mut taken = 0;
        while rig.swarm.say(0, &piece.repeat(2)) {
            taken += 2;
        }
        go_on.send(()).unwrap();
        assert_eq!(rig.hear(1), ["0 ended 1008"]);
        go_on.send(()).unwrap();
        let unsent = rig.swarm.take_unsent();
        assert!(matches!(unsent[..], [(0, 1..)]), "{unsent:?}");
        assert_eq!(counted.recv().unwrap() / piece.len(), (taken - unsent[0].1) as usize);
        server.join().unwrap();
    }
    std::fs::remove_file(file).unwrap();
}

#[test]
fn records_may_be_cut_anywhere() {
    let (configs, file) = certificate("cut");
    for config in &configs {
        let tls = Some(Tls::Authorities(file.clone()));
        let mut rig = Rig::new(Setting { tls, ..Setting::default() });
        let (listener, config) = (rig.listener.try_clone().unwrap(), Arc::clone(config));
        connect(&mut rig);
        let (mut socket, _) = listener.accept().unwrap();
        socket.set_nonblocking(true).unwrap();
        let mut server = ServerConnection::new(config).unwrap();
        let (mut request, mut sent, mut answered) = (Vec::new(), 0_u64, false);
        let begun = Instant::now();
        while rig.notes.log.len() < 2 {
            assert!(begun.elapsed() < PATIENCE, "{:?}", rig.notes.log);
            while server.wants_write() {
                let mut records = Vec::new();
                server.write_tls(&mut records).unwrap();
                for byte in records {
                    assert_eq!(socket.write(&[byte]).unwrap(), 1);
                    sent += 1;
                    rig.until(|swarm, _| swarm.bytes_read >= sent);
                }
            }
            rig.swarm.turn(0, Duration::ZERO, &mut rig.notes).unwrap();
            if matches!(server.read_tls(&mut socket), Ok(1..)) {
                server.process_new_packets().unwrap();
                // Nothing more for now is an error here.
                let _ = server.reader().read_to_end(&mut request);
            }
            if request.ends_with(b"\r\n\r\n") && !answered {
                answered = true;
                let words = [text("ready"), text("subscribed")].concat();
                let all = [TAKEN.as_bytes(), b"\r\n", &words].concat();
                server.writer().write_all(&all).unwrap();
            }
        }
        assert_eq!(rig.hear(2), ["0 ready", "0 Subscribed 12"]);
        let session = rig.swarm.slots[0].tls().unwrap();
        assert_eq!(session.kept_bytes(), 0);
    }
    std::fs::remove_file(file).unwrap();
}

#[test]
fn leaving_over_tls() {
    let (configs, file) = certificate("leaving");
    let mut rig = Rig::new(Setting { tls: Some(Tls::Any), ..Setting::default() });
    let server = serve(&rig, &configs[1], |stream| {
        request(stream);
        stream.write_all(format!("{TAKEN}\r\n").as_bytes()).unwrap();
        stream.write_all(&text("ready")).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let mut end = Vec::new();
        Words::new(&mut end, Swarm::KEY).frame(OpCode::Close, &1000_u16.to_be_bytes());
        assert!(bytes.ends_with(&end));
    });
    connect(&mut rig);
    assert_eq!(rig.hear(1), ["0 ready"]);
    rig.swarm.leave(0, Leave::Close);
    server.join().unwrap();
    rig.until(|swarm, _| swarm.lingering.len() == 0);
    assert_eq!(rig.notes.log, [""; 0]);
    std::fs::remove_file(file).unwrap();
}

#[test]
fn who_is_not_trusted() {
    let (configs, file) = certificate("trusted");
    let (_, other) = certificate("other");
    let tls = Some(Tls::Authorities(other.clone()));
    let mut rig = Rig::new(Setting { tls, ..Setting::default() });
    let server = serve(&rig, &configs[1], |stream| {
        assert!(stream.read(&mut [0]).is_err());
    });
    connect(&mut rig);
    let heard = rig.hear(1);
    assert!(heard[0].starts_with("0 refused: in the handshake of TLS: TLS: "), "{heard:?}");
    server.join().unwrap();
    // A server without TLS.
    connect(&mut rig);
    let (mut socket, _) = rig.listener.accept().unwrap();
    socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
    let heard = rig.hear(1);
    assert!(heard[0].starts_with("0 refused: in the handshake of TLS: "), "{heard:?}");
    for file in [file, other] {
        std::fs::remove_file(file).unwrap();
    }
}

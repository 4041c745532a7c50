//! A floor in a thread of its own, met by clients over sockets.

use std::io::{BufReader, PipeReader, PipeWriter, Read, pipe};
use std::net::{Shutdown, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use super::*;
use crate::load::dialect::{self, Dialect, Who, Words};
use crate::load::scenario::{Credentials, Spoken, Target};
use crate::load::stamp::Stamp;
use crate::wire::frame::{Decoder, Event, FrameBounds, Partial, Sender};

const WHO: Who<'_> = Who { number: 0, token: None, topic: "", publishes: false };

/// A floor, and its pipes.
struct Running {
    questions: PipeWriter,
    answers: BufReader<PipeReader>,
    floor: JoinHandle<io::Result<()>>,
    address: SocketAddr,
}

impl Running {
    fn start(mode: Mode) -> Self {
        let (questions_in, questions) = pipe().unwrap();
        let (answers, answers_out) = pipe().unwrap();
        let floor = thread::spawn(move || serve(mode, BufReader::new(questions_in), answers_out));
        let mut answers = BufReader::new(answers);
        let mut address = String::new();
        answers.read_line(&mut address).unwrap();
        Self { questions, answers, floor, address: address.trim_end().parse().unwrap() }
    }

    fn counts(&mut self) -> Counts {
        writeln!(self.questions, "counts").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// The counts once so many sends are among them: a client may hear before they are told.
    fn counts_after(&mut self, sends: u64) -> Counts {
        loop {
            let counts = self.counts();
            if counts.sends >= sends {
                return counts;
            }
        }
    }

    fn end(self) {
        drop(self.questions);
        self.floor.join().unwrap().unwrap();
    }
}

struct Client {
    stream: TcpStream,
    dialect: Box<dyn Dialect>,
    partial: Option<Box<Partial>>,
    /// Text of the messages that came, and bytes in all.
    came: Vec<String>,
    bytes: usize,
}

impl Client {
    fn connect(floor: &Running, frame_bytes: usize) -> Self {
        let target = Target {
            address: floor.address,
            host: floor.address.to_string(),
            path: format!("/?bytes={frame_bytes}"),
            tls: None,
            dialect: Spoken::Floor,
            compression: false,
            credentials: Credentials::None,
        };
        let dialect = dialect::of(&target);
        let mut stream = TcpStream::connect(floor.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut request = Vec::new();
        // The example of RFC 6455 section 1.3.
        dialect.handshake(&WHO, "dGhlIHNhbXBsZSBub25jZQ==", None, &mut request);
        stream.write_all(&request).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        let head = String::from_utf8(head).unwrap();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert!(
            head.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"),
            "{head}"
        );
        Self { stream, dialect, partial: None, came: Vec::new(), bytes: 0 }
    }

    fn subscriber(floor: &Running, patterns: &[&str]) -> Self {
        let mut client = Self::connect(floor, 0);
        for pattern in patterns {
            client.say(|dialect, say| assert!(dialect.subscribe(pattern, 0, say)));
            client.read(1);
            assert_eq!(client.came.pop().as_deref(), Some("s"));
        }
        client.bytes = 0;
        client
    }

    fn say(&mut self, say: impl FnOnce(&dyn Dialect, &mut Words<'_>)) {
        let mut out = Vec::new();
        say(&*self.dialect, &mut Words::new(&mut out, [1, 2, 3, 4]));
        self.stream.write_all(&out).unwrap();
    }

    /// Reads until so many messages have come, since the start.
    fn read(&mut self, messages: usize) {
        let bounds = FrameBounds {
            message_bytes_max: MESSAGE_BYTES_MAX,
            compression: false,
            sender: Sender::Server,
        };
        let mut buffer = vec![0; 64 << 10];
        while self.came.len() < messages {
            let bytes = self.stream.read(&mut buffer).unwrap();
            assert!(bytes > 0, "the floor has gone");
            self.bytes += bytes;
            let mut decoder = Decoder::new(&mut self.partial, &mut buffer[..bytes], &bounds);
            while let Some(event) = decoder.next_event().unwrap() {
                if let Event::Message { text: true, payload, .. } = event {
                    self.came.push(String::from_utf8(payload.to_vec()).unwrap());
                }
            }
        }
        assert_eq!(self.came.len(), messages);
    }
}

/// Three messages in one write: two to `a.1`, one to `b.1` between them.
fn talk(floor: &mut Running) -> [Client; 5] {
    let mut clients = [&["a.1"][..], &["b.1"], &["a.*", "a.1"], &["**", "b.1"], &["c"]]
        .map(|patterns| Client::subscriber(floor, patterns));
    let mut publisher = Client::connect(floor, 100);
    publisher.say(|dialect, say| {
        dialect.publish("a.1", b"one", say);
        dialect.publish("b.1", b"two", say);
        dialect.publish("a.1", b"three", say);
    });
    for (client, messages) in clients.iter_mut().zip([2, 1, 2, 3, 0]) {
        client.read(messages);
        assert_eq!(client.bytes, messages * 100, "every frame is as long as it was to be");
    }
    clients
}

#[test]
fn each_delivery_is_a_send_of_its_own() {
    let mut floor = Running::start(Mode::Each);
    assert_eq!(floor.counts(), Counts::default());
    let clients = talk(&mut floor);
    let words = |client: &Client| -> Vec<String> {
        client.came.iter().map(|text| text.trim_end_matches('.').into()).collect()
    };
    assert_eq!(words(&clients[0]), ["one", "three"]);
    assert_eq!(words(&clients[1]), ["two"]);
    assert_eq!(words(&clients[2]), ["one", "three"]);
    assert_eq!(words(&clients[3]), ["one", "two", "three"]);
    let counts = floor.counts_after(8);
    assert_eq!((counts.sends, counts.waits, counts.lost), (8, 0, 0));
    assert!(counts.cpu_ns > 0);
    floor.end();
}

#[test]
fn what_was_read_together_goes_out_together() {
    let mut floor = Running::start(Mode::Together);
    let _clients = talk(&mut floor);
    let counts = floor.counts_after(4);
    // One write of the publisher may be read in pieces, but hardly is.
    assert!(counts.sends <= 8 && counts.lost == 0, "{counts:?}");
    floor.end();
}

#[test]
fn who_leaves_hears_nothing_more() {
    let mut floor = Running::start(Mode::Together);
    let mut closes = Client::subscriber(&floor, &["a", "**"]);
    closes.say(|_, say| say.frame(OpCode::Ping, b"x"));
    closes.say(|_, say| say.frame(OpCode::Close, &1000_u16.to_be_bytes()));
    let mut answer = [0; 7];
    closes.stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, [0x8A, 1, b'x', 0x88, 2, 3, 0xE8]);
    closes.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(closes.stream.read(&mut answer).unwrap(), 0, "the floor closes in turn");
    let mut listens = Client::subscriber(&floor, &["a"]);
    listens.say(|dialect, say| dialect.publish("a", b"x", say));
    listens.read(1);
    assert_eq!(floor.counts_after(1).sends, 1);
    floor.end();
}

#[test]
fn a_slow_subscriber_loses_nothing() {
    let mut floor = Running::start(Mode::Each);
    let mut slow = Client::subscriber(&floor, &["a"]);
    let mut publisher = Client::connect(&floor, 1 << 16);
    let messages = 400;
    for number in 0..messages {
        let mut payload = Vec::new();
        Stamp { stream: 0, number, at_us: 0 }.put(&mut payload, 0);
        publisher.say(|dialect, say| dialect.publish("a", &payload, say));
    }
    // More than the kernel's buffers hold is on its way.
    while floor.counts().waits == 0 {}
    slow.read(messages as usize);
    for (expected, text) in (0..).zip(&slow.came) {
        let (stamp, _) = Stamp::find(text.as_bytes()).unwrap();
        assert_eq!(stamp, Stamp { stream: 0, number: expected, at_us: 0 });
    }
    let counts = floor.counts_after(u64::from(messages));
    assert_eq!((counts.sends, counts.lost), (400, 0));
    floor.end();
}

#[test]
fn one_that_is_waited_for_does_not_hold_up_the_end() {
    let mut floor = Running::start(Mode::Each);
    let _mute = Client::subscriber(&floor, &["a"]);
    let mut publisher = Client::connect(&floor, 1 << 20);
    publisher.say(|dialect, say| (0..30).for_each(|_| dialect.publish("a", b"x", say)));
    while floor.counts().waits == 0 {}
    floor.end();
}

#[test]
fn frames_are_as_long_as_lengths_allow() {
    let frame_len = |payload: &[u8], frame_bytes| {
        let mut out = Vec::new();
        put_padded(&mut out, payload, frame_bytes);
        assert_eq!(crate::wire::frame::frame_len(&out), Some(out.len()));
        out.len()
    };
    for bytes in [5, 126, 127, 130, 230, 65_539, 65_546, 100_000] {
        assert_eq!(frame_len(b"abc", bytes), bytes);
    }
    assert_eq!(frame_len(b"abc", 0), 5);
    // No frame has these lengths.
    assert_eq!([frame_len(b"", 128), frame_len(b"", 129)], [130, 130]);
    assert_eq!(frame_len(b"", 65_540), 65_546);
    assert_eq!(frame_len(b"", usize::MAX), MESSAGE_BYTES_MAX);
}

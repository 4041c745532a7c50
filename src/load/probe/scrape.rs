//! What a server tells of its own process: Prometheus' text over plain HTTP.
//!
//! The names are those of the Prometheus client libraries, which servers of every language use.
//! One GET a look, with a bound on time and size. A server may hang, or answer drop by drop: it is
//! asked less often the longer it takes, so that it never holds up a run by more than some seconds.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// How long an answer may take, from the connect to its last byte.
const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes of an answer.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Characters of what a server answers that are shown.
const WORDS_CHARS_MAX: usize = 200;
/// No figure is above this: a pebibyte, 36 million years of CPU time.
const FIGURE_MAX: f64 = 1_125_899_906_842_624.0;
/// An answer that took longer is followed by a rest.
const SLOW: Duration = Duration::from_millis(100);
/// How many times as long as the answer took that rest is.
const RESTS: u32 = 10;
/// What all slow answers of a run may take together before looks that matter have rests as well.
const LOOKS_MAX: Duration = Duration::from_secs(5);

/// Where figures are told, and how it went so far.
#[derive(Clone, Debug)]
pub(super) struct Page {
    host: String,
    path: String,
    /// Where it was found; empty before the first question.
    addresses: Vec<SocketAddr>,
    answered: bool,
    patience: Duration,
    /// What slow answers took, but for those that nobody waited for.
    spent: Duration,
    /// Until when it is left alone.
    rest: Option<Instant>,
}

/// How much an answer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Something is computed of it.
    Much,
    /// One more point of a plot.
    Little,
}

/// What was told; `None`: no such figure.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Told {
    /// CPU time of the process, in seconds.
    pub(super) cpu_s: Option<f64>,
    /// Its resident memory.
    pub(super) rss_bytes: Option<f64>,
    /// Bytes in use in its heap.
    pub(super) heap_bytes: Option<f64>,
    /// Messages queued for connections.
    pub(super) deliveries: Option<f64>,
    /// Sends to connections.
    pub(super) sends: Option<f64>,
    /// Whether a figure was none that can be, and is left out.
    pub(super) is_absurd: bool,
}

impl Page {
    /// Of `http://HOST:PORT/PATH`; the port is 80 and the path `/metrics` unless given.
    pub(super) fn new(url: &str) -> Option<Self> {
        let rest = url.strip_prefix("http://")?;
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if host.is_empty() || rest.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return None;
        }
        let path = if path.is_empty() { "/metrics" } else { path };
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let host = if has_port { host.to_owned() } else { format!("{host}:80") };
        Some(Self {
            host,
            path: path.to_owned(),
            addresses: Vec::new(),
            answered: false,
            patience: PATIENCE,
            spent: Duration::ZERO,
            rest: None,
        })
    }

    /// Whether it ever answered as it should.
    pub(super) fn has_answered(&self) -> bool {
        self.answered
    }

    /// Asks, or leaves the server alone where it was slow.
    ///
    /// # Errors
    /// The server cannot be reached, takes too long or just did, or answers something else than
    /// 200.
    pub(super) fn read(&mut self, wanted: Wanted) -> io::Result<Told> {
        let from = Instant::now();
        let is_spent = self.spent > LOOKS_MAX;
        if self.rest.is_some_and(|until| from < until) && (is_spent || wanted == Wanted::Little) {
            return Err(io::Error::new(ErrorKind::WouldBlock, "it was slow, and has a rest"));
        }
        let told = self.ask(from + self.patience);
        self.answered |= told.is_ok();
        let took = from.elapsed();
        if took > SLOW {
            if wanted == Wanted::Much {
                self.spent += took;
            }
            let basis = if self.spent > LOOKS_MAX { self.spent } else { took };
            self.rest = Some(from + took + basis * RESTS);
        }
        told
    }

    fn ask(&mut self, until: Instant) -> io::Result<Told> {
        if self.addresses.is_empty() {
            self.addresses = self.host.to_socket_addrs()?.collect();
        }
        let mut stream = self.connect(until)?;
        // An answer to HTTP/1.0 is never in chunks.
        let Self { host, path, .. } = self;
        let request = format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.set_write_timeout(Some(left(until)?))?;
        // Who answers before it has read all may close at once: what counts is the answer.
        let written = stream.write_all(request.as_bytes());
        let answer = answer(&mut stream, until).map_err(|error| written.err().unwrap_or(error))?;
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        if head.split_whitespace().nth(1) != Some("200") {
            let first = head.lines().next().unwrap_or("nothing");
            return Err(io::Error::other(format!("it answers: {}", harmless(first))));
        }
        Ok(told(body))
    }

    /// To the first of its addresses that takes it; that is the only one from then on.
    fn connect(&mut self, until: Instant) -> io::Result<TcpStream> {
        let mut failure = io::Error::from(ErrorKind::NotFound);
        for address in &self.addresses {
            match TcpStream::connect_timeout(address, left(until)?) {
                Ok(stream) => {
                    self.addresses = vec![*address];
                    return Ok(stream);
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }
}

/// The time that is left.
///
/// # Errors
/// None is.
fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// An answer to its end: of its length where it tells one, else of the connection.
fn answer(stream: &mut TcpStream, until: Instant) -> io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    let mut part = [0; 16 << 10];
    let mut length = None;
    while length.is_none_or(|length| answer.len() < length) {
        stream.set_read_timeout(Some(left(until)?))?;
        let bytes = match stream.read(&mut part) {
            Ok(0) if length.is_some() => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(0) => break,
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            // So the kernel calls the end of a read's time.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                return Err(ErrorKind::TimedOut.into());
            }
            Err(error) => return Err(error),
        };
        answer.extend_from_slice(&part[..bytes]);
        if answer.len() > ANSWER_BYTES_MAX {
            let what = format!("its answer is longer than {ANSWER_BYTES_MAX} bytes");
            return Err(io::Error::other(what));
        }
        length = length.or_else(|| length_in(&answer));
    }
    Ok(answer)
}

/// The bytes of an answer with its head, once the head is there and tells of them.
fn length_in(answer: &[u8]) -> Option<usize> {
    let head = memchr::memmem::find(answer, b"\r\n\r\n")?;
    let text = String::from_utf8_lossy(&answer[..head]);
    let mut fields = text.lines().filter_map(|line| line.split_once(':'));
    let (_, length) = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length"))?;
    length.trim().parse::<usize>().ok()?.checked_add(head + 4)
}

/// Words of a server as they can be shown: nothing that controls a terminal or turns the direction
/// of writing, and not too many.
fn harmless(words: &str) -> String {
    let shown = |c: &char| {
        !c.is_control()
            && !matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    words.chars().filter(shown).take(WORDS_CHARS_MAX).collect()
}

/// The figures in a text of Prometheus' format; of those with labels, the sum.
fn told(text: &str) -> Told {
    let mut told = Told::default();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split([' ', '{']).next().unwrap_or_default();
        let place = match name {
            "process_cpu_seconds_total" => &mut told.cpu_s,
            "process_resident_memory_bytes" => &mut told.rss_bytes,
            "shardwire_deliveries_total" => &mut told.deliveries,
            "shardwire_sends_total" => &mut told.sends,
            // Of servers written in Go and in JavaScript.
            "shardwire_heap_bytes"
            | "go_memstats_heap_alloc_bytes"
            | "nodejs_heap_size_used_bytes" => &mut told.heap_bytes,
            _ => continue,
        };
        let labelled = line.rsplit_once('}').map_or(&line[name.len()..], |(_, rest)| rest);
        let value = labelled.split_whitespace().next().and_then(|value| value.parse::<f64>().ok());
        match value {
            Some(value) if (0.0..=FIGURE_MAX).contains(&value) => {
                *place = Some(place.unwrap_or(0.0) + value);
            }
            // No number: Prometheus tells so what it does not know.
            None => {}
            Some(value) => told.is_absurd |= !value.is_nan(),
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const TEXT: &str = "# HELP process_cpu_seconds_total CPU.\n\
        process_cpu_seconds_total 12.5\n\
        process_resident_memory_bytes 1.048576e+06\n\
        process_resident_memory_bytes_max 7\n\
        shardwire_deliveries_total{shard=\"0\"} 90\n\
        shardwire_deliveries_total{shard=\"1\"} 10\n\
        shardwire_sends_total 25\n\
        go_memstats_heap_alloc_bytes{a=\"x y} \"} 10 1700000000\n\
        go_memstats_heap_alloc_bytes{a=\"z\"} 32\n\
        junk\n";

    #[test]
    fn where_to_ask() {
        let page = |url| Page::new(url).map(|page| format!("{} {}", page.host, page.path));
        assert_eq!(page("http://a:9/m?x=1").as_deref(), Some("a:9 /m?x=1"));
        assert_eq!(page("http://[::1]:9").as_deref(), Some("[::1]:9 /metrics"));
        assert_eq!(page("http://[::1]").as_deref(), Some("[::1]:80 /metrics"));
        assert_eq!(page("http://a/").as_deref(), Some("a:80 /"));
        for wrong in ["https://a/", "a:9/metrics", "http://", "http:///m", "http://a/ b\r\nX: y"] {
            assert_eq!(page(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn figures_in_a_text() {
        let told = told(TEXT);
        assert_eq!(told.cpu_s, Some(12.5));
        assert_eq!(told.rss_bytes, Some(1_048_576.0));
        assert_eq!(told.heap_bytes, Some(42.0));
        assert_eq!((told.deliveries, told.sends), (Some(100.0), Some(25.0)));
        assert_eq!(super::told("process_cpu_seconds_total NaN\n"), Told::default());
        for absurd in ["-1", "+Inf", "1e300"] {
            let told = super::told(&format!("process_resident_memory_bytes {absurd}\n"));
            assert_eq!((told.rss_bytes, told.is_absurd), (None, true), "{absurd}");
        }
    }

    /// A server that answers one request.
    fn answering(answer: String) -> Page {
        serving(move |mut stream| {
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                asked.push(byte[0]);
            }
            // Who has heard enough leaves.
            let _ = stream.write_all(answer.as_bytes());
        })
    }

    /// A server that does so with its first connection, and no more.
    fn serving(does: impl FnOnce(TcpStream) + Send + 'static) -> Page {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}/metrics", listener.local_addr().unwrap());
        std::thread::spawn(move || does(listener.accept().unwrap().0));
        Page::new(&url).unwrap()
    }

    #[test]
    fn asking_a_server() {
        let mut page = answering(format!("HTTP/1.1 200 OK\r\nX: y\r\n\r\n{TEXT}"));
        assert_eq!(page.read(Wanted::Much).unwrap().cpu_s, Some(12.5));
        assert!(page.has_answered());
        let mut page = answering("HTTP/1.1 401 Unauthorized\r\n\r\n".to_owned());
        let error = page.read(Wanted::Much).unwrap_err().to_string();
        assert_eq!(error, "it answers: HTTP/1.1 401 Unauthorized");
        let hostile = format!("HTTP/1.1 500 \x1b[2J\u{202e}\u{7}{}\r\n\r\n", "x".repeat(500));
        let error = answering(hostile).read(Wanted::Much).unwrap_err().to_string();
        assert!(error.starts_with("it answers: HTTP/1.1 500 [2Jxxx"), "{error}");
        assert!(error.len() < 250, "{error}");
        let long = "x".repeat(ANSWER_BYTES_MAX);
        let mut page = answering(format!("HTTP/1.1 200 OK\r\n\r\n{long}"));
        assert!(page.read(Wanted::Much).unwrap_err().to_string().contains("longer than 1048576"));
    }

    #[test]
    fn an_answer_ends_where_it_says() {
        // The connection is kept by a server that does not know better.
        let head = format!("HTTP/1.1 200 OK\r\ncontent-LENGTH: {}\r\n\r\n", TEXT.len());
        let mut page = serving(move |mut stream| {
            stream.write_all(format!("{head}{TEXT}").as_bytes()).unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
        });
        assert_eq!(page.read(Wanted::Much).unwrap().cpu_s, Some(12.5));
        // What is cut off would be read as another figure.
        let cut = "HTTP/1.1 200 OK\r\nContent-Length: 31\r\n\r\nprocess_cpu_seconds_total 1";
        let error = answering(cut.to_owned()).read(Wanted::Much).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    }

    #[test]
    fn who_drips_is_given_up_and_left_alone() {
        let mut page = serving(|mut stream| {
            while stream.write_all(b"H").is_ok() {
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        page.patience = SLOW + Duration::from_millis(20);
        let from = Instant::now();
        assert_eq!(page.read(Wanted::Much).unwrap_err().kind(), ErrorKind::TimedOut);
        assert!(from.elapsed() >= page.patience && from.elapsed() < Duration::from_secs(10));
        // Nobody is there for another question: it would not be answered this way.
        assert_eq!(page.read(Wanted::Little).unwrap_err().kind(), ErrorKind::WouldBlock);
        let second = page.read(Wanted::Much).unwrap_err();
        assert_ne!(second.kind(), ErrorKind::WouldBlock);
        page.rest = Some(Instant::now() + Duration::from_hours(1));
        page.spent = LOOKS_MAX * 2;
        assert_eq!(page.read(Wanted::Much).unwrap_err().kind(), ErrorKind::WouldBlock);
    }
}

//! What the log and `Debug` show of a webhook: no secret, no URL, nothing that the peer wrote.

use std::io::{self, Write};
use std::sync::Mutex;

use super::*;

/// Lines of a log.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_failing_webhook_is_told_and_no_secret_is() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let server = Server::start(|_| Reply::Status(502, "what the peer wrote")).await;
    let (webhook, clock) = webhook(&settings(&server.url));
    for _ in 0..5 {
        ask(&webhook, "a").await;
    }
    clock.advance(WEBHOOK_REMARK_MS);
    ask(&webhook, "a").await;
    let text = lines.text();
    let ours: Vec<&str> = text.lines().filter(|line| line.contains("the webhook failed")).collect();
    assert_eq!(ours.len(), 2, "{text}");
    assert!(ours[0].contains("WARN") && ours[0].contains("unsaid=0"), "{text}");
    assert!(ours[0].contains("the webhook failed: it answered with status 502"), "{text}");
    assert!(ours[1].contains("unsaid=4"));
    let signature = server.seen()[0].headers["x-shardwire-signature"].to_str().unwrap().to_owned();
    for hidden in [SECRET, "of-the-url", "what the peer wrote", &signature] {
        assert!(!text.contains(hidden), "{hidden} in {text}");
    }
}

#[test]
fn debug_shows_no_secret() {
    let settings = settings("http://127.0.0.1:1/of-the-url");
    let shown = format!("{:?}", webhook(&settings).0);
    assert!(shown.contains("signed: true"), "{shown}");
    for hidden in [SECRET, "of-the-url"] {
        assert!(!shown.contains(hidden), "{shown}");
    }
}

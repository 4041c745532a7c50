//! A webhook for the tests: a real HTTP server on a free port that records what it is asked.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::header::HeaderMap;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// One request as it came.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) line: String,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

/// What the server does with a request.
pub(super) enum Reply {
    /// 200 with this body.
    Ok(&'static str),
    /// This status with this body, and a `Location`.
    Status(u16, &'static str),
    /// 200 and so many bytes of white space before an answer that allows.
    Padded(usize),
    /// 200 with a header of so many bytes.
    LongHead(usize),
    /// 200, a part of an answer, and never its end.
    Part(&'static str),
    /// Nothing, ever.
    Silence,
    /// The connection ends without an answer.
    HangUp,
}

/// The server; its tasks end with the test's runtime.
pub(super) struct Server {
    pub(super) url: String,
    told: Arc<Told>,
}

#[derive(Default)]
struct Told {
    seen: Mutex<Vec<Seen>>,
    /// Requests that are being answered, now and at most.
    now: AtomicUsize,
    most: AtomicUsize,
    /// A permit is wanted for each answer, where there is one.
    gate: Option<Semaphore>,
}

type Script = dyn Fn(&Seen) -> Reply + Send + Sync;

impl Server {
    /// Answers as `script` says.
    pub(super) async fn start(script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_with(None, script).await
    }

    /// Holds each answer back until [`release`](Self::release) lets it go.
    pub(super) async fn held(script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_with(Some(Semaphore::new(0)), script).await
    }

    async fn start_with(
        gate: Option<Semaphore>,
        script: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/authorize?key=of-the-url", listener.local_addr().unwrap());
        let told = Arc::new(Told { gate, ..Default::default() });
        let (script, all): (Arc<Script>, _) = (Arc::new(script), Arc::clone(&told));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&all), Arc::clone(&script)));
            }
        });
        Self { url, told }
    }

    /// All requests so far.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.told.seen.lock().unwrap().clone()
    }

    /// How many requests there were.
    pub(super) fn count(&self) -> usize {
        self.told.seen.lock().unwrap().len()
    }

    /// The most requests that it had at a time.
    pub(super) fn most(&self) -> usize {
        self.told.most.load(Ordering::Relaxed)
    }

    /// Lets so many answers go.
    pub(super) fn release(&self, answers: usize) {
        self.told.gate.as_ref().unwrap().add_permits(answers);
    }

    /// Waits until there were so many requests.
    pub(super) async fn asked(&self, count: usize) {
        while self.count() < count {
            tokio::task::yield_now().await;
        }
    }
}

/// Serves one connection, over TLS or not.
pub(super) async fn serve_one(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    script: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
) {
    serve(stream, Arc::default(), Arc::new(script)).await;
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    told: Arc<Told>,
    script: Arc<Script>,
) {
    let service =
        service_fn(move |request| answer(Arc::clone(&told), Arc::clone(&script), request));
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // Clients that give up, and hanging up, are part of the tests.
    let _ = connection.await;
}

async fn answer(
    told: Arc<Told>,
    script: Arc<Script>,
    request: Request<Incoming>,
) -> Result<Response<BoxBody<Bytes, Infallible>>, String> {
    let now = told.now.fetch_add(1, Ordering::Relaxed) + 1;
    told.most.fetch_max(now, Ordering::Relaxed);
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
    let seen = Seen {
        line: format!("{} {}", parts.method, parts.uri),
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    };
    told.seen.lock().unwrap().push(seen.clone());
    if let Some(gate) = &told.gate {
        gate.acquire().await.unwrap().forget();
    }
    let full = |text: String| Full::from(text).boxed();
    let reply = script(&seen);
    told.now.fetch_sub(1, Ordering::Relaxed);
    let response = Response::builder();
    Ok(match reply {
        Reply::Ok(body) => response.body(full(body.into())).unwrap(),
        Reply::Status(status, body) => {
            response.status(status).header("location", "/allow").body(full(body.into())).unwrap()
        }
        Reply::Padded(bytes) => {
            let body = format!("{}{{\"allow\":true}}", " ".repeat(bytes));
            response.body(full(body)).unwrap()
        }
        Reply::LongHead(bytes) => {
            let head = "x".repeat(bytes);
            response.header("x-long", head).body(full(r#"{"allow":true}"#.into())).unwrap()
        }
        Reply::Part(part) => response.body(Endless(Some(part)).boxed()).unwrap(),
        Reply::Silence => std::future::pending().await,
        Reply::HangUp => return Err("hung up".into()),
    })
}

/// A body that begins and does not end.
struct Endless(Option<&'static str>);

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.0.take() {
            Some(part) => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(part.as_bytes()))))),
            None => Poll::Pending,
        }
    }
}

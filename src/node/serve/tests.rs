//! What becomes of a request that hangs while its client goes away: hyper reads on meanwhile.

use std::convert::Infallible;
use std::future::pending;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{LocalSet, spawn_local};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::stream::Stream;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";

/// Tells that it is dropped.
struct Told(Rc<Notify>);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// A server whose requests hang once they are read.
struct Hanging {
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    asked: Rc<Notify>,
    dropped: Rc<Notify>,
}

impl Hanging {
    async fn new(tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { listener, tls, asked: Rc::default(), dropped: Rc::default() }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.listener.local_addr().unwrap()).await.unwrap()
    }

    /// Serves the next connection in a task.
    fn serve_one(self: &Rc<Self>) {
        let server = Rc::clone(self);
        spawn_local(async move {
            let (stream, _) = server.listener.accept().await.unwrap();
            let stream = Stream::accept(stream, server.tls.as_ref()).await.unwrap();
            let service = service_fn(async |request: Request<Incoming>| {
                let _told = Told(Rc::clone(&server.dropped));
                request.into_body().collect().await.unwrap();
                server.asked.notify_one();
                pending::<()>().await;
                Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
            });
            let hyper = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // It ends as the test wants it to.
            let _ = hyper.with_upgrades().await;
        });
    }

    /// Whether a request that hangs is dropped when its client leaves.
    async fn notices<T: AsyncRead + AsyncWrite + Unpin>(
        self: &Rc<Self>,
        request: &[u8],
        mut client: T,
        leave: impl AsyncFnOnce(T),
    ) -> bool {
        client.write_all(request).await.unwrap();
        client.flush().await.unwrap();
        self.asked.notified().await;
        leave(client).await;
        // Microseconds pass; where nothing is noticed it is not, however long one waits.
        tokio::time::timeout(Duration::from_millis(500), self.dropped.notified()).await.is_ok()
    }
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, test);
}

#[test]
fn a_client_that_goes_is_noticed_while_its_request_hangs() {
    run(async {
        let server = Rc::new(Hanging::new(None).await);
        for request in [GET, POST] {
            server.serve_one();
            let client = server.connect().await;
            assert!(server.notices(request, client, async |it| drop(it)).await);
            server.serve_one();
            let client = server.connect().await;
            let reset = async |client: TcpStream| {
                SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
            };
            assert!(server.notices(request, client, reset).await);
            // One that says no more is taken for one that is gone.
            server.serve_one();
            let (mut kept, client) = (None, server.connect().await);
            let shut = async |mut client: TcpStream| {
                client.shutdown().await.unwrap();
                kept = Some(client);
            };
            assert!(server.notices(request, client, shut).await);
        }
    });
}

#[test]
fn who_asks_further_and_goes_is_not_noticed() {
    // hyper reads no further than the next request: such a client's session ends by its heartbeat.
    run(async {
        let server = Rc::new(Hanging::new(None).await);
        server.serve_one();
        let client = server.connect().await;
        assert!(!server.notices(&[GET, GET].concat(), client, async |it| drop(it)).await);
    });
}

#[test]
fn over_tls_too() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(client));
    run(async {
        let server = Rc::new(Hanging::new(Some(Arc::new(config))).await);
        let connect = async || {
            server.serve_one();
            let name = ServerName::try_from("localhost").unwrap();
            connector.connect(name, server.connect().await).await.unwrap()
        };
        let client = connect().await;
        assert!(server.notices(GET, client, async |it| drop(it)).await, "without a word");
        let client = connect().await;
        let mut kept = None;
        let say_so = async |mut client: TlsStream<TcpStream>| {
            client.shutdown().await.unwrap();
            kept = Some(client);
        };
        assert!(server.notices(GET, client, say_so).await, "with a word");
    });
}

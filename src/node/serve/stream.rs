//! What hyper reads and writes: a client's connection before its handshake is done.
//!
//! Once it is, the stream comes apart into what the shard's sockets keep of it, a [`Wire`]. Where
//! TLS is configured it comes first, and is the only thing spoken: who says something else hears a
//! 400 in plain text, told by its first byte.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::ServerConfig;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

use crate::limits::{NO_TLS_WAIT_MS, REQUEST_HEAD_BYTES_MAX};
use crate::node::serve::secured::Secured;
use crate::node::sockets::Wire;

/// The first byte of a client that speaks TLS: that of a handshake's record (RFC 8446 section 5.1).
const HANDSHAKE: u8 = 22;

macro_rules! no_tls_body {
    () => {
        "{\"error\":{\"code\":400,\"message\":\"this is a TLS server\"}}\n"
    };
}

/// What anyone else is answered, in the form of all errors.
const NO_TLS: &str = concat!(
    "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n",
    "Content-Type: application/json\r\nContent-Length: 56\r\n\r\n",
    no_tls_body!()
);

const _: () = assert!(no_tls_body!().len() == 56, "NO_TLS tells its body's length");

/// A client's connection.
#[derive(Debug)]
pub(super) enum Stream {
    /// As the bytes come.
    Plain(TcpStream),
    /// In records.
    Tls(Box<Secured>),
}

impl Stream {
    /// A client's connection, of which something has come: with `tls`, once that is agreed upon
    /// and something has come over it, if only the end. The caller limits the time.
    ///
    /// # Errors
    /// The client does not speak TLS, or not as it should; it has heard so.
    pub(super) async fn accept(
        socket: TcpStream,
        tls: Option<&Arc<ServerConfig>>,
    ) -> io::Result<Self> {
        let Some(config) = tls else { return Ok(Self::Plain(socket)) };
        let mut first = [0];
        socket.peek(&mut first).await?;
        if first[0] != HANDSHAKE {
            refuse(socket).await;
            return Err(io::Error::other("it does not speak TLS"));
        }
        Ok(Self::Tls(Secured::accept(socket, Arc::clone(config)).await?))
    }

    /// What the shard keeps of it, and what was read of it and is not with hyper.
    ///
    /// # Errors
    /// The runtime does not let go of the socket, or the system does not take its options.
    pub(super) fn into_wire(self) -> io::Result<(Wire, Vec<u8>)> {
        let (stream, tls, early) = match self {
            Self::Plain(stream) => (stream, None, Vec::new()),
            Self::Tls(stream) => {
                let (stream, session, early) = stream.into_parts();
                (stream, Some(Box::new(session)), early)
            }
        };
        let stream = stream.into_std()?;
        // From here on the pings and the outbox judge whether a client takes what it is sent.
        SockRef::from(&stream).set_tcp_user_timeout(None)?;
        Ok((Wire { fd: stream.into(), tls }, early))
    }

    /// The stream as hyper's bytes go through it.
    fn inner(self: Pin<&mut Self>) -> Pin<&mut (dyn Both + '_)> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream),
            Self::Tls(stream) => Pin::new(&mut **stream),
        }
    }
}

/// Says in plain text that this port speaks TLS, and cuts. What has come is read before, as much
/// as a request may be, and what follows in the meantime: a socket closed on bytes that nobody read
/// is reset, and the answer with it.
async fn refuse(mut socket: TcpStream) {
    let told = async {
        socket.write_all(NO_TLS.as_bytes()).await?;
        socket.shutdown().await?;
        let mut left = REQUEST_HEAD_BYTES_MAX;
        let mut thrown = [0; 1024];
        while left > 0 {
            match socket.read(&mut thrown).await? {
                0 => break,
                read => left = left.saturating_sub(read),
            }
        }
        io::Result::Ok(())
    };
    // It hears so or it does not: either way it is cut.
    let _ = tokio::time::timeout(Duration::from_millis(NO_TLS_WAIT_MS), told).await;
}

/// Read and written.
trait Both: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Both for T {}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.inner().poll_read(context, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.inner().poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.inner().poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_shutdown(context)
    }
}

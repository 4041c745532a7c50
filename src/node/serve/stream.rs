//! What hyper reads and writes: a client's connection before its handshake is done.
//!
//! Once it is, the stream comes apart into what the shard's sockets keep of it, a [`Wire`].

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::node::sockets::Wire;

/// A client's connection.
#[derive(Debug)]
pub(super) enum Stream {
    /// As the bytes come.
    Plain(TcpStream),
}

impl Stream {
    /// What the shard keeps of it.
    ///
    /// # Errors
    /// The runtime does not let go of the socket, or the system does not take its options.
    pub(super) fn into_wire(self) -> io::Result<Wire> {
        let Self::Plain(stream) = self;
        let stream = stream.into_std()?;
        // From here on the pings and the outbox judge whether a client takes what it is sent.
        SockRef::from(&stream).set_tcp_user_timeout(None)?;
        Ok(Wire { fd: stream.into() })
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self::Plain(stream) = self.get_mut();
        Pin::new(stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Self::Plain(stream) = self.get_mut();
        Pin::new(stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Self::Plain(stream) = self.get_mut();
        Pin::new(stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        let Self::Plain(stream) = self;
        stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self::Plain(stream) = self.get_mut();
        Pin::new(stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self::Plain(stream) = self.get_mut();
        Pin::new(stream).poll_shutdown(context)
    }
}

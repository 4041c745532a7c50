//! A client's connection over TLS as hyper reads and writes it, until it is established.
//!
//! Drives the [`Session`] that the shard keeps afterwards. Buffers live for one poll: one that
//! waits, in its handshake or for what it is to be asked, holds none.

use std::future::poll_fn;
use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

use crate::limits::TLS_RECORD_BYTES_MAX;
use crate::node::sockets::Read;
use crate::node::tls::{Pushed, Session};
use crate::shard::Sent;

/// Room for what is read in a poll, or for what is encrypted in one.
const BUFFER_BYTES: usize = 2 * TLS_RECORD_BYTES_MAX;

/// A connection over TLS.
#[derive(Debug)]
pub(super) struct Secured {
    socket: TcpStream,
    session: Session,
    /// What was decrypted, and how much of it was taken; nothing once all is.
    plain: Vec<u8>,
    taken: usize,
    /// No more comes.
    ended: bool,
}

impl Secured {
    /// Agrees with a client, and waits until it has said something, if only the end: hyper would
    /// hold its buffers for that. The caller limits the time.
    ///
    /// # Errors
    /// The client breaks TLS, and has heard so, or it goes.
    pub(super) async fn accept(
        socket: TcpStream,
        config: Arc<ServerConfig>,
    ) -> io::Result<Box<Self>> {
        let session = Session::new(config).map_err(io::Error::other)?;
        // In a box from the start: a session is large, and the task that waits here is small.
        let mut secured =
            Box::new(Self { socket, session, plain: Vec::new(), taken: 0, ended: false });
        poll_fn(|context| secured.poll_fill(context)).await?;
        Ok(secured)
    }

    /// The socket, its session, and what was decrypted and not taken.
    pub(super) fn into_parts(self) -> (TcpStream, Session, Vec<u8>) {
        let Self { socket, session, mut plain, taken, .. } = self;
        plain.drain(..taken);
        (socket, session, plain)
    }

    /// Waits until there is something to take, or the end.
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.taken == self.plain.len() && !self.ended {
            // Who does not take what it is told is not heard.
            ready!(self.poll_push(context))?;
            ready!(self.socket.poll_read_ready(context))?;
            let Self { socket, session, plain, .. } = self;
            let read = socket.try_io(Interest::READABLE, || {
                let (mut records, mut buffer) = (vec![0; BUFFER_BYTES], vec![0; BUFFER_BYTES]);
                let read = session.read(socket.as_fd(), &mut records, &mut buffer);
                if let Read::More(bytes) | Read::Drained(bytes) = read {
                    *plain = buffer[..bytes].to_vec();
                }
                if read == Read::Nothing { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(read) }
            });
            match read {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                read => self.ended = read? == Read::End,
            }
            self.taken = 0;
            if let Some(fault) = self.session.fault() {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, fault)));
            }
            if self.ended && self.session.is_handshaking() {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Waits until all that is encrypted is with the kernel.
    fn poll_push(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.session.holds() {
            ready!(self.socket.poll_write_ready(context))?;
            let Self { socket, session, .. } = self;
            let pushed = socket.try_io(Interest::WRITABLE, || match session.push(socket.as_fd()) {
                Pushed::All => Ok(()),
                Pushed::Some => Err(io::ErrorKind::WouldBlock.into()),
                Pushed::Gone => Err(io::ErrorKind::BrokenPipe.into()),
            });
            match pushed {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                pushed => pushed?,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Secured {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_fill(context))?;
        let left = &self.plain[self.taken..];
        let bytes = left.len().min(buffer.remaining());
        buffer.put_slice(&left[..bytes]);
        self.taken += bytes;
        if self.taken == self.plain.len() {
            (self.plain, self.taken) = (Vec::new(), 0);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Secured {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_push(context))?;
        let Self { socket, session, .. } = &mut *self;
        match session.send(socket.as_fd(), bytes, &mut vec![0; BUFFER_BYTES]) {
            Sent::Bytes(taken) => Poll::Ready(Ok(taken)),
            Sent::Gone => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_push(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { socket, session, .. } = &mut *self;
        session.shut(socket.as_fd());
        self.poll_push(context)
    }
}

//! The TLS of one connection, from its first byte to its last.
//!
//! By the unbuffered interface of rustls: records are read into a buffer that all connections of a
//! shard share, and encrypted into it. A session of its own accord holds keys, and bytes only where
//! there is no other place: the start of a record whose rest has not come, and the end of one that
//! the kernel has not taken. What is encrypted cannot be offered again, so a byte counts as sent
//! when it is encrypted, and never more is encrypted than the kernel takes but one record. Logs
//! nothing; knows no frame.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, UnbufferedStatus};
use rustls::{Error, ServerConfig};

use crate::limits::{TLS_PLAIN_BYTES, TLS_RECORD_BYTES_MAX};
use crate::node::sockets::Read;
use crate::shard::Sent;

/// Room for the word that nothing more is said, and for new keys before it.
const END_BYTES: usize = 256;

/// The TLS of one connection.
pub struct Session {
    connection: UnbufferedServerConnection,
    /// The start of a record that is not whole, or of a message of the handshake that comes in
    /// several: at most [`TLS_RECORD_BYTES_MAX`].
    kept: Box<[u8]>,
    /// Records that are not with the kernel: the end of one of what is said, or what TLS itself
    /// says, of which the longest is the chain of certificates.
    held: Vec<u8>,
    /// How the client broke TLS, if it did.
    fault: Option<Box<Error>>,
    /// Nothing more can be read or said.
    broken: bool,
    /// The client says no more.
    over: bool,
    /// Our side is to be shut once all is with the kernel.
    shut: bool,
}

impl fmt::Debug for Session {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kept, held) = (self.kept.len(), self.held.len());
        out.debug_struct("Session")
            .field("kept_bytes", &kept)
            .field("held_bytes", &held)
            .finish_non_exhaustive()
    }
}

/// What became of records handed to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It has all of them.
    All,
    /// It has no room for the rest, which is held.
    Some,
    /// The socket is dead.
    Gone,
}

impl Session {
    /// A session in which nothing has been said.
    ///
    /// # Errors
    /// The configuration is of no use: our fault.
    pub fn new(config: Arc<ServerConfig>) -> Result<Self, Error> {
        Ok(Self {
            connection: UnbufferedServerConnection::new(config)?,
            kept: Box::default(),
            held: Vec::new(),
            fault: None,
            broken: false,
            over: false,
            shut: false,
        })
    }

    /// Whether both sides have yet to agree; nothing can be sent until they have.
    pub fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// How the client broke TLS, if it did; once.
    pub fn fault(&mut self) -> Option<Error> {
        self.fault.take().map(|error| *error)
    }

    /// Reads what has come into `plain`, by way of `records`. These have room for
    /// [`TLS_RECORD_BYTES_MAX`] and a byte, and `plain` for as much: so all that is decrypted has
    /// room, and nothing is left for later.
    pub fn read(&mut self, fd: impl AsFd, records: &mut [u8], plain: &mut [u8]) -> Read {
        debug_assert!(TLS_RECORD_BYTES_MAX < records.len() && records.len() <= plain.len());
        if self.broken || self.over {
            return Read::End;
        }
        let kept = self.kept.len();
        let come = match recv(&fd, &mut records[kept..], RecvFlags::DONTWAIT) {
            Ok((0, _)) => return Read::End,
            Ok((bytes, _)) => bytes,
            Err(Errno::AGAIN) => return Read::Nothing,
            Err(Errno::INTR) => return Read::More(0),
            Err(_) => return Read::End,
        };
        records[..kept].copy_from_slice(&self.kept);
        let read = self.decrypt(&mut records[..kept + come], plain);
        // Some records are answered: with an alert, with those of the handshake.
        if !self.held.is_empty() {
            self.push(fd);
        }
        // What came before the end is heard first, and the end is not told again.
        if kept + come < records.len() && !self.broken && !self.over {
            Read::Drained(read)
        } else {
            Read::More(read)
        }
    }

    /// Decrypts what has come whole, and keeps the rest; how many bytes were in it. Answers are
    /// held, even of one who broke TLS: why it is cut.
    fn decrypt(&mut self, records: &mut [u8], plain: &mut [u8]) -> usize {
        let (mut taken, mut read) = (0, 0);
        let end = loop {
            let UnbufferedStatus { discard, state } =
                self.connection.process_tls_records(&mut records[taken..]);
            taken += discard;
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(Ok(record)) = traffic.next_record() {
                        taken += record.discard;
                        let bytes = record.payload.len();
                        plain[read..read + bytes].copy_from_slice(record.payload);
                        read += bytes;
                    }
                }
                Ok(ConnectionState::EncodeTlsData(data)) => encode(data, &mut self.held),
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_)) => {
                    break Ok(());
                }
                Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => {
                    // What follows is ignored (RFC 8446 section 6.1).
                    (self.over, taken) = (true, records.len());
                    break Ok(());
                }
                // There is no early data: the configuration takes none.
                Ok(_) => break Err(Error::General("an unknown state".into())),
                Err(error) => break Err(error),
            }
        };
        self.kept = records[taken..].into();
        // No record is that long, and no message of an honest client.
        let end = end.and(if self.kept.len() > TLS_RECORD_BYTES_MAX {
            Err(Error::PeerSentOversizedRecord)
        } else {
            Ok(())
        });
        if let Err(error) = end {
            self.answer();
            (self.fault, self.broken, self.kept) = (Some(Box::new(error)), true, Box::default());
        }
        read
    }

    /// Takes up what TLS itself has to say. Looks at nothing that has come: what is said goes first.
    fn answer(&mut self) {
        while self.connection.wants_write() {
            match self.connection.process_tls_records(&mut []).state {
                Ok(ConnectionState::EncodeTlsData(data)) => encode(data, &mut self.held),
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                _ => return,
            }
        }
    }

    /// Encrypts bytes by way of `records` and hands them to the kernel, a record at a time. They
    /// count as sent when they are encrypted; of the last record a part may be held. `records` has
    /// room for two.
    pub fn send(&mut self, fd: impl AsFd, bytes: &[u8], records: &mut [u8]) -> Sent {
        debug_assert!(2 * TLS_RECORD_BYTES_MAX <= records.len());
        if self.broken {
            return Sent::Gone;
        }
        let mut taken = 0;
        loop {
            match self.push(&fd) {
                Pushed::All if taken == bytes.len() => return Sent::Bytes(taken),
                Pushed::All => {}
                Pushed::Some => return Sent::Bytes(taken),
                Pushed::Gone => return Sent::Gone,
            }
            let end = bytes.len().min(taken + TLS_PLAIN_BYTES);
            let Some(encrypted) = self.encrypt(Some(&bytes[taken..end]), records) else {
                self.broken = true;
                return Sent::Gone;
            };
            taken = end;
            let Ok(written) = write(fd.as_fd(), &records[..encrypted]) else {
                self.broken = true;
                return Sent::Gone;
            };
            self.held.extend_from_slice(&records[written..encrypted]);
        }
    }

    /// Encrypts what one record holds, or the word that nothing more is said, and before it what TLS
    /// itself has to say: new keys, an answer to the client's. How many bytes the records have; none
    /// where the keys are used up and there are no new ones, or where nothing may be said.
    fn encrypt(&mut self, bytes: Option<&[u8]>, records: &mut [u8]) -> Option<usize> {
        let mut written = 0;
        loop {
            // What is kept has been looked at: there is no record in it that is whole.
            match self.connection.process_tls_records(&mut self.kept).state.ok()? {
                ConnectionState::WriteTraffic(mut traffic) => {
                    let room = &mut records[written..];
                    let encrypted = match bytes {
                        Some(bytes) => traffic.encrypt(bytes, room),
                        None => traffic.queue_close_notify(room),
                    };
                    return Some(written + encrypted.ok()?);
                }
                ConnectionState::EncodeTlsData(mut data) => {
                    written += data.encode(&mut records[written..]).ok()?;
                }
                ConnectionState::TransmitTlsData(data) => data.done(),
                ConnectionState::PeerClosed => {}
                _ => return None,
            }
        }
    }

    /// Whether something encrypted is not with the kernel yet, and may still get there.
    pub fn holds(&self) -> bool {
        !self.broken && !self.held.is_empty()
    }

    /// Says that nothing more is said, and shuts our side as soon as all is out.
    pub fn shut(&mut self, fd: impl AsFd) {
        self.say_end();
        self.shut = true;
        self.push(fd);
    }

    /// Says that nothing more is said, where the kernel takes it: the socket is closed.
    pub fn end(&mut self, fd: impl AsFd) {
        if !self.broken {
            self.say_end();
            self.push(fd);
        }
    }

    fn say_end(&mut self) {
        let mut records = [0; END_BYTES];
        let encrypted = self.encrypt(None, &mut records).unwrap_or(0);
        self.held.extend_from_slice(&records[..encrypted]);
    }

    /// Hands the kernel what is held.
    pub fn push(&mut self, fd: impl AsFd) -> Pushed {
        if !self.held.is_empty() {
            let Ok(written) = write(fd.as_fd(), &self.held) else {
                (self.held, self.broken) = (Vec::new(), true);
                return Pushed::Gone;
            };
            self.held.drain(..written);
            if !self.held.is_empty() {
                return Pushed::Some;
            }
            // Room for a record is not kept.
            self.held = Vec::new();
        }
        if self.shut {
            // A socket that is dead already needs no more shutting.
            let _ = shutdown(fd, Shutdown::Write);
        }
        Pushed::All
    }
}

/// Appends a record that TLS itself sends.
fn encode(mut data: EncodeTlsData<'_, ServerConnectionData>, held: &mut Vec<u8>) {
    if let Err(EncodeError::InsufficientSize(size)) = data.encode(&mut []) {
        let start = held.len();
        held.resize(start + size.required_size, 0);
        let encoded = data.encode(&mut held[start..]);
        debug_assert!(encoded.is_ok_and(|bytes| bytes == size.required_size));
    }
}

/// Writes to a socket what it takes without waiting; how many bytes.
fn write(fd: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize, Errno> {
    let mut written = 0;
    while written < bytes.len() {
        match send(fd, &bytes[written..], SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(taken) => written += taken,
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(written)
}

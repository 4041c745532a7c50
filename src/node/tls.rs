//! TLS of the clients' connections: the certificate they are shown, and the session of each.
//!
//! The handshake is tokio-rustls' under hyper (`serve/stream.rs`); once a connection is established
//! its [`Session`] goes to the shard's sockets with the descriptor, and no task stays behind it.
//! Here records are read and written by hand, never more of them than the kernel takes but one:
//! what is encrypted cannot be offered again, so a byte counts as sent when it is encrypted, and
//! the record that it is in is held until there is room. Logs nothing; knows no frame.

use std::fmt;
use std::io::{self, Read as _, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};
use rustls::crypto::aws_lc_rs::{self, Ticketer};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::{ServerConfig, ServerConnection};
use thiserror::Error;

use crate::config;
use crate::limits::{TLS_PLAIN_BYTES, TLS_RECORD_BYTES_MAX};
use crate::node::sockets::Read;
use crate::shard::Sent;

/// Why the certificate or its key cannot be used. The operator's to mend.
#[derive(Debug, Error)]
pub enum TlsError {
    /// The certificate chain cannot be read, or there is none in the file.
    #[error("tls.cert_file {}: {why}", .file.display())]
    Certificate {
        /// As configured.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The key cannot be read, or there is none in the file.
    #[error("tls.key_file {}: {why}", .file.display())]
    Key {
        /// As configured.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Key and certificate do not go together, or are of a kind that is not known.
    #[error("tls: {0}")]
    Unfit(#[from] rustls::Error),
}

/// Reads certificate and key anew: TLS 1.2 and 1.3, HTTP/1.1 alone, no client certificates.
/// Sessions are resumed by tickets that the clients keep, and not across two of these.
///
/// # Errors
/// What is wrong with which file; never a byte of what is in it.
pub fn load(files: &config::Tls) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = chain(&files.cert_file)?;
    let key = PrivateKeyDer::from_pem_file(&files.key_file)
        .map_err(|error| TlsError::Key { file: files.key_file.clone(), why: why(&error) })?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = Ticketer::new()?;
    // Who reconnects has one connection to resume.
    config.send_tls13_tickets = 1;
    // What is sent before the handshake is done can be played again by anyone.
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

fn chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |why| TlsError::Certificate { file: file.to_owned(), why };
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    let chain: Vec<_> = read.map_err(|error| wrong(why(&error)))?;
    if chain.is_empty() {
        return Err(wrong(why(&pem::Error::NoItemsFound)));
    }
    Ok(chain)
}

/// What is wrong with a file, without its bytes: the words of some errors quote them.
fn why(error: &pem::Error) -> String {
    match error {
        pem::Error::Io(error) => error.to_string(),
        pem::Error::NoItemsFound => "there is none in it".into(),
        _ => "it is no PEM".into(),
    }
}

/// The TLS of an established connection.
pub struct Session {
    connection: ServerConnection,
    /// Nothing more can be read or said.
    broken: bool,
    /// The client says no more.
    over: bool,
    /// Our side is to be shut once all is with the kernel.
    shut: bool,
}

impl fmt::Debug for Session {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Session").field("holds", &self.holds()).finish_non_exhaustive()
    }
}

impl Session {
    /// The session of a handshake that is done, and what was read of it already.
    pub fn new(connection: ServerConnection) -> (Self, Vec<u8>) {
        let mut session = Self { connection, broken: false, over: false, shut: false };
        let mut early = vec![0; session.process().unwrap_or(0)];
        let read = session.take(&mut early);
        early.truncate(read);
        (session, early)
    }

    /// Reads what has come into `plain`, by way of `records`. That is smaller by
    /// [`TLS_RECORD_BYTES_MAX`], which a session may keep of a record that is not whole: so all
    /// that is decrypted has room, and nothing is left for later.
    pub fn read(&mut self, fd: &OwnedFd, records: &mut [u8], plain: &mut [u8]) -> Read {
        debug_assert!(records.len() + TLS_RECORD_BYTES_MAX <= plain.len());
        if self.broken || self.over {
            return Read::End;
        }
        let come = match recv(fd, &mut *records, RecvFlags::DONTWAIT) {
            Ok((0, _)) => return Read::End,
            Ok((bytes, _)) => bytes,
            Err(Errno::AGAIN) => return Read::Nothing,
            Err(Errno::INTR) => return Read::More(0),
            Err(_) => return Read::End,
        };
        let mut left = &records[..come];
        let mut read = 0;
        while !left.is_empty() && !self.over {
            if !matches!(self.connection.read_tls(&mut left), Ok(1..)) {
                self.broken = true;
                break;
            }
            if self.process().is_none() {
                break;
            }
            read += self.take(&mut plain[read..]);
        }
        // Some records are answered: with an alert, with new keys.
        if self.connection.wants_write() {
            self.push(fd);
        }
        // What came before the end is heard first, and the end is not told again.
        if come < records.len() && !self.broken && !self.over {
            Read::Drained(read)
        } else {
            Read::More(read)
        }
    }

    /// Decrypts what has come whole; bytes that can be taken, unless the client breaks TLS.
    fn process(&mut self) -> Option<usize> {
        let Ok(state) = self.connection.process_new_packets() else {
            self.broken = true;
            return None;
        };
        self.over = state.peer_has_closed();
        Some(state.plaintext_bytes_to_read())
    }

    /// Takes what is decrypted.
    fn take(&mut self, plain: &mut [u8]) -> usize {
        // Nothing for now and no more ever are errors here.
        self.connection.reader().read(plain).unwrap_or(0)
    }

    /// Encrypts bytes and hands them to the kernel, a record at a time. They count as sent when
    /// they are encrypted; of the last record a part may be held.
    pub fn send(&mut self, fd: &OwnedFd, bytes: &[u8]) -> Sent {
        if self.broken {
            return Sent::Gone;
        }
        let mut taken = 0;
        loop {
            match self.push(fd) {
                Pushed::All if taken == bytes.len() => return Sent::Bytes(taken),
                Pushed::All => {}
                Pushed::Some => return Sent::Bytes(taken),
                Pushed::Gone => return Sent::Gone,
            }
            let end = bytes.len().min(taken + TLS_PLAIN_BYTES);
            match self.connection.writer().write(&bytes[taken..end]) {
                // Nothing is taken while new keys go first.
                Ok(bytes) if bytes > 0 || self.connection.wants_write() => taken += bytes,
                Ok(_) | Err(_) => {
                    self.broken = true;
                    return Sent::Gone;
                }
            }
        }
    }

    /// Whether something encrypted is not with the kernel yet.
    pub fn holds(&self) -> bool {
        !self.broken && self.connection.wants_write()
    }

    /// Says that nothing more is said, and shuts our side as soon as all is out.
    pub fn shut(&mut self, fd: &OwnedFd) {
        self.connection.send_close_notify();
        self.shut = true;
        self.push(fd);
    }

    /// Says that nothing more is said, where the kernel takes it: the socket is closed.
    pub fn end(&mut self, fd: &OwnedFd) {
        if !self.broken {
            self.connection.send_close_notify();
            self.push(fd);
        }
    }

    /// Hands the kernel what is encrypted.
    fn push(&mut self, fd: &OwnedFd) -> Pushed {
        while self.connection.wants_write() {
            match self.connection.write_tls(&mut Kernel(fd)) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Pushed::Some,
                Err(_) => {
                    self.broken = true;
                    return Pushed::Gone;
                }
            }
        }
        if self.shut {
            // A socket that is dead already needs no more shutting.
            let _ = shutdown(fd, Shutdown::Write);
        }
        Pushed::All
    }
}

/// What became of records handed to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pushed {
    All,
    Some,
    Gone,
}

/// A socket as records are written to it, without waiting.
struct Kernel<'a>(&'a OwnedFd);

impl Write for Kernel<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(send(self.0, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

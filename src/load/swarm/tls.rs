//! TLS of the swarm's connections: one configuration for all, a session for each.
//!
//! The unbuffered interface of rustls: records are read from the swarm's read buffer and written
//! to its scratch buffers, so a session has no buffers of its own but the start of a record that
//! is not whole. Sessions are not resumed: every connection costs the server a whole handshake.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConnectionData, Resumption, UnbufferedClientConnection};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, InsufficientSizeError,
    UnbufferedStatus,
};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::load::scenario::Tls;

/// Bytes that a record is longer than what is in it, with any cipher.
const RECORD_BYTES_MORE: usize = 64;
/// Bytes of plaintext in a record (RFC 8446 section 5.1); all but the last have as many.
pub(super) const RECORD_BYTES: usize = 16 << 10;

/// What all sessions share.
#[derive(Debug)]
pub(super) struct Security {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Security {
    /// `host` as in the `Host` header: with a port or without.
    ///
    /// # Errors
    /// The file of authorities cannot be read or has none, or the host is no name that a
    /// certificate can have.
    pub(super) fn new(tls: &Tls, host: &str) -> io::Result<Self> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?;
        let mut config = match tls {
            Tls::Authorities(file) => {
                builder.with_root_certificates(authorities(file)?).with_no_client_auth()
            }
            Tls::Any => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Anyone(provider)))
                .with_no_client_auth(),
        };
        config.resumption = Resumption::disabled();
        let name = ServerName::try_from(bare(host).to_owned()).map_err(|error| {
            io::Error::new(io::ErrorKind::InvalidInput, format!("the host {host:?}: {error}"))
        })?;
        Ok(Self { config: Arc::new(config), name })
    }
}

/// A host without its port and the brackets of an IPv6 address.
fn bare(host: &str) -> &str {
    if let Some(inside) = host.strip_prefix('[') {
        return inside.split(']').next().unwrap_or(inside);
    }
    match host.rsplit_once(':') {
        Some((name, _)) if !name.contains(':') => name,
        _ => host,
    }
}

fn authorities(file: &Path) -> io::Result<RootCertStore> {
    let wrong = |error: &dyn fmt::Display| {
        let text = format!("authorities in {}: {error}", file.display());
        io::Error::new(io::ErrorKind::InvalidData, text)
    };
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| wrong(&error))? {
        let certificate = certificate.map_err(|error| wrong(&error))?;
        store.add(certificate).map_err(|error| wrong(&error))?;
    }
    if store.is_empty() { Err(wrong(&"no certificate")) } else { Ok(store) }
}

/// Takes every certificate.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// The TLS of one connection.
pub(super) struct Session {
    connection: UnbufferedClientConnection,
    /// The start of a record whose rest has not come: at most one record.
    kept: Vec<u8>,
}

impl fmt::Debug for Session {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Session").field("kept_bytes", &self.kept.len()).finish_non_exhaustive()
    }
}

/// How far a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Secured {
    /// More has to come.
    NotYet,
    /// Anything may be said.
    Yes,
    /// The server says no more.
    Over,
}

impl Session {
    /// A client that has not said anything.
    ///
    /// # Errors
    /// The configuration is of no use: our fault.
    pub(super) fn new(security: &Security) -> Result<Self, Error> {
        let config = Arc::clone(&security.config);
        let connection = UnbufferedClientConnection::new(config, security.name.clone())?;
        Ok(Self { connection, kept: Vec::new() })
    }

    /// Bytes to leave free in front of what is received.
    pub(super) fn kept_bytes(&self) -> usize {
        self.kept.len()
    }

    /// Takes records, received behind [`Session::kept_bytes`] free ones; appends what was in them
    /// to `plain` and what is to be answered to `out`.
    ///
    /// # Errors
    /// The server breaks TLS, or its certificate does not do.
    pub(super) fn receive(
        &mut self,
        records: &mut [u8],
        plain: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<Secured, Error> {
        records[..self.kept.len()].copy_from_slice(&self.kept);
        let mut taken = 0;
        let secured = loop {
            let UnbufferedStatus { discard, state } =
                self.connection.process_tls_records(&mut records[taken..]);
            taken += discard;
            match state? {
                ConnectionState::ReadTraffic(mut traffic) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        taken += record.discard;
                        plain.extend_from_slice(record.payload);
                    }
                }
                ConnectionState::EncodeTlsData(data) => encode(data, out)?,
                ConnectionState::TransmitTlsData(data) => data.done(),
                ConnectionState::BlockedHandshake => break Secured::NotYet,
                ConnectionState::WriteTraffic(_) => break Secured::Yes,
                // Early data is a client's alone.
                _ => break Secured::Over,
            }
        };
        // Whole records are the rule, and then nothing is allocated.
        self.kept = records[taken..].to_vec();
        Ok(secured)
    }

    /// Appends records of what is said to `out`.
    ///
    /// # Errors
    /// The session is over, or nothing may be said yet.
    pub(super) fn encrypt(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let records = plain.len() / RECORD_BYTES + 1;
        self.write(Some(plain), plain.len() + records * RECORD_BYTES_MORE, out)
    }

    /// Appends the word that nothing more is said.
    ///
    /// # Errors
    /// The session is over, or nothing may be said yet.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.write(None, RECORD_BYTES_MORE, out)
    }

    /// Appends what is said, or the end of it.
    fn write(&mut self, said: Option<&[u8]>, guess: usize, out: &mut Vec<u8>) -> Result<(), Error> {
        loop {
            // What is kept has been looked at and stays: there is nothing in it to discard yet.
            match self.connection.process_tls_records(&mut self.kept).state? {
                ConnectionState::WriteTraffic(mut traffic) => {
                    return fill(out, guess, |room| {
                        let written = match said {
                            Some(plain) => traffic.encrypt(plain, room),
                            None => traffic.queue_close_notify(room),
                        };
                        written.map_err(|error| match error {
                            EncryptError::InsufficientSize(size) => Some(size),
                            EncryptError::EncryptExhausted => None,
                        })
                    });
                }
                // An answer to the server's new keys goes first.
                ConnectionState::EncodeTlsData(data) => encode(data, out)?,
                ConnectionState::TransmitTlsData(data) => data.done(),
                ConnectionState::PeerClosed => {}
                _ => return Err(Error::HandshakeNotComplete),
            }
        }
    }
}

/// Appends a record of the handshake.
fn encode(
    mut data: EncodeTlsData<'_, ClientConnectionData>,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    fill(out, 0, |room| {
        data.encode(room).map_err(|error| match error {
            EncodeError::InsufficientSize(size) => Some(size),
            EncodeError::AlreadyEncoded => None,
        })
    })
}

/// Appends what `write` puts into the room that it is given: `guess` bytes, then what it asks for.
fn fill(
    out: &mut Vec<u8>,
    guess: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, Option<InsufficientSizeError>>,
) -> Result<(), Error> {
    let start = out.len();
    let mut room = guess;
    loop {
        out.resize(start + room, 0);
        match write(&mut out[start..]) {
            Ok(written) => {
                out.truncate(start + written);
                return Ok(());
            }
            Err(Some(size)) if size.required_size > room => room = size.required_size,
            Err(_) => {
                out.truncate(start);
                return Err(Error::EncryptError);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for (host, name) in [
            ("a.example", "a.example"),
            ("a.example:8443", "a.example"),
            ("127.0.0.1:1", "127.0.0.1"),
            ("[::1]:443", "::1"),
            ("::1", "::1"),
        ] {
            assert_eq!(bare(host), name);
        }
    }

    #[test]
    fn what_is_no_authority() {
        let missing = Security::new(&Tls::Authorities("/nonexistent.pem".into()), "a.example");
        assert!(missing.unwrap_err().to_string().contains("/nonexistent.pem"));
        let empty = Security::new(&Tls::Authorities("/dev/null".into()), "a.example");
        assert!(empty.unwrap_err().to_string().contains("no certificate"));
        assert!(Security::new(&Tls::Any, "a b").unwrap_err().to_string().contains("a b"));
    }
}

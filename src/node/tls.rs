//! TLS of the clients' connections: the certificate they are shown, and the session of each.
//!
//! A [`Session`] (`tls/session.rs`) is driven under hyper until its connection is established
//! (`serve/secured.rs`), then goes to the shard's sockets with the descriptor. Who is connected
//! keeps the certificate that he was shown; a reload is for those who come. Logs nothing.

mod session;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::{self, Ticketer};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::{InconsistentKeys, ServerConfig};
use thiserror::Error;

use crate::config;

pub use session::{Pushed, Session};

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
    /// The key is not that of the certificate.
    #[error(
        "tls.cert_file {} and tls.key_file {} do not belong together",
        .cert_file.display(),
        .key_file.display()
    )]
    Apart {
        /// As configured.
        cert_file: PathBuf,
        /// As configured.
        key_file: PathBuf,
    },
    /// Key and certificate are of a kind that is not known.
    #[error("tls.cert_file {}, tls.key_file {}: {why}", .cert_file.display(), .key_file.display())]
    Unfit {
        /// As configured.
        cert_file: PathBuf,
        /// As configured.
        key_file: PathBuf,
        /// What is wrong with them.
        why: rustls::Error,
    },
    /// TLS cannot be had at all.
    #[error("TLS: {0}")]
    Library(#[from] rustls::Error),
}

/// Reads certificate and key anew: TLS 1.2 and 1.3, HTTP/1.1 alone, no client certificates.
/// Sessions are resumed by tickets that the clients keep, and not across two of these.
///
/// # Errors
/// What is wrong with which file; never a byte of what is in it.
pub fn load(files: &config::Tls) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = chain(&files.cert_file)?;
    let key = PrivateKeyDer::from_pem_file(&files.key_file)
        .map_err(|error| TlsError::Key { file: files.key_file.clone(), why: why(&error, "key") })?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|why| unfit(files, why))?;
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
    let chain: Vec<_> = read.map_err(|error| wrong(why(&error, "certificate")))?;
    if chain.is_empty() {
        return Err(wrong(why(&pem::Error::NoItemsFound, "certificate")));
    }
    Ok(chain)
}

fn unfit(files: &config::Tls, why: rustls::Error) -> TlsError {
    let (cert_file, key_file) = (files.cert_file.clone(), files.key_file.clone());
    match why {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            TlsError::Apart { cert_file, key_file }
        }
        why => TlsError::Unfit { cert_file, key_file, why },
    }
}

/// What is wrong with a file, without its bytes: the words of some errors quote them.
fn why(error: &pem::Error, wanted: &str) -> String {
    match error {
        pem::Error::Io(error) => error.to_string(),
        pem::Error::NoItemsFound => format!("no {wanted} is in it"),
        _ => "it is no PEM".into(),
    }
}

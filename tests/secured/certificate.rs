//! A certificate of one's own making for `localhost`, and clients that trust it alone. Shared by
//! tests and measuring programs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use shardwire::config;

/// A certificate of `localhost`, in files that go with it.
pub struct Certificate {
    der: CertificateDer<'static>,
    files: config::Tls,
}

impl Certificate {
    /// A new one with a P-256 key; `name` keeps the files of tests apart.
    pub fn new(name: &str) -> Self {
        Self::of(name, &KeyPair::generate().unwrap())
    }

    /// One with an RSA key of 2,048 bits.
    #[allow(dead_code, reason = "not every program asks for it")]
    pub fn rsa(name: &str) -> Self {
        Self::of(name, &KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap())
    }

    fn of(name: &str, key: &KeyPair) -> Self {
        let parameters = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = parameters.self_signed(key).unwrap();
        let file = |kind: &str| -> PathBuf {
            let name = format!("shardwire-tls-{}-{name}.{kind}", std::process::id());
            std::env::temp_dir().join(name)
        };
        let files = config::Tls { cert_file: file("pem"), key_file: file("key") };
        std::fs::write(&files.cert_file, certificate.pem()).unwrap();
        std::fs::write(&files.key_file, key.serialize_pem()).unwrap();
        Self { der: certificate.der().clone(), files }
    }

    /// Where it is.
    pub fn files(&self) -> config::Tls {
        self.files.clone()
    }

    /// The file of the certificate.
    pub fn file(&self) -> &Path {
        &self.files.cert_file
    }

    /// What clients are configured with that trust it alone.
    pub fn client(&self, versions: &[&'static SupportedProtocolVersion]) -> Arc<ClientConfig> {
        let mut trusted = RootCertStore::empty();
        trusted.add(self.der.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(trusted)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config)
    }
}

impl Drop for Certificate {
    fn drop(&mut self) {
        for file in [&self.files.cert_file, &self.files.key_file] {
            let _ = std::fs::remove_file(file);
        }
    }
}

//! The webhook over HTTPS: believed with a certificate that is trusted, and with no other.

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::server::serve_one;
use super::*;

/// A server that allows everything; its address and its certificate.
async fn server() -> (u16, CertificateDer<'static>) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // Who does not trust the certificate ends it here.
                let Ok(stream) = acceptor.accept(stream).await else { return };
                serve_one(stream, |_| Reply::Ok(r#"{"allow":true}"#)).await;
            });
        }
    });
    (port, cert.der().clone())
}

fn trusting(settings: &WebhookSettings, roots: RootCertStore) -> Webhook {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = Client::with_tls(&settings.url, config).unwrap();
    let plain = WebhookSettings { url: "http://localhost/".into(), ..settings.clone() };
    let clock = Clock::default();
    Webhook { client, ..Webhook::new(&plain, move || clock.now()).unwrap() }
}

#[tokio::test]
async fn a_certificate_must_be_trusted() {
    let (port, certificate) = server().await;
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let by_name = settings(&format!("https://localhost:{port}/"));
    assert_eq!(ask(&trusting(&by_name, roots.clone()), "a").await, answer(true, 30_000));
    // Another authority's, another name's, and no TLS at all.
    assert_eq!(ask(&trusting(&by_name, RootCertStore::empty()), "a").await, None);
    let by_address = settings(&format!("https://127.0.0.1:{port}/"));
    assert_eq!(ask(&trusting(&by_address, roots.clone()), "a").await, None);
    let plain = Server::start(|_| Reply::Ok(r#"{"allow":true}"#)).await;
    let wrong = settings(&plain.url.replace("http:", "https:"));
    assert_eq!(ask(&trusting(&wrong, roots), "a").await, None);
    assert_eq!(plain.count(), 0);
}

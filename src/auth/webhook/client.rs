//! One request to the webhook over HTTP or HTTPS, and all that can go wrong with it.
//!
//! Connections are kept and used again. A redirect is not followed: it is an answer that is none.
//! No proxy is read from the environment. Nothing of the URL, of the peer's bytes or of a secret
//! is part of an error. The time limit is the caller's.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderValue, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;

use super::form::{SIGNATURE, TIMESTAMP};
use crate::limits::{WEBHOOK_ANSWER_BYTES_MAX, WEBHOOK_IDLE_MAX, WEBHOOK_IDLE_MS};

/// Why no webhook can be made of the settings. The operator's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum WebhookError {
    /// Not a URL with `http` or `https` and a host.
    #[error("the webhook's URL must be http://HOST/… or https://HOST/…")]
    BadUrl,
    /// It would stand in logs of others, and it is not sent.
    #[error("the webhook's URL must not hold a user or a password")]
    UserInUrl,
    /// HTTPS, and the system's certificates cannot be read.
    #[error("the system has no certificates to check the webhook's with")]
    NoRoots,
    /// The secret is there and empty.
    #[error("the webhook's secret is empty")]
    EmptySecret,
}

/// Why a question got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum Failure {
    /// The time limit of the whole request.
    #[error("no answer in time")]
    TimedOut,
    /// No connection, or no TLS.
    #[error("it cannot be reached")]
    Unreachable,
    /// The connection ended before the answer did, or it is no HTTP.
    #[error("the connection broke or its answer is no HTTP")]
    Broken,
    /// Anything but 200.
    #[error("it answered with status {0}")]
    Status(u16),
    /// More than [`WEBHOOK_ANSWER_BYTES_MAX`].
    #[error("its answer is longer than {WEBHOOK_ANSWER_BYTES_MAX} bytes")]
    TooLong,
    /// Not `{"allow":…,"ttl":…?}`.
    #[error("its answer is not {{\"allow\":true|false,\"ttl\":seconds}}")]
    Malformed,
}

/// Checks `webhook.url`.
///
/// # Errors
/// What is wrong with it.
pub fn check_url(text: &str) -> Result<Uri, WebhookError> {
    let uri: Uri = text.parse().map_err(|_| WebhookError::BadUrl)?;
    let (Some("http" | "https"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(WebhookError::BadUrl);
    };
    if authority.as_str().contains('@') {
        return Err(WebhookError::UserInUrl);
    }
    if authority.host().is_empty() { Err(WebhookError::BadUrl) } else { Ok(uri) }
}

/// What a question is signed with, as its headers say it.
#[derive(Default)]
pub(super) struct Signed {
    pub(super) signature: Option<String>,
    pub(super) timestamp: Option<String>,
}

/// Sends questions to one URL.
pub(super) struct Client {
    http: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    url: Uri,
}

impl Client {
    /// Makes ready; connects to nobody.
    ///
    /// # Errors
    /// The URL is none, or there are no certificates.
    pub(super) fn new(url: &str) -> Result<Self, WebhookError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider speaks the versions that are its defaults");
        let config = if check_url(url)?.scheme_str() == Some("https") {
            config.with_native_roots().map_err(|_| WebhookError::NoRoots)?
        } else {
            config.with_root_certificates(RootCertStore::empty())
        };
        Self::with_tls(url, config.with_no_client_auth())
    }

    /// As [`new`](Self::new), with the certificates that are trusted.
    pub(super) fn with_tls(url: &str, config: ClientConfig) -> Result<Self, WebhookError> {
        let url = check_url(url)?;
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // Of the two schemes the URL's is the only one that is ever asked for.
        let builder = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http();
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_idle_timeout(Duration::from_millis(WEBHOOK_IDLE_MS))
            .pool_max_idle_per_host(WEBHOOK_IDLE_MAX)
            .pool_timer(TokioTimer::new())
            .http1_max_buf_size(WEBHOOK_ANSWER_BYTES_MAX)
            .build(builder.enable_http1().wrap_connector(tcp));
        Ok(Self { http, url })
    }

    /// Sends a question and reads what comes back with 200.
    pub(super) async fn post(&self, body: String, signed: Signed) -> Result<Bytes, Failure> {
        let request = self.request(body, signed);
        let response = self.http.request(request).await.map_err(|error| {
            if error.is_connect() { Failure::Unreachable } else { Failure::Broken }
        })?;
        if response.status() != StatusCode::OK {
            return Err(Failure::Status(response.status().as_u16()));
        }
        let body = Limited::new(response.into_body(), WEBHOOK_ANSWER_BYTES_MAX).collect().await;
        body.map(http_body_util::Collected::to_bytes).map_err(|error| {
            if error.is::<LengthLimitError>() { Failure::TooLong } else { Failure::Broken }
        })
    }

    fn request(&self, body: String, signed: Signed) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::from(body));
        *request.method_mut() = hyper::Method::POST;
        *request.uri_mut() = self.url.clone();
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let agent = concat!("shardwire/", env!("CARGO_PKG_VERSION"));
        headers.insert(USER_AGENT, HeaderValue::from_static(agent));
        for (name, value) in [(SIGNATURE, signed.signature), (TIMESTAMP, signed.timestamp)] {
            if let Some(value) = value {
                let mut value = HeaderValue::try_from(value).expect("hex and digits are visible");
                value.set_sensitive(true);
                headers.insert(name, value);
            }
        }
        request
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_checked() {
        for url in ["http://a", "https://a.example:8443/x?y=z", "http://[::1]:1/", "HTTP://a/"] {
            assert!(check_url(url).is_ok(), "{url}");
        }
        for url in ["", "a", "/a", "ftp://a/", "http://", "http:///x", "http://a b/", "unix:/x"] {
            assert_eq!(check_url(url), Err(WebhookError::BadUrl), "{url}");
        }
        for url in ["http://u@a/", "https://u:p@a/", "http://:p@a/"] {
            assert_eq!(check_url(url), Err(WebhookError::UserInUrl), "{url}");
        }
    }
}

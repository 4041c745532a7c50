//! What a node is started with, and how the configuration becomes it.
//!
//! What the configuration could not know until it is tried (names, keys, rules) fails here.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use rustls::ServerConfig;
use thiserror::Error;

use crate::auth::{
    DialectRules, KeyError, RuleError, Rules, Tenants, TokenSettings, Verifier, Webhook,
    WebhookError,
};
use crate::config::{self, AuthKey, Dialect, Secret, Settings, SocketIoSettings};
use crate::limits::{READ_STEPS_MAX, REQUEST_TIMEOUT_MS, SHARDS_MAX, UPGRADE_MS};
use crate::node::clock;
use crate::node::live::Live;
use crate::node::tls::{self, TlsError};
use crate::shard::outbox::OutboxBound;
use crate::shard::{Bucket, Endpoint, Policy, Rate, SocketIoPolicy};

/// What a node is started with.
#[derive(Debug)]
pub struct Setup {
    /// Where to listen; port 0 asks for a free one.
    pub address: SocketAddr,
    /// Shards, 1 to 64.
    pub shards: u8,
    /// The settings of the shards.
    pub policy: Policy,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether those begin each connection with a PROXY header.
    pub proxy_protocol: bool,
    /// Where the metrics are served, in place of the address above.
    pub metrics_address: Option<SocketAddr>,
    /// Who answers what the rules do not decide.
    pub webhook: Option<Webhook>,
    /// The key of `/api`.
    pub api_key: Option<Secret>,
    /// Whether only requests are answered whose `Host` is this machine or a listed page's, as for
    /// trial runs that let anyone in: somebody's page could have itself led here by DNS.
    pub known_hosts_only: bool,
    /// The certificate ([`tls::load`]), to speak TLS and nothing else.
    pub tls: Option<Arc<ServerConfig>>,
    /// Connections; 0: as many as the limit of descriptors carries.
    pub connections_max: usize,
    /// Connections of one address; 0: no limit.
    pub connections_per_ip_max: u32,
    /// The time of an HTTP request's head and of its body.
    pub request_timeout: Duration,
    /// How long output may gather before it is sent.
    pub flush_delay: Duration,
    /// How long a handshake of Engine.IO waits.
    pub handshake_delay: Duration,
}

/// Why a configuration without errors still cannot be started. The operator's to mend.
#[derive(Debug, Error)]
pub enum SetupError {
    /// The host has no address.
    #[error("server.host {host:?}: {why}")]
    Host {
        /// As configured.
        host: String,
        /// What the system says.
        why: String,
    },
    /// The key of tokens cannot be used.
    #[error("{key}{file}: {why}")]
    Key {
        /// The setting that gives it.
        key: &'static str,
        /// The file that the setting names, behind a blank; or nothing.
        file: String,
        /// What is wrong with it.
        why: KeyError,
    },
    /// Rules cannot be compiled.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Rules(Vec<RuleError>),
    /// The webhook cannot be asked as it is configured.
    #[error("{key}: {0}", key = key_of(*.0))]
    Webhook(#[from] WebhookError),
    /// The certificate or its key cannot be used.
    #[error("{0}")]
    Tls(#[from] TlsError),
    /// The broker is about to end.
    #[error("the broker drains")]
    Ends,
    /// The broker runs already, and does not change these: endpoints, histories, whether there is
    /// TLS or compression.
    #[error("this cannot be changed while the broker runs")]
    Fixed,
    /// The process may not have as many descriptors as it needs.
    #[error("server.max_connections: {0}")]
    Descriptors(io::Error),
}

/// The setting that is to blame.
fn key_of(error: WebhookError) -> &'static str {
    match error {
        WebhookError::EmptySecret => "webhook.secret",
        WebhookError::BadUrl | WebhookError::UserInUrl | WebhookError::NoRoots => "webhook.url",
    }
}

/// All that is wrong with a setup, at least one thing; a line for each.
#[derive(Debug, Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct SetupErrors(pub Vec<SetupError>);

impl From<SetupError> for SetupErrors {
    fn from(error: SetupError) -> Self {
        Self(vec![error])
    }
}

impl Setup {
    /// A setup with these and the defaults: no API key, as many connections as the limit of
    /// descriptors carries, from any address. What is added to setups later has a default here.
    pub fn bare(address: SocketAddr, shards: u8, policy: Policy) -> Self {
        Self {
            address,
            shards,
            policy,
            trusted_proxies: Vec::new(),
            proxy_protocol: false,
            metrics_address: None,
            webhook: None,
            api_key: None,
            known_hosts_only: false,
            tls: None,
            connections_max: 0,
            connections_per_ip_max: 0,
            request_timeout: Duration::from_millis(REQUEST_TIMEOUT_MS),
            flush_delay: Duration::ZERO,
            handshake_delay: Duration::ZERO,
        }
    }

    /// The setup that the settings mean. `generated` is the secret of a run without a key.
    ///
    /// # Errors
    /// What only shows when it is tried, all of it: names, keys, rules.
    pub fn new(settings: &Settings, generated: &Secret) -> Result<Self, SetupErrors> {
        match resolve(&settings.server.host, settings.server.port) {
            Ok(address) => Self::at(address, settings, generated),
            Err(error) => {
                let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
                let others = Self::at(nowhere, settings, generated).err();
                let others = others.into_iter().flat_map(|SetupErrors(errors)| errors);
                Err(SetupErrors(std::iter::once(error).chain(others).collect()))
            }
        }
    }

    /// The same for a broker that listens already: its name is not looked up again.
    ///
    /// # Errors
    /// As [`Setup::new`].
    pub fn at(
        address: SocketAddr,
        settings: &Settings,
        generated: &Secret,
    ) -> Result<Self, SetupErrors> {
        let server = &settings.server;
        let mut wrong = Vec::new();
        let endpoints = sound(endpoints(settings), &mut wrong);
        let verifier = sound(verifier(settings, generated), &mut wrong);
        let webhook = sound(webhook(settings).map_err(SetupError::from), &mut wrong);
        let tls = settings.tls.as_ref().map(tls::load).transpose();
        let tls = sound(tls.map_err(SetupError::from), &mut wrong);
        let (Some(endpoints), Some(verifier), Some(webhook), Some(tls)) =
            (endpoints, verifier, webhook, tls)
        else {
            return Err(SetupErrors(wrong));
        };
        Ok(Self {
            address,
            shards: shards(server.shards),
            policy: policy(settings, endpoints, verifier),
            trusted_proxies: server.trusted_proxies.clone(),
            proxy_protocol: server.proxy_protocol,
            metrics_address: server.metrics_address,
            webhook,
            api_key: settings.api.key.clone(),
            known_hosts_only: settings.dev,
            tls,
            connections_max: server.max_connections as usize,
            connections_per_ip_max: server.max_connections_per_ip,
            request_timeout: Duration::from_millis(server.request_timeout_ms),
            flush_delay: Duration::from_micros(settings.websocket.flush_delay_us),
            handshake_delay: Duration::from_millis(settings.socketio.handshake_delay_ms),
        })
    }
}

/// What there is of it; what is wrong is noted.
fn sound<T>(result: Result<T, SetupError>, wrong: &mut Vec<SetupError>) -> Option<T> {
    result.map_err(|error| wrong.push(error)).ok()
}

impl Setup {
    /// What of it holds until the next reload: the webhook, and what the doors and shards read.
    pub(super) fn live(self) -> (Option<Webhook>, Live) {
        let live = Live {
            policy: Arc::new(self.policy),
            trusted_proxies: self.trusted_proxies,
            proxy_protocol: self.proxy_protocol,
            api_key: self.api_key,
            known_hosts_only: self.known_hosts_only,
            tls: self.tls,
            request_timeout: self.request_timeout,
            flush_delay: self.flush_delay,
            handshake_delay: self.handshake_delay,
        };
        (self.webhook, live)
    }
}

fn resolve(host: &str, port: u16) -> Result<SocketAddr, SetupError> {
    let unknown = |why: String| SetupError::Host { host: host.to_owned(), why };
    let mut addresses = (host, port).to_socket_addrs().map_err(|why| unknown(why.to_string()))?;
    addresses.next().ok_or_else(|| unknown("it has no address".to_owned()))
}

/// So many as configured, or one a core.
fn shards(configured: usize) -> u8 {
    let wanted = if configured == 0 {
        std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
    } else {
        configured
    };
    wanted.clamp(1, SHARDS_MAX) as u8
}

fn endpoints(settings: &Settings) -> Result<Vec<Endpoint>, SetupError> {
    let endpoint = |endpoint: &config::Endpoint| {
        let dialect = endpoint.dialect;
        let required = match dialect {
            // There is nothing to authenticate for, and no message to do it by.
            Dialect::Echo => false,
            // Whatever is configured: it is never open.
            Dialect::Admin => true,
            _ => endpoint.require_authentication,
        };
        let rules = rules(settings, dialect)?;
        let engine_only = endpoint.engine_only;
        let endpoint = Endpoint::new(endpoint.path.clone(), dialect, required, rules);
        Ok(Endpoint { engine_only, ..endpoint })
    };
    settings.endpoints.iter().map(endpoint).collect()
}

fn policy(settings: &Settings, endpoints: Vec<Endpoint>, verifier: Verifier) -> Policy {
    let (websocket, limits) = (&settings.websocket, &settings.limits);
    let bucket = |amount: u32| (amount > 0).then_some(Bucket::new(amount, limits.window_ms));
    let tenants = &settings.tenants;
    Policy {
        endpoints,
        verifier: Some(verifier),
        topic_bounds: limits.topic,
        subscriptions_max: limits.subscriptions_max,
        message_bytes_max: websocket.max_message_bytes,
        outbox: OutboxBound {
            bytes_max: settings.slow_consumer.outbox_bytes_max,
            policy: settings.slow_consumer.policy,
        },
        ping_interval_ms: websocket.ping_interval_ms,
        ping_timeout_ms: websocket.ping_timeout_ms,
        auth_deadline_ms: websocket.auth_deadline_ms,
        rate: Rate {
            messages: bucket(limits.messages_per_window),
            bytes: bucket(limits.bytes_per_window),
        },
        tenants: Tenants::new(tenants.allowed.as_deref(), &tenants.inactive),
        origins: settings.server.allow_origins.clone(),
        webhook_timeout_ms: settings.webhook.as_ref().map(|webhook| webhook.timeout_ms),
        // A reload counts on.
        webhook_number: 0,
        compression_min_bytes: websocket.compression.map(|compression| compression.bytes_min),
        read_steps_max: READ_STEPS_MAX,
        history: settings.histories.clone(),
        socketio: socketio(&settings.socketio),
    }
}

fn socketio(settings: &SocketIoSettings) -> SocketIoPolicy {
    SocketIoPolicy {
        ping_interval_ms: settings.ping_interval_ms,
        ping_timeout_ms: settings.ping_timeout_ms,
        upgrade_ms: UPGRADE_MS,
        connect_ms: settings.connect_ms,
        payload_bytes_max: settings.max_http_buffer_bytes,
        recovery_ms: (settings.recovery_ms > 0).then_some(settings.recovery_ms),
        test_notification: settings.test_notification,
        events: settings.events.clone(),
        conformance: settings.conformance,
    }
}

fn webhook(settings: &Settings) -> Result<Option<Webhook>, WebhookError> {
    settings.webhook.as_ref().map(|webhook| Webhook::new(webhook, clock::now)).transpose()
}

fn rules(settings: &Settings, dialect: Dialect) -> Result<Rules, SetupError> {
    let webhook = settings.webhook.is_some();
    if settings.dev {
        return Ok(Rules::open());
    }
    if !settings.rules.is_empty() {
        return Rules::compile(&settings.rules, webhook).map_err(SetupError::Rules);
    }
    Ok(match dialect {
        Dialect::Topics | Dialect::Echo => Rules::defaults(DialectRules::Topics, webhook),
        Dialect::Events => Rules::defaults(DialectRules::Events, webhook),
        Dialect::Channels => Rules::defaults(DialectRules::Channels, webhook),
        Dialect::SocketIo => Rules::defaults(DialectRules::SocketIo, webhook),
        // There are no topics behind it: nothing is allowed.
        Dialect::Admin => Rules::compile(&[], webhook).map_err(SetupError::Rules)?,
    })
}

fn verifier(settings: &Settings, generated: &Secret) -> Result<Verifier, SetupError> {
    let auth = &settings.auth;
    let mut tokens = TokenSettings {
        algorithms: auth.algorithms.clone(),
        issuer: auth.issuer.clone(),
        audience: auth.audience.clone(),
        leeway_s: auth.leeway_s,
        require_exp: auth.require_exp,
        topic_bounds: settings.limits.topic,
        ..TokenSettings::default()
    };
    let (key, file) = match &auth.key {
        AuthKey::Generated => {
            tokens.secret = Some(generated.expose().to_owned());
            ("auth.secret", None)
        }
        AuthKey::Secret(secret) => {
            tokens.secret = Some(secret.expose().to_owned());
            ("auth.secret", None)
        }
        AuthKey::PublicKey { pem, file } => {
            tokens.public_key_pem = Some(pem.clone());
            ("auth.public_key_file", Some(file))
        }
        AuthKey::Jwks { json, file } => {
            tokens.jwks = Some(json.clone());
            ("auth.jwks_file", Some(file))
        }
    };
    let file = file.map_or(String::new(), |file| format!(" {}", file.display()));
    Verifier::new(&tokens).map_err(|why| SetupError::Key { key, file, why })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Tls, WebhookSettings};

    #[test]
    fn all_that_is_wrong_is_told_by_key() {
        let mut settings = Settings::default();
        settings.server.host = "nowhere.invalid".into();
        settings.auth.key = AuthKey::Jwks { file: "keys.json".into(), json: "{}".into() };
        settings.webhook = Some(WebhookSettings {
            url: "https://h/x".into(),
            secret: Some(Secret::new("")),
            timeout_ms: 1,
            cache_ttl_s: 1,
            signed_timestamp: false,
        });
        settings.tls = Some(Tls { cert_file: "none.pem".into(), key_file: "none.pem".into() });
        let errors = Setup::new(&settings, &Secret::new("x")).unwrap_err().to_string();
        let lines: Vec<_> = errors.lines().collect();
        assert_eq!(lines.len(), 4, "{errors}");
        for (line, key) in lines.iter().zip([
            "server.host \"nowhere.invalid\": ",
            "auth.jwks_file keys.json: ",
            "webhook.secret: ",
            "tls.cert_file none.pem: ",
        ]) {
            assert!(line.starts_with(key), "{line}");
        }
    }

    #[test]
    fn no_secret_is_printed() {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let setup = Setup {
            api_key: Some("hunter2".into()),
            ..Setup::bare(address, 1, Policy::new(Vec::new()))
        };
        assert!(!format!("{setup:?}").contains("hunter2"));
        let (_, live) = setup.live();
        assert!(!format!("{live:?}").contains("hunter2"));
    }
}

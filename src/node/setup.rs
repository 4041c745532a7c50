//! What a node is started with, and how the configuration becomes it.
//!
//! What the configuration could not know until it is tried (names, keys, rules) fails here.

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
use crate::config::{AuthKey, Dialect, Secret, Settings};
use crate::limits::{READ_STEPS_MAX, REQUEST_TIMEOUT_MS, SHARDS_MAX};
use crate::node::clock;
use crate::node::live::Live;
use crate::node::tls::{self, TlsError};
use crate::shard::outbox::OutboxBound;
use crate::shard::{Bucket, Endpoint, Policy, Rate};

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
    /// The key cannot be used.
    #[error("auth: {0}")]
    Key(#[from] KeyError),
    /// Rules cannot be compiled.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Rules(Vec<RuleError>),
    /// The webhook cannot be asked as it is configured.
    #[error("webhook: {0}")]
    Webhook(#[from] WebhookError),
    /// The certificate or its key cannot be used.
    #[error("{0}")]
    Tls(#[from] TlsError),
    /// The broker runs already, and does not change these: endpoints, histories, whether there is
    /// TLS or compression.
    #[error("this cannot be changed while the broker runs")]
    Fixed,
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
        }
    }

    /// The setup that the settings mean. `generated` is the secret of a run without a key.
    ///
    /// # Errors
    /// What only shows when it is tried: names, keys, rules.
    pub fn new(settings: &Settings, generated: &Secret) -> Result<Self, SetupError> {
        let address = resolve(&settings.server.host, settings.server.port)?;
        Self::at(address, settings, generated)
    }

    /// The same for a broker that listens already: its name is not looked up again.
    ///
    /// # Errors
    /// As [`Setup::new`].
    pub fn at(
        address: SocketAddr,
        settings: &Settings,
        generated: &Secret,
    ) -> Result<Self, SetupError> {
        let server = &settings.server;
        Ok(Self {
            address,
            shards: shards(server.shards),
            policy: policy(settings, generated)?,
            trusted_proxies: server.trusted_proxies.clone(),
            proxy_protocol: server.proxy_protocol,
            metrics_address: server.metrics_address,
            webhook: webhook(settings)?,
            api_key: settings.api.key.clone(),
            known_hosts_only: settings.dev,
            tls: settings.tls.as_ref().map(tls::load).transpose()?,
            connections_max: server.max_connections as usize,
            connections_per_ip_max: server.max_connections_per_ip,
            request_timeout: Duration::from_millis(server.request_timeout_ms),
            flush_delay: Duration::from_micros(settings.websocket.flush_delay_us),
        })
    }
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

fn policy(settings: &Settings, generated: &Secret) -> Result<Policy, SetupError> {
    let mut endpoints = Vec::new();
    for endpoint in &settings.endpoints {
        let dialect = endpoint.dialect;
        let required = match dialect {
            // There is nothing to authenticate for, and no message to do it by.
            Dialect::Echo => false,
            // Whatever is configured: it is never open.
            Dialect::Admin => true,
            _ => endpoint.require_authentication,
        };
        endpoints.push(Endpoint::new(
            endpoint.path.clone(),
            dialect,
            required,
            rules(settings, dialect)?,
        ));
    }
    let (websocket, limits) = (&settings.websocket, &settings.limits);
    let bucket = |amount: u32| (amount > 0).then_some(Bucket::new(amount, limits.window_ms));
    let tenants = &settings.tenants;
    Ok(Policy {
        endpoints,
        verifier: Some(verifier(settings, generated)?),
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
        compression_min_bytes: websocket.compression.map(|compression| compression.bytes_min),
        read_steps_max: READ_STEPS_MAX,
        history: settings.histories.clone(),
    })
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
        // There are no topics behind it: nothing is allowed.
        Dialect::Admin => Rules::compile(&[], webhook).map_err(SetupError::Rules)?,
    })
}

fn verifier(settings: &Settings, generated: &Secret) -> Result<Verifier, KeyError> {
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
    match &auth.key {
        AuthKey::Generated => tokens.secret = Some(generated.expose().to_owned()),
        AuthKey::Secret(secret) => tokens.secret = Some(secret.expose().to_owned()),
        AuthKey::PublicKey { pem, .. } => tokens.public_key_pem = Some(pem.clone()),
        AuthKey::Jwks { json, .. } => tokens.jwks = Some(json.clone()),
    }
    Verifier::new(&tokens)
}

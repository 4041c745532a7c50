//! What a scene is played with: endpoints for every dialect, limits that lines can set, tokens.

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::Value;
use shardwire::auth::{DialectRules, Rules, TokenSettings, Verifier};
use shardwire::config::{self, Dialect, Environment, Events, HistorySetting, Sources};
use shardwire::shard::{Bucket, Endpoint, Policy};

use super::script::word;

/// How long a webhook may take, where there is one.
const WEBHOOK_TIMEOUT_MS: u64 = 2000;
const SECRET: &str = "a secret for transcripts";

/// The settings of a scene.
#[derive(Debug)]
pub struct Setting {
    pub shards: u8,
    subscriptions_max: Option<usize>,
    messages: Option<Bucket>,
    history: Vec<HistorySetting>,
    test_notification: bool,
    webhook: bool,
    events: Events,
}

impl Default for Setting {
    fn default() -> Self {
        let (subscriptions_max, messages, history) = Default::default();
        let (test_notification, webhook, events) = Default::default();
        Self { shards: 2, subscriptions_max, messages, history, test_notification, webhook, events }
    }
}

impl Setting {
    /// Takes one `set` line.
    ///
    /// # Errors
    /// When there is no such setting or value.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let (first, second) = word(value);
        let number = |text: &str| text.parse::<u64>().map_err(|_| format!("no number: {text}"));
        match name {
            "shards" => self.shards = number(first)?.clamp(1, 8) as u8,
            "subscriptions_max" => self.subscriptions_max = Some(number(first)? as usize),
            "messages_per_window" => {
                let amount = number(first)? as u32;
                self.messages = Some(Bucket::new(amount, number(second)?));
            }
            // A table as the configuration has it, a line each.
            "events" => self.events = events(&value.replace(", ", "\n"))?,
            "webhook" => self.webhook = true,
            "test_notification" => self.test_notification = true,
            "history" => self.history.push(HistorySetting {
                topic: first.into(),
                size: number(second)? as usize,
                ttl_s: 3600,
            }),
            _ => return Err(format!("no such setting: {name}")),
        }
        Ok(())
    }
}

/// What the events of Socket.IO are called by a table of the configuration.
fn events(table: &str) -> Result<Events, String> {
    let endpoint = "[[endpoint]]\npath = '/socket.io/'\ndialect = 'socketio'";
    let text = format!("{endpoint}\n[socketio.events]\n{table}");
    let sources = Sources {
        file: Some("transcript.toml".into()),
        environment: &Environment::default(),
        overrides: Vec::new(),
        dev: false,
        read: &|_| Ok(text.clone()),
    };
    let loaded = config::load(&sources).map_err(|problems| format!("{problems:?}"))?;
    Ok(loaded.settings.socketio.events)
}

/// The policy of a scene.
pub fn policy(setting: &Setting) -> Policy {
    let none = || Rules::compile(&[], false).expect("no rule is wrong");
    let defaults = |dialect| Rules::defaults(dialect, setting.webhook);
    let mut policy = Policy::new(vec![
        Endpoint::new("/ws", Dialect::Topics, true, defaults(DialectRules::Topics)),
        Endpoint::new("/open", Dialect::Topics, false, Rules::open()),
        Endpoint::new("/events", Dialect::Events, true, defaults(DialectRules::Events)),
        // The access that the dialect itself gives, and nothing else.
        Endpoint::new("/channels", Dialect::Channels, true, none()),
        Endpoint::new("/ws/admin", Dialect::Admin, true, none()),
        Endpoint::new("/echo", Dialect::Echo, false, Rules::open()),
        Endpoint::new("/socket.io/", Dialect::SocketIo, true, defaults(DialectRules::SocketIo)),
        Endpoint::new("/open.io/", Dialect::SocketIo, false, defaults(DialectRules::SocketIo)),
    ]);
    let settings = TokenSettings { secret: Some(SECRET.into()), ..TokenSettings::default() };
    policy.verifier = Some(Verifier::new(&settings).expect("a secret is enough"));
    if let Some(max) = setting.subscriptions_max {
        policy.subscriptions_max = max;
    }
    policy.rate.messages = setting.messages;
    policy.webhook_timeout_ms = setting.webhook.then_some(WEBHOOK_TIMEOUT_MS);
    policy.history.clone_from(&setting.history);
    policy.socketio.events.clone_from(&setting.events);
    policy.socketio.test_notification = setting.test_notification;
    policy
}

/// A token with these claims.
pub fn token(claims: &Value) -> String {
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    encode(&Header::default(), claims, &key).expect("plain claims")
}

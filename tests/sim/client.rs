//! A client of the dialects `topics` and `events`, and what those of `channels` have in common with
//! it: what it asked, what it may expect, and whether what it hears
//! is what the protocol promises. Each promise broken is a panic.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use super::addressed::SAID;
use super::channels::Said;
use super::frames::Parser;
use super::ledger::{Fate, Ledger, Publisher};
use super::operators::Request;
use super::setting::{EVENTS, GUARDED, Setting, matches};

/// How it takes what comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    Fast,
    /// So many bytes at a time.
    Slow(u64),
    Stopped,
}

/// A request that carries an id.
#[derive(Debug)]
pub enum Ask {
    Ping,
    /// The tenant and user of a good token, or `None` for a bad one; whether it may be over when it
    /// arrives.
    Auth {
        user: Option<(Option<String>, String)>,
        short: bool,
    },
    Subscribe(VecDeque<String>),
    Unsubscribe(VecDeque<String>),
    Publish(usize),
    /// Wrong in itself.
    Nonsense,
}

/// One client.
#[derive(Debug)]
pub struct Client {
    pub endpoint: u8,
    pub parser: Parser,
    pub asks: BTreeMap<u64, Ask>,
    /// Publishes without an id, by the id of the next request: its answer says they were taken.
    pub silent: BTreeMap<u64, Vec<usize>>,
    /// In the dialect `channels`: what is not answered.
    pub said: VecDeque<Said>,
    /// In the dialect `echo`: what has not come back.
    pub echoes: VecDeque<String>,
    /// In the dialect `admin`: what is not answered.
    pub requests: VecDeque<Request>,
    /// In the dialect `channels`: it was told its connection's name.
    pub greeted: bool,
    /// Subscriptions, with the moment at which the reply was seen.
    pub view: BTreeMap<String, u64>,
    pub received: Vec<usize>,
    /// Announcements that it has heard.
    pub heard: u64,
    newest: BTreeMap<(Publisher, usize), usize>,
    pub pings: VecDeque<Vec<u8>>,
    pub next_id: u64,
    /// Who it is, as it was told.
    pub user: Option<String>,
    pub tenant: Option<String>,
    /// The moment since which it is nobody else.
    pub known_since: u64,
    /// Who it will be when all it has sent is read; `None`: not certain.
    pub user_to_be: Option<Option<String>>,
    pub reading: Reading,
    /// Answers neither pings nor close frames.
    pub mute: bool,
    /// Has sent what may be answered without an id.
    pub rambled: bool,
    /// Has sent what breaks the protocol.
    pub broken: bool,
    pub bad_tokens: u8,
    pub close_sent: bool,
    pub close_seen: Option<Option<u16>>,
    /// Nothing comes any more.
    pub over: bool,
}

/// What a client needs to know of the run to judge.
pub struct Rules<'r> {
    pub setting: &'r Setting,
    pub draining: bool,
}

impl Client {
    pub fn new(
        endpoint: u8,
        (tenant, user): (Option<String>, Option<String>),
        compression: bool,
        known_since: u64,
    ) -> Self {
        Self {
            endpoint,
            parser: Parser::new(compression),
            asks: BTreeMap::new(),
            silent: BTreeMap::new(),
            said: VecDeque::new(),
            echoes: VecDeque::new(),
            requests: VecDeque::new(),
            greeted: false,
            view: BTreeMap::new(),
            received: Vec::new(),
            heard: 0,
            newest: BTreeMap::new(),
            pings: VecDeque::new(),
            next_id: 0,
            user_to_be: Some(user.clone()),
            user,
            tenant,
            known_since,
            reading: Reading::Fast,
            mute: false,
            rambled: false,
            broken: false,
            bad_tokens: 0,
            close_sent: false,
            close_seen: None,
            over: false,
        }
    }

    /// Whether the connection is as good as ever.
    pub fn is_live(&self) -> bool {
        !self.over && !self.close_sent && self.close_seen.is_none() && !self.broken
    }

    /// Takes a text frame.
    pub fn hear(&mut self, number: usize, text: &str, ledger: &mut Ledger, rules: &Rules<'_>) {
        let value: Value = serde_json::from_str(text).expect("the server sends JSON");
        let kind = value["type"].as_str().expect("a type");
        assert!(value["timestamp"].as_str().is_some_and(|at| at.len() == 24), "{text}");
        match (kind, value["id"].as_u64()) {
            (SAID, None) => self.hear_said(number, &value["data"], value["topic"].as_str(), ledger),
            ("message", None) if value["eventType"] == SAID => {
                assert_eq!(value["metadata"], serde_json::json!({}));
                self.hear_said(number, &value["data"], value["topic"].as_str(), ledger);
            }
            ("message", None) => self.on_message(number, &value, ledger, rules),
            (_, Some(id)) => {
                for published in self.silent.remove(&id).unwrap_or_default() {
                    if !rules.draining {
                        ledger.messages[published].fate = Fate::Taken;
                    }
                }
                let mut ask = self.asks.remove(&id).expect("an answer to what was asked");
                let more = self.on_answer(kind, &mut ask, &value, ledger, rules);
                if more {
                    self.asks.insert(id, ask);
                }
            }
            ("unsubscribed", None) => {
                assert_eq!(value["reason"], "forbidden", "nobody asked");
                let topic = value["topic"].as_str().unwrap();
                let own = self.endpoint == GUARDED && topic.starts_with("user.");
                assert!(own || rules.setting.is_asked(self.endpoint), "{topic}");
                self.view.remove(topic).expect("it was subscribed");
            }
            ("error", None) => {
                let drained = value["code"] == 503 && rules.draining;
                assert!(self.rambled || drained, "an error for nothing: {text}");
            }
            ("auth_expired", None) => assert!(self.user.is_some()),
            _ => panic!("unasked for: {text}"),
        }
    }

    /// Takes an answer; whether more are to come to the same request.
    fn on_answer(
        &mut self,
        kind: &str,
        ask: &mut Ask,
        value: &Value,
        ledger: &mut Ledger,
        rules: &Rules<'_>,
    ) -> bool {
        let topic = value["topic"].as_str();
        match (kind, ask) {
            ("pong", Ask::Ping) => false,
            ("auth_success", Ask::Auth { user: Some((tenant, user)), .. }) => {
                assert_eq!(value["userId"].as_str(), Some(&**user));
                if self.user.as_ref() != Some(user) || self.tenant != *tenant {
                    self.known_since = ledger.tick();
                }
                (self.user, self.tenant) = (Some(user.clone()), tenant.clone());
                false
            }
            ("auth_error", Ask::Auth { user, short }) => {
                assert!(user.is_none() || *short, "a good token was refused");
                false
            }
            ("subscribed", Ask::Subscribe(topics)) => {
                assert_eq!(topics.pop_front().as_deref(), topic);
                let at = ledger.tick();
                self.view.entry(topic.unwrap().into()).or_insert(at);
                !topics.is_empty()
            }
            ("unsubscribed", Ask::Unsubscribe(topics)) => {
                assert_eq!(topics.pop_front().as_deref(), topic);
                self.view.remove(topic.unwrap());
                !topics.is_empty()
            }
            ("published", Ask::Publish(published)) => {
                let message = &mut ledger.messages[*published];
                let name = &rules.setting.topics[message.topic];
                assert_eq!(topic, Some(&**name));
                message.fate = Fate::Taken;
                let epoch = value["epoch"].as_str().map(|digits| digits.parse().unwrap());
                let place = epoch.zip(value["offset"].as_u64());
                assert_eq!(place.is_some(), Setting::has_history(name));
                if let Some((epoch, offset)) = place {
                    ledger.place(*published, epoch, offset);
                }
                false
            }
            ("error", ask) => self.on_error(ask, value, ledger, rules),
            (kind, ask) => panic!("{kind} is no answer to {ask:?}"),
        }
    }

    fn on_error(
        &self,
        ask: &mut Ask,
        value: &Value,
        ledger: &mut Ledger,
        rules: &Rules<'_>,
    ) -> bool {
        let guarded = self.endpoint == GUARDED;
        let asked = rules.setting.is_asked(self.endpoint);
        match (value["code"].as_u64(), ask) {
            (Some(429), ask) => {
                assert!(rules.setting.rated);
                assert!(value["details"]["retryAfterMs"].is_u64());
                if let Ask::Publish(published) = ask {
                    ledger.messages[*published].fate = Fate::Refused;
                }
                false
            }
            (Some(400), Ask::Nonsense) => false,
            (Some(503), Ask::Publish(published)) if rules.draining => {
                ledger.messages[*published].fate = Fate::Refused;
                false
            }
            (Some(401), Ask::Publish(published)) if guarded => {
                ledger.messages[*published].fate = Fate::Refused;
                false
            }
            (Some(403), Ask::Publish(published))
                if asked
                    || guarded && {
                        let topic = ledger.messages[*published].topic;
                        Setting::is_protected(&rules.setting.topics[topic])
                    } =>
            {
                ledger.messages[*published].fate = Fate::Refused;
                false
            }
            (Some(401), Ask::Unsubscribe(topics)) | (Some(401 | 403), Ask::Subscribe(topics)) => {
                let topic = topics.pop_front().expect("one error a topic");
                assert_eq!(value["details"]["topic"], topic);
                let full = value["message"] == "Too many subscriptions";
                assert!(guarded || asked || full, "{value}");
                !topics.is_empty()
            }
            (code, ask) => panic!("error {code:?} is no answer to {ask:?}"),
        }
    }

    /// Takes an announcement; `topic` is what stands there in place of one.
    pub fn hear_said(
        &mut self,
        number: usize,
        data: &Value,
        topic: Option<&str>,
        ledger: &mut Ledger,
    ) {
        let at = data["a"].as_u64().expect("an announcement of this run") as usize;
        let said = &mut ledger.addressed[at];
        assert!(said.code.is_none(), "{at} is no announcement");
        if topic.is_some() {
            said.check_label(topic);
        }
        said.reach(number, self);
        self.heard += 1;
    }

    /// Takes a delivery.
    fn on_message(&mut self, number: usize, value: &Value, ledger: &mut Ledger, rules: &Rules<'_>) {
        let at = value["data"]["n"].as_u64().expect("a message of this run") as usize;
        let (topic, metadata) = (value["topic"].as_str().unwrap(), &value["metadata"]);
        // An event has no envelope.
        assert_eq!(metadata.is_null(), self.endpoint == EVENTS);
        let sender = metadata.is_object().then(|| metadata["senderId"].as_str());
        self.take(number, at, topic, sender, ledger, rules);
        if sender.is_some() && ledger.messages[at].metadata {
            assert_eq!(metadata["k"], at, "the publisher's own metadata");
        }
    }

    /// Takes a message; `sender` is what it says of who published it, where it says that.
    pub fn take(
        &mut self,
        number: usize,
        at: usize,
        topic: &str,
        sender: Option<Option<&str>>,
        ledger: &mut Ledger,
        rules: &Rules<'_>,
    ) {
        let message = &mut ledger.messages[at];
        assert_eq!(topic, rules.setting.topics[message.topic]);
        let segments: Vec<&str> = topic.split('.').collect();
        let subscribed = self
            .view
            .keys()
            .any(|pattern| matches(&pattern.split('.').collect::<Vec<_>>(), &segments));
        assert!(subscribed, "message {at} came without a subscription to {topic}");
        assert_ne!(message.fate, Fate::Refused, "message {at} was refused, yet it came");
        let own = message.by == Publisher::Client(number);
        assert!(message.echo || !own, "message {at} is an unwanted echo");
        if let Some((user, sender)) = message.user.as_ref().zip(sender) {
            assert_eq!(sender, user.as_deref());
        }
        message.received += 1;
        let newest = self.newest.insert((message.by, message.topic), at);
        assert!(newest < Some(at), "message {at} came after {newest:?} of the same publisher");
        self.received.push(at);
    }
}

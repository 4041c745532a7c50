//! A client of the `channels` dialect: what it does, and whether what it hears is what the protocol
//! promises. Nothing carries an id here, so answers are told apart by their order alone.

use serde_json::{Value, json};

use super::addressed::SAID;
use super::client::{Client, Rules};
use super::ledger::{Fate, Ledger, Published, Publisher};
use super::world::World;

/// What it said, in order.
#[derive(Debug)]
pub enum Said {
    Ping,
    Join(String),
    Leave(String),
    /// Types of notifications.
    Notifications(Vec<String>),
    /// Wrong in itself.
    Nonsense,
    /// A message, which is answered only where it is refused.
    Send(usize),
}

impl World {
    /// A client does something.
    pub fn act_in_channels(&mut self, number: usize) {
        match self.random.below(16) {
            // Refused at random, they could not be told from what is answered.
            0..=5 if !self.setting.rated => self.send_to_channel(number),
            6..=8 => {
                let channel = self.random.pick(&self.setting.patterns);
                let text = json!({"type": "join_channel", "data": {"channel": channel}});
                self.say_in_channels(number, &text, Said::Join(channel));
            }
            9 => {
                let known: Vec<String> = self.clients[number].view.keys().cloned().collect();
                let from = if known.is_empty() { &self.setting.patterns } else { &known };
                let channel = self.random.pick(from);
                let text = json!({"type": "leave_channel", "data": {"channel": channel}});
                self.say_in_channels(number, &text, Said::Leave(channel));
            }
            10 => self.say_in_channels(number, &json!({"type": "ping"}), Said::Ping),
            11 if self.random.one_in(2) => self.ping(number),
            11 => {
                let types = self.random.pick(&[vec!["a"], vec!["b", "a", "b"], vec![]]);
                let text = json!({"type": "subscribe_notifications", "data": {"types": types}});
                let types = types.into_iter().map(Into::into).collect();
                self.say_in_channels(number, &text, Said::Notifications(types));
            }
            12 | 13 => self.clients[number].reading = self.draw_reading(),
            14 if !self.setting.calm => {
                if self.random.one_in(6) {
                    return self.break_protocol(number);
                }
                let text = self.random.pick(&[json!({"type": "dance"}), json!([1]), json!({})]);
                self.say_in_channels(number, &text, Said::Nonsense);
            }
            15 if !self.setting.calm && self.random.one_in(4) => self.leave(number),
            _ => {}
        }
    }

    fn say_in_channels(&mut self, number: usize, text: &Value, said: Said) {
        self.clients[number].said.push_back(said);
        self.say(number, &text.to_string());
    }

    fn send_to_channel(&mut self, number: usize) {
        let (message, at) = (self.ledger.messages.len(), self.ledger.tick());
        let (data, _) = self.content(message);
        let topic = self.random.below(self.setting.topics.len() as u64) as usize;
        let name = &self.setting.topics[topic];
        let text = format!(
            "{{\"type\":\"send_message\",\"data\":{{\"channel\":\"{name}\",\"message\":{data}}}}}"
        );
        let user = self.clients[number].user_to_be.clone();
        self.ledger.messages.push(Published {
            topic,
            by: Publisher::Client(number),
            at,
            echo: false,
            metadata: false,
            fate: Fate::Unknown,
            offset: None,
            epoch: None,
            user,
            received: 0,
            delivered: None,
        });
        self.clients[number].said.push_back(Said::Send(message));
        self.say(number, &text);
    }
}

impl Client {
    /// Takes a text frame.
    pub fn hear_in_channels(
        &mut self,
        number: usize,
        text: &str,
        ledger: &mut Ledger,
        rules: &Rules<'_>,
    ) {
        let value: Value = serde_json::from_str(text).expect("the server sends JSON");
        let (kind, data) = (value["type"].as_str().expect("a type"), &value["data"]);
        if kind == SAID {
            // As it was said, with nothing added.
            assert_eq!(value.as_object().map(serde_json::Map::len), Some(2), "{text}");
            assert!(self.greeted, "the connection's name comes first");
            return self.hear_said(number, data, None, ledger);
        }
        let greeted = std::mem::replace(&mut self.greeted, true);
        assert_eq!(greeted, kind != "connection", "the connection's name comes first, and once");
        let at = data["timestamp"].as_str();
        assert_eq!(
            at.is_some_and(|at| at.len() == 24),
            matches!(kind, "connection" | "pong" | "channel_message" | "auth_expired"),
            "{text}"
        );
        match kind {
            "connection" => assert_eq!(data["connectionId"].as_str().map(str::len), Some(32)),
            "channel_message" => {
                let at = data["message"]["n"].as_u64().expect("a message of this run");
                let topic = data["channel"].as_str().expect("a channel");
                let sender = data["sender"]["id"].as_str();
                self.take(number, at as usize, topic, Some(sender), ledger, rules);
                let by_client = matches!(ledger.messages[at as usize].by, Publisher::Client(_));
                assert_eq!(data["sender"]["connectionId"].is_string(), by_client);
            }
            "error" => {
                let why = data["error"].as_str().expect("a text");
                match why {
                    // It may be any of those sent and not answered.
                    "Permission denied" => assert!(rules.setting.is_asked(self.endpoint)),
                    "Server is shutting down" => assert!(rules.draining),
                    why => self.on_refusal(why, ledger, rules),
                }
            }
            "channel_left" if data["reason"].is_string() => {
                assert!(rules.setting.is_asked(self.endpoint), "a webhook's no ends it alone");
                assert_eq!(data["reason"], "forbidden");
                let name = data["channel"].as_str().expect("a channel");
                assert!(self.view.remove(name).is_some(), "{name} was joined");
            }
            kind => self.on_channels_answer(kind, data, ledger, rules),
        }
    }

    /// What the next answer is for; what was sent before it was taken.
    fn next_said(&mut self, ledger: &mut Ledger, rules: &Rules<'_>) -> Said {
        loop {
            match self.said.pop_front().expect("an answer to what was said") {
                Said::Send(message) => {
                    if !rules.draining && !rules.setting.is_asked(self.endpoint) {
                        ledger.messages[message].fate = Fate::Taken;
                    }
                }
                said => return said,
            }
        }
    }

    fn on_channels_answer(
        &mut self,
        kind: &str,
        data: &Value,
        ledger: &mut Ledger,
        rules: &Rules<'_>,
    ) {
        let channel = data["channel"].as_str();
        match (kind, self.next_said(ledger, rules)) {
            ("pong", Said::Ping) => {}
            ("channel_joined", Said::Join(name)) => {
                assert_eq!(channel, Some(&*name));
                assert!(!name.contains('*'), "{name} is no channel");
                let at = ledger.tick();
                self.view.entry(name).or_insert(at);
            }
            ("channel_left", Said::Leave(name)) => {
                assert_eq!(channel, Some(&*name));
                self.view.remove(&name);
            }
            ("notifications_subscribed", Said::Notifications(types)) => {
                assert_eq!(data["types"], json!(types));
                let who = self.tenant.as_ref().zip(self.user.as_ref());
                let (tenant, user) = who.expect("only who is somebody has notifications");
                let at = ledger.tick();
                for kind in types {
                    let name = format!("notifications:{tenant}:{user}:{kind}");
                    self.view.entry(name).or_insert(at);
                }
            }
            (kind, said) => panic!("{kind} is no answer to {said:?}"),
        }
    }

    fn on_refusal(&mut self, why: &str, ledger: &mut Ledger, rules: &Rules<'_>) {
        match (why, self.next_said(ledger, rules)) {
            ("Rate limit exceeded", _) => assert!(rules.setting.rated),
            ("Access denied to channel", Said::Join(name)) => {
                let asked = rules.setting.is_asked(self.endpoint);
                let own = self.tenant.as_ref().map(|tenant| format!("tenant:{tenant}:"));
                let is_own = own.is_some_and(|own| name.starts_with(&own));
                assert!(name.contains('*') || asked && !is_own, "{name}");
            }
            ("Access denied to channel", Said::Notifications(_)) => assert!(self.user.is_none()),
            ("Too many subscriptions", Said::Join(_) | Said::Notifications(_))
            | ("Invalid message format" | "Unknown message type: dance", Said::Nonsense) => {}
            (why, said) => panic!("{why} is no answer to {said:?}"),
        }
    }
}

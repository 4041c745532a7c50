//! Clients of the dialects `echo` and `admin`: one hears what it said, the other is answered in the
//! order of its requests. Nobody says anything to either.

use serde_json::{Value, json};

use super::addressed::{Addressed, To};
use super::client::{Client, Rules};
use super::frames::TEXT;
use super::ledger::Ledger;
use super::setting::TENANTS;
use super::world::World;

/// A request of an operator.
#[derive(Debug)]
pub struct Request {
    pub id: u64,
    kind: &'static str,
    /// What it addresses to somebody, by its number.
    addressed: Option<usize>,
}

impl World {
    /// A client of `echo` does something.
    pub fn act_in_echo(&mut self, number: usize) {
        match self.random.below(6) {
            0..=2 => {
                let text = "e".repeat(self.random.below(300) as usize);
                self.clients[number].echoes.push_back(text.clone());
                self.say_as(number, TEXT, &text);
            }
            3 => self.ping(number),
            4 => self.clients[number].reading = self.draw_reading(),
            _ => {}
        }
    }

    /// A client of `admin` does something.
    pub fn act_as_operator(&mut self, number: usize) {
        let id = self.clients[number].next_id + 1;
        let topic = self.random.pick(&self.setting.topics);
        let (kind, data, addressed) = match self.random.below(12) {
            0 => ("stats", json!({}), None),
            1 => ("connections", json!({"limit": self.random.within(1..50)}), None),
            2 => ("topics", json!({"prefix": "g1"}), None),
            3 | 4 => ("topic", json!({"topic": topic}), None),
            5 => {
                let tenant = self.random.one_in(2).then(|| self.random.pick(&TENANTS));
                let to = tenant.map_or(To::Everyone, |tenant| To::Tenant(tenant.into()));
                let at = self.address(to, None);
                let message: Value =
                    serde_json::from_str(&Addressed::message(at, 3)).expect("JSON");
                ("broadcast", json!({"message": message, "tenantId": tenant}), Some(at))
            }
            6 if !self.setting.calm && self.random.one_in(4) => {
                let (tenant, user) = (self.draw_tenant(), self.draw_user());
                let Some(code) = self.draw_code() else { return };
                let data = json!({"userId": user, "tenantId": tenant, "code": code});
                ("disconnect", data, Some(self.address(To::User(tenant, user), Some(code))))
            }
            7 => return self.ping(number),
            8 | 9 => {
                self.clients[number].reading = self.draw_reading();
                return;
            }
            10 if !self.setting.calm && self.random.one_in(6) => return self.leave(number),
            _ => return,
        };
        let client = &mut self.clients[number];
        client.next_id = id;
        client.requests.push_back(Request { id, kind, addressed });
        self.say(number, &json!({"type": kind, "data": data, "id": id}).to_string());
    }
}

impl Client {
    /// Takes what comes back from `echo`: what was over the rate limit does not.
    pub fn hear_echo(&mut self, text: &str, rules: &Rules<'_>) {
        while self.echoes.pop_front().expect("an echo of what was said") != text {
            assert!(rules.setting.rated, "{text} is out of order");
        }
    }

    /// Takes an answer to an operator.
    pub fn hear_as_operator(&mut self, text: &str, ledger: &mut Ledger, rules: &Rules<'_>) {
        let value: Value = serde_json::from_str(text).expect("the server sends JSON");
        let (kind, data) = (value["type"].as_str().expect("a type"), &value["data"]);
        // One that finds too many waiting is refused before those are answered.
        let is_next = |it: &Request| value["id"] == it.id;
        let at = self.requests.iter().position(is_next).expect("an answer to a request");
        let request = self.requests.remove(at).expect("it is there");
        if kind == "error" {
            let fits = match data["code"].as_u64() {
                Some(429) => rules.setting.rated,
                Some(503) => true,
                _ => false,
            };
            assert!(fits, "{text} is no answer to {request:?}");
            return;
        }
        assert_eq!((kind, at), (request.kind, 0), "answers come in order");
        let count = match kind {
            "broadcast" => data["delivered"].as_u64(),
            "disconnect" => data["disconnected"].as_u64(),
            _ => None,
        };
        if let Some(number) = request.addressed {
            assert!(count.is_some(), "{text}");
            ledger.addressed[number].told = count;
        }
    }
}

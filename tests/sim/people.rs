//! The server side and who is connected: it speaks to audiences, ends connections, makes reports.
//!
//! At rest everything is known: what is told of connections and topics, how many a message or an
//! announcement reaches, must be just what the clients know of themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};
use shardwire::announcement;
use shardwire::audience::Audience;
use shardwire::close::Refusal;
use shardwire::connection::{Address, ConnKey, ConnectionId};
use shardwire::report::{Around, Page, Plan, Step, Wanted};
use shardwire::shard::Told;
use shardwire::topic::TopicBounds;

use super::addressed::{Addressed, ENDED, ENDED_MAX, To, may_hear};
use super::client::Client;
use super::setting::{TENANTS, matches};
use super::world::{NODE, World};

/// A report that is being made.
pub struct Report {
    plan: Plan,
    /// The disconnect that it is, by its number.
    ends: Option<usize>,
    /// What it came to, where it is awaited.
    is_awaited: bool,
}

impl World {
    /// Somebody who may be there or not.
    pub fn draw_audience(&mut self) -> To {
        match self.random.below(6) {
            0 => To::Everyone,
            1 => To::Tenant(self.random.pick(&TENANTS).into()),
            _ => To::User(self.draw_tenant(), self.draw_user()),
        }
    }

    pub fn draw_tenant(&mut self) -> Option<String> {
        let tenant = self.random.pick(&[Some(TENANTS[0]), Some(TENANTS[1]), None]);
        tenant.map(Into::into)
    }

    pub fn draw_user(&mut self) -> String {
        format!("u{}", self.random.below(4))
    }

    /// Takes note of what is addressed to somebody; its number.
    pub fn address(&mut self, to: To, code: Option<u16>) -> usize {
        let at = self.ledger.tick();
        let reached = BTreeSet::new();
        self.ledger.addressed.push(Addressed { to, at, code, told: None, reached });
        self.ledger.addressed.len() - 1
    }

    /// A code that no other disconnect of this run has.
    pub fn draw_code(&self) -> Option<u16> {
        let ended = self.ledger.addressed.iter().filter(|it| it.code.is_some()).count();
        (ended < ENDED_MAX).then_some(ENDED + ended as u16)
    }

    /// The server side does something about people.
    pub fn act_on_people(&mut self, shard: u8) {
        match self.random.below(12) {
            0..=5 => {
                let mut to = self.draw_audience();
                if self.random.one_in(6)
                    && let some = self.net.of_shard(shard)
                    && !some.is_empty()
                {
                    to = To::One(self.random.pick(&some));
                }
                self.announce(shard, to);
            }
            6 if !self.setting.calm && self.random.one_in(3) => {
                let to = match self.draw_audience() {
                    To::Everyone => To::User(None, self.draw_user()),
                    to => to,
                };
                let Some(code) = self.draw_code() else { return };
                let (of, reason) = (to.audience(ConnKey { index: 0, generation: 0 }), "go".into());
                let number = self.address(to, Some(code));
                self.report(shard, Wanted::Disconnect { of, code, reason }, Some(number));
            }
            _ => {
                let wanted = self.draw_report();
                self.report(shard, wanted, None);
            }
        }
    }

    fn draw_report(&mut self) -> Wanted {
        let topic = self.random.pick(&self.setting.topics).into_boxed_str();
        let page = Page { limit: self.random.within(1..40) as u16, cursor: None };
        match self.random.below(7) {
            0 => Wanted::Stats,
            1 => Wanted::Topics { prefix: "g".into(), page },
            2 => Wanted::Topic(topic),
            3 => Wanted::Presence(topic),
            4 => Wanted::History { topic, since: 0, limit: page.limit },
            5 => {
                let of = self.draw_audience().audience(ConnKey { index: 0, generation: 0 });
                Wanted::Connections { of, page }
            }
            _ => {
                let number = self.random.below(self.clients.len().max(1) as u64) as usize;
                let there = self.net.links.get(number).map(|link| link.at);
                let none = Address { shard: 0, conn: ConnKey { index: 0, generation: 9 } };
                Wanted::Connection(ConnectionId { node: NODE, at: there.unwrap_or(none) })
            }
        }
    }

    /// Says something to an audience; its number, if it could.
    fn announce(&mut self, shard: u8, to: To) -> Option<usize> {
        let id = usize::from(shard);
        let key = match to {
            To::One(number) => self.net.links[number].at.conn,
            _ => ConnKey { index: 0, generation: 0 },
        };
        let audience = to.audience(key);
        let number = self.address(to, None);
        let stuffing = self.random.pick(&[0, 0, 20, 300]);
        let message = Addressed::message(number, stuffing);
        let topic = announcement::topic_of(&audience);
        let publication = announcement::publication(&topic, &message, self.now.wall);
        let congested = self.shards[id].is_congested();
        self.note(|| format!("shard {shard} says {number} to {audience:?}"));
        match self.shards[id].announce(self.now, &publication, &Arc::new(audience)) {
            Ok(ticket) => {
                assert!(self.said.insert((shard, ticket), number).is_none());
                Some(number)
            }
            Err(refusal) => {
                let draining = self.gone_by_ms.is_some();
                assert!(refusal == Refusal::ShuttingDown && draining || congested, "{refusal}");
                None
            }
        }
    }

    fn around(&self) -> Around {
        Around {
            node: NODE,
            shards: self.setting.shards,
            metrics: self.metrics.clone().into(),
            now: self.now,
            draining: self.gone_by_ms.is_some(),
            topic_bounds: TopicBounds::default(),
        }
    }

    /// Begins a report, which may come to nothing where mail cannot be sent on.
    fn report(&mut self, shard: u8, wanted: Wanted, ends: Option<usize>) {
        self.note(|| format!("shard {shard} is asked for {wanted:?}"));
        let (plan, step) = Plan::begin(wanted, &self.around());
        self.follow(shard, Report { plan, ends, is_awaited: false }, step);
    }

    fn follow(&mut self, shard: u8, report: Report, step: Step) {
        match step {
            Step::Ask { query, of } => {
                let id = usize::from(shard);
                let congested = self.shards[id].is_congested();
                match self.shards[id].inquire(self.now, &query, of) {
                    Ok(ticket) => {
                        assert!(self.reports.insert((shard, ticket), report).is_none());
                    }
                    Err(refusal) => assert!(refusal == Refusal::Overloaded && congested),
                }
            }
            Step::Done(made) => {
                let made: Option<Value> =
                    made.ok().map(|text| serde_json::from_str(&text).expect("JSON"));
                if let (Some(number), Some(made)) = (report.ends, &made) {
                    self.ledger.addressed[number].told = made["disconnected"].as_u64();
                }
                if report.is_awaited {
                    self.made = made;
                }
            }
        }
    }

    /// Takes what a shard was told.
    pub fn take_told(&mut self, shard: u8) {
        while let Some(Told { ticket, parts }) = self.shards[usize::from(shard)].told() {
            let mut report = self.reports.remove(&(shard, ticket)).expect("told once");
            let step = report.plan.told(parts, &self.around());
            self.follow(shard, report, step);
        }
    }

    /// Makes a report in a world at rest.
    fn report_at_rest(&mut self, wanted: Wanted) -> Value {
        let shard = self.random.below(u64::from(self.setting.shards)) as u8;
        let (plan, step) = Plan::begin(wanted, &self.around());
        self.follow(shard, Report { plan, ends: None, is_awaited: true }, step);
        self.turns();
        assert!(self.reports.is_empty());
        self.made.take().expect("it can be made")
    }

    /// Turns of all shards without any time, until no mail is left.
    fn turns(&mut self) {
        while !self.is_settled() {
            (0..self.setting.shards).for_each(|shard| self.turn(shard, true));
        }
    }

    /// What is told and counted in a world at rest is what the clients know.
    pub fn judge_people(&mut self) {
        self.judge_connections();
        for topic in 0..self.setting.topics.len() {
            self.judge_topic(topic);
        }
        let users = (0..4).flat_map(|user| {
            let user = format!("u{user}");
            let tenants = [None, Some(TENANTS[0].to_owned()), Some(TENANTS[1].to_owned())];
            tenants.map(|tenant| To::User(tenant, user.clone()))
        });
        let tenants = TENANTS.map(|tenant| To::Tenant(tenant.into()));
        for to in users.chain(tenants).chain([To::Everyone]).collect::<Vec<_>>() {
            let shard = self.random.below(u64::from(self.setting.shards)) as u8;
            let live = self.clients.iter().enumerate().filter(|it| it.1.is_live());
            let expected = live.filter(|it| to.means(it.0, it.1) && may_hear(it.1)).count();
            let number = self.announce(shard, to.clone()).expect("nothing is in its way");
            self.turns();
            assert_eq!(self.ledger.addressed[number].told, Some(expected as u64), "{to:?}");
            self.rest();
        }
    }

    /// Ends somebody's connections in a world at rest; those and no others go. Who it is.
    pub fn disconnect_at_rest(&mut self) -> (To, u64) {
        let to = self.draw_audience();
        let code = self.draw_code().unwrap_or(ENDED);
        let (of, reason) = (to.audience(ConnKey { index: 0, generation: 0 }), "go".into());
        let number = self.address(to.clone(), Some(code));
        let made = self.report_at_rest(Wanted::Disconnect { of, code, reason });
        let told = made["disconnected"].as_u64();
        self.ledger.addressed[number].told = told;
        (to, told.expect("a number"))
    }

    fn judge_connections(&mut self) {
        let page = Page { limit: 1000, cursor: None };
        let made = self.report_at_rest(Wanted::Connections { of: Audience::Everyone, page });
        assert_eq!(made["next"], Value::Null);
        let facts = |client: &Client| {
            let topics: Vec<&String> = client.view.keys().collect();
            json!([client.user, client.tenant, topics])
        };
        let expected: BTreeMap<String, Value> = (self.clients.iter().zip(&self.net.links))
            .filter(|(client, _)| client.is_live())
            .map(|(client, link)| {
                (ConnectionId { node: NODE, at: link.at }.to_string(), facts(client))
            })
            .collect();
        let items = made["items"].as_array().expect("a list").iter();
        let told: BTreeMap<String, Value> = items
            .map(|it| {
                let id = it["connectionId"].as_str().expect("an id").to_owned();
                (id, json!([it["userId"], it["tenantId"], it["subscriptions"]]))
            })
            .collect();
        assert_eq!(told, expected);
    }

    /// Presence is the audience of a publish.
    fn judge_topic(&mut self, topic: usize) {
        let name = self.setting.topics[topic].clone();
        let segments: Vec<&str> = name.split('.').collect();
        let mut people = BTreeMap::<(Option<&str>, Option<&str>), u64>::new();
        for client in self.clients.iter().filter(|client| client.is_live()) {
            let mut patterns = client.view.keys();
            if patterns.any(|it| matches(&it.split('.').collect::<Vec<_>>(), &segments)) {
                let who = (client.user.as_deref(), client.tenant.as_deref());
                *people.entry(who).or_default() += 1;
            }
        }
        let all: u64 = people.values().sum();
        let expected: Vec<Value> =
            people.iter().map(|((user, tenant), count)| json!([user, tenant, count])).collect();
        let made = self.report_at_rest(Wanted::Presence(name.as_str().into()));
        assert_eq!(made["connections"], all, "{name}");
        let items = made["items"].as_array().expect("a list").iter();
        let told: Vec<Value> =
            items.map(|it| json!([it["userId"], it["tenantId"], it["connections"]])).collect();
        assert_eq!(told, expected, "{name}");
        let shard = self.random.below(u64::from(self.setting.shards)) as u8;
        assert!(self.publish(shard, topic));
        self.turns();
        let published = self.ledger.messages.last().expect("the one just published");
        assert_eq!(published.delivered, Some(all), "{name}");
        // It may be too much for some, who hear so.
        self.rest();
    }

    /// What was addressed to people reached those, and as many as was told.
    pub fn judge_addressed(&self, dropped: u64) {
        for (at, it) in self.ledger.addressed.iter().enumerate() {
            let reached = it.reached.len() as u64;
            let Some(told) = it.told else { continue };
            assert!(reached <= told, "{at} reached {reached}, {told} were told");
            assert!(reached == told || self.lossy || dropped > 0, "{at}: {reached} of {told}");
            for (number, client) in self.clients.iter().enumerate().filter(|it| it.1.is_live()) {
                let stays = it.code.is_none() || !it.must_reach(number, client);
                assert!(stays, "client {number} was to be disconnected by {at}");
            }
        }
    }
}

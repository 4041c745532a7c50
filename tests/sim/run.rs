//! One run from its beginning to the empty broker, and the judgement at its end.

use std::collections::BTreeSet;

use shardwire::config::SlowConsumerPolicy;
use shardwire::limits::{SPILL_MAILS_MAX, TICK_MS};
use shardwire::topic::name_hash;

use super::channels::Said;
use super::client::Reading;
use super::ledger::{Fate, Publisher};
use super::random::Random;
use super::setting::{Setting, matches};
use super::world::{Trace, World};

/// Rounds after which a world that is left alone must have come to rest.
const ROUNDS_MAX: usize = 40_000;
/// Steps between two looks at every invariant.
const STEPS_PER_CHECK: u64 = 64;
/// Publishes of a storm: more than a spill holds.
const STORM_MESSAGES: usize = 5000;

/// Plays one run. Panics where a promise is broken.
pub fn play(random: Random, steps: u64, trace: Trace) {
    let mut world = World::new(random, steps, trace);
    for step in 0..world.setting.steps {
        world.step();
        if step % STEPS_PER_CHECK == 0 {
            world.check_shards();
        }
        if world.random.is_over() {
            break;
        }
    }
    if !world.setting.early_drain {
        world.rest();
        world.judge_people();
        world.judge();
        world.judge_disconnect();
    }
    world.end();
}

impl World {
    /// Something happens.
    fn step(&mut self) {
        let shard = self.random.below(u64::from(self.setting.shards)) as u8;
        match self.random.below(40) {
            0 if self.clients.iter().filter(|it| !it.over).count() < self.setting.clients_max => {
                self.connect();
            }
            0..=15 if !self.clients.is_empty() => {
                let number = self.random.below(self.clients.len() as u64) as usize;
                self.act(number);
            }
            16..=23 if !self.clients.is_empty() => {
                let number = self.random.below(self.clients.len() as u64) as usize;
                self.listen(number, false);
            }
            24..=33 => self.turn(shard, false),
            34 => {
                let topic = self.random.below(self.setting.topics.len() as u64) as usize;
                self.publish(shard, topic);
            }
            35 if self.setting.storm && self.random.one_in(20) => self.storm(shard),
            36 => {
                let ms = match self.random.below(50) {
                    0 => self.random.below(4000),
                    1..=4 => self.random.below(300),
                    _ => self.random.below(6),
                };
                self.pass(ms);
            }
            37 if self.clients.is_empty() => self.connect(),
            38 => self.act_on_people(shard),
            _ => {}
        }
    }

    /// A shard publishes until it may not; the others sleep meanwhile.
    fn storm(&mut self, shard: u8) {
        self.note(|| format!("a storm on shard {shard}"));
        self.setting.storm = false;
        let topic = self.random.below(self.setting.topics.len() as u64) as usize;
        for _ in 0..STORM_MESSAGES {
            if !self.publish(shard, topic) {
                let draining = self.gone_by_ms.is_some();
                assert!(draining || self.shards[usize::from(shard)].is_congested());
                break;
            }
        }
        self.shards[usize::from(shard)].flush(self.now, &mut self.net.sockets(shard));
        let kept = self.metrics[usize::from(shard)].mails_spilled.get() as usize;
        assert!(kept <= SPILL_MAILS_MAX + self.shards.len(), "{kept} mails are kept back");
    }

    pub fn check_shards(&self) {
        for shard in &self.shards {
            shard.check(self.now);
        }
    }

    /// Lets everyone read and every shard work until nothing moves any more.
    pub fn rest(&mut self) {
        self.note(|| "rest".into());
        self.resting = true;
        for _ in 0..ROUNDS_MAX {
            for shard in 0..self.setting.shards {
                self.turn(shard, true);
            }
            for number in 0..self.clients.len() {
                self.clients[number].reading = Reading::Fast;
                self.listen(number, true);
            }
            if self.is_quiet() {
                self.resting = false;
                return self.check_shards();
            }
            self.pass(1);
        }
        panic!("the world does not come to rest");
    }

    fn is_quiet(&self) -> bool {
        let links = self.net.links.iter().zip(&self.clients);
        self.is_mail_gone()
            && self.shards.iter().all(|shard| !shard.is_dirty() && !shard.is_ending())
            && self.is_settled()
            && links.filter(|(link, _)| link.closed_ms.is_none()).all(|(link, _)| {
                let still = !link.is_readable() && !link.owed_writable && link.down.is_empty();
                still && !link.paused
            })
    }

    /// Whether nothing is between shards, and the server side awaits nothing.
    pub fn is_settled(&self) -> bool {
        let awaits = !(self.tickets.is_empty() && self.said.is_empty() && self.reports.is_empty());
        !awaits && self.is_mail_gone()
    }

    fn is_mail_gone(&self) -> bool {
        self.mailboxes.iter().all(|mailbox| mailbox.is_empty())
            && self.metrics.iter().all(|metrics| metrics.mails_spilled.get() == 0)
    }

    /// Once all is read: nothing is missing, nothing is left over, the counters are right.
    fn judge(&mut self) {
        self.note(|| "judgement".into());
        for (number, client) in self.clients.iter().enumerate().filter(|it| it.1.is_live()) {
            let mut said = client.said.iter();
            assert!(
                said.all(|it| matches!(it, Said::Send(_))),
                "client {number}: {:?}",
                client.said
            );
            assert!(client.echoes.is_empty() || self.setting.rated, "client {number}");
            assert!(client.requests.is_empty(), "client {number}: {:?}", client.requests);
            assert!(client.asks.is_empty(), "client {number} has no answer to {:?}", client.asks);
            let inbox = format!("user.{}.inbox", client.user.as_deref().unwrap_or_default());
            for topic in client.view.keys().filter(|topic| topic.starts_with("user.")) {
                assert_eq!(*topic, inbox, "client {number} is somebody else by now");
            }
        }
        self.judge_gauges();
        let missing = self.missing();
        let count = |counter: fn(&shardwire::metrics::ShardMetrics) -> u64| -> u64 {
            self.metrics.iter().map(|metrics| counter(metrics)).sum()
        };
        let dropped_live = count(|it| {
            it.dropped_oldest_total.get()
                + it.dropped_newest_total.get()
                + it.dropped_conflated_total.get()
        });
        assert!(missing <= dropped_live, "{missing} messages missing, {dropped_live} dropped");
        assert!(dropped_live == 0 || self.setting.slow != SlowConsumerPolicy::Disconnect);
        let dropped = dropped_live + count(|it| it.dropped_disconnect_total.get());
        let received = self.clients.iter().map(|it| it.received.len() as u64 + it.heard);
        let received: u64 = received.sum();
        let queued = count(|it| it.deliveries_total.get());
        assert!(received <= queued);
        if !self.lossy {
            assert_eq!(queued, received + dropped, "queued = received + dropped");
        }
        self.judge_addressed(dropped);
        for message in &self.ledger.messages {
            assert!(message.fate != Fate::Refused || message.received == 0);
            if let Publisher::Server(_) = message.by
                && message.fate == Fate::Taken
            {
                let delivered = message.delivered.expect("settled");
                assert!(message.received <= delivered);
                assert!(message.received == delivered || self.lossy || dropped > 0);
            }
        }
        self.judge_orders();
    }

    /// Who is disconnected goes; that others do not hear the code is seen where it is heard.
    fn judge_disconnect(&mut self) {
        let (to, told) = self.disconnect_at_rest();
        let live = self.clients.iter().enumerate().filter(|it| it.1.is_live());
        let meant = live.filter(|it| to.means(it.0, it.1)).map(|it| it.0);
        let meant: Vec<usize> = meant.collect();
        assert_eq!(told, meant.len() as u64, "{to:?}");
        self.rest();
        let stays = meant.iter().find(|number| self.clients[**number].is_live());
        assert_eq!(stays, None, "{to:?}");
    }

    fn judge_gauges(&self) {
        for (shard, metrics) in (0..self.setting.shards).zip(&self.metrics) {
            let here = self.net.of_shard(shard);
            let clients = || here.iter().map(|number| &self.clients[*number]);
            assert_eq!(metrics.connections.get(), here.len() as u64);
            let live = || clients().filter(|client| client.is_live());
            let authenticated = live().filter(|client| client.user.is_some()).count() as u64;
            // Who was told to go may not have heard that its token was good.
            let going = (here.len() - live().count()) as u64;
            let counted = metrics.connections_authenticated.get();
            assert!((authenticated..=authenticated + going).contains(&counted));
            let subscriptions: usize = live().map(|client| client.view.len()).sum();
            assert_eq!(metrics.subscriptions.get(), subscriptions as u64);
            let names: BTreeSet<&String> = live().flat_map(|client| client.view.keys()).collect();
            let patterns = names.iter().filter(|name| name.contains('*')).count();
            assert_eq!(metrics.patterns.get(), patterns as u64);
            assert_eq!(metrics.topics.get(), (names.len() - patterns) as u64);
            assert_eq!((metrics.outbox_bytes.get(), metrics.outbox_connections.get()), (0, 0));
        }
    }

    /// Messages that a live client was promised and did not get.
    fn missing(&self) -> u64 {
        let topics: Vec<Vec<&str>> =
            self.setting.topics.iter().map(|topic| topic.split('.').collect()).collect();
        let mut missing = 0;
        for (number, client) in self.clients.iter().enumerate().filter(|it| it.1.is_live()) {
            let received: BTreeSet<usize> = client.received.iter().copied().collect();
            let mut since = vec![u64::MAX; topics.len()];
            for (pattern, at) in &client.view {
                let pattern: Vec<&str> = pattern.split('.').collect();
                for (topic, since) in topics.iter().zip(&mut since) {
                    if matches(&pattern, topic) {
                        *since = (*since).min(*at);
                    }
                }
            }
            for (at, message) in self.ledger.messages.iter().enumerate() {
                let promised = message.fate == Fate::Taken
                    && message.at > since[message.topic]
                    && (message.echo || message.by != Publisher::Client(number));
                if promised && !received.contains(&at) {
                    missing += 1;
                    self.note(|| format!("client {number} misses message {at}"));
                }
            }
            for (at, said) in self.ledger.addressed.iter().enumerate() {
                let promised = said.code.is_none() && said.must_reach(number, client);
                if promised && !said.reached.contains(&number) {
                    missing += 1;
                    self.note(|| format!("client {number} misses announcement {at}"));
                }
            }
        }
        missing
    }

    fn judge_orders(&self) {
        for (topic, name) in self.setting.topics.iter().enumerate() {
            if !Setting::has_history(name) {
                continue;
            }
            let of_topic = |number: &usize| self.ledger.messages[*number].topic == topic;
            let seen: Vec<Vec<usize>> = self
                .clients
                .iter()
                .map(|client| client.received.iter().copied().filter(of_topic).collect())
                .collect();
            // A history that grew old begins another epoch; runs are shorter but for jumps.
            let one_epoch = self.now.mono_ms < 10_000;
            self.ledger.check_order(topic, &seen, one_epoch);
        }
    }

    /// Drains, amid whatever goes on, until nobody is left and nothing is.
    fn end(&mut self) {
        self.drain();
        let gone_by_ms = self.gone_by_ms.expect("it drains");
        while self.now.mono_ms < gone_by_ms {
            self.step();
            if self.random.is_over() {
                self.pass(100);
            } else if self.random.one_in(4) {
                let ms = self.random.below(300);
                self.pass(ms);
            }
        }
        self.note(|| "the end".into());
        // A tick for the last deadline, and another for what came in the last one.
        for _ in 0..3 {
            self.pass(TICK_MS);
            (0..self.setting.shards).for_each(|shard| self.turn(shard, true));
        }
        for _ in 0..ROUNDS_MAX {
            if self.is_mail_gone() {
                break;
            }
            (0..self.setting.shards).for_each(|shard| self.turn(shard, true));
        }
        for number in 0..self.clients.len() {
            self.listen(number, true);
        }
        for (shard, mailbox) in self.shards.iter().zip(self.mailboxes.iter()) {
            shard.check_empty(self.now);
            assert!(mailbox.is_empty() && shard.is_draining() && !shard.is_congested());
        }
        assert!(self.clients.iter().all(|client| client.over), "someone is still connected");
        assert!(self.is_settled(), "someone still waits for a settlement");
        for topic in &self.setting.topics {
            assert!(self.interest.shards(topic, name_hash(topic)).is_empty());
        }
    }
}

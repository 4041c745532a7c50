//! Plays a scene: real shards with real mailboxes, in virtual time, driven as `node/` does.
//!
//! After each line everything comes to rest, so what a client hears next is one thing. Nothing may
//! be heard that the transcript does not have.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use shardwire::announcement;
use shardwire::audience::Audience;
use shardwire::auth::{Asked, Question};
use shardwire::close::Close;
use shardwire::config::Dialect;
use shardwire::connection::{Address, ConnectionId};
use shardwire::interest::Interest;
use shardwire::mail::{Answer, Delivery, Mail};
use shardwire::mailbox::{Mailbox, Wake};
use shardwire::message::{Position, Publication};
use shardwire::metrics::ShardMetrics;
use shardwire::shard::{Arrival, Parts, Policy, Settled, Shard};
use shardwire::sid::{NotSecret, SID_CHARS};
use shardwire::time::{Now, Timestamp};

use super::client::{Client, Sockets};
use super::script::{self, Entry, Line, SERVER, word};
use super::setting::{self, Setting};

/// The wall clock when a scene begins: 2026-01-31T12:00:00.000Z.
const START_WALL_MS: u64 = 1_769_860_800_000;
/// The node's number in the ids of connections.
const NODE: u64 = 0x1;
/// Rounds after which the shards must have come to rest.
const ROUNDS_MAX: usize = 1000;
/// Everyone's address.
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Nobody sleeps here.
struct Awake;

impl Wake for Awake {
    fn wake(&self) {}
}

/// One scene while it is played.
struct Player {
    policy: Arc<Policy>,
    shards: Vec<Shard>,
    mailboxes: Arc<[Arc<Mailbox>]>,
    clients: Vec<Client>,
    /// Names of tokens, and their texts.
    tokens: Vec<(String, String)>,
    /// Names that lines gave to the names that shards made, and these.
    made: Vec<(String, String)>,
    /// What the webhook was asked and has not answered.
    asked: VecDeque<Asked>,
    /// What the server side was told.
    told: VecDeque<String>,
    now: Now,
}

/// Plays all scenes of a transcript.
///
/// # Errors
/// Where it goes another way, with the line.
pub fn play(text: &str) -> Result<(), String> {
    let lines: Vec<(usize, &str)> = (1..).zip(text.lines().map(str::trim_end)).collect();
    let mut played = 0;
    for scene in lines.split(|(_, line)| line.starts_with("== ")) {
        let speaks = |(_, line): &&(usize, &str)| !line.is_empty() && !line.starts_with('#');
        let scene: Vec<_> = scene.iter().filter(speaks).copied().collect();
        if let Some(&(last, _)) = scene.last() {
            play_scene(&scene, last)?;
            played += 1;
        }
    }
    if played == 0 { Err("no scene".into()) } else { Ok(()) }
}

fn play_scene(scene: &[(usize, &str)], last: usize) -> Result<(), String> {
    let at = |number: usize, why: String| format!("line {number}: {why}");
    let mut setting = Setting::default();
    let mut lines = scene.iter().peekable();
    while let Some(&&(number, text)) = lines.peek()
        && let Some(Line::Set { name, value }) = script::line(text)
    {
        setting.set(name, value).map_err(|why| at(number, why))?;
        lines.next();
    }
    let mut player = Player::new(&setting);
    for &(number, text) in lines {
        player.play(text).map_err(|why| at(number, why))?;
    }
    player.nothing_unsaid().map_err(|why| at(last, format!("at the end {why}")))
}

impl Player {
    fn new(setting: &Setting) -> Self {
        let now = Now { mono_ms: 0, wall: Timestamp(START_WALL_MS) };
        let policy = Arc::new(setting::policy(setting));
        let mailboxes: Arc<[_]> =
            (0..setting.shards).map(|_| Mailbox::new(Box::new(Awake))).collect();
        let interest = Interest::new();
        let metrics: Arc<[_]> = (0..setting.shards).map(|_| ShardMetrics::new()).collect();
        let parts = |id: u8| Parts {
            id,
            mailboxes: Arc::clone(&mailboxes),
            interest: Arc::clone(&interest),
            policy: Arc::clone(&policy),
            metrics: Arc::clone(&metrics[usize::from(id)]),
            seed: u64::from(id),
            node: NODE,
            all_metrics: Arc::clone(&metrics),
            secrets: Box::new(NotSecret(1)),
        };
        let shards = (0..setting.shards).map(|id| Shard::new(parts(id), now)).collect();
        let (clients, tokens, made, asked, told) = Default::default();
        Self { policy, shards, mailboxes, clients, tokens, made, asked, told, now }
    }

    fn play(&mut self, text: &str) -> Result<(), String> {
        let text = self.fill(text)?;
        let line = script::line(&text).ok_or_else(|| format!("is no line: {text}"))?;
        if let Line::Hears { client, text } = line {
            return self.hears(client, text);
        }
        self.nothing_unsaid()?;
        match line {
            Line::Hears { .. } => {}
            Line::Set { .. } => return Err("a setting stands ahead of all else".into()),
            Line::Token { name, claims } => {
                let claims = serde_json::from_str(claims).map_err(|it| it.to_string())?;
                self.tokens.push((name.into(), setting::token(&claims)));
            }
            Line::Opens { client, path, shard, how } => self.opens(client, path, shard, &how)?,
            Line::Says { client, frame } => self.client(client)?.say(&frame),
            Line::Leaves { client } => {
                let client = self.client(client)?;
                client.left = true;
                let (shard, key) = (client.shard, client.key);
                self.shards[usize::from(shard)].gone(key);
            }
            Line::Does { act, rest } => self.does(act, rest)?,
            Line::Passes { ms } => self.pass(ms)?,
        }
        self.rest()
    }

    /// Puts in what `${token}`, `@{client}` and `?{name}` stand for, the last where it has been
    /// heard.
    fn fill(&self, text: &str) -> Result<String, String> {
        let tokens =
            self.tokens.iter().map(|(name, token)| (format!("${{{name}}}"), token.clone()));
        let ids = self.clients.iter().map(|it| (format!("@{{{}}}", it.name), it.id.to_string()));
        let made = self.made.iter().map(|(name, text)| (format!("?{{{name}}}"), text.clone()));
        let filled = tokens
            .chain(ids)
            .chain(made)
            .fold(text.to_owned(), |text, (name, is)| text.replace(&name, &is));
        let open = filled.contains("${") || filled.contains("@{");
        if open { Err(format!("names what is not there: {filled}")) } else { Ok(filled) }
    }

    fn client(&mut self, name: &str) -> Result<&mut Client, String> {
        let found = self.clients.iter_mut().find(|client| client.name == name);
        found.ok_or_else(|| format!("nobody is called {name}"))
    }

    fn opens(&mut self, name: &str, path: &str, shard: u8, how: &Entry<'_>) -> Result<(), String> {
        let endpoint = self.policy.endpoints.iter().position(|it| it.path == path);
        let endpoint = endpoint.ok_or_else(|| format!("there is no endpoint {path}"))?;
        if self.clients.iter().any(|client| client.name == name) || name == SERVER {
            return Err(format!("{name} is there already"));
        }
        let dialect = self.policy.endpoints[endpoint].dialect;
        let mut arrival = Arrival::new(endpoint as u8, ADDRESS);
        match *how {
            Entry::Anonymous => {}
            Entry::Refused if dialect == Dialect::SocketIo => arrival.bad_token = true,
            Entry::Refused => arrival.refused = Some(Close::AuthRefused),
            Entry::With(token) => {
                let verifier = self.policy.verifier.as_ref().expect("there is a secret");
                let identity = verifier.verify(token, self.now.wall);
                arrival.identity = Some(identity.map_err(|it| it.to_string())?);
            }
        }
        let at = self.shards.get_mut(usize::from(shard)).ok_or("there is no such shard")?;
        let key = at.open(self.now, arrival);
        let id = ConnectionId { node: NODE, at: Address { shard, conn: key } };
        self.clients.push(Client::new(name, shard, key, id));
        Ok(())
    }

    /// The server side does something, always at the first shard.
    fn does(&mut self, act: &str, rest: &str) -> Result<(), String> {
        let at = self.now.wall;
        if let "allow" | "deny" = act {
            let asked = self.asked.pop_front().ok_or("the webhook is not asked")?;
            let answer = Ok(Answer { allowed: act == "allow", ttl_ms: 0 });
            self.shards[usize::from(asked.shard)].answered(self.now, asked.ticket, answer);
            return Ok(());
        }
        let first = &mut self.shards[0];
        let done = match act {
            "publish" => {
                let (topic, data) = word(rest);
                first.publish(self.now, &Publication::of_server(topic, data, at))
            }
            "event" => {
                let (topic, rest) = word(rest);
                let (event, data) = word(rest);
                let publication = Publication::of_server(topic, data, at);
                first.publish(self.now, &Publication { event: Some(event), ..publication })
            }
            "notify" => {
                let (user, message) = word(rest);
                let audience = Audience::User { tenant: None, user: user.into() };
                let topic = announcement::topic_of(&audience);
                let publication = announcement::publication(&topic, message, at);
                first.announce(self.now, &publication, &Arc::new(audience))
            }
            "say" => {
                let audience = Audience::Everyone;
                let topic = announcement::topic_of(&audience);
                let publication = announcement::publication(&topic, rest, at);
                first.announce(self.now, &publication, &Arc::new(audience))
            }
            // To the members of a channel, as it stands.
            "send" => {
                let (topic, frame) = word(rest);
                let publication = Publication::of_server(topic, frame, at);
                first.publish(self.now, &Publication { verbatim: Some(frame), ..publication })
            }
            "broadcast" => {
                let publication = Publication::of_server("broadcast", rest, at);
                let publication = Publication { verbatim: Some(rest), ..publication };
                first.announce(self.now, &publication, &Arc::new(Audience::Everyone))
            }
            "drain" => {
                let (told_by_ms, gone_by_ms) = (self.now.mono_ms + 1, self.now.mono_ms + 10_000);
                for mailbox in &*self.mailboxes {
                    let mail = Mail::from(Delivery::Drain { told_by_ms, gone_by_ms });
                    mailbox.push(mail).map_err(|_| "a mailbox is full")?;
                }
                return Ok(());
            }
            _ => return Err(format!("the server side cannot {act}")),
        };
        if let Err(refusal) = done {
            self.told.push_back(format!("refused: {refusal}"));
        }
        Ok(())
    }

    fn hears(&mut self, name: &str, expected: &str) -> Result<(), String> {
        let heard = match name {
            SERVER => &mut self.told,
            _ => &mut self.client(name)?.heard,
        };
        match heard.pop_front() {
            Some(text) if text == expected => Ok(()),
            Some(text) if expected.contains("?{") => self.makes_out(name, expected, &text),
            Some(text) => {
                Err(format!("{name} hears other than it says\n  has  {expected}\n  hears {text}"))
            }
            None => Err(format!("{name} hears nothing\n  has  {expected}")),
        }
    }

    /// Takes what stands for `?{name}`, which a shard made, out of what was heard.
    fn makes_out(&mut self, by: &str, expected: &str, heard: &str) -> Result<(), String> {
        let (mut line, mut text) = (expected.to_owned(), heard);
        while let Some((before, rest)) = line.split_once("?{") {
            let (name, behind) = rest.split_once('}').ok_or("a name has no end")?;
            let made = text.strip_prefix(before).and_then(|text| text.get(..SID_CHARS));
            let Some(made) = made else { break };
            text = &text[before.len() + SID_CHARS..];
            self.made.push((name.into(), made.into()));
            line = behind.replace(&format!("?{{{name}}}"), made);
        }
        if line == text {
            return Ok(());
        }
        Err(format!("{by} hears other than it says\n  has  {expected}\n  hears {heard}"))
    }

    /// That all that was heard is in the transcript.
    fn nothing_unsaid(&self) -> Result<(), String> {
        let clients = self.clients.iter().map(|client| (&*client.name, &client.heard));
        for (name, heard) in clients.chain([(SERVER, &self.told)]) {
            if let Some(text) = heard.front() {
                return Err(format!("{name} has heard more\n  hears {text}"));
            }
        }
        Ok(())
    }

    /// Time goes by, and stops at each deadline.
    fn pass(&mut self, ms: u64) -> Result<(), String> {
        let until_ms = self.now.mono_ms + ms;
        loop {
            let due = self.shards.iter().filter_map(Shard::next_deadline_ms).min();
            let to_ms = due.unwrap_or(u64::MAX).clamp(self.now.mono_ms, until_ms);
            self.now.wall.0 += to_ms - self.now.mono_ms;
            self.now.mono_ms = to_ms;
            self.rest()?;
            if to_ms == until_ms {
                return Ok(());
            }
        }
    }

    /// Lets every shard work until nothing moves any more.
    fn rest(&mut self) -> Result<(), String> {
        for _ in 0..ROUNDS_MAX {
            let mut moved = false;
            for shard in 0..self.shards.len() {
                moved |= self.turn(shard);
            }
            if !moved {
                for shard in &self.shards {
                    shard.check(self.now);
                }
                return Ok(());
            }
        }
        Err("the shards do not come to rest".into())
    }

    /// A turn of a shard; whether there was anything to do.
    fn turn(&mut self, id: usize) -> bool {
        let Self { shards, mailboxes, clients, asked, told, now, .. } = self;
        let (shard, now) = (&mut shards[id], *now);
        let number = id as u8;
        let mut moved = !mailboxes[id].is_empty();
        shard.take_mail(now, &mut Sockets { clients, shard: number });
        for at in 0..clients.len() {
            let client = &mut clients[at];
            let there = client.shard == number && !client.closed && !client.up.is_empty();
            if there && shard.reads(client.key) {
                moved = true;
                let (key, mut bytes) = (client.key, std::mem::take(&mut client.up));
                let taken =
                    shard.read(now, key, &mut bytes, &mut Sockets { clients, shard: number });
                clients[at].up = bytes.split_off(taken);
            }
        }
        if shard.next_deadline_ms().is_some_and(|due| due <= now.mono_ms) {
            moved = true;
            shard.advance(now, &mut Sockets { clients, shard: number });
        }
        moved |= shard.is_dirty() || shard.is_ending() || shard.has_unsent_mail();
        shard.flush(now, &mut Sockets { clients, shard: number });
        while let Some(Settled { delivered, position, .. }) = shard.settled() {
            moved = true;
            told.push_back(match position {
                None => format!("delivered {delivered}"),
                Some(Position { offset, .. }) => format!("delivered {delivered} offset {offset}"),
            });
        }
        while let Some(question) = shard.question() {
            moved = true;
            let Question { action, topic, .. } = &*question.question;
            told.push_back(format!("asks {} {topic}", action.word()));
            asked.push_back(question);
        }
        while shard.resumed().is_some() {
            moved = true;
        }
        moved
    }
}

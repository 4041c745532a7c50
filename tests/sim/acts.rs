//! What clients do, sensible and not.

use serde_json::json;

use super::client::Ask;
use super::frames::{CLOSE, CONTINUATION, PING, TEXT, put_frame};
use super::ledger::{Fate, Published, Publisher};
use super::setting::{ADMIN, CHANNELS, ECHO, GUARDED, IDLE, OPEN, token};
use super::world::World;

/// Bytes that a client has on the way at most before it waits.
const UP_BYTES_MAX: usize = 32 << 10;
/// A frame of 1 MiB and more, of which only the header comes.
const TOO_LARGE: [u8; 14] = [0x81, 0xff, 0, 0, 0, 0, 1, 0, 0, 0, 1, 2, 3, 4];

impl World {
    /// A client does something.
    pub fn act(&mut self, number: usize) {
        let link = &self.net.links[number];
        let client = &self.clients[number];
        if client.over || client.close_sent || client.broken || link.up_ended || link.dead {
            return;
        }
        if link.up.len() > UP_BYTES_MAX {
            return;
        }
        match client.endpoint {
            CHANNELS => return self.act_in_channels(number),
            ECHO => return self.act_in_echo(number),
            ADMIN => return self.act_as_operator(number),
            _ => {}
        }
        match self.random.below(20) {
            0..=7 => self.send_message(number),
            8..=10 => self.subscribe(number),
            11 => self.unsubscribe(number),
            12 => self.ask(number, &mut json!({"type": "ping"}), Ask::Ping),
            13 => self.ping(number),
            14 => self.authenticate(number),
            15 | 16 => self.clients[number].reading = self.draw_reading(),
            17 if !self.setting.calm => self.ramble(number),
            18 if !self.setting.calm && self.random.one_in(4) => self.leave(number),
            _ => {}
        }
    }

    fn mask(&mut self) -> [u8; 4] {
        (self.random.below(1 << 32) as u32).to_be_bytes()
    }

    /// Sends a text, in a frame or several, with a ping in between or not.
    pub fn say(&mut self, number: usize, text: &str) {
        // A binary frame is read like a text frame.
        let opcode = if self.random.one_in(10) { 2 } else { TEXT };
        self.say_as(number, opcode, text);
    }

    pub fn say_as(&mut self, number: usize, opcode: u8, text: &str) {
        self.note(|| format!("client {number} says {text:.160}"));
        let (mut rest, mut first) = (text.as_bytes(), true);
        while first || !rest.is_empty() {
            let fragmented = self.random.one_in(6);
            let cut = if fragmented {
                self.random.below(rest.len() as u64 + 1) as usize
            } else {
                rest.len()
            };
            let (piece, behind) = rest.split_at(cut);
            let mask = self.mask();
            let opcode = if first { opcode } else { CONTINUATION };
            let up = &mut self.net.links[number].up;
            put_frame(up, behind.is_empty(), opcode, mask, piece);
            (rest, first) = (behind, false);
            if !rest.is_empty() && self.random.one_in(2) {
                self.ping(number);
            }
        }
    }

    /// Sends a request with an id.
    fn ask(&mut self, number: usize, request: &mut serde_json::Value, ask: Ask) {
        let client = &mut self.clients[number];
        client.next_id += 1;
        let id = client.next_id;
        request["id"] = id.into();
        client.asks.insert(id, ask);
        self.say(number, &request.to_string());
    }

    fn send_message(&mut self, number: usize) {
        let (message, at) = (self.ledger.messages.len(), self.ledger.tick());
        let (data, metadata) = self.content(message);
        let topic = self.random.below(self.setting.topics.len() as u64) as usize;
        let name = &self.setting.topics[topic];
        let echo = !self.random.one_in(4);
        let client = &mut self.clients[number];
        let silent = client.endpoint == OPEN && !self.setting.rated && self.random.one_in(3);
        let id = if silent {
            client.silent.entry(client.next_id + 1).or_default().push(message);
            String::new()
        } else {
            client.next_id += 1;
            client.asks.insert(client.next_id, Ask::Publish(message));
            format!("\"id\":{},", client.next_id)
        };
        let text = format!(
            "{{\"type\":\"message\",{id}\"topic\":\"{name}\",\"echo\":{echo},\"data\":{data},\
             \"metadata\":{{{metadata}}}}}"
        );
        let user = client.user_to_be.clone();
        self.ledger.messages.push(Published {
            topic,
            by: Publisher::Client(number),
            at,
            echo,
            metadata: true,
            fate: Fate::Unknown,
            offset: None,
            epoch: None,
            user,
            received: 0,
            delivered: None,
        });
        self.say(number, &text);
    }

    fn subscribe(&mut self, number: usize) {
        let mut topics = vec![self.random.pick(&self.setting.patterns)];
        if self.clients[number].endpoint == GUARDED && self.random.one_in(3) {
            let user = self.clients[number].user.clone().unwrap_or("nobody".into());
            topics = vec![format!("user.{user}.inbox")];
        }
        while self.random.one_in(4) {
            topics.push(self.random.pick(&self.setting.patterns));
        }
        let mut request = match &topics[..] {
            [topic] => json!({"type": "subscribe", "topic": topic}),
            topics => json!({"type": "subscribe", "topics": topics}),
        };
        self.ask(number, &mut request, Ask::Subscribe(topics.into()));
    }

    fn unsubscribe(&mut self, number: usize) {
        let known: Vec<String> = self.clients[number].view.keys().cloned().collect();
        let topic = if known.is_empty() {
            self.random.pick(&self.setting.patterns)
        } else {
            self.random.pick(&known)
        };
        let mut request = json!({"type": "unsubscribe", "topics": [topic]});
        self.ask(number, &mut request, Ask::Unsubscribe([topic].into()));
    }

    pub fn ping(&mut self, number: usize) {
        let payload = vec![b'p'; self.random.below(126) as usize];
        let mask = self.mask();
        put_frame(&mut self.net.links[number].up, true, PING, mask, &payload);
        self.clients[number].pings.push_back(payload);
    }

    fn authenticate(&mut self, number: usize) {
        let client = &self.clients[number];
        let bad = !self.setting.calm && self.random.one_in(6);
        let short = !bad && !self.setting.calm && self.random.one_in(6);
        let again = client.user.clone().filter(|_| !self.random.one_in(4));
        let user = again.unwrap_or_else(|| self.draw_user());
        let tenant = self.draw_tenant();
        let seconds = if short { self.now.mono_ms / 1000 + 1 } else { 100_000 };
        let token = if bad && self.random.one_in(2) {
            "x.y.z".into()
        } else {
            token(&user, if bad { Some(IDLE) } else { tenant.as_deref() }, seconds)
        };
        let client = &mut self.clients[number];
        // A short one may be over when it arrives.
        client.bad_tokens += u8::from(bad || short);
        let certain = !short && !self.setting.rated;
        if !bad {
            client.user_to_be = certain.then(|| Some(user.clone()));
        }
        let user = (!bad).then_some((tenant, user));
        let mut request = json!({"type": "auth", "token": token});
        self.ask(number, &mut request, Ask::Auth { user, short });
    }

    /// Says what makes no sense, or breaks the protocol.
    fn ramble(&mut self, number: usize) {
        let mut nonsense = match self.random.below(8) {
            0 => json!({"type": "no such type"}),
            1 => json!({"type": "subscribe", "topic": "a..b"}),
            2 => json!({"type": "message", "topic": "a.*", "data": 1}),
            3 => json!({"type": "message", "topic": "a.b"}),
            4 | 5 => {
                self.clients[number].rambled = true;
                let text =
                    self.random.pick(&["", "{", "[1]", "{\"type\":\"ping\",\"type\":1}", "7"]);
                return self.say(number, text);
            }
            _ if self.random.one_in(3) => return self.break_protocol(number),
            _ => return,
        };
        if self.clients[number].endpoint == OPEN {
            self.ask(number, &mut nonsense, Ask::Nonsense);
        }
    }

    pub fn break_protocol(&mut self, number: usize) {
        self.note(|| format!("client {number} breaks the protocol"));
        self.clients[number].broken = true;
        let mask = self.mask();
        let up = &mut self.net.links[number].up;
        match self.random.below(4) {
            0 => up.extend(b"\x81\x02{}"),
            1 => put_frame(up, true, CONTINUATION, mask, b"{}"),
            2 => put_frame(up, true, TEXT, mask, b"\"\xff\xff\""),
            _ => up.extend(TOO_LARGE),
        }
    }

    pub fn leave(&mut self, number: usize) {
        let way = self.random.below(3);
        self.note(|| format!("client {number} leaves, way {way}"));
        let mask = self.mask();
        let link = &mut self.net.links[number];
        match way {
            0 => {
                put_frame(&mut link.up, true, CLOSE, mask, &1000_u16.to_be_bytes());
                self.clients[number].close_sent = true;
            }
            1 => link.up_ended = true,
            _ => {
                link.die();
                self.clients[number].over = true;
                self.lossy = true;
            }
        }
    }
}

//! From a socket's bytes to the audience, and its answers back: one read, one send.
//!
//! Each read goes through TLS where there is any, then is the handshake's answer or frames. All
//! that one read leads to, pongs and the audience's answers alike, goes out in one piece.

use std::mem;

use super::handshake::{self, Answer};
use super::hearing::{Hearer, Over, scratch};
use super::sending::{Fate, NO_CODE};
use super::slot::{Key, Stage};
use super::socket::{self, Read};
use super::tls::{Secured, Session};
use super::{Audience, Swarm, UNFINISHED_BYTES_ALL_MAX};
use crate::load::dialect::Words;
use crate::wire::frame::OpCode;

impl Swarm {
    /// The kernel has decided about a connection that was asked for.
    pub(super) fn connected(&mut self, connection: u32, audience: &mut impl Audience) {
        let slot = &mut self.slots[connection as usize];
        if let Some(error) = slot.socket.as_ref().and_then(socket::fault) {
            return self.fail(connection, &error);
        }
        let Some(security) = &self.security else {
            let mut answer = mem::take(&mut self.answer);
            self.ask(connection, audience, &mut answer);
            self.answer(connection, &answer);
            self.answer = scratch(answer);
            return;
        };
        match Session::new(security) {
            Ok(session) => {
                slot.rare().tls = Some(Box::new(session));
                slot.stage = Stage::Securing;
                self.received(connection, &mut [], audience);
            }
            Err(error) => self.fail(connection, &error),
        }
    }

    /// Appends the request of the WebSocket handshake.
    fn ask(&mut self, connection: u32, audience: &impl Audience, answer: &mut Vec<u8>) {
        self.slots[connection as usize].stage = Stage::Asking;
        let offer = self.compression.then_some(handshake::OFFER);
        self.dialect.handshake(&audience.who(connection), handshake::KEY, offer, answer);
    }

    /// Reads a connection once, at most so many bytes, and lets happen what they bring.
    pub(super) fn read(&mut self, key: Key, bytes_max: usize, audience: &mut impl Audience) {
        let connection = key.connection;
        let slot = &mut self.slots[connection as usize];
        let kept = slot.tls().map_or(0, |session| session.kept_bytes());
        let Some(socket) = &slot.socket else { return };
        let mut buffer = mem::take(&mut self.buffer);
        let end = kept.saturating_add(bytes_max).min(buffer.len());
        match socket::read(socket, &mut buffer[kept..end]) {
            Read::Bytes(bytes) => {
                #[cfg(test)]
                {
                    self.bytes_read += bytes as u64;
                }
                let more = slot.hung_up || kept + bytes == end;
                if let Some(slow) = slot.slow() {
                    slow.spend(bytes);
                } else if more {
                    self.again.push(key);
                }
                self.received(connection, &mut buffer[..kept + bytes], audience);
            }
            Read::Nothing => {}
            Read::End => self.hung_up(connection),
            Read::Lost(error) => self.fail(connection, &error),
        }
        self.buffer = buffer;
    }

    /// The server has closed without a close frame, or after its connection was over anyway.
    fn hung_up(&mut self, connection: u32) {
        match self.slots[connection as usize].stage {
            Stage::None => {}
            Stage::Open => self.end(connection, Fate::Ended(NO_CODE)),
            _ => self.fail(connection, &"the server closed the connection"),
        }
    }

    /// Bytes have come; with TLS, behind those that it kept.
    pub(super) fn received(
        &mut self,
        connection: u32,
        bytes: &mut [u8],
        audience: &mut impl Audience,
    ) {
        let mut answer = mem::take(&mut self.answer);
        let over = if self.security.is_some() {
            self.unseal(connection, bytes, audience, &mut answer)
        } else {
            self.take(connection, bytes, audience, &mut answer)
        };
        if let Some(over) = over {
            let code = over.reply().map(u16::to_be_bytes);
            let payload = code.as_ref().map_or(&[][..], |code| code);
            Words::new(&mut answer, Swarm::KEY).frame(OpCode::Close, payload);
        }
        if !answer.is_empty() {
            self.answer(connection, &answer);
        }
        self.answer = scratch(answer);
        if let Some(over) = over {
            self.part(connection, over);
        }
        self.bound_unfinished(connection);
    }

    /// What a connection keeps of what is not whole were so many bytes, and are others now.
    fn kept(&mut self, connection: u32, before: usize) {
        self.unfinished = self.unfinished - before + self.slots[connection as usize].unfinished();
    }

    /// Ends the connection if all together keep too much and it has a part in that.
    fn bound_unfinished(&mut self, connection: u32) {
        let is_too_much = self.unfinished > UNFINISHED_BYTES_ALL_MAX;
        if is_too_much && self.slots[connection as usize].unfinished() > 0 {
            let why = format_args!(
                "the load keeps over {UNFINISHED_BYTES_ALL_MAX} bytes of messages that are not whole"
            );
            self.fail(connection, &why);
        }
    }

    /// Both sides have said that it is over.
    fn part(&mut self, connection: u32, over: Over) {
        let slot = &self.slots[connection as usize];
        if slot.stage == Stage::None {
            return;
        }
        let key = Key { connection, generation: slot.generation };
        let code = match over {
            Over::Closed(code) => code.unwrap_or(NO_CODE),
            Over::Broken(violation) => {
                self.note(format!("the server broke the protocol: {violation}"));
                NO_CODE
            }
        };
        // Frames that wait nobody would hear any more: they are not sent, and nothing behind them.
        if self.slots[connection as usize].unsent() == 0 {
            self.say_goodbye(key, None);
        }
        self.end(connection, Fate::Ended(code));
    }

    fn unseal(
        &mut self,
        connection: u32,
        records: &mut [u8],
        audience: &mut impl Audience,
        answer: &mut Vec<u8>,
    ) -> Option<Over> {
        let slot = &mut self.slots[connection as usize];
        let before = slot.unfinished();
        let session = slot.tls()?;
        let (mut plain, mut sealed) = (mem::take(&mut self.plain), mem::take(&mut self.sealed));
        let secured = session.receive(records, &mut plain, &mut sealed);
        self.kept(connection, before);
        if !sealed.is_empty() {
            self.answer_sealed(connection, &sealed);
        }
        self.sealed = scratch(sealed);
        let securing = self.slots[connection as usize].stage == Stage::Securing;
        if securing && matches!(secured, Ok(Secured::Yes)) {
            self.ask(connection, audience, answer);
        }
        let over = self.take(connection, &mut plain, audience, answer);
        self.plain = scratch(plain);
        match secured {
            Err(error) => self.fail(connection, &format_args!("TLS: {error}")),
            Ok(Secured::Over) if over.is_none() => self.hung_up(connection),
            Ok(_) => {}
        }
        over
    }

    /// Takes bytes of the server that are no longer sealed: the handshake's answer, then frames.
    fn take(
        &mut self,
        connection: u32,
        bytes: &mut [u8],
        audience: &mut impl Audience,
        answer: &mut Vec<u8>,
    ) -> Option<Over> {
        if bytes.is_empty() {
            return None;
        }
        match self.slots[connection as usize].stage {
            Stage::Open => self.hear(connection, bytes, false, audience, answer),
            Stage::Asking => self.answered(connection, bytes, audience, answer),
            _ => None,
        }
    }

    /// The answer to the handshake, or a piece of it, and perhaps the first frames.
    fn answered(
        &mut self,
        connection: u32,
        bytes: &mut [u8],
        audience: &mut impl Audience,
        answer: &mut Vec<u8>,
    ) -> Option<Over> {
        let slot = &mut self.slots[connection as usize];
        let before = slot.unfinished();
        let mut joined = slot.rare.as_deref_mut().map(|rare| mem::take(&mut rare.head));
        let bytes = match &mut joined {
            Some(head) if !head.is_empty() => {
                head.extend_from_slice(bytes);
                &mut head[..]
            }
            _ => bytes,
        };
        let answered = handshake::answer(bytes, self.compression);
        if matches!(answered, Ok(Answer::Partial)) {
            slot.rare().head = bytes.to_vec();
        }
        self.kept(connection, before);
        match answered {
            Ok(Answer::Partial) => None,
            Ok(Answer::Taken { head_bytes, compression }) => {
                let slot = &mut self.slots[connection as usize];
                (slot.stage, slot.compression) = (Stage::Open, compression);
                self.hear(connection, &mut bytes[head_bytes..], true, audience, answer)
            }
            Err(why) => {
                self.end(connection, Fate::Refused(why));
                None
            }
        }
    }

    /// Takes frames; before them comes the dialect's greeting where the connection is new.
    fn hear(
        &mut self,
        connection: u32,
        bytes: &mut [u8],
        is_new: bool,
        audience: &mut impl Audience,
        answer: &mut Vec<u8>,
    ) -> Option<Over> {
        audience.came();
        let slot = &mut self.slots[connection as usize];
        let before = slot.unfinished();
        let mut hearer = Hearer { dialect: &*self.dialect, who: audience.who(connection), answer };
        if is_new {
            self.ears.open(slot, &mut hearer);
        }
        let over = self.ears.frames(slot, bytes, &mut hearer);
        slot.trim();
        self.kept(connection, before);
        self.ears.tell(connection, audience, answer);
        over
    }
}

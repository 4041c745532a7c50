//! The suite of the stock client: what its tests ask of a server, each in its own event.
//!
//! Events whose point is that bytes come as bytes, or one behind the other, are answered only where
//! they did.

use serde_json::Value as Json;

use super::super::Said;
use super::{ABC, REFUSED};
use crate::shard::hub::Hub;
use crate::shard::role::Namespace;
use crate::sid::Sid;
use crate::time::Now;
use crate::wire::socketio::{self as dialect, Args, ROOT};

/// Events of whom it is noted that they came, by their bit.
const ABUFF1: u8 = 1;
const BLOB1: u8 = 1 << 1;
const BLOB2: u8 = 1 << 2;

/// An argument that stands for the bytes beside an event.
const PLACEHOLDER: &str = "{\"_placeholder\":true,\"num\":0}";
const BYTES: &[u8] = b"asdfasdf";

const TEXTS: [&str; 5] =
    ["\"てすと\"", "\"Я Б Г Д Ж Й\"", "\"Ä ä Ü ü ß\"", "\"utf8 — string\"", "\"utf8 — string\""];

impl Hub {
    pub(super) fn client_suite_refuses(
        &self,
        carrier: u32,
        namespace: Namespace,
    ) -> Option<&'static str> {
        let fails = || self.suite(carrier).and_then(|suite| suite.query("fail"));
        match namespace.name() {
            REFUSED => Some("Auth failed (custom namespace)"),
            ROOT if fails().is_some_and(|it| !it.is_empty()) => {
                Some("Auth failed (main namespace)")
            }
            _ => None,
        }
    }

    pub(super) fn enter_client_suite(&mut self, conn: u32, auth: &str) {
        self.keep_auth(conn, auth);
        if self.namespace(conn).map(Namespace::name) == Some(ABC) {
            let handshake = self.handshake(conn);
            self.emit_plain(conn, "handshake", &[&handshake]);
        }
    }

    pub(super) fn on_client_event(
        &mut self,
        now: Now,
        said: &Said<'_>,
        name: &str,
        args: &Args<'_>,
    ) {
        match (self.namespace(said.socket).map(Namespace::name), name) {
            (Some(ROOT | "/foo"), "getId") => {
                let name = self.sid(said.socket).map(Sid::chars).unwrap_or_default();
                let name = std::str::from_utf8(&name).expect("a name is ASCII");
                self.acknowledge_with(said, &format!("\"{name}\""));
            }
            (Some(ROOT), "getHandshake") => {
                let handshake = self.handshake(said.socket);
                self.acknowledge_with(said, &handshake);
            }
            (Some(ROOT), _) => {
                self.on_plain_event(now, said, name, args);
                self.on_bytes_event(said, name, args);
            }
            _ => {}
        }
    }

    /// The events that are about what is told and acknowledged.
    fn on_plain_event(&mut self, now: Now, said: &Said<'_>, name: &str, args: &Args<'_>) {
        let socket = said.socket;
        let date = format!("\"{}\"", now.wall);
        match name {
            "hi" => self.emit_plain(socket, "hi", &[]),
            "echo" => {
                let first = args.iter().next().map_or("null", |it| it.raw);
                self.acknowledge_with(said, first);
            }
            // What comes of it is heard by `on_client_ack`.
            "ack" => _ = self.ask_client(now, socket, "ack", &[]),
            "getAckDate" => self.acknowledge_with(said, &date),
            "getDate" => self.emit_plain(socket, "takeDate", &[&date]),
            "getDateObj" => {
                self.emit_plain(socket, "takeDateObj", &[&format!("{{\"date\":{date}}}")]);
            }
            "getUtf8" => {
                for text in TEXTS {
                    self.emit_plain(socket, "takeUtf8", &[text]);
                }
            }
            "false" => self.emit_plain(socket, "false", &["false"]),
            _ => {}
        }
    }

    /// Those that are about bytes.
    fn on_bytes_event(&mut self, said: &Said<'_>, name: &str, args: &Args<'_>) {
        let socket = said.socket;
        let first = args.iter().next().map_or("", |it| it.raw);
        let is_bytes = is_bytes(first, said);
        match name {
            "doge" => self.emit_bytes(socket, "doge"),
            "getbin" => self.emit_bytes(socket, "takebin"),
            "buffa" if is_bytes => self.emit_plain(socket, "buffack", &[]),
            "blob" if is_bytes => self.emit_plain(socket, "back", &[]),
            "jsonbuff" if is_mixed(first, said) => self.emit_plain(socket, "jsonbuff-ack", &[]),
            "jsonblob" if is_mixed(first, said) => self.emit_plain(socket, "jsonblob-ack", &[]),
            "abuff1" if is_bytes => self.note(socket, ABUFF1),
            "abuff2" if self.has_noted(socket, ABUFF1) => {
                self.emit_plain(socket, "abuff2-ack", &[]);
            }
            "blob1" if is_bytes => self.note(socket, BLOB1),
            "blob2" if first == "\"second\"" && self.has_noted(socket, BLOB1) => {
                self.note(socket, BLOB2);
            }
            "blob3" if is_bytes && self.has_noted(socket, BLOB1 | BLOB2) => {
                self.emit_plain(socket, "blob3-ack", &[]);
            }
            _ => {}
        }
    }

    pub(super) fn on_client_ack(&mut self, socket: u32, args: &str) {
        let args: Json = serde_json::from_str(args).unwrap_or_default();
        if args[0] == 5 && args[1]["test"] == true {
            self.emit_plain(socket, "got it", &[]);
        }
    }

    fn emit_plain(&mut self, socket: u32, name: &str, args: &[&str]) {
        self.emit_named(socket, None, name, args, &[]);
    }

    fn emit_bytes(&mut self, socket: u32, name: &str) {
        self.emit_named(socket, None, name, &[PLACEHOLDER], &[BYTES.into()]);
    }

    fn note(&mut self, socket: u32, bits: u8) {
        if let Some(suite) = self.suite_mut(self.carrier_of(socket)) {
            suite.heard |= bits;
        }
    }

    fn has_noted(&self, socket: u32, bits: u8) -> bool {
        let suite = self.suite(self.carrier_of(socket));
        suite.is_some_and(|suite| suite.heard & bits == bits)
    }
}

/// Whether an argument as written is bytes.
fn is_bytes(raw: &str, said: &Said<'_>) -> bool {
    let found = dialect::placeholders(raw, said.attachments.len() as u8).unwrap_or_default();
    found.first().is_some_and(|it| it.start == 0 && it.end == raw.len())
}

/// Whether one is the object that has bytes among its members.
fn is_mixed(raw: &str, said: &Said<'_>) -> bool {
    let json: Json = serde_json::from_str(raw).unwrap_or_default();
    let message = json["message"].to_string();
    json["hello"] == "lol" && is_bytes(&message, said) && json["goodbye"] == "gotcha"
}

//! Socket.IO: sockets, each one namespace on an engine.
//!
//! Called with the messages of an engine, one at a time, and when an engine ends. Here: which socket
//! a packet is for, and packets whose bytes follow. How sockets connect and end, what the events of
//! a namespace do, and how they are answered stands in a file each. An event that must wait, for a
//! webhook or for what other shards count, holds its engine: nothing behind it is read before.
//! Contract: protocols.md sections 5 and 11, "Socket.IO".

mod asked;
mod conformance;
mod connect;
mod counts;
mod gateway;
mod lost;
mod messages;
mod namespace;
mod presence;
mod recover;
mod replay;
mod replies;
mod request;
mod rooms;

pub use counts::Counting;

use crate::close::Close;
use crate::shard::asking::{Places, Word};
use crate::shard::hub::Hub;
use crate::shard::role::{Namespace, Role, Socket, Unfinished};
use crate::shard::session::rate::Admission;
use crate::shard::slot::Phase;
use crate::sid::Sid;
use crate::time::Now;
use crate::wire::json::Scratch;
use crate::wire::socketio::{self as dialect, Packet};

/// An event, and which socket's client says it.
#[derive(Clone, Copy, Debug)]
struct Said<'a> {
    socket: u32,
    /// By which number it is to be acknowledged.
    ack: Option<u64>,
    /// Its packet, to be read again where it has to wait.
    text: &'a str,
    /// The bytes beside it.
    attachments: &'a [Box<[u8]>],
    /// What a webhook said, where it had to wait for that.
    told: Option<&'a Places>,
}

/// What a webhook says of an event, where it was asked.
#[derive(Clone, Copy, Debug)]
struct Advice(Option<Word>);

impl Hub {
    /// Takes a message of an engine: a packet, or its beginning where bytes are to follow.
    pub(in crate::shard) fn on_packet(
        &mut self,
        now: Now,
        carrier: u32,
        text: &str,
        scratch: &mut Scratch,
    ) {
        let Some(engine) = self.engine_mut(carrier) else { return };
        let packet = match dialect::decode(text, scratch) {
            // Nothing else may come before the last of the bytes.
            Ok(packet) if engine.unfinished.is_none() => packet,
            _ => return self.begin_close(now, carrier, Close::Parse),
        };
        let expected = match packet {
            Packet::Event { attachments, .. } | Packet::Ack { attachments, .. } => attachments,
            Packet::Connect { .. } | Packet::Disconnect { .. } => 0,
        };
        if expected > 0 {
            let (attachments, bytes) = (Vec::new(), text.len());
            let text = text.into();
            let unfinished = Unfinished { text, attachments, expected, bytes };
            engine.unfinished = Some(Box::new(unfinished));
            return;
        }
        self.take_packet(now, carrier, text, &packet, &[]);
    }

    /// Takes bytes that belong to the packet before.
    pub(in crate::shard) fn on_attachment(
        &mut self,
        now: Now,
        carrier: u32,
        bytes: &[u8],
        scratch: &mut Scratch,
    ) {
        let bytes_max = self.policy.socketio.payload_bytes_max;
        let Some(engine) = self.engine_mut(carrier) else { return };
        let Some(unfinished) = engine.unfinished.as_deref_mut() else {
            return self.begin_close(now, carrier, Close::Parse);
        };
        unfinished.bytes += bytes.len();
        if unfinished.bytes > bytes_max {
            return self.begin_close(now, carrier, Close::TooLarge);
        }
        unfinished.attachments.push(bytes.into());
        if unfinished.attachments.len() < usize::from(unfinished.expected) {
            return;
        }
        let Some(whole) = engine.unfinished.take() else { return };
        if let Ok(packet) = dialect::decode(&whole.text, scratch) {
            self.take_packet(now, carrier, &whole.text, &packet, &whole.attachments);
        }
        if self.slots[carrier].waiting().is_some()
            && let Some(engine) = self.engine_mut(carrier)
        {
            // It is carried out later, with its bytes.
            engine.unfinished = Some(whole);
        }
    }

    /// Carries out an event that waited for a webhook.
    pub(in crate::shard) fn on_socketio_answered(
        &mut self,
        now: Now,
        carrier: u32,
        text: &str,
        places: &Places,
        scratch: &mut Scratch,
    ) {
        let whole = self.engine_mut(carrier).and_then(|engine| engine.unfinished.take());
        let attachments = whole.as_deref().map_or(&[][..], |it| &it.attachments);
        let Ok(Packet::Event { nsp, ack, name, args, .. }) = dialect::decode(text, scratch) else {
            unreachable!("it was read before")
        };
        let socket = Namespace::named(nsp).and_then(|it| self.socket_in(carrier, it));
        let Some(socket) = socket else { return };
        let said = Said { socket, ack, text, attachments, told: Some(places) };
        self.on_room_event(now, &said, name, &args);
    }

    /// Takes a packet with all that belongs to it.
    fn take_packet(
        &mut self,
        now: Now,
        carrier: u32,
        text: &str,
        packet: &Packet<'_>,
        attachments: &[Box<[u8]>],
    ) {
        let bytes = text.len() + attachments.iter().map(|it| it.len()).sum::<usize>();
        match *packet {
            Packet::Connect { nsp, ref auth } => {
                let auth = auth.as_ref().map(dialect::Auth::raw);
                self.connect(now, carrier, nsp, auth, bytes);
            }
            Packet::Disconnect { nsp } => {
                self.comes_back_no_more(carrier, nsp);
                if let Some((socket, _)) = self.socket_called(now, carrier, nsp) {
                    self.end_socket(socket);
                }
            }
            Packet::Ack { nsp, ack, args, .. } => {
                let Some((socket, _)) = self.socket_called(now, carrier, nsp) else { return };
                if self.admit(now, socket, bytes) == Admission::Abuse {
                    return self.begin_close(now, carrier, Close::RateAbuse);
                }
                // Nobody else asks anything of a client yet.
                if self.is_awaited(socket, ack) {
                    self.on_suite_ack(socket, args);
                }
            }
            Packet::Event { nsp, ack, name, ref args, .. } => {
                let Some((socket, namespace)) = self.socket_called(now, carrier, nsp) else {
                    return;
                };
                self.metrics.socketio_events_total.add(1);
                let said = Said { socket, ack, text, attachments, told: None };
                match self.admit(now, socket, bytes) {
                    Admission::Within => {}
                    Admission::Over(refusal) => {
                        self.metrics.rate_limited_total.add(1);
                        return self.refuse_event(now, &said, refusal);
                    }
                    Admission::Abuse => return self.begin_close(now, carrier, Close::RateAbuse),
                }
                if dialect::placeholders(args.raw(), attachments.len() as u8).is_err() {
                    return self.begin_close(now, carrier, Close::Parse);
                }
                match namespace {
                    Namespace::Rooms => self.on_room_event(now, &said, name, args),
                    Namespace::Gateway => self.on_gateway_event(now, &said, name),
                    Namespace::Conformance(_) => self.on_suite_event(now, &said, name, args),
                }
            }
        }
    }

    /// The socket of an engine that a packet is for. Where there is none but was, the packet was on
    /// its way when that ended; where there never was, its client does not know what it says.
    fn socket_called(&mut self, now: Now, carrier: u32, nsp: &str) -> Option<(u32, Namespace)> {
        let namespace = self.namespace_called(nsp);
        let socket = namespace.and_then(|it| Some((self.socket_in(carrier, it)?, it)));
        if socket.is_none() {
            let known = self.engine(carrier).map_or(0, |engine| engine.known);
            if namespace.is_none_or(|it| known & it.bit() == 0) {
                self.begin_close(now, carrier, Close::Parse);
            }
        }
        socket
    }

    /// The namespace of this name: of the room server and the gateway, or of the suite that is
    /// served in their place.
    fn namespace_called(&self, name: &str) -> Option<Namespace> {
        match self.policy.socketio.conformance {
            None => Namespace::named(name),
            Some(mode) => conformance::named(mode, name),
        }
    }

    /// The slot of an engine's socket in a namespace.
    fn socket_in(&self, carrier: u32, namespace: Namespace) -> Option<u32> {
        let mut sockets = self.sockets_of(carrier);
        sockets.find(|socket| self.namespace(*socket) == Some(namespace))
    }

    /// The slots of an engine's sockets.
    fn sockets_of(&self, carrier: u32) -> impl Iterator<Item = u32> {
        let engine = self.engine(carrier);
        let own = engine.is_some_and(|it| it.socket.is_some()).then_some(carrier);
        let guests = engine.map_or(&[][..], |it| it.guests.as_slice());
        own.into_iter().chain(guests.iter().copied())
    }

    /// The namespace of a socket.
    pub(in crate::shard) fn namespace(&self, conn: u32) -> Option<Namespace> {
        self.socket(conn).map(|socket| socket.namespace)
    }

    /// The socket of a slot that has one.
    pub(in crate::shard) fn socket(&self, conn: u32) -> Option<&Socket> {
        match self.slots.role(conn)? {
            Role::Carrier(engine) => engine.socket.as_ref(),
            Role::Guest(guest) => Some(&guest.socket),
            Role::Ghost(ghost) => Some(&ghost.socket),
            Role::Probe(_) | Role::Forward(_) => None,
        }
    }

    /// The same, to be changed.
    fn socket_mut(&mut self, conn: u32) -> Option<&mut Socket> {
        match self.slots.role_mut(conn)? {
            Role::Carrier(engine) => engine.socket.as_mut(),
            Role::Guest(guest) => Some(&mut guest.socket),
            Role::Ghost(ghost) => Some(&mut ghost.socket),
            Role::Probe(_) | Role::Forward(_) => None,
        }
    }

    /// The name of a socket.
    pub(in crate::shard) fn sid(&self, conn: u32) -> Option<Sid> {
        self.socket(conn).map(|socket| Sid::new(self.id, conn, socket.name))
    }

    /// Whether a slot is a socket that is sent to: its engine is open.
    pub(in crate::shard) fn is_connected(&self, conn: u32) -> bool {
        self.socket(conn).is_some() && self.slots[self.carrier_of(conn)].phase == Phase::Open
    }
}

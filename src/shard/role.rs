//! What a slot of the Socket.IO dialect is, beside a slot.
//!
//! An *engine* (Engine.IO) carries packets, over a WebSocket or by polling; a *socket* (Socket.IO)
//! is one namespace on it. Both have slots: the first socket of an engine shares the engine's, each
//! further one has one of its own, so that identity, rooms, rules and rates of a socket are those of
//! a connection like any other. Kept in a box beside the slot: other dialects pay nothing.
//! Contract: protocols.md section 5.

use smallvec::SmallVec;

use crate::auth::Identity;
use crate::close::Close;
use crate::connection::{Address, ConnKey};
use crate::mail::Receipt;
use crate::shard::timers::Tick;
use crate::sid::{Secret, Sid};

/// What the slot is.
#[derive(Debug)]
pub(in crate::shard) enum Role {
    /// An engine, and its first socket.
    Carrier(Engine),
    /// A WebSocket that wants to take over from a polling session.
    Probe(Probe),
    /// A further socket of an engine.
    Guest(Guest),
    /// A socket whose engine is lost, and who may come back for it.
    Ghost(Ghost),
    /// Where requests of an engine that has moved to another shard come still.
    Forward(Forward),
}

impl Role {
    /// Bytes of heap beside its own.
    pub(in crate::shard) fn heap_bytes(&self) -> usize {
        match self {
            Role::Carrier(engine) => {
                engine.heap_bytes() + engine.socket.as_ref().map_or(0, Socket::heap_bytes)
            }
            Role::Guest(Guest { socket, .. }) | Role::Ghost(Ghost { socket, .. }) => {
                socket.heap_bytes()
            }
            Role::Probe(_) | Role::Forward(_) => 0,
        }
    }
}

/// An Engine.IO session.
#[derive(Debug)]
pub(in crate::shard) struct Engine {
    /// The part of its name that nobody can guess.
    pub secret: Secret,
    /// When it is pinged, or given up.
    pub beat: Beat,
    /// How packets go both ways.
    pub transport: Transport,
    /// The socket in the engine's own slot.
    pub socket: Option<Socket>,
    /// The slots of its further sockets.
    pub guests: SmallVec<[u32; 2]>,
    /// Namespaces that were connected at some time, a bit each: what still comes for them was on
    /// its way when they ended.
    pub known: u8,
    /// The token that came with the handshake was no good.
    pub bad_token: bool,
    /// Whom the handshake's token names, until a socket in this slot is that.
    pub brought: Option<Box<Identity>>,
    /// A packet whose attachments have not all come.
    pub unfinished: Option<Box<Unfinished>>,
    /// Its clients have been told that they are disconnected: why it is closed, and when, in
    /// monotonic milliseconds. They carry out what they heard a little after they hear it, but a
    /// close at once.
    pub leaving: Option<(Close, u64)>,
    /// What was its own socket: it gets the slot for itself when the transport is closed.
    pub ghost: Option<Box<Ghost>>,
    /// Namespaces whose sockets are being come back for, a bit each.
    pub returning: u8,
    /// The log's place when the ping that is unanswered was sent: what came before it has arrived
    /// with the answer.
    pub pinged_at: u64,
    /// What a conformance suite may ask for.
    pub suite: Option<Box<Suite>>,
    /// Whether it came from another shard: it does not move again.
    pub has_moved: bool,
    /// Where its requests come still, if it has moved and polls, or did.
    pub home: Option<Box<Home>>,
}

impl Engine {
    fn heap_bytes(&self) -> usize {
        let transport = match &self.transport {
            Transport::WebSocket => 0,
            Transport::Polling(polling) => {
                size_of::<Polling>() + polling.input.as_ref().map_or(0, |it| it.body.len())
            }
        };
        let guests =
            if self.guests.spilled() { self.guests.capacity() * size_of::<u32>() } else { 0 };
        let brought = self.brought.as_ref().map_or(0, |it| size_of::<Identity>() + it.heap_bytes());
        let unfinished =
            self.unfinished.as_ref().map_or(0, |it| size_of::<Unfinished>() + it.bytes);
        let home = self.home.as_ref().map_or(0, |_| size_of::<Home>());
        transport + guests + brought + unfinished + home
    }
}

/// Where an engine was at home.
#[derive(Clone, Copy, Debug)]
pub(in crate::shard) struct Home {
    /// Its slot there, which passes on what comes.
    pub at: Address,
    /// Its name, which is of there.
    pub sid: Sid,
}

/// What an engine that moved left behind.
#[derive(Debug)]
pub(in crate::shard) struct Forward {
    /// The part of its name that nobody can guess.
    pub secret: Secret,
    /// The shard that it moved to.
    pub to: u8,
}

/// How an engine's packets go.
#[derive(Debug)]
pub(in crate::shard) enum Transport {
    /// A frame each.
    WebSocket,
    /// In the bodies of requests.
    Polling(Box<Polling>),
}

/// What only a polling session has.
#[derive(Debug, Default)]
pub(in crate::shard) struct Polling {
    /// The poll that waits for something to send.
    pub poll: Option<Receipt>,
    /// Records that came and are not carried out yet.
    pub input: Option<Input>,
    /// The slot of a WebSocket that wants to take over.
    pub probe: Option<u32>,
    /// The session is over: what is said once all that is queued has gone, by a poll of its own.
    /// Clients carry out what a body holds behind its end, if that stands in the same one.
    pub last: Option<u8>,
    /// When the poll that waits meanwhile is ended, in monotonic milliseconds.
    pub noop_ms: Option<u64>,
    /// Polls that were ended at once meanwhile.
    pub let_go: u8,
}

/// A body of records of which some are to be carried out yet.
#[derive(Debug)]
pub(in crate::shard) struct Input {
    /// All of them.
    pub body: Box<[u8]>,
    /// Bytes of those that were.
    pub taken: usize,
    /// Who is told when all are.
    pub answer: Receipt,
}

/// The heartbeat: exact to the millisecond, though a deadline comes with its tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) struct Beat {
    /// When the next ping is due, or by when the pong, in monotonic milliseconds.
    pub due_ms: u64,
    /// Whether a ping is unanswered.
    pub pinged: bool,
}

/// A WebSocket that wants to take over.
#[derive(Debug)]
pub(in crate::shard) struct Probe {
    /// The session's slot.
    pub carrier: ConnKey,
    /// Whether its `2probe` came and was answered.
    pub probed: bool,
}

/// A Socket.IO socket.
#[derive(Debug)]
pub(in crate::shard) struct Socket {
    /// The part of its name that nobody can guess. The name is public: it only tells it from those
    /// who had the slot before.
    pub name: Secret,
    /// The same of what it comes back with; a secret.
    pub pid: Option<Secret>,
    /// Its namespace.
    pub namespace: Namespace,
    /// The log's place up to which it is known to have heard all that was for it.
    pub since: u64,
    /// The rooms it joined behind that place: the hashes of their names, and the places.
    #[expect(clippy::box_collection, reason = "hardly any socket has one")]
    pub joined: Option<Box<Vec<(u64, u64)>>>,
    /// What its `typing` and `presence` events are held to.
    pub throttle: Option<Box<Throttle>>,
    /// What its client is to acknowledge.
    pub asked: Option<Box<Asked>>,
    /// The token that it showed and that was not looked at yet: on the gateway.
    pub token: Option<Box<str>>,
}

/// What a socket's client is to acknowledge.
#[derive(Debug, Default)]
pub(in crate::shard) struct Asked {
    /// The number of the last event.
    pub last: u64,
    /// Those not acknowledged, in their order, and until when they can be.
    pub waiting: SmallVec<[(u64, Tick); 2]>,
}

/// What an engine keeps in a mode of conformance.
#[derive(Debug)]
pub(in crate::shard) struct Suite {
    /// The request that it began with, a JSON object.
    pub shown: Box<str>,
    /// What its sockets said of themselves, JSON objects.
    pub auths: Vec<(Namespace, Box<str>)>,
    /// Events that came, where others must not come before, a bit each.
    pub heard: u8,
}

impl Socket {
    fn heap_bytes(&self) -> usize {
        let throttle = self.throttle.as_ref().map_or(0, |it| {
            size_of::<Throttle>() + it.presence.as_ref().map_or(0, |text| text.len())
        });
        throttle + self.token.as_ref().map_or(0, |token| token.len())
    }
}

/// A further socket of an engine.
#[derive(Debug)]
pub(in crate::shard) struct Guest {
    /// The engine's slot.
    pub carrier: u32,
    /// Itself.
    pub socket: Socket,
}

/// A socket whose engine is lost.
#[derive(Debug)]
pub(in crate::shard) struct Ghost {
    /// Itself.
    pub socket: Socket,
    /// Who it was.
    pub identity: Option<Box<Identity>>,
    /// When it is forgotten; never while it is being come back for.
    pub until: Tick,
    /// Its number among the shard's ghosts.
    pub number: u64,
    /// Whether it is being come back for.
    pub is_returning: bool,
}

impl Socket {
    /// It has joined a room, when the log was at this place.
    pub fn joins(&mut self, room: u64, place: u64) {
        let joined = self.joined.get_or_insert_default();
        joined.retain(|(it, _)| *it != room);
        joined.push((room, place));
    }

    /// Whether it was in a room of its own when what is at this place was said.
    pub fn was_in(&self, room: u64, place: u64) -> bool {
        let joined = self.joined.as_deref().into_iter().flatten();
        joined.into_iter().all(|(it, at)| *it != room || *at < place)
    }

    /// It has heard all up to this place.
    pub fn has_heard(&mut self, place: u64) {
        self.since = self.since.max(place);
        if let Some(joined) = &mut self.joined {
            joined.retain(|(_, at)| *at > place);
        }
        self.joined.take_if(|joined| joined.is_empty());
    }
}

/// The namespaces of the room server and of the notification gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(in crate::shard) enum Namespace {
    /// `/`
    Rooms,
    /// `/ws`
    Gateway,
    /// Others, that conformance suites ask for, by number.
    Conformance(u8),
}

/// A binary event whose attachments come one by one.
#[derive(Debug)]
pub(in crate::shard) struct Unfinished {
    /// The packet.
    pub text: Box<str>,
    /// What has come.
    pub attachments: Vec<Box<[u8]>>,
    /// How many are to come in all.
    pub expected: u8,
    /// Bytes of all this.
    pub bytes: usize,
}

/// What holds back events that come too often.
#[derive(Debug, Default)]
pub(in crate::shard) struct Throttle {
    /// Typing events of late: what, and when it may come again in monotonic milliseconds; the
    /// oldest is replaced.
    pub typing: [(u64, u64); 4],
    /// When presence may be told again, in monotonic milliseconds.
    pub presence_ms: u64,
    /// The latest presence that was held back, as written.
    pub presence: Option<Box<str>>,
}

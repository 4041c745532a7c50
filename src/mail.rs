//! Mail: what one shard, or the control plane, tells another. There is no other way between them.
//!
//! Two kinds, and a mailbox keeps them apart. A *delivery* ends where it arrives: taking it makes no
//! more mail (but for the answer to a receipt, and those are bounded), so it is always taken. A
//! *request* may make deliveries; a shard that cannot get rid of its own mail leaves requests
//! waiting until it can. That is why two full shards can never wait for each other.

use std::sync::Arc;

use crate::audience::Audience;
use crate::connection::{Address, ConnKey};
use crate::message::{Message, Position};
use crate::moving::Moving;
use crate::polling::{Asked, HttpReply};
use crate::query::{Found, Query};
use crate::sid::Sid;

/// Where the number of deliveries of a publish, or the answer to a question, is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The shard that counts.
    pub shard: u8,
    /// Its number for this publish or question.
    pub ticket: u64,
}

/// Where the answer of a webhook is awaited: a request of a connection that cannot go on without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QuestionTicket {
    /// The connection, at the shard that asks.
    pub conn: ConnKey,
    /// Which of its requests; an answer to one that is over is nothing.
    pub number: u32,
    /// Which of the request's questions.
    pub place: u16,
}

/// What a webhook answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Whether they may.
    pub allowed: bool,
    /// Milliseconds for which that holds; 0: not to be remembered.
    pub ttl_ms: u64,
}

/// Why a question has no answer; nobody may for that, and it is not remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// The webhook did not answer in time, or not as it should; or there is none any more.
    Failed,
    /// It was not asked: too many questions are open.
    NoRoom,
}

/// Mail that ends where it arrives.
#[derive(Debug)]
pub enum Delivery {
    /// Hand the message to your subscribers.
    FanOut {
        /// What was published.
        message: Arc<Message>,
        /// The publisher, where it wants no echo.
        skip: Option<Address>,
        /// Who wants to know to how many it went.
        receipt: Option<Receipt>,
    },
    /// Hand the message to those of your connections that it is for, whatever they are subscribed
    /// to.
    Announce {
        /// What is said.
        message: Arc<Message>,
        /// To whom.
        audience: Arc<Audience>,
        /// Who wants to know to how many it went.
        receipt: Option<Receipt>,
    },
    /// A publish that went through its home shard has its place; answer the publisher.
    Published {
        /// The publisher's connection, at the shard that gets this.
        conn: ConnKey,
        /// The request's `id` as it wrote it.
        id: Box<str>,
        /// What it published.
        message: Arc<Message>,
    },
    /// Part of the number of deliveries that a receipt waits for.
    Delivered {
        /// The receipt's ticket.
        ticket: u64,
        /// Connections that got it on one shard.
        count: u64,
        /// From whoever mailed the message on: how many others will answer. `None` from those.
        more: Option<u32>,
        /// The place it was given, from the home shard.
        position: Option<Position>,
    },
    /// What one shard says to a question.
    Told {
        /// The asker's number for it.
        ticket: u64,
        /// Who says it.
        shard: u8,
        /// What.
        found: Box<Found>,
    },
    /// A request that came to another shard is for your session; to be answered with
    /// [`Delivery::HttpReply`]. Never a post: that may publish, and is a request.
    Http {
        /// The session.
        sid: Sid,
        /// What is wanted of it.
        asked: Asked,
        /// Who awaits the answer.
        answer: Receipt,
    },
    /// What a session answers.
    HttpReply {
        /// The number of the request, at the shard that it came to.
        ticket: u64,
        /// The answer.
        reply: HttpReply,
    },
    /// Take in a polling session, whose client comes back for a socket of yours.
    Moved {
        /// It.
        session: Moving,
    },
    /// A session that moved away from you is over: its slot may be given up.
    Forgotten {
        /// The slot.
        place: ConnKey,
    },
    /// Hand the message to the subscribers of all these topics, to each once.
    FanOutMany {
        /// What was said.
        message: Arc<Message>,
        /// The topics' names.
        topics: Arc<[Box<str>]>,
        /// Who said it, and does not hear it.
        skip: Address,
    },
    /// Begin to drain: tell the clients to go, spread over the time given.
    Drain {
        /// Monotonic milliseconds when the last one must have been told.
        told_by_ms: u64,
        /// Monotonic milliseconds when whoever is still there is cut.
        gone_by_ms: u64,
    },
}

/// Mail that may make more mail.
#[derive(Debug)]
pub enum Request {
    /// You are the home of this message's topic: give it its place, keep it, fan it out.
    Sequence {
        /// The message, without a position.
        message: Box<Message>,
        /// The publisher, where it wants no echo.
        skip: Option<Address>,
        /// The publisher and its request's `id`, where it wants an answer.
        answer: Option<(Address, Box<str>)>,
        /// Who wants to know to how many it went.
        receipt: Option<Receipt>,
    },
    /// A body of records came to another shard for your session; to be answered with
    /// [`Delivery::HttpReply`].
    Post {
        /// The session.
        sid: Sid,
        /// The records.
        body: Box<[u8]>,
        /// Who awaits the answer.
        answer: Receipt,
    },
    /// Say what you find, or do what is asked.
    Ask {
        /// The question.
        query: Arc<Query>,
        /// Who asks.
        answer: Receipt,
    },
    /// A webhook has answered; the request that waits for it goes on, and may publish.
    Answered {
        /// What waits.
        ticket: QuestionTicket,
        /// The answer.
        answer: Result<Answer, Unanswered>,
    },
}

/// Either kind.
#[derive(Debug)]
pub enum Mail {
    /// Always taken.
    Delivery(Delivery),
    /// Taken when there is room for what it makes.
    Request(Request),
}

impl From<Delivery> for Mail {
    fn from(delivery: Delivery) -> Self {
        Self::Delivery(delivery)
    }
}

impl From<Request> for Mail {
    fn from(request: Request) -> Self {
        Self::Request(request)
    }
}

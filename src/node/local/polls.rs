//! Requests of polling sessions that wait for their answers.
//!
//! A poll hangs for as long as its session has nothing to say. Its client may go meanwhile: hyper
//! drops the waiting future as soon as the connection ends, and the session is told before anything
//! else is asked of it ([`Polls::gone`]). Called by HTTP tasks and by the driver, on one thread.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ahash::RandomState;
use tokio::sync::oneshot;

use super::Local;
use crate::node::clock;
use crate::polling::{Asked, HttpReply};
use crate::shard::{Arrival, Shard};
use crate::sid::Sid;
use crate::time::Now;

/// The requests that wait, by ticket.
#[derive(Debug, Default)]
pub(super) struct Polls {
    /// The last ticket that was given.
    last: Cell<u64>,
    waiting: RefCell<HashMap<u64, oneshot::Sender<HttpReply>, RandomState>>,
    /// Polls whose clients have gone.
    gone: RefCell<Vec<(Sid, u64)>>,
}

impl Polls {
    /// A new ticket, and what hears its answer.
    fn begin(&self) -> (u64, oneshot::Receiver<HttpReply>) {
        let ticket = self.last.get() + 1;
        self.last.set(ticket);
        let (sender, receiver) = oneshot::channel();
        self.waiting.borrow_mut().insert(ticket, sender);
        (ticket, receiver)
    }

    /// Hands an answer to who waits for it, if that has not gone.
    pub(super) fn reply(&self, ticket: u64, reply: HttpReply) {
        let waiting = self.waiting.borrow_mut().remove(&ticket);
        if let Some(sender) = waiting {
            let _ = sender.send(reply);
        }
    }

    /// Answers what was asked last.
    #[cfg(test)]
    pub(super) fn reply_to_last(&self, reply: HttpReply) {
        self.reply(self.last.get(), reply);
    }

    /// Whether there is a session to be told.
    #[cfg(test)]
    pub(super) fn tells(&self) -> bool {
        !self.gone.borrow().is_empty()
    }

    /// Tells the sessions whose polls have gone.
    pub(super) fn tell_gone(&self, now: Now, shard: &mut Shard) {
        for (sid, ticket) in self.gone.borrow_mut().drain(..) {
            shard.ask(now, sid, Asked::Gone, ticket);
        }
    }
}

impl Local {
    /// Begins a polling session, which is counted in; gives the body that says so.
    pub(in crate::node) fn open_polling(&self, arrival: Arrival) -> Vec<u8> {
        let now = clock::now();
        let shard = &mut *self.shard.borrow_mut();
        let (_, body) = shard.open_polling(now, arrival);
        self.relieve(now, shard);
        self.wake.notify_one();
        body
    }

    /// Asks something of a session; what is given is the answer to come. A poll that is dropped
    /// before it has its answer ends the session: what it was to carry is lost.
    pub(in crate::node) fn ask(&self, sid: Sid, asked: Asked) -> Asking<'_> {
        let now = clock::now();
        let shard = &mut *self.shard.borrow_mut();
        // A poll that has gone is no other's overlap.
        self.polls.tell_gone(now, shard);
        let (ticket, reply) = self.polls.begin();
        let ends = matches!(asked, Asked::Poll).then_some(sid);
        shard.ask(now, sid, asked, ticket);
        self.relieve(now, shard);
        self.wake.notify_one();
        Asking { local: self, ticket, ends, reply }
    }
}

/// An answer to come; `None` where the node ends before.
pub(in crate::node) struct Asking<'a> {
    local: &'a Local,
    ticket: u64,
    /// The session that ends with who asked, until there is an answer.
    ends: Option<Sid>,
    reply: oneshot::Receiver<HttpReply>,
}

impl Future for Asking<'_> {
    type Output = Option<HttpReply>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let reply = ready!(Pin::new(&mut self.reply).poll(context));
        self.ends = None;
        Poll::Ready(reply.ok())
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let polls = &self.local.polls;
        polls.waiting.borrow_mut().remove(&self.ticket);
        // Also where records were on their way to it: they are lost. A refusal carries none.
        let refused = matches!(self.reply.try_recv(), Ok(HttpReply::Bad(_) | HttpReply::NoRoom));
        if let Some(sid) = self.ends.filter(|_| !refused) {
            polls.gone.borrow_mut().push((sid, self.ticket));
            self.local.wake.notify_one();
        }
    }
}

//! What comes to a shard from outside its turns: publishes, announcements and inquiries of HTTP tasks.
//!
//! Each is carried out where it is called; what comes of it is handed to whoever awaits it at the
//! end of a turn. Many tasks may run between two turns, so what they queue is flushed here once it
//! is as much as a turn may hold.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::Local;
use crate::audience::Audience;
use crate::close::Refusal;
use crate::interest::ShardSet;
use crate::message::Publication;
use crate::node::clock;
use crate::query::Query;
use crate::shard::{Settled, Shard, Told};
use crate::time::Now;

impl Local {
    /// Publishes for the server side; gives what awaits the number of deliveries.
    ///
    /// # Errors
    /// As [`Shard::publish`].
    pub(in crate::node) fn publish(
        &self,
        publication: &Publication<'_>,
    ) -> Result<oneshot::Receiver<Settled>, Refusal> {
        let now = clock::now();
        let shard = &mut *self.shard.borrow_mut();
        let published = shard.publish(now, publication);
        let ticket = published.inspect_err(|_| self.metrics().publishes_refused_total.add(1))?;
        self.relieve(now, shard);
        let (sender, receiver) = oneshot::channel();
        self.awaited.borrow_mut().insert(ticket, sender);
        Ok(receiver)
    }

    /// Says something to an audience; gives what awaits the number of deliveries.
    ///
    /// # Errors
    /// As [`Shard::announce`].
    pub(in crate::node) fn announce(
        &self,
        publication: &Publication<'_>,
        audience: &Arc<Audience>,
    ) -> Result<oneshot::Receiver<Settled>, Refusal> {
        let now = clock::now();
        let shard = &mut *self.shard.borrow_mut();
        let announced = shard.announce(now, publication, audience);
        let ticket = announced.inspect_err(|_| self.metrics().publishes_refused_total.add(1))?;
        self.relieve(now, shard);
        let (sender, receiver) = oneshot::channel();
        self.awaited.borrow_mut().insert(ticket, sender);
        Ok(receiver)
    }

    /// Asks shards; gives what awaits their answers.
    ///
    /// # Errors
    /// As [`Shard::inquire`].
    pub(in crate::node) fn inquire(
        &self,
        query: &Arc<Query>,
        of: ShardSet,
    ) -> Result<oneshot::Receiver<Told>, Refusal> {
        let now = clock::now();
        let shard = &mut *self.shard.borrow_mut();
        let ticket = shard.inquire(now, query, of)?;
        self.relieve(now, shard);
        let (sender, receiver) = oneshot::channel();
        self.inquired.borrow_mut().insert(ticket, sender);
        Ok(receiver)
    }

    /// Flushes a turn that holds as much as it may: many tasks may run before the driver's next
    /// turn, and what they queue is never one turn of its own size.
    pub(super) fn relieve(&self, now: Now, shard: &mut Shard) {
        if shard.is_full() {
            shard.flush(now, &mut *self.sockets.borrow_mut());
        }
    }

    /// Whether a batch must wait before it goes on: mail for other shards is kept back.
    pub(in crate::node) fn is_crowded(&self) -> bool {
        self.shard.borrow().has_unsent_mail()
    }
}

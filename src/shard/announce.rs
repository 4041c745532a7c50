//! Announcements: what the server side says to an audience, whatever that is subscribed to.
//!
//! A shard mails the message to all; each hands it to its own and answers the receipt. In this
//! version nothing is announced: whoever wants to is refused.

use std::sync::Arc;

use crate::audience::Audience;
use crate::close::Refusal;
use crate::mail::{Delivery, Receipt};
use crate::message::{Message, Publication};
use crate::shard::hub::Hub;

impl Hub {
    /// Says something to an audience; the deliveries are counted under the ticket given back.
    pub(super) fn announce(
        &mut self,
        _publication: &Publication<'_>,
        _audience: &Arc<Audience>,
    ) -> Result<u64, Refusal> {
        if self.gone_by.is_some() {
            return Err(Refusal::ShuttingDown);
        }
        Err(Refusal::Overloaded)
    }

    /// Takes an announcement of another shard: nobody gets it, and the receipt says so.
    pub(super) fn on_announce(
        &mut self,
        _message: &Message,
        _audience: &Audience,
        receipt: Option<Receipt>,
    ) {
        if let Some(Receipt { shard, ticket }) = receipt {
            let (count, more, position) = (0, None, None);
            self.send(shard, Delivery::Delivered { ticket, count, more, position });
        }
    }
}

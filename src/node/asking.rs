//! What an HTTP request asks of the shards, or says to an audience, and awaits.
//!
//! Called by the tasks of a shard's thread. A report is driven from here step by step, each of which
//! is carried out in the shards' own turns; the text is that of `report`, the same that an operator's
//! connection gets. Whoever goes away while it waits leaves nothing behind.

use std::sync::Arc;

use crate::announcement;
use crate::audience::Audience;
use crate::close::Refusal;
use crate::node::clock;
use crate::node::local::Local;
use crate::report::{Around, Plan, Step, Wanted};

impl Local {
    /// Makes a report, or does what is wanted and reports it: the JSON text.
    ///
    /// # Errors
    /// As [`Step::Done`], [`Refusal::Overloaded`], [`Refusal::ShuttingDown`] when the node ends
    /// first.
    pub(super) async fn report(&self, wanted: Wanted) -> Result<String, Refusal> {
        let (mut plan, mut step) = Plan::begin(wanted, &self.around());
        loop {
            match step {
                Step::Done(outcome) => return outcome,
                Step::Ask { query, of } => {
                    let told = self.inquire(&query, of)?;
                    self.wake.notify_one();
                    let told = told.await.map_err(|_| Refusal::ShuttingDown)?;
                    step = plan.told(told.parts, &self.around());
                }
            }
        }
    }

    /// Says one JSON value to an audience; to how many connections it went.
    ///
    /// # Errors
    /// [`Refusal::ShuttingDown`] while draining, [`Refusal::Overloaded`]; nobody got it.
    pub(super) async fn say(&self, audience: Audience, message: &str) -> Result<u64, Refusal> {
        let topic = announcement::topic_of(&audience);
        let publication = announcement::publication(&topic, message, clock::now().wall);
        let settled = self.announce(&publication, &Arc::new(audience))?;
        self.wake.notify_one();
        let settled = settled.await.map_err(|_| Refusal::ShuttingDown)?;
        Ok(settled.delivered)
    }

    fn around(&self) -> Around {
        Around {
            node: self.common.node,
            shards: self.common.metrics.len() as u8,
            metrics: Arc::clone(&self.common.metrics),
            now: clock::now(),
            draining: self.common.is_draining(),
            topic_bounds: self.common.live().policy.topic_bounds,
        }
    }
}

//! Questions to a webhook, and the connections that wait for the answers.
//!
//! Questions go out at the end of a turn, by whoever drives the shard; the answers come back as
//! mail. In this version no webhook is asked, and what the rules would ask it is denied.

use std::collections::VecDeque;

use crate::auth::Asked;
use crate::mail::{Answer, ConnKey, QuestionTicket};
use crate::shard::hub::Hub;

/// Questions and resumptions that the driver has not taken yet.
#[derive(Debug, Default)]
pub(super) struct Asking {
    questions: VecDeque<Asked>,
    resumed: VecDeque<ConnKey>,
}

impl Asking {
    /// Takes a question that is to be put to the webhook.
    pub(super) fn question(&mut self) -> Option<Asked> {
        self.questions.pop_front()
    }

    /// Takes a connection that waited and may be read again.
    pub(super) fn resumed(&mut self) -> Option<ConnKey> {
        self.resumed.pop_front()
    }
}

impl Hub {
    /// Takes an answer: to a request that does not wait it is nothing, and none waits.
    #[expect(clippy::unused_self, reason = "no request waits")]
    pub(super) fn answered(&mut self, _ticket: QuestionTicket, _answer: Answer) {}
}

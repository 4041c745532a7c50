//! A rule as it is configured: what it is about and what it says.
//!
//! `config` reads it, `auth` compiles it and says what is wrong with its topic; sessions ask by its
//! actions. Spec: protocols.md section 6.

use crate::words::words;

words! {
    /// What a rule is about.
    Action {
        /// To receive what is published to a topic.
        Subscribe = "subscribe",
        /// To publish to it.
        Publish = "publish",
        /// To see who is subscribed.
        Presence = "presence",
        /// To read its past messages.
        History = "history",
    }

    /// What a matching rule says.
    Decision {
        /// Yes.
        Allow = "allow",
        /// No.
        Deny = "deny",
        /// What the webhook answers; no without a webhook.
        Webhook = "webhook",
    }
}

/// One rule; what its topic means is up to `auth`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleSetting {
    /// A pattern in which `{userId}` and `{tenantId}` may stand and segments may end in `*`.
    pub topic: String,
    /// What it is about, at least one action.
    pub allow: Vec<Action>,
    /// Only for users with this role.
    pub role: Option<String>,
    /// What it says.
    pub decide: Decision,
}

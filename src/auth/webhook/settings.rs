//! What the webhook is made from, as it is configured.
//!
//! Read by `config`; nothing of it comes into a log.

use std::fmt;

use crate::secret::Secret;

/// Who answers what the rules do not decide.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSettings {
    /// Where it is asked; what it holds may be a secret.
    pub url: String,
    /// Signs the questions, where there is one.
    pub secret: Option<Secret>,
    /// No answer by then is a no.
    pub timeout_ms: u64,
    /// How long an answer holds that names no time itself.
    pub cache_ttl_s: u64,
    /// The time of a question is signed with it.
    pub signed_timestamp: bool,
}

impl fmt::Debug for WebhookSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookSettings")
            .field("timeout_ms", &self.timeout_ms)
            .field("cache_ttl_s", &self.cache_ttl_s)
            .field("signed_timestamp", &self.signed_timestamp)
            .finish_non_exhaustive()
    }
}

//! Who someone is and what they may do: tokens in, verdicts out.
//!
//! A token becomes an [`Identity`] (`jwt`, with keys from `keys`), and [`Rules`] judge what an
//! identity, or the lack of one, may do with a topic or a pattern. Pure computing: no clock, no
//! socket, no lock, no log; the time comes in as an argument, and a question that a webhook must
//! answer goes out as [`Verdict::Ask`], to be looked up among the [`Answers`] first. Sessions call
//! it at connect, at `auth` and at each request. Only `webhook` meets the outside; it is for the
//! control thread. Specification: protocols.md sections 1, 4 and 6, section 11 "Identity" and
//! "Rules".

pub mod answers;
#[cfg(test)]
mod brute;
pub mod channels;
pub mod contain;
pub mod gateway;
pub mod identity;
pub mod jwt;
pub mod keys;
pub mod protected;
pub mod question;
pub mod rules;
mod template;
pub mod tenants;
pub mod webhook;

pub use answers::Answers;
pub use identity::{Identity, IdentityError, IdentityParts};
pub use jwt::{TokenError, Verifier};
pub use keys::{Algorithm, KeyError, TokenSettings};
pub use question::{Asked, Asking, Question};
pub use rules::{DialectRules, RuleError, Rules, Verdict};
pub use tenants::Tenants;
pub use webhook::{Webhook, WebhookError};

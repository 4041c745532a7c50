//! What a webhook is asked: may this user, from this address, do that with this topic?
//!
//! Made by a session when the rules say [`Verdict::Ask`](super::Verdict::Ask). Two that are equal
//! are one question, whoever asks: it is the key of every cache of answers. Which connection asked
//! first stands beside it, in [`Asked`]. Specification: protocols.md section 6, section 11 "Rules".

use std::net::IpAddr;
use std::sync::Arc;

use super::identity::Identity;
use crate::config::Action;
use crate::connection::ConnectionId;
use crate::mail::QuestionTicket;
use crate::topic::Pattern;

/// A question, and all that an answer may depend on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// What they want to do.
    pub action: Action,
    /// With what: a topic, or a pattern as it was written.
    pub topic: Box<str>,
    /// The user; `None` for an anonymous one.
    pub user: Option<Box<str>>,
    /// The user's tenant.
    pub tenant: Option<Box<str>>,
    /// The user's roles, in the token's order.
    pub roles: Box<[Box<str>]>,
    /// The client's address.
    pub client: IpAddr,
}

/// A question on its way, and where its answer is awaited.
#[derive(Clone, Debug)]
pub struct Asked {
    /// What waits for it.
    pub ticket: QuestionTicket,
    /// On which shard.
    pub shard: u8,
    /// The question.
    pub question: Arc<Question>,
    /// The connection that asks.
    pub connection: ConnectionId,
}

impl Question {
    /// The question whether `identity` may; copies all of its text.
    pub fn new(
        action: Action,
        pattern: Pattern<'_>,
        identity: Option<&Identity>,
        client: IpAddr,
    ) -> Self {
        Self {
            action,
            topic: pattern.as_str().into(),
            user: identity.map(|identity| identity.user_id().into()),
            tenant: identity.and_then(Identity::tenant).map(Into::into),
            roles: identity.into_iter().flat_map(Identity::roles).map(Into::into).collect(),
            client,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::IdentityParts;
    use super::*;
    use crate::topic::TopicBounds;

    #[test]
    fn what_an_answer_depends_on() {
        let client = IpAddr::from([127, 0, 0, 1]);
        let parts = IdentityParts {
            user_id: "u",
            tenant: Some("acme"),
            roles: &["b", "a"],
            ..Default::default()
        };
        let identity = Identity::new(&parts, TopicBounds::default()).unwrap();
        let pattern = Pattern::parse("room.*", TopicBounds::default()).unwrap();
        let asked = Question::new(Action::Subscribe, pattern, Some(&identity), client);
        assert_eq!((&*asked.topic, asked.user.as_deref()), ("room.*", Some("u")));
        assert_eq!(asked.tenant.as_deref(), Some("acme"));
        assert!(asked.roles.iter().map(|role| &**role).eq(["b", "a"]));
        let anonymous = Question::new(Action::Subscribe, pattern, None, client);
        assert_eq!((anonymous.user.as_ref(), anonymous.roles.len()), (None, 0));
        assert_ne!(asked, anonymous);
    }
}

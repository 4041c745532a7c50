//! A question for the webhook, and what tells two of them apart.
//!
//! One question is (action, topic, user, tenant, roles, client address); the connection that asks
//! is no part of it. A pattern is asked as it is written: `room.*` and `room.a` are two questions.
//! A [`Question`] owns its text and goes to the control thread; an [`Asking`] borrows it, so that
//! a remembered answer is found without an allocation. Specification: protocols.md section 6,
//! section 11 "Rules".

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

use super::identity::Identity;
use crate::connection::ConnectionId;
use crate::mail::QuestionTicket;
use crate::rule::Action;
use crate::topic::Pattern;

/// A question on its way: who wants to know.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Where the answer belongs.
    pub ticket: QuestionTicket,
    /// The shard that asks.
    pub shard: u8,
    /// What is asked.
    pub question: Arc<Question>,
    /// The connection, as the outside knows it.
    pub connection: ConnectionId,
}

/// What is asked, owned; equal to another where the answer is the same.
#[derive(Clone, Debug)]
pub struct Question {
    /// What somebody wants to do.
    pub action: Action,
    /// The topic or the pattern, as written.
    pub topic: Box<str>,
    /// `None`: anonymous.
    pub user: Option<Box<str>>,
    /// Where the token carries one.
    pub tenant: Option<Box<str>>,
    /// In the token's order.
    pub roles: Box<[Box<str>]>,
    /// Where the client comes from.
    pub client: IpAddr,
}

/// What is asked, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// What somebody wants to do.
    pub action: Action,
    /// With what.
    pub pattern: Pattern<'a>,
    /// `None`: anonymous.
    pub identity: Option<&'a Identity>,
    /// Where the client comes from.
    pub client: IpAddr,
}

impl Question {
    /// Copies what is asked.
    pub fn new(
        action: Action,
        pattern: Pattern<'_>,
        identity: Option<&Identity>,
        client: IpAddr,
    ) -> Self {
        Asking { action, pattern, identity, client }.to_question()
    }

    /// Bytes that it takes, with its text.
    pub fn bytes(&self) -> usize {
        let roles: usize = self.roles.iter().map(|role| size_of_val(role) + role.len()).sum();
        let ids = [&self.user, &self.tenant];
        let ids: usize = ids.iter().filter_map(|id| id.as_deref()).map(str::len).sum();
        size_of::<Self>() + self.topic.len() + ids + roles
    }
}

impl Asking<'_> {
    /// Copies it, to be sent away.
    pub fn to_question(&self) -> Question {
        let view = self.view();
        Question {
            action: view.action,
            topic: view.topic.into(),
            user: view.user.map(Into::into),
            tenant: view.tenant.map(Into::into),
            roles: view.roles().map(Into::into).collect(),
            client: view.client,
        }
    }
}

/// What both forms are compared by.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    action: Action,
    topic: &'a str,
    user: Option<&'a str>,
    tenant: Option<&'a str>,
    /// The roles stand in the one or in the other.
    identity: Option<&'a Identity>,
    listed: &'a [Box<str>],
    client: IpAddr,
}

impl<'a> View<'a> {
    fn roles(self) -> impl Iterator<Item = &'a str> {
        let held = self.identity.into_iter().flat_map(Identity::roles);
        held.chain(self.listed.iter().map(|role| &**role))
    }

    fn names(self) -> (Action, &'a str, Option<&'a str>, Option<&'a str>, IpAddr) {
        (self.action, self.topic, self.user, self.tenant, self.client)
    }
}

/// A question in either form: what the cache of answers is asked with.
pub(super) trait Viewed {
    fn view(&self) -> View<'_>;
}

impl Viewed for Question {
    fn view(&self) -> View<'_> {
        View {
            action: self.action,
            topic: &self.topic,
            user: self.user.as_deref(),
            tenant: self.tenant.as_deref(),
            identity: None,
            listed: &self.roles,
            client: self.client,
        }
    }
}

impl Viewed for Asking<'_> {
    fn view(&self) -> View<'_> {
        View {
            action: self.action,
            topic: self.pattern.as_str(),
            user: self.identity.map(Identity::user_id),
            tenant: self.identity.and_then(Identity::tenant),
            identity: self.identity,
            listed: &[],
            client: self.client,
        }
    }
}

impl PartialEq for dyn Viewed + '_ {
    fn eq(&self, other: &Self) -> bool {
        let (one, other) = (self.view(), other.view());
        one.names() == other.names() && one.roles().eq(other.roles())
    }
}

impl Eq for dyn Viewed + '_ {}

impl Hash for dyn Viewed + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let view = self.view();
        view.names().hash(state);
        view.roles().for_each(|role| role.hash(state));
    }
}

impl PartialEq for Question {
    fn eq(&self, other: &Self) -> bool {
        let (one, other): (&dyn Viewed, &dyn Viewed) = (self, other);
        one == other
    }
}

impl Eq for Question {}

impl Hash for Question {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let viewed: &dyn Viewed = self;
        viewed.hash(state);
    }
}

impl<'a> Borrow<dyn Viewed + 'a> for Arc<Question> {
    fn borrow(&self) -> &(dyn Viewed + 'a) {
        &**self
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::auth::identity::IdentityParts;
    use crate::topic::TopicBounds;

    const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn identity(parts: &IdentityParts<'_>) -> Identity {
        Identity::new(parts, TopicBounds::default()).unwrap()
    }

    fn asking<'a>(topic: &'a str, identity: Option<&'a Identity>) -> Asking<'a> {
        let pattern = Pattern::parse(topic, TopicBounds::default()).unwrap();
        Asking { action: Action::Subscribe, pattern, identity, client: CLIENT }
    }

    fn hash_of(it: &dyn Viewed) -> u64 {
        ahash::RandomState::with_seeds(1, 2, 3, 4).hash_one(it)
    }

    #[test]
    fn both_forms_are_one_question() {
        let parts =
            IdentityParts { user_id: "u", tenant: Some("t"), roles: &["a", "b"], ..<_>::default() };
        let it = identity(&parts);
        for asked in [asking("x.*", Some(&it)), asking("x.*", None)] {
            let question = asked.to_question();
            let (one, other): (&dyn Viewed, &dyn Viewed) = (&asked, &question);
            assert!(one == other);
            assert_eq!(hash_of(one), hash_of(other));
        }
        let question = asking("x.*", Some(&it)).to_question();
        assert_eq!((&*question.topic, question.user.as_deref()), ("x.*", Some("u")));
        assert_eq!((question.tenant.as_deref(), &*question.roles[1]), (Some("t"), "b"));
    }

    #[test]
    fn whatever_differs_makes_another_question() {
        let parts = |user_id, tenant, roles| {
            identity(&IdentityParts { user_id, tenant, roles, ..Default::default() })
        };
        let identities = [
            parts("u", Some("t"), &["a", "b"]),
            parts("u", Some("t"), &["b", "a"]),
            parts("u", Some("t"), &["a"]),
            parts("u", Some("t"), &["a", "b", "c"]),
            parts("u", Some("t"), &["ab"]),
            parts("u", None, &["a", "b"]),
            parts("t", Some("u"), &["a", "b"]),
            parts("ut", None, &["a", "b"]),
        ];
        let mut all: Vec<Question> = identities
            .iter()
            .map(Some)
            .chain([None])
            .flat_map(|identity| ["x", "x.*"].map(|topic| asking(topic, identity).to_question()))
            .collect();
        all.push(Question { action: Action::Publish, ..all[0].clone() });
        all.push(Question { client: [127, 0, 0, 2].into(), ..all[0].clone() });
        for (at, one) in all.iter().enumerate() {
            assert!(!all[..at].contains(one), "{one:?}");
        }
    }

    #[test]
    fn neither_key_nor_expiry_nor_channels_are_asked() {
        let parts = IdentityParts { user_id: "u", ..Default::default() };
        let (one, other) = (
            identity(&parts),
            identity(&IdentityParts { expires_at_s: Some(1), key: 2, channels: &["c"], ..parts }),
        );
        let question = |it| asking("x", Some(it)).to_question();
        assert_eq!(question(&one), question(&other));
    }
}

//! Sends of the server side that are addressed: to everyone, a tenant, a user, a channel.
//!
//! Reads requests; what becomes of the body's `message` in each dialect is `announcement`'s, and the
//! shards send it. Contract: protocols.md section 7 and section 11, "HTTP API".

use super::Parameters;
use super::text::{Object, is_refused};
use crate::audience::Audience;
use crate::close::Refusal;
use crate::topic::{Topic, TopicBounds};

/// Whom a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// Every connection.
    Everyone,
    /// Those of a tenant.
    Tenant(String),
    /// Those of a user: of no tenant, where the query names none.
    User(String),
    /// The members of a channel, which are its topic's subscribers.
    Channel(String),
}

/// Who gets a message, once the whole request is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The subscribers of a topic.
    Subscribers(String),
    /// These, whatever they are subscribed to.
    These(Audience),
}

/// What is said, and to whom.
#[derive(Debug)]
pub struct Said {
    /// Any JSON value, as it was written.
    pub message: Box<str>,
    /// Who gets it.
    pub reach: Reach,
}

impl To {
    /// Reads the rest of the request.
    ///
    /// # Errors
    /// The body or the query is ill formed, or the channel is no topic: the client's fault.
    pub fn said(
        self,
        parameters: &Parameters,
        body: &[u8],
        bounds: TopicBounds,
    ) -> Result<Said, Refusal> {
        let reach = match self {
            Self::Everyone => Reach::These(Audience::Everyone),
            Self::Tenant(tenant) => Reach::These(Audience::Tenant(tenant.into())),
            Self::User(user) => {
                let tenant = parameters.tenant()?;
                Reach::These(Audience::User { tenant, user: user.into() })
            }
            Self::Channel(channel) => {
                Topic::parse(&channel, bounds).map_err(Refusal::BadTopic)?;
                Reach::Subscribers(channel)
            }
        };
        let object = Object::of_body(body)?;
        let message = object.only("message")?.ok_or(Refusal::Missing("message"))?;
        if is_refused(message) {
            return Err(Refusal::BadJson);
        }
        Ok(Said { message: message.get().into(), reach })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topic::TopicError;

    fn said(to: To, query: &str, body: &str) -> Result<Said, Refusal> {
        to.said(&Parameters::of(Some(query)), body.as_bytes(), TopicBounds::default())
    }

    #[test]
    fn what_is_said_and_to_whom() {
        let user = |tenant: Option<&str>| {
            Reach::These(Audience::User { tenant: tenant.map(Into::into), user: "a.*".into() })
        };
        for (to, query, reach) in [
            (To::Everyone, "", Reach::These(Audience::Everyone)),
            (To::Tenant("t.*".into()), "", Reach::These(Audience::Tenant("t.*".into()))),
            (To::User("a.*".into()), "", user(None)),
            (To::User("a.*".into()), "tenant=t", user(Some("t"))),
            (To::User("a.*".into()), "tenantId=t", user(Some("t"))),
            (To::Channel("t:a".into()), "tenant=t", Reach::Subscribers("t:a".into())),
        ] {
            let said = said(to, query, r#"{"message": {"n": 1e400, "n":2} ,"x":0}"#).unwrap();
            assert_eq!((&*said.message, said.reach), (r#"{"n": 1e400, "n":2}"#, reach));
        }
    }

    #[test]
    fn refused() {
        let deep = format!(r#"{{"message":{}1{}}}"#, "[".repeat(1025), "]".repeat(1025));
        for (body, refusal) in [
            ("", Refusal::BadJson),
            ("[]", Refusal::NotAnObject),
            (r#"{"Message":1}"#, Refusal::Missing("message")),
            (r#"{"message":1,"message":2}"#, Refusal::DuplicateKey),
            (r#"{"message":"\ud800"}"#, Refusal::BadJson),
            (&deep, Refusal::BadJson),
        ] {
            assert_eq!(said(To::Everyone, "", body).unwrap_err(), refusal, "{body}");
        }
        let bad = said(To::Channel("a.*".into()), "", r#"{"message":1}"#).unwrap_err();
        assert_eq!(bad, Refusal::BadTopic(TopicError::WildcardInTopic));
        let bad = said(To::User("a".into()), "tenant=", r#"{"message":1}"#).unwrap_err();
        assert_eq!(bad, Refusal::IllTyped("tenant"));
    }
}

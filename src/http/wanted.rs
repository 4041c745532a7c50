//! Reports by path: what of connections and topics a request wants to know.
//!
//! Reads requests; `report` judges what they name, knows which shards are asked and makes the text.
//! Contract: protocols.md section 7 and section 11, "HTTP API".

use super::Parameters;
use crate::audience::Audience;
use crate::close::Refusal;
use crate::report::Wanted;
use crate::sid::Sid;

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// The counters, with connections by tenant and by topic.
    Stats,
    /// The connections, or those of a tenant or a user.
    Connections,
    /// One connection, by its id as the client wrote it.
    Connection(String),
    /// The topics that have subscribers.
    Topics,
    /// One topic.
    Topic(String),
    /// Who would get a message of a topic.
    Presence(String),
    /// Past messages of a topic.
    History(String),
}

impl About {
    /// The report that is wanted.
    ///
    /// # Errors
    /// The query is ill formed, or what is written can be no connection's id: the client's fault.
    pub fn wanted(self, parameters: &Parameters) -> Result<Wanted, Refusal> {
        Ok(match self {
            Self::Stats => Wanted::Stats,
            Self::Connections => {
                Wanted::Connections { of: audience(parameters)?, page: parameters.page()? }
            }
            Self::Connection(id) => match (id.parse(), Sid::parse(&id)) {
                (Ok(id), _) => Wanted::Connection(id),
                (Err(_), Some(sid)) => Wanted::Socket(sid),
                (Err(_), None) => return Err(Refusal::NotFound),
            },
            Self::Topics => {
                let prefix = parameters.text("prefix")?.unwrap_or_default().into();
                Wanted::Topics { prefix, page: parameters.page()? }
            }
            Self::Topic(name) => Wanted::Topic(name.into()),
            Self::Presence(name) => Wanted::Presence(name.into()),
            Self::History(name) => Wanted::History {
                topic: name.into(),
                since: parameters.number("since", 0..=u64::MAX)?.unwrap_or(0),
                limit: parameters.limit()?,
            },
        })
    }
}

/// Of everyone, of a tenant, or of a user: one of no tenant where none is given.
fn audience(parameters: &Parameters) -> Result<Audience, Refusal> {
    Ok(match (parameters.user()?, parameters.tenant()?) {
        (Some(user), tenant) => Audience::User { tenant, user },
        (None, Some(tenant)) => Audience::Tenant(tenant),
        (None, None) => Audience::Everyone,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Page;

    fn wanted(about: About, query: &str) -> Result<Wanted, Refusal> {
        about.wanted(&Parameters::of(Some(query)))
    }

    #[test]
    fn lists() {
        let page = Page { limit: 5, cursor: None };
        let of = |query| match wanted(About::Connections, query) {
            Ok(Wanted::Connections { of, page: own }) => (of, own),
            other => panic!("{other:?}"),
        };
        let user = |tenant: Option<&str>| Audience::User {
            tenant: tenant.map(Into::into),
            user: "7".into(),
        };
        assert_eq!(of("limit=5"), (Audience::Everyone, page));
        assert_eq!(of("limit=5&tenantId=t").0, Audience::Tenant("t".into()));
        assert_eq!(of("limit=5&userId=7").0, user(None));
        assert_eq!(of("limit=5&userId=7&tenantId=t").0, user(Some("t")));
        assert_eq!(of("limit=5&tenant=t").0, Audience::Tenant("t".into()));
        assert_eq!(of("limit=5&user=7&tenant=t").0, user(Some("t")));
        let topics = wanted(About::Topics, "prefix=a.&limit=5");
        assert_eq!(topics, Ok(Wanted::Topics { prefix: "a.".into(), page }));
    }

    #[test]
    fn one_thing() {
        let history = wanted(About::History("a.b".into()), "since=7");
        let expected = Wanted::History { topic: "a.b".into(), since: 7, limit: 100 };
        assert_eq!(history, Ok(expected));
        assert!(wanted(About::History("a".into()), "since=-1").is_err());
        assert_eq!(wanted(About::Topic("a..*".into()), ""), Ok(Wanted::Topic("a..*".into())));
        assert_eq!(wanted(About::Connection("none".into()), ""), Err(Refusal::NotFound));
    }
}

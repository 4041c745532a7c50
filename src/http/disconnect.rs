//! Forced disconnects: whose connections end, and with what.
//!
//! Reads requests; the shards carry them out (`report::Wanted`). Contract: protocols.md section 11,
//! "HTTP API".

use super::Parameters;
use super::text::Object;
use crate::audience::Audience;
use crate::close::{Close, Refusal, is_disconnect_code};
use crate::limits::CLOSE_REASON_BYTES_MAX;
use crate::report::Wanted;
use crate::sid::Sid;

/// Whose connections a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    /// Those of a user: of no tenant, where the query names none.
    User(String),
    /// One, by its id as the client wrote it.
    Connection(String),
}

impl Whom {
    /// What is to be done; `body` may be empty.
    ///
    /// # Errors
    /// The body or the query is ill formed, or what is written can be no connection's id: the
    /// client's fault.
    pub fn wanted(self, parameters: &Parameters, body: &[u8]) -> Result<Wanted, Refusal> {
        let (code, reason) = with(body)?;
        Ok(match self {
            Self::User(user) => {
                let tenant = parameters.tenant()?;
                Wanted::Disconnect {
                    of: Audience::User { tenant, user: user.into() },
                    code,
                    reason,
                }
            }
            Self::Connection(id) => match (id.parse(), Sid::parse(&id)) {
                (Ok(id), _) => Wanted::DisconnectOne { id, code, reason },
                (Err(_), Some(sid)) => Wanted::DisconnectSocket(sid),
                (Err(_), None) => return Err(Refusal::NotFound),
            },
        })
    }
}

/// The code and the reason that a body gives.
fn with(body: &[u8]) -> Result<(u16, Box<str>), Refusal> {
    if body.trim_ascii().is_empty() {
        return Ok((Close::Forced.code(), Close::Forced.reason().into()));
    }
    let object = Object::of_body(body)?;
    let code = match object.optional("code")? {
        None => Some(Close::Forced.code()),
        Some(code) => whole(code.get()).filter(|code| is_disconnect_code(*code)),
    };
    let reason = match object.optional("reason")? {
        None => Some(Close::Forced.reason().to_owned()),
        Some(reason) => serde_json::from_str::<String>(reason.get())
            .ok()
            .filter(|reason| reason.len() <= CLOSE_REASON_BYTES_MAX),
    };
    Ok((
        code.ok_or(Refusal::IllTyped("code"))?,
        reason.ok_or(Refusal::IllTyped("reason"))?.into_boxed_str(),
    ))
}

/// A JSON number that is a whole one, also as `4000.0`.
fn whole(number: &str) -> Option<u16> {
    let (digits, fraction) = number.split_once('.').unwrap_or((number, "0"));
    fraction.bytes().all(|digit| digit == b'0').then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_reasons() {
        let with = |body: &str| with(body.as_bytes()).map(|(code, reason)| (code, reason.into()));
        let given = |code, reason: &str| Ok::<(u16, String), Refusal>((code, reason.into()));
        let default = given(1008, "disconnected by the server");
        for body in ["", " \n", "{}", r#"{"code":null,"reason":null,"other":1}"#] {
            assert_eq!(with(body), default, "{body}");
        }
        assert_eq!(with(r#"{"reason":"by\u0065","code":4000}"#), given(4000, "bye"));
        assert_eq!(with(r#"{"code":1001,"reason":""}"#), given(1001, ""));
        assert_eq!(with(r#"{"code":4000.0,"reason":""}"#), given(4000, ""));
        for code in ["1002", "3999", "5000", "-4000", "4000.5", "69536", "\"4000\"", "\".0\"", "[]"]
        {
            let body = format!(r#"{{"code":{code}}}"#);
            assert_eq!(with(&body), Err(Refusal::IllTyped("code")), "{code}");
        }
        let long = format!(r#"{{"reason":"{}"}}"#, "é".repeat(62));
        for body in [&long, r#"{"reason":1}"#, r#"{"reason":"\ud800"}"#] {
            assert_eq!(with(body), Err(Refusal::IllTyped("reason")), "{body}");
        }
        assert_eq!(with(r#"{"code":1000,"code":1001}"#), Err(Refusal::DuplicateKey));
        assert_eq!(with("[4000]"), Err(Refusal::NotAnObject));
        assert_eq!(with("4000 bye"), Err(Refusal::BadJson));
    }

    #[test]
    fn a_user_is_named_with_the_tenant() {
        let user = Whom::User("42".into());
        let of = |query| match user.clone().wanted(&Parameters::of(query), b"") {
            Ok(Wanted::Disconnect { of, .. }) => of,
            other => panic!("{other:?}"),
        };
        let expected = |tenant: Option<&str>| Audience::User {
            tenant: tenant.map(Into::into),
            user: "42".into(),
        };
        assert_eq!(of(None), expected(None));
        assert_eq!(of(Some("tenant=acme")), expected(Some("acme")));
        assert_eq!(of(Some("tenantId=acme")), expected(Some("acme")));
        let none = Whom::Connection("none".into()).wanted(&Parameters::default(), b"");
        assert_eq!(none, Err(Refusal::NotFound));
    }
}

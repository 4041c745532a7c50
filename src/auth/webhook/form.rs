//! How a question and its answer read on the wire, and how a question is signed. No I/O.
//!
//! The body is a JSON object with its keys in the contract's order; what is not known of the asker
//! is `null`. An answer is read strictly: what is not an answer to the letter denies, a key that
//! stands twice among them. Specification: protocols.md section 6, section 11 "Rules".

use std::collections::HashSet;
use std::fmt;

use aws_lc_rs::hmac;
use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::auth::question::Question;
use crate::connection::ConnectionId;
use crate::limits::WEBHOOK_TTL_S_MAX;
use crate::mail::Answer;

/// Header with the signature.
pub(super) const SIGNATURE: &str = "x-shardwire-signature";
/// Header with the time that is signed too: seconds since the Unix epoch.
pub(super) const TIMESTAMP: &str = "x-shardwire-timestamp";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct QuestionBody<'a> {
    action: &'static str,
    topic: &'a str,
    user_id: Option<&'a str>,
    tenant_id: Option<&'a str>,
    roles: &'a [Box<str>],
    connection_id: String,
    client_ip: String,
}

/// The body of a question; `connection` is the first that asks it.
pub(super) fn question_body(question: &Question, connection: ConnectionId) -> String {
    let body = QuestionBody {
        action: question.action.word(),
        topic: &question.topic,
        user_id: question.user.as_deref(),
        tenant_id: question.tenant.as_deref(),
        roles: &question.roles,
        connection_id: connection.to_string(),
        client_ip: question.client.to_canonical().to_string(),
    };
    serde_json::to_string(&body).expect("texts have a JSON form")
}

/// The value of [`SIGNATURE`]: `sha256=<hex HMAC-SHA256>` of the body, or of
/// `<timestamp>.<body>` where the time is signed.
pub(super) fn signature(key: &hmac::Key, timestamp: Option<&str>, body: &str) -> String {
    let mut context = hmac::Context::with_key(key);
    if let Some(timestamp) = timestamp {
        context.update(timestamp.as_bytes());
        context.update(b".");
    }
    context.update(body.as_bytes());
    let tag = context.sign();
    let mut text = String::with_capacity("sha256=".len() + 2 * tag.as_ref().len());
    text.push_str("sha256=");
    for byte in tag.as_ref() {
        text.extend(
            [byte >> 4, byte & 15].map(|half| char::from(b"0123456789abcdef"[usize::from(half)])),
        );
    }
    text
}

/// An answer's object; a list of its values, which the derived form would take, is none.
#[derive(Default)]
struct AnswerBody {
    allow: Option<bool>,
    ttl_s: Option<f64>,
}

impl<'de> Deserialize<'de> for AnswerBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(OneObject)
    }
}

/// Takes an object whose keys are all different.
struct OneObject;

impl<'de> Visitor<'de> for OneObject {
    type Value = AnswerBody;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<AnswerBody, A::Error> {
        let (mut body, mut keys) = (AnswerBody::default(), HashSet::new());
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "allow" => body.allow = Some(map.next_value()?),
                "ttl" => body.ttl_s = Some(map.next_value()?),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
            if !keys.insert(key) {
                return Err(A::Error::custom("a key stands twice"));
            }
        }
        Ok(body)
    }
}

/// Reads an answer; without a `ttl` it holds for `default_ttl_ms`. `None`: it is none.
pub(super) fn read_answer(body: &[u8], default_ttl_ms: u64) -> Option<Answer> {
    let AnswerBody { allow, ttl_s } = serde_json::from_slice(body).ok()?;
    let ttl_ms = match ttl_s {
        None => default_ttl_ms,
        Some(ttl_s) if ttl_s >= 0.0 => milliseconds(ttl_s).min(WEBHOOK_TTL_S_MAX * 1000),
        Some(_) => return None,
    };
    Some(Answer { allowed: allow?, ttl_ms })
}

#[allow(clippy::cast_sign_loss, reason = "not negative, and what is too large is cut")]
fn milliseconds(seconds: f64) -> u64 {
    (seconds * 1000.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::{Address, ConnKey};
    use crate::rule::Action;

    fn connection() -> ConnectionId {
        let conn = ConnKey { index: 1, generation: 2 };
        ConnectionId { node: 3, at: Address { shard: 0, conn } }
    }

    #[test]
    fn a_question_reads_as_the_contract_says() {
        let mut question = Question {
            action: Action::Subscribe,
            topic: "room.\"1\".*".into(),
            user: Some("alice".into()),
            tenant: Some("acme".into()),
            roles: Box::new(["b".into(), "a".into()]),
            client: "::ffff:10.0.0.1".parse().unwrap(),
        };
        let id = connection();
        assert_eq!(
            question_body(&question, id),
            format!(
                r#"{{"action":"subscribe","topic":"room.\"1\".*","userId":"alice","tenantId":"acme","roles":["b","a"],"connectionId":"{id}","clientIp":"10.0.0.1"}}"#
            )
        );
        question.user = None;
        question.tenant = None;
        question.roles = Box::new([]);
        let body = question_body(&question, id);
        assert!(body.contains(r#""userId":null,"tenantId":null,"roles":[],"#), "{body}");
    }

    #[test]
    fn signatures_are_hmac_sha256() {
        // RFC 4231, test case 2.
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"Jefe");
        let expected = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(signature(&key, None, "what do ya want for nothing?"), expected);
        assert_eq!(signature(&key, Some("17"), "{}"), signature(&key, None, "17.{}"));
        assert_ne!(signature(&key, Some("17"), "{}"), signature(&key, None, "{}"));
    }

    #[test]
    fn answers_are_read_to_the_letter() {
        let day_ms = WEBHOOK_TTL_S_MAX * 1000;
        for (body, allowed, ttl_ms) in [
            (r#"{"allow":true}"#, true, 500),
            (r#"{"allow":false}"#, false, 500),
            (r#" { "ttl" : 7 , "allow" : false, "why": {"any": []} } "#, false, 7000),
            (r#"{"allow":true,"ttl":0}"#, true, 0),
            (r#"{"allow":true,"ttl":-0}"#, true, 0),
            (r#"{"allow":true,"ttl":0.25}"#, true, 250),
            (r#"{"allow":true,"ttl":86400}"#, true, day_ms),
            (r#"{"allow":true,"ttl":86401}"#, true, day_ms),
            (r#"{"allow":true,"ttl":18446744073709551616}"#, true, day_ms),
            (r#"{"allow":true,"ttl":1e300}"#, true, day_ms),
            (r#"{"\u0061llow":true}"#, true, 500),
        ] {
            let expected = Some(Answer { allowed, ttl_ms });
            assert_eq!(read_answer(body.as_bytes(), 500), expected, "{body}");
        }
        for body in [
            "",
            "true",
            "{}",
            "[true]",
            r#"{"allow":"true"}"#,
            r#"{"allow":1}"#,
            r#"{"allow":null}"#,
            r#"{"Allow":true}"#,
            r#"{"ttl":5}"#,
            r#"{"allow":true,"allow":true}"#,
            r#"{"allow":false,"allow":true}"#,
            r#"{"allow":false,"\u0061llow":true}"#,
            r#"{"allow":true,"ttl":1,"ttl":2}"#,
            r#"{"allow":true,"x":1,"\u0078":2}"#,
            "[true,5]",
            r#"{"allow":true,"ttl":-1}"#,
            r#"{"allow":true,"ttl":"5"}"#,
            r#"{"allow":true,"ttl":null}"#,
            r#"{"allow":true,"ttl":1e999}"#,
            r#"{"allow":true}x"#,
            r#"{"allow":true"#,
            r#"{"allow":true,}"#,
            "{\"allow\":true,\"x\":\"\u{1}\"}",
        ] {
            assert_eq!(read_answer(body.as_bytes(), 500), None, "{body}");
        }
        assert_eq!(read_answer(b"{\"allow\":true,\"\xff\":1}", 500), None);
        let deep = format!(r#"{{"allow":true,"x":{}"#, "[".repeat(100_000));
        assert_eq!(read_answer(deep.as_bytes(), 500), None);
    }
}

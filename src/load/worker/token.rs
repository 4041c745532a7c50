//! Tokens for the load's clients: a day long, each with its own user.
//!
//! HS256 and nothing else: enough for a server that knows the same secret. One is made for each
//! connect, and forgotten when the connection is ready.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{EncodingKey, Header, encode};
use serde::Serialize;

use crate::load::scenario::Credentials;

/// How long a token is valid: longer than any run.
const VALID: Duration = Duration::from_hours(24);

/// Makes tokens, or knows the one that all show.
pub(super) enum Mint {
    /// Nobody shows anything.
    None,
    /// All show the same.
    Same(Box<str>),
    /// Each its own.
    Each(Box<Each>),
}

/// Signs tokens.
pub(super) struct Each {
    key: EncodingKey,
    tenant: Option<String>,
    /// Seconds since the epoch.
    expires: u64,
}

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    exp: u64,
    #[serde(rename = "tenantId", skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
}

impl Mint {
    pub(super) fn new(credentials: &Credentials) -> Self {
        match credentials {
            Credentials::None => Self::None,
            Credentials::Token(token) => Self::Same(token.as_str().into()),
            Credentials::Secret { secret, tenant } => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Self::Each(Box::new(Each {
                    key: EncodingKey::from_secret(secret.as_bytes()),
                    tenant: tenant.clone(),
                    expires: (now + VALID).as_secs(),
                }))
            }
        }
    }

    /// A token of its own for a client, known by its number in the run.
    pub(super) fn mint(&self, number: u32) -> Option<Box<str>> {
        let Self::Each(each) = self else { return None };
        let claims = Claims {
            sub: &format!("bench-{number}"),
            exp: each.expires,
            tenant: each.tenant.as_deref(),
        };
        // Plain data and a key of any length: nothing that can fail.
        let token = encode(&Header::default(), &claims, &each.key);
        Some(token.expect("HS256 signs anything").into())
    }

    /// The token that all show.
    pub(super) fn same(&self) -> Option<&str> {
        match self {
            Self::Same(token) => Some(token),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_token_says_who_and_of_which_tenant() {
        let secret = "0123456789abcdef0123456789abcdef".to_owned();
        let tenant = Some("acme".to_owned());
        let mint = Mint::new(&Credentials::Secret { secret: secret.clone(), tenant });
        let token = mint.mint(7).unwrap();
        let key = DecodingKey::from_secret(secret.as_bytes());
        let claims =
            decode::<Value>(&*token, &key, &Validation::new(Algorithm::HS256)).unwrap().claims;
        assert_eq!((&claims["sub"], &claims["tenantId"]), (&"bench-7".into(), &"acme".into()));
        assert_eq!(mint.same(), None);
        let same = Mint::new(&Credentials::Token("t".into()));
        assert_eq!((same.same(), same.mint(1)), (Some("t"), None));
    }
}

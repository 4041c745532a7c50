//! A policy with an open endpoint and one that wants a token, and tokens for it: what tests of the
//! core begin with. A program that needs it includes it.

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::Value;
use shardwire::auth::{DialectRules, Rules, TokenSettings, Verifier};
use shardwire::config::Dialect;
use shardwire::shard::{Endpoint, Policy};

const SECRET: &str = "a secret for tests of the core";

/// The number of the endpoint where nobody needs a token.
pub const OPEN: u8 = 0;
/// The number of the endpoint where everyone needs one.
pub const GUARDED: u8 = 1;

/// The policy.
pub fn policy() -> Policy {
    let guarded = Rules::defaults(DialectRules::Topics, false);
    let mut policy = Policy::new(vec![
        Endpoint::new("/open", Dialect::Topics, false, Rules::open()),
        Endpoint::new("/guarded", Dialect::Topics, true, guarded),
    ]);
    let settings = TokenSettings { secret: Some(SECRET.into()), ..TokenSettings::default() };
    policy.verifier = Some(Verifier::new(&settings).expect("a secret is enough"));
    policy
}

/// A token with these claims that the guarded endpoint believes.
pub fn token(claims: &Value) -> String {
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    encode(&Header::default(), claims, &key).expect("plain claims")
}

//! From a token's text to an [`Identity`]: signature, times, issuer, audience, claims.
//!
//! The signature and the encoding are the `jsonwebtoken` crate's part; the times are checked here
//! against the time that is passed in. A claim that is there with the wrong type refuses the token,
//! and so does a claim that is there twice: who reads the first and who reads the last must not
//! disagree. Called at connect and for each `auth` message. It remembers nothing, and no
//! token or secret is part of an error.
//! Specification: protocols.md section 1, section 11 "Identity"; RFC 7519, RFC 8725.

use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Header, decode, decode_header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use thiserror::Error;

use super::identity::{Identity, IdentityError, IdentityParts};
use super::keys::{Key, KeyError, TokenSettings};
use crate::limits::TOKEN_BYTES_MAX;
use crate::time::Timestamp;
use crate::topic::TopicBounds;

/// Why a token is not believed. The fault of whoever minted or sent it, unless a variant says
/// otherwise; the client should come back with another token, not with this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TokenError {
    /// More than [`TOKEN_BYTES_MAX`]; not looked at.
    #[error("token is longer than {TOKEN_BYTES_MAX} bytes")]
    TooLong,
    /// Not three parts of base64url.
    #[error("token is malformed")]
    Malformed,
    /// The header is no JSON object with an `alg` that is known here; `none` is not.
    #[error("token header is unreadable or names an unknown algorithm")]
    BadHeader,
    /// The header names extensions that must be understood (RFC 7515 section 4.1.11); none are.
    #[error("token has critical extensions")]
    CriticalExtension,
    /// No configured key is for the token's algorithm, or not the key that it names.
    #[error("token's algorithm does not fit a configured key")]
    WrongAlgorithm,
    /// Its `kid` names no key here. The operator's fault, if the JWKS file is older than the key.
    #[error("token names an unknown key")]
    UnknownKey,
    /// Several keys would do and no `kid` chooses one. Also the operator's fault.
    #[error("token does not say which of several keys it is for")]
    AmbiguousKey,
    /// Forged, damaged, or signed with another key.
    #[error("token has a wrong signature")]
    BadSignature,
    /// The payload is no JSON object, or a claim stands in it twice.
    #[error("token claims are unreadable")]
    BadPayload,
    /// The named claim has the wrong type.
    #[error("token claim {0} is ill formed")]
    BadClaim(&'static str),
    /// None of `sub`, `userId`, `id`, `user_id`.
    #[error("token names no user")]
    NoUser,
    /// The claims are of their types and still make no identity.
    #[error("token makes no identity: {0}")]
    BadIdentity(#[from] IdentityError),
    /// Past `exp` and the leeway.
    #[error("token has expired")]
    Expired,
    /// Before `nbf` less the leeway.
    #[error("token is not valid yet")]
    NotYetValid,
    /// No `exp`, and one is required.
    #[error("token has no expiry")]
    NoExpiry,
    /// `iss` is not the configured one.
    #[error("token is from another issuer")]
    WrongIssuer,
    /// `aud` is or holds not the configured one.
    #[error("token is for another audience")]
    WrongAudience,
}

/// The claims that are read. Each stays JSON text until its turn, so that an error can name it
/// and a number keeps its digits.
#[derive(Deserialize)]
struct Payload {
    sub: Claim,
    #[serde(rename = "userId")]
    user_id_camel: Claim,
    id: Claim,
    user_id: Claim,
    roles: Claim,
    role: Claim,
    #[serde(rename = "tenantId")]
    tenant_id_camel: Claim,
    tenant_id: Claim,
    channels: Claim,
    exp: Claim,
    nbf: Claim,
}

/// `null` counts as absent.
type Claim = Option<Box<RawValue>>;

/// Checks tokens with the keys and conditions it was made with.
#[derive(Debug)]
pub struct Verifier {
    keys: Vec<Key>,
    leeway_s: u64,
    require_exp: bool,
    topic_bounds: TopicBounds,
}

impl Verifier {
    /// Reads the keys.
    ///
    /// # Errors
    /// The first source of keys that is unusable; the operator's fault.
    pub fn new(settings: &TokenSettings) -> Result<Self, KeyError> {
        Ok(Self {
            keys: Key::all(settings)?,
            leeway_s: settings.leeway_s,
            require_exp: settings.require_exp,
            topic_bounds: settings.topic_bounds,
        })
    }

    /// Seconds after an identity's `expires_at_s` at which it is over.
    pub fn leeway_s(&self) -> u64 {
        self.leeway_s
    }

    /// Believes a token or says why not. About ten microseconds with a secret, a hundred with a
    /// public key.
    ///
    /// # Errors
    /// The first thing that is wrong, the signature before anything in the payload.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Identity, TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::TooLong);
        }
        let header = decode_header(token).map_err(|error| match error.kind() {
            ErrorKind::Json(_) => TokenError::BadHeader,
            _ => TokenError::Malformed,
        })?;
        if header.crit.is_some() {
            return Err(TokenError::CriticalExtension);
        }
        let key = self.key_for(&header)?;
        let payload = decode::<Payload>(token, &key.decoding, &key.validation)
            .map_err(|error| refusal(&error))?
            .claims;
        let expires_at_s = self.check_times(&payload, now)?;
        identity(&payload, expires_at_s, key.fingerprint, self.topic_bounds)
    }

    /// Whether an identity's [`key`](Identity::key) is still one of the keys. Linear in them.
    pub fn has_key(&self, fingerprint: u32) -> bool {
        self.keys.iter().any(|key| key.fingerprint == fingerprint)
    }

    /// The one key that the header chooses: by `kid`; among those without a name if none has it;
    /// among all if the header names none.
    fn key_for(&self, header: &Header) -> Result<&Key, TokenError> {
        let kid = header.kid.as_ref();
        let known = kid.is_some() && self.keys.iter().any(|key| key.kid.as_ref() == kid);
        let meant = |key: &&Key| match (kid, known) {
            (None, _) => true,
            (Some(_), true) => key.kid.as_ref() == kid,
            (Some(_), false) => key.kid.is_none(),
        };
        if !self.keys.iter().any(|key| meant(&key)) {
            return Err(TokenError::UnknownKey);
        }
        let mut fitting = self
            .keys
            .iter()
            .filter(meant)
            .filter(|key| key.validation.algorithms.contains(&header.alg));
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Ok(key),
            (None, _) => Err(TokenError::WrongAlgorithm),
            (Some(_), Some(_)) => Err(TokenError::AmbiguousKey),
        }
    }

    /// Checks `exp` and `nbf`; gives back `exp`.
    fn check_times(&self, payload: &Payload, now: Timestamp) -> Result<Option<u64>, TokenError> {
        let exp = seconds("exp", &payload.exp)?;
        let nbf = seconds("nbf", &payload.nbf)?;
        if exp.is_none() && self.require_exp {
            return Err(TokenError::NoExpiry);
        }
        if exp.is_some_and(|exp| exp.saturating_add(self.leeway_s) <= now.secs()) {
            return Err(TokenError::Expired);
        }
        if nbf.is_some_and(|nbf| now.secs().saturating_add(self.leeway_s) < nbf) {
            return Err(TokenError::NotYetValid);
        }
        Ok(exp)
    }
}

fn identity(
    payload: &Payload,
    expires_at_s: Option<u64>,
    key: u32,
    bounds: TopicBounds,
) -> Result<Identity, TokenError> {
    let user_id = first_id(&[
        ("sub", &payload.sub),
        ("userId", &payload.user_id_camel),
        ("id", &payload.id),
        ("user_id", &payload.user_id),
    ])?
    .ok_or(TokenError::NoUser)?;
    let tenant =
        first_id(&[("tenantId", &payload.tenant_id_camel), ("tenant_id", &payload.tenant_id)])?;
    let roles: Vec<String> = match claim("roles", &payload.roles)? {
        Some(roles) => roles,
        None => claim("role", &payload.role)?.into_iter().collect(),
    };
    let channels: Vec<String> = claim("channels", &payload.channels)?.unwrap_or_default();
    let parts = IdentityParts {
        user_id: &user_id,
        tenant: tenant.as_deref(),
        roles: &roles.iter().map(String::as_str).collect::<Vec<_>>(),
        channels: &channels.iter().map(String::as_str).collect::<Vec<_>>(),
        expires_at_s,
        key,
    };
    Ok(Identity::new(&parts, bounds)?)
}

/// The first claim that is there: a string, or an integer's digits as they are written.
fn first_id(claims: &[(&'static str, &Claim)]) -> Result<Option<String>, TokenError> {
    let present = claims.iter().find_map(|(name, claim)| Some((*name, claim.as_deref()?.get())));
    let Some((name, text)) = present else {
        return Ok(None);
    };
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(Some(text.to_owned()));
    }
    serde_json::from_str(text).map(Some).map_err(|_| TokenError::BadClaim(name))
}

fn claim<T: DeserializeOwned>(name: &'static str, claim: &Claim) -> Result<Option<T>, TokenError> {
    let Some(raw) = claim else {
        return Ok(None);
    };
    serde_json::from_str(raw.get()).map(Some).map_err(|_| TokenError::BadClaim(name))
}

/// A NumericDate (RFC 7519 section 2): seconds, perhaps with a fraction, which is cut off. What
/// lies before 1970 is 1970.
fn seconds(name: &'static str, date: &Claim) -> Result<Option<u64>, TokenError> {
    let Some(number) = claim::<serde_json::Number>(name, date)? else {
        return Ok(None);
    };
    let whole = number.as_u64();
    // A cast from a float saturates at both ends.
    #[allow(clippy::cast_sign_loss)]
    let cut = || number.as_f64().map(|seconds| seconds as u64);
    whole.or_else(cut).map(Some).ok_or(TokenError::BadClaim(name))
}

fn refusal(error: &Error) -> TokenError {
    match error.kind() {
        ErrorKind::InvalidToken | ErrorKind::Base64(_) | ErrorKind::Utf8(_) => {
            TokenError::Malformed
        }
        ErrorKind::Json(_) => TokenError::BadPayload,
        ErrorKind::MissingRequiredClaim(name) if name == "iss" => TokenError::WrongIssuer,
        ErrorKind::InvalidIssuer => TokenError::WrongIssuer,
        ErrorKind::InvalidAudience | ErrorKind::MissingRequiredClaim(_) => {
            TokenError::WrongAudience
        }
        ErrorKind::InvalidAlgorithm => TokenError::WrongAlgorithm,
        _ => TokenError::BadSignature,
    }
}

#[cfg(test)]
mod tests;

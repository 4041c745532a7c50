//! The keys that tokens are checked with: an HMAC secret, a PEM public key, a JWKS document.
//!
//! Each key knows the algorithms that it is for, by its kind, its curve and what its JWK says, cut
//! down to those that the operator allows. A token's header can only choose among them, so a
//! public key is never taken for a secret. Made once from settings, used by `jwt`; reads no file.
//! Specification: protocols.md section 1; RFC 7517 (JWK), RFC 7518 (which key for which algorithm).

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};
pub use jsonwebtoken::Algorithm;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{DecodingKey, DecodingKeyKind, Validation};
use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;

use crate::limits::TOKEN_LEEWAY_S;
use crate::topic::TopicBounds;

/// How tokens are checked.
#[derive(Clone)]
pub struct TokenSettings {
    /// For HS256, HS384, HS512; its bytes as they are.
    pub secret: Option<String>,
    /// The text of a PEM file with one RSA, P-256, P-384 or Ed25519 public key.
    pub public_key_pem: Option<String>,
    /// The text of a JWKS document; keys in it that are of no use here are passed over.
    pub jwks: Option<String>,
    /// Empty: all that the keys are for.
    pub algorithms: Vec<Algorithm>,
    /// What `iss` must be.
    pub issuer: Option<String>,
    /// What `aud` must be or hold.
    pub audience: Option<String>,
    /// Seconds of grace around `exp` and `nbf`.
    pub leeway_s: u64,
    /// Whether a token without `exp` is refused.
    pub require_exp: bool,
    /// The bounds of the patterns in `channels`.
    pub topic_bounds: TopicBounds,
}

impl Default for TokenSettings {
    fn default() -> Self {
        Self {
            secret: None,
            public_key_pem: None,
            jwks: None,
            algorithms: Vec::new(),
            issuer: None,
            audience: None,
            leeway_s: TOKEN_LEEWAY_S,
            require_exp: false,
            topic_bounds: TopicBounds::default(),
        }
    }
}

impl fmt::Debug for TokenSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A JWKS can hold secrets too.
        f.debug_struct("TokenSettings")
            .field("algorithms", &self.algorithms)
            .field("issuer", &self.issuer)
            .field("audience", &self.audience)
            .field("leeway_s", &self.leeway_s)
            .field("require_exp", &self.require_exp)
            .finish_non_exhaustive()
    }
}

/// Why no key can be made of the settings. The operator's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// Neither secret nor public key nor JWKS.
    #[error("no key is configured")]
    NoKey,
    /// An HMAC secret of no bytes.
    #[error("the secret is empty")]
    EmptySecret,
    /// A public key's text as HMAC secret would let everyone who knows it sign.
    #[error("the secret is a PEM file; a public key is configured by public_key_file")]
    SecretIsPem,
    /// Not PEM, or not one of the kinds of key.
    #[error("not the PEM file of an RSA, P-256, P-384 or Ed25519 public key")]
    BadPem,
    /// A private key has no business on a broker.
    #[error("the PEM file holds a private key; only the public one is wanted")]
    PrivatePem,
    /// Fewer than 2048 bits, or more than 8192.
    #[error("an RSA key must have 2048 to 8192 bits")]
    RsaBits,
    /// Not JSON of the form `{"keys":[…]}`.
    #[error("not a JWKS document")]
    BadJwks,
    /// No key of the JWKS can check a signature by an algorithm that is known here.
    #[error("the JWKS document holds no usable key")]
    NoUsableJwk,
    /// No allowed algorithm is one that a key is for.
    #[error("none of the allowed algorithms fits a configured key")]
    NoAlgorithm,
}

/// One key and what it is for.
#[derive(Debug)]
pub(super) struct Key {
    /// The name by which a token's header chooses it.
    pub(super) kid: Option<String>,
    pub(super) decoding: DecodingKey,
    /// Tells it from other keys without showing it: the same for the same key in every verifier
    /// that wants the same issuer, audience and algorithms with it.
    pub(super) fingerprint: u32,
    /// The algorithms, the issuer and the audience; time is not looked at.
    pub(super) validation: Validation,
}

impl Key {
    /// All keys of the settings, at least one.
    ///
    /// # Errors
    /// The first source of keys that is unusable.
    pub(super) fn all(settings: &TokenSettings) -> Result<Vec<Self>, KeyError> {
        let mut found = Vec::new();
        if let Some(secret) = &settings.secret {
            found.push((None, from_secret(secret)?));
        }
        if let Some(pem) = &settings.public_key_pem {
            found.push((None, from_pem(pem)?));
        }
        if let Some(jwks) = &settings.jwks {
            found.extend(from_jwks(jwks)?);
        }
        if found.is_empty() {
            return Err(KeyError::NoKey);
        }
        let keys: Vec<_> = found
            .into_iter()
            .filter_map(|(kid, (decoding, algorithms))| {
                let validation = validation(settings, algorithms)?;
                let fingerprint = fingerprint(&decoding, settings, &validation.algorithms);
                Some(Self { kid, decoding, fingerprint, validation })
            })
            .collect();
        if keys.is_empty() { Err(KeyError::NoAlgorithm) } else { Ok(keys) }
    }
}

/// A key with the algorithms that its kind is for.
type Fitted = (DecodingKey, Vec<Algorithm>);

/// What is checked of a token besides its signature; `None` where no algorithm is left.
fn validation(settings: &TokenSettings, mut algorithms: Vec<Algorithm>) -> Option<Validation> {
    let allowed = &settings.algorithms;
    algorithms.retain(|algorithm| allowed.is_empty() || allowed.contains(algorithm));
    let mut validation = Validation::new(*algorithms.first()?);
    validation.algorithms = algorithms;
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = settings.audience.is_some();
    validation.required_spec_claims.clear();
    if let Some(issuer) = &settings.issuer {
        validation.set_issuer(&[issuer]);
        validation.required_spec_claims.insert("iss".into());
    }
    if let Some(audience) = &settings.audience {
        validation.set_audience(&[audience]);
        validation.required_spec_claims.insert("aud".into());
    }
    Some(validation)
}

fn from_secret(secret: &str) -> Result<Fitted, KeyError> {
    if secret.is_empty() {
        return Err(KeyError::EmptySecret);
    }
    if secret.trim_start().starts_with("-----BEGIN") {
        return Err(KeyError::SecretIsPem);
    }
    fit(DecodingKey::from_secret(secret.as_bytes())).ok_or(KeyError::EmptySecret)
}

fn from_pem(pem: &str) -> Result<Fitted, KeyError> {
    if pem.contains("PRIVATE KEY-----") {
        return Err(KeyError::PrivatePem);
    }
    if !pem.contains("PUBLIC KEY-----") {
        return Err(KeyError::BadPem);
    }
    let bytes = pem.as_bytes();
    // Each of them refuses the other kinds by the object identifier within.
    let decoding = DecodingKey::from_rsa_pem(bytes)
        .or_else(|_| DecodingKey::from_ec_pem(bytes))
        .or_else(|_| DecodingKey::from_ed_pem(bytes))
        .map_err(|_| KeyError::BadPem)?;
    let jwk = Jwk::from_decoding_key(&decoding, None).map_err(|_| KeyError::BadPem)?;
    if matches!(&jwk.algorithm, AlgorithmParameters::RSA(rsa) if !rsa_bits_are_usable(&rsa.n)) {
        return Err(KeyError::RsaBits);
    }
    fit(decoding).ok_or(KeyError::BadPem)
}

#[derive(Deserialize)]
struct Jwks<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

/// The usable keys of a JWKS document; the others are passed over (RFC 7517 section 5).
fn from_jwks(text: &str) -> Result<Vec<(Option<String>, Fitted)>, KeyError> {
    let set: Jwks<'_> = serde_json::from_str(text).map_err(|_| KeyError::BadJwks)?;
    let usable: Vec<_> = set
        .keys
        .iter()
        .filter_map(|raw| serde_json::from_str::<Jwk>(raw.get()).ok())
        .filter_map(|jwk| Some((jwk.common.key_id.clone(), from_jwk(&jwk)?)))
        .collect();
    if usable.is_empty() { Err(KeyError::NoUsableJwk) } else { Ok(usable) }
}

fn from_jwk(jwk: &Jwk) -> Option<Fitted> {
    let common = &jwk.common;
    let signs = matches!(common.public_key_use, None | Some(PublicKeyUse::Signature));
    let verifies = common
        .key_operations
        .as_ref()
        .is_none_or(|operations| operations.contains(&KeyOperations::Verify));
    let usable = match &jwk.algorithm {
        AlgorithmParameters::RSA(rsa) => rsa_bits_are_usable(&rsa.n),
        AlgorithmParameters::OctetKey(secret) => !secret.value.is_empty(),
        AlgorithmParameters::EllipticCurve(ec) => {
            matches!(ec.curve, EllipticCurve::P256 | EllipticCurve::P384)
        }
        AlgorithmParameters::OctetKeyPair(pair) => pair.curve == EllipticCurve::Ed25519,
        _ => false,
    };
    if !(signs && verifies && usable) {
        return None;
    }
    let (decoding, mut algorithms) = fit(DecodingKey::from_jwk(jwk).ok()?)?;
    if let Some(own) = common.key_algorithm {
        let own = Algorithm::try_from(own).ok()?;
        algorithms.retain(|algorithm| *algorithm == own);
    }
    Some((decoding, algorithms))
}

/// The algorithms that a key is for by its kind and, for an elliptic curve, the length of its
/// point; `None` for a curve that is not known here.
fn fit(decoding: DecodingKey) -> Option<Fitted> {
    use jsonwebtoken::AlgorithmFamily;
    let algorithms = match decoding.family() {
        AlgorithmFamily::Ec => match decoding.try_get_as_bytes().ok()?.len() {
            65 => vec![Algorithm::ES256],
            97 => vec![Algorithm::ES384],
            _ => return None,
        },
        family => family.algorithms().to_vec(),
    };
    Some((decoding, algorithms))
}

/// Four bytes of the SHA-256 of a key and of what else its tokens must be; never 0, which stands for
/// no key.
fn fingerprint(key: &DecodingKey, settings: &TokenSettings, algorithms: &[Algorithm]) -> u32 {
    let mut context = Context::new(&SHA256);
    // As Debug has it: what is within a text cannot look like its end.
    let conditions = (key.family(), &settings.issuer, &settings.audience, algorithms);
    context.update(format!("{conditions:?}\0").as_bytes());
    match key.kind() {
        DecodingKeyKind::SecretOrDer(bytes) => context.update(bytes),
        DecodingKeyKind::RsaModulusExponent { n, e } => {
            context.update(n);
            context.update(b"\0");
            context.update(e);
        }
    }
    let digest = context.finish();
    let head = digest.as_ref().first_chunk().copied().unwrap_or_default();
    u32::from_be_bytes(head).max(1)
}

/// `modulus` is base64url without padding: six bits a character.
fn rsa_bits_are_usable(modulus: &str) -> bool {
    (2048..=8192 + 8).contains(&(modulus.len() * 6))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RSA: &str = include_str!("testdata/rsa_public.pem");
    const P256: &str = include_str!("testdata/ec_p256_public.pem");

    fn algorithms_of(settings: &TokenSettings) -> Result<Vec<Vec<Algorithm>>, KeyError> {
        Ok(Key::all(settings)?.into_iter().map(|key| key.validation.algorithms).collect())
    }

    fn pem(text: &str) -> TokenSettings {
        TokenSettings { public_key_pem: Some(text.into()), ..Default::default() }
    }

    fn jwks(text: &str) -> TokenSettings {
        TokenSettings { jwks: Some(text.into()), ..Default::default() }
    }

    #[test]
    fn the_kind_of_a_key_says_its_algorithms() {
        use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
        let rsa = vec![RS256, RS384, RS512, PS256, PS384, PS512];
        for (text, expected) in [
            (RSA, rsa.clone()),
            (include_str!("testdata/rsa_public_pkcs1.pem"), rsa),
            (P256, vec![ES256]),
            (include_str!("testdata/ec_p384_public.pem"), vec![ES384]),
            (include_str!("testdata/ed25519_public.pem"), vec![EdDSA]),
        ] {
            assert_eq!(algorithms_of(&pem(text)), Ok(vec![expected]));
        }
    }

    #[test]
    fn what_the_operator_allows_cuts_it_down() {
        let allowed = vec![Algorithm::RS256, Algorithm::HS256];
        let rsa = TokenSettings { algorithms: allowed.clone(), ..pem(RSA) };
        assert_eq!(algorithms_of(&rsa), Ok(vec![vec![Algorithm::RS256]]));
        let ec = TokenSettings { algorithms: allowed, ..pem(P256) };
        assert_eq!(algorithms_of(&ec), Err(KeyError::NoAlgorithm));
    }

    #[test]
    fn unusable_sources_are_told_apart() {
        let secret = |text: &str| TokenSettings { secret: Some(text.into()), ..Default::default() };
        let cut = &RSA[..RSA.len() / 2];
        for (settings, error) in [
            (TokenSettings::default(), KeyError::NoKey),
            (secret(""), KeyError::EmptySecret),
            (secret(RSA), KeyError::SecretIsPem),
            (pem("nothing"), KeyError::BadPem),
            (pem(cut), KeyError::BadPem),
            (pem(include_str!("testdata/rsa_private.pem")), KeyError::PrivatePem),
            (pem(include_str!("testdata/rsa_1024_public.pem")), KeyError::RsaBits),
            (pem(include_str!("testdata/ec_p521_public.pem")), KeyError::BadPem),
            (jwks("{}"), KeyError::BadJwks),
            (jwks("nothing"), KeyError::BadJwks),
            (jwks(r#"{"keys":[]}"#), KeyError::NoUsableJwk),
        ] {
            assert_eq!(algorithms_of(&settings), Err(error));
        }
    }

    #[test]
    fn useless_keys_of_a_set_are_passed_over() {
        let set = r#"{"keys":[
            {"kty":"oct","k":"c2VjcmV0","use":"enc"},
            {"kty":"oct","k":"c2VjcmV0","alg":"RS256"},
            {"kty":"oct","k":"c2VjcmV0","alg":"A128KW"},
            {"kty":"oct","k":"c2VjcmV0","key_ops":["sign"]},
            {"kty":"oct","k":""},
            {"kty":"RSA","n":"AQAB","e":"AQAB"},
            {"kty":"EC","crv":"P-521","x":"AA","y":"AA"},
            {"kty":"EC","crv":"secp256k1","x":"AA","y":"AA"},
            {"kty":"EC","crv":"P-256","x":"AA","y":"AA"},
            {"kty":"OKP","crv":"X25519","x":"AA"},
            {"kty":"new"}, 7,
            {"kty":"oct","k":"c2VjcmV0","kid":"mine","alg":"HS384","key_ops":["verify"]}
        ]}"#;
        let keys = Key::all(&jwks(set)).unwrap();
        assert_eq!(keys.len(), 1);
        assert_eq!(keys[0].kid.as_deref(), Some("mine"));
        assert_eq!(keys[0].validation.algorithms, [Algorithm::HS384]);
    }

    #[test]
    fn a_key_keeps_its_fingerprint() {
        let secret = |text: &str| TokenSettings { secret: Some(text.into()), ..Default::default() };
        let of = |settings: &TokenSettings| Key::all(settings).unwrap()[0].fingerprint;
        // "hush", as a secret and as a key of a set.
        let set = |kid: &str| {
            jwks(&format!(r#"{{"keys":[{{"kty":"oct","k":"aHVzaA","kid":"{kid}"}}]}}"#))
        };
        assert_eq!(of(&secret("hush")), of(&secret("hush")));
        assert_eq!(of(&secret("hush")), of(&set("a")));
        assert_eq!(of(&set("a")), of(&set("b")));
        assert_eq!(of(&pem(RSA)), of(&pem(RSA)));
        let conditional = |issuer: Option<&str>,
                           audience: Option<&str>,
                           algorithms: &[Algorithm]| {
            let (issuer, audience) = (issuer.map(str::to_owned), audience.map(str::to_owned));
            of(&TokenSettings { issuer, audience, algorithms: algorithms.into(), ..secret("hush") })
        };
        let both = [Algorithm::HS256, Algorithm::HS384];
        assert_eq!(of(&secret("hush")), conditional(None, None, &[]));
        let all = [
            of(&secret("hush")),
            of(&secret("hust")),
            of(&pem(RSA)),
            of(&pem(P256)),
            conditional(Some("a"), None, &[]),
            conditional(None, Some("a"), &[]),
            conditional(Some("a"), Some("b"), &[]),
            conditional(None, None, &both),
            conditional(None, None, &both[..1]),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(*one != 0 && !all[..at].contains(one));
        }
    }

    #[test]
    fn settings_show_no_secret() {
        let settings = TokenSettings { secret: Some("hush".into()), ..jwks("hush") };
        assert!(!format!("{settings:?}").contains("hush"));
    }
}

//! Tokens good and bad, with keys of every kind. The keys in `testdata/` were made for these
//! tests with openssl and are used nowhere else.

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;

use super::*;
use crate::topic::TopicError;

const SECRET: &str = "a secret for the tests";
const NOW: Timestamp = Timestamp(1_769_860_800_500);
const NOW_S: u64 = 1_769_860_800;

macro_rules! pem {
    ($name:literal) => {
        include_str!(concat!("../testdata/", $name, ".pem"))
    };
}

fn with_secret() -> TokenSettings {
    TokenSettings { secret: Some(SECRET.into()), ..Default::default() }
}

fn verifier(settings: &TokenSettings) -> Verifier {
    Verifier::new(settings).unwrap()
}

/// Signs JSON text as it is, which `encode` with a struct would not let through twice or ill typed.
fn sign(header: &Header, payload: &str, key: &EncodingKey) -> String {
    let raw: Box<RawValue> = serde_json::from_str(payload).unwrap();
    encode(header, &raw, key).unwrap()
}

fn hs256(payload: &str) -> String {
    sign(&Header::default(), payload, &EncodingKey::from_secret(SECRET.as_bytes()))
}

fn identity_of(payload: &str) -> Result<Identity, TokenError> {
    verifier(&with_secret()).verify(&hs256(payload), NOW)
}

/// A part of a token: base64url without padding.
fn base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - three.len()));
        for at in 0..=three.len() {
            text.push(char::from(ALPHABET[(bits >> (18 - 6 * at)) as usize & 63]));
        }
    }
    text
}

#[test]
fn every_kind_of_key_verifies_its_algorithms() {
    use Algorithm::{ES256, ES384, EdDSA, HS256, HS384, HS512, PS256, PS512, RS256, RS384};
    let public = |text: &str| TokenSettings { public_key_pem: Some(text.into()), ..<_>::default() };
    let rsa = EncodingKey::from_rsa_pem(pem!("rsa_private").as_bytes()).unwrap();
    let p256 = EncodingKey::from_ec_pem(pem!("ec_p256_private").as_bytes()).unwrap();
    let p384 = EncodingKey::from_ec_pem(pem!("ec_p384_private").as_bytes()).unwrap();
    let ed = EncodingKey::from_ed_pem(pem!("ed25519_private").as_bytes()).unwrap();
    let hmac = EncodingKey::from_secret(SECRET.as_bytes());
    let payload = json!({"sub": "42", "exp": NOW_S + 60}).to_string();
    for (settings, algorithms, key) in [
        (with_secret(), &[HS256, HS384, HS512][..], hmac),
        (public(pem!("rsa_public")), &[RS256, RS384, PS256, PS512], rsa.clone()),
        (public(pem!("rsa_public_pkcs1")), &[RS256, PS256], rsa),
        (public(pem!("ec_p256_public")), &[ES256], p256),
        (public(pem!("ec_p384_public")), &[ES384], p384),
        (public(pem!("ed25519_public")), &[EdDSA], ed),
    ] {
        let verifier = verifier(&settings);
        for &algorithm in algorithms {
            let token = sign(&Header::new(algorithm), &payload, &key);
            let identity = verifier.verify(&token, NOW).unwrap();
            assert_eq!(identity.user_id(), "42");
            assert_eq!(identity.expires_at_s(), Some(NOW_S + 60));

            let (message, signature) = token.rsplit_once('.').unwrap();
            let other = if signature.starts_with('A') { "B" } else { "A" };
            let forged = format!("{message}.{other}{}", &signature[1..]);
            assert_eq!(verifier.verify(&forged, NOW), Err(TokenError::BadSignature));
            let unsigned = format!("{message}.");
            assert_eq!(verifier.verify(&unsigned, NOW), Err(TokenError::BadSignature));
        }
    }
}

#[test]
fn an_algorithm_that_the_key_is_not_for_is_refused() {
    let payload = r#"{"sub":"42","roles":["admin"]}"#;
    for name in ["rsa_public", "ec_p256_public", "ed25519_public"] {
        let text = match name {
            "rsa_public" => pem!("rsa_public"),
            "ec_p256_public" => pem!("ec_p256_public"),
            _ => pem!("ed25519_public"),
        };
        // Whoever knows the public key signs with its bytes as an HMAC secret.
        let settings = TokenSettings { public_key_pem: Some(text.into()), ..Default::default() };
        for secret in [text.as_bytes(), text.trim().as_bytes()] {
            let key = EncodingKey::from_secret(secret);
            for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
                let token = sign(&Header::new(algorithm), payload, &key);
                let refused = verifier(&settings).verify(&token, NOW);
                assert_eq!(refused, Err(TokenError::WrongAlgorithm));
            }
        }
    }
    let rsa = EncodingKey::from_rsa_pem(pem!("rsa_private").as_bytes()).unwrap();
    let token = sign(&Header::new(Algorithm::RS256), payload, &rsa);
    assert_eq!(verifier(&with_secret()).verify(&token, NOW), Err(TokenError::WrongAlgorithm));
}

#[test]
fn only_allowed_algorithms_pass() {
    let settings = TokenSettings { algorithms: vec![Algorithm::HS512], ..with_secret() };
    assert_eq!(
        verifier(&settings).verify(&hs256(r#"{"sub":"1"}"#), NOW),
        Err(TokenError::WrongAlgorithm)
    );
}

#[test]
fn unsigned_and_odd_headers_are_refused() {
    let payload = base64url(br#"{"sub":"42"}"#);
    let verifier = verifier(&with_secret());
    for (header, error) in [
        (r#"{"alg":"none"}"#, TokenError::BadHeader),
        (r#"{"alg":"None"}"#, TokenError::BadHeader),
        (r#"{"alg":"hs256"}"#, TokenError::BadHeader),
        (r#"{"alg":"HS256","alg":"none"}"#, TokenError::BadHeader),
        (r#"{"typ":"JWT"}"#, TokenError::BadHeader),
        ("[]", TokenError::BadHeader),
        (r#"{"alg":"HS256","crit":["exp"]}"#, TokenError::CriticalExtension),
        (r#"{"alg":"HS256"}"#, TokenError::BadSignature),
    ] {
        for signature in ["", "AAAA"] {
            let token = format!("{}.{payload}.{signature}", base64url(header.as_bytes()));
            assert_eq!(verifier.verify(&token, NOW), Err(error), "{header}");
        }
    }
}

#[test]
fn garbage_is_refused() {
    let verifier = verifier(&with_secret());
    let good = hs256(r#"{"sub":"42"}"#);
    for token in ["", ".", "..", "a.b", "a.b.c", "ä.ö.ü", "....", &format!("{good}.x"), &good[1..]]
    {
        assert!(verifier.verify(token, NOW).is_err(), "{token:?}");
    }
    let padded = format!("{good}=");
    assert_eq!(verifier.verify(&padded, NOW), Err(TokenError::Malformed));
    for cut in 0..good.len() {
        assert!(verifier.verify(&good[..cut], NOW).is_err());
    }
    let long = format!("{good}{}", "A".repeat(TOKEN_BYTES_MAX));
    assert_eq!(verifier.verify(&long, NOW), Err(TokenError::TooLong));
}

#[test]
fn times_are_judged_by_the_time_passed_in() {
    use TokenError::{BadClaim, Expired, NotYetValid};
    for (claims, expected) in [
        (json!({"exp": NOW_S + 1}), Ok(Some(NOW_S + 1))),
        (json!({"exp": NOW_S - 4}), Ok(Some(NOW_S - 4))),
        (json!({"exp": NOW_S - 5}), Err(Expired)),
        (json!({"exp": 0}), Err(Expired)),
        (json!({"exp": -7}), Err(Expired)),
        (json!({"exp": 1_769_860_900.75}), Ok(Some(NOW_S + 100))),
        (json!({"exp": 1e300}), Ok(None)),
        (json!({"exp": "1769860900"}), Err(BadClaim("exp"))),
        (json!({"exp": false}), Err(BadClaim("exp"))),
        (json!({"exp": [NOW_S]}), Err(TokenError::BadPayload)),
        (json!({"exp": null}), Ok(None)),
        (json!({}), Ok(None)),
        (json!({"nbf": NOW_S + 5}), Ok(None)),
        (json!({"nbf": NOW_S + 6}), Err(NotYetValid)),
        (json!({"nbf": true}), Err(BadClaim("nbf"))),
        (json!({"iat": NOW_S + 1000}), Ok(None)),
    ] {
        let mut payload = claims;
        payload["sub"] = json!("42");
        let expiry = identity_of(&payload.to_string()).map(|identity| identity.expires_at_s());
        assert_eq!(expiry, expected, "{payload}");
    }
    let strict = verifier(&TokenSettings { require_exp: true, leeway_s: 0, ..with_secret() });
    let verdict = |payload: &str| strict.verify(&hs256(payload), NOW).map(|_| ());
    assert_eq!(verdict(r#"{"sub":"1"}"#), Err(TokenError::NoExpiry));
    assert_eq!(verdict(&json!({"sub": "1", "exp": NOW_S}).to_string()), Err(Expired));
    assert_eq!(verdict(&json!({"sub": "1", "exp": NOW_S + 1}).to_string()), Ok(()));
}

#[test]
fn the_user_id_is_the_first_that_is_there() {
    use TokenError::{BadClaim, BadIdentity, NoUser};
    for (payload, expected) in [
        (r#"{"sub":"a","userId":"b","id":"c","user_id":"d"}"#, Ok("a")),
        (r#"{"user_id":"d","id":"c","userId":"b"}"#, Ok("b")),
        (r#"{"user_id":"d","id":"c"}"#, Ok("c")),
        (r#"{"user_id":"d"}"#, Ok("d")),
        (r#"{"sub":null,"id":7}"#, Ok("7")),
        (r#"{"sub":9007199254740993}"#, Ok("9007199254740993")),
        (r#"{"sub":123456789012345678901234567890}"#, Ok("123456789012345678901234567890")),
        (r#"{"sub":-1}"#, Ok("-1")),
        (r#"{"s\u0075b":"\u00e9\"x"}"#, Ok("é\"x")),
        (r#"{"sub":1.0}"#, Err(BadClaim("sub"))),
        (r#"{"sub":1e3}"#, Err(BadClaim("sub"))),
        (r#"{"userId":true}"#, Err(BadClaim("userId"))),
        (r#"{"id":["a"]}"#, Err(BadClaim("id"))),
        (r#"{"user_id":{}}"#, Err(BadClaim("user_id"))),
        (r#"{"sub":"\ud800"}"#, Err(BadClaim("sub"))),
        (r#"{"sub":"","id":"c"}"#, Err(BadIdentity(IdentityError::EmptyUser))),
        ("{}", Err(NoUser)),
        ("[]", Err(TokenError::BadPayload)),
        ("7", Err(TokenError::BadPayload)),
    ] {
        let user = identity_of(payload).map(|identity| identity.user_id().to_owned());
        assert_eq!(user, expected.map(str::to_owned), "{payload}");
    }
}

#[test]
fn a_claim_that_is_there_twice_is_refused() {
    for payload in [
        r#"{"sub":"a","sub":"a"}"#,
        r#"{"sub":"a","s\u0075b":"b"}"#,
        r#"{"sub":"a","role":"x","role":"admin"}"#,
        r#"{"sub":"a","exp":1,"exp":9999999999}"#,
    ] {
        assert_eq!(identity_of(payload), Err(TokenError::BadPayload), "{payload}");
    }
    assert!(identity_of(r#"{"sub":"a","other":1,"other":2}"#).is_ok());
}

#[test]
fn roles_tenant_and_channels_are_read() {
    use TokenError::{BadClaim, BadIdentity};
    let it = identity_of(
        r#"{"sub":"1","roles":["a","b"],"role":"c","tenantId":"t","tenant_id":"u","channels":["x.*"]}"#,
    )
    .unwrap();
    assert!(it.roles().eq(["a", "b"]) && it.channels().eq(["x.*"]));
    assert_eq!(it.tenant(), Some("t"));
    let it = identity_of(r#"{"sub":"1","role":"c","tenant_id":12}"#).unwrap();
    assert!(it.roles().eq(["c"]) && it.channels().next().is_none());
    assert_eq!(it.tenant(), Some("12"));
    for (payload, error) in [
        (r#"{"sub":"1","roles":"admin"}"#, BadClaim("roles")),
        (r#"{"sub":"1","roles":["a",1]}"#, BadClaim("roles")),
        (r#"{"sub":"1","role":["a"]}"#, BadClaim("role")),
        (r#"{"sub":"1","tenantId":{}}"#, BadClaim("tenantId")),
        (r#"{"sub":"1","tenantId":""}"#, BadIdentity(IdentityError::EmptyTenant)),
        (r#"{"sub":"1","channels":"a"}"#, BadClaim("channels")),
        (
            r#"{"sub":"1","channels":["a","b*"]}"#,
            BadIdentity(IdentityError::BadChannel(TopicError::PartialWildcard)),
        ),
    ] {
        assert_eq!(identity_of(payload), Err(error), "{payload}");
    }
}

#[test]
fn issuer_and_audience_are_wanted_when_configured() {
    use TokenError::{WrongAudience, WrongIssuer};
    let settings = TokenSettings {
        issuer: Some("https://id.example".into()),
        audience: Some("broker".into()),
        ..with_secret()
    };
    let strict = verifier(&settings);
    for (claims, expected) in [
        (r#""iss":"https://id.example","aud":"broker""#, Ok(())),
        (r#""iss":"https://id.example","aud":["x","broker"]"#, Ok(())),
        (r#""iss":"https://id.example","aud":["x"]"#, Err(WrongAudience)),
        (r#""iss":"https://id.example","aud":[]"#, Err(WrongAudience)),
        (r#""iss":"https://id.example","aud":7"#, Err(WrongAudience)),
        (r#""iss":"https://id.example""#, Err(WrongAudience)),
        (r#""iss":"https://id.example.net","aud":"broker""#, Err(WrongIssuer)),
        (r#""iss":null,"aud":"broker""#, Err(WrongIssuer)),
        (r#""iss":7,"aud":"broker""#, Err(WrongIssuer)),
        (r#""aud":"broker""#, Err(WrongIssuer)),
    ] {
        let token = hs256(&format!(r#"{{"sub":"1",{claims}}}"#));
        assert_eq!(strict.verify(&token, NOW).map(|_| ()), expected, "{claims}");
    }
    // Without a configured one, whatever the token says will do.
    assert!(identity_of(r#"{"sub":"1","iss":"any","aud":["any"]}"#).is_ok());
}

#[test]
fn a_key_of_a_set_is_chosen_by_kid() {
    use Algorithm::{ES256, HS256, RS256};
    let rsa = EncodingKey::from_rsa_pem(pem!("rsa_private").as_bytes()).unwrap();
    let ec = EncodingKey::from_ec_pem(pem!("ec_p256_private").as_bytes()).unwrap();
    let hmac = EncodingKey::from_secret(SECRET.as_bytes());
    let jwk = |key: &EncodingKey, algorithm, kid: &str| {
        let mut jwk = jsonwebtoken::jwk::Jwk::from_encoding_key(key, algorithm).unwrap();
        jwk.common.key_id = Some(kid.into());
        serde_json::to_value(jwk).unwrap()
    };
    let set = json!({"keys": [
        jwk(&rsa, RS256, "r"), jwk(&ec, ES256, "e"),
        jwk(&hmac, HS256, "h"), jwk(&EncodingKey::from_secret(b"other"), HS256, "h2"),
    ]});
    let settings = TokenSettings { jwks: Some(set.to_string()), ..Default::default() };
    let alone = verifier(&settings);
    let token = |algorithm, kid: Option<&str>, key: &EncodingKey| {
        let header = Header { kid: kid.map(Into::into), ..Header::new(algorithm) };
        sign(&header, r#"{"sub":"1"}"#, key)
    };
    // A public key's text as the secret, under the name of that key.
    let confused = EncodingKey::from_secret(pem!("rsa_public").as_bytes());
    for (algorithm, kid, key, expected) in [
        (RS256, Some("r"), &rsa, Ok(())),
        (ES256, Some("e"), &ec, Ok(())),
        (HS256, Some("h"), &hmac, Ok(())),
        (HS256, Some("h2"), &hmac, Err(TokenError::BadSignature)),
        (HS256, Some("r"), &hmac, Err(TokenError::WrongAlgorithm)),
        (HS256, Some("r"), &confused, Err(TokenError::WrongAlgorithm)),
        (RS256, Some("h"), &rsa, Err(TokenError::WrongAlgorithm)),
        (RS256, Some("x"), &rsa, Err(TokenError::UnknownKey)),
        (RS256, None, &rsa, Ok(())),
        (ES256, None, &ec, Ok(())),
        (HS256, None, &hmac, Err(TokenError::AmbiguousKey)),
        (Algorithm::PS256, Some("r"), &rsa, Err(TokenError::WrongAlgorithm)),
    ] {
        let verdict = alone.verify(&token(algorithm, kid, key), NOW).map(|_| ());
        assert_eq!(verdict, expected, "{algorithm:?} {kid:?}");
    }
    // A secret beside the set has no name: it takes what the set does not know.
    let both = verifier(&TokenSettings { secret: Some(SECRET.into()), ..settings });
    assert!(both.verify(&token(HS256, Some("x"), &hmac), NOW).is_ok());
    assert_eq!(both.verify(&token(HS256, Some("r"), &hmac), NOW), Err(TokenError::WrongAlgorithm));
}

#[test]
fn an_identity_remembers_its_key() {
    let identity = identity_of(r#"{"sub":"42"}"#).unwrap();
    assert!(verifier(&with_secret()).has_key(identity.key()));
    let other = TokenSettings { secret: Some("another".into()), ..Default::default() };
    assert!(!verifier(&other).has_key(identity.key()));
    let both = TokenSettings { public_key_pem: Some(pem!("rsa_public").into()), ..with_secret() };
    assert!(verifier(&both).has_key(identity.key()));
    assert!(!verifier(&both).has_key(0));
}

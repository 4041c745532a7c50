//! The key that tokens are checked with: where it may come from, and which signatures it is for.

use jsonwebtoken::Algorithm::{self, ES256, ES384, EdDSA, HS256, HS384, HS512};

use super::*;

const RSA: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAsNUfYJYcifY30AOBgHO6
CX49THI2UEy204hKusL0e9H+7TvvXzzLe87tmixLPhiGz2i/3bv1tLN+MBnEAGFq
kHAyeB7QkEQNKVpidSdHu6FMemfVyw5qcKZftMiM5trAqm1g75BWjvyt8LjO4WOT
Eyj6O7dTokzMpgK77Fm4d8dZ6/05cPNSdwt9/V58tbtA1hG1dQvuou7zwoBNSTV1
e7C4ukrl73bsEsvs1vipmbglfHmObdf7jmyGtfCMDj2ABK3l8UFbkSEF63ZaMaPo
pS3oD+hrwaqJB+BR2XbkTzpI7qzGu1L8V8FALbxQbyiwdIwbs8HeX2izYSo70qZC
RQIDAQAB
-----END PUBLIC KEY-----
";
const EC: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEUKl/NsVOZeedgCeWZe/gv2jz6bDE
sMrRxMuJ4M5/66OY7ik49gMH/Ag5gCloSE4nUQYyiWvJQhXbWzPgXuzCfw==
-----END PUBLIC KEY-----
";
const ED: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEACX7iv2JtwKjZ4Q3aMp/ylnvXNmnV8G+c5p7A03CH0Gs=
-----END PUBLIC KEY-----
";
const JWKS: &str = r#"{"keys":[
    {"kty":"OKP","crv":"Ed25519","kid":"1","x":"CX7iv2JtwKjZ4Q3aMp_ylnvXNmnV8G-c5p7A03CH0Gs"},
    {"kty":"EC","crv":"P-256","kid":"2","x":"UKl_NsVOZeedgCeWZe_gv2jz6bDEsMrRxMuJ4M5_66M",
     "y":"mO4pOPYDB_wIOYApaEhOJ1EGMolryUIV21sz4F7swn8"}]}"#;

fn with_file(key: &'static str, text: &'static str) -> Given {
    Given { files: [("key", text)].into(), flags: vec![(key, "key")], ..Given::default() }
}

#[test]
fn the_key_says_which_algorithms() {
    let rsa = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
    let rsa = rsa.map(|name| name.parse::<Algorithm>().unwrap());
    for (key, text, algorithms) in [
        ("auth.public_key_file", RSA, &rsa[..]),
        ("auth.public_key_file", EC, &[ES256, ES384]),
        ("auth.public_key_file", ED, &[EdDSA]),
        ("auth.jwks_file", JWKS, &[ES256, ES384, EdDSA]),
    ] {
        let auth = with_file(key, text).settings().auth;
        assert_eq!(auth.algorithms, algorithms, "{text}");
        let file = PathBuf::from("key");
        let expected = match key {
            "auth.jwks_file" => AuthKey::Jwks { file, json: text.to_owned() },
            _ => AuthKey::PublicKey { file, pem: text.to_owned() },
        };
        assert_eq!(auth.key, expected);
    }
    assert_eq!(Settings::default().auth.algorithms, [HS256, HS384, HS512]);
}

#[test]
fn an_algorithm_that_the_key_is_not_for() {
    let mut given = with_file("auth.public_key_file", EC);
    given.flags.push(("auth.algorithms", "ES256,HS256"));
    let expected = "--set: auth.algorithms = [\"ES256\", \"HS256\"]: HS256 is not for \
                    auth.public_key_file, which is for [\"ES256\", \"ES384\"]";
    assert_eq!(given.problems(), [expected]);
    let none = flags(&[("auth.algorithms", "RS256")]).problems();
    assert!(none[0].contains("RS256 is not for the key made when none is configured"), "{none:?}");
}

#[test]
fn only_one_key() {
    let mut given = with_file("auth.public_key_file", EC);
    given.env = vec![("JWT_SECRET", "hunter2")];
    let expected = "JWT_SECRET: auth.secret = (hidden): auth.public_key_file is given too \
                    (--set); there can be one key: auth.secret, auth.public_key_file, \
                    auth.jwks_file";
    assert_eq!(given.problems(), [expected]);
    let mut given = with_file("auth.public_key_file", EC);
    given.flags.push(("auth.jwks_file", "key"));
    assert_eq!(given.problems().len(), 1);
}

#[test]
fn files_without_a_key() {
    for (key, text, middle) in [
        ("auth.public_key_file", "nonsense", "no public key in PEM form"),
        ("auth.jwks_file", "nonsense", "no JWK set: "),
        ("auth.jwks_file", r#"{"keys":[]}"#, "no usable key in the JWK set"),
    ] {
        let problems = with_file(key, text).problems();
        assert!(problems[0].contains(middle), "{problems:?}");
    }
    let missing = flags(&[("auth.jwks_file", "nowhere")]).problems();
    assert!(missing[0].starts_with("--set: auth.jwks_file = \"nowhere\": cannot be read: "));
}

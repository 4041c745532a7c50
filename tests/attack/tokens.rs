//! Attackers with tokens: forged, confused, of another time or place; by every way a token comes.

use std::time::Duration;

use jsonwebtoken::crypto::sign;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::json;
use shardwire::auth::TokenSettings;
use shardwire::close::Close;

use crate::broker::{ATTACKER, Attack, SECRET, Scene, now_s, token, until, verifier};
use crate::client::{Client, handshake, post};

const PUBLIC: &str = include_str!("../../src/auth/testdata/rsa_public.pem");
const PRIVATE: &str = include_str!("../../src/auth/testdata/rsa_private.pem");

const ISSUER: &str = "https://login.example";
const AUDIENCE: &str = "broker";

pub const CONFUSED: Attack = Attack {
    name: "confused tokens",
    mib_max: 8,
    set: |setup| {
        setup.policy.verifier = Some(verifier(TokenSettings {
            public_key_pem: Some(PUBLIC.into()),
            issuer: Some(ISSUER.into()),
            audience: Some(AUDIENCE.into()),
            require_exp: true,
            ..TokenSettings::default()
        }));
    },
    act: |scene| {
        let (mut ways_in, mut refused) = (0, 0);
        // Else nothing would be shown by what is refused.
        for good in [good(Algorithm::HS256), good(Algorithm::RS256)] {
            for (way, request) in ways(&good) {
                let status = Client::connect(scene.address(), ATTACKER).ask(&request);
                assert_eq!(status, 101, "a good token by {way}");
                ways_in += 1;
            }
            assert_eq!(say(scene, &good).0, "auth_success");
            assert_eq!(ask_api(scene, &good), 200);
        }
        let bad = bad();
        for (what, token) in &bad {
            for (way, request) in ways(token) {
                let status = Client::connect(scene.address(), ATTACKER).ask(&request);
                assert!(status == 401, "{what} by {way}: {status}");
                refused += 1;
            }
            let (answer, close) = say(scene, token);
            assert_eq!((answer.as_str(), close), ("auth_error", 1008), "{what} by a message");
            assert_eq!(ask_api(scene, token), 401, "{what} for the API");
            refused += 2;
        }
        scene.honest();
        assert_eq!(scene.closed(Close::AuthFailures), bad.len() as u64);
        format!("{} kinds of tokens, {refused} tries, none let in; good ones {ways_in}", bad.len())
    },
};

/// The handshakes that carry a token, each in another way.
fn ways(token: &str) -> [(&'static str, String); 4] {
    let line = |line: String| handshake("/guarded", &line);
    [
        ("query", handshake(&format!("/guarded?token={token}"), "")),
        ("header", line(format!("Authorization: Bearer {token}\r\n"))),
        ("cookie", line(format!("Cookie: a=b; token={token}\r\n"))),
        ("subprotocol", line(format!("Sec-WebSocket-Protocol: bearer, {token}\r\n"))),
    ]
}

/// Three times in an `auth` message: the first answer's type, and the code of the close behind
/// the third, if there is one.
fn say(scene: &Scene<'_>, token: &str) -> (String, u16) {
    let mut client = Client::enter(scene.address(), ATTACKER, "/guarded");
    let message = json!({"type": "auth", "token": token}).to_string();
    client.say(&message);
    let answer: serde_json::Value = serde_json::from_str(&client.hear_text()).expect("JSON");
    let kind = answer["type"].as_str().expect("a type").to_owned();
    if kind == "auth_success" {
        return (kind, 0);
    }
    // What is not let in hears nothing, whatever it asks for.
    client.say(r#"{"type":"subscribe","topic":"**"}"#);
    assert!(client.hear_text().contains("\"code\":401"));
    client.say(&message);
    client.say(&message);
    (kind, client.hear_close())
}

fn ask_api(scene: &Scene<'_>, token: &str) -> u16 {
    let request =
        format!("GET /api/stats HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n");
    Client::connect(scene.address(), ATTACKER).ask(&request)
}

/// The claims of a token that is good, as text, for the bad ones to differ in one thing.
fn claims(exp_s: u64) -> String {
    format!(
        r#"{{"sub":"mallory","roles":["admin"],"iss":"{ISSUER}","aud":"{AUDIENCE}","exp":{exp_s}}}"#
    )
}

/// When a token that is good is over.
fn later_s() -> u64 {
    now_s() + 600
}

fn good(algorithm: Algorithm) -> String {
    signed(&header(algorithm), &claims(later_s()), algorithm)
}

fn header(algorithm: Algorithm) -> String {
    format!(r#"{{"alg":"{algorithm:?}","typ":"JWT"}}"#)
}

/// Signed with the key that there is for the algorithm.
fn signed(header: &str, claims: &str, algorithm: Algorithm) -> String {
    let key = match algorithm {
        Algorithm::RS256 => EncodingKey::from_rsa_pem(PRIVATE.as_bytes()).expect("a key"),
        _ => EncodingKey::from_secret(SECRET.as_bytes()),
    };
    signed_with(header, claims, &key, algorithm)
}

fn signed_with(header: &str, claims: &str, key: &EncodingKey, algorithm: Algorithm) -> String {
    let text = format!("{}.{}", part(header), part(claims));
    let signature = sign(text.as_bytes(), key, algorithm).expect("a signature");
    format!("{text}.{signature}")
}

/// A part of a token: base64url without padding, of any bytes.
fn part(text: &str) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut out = String::new();
    for three in text.as_bytes().chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - three.len()));
        for at in 0..=three.len() {
            out.push(char::from(ALPHABET[(bits >> (18 - 6 * at)) as usize & 63]));
        }
    }
    out
}

/// Tokens to be refused, each with what is wrong with it.
fn bad() -> Vec<(String, String)> {
    let mut all = forged();
    let exp_s = later_s();
    let (claims, exp) = (claims(exp_s), format!("\"exp\":{exp_s}"));
    let hs256 = |claims: &str| signed(&header(Algorithm::HS256), claims, Algorithm::HS256);
    let replaced = |from: &str, to: &str| {
        assert!(claims.contains(from), "{from} in {claims}");
        hs256(&claims.replacen(from, to, 1))
    };
    let exp = exp.as_str();
    for (what, token) in [
        ("expired", replaced(exp, &format!("\"exp\":{}", now_s() - 60))),
        ("expired in 1970", replaced(exp, "\"exp\":-1")),
        ("no expiry", replaced(exp, "\"x\":1")),
        ("an expiry that is text", replaced(exp, "\"exp\":\"9999999999\"")),
        ("an expiry twice", replaced(exp, &format!("{exp},\"exp\":1"))),
        ("not yet valid", replaced(exp, &format!("{exp},\"nbf\":{}", now_s() + 60))),
        ("another issuer", replaced(ISSUER, "https://login.example.evil.example")),
        ("no issuer", replaced("\"iss\"", "\"x\"")),
        ("another audience", replaced(AUDIENCE, "brokers")),
        ("no audience", replaced("\"aud\"", "\"x\"")),
        ("no user", replaced("\"sub\"", "\"x\"")),
        ("an empty user", replaced("mallory", "")),
        ("a user that is a list", replaced("\"mallory\"", "[\"mallory\"]")),
        ("two users", replaced("\"sub\"", "\"sub\":\"alice\",\"sub\"")),
        ("roles that are no list of texts", replaced("[\"admin\"]", "{\"admin\":true}")),
        ("claims that are a list", hs256("[]")),
        ("claims that are no JSON", hs256("{\"sub\":\"mallory\"")),
    ] {
        all.push((what.into(), token));
    }
    all
}

/// Those of them whose signature or header is not what it should be.
fn forged() -> Vec<(String, String)> {
    let claims = claims(later_s());
    let good = good(Algorithm::HS256);
    let (text, signature) = good.rsplit_once('.').expect("three parts");
    let (head, body) = text.split_once('.').expect("three parts");
    let other = part(&claims.replace("mallory", "alice"));
    let wrong = EncodingKey::from_secret(b"another secret than the broker has");
    let hs256 = header(Algorithm::HS256);
    let with =
        |key: &EncodingKey, header: &str| signed_with(header, &claims, key, Algorithm::HS256);
    let own = |header: &str| signed(header, &claims, Algorithm::HS256);
    let mut all = vec![
        ("another secret", with(&wrong, &hs256)),
        ("an empty secret", with(&EncodingKey::from_secret(b""), &hs256)),
        ("no signature", format!("{text}.")),
        ("two parts", text.to_owned()),
        ("four parts", format!("{good}.{signature}")),
        ("others' claims", format!("{head}.{other}.{signature}")),
        ("half a signature", format!("{text}.{}", &signature[..signature.len() / 2])),
        ("a longer signature", format!("{good}AAAA")),
        ("padding", format!("{good}=")),
        ("nothing but dots", "..".to_owned()),
        ("HS256 said to be RS256", own(&header(Algorithm::RS256))),
        ("RS256 said to be HS256", signed(&hs256, &claims, Algorithm::RS256)),
        ("HS256 said to be HS384", own(&header(Algorithm::HS384))),
        ("a critical extension", own(r#"{"alg":"HS256","crit":["exp"]}"#)),
        ("no algorithm", own(r#"{"typ":"JWT"}"#)),
        ("an algorithm in lower case", own(r#"{"alg":"hs256"}"#)),
        ("a list of algorithms", own(r#"{"alg":["HS256"]}"#)),
        (
            "a key of its own",
            with(&wrong, r#"{"alg":"HS256","jwk":{"kty":"oct","k":"YW5vdGhlciBzZWNyZXQ"}}"#),
        ),
        ("a key elsewhere", with(&wrong, r#"{"alg":"HS256","jku":"http://127.0.0.1/keys"}"#)),
        (
            "a key in a file",
            with(&EncodingKey::from_secret(b""), r#"{"alg":"HS256","kid":"/dev/null"}"#),
        ),
    ];
    // The public key, which everyone has, as the secret (RFC 8725 section 2.1).
    for (what, secret) in [
        ("the public key as secret", PUBLIC),
        ("the same without its last line's end", PUBLIC.trim_end()),
        ("the same without its first and last lines", PUBLIC.lines().nth(1).expect("a line")),
    ] {
        all.push((what, with(&EncodingKey::from_secret(secret.as_bytes()), &hs256)));
    }
    for none in ["none", "None", "NONE", "nOnE", ""] {
        let head = part(&format!(r#"{{"alg":"{none}"}}"#));
        all.push(("alg none", format!("{head}.{body}.")));
        all.push(("alg none, signed", format!("{head}.{body}.{signature}")));
    }
    all.into_iter().map(|(what, token)| (what.to_owned(), token)).collect()
}

pub const EXPIRING: Attack = Attack {
    name: "tokens that expire",
    mib_max: 8,
    set: |setup| {
        setup.policy.verifier =
            Some(verifier(TokenSettings { leeway_s: 0, ..TokenSettings::default() }));
    },
    act: |scene| {
        let by_s = now_s() + 3;
        let short = |user: &str| token(&json!({"sub": user, "exp": by_s}), SECRET);
        let long = token(&json!({"sub": "faithful", "exp": by_s + 600}), SECRET);
        let clients = 50;
        let mut over: Vec<Client> =
            (0..clients).map(|n| enter(scene, &short(&format!("late{n}")))).collect();
        let mut faithful = enter(scene, &short("faithful"));
        faithful.say(&json!({"type": "auth", "token": long}).to_string());
        assert!(faithful.hear_text().contains("auth_success"));
        publish(scene, 1, clients + 1);
        for client in &mut over {
            assert!(client.hear_text().contains("\"data\":1"));
            assert!(client.hear_text().contains("auth_expired"));
            assert_eq!(client.hear_close(), 4401);
        }
        assert!(now_s() >= by_s, "not before their time");
        publish(scene, 2, 1);
        for n in 1..=2 {
            assert!(faithful.hear_text().contains(&format!("\"data\":{n}")));
        }
        let mut again = Client::connect(scene.address(), ATTACKER);
        let request = handshake(&format!("/guarded?token={}", short("late0")), "");
        assert_eq!(again.ask(&request), 401);
        scene.honest();
        let closed = scene.closed(Close::TokenExpired);
        assert_eq!(closed, clients);
        drop(over);
        until("they are gone", || scene.connections() == 1);
        format!(
            "{closed} of {clients} closed with 4401 in their second, none heard more; 1 renewed"
        )
    },
};

fn enter(scene: &Scene<'_>, token: &str) -> Client {
    let mut client = Client::connect(scene.address(), ATTACKER);
    client.0.set_read_timeout(Some(Duration::from_secs(10))).expect("a live socket");
    assert_eq!(client.ask(&handshake(&format!("/guarded?token={token}"), "")), 101);
    client.say(r#"{"type":"subscribe","topic":"secrets"}"#);
    assert!(client.hear_text().contains("subscribed"));
    client
}

fn publish(scene: &Scene<'_>, n: u64, delivered: u64) {
    let body = json!({"topic": "secrets", "data": n}).to_string();
    let (status, answer) =
        post(scene.address(), ATTACKER, "/api/publish", crate::broker::API_KEY, &body);
    assert_eq!(status, 200, "{answer}");
    assert!(answer.contains(&format!("\"delivered\":{delivered}")), "{answer}");
}

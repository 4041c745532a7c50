//! `shardwire token`: mints a token with the configured secret.
//!
//! [`mint`] is also what `serve` uses for the token that it prints when no key is configured. The
//! claims are those that protocols.md section 1 reads; `iss` and `aud` are added where the
//! configuration asks them of every token. Nothing here checks a token: that is `auth`.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

use super::{ConfigFlags, EXIT_USAGE, ServeFlags};
use crate::auth::channels;
use crate::config::{Auth, AuthKey, Secret};
use crate::time::Timestamp;
use crate::topic::{Pattern, TopicBounds};

/// The flags of `token`.
#[derive(Args, Clone, Debug)]
pub(super) struct TokenFlags {
    /// The user's id
    #[arg(long, value_name = "USER", value_parser = not_empty)]
    sub: String,
    /// A role of the user; repeatable
    #[arg(long, value_name = "ROLE")]
    role: Vec<String>,
    /// The user's tenant
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
    /// A topic or pattern that the token lets its user subscribe to; repeatable
    #[arg(long, value_name = "PATTERN", value_parser = pattern)]
    channel: Vec<String>,
    /// How long it is valid: a whole number and s, m, h or d
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = duration)]
    ttl: Duration,
    #[command(flatten)]
    config: ConfigFlags,
}

/// What a token shall say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRequest {
    /// The user's id.
    pub sub: String,
    /// The user's roles.
    pub roles: Vec<String>,
    /// The user's tenant.
    pub tenant: Option<String>,
    /// Patterns that may be subscribed to.
    pub channels: Vec<String>,
    /// From now until it expires; whole seconds count.
    pub ttl: Duration,
    /// `iss`, where one is configured.
    pub issuer: Option<String>,
    /// `aud`, where one is configured.
    pub audience: Option<String>,
    /// One of the HMAC algorithms.
    pub algorithm: Algorithm,
}

impl TokenRequest {
    /// A token for `sub` that a broker with this configuration takes, valid for an hour and with
    /// no roles, tenant or channels. HS256, unless only other HMAC algorithms are accepted.
    pub fn new(auth: &Auth, sub: impl Into<String>) -> Self {
        let is_hs256 = auth.algorithms.is_empty() || auth.algorithms.contains(&Algorithm::HS256);
        Self {
            sub: sub.into(),
            roles: Vec::new(),
            tenant: None,
            channels: Vec::new(),
            ttl: Duration::from_hours(1),
            issuer: auth.issuer.clone(),
            audience: auth.audience.clone(),
            algorithm: if is_hs256 { Algorithm::HS256 } else { auth.algorithms[0] },
        }
    }
}

/// The claims, named as protocols.md section 1 reads them.
#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    roles: &'a [String],
    #[serde(rename = "tenantId", skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    channels: &'a [String],
    #[serde(rename = "iss", skip_serializing_if = "Option::is_none")]
    issuer: Option<&'a str>,
    #[serde(rename = "aud", skip_serializing_if = "Option::is_none")]
    audience: Option<&'a str>,
    iat: u64,
    exp: u64,
}

/// Signs a token that is valid from `now` for the time asked.
///
/// # Errors
/// When the algorithm is none of HMAC: the caller's fault.
pub fn mint(
    secret: &Secret,
    request: &TokenRequest,
    now: Timestamp,
) -> Result<String, jsonwebtoken::errors::Error> {
    let iat = now.secs();
    let claims = Claims {
        sub: &request.sub,
        roles: &request.roles,
        tenant: request.tenant.as_deref(),
        channels: &request.channels,
        issuer: request.issuer.as_deref(),
        audience: request.audience.as_deref(),
        iat,
        exp: iat.saturating_add(request.ttl.as_secs()),
    };
    let key = EncodingKey::from_secret(secret.expose().as_bytes());
    jsonwebtoken::encode(&Header::new(request.algorithm), &claims, &key)
}

/// Runs it: the token and nothing else on standard output.
pub(super) fn run(flags: &TokenFlags) -> ExitCode {
    let settings = ServeFlags { config: flags.config.clone(), ..ServeFlags::default() };
    let auth = match super::load(&settings) {
        Ok(loaded) => loaded.settings.auth,
        Err(status) => return status,
    };
    let AuthKey::Secret(secret) = &auth.key else {
        eprintln!("error: no secret is configured to sign with; set JWT_SECRET or auth.secret");
        return ExitCode::from(EXIT_USAGE);
    };
    let request = TokenRequest {
        roles: flags.role.clone(),
        tenant: flags.tenant.clone(),
        channels: flags.channel.clone(),
        ttl: flags.ttl,
        ..TokenRequest::new(&auth, &flags.sub)
    };
    if let Some(doubt) = doubt(&request) {
        eprintln!("warning: {doubt}");
    }
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    match mint(secret, &request, Timestamp(since_epoch.as_millis() as u64)) {
        Ok(token) => match writeln!(io::stdout(), "{token}") {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Err(error) => {
            eprintln!("error: the token cannot be signed: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What of a token is probably not meant. One without a tenant is for other dialects.
fn doubt(request: &TokenRequest) -> Option<String> {
    let tenant = request.tenant.as_deref()?;
    let obstacle = channels::obstacle(&request.sub, Some(tenant))?;
    Some(format!("endpoints of the dialect channels will refuse this token: {obstacle}"))
}

/// A whole number and one of `s`, `m`, `h`, `d`.
fn duration(text: &str) -> Result<Duration, String> {
    let parse = || {
        let unit_s = match text.chars().next_back()? {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            _ => return None,
        };
        let digits = &text[..text.len() - 1];
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        let count = digits.parse::<u64>().ok().filter(|count| is_number && *count > 0)?;
        count.checked_mul(unit_s).map(Duration::from_secs)
    };
    parse().ok_or_else(|| "allowed: a whole number and s, m, h or d, as 90s or 1h".to_owned())
}

fn not_empty(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("must not be empty".to_owned()) } else { Ok(text.to_owned()) }
}

fn pattern(text: &str) -> Result<String, String> {
    let checked = Pattern::parse(text, TopicBounds::default());
    checked.map(|pattern| pattern.as_str().to_owned()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{DecodingKey, Validation};
    use serde_json::{Value, json};

    use super::*;
    use crate::config::Settings;

    const NOW: Timestamp = Timestamp(1_769_860_800_999);

    fn claims(token: &str, secret: &str, algorithm: Algorithm) -> Value {
        let mut validation = Validation::new(algorithm);
        validation.validate_exp = false;
        validation.validate_aud = false;
        let key = DecodingKey::from_secret(secret.as_bytes());
        jsonwebtoken::decode::<Value>(token, &key, &validation).unwrap().claims
    }

    #[test]
    fn claims_are_those_of_the_contract() {
        let auth = Settings::default().auth;
        let secret = Secret::new("s3cret");
        let bare = TokenRequest::new(&auth, "u");
        let token = mint(&secret, &bare, NOW).unwrap();
        let expected = json!({"sub": "u", "iat": 1_769_860_800, "exp": 1_769_864_400});
        assert_eq!(claims(&token, "s3cret", Algorithm::HS256), expected);
        let full = TokenRequest {
            roles: vec!["admin".into(), "ops".into()],
            tenant: Some("acme".into()),
            channels: vec!["a.**".into()],
            ttl: Duration::from_secs(90),
            issuer: Some("me".into()),
            audience: Some("you".into()),
            ..bare
        };
        let token = mint(&secret, &full, NOW).unwrap();
        let expected = json!({
            "sub": "u", "roles": ["admin", "ops"], "tenantId": "acme", "channels": ["a.**"],
            "iss": "me", "aud": "you", "iat": 1_769_860_800, "exp": 1_769_860_890,
        });
        assert_eq!(claims(&token, "s3cret", Algorithm::HS256), expected);
    }

    #[test]
    fn the_algorithm_is_one_that_the_broker_takes() {
        let mut auth = Settings::default().auth;
        auth.algorithms = vec![Algorithm::HS512, Algorithm::HS384];
        let request = TokenRequest::new(&auth, "u");
        let token = mint(&Secret::new("s"), &request, NOW).unwrap();
        assert_eq!(claims(&token, "s", Algorithm::HS512)["sub"], "u");
        let wrong = TokenRequest { algorithm: Algorithm::RS256, ..request };
        assert!(mint(&Secret::new("s"), &wrong, NOW).is_err());
    }

    #[test]
    fn an_id_that_channels_refuses_is_warned_of() {
        let auth = Settings::default().auth;
        let doubt = |sub: &str, tenant: Option<&str>| {
            let tenant = tenant.map(str::to_owned);
            doubt(&TokenRequest { tenant, ..TokenRequest::new(&auth, sub) })
        };
        assert!(doubt("u", Some("a:b")).unwrap().contains("tenant's id"));
        assert!(doubt("u:v", Some("a")).unwrap().contains("user's id"));
        assert_eq!((doubt("u", Some("a")), doubt("u:v", None)), (None, None));
    }

    #[test]
    fn durations() {
        for (text, seconds) in [("90s", 90), ("15m", 900), ("1h", 3600), ("7d", 604_800)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)));
        }
        for text in
            ["", "h", "1", "1y", "-1h", "+1h", "1.5h", "0s", "1 h", "1é", "99999999999999999999d"]
        {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn channels_are_patterns() {
        assert_eq!(pattern("a.*"), Ok("a.*".to_owned()));
        assert!(pattern("a..b").is_err());
    }
}

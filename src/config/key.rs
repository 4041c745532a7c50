//! The key that tokens are checked with, and the signatures that it is for.
//!
//! Reads the key file, so that a bad one is an error at the start like any other, and derives the
//! accepted algorithms where none are given. How a token is checked is `auth`'s business. The files
//! of TLS are read here too, for a reload to see whether they are others; what they hold is judged
//! by who serves with them.
//! Spec: protocols.md section 1; RFC 7517, RFC 7518.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};

use super::ReadFile;
use super::keys::ALGORITHMS;
use super::problem::{Origin, Problem, Problems};
use super::settings::AuthKey;
use super::typed::{Typed, Values};
use super::value::Value;
use crate::limits::CONFIG_FILE_BYTES_MAX;
use crate::secret::Secret;

/// The settings of which one at most may be given.
const SOURCES: [&str; 3] = ["auth.secret", "auth.public_key_file", "auth.jwks_file"];
/// Bytes below which a secret is weaker than the weakest HMAC of tokens (RFC 7518 section 3.2).
const SECRET_BYTES_GOOD: usize = 32;

/// Finds the key and settles `auth.algorithms`, which is set afterwards unless there is a problem.
pub(super) fn settle(
    typed: &mut Typed,
    read: &ReadFile<'_>,
    problems: &mut Problems,
    warnings: &mut Vec<String>,
) -> AuthKey {
    let values = &typed.values;
    if !values.sound(&SOURCES) {
        return AuthKey::Generated;
    }
    let given: Vec<&str> = SOURCES.into_iter().filter(|key| values.is_set(key)).collect();
    if let [first, others @ ..] = &given[..]
        && let Some(second) = others.first()
    {
        let (one, other) = (values.get(first), values.get(second));
        let what = format_args!(
            "{second} is given too ({}); there can be one key: {}",
            other.origin,
            SOURCES.join(", ")
        );
        problems.push(Problem::contradiction(&one.origin, first, &one.value, what));
        return AuthKey::Generated;
    }
    let found = match given.first() {
        None => Ok((AuthKey::Generated, vec![AlgorithmFamily::Hmac])),
        Some(&"auth.secret") => Ok(secret(values, warnings)),
        Some(&key) => from_file(values, key, read),
    };
    match found {
        Ok((key, families)) => {
            match &key {
                AuthKey::PublicKey { pem: text, .. } | AuthKey::Jwks { json: text, .. } => {
                    _ = typed.files.insert(given[0], Secret::new(text.as_str()));
                }
                AuthKey::Generated | AuthKey::Secret(_) => {}
            }
            let named = given.first().copied().unwrap_or("the key made when none is configured");
            algorithms(typed, named, &families, problems);
            key
        }
        Err(problem) => {
            problems.push(problem);
            AuthKey::Generated
        }
    }
}

fn secret(values: &Values, warnings: &mut Vec<String>) -> (AuthKey, Vec<AlgorithmFamily>) {
    let secret = values.secret("auth.secret").expect("the caller has looked");
    if secret.expose().len() < SECRET_BYTES_GOOD {
        warnings.push(format!(
            "auth.secret ({}) is shorter than {SECRET_BYTES_GOOD} bytes and can be guessed",
            values.get("auth.secret").origin
        ));
    }
    (AuthKey::Secret(secret), vec![AlgorithmFamily::Hmac])
}

/// Reads the certificate chain and its key.
pub(super) fn tls_files(typed: &mut Typed, read: &ReadFile<'_>, problems: &mut Problems) {
    for key in ["tls.cert_file", "tls.key_file"] {
        let given = typed.values.get(key);
        let Some(file) = typed.values.text(key) else { continue };
        match read(Path::new(file)) {
            Ok(text) => _ = typed.files.insert(key, Secret::new(text)),
            Err(error) => {
                let what = format_args!("cannot be read: {error}");
                problems.push(Problem::contradiction(&given.origin, key, &given.value, what));
            }
        }
    }
}

/// A PEM or JWK set from its file, with the kinds of key in it.
fn from_file(
    values: &Values,
    key: &'static str,
    read: &ReadFile<'_>,
) -> Result<(AuthKey, Vec<AlgorithmFamily>), Problem> {
    let given = values.get(key);
    let wrong = |what: String| Problem::contradiction(&given.origin, key, &given.value, what);
    let file = PathBuf::from(values.required(key));
    let text = read(&file).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    if key == "auth.jwks_file" {
        let families = jwks_families(&text).map_err(wrong)?;
        return Ok((AuthKey::Jwks { file, json: text }, families));
    }
    match pem_family(&text) {
        Some(family) => Ok((AuthKey::PublicKey { file, pem: text }, vec![family])),
        None => Err(wrong("no public key in PEM form (RSA, EC or Ed25519)".to_owned())),
    }
}

fn pem_family(pem: &str) -> Option<AlgorithmFamily> {
    let pem = pem.as_bytes();
    let key = DecodingKey::from_rsa_pem(pem)
        .or_else(|_| DecodingKey::from_ec_pem(pem))
        .or_else(|_| DecodingKey::from_ed_pem(pem));
    key.ok().map(|key| key.family())
}

fn jwks_families(json: &str) -> Result<Vec<AlgorithmFamily>, String> {
    let set: JwkSet = serde_json::from_str(json).map_err(|error| format!("no JWK set: {error}"))?;
    let mut families = Vec::new();
    for key in set.keys.iter().filter_map(|jwk| DecodingKey::from_jwk(jwk).ok()) {
        if !families.contains(&key.family()) {
            families.push(key.family());
        }
    }
    if families.is_empty() { Err("no usable key in the JWK set".to_owned()) } else { Ok(families) }
}

/// Holds the given algorithms against the key, or takes all that the key is for.
fn algorithms(typed: &mut Typed, key: &str, families: &[AlgorithmFamily], problems: &mut Problems) {
    const KEY: &str = "auth.algorithms";
    let fits = |word: &&str| {
        word.parse::<Algorithm>().is_ok_and(|algorithm| families.contains(&algorithm.family()))
    };
    let fitting: Vec<&str> = ALGORITHMS.iter().copied().filter(fits).collect();
    let given = typed.values.get(KEY);
    match typed.values.texts(KEY) {
        Some(words) => {
            if let Some(misfit) = words.iter().find(|word| !fitting.contains(&word.as_str())) {
                let what = format_args!("{misfit} is not for {key}, which is for {fitting:?}");
                problems.push(Problem::contradiction(&given.origin, KEY, &given.value, what));
            }
        }
        None if typed.values.sound(&[KEY]) => {
            let words = fitting.into_iter().map(str::to_owned).collect();
            typed.values.set(KEY, Value::Texts(words), Origin::Derived("what the key is for"));
        }
        None => {}
    }
}

/// Reads a file of the real file system.
///
/// # Errors
/// Those of the system, a file that is not UTF-8, and one that is too long to be meant
/// ([`CONFIG_FILE_BYTES_MAX`]).
pub fn read_file(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let mut file = File::open(path)?.take(CONFIG_FILE_BYTES_MAX + 1);
    // Before its text is looked at: the cut may go through a character.
    let mut bytes = Vec::new();
    if file.read_to_end(&mut bytes)? as u64 > CONFIG_FILE_BYTES_MAX {
        let what = format!("longer than {CONFIG_FILE_BYTES_MAX} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
    }
    bytes.as_slice().read_to_string(&mut text)?;
    Ok(text)
}

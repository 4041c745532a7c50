//! One value of a setting: from a TOML value or from plain text, and back to TOML.
//!
//! The setting's [`Kind`](super::setting::Kind) says what is taken; what is not comes back as the
//! middle of an error message ("not a whole number"), to which the caller adds where it stood.
//! Plain text is what an environment variable or a flag holds: lists are cut at commas.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use toml::Spanned;
use toml::de::DeValue;

use super::setting::{Kind, Setting};
use crate::secret::Secret;

/// A value of the right kind and in range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// Nothing given and no default.
    Unset,
    Int(u64),
    Flag(bool),
    Text(String),
    Secret(Secret),
    /// Shown without its query.
    Url(Secret),
    Texts(Vec<String>),
    /// Names for names.
    Table(BTreeMap<String, String>),
}

impl Value {
    /// From the TOML file or a `--set` flag that is written as TOML.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(super) fn from_toml(setting: &Setting, toml: &DeValue<'_>) -> Result<Self, String> {
        let text = |toml: &DeValue<'_>| match toml {
            DeValue::String(text) => Ok(text.to_string()),
            _ => Err("not a text in quotes".to_owned()),
        };
        let value = match (setting.kind, toml) {
            (Kind::Int { .. }, DeValue::Integer(digits)) => {
                Value::Int(match u64::from_str_radix(digits.as_str(), digits.radix()) {
                    Ok(number) => number,
                    Err(_) => return Err("out of range".to_owned()),
                })
            }
            (Kind::Int { .. }, _) => return Err("not a whole number".to_owned()),
            (Kind::Flag, DeValue::Boolean(flag)) => Value::Flag(*flag),
            (Kind::Flag, _) => return Err("neither true nor false".to_owned()),
            (Kind::Text { .. } | Kind::Word { .. }, _) => Value::Text(text(toml)?),
            (Kind::Secret, _) => Value::Secret(text(toml)?.into()),
            (Kind::Url { .. }, _) => Value::Url(text(toml)?.into()),
            (Kind::Texts { .. } | Kind::Words(_), DeValue::Array(array)) => Value::Texts(
                array.iter().map(|item| text(item.get_ref())).collect::<Result<_, _>>()?,
            ),
            (Kind::Texts { .. } | Kind::Words(_), _) => {
                return Err("not a list of texts".to_owned());
            }
            (Kind::Table, DeValue::Table(table)) => {
                let pair =
                    |(name, value): (&Spanned<Cow<'_, str>>, &Spanned<DeValue<'_>>)| match value
                        .get_ref()
                    {
                        DeValue::String(text) => Ok((name.get_ref().to_string(), text.to_string())),
                        _ => Err(format!("{:?} is not a text in quotes", name.get_ref())),
                    };
                Value::Table(table.iter().map(pair).collect::<Result<_, _>>()?)
            }
            (Kind::Table, _) => return Err("not a table".to_owned()),
        };
        value.checked(setting)
    }

    /// From an environment variable or a flag.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(super) fn from_text(setting: &Setting, text: &str) -> Result<Self, String> {
        let value = match setting.kind {
            Kind::Int { .. } => {
                let number = text.trim();
                let digits = number.strip_prefix('-').unwrap_or(number);
                if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                    return Err("not a whole number".to_owned());
                }
                Value::Int(number.parse().map_err(|_| "out of range".to_owned())?)
            }
            Kind::Flag => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" | "on" => Value::Flag(true),
                "false" | "0" | "no" | "off" => Value::Flag(false),
                _ => return Err("neither true nor false".to_owned()),
            },
            Kind::Text { .. } | Kind::Word { .. } => Value::Text(text.trim().to_owned()),
            Kind::Secret => Value::Secret(text.into()),
            Kind::Url { .. } => Value::Url(text.trim().into()),
            Kind::Texts { .. } | Kind::Words(_) => Value::Texts(
                text.split(',')
                    .map(str::trim)
                    .filter(|s| !s.is_empty())
                    .map(str::to_owned)
                    .collect(),
            ),
            Kind::Table => return Err("not a table".to_owned()),
        };
        value.checked(setting)
    }

    /// Holds it against the range, the words or the grammar of its kind.
    fn checked(self, setting: &Setting) -> Result<Self, String> {
        match (&self, setting.kind) {
            (Value::Int(number), Kind::Int { min, max }) if !(min..=max).contains(number) => {
                Err("out of range".to_owned())
            }
            (Value::Text(text), Kind::Text { check, .. }) if !check(text) => {
                Err(if text.is_empty() { "empty" } else { "ill formed" }.to_owned())
            }
            (Value::Text(word), Kind::Word { absent, .. }) if absent.contains(&word.as_str()) => {
                Err(format!("this version does not have {word}"))
            }
            (Value::Text(word), Kind::Word { words, .. }) if !words.contains(&word.as_str()) => {
                Err("unknown word".to_owned())
            }
            (Value::Url(url), Kind::Url { check, .. }) if !check(url.expose()) => {
                Err(if url.expose().is_empty() { "empty" } else { "ill formed" }.to_owned())
            }
            (Value::Secret(secret), Kind::Secret) if secret.expose().is_empty() => {
                Err("empty".to_owned())
            }
            (Value::Texts(texts), Kind::Texts { check, .. }) => {
                match texts.iter().find(|text| !check(text)) {
                    Some(text) => Err(format!("{text:?} is ill formed")),
                    None => Ok(self),
                }
            }
            (Value::Texts(texts), Kind::Words(_)) if texts.is_empty() => Err("empty".to_owned()),
            (Value::Texts(texts), Kind::Words(words)) => {
                match texts.iter().find(|text| !words.contains(&text.as_str())) {
                    Some(text) => Err(format!("unknown word {text:?}")),
                    None => Ok(self),
                }
            }
            _ => Ok(self),
        }
    }
}

impl Value {
    /// Whether all of it is shown as TOML.
    pub(super) fn is_toml(&self) -> bool {
        match self {
            Self::Unset | Self::Secret(_) => false,
            Self::Url(url) => !url.expose().contains('?'),
            Self::Int(_) | Self::Flag(_) | Self::Text(_) | Self::Texts(_) | Self::Table(_) => true,
        }
    }
}

/// As TOML; a secret and what is unset have no TOML form and say what they are.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Unset => f.write_str("(unset)"),
            Value::Int(number) => number.fmt(f),
            Value::Flag(flag) => flag.fmt(f),
            Value::Text(text) => f.write_str(&quoted(text)),
            Value::Secret(secret) => secret.fmt(f),
            Value::Url(url) => match url.expose().split_once('?') {
                None => f.write_str(&quoted(url.expose())),
                Some((shown, _)) => write!(f, "{}, query (hidden)", quoted(shown)),
            },
            Value::Texts(texts) => {
                let items: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
                write!(f, "[{}]", items.join(", "))
            }
            Value::Table(names) if names.is_empty() => f.write_str("{}"),
            Value::Table(names) => {
                let pair = |(name, text): (&String, &String)| {
                    format!("{} = {}", bare_or_quoted(name), quoted(text))
                };
                write!(f, "{{ {} }}", names.iter().map(pair).collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// A TOML key.
pub(super) fn bare_or_quoted(key: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !key.is_empty() && key.bytes().all(is_bare) { key.to_owned() } else { quoted(key) }
}

/// A TOML string on one line.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string().replace('\n', "\\n")
}

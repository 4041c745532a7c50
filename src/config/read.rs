//! From the sources to the configuration as typed: the file, the environment over it, the command
//! line over both.
//!
//! What is not understood becomes a [`Problem`] and reading goes on. Nothing here knows what a
//! setting means; the table (`keys.rs`) says what is taken. Spec: protocols.md sections 9 and 10.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use toml::de::DeValue;

use super::document::{self, Source, shortened};
use super::keys::SETTINGS;
use super::problem::{Origin, Problem, Problems};
use super::setting::{LISTS, Setting, find};
use super::typed::Typed;
use super::unknown;
use super::value::Value;

/// The variable that names the TOML file.
pub(super) const FILE_VARIABLE: &str = "SHARDWIRE_CONFIG";

/// Environment variables, as an argument: nothing else asks the process for its own.
#[derive(Clone, Debug, Default)]
pub struct Environment(BTreeMap<String, OsString>);

impl Environment {
    /// The variables of this process whose names are UTF-8.
    pub fn of_process() -> Self {
        let utf8 = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value));
        std::env::vars_os().filter_map(utf8).collect()
    }

    /// A variable; one that is empty counts as not set, as in container descriptions.
    pub(super) fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.get(name).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }
}

impl<V: Into<OsString>> FromIterator<(String, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, V)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name, value.into())).collect())
    }
}

/// A setting given on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// The flag as it is typed: `--port`, `--set server.port`.
    pub flag: String,
    /// The key, which may be an unknown one.
    pub key: String,
    /// The value: plain, or as TOML where it begins with a quote, a bracket or a brace.
    pub text: String,
}

/// Reads source over source and gathers what is wrong.
pub(super) struct Reader {
    pub(super) typed: Typed,
    pub(super) problems: Problems,
    pub(super) warnings: Vec<String>,
}

impl Reader {
    pub(super) fn new() -> Self {
        Self { typed: Typed::defaults(), problems: Problems::default(), warnings: Vec::new() }
    }

    /// The TOML file; `text` is its content.
    pub(super) fn file(&mut self, path: &Path, text: &str) {
        document::file(path, text, &mut self.typed, &mut self.problems);
    }

    /// The environment, over what is there.
    pub(super) fn environment(&mut self, environment: &Environment) {
        for setting in SETTINGS {
            let mut given =
                setting.env.iter().filter_map(|name| Some((*name, environment.get(name)?)));
            let Some((name, text)) = given.next() else { continue };
            for (alias, _) in given.filter(|(_, other)| *other != text) {
                let key = setting.key;
                self.warnings
                    .push(format!("{alias} is passed over: {name} gives {key} another value"));
            }
            if let Some(text) = text.to_str() {
                self.plain(setting, text, Origin::Env(name));
            } else {
                let what = format_args!("{}: not UTF-8", setting.key);
                self.problems.push(Problem::new(&name, what));
            }
        }
        self.warnings.extend(environment.0.keys().filter_map(|name| unknown::variable(name)));
    }

    /// One setting from the command line, over what is there.
    pub(super) fn flag(&mut self, Override { flag, key, text }: &Override) {
        let origin = Origin::Flag(flag.as_str().into());
        let setting = find(key).filter(|setting| !setting.in_list());
        let is_list = LISTS.contains(&key.as_str());
        let is_toml = is_list || text.starts_with(['"', '\'', '[', '{']);
        match setting {
            None if !is_list => {
                self.problems.push(unknown::key(&origin, key, &shortened(text)));
            }
            Some(setting) if !is_toml => self.plain(setting, text, origin),
            _ => match (DeValue::parse(text), setting) {
                (Err(error), _) => {
                    let what = format_args!("{key}: TOML syntax: {}", error.message());
                    self.problems.push(Problem::new(&origin, what));
                }
                (Ok(value), Some(setting)) => {
                    let value = Value::from_toml(setting, value.get_ref());
                    self.store(setting, text, value, origin);
                }
                (Ok(value), None) => {
                    let source = Source { text, origin: &|_| origin.clone() };
                    let (typed, problems) = (&mut self.typed, &mut self.problems);
                    document::list(&source, key, value.get_ref(), &origin, typed, problems);
                }
            },
        }
    }

    /// A value in plain text.
    fn plain(&mut self, setting: &Setting, text: &str, origin: Origin) {
        self.store(setting, text, Value::from_text(setting, text), origin);
    }

    fn store(
        &mut self,
        setting: &Setting,
        text: &str,
        value: Result<Value, String>,
        origin: Origin,
    ) {
        match value {
            Ok(value) => self.typed.values.set(setting.key, value, origin),
            Err(what) => {
                let is_secret = setting.is_hidden();
                let shown = if is_secret { "(hidden)".to_owned() } else { shortened(text) };
                self.typed.values.refuse(setting.key);
                self.problems.push(Problem::refused(&origin, setting, &shown, &what));
            }
        }
    }
}

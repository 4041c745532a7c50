//! The configuration as typed: for each setting its value and where it came from.
//!
//! `read.rs` fills it, source over source; `meant.rs` and `print.rs` take from it. The getters
//! panic on a key that is not in the table or not of the kind asked for: a bug of this folder,
//! which its tests would show, never something an operator typed.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use super::keys::SETTINGS;
use super::problem::Origin;
use super::setting::{LISTS, Preset, Setting};
use super::value::Value;
use crate::secret::Secret;

/// A value and where it came from.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// The values of the single sections, or of one entry of a list.
#[derive(Clone, Debug)]
pub(super) struct Values {
    given: BTreeMap<&'static str, Given>,
    /// Keys that were given a value that was refused: their defaults stand in for them.
    refused: BTreeSet<&'static str>,
}

/// All of it.
#[derive(Clone, Debug)]
pub(super) struct Typed {
    /// Sections that exist once.
    pub(super) values: Values,
    /// Entries of each of [`LISTS`]; `None` where the list was not given at all.
    pub(super) lists: BTreeMap<&'static str, Option<Vec<Values>>>,
    /// The texts of the files that settings name, by key; hidden, for keys are among them.
    pub(super) files: BTreeMap<&'static str, Secret>,
}

impl Typed {
    /// The defaults.
    pub(super) fn defaults() -> Self {
        Self {
            values: Values::defaults(|setting| !setting.in_list()),
            lists: LISTS.into_iter().map(|list| (list, None)).collect(),
            files: BTreeMap::new(),
        }
    }

    /// The endpoints, to be settled.
    pub(super) fn endpoints_mut(&mut self) -> impl Iterator<Item = &mut Values> {
        self.lists.get_mut("endpoint").into_iter().flatten().flatten()
    }

    /// The entries of a list, none where it was not given.
    pub(super) fn entries(&self, list: &str) -> &[Values] {
        self.lists[list].as_deref().unwrap_or_default()
    }
}

impl Values {
    /// An entry of a list with nothing given yet.
    pub(super) fn entry(list: &str) -> Self {
        Self::defaults(|setting| setting.section() == list)
    }

    fn defaults(of: impl Fn(&Setting) -> bool) -> Self {
        let given = SETTINGS.iter().filter(|setting| of(setting)).map(|setting| {
            let value = match setting.default {
                Preset::Unset | Preset::Required => Value::Unset,
                Preset::Int(number) => Value::Int(number),
                Preset::Flag(flag) => Value::Flag(flag),
                Preset::Text(text) => Value::Text(text.to_owned()),
            };
            (setting.key, Given { value, origin: Origin::Default })
        });
        Self { given: given.collect(), refused: BTreeSet::new() }
    }

    /// Puts a value over what was there.
    pub(super) fn set(&mut self, key: &'static str, value: Value, origin: Origin) {
        self.refused.remove(key);
        self.given.insert(key, Given { value, origin });
    }

    /// Notes that a key was given something that was refused.
    pub(super) fn refuse(&mut self, key: &'static str) {
        self.refused.insert(key);
    }

    /// Whether what these keys hold is what was meant: no comparison makes sense otherwise.
    pub(super) fn sound(&self, keys: &[&str]) -> bool {
        !keys.iter().any(|key| self.refused.contains(key))
    }

    /// The values by key, wherever they came from.
    pub(super) fn plain(&self) -> Vec<(&'static str, &Value)> {
        self.given.iter().map(|(key, given)| (*key, &given.value)).collect()
    }

    pub(super) fn get(&self, key: &str) -> &Given {
        self.given.get(key).unwrap_or_else(|| panic!("{key} is no setting of this section"))
    }

    pub(super) fn is_set(&self, key: &str) -> bool {
        self.get(key).value != Value::Unset
    }

    /// A number; the range in the table keeps it within `T`.
    pub(super) fn int<T: TryFrom<u64>>(&self, key: &str) -> T {
        match self.get(key).value {
            Value::Int(number) => {
                T::try_from(number).ok().expect("the table's range is within the type")
            }
            ref value => panic!("{key} is no number: {value:?}"),
        }
    }

    pub(super) fn flag(&self, key: &str) -> bool {
        match self.get(key).value {
            Value::Flag(flag) => flag,
            ref value => panic!("{key} is neither true nor false: {value:?}"),
        }
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        match &self.get(key).value {
            Value::Unset => None,
            Value::Text(text) => Some(text),
            value => panic!("{key} is no text: {value:?}"),
        }
    }

    /// A text that has a default or is required.
    pub(super) fn required(&self, key: &str) -> &str {
        self.text(key).unwrap_or_else(|| panic!("{key} is not set"))
    }

    /// A text that is not shown, or not all of it.
    pub(super) fn secret(&self, key: &str) -> Option<Secret> {
        match &self.get(key).value {
            Value::Unset => None,
            Value::Secret(text) | Value::Url(text) => Some(text.clone()),
            value => panic!("{key} is no secret: {value:?}"),
        }
    }

    pub(super) fn texts(&self, key: &str) -> Option<&[String]> {
        match &self.get(key).value {
            Value::Unset => None,
            Value::Texts(texts) => Some(texts),
            value => panic!("{key} is no list: {value:?}"),
        }
    }

    /// The word of a vocabulary.
    pub(super) fn word<T: FromStr>(&self, key: &str) -> T {
        parse_word(self.required(key))
    }

    /// The words of a vocabulary; none where nothing is given.
    pub(super) fn words<T: FromStr>(&self, key: &str) -> Vec<T> {
        self.texts(key).unwrap_or_default().iter().map(|word| parse_word(word)).collect()
    }
}

fn parse_word<T: FromStr>(word: &str) -> T {
    word.parse().ok().expect("the table's words are the type's words")
}

//! What is known of one setting, and how a setting is found by its name.
//!
//! The rows themselves stand in `keys.rs`. From them come the reading of every source, the
//! unknown-key errors with their suggestion, what an error says is allowed, and the print of
//! `check-config`. Spec: protocols.md sections 9 and 10.

use super::keys::SETTINGS;

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Section and name, as in the TOML file: `server.port`.
    pub key: &'static str,
    /// Environment variables that give it; the first one that is set counts.
    pub env: &'static [&'static str],
    /// What its value is.
    pub kind: Kind,
    /// What holds while nothing is given.
    pub default: Preset,
    /// What a number counts; empty for what is no number.
    pub unit: &'static str,
    /// What it means and what it costs, in a line.
    pub about: &'static str,
    /// Whether this version acts on it.
    pub support: Support,
    /// Whether another value holds only from the next start on.
    pub restart: bool,
}

/// What kind of value a setting takes.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A whole number within bounds, both included.
    Int {
        /// The least.
        min: u64,
        /// The greatest.
        max: u64,
    },
    /// Yes or no.
    Flag,
    /// A text of some grammar.
    Text {
        /// The grammar in words.
        allowed: &'static str,
        /// The grammar.
        check: fn(&str) -> bool,
    },
    /// A text that is never shown.
    Secret,
    /// A text of some grammar, shown without its query: there may be a key in it.
    Url {
        /// The grammar in words.
        allowed: &'static str,
        /// The grammar.
        check: fn(&str) -> bool,
    },
    /// A list of texts of some grammar; may be empty.
    Texts {
        /// The grammar of each in words.
        allowed: &'static str,
        /// The grammar of each.
        check: fn(&str) -> bool,
    },
    /// One of a few words.
    Word {
        /// Those that work.
        words: &'static [&'static str],
        /// Those that the grammar has and this version cannot do.
        absent: &'static [&'static str],
    },
    /// At least one of a few words.
    Words(&'static [&'static str]),
    /// A table of names for names.
    Table,
}

/// The default of a setting.
#[derive(Clone, Copy, Debug)]
pub enum Preset {
    /// None: the feature is off, or the value is found otherwise.
    Unset,
    /// None: an entry of a list is no entry without it.
    Required,
    /// A number.
    Int(u64),
    /// Yes or no.
    Flag(bool),
    /// A text or a word.
    Text(&'static str),
}

/// Whether this version acts on a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// It does.
    Full,
    /// To give it asks for the named feature, which is not there: an error.
    Absent(&'static str),
    /// A parameter of the named feature, which is not there: without effect, and the start says so.
    Idle(&'static str),
}

/// Sections of which there may be several, each with its own values: `[[endpoint]]`.
pub(super) const LISTS: [&str; 3] = ["endpoint", "rule", "history"];

impl Setting {
    /// A whole number from `min` to `max`.
    pub(super) const fn int(key: &'static str, default: u64, min: u64, max: u64) -> Self {
        Self::new(key, Kind::Int { min, max }, Preset::Int(default))
    }

    /// Yes or no.
    pub(super) const fn flag(key: &'static str, default: bool) -> Self {
        Self::new(key, Kind::Flag, Preset::Flag(default))
    }

    /// A row without names in the environment, to be finished by the verbs below.
    pub(super) const fn new(key: &'static str, kind: Kind, default: Preset) -> Self {
        Self {
            key,
            env: &[],
            kind,
            default,
            unit: "",
            about: "",
            support: Support::Full,
            restart: false,
        }
    }

    /// Gives it names in the environment.
    pub(super) const fn env(mut self, names: &'static [&'static str]) -> Self {
        self.env = names;
        self
    }

    /// Gives its number a unit.
    pub(super) const fn unit(mut self, unit: &'static str) -> Self {
        self.unit = unit;
        self
    }

    /// Says what it means.
    pub(super) const fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    /// Marks it as asking for a feature that this version does not have.
    pub(super) const fn absent(mut self, feature: &'static str) -> Self {
        self.support = Support::Absent(feature);
        self
    }

    /// Marks it as a parameter of a feature that this version does not have.
    pub(super) const fn idle(mut self, feature: &'static str) -> Self {
        self.support = Support::Idle(feature);
        self
    }

    /// Marks it as one that a running broker does not change.
    pub(super) const fn restart(mut self) -> Self {
        self.restart = true;
        self
    }

    /// The part of the key before its first dot.
    pub fn section(&self) -> &'static str {
        self.key.split_once('.').map_or(self.key, |(section, _)| section)
    }

    /// The part of the key after its first dot.
    pub fn name(&self) -> &'static str {
        self.key.split_once('.').map_or(self.key, |(_, name)| name)
    }

    /// Whether it belongs to an entry of one of `LISTS`.
    pub fn in_list(&self) -> bool {
        LISTS.contains(&self.section())
    }

    /// Whether a value that it does not take must not be shown either.
    pub(super) fn is_hidden(&self) -> bool {
        matches!(self.kind, Kind::Secret | Kind::Url { .. })
    }

    /// What may be given, in words, with the unit.
    pub fn allowed(&self) -> String {
        match self.kind {
            Kind::Int { min, max } if self.unit.is_empty() => format!("{min} to {max}"),
            Kind::Int { min, max } => format!("{min} to {max} {}", self.unit),
            Kind::Flag => "true or false".to_owned(),
            Kind::Text { allowed, .. } | Kind::Url { allowed, .. } => allowed.to_owned(),
            Kind::Secret => "a text that is not empty".to_owned(),
            Kind::Texts { allowed, .. } => format!("a list, each {allowed}"),
            Kind::Word { words, .. } => words.join(", "),
            Kind::Words(words) => format!("a list, of {}", words.join(", ")),
            Kind::Table => "a table, each name = \"other name\"".to_owned(),
        }
    }
}

/// The setting of a key.
pub(super) fn find(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

/// Letters that may be wrong in the name of a key.
const DISTANCE_MAX: usize = 3;

/// The known key that an unknown one was probably meant to be: the same name in another section,
/// or few letters away.
pub(super) fn nearest(key: &str) -> Option<&'static Setting> {
    let name = key.rsplit('.').next().unwrap_or(key);
    let same_name = SETTINGS.iter().find(|setting| setting.name() == name && !setting.in_list());
    // The difference in length is a part of the distance: what is far longer need not be looked at.
    let near = SETTINGS.iter().filter(|row| row.key.len().abs_diff(key.len()) <= DISTANCE_MAX);
    let Some((distance, closest)) = near
        .map(|setting| (edit_distance(key, setting.key), setting))
        .min_by_key(|(distance, _)| *distance)
    else {
        return same_name;
    };
    if distance <= (1 + name.len() / 4).min(DISTANCE_MAX) { Some(closest) } else { same_name }
}

/// Letters to insert, remove or change to make one text the other (Levenshtein); O(a·b).
pub(super) fn edit_distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

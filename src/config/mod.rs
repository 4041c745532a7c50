//! Configuration: settings as typed become settings as meant.
//!
//! [`load`] reads the TOML file, the environment over it and the command line over both, and gives
//! either a [`Loaded`] or every error at once. One table (`keys.rs`) drives it all: names, ranges,
//! defaults, what errors say, what `check-config` prints. The environment and the reading of files
//! are arguments, so nothing here depends on the process it runs in. Called by `cli`.
//! Spec: protocols.md sections 9 and 10.
//!
//! ```text
//! read (document) -> typed -> meant::settle, key::settle -> check -> meant::settings
//! ```

mod check;
mod document;
mod doubts;
mod events;
mod grammar;
mod key;
mod keys;
mod meant;
mod print;
mod problem;
mod read;
mod renewal;
mod setting;
mod settings;
mod socketio;
#[cfg(test)]
mod tests;
mod typed;
mod unknown;
mod value;
mod words;

use std::io;
use std::path::{Path, PathBuf};

pub use events::{EventName, Events, RESERVED_EVENTS, Relay, RoomEvent};
pub use key::read_file;
pub use keys::SETTINGS;
pub use problem::{Problem, Problems};
pub use read::{Environment, Override};
pub use setting::{Kind, Preset, Setting, Support};
pub use settings::{
    Api, Auth, AuthKey, Bus, Compression, Endpoint, HistorySetting, Limits, Log, Server, Settings,
    SlowConsumer, SocketIoSettings, Tenants, Tls, Websocket,
};
pub use words::{BusAdapter, Conformance, Dialect, LogFormat, LogLevel, SlowConsumerPolicy};

pub use crate::auth::webhook::WebhookSettings;
pub use crate::rule::{Action, Decision, RuleSetting};
pub use crate::secret::Secret;
pub use crate::words::NotAWord;

use read::{FILE_VARIABLE, Reader};
use typed::Typed;

/// How a file is read: [`read_file`], or in a test whatever stands for it.
pub type ReadFile<'a> = dyn Fn(&Path) -> io::Result<String> + 'a;

/// Where a configuration comes from.
pub struct Sources<'a> {
    /// The TOML file (`--config`); otherwise `SHARDWIRE_CONFIG` names it, or there is none.
    pub file: Option<PathBuf>,
    /// The environment variables.
    pub environment: &'a Environment,
    /// Settings from the command line; of two for one key the later counts.
    pub overrides: Vec<Override>,
    /// Trial mode.
    pub dev: bool,
    /// Reads the TOML file and key files.
    pub read: &'a ReadFile<'a>,
}

/// A configuration without errors.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What the program is built from.
    pub settings: Settings,
    /// What is allowed and probably not meant, a line each.
    pub warnings: Vec<String>,
    typed: Typed,
}

/// A setting that has another value than before a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its key; of a list of tables the list's name alone.
    pub key: &'static str,
    /// Whether it holds from now on; otherwise from the next start.
    pub applied: bool,
}

/// Reads all sources and settles what is meant.
///
/// # Errors
/// Everything that is wrong, at once; the operator's to mend (exit status 2).
pub fn load(sources: &Sources<'_>) -> Result<Loaded, Problems> {
    let mut reader = Reader::new();
    let named = sources.environment.get(FILE_VARIABLE).map(PathBuf::from);
    if let Some(file) = sources.file.clone().or(named) {
        match (sources.read)(&file) {
            Ok(text) => reader.file(&file, &text),
            Err(error) => {
                let place = file.display();
                reader.problems.push(Problem::new(&place, format_args!("cannot be read: {error}")));
            }
        }
    }
    reader.environment(sources.environment);
    for given in &sources.overrides {
        reader.flag(given);
    }
    let Reader { mut typed, mut problems, mut warnings } = reader;
    meant::settle(&mut typed, sources.dev, &mut problems, &mut warnings);
    let key = key::settle(&mut typed, sources.read, &mut problems, &mut warnings);
    key::tls_files(&mut typed, sources.read, &mut problems);
    check::contradictions(&typed, &mut problems, &mut warnings);
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(Loaded { settings: meant::settings(&typed, key, sources.dev), warnings, typed })
}

impl Loaded {
    /// What is to be in force when the same sources, read anew, give `new`; and which settings are
    /// different, in the order of the table. Those that need a restart stay as they are here.
    ///
    /// # Errors
    /// What is new does not go with what stays; the operator's to mend, by a restart.
    pub fn renewed(&self, new: Loaded) -> Result<(Loaded, Vec<Change>), Problems> {
        renewal::renew(self, new)
    }

    /// The configuration as meant, as TOML: read back, it means the same, but for secrets, which
    /// are hidden. What is not a default has a comment saying where it came from; with `explain`
    /// each setting has one saying what it means, and settings of later versions are listed too.
    pub fn to_toml(&self, explain: bool) -> String {
        print::to_toml(&self.typed, explain)
    }
}

impl Default for Settings {
    /// What holds while nothing is configured.
    fn default() -> Self {
        let sources = Sources {
            file: None,
            environment: &Environment::default(),
            overrides: Vec::new(),
            dev: false,
            read: &read_file,
        };
        load(&sources).expect("the defaults go together").settings
    }
}

//! What a reload brings: which settings have other values, and which of those a running broker
//! takes over.
//!
//! The sources are read anew as a whole (`load`), and held against what is in force. A setting that
//! needs a restart keeps its old value, whatever else changes; what then holds together is checked
//! like any configuration. Called by `cli`; nothing here knows how a change is carried out.

use super::check;
use super::keys::SETTINGS;
use super::meant;
use super::problem::Problems;
use super::setting::{LISTS, Setting, Support};
use super::socketio::{self, RECOVERY};
use super::typed::{Typed, Values};
use super::value::Value;
use super::{Change, Loaded};

/// The settings that are on or off together; a running broker changes only what they name.
const TLS: [&str; 2] = ["tls.cert_file", "tls.key_file"];

/// What is to be in force after `old`, when the sources now say `new`; and what is different.
///
/// # Errors
/// What is new does not go with what needs a restart and stays.
pub(super) fn renew(old: &Loaded, new: Loaded) -> Result<(Loaded, Vec<Change>), Problems> {
    let Loaded { settings, warnings, mut typed } = new;
    let switched = switched(&old.typed.values, &typed.values);
    let mut changes = Vec::new();
    for setting in SETTINGS.iter().filter(|row| !row.in_list() && row.support == Support::Full) {
        let key = setting.key;
        let (was, is) = (old.typed.values.get(key), typed.values.get(key));
        if was.value == is.value && old.typed.files.get(key) == typed.files.get(key) {
            continue;
        }
        let stays = setting.restart || switched.iter().any(|stem| key.starts_with(stem));
        if stays {
            typed.values.set(key, was.value.clone(), was.origin.clone());
            match old.typed.files.get(key) {
                Some(text) => _ = typed.files.insert(key, text.clone()),
                None => _ = typed.files.remove(key),
            }
        }
        changes.push(Change { key, applied: !stays });
    }
    for list in LISTS {
        if entries(&old.typed, list).eq(entries(&typed, list)) {
            continue;
        }
        let mut rows = SETTINGS.iter().filter(|row| row.section() == list);
        let stays = rows.any(|Setting { restart, .. }| *restart);
        if stays {
            typed.lists.insert(list, old.typed.lists[list].clone());
        }
        changes.push(Change { key: list, applied: !stays });
    }
    let mut problems = Problems::default();
    // Their warnings are those of the new configuration, which has told them.
    check::contradictions(&typed, &mut problems, &mut Vec::new());
    if !problems.is_empty() {
        return Err(problems);
    }
    let settings = meant::settings(&typed, settings.auth.key, settings.dev);
    Ok((Loaded { settings, warnings, typed }, changes))
}

/// The beginnings of keys that stay: of what is switched on or off, or to another mode, which only
/// a start does.
fn switched(old: &Values, new: &Values) -> Vec<&'static str> {
    let is_tls = |values: &Values| TLS.iter().all(|key| values.is_set(key));
    let recovers = |values: &Values| values.int::<u64>(RECOVERY) > 0;
    let all = [
        ("tls.", is_tls(old) != is_tls(new)),
        (RECOVERY, recovers(old) != recovers(new)),
        // A mode brings what others of the section are.
        ("socketio.", socketio::mode(old) != socketio::mode(new)),
    ];
    all.into_iter().filter(|(_, switched)| *switched).map(|(stem, _)| stem).collect()
}

fn entries<'a>(
    typed: &'a Typed,
    list: &str,
) -> impl Iterator<Item = Vec<(&'static str, &'a Value)>> {
    typed.entries(list).iter().map(Values::plain)
}

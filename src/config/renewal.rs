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
    let is_tls = |typed: &Typed| TLS.iter().all(|key| typed.values.is_set(key));
    let tls_stays = is_tls(&old.typed) != is_tls(&typed);
    let mut changes = Vec::new();
    for setting in SETTINGS.iter().filter(|row| !row.in_list() && row.support == Support::Full) {
        let key = setting.key;
        let (was, is) = (old.typed.values.get(key), typed.values.get(key));
        if was.value == is.value && old.typed.files.get(key) == typed.files.get(key) {
            continue;
        }
        let stays = setting.restart || (tls_stays && TLS.contains(&key));
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

fn entries<'a>(
    typed: &'a Typed,
    list: &str,
) -> impl Iterator<Item = Vec<(&'static str, &'a Value)>> {
    typed.entries(list).iter().map(Values::plain)
}

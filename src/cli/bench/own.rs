//! The broker that `shardwire bench` starts where no server is named: what it is told.
//!
//! The conductor has it serve on loopback and let everybody in; here is what the profile and the
//! flags say besides. Settings are judged before anything is started.

use crate::config::{self, Environment, Override, Sources};
use crate::load::conductor::OwnBroker;
use crate::load::profile::Settled;
use crate::load::scenario::Credentials;

/// The setting for the secret of its tokens.
const SECRET_KEY: &str = "auth.secret";
/// The variable of its environment that gives it.
const SECRET_VARIABLE: &str = "JWT_SECRET";

/// The broker of a run, if it has one of its own.
///
/// # Errors
/// What is wrong with its settings, a line each; the fault of whoever typed them.
pub(super) fn broker(settled: &Settled) -> Result<Option<OwnBroker>, String> {
    let Some(broker) = &settled.broker else { return Ok(None) };
    let mut settings = vec![
        ("server.shards".to_owned(), broker.shards.to_string()),
        ("log.level".to_owned(), "warn".to_owned()),
    ];
    if let Credentials::Secret { secret, .. } = &settled.scenario.target.credentials {
        settings.push((SECRET_KEY.to_owned(), secret.clone()));
    }
    settings.extend(broker.settings.iter().cloned());
    judge(&settings)?;
    // Everyone on the machine may read the arguments of a process, its environment only its user.
    let (secrets, settings): (Vec<_>, Vec<_>) =
        settings.into_iter().partition(|(key, _)| key == SECRET_KEY);
    let last = secrets.into_iter().next_back();
    let environment = last.map(|(_, secret)| (SECRET_VARIABLE.to_owned(), secret));
    let words = |(key, value)| ["--set".to_owned(), format!("{key}={value}")];
    let arguments = settings.into_iter().flat_map(words).collect();
    let environment = environment.into_iter().collect();
    Ok(Some(OwnBroker { arguments, environment, processor: broker.processor }))
}

fn judge(settings: &[(String, String)]) -> Result<(), String> {
    let overrides = settings.iter().map(|(key, text)| Override {
        flag: "--set".to_owned(),
        key: key.clone(),
        text: text.clone(),
    });
    let loaded = config::load(&Sources {
        file: None,
        environment: &Environment::default(),
        overrides: overrides.collect(),
        dev: true,
        read: &config::read_file,
    });
    loaded.map(|_| ()).map_err(|problems| problems.to_string())
}

//! What a suite's socket knows of the request that it began with, and of what it said of itself.
//!
//! The doors hand in the request as a JSON object (`Arrival::shown`), in a mode of conformance only.

use std::collections::HashMap;

use serde::Deserialize;

use crate::shard::hub::Hub;
use crate::shard::role::{Namespace, Suite};

/// What is looked at in it.
#[derive(Deserialize)]
struct Shown {
    query: HashMap<String, String>,
}

impl Suite {
    /// The value of a key of the request's query.
    pub(super) fn query(&self, key: &str) -> Option<String> {
        serde_json::from_str(&self.shown).ok().and_then(|Shown { mut query }| query.remove(key))
    }
}

impl Hub {
    /// Keeps the request that a session began with.
    pub(in crate::shard) fn show(&mut self, conn: u32, shown: Box<str>) {
        if let Some(engine) = self.engine_mut(conn) {
            let suite = Suite { shown, auths: Vec::new(), heard: 0 };
            engine.suite = Some(Box::new(suite));
        }
    }

    pub(super) fn suite(&self, carrier: u32) -> Option<&Suite> {
        self.engine(carrier)?.suite.as_deref()
    }

    pub(super) fn suite_mut(&mut self, carrier: u32) -> Option<&mut Suite> {
        self.engine_mut(carrier)?.suite.as_deref_mut()
    }

    /// Keeps what a socket said of itself.
    pub(super) fn keep_auth(&mut self, socket: u32, auth: &str) {
        let (carrier, namespace) = (self.carrier_of(socket), self.namespace(socket));
        if let (Some(suite), Some(namespace)) = (self.suite_mut(carrier), namespace) {
            suite.auths.retain(|(of, _)| *of != namespace);
            suite.auths.push((namespace, auth.into()));
        }
    }

    /// A socket's handshake as an object: the request, and what the socket said of itself.
    pub(super) fn handshake(&self, socket: u32) -> String {
        let suite = self.suite(self.carrier_of(socket));
        let shown = suite.and_then(|suite| suite.shown.strip_suffix('}'));
        let Some((suite, shown)) = suite.zip(shown) else { return "{}".to_owned() };
        let is_of = |namespace: &Namespace| self.namespace(socket) == Some(*namespace);
        let auth = suite.auths.iter().find(|(namespace, _)| is_of(namespace));
        let auth = auth.map_or("{}", |(_, auth)| auth);
        format!("{shown},\"auth\":{auth}}}")
    }
}

//! What a reload may change: read at the doors, each time anew, and never on the way of messages.
//!
//! A shard has settings of its own, which it is given when they change ([`Renewal`]).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ipnet::IpNet;
use rustls::ServerConfig;
use thiserror::Error;

use crate::auth::Identity;
use crate::config::Secret;
use crate::node::clock;
use crate::shard::{Endpoint, Policy};

/// Why a token lets nobody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum Disbelief {
    /// It is not good.
    #[error("invalid token")]
    Token,
    /// It is good, and of a tenant whom the operator keeps out.
    #[error("the token's tenant is not let in")]
    Tenant,
}

/// The settings in force.
#[derive(Debug)]
pub(super) struct Live {
    /// Those of the shards; who comes in is judged by the same.
    pub(super) policy: Arc<Policy>,
    pub(super) trusted_proxies: Vec<IpNet>,
    /// Whether those begin with a PROXY header.
    pub(super) proxy_protocol: bool,
    pub(super) api_key: Option<Secret>,
    /// Whether only requests to this machine by name or to a listed page's host are answered.
    pub(super) known_hosts_only: bool,
    /// The certificate, where TLS is spoken; for the handshakes to come.
    pub(super) tls: Option<Arc<ServerConfig>>,
    pub(super) request_timeout: Duration,
    pub(super) flush_delay: Duration,
    /// How long a handshake of Engine.IO waits: in a mode of conformance, and else not.
    pub(super) handshake_delay: Duration,
}

impl Live {
    /// Whose token this is, if it is believed: verified, and of a tenant that is let in. Every door
    /// asks here.
    ///
    /// # Errors
    /// What of it is not; the client's to mend.
    pub(super) fn believe(&self, token: &str) -> Result<Identity, Disbelief> {
        let verifier = self.policy.verifier.as_ref().ok_or(Disbelief::Token)?;
        let identity = match verifier.verify(token, clock::now().wall) {
            Ok(identity) => identity,
            Err(error) => {
                tracing::debug!(%error, "a token was refused");
                return Err(Disbelief::Token);
            }
        };
        if !self.policy.tenants.admits(identity.tenant()) {
            tracing::debug!("a token of a tenant that is not let in was refused");
            return Err(Disbelief::Tenant);
        }
        Ok(identity)
    }

    /// Whether these settings can follow those of a running broker: the slots of connections hold
    /// endpoints by number, histories are held by number too, and what was negotiated stays.
    pub(super) fn may_follow(&self, old: &Live) -> bool {
        let places = |live: &Live| -> Vec<_> {
            let endpoints = live.policy.endpoints.iter();
            let shape = |it: &Endpoint| (it.path.clone(), it.dialect, it.require_authentication);
            endpoints.map(shape).collect()
        };
        places(self) == places(old)
            && self.policy.history == old.policy.history
            && self.tls.is_some() == old.tls.is_some()
            && self.policy.compression_min_bytes.is_some()
                == old.policy.compression_min_bytes.is_some()
    }
}

/// New settings on their way to one shard.
#[derive(Debug, Default)]
pub(super) struct Renewal {
    /// Looked at each turn, and most turns that is all.
    is_there: AtomicBool,
    renewed: Mutex<Option<Renewed>>,
}

/// New settings; whoever waits until they are in force hears it when the sender is dropped.
pub(super) type Renewed = (Arc<Live>, Sender<()>);

impl Renewal {
    /// Puts them there, in place of earlier ones that were not taken yet; the shard is to be woken.
    pub(super) fn put(&self, renewed: Renewed) {
        *self.renewed.lock().unwrap_or_else(PoisonError::into_inner) = Some(renewed);
        self.is_there.store(true, Ordering::Release);
    }

    /// Takes them, where there are any.
    pub(super) fn take(&self) -> Option<Renewed> {
        if !self.is_there.load(Ordering::Relaxed) || !self.is_there.swap(false, Ordering::Acquire) {
            return None;
        }
        self.renewed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The shards whose settings are still on their way, by number.
pub(super) fn not_taken(all: &[Renewal]) -> Vec<usize> {
    let is_there = |it: &Renewal| it.is_there.load(Ordering::Relaxed);
    all.iter().enumerate().filter(|(_, it)| is_there(it)).map(|(shard, _)| shard).collect()
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::mpsc::{TryRecvError, channel};

    use super::*;
    use crate::node::Setup;

    fn live(subscriptions_max: usize) -> Arc<Live> {
        let policy = Policy { subscriptions_max, ..Policy::new(Vec::new()) };
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        Arc::new(Setup::bare(address, 1, policy).live().1)
    }

    #[test]
    fn who_has_not_taken_settings_is_known() {
        let all: Vec<Renewal> = (0..4).map(|_| Renewal::default()).collect();
        assert!(not_taken(&all).is_empty());
        let (in_force, _ended) = channel();
        for renewal in &all {
            renewal.put((live(1), in_force.clone()));
        }
        assert!(all[0].take().is_some() && all[2].take().is_some());
        assert_eq!(not_taken(&all), [1, 3]);
    }

    #[test]
    fn the_newest_settings_are_taken_once() {
        let renewal = Renewal::default();
        assert!(renewal.take().is_none());
        let (in_force, all) = channel();
        for amount in [1, 2] {
            renewal.put((live(amount), in_force.clone()));
        }
        drop(in_force);
        let taken = renewal.take().unwrap();
        assert_eq!(taken.0.policy.subscriptions_max, 2);
        assert_eq!(all.try_recv(), Err(TryRecvError::Empty));
        drop(taken);
        assert!(all.recv().is_err() && renewal.take().is_none());
    }
}

//! What is addressed to people and not to subscribers: announcements and disconnects, and who of the
//! clients is meant. Each is judged where a client hears of it, and at the end by what was counted.

use std::collections::BTreeSet;

use shardwire::audience::Audience;
use shardwire::connection::ConnKey;

use super::client::Client;
use super::setting::{ADMIN, ECHO, GUARDED};

/// The event that announcements are.
pub const SAID: &str = "said";
/// The first close code of disconnects, each of which has another.
pub const ENDED: u16 = 4000;
/// Disconnects of a run: codes of the broker's own stand behind.
pub const ENDED_MAX: usize = 400;

/// Who is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    Everyone,
    Tenant(String),
    /// The tenant, and the user within it.
    User(Option<String>, String),
    /// A client, by number.
    One(usize),
}

impl To {
    /// As shards take it; `key` is that of the one.
    pub fn audience(&self, key: ConnKey) -> Audience {
        match self {
            Self::Everyone => Audience::Everyone,
            Self::Tenant(tenant) => Audience::Tenant(tenant.as_str().into()),
            Self::User(tenant, user) => {
                let tenant = tenant.as_deref().map(Into::into);
                Audience::User { tenant, user: user.as_str().into() }
            }
            Self::One(_) => Audience::Connection(key),
        }
    }

    /// What stands in place of a topic.
    fn label(&self) -> String {
        match self {
            Self::Everyone | Self::One(_) => "broadcast".into(),
            Self::Tenant(tenant) => format!("tenant.{tenant}"),
            Self::User(_, user) => format!("user.{user}.notifications"),
        }
    }

    /// Whether a client is one of them, as it knows itself.
    pub fn means(&self, number: usize, client: &Client) -> bool {
        match self {
            Self::Everyone => true,
            Self::Tenant(tenant) => client.tenant.as_ref() == Some(tenant),
            Self::User(tenant, user) => {
                client.user.as_ref() == Some(user) && client.tenant == *tenant
            }
            Self::One(one) => number == *one,
        }
    }
}

/// Whether anything is said to a client at all.
pub fn may_hear(client: &Client) -> bool {
    let is_mute = [ECHO, ADMIN].contains(&client.endpoint);
    !is_mute && (client.endpoint != GUARDED || client.user.is_some())
}

/// An announcement, or a disconnect with the code that is heard.
#[derive(Debug)]
pub struct Addressed {
    pub to: To,
    /// When it was asked for, as the ledger counts.
    pub at: u64,
    /// `None`: something is said.
    pub code: Option<u16>,
    /// How many it reached, as it was told to who asked; `None`: not told.
    pub told: Option<u64>,
    /// Clients that have heard it.
    pub reached: BTreeSet<usize>,
}

impl Addressed {
    /// A client hears it.
    pub fn reach(&mut self, number: usize, client: &Client) {
        assert!(self.to.means(number, client), "client {number} is not one of {:?}", self.to);
        assert!(self.code.is_some() || may_hear(client), "client {number} may hear nothing");
        assert!(self.reached.insert(number), "client {number} hears it twice");
    }

    /// Whether a client that is there to the end had to hear it: it was known as one of those meant
    /// before it was asked for, and was carried out.
    pub fn must_reach(&self, number: usize, client: &Client) -> bool {
        self.told.is_some()
            && client.known_since < self.at
            && self.to.means(number, client)
            && (self.code.is_some() || may_hear(client))
    }

    /// What is said, for those who get it as it is.
    pub fn message(number: usize, stuffing: usize) -> String {
        let stuffing = "s".repeat(stuffing);
        format!("{{\"type\":\"{SAID}\",\"data\":{{\"a\":{number},\"s\":\"{stuffing}\"}}}}")
    }

    /// Asserts that a delivery carries the right label.
    pub fn check_label(&self, topic: Option<&str>) {
        assert_eq!(topic, Some(&*self.to.label()));
    }
}

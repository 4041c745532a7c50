//! What goes from one shard to another as it is: nobody between them looks into it.
//!
//! Made by the shard that it leaves, opened by the one that it comes to. Contract: protocols.md
//! section 5.

use std::any::Any;
use std::fmt;

/// An Engine.IO session on its way to the shard that has the socket which its client comes back for.
pub struct Moving(Box<dyn Any + Send>);

impl Moving {
    /// It, packed.
    pub fn new(session: impl Any + Send) -> Self {
        Self(Box::new(session))
    }

    /// It, unpacked.
    ///
    /// # Panics
    /// When something else was packed.
    pub fn open<T: Any>(self) -> T {
        *self.0.downcast().expect("only sessions are moved")
    }
}

impl fmt::Debug for Moving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Moving")
    }
}

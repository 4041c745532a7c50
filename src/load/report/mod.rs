//! What came of a run: as a table, as a page with plots; and how it goes meanwhile.
//!
//! [`facts`] chooses what is told and in which order, once for the table and the page: loss, doubles
//! and order first, then the other faults ([`crate::load::judge`]) and what may help ([`hints`]).
//! [`named`] has the figures that people compare and bound. Nothing here measures or judges.

pub mod against;
pub mod bounds;
pub mod facts;
pub mod hints;
pub mod named;
pub mod page;
pub mod progress;
pub mod search;
pub mod setting;
pub mod table;

#[cfg(test)]
mod tests;

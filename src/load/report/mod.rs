//! What came of a run: as a table, as JSON, as a page with plots; and how it goes meanwhile.
//!
//! [`facts`] chooses what is told and in which order, once for the table and the page: loss,
//! doubles and order first, then the other [`faults`]. [`figures`] writes numbers with their units. Nothing here measures.

pub mod facts;
pub mod faults;
pub mod figures;
pub mod json;
pub mod page;
pub mod progress;
pub mod table;

#[cfg(test)]
mod tests;

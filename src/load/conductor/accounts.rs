//! The accounts of several workers as one.
//!
//! Each worker counts its own subscribers and publishers, so counts add up; ends and troubles are
//! added kind by kind. Called at the end of a run.

use crate::load::orders::Account;

/// Accounts of several workers as one.
pub(super) fn sum(accounts: &[Account]) -> Account {
    let mut sum = Account::default();
    for one in accounts {
        sum.expected += one.expected;
        sum.received += one.received;
        sum.lost += one.lost;
        sum.unarrived += one.unarrived;
        sum.duplicated += one.duplicated;
        sum.out_of_order += one.out_of_order;
        sum.astray += one.astray;
        sum.early += one.early;
        sum.withheld += one.withheld;
        sum.refused += one.refused;
        sum.publishes_refused += one.publishes_refused;
        sum.replaced += one.replaced;
        sum.away += one.away;
        sum.unjudged += one.unjudged;
        merge(&mut sum.closes, &one.closes);
        merge(&mut sum.closes_slow, &one.closes_slow);
        merge(&mut sum.troubles, &one.troubles);
    }
    sum.closes.sort_unstable();
    sum.closes_slow.sort_unstable();
    sum.troubles.sort_unstable();
    sum
}

/// Adds counts to those of the same kind.
fn merge<K: Clone + PartialEq>(sum: &mut Vec<(K, u64)>, more: &[(K, u64)]) {
    for (kind, count) in more {
        match sum.iter_mut().find(|(known, _)| known == kind) {
            Some((_, sum)) => *sum += count,
            None => sum.push((kind.clone(), *count)),
        }
    }
}

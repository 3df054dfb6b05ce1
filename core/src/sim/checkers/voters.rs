//! Whose word each acknowledged write had, and so which of two writes the clocks alone may order.
//!
//! A sloppy quorum counts fallbacks. Two of them need not meet: a write taken by a fallback while the owner was away, and
//! one taken by the owner before the hint arrived. Then the later one could not hear of the earlier one, and the greater
//! stamp wins, whichever it is. Every other pair of quorums meets, and there the later write must win.

use crate::base::{BTreeMap, BTreeSet};
use crate::sim::history::{Outcome, Record};
use crate::version::Stamp;

/// The members that said yes to a write before it was called done, by its stamp.
#[derive(Debug, Clone, Default)]
pub struct Voters(BTreeMap<Stamp, BTreeSet<u32>>);

impl Voters {
    /// Notes a write that is called done. Its first ending counts: a copy that comes to its end later answers nobody.
    pub fn note(&mut self, stamp: Stamp, voters: &BTreeSet<u32>) {
        self.0.entry(stamp).or_insert_with(|| voters.clone());
    }
    /// Whether `first` was acknowledged before `second` began and must not win over it.
    pub fn must_yield(&self, first: &Record, second: &Record) -> bool {
        first.is_before(second) && !self.may_overrule(first, second)
    }
    /// Whether `first`, acknowledged before `second` began, may win over it all the same: one of their quorums was
    /// sloppy, no member was in both, and the clocks say so.
    fn may_overrule(&self, first: &Record, second: &Record) -> bool {
        let done = |record: &Record| match record.outcome {
            Outcome::Done { hinted, stamp: Some(stamp) } => Some((hinted, stamp)),
            _ => None,
        };
        let (Some((first_hinted, first)), Some((second_hinted, second))) = (done(first), done(second)) else {
            return false;
        };
        if first <= second || first_hinted + second_hinted == 0 {
            return false;
        }
        let (Some(one), Some(other)) = (self.0.get(&first), self.0.get(&second)) else { return false };
        one.is_disjoint(other)
    }
}

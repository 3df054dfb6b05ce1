//! The promises, checked from outside: each file knows one, and judges by what clients were told, what the trace says
//! and what lies on the owners' disks, never by what a node believes of itself.

pub(super) mod bounds;
mod control;
mod held;
mod lost;
mod quorum;
mod voters;
mod zombie;

pub use control::ControlChecker;
pub use held::HeldChecker;
pub use lost::lost_acks;
pub use quorum::{Needed, QuorumChecker};
pub use voters::Voters;
pub use zombie::{inventions, zombies};

use super::history::{Asked, Ends, History, OpNumber, Record};
use crate::version::{Cell, Dot};
use alloc::vec::Vec;

/// How far clocks of honest nodes may lie apart: about an expiry nearer than this nothing is claimed.
pub const CLOCK_SLACK_MS: u64 = 1_500;

/// What a key holds at the end: what all owners agree on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinalKey {
    /// The key's index.
    pub key: u16,
    /// The merged cell; `None` when no owner holds one.
    pub cell: Option<Cell>,
    /// True wall time of the read.
    pub read_ms: u64,
}

/// A value found in a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Found {
    writer: OpNumber,
    dot: Dot,
    live: bool,
}

impl FinalKey {
    /// Values in the cell, expired ones among them. Bytes that nobody writes are left to [`inventions`].
    fn found(&self, history: &History) -> Vec<Found> {
        let siblings = self.cell.iter().flat_map(|cell| cell.siblings());
        siblings
            .filter_map(|sibling| {
                let writer = history.writer(self.key, sibling.value()?)?;
                Some(Found { writer, dot: sibling.dot, live: sibling.is_live(self.read_ms) })
            })
            .collect()
    }
}

/// The ends that a value may have got: its own, and those of `EXPIRE`s that were not over before it was written.
fn possible_ends<'a>(
    value: &'a Record,
    of_key: &'a [(OpNumber, &Record)],
) -> impl Iterator<Item = Ends> + 'a {
    let own = match &value.asked {
        Asked::Put { ends, .. } => Some(*ends),
        _ => None,
    };
    let changes = of_key.iter().filter_map(|(_, record)| match &record.asked {
        Asked::Expire { ends } if record.may_count() && !record.is_before(value) => Some(*ends),
        _ => None,
    });
    own.into_iter().chain(changes)
}

/// Whether the value may have ended by `at_ms`.
fn may_have_ended(value: &Record, of_key: &[(OpNumber, &Record)], at_ms: u64) -> bool {
    possible_ends(value, of_key).any(|ends| match ends {
        Ends::Never => false,
        Ends::At(end) => end <= at_ms + CLOCK_SLACK_MS,
        Ends::Kept => true,
    })
}

/// Whether the value must have ended by `at_ms`.
fn must_have_ended(value: &Record, of_key: &[(OpNumber, &Record)], at_ms: u64) -> bool {
    possible_ends(value, of_key).all(|ends| match ends {
        Ends::At(end) => end + CLOCK_SLACK_MS < at_ms,
        Ends::Never | Ends::Kept => false,
    })
}

/// The latest acknowledged write that began after `record` was acknowledged and that must have heard of it: proof that
/// it is superseded.
fn superseder<'a>(
    record: &Record,
    of_key: &[(OpNumber, &'a Record)],
    voters: &Voters,
) -> Option<(OpNumber, &'a Record)> {
    let later = of_key
        .iter()
        .filter(|(_, other)| other.is_write() && other.is_done() && voters.must_yield(record, other));
    later.max_by_key(|(_, other)| other.started).copied()
}

/// Operations by key, for checkers that go through all keys.
fn by_key(history: &History, keys: u16) -> Vec<Vec<(OpNumber, &Record)>> {
    let mut by_key: Vec<Vec<(OpNumber, &Record)>> = (0..keys).map(|_| Vec::new()).collect();
    for (number, record) in history.iter() {
        if let Some(of_key) = by_key.get_mut(usize::from(record.key)) {
            of_key.push((number, record));
        }
    }
    by_key
}

#[cfg(test)]
mod tests;

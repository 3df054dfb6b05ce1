//! Removed ranges of keys.
//!
//! A set hides what is *older* than what it belongs to: a memtable's hides the frozen ones and all tables, a table's
//! hides older runs. Records beside it in the same memtable or table are always newer than it (a range removal takes
//! the records it covers out of the memtable at once), so no sequence numbers are needed, and overlapping ranges
//! are one range.

use crate::base::{DecodeError, Reader, Writer};
use alloc::vec::Vec;
use bytes::Bytes;

/// Disjoint ranges (`from` inclusive, `to` exclusive), in order, none touching the next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ranges(Vec<(Bytes, Bytes)>);

impl Ranges {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    pub(super) fn as_slice(&self) -> &[(Bytes, Bytes)] {
        &self.0
    }
    /// The range that holds `key`.
    pub(super) fn covering(&self, key: &[u8]) -> Option<&(Bytes, Bytes)> {
        if self.0.is_empty() {
            return None;
        }
        let after = self.0.partition_point(|(from, _)| from <= key);
        self.0[..after].last().filter(|(_, to)| key < to)
    }
    pub(super) fn covers(&self, key: &[u8]) -> bool {
        self.covering(key).is_some()
    }
    /// Whether all of `from..to` is removed.
    pub(super) fn covers_all(&self, from: &[u8], to: &[u8]) -> bool {
        self.covering(from).is_some_and(|(_, end)| to <= end)
    }
    pub(super) fn insert(&mut self, mut from: Bytes, mut to: Bytes) {
        if from >= to {
            return;
        }
        // Ranges that overlap or touch the new one become part of it.
        let start = self.0.partition_point(|(_, end)| *end < from);
        let end = self.0.partition_point(|(begin, _)| *begin <= to);
        if start < end {
            from = from.min(self.0[start].0.clone());
            to = to.max(self.0[end - 1].1.clone());
        }
        self.0.splice(start..end, [(from, to)]);
    }
    pub(super) fn extend(&mut self, other: &Ranges) {
        for (from, to) in &other.0 {
            self.insert(from.clone(), to.clone());
        }
    }
    /// The parts within `from..to`; `None` is no bound.
    pub(super) fn clipped(&self, from: &[u8], to: Option<&[u8]>) -> Ranges {
        let mut clipped = Vec::new();
        for (begin, end) in &self.0 {
            if &end[..] <= from || to.is_some_and(|to| to <= &begin[..]) {
                continue;
            }
            let begin = if &begin[..] < from { Bytes::copy_from_slice(from) } else { begin.clone() };
            let end = match to {
                Some(to) if to < &end[..] => Bytes::copy_from_slice(to),
                _ => end.clone(),
            };
            clipped.push((begin, end));
        }
        Ranges(clipped)
    }
    /// Bytes in memory, about.
    pub(super) fn bytes(&self) -> u64 {
        self.0.iter().map(|(from, to)| (from.len() + to.len() + 64) as u64).sum()
    }
    pub(super) fn encode(&self, writer: &mut Writer<'_>) {
        writer.varint(self.0.len() as u64);
        for (from, to) in &self.0 {
            writer.bytes(from);
            writer.bytes(to);
        }
    }
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Ranges, DecodeError> {
        let mut ranges = Ranges(Vec::new());
        for _ in 0..reader.count(2)? {
            let from = reader.bytes()?;
            let to = reader.bytes()?;
            if from >= to || ranges.0.last().is_some_and(|(_, end)| &end[..] >= from) {
                return Err(reader.error("ranges in order"));
            }
            ranges.0.push((Bytes::copy_from_slice(from), Bytes::copy_from_slice(to)));
        }
        Ok(ranges)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Random;

    #[test]
    fn a_set_agrees_with_the_naive_bitmap() {
        for seed in 0..200 {
            let mut random = Random::new(seed);
            let (mut ranges, mut naive) = (Ranges::default(), [false; 40]);
            for _ in 0..random.below(12) {
                let from = random.below(40) as u8;
                let to = random.between(u64::from(from), 40) as u8;
                ranges.insert(Bytes::copy_from_slice(&[from]), Bytes::copy_from_slice(&[to]));
                naive[from as usize..to as usize].fill(true);
            }
            let (low, high) = (random.below(40) as u8, random.below(40) as u8);
            let clipped = ranges.clipped(&[low], Some(&[high]));
            for key in 0..40u8 {
                assert_eq!(ranges.covers(&[key]), naive[key as usize], "seed {seed} key {key}");
                let inside = low <= key && key < high;
                assert_eq!(clipped.covers(&[key]), inside && naive[key as usize]);
            }
            let mut bytes = Vec::new();
            ranges.encode(&mut Writer(&mut bytes));
            assert_eq!(Ranges::decode(&mut Reader::new(&bytes)), Ok(ranges));
        }
    }
}

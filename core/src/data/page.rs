//! Pages of consecutive cells, for those who walk a partition in order of hash: scans, transfers, tree leaves.

use super::key::place_of;
use super::shard::{OpId, Shard};
use crate::base::{Epoch, KeyspaceId, MemberId, PartitionId};
use crate::lsm::{self, ScanPage};
use crate::message::KeyDigest;
use alloc::vec::Vec;
use bytes::Bytes;

/// Which cells, and how many at once.
#[derive(Debug, Clone)]
pub(super) struct PageRange {
    pub from: Bytes,
    pub to: Bytes,
    pub limit: u32,
    pub bytes_max: u32,
}

/// Who wants a page, and what for.
#[derive(Debug, Clone)]
pub(super) enum ScanFor {
    /// A peer that takes over the partition.
    Pull { to: MemberId, partition: PartitionId, op: OpId },
    /// A client's scan, coordinated elsewhere or here.
    Scan { to: MemberId, partition: PartitionId, op: OpId },
    /// A peer is told what lies in these leaves.
    DigestOut { to: MemberId, partition: PartitionId, from: u32, to_hash: u32 },
    /// A peer has told what lies there.
    DigestIn { from: MemberId, partition: PartitionId, first: u32, last: u32, keys: Vec<KeyDigest> },
    /// A peer wants these.
    Wanted { to: MemberId, partition: PartitionId, keys: Vec<KeyDigest> },
    /// Hints that are to be delivered.
    Hints { target: MemberId },
    /// What nothing collects is counted.
    Census,
}

/// A page that ends between two hashes.
#[derive(Debug, Clone)]
pub(super) struct HashPage {
    pub entries: Vec<(Bytes, Bytes)>,
    /// The hash with which the next page starts; `None` when the range is done.
    pub next: Option<u32>,
}

impl HashPage {
    /// Cuts `page`; `None` if it is all of one hash and does not end with it, so that a longer one is needed.
    fn cut(page: ScanPage) -> Option<HashPage> {
        let ScanPage { mut entries, next } = page;
        let Some(next) = next.as_ref().and_then(place_of).map(|place| place.hash) else {
            return Some(HashPage { entries, next: None });
        };
        let is_before = |(key, _): &(Bytes, Bytes)| place_of(key).is_none_or(|place| place.hash != next);
        let count = entries.partition_point(is_before);
        entries.truncate(count);
        (count > 0).then_some(HashPage { entries, next: Some(next) })
    }
}

impl Shard {
    /// A page was read.
    pub(super) fn on_page(&mut self, range: PageRange, what: ScanFor, result: Result<ScanPage, lsm::Error>) {
        if matches!(result, Err(lsm::Error::Superseded)) {
            return self.read_page(range, what);
        }
        if let ScanFor::Hints { target } = what {
            return match result {
                Ok(page) => self.on_hints(target, page),
                Err(_) => self.on_hints_unread(target),
            };
        }
        if let ScanFor::Census = what {
            return self.on_census(result);
        }
        let Ok(page) = result else {
            // Who waits for it asks again; a scan is told.
            if let ScanFor::Scan { to, partition, op } = what {
                self.refuse_scan(to, partition, op);
            }
            return;
        };
        let Some(page) = HashPage::cut(page) else {
            let range = PageRange {
                limit: range.limit.saturating_mul(4),
                bytes_max: range.bytes_max.saturating_mul(4),
                ..range
            };
            return self.read_page(range, what);
        };
        match what {
            ScanFor::Pull { to, partition, op } => self.on_pull_read(to, partition, op, page),
            ScanFor::Scan { to, partition, op } => self.on_scan_read(to, partition, op, page),
            ScanFor::DigestOut { to, partition, from, to_hash } => {
                self.send_digests(to, partition, from, to_hash, page);
            }
            ScanFor::DigestIn { from, partition, first, last, keys } => {
                self.compare_digests(from, partition, (first, last), &keys, page);
            }
            ScanFor::Wanted { to, partition, keys } => self.send_wanted(to, partition, &keys, page),
            ScanFor::Hints { .. } | ScanFor::Census => {} // Taken above.
        }
    }
    /// The range of a keyspace's cells from one hash to another, as a page of at most `limit`.
    pub(super) fn hashes(
        partition: PartitionId,
        keyspace: KeyspaceId,
        (from, to): (u32, u32),
        limit: u32,
    ) -> PageRange {
        let (from, to) = super::key::hash_range(partition, keyspace, from, to);
        PageRange { from, to, limit, bytes_max: 1 << 20 }
    }
    /// Whether `epoch` is the one in which `partition` stands still here too: what may be compared.
    pub(super) fn is_settled_in(&self, partition: PartitionId, epoch: Epoch) -> bool {
        epoch == self.epoch()
            && !self.is_refilling()
            && self.state_of(partition).is_some_and(|state| state.next.is_empty())
            && self.view.as_ref().is_some_and(|view| view.owns(partition))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::key::cell_key;

    fn entry(hash: u32, name: &str) -> (Bytes, Bytes) {
        (cell_key(PartitionId(1), KeyspaceId(0), hash, name.as_bytes()), Bytes::new())
    }

    #[test]
    fn a_page_never_ends_within_a_hash() {
        let page =
            |next| ScanPage { entries: alloc::vec![entry(1, "a"), entry(2, "b"), entry(2, "c")], next };
        let whole = HashPage::cut(page(None)).unwrap();
        assert_eq!((whole.entries.len(), whole.next), (3, None));
        let cut = HashPage::cut(page(Some(entry(2, "d").0))).unwrap();
        assert_eq!((cut.entries.len(), cut.next), (1, Some(2)));
        let clean = HashPage::cut(page(Some(entry(9, "z").0))).unwrap();
        assert_eq!((clean.entries.len(), clean.next), (3, Some(9)));
        let one_hash = ScanPage { entries: alloc::vec![entry(2, "b")], next: Some(entry(2, "c").0) };
        assert!(HashPage::cut(one_hash).is_none());
    }
}

//! Engine keys: where in a shard's one `Db` everything lies.
//!
//! ```text
//!  cells:  0x01 ‖ partition u16 ‖ keyspace u8 ‖ hash u32 ‖ user key        all big-endian, so that a partition is a range
//!  hints:  0x03 ‖ target u16 ‖ (a cell's key from `partition` on)
//!  system: 0x05 ‖ what u8
//! ```
//!
//! On disk: add columns, never change one.

use crate::base::{KeyspaceId, MemberId, PartitionId};
use alloc::vec::Vec;
use bytes::Bytes;

const CELLS: u8 = 1;
const HINTS: u8 = 3;
const SYSTEM: u8 = 5;

/// Bytes before the user key in a cell's engine key.
pub(super) const CELL_PREFIX_BYTES: usize = 8;
/// Bytes before the user key in a hint's engine key.
const HINT_PREFIX_BYTES: usize = CELL_PREFIX_BYTES + 2;

/// What stands in the system column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SystemKey {
    /// The clock's ceiling.
    Ceiling,
    /// One of control's slots.
    Kept(u8),
}

pub(super) fn system_key(what: SystemKey) -> [u8; 2] {
    match what {
        SystemKey::Ceiling => [SYSTEM, 0],
        SystemKey::Kept(slot) => [SYSTEM, 16 + slot],
    }
}

/// The engine key of a cell.
pub(super) fn cell_key(partition: PartitionId, keyspace: KeyspaceId, hash: u32, key: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(CELL_PREFIX_BYTES + key.len());
    push_place(&mut bytes, CELLS, partition, keyspace, hash);
    bytes.extend_from_slice(key);
    Bytes::from(bytes)
}

fn push_place(bytes: &mut Vec<u8>, column: u8, partition: PartitionId, keyspace: KeyspaceId, hash: u32) {
    bytes.push(column);
    bytes.extend_from_slice(&partition.0.to_be_bytes());
    bytes.push(keyspace.0);
    bytes.extend_from_slice(&hash.to_be_bytes());
}

/// The engine key of the hint for `target` about the cell of that engine key.
pub(super) fn hint_key(target: MemberId, cell_key: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(cell_key.len() + 2);
    bytes.push(HINTS);
    bytes.extend_from_slice(&target.0.to_be_bytes());
    bytes.extend_from_slice(&cell_key[1..]);
    Bytes::from(bytes)
}

/// The engine key of the cell that a hint is about; `None` for bytes that are no hint's key.
pub(super) fn cell_of_hint(hint_key: &[u8]) -> Option<(MemberId, Bytes)> {
    if hint_key.len() < HINT_PREFIX_BYTES || hint_key[0] != HINTS {
        return None;
    }
    let target = MemberId(u16::from_be_bytes([hint_key[1], hint_key[2]]));
    let mut bytes = Vec::with_capacity(hint_key.len() - 2);
    bytes.push(CELLS);
    bytes.extend_from_slice(&hint_key[3..]);
    Some((target, Bytes::from(bytes)))
}

/// Where a cell lies, read back from its engine key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub partition: PartitionId,
    pub keyspace: KeyspaceId,
    pub hash: u32,
    pub key: Bytes,
}

/// Reads a cell's engine key back; `None` for any other bytes.
pub(super) fn place_of(cell_key: &Bytes) -> Option<Place> {
    let head = cell_key.first_chunk::<CELL_PREFIX_BYTES>()?;
    let [CELLS, p0, p1, keyspace, h0, h1, h2, h3] = *head else { return None };
    Some(Place {
        partition: PartitionId(u16::from_be_bytes([p0, p1])),
        keyspace: KeyspaceId(keyspace),
        hash: u32::from_be_bytes([h0, h1, h2, h3]),
        key: cell_key.slice(CELL_PREFIX_BYTES..),
    })
}

/// A range of engine keys, `to` exclusive.
pub(super) type KeyRange = (Bytes, Bytes);

fn end_of_partition(column: u8, partition: PartitionId) -> Bytes {
    match partition.0.checked_add(1) {
        Some(next) => Bytes::from([&[column], &next.to_be_bytes()[..]].concat()),
        None => Bytes::from(alloc::vec![column + 1]),
    }
}

/// All cells of a partition.
pub(super) fn partition_range(partition: PartitionId) -> KeyRange {
    let from = Bytes::from([&[CELLS], &partition.0.to_be_bytes()[..]].concat());
    (from, end_of_partition(CELLS, partition))
}

/// Cells of one keyspace of a partition whose hash lies in `from..=to`.
pub(super) fn hash_range(partition: PartitionId, keyspace: KeyspaceId, from: u32, to: u32) -> KeyRange {
    let mut first = Vec::with_capacity(CELL_PREFIX_BYTES);
    push_place(&mut first, CELLS, partition, keyspace, from);
    let mut last = Vec::with_capacity(CELL_PREFIX_BYTES);
    match to.checked_add(1) {
        Some(end) => push_place(&mut last, CELLS, partition, keyspace, end),
        None => {
            last.push(CELLS);
            last.extend_from_slice(&partition.0.to_be_bytes());
            last.push(keyspace.0 + 1);
        }
    }
    (Bytes::from(first), Bytes::from(last))
}

/// All cells.
pub(super) fn cells_range() -> KeyRange {
    (Bytes::from_static(&[CELLS]), Bytes::from_static(&[CELLS + 1]))
}

/// All hints, or those for one target.
pub(super) fn hints_range(target: Option<MemberId>) -> KeyRange {
    match target {
        Some(target) => {
            let from = Bytes::from([&[HINTS], &target.0.to_be_bytes()[..]].concat());
            (from, end_of_partition(HINTS, PartitionId(target.0)))
        }
        None => (Bytes::from_static(&[HINTS]), Bytes::from_static(&[HINTS + 1])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_read_back_and_lie_in_their_ranges() {
        for (partition, hash) in [(0, 0), (7, 9), (u16::MAX, u32::MAX)] {
            let (partition, keyspace) = (PartitionId(partition), KeyspaceId(0));
            let cell = cell_key(partition, keyspace, hash, b"user");
            let place = Place { partition, keyspace, hash, key: Bytes::from_static(b"user") };
            assert_eq!(place_of(&cell), Some(place));
            for (from, to) in
                [partition_range(partition), hash_range(partition, keyspace, hash, hash), cells_range()]
            {
                assert!(from <= cell && cell < to);
            }
            let hint = hint_key(MemberId(3), &cell);
            assert_eq!(cell_of_hint(&hint), Some((MemberId(3), cell)));
            let (from, to) = hints_range(Some(MemberId(3)));
            assert!(from <= hint && hint < to);
        }
        assert_eq!(place_of(&Bytes::from_static(b"x")), None);
        assert_eq!(cell_of_hint(b"x"), None);
    }
}

//! What lies on a disk, read without a shard: for checkers and offline verification.

use super::key::{cell_of_hint, cells_range, hints_range, place_of};
use super::tree::{Tree, Weight, cell_sum};
use crate::base::BTreeMap;
use crate::base::{KeyspaceId, MemberId, PartitionId, Sabotage, hash_key};
use crate::lsm::{self, BlockCache, Db, ScanRange};
use crate::storage::Storage;
use bytes::Bytes;

/// Everything that one shard's engine holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audit {
    /// Cells by partition, keyspace and key.
    pub cells: BTreeMap<(PartitionId, KeyspaceId, Bytes), Bytes>,
    /// Hints by target and the cell that they are about; an empty one is a note.
    pub hints: BTreeMap<(MemberId, PartitionId, KeyspaceId, Bytes), Bytes>,
    /// The root of each partition's tree, as its cells make it.
    pub roots: BTreeMap<PartitionId, u128>,
}

impl Audit {
    /// Opens the engine in `storage` and reads it all.
    pub fn read<S: Storage>(storage: &mut S, options: lsm::Options) -> Result<Audit, lsm::Error> {
        let mut cache = BlockCache::new(1 << 20);
        let (db, _) = Db::open(storage, &mut cache, options)?;
        let mut audit = Audit::default();
        let mut trees: BTreeMap<PartitionId, Tree> = BTreeMap::new();
        for (range, is_hints) in [(cells_range(), false), (hints_range(None), true)] {
            let (mut from, to) = range;
            loop {
                let range =
                    ScanRange { from, to: to.clone(), limit: 1024, bytes_max: u32::MAX, reverse: false };
                let page = db.scan(range).run(storage, &mut cache)?;
                for (engine_key, value) in page.entries {
                    if is_hints {
                        let about = cell_of_hint(&engine_key);
                        let place = about.and_then(|(target, key)| Some((target, place_of(&key)?)));
                        audit.hints.extend(place.map(|(target, place)| {
                            ((target, place.partition, place.keyspace, place.key), value)
                        }));
                    } else if let Some(place) = place_of(&engine_key) {
                        let sum = cell_sum(hash_key(&place.key), &value);
                        let weight = Weight { sum, is_dead: false };
                        let tree = trees.entry(place.partition).or_default();
                        tree.change(Default::default(), place.hash, None, Some(weight), Sabotage::NONE);
                        audit.cells.insert((place.partition, place.keyspace, place.key), value);
                    }
                }
                match page.next {
                    Some(next) => from = next,
                    None => break,
                }
            }
        }
        audit.roots = trees.into_iter().map(|(partition, tree)| (partition, tree.root())).collect();
        Ok(audit)
    }
}

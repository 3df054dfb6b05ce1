use super::{
    Error,
    cache::BlockCache,
    entry::{Kind, key_hash},
    table::{self, Loader},
    version::Version,
};
use crate::storage::Storage;
use alloc::sync::Arc;
use bytes::Bytes;

/// What a lookup found in memory, or the read that finds out.
#[derive(Debug, Clone)]
pub enum Lookup {
    /// This value.
    Found(Bytes),
    /// Nothing.
    Absent,
    /// Memory does not tell: run this.
    OnDisk(TableRead),
}

/// A point read of tables. Holds what it needs of the version it was made from.
#[derive(Debug, Clone)]
pub struct TableRead {
    pub(super) key: Bytes,
    pub(super) version: Arc<Version>,
    pub(super) space: u32,
}

impl TableRead {
    /// Finishes the read.
    pub fn run<S: Storage>(&self, storage: &S, cache: &mut BlockCache) -> Result<Option<Bytes>, Error> {
        let mut loader = Loader { storage, cache: Some(cache), space: self.space };
        let hash = key_hash(&self.key);
        for run in self.version.runs() {
            let Some(table) = run.table_of(&self.key) else { continue };
            match table::get(&mut loader, table, &self.key, hash)? {
                Some((Kind::Deleted, _)) => return Ok(None),
                Some((_, value)) => return Ok(Some(value)),
                None if table.ranges.covers(&self.key) => return Ok(None),
                None => {}
            }
        }
        Ok(None)
    }
    /// Which key it looks up.
    pub fn key(&self) -> &Bytes {
        &self.key
    }
}

use super::{
    Error, Event,
    cache::BlockCache,
    entry::{Kind, key_hash},
    table::{self, Loader},
    version::Version,
};
use crate::storage::Storage;
use alloc::{sync::Arc, vec::Vec};
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
    pub(super) removals: u64,
    /// Somebody listens: the steps are told.
    pub(super) is_listened: bool,
}

/// A finished point read.
#[derive(Debug, Clone)]
pub struct ReadDone {
    /// What it found.
    pub result: Result<Option<Bytes>, Error>,
    /// How it went, if somebody listens.
    pub events: Vec<Event>,
    /// How often a range of keys had been removed when it began.
    pub(super) removals: u64,
}

impl TableRead {
    /// Finishes the read.
    pub fn run<S: Storage>(&self, storage: &S, cache: &mut BlockCache) -> ReadDone {
        let mut events = Vec::new();
        let result = self.look(storage, cache, &mut events);
        ReadDone { result, events, removals: self.removals }
    }
    fn look<S: Storage>(
        &self,
        storage: &S,
        cache: &mut BlockCache,
        events: &mut Vec<Event>,
    ) -> Result<Option<Bytes>, Error> {
        let mut loader = Loader { storage, cache: Some(cache), space: self.space };
        let hash = key_hash(&self.key);
        for run in self.version.runs() {
            let Some(table) = run.table_of(&self.key) else { continue };
            let note = |step| {
                if self.is_listened {
                    events.push(Event::Read { step, table: table.number });
                }
            };
            match table::get(&mut loader, table, &self.key, hash, note)? {
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

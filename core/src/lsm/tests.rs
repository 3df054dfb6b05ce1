//! Whole engines on memory disks, driven as a simple driver would.

mod model;

use super::*;
use crate::{
    base::Random,
    storage::{MemoryDisk, Storage},
};
use alloc::{collections::BTreeMap, vec::Vec};
use bytes::Bytes;

/// An engine, its disk, and what it should hold.
#[derive(Debug, Clone)]
pub(super) struct Rig<S> {
    pub(super) disk: S,
    pub(super) cache: BlockCache,
    pub(super) db: Db,
}

impl<S: Storage> Rig<S> {
    pub(super) fn open(mut disk: S, options: &Options) -> Result<(Rig<S>, Recovery), (Error, S)> {
        let mut cache = BlockCache::new(64 << 10);
        match Db::open(&mut disk, &mut cache, options.clone()) {
            Ok((db, recovery)) => Ok((Rig { disk, cache, db }, recovery)),
            Err(error) => Err((error, disk)),
        }
    }
    pub(super) fn write_log(&mut self, is_synced: bool) {
        if let Some(write) = self.db.log_write(is_synced) {
            let done = write.run(&mut self.disk);
            self.db.on_log(done);
        }
    }
    pub(super) fn sync_log(&mut self) {
        if let Some(sync) = self.db.log_sync() {
            let done = sync.run(&mut self.disk);
            self.db.on_log_sync(done);
        }
    }
    /// Runs all jobs that are due.
    pub(super) fn work(&mut self) {
        while let Some(mut job) = self.db.job() {
            loop {
                if let Some(done) = job.step(&mut self.disk, &mut self.cache, 1000) {
                    self.db.on_job(done);
                    break;
                }
            }
        }
    }
    pub(super) fn get(&mut self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        match self.db.get(key) {
            Lookup::Found(value) => Ok(Some(value)),
            Lookup::Absent => Ok(None),
            Lookup::OnDisk(read) => read.run(&self.disk, &mut self.cache),
        }
    }
    pub(super) fn scan(&mut self, mut range: ScanRange) -> Result<Vec<(Bytes, Bytes)>, Error> {
        let mut all = Vec::new();
        loop {
            let page = self.db.scan(range.clone()).run(&self.disk, &mut self.cache)?;
            all.extend(page.entries.iter().cloned());
            match range.after(&page) {
                Some(rest) => range = rest,
                None => return Ok(all),
            }
        }
    }
}

pub(super) fn everything(reverse: bool, limit: u32) -> ScanRange {
    ScanRange { from: Bytes::new(), to: Bytes::from_static(&[255; 40]), limit, bytes_max: 1 << 20, reverse }
}

pub(super) fn tiny() -> Options {
    Options { memtable_bytes: 1 << 10, block_bytes: 128, table_bytes: 1 << 10, ..Options::default() }
}

//! Whole engines on memory disks, driven as a simple driver would.

mod close;
mod crash;
mod decode;
mod events;
mod faults;
mod files;
mod golden;
mod model;
#[cfg(feature = "sabotage")]
mod sabotage;

use super::*;
use crate::base::BTreeMap;
use crate::base::Random;
use crate::storage::{MemoryDisk, Storage};
use alloc::vec::Vec;
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
            Lookup::OnDisk(read) => {
                let done = read.run(&self.disk, &mut self.cache);
                if let Ok(Some(value)) = &done.result {
                    assert!(self.db.is_current(&done));
                    self.db.remember(key, value);
                }
                done.result
            }
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
    Options {
        memtable_bytes: 1 << 10,
        block_bytes: 128,
        table_bytes: 1 << 10,
        row_bytes: 4 << 10,
        ..Options::default()
    }
}

/// What an engine should hold after each ticket: `models[t]` after ticket `t`.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    pub(super) models: Vec<BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl History {
    pub(super) fn new() -> History {
        History { models: alloc::vec![BTreeMap::new()] }
    }
    /// A random batch, written; refused ones change nothing.
    pub(super) fn write<S: Storage>(
        &mut self,
        rig: &mut Rig<S>,
        random: &mut Random,
    ) -> Result<Ticket, Error> {
        let mut model = self.models.last().cloned().unwrap_or_default();
        let mut batch = Batch::new();
        for _ in 0..random.between(1, 3) {
            let key = alloc::format!("key {:03}", random.below(40)).into_bytes();
            match random.below(30) {
                0 => {
                    let mut to = key.clone();
                    to[5] += 1;
                    model.retain(|at, _| !(key <= *at && *at < to));
                    batch.delete_range(&key, &to);
                }
                1..6 => {
                    model.remove(&key);
                    batch.delete(&key);
                }
                _ => {
                    let value = alloc::format!("{} of {}", self.models.len(), random.below(1 << 40));
                    let value = value.repeat(random.between(1, 6) as usize).into_bytes();
                    batch.put(&key, &value, false);
                    model.insert(key, value);
                }
            }
        }
        let ticket = rig.db.write(&batch)?;
        assert_eq!(ticket.0, self.models.len() as u64);
        self.models.push(model);
        Ok(ticket)
    }
    /// Forgets what came after `last`: it was lost with the power, and may be.
    pub(super) fn cut(&mut self, last: u64) {
        self.models.truncate(last as usize + 1);
    }
    /// The engine holds exactly what it should after its last ticket.
    pub(super) fn compare<S: Storage>(&self, rig: &mut Rig<S>) -> Result<(), alloc::string::String> {
        let model = self.models.get(rig.db.issued().0 as usize).ok_or("a ticket that was never given")?;
        let entries = rig.scan(everything(false, 1000)).map_err(|error| alloc::format!("{error}"))?;
        let expected: Vec<(Bytes, Bytes)> =
            model.iter().map(|(k, v)| (Bytes::copy_from_slice(k), Bytes::copy_from_slice(v))).collect();
        if entries != expected {
            return Err(alloc::format!("holds {entries:?} instead of {expected:?}"));
        }
        Ok(())
    }
}

#[test]
fn what_a_driver_moves_between_threads_can_be_moved() {
    fn is_send<T: Send + 'static>() {}
    is_send::<Db>();
    is_send::<Job>();
    is_send::<JobDone>();
    is_send::<LogWrite>();
    is_send::<LogDone>();
    is_send::<LogSync>();
    is_send::<LogSyncDone>();
    is_send::<TableRead>();
    is_send::<Scan>();
    is_send::<BlockCache>();
    is_send::<MemoryDisk>();
    is_send::<crate::storage::FileStorage>();
}

//! The storage engine of one shard: commit log → memtable → tables on the write path, memtable → filter → table on the
//! read path.
//!
//! [`Db`] is a single-writer state machine without IO. It decides; its driver performs: a [`LogWrite`] at the end of a
//! turn or on a sync thread, a [`Work`] anywhere. Reads that miss memory are values that any thread may finish. `lsm`
//! knows bytes, not cells: who owns a key, what a version is and when something is dead is told to it.
//!
//! Sources: O'Neil et al., "The log-structured merge-tree" (1996); Dayan and Idreos, "Dostoevsky" (2018) for lazy
//! leveling; Pebble's synced-to watermark for telling a torn tail from damage.

use crate::base::Sabotage;
use crate::storage::{FileId, Storage, StorageError};
use alloc::{string::String, vec::Vec};
use bytes::Bytes;
use core::fmt;

/// Settings of an engine. None of them changes what is on disk in a way that another setting could not read.
#[derive(Debug, Clone)]
pub struct Options {
    /// A memtable of this many bytes is frozen and flushed.
    pub memtable_bytes: u32,
    /// Wanted size of a table's data block before compression.
    pub block_bytes: u32,
    /// Wanted size of a table.
    pub table_bytes: u32,
    /// Bits of filter for each key in the last level; upper levels get more.
    pub filter_bits: u8,
    /// Which bug is built in.
    pub sabotage: Sabotage,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            memtable_bytes: 64 << 20,
            block_bytes: 4 << 10,
            table_bytes: 16 << 20,
            filter_bits: 10,
            sabotage: Sabotage::NONE,
        }
    }
}

/// Counts writes of a `Db` from 1. A ticket is done when [`Db::written`] or [`Db::synced`] has reached it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ticket(pub u64);

/// Why the engine could not do something. The kind says what the caller can do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// Bytes changed after they were written. Nothing was changed by whoever found it.
    Corruption {
        /// Where.
        file: FileId,
        /// At which byte.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// The device failed. The engine is poisoned if it was a sync.
    Io(StorageError),
    /// No space left: the write did not happen; reads go on; freeing space heals it.
    NoSpace,
    /// An earlier sync failed: what is durable is unknown, so nothing is written any more. Reads go on.
    Poisoned,
    /// Too much waits to be flushed or written: not done, try again soon.
    Overloaded,
    /// The caller asked for something that cannot be.
    InvalidArgument(&'static str),
    /// Written by a newer build; the data is whole and was not touched.
    FormatTooNew {
        /// Which file says so.
        file: FileId,
        /// The format it says.
        found: u32,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Corruption { file, offset, what } => {
                write!(f, "{file} is damaged at byte {offset}: {what}")
            }
            Error::Io(error) => error.fmt(f),
            Error::NoSpace => f.write_str("no space left on the disk"),
            Error::Poisoned => f.write_str("an earlier sync failed; restart to find out what is durable"),
            Error::Overloaded => f.write_str("too much waits to be written"),
            Error::InvalidArgument(why) => f.write_str(why),
            Error::FormatTooNew { file, found } => {
                write!(f, "{file} has format {found}, which this build does not know")
            }
        }
    }
}
impl core::error::Error for Error {}

/// Changes that happen together or not at all.
#[derive(Debug, Clone, Default)]
pub struct Batch {}

impl Batch {
    /// An empty batch.
    pub fn new() -> Batch {
        Batch::default()
    }
    /// Writes `value` under `key`. `dead` marks what its reader takes for absent (a versioned tombstone), so that runs
    /// of such records can be stepped over.
    pub fn put(&mut self, _key: &[u8], _value: &[u8], _dead: bool) {
        unimplemented!()
    }
    /// Removes `key`.
    pub fn delete(&mut self, _key: &[u8]) {
        unimplemented!()
    }
    /// Removes all keys from `from` (inclusive) to `to` (exclusive).
    pub fn delete_range(&mut self, _from: &[u8], _to: &[u8]) {
        unimplemented!()
    }
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        unimplemented!()
    }
    /// Empties it and keeps its memory.
    pub fn clear(&mut self) {
        unimplemented!()
    }
}

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
pub struct TableRead {}

impl TableRead {
    /// Finishes the read.
    pub fn run<S: Storage>(&self, _storage: &S, _cache: &mut BlockCache) -> Result<Option<Bytes>, Error> {
        unimplemented!()
    }
}

/// A read of consecutive keys. Holds what it needs of the version it was made from.
#[derive(Debug, Clone)]
pub struct Scan {}

/// Consecutive live records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScanPage {
    /// In order of key (descending for a reverse scan).
    pub entries: Vec<(Bytes, Bytes)>,
    /// Where to go on: the first key (inclusive) not looked at; `None` when the range is done.
    pub next: Option<Bytes>,
}

impl Scan {
    /// Finishes the read.
    pub fn run<S: Storage>(&self, _storage: &S, _cache: &mut BlockCache) -> Result<ScanPage, Error> {
        unimplemented!()
    }
}

/// Bounds of a scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanRange {
    /// First key, inclusive.
    pub from: Bytes,
    /// Last key, exclusive.
    pub to: Bytes,
    /// Most records of a page.
    pub limit: u32,
    /// Most bytes of keys and values of a page (at least one record is returned).
    pub bytes_max: u32,
    /// From `to` downwards.
    pub reverse: bool,
}

/// A flush, a compaction, a new log segment: bounded steps over immutable inputs, in any thread.
#[derive(Debug, Clone)]
pub struct Job {}

impl Job {
    /// Does work of about `budget_bytes`; `Some` when it is finished. A failed job has changed nothing that counts.
    pub fn step<S: Storage>(
        &mut self,
        _storage: &mut S,
        _cache: &mut BlockCache,
        _budget_bytes: u64,
    ) -> Option<JobDone> {
        unimplemented!()
    }
}

/// A finished job, to be handed back with [`Db::on_job`].
#[derive(Debug, Clone)]
pub struct JobDone {}

/// Bytes of the log, their place, and whether they must be durable before it counts as done.
#[derive(Debug, Clone)]
pub struct LogWrite {}

impl LogWrite {
    /// Writes (and syncs, when asked).
    pub fn run<S: Storage>(self, _storage: &mut S) -> LogDone {
        unimplemented!()
    }
}

/// A finished log write, to be handed back with [`Db::on_log`].
#[derive(Debug, Clone)]
pub struct LogDone {}

/// A sync of what was already written, which may run beside later writes.
#[derive(Debug, Clone)]
pub struct LogSync {}

impl LogSync {
    /// Syncs.
    pub fn run<S: Storage>(self, _storage: &mut S) -> LogSyncDone {
        unimplemented!()
    }
}

/// A finished sync, to be handed back with [`Db::on_log_sync`].
#[derive(Debug, Clone)]
pub struct LogSyncDone {}

/// Blocks of tables in memory, the most used ones, within a budget. Belongs to a driver, never to a machine.
#[derive(Debug, Clone)]
pub struct BlockCache {}

impl BlockCache {
    /// A cache of at most `bytes`.
    pub fn new(_bytes: u64) -> BlockCache {
        unimplemented!()
    }
}

/// What opening found, beside the engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Whole log records that were replayed.
    pub records_kept: u64,
    /// Bytes of a torn tail that were cut.
    pub bytes_cut: u64,
}

/// Sizes and counts for status pages and metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Stats {
    /// Bytes in the active and frozen memtables.
    pub memtable_bytes: u64,
    /// Tables by level.
    pub tables: Vec<u32>,
    /// Bytes in tables by level.
    pub table_bytes: Vec<u64>,
    /// Bytes of the log that are not yet flushed.
    pub log_bytes: u64,
    /// Flushes finished.
    pub flushes: u64,
    /// Compactions finished.
    pub compactions: u64,
    /// Why writes are refused, if they are.
    pub refusing: Option<String>,
}

/// One engine.
#[derive(Debug, Clone)]
pub struct Db {}

impl Db {
    /// Opens what is there, or makes a new one in an empty storage. Performs IO itself: it runs before the machine
    /// that owns the engine lives.
    pub fn open<S: Storage>(
        _storage: &mut S,
        _cache: &mut BlockCache,
        _options: Options,
    ) -> Result<(Db, Recovery), Error> {
        unimplemented!()
    }
    /// Applies a batch to memory and queues it for the log. Visible to reads at once; done when the ticket is.
    pub fn write(&mut self, _batch: &Batch) -> Result<Ticket, Error> {
        unimplemented!()
    }
    /// Looks a key up.
    pub fn get(&self, _key: &[u8]) -> Lookup {
        unimplemented!()
    }
    /// A page of a range.
    pub fn scan(&self, _range: ScanRange) -> Scan {
        unimplemented!()
    }
    /// What is to be written to the log now; `None` when there is nothing or one is in flight. With `sync` it counts
    /// as done only when durable.
    pub fn log_write(&mut self, _sync: bool) -> Option<LogWrite> {
        unimplemented!()
    }
    /// Takes a finished log write.
    pub fn on_log(&mut self, _done: LogDone) {
        unimplemented!()
    }
    /// A sync of all that is written and not yet durable; `None` when there is nothing or one is in flight.
    pub fn log_sync(&mut self) -> Option<LogSync> {
        unimplemented!()
    }
    /// Takes a finished sync.
    pub fn on_log_sync(&mut self, _done: LogSyncDone) {
        unimplemented!()
    }
    /// The last ticket written to the log: survives the death of the process.
    pub fn written(&self) -> Ticket {
        unimplemented!()
    }
    /// The last durable ticket: survives a power cut.
    pub fn synced(&self) -> Ticket {
        unimplemented!()
    }
    /// The last ticket that failed, with the reason: it and all not yet done before it are refused.
    pub fn failed(&self) -> Option<(Ticket, Error)> {
        unimplemented!()
    }
    /// Work that is due; call until `None`. At most one flush and one compaction are out at a time.
    pub fn job(&mut self) -> Option<Job> {
        unimplemented!()
    }
    /// Takes a finished job.
    pub fn on_job(&mut self, _done: JobDone) {
        unimplemented!()
    }
    /// Freezes the memtable, so that a flush is due.
    pub fn freeze(&mut self) {
        unimplemented!()
    }
    /// Why writes are refused, if they are.
    pub fn refusing(&self) -> Option<Error> {
        unimplemented!()
    }
    /// Sizes and counts.
    pub fn stats(&self) -> Stats {
        unimplemented!()
    }
    /// Whether the invariants hold.
    pub fn check(&self) -> Result<(), &'static str> {
        unimplemented!()
    }
}

//! The storage engine of one shard: commit log → memtable → tables on the write path, memtable → filter → table on the
//! read path.
//!
//! [`Db`] is a single-writer state machine without IO. It decides; its driver performs: a [`LogWrite`] at the end of a
//! turn or on a sync thread, a [`Job`] anywhere. Reads that miss memory are values that any thread may finish. `lsm`
//! knows bytes, not cells: who owns a key, what a version is and when something is dead is told to it.
//!
//! ```text
//!  write ─▶ log ─▶ rows, active memtable ─▶ frozen memtables ─▶ level 0 ─▶ … ─▶ last level
//!            │          newest ◀──────── reads ask in this order ────────▶ oldest
//!            └─ superfluous once its memtable is a table
//! ```
//!
//! There are no sequence numbers on records: of two records of a key, the one in the newer place counts, and the
//! places are in order of age.
//!
//! Sources: O'Neil et al., "The log-structured merge-tree" (1996); Dayan and Idreos, "Dostoevsky" (2018) for lazy
//! leveling; Pebble's synced-to watermark for telling a torn tail from damage.

mod db;
mod options;

mod batch;
mod log;
mod record;
mod recover;

mod entry;
mod memtable;
mod ranges;
mod rows;

mod block;
mod filter;
mod table;

mod compaction;
mod job;
mod manifest;
mod version;

mod cache;
mod merge;
mod read;
mod scan;

mod error;
mod event;
mod picture;
#[cfg(test)]
mod tests;

pub use batch::{BATCH_BYTES_MAX, Batch, KEY_BYTES_MAX};
pub use cache::BlockCache;
pub use db::{Db, Stats, Ticket};
pub use error::Error;
pub use event::{Event, ReadStep};
pub use job::{Job, JobDone, JobKind};
pub use log::{LogDone, LogSync, LogSyncDone, LogWrite};
pub use options::Options;
pub use picture::{LogPicture, Picture, ReadAnswer, ReadPlace, TablePicture};
pub use read::{Lookup, ReadDone, TableRead};
pub use recover::Recovery;
pub use scan::{Scan, ScanPage, ScanRange};

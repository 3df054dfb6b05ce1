//! What an engine looks like from outside, for the page: sizes and bounds of its parts, and the way of one key through them.

use super::cache::BlockCache;
use super::db::Db;
use super::entry::{Kind, key_hash};
use super::event::ReadStep;
use super::memtable::Memtable;
use super::table::{self, Loader};
use super::version::LEVEL_COUNT;
use crate::storage::Storage;
use alloc::vec::Vec;
use bytes::Bytes;

/// Neighbours of a key that are shown of the memtable, on each side.
const NEIGHBOUR_COUNT: usize = 2;

/// The parts of an engine. Keys are engine keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// The commit log.
    pub log: LogPicture,
    /// The memtable that takes writes.
    pub memtable_bytes: u64,
    /// A flush is due at so many.
    pub memtable_bytes_max: u64,
    /// Records in it.
    pub memtable_entries: u64,
    /// Bytes of each memtable that waits for its flush, oldest first.
    pub frozen: Vec<u64>,
    /// Keys of the memtable around the one that was asked for, in order.
    pub neighbours: Vec<Bytes>,
    /// By level, its runs, newest first; by run, its tables in order.
    pub levels: Vec<Vec<Vec<TablePicture>>>,
}

/// The commit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogPicture {
    /// Number of the segment that takes records.
    pub segment: u64,
    /// Bytes in it.
    pub segment_bytes: u64,
    /// Bytes that it was made for.
    pub segment_bytes_max: u64,
    /// Tickets given out.
    pub issued: u64,
    /// Through which ticket it is written.
    pub written: u64,
    /// Through which ticket it is durable.
    pub synced: u64,
}

/// One table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TablePicture {
    /// Its number.
    pub number: u64,
    /// Of its file.
    pub bytes: u64,
    /// Records.
    pub entries: u64,
    /// Those of them that are tombstones, of either kind.
    pub dead: u64,
    /// Its first key, or a bound below it.
    pub from: Bytes,
    /// A bound above its last key.
    pub to: Bytes,
}

/// A place where a key was looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadPlace {
    /// The newest records of keys in use.
    Rows,
    /// The memtable that takes writes.
    Memtable,
    /// One that waits for its flush.
    Frozen,
    /// A table.
    Table {
        /// Its level.
        level: u8,
        /// Its run, 0 being the newest of the level.
        run: u32,
        /// Its number; 0 when no table of the run has bounds that hold the key.
        table: u64,
    },
}

/// What a place answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadAnswer {
    /// It is not there.
    Absent,
    /// It is there, as a value or as deleted.
    Found,
    /// No table of the run has bounds that hold the key.
    OutOfRange,
    /// The filter said no.
    FilterNo,
    /// The filter said maybe, and it is not there.
    FalsePositive,
    /// It had been found before.
    NotReached,
    /// The table cannot be read.
    Damaged,
}

impl Db {
    /// A picture of its parts; `key` is the one whose neighbours in the memtable are wanted.
    pub fn picture(&self, key: Option<&[u8]>) -> Picture {
        let memtable = self.active();
        let table = |table: &alloc::sync::Arc<table::Table>| TablePicture {
            number: table.number,
            bytes: table.file_bytes,
            entries: table.entries,
            dead: table.dead + table.deletes,
            from: table.from.clone(),
            to: table.to.clone(),
        };
        let run = |run: &alloc::sync::Arc<super::version::Run>| run.tables.iter().map(table).collect();
        let level = |level: u8| self.shape().level(level).iter().map(run).collect();
        let mut levels: Vec<Vec<Vec<TablePicture>>> = (0..LEVEL_COUNT as u8).map(level).collect();
        while levels.last().is_some_and(Vec::is_empty) {
            levels.pop();
        }
        Picture {
            log: self.log_picture(),
            memtable_bytes: memtable.bytes(),
            memtable_bytes_max: self.memtable_bytes_max(),
            memtable_entries: memtable.count(),
            frozen: self.frozen_tables().map(Memtable::bytes).collect(),
            neighbours: key.map_or_else(Vec::new, |key| neighbours(memtable, key)),
            levels,
        }
    }
    /// The newest value of `key`, for somebody who watches: counts as no use of it.
    pub fn peek<S: Storage>(
        &self,
        key: &[u8],
        storage: &S,
        cache: &mut BlockCache,
    ) -> Result<Option<Bytes>, super::Error> {
        let frozen: Vec<&Memtable> = self.frozen_tables().collect();
        for memtable in core::iter::once(self.active()).chain(frozen.into_iter().rev()) {
            if let Some(slot) = memtable.get(key, memtable.hash(key)) {
                return Ok((slot.kind != Kind::Deleted).then(|| slot.value()));
            }
            if memtable.ranges.covers(key) {
                return Ok(None);
            }
        }
        self.table_read(key).run(storage, cache).result
    }
    /// The way that a look-up of `key` takes now, step by step. Reads blocks as the look-up does, so it is for one key
    /// that somebody watches.
    pub fn read_path<S: Storage>(
        &self,
        key: &[u8],
        storage: &S,
        cache: &mut BlockCache,
    ) -> Vec<(ReadPlace, ReadAnswer)> {
        let mut steps = Vec::new();
        let mut is_found = false;
        let mut add = |place, answer: ReadAnswer| {
            let answer = if is_found { ReadAnswer::NotReached } else { answer };
            is_found |= answer == ReadAnswer::Found;
            steps.push((place, answer));
            is_found
        };
        if let Some(holds) = self.rows_hold(key) {
            add(ReadPlace::Rows, if holds { ReadAnswer::Found } else { ReadAnswer::Absent });
        }
        let in_memory = |memtable: &Memtable| {
            let is_there = memtable.get(key, memtable.hash(key)).is_some() || memtable.ranges.covers(key);
            if is_there { ReadAnswer::Found } else { ReadAnswer::Absent }
        };
        let mut is_done = add(ReadPlace::Memtable, in_memory(self.active()));
        let frozen: Vec<&Memtable> = self.frozen_tables().collect();
        for memtable in frozen.into_iter().rev() {
            is_done = add(ReadPlace::Frozen, in_memory(memtable));
        }
        let mut loader = Loader { storage, cache: Some(cache), space: self.cache_space() };
        for level in 0..LEVEL_COUNT as u8 {
            for (number, run) in self.shape().level(level).iter().enumerate() {
                let found = run.table_of(key);
                let table = found.map_or(0, |table| table.number);
                let place = ReadPlace::Table { level, run: number as u32, table };
                let answer = match found {
                    None => ReadAnswer::OutOfRange,
                    Some(_) if is_done => ReadAnswer::NotReached,
                    Some(table) => in_table(&mut loader, table, key),
                };
                is_done = add(place, answer);
            }
        }
        steps
    }
}

fn in_table<S: Storage>(loader: &mut Loader<'_, S>, table: &table::Table, key: &[u8]) -> ReadAnswer {
    let mut filter = None;
    let found = table::get(loader, table, key, key_hash(key), |step| match step {
        ReadStep::FilterNo => filter = Some(false),
        ReadStep::FilterYes => filter = Some(true),
        ReadStep::Memory | ReadStep::Block => {}
    });
    match (found, filter) {
        (Err(_), _) => ReadAnswer::Damaged,
        (Ok(Some((Kind::Live | Kind::Dead | Kind::Deleted, _))), _) => ReadAnswer::Found,
        (Ok(None), _) if table.ranges.covers(key) => ReadAnswer::Found,
        (Ok(None), Some(true)) => ReadAnswer::FalsePositive,
        (Ok(None), Some(false)) => ReadAnswer::FilterNo,
        (Ok(None), None) => ReadAnswer::OutOfRange,
    }
}

fn neighbours(memtable: &Memtable, key: &[u8]) -> Vec<Bytes> {
    let mut before = Vec::new();
    let mut position = memtable.seek_before(key);
    while let Some(slot) = memtable.slot(position)
        && before.len() < NEIGHBOUR_COUNT
    {
        before.push(slot.key_bytes());
        position = memtable.previous(position);
    }
    before.reverse();
    let mut position = memtable.seek(key);
    let count_max = before.len() + NEIGHBOUR_COUNT + 1;
    while let Some(slot) = memtable.slot(position)
        && before.len() < count_max
    {
        before.push(slot.key_bytes());
        position = memtable.next(position);
    }
    before
}

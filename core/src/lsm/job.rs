//! Work on the disk that no client waits for, as values.

use super::{
    Error, Options,
    cache::BlockCache,
    compaction::MergePlan,
    entry::Kind,
    log::{final_failure, log_file},
    manifest::{self, InstallError, Place, manifest_file},
    memtable::{Memtable, Position},
    merge::{Merge, Source, Start},
    ranges::Ranges,
    table::{Loader, Table, TableWriter, table_file},
    version::Edit,
};
use crate::base::Bug;
use crate::storage::{FileId, Storage, StorageError, StorageErrorKind};
use alloc::{boxed::Box, sync::Arc, vec::Vec};
use bytes::Bytes;
use core::ops::Range;

/// A flush, a compaction, a new log segment: bounded steps over immutable inputs, in any thread.
#[derive(Debug, Clone)]
pub struct Job {
    task: Task,
    options: Arc<Options>,
}

/// What a job does, for status pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub enum JobKind {
    /// Writes a frozen memtable as tables.
    Flush,
    /// Merges tables.
    Compaction,
    /// Makes finished work durable in the manifest.
    Install,
    /// Makes a log segment ahead.
    Prepare,
    /// Removes files that nothing needs any more.
    Remove,
}

/// The large ones are boxed: work is handed from machine to driver to thread, by value.
#[derive(Debug, Clone)]
enum Task {
    Flush(Box<Flush>),
    Compact(Box<Compaction>),
    Install { place: Place, record: Vec<u8>, replace: Option<(u64, Arc<Edit>)> },
    Prepare { number: u64, bytes: u64, recycled: Option<u64>, manifest: u64 },
    Remove { files: Vec<FileId>, manifest: u64 },
}

#[derive(Debug, Clone)]
struct Flush {
    memtable: Arc<Memtable>,
    position: Position,
    writer: RunWriter,
}

#[derive(Debug, Clone)]
struct Compaction {
    plan: Arc<MergePlan>,
    merge: Option<Merge>,
    writer: RunWriter,
    space: u32,
}

/// A finished job, to be handed back with [`super::Db::on_job`].
#[derive(Debug, Clone)]
pub struct JobDone {
    pub(super) kind: JobKind,
    pub(super) result: Result<JobOutput, JobError>,
}

impl JobDone {
    /// What it did.
    pub fn kind(&self) -> JobKind {
        self.kind
    }
    /// Why it failed, if it did.
    pub fn error(&self) -> Option<&Error> {
        self.result.as_ref().err().map(|failed| &failed.error)
    }
}

#[derive(Debug, Clone)]
pub(super) enum JobOutput {
    Tables(Vec<Table>),
    Installed(Place),
    Nothing,
}

#[derive(Debug, Clone)]
pub(super) struct JobError {
    pub(super) error: Error,
    /// A sync failed: the engine is poisoned.
    pub(super) is_final: bool,
}

impl From<StorageError> for JobError {
    fn from(error: StorageError) -> JobError {
        let is_final = error.call.starts_with("sync");
        let error = if is_final { final_failure(error) } else { error };
        JobError { error: error.into(), is_final }
    }
}
impl From<Error> for JobError {
    fn from(error: Error) -> JobError {
        JobError { error, is_final: false }
    }
}

impl Job {
    pub(super) fn flush(memtable: Arc<Memtable>, numbers: Range<u64>, options: Arc<Options>) -> Job {
        let writer = RunWriter::new(numbers, options.clone(), 0, memtable.ranges.clone());
        let position = memtable.first();
        Job { task: Task::Flush(Box::new(Flush { memtable, position, writer })), options }
    }
    pub(super) fn compact(plan: Arc<MergePlan>, numbers: Range<u64>, options: Arc<Options>) -> Job {
        let writer = RunWriter::new(numbers, options.clone(), plan.level, plan.ranges());
        let space = options.cache_space;
        Job { task: Task::Compact(Box::new(Compaction { plan, merge: None, writer, space })), options }
    }
    pub(super) fn install(
        place: Place,
        record: Vec<u8>,
        replace: Option<(u64, Arc<Edit>)>,
        options: Arc<Options>,
    ) -> Job {
        Job { task: Task::Install { place, record, replace }, options }
    }
    pub(super) fn prepare(number: u64, recycled: Option<u64>, manifest: u64, options: Arc<Options>) -> Job {
        Job { task: Task::Prepare { number, bytes: options.segment_bytes(), recycled, manifest }, options }
    }
    pub(super) fn remove(files: Vec<FileId>, manifest: u64, options: Arc<Options>) -> Job {
        Job { task: Task::Remove { files, manifest }, options }
    }
    /// What it does.
    pub fn kind(&self) -> JobKind {
        match self.task {
            Task::Flush(_) => JobKind::Flush,
            Task::Compact(_) => JobKind::Compaction,
            Task::Install { .. } => JobKind::Install,
            Task::Prepare { .. } => JobKind::Prepare,
            Task::Remove { .. } => JobKind::Remove,
        }
    }

    /// Does all of it.
    pub fn run<S: Storage>(mut self, storage: &mut S, cache: &mut BlockCache) -> JobDone {
        loop {
            if let Some(done) = self.step(storage, cache, u64::MAX) {
                return done;
            }
        }
    }
    /// Does work of about `budget_bytes`; `Some` when it is finished. A failed job has changed nothing that counts.
    pub fn step<S: Storage>(
        &mut self,
        storage: &mut S,
        _cache: &mut BlockCache,
        budget_bytes: u64,
    ) -> Option<JobDone> {
        let kind = self.kind();
        let result = match &mut self.task {
            Task::Flush(flush) => match flush.step(storage, budget_bytes) {
                Ok(None) => return None,
                Ok(Some(tables)) => Ok(JobOutput::Tables(tables)),
                Err(error) => {
                    flush.writer.abandon(storage);
                    Err(error)
                }
            },
            Task::Compact(compaction) => match compaction.step(storage, budget_bytes, &self.options) {
                Ok(None) => return None,
                Ok(Some(tables)) => Ok(JobOutput::Tables(tables)),
                Err(error) => {
                    compaction.writer.abandon(storage);
                    Err(error)
                }
            },
            Task::Install { place, record, replace } => install(storage, *place, record, replace.as_ref()),
            Task::Prepare { number, bytes, recycled, manifest } => {
                prepare(storage, *number, *bytes, *recycled, *manifest).map(|()| JobOutput::Nothing)
            }
            Task::Remove { files, manifest } => {
                remove(storage, files, *manifest).map(|()| JobOutput::Nothing)
            }
        };
        Some(JobDone { kind, result })
    }
}

/// More bits at the upper levels: they are small, and each of their runs is asked first.
fn filter_bits(options: &Options, level: u8) -> u32 {
    let bits = u32::from(options.filter_bits);
    match (bits, level) {
        (0, _) => 0,
        (bits, 0) => bits + 4,
        (bits, 1..super::version::LEVEL_LAST) => bits + 2,
        (bits, _) => bits,
    }
}

fn install<S: Storage>(
    storage: &mut S,
    place: Place,
    record: &[u8],
    replace: Option<&(u64, Arc<Edit>)>,
) -> Result<JobOutput, JobError> {
    let installed = match replace {
        Some((number, state)) => manifest::replace(storage, *number, state),
        None => manifest::append(storage, place, record),
    };
    match installed {
        Ok(place) => Ok(JobOutput::Installed(place)),
        Err(InstallError::NotDone(error)) => Err(JobError { error: error.into(), is_final: false }),
        Err(InstallError::Unknown(error)) => Err(JobError { error: Error::Io(error), is_final: true }),
    }
}

fn prepare<S: Storage>(
    storage: &mut S,
    number: u64,
    bytes: u64,
    recycled: Option<u64>,
    manifest: u64,
) -> Result<(), JobError> {
    let file = log_file(number);
    let made = (|| {
        match recycled {
            Some(old) => {
                storage.sync(manifest_file(manifest))?;
                storage.rename(log_file(old), file)?;
                storage.truncate(file, bytes)?;
            }
            None => storage.create(file)?,
        }
        storage.allocate(file, bytes)?;
        storage.sync(file)?;
        storage.sync_dir()
    })();
    made.map_err(|error: StorageError| {
        let error = JobError::from(error);
        if !error.is_final {
            // Best effort: what stays is an empty segment, which the next start ignores.
            let _ = storage.remove(file);
        }
        error
    })
}

fn remove<S: Storage>(storage: &mut S, files: &[FileId], manifest: u64) -> Result<(), JobError> {
    // The manifest no longer names the files; make sure that no later reader can take that for a torn tail.
    storage.sync(manifest_file(manifest))?;
    for file in files {
        match storage.remove(*file) {
            Err(error) if error.kind == StorageErrorKind::NotFound => {}
            // What stays is found and removed by the next start.
            Err(_) | Ok(()) => {}
        }
    }
    Ok(())
}

impl Flush {
    fn step<S: Storage>(&mut self, storage: &mut S, budget: u64) -> Result<Option<Vec<Table>>, JobError> {
        let mut done = 0;
        while let Some(slot) = self.memtable.slot(self.position) {
            if done >= budget {
                return Ok(None);
            }
            let (key, value) = (slot.key(), slot.value_slice());
            self.writer.push(storage, key, slot.kind, value)?;
            done += (key.len() + value.len()) as u64;
            self.position = self.memtable.next(self.position);
        }
        Ok(Some(self.writer.finish(storage)?))
    }
}

impl Compaction {
    fn step<S: Storage>(
        &mut self,
        storage: &mut S,
        budget: u64,
        options: &Options,
    ) -> Result<Option<Vec<Table>>, JobError> {
        let plan = &self.plan;
        // No cache: a compaction reads each block once and would only push out what clients read.
        let mut loader = Loader { storage: &*storage, cache: None, space: self.space };
        let mut merge = match self.merge.take() {
            Some(merge) => merge,
            None => {
                let sources = plan.runs.iter().cloned().map(Source::run).collect();
                Merge::start(&mut loader, sources, Start::From(&plan.from))?
            }
        };
        let mut done = 0;
        while let Some(key) = merge.key() {
            if plan.to.as_ref().is_some_and(|to| key >= &to[..]) {
                break;
            }
            if done >= budget {
                self.merge = Some(merge);
                return Ok(None);
            }
            let (kind, value) = (merge.kind(), merge.value_slice());
            let is_dropped = (kind == Kind::Deleted && plan.is_last())
                || (kind == Kind::Dead && options.sabotage.is(Bug::TombstoneDroppedEarly));
            if !is_dropped {
                self.writer.push(storage, key, kind, value)?;
            }
            done += (key.len() + value.len()) as u64 + 1;
            merge.next(&mut Loader { storage: &*storage, cache: None, space: self.space })?;
        }
        Ok(Some(self.writer.finish(storage)?))
    }
}

/// Writes records as the tables of one run.
#[derive(Debug, Clone)]
struct RunWriter {
    numbers: Range<u64>,
    options: Arc<Options>,
    level: u8,
    table: Option<TableWriter>,
    done: Vec<Table>,
    /// What the run removes from older ones; each table gets its part.
    ranges: Ranges,
    /// Where the bounds of the next table start.
    from: Bytes,
    created: Vec<u64>,
}

impl RunWriter {
    fn new(numbers: Range<u64>, options: Arc<Options>, level: u8, ranges: Ranges) -> RunWriter {
        RunWriter {
            numbers,
            options,
            level,
            table: None,
            done: Vec::new(),
            ranges,
            from: Bytes::new(),
            created: Vec::new(),
        }
    }
    fn table<S: Storage>(&mut self, storage: &mut S) -> Result<TableWriter, StorageError> {
        match self.table.take() {
            Some(table) => Ok(table),
            None => {
                let number = self.numbers.next().unwrap_or(self.numbers.end);
                let bits = filter_bits(&self.options, self.level);
                // What is flushed is soon merged: it would be packed for one reading.
                let is_packed = self.level > 0;
                let table = TableWriter::create(storage, number, &self.options, bits, is_packed)?;
                self.created.push(number);
                Ok(table)
            }
        }
    }
    fn push<S: Storage>(
        &mut self,
        storage: &mut S,
        key: &[u8],
        kind: Kind,
        value: &[u8],
    ) -> Result<(), StorageError> {
        let is_full = self.table.as_ref().is_some_and(|t| t.bytes() >= u64::from(self.options.table_bytes));
        // With no number left the last table takes the rest.
        if is_full && !self.numbers.is_empty() {
            let table = self.table(storage)?;
            let ranges = self.ranges.clipped(&self.from, Some(key));
            self.done.push(table.finish(storage, ranges)?);
            self.from = Bytes::copy_from_slice(key);
        }
        if self.table.is_none() {
            self.table = Some(self.table(storage)?);
        }
        match &mut self.table {
            Some(table) => table.push(storage, key, kind, value),
            None => unreachable!("one was just made if there was none"),
        }
    }
    fn finish<S: Storage>(&mut self, storage: &mut S) -> Result<Vec<Table>, StorageError> {
        let ranges = self.ranges.clipped(&self.from, None);
        if self.table.is_some() || !ranges.is_empty() {
            let table = self.table(storage)?;
            self.done.push(table.finish(storage, ranges)?);
        }
        if !self.created.is_empty() {
            storage.sync_dir()?;
        }
        Ok(core::mem::take(&mut self.done))
    }
    /// Removes what was written, as well as it goes.
    fn abandon<S: Storage>(&mut self, storage: &mut S) {
        for number in self.created.drain(..) {
            let _ = storage.remove(table_file(number));
        }
    }
}

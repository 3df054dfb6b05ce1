use super::{
    Batch, Error, Event, Job, JobDone, LogDone, LogSync, LogSyncDone, LogWrite, Lookup, Options, ReadDone,
    Recovery, Scan, ScanRange, TableRead,
    batch::{Op, Ops},
    cache::BlockCache,
    compaction::{self, MergePlan, Plan},
    entry::Kind,
    job::{JobError, JobKind, JobOutput},
    log::{Log, log_file},
    manifest::{self, MANIFEST_BYTES_MAX, Place, State, manifest_file},
    memtable::Memtable,
    recover,
    rows::Rows,
    table::table_file,
    version::{Added, Edit, LEVEL_LAST, Removed, Version},
};
use crate::storage::{FileId, Storage, StorageError};
use alloc::{
    collections::VecDeque,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use bytes::Bytes;

/// Frozen memtables that may wait for their flush before writes are refused.
const FROZEN_COUNT_MAX: usize = 4;
/// Runs in level 0 beyond which reads would suffer more than refused writes do.
const RUN_COUNT_REFUSED: usize = 24;
/// Bytes that may wait to be written to the log, at least; more with larger memtables.
const QUEUED_BYTES_MIN: u64 = 16 << 20;
/// While something waits for space, every so many refused writes one more try is made (the first ones more often).
const RETRY_EVERY: u64 = 64;

/// Counts writes of a `Db` from 1. A ticket is done when [`Db::written`] or [`Db::synced`] has reached it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ticket(pub u64);

/// Sizes and counts for status pages and metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Stats {
    /// Bytes in the active and frozen memtables.
    pub memtable_bytes: u64,
    /// Bytes of rows, their index included.
    pub row_bytes: u64,
    /// Frozen memtables that wait for their flush.
    pub frozen: u32,
    /// Tables by level; the last entry is the last level.
    pub tables: Vec<u32>,
    /// Bytes in tables by level.
    pub table_bytes: Vec<u64>,
    /// Sorted runs by level: how many tables a point read may ask at most.
    pub runs: Vec<u32>,
    /// Bytes of the log that are not yet flushed.
    pub log_bytes: u64,
    /// Flushes finished.
    pub flushes: u64,
    /// Compactions finished, moves of whole tables included.
    pub compactions: u64,
    /// Jobs that failed and were put off.
    pub failed_jobs: u64,
    /// Why the last one of them did, if none of its kind has succeeded since.
    pub failure: Option<String>,
    /// Why writes are refused, if they are.
    pub refusing: Option<String>,
}

/// A memtable that takes no more writes.
#[derive(Debug, Clone)]
struct Frozen {
    table: Arc<Memtable>,
    /// The last ticket in it.
    last: u64,
}

/// An edit on its way to the manifest, and what it finishes.
#[derive(Debug, Clone, Default)]
struct Pending {
    edit: Edit,
    ends_flush: bool,
    ends_compaction: bool,
}

/// A compaction that is out: as a job, or as an edit that moves tables.
#[derive(Debug, Clone)]
enum Compacting {
    Merging(Arc<MergePlan>),
    Moving,
}

/// Kinds of jobs that failed and wait for [`Db::retry`].
#[derive(Debug, Clone, Copy, Default)]
struct Stalled {
    flush: bool,
    compaction: bool,
    /// Install, prepare, remove.
    upkeep: bool,
    /// For lack of space, which stops writes.
    for_space: bool,
}

/// One engine: a single-writer state machine without IO.
///
/// **Tickets.** [`Db::write`] makes its batch visible at once and returns a ticket. The ticket is done, for a caller
/// that wants it to survive the death of the process, when [`Db::written`] reaches it; for one that wants it to
/// survive a power cut, when [`Db::synced`] does. Tickets are done in order.
///
/// **No space.** When the log, a flush or a manifest hits a full disk, [`Db::write`] answers [`Error::NoSpace`] and
/// reads go on. What was taken before stays queued: it goes out again with a later try and its ticket is done then;
/// it is neither dropped nor reported failed. Tries are made by [`Db::retry`] (call it from a timer, say every
/// second, while [`Db::refusing`] says so) and by some of the refused writes; so space that is freed heals the engine
/// without a restart, and a full disk makes no hot loop.
///
/// **Poisoned.** A failed sync, or any failed write of the log but for lack of space, is final: all tickets not yet
/// done have failed ([`Db::failed`]), writes are refused, reads go on.
#[derive(Debug, Clone)]
pub struct Db {
    options: Arc<Options>,
    /// The newest records of keys in use.
    rows: Rows,
    /// How often a range of keys was removed: a read that began before one proves nothing after it.
    removals: u64,
    active: Memtable,
    /// Oldest first.
    frozen: VecDeque<Frozen>,
    log: Log,
    /// What the manifest says durably.
    state: State,
    /// `state.version`, to be handed out.
    version: Arc<Version>,
    place: Place,
    /// Bytes of the manifest when it was new.
    manifest_bytes: u64,
    /// Greater than any number given to a file.
    number_next: u64,
    run_next: u64,
    pending: VecDeque<Pending>,
    installing: Option<Pending>,
    /// The new manifest that an install out now writes.
    replacing: Option<u64>,
    is_flushing: bool,
    compacting: Option<Compacting>,
    /// The number of the segment that is being made ahead.
    preparing: Option<u64>,
    is_removing: bool,
    /// Files that the manifest no longer names.
    trash: Vec<FileId>,
    /// Segments likewise, to be used again or removed.
    trash_logs: Vec<u64>,
    stalled: Stalled,
    refused_count: u64,
    poison: Option<StorageError>,
    /// What the last job that failed said; nothing once one of its kind succeeds.
    failure: Option<(JobKind, Error)>,
    flushes: u64,
    compactions: u64,
    failed_jobs: u64,
    is_listened: bool,
    events: Vec<Event>,
}

/// What recovery hands over to a new engine.
pub(super) struct Recovered {
    pub(super) active: Memtable,
    pub(super) frozen: Vec<(Memtable, u64)>,
    pub(super) state: State,
    pub(super) place: Place,
    pub(super) number_next: u64,
    pub(super) last: u64,
    /// Segments that hold what is in the memtables: number, last ticket, bytes.
    pub(super) segments: Vec<(u64, u64, u64)>,
    /// A segment made ahead: number and size.
    pub(super) ready: Option<(u64, u64)>,
    pub(super) trash_logs: Vec<u64>,
}

impl Db {
    /// Opens what is there, or makes a new one in an empty storage. Performs IO itself: it runs before the machine
    /// that owns the engine lives. Everything that it recovered is durable when it returns.
    pub fn open<S: Storage>(
        storage: &mut S,
        cache: &mut BlockCache,
        options: Options,
    ) -> Result<(Db, Recovery), Error> {
        let options = options.clamped();
        cache.retain(|key| key.space != options.cache_space);
        let (recovered, recovery) = recover::recover(storage, &options)?;
        Ok((Db::new(options, recovered), recovery))
    }
    fn new(options: Options, recovered: Recovered) -> Db {
        let Recovered { active, frozen, state, place, number_next, last, segments, ready, trash_logs } =
            recovered;
        let frozen = frozen.into_iter().map(|(table, last)| Frozen { table: Arc::new(table), last });
        let made = |segment| Edit { made: alloc::vec![segment], ..Edit::default() };
        let pending = ready.map(|segment| Pending { edit: made(segment), ..Pending::default() });
        Db {
            log: Log::new(options.segment_bytes(), last, ready, segments),
            rows: Rows::new(options.row_bytes),
            removals: 0,
            options: Arc::new(options),
            active,
            frozen: frozen.collect(),
            version: Arc::new(state.version.clone()),
            run_next: state.run_next,
            manifest_bytes: place.offset,
            state,
            place,
            number_next,
            pending: pending.into_iter().collect(),
            installing: None,
            replacing: None,
            is_flushing: false,
            compacting: None,
            preparing: None,
            is_removing: false,
            trash: Vec::new(),
            trash_logs,
            stalled: Stalled::default(),
            refused_count: 0,
            poison: None,
            failure: None,
            flushes: 0,
            compactions: 0,
            failed_jobs: 0,
            is_listened: false,
            events: Vec::new(),
        }
    }
    /// Begins or ends to collect events.
    pub fn set_listened(&mut self, on: bool) {
        self.is_listened = on;
        self.events.clear();
    }
    /// Takes the events since the last call.
    pub fn take_events(&mut self) -> Vec<Event> {
        core::mem::take(&mut self.events)
    }
    fn note(&mut self, event: Event) {
        if self.is_listened {
            self.events.push(event);
        }
    }

    /// Applies a batch to memory and queues it for the log. Visible to reads at once; done when the ticket is. An
    /// error has changed nothing.
    pub fn write(&mut self, batch: &Batch) -> Result<Ticket, Error> {
        batch.validate()?;
        if let Some(error) = self.refusing() {
            self.on_refused();
            return Err(error);
        }
        self.refused_count = 0;
        let number_next = &mut self.number_next;
        let ticket = self.log.append(batch.as_bytes(), || next(number_next));
        let applied = self.active.apply(batch.as_bytes());
        assert!(applied.is_ok(), "a batch reads back what its own methods wrote");
        self.write_rows(batch.as_bytes());
        if self.active.bytes() >= u64::from(self.options.memtable_bytes) {
            self.freeze();
        }
        Ok(Ticket(ticket))
    }
    fn write_rows(&mut self, batch: &[u8]) {
        let mut ops = Ops::new(batch);
        while let Ok(Some(op)) = ops.next() {
            match op {
                Op::Write { kind, key, key_len, end } => {
                    let (key, value) = batch[key..end].split_at(key_len);
                    let hash = self.active.hash(key);
                    match kind {
                        Kind::Live | Kind::Dead => self.rows.put(key, hash, value),
                        Kind::Deleted => self.rows.remove(key, hash),
                    }
                }
                Op::DeleteRange { from, from_len, end } => {
                    let (from, to) = batch[from..end].split_at(from_len);
                    self.rows.remove_range(&Bytes::copy_from_slice(from), &Bytes::copy_from_slice(to));
                    self.removals += 1;
                }
            }
        }
    }
    fn on_refused(&mut self) {
        self.refused_count += 1;
        if self.refused_count.is_power_of_two() || self.refused_count.is_multiple_of(RETRY_EVERY) {
            self.retry();
        }
    }
    /// Looks a key up.
    pub fn get(&mut self, key: &[u8]) -> Lookup {
        let hash = self.active.hash(key);
        if let Some(value) = self.rows.get(key, hash) {
            return Lookup::Found(value);
        }
        for memtable in self.memtables() {
            if let Some(slot) = memtable.get(key, hash) {
                return match slot.kind {
                    Kind::Deleted => Lookup::Absent,
                    _ => Lookup::Found(slot.value()),
                };
            }
            if memtable.ranges.covers(key) {
                return Lookup::Absent;
            }
        }
        if !self.version.may_know(key) {
            return Lookup::Absent;
        }
        Lookup::OnDisk(self.table_read(key))
    }
    pub(super) fn table_read(&self, key: &[u8]) -> TableRead {
        TableRead {
            key: Bytes::copy_from_slice(key),
            version: self.version.clone(),
            space: self.options.cache_space,
            removals: self.removals,
            is_listened: self.is_listened,
        }
    }
    /// Whether a finished read still tells what tables hold: not if they are gone, nor if a range of keys was removed
    /// since it began. Then look the key up again.
    pub fn is_current(&self, done: &ReadDone) -> bool {
        done.removals == self.removals && !matches!(done.result, Err(Error::Superseded))
    }
    /// Keeps what a read of tables found, so that the next look-up needs none. Only if the read [`Db::is_current`] and
    /// nothing was written to the key since it began.
    pub fn remember(&mut self, key: &[u8], value: &[u8]) {
        self.rows.remember(key, self.active.hash(key), value);
    }
    /// Newest first.
    fn memtables(&self) -> impl Iterator<Item = &Memtable> {
        core::iter::once(&self.active).chain(self.frozen.iter().rev().map(|frozen| &*frozen.table))
    }
    /// A page of a range.
    pub fn scan(&self, range: ScanRange) -> Scan {
        let frozen = self.frozen.iter().rev().map(|frozen| frozen.table.clone()).collect();
        Scan::new(range, &self.active, frozen, self.version.clone(), self.options.cache_space)
    }

    /// What is to be written to the log now; `None` when there is nothing or one is in flight. With `sync` it counts
    /// as done only when durable.
    pub fn log_write(&mut self, sync: bool) -> Option<LogWrite> {
        if self.poison.is_some() { None } else { self.log.write(sync) }
    }
    /// Takes a finished log write.
    pub fn on_log(&mut self, done: LogDone) {
        let (bytes, written, synced) = (done.bytes(), self.written(), self.synced());
        if let Err(error) = self.log.on_write(done) {
            self.poison(error);
        }
        let records = self.written().0 - written.0;
        if records > 0 {
            self.note(Event::Appended { bytes, records });
        }
        self.note_synced(synced);
    }
    fn note_synced(&mut self, before: Ticket) {
        let through = self.synced();
        if through > before {
            self.note(Event::Synced(through));
        }
    }
    /// A sync of all that is written and not yet durable; `None` when there is nothing or one is in flight.
    pub fn log_sync(&mut self) -> Option<LogSync> {
        if self.poison.is_some() { None } else { self.log.sync() }
    }
    /// Takes a finished sync.
    pub fn on_log_sync(&mut self, done: LogSyncDone) {
        let synced = self.synced();
        if let Err(error) = self.log.on_sync(done) {
            self.poison(error);
        }
        self.note_synced(synced);
    }
    fn poison(&mut self, error: StorageError) {
        self.poison.get_or_insert(error);
    }

    /// The last ticket given out.
    pub fn issued(&self) -> Ticket {
        Ticket(self.log.issued())
    }
    /// The last ticket written to the log: survives the death of the process.
    pub fn written(&self) -> Ticket {
        Ticket(self.log.written().max(self.log.synced()))
    }
    /// The last durable ticket: survives a power cut.
    pub fn synced(&self) -> Ticket {
        Ticket(self.log.synced())
    }
    /// The last ticket that failed, with the reason: it and all not yet done before it are refused. Only a poisoned
    /// engine has one; what waits for space has not failed.
    pub fn failed(&self) -> Option<(Ticket, Error)> {
        self.poison.map(|_| (self.issued(), Error::Poisoned))
    }
    /// Why writes are refused, if they are.
    pub fn refusing(&self) -> Option<Error> {
        if self.poison.is_some() {
            return Some(Error::Poisoned);
        }
        if self.log.lacks_space() || self.stalled.for_space {
            return Some(Error::NoSpace);
        }
        let queued_bytes_max = u64::from(self.options.memtable_bytes).max(QUEUED_BYTES_MIN);
        let is_overloaded = self.frozen.len() >= FROZEN_COUNT_MAX
            || self.log.queued_bytes() > queued_bytes_max
            || self.version.level(0).len() >= RUN_COUNT_REFUSED;
        if !is_overloaded {
            return None;
        }
        // What waits will wait for ever if the work that is due cannot be done.
        Some(self.failure().cloned().unwrap_or(Error::Overloaded))
    }
    /// Why the last job that failed did, until one of its kind succeeds. [`Error::Corruption`] names the table that
    /// a compaction could not read: its reads fail alike, and until it is mended nothing below it is compacted.
    pub fn failure(&self) -> Option<&Error> {
        self.failure.as_ref().map(|(_, error)| error)
    }
    /// Tries again what failed: makes [`Db::log_write`] and [`Db::job`] hand it out once more. Call it from a timer
    /// while [`Db::refusing`] or [`Db::is_stalled`] says so.
    pub fn retry(&mut self) {
        self.log.unstall();
        self.stalled = Stalled::default();
    }
    /// Whether something failed and waits for [`Db::retry`].
    pub fn is_stalled(&self) -> bool {
        self.log.is_stalled() || self.stalled.flush || self.stalled.compaction || self.stalled.upkeep
    }

    /// Makes everything durable that was written, and notes in the manifest where the log ends: the next opening then
    /// tells any damage to it from a torn tail. Performs IO itself, when nothing is written any more. `false` if
    /// something is still out, or failed: then nothing is noted.
    pub fn close<S: Storage>(&mut self, storage: &mut S, cache: &mut BlockCache) -> bool {
        if self.log.is_out() || self.log.is_stalled() || self.installing.is_some() {
            return false;
        }
        if let Some(write) = self.log_write(true) {
            self.on_log(write.run(storage));
        }
        if let Some(sync) = self.log_sync() {
            self.on_log_sync(sync.run(storage));
        }
        if self.poison.is_some() || self.synced() < self.issued() {
            return false;
        }
        let edit = Edit { sealed: self.log.ends(), ..Edit::default() };
        self.pending.push_back(Pending { edit, ..Pending::default() });
        let Some(job) = self.install() else { return false };
        let done = job.run(storage, cache);
        let is_done = done.result.is_ok();
        self.on_job(done);
        is_done
    }
    /// Freezes the memtable, so that a flush is due.
    pub fn freeze(&mut self) {
        if self.active.is_empty() {
            return;
        }
        self.note(Event::Frozen { bytes: self.active.bytes() });
        self.log.rotate();
        let table = core::mem::replace(
            &mut self.active,
            Memtable::new(self.options.memtable_bytes, self.options.hash_seed),
        );
        self.frozen.push_back(Frozen { table: Arc::new(table), last: self.log.issued() });
    }

    /// Work that is due; call until `None`. At most one flush and one compaction are out at a time, and beside them
    /// one short job each that installs, makes a log segment or removes files.
    pub fn job(&mut self) -> Option<Job> {
        if self.poison.is_some() {
            return None;
        }
        if !self.stalled.upkeep {
            let upkeep = self.install().or_else(|| self.prepare()).or_else(|| self.remove());
            if upkeep.is_some() {
                return upkeep;
            }
        }
        self.flush().or_else(|| self.compact())
    }
    fn install(&mut self) -> Option<Job> {
        if self.installing.is_some() || self.pending.is_empty() {
            return None;
        }
        let mut all = Pending::default();
        for pending in self.pending.drain(..) {
            all.edit.then(pending.edit);
            all.ends_flush |= pending.ends_flush;
            all.ends_compaction |= pending.ends_compaction;
        }
        if all.ends_flush {
            // Decided here, when the edit goes out: what it names must still be right when it is durable.
            let flushed = all.edit.flushed.unwrap_or(self.state.flushed);
            let next_number = self.preparing.unwrap_or(self.number_next);
            all.edit.log_first = Some(self.log.first_needed(flushed, next_number));
        }
        let is_large = self.place.offset > MANIFEST_BYTES_MAX.max(self.manifest_bytes * 2);
        let manifest = is_large.then(|| next(&mut self.number_next));
        all.edit.number_next = Some(self.number_next);
        all.edit.run_next = Some(self.run_next);
        let replace = manifest.map(|number| {
            let mut state = self.state.clone();
            let applied = state.apply(&all.edit);
            assert!(applied.is_ok(), "an edit is made from the state that it is applied to");
            (number, Arc::new(state.to_edit()))
        });
        let record = match &replace {
            Some(_) => Vec::new(),
            None => manifest::encode_edit(&all.edit, self.place.manifest, self.place.ordinal),
        };
        self.replacing = manifest;
        self.installing = Some(all);
        Some(Job::install(self.place, record, replace, self.options.clone()))
    }
    fn prepare(&mut self) -> Option<Job> {
        if self.preparing.is_some() || self.log.ready_count() > 0 {
            return None;
        }
        let recycled = self.trash_logs.iter().position(|number| !self.log.is_in_flight(*number));
        let recycled = recycled.map(|at| self.trash_logs.remove(at));
        let number = next(&mut self.number_next);
        self.preparing = Some(number);
        Some(Job::prepare(number, recycled, self.place.manifest, self.options.clone()))
    }
    fn remove(&mut self) -> Option<Job> {
        // An install that replaces the manifest might remove the one that the job syncs.
        if self.is_removing || self.replacing.is_some() {
            return None;
        }
        let mut files = core::mem::take(&mut self.trash);
        // One segment is kept to be used again.
        let log = &self.log;
        let mut kept = 0;
        self.trash_logs.retain(|number| {
            kept += 1;
            if kept == 1 || log.is_in_flight(*number) {
                return true;
            }
            files.push(log_file(*number));
            false
        });
        if files.is_empty() {
            return None;
        }
        self.is_removing = true;
        Some(Job::remove(files, self.place.manifest, self.options.clone()))
    }
    fn flush(&mut self) -> Option<Job> {
        if self.is_flushing || self.stalled.flush {
            return None;
        }
        // What the log does not hold yet is not flushed: segments would be superfluous before they are written.
        let frozen = self.frozen.front().filter(|frozen| frozen.last <= self.log.written())?;
        let table = frozen.table.clone();
        self.is_flushing = true;
        let numbers = self.reserve(table.bytes());
        Some(Job::flush(table, numbers, self.options.clone()))
    }
    /// Numbers for the tables that this many bytes make.
    fn reserve(&mut self, bytes: u64) -> core::ops::Range<u64> {
        let first = self.number_next;
        // One more than the range says: a writer that runs out puts the rest into the last one.
        self.number_next += bytes / u64::from(self.options.table_bytes) * 2 + 4;
        first..self.number_next - 1
    }
    fn compact(&mut self) -> Option<Job> {
        if self.compacting.is_some() || self.stalled.compaction {
            return None;
        }
        match compaction::pick(&self.version, &self.options)? {
            Plan::Move { inputs, level } => {
                let run = self.run_for(level);
                let count = inputs.len() as u32;
                self.note(Event::Compacted { level, tables_in: count, tables_out: count });
                let mut edit = Edit::default();
                for input in inputs {
                    edit.removed.push(Removed {
                        level: input.level,
                        run: input.run,
                        table: input.table.number,
                    });
                    edit.added.push(Added { level, run, table: input.table });
                }
                self.pending.push_back(Pending { edit, ends_compaction: true, ..Pending::default() });
                self.compacting = Some(Compacting::Moving);
                if self.stalled.upkeep { None } else { self.install() }
            }
            Plan::Merge(plan) => {
                let plan = Arc::new(plan);
                self.compacting = Some(Compacting::Merging(plan.clone()));
                let numbers = self.reserve(plan.bytes());
                Some(Job::compact(plan, numbers, self.options.clone()))
            }
        }
    }
    /// The run of `level` that new tables join: a new one, but for the last level, which has one only.
    fn run_for(&mut self, level: u8) -> u64 {
        if level == LEVEL_LAST { 0 } else { next(&mut self.run_next) }
    }

    /// Takes a finished job.
    pub fn on_job(&mut self, done: JobDone) {
        match done.result {
            Ok(output) => self.on_job_done(done.kind, output),
            Err(failed) => self.on_job_failed(done.kind, failed),
        }
    }
    fn on_job_done(&mut self, kind: JobKind, output: JobOutput) {
        if self.failure.as_ref().is_some_and(|(failed, _)| *failed == kind) {
            self.failure = None;
        }
        match (kind, output) {
            (JobKind::Flush, JobOutput::Tables(tables)) => {
                let Some(frozen) = self.frozen.front() else { return };
                let mut edit = Edit { flushed: Some(frozen.last), ..Edit::default() };
                for table in &tables {
                    let (entries, bytes) = (table.entries, table.file_bytes);
                    self.note(Event::Flushed { table: table.number, entries, bytes });
                }
                let run = self.run_for(0);
                let tables = tables.into_iter();
                edit.added.extend(tables.map(|table| Added { level: 0, run, table: Arc::new(table) }));
                self.pending.push_back(Pending { edit, ends_flush: true, ..Pending::default() });
            }
            (JobKind::Compaction, JobOutput::Tables(tables)) => {
                let Some(Compacting::Merging(plan)) = self.compacting.clone() else { return };
                let run = self.run_for(plan.level);
                self.note(Event::Compacted {
                    level: plan.level,
                    tables_in: plan.inputs.len() as u32,
                    tables_out: tables.len() as u32,
                });
                let edit = plan.edit(tables, run);
                self.pending.push_back(Pending { edit, ends_compaction: true, ..Pending::default() });
            }
            (JobKind::Install, JobOutput::Installed(place)) => self.on_installed(place),
            (JobKind::Prepare, _) => {
                let Some(number) = self.preparing.take() else { return };
                match self.log.add_ready(number) {
                    Ok(()) => {
                        let made = alloc::vec![(number, self.log.segment_bytes())];
                        let edit = Edit { made, ..Edit::default() };
                        self.pending.push_back(Pending { edit, ..Pending::default() });
                    }
                    Err(late) => self.trash_logs.push(late),
                }
            }
            (JobKind::Remove, _) => self.is_removing = false,
            (JobKind::Flush | JobKind::Compaction | JobKind::Install, _) => {
                unreachable!("a job's output is of its kind")
            }
        }
    }
    fn on_installed(&mut self, place: Place) {
        let Some(installed) = self.installing.take() else { return };
        if self.replacing.take().is_some() {
            self.trash.push(manifest_file(self.place.manifest));
            self.manifest_bytes = place.offset;
        }
        self.place = place;
        let applied = self.state.apply(&installed.edit);
        assert!(applied.is_ok(), "an edit is made from the state that it is applied to");
        self.version = Arc::new(self.state.version.clone());
        let kept: Vec<u64> = installed.edit.added.iter().map(|added| added.table.number).collect();
        for removed in &installed.edit.removed {
            if !kept.contains(&removed.table) {
                self.trash.push(table_file(removed.table));
            }
        }
        if installed.ends_flush {
            self.is_flushing = false;
            self.flushes += 1;
            self.frozen.pop_front();
            let gone = self.log.on_flushed(self.state.flushed, self.state.log_first);
            self.trash_logs.extend(gone);
        }
        if installed.ends_compaction {
            self.compacting = None;
            self.compactions += 1;
        }
    }
    fn on_job_failed(&mut self, kind: JobKind, failed: JobError) {
        self.failed_jobs += 1;
        self.failure = Some((kind, failed.error.clone()));
        let is_for_space = failed.error == Error::NoSpace;
        match kind {
            JobKind::Flush => {
                self.is_flushing = false;
                self.stalled.flush = true;
                self.stalled.for_space |= is_for_space;
            }
            JobKind::Compaction => {
                self.compacting = None;
                self.stalled.compaction = true;
            }
            JobKind::Install => {
                if let Some(pending) = self.installing.take() {
                    self.pending.push_front(pending);
                }
                if let Some(manifest) = self.replacing.take() {
                    self.trash.push(manifest_file(manifest));
                }
                self.stalled.upkeep = true;
                self.stalled.for_space |= is_for_space;
            }
            JobKind::Prepare => {
                self.preparing = None;
                self.stalled.upkeep = true;
                self.stalled.for_space |= is_for_space;
            }
            JobKind::Remove => {
                self.is_removing = false;
                self.stalled.upkeep = true;
            }
        }
        if failed.is_final
            && let Error::Io(error) = failed.error
        {
            self.poison(error);
        }
    }

    /// Sizes and counts.
    pub fn stats(&self) -> Stats {
        let mut stats = Stats {
            memtable_bytes: self.memtables().map(Memtable::bytes).sum(),
            row_bytes: self.rows.bytes(),
            frozen: self.frozen.len() as u32,
            log_bytes: self.log.bytes(),
            flushes: self.flushes,
            compactions: self.compactions,
            failed_jobs: self.failed_jobs,
            failure: self.failure().map(ToString::to_string),
            refusing: self.refusing().map(|error| error.to_string()),
            ..Stats::default()
        };
        let lowest = (0..LEVEL_LAST).rev().find(|level| !self.version.level(*level).is_empty()).unwrap_or(0);
        for level in (0..=lowest).chain([LEVEL_LAST]) {
            let runs = self.version.level(level);
            stats.runs.push(runs.len() as u32);
            stats.tables.push(runs.iter().map(|run| run.tables.len() as u32).sum());
            stats.table_bytes.push(self.version.level_bytes(level));
        }
        stats
    }
    // --- for its picture ---

    pub(super) fn active(&self) -> &Memtable {
        &self.active
    }
    /// Oldest first.
    pub(super) fn frozen_tables(&self) -> impl Iterator<Item = &Memtable> {
        self.frozen.iter().map(|frozen| &*frozen.table)
    }
    pub(super) fn shape(&self) -> &Version {
        &self.version
    }
    pub(super) fn log_picture(&self) -> super::LogPicture {
        self.log.picture()
    }
    pub(super) fn memtable_bytes_max(&self) -> u64 {
        u64::from(self.options.memtable_bytes)
    }
    pub(super) fn cache_space(&self) -> u32 {
        self.options.cache_space
    }
    /// Whether there is a row of `key`; `None` when no rows are kept.
    pub(super) fn rows_hold(&self, key: &[u8]) -> Option<bool> {
        (self.options.row_bytes > 0).then(|| self.rows.holds(key, self.active.hash(key)))
    }

    /// Whether the invariants hold.
    pub fn check(&self) -> Result<(), &'static str> {
        self.log.check()?;
        self.version.check()?;
        if *self.version != self.state.version {
            return Err("the version handed out is not the manifest's");
        }
        if self.number_next < self.state.number_next || self.run_next < self.state.run_next {
            return Err("numbers went back");
        }
        if !self.frozen.iter().zip(self.frozen.iter().skip(1)).all(|(one, two)| one.last < two.last) {
            return Err("frozen memtables are out of order");
        }
        if self.frozen.front().is_some_and(|frozen| frozen.last <= self.state.flushed) {
            return Err("a memtable waits for a flush that is done");
        }
        Ok(())
    }
    /// [`Db::check`], and every memtable's order: slow, for tests and simulations.
    pub fn check_deeply(&self) -> Result<(), &'static str> {
        self.check()?;
        self.rows.check()?;
        self.memtables().try_for_each(Memtable::check)
    }
    #[cfg(test)]
    pub(super) fn tables(&self) -> impl Iterator<Item = Arc<super::table::Table>> {
        self.version.tables().cloned()
    }
    /// Reads every table and checks all that can be checked. The first damage is the answer.
    pub fn verify<S: Storage>(&self, storage: &S) -> Result<(), Error> {
        self.version.tables().try_for_each(|table| super::table::verify(storage, table))
    }
}

fn next(number: &mut u64) -> u64 {
    *number += 1;
    *number - 1
}

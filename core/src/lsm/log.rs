//! The commit log: what waits to be written, what is written, what is durable.
//!
//! ```text
//!  write ─▶ queue ─▶ one LogWrite in flight ─▶ written ─▶ (its own sync or a LogSync) ─▶ synced
//!             ▲ open meanwhile: the next group forms while the disk works
//! ```
//!
//! Segments are files of fixed size, made ahead by a job and used in order of their numbers; a record never straddles
//! two. A write that fails for lack of space keeps everything it carried: nothing more is taken, the same bytes go
//! out again at the same places when a retry is due, and their tickets are done then. They are never dropped and never
//! reported done before. Any other failure of a write or sync is final.

use super::record::{self, Header};
use crate::base::{BTreeSet, Order};
use crate::storage::{FileId, FileKind, Storage, StorageError, StorageErrorKind};
use alloc::{collections::VecDeque, sync::Arc, vec::Vec};

/// A record is closed when it has this many bytes, unless a single batch has more.
const RECORD_BYTES: usize = 1 << 20;

/// A buffer above this is given back.
const SPARE_BYTES_MAX: usize = 1 << 20;

pub(super) fn log_file(number: u64) -> FileId {
    FileId { kind: FileKind::Log, number }
}

/// Consecutive bytes of one segment.
#[derive(Debug, Clone)]
struct Part {
    segment: u64,
    offset: u64,
    bytes: Arc<Vec<u8>>,
    /// The segment was not made ahead.
    is_new: bool,
}

/// Bytes of the log, their place, and whether they must be durable before it counts as done.
#[derive(Debug, Clone)]
pub struct LogWrite {
    parts: Vec<Part>,
    through: u64,
    is_synced: bool,
    syncs: Vec<u64>,
    sync_dir: bool,
}

impl LogWrite {
    /// Writes (and syncs, when asked).
    pub fn run<S: Storage>(self, storage: &mut S) -> LogDone {
        let result = self.perform(storage);
        LogDone { write: self, result }
    }
    /// Whether it ends with a sync.
    pub fn is_synced(&self) -> bool {
        self.is_synced
    }
    /// Bytes to be written.
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes.len() as u64).sum()
    }

    fn perform<S: Storage>(&self, storage: &mut S) -> Result<(), StorageError> {
        for part in &self.parts {
            let file = log_file(part.segment);
            if part.is_new {
                match storage.create(file) {
                    // An earlier try of the same write made it.
                    Err(error) if error.kind == StorageErrorKind::Exists => {}
                    made => made?,
                }
            }
            storage.write_at(file, part.offset, &part.bytes)?;
        }
        sync_all(storage, &self.syncs, self.sync_dir)
    }
}

fn sync_all<S: Storage>(storage: &mut S, segments: &[u64], sync_dir: bool) -> Result<(), StorageError> {
    for segment in segments {
        storage.sync(log_file(*segment)).map_err(final_failure)?;
    }
    if sync_dir { storage.sync_dir().map_err(final_failure) } else { Ok(()) }
}

/// A sync that failed, for whatever reason, is never tried again as if it could succeed.
pub(super) fn final_failure(error: StorageError) -> StorageError {
    match error.kind {
        StorageErrorKind::NoSpace => StorageError { kind: StorageErrorKind::Io(28), ..error },
        _ => error,
    }
}

/// A finished log write, to be handed back with [`super::Db::on_log`].
#[derive(Debug, Clone)]
pub struct LogDone {
    write: LogWrite,
    result: Result<(), StorageError>,
}

impl LogDone {
    /// Bytes that were to be written.
    pub fn bytes(&self) -> u64 {
        self.write.bytes()
    }
}

/// A sync of what was already written, which may run beside later writes.
#[derive(Debug, Clone)]
pub struct LogSync {
    through: u64,
    syncs: Vec<u64>,
    sync_dir: bool,
}

impl LogSync {
    /// Syncs.
    pub fn run<S: Storage>(self, storage: &mut S) -> LogSyncDone {
        let result = sync_all(storage, &self.syncs, self.sync_dir);
        LogSyncDone { through: self.through, result }
    }
}

/// A finished sync, to be handed back with [`super::Db::on_log_sync`].
#[derive(Debug, Clone)]
pub struct LogSyncDone {
    through: u64,
    result: Result<(), StorageError>,
}

/// A segment with records that no flush has made superfluous yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Segment {
    number: u64,
    /// The greatest ticket in it.
    last: u64,
    bytes: u64,
    /// Bytes it was made for: records beyond go into the next one.
    bytes_max: u64,
}

#[derive(Debug, Clone)]
struct OpenRecord {
    start: usize,
    first: u64,
    count: u32,
}

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Log {
    segment_bytes: u64,
    issued: u64,
    written: u64,
    synced: u64,
    /// In order; the last one takes the next record unless `must_rotate`.
    segments: VecDeque<Segment>,
    must_rotate: bool,
    /// Made ahead, empty: number and size.
    ready: VecDeque<(u64, u64)>,
    queue: Vec<Part>,
    open: Option<OpenRecord>,
    queued_bytes: u64,
    /// The buffer of an earlier write, empty: growing a new one for each write costs copies and page faults.
    spare: Vec<u8>,
    flight: Option<Vec<u64>>,
    /// A write that failed for lack of space, to go out again before the queue.
    retry: Vec<Part>,
    /// Whether that write was to be synced: somebody waits for it.
    is_retry_synced: bool,
    is_stalled: bool,
    /// From a write that failed for lack of space until one succeeds, tries in between included: what would be taken
    /// during a try that fails too is left in doubt for nothing.
    lacks_space: bool,
    /// Written and not synced; the names of new segments likewise.
    unsynced: BTreeSet<u64>,
    is_dir_unsynced: bool,
    sync_flight: Option<(Vec<u64>, bool)>,
    /// The greatest number a segment ever had: one made ahead with a smaller number comes too late.
    newest: u64,
}

impl Log {
    /// A log that goes on after `last`, which is durable, in a new segment.
    pub(super) fn new(
        segment_bytes: u64,
        last: u64,
        ready: Option<(u64, u64)>,
        kept: Vec<(u64, u64, u64)>,
    ) -> Log {
        let segments =
            kept.into_iter().map(|(number, last, bytes)| Segment { number, last, bytes, bytes_max: bytes });
        Log {
            segment_bytes,
            issued: last,
            written: last,
            synced: last,
            segments: segments.collect(),
            must_rotate: true,
            ready: ready.into_iter().collect(),
            queue: Vec::new(),
            open: None,
            queued_bytes: 0,
            spare: Vec::new(),
            flight: None,
            retry: Vec::new(),
            is_retry_synced: false,
            is_stalled: false,
            lacks_space: false,
            unsynced: BTreeSet::new(),
            is_dir_unsynced: false,
            sync_flight: None,
            newest: 0,
        }
    }
    pub(super) fn issued(&self) -> u64 {
        self.issued
    }
    pub(super) fn written(&self) -> u64 {
        self.written
    }
    pub(super) fn synced(&self) -> u64 {
        self.synced
    }
    pub(super) fn is_stalled(&self) -> bool {
        self.is_stalled
    }
    pub(super) fn lacks_space(&self) -> bool {
        self.lacks_space
    }
    pub(super) fn unstall(&mut self) {
        self.is_stalled = false;
    }
    /// Bytes that wait to be written.
    pub(super) fn queued_bytes(&self) -> u64 {
        self.queued_bytes
    }
    /// Bytes in segments that are still needed.
    pub(super) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }
    pub(super) fn ready_count(&self) -> usize {
        self.ready.len()
    }

    /// Queues a batch and gives it its ticket. `new_number` numbers a segment if none was made ahead.
    pub(super) fn append(&mut self, batch: &[u8], new_number: impl FnMut() -> u64) -> u64 {
        self.issued += 1;
        let need = (record::HEADER_BYTES + 10 + batch.len()) as u64;
        if let Some(open) = &self.open {
            let len = self.queue.last().map_or(0, |part| part.bytes.len());
            let is_full = len - open.start > RECORD_BYTES
                || self.segments.back().is_none_or(|segment| segment.bytes + need > segment.bytes_max);
            if is_full || self.must_rotate {
                self.close();
            }
        }
        if self.open.is_none() {
            self.begin(need, new_number);
        }
        let (Some(part), Some(open), Some(segment)) =
            (self.queue.last_mut(), self.open.as_mut(), self.segments.back_mut())
        else {
            unreachable!("`begin` made all three")
        };
        let buffer = Arc::make_mut(&mut part.bytes);
        let before = buffer.len();
        crate::base::Writer(buffer).bytes(batch);
        let added = (buffer.len() - before) as u64;
        open.count += 1;
        segment.bytes += added;
        segment.last = self.issued;
        self.queued_bytes += added;
        self.issued
    }
    fn begin(&mut self, need: u64, mut new_number: impl FnMut() -> u64) {
        let has_room =
            self.segments.back().is_some_and(|last| last.bytes == 0 || last.bytes + need <= last.bytes_max);
        let mut is_new = false;
        if self.must_rotate || !has_room {
            self.must_rotate = false;
            let (number, bytes_max) = self.ready.pop_front().unwrap_or_else(|| {
                is_new = true;
                (new_number(), self.segment_bytes)
            });
            self.newest = number;
            self.segments.push_back(Segment { number, last: self.issued, bytes: 0, bytes_max });
        }
        let Some(segment) = self.segments.back_mut() else {
            unreachable!("one was just made if there was none")
        };
        let follows = self.queue.last().is_some_and(|part| part.segment == segment.number);
        if !follows {
            let bytes = Arc::new(core::mem::take(&mut self.spare));
            self.queue.push(Part { segment: segment.number, offset: segment.bytes, bytes, is_new });
        }
        let Some(part) = self.queue.last_mut() else { unreachable!("one was just made if there was none") };
        let start = record::begin(Arc::make_mut(&mut part.bytes));
        segment.bytes += record::HEADER_BYTES as u64;
        self.queued_bytes += record::HEADER_BYTES as u64;
        self.open = Some(OpenRecord { start, first: self.issued, count: 0 });
    }
    fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        let (Some(part), Some(segment)) = (self.queue.last_mut(), self.segments.back_mut()) else {
            unreachable!("an open record has a part and a segment")
        };
        let buffer = Arc::make_mut(&mut part.bytes);
        let before = buffer.len();
        let header =
            Header { file_number: part.segment, first: open.first, count: open.count, durable: self.synced };
        record::finish(buffer, open.start, header);
        segment.bytes += (buffer.len() - before) as u64;
        self.queued_bytes += (buffer.len() - before) as u64;
    }
    /// The next record goes into another segment, so that this one is superfluous once its memtable is flushed.
    pub(super) fn rotate(&mut self) {
        self.close();
        self.must_rotate = true;
    }

    pub(super) fn write(&mut self, is_synced: bool) -> Option<LogWrite> {
        if self.flight.is_some() || self.is_stalled || (self.queue.is_empty() && self.retry.is_empty()) {
            return None;
        }
        self.close();
        let is_synced = is_synced || core::mem::take(&mut self.is_retry_synced);
        let mut parts = core::mem::take(&mut self.retry);
        parts.append(&mut self.queue);
        self.queued_bytes = 0;
        let mut touched: Vec<u64> = parts.iter().map(|part| part.segment).collect();
        let is_dir_unsynced = self.is_dir_unsynced || self.sync_flight.as_ref().is_some_and(|(_, dir)| *dir);
        let sync_dir = is_synced && (is_dir_unsynced || parts.iter().any(|part| part.is_new));
        let mut syncs = Vec::new();
        if is_synced {
            // What was written before and what a sync in flight may fail to sync: both lie before these tickets.
            syncs.extend(self.unsynced.iter().copied());
            syncs.extend(self.sync_flight.iter().flat_map(|(segments, _)| segments).copied());
            syncs.append(&mut touched.clone());
            syncs.order();
            syncs.dedup();
        }
        touched.extend_from_slice(&syncs);
        self.flight = Some(touched);
        Some(LogWrite { parts, through: self.issued, is_synced, syncs, sync_dir })
    }
    /// `Err` is final; a lack of space is kept for a retry instead.
    pub(super) fn on_write(&mut self, done: LogDone) -> Result<(), StorageError> {
        self.flight = None;
        let LogDone { write, result } = done;
        match result {
            Ok(()) => {
                self.lacks_space = false;
                self.written = self.written.max(write.through);
                if write.is_synced {
                    self.synced = self.synced.max(write.through);
                    self.unsynced.retain(|segment| write.syncs.binary_search(segment).is_err());
                    self.is_dir_unsynced &= !write.sync_dir;
                } else {
                    for part in &write.parts {
                        // A segment that a flush has made superfluous meanwhile may be gone.
                        if self.segments.iter().any(|segment| segment.number == part.segment) {
                            self.unsynced.insert(part.segment);
                        }
                        self.is_dir_unsynced |= part.is_new;
                    }
                }
                for mut bytes in write.parts.into_iter().filter_map(|part| Arc::into_inner(part.bytes)) {
                    if self.spare.capacity() < bytes.capacity() && bytes.capacity() <= SPARE_BYTES_MAX {
                        bytes.clear();
                        self.spare = bytes;
                    }
                }
                Ok(())
            }
            Err(error) if error.kind == StorageErrorKind::NoSpace => {
                self.retry = write.parts;
                self.is_retry_synced = write.is_synced;
                self.is_stalled = true;
                self.lacks_space = true;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn sync(&mut self) -> Option<LogSync> {
        if self.sync_flight.is_some() || (self.unsynced.is_empty() && !self.is_dir_unsynced) {
            return None;
        }
        let syncs: Vec<u64> = core::mem::take(&mut self.unsynced).into_iter().collect();
        let sync_dir = core::mem::take(&mut self.is_dir_unsynced);
        self.sync_flight = Some((syncs.clone(), sync_dir));
        Some(LogSync { through: self.written, syncs, sync_dir })
    }
    pub(super) fn on_sync(&mut self, done: LogSyncDone) -> Result<(), StorageError> {
        self.sync_flight = None;
        done.result?;
        self.synced = self.synced.max(done.through);
        Ok(())
    }

    /// Takes a segment that was made ahead; gives it back if it is too late to use it in order.
    pub(super) fn add_ready(&mut self, number: u64) -> Result<(), u64> {
        if number < self.newest {
            return Err(number);
        }
        self.ready.push_back((number, self.segment_bytes));
        Ok(())
    }
    /// The first segment that holds tickets beyond `flushed`: what a manifest has to name.
    /// `next_number` is the least number that a later segment can have.
    pub(super) fn first_needed(&self, flushed: u64, next_number: u64) -> u64 {
        let first = self.segments.iter().find(|segment| segment.last > flushed).map(|segment| segment.number);
        first
            .or(self.segments.back().filter(|_| !self.must_rotate).map(|segment| segment.number))
            .or(self.ready.front().map(|(number, _)| *number))
            .unwrap_or(next_number)
    }
    /// Forgets segments that hold nothing beyond `flushed`, which tables hold durably; returns their numbers.
    pub(super) fn on_flushed(&mut self, flushed: u64, first_needed: u64) -> Vec<u64> {
        self.synced = self.synced.max(flushed);
        let mut gone = Vec::new();
        while let Some(segment) = self.segments.front().filter(|segment| segment.number < first_needed) {
            assert!(segment.last <= flushed, "a segment that is needed was to be dropped");
            self.unsynced.remove(&segment.number);
            gone.push(segment.number);
            self.segments.pop_front();
        }
        gone
    }
    /// Whether a write or a sync is out.
    pub(super) fn is_out(&self) -> bool {
        self.flight.is_some() || self.sync_flight.is_some()
    }
    /// Where what was written ends, in each segment that is still needed.
    pub(super) fn ends(&self) -> Vec<(u64, u64)> {
        let used = self.segments.iter().filter(|segment| segment.bytes > 0);
        used.map(|segment| (segment.number, segment.bytes)).collect()
    }
    /// Size of the segments that are made ahead.
    pub(super) fn segment_bytes(&self) -> u64 {
        self.segment_bytes
    }
    /// Whether a write or a sync in flight may still touch the segment.
    pub(super) fn is_in_flight(&self, number: u64) -> bool {
        let flights = self.flight.iter().chain(self.sync_flight.as_ref().map(|(segments, _)| segments));
        flights.flatten().any(|segment| *segment == number)
    }
    pub(super) fn picture(&self) -> super::LogPicture {
        let segment = self.segments.back();
        super::LogPicture {
            segment: segment.map_or(0, |segment| segment.number),
            segment_bytes: segment.map_or(0, |segment| segment.bytes),
            segment_bytes_max: segment.map_or(self.segment_bytes, |segment| segment.bytes_max),
            issued: self.issued,
            written: self.written.max(self.synced),
            synced: self.synced,
        }
    }
    pub(super) fn check(&self) -> Result<(), &'static str> {
        if !(self.synced <= self.written && self.written <= self.issued) {
            return Err("log: synced, written and issued are out of order");
        }
        let numbers = self.segments.iter().zip(self.segments.iter().skip(1));
        if !numbers.clone().all(|(one, two)| one.number < two.number && one.last <= two.last) {
            return Err("log: segments are out of order");
        }
        if self.ready.iter().any(|(number, _)| *number <= self.newest) {
            return Err("log: a segment made ahead comes too late");
        }
        Ok(())
    }
}

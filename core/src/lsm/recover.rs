//! Opening: manifest, log, a new manifest.
//!
//! Nothing is removed before what replaces it is durable, and nothing is changed before everything was read, so a
//! crash anywhere in here changes nothing of what the next try finds. In order:
//!
//! 1. read `CURRENT`, the manifest, the log; refuse if they are damaged;
//! 2. sync the log: what survived a dead process may still be in the page cache only;
//! 3. write a new manifest that says where the log was cut, make it current;
//! 4. remove what is superfluous.

use super::{
    Error, Options,
    db::Recovered,
    log::log_file,
    manifest::{self, CURRENT, InstallError, NUMBER_MAX, State},
    memtable::Memtable,
    record::{self, Record},
    table::table_file,
};
use crate::base::BTreeSet;
use crate::base::{Bug, Reader};
use crate::storage::{FileId, FileKind, Storage};
use alloc::vec::Vec;

/// Size of the segment that opening makes, at most: filling a whole one with zeros would be most of a start.
const FIRST_SEGMENT_BYTES_MAX: u64 = 2 << 20;

/// What opening found, beside the engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Whole log records that were replayed.
    pub records_kept: u64,
    /// Bytes of a torn tail that were cut.
    pub bytes_cut: u64,
    /// Whole log records behind the cut, which nobody was promised, and which were dropped with it.
    pub records_dropped: u64,
}

pub(super) fn read_file<S: Storage>(storage: &S, file: FileId) -> Result<Vec<u8>, Error> {
    let len = storage.len(file)?;
    let len = usize::try_from(len).map_err(|_| Error::Corruption {
        file,
        offset: 0,
        what: "it is larger than this machine's memory",
    })?;
    let mut bytes = alloc::vec![0; len];
    let count = storage.read_at(file, 0, &mut bytes)?;
    bytes.truncate(count);
    Ok(bytes)
}

pub(super) fn recover<S: Storage>(
    storage: &mut S,
    options: &Options,
) -> Result<(Recovered, Recovery), Error> {
    let mut files: BTreeSet<FileId> = storage.list()?.into_iter().collect();
    // No engine gave a file such a number.
    files.retain(|file| file.number <= NUMBER_MAX);
    let mut state = match manifest::read_current(storage)? {
        Some(manifest) => manifest::read_state(storage, manifest)?,
        None if files.iter().any(|file| matches!(file.kind, FileKind::Table | FileKind::Log)) => {
            return Err(Error::Corruption {
                file: CURRENT,
                offset: 0,
                what: "it is gone, and its data is not",
            });
        }
        None => State { number_next: 1, run_next: 1, log_first: 1, ..State::default() },
    };
    for table in state.version.tables() {
        let file = table_file(table.number);
        if !files.contains(&file) {
            return Err(Error::Corruption {
                file,
                offset: 0,
                what: "the manifest names it and it is not there",
            });
        }
        let len = storage.len(file)?;
        if len < table.file_bytes {
            return Err(Error::Corruption { file, offset: len, what: "it is cut short" });
        }
    }
    for (number, bytes) in &state.sealed {
        let file = log_file(*number);
        if *bytes > 0 && !files.contains(&file) {
            return Err(Error::Corruption {
                file,
                offset: 0,
                what: "an earlier run kept it and it is not there",
            });
        }
    }
    for (number, bytes) in state.made.iter().filter(|(number, _)| !state.sealed.contains_key(number)) {
        let file = log_file(*number);
        let what = match files.contains(&file) {
            true if storage.len(file)? >= *bytes => continue,
            true => "the log segment is cut short",
            false => "the log segment was made and it is not there",
        };
        return Err(Error::Corruption { file, offset: 0, what });
    }
    let mut replay = Replay::new(options, &state);
    let logs = files.iter().filter(|file| file.kind == FileKind::Log).map(|file| file.number);
    for number in logs.clone().filter(|number| *number >= state.log_first) {
        replay.segment(number, &read_file(storage, log_file(number))?)?;
    }
    let Replay { active, frozen, segments, last, recovery, .. } = replay;

    // From here on the storage is changed.
    for (number, _, _) in &segments {
        storage.sync(log_file(*number))?;
    }
    let number_max = files.iter().map(|file| file.number).max().unwrap_or(0);
    let mut number_next = state.number_next.max(number_max + 1);
    let manifest = number_next;
    number_next += 1;
    state.made.clear(); // What is kept of them is sealed; the next one is named when it is there.
    state.number_next = number_next + 1;
    let log_first = state.log_first;
    let sealed = &mut state.sealed;
    for number in logs.clone().filter(|number| *number >= log_first) {
        let kept = segments.iter().find(|(segment, _, _)| *segment == number);
        sealed.insert(number, kept.map_or(0, |(_, _, bytes)| *bytes));
    }
    // Before the new manifest, to make room for it: no manifest names these.
    let named: BTreeSet<FileId> = state.version.tables().map(|table| table_file(table.number)).collect();
    for file in &files {
        let is_gone = match file.kind {
            FileKind::Table => !named.contains(file),
            FileKind::Temporary => true,
            FileKind::Log | FileKind::Manifest | FileKind::Current => false,
        };
        if is_gone {
            let _ = storage.remove(*file);
        }
    }
    let place = manifest::replace(storage, manifest, &state.to_edit()).map_err(|error| match error {
        InstallError::NotDone(error) | InstallError::Unknown(error) => Error::from(error),
    })?;
    for file in files.iter().filter(|file| file.kind == FileKind::Manifest) {
        let _ = storage.remove(*file);
    }
    let mut trash_logs = Vec::new();
    for number in logs {
        let is_superfluous = number < state.log_first || state.sealed.get(&number) == Some(&0);
        if is_superfluous {
            trash_logs.push(number);
        }
    }
    // A segment to begin with. Without space for it the first write makes one, or is refused.
    let number = number_next;
    let bytes = options.segment_bytes().min(FIRST_SEGMENT_BYTES_MAX);
    let made = (|| {
        storage.create(log_file(number))?;
        storage.allocate(log_file(number), bytes)?;
        storage.sync(log_file(number))?;
        storage.sync_dir()
    })();
    number_next += 1;
    let ready = made.is_ok().then_some((number, bytes));
    let recovered =
        Recovered { active, frozen, state, place, number_next, last, segments, ready, trash_logs };
    Ok((recovered, recovery))
}

/// Reads segments in order and puts what is not in tables into memtables.
struct Replay<'a> {
    options: &'a Options,
    state: &'a State,
    active: Memtable,
    frozen: Vec<(Memtable, u64)>,
    segments: Vec<(u64, u64, u64)>,
    /// The last ticket that is in tables or memtables.
    last: u64,
    /// Where the next record belongs: the end of the last segment that was replayed.
    end: (u64, u64),
    /// Where the log was cut: tickets are missing there, so nothing behind it is replayed.
    cut: Option<(u64, u64)>,
    recovery: Recovery,
}

impl<'a> Replay<'a> {
    fn new(options: &'a Options, state: &'a State) -> Replay<'a> {
        Replay {
            options,
            state,
            active: Memtable::new(options.memtable_bytes, options.hash_seed),
            frozen: Vec::new(),
            segments: Vec::new(),
            last: state.flushed,
            end: (state.log_first, 0),
            cut: None,
            recovery: Recovery::default(),
        }
    }
    /// The damage that was first taken for a torn tail, if a later record shows that its tickets were durable.
    fn refuse_if_durable(&self, later: &Record<'_>) -> Result<(), Error> {
        match self.cut {
            Some((segment, offset)) if later.durable > self.last => Err(Error::Corruption {
                file: log_file(segment),
                offset,
                what: "a record is damaged or missing and durable ones follow it",
            }),
            _ => Ok(()),
        }
    }
    fn segment(&mut self, number: u64, bytes: &[u8]) -> Result<(), Error> {
        let sealed = self.state.sealed.get(&number).copied();
        let bytes = match sealed {
            // An earlier recovery cut it there, or the engine was closed; what is behind was never part of the log.
            Some(len) => {
                let whole = usize::try_from(len).ok().and_then(|len| bytes.get(..len));
                whole.ok_or(Error::Corruption {
                    file: log_file(number),
                    offset: bytes.len() as u64,
                    what: "the segment is shorter than the manifest says",
                })?
            }
            None => bytes,
        };
        let mut offset = 0;
        if self.cut.is_none() {
            loop {
                let Some(record) = record::read(bytes, offset, number) else {
                    if !self.options.sabotage.is(Bug::TornMiddleSkipped) {
                        break;
                    }
                    let Some(later) = record::find(bytes, offset, number) else { break };
                    self.last = self.last.max(later.first - 1);
                    offset = later.offset;
                    continue;
                };
                if self.options.sabotage.is(Bug::TornMiddleSkipped) {
                    self.last = self.last.max(record.first - 1);
                }
                if record.first > self.last + 1 {
                    // Records are missing before this one. They were never written if nobody relied on them.
                    break;
                }
                self.record(number, &record)?;
                offset = record.end();
            }
            if sealed.is_some() && offset != bytes.len() {
                return Err(Error::Corruption {
                    file: log_file(number),
                    offset: offset as u64,
                    what: "a record that an earlier run kept is damaged",
                });
            }
            if offset > 0 {
                self.segments.push((number, self.last, offset as u64));
                self.end = (number, offset as u64);
            }
        }
        // What is behind: stale bytes, a torn tail, or damage.
        let mut at = offset;
        let mut is_first = true;
        while let Some(later) = record::find(bytes, at, number) {
            if later.last() > self.last {
                self.cut.get_or_insert(self.end);
                self.refuse_if_durable(&later)?;
                self.recovery.records_dropped += 1;
                self.recovery.bytes_cut += (later.end() - later.offset) as u64;
            }
            if core::mem::take(&mut is_first) {
                self.recovery.bytes_cut += (later.offset - offset) as u64;
            }
            at = later.end();
        }
        self.recovery.bytes_cut += record::torn_bytes(bytes, at, number);
        Ok(())
    }
    fn record(&mut self, number: u64, record: &Record<'_>) -> Result<(), Error> {
        let corrupt = |_| Error::Corruption {
            file: log_file(number),
            offset: record.offset as u64,
            what: "a record whose batches do not decode",
        };
        let mut reader = Reader::new(record.payload);
        for ticket in record.first..record.first + u64::from(record.count) {
            let batch = reader.bytes().map_err(corrupt)?;
            if ticket > self.last {
                self.active.apply(batch).map_err(corrupt)?;
                self.last = ticket;
            }
        }
        reader.finish().map_err(corrupt)?;
        self.recovery.records_kept += u64::from(record.last() > self.state.flushed);
        if self.active.bytes() >= u64::from(self.options.memtable_bytes) {
            let full = core::mem::replace(
                &mut self.active,
                Memtable::new(self.options.memtable_bytes, self.options.hash_seed),
            );
            self.frozen.push((full, self.last));
        }
        Ok(())
    }
}

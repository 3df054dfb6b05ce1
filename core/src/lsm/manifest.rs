//! The manifest: a log of edits, each durable before it counts.
//!
//! ```text
//!  NNNNNN.manifest   record ┼ record ┼ …     the first one makes the whole state from nothing; first = 1, 2, 3, …
//!  CURRENT           magic u64 ┼ format u32 ┼ zero u32 ┼ manifest number u64 ┼ xxh3 u64
//! ```
//!
//! Records are those of the log. Behind each edit that was synced goes an empty record that says so (count 0), and
//! files are removed on the strength of an edit only after that one is durable too: a bad record with a good one
//! behind it is damage, one with nothing behind it was never acted upon.

use super::{
    Error,
    log::final_failure,
    record::{self, Header},
    version::{Edit, Version},
};
use crate::base::BTreeMap;
use crate::base::{Reader, Writer, checksum};
use crate::storage::{FileId, FileKind, Storage, StorageError, StorageErrorKind};
use alloc::vec::Vec;

const MAGIC: u64 = u64::from_le_bytes(*b"kvorumC1");
/// On disk: a greater one is refused. 2 names the segments that were made.
pub(super) const FORMAT: u32 = 2;
const CURRENT_BYTES: usize = 32;
pub(super) const CURRENT: FileId = FileId { kind: FileKind::Current, number: 0 };
/// A manifest beyond this size, and twice the size of the state it makes, is replaced by a new one.
pub(super) const MANIFEST_BYTES_MAX: u64 = 1 << 20;

/// Greater numbers are damage: counting on from one must not overflow.
pub(super) const NUMBER_MAX: u64 = u64::MAX / 4;

pub(super) fn manifest_file(number: u64) -> FileId {
    FileId { kind: FileKind::Manifest, number }
}

/// What a manifest records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct State {
    pub(super) flushed: u64,
    pub(super) log_first: u64,
    pub(super) number_next: u64,
    pub(super) run_next: u64,
    pub(super) sealed: BTreeMap<u64, u64>,
    pub(super) made: BTreeMap<u64, u64>,
    pub(super) version: Version,
}

impl State {
    pub(super) fn apply(&mut self, edit: &Edit) -> Result<(), &'static str> {
        self.version = self.version.apply(edit)?;
        self.flushed = edit.flushed.unwrap_or(self.flushed).max(self.flushed);
        self.log_first = edit.log_first.unwrap_or(self.log_first).max(self.log_first);
        self.number_next = edit.number_next.unwrap_or(self.number_next).max(self.number_next);
        self.run_next = edit.run_next.unwrap_or(self.run_next).max(self.run_next);
        self.sealed.extend(edit.sealed.iter().copied());
        self.sealed = self.sealed.split_off(&self.log_first);
        self.made.extend(edit.made.iter().copied());
        self.made = self.made.split_off(&self.log_first);
        Ok(())
    }
    /// What makes this state from nothing.
    pub(super) fn to_edit(&self) -> Edit {
        Edit {
            flushed: Some(self.flushed),
            log_first: Some(self.log_first),
            number_next: Some(self.number_next),
            run_next: Some(self.run_next),
            sealed: self.sealed.iter().map(|(segment, bytes)| (*segment, *bytes)).collect(),
            made: self.made.iter().map(|(segment, bytes)| (*segment, *bytes)).collect(),
            ..self.version.to_edit()
        }
    }
}

/// One record of a manifest.
pub(super) fn encode_edit(edit: &Edit, manifest: u64, ordinal: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let start = record::begin(&mut bytes);
    edit.encode(&mut Writer(&mut bytes));
    let header = Header { file_number: manifest, first: ordinal, count: 1, durable: ordinal - 1 };
    record::finish(&mut bytes, start, header);
    bytes
}

/// Where the next edit goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Place {
    pub(super) manifest: u64,
    pub(super) offset: u64,
    pub(super) ordinal: u64,
}

/// Why an edit did not become durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InstallError {
    /// Nothing has changed; it can be tried again.
    NotDone(StorageError),
    /// A sync or rename failed: nobody knows which edits a restart will find.
    Unknown(StorageError),
}

/// Appends an edit and syncs.
pub(super) fn append<S: Storage>(
    storage: &mut S,
    place: Place,
    record: &[u8],
) -> Result<Place, InstallError> {
    let file = manifest_file(place.manifest);
    storage.write_at(file, place.offset, record).map_err(InstallError::NotDone)?;
    storage.sync(file).map_err(|error| InstallError::Unknown(final_failure(error)))?;
    let place = Place { offset: place.offset + record.len() as u64, ordinal: place.ordinal + 1, ..place };
    let mut seal = Vec::new();
    record::begin(&mut seal);
    let header =
        Header { file_number: place.manifest, first: place.ordinal, count: 0, durable: place.ordinal - 1 };
    record::finish(&mut seal, 0, header);
    // The edit is durable whether or not this is written.
    match storage.write_at(file, place.offset, &seal) {
        Ok(()) => Ok(Place { offset: place.offset + seal.len() as u64, ..place }),
        Err(_) => Ok(place),
    }
}

/// Writes a new manifest that makes `state`, and makes it the current one.
pub(super) fn replace<S: Storage>(
    storage: &mut S,
    manifest: u64,
    state: &Edit,
) -> Result<Place, InstallError> {
    let record = encode_edit(state, manifest, 1);
    let file = manifest_file(manifest);
    let temporary = FileId { kind: FileKind::Temporary, number: manifest };
    let mut current = Vec::new();
    let mut writer = Writer(&mut current);
    writer.u64(MAGIC);
    writer.u32(FORMAT);
    writer.u32(0);
    writer.u64(manifest);
    let sum = checksum(&current);
    current.extend_from_slice(&sum.to_le_bytes());
    let unknown = |error| InstallError::Unknown(final_failure(error));
    storage.create(file).map_err(InstallError::NotDone)?;
    storage.write_at(file, 0, &record).map_err(InstallError::NotDone)?;
    storage.sync(file).map_err(unknown)?;
    storage.create(temporary).map_err(InstallError::NotDone)?;
    storage.write_at(temporary, 0, &current).map_err(InstallError::NotDone)?;
    // Synced before the rename: after a crash some file systems keep the new name with no bytes behind it. The
    // directory likewise, so that CURRENT never names a manifest that a crash takes away.
    storage.sync(temporary).map_err(unknown)?;
    storage.sync_dir().map_err(unknown)?;
    storage.rename(temporary, CURRENT).map_err(unknown)?;
    storage.sync_dir().map_err(unknown)?;
    Ok(Place { manifest, offset: record.len() as u64, ordinal: 2 })
}

/// The number of the current manifest; `None` if there is no `CURRENT`.
pub(super) fn read_current<S: Storage>(storage: &S) -> Result<Option<u64>, Error> {
    let mut bytes = [0; CURRENT_BYTES];
    let count = match storage.read_at(CURRENT, 0, &mut bytes) {
        Err(error) if error.kind == StorageErrorKind::NotFound => return Ok(None),
        read => read?,
    };
    let corrupt = |what| Error::Corruption { file: CURRENT, offset: 0, what };
    if count != CURRENT_BYTES {
        return Err(corrupt("it is cut short"));
    }
    let (covered, sum) = bytes.split_at(CURRENT_BYTES - 8);
    if checksum(covered).to_le_bytes() != *sum {
        return Err(corrupt("its checksum is not that of its bytes"));
    }
    let mut reader = Reader::new(covered);
    let fields = (|| Ok((reader.u64()?, reader.u32()?, reader.u32()?, reader.u64()?)))();
    let (magic, format, _, manifest) =
        fields.map_err(|_: crate::base::DecodeError| corrupt("it is cut short"))?;
    if magic != MAGIC {
        return Err(corrupt("it is not a file of this engine"));
    }
    if format > FORMAT {
        return Err(Error::FormatTooNew { file: CURRENT, found: format });
    }
    Ok(Some(manifest))
}

/// Reads a manifest from its first record on.
pub(super) fn read_state<S: Storage>(storage: &S, manifest: u64) -> Result<State, Error> {
    let file = manifest_file(manifest);
    let corrupt = |offset: usize, what| Error::Corruption { file, offset: offset as u64, what };
    let bytes = match super::recover::read_file(storage, file) {
        Err(Error::Io(error)) if error.kind == StorageErrorKind::NotFound => {
            return Err(corrupt(0, "CURRENT names it and it is not there"));
        }
        read => read?,
    };
    let (mut state, mut offset, mut ordinal) = (State::default(), 0, 1);
    while let Some(record) = record::read(&bytes, offset, manifest) {
        if record.first != ordinal || record.count > 1 {
            return Err(corrupt(offset, "an edit out of order"));
        }
        if record.count == 0 {
            offset = record.end();
            continue;
        }
        let edit = Edit::decode(&mut Reader::new(record.payload));
        let edit = edit.map_err(|_| corrupt(offset, "an edit that does not decode"))?;
        state.apply(&edit).map_err(|what| corrupt(offset, what))?;
        if [state.flushed, state.log_first, state.number_next, state.run_next].iter().any(|n| *n > NUMBER_MAX)
        {
            return Err(corrupt(offset, "a number beyond any that was given"));
        }
        (offset, ordinal) = (record.end(), ordinal + 1);
    }
    if ordinal == 1 {
        return Err(corrupt(0, "its first record is damaged"));
    }
    if record::find(&bytes, offset, manifest).is_some_and(|later| later.durable >= ordinal) {
        return Err(corrupt(offset, "a record is damaged and durable ones follow it"));
    }
    Ok(state)
}

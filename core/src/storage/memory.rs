//! A disk in memory that loses exactly what a real one may lose.
//!
//! ```text
//!  content   what reads see: the page cache
//!  durable   what the platter holds: the content as of the last sync
//!  unsynced  writes since then, in order; a power cut keeps, loses or tears each one
//! ```
//!
//! Names behave alike: creations, renames and removals are durable after [`Storage::sync_dir`] only. The death of a
//! process alone loses nothing, so it needs no call here; a power cut is [`MemoryDisk::crash`].
//!
//! Contents are chunks behind `Arc`, so that cloning a disk, and with it a world, copies no bytes.

use super::{FileId, Storage, StorageError, StorageErrorKind};
use crate::base::Random;
use crate::base::{BTreeMap, Order};
use alloc::{sync::Arc, vec::Vec};
use core::cell::Cell;

/// Bytes of a chunk of content.
const CHUNK_BYTES: usize = 4096;
/// Bytes that a device writes whole or not at all.
const SECTOR_BYTES: u64 = 512;
/// What the operating system calls an input/output error.
const EIO: i32 = 5;

/// What a power cut does to what was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrashStyle {
    /// Everything that was not synced is gone, names included.
    LoseAll,
    /// Each unsynced write and each unsynced change of a name survives or not, independently.
    KeepRandom,
    /// As [`CrashStyle::KeepRandom`], and writes may survive in some of their 512-byte sectors only.
    Torn,
    /// Everything survives: the cut came just after the caches were written back.
    KeepAll,
}

/// Faults of a disk. All off by default; set them at will between calls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    /// No file can grow and none can be made.
    pub is_full: bool,
    /// Files can grow to this many bytes in total.
    pub capacity_bytes: Option<u64>,
    /// The call of this number (see [`MemoryDisk::calls`]) fails with an input/output error and does nothing.
    pub fail_call: Option<u64>,
    /// Every sync fails, and what it should have made durable never will be (as Linux does it: the pages are marked
    /// clean, so that a later sync has nothing to do and succeeds).
    pub fail_syncs: bool,
    /// Every write fails with an input/output error.
    pub fail_writes: bool,
    /// Reads of this byte come back changed: file, offset, bits to flip.
    pub flip_on_read: Option<(FileId, u64, u8)>,
}

/// A directory of files in memory. See the module.
#[derive(Debug, Clone, Default)]
pub struct MemoryDisk {
    /// The directory as running programs see it.
    names: BTreeMap<FileId, u64>,
    /// The directory as a power cut would leave it at worst.
    durable_names: BTreeMap<FileId, u64>,
    /// Changes of `names` that `durable_names` lacks, in order.
    name_changes: Vec<NameChange>,
    inodes: BTreeMap<u64, Arc<Inode>>,
    inode_next: u64,
    bytes_used: u64,
    faults: Faults,
    calls: Cell<u64>,
}

#[derive(Debug, Clone, Copy)]
enum NameChange {
    Create(FileId, u64),
    Rename(FileId, FileId),
    Remove(FileId),
}

#[derive(Debug, Clone, Default)]
struct Inode {
    content: Content,
    durable: Content,
    unsynced: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Write(u64, Arc<[u8]>),
    Grow(u64),
    Cut(u64),
}

/// Bytes in chunks; a missing chunk is all zeros.
#[derive(Debug, Clone, Default)]
struct Content {
    len: u64,
    chunks: Vec<Option<Arc<[u8; CHUNK_BYTES]>>>,
}

impl Content {
    fn grow(&mut self, len: u64) {
        self.len = self.len.max(len);
        let chunks = self.len.div_ceil(CHUNK_BYTES as u64) as usize;
        self.chunks.resize(chunks.max(self.chunks.len()), None);
    }
    fn cut(&mut self, len: u64) {
        if self.len <= len {
            return;
        }
        self.len = len;
        self.chunks.truncate(len.div_ceil(CHUNK_BYTES as u64) as usize);
        let kept = (len % CHUNK_BYTES as u64) as usize;
        if let (true, Some(Some(last))) = (kept > 0, self.chunks.last_mut()) {
            Arc::make_mut(last)[kept..].fill(0);
        }
    }
    fn write(&mut self, offset: u64, mut bytes: &[u8]) {
        self.grow(offset + bytes.len() as u64);
        let mut offset = offset as usize;
        while !bytes.is_empty() {
            let (index, start) = (offset / CHUNK_BYTES, offset % CHUNK_BYTES);
            let count = bytes.len().min(CHUNK_BYTES - start);
            let chunk = self.chunks[index].get_or_insert_with(|| Arc::new([0; CHUNK_BYTES]));
            Arc::make_mut(chunk)[start..start + count].copy_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
            offset += count;
        }
    }
    fn read(&self, offset: u64, buffer: &mut [u8]) -> usize {
        let count = (self.len.saturating_sub(offset)).min(buffer.len() as u64) as usize;
        let mut done = 0;
        while done < count {
            let at = offset as usize + done;
            let (index, start) = (at / CHUNK_BYTES, at % CHUNK_BYTES);
            let step = (count - done).min(CHUNK_BYTES - start);
            match &self.chunks[index] {
                Some(chunk) => buffer[done..done + step].copy_from_slice(&chunk[start..start + step]),
                None => buffer[done..done + step].fill(0),
            }
            done += step;
        }
        count
    }
    fn apply(&mut self, change: &Change) {
        match change {
            Change::Write(offset, bytes) => self.write(*offset, bytes),
            Change::Grow(len) => self.grow(*len),
            Change::Cut(len) => self.cut(*len),
        }
    }
}

impl Inode {
    fn crash(&mut self, style: CrashStyle, random: &mut Random) {
        for change in core::mem::take(&mut self.unsynced) {
            let fate = match style {
                CrashStyle::LoseAll => 0,
                CrashStyle::KeepAll => 1,
                CrashStyle::KeepRandom => random.below(2),
                CrashStyle::Torn => random.below(3),
            };
            match (&change, fate) {
                (_, 0) => {}
                (Change::Write(offset, bytes), 2) => self.durable.tear(*offset, bytes, random),
                (change, _) => self.durable.apply(change),
            }
        }
        self.content = self.durable.clone();
    }
}

impl Content {
    /// Writes some of the sectors that `bytes` touches.
    fn tear(&mut self, offset: u64, bytes: &[u8], random: &mut Random) {
        let end = offset + bytes.len() as u64;
        let mut at = offset;
        while at < end {
            let next = (at / SECTOR_BYTES + 1).saturating_mul(SECTOR_BYTES).min(end);
            if random.chance(1, 2) {
                self.write(at, &bytes[(at - offset) as usize..(next - offset) as usize]);
            }
            at = next;
        }
    }
}

impl MemoryDisk {
    /// An empty disk without faults.
    pub fn new() -> MemoryDisk {
        MemoryDisk::default()
    }
    /// Its faults, to be set.
    pub fn faults_mut(&mut self) -> &mut Faults {
        &mut self.faults
    }
    /// Its faults.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }
    /// Calls of [`Storage`] so far, failed ones included; the next call has this number.
    pub fn calls(&self) -> u64 {
        self.calls.get()
    }
    /// Bytes of all files as they are seen now.
    pub fn bytes_used(&self) -> u64 {
        self.bytes_used
    }
    /// Cuts the power. What was synced stays; the rest fares as `style` says. Faults and the call count stay.
    pub fn crash(&mut self, style: CrashStyle, random: &mut Random) {
        for change in core::mem::take(&mut self.name_changes) {
            let survives = match style {
                CrashStyle::LoseAll => false,
                CrashStyle::KeepAll => true,
                CrashStyle::KeepRandom | CrashStyle::Torn => random.chance(1, 2),
            };
            if survives {
                change.apply(&mut self.durable_names);
            }
        }
        self.names = self.durable_names.clone();
        for inode in self.inodes.values_mut() {
            Arc::make_mut(inode).crash(style, random);
        }
        self.forget_unnamed();
    }
    /// Flips bits of one stored byte for good, as bit rot does. Does nothing beyond the end of the file.
    pub fn rot(&mut self, file: FileId, offset: u64, mask: u8) {
        let Some(inode) = self.names.get(&file).and_then(|number| self.inodes.get_mut(number)) else {
            return;
        };
        let inode = Arc::make_mut(inode);
        for content in [&mut inode.content, &mut inode.durable] {
            let mut byte = [0];
            if content.read(offset, &mut byte) == 1 {
                content.write(offset, &[byte[0] ^ mask]);
            }
        }
    }
    /// Removes everything, as a new disk in the same place.
    pub fn wipe(&mut self) {
        *self =
            MemoryDisk { faults: self.faults.clone(), calls: self.calls.clone(), ..MemoryDisk::default() };
    }

    /// Drops inodes that no directory names, and counts the bytes of the rest anew.
    fn forget_unnamed(&mut self) {
        let MemoryDisk { names, durable_names, name_changes, inodes, .. } = self;
        let mut used: Vec<u64> = names.values().chain(durable_names.values()).copied().collect();
        used.extend(name_changes.iter().filter_map(|change| match change {
            NameChange::Create(_, inode) => Some(*inode),
            _ => None,
        }));
        used.order();
        inodes.retain(|number, _| used.binary_search(number).is_ok());
        self.bytes_used = names.values().filter_map(|n| inodes.get(n)).map(|inode| inode.content.len).sum();
    }
    fn enter(&self, file: Option<FileId>, call: &'static str) -> Result<(), StorageError> {
        let number = self.calls.get();
        self.calls.set(number + 1);
        if self.faults.fail_call == Some(number) {
            return Err(StorageError { kind: StorageErrorKind::Io(EIO), file, call });
        }
        Ok(())
    }
    fn inode(&self, file: FileId, call: &'static str) -> Result<&Inode, StorageError> {
        let inode = self.names.get(&file).and_then(|number| self.inodes.get(number));
        inode.map(|inode| &**inode).ok_or(StorageError {
            kind: StorageErrorKind::NotFound,
            file: Some(file),
            call,
        })
    }
    fn inode_mut(&mut self, file: FileId, call: &'static str) -> Result<&mut Inode, StorageError> {
        let inode = self.names.get(&file).and_then(|number| self.inodes.get_mut(number));
        inode.map(Arc::make_mut).ok_or(StorageError {
            kind: StorageErrorKind::NotFound,
            file: Some(file),
            call,
        })
    }
    /// How far a file of `len` bytes may grow now.
    fn len_max(&self, len: u64) -> u64 {
        if self.faults.is_full {
            return len;
        }
        match self.faults.capacity_bytes {
            Some(capacity) => len + capacity.saturating_sub(self.bytes_used),
            None => u64::MAX,
        }
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<FileId, u64>) {
        match self {
            NameChange::Create(file, inode) => {
                names.insert(*file, *inode);
            }
            NameChange::Rename(from, to) => {
                if let Some(inode) = names.remove(from) {
                    names.insert(*to, inode);
                }
            }
            NameChange::Remove(file) => {
                names.remove(file);
            }
        }
    }
}

impl Storage for MemoryDisk {
    fn create(&mut self, file: FileId) -> Result<(), StorageError> {
        self.enter(Some(file), "create")?;
        let error = |kind| StorageError { kind, file: Some(file), call: "create" };
        if self.names.contains_key(&file) {
            return Err(error(StorageErrorKind::Exists));
        }
        if self.faults.is_full {
            return Err(error(StorageErrorKind::NoSpace));
        }
        let inode = self.inode_next;
        self.inode_next += 1;
        self.inodes.insert(inode, Arc::default());
        self.names.insert(file, inode);
        self.name_changes.push(NameChange::Create(file, inode));
        Ok(())
    }

    fn len(&self, file: FileId) -> Result<u64, StorageError> {
        self.enter(Some(file), "len")?;
        Ok(self.inode(file, "len")?.content.len)
    }

    fn read_at(&self, file: FileId, offset: u64, buffer: &mut [u8]) -> Result<usize, StorageError> {
        self.enter(Some(file), "read")?;
        let count = self.inode(file, "read")?.content.read(offset, buffer);
        if let Some((flipped, at, mask)) = self.faults.flip_on_read
            && flipped == file
            && (offset..offset + count as u64).contains(&at)
        {
            buffer[(at - offset) as usize] ^= mask;
        }
        Ok(count)
    }

    fn write_at(&mut self, file: FileId, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.enter(Some(file), "write")?;
        let error = |kind| StorageError { kind, file: Some(file), call: "write" };
        if self.faults.fail_writes {
            return Err(error(StorageErrorKind::Io(EIO)));
        }
        let len = self.inode(file, "write")?.content.len;
        let end = offset + bytes.len() as u64;
        // As write(2) does: what still fits is written before the error.
        let fitting = end.min(self.len_max(len).max(len)).saturating_sub(offset) as usize;
        if fitting > 0 {
            let inode = self.inode_mut(file, "write")?;
            inode.content.write(offset, &bytes[..fitting]);
            inode.unsynced.push(Change::Write(offset, bytes[..fitting].into()));
            let grown = inode.content.len - len;
            self.bytes_used += grown;
        }
        if fitting < bytes.len() { Err(error(StorageErrorKind::NoSpace)) } else { Ok(()) }
    }

    fn allocate(&mut self, file: FileId, bytes: u64) -> Result<(), StorageError> {
        self.enter(Some(file), "allocate")?;
        let len = self.inode(file, "allocate")?.content.len;
        if bytes <= len {
            return Ok(());
        }
        if self.len_max(len) < bytes {
            return Err(StorageError { kind: StorageErrorKind::NoSpace, file: Some(file), call: "allocate" });
        }
        let inode = self.inode_mut(file, "allocate")?;
        inode.content.grow(bytes);
        inode.unsynced.push(Change::Grow(bytes));
        self.bytes_used += bytes - len;
        Ok(())
    }

    fn truncate(&mut self, file: FileId, bytes: u64) -> Result<(), StorageError> {
        self.enter(Some(file), "truncate")?;
        let inode = self.inode_mut(file, "truncate")?;
        let len = inode.content.len;
        if bytes < len {
            inode.content.cut(bytes);
            inode.unsynced.push(Change::Cut(bytes));
            self.bytes_used -= len - bytes;
        }
        Ok(())
    }

    fn sync(&mut self, file: FileId) -> Result<(), StorageError> {
        self.enter(Some(file), "sync")?;
        let is_failing = self.faults.fail_syncs;
        let inode = self.inode_mut(file, "sync")?;
        let unsynced = core::mem::take(&mut inode.unsynced);
        if is_failing {
            return Err(StorageError { kind: StorageErrorKind::Io(EIO), file: Some(file), call: "sync" });
        }
        for change in &unsynced {
            inode.durable.apply(change);
        }
        Ok(())
    }

    fn rename(&mut self, from: FileId, to: FileId) -> Result<(), StorageError> {
        self.enter(Some(from), "rename")?;
        let change = NameChange::Rename(from, to);
        if !self.names.contains_key(&from) {
            return Err(StorageError { kind: StorageErrorKind::NotFound, file: Some(from), call: "rename" });
        }
        change.apply(&mut self.names);
        self.name_changes.push(change);
        self.forget_unnamed();
        Ok(())
    }

    fn remove(&mut self, file: FileId) -> Result<(), StorageError> {
        self.enter(Some(file), "remove")?;
        let change = NameChange::Remove(file);
        if !self.names.contains_key(&file) {
            return Err(StorageError { kind: StorageErrorKind::NotFound, file: Some(file), call: "remove" });
        }
        change.apply(&mut self.names);
        self.name_changes.push(change);
        self.forget_unnamed();
        Ok(())
    }

    fn list(&self) -> Result<Vec<FileId>, StorageError> {
        self.enter(None, "list")?;
        Ok(self.names.keys().copied().collect())
    }

    fn sync_dir(&mut self) -> Result<(), StorageError> {
        self.enter(None, "sync of names")?;
        let changes = core::mem::take(&mut self.name_changes);
        if self.faults.fail_syncs {
            return Err(StorageError { kind: StorageErrorKind::Io(EIO), file: None, call: "sync of names" });
        }
        for change in &changes {
            change.apply(&mut self.durable_names);
        }
        self.forget_unnamed();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::FileKind;
    use alloc::vec;

    const A: FileId = FileId { kind: FileKind::Table, number: 1 };
    const B: FileId = FileId { kind: FileKind::Table, number: 2 };

    fn read(disk: &MemoryDisk, file: FileId) -> Option<Vec<u8>> {
        let mut buffer = vec![0; disk.len(file).ok()? as usize];
        disk.read_at(file, 0, &mut buffer).ok()?;
        Some(buffer)
    }

    #[test]
    fn what_was_synced_survives_and_the_rest_may_not() {
        let mut disk = MemoryDisk::new();
        disk.create(A).unwrap();
        disk.write_at(A, 0, b"milk").unwrap();
        disk.sync(A).unwrap();
        disk.sync_dir().unwrap();
        disk.write_at(A, 4, b" and eggs").unwrap();
        disk.create(B).unwrap();
        let mut killed = disk.clone();
        assert_eq!(read(&killed, A).unwrap(), b"milk and eggs");
        killed.crash(CrashStyle::LoseAll, &mut Random::new(1));
        assert_eq!(read(&killed, A).unwrap(), b"milk");
        assert_eq!(read(&killed, B), None);
        disk.crash(CrashStyle::KeepAll, &mut Random::new(1));
        assert_eq!(read(&disk, A).unwrap(), b"milk and eggs");
        assert_eq!(read(&disk, B).unwrap(), b"");
    }

    #[test]
    fn a_name_is_durable_after_a_sync_of_names_only() {
        let mut disk = MemoryDisk::new();
        disk.create(A).unwrap();
        disk.write_at(A, 0, b"new").unwrap();
        disk.sync(A).unwrap();
        disk.create(B).unwrap();
        disk.sync_dir().unwrap();
        disk.rename(A, B).unwrap();
        assert_eq!(read(&disk, B).unwrap(), b"new");
        disk.crash(CrashStyle::LoseAll, &mut Random::new(1));
        assert_eq!((read(&disk, A).unwrap(), read(&disk, B).unwrap()), (b"new".to_vec(), b"".to_vec()));
    }

    #[test]
    fn torn_writes_keep_whole_sectors() {
        let mut seen_torn = false;
        for seed in 0..20 {
            let mut disk = MemoryDisk::new();
            disk.create(A).unwrap();
            disk.sync_dir().unwrap();
            disk.allocate(A, 8192).unwrap();
            disk.sync(A).unwrap();
            disk.write_at(A, 100, &[7; 5000]).unwrap();
            disk.crash(CrashStyle::Torn, &mut Random::new(seed));
            let bytes = read(&disk, A).unwrap();
            let sectors: Vec<bool> = bytes[512..4608].chunks(512).map(|sector| sector[0] == 7).collect();
            assert!(bytes[512..4608].chunks(512).all(|sector| sector.iter().all(|b| *b == sector[0])));
            seen_torn |= sectors.contains(&true) && sectors.contains(&false);
        }
        assert!(seen_torn);
    }

    #[test]
    fn a_failed_sync_loses_its_bytes_even_if_a_later_one_succeeds() {
        let mut disk = MemoryDisk::new();
        disk.create(A).unwrap();
        disk.sync_dir().unwrap();
        disk.write_at(A, 0, b"x").unwrap();
        disk.faults_mut().fail_syncs = true;
        assert!(disk.sync(A).is_err());
        disk.faults_mut().fail_syncs = false;
        disk.sync(A).unwrap();
        assert_eq!(read(&disk, A).unwrap(), b"x");
        disk.crash(CrashStyle::KeepAll, &mut Random::new(1));
        assert_eq!(read(&disk, A).unwrap(), b"");
    }

    #[test]
    fn a_full_disk_refuses_growth_and_heals() {
        let mut disk = MemoryDisk::new();
        disk.create(A).unwrap();
        disk.faults_mut().capacity_bytes = Some(6);
        disk.write_at(A, 0, b"1234").unwrap();
        assert_eq!(disk.write_at(A, 4, b"5678").unwrap_err().kind, StorageErrorKind::NoSpace);
        disk.write_at(A, 0, b"4321").unwrap();
        disk.truncate(A, 2).unwrap();
        disk.write_at(A, 2, b"5678").unwrap();
        assert_eq!(disk.bytes_used(), 6);
        disk.remove(A).unwrap();
        assert_eq!(disk.bytes_used(), 0);
    }

    #[test]
    fn calls_are_counted_and_one_can_fail() {
        let mut disk = MemoryDisk::new();
        disk.create(A).unwrap();
        disk.faults_mut().fail_call = Some(disk.calls() + 1);
        disk.write_at(A, 0, b"x").unwrap();
        assert!(disk.sync(A).is_err());
        disk.sync(A).unwrap();
        assert_eq!(disk.calls(), 4);
        disk.rot(A, 0, 1);
        assert_eq!(read(&disk, A).unwrap(), b"y");
    }
}

//! The engine on files of the host.

use super::*;
use crate::storage::{FileId, FileKind, FileStorage, StorageErrorKind};

fn directory(name: &str) -> std::path::PathBuf {
    let path = std::env::temp_dir().join(alloc::format!("kvorum-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    path
}

#[test]
fn an_engine_lives_on_in_its_files() {
    let path = directory("engine");
    let mut random = Random::new(1);
    let mut history = History::new();
    for _ in 0..4 {
        let storage = FileStorage::open(&path).unwrap();
        let Ok((mut rig, _)) = Rig::open(storage, &tiny()) else { panic!("does not open") };
        history.compare(&mut rig).unwrap();
        for step in 0..100 {
            history.write(&mut rig, &mut random).unwrap();
            rig.write_log(step % 20 == 0);
            rig.work();
        }
        assert!(rig.db.stats().compactions > 0);
        rig.sync_log();
        history.compare(&mut rig).unwrap();
    }
    std::fs::remove_dir_all(&path).unwrap();
}

#[test]
fn files_behave_as_the_memory_disk_does() {
    let path = directory("files");
    let mut files = FileStorage::open(&path).unwrap();
    let mut memory = MemoryDisk::new();
    let mut random = Random::new(7);
    for step in 0..600 {
        let file = FileId { kind: FileKind::Table, number: random.below(3) };
        let other = FileId { kind: FileKind::Log, number: random.below(3) };
        let offset = random.below(5000);
        let bytes = alloc::vec![step as u8; random.below(3000) as usize];
        let calls = |storage: &mut dyn AnyStorage| match step % 9 {
            0 => storage.any_create(file),
            1 | 2 => storage.any_write(file, offset, &bytes),
            3 => storage.any_read(file, offset, bytes.len()),
            4 => storage.any_allocate(file, offset),
            5 => storage.any_truncate(file, offset),
            6 => storage.any_rename(file, other),
            7 => storage.any_remove(if offset.is_multiple_of(2) { file } else { other }),
            _ => storage.any_list(),
        };
        let mut clone = files.clone();
        let on_files = calls(if step % 2 == 0 { &mut files } else { &mut clone });
        assert_eq!(on_files, calls(&mut memory), "step {step}");
    }
    std::fs::remove_dir_all(&path).unwrap();
}

/// What a call does, as a value that can be compared.
trait AnyStorage {
    fn any_create(&mut self, file: FileId) -> Result<Vec<u8>, StorageErrorKind>;
    fn any_write(&mut self, file: FileId, offset: u64, bytes: &[u8]) -> Result<Vec<u8>, StorageErrorKind>;
    fn any_read(&mut self, file: FileId, offset: u64, count: usize) -> Result<Vec<u8>, StorageErrorKind>;
    fn any_allocate(&mut self, file: FileId, bytes: u64) -> Result<Vec<u8>, StorageErrorKind>;
    fn any_truncate(&mut self, file: FileId, bytes: u64) -> Result<Vec<u8>, StorageErrorKind>;
    fn any_rename(&mut self, from: FileId, to: FileId) -> Result<Vec<u8>, StorageErrorKind>;
    fn any_remove(&mut self, file: FileId) -> Result<Vec<u8>, StorageErrorKind>;
    fn any_list(&mut self) -> Result<Vec<u8>, StorageErrorKind>;
}

fn kind(result: Result<(), crate::storage::StorageError>) -> Result<Vec<u8>, StorageErrorKind> {
    result.map(|()| Vec::new()).map_err(|error| error.kind)
}

impl<S: Storage> AnyStorage for S {
    fn any_create(&mut self, file: FileId) -> Result<Vec<u8>, StorageErrorKind> {
        kind(self.create(file))
    }
    fn any_write(&mut self, file: FileId, offset: u64, bytes: &[u8]) -> Result<Vec<u8>, StorageErrorKind> {
        kind(self.write_at(file, offset, bytes))?;
        kind(self.sync(file))
    }
    fn any_read(&mut self, file: FileId, offset: u64, count: usize) -> Result<Vec<u8>, StorageErrorKind> {
        let mut buffer = alloc::vec![0; count];
        let count = self.read_at(file, offset, &mut buffer).map_err(|error| error.kind)?;
        buffer.truncate(count);
        buffer.extend_from_slice(&self.len(file).map_err(|error| error.kind)?.to_le_bytes());
        Ok(buffer)
    }
    fn any_allocate(&mut self, file: FileId, bytes: u64) -> Result<Vec<u8>, StorageErrorKind> {
        kind(self.allocate(file, bytes))
    }
    fn any_truncate(&mut self, file: FileId, bytes: u64) -> Result<Vec<u8>, StorageErrorKind> {
        kind(self.truncate(file, bytes))
    }
    fn any_rename(&mut self, from: FileId, to: FileId) -> Result<Vec<u8>, StorageErrorKind> {
        kind(self.rename(from, to))
    }
    fn any_remove(&mut self, file: FileId) -> Result<Vec<u8>, StorageErrorKind> {
        kind(self.remove(file))?;
        kind(self.sync_dir())
    }
    fn any_list(&mut self) -> Result<Vec<u8>, StorageErrorKind> {
        let mut files = self.list().map_err(|error| error.kind)?;
        files.sort();
        Ok(files.iter().flat_map(|file| alloc::format!("{file} ").into_bytes()).collect())
    }
}

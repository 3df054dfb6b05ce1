//! The directory of one shard, as the server's threads share it.

use kvorum_core::storage::{FileId, Storage, StorageError};
use std::path::Path;

/// Where a shard's bytes rest.
#[derive(Debug, Clone)]
pub struct Disk {}

impl Disk {
    /// Opens a directory, making it if need be.
    pub fn open(_dir: &Path) -> Result<Disk, StorageError> {
        unimplemented!()
    }
}

impl Storage for Disk {
    fn create(&mut self, _file: FileId) -> Result<(), StorageError> { unimplemented!() }
    fn len(&self, _file: FileId) -> Result<u64, StorageError> { unimplemented!() }
    fn read_at(&self, _f: FileId, _o: u64, _b: &mut [u8]) -> Result<usize, StorageError> { unimplemented!() }
    fn write_at(&mut self, _f: FileId, _o: u64, _b: &[u8]) -> Result<(), StorageError> { unimplemented!() }
    fn allocate(&mut self, _f: FileId, _b: u64) -> Result<(), StorageError> { unimplemented!() }
    fn truncate(&mut self, _f: FileId, _b: u64) -> Result<(), StorageError> { unimplemented!() }
    fn sync(&mut self, _f: FileId) -> Result<(), StorageError> { unimplemented!() }
    fn rename(&mut self, _f: FileId, _t: FileId) -> Result<(), StorageError> { unimplemented!() }
    fn remove(&mut self, _f: FileId) -> Result<(), StorageError> { unimplemented!() }
    fn list(&self) -> Result<Vec<FileId>, StorageError> { unimplemented!() }
    fn sync_dir(&mut self) -> Result<(), StorageError> { unimplemented!() }
}

//! Where bytes rest: a small, positional, synchronous trait, and a memory disk that fails honestly.
//!
//! Machines never hold a storage: they hand out values (a log write, a job, a table read) that a driver performs
//! against its own. That is what keeps them cloneable and the simulator free to crash between any two steps.
//!
//! `storage` knows nothing of records, tables or keys.

#[cfg(all(unix, any(test, feature = "std")))]
mod files;
mod memory;

#[cfg(all(unix, any(test, feature = "std")))]
pub use files::FileStorage;
pub use memory::{CrashStyle, Faults, MemoryDisk};

use alloc::vec::Vec;
use core::fmt;

/// What a file is for. Part of its name on disk: add, never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileKind {
    /// A segment of the write-ahead log: `000017.wal`.
    Log,
    /// A table: `000017.sst`.
    Table,
    /// A manifest: `000017.manifest`.
    Manifest,
    /// The file that names the current manifest: `CURRENT`. Its number is always 0.
    Current,
    /// A file being written, to be renamed: `000017.tmp`.
    Temporary,
}

/// A file of one storage, by kind and number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId {
    /// What it is for.
    pub kind: FileKind,
    /// Its number among its kind.
    pub number: u64,
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            FileKind::Log => write!(f, "{:06}.wal", self.number),
            FileKind::Table => write!(f, "{:06}.sst", self.number),
            FileKind::Manifest => write!(f, "{:06}.manifest", self.number),
            FileKind::Current => f.write_str("CURRENT"),
            FileKind::Temporary => write!(f, "{:06}.tmp", self.number),
        }
    }
}

/// Why a storage call failed. The call may have happened in part, never elsewhere than where it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StorageError {
    /// What the caller can do about it.
    pub kind: StorageErrorKind,
    /// The file concerned; `None` for the directory.
    pub file: Option<FileId>,
    /// The call: `read`, `write`, `sync`, …
    pub call: &'static str,
}

/// The kinds of [`StorageError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageErrorKind {
    /// No such file.
    NotFound,
    /// There is such a file already.
    Exists,
    /// No space left; freeing some heals it.
    NoSpace,
    /// The device failed, with the operating system's code (0 where there is none).
    Io(i32),
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.file {
            Some(file) => write!(f, "{} of {file} failed: ", self.call)?,
            None => write!(f, "{} of the data directory failed: ", self.call)?,
        }
        match self.kind {
            StorageErrorKind::NotFound => f.write_str("no such file"),
            StorageErrorKind::Exists => f.write_str("the file exists already"),
            StorageErrorKind::NoSpace => f.write_str("no space left on the disk"),
            StorageErrorKind::Io(code) => write!(f, "input/output error (code {code})"),
        }
    }
}
impl core::error::Error for StorageError {}

/// One directory of files. A handle: natively cloned for each thread, in the simulator a node's only one.
pub trait Storage {
    /// Makes an empty file; [`StorageErrorKind::Exists`] if there is one.
    fn create(&mut self, file: FileId) -> Result<(), StorageError>;
    /// Its length in bytes.
    fn len(&self, file: FileId) -> Result<u64, StorageError>;
    /// Fills `buffer` from `offset` on; returns fewer bytes only at the end of the file.
    fn read_at(&self, file: FileId, offset: u64, buffer: &mut [u8]) -> Result<usize, StorageError>;
    /// Writes all of `bytes` at `offset`, growing the file if need be. Not durable before [`Storage::sync`].
    fn write_at(&mut self, file: FileId, offset: u64, bytes: &[u8]) -> Result<(), StorageError>;
    /// Makes the file `bytes` long and reserves its space; what is new reads as zeros. Never shrinks.
    fn allocate(&mut self, file: FileId, bytes: u64) -> Result<(), StorageError>;
    /// Cuts the file to `bytes`.
    fn truncate(&mut self, file: FileId, bytes: u64) -> Result<(), StorageError>;
    /// Makes the file's bytes and length durable. A failed sync must not be retried as if it could succeed.
    fn sync(&mut self, file: FileId) -> Result<(), StorageError>;
    /// Renames, replacing what is there. Not durable before [`Storage::sync_dir`].
    fn rename(&mut self, from: FileId, to: FileId) -> Result<(), StorageError>;
    /// Removes a file.
    fn remove(&mut self, file: FileId) -> Result<(), StorageError>;
    /// All files, in no order.
    fn list(&self) -> Result<Vec<FileId>, StorageError>;
    /// Makes creations, renames and removals durable.
    fn sync_dir(&mut self) -> Result<(), StorageError>;
}

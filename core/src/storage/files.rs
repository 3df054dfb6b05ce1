//! Files of a directory.

use super::{FileId, FileKind, Storage, StorageError, StorageErrorKind};
use alloc::{format, string::ToString, sync::Arc, vec, vec::Vec};
use core::{
    cell::{Cell, RefCell},
    sync::atomic::{AtomicU64, Ordering},
};
use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

/// Most files that one handle keeps open. A shard reads few tables at a time; reopening one costs microseconds.
const OPEN_FILE_COUNT_MAX: usize = 128;
/// Zeros are written in pieces of this size when space is reserved.
const ZERO_BYTES: usize = 1 << 20;
const ENOSPC: i32 = 28;
const EDQUOT: i32 = 122;

/// A directory of the host. Each clone keeps open files of its own, so clones may work in different threads.
#[derive(Debug)]
pub struct FileStorage {
    directory: Arc<PathBuf>,
    /// Counts removals and renames by any clone: a file that another one removed must not be kept open here, or its
    /// space would not come back.
    names_changed: Arc<AtomicU64>,
    names_seen: Cell<u64>,
    /// Most recently used last.
    open: RefCell<Vec<(FileId, Arc<File>)>>,
}

impl Clone for FileStorage {
    fn clone(&self) -> FileStorage {
        FileStorage {
            directory: self.directory.clone(),
            names_changed: self.names_changed.clone(),
            names_seen: Cell::new(0),
            open: RefCell::default(),
        }
    }
}

impl FileStorage {
    /// The files of `directory`, which is made if it is not there.
    pub fn open(directory: impl AsRef<Path>) -> Result<FileStorage, StorageError> {
        let directory = directory.as_ref().to_path_buf();
        fs::create_dir_all(&directory).map_err(|error| failure(None, "open", &error))?;
        Ok(FileStorage {
            directory: Arc::new(directory),
            names_changed: Arc::new(AtomicU64::new(1)),
            names_seen: Cell::new(0),
            open: RefCell::default(),
        })
    }
    /// Where it is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    fn path(&self, file: FileId) -> PathBuf {
        self.directory.join(file.to_string())
    }
    fn file(&self, file: FileId, call: &'static str) -> Result<Arc<File>, StorageError> {
        let mut open = self.open.borrow_mut();
        let changed = self.names_changed.load(Ordering::Acquire);
        if self.names_seen.replace(changed) != changed {
            open.clear();
        }
        if let Some(at) = open.iter().rposition(|(id, _)| *id == file) {
            let last = open.len() - 1;
            if at + 16 < last {
                open[at..].rotate_left(1);
                return Ok(open[last].1.clone());
            }
            return Ok(open[at].1.clone());
        }
        let opened = OpenOptions::new().read(true).write(true).open(self.path(file));
        let opened = Arc::new(opened.map_err(|error| failure(Some(file), call, &error))?);
        if open.len() >= OPEN_FILE_COUNT_MAX {
            open.remove(0);
        }
        open.push((file, opened.clone()));
        Ok(opened)
    }
    fn on_names_changed(&self) {
        self.names_changed.fetch_add(1, Ordering::AcqRel);
    }
}

fn failure(file: Option<FileId>, call: &'static str, error: &io::Error) -> StorageError {
    let kind = match (error.kind(), error.raw_os_error()) {
        (io::ErrorKind::NotFound, _) => StorageErrorKind::NotFound,
        (io::ErrorKind::AlreadyExists, _) => StorageErrorKind::Exists,
        (_, Some(ENOSPC | EDQUOT)) => StorageErrorKind::NoSpace,
        (_, code) => StorageErrorKind::Io(code.unwrap_or(0)),
    };
    StorageError { kind, file, call }
}

fn parse_name(name: &str) -> Option<FileId> {
    if name == "CURRENT" {
        return Some(FileId { kind: FileKind::Current, number: 0 });
    }
    let (number, extension) = name.split_once('.')?;
    let kind = match extension {
        "wal" => FileKind::Log,
        "sst" => FileKind::Table,
        "manifest" => FileKind::Manifest,
        "tmp" => FileKind::Temporary,
        _ => return None,
    };
    let file = FileId { kind, number: number.parse().ok()? };
    // "7.sst" is no name of ours: taking it for "000007.sst" would name a file that is not there.
    (format!("{file}") == name).then_some(file)
}

impl Storage for FileStorage {
    fn create(&mut self, file: FileId) -> Result<(), StorageError> {
        let made = OpenOptions::new().read(true).write(true).create_new(true).open(self.path(file));
        made.map(drop).map_err(|error| failure(Some(file), "create", &error))
    }

    fn len(&self, file: FileId) -> Result<u64, StorageError> {
        let metadata = fs::metadata(self.path(file)).map_err(|error| failure(Some(file), "len", &error))?;
        Ok(metadata.len())
    }

    fn read_at(&self, file: FileId, offset: u64, buffer: &mut [u8]) -> Result<usize, StorageError> {
        let handle = self.file(file, "read")?;
        let mut done = 0;
        while done < buffer.len() {
            match handle.read_at(&mut buffer[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failure(Some(file), "read", &error)),
            }
        }
        Ok(done)
    }

    fn write_at(&mut self, file: FileId, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        let handle = self.file(file, "write")?;
        handle.write_all_at(bytes, offset).map_err(|error| failure(Some(file), "write", &error))
    }

    fn allocate(&mut self, file: FileId, bytes: u64) -> Result<(), StorageError> {
        let handle = self.file(file, "allocate")?;
        let error = |error| failure(Some(file), "allocate", &error);
        let mut len = handle.metadata().map_err(error)?.len();
        // Zeros are written rather than the length set: blocks that exist and are initialised need no journal
        // transaction when they are synced later, and no space can run out under them.
        let zeros = vec![0; ZERO_BYTES.min(bytes.saturating_sub(len) as usize)];
        while len < bytes {
            let count = zeros.len().min((bytes - len) as usize);
            handle.write_all_at(&zeros[..count], len).map_err(error)?;
            len += count as u64;
        }
        Ok(())
    }

    fn truncate(&mut self, file: FileId, bytes: u64) -> Result<(), StorageError> {
        let handle = self.file(file, "truncate")?;
        let error = |error| failure(Some(file), "truncate", &error);
        if bytes < handle.metadata().map_err(error)?.len() {
            handle.set_len(bytes).map_err(error)?;
        }
        Ok(())
    }

    fn sync(&mut self, file: FileId) -> Result<(), StorageError> {
        let handle = self.file(file, "sync")?;
        handle.sync_data().map_err(|error| failure(Some(file), "sync", &error))
    }

    fn rename(&mut self, from: FileId, to: FileId) -> Result<(), StorageError> {
        let renamed = fs::rename(self.path(from), self.path(to));
        self.on_names_changed();
        renamed.map_err(|error| failure(Some(from), "rename", &error))
    }

    fn remove(&mut self, file: FileId) -> Result<(), StorageError> {
        let removed = fs::remove_file(self.path(file));
        self.on_names_changed();
        removed.map_err(|error| failure(Some(file), "remove", &error))
    }

    fn list(&self) -> Result<Vec<FileId>, StorageError> {
        let error = |error| failure(None, "list", &error);
        let mut files = Vec::new();
        for entry in fs::read_dir(&*self.directory).map_err(error)? {
            let name = entry.map_err(error)?.file_name();
            files.extend(name.to_str().and_then(parse_name));
        }
        Ok(files)
    }

    fn sync_dir(&mut self) -> Result<(), StorageError> {
        let synced = File::open(&*self.directory).and_then(|directory| directory.sync_all());
        synced.map_err(|error| failure(None, "sync of names", &error))
    }
}

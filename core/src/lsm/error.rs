use crate::storage::{FileId, StorageError, StorageErrorKind};
use core::fmt;

/// Why the engine could not do something. The kind says what the caller can do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// Bytes changed after they were written. Nothing was changed by whoever found it.
    Corruption {
        /// Where.
        file: FileId,
        /// At which byte.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// The device failed. The engine is poisoned if it was a sync or a write of the log.
    Io(StorageError),
    /// No space left: the write did not happen; reads go on; freeing space heals it.
    NoSpace,
    /// An earlier sync failed: what is durable is unknown, so nothing is written any more. Reads go on.
    Poisoned,
    /// Too much waits to be flushed or written: not done, try again soon.
    Overloaded,
    /// The read was made from tables that a compaction has replaced and removed since: look up again.
    Superseded,
    /// The caller asked for something that cannot be.
    InvalidArgument(&'static str),
    /// Written by a newer build; the data is whole and was not touched.
    FormatTooNew {
        /// Which file says so.
        file: FileId,
        /// The format it says.
        found: u32,
    },
}

impl From<StorageError> for Error {
    fn from(error: StorageError) -> Error {
        match error.kind {
            StorageErrorKind::NoSpace => Error::NoSpace,
            _ => Error::Io(error),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Corruption { file, offset, what } => {
                write!(f, "{file} is damaged at byte {offset}: {what}")
            }
            Error::Io(error) => error.fmt(f),
            Error::NoSpace => f.write_str("no space left on the disk"),
            Error::Poisoned => f.write_str("an earlier sync failed; restart to find out what is durable"),
            Error::Overloaded => f.write_str("too much waits to be written"),
            Error::Superseded => f.write_str("the tables of this read were replaced; look up again"),
            Error::InvalidArgument(why) => f.write_str(why),
            Error::FormatTooNew { file, found } => {
                write!(f, "{file} has format {found}, which this build does not know")
            }
        }
    }
}
impl core::error::Error for Error {}

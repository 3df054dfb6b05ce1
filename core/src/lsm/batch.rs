//! Changes that happen together.
//!
//! ```text
//!  op:  kind u8 ┼ key length varint ┼ value length varint ┼ key ┼ value
//! ```
//!
//! A batch is kept as the bytes that the log holds of it, so that a write encodes nothing twice. On disk: add kinds,
//! never change them.

use super::{Error, entry::Kind};
use crate::base::{DecodeError, Reader, Writer};
use alloc::vec::Vec;

/// Longest key: 64 KiB of a user's, and room for what stands before it.
pub const KEY_BYTES_MAX: usize = (64 << 10) + 64;
/// Most bytes of a batch. One batch is one record of the log, which recovery reads whole.
pub const BATCH_BYTES_MAX: usize = 256 << 20;

const OP_DELETE_RANGE: u8 = 8;

/// Changes that happen together or not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    bytes: Vec<u8>,
    key_bytes_max: usize,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Batch {
        Batch::default()
    }
    /// Writes `value` under `key`. `dead` marks what its reader takes for absent (a versioned tombstone), so that runs
    /// of such records can be stepped over.
    pub fn put(&mut self, key: &[u8], value: &[u8], dead: bool) {
        self.push(if dead { Kind::Dead } else { Kind::Live } as u8, key, value);
    }
    /// Removes `key`.
    pub fn delete(&mut self, key: &[u8]) {
        self.push(Kind::Deleted as u8, key, &[]);
    }
    /// Removes all keys from `from` (inclusive) to `to` (exclusive). An empty range removes nothing.
    pub fn delete_range(&mut self, from: &[u8], to: &[u8]) {
        if from < to {
            self.key_bytes_max = self.key_bytes_max.max(to.len());
            self.push(OP_DELETE_RANGE, from, to);
        }
    }
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
    /// Empties it and keeps its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.key_bytes_max = 0;
    }

    fn push(&mut self, kind: u8, key: &[u8], value: &[u8]) {
        self.key_bytes_max = self.key_bytes_max.max(key.len());
        let mut writer = Writer(&mut self.bytes);
        writer.u8(kind);
        writer.varint(key.len() as u64);
        writer.varint(value.len() as u64);
        writer.raw(key);
        writer.raw(value);
    }
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
    pub(super) fn validate(&self) -> Result<(), Error> {
        if self.key_bytes_max > KEY_BYTES_MAX {
            return Err(Error::InvalidArgument("a key is longer than 65600 bytes"));
        }
        if self.bytes.len() > BATCH_BYTES_MAX {
            return Err(Error::InvalidArgument("a batch is larger than 256 MiB"));
        }
        if self.bytes.is_empty() {
            return Err(Error::InvalidArgument("an empty batch has no ticket"));
        }
        Ok(())
    }
}

/// One change, as places in the batch's bytes: the value follows its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Write { kind: Kind, key: usize, key_len: usize, end: usize },
    DeleteRange { from: usize, from_len: usize, end: usize },
}

/// Reads the changes of a batch.
pub(super) struct Ops<'a>(Reader<'a>);

impl<'a> Ops<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Ops<'a> {
        Ops(Reader::new(bytes))
    }
    pub(super) fn next(&mut self) -> Result<Option<Op>, DecodeError> {
        let reader = &mut self.0;
        if reader.remaining() == 0 {
            return Ok(None);
        }
        let kind = reader.u8()?;
        let key_len = reader.varint_u32()? as usize;
        let value_len = reader.varint_u32()? as usize;
        if key_len > KEY_BYTES_MAX {
            return Err(reader.error("a key of at most 65600 bytes"));
        }
        let key = reader.offset();
        reader.raw(key_len)?;
        let value = reader.raw(value_len)?;
        let end = reader.offset();
        if kind == OP_DELETE_RANGE {
            if value.len() > KEY_BYTES_MAX {
                return Err(reader.error("a key of at most 65600 bytes"));
            }
            return Ok(Some(Op::DeleteRange { from: key, from_len: key_len, end }));
        }
        match Kind::from_number(kind) {
            Some(kind) => Ok(Some(Op::Write { kind, key, key_len, end })),
            None => Err(reader.error("a known kind of change")),
        }
    }
}

//! A table: records in order of key, in an immutable file.
//!
//! ```text
//!  data block ┼ … ┼ filter ┼ index block ┼ data block ┼ … ┼ filter ┼ index block ┼ top index ┼ meta ┼ footer
//!
//!  each block, as stored:  bytes ┼ codec u8 ┼ xxh3 u64        the checksum is seeded with file number and offset
//!  codec 0: as is          codec 1: raw length u32 ┼ LZ4 block
//!  index block:  last key (or a shorter one below the next key) → handle of a data block
//!  top index:    the same of an index block                     → its handle ┼ the handle of its filter
//!  meta:         what a manifest says of the table
//!  footer:       magic u64 ┼ format u32 ┼ zero u32 ┼ meta offset u64 ┼ meta length u32 ┼ zero u32 ┼ xxh3 u64
//! ```
//!
//! A look-up reads top index, filter, index block and data block, all through the cache; the filter says no for most
//! keys that are not there. Records of a table beat the ranges that it removes (see `ranges`).

mod cursor;
mod writer;

pub(super) use cursor::TableCursor;
pub(super) use writer::TableWriter;

use super::{
    Error, ReadStep,
    block::Block,
    cache::{BlockCache, CacheKey, Cached},
    entry::{Kind, key_hash},
    filter,
    ranges::Ranges,
};
use crate::base::{DecodeError, Reader, Writer, checksum_seeded};
use crate::storage::{FileId, FileKind, Storage, StorageErrorKind};
use alloc::{sync::Arc, vec::Vec};
use bytes::Bytes;

const TRAILER_BYTES: usize = 9;
const CODEC_RAW: u8 = 0;
const CODEC_LZ4: u8 = 1;
/// Blocks below this size are compressed: above, builds for 32 and 64 bits would write different bytes.
const COMPRESS_BYTES_MAX: usize = 65_000;
const MAGIC: u64 = u64::from_le_bytes(*b"kvorumT1");
/// On disk: a reader refuses greater ones.
pub(super) const TABLE_FORMAT: u32 = 1;
const FOOTER_BYTES: usize = 40;

pub(super) fn table_file(number: u64) -> FileId {
    FileId { kind: FileKind::Table, number }
}

/// Where a block is, its trailer included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Handle {
    pub(super) offset: u64,
    pub(super) len: u32,
}

impl Handle {
    pub(super) fn encode(&self, writer: &mut Writer<'_>) {
        writer.varint(self.offset);
        writer.varint(u64::from(self.len));
    }
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Handle, DecodeError> {
        Ok(Handle { offset: reader.varint()?, len: reader.varint_u32()? })
    }
}

/// What the engine knows of a table without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) number: u64,
    pub(super) file_bytes: u64,
    pub(super) entries: u64,
    pub(super) deletes: u64,
    pub(super) dead: u64,
    /// First key, inclusive. A compaction that has taken the front of the table moves it on.
    pub(super) from: Bytes,
    /// Exclusive. All records and removed ranges lie within.
    pub(super) to: Bytes,
    pub(super) ranges: Ranges,
    /// `len` 0: the table has no records.
    pub(super) top: Handle,
}

impl Table {
    pub(super) fn encode(&self, writer: &mut Writer<'_>) {
        writer.varint(self.number);
        writer.varint(self.file_bytes);
        writer.varint(self.entries);
        writer.varint(self.deletes);
        writer.varint(self.dead);
        writer.bytes(&self.from);
        writer.bytes(&self.to);
        self.ranges.encode(writer);
        self.top.encode(writer);
    }
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Table, DecodeError> {
        let table = Table {
            number: reader.varint()?,
            file_bytes: reader.varint()?,
            entries: reader.varint()?,
            deletes: reader.varint()?,
            dead: reader.varint()?,
            from: Bytes::copy_from_slice(reader.bytes()?),
            to: Bytes::copy_from_slice(reader.bytes()?),
            ranges: Ranges::decode(reader)?,
            top: Handle::decode(reader)?,
        };
        if table.from >= table.to {
            return Err(reader.error("a table's first key before its end"));
        }
        Ok(table)
    }
    /// The same table without what lies before `from`.
    pub(super) fn trimmed(&self, from: &[u8]) -> Table {
        Table { from: Bytes::copy_from_slice(from), ranges: self.ranges.clipped(from, None), ..self.clone() }
    }
    pub(super) fn overlaps(&self, from: &[u8], to: Option<&[u8]>) -> bool {
        &self.to[..] > from && to.is_none_or(|to| &self.from[..] < to)
    }
    fn corruption(&self, offset: u64, what: &'static str) -> Error {
        Error::Corruption { file: table_file(self.number), offset, what }
    }
}

/// Reads blocks, through a cache if there is one.
pub(super) struct Loader<'a, S> {
    pub(super) storage: &'a S,
    pub(super) cache: Option<&'a mut BlockCache>,
    pub(super) space: u32,
}

impl<S: Storage> Loader<'_, S> {
    fn key(&self, table: &Table, handle: Handle) -> CacheKey {
        CacheKey { space: self.space, table: table.number, offset: handle.offset }
    }
    pub(super) fn block(&mut self, table: &Table, handle: Handle) -> Result<Block, Error> {
        let key = self.key(table, handle);
        if let Some(Cached::Block(block)) = self.cache.as_mut().and_then(|cache| cache.get(key)) {
            return Ok(block.clone());
        }
        let bytes = self.read(table, handle)?;
        let block = Block::new(bytes).map_err(|what| table.corruption(handle.offset, what))?;
        if let Some(cache) = &mut self.cache {
            cache.insert(key, Cached::Block(block.clone()));
        }
        Ok(block)
    }
    /// Calls `look` on a filter without taking it out of the cache.
    fn filter_may_hold(&mut self, table: &Table, handle: Handle, hash: u64) -> Result<bool, Error> {
        if handle.len == 0 {
            return Ok(true);
        }
        let key = self.key(table, handle);
        if let Some(Cached::Filter(bits)) = self.cache.as_mut().and_then(|cache| cache.get(key)) {
            return Ok(filter::may_hold(bits, hash));
        }
        let bytes = self.read(table, handle)?;
        let answer = filter::may_hold(&bytes, hash);
        if let Some(cache) = &mut self.cache {
            cache.insert(key, Cached::Filter(bytes));
        }
        Ok(answer)
    }
    /// Reads, verifies and decompresses.
    pub(super) fn read(&mut self, table: &Table, handle: Handle) -> Result<Bytes, Error> {
        let len = handle.len as usize;
        let end = handle.offset.checked_add(u64::from(handle.len));
        if len < TRAILER_BYTES || end.is_none_or(|end| end > table.file_bytes) {
            return Err(table.corruption(handle.offset, "a block beyond the end of its table"));
        }
        let mut stored = alloc::vec![0; len];
        let count = read_table(self.storage, table.number, handle.offset, &mut stored)?;
        if count < len {
            return Err(table.corruption(handle.offset + count as u64, "the table is cut short"));
        }
        unpack(table.number, handle.offset, stored).map_err(|what| table.corruption(handle.offset, what))
    }
}

fn read_table<S: Storage>(storage: &S, number: u64, offset: u64, buffer: &mut [u8]) -> Result<usize, Error> {
    storage.read_at(table_file(number), offset, buffer).map_err(|error| match error.kind {
        // Its manifest named it when this read was made, so it was removed since.
        StorageErrorKind::NotFound => Error::Superseded,
        _ => Error::from(error),
    })
}

fn block_seed(number: u64, offset: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ offset
}

/// What a stored block holds.
fn unpack(number: u64, offset: u64, mut stored: Vec<u8>) -> Result<Bytes, &'static str> {
    let Some((covered, sum)) = stored.split_last_chunk::<8>() else {
        return Err("a block without a trailer");
    };
    if checksum_seeded(covered, block_seed(number, offset)) != u64::from_le_bytes(*sum) {
        return Err("a block whose checksum is not that of its bytes");
    }
    let Some((codec, packed)) = covered.split_last() else { return Err("a block without a trailer") };
    match *codec {
        CODEC_RAW => {
            let len = packed.len();
            stored.truncate(len);
            Ok(Bytes::from(stored))
        }
        CODEC_LZ4 => {
            let Some((raw_len, packed)) = packed.split_first_chunk::<4>() else {
                return Err("a block too short");
            };
            let raw_len = u32::from_le_bytes(*raw_len) as usize;
            if raw_len > COMPRESS_BYTES_MAX {
                return Err("a compressed block larger than any written");
            }
            let mut raw = alloc::vec![0; raw_len];
            match lz4_flex::block::decompress_into(packed, &mut raw) {
                Ok(len) if len == raw_len => Ok(Bytes::from(raw)),
                _ => Err("a compressed block that does not decompress"),
            }
        }
        _ => Err("a block of unknown codec"),
    }
}

/// Looks a key up in one table. The caller has checked that the table's bounds hold it.
pub(super) fn get<S: Storage>(
    loader: &mut Loader<'_, S>,
    table: &Table,
    key: &[u8],
    hash: u64,
    mut note: impl FnMut(ReadStep),
) -> Result<Option<(Kind, Bytes)>, Error> {
    if table.top.len == 0 {
        return Ok(None);
    }
    let top = loader.block(table, table.top)?;
    let at = top.lower_bound(key);
    if at == top.count() {
        return Ok(None);
    }
    let (index, filter) = top_handles(table, &top, at)?;
    if !loader.filter_may_hold(table, filter, hash)? {
        note(ReadStep::FilterNo);
        return Ok(None);
    }
    note(ReadStep::FilterYes);
    let index = loader.block(table, index)?;
    let at = index.lower_bound(key);
    if at == index.count() {
        return Ok(None);
    }
    note(ReadStep::Block);
    let data = loader.block(table, data_handle(table, &index, at)?)?;
    Ok(data.find(key, hash).map(|entry| (entry.kind, data.value(entry.value))))
}

fn top_handles(table: &Table, top: &Block, at: usize) -> Result<(Handle, Handle), Error> {
    let mut reader = Reader::new(top.slice(top.entry(at).value));
    let handles = Handle::decode(&mut reader).and_then(|index| Ok((index, Handle::decode(&mut reader)?)));
    handles.map_err(|_| table.corruption(table.top.offset, "a top index without handles"))
}

fn data_handle(table: &Table, index: &Block, at: usize) -> Result<Handle, Error> {
    let handle = Handle::decode(&mut Reader::new(index.slice(index.entry(at).value)));
    handle.map_err(|_| table.corruption(table.top.offset, "an index without handles"))
}

/// Reads the whole table and checks what its blocks say against one another.
pub(super) fn verify<S: Storage>(storage: &S, table: &Arc<Table>) -> Result<(), Error> {
    let mut loader = Loader { storage, cache: None, space: 0 };
    read_footer(storage, table)?;
    if table.top.len == 0 {
        return Ok(());
    }
    let top = loader.block(table, table.top)?;
    let (mut last, mut key) = (None::<Vec<u8>>, Vec::new());
    for top_at in 0..top.count() {
        let (index_handle, filter_handle) = top_handles(table, &top, top_at)?;
        let index = loader.block(table, index_handle)?;
        for index_at in 0..index.count() {
            let handle = data_handle(table, &index, index_at)?;
            let data = loader.block(table, handle)?;
            data.check().map_err(|what| table.corruption(handle.offset, what))?;
            for at in 0..data.count() {
                key.clear();
                key.extend_from_slice(data.prefix());
                key.extend_from_slice(data.entry(at).suffix);
                if last.as_ref().is_some_and(|last| *last >= key) {
                    return Err(table.corruption(handle.offset, "keys out of order"));
                }
                if !loader.filter_may_hold(table, filter_handle, key_hash(&key))? {
                    return Err(table.corruption(filter_handle.offset, "a filter that denies a key"));
                }
                last = Some(key.clone());
            }
        }
    }
    if last.is_some_and(|last| last >= table.to) {
        return Err(table.corruption(table.top.offset, "a key beyond the table's bounds"));
    }
    Ok(())
}

fn read_footer<S: Storage>(storage: &S, table: &Table) -> Result<(), Error> {
    let Some(offset) = table.file_bytes.checked_sub(FOOTER_BYTES as u64) else {
        return Err(table.corruption(0, "a table too short"));
    };
    let mut footer = [0; FOOTER_BYTES];
    let count = read_table(storage, table.number, offset, &mut footer)?;
    let (covered, sum) = footer.split_at(FOOTER_BYTES - 8);
    let is_whole = count == FOOTER_BYTES
        && checksum_seeded(covered, block_seed(table.number, offset)).to_le_bytes() == *sum
        && covered[..8] == MAGIC.to_le_bytes();
    if !is_whole {
        return Err(table.corruption(offset, "a footer whose checksum is not that of its bytes"));
    }
    let format = u32::from_le_bytes([covered[8], covered[9], covered[10], covered[11]]);
    if format > TABLE_FORMAT {
        return Err(Error::FormatTooNew { file: table_file(table.number), found: format });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Random;

    #[test]
    fn stored_blocks_of_any_bytes_under_a_right_checksum_are_refused_or_read() {
        let mut random = Random::new(8);
        let raw: Vec<u8> = (0..2000u32).map(|at| (at / 9 % 7) as u8).collect();
        let mut good = (raw.len() as u32).to_le_bytes().to_vec();
        good.extend_from_slice(&lz4_flex::block::compress(&raw));
        let pack = |mut bytes: Vec<u8>, codec| {
            bytes.push(codec);
            let sum = checksum_seeded(&bytes, block_seed(3, 40));
            bytes.extend_from_slice(&sum.to_le_bytes());
            bytes
        };
        assert_eq!(unpack(3, 40, pack(good.clone(), CODEC_LZ4)), Ok(raw.into()));
        assert!(unpack(3, 41, pack(good.clone(), CODEC_LZ4)).is_err(), "right bytes at a wrong place");
        for _ in 0..20_000 {
            let mut bytes = good.clone();
            for _ in 0..random.between(1, 5) {
                let at = random.below(bytes.len() as u64) as usize;
                bytes[at] = random.next_u64() as u8;
            }
            bytes.truncate(random.below(good.len() as u64 + 1) as usize);
            if let Ok(raw) = unpack(3, 40, pack(bytes, random.below(3) as u8)) {
                assert!(raw.len() <= COMPRESS_BYTES_MAX);
            }
        }
    }
}

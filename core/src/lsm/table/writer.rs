use super::{
    CODEC_LZ4, CODEC_RAW, COMPRESS_BYTES_MAX, Handle, MAGIC, TABLE_FORMAT, Table, block_seed, table_file,
};
use crate::base::{Writer, checksum_seeded};
use crate::lsm::{
    Options,
    block::BlockBuilder,
    entry::{Kind, key_hash},
    filter,
    log::final_failure,
    ranges::Ranges,
};
use crate::storage::{Storage, StorageError};
use alloc::vec::Vec;
use bytes::Bytes;

/// Written bytes are gathered up to this size.
const WRITE_BYTES: usize = 256 << 10;
/// Wanted size of an index block, in bytes of a data block.
const INDEX_BYTES: usize = 4096;

/// Writes one table. Records come in order of key.
#[derive(Debug, Clone)]
pub(in crate::lsm) struct TableWriter {
    number: u64,
    block_bytes: usize,
    filter_bits: u32,
    /// Whether blocks are compressed where that is worth it.
    is_packed: bool,
    out: Vec<u8>,
    /// Where `out` goes in the file.
    out_offset: u64,
    data: BlockBuilder,
    index: BlockBuilder,
    top: BlockBuilder,
    hashes: Vec<u64>,
    scratch: Vec<u8>,
    packed: Vec<u8>,
    first: Vec<u8>,
    entries: u64,
    deletes: u64,
    dead: u64,
}

impl TableWriter {
    pub(in crate::lsm) fn create<S: Storage>(
        storage: &mut S,
        number: u64,
        options: &Options,
        filter_bits: u32,
        is_packed: bool,
    ) -> Result<TableWriter, StorageError> {
        storage.create(table_file(number))?;
        Ok(TableWriter {
            number,
            block_bytes: options.block_bytes as usize,
            filter_bits,
            is_packed,
            out: Vec::new(),
            out_offset: 0,
            data: BlockBuilder::default(),
            index: BlockBuilder::default(),
            top: BlockBuilder::default(),
            hashes: Vec::new(),
            scratch: Vec::new(),
            packed: Vec::new(),
            first: Vec::new(),
            entries: 0,
            deletes: 0,
            dead: 0,
        })
    }
    /// Bytes of the file so far, about.
    pub(in crate::lsm) fn bytes(&self) -> u64 {
        self.offset() + (self.data.bytes() + self.index.bytes() + self.top.bytes()) as u64
    }
    fn offset(&self) -> u64 {
        self.out_offset + self.out.len() as u64
    }
    pub(in crate::lsm) fn push<S: Storage>(
        &mut self,
        storage: &mut S,
        key: &[u8],
        kind: Kind,
        value: &[u8],
    ) -> Result<(), StorageError> {
        // A large value does not share its block, so that reading its neighbours does not read it.
        let would_be = self.data.bytes() + key.len() + value.len();
        let is_due =
            self.data.bytes() >= self.block_bytes || would_be > self.block_bytes * 2 || self.data.is_full();
        if !self.data.is_empty() && is_due {
            self.finish_data(Some(key));
            if self.out.len() >= WRITE_BYTES {
                self.write_out(storage)?;
            }
        }
        if self.entries == 0 {
            self.first.extend_from_slice(key);
        }
        self.entries += 1;
        self.deletes += u64::from(kind == Kind::Deleted);
        self.dead += u64::from(kind == Kind::Dead);
        let hash = key_hash(key);
        self.hashes.push(hash);
        self.data.push(key, kind, value, hash);
        Ok(())
    }
    fn finish_data(&mut self, next: Option<&[u8]>) {
        let separator = separator(self.data.last_key(), next).to_vec();
        self.data.finish(true, &mut self.scratch);
        let handle = self.put_block();
        let mut value = Vec::new();
        handle.encode(&mut Writer(&mut value));
        self.index.push(&separator, Kind::Live, &value, 0);
        if self.index.bytes() >= INDEX_BYTES || self.index.is_full() || next.is_none() {
            self.finish_index(&separator);
        }
    }
    fn finish_index(&mut self, separator: &[u8]) {
        let mut filter_handle = Handle::default();
        if self.filter_bits > 0 {
            self.scratch = filter::build(&self.hashes, self.filter_bits);
            filter_handle = self.put_block();
        }
        self.hashes.clear();
        self.index.finish(false, &mut self.scratch);
        let handle = self.put_block();
        let mut value = Vec::new();
        handle.encode(&mut Writer(&mut value));
        filter_handle.encode(&mut Writer(&mut value));
        self.top.push(separator, Kind::Live, &value, 0);
    }
    /// Appends the block in `scratch`.
    fn put_block(&mut self) -> Handle {
        let offset = self.offset();
        let start = self.out.len();
        if !self.try_compressed() {
            self.out.extend_from_slice(&self.scratch);
            self.out.push(CODEC_RAW);
        }
        let sum = checksum_seeded(&self.out[start..], block_seed(self.number, offset));
        self.out.extend_from_slice(&sum.to_le_bytes());
        Handle { offset, len: (self.out.len() - start) as u32 }
    }
    fn try_compressed(&mut self) -> bool {
        if !self.is_packed || self.scratch.len() > COMPRESS_BYTES_MAX {
            return false;
        }
        self.packed.resize(lz4_flex::block::get_maximum_output_size(self.scratch.len()), 0);
        let Ok(len) = lz4_flex::block::compress_into(&self.scratch, &mut self.packed) else { return false };
        // Less than 12 % saved is not worth the decompression at each read.
        if (len + 4) * 100 > self.scratch.len() * 88 {
            return false;
        }
        self.out.extend_from_slice(&(self.scratch.len() as u32).to_le_bytes());
        self.out.extend_from_slice(&self.packed[..len]);
        self.out.push(CODEC_LZ4);
        true
    }
    fn write_out<S: Storage>(&mut self, storage: &mut S) -> Result<(), StorageError> {
        storage.write_at(table_file(self.number), self.out_offset, &self.out)?;
        self.out_offset += self.out.len() as u64;
        self.out.clear();
        Ok(())
    }
    /// Writes what is left and syncs. `ranges` are what the table removes from older runs; with no records and no
    /// ranges there is no table.
    pub(in crate::lsm) fn finish<S: Storage>(
        mut self,
        storage: &mut S,
        ranges: Ranges,
    ) -> Result<Table, StorageError> {
        assert!(self.entries > 0 || !ranges.is_empty(), "a table is made for something");
        let mut last = self.data.last_key().to_vec();
        let mut top = Handle::default();
        if self.entries > 0 {
            self.finish_data(None);
            self.top.finish(false, &mut self.scratch);
            top = self.put_block();
            last.push(0);
        }
        let (mut from, mut to) = (Bytes::from(core::mem::take(&mut self.first)), Bytes::from(last));
        if let (Some(low), Some(high)) = (ranges.as_slice().first(), ranges.as_slice().last()) {
            from = if self.entries == 0 { low.0.clone() } else { from.min(low.0.clone()) };
            to = to.max(high.1.clone());
        }
        let mut table = Table {
            number: self.number,
            file_bytes: 0,
            entries: self.entries,
            deletes: self.deletes,
            dead: self.dead,
            from,
            to,
            ranges,
            top,
        };
        self.scratch.clear();
        table.encode(&mut Writer(&mut self.scratch));
        let meta = self.put_block();
        let offset = self.offset();
        let start = self.out.len();
        let mut writer = Writer(&mut self.out);
        writer.u64(MAGIC);
        writer.u32(TABLE_FORMAT);
        writer.u32(0);
        writer.u64(meta.offset);
        writer.u32(meta.len);
        writer.u32(0);
        let sum = checksum_seeded(&self.out[start..], block_seed(self.number, offset));
        self.out.extend_from_slice(&sum.to_le_bytes());
        self.write_out(storage)?;
        table.file_bytes = self.out_offset;
        storage.sync(table_file(self.number)).map_err(final_failure)?;
        Ok(table)
    }
}

/// A key at or after `last` and before `next`, as short as it can be.
fn separator<'a>(last: &'a [u8], next: Option<&'a [u8]>) -> &'a [u8] {
    let Some(next) = next else { return last };
    let common = last.iter().zip(next).take_while(|(one, two)| one == two).count();
    if common + 1 < next.len() && common + 1 < last.len() { &next[..common + 1] } else { last }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Random;

    #[test]
    fn separators_lie_between_their_keys() {
        let mut random = Random::new(1);
        for _ in 0..5000 {
            let mut word =
                || -> Vec<u8> { (0..random.between(1, 6)).map(|_| random.below(3) as u8).collect() };
            let (one, two) = (word(), word());
            if one < two {
                let between = separator(&one, Some(&two));
                assert!(&one[..] <= between && between < &two[..]);
            }
        }
    }
}

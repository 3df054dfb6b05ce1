//! A block of records in order of key, whose keys and values are found without decoding their neighbours.
//!
//! ```text
//!  flags u8 ┼ count u16 ┼ prefix length u16 ┼ prefix ┼ tags [u8; count] ┼ offsets [u16 or u32; count] ┼ entries
//!  entry:  (suffix length × 4 + kind) varint ┼ suffix ┼ value, to the start of the next entry
//! ```
//!
//! All keys of a block start with its prefix. A tag is one byte of a key's hash: a point look-up scans the tags and
//! compares about one key. Index blocks have no tags. Offsets are counted from the first entry.

use super::entry::{Kind, key_hash};
use crate::base::{Reader, Writer, varint_len};
use alloc::vec::Vec;
use bytes::Bytes;
use core::{cmp::Ordering, ops::Range};

const FLAG_WIDE: u8 = 1;
const FLAG_TAGGED: u8 = 2;
const FIXED_BYTES: usize = 5;
/// Most records of a block.
const ENTRY_COUNT_MAX: usize = u16::MAX as usize;

#[inline]
fn tag_of(hash: u64) -> u8 {
    // Filters use the low and the high bits; these are in between.
    (hash >> 24) as u8
}

/// Gathers records for one block.
#[derive(Debug, Clone, Default)]
pub(super) struct BlockBuilder {
    keys: Vec<u8>,
    values: Vec<u8>,
    /// Of each record: end of its key, end of its value, kind, tag.
    entries: Vec<(u32, u32, Kind, u8)>,
}

impl BlockBuilder {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
    pub(super) fn bytes(&self) -> usize {
        self.keys.len() + self.values.len() + self.entries.len() * 5
    }
    pub(super) fn is_full(&self) -> bool {
        self.entries.len() == ENTRY_COUNT_MAX
    }
    pub(super) fn push(&mut self, key: &[u8], kind: Kind, value: &[u8], hash: u64) {
        assert!(!self.is_full(), "the table writer starts a new block before");
        self.keys.extend_from_slice(key);
        self.values.extend_from_slice(value);
        self.entries.push((self.keys.len() as u32, self.values.len() as u32, kind, tag_of(hash)));
    }
    /// Empty if there is none.
    pub(super) fn last_key(&self) -> &[u8] {
        let count = self.entries.len();
        let start = if count < 2 { 0 } else { self.entries[count - 2].0 as usize };
        &self.keys[start..]
    }
    /// Writes the block to `out`, which is emptied first, and starts anew.
    pub(super) fn finish(&mut self, is_tagged: bool, out: &mut Vec<u8>) {
        out.clear();
        let first_end = self.entries.first().map_or(0, |entry| entry.0 as usize);
        let (first, last) = (&self.keys[..first_end], self.last_key());
        // Its length is two bytes in the format; two keys may share more.
        let shared = first.iter().zip(last).take(usize::from(u16::MAX));
        let prefix_len = shared.take_while(|(one, two)| one == two).count();
        let mut entry_bytes = 0;
        let mut key_start = 0;
        for (key_end, _, kind, _) in &self.entries {
            let suffix_len = *key_end as usize - key_start - prefix_len;
            entry_bytes += varint_len((suffix_len as u64) << 2 | *kind as u64) + suffix_len;
            key_start = *key_end as usize;
        }
        let is_wide = entry_bytes + self.values.len() > u16::MAX as usize;
        let mut flags = if is_tagged { FLAG_TAGGED } else { 0 };
        flags |= if is_wide { FLAG_WIDE } else { 0 };
        let mut writer = Writer(out);
        writer.u8(flags);
        writer.u16(self.entries.len() as u16);
        writer.u16(prefix_len as u16);
        writer.raw(&first[..prefix_len]);
        if is_tagged {
            for (_, _, _, tag) in &self.entries {
                writer.u8(*tag);
            }
        }
        let (mut key_start, mut value_start, mut offset) = (0, 0, 0);
        for (key_end, value_end, kind, _) in &self.entries {
            if is_wide {
                writer.u32(offset as u32);
            } else {
                writer.u16(offset as u16);
            }
            let suffix_len = *key_end as usize - key_start - prefix_len;
            offset += varint_len((suffix_len as u64) << 2 | *kind as u64) + suffix_len;
            offset += *value_end as usize - value_start;
            (key_start, value_start) = (*key_end as usize, *value_end as usize);
        }
        let (mut key_start, mut value_start) = (0, 0);
        for (key_end, value_end, kind, _) in &self.entries {
            let suffix = &self.keys[key_start + prefix_len..*key_end as usize];
            writer.varint((suffix.len() as u64) << 2 | *kind as u64);
            writer.raw(suffix);
            writer.raw(&self.values[value_start..*value_end as usize]);
            (key_start, value_start) = (*key_end as usize, *value_end as usize);
        }
        self.keys.clear();
        self.values.clear();
        self.entries.clear();
    }
}

/// A block whose structure was checked when it was read, so that nothing in it can be out of bounds.
#[derive(Debug, Clone)]
pub(super) struct Block {
    bytes: Bytes,
    count: u16,
    is_wide: bool,
    prefix_len: u16,
    tags: u32,
    offsets: u32,
    entries: u32,
}

/// A record of a block.
#[derive(Debug, Clone)]
pub(super) struct BlockEntry<'a> {
    pub(super) suffix: &'a [u8],
    pub(super) kind: Kind,
    pub(super) value: Range<usize>,
}

impl Block {
    /// Checks `bytes`, which may be anything.
    pub(super) fn new(bytes: Bytes) -> Result<Block, &'static str> {
        let mut reader = Reader::new(&bytes);
        let header = (|| {
            let flags = reader.u8()?;
            let count = reader.u16()?;
            let prefix_len = reader.u16()?;
            reader.raw(prefix_len as usize)?;
            let tags = reader.offset();
            if flags & FLAG_TAGGED != 0 {
                reader.raw(count as usize)?;
            }
            let offsets = reader.offset();
            reader.raw(count as usize * if flags & FLAG_WIDE != 0 { 4 } else { 2 })?;
            let (is_wide, entries) = (flags & FLAG_WIDE != 0, reader.offset() as u32);
            if flags & !(FLAG_WIDE | FLAG_TAGGED) != 0 {
                return Err(reader.error("known flags"));
            }
            Ok((count, is_wide, prefix_len, tags as u32, offsets as u32, entries))
        })();
        let (count, is_wide, prefix_len, tags, offsets, entries) =
            header.map_err(|_| "a block that is not whole")?;
        let block = Block { bytes, count, is_wide, prefix_len, tags, offsets, entries };
        if block.bytes.len() > u32::MAX as usize {
            return Err("a block that is too large");
        }
        let mut end = 0;
        for index in 0..block.count() {
            let start = block.offset(index);
            let next = block.offset(index + 1);
            if start != end || next <= start || entries as usize + next > block.bytes.len() {
                return Err("a block whose offsets are out of order");
            }
            let mut reader = Reader::new(&block.bytes[entries as usize + start..entries as usize + next]);
            let head = reader.varint_u32().map_err(|_| "a record that is not whole")?;
            reader.raw((head >> 2) as usize).map_err(|_| "a record that is not whole")?;
            if Kind::from_number((head & 3) as u8).is_none() {
                return Err("a record of unknown kind");
            }
            end = next;
        }
        Ok(block)
    }
    #[inline]
    pub(super) fn count(&self) -> usize {
        self.count as usize
    }
    pub(super) fn bytes(&self) -> &Bytes {
        &self.bytes
    }
    pub(super) fn prefix(&self) -> &[u8] {
        &self.bytes[FIXED_BYTES..FIXED_BYTES + self.prefix_len as usize]
    }
    /// Where entry `index` starts, from the first entry; for `count`, where the last one ends.
    #[inline]
    fn offset(&self, index: usize) -> usize {
        if index >= self.count as usize {
            return self.bytes.len() - self.entries as usize;
        }
        let table = &self.bytes[self.offsets as usize..self.entries as usize];
        if self.is_wide {
            let at = &table[index * 4..index * 4 + 4];
            u32::from_le_bytes([at[0], at[1], at[2], at[3]]) as usize
        } else {
            let at = &table[index * 2..index * 2 + 2];
            u16::from_le_bytes([at[0], at[1]]) as usize
        }
    }
    #[inline]
    pub(super) fn entry(&self, index: usize) -> BlockEntry<'_> {
        let start = self.entries as usize + self.offset(index);
        let end = self.entries as usize + self.offset(index + 1);
        let bytes = &self.bytes[start..end];
        // `new` has read this entry before; a head of one byte is the usual one.
        let (head, len) = if bytes[0] < 0x80 {
            (u32::from(bytes[0]), 1)
        } else {
            let mut reader = Reader::new(bytes);
            let head = reader.varint_u32().unwrap_or(0);
            (head, reader.offset())
        };
        let suffix_end = len + (head >> 2) as usize;
        let kind = Kind::from_number((head & 3) as u8).unwrap_or(Kind::Live);
        BlockEntry { suffix: &bytes[len..suffix_end], kind, value: start + suffix_end..end }
    }
    pub(super) fn value(&self, range: Range<usize>) -> Bytes {
        self.bytes.slice(range)
    }
    pub(super) fn slice(&self, range: Range<usize>) -> &[u8] {
        &self.bytes[range]
    }
    /// The first entry at or after `key`; `count` if there is none.
    pub(super) fn lower_bound(&self, key: &[u8]) -> usize {
        let prefix = self.prefix();
        let head = &key[..key.len().min(prefix.len())];
        match head.cmp(prefix) {
            Ordering::Less => 0,
            Ordering::Greater => self.count(),
            Ordering::Equal => {
                let suffix = &key[prefix.len()..];
                let (mut low, mut high) = (0, self.count());
                while low < high {
                    let middle = low + (high - low) / 2;
                    if self.entry(middle).suffix < suffix {
                        low = middle + 1;
                    } else {
                        high = middle;
                    }
                }
                low
            }
        }
    }
    /// The entry of `key`.
    pub(super) fn find(&self, key: &[u8], hash: u64) -> Option<BlockEntry<'_>> {
        let suffix = key.strip_prefix(self.prefix())?;
        let tag = tag_of(hash);
        let tags = &self.bytes[self.tags as usize..self.offsets as usize];
        if tags.is_empty() {
            let index = self.lower_bound(key);
            return (index < self.count()).then(|| self.entry(index)).filter(|entry| entry.suffix == suffix);
        }
        let mut from = 0;
        while let Some(found) = tags[from..].iter().position(|other| *other == tag) {
            let entry = self.entry(from + found);
            if entry.suffix == suffix {
                return Some(entry);
            }
            from += found + 1;
        }
        None
    }
    /// Whether the keys are in order and the tags theirs: what checksums cannot tell.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let mut key = self.prefix().to_vec();
        for index in 0..self.count() {
            let entry = self.entry(index);
            if index > 0 && self.entry(index - 1).suffix >= entry.suffix {
                return Err("keys out of order");
            }
            key.truncate(self.prefix().len());
            key.extend_from_slice(entry.suffix);
            let tags = &self.bytes[self.tags as usize..self.offsets as usize];
            if !tags.is_empty() && tags[index] != tag_of(key_hash(&key)) {
                return Err("a tag that is not its key's");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::BTreeMap;
    use crate::base::Random;

    fn build(model: &BTreeMap<Vec<u8>, (Kind, Vec<u8>)>, is_tagged: bool) -> Vec<u8> {
        let (mut builder, mut out) = (BlockBuilder::default(), Vec::new());
        for (key, (kind, value)) in model {
            builder.push(key, *kind, value, key_hash(key));
        }
        builder.finish(is_tagged, &mut out);
        out
    }

    #[test]
    fn a_block_agrees_with_a_map() {
        for seed in 0..300 {
            let mut random = Random::new(seed);
            let mut model = BTreeMap::new();
            let value_max = if seed % 50 == 0 { 30_000 } else { 40 };
            let key = |number: u64| {
                let text = alloc::format!("{number:03}");
                [&b"common"[..seed as usize % 7], text.as_bytes()].concat()
            };
            for _ in 0..random.below(60) {
                let kind = [Kind::Live, Kind::Dead, Kind::Deleted][random.below(3) as usize];
                let len = if kind == Kind::Deleted { 0 } else { random.below(value_max) };
                model.insert(key(random.below(200)), (kind, alloc::vec![7; len as usize]));
            }
            let is_tagged = random.chance(1, 2);
            let block = Block::new(build(&model, is_tagged).into()).unwrap();
            block.check().unwrap();
            assert_eq!(block.count(), model.len());
            for number in 0..201 {
                let key = key(number);
                let found = block.find(&key, key_hash(&key));
                let found = found.map(|entry| (entry.kind, block.value(entry.value).to_vec()));
                assert_eq!(found, model.get(&key).cloned());
                assert_eq!(block.lower_bound(&key), model.range(..key.clone()).count());
            }
            for probe in [&b""[..], b"com", b"zzz", b"common\xff"] {
                assert_eq!(block.lower_bound(probe), model.range(..probe.to_vec()).count());
            }
        }
    }

    #[test]
    fn keys_that_share_more_than_a_prefix_can_hold_are_found() {
        let key = |last: u8| [&[b'k'; 65_590][..], &[last]].concat();
        let model = (0..3).map(|last| (key(last), (Kind::Live, alloc::vec![last]))).collect();
        let block = Block::new(build(&model, true).into()).unwrap();
        block.check().unwrap();
        for last in 0..3 {
            let entry = block.find(&key(last), key_hash(&key(last))).unwrap();
            assert_eq!(block.value(entry.value), [last].as_slice());
        }
        assert!(block.find(&key(3), key_hash(&key(3))).is_none());
    }

    #[test]
    fn any_bytes_are_taken_without_a_panic() {
        let mut random = Random::new(crate::base::tests::seed(3));
        let model = (0..9u8).map(|key| (alloc::vec![1, key], (Kind::Live, alloc::vec![key; 3]))).collect();
        let good = build(&model, true);
        for _ in 0..crate::base::tests::rounds(20_000) {
            let mut bytes = good.clone();
            for _ in 0..random.between(1, 4) {
                let at = random.below(bytes.len() as u64) as usize;
                bytes[at] = random.next_u64() as u8;
            }
            bytes.truncate(random.between(0, 200) as usize);
            if let Ok(block) = Block::new(bytes.into()) {
                let _ = (block.find(&[1, 3], 5), block.lower_bound(&[1, 4]), block.check());
            }
        }
    }
}

//! Rows: the newest records of keys in use, found by one hash, ahead of memtables and tables.
//!
//! Every write goes into them as it goes into the memtable, and so does what a read had to fetch from a table: a key in
//! use costs one look-up, however many places hold older records of it. A cache: any row may go at any time.
//!
//! ```text
//!  row:  half of the hash u32 ‖ key length u32 ‖ value length u32 ‖ key ‖ value
//! ```
//!
//! Rows lie in chunks, each cut into slots of one size, so that a new value of about the size of the old one is written in
//! its place. The chunk that was filled first goes first, unless most of what it holds was read since.

use super::entry::spread;
use super::ranges::Ranges;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};
use core::ops::Range;
use hashbrown::HashTable;

/// Bytes before the key.
const HEAD_BYTES: usize = 12;
/// Sizes of slots are multiples of this.
const STEP_BYTES: usize = 16;
/// A chunk has at most so many slots, for its number and that of a slot share 32 bits.
const SLOT_BITS: u32 = 12;
/// Chunks that can be numbered.
const CHUNK_COUNT_MAX: usize = 1 << (32 - SLOT_BITS);
/// Size of a chunk, unless there is room for few.
const CHUNK_BYTES_MAX: usize = 64 << 10;
/// Rows larger than this part of a chunk have one of their own.
const SLOTS_MIN: usize = 8;
/// A row may take this part of all rows' bytes.
const ROW_PART: u64 = 16;
/// Values are handed out as slices of buffers of this size.
const HANDED_BYTES: usize = 32 << 10;
/// Length of the key of a slot without a row.
const FREE: u32 = u32::MAX;

/// Slots of one size.
#[derive(Debug, Clone, Default)]
struct Chunk {
    /// Bytes of a slot.
    slot_bytes: usize,
    bytes: Vec<u8>,
    /// Slots with a row.
    used: u32,
    /// Reads since it was last looked at.
    reads: u32,
}

impl Chunk {
    fn slot_count(&self) -> usize {
        self.bytes.len() / self.slot_bytes.max(1)
    }
    #[inline]
    fn slot(&self, slot: usize) -> &[u8] {
        &self.bytes[slot * self.slot_bytes..(slot + 1) * self.slot_bytes]
    }
    fn slot_mut(&mut self, slot: usize) -> &mut [u8] {
        &mut self.bytes[slot * self.slot_bytes..(slot + 1) * self.slot_bytes]
    }
}

/// The parts of a slot; `None` if it holds no row.
#[inline]
fn parts(slot: &[u8]) -> Option<(u32, Range<usize>, Range<usize>)> {
    let word =
        |at: usize| slot.get(at..at + 4).and_then(|word| word.first_chunk().copied()).map(u32::from_le_bytes);
    let (half, key_len, value_len) = (word(0)?, word(4)?, word(8)?);
    if key_len == FREE {
        return None;
    }
    let value = HEAD_BYTES + key_len as usize;
    Some((half, HEAD_BYTES..value, value..value + value_len as usize))
}

fn write_row(slot: &mut [u8], half: u32, key: &[u8], value: &[u8]) {
    slot[..4].copy_from_slice(&half.to_le_bytes());
    slot[4..8].copy_from_slice(&(key.len() as u32).to_le_bytes());
    slot[8..HEAD_BYTES].copy_from_slice(&(value.len() as u32).to_le_bytes());
    let value_at = HEAD_BYTES + key.len();
    slot[HEAD_BYTES..value_at].copy_from_slice(key);
    slot[value_at..value_at + value.len()].copy_from_slice(value);
}

/// A slot's chunk and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place(u32);

impl Place {
    fn new(chunk: u32, slot: usize) -> Place {
        Place(chunk << SLOT_BITS | slot as u32)
    }
    #[inline]
    fn chunk(self) -> usize {
        (self.0 >> SLOT_BITS) as usize
    }
    #[inline]
    fn slot(self) -> usize {
        (self.0 & ((1 << SLOT_BITS) - 1)) as usize
    }
}

/// Takes a row out of the index.
fn unlink(index: &mut HashTable<(u32, Place)>, half: u32, place: Place) {
    if let Ok(found) = index.find_entry(spread(half), |(_, other)| *other == place) {
        found.remove();
    }
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub(super) struct Rows {
    bytes_max: u64,
    bytes: u64,
    chunk_bytes: usize,
    /// Looked up only: its order reaches nothing.
    index: HashTable<(u32, Place)>,
    chunks: Vec<Chunk>,
    /// Numbers of chunks that are not in use.
    unused: Vec<u32>,
    /// Chunks in use, the one filled first in front.
    queue: VecDeque<u32>,
    /// Slots without a row, by their size in steps.
    free: Vec<Vec<Place>>,
    /// Removed ranges whose rows may still be there, and the first chunk that was not yet looked through for them.
    removed: Ranges,
    swept: usize,
    /// What is left of the buffer that values are copied to.
    handed: BytesMut,
}

impl Rows {
    /// Takes at most about so many bytes, its index not counted; none at all for 0.
    pub(super) fn new(bytes_max: u64) -> Rows {
        let bytes_max = if bytes_max == 0 { 0 } else { bytes_max.max(2 << 10) };
        let chunk_bytes = (bytes_max / 16).clamp(1 << 10, CHUNK_BYTES_MAX as u64) as usize;
        Rows { bytes_max, chunk_bytes, ..Rows::default() }
    }
    /// Bytes of its chunks and its index.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes + (self.index.capacity() * 10) as u64
    }
    /// The newest value of `key`, if there is a row of it.
    #[inline]
    pub(super) fn get(&mut self, key: &[u8], hash: u64) -> Option<Bytes> {
        let place = self.find(key, hash as u32)?;
        if !self.removed.is_empty() && self.removed.covers(key) {
            return None;
        }
        let chunk = &mut self.chunks[place.chunk()];
        chunk.reads = chunk.reads.saturating_add(1);
        let slot = chunk.slot(place.slot());
        let (_, _, value) = parts(slot)?;
        let value = &slot[value];
        if self.handed.capacity() < value.len() {
            self.handed = BytesMut::with_capacity(HANDED_BYTES.max(value.len()));
        }
        self.handed.extend_from_slice(value);
        Some(self.handed.split().freeze())
    }
    /// Whether there is a row of `key`. Counts as no use of it.
    pub(super) fn holds(&self, key: &[u8], hash: u64) -> bool {
        self.find(key, hash as u32).is_some() && !self.removed.covers(key)
    }
    /// `value` is the newest one of `key`.
    pub(super) fn put(&mut self, key: &[u8], hash: u64, value: &[u8]) {
        if self.bytes_max == 0 {
            return;
        }
        if !self.removed.is_empty() {
            // What comes after a removed range must not be taken for what was removed.
            if self.removed.covers(key) { self.sweep(usize::MAX) } else { self.sweep(1) }
        }
        let half = hash as u32;
        let slot_bytes = (HEAD_BYTES + key.len() + value.len()).next_multiple_of(STEP_BYTES);
        if let Some(place) = self.find(key, half) {
            let chunk = &mut self.chunks[place.chunk()];
            if chunk.slot_bytes == slot_bytes {
                chunk.reads = chunk.reads.saturating_add(1);
                return write_row(chunk.slot_mut(place.slot()), half, key, value);
            }
            self.remove_at(place, half);
        }
        if slot_bytes as u64 > self.bytes_max / ROW_PART {
            return;
        }
        let place = self.allocate(slot_bytes);
        let chunk = &mut self.chunks[place.chunk()];
        chunk.used += 1;
        write_row(chunk.slot_mut(place.slot()), half, key, value);
        self.index.insert_unique(spread(half), (half, place), |(half, _)| spread(*half));
    }
    /// `value` was read from a table: the newest one, unless a removed range covers it by now.
    pub(super) fn remember(&mut self, key: &[u8], hash: u64, value: &[u8]) {
        if !self.removed.covers(key) {
            self.put(key, hash, value);
        }
    }
    /// `key` is removed.
    pub(super) fn remove(&mut self, key: &[u8], hash: u64) {
        if let Some(place) = self.find(key, hash as u32) {
            self.remove_at(place, hash as u32);
        }
    }
    /// All keys of a range are removed.
    pub(super) fn remove_range(&mut self, from: &Bytes, to: &Bytes) {
        if !self.index.is_empty() {
            self.removed.insert(from.clone(), to.clone());
            self.swept = 0;
        }
    }
    /// Whether the index leads to every row, and to nothing else.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let mut count = 0;
        for (number, chunk) in self.chunks.iter().enumerate() {
            let mut used = 0;
            for slot in 0..chunk.slot_count() {
                let Some((half, key, _)) = parts(chunk.slot(slot)) else { continue };
                used += 1;
                if self.find(&chunk.slot(slot)[key], half) != Some(Place::new(number as u32, slot)) {
                    return Err("rows: the index does not lead to a row");
                }
            }
            if used != chunk.used {
                return Err("rows: a chunk's count is not that of its rows");
            }
            count += used as usize;
        }
        if count != self.index.len() {
            return Err("rows: the index leads to what is no row");
        }
        if self.bytes > self.bytes_max { Err("rows: more bytes than allowed") } else { Ok(()) }
    }

    #[inline]
    fn find(&self, key: &[u8], half: u32) -> Option<Place> {
        let is_it = |(other, place): &(u32, Place)| {
            let slot = self.chunks[place.chunk()].slot(place.slot());
            *other == half && parts(slot).is_some_and(|(_, at, _)| slot[at] == *key)
        };
        self.index.find(spread(half), is_it).map(|(_, place)| *place)
    }
    fn remove_at(&mut self, place: Place, half: u32) {
        unlink(&mut self.index, half, place);
        let chunk = &mut self.chunks[place.chunk()];
        chunk.used -= 1;
        chunk.slot_mut(place.slot())[4..8].copy_from_slice(&FREE.to_le_bytes());
        let steps = chunk.slot_bytes / STEP_BYTES;
        match self.free.get_mut(steps) {
            Some(free) => free.push(place),
            None => self.give_up(place.chunk() as u32), // A row with a chunk of its own.
        }
    }
    /// A slot of that size without a row.
    fn allocate(&mut self, slot_bytes: usize) -> Place {
        let steps = slot_bytes / STEP_BYTES;
        if let Some(place) = self.free.get_mut(steps).and_then(Vec::pop) {
            return place;
        }
        let is_single = slot_bytes > self.chunk_bytes / SLOTS_MIN;
        let slots = if is_single { 1 } else { (self.chunk_bytes / slot_bytes).min(1 << SLOT_BITS) };
        let bytes = slots * slot_bytes;
        let is_full = |rows: &Rows| {
            let has_number = !rows.unused.is_empty() || rows.chunks.len() < CHUNK_COUNT_MAX;
            rows.bytes + bytes as u64 > rows.bytes_max || !has_number
        };
        while is_full(self) {
            self.evict();
        }
        let number = self.unused.pop().unwrap_or_else(|| {
            self.chunks.push(Chunk::default());
            self.chunks.len() as u32 - 1
        });
        let chunk = &mut self.chunks[number as usize];
        // The memory of the chunk that made room serves again, where it is about as large.
        chunk.bytes.resize(bytes, 0);
        if chunk.bytes.capacity() > bytes + bytes / 2 {
            chunk.bytes.shrink_to_fit();
        }
        (chunk.slot_bytes, chunk.used, chunk.reads) = (slot_bytes, 0, 0);
        for slot in 0..slots {
            chunk.slot_mut(slot)[4..8].copy_from_slice(&FREE.to_le_bytes());
        }
        self.bytes += bytes as u64;
        self.queue.push_back(number);
        if !is_single {
            if self.free.len() <= steps {
                self.free.resize_with(steps + 1, Vec::new);
            }
            self.free[steps].extend((1..slots).rev().map(|slot| Place::new(number, slot)));
        }
        Place::new(number, 0)
    }
    /// Gives up the chunk that was filled first, but for one that is much read.
    fn evict(&mut self) {
        for _ in 0..self.queue.len() {
            let Some(number) = self.queue.front().copied() else { return };
            let chunk = &mut self.chunks[number as usize];
            if chunk.reads <= chunk.used / 2 {
                break;
            }
            chunk.reads = 0;
            self.queue.rotate_left(1);
        }
        if let Some(number) = self.queue.front().copied() {
            self.give_up(number);
        }
    }
    fn give_up(&mut self, number: u32) {
        let chunk = &mut self.chunks[number as usize];
        let (slots, steps) = (chunk.slot_count(), chunk.slot_bytes / STEP_BYTES);
        for slot in 0..slots {
            if let Some((half, ..)) = parts(chunk.slot(slot)) {
                unlink(&mut self.index, half, Place::new(number, slot));
            }
        }
        if (chunk.used as usize) < slots
            && let Some(free) = self.free.get_mut(steps)
        {
            free.retain(|place| place.chunk() != number as usize);
        }
        self.bytes -= chunk.bytes.len() as u64;
        chunk.bytes.clear();
        (chunk.slot_bytes, chunk.used) = (0, 0);
        self.unused.push(number);
        match self.queue.front() {
            Some(front) if *front == number => self.queue.pop_front().map_or((), |_| ()),
            _ => self.queue.retain(|other| *other != number),
        }
    }
    /// Looks through so many chunks for rows of removed ranges.
    fn sweep(&mut self, chunks: usize) {
        let end = self.swept.saturating_add(chunks).min(self.chunks.len());
        for number in self.swept..end {
            for slot in 0..self.chunks[number].slot_count() {
                let bytes = self.chunks[number].slot(slot);
                if let Some((half, key, _)) = parts(bytes)
                    && self.removed.covers(&bytes[key])
                {
                    self.remove_at(Place::new(number as u32, slot), half);
                }
            }
        }
        self.swept = end;
        if end == self.chunks.len() {
            self.removed = Ranges::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::BTreeMap;
    use crate::base::Random;
    use crate::lsm::entry::key_hash;

    #[test]
    fn rows_tell_the_newest_value_or_nothing() {
        let mut hits = 0;
        for seed in 0..60 {
            let mut random = Random::new(seed);
            let mut rows = Rows::new([0, 3_000, 40_000, 1 << 20][(seed % 4) as usize]);
            let mut model: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
            for _ in 0..2_000 {
                let key = alloc::vec![random.below(80) as u8; 1 + random.below(20) as usize];
                let hash = key_hash(&key) & 0x3f; // Many keys share a hash.
                match random.below(10) {
                    0..5 => {
                        let length = if random.below(20) == 0 { 3_000 } else { random.below(200) };
                        let value = alloc::vec![random.below(256) as u8; length as usize];
                        rows.put(&key, hash, &value);
                        model.insert(key, value);
                    }
                    5 => {
                        rows.remove(&key, hash);
                        model.remove(&key);
                    }
                    6 if random.below(5) == 0 => {
                        let to = alloc::vec![key[0].saturating_add(random.below(6) as u8); 3];
                        rows.remove_range(&Bytes::from(key.clone()), &Bytes::from(to.clone()));
                        model.retain(|other, _| *other < key || *other >= to);
                    }
                    _ => {
                        if let Some(value) = rows.get(&key, hash) {
                            assert_eq!(model.get(&key).map(|value| &value[..]), Some(&value[..]), "{seed}");
                            hits += 1;
                        }
                    }
                }
            }
            rows.check().unwrap();
        }
        assert!(hits > 1_000, "{hits} hits: hardly anything was there");
    }

    #[test]
    fn a_row_that_is_read_outlives_those_that_are_not() {
        let mut rows = Rows::new(64 << 10);
        let key = |number: u32| number.to_be_bytes();
        for number in 0..10_000 {
            rows.put(&key(number), key_hash(&key(number)), &[7; 100]);
            rows.get(&key(3), key_hash(&key(3)));
            for _ in 0..10 {
                rows.get(&key(2), key_hash(&key(2)));
            }
        }
        assert!(rows.get(&key(2), key_hash(&key(2))).is_some());
        assert!(rows.get(&key(5_000), key_hash(&key(5_000))).is_none());
        rows.check().unwrap();
    }
}

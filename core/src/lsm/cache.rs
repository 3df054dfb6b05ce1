//! Blocks of tables in memory.
//!
//! The clock algorithm: a hand goes round the slots and evicts the first one that was not used since it last came by.

use super::block::Block;
use alloc::vec::Vec;
use bytes::Bytes;
use core::hash::{BuildHasherDefault, Hasher};
use hashbrown::HashMap;

/// Bookkeeping of a cached block.
const SLOT_BYTES: u64 = 128;

/// What a block holds, checked.
#[derive(Debug, Clone)]
pub(super) enum Cached {
    Block(Block),
    Filter(Bytes),
}

impl Cached {
    fn bytes(&self) -> u64 {
        let bytes = match self {
            Cached::Block(block) => block.bytes(),
            Cached::Filter(bytes) => bytes,
        };
        bytes.len() as u64 + SLOT_BYTES
    }
}

/// A place in a table of an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct CacheKey {
    pub(super) space: u32,
    pub(super) table: u64,
    pub(super) offset: u64,
}

#[derive(Debug, Clone, Default)]
struct PlaceHasher(u64);

impl Hasher for PlaceHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }
    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }
    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0 ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 ^= self.0 >> 32;
    }
}

#[derive(Debug, Clone)]
struct Slot {
    key: CacheKey,
    content: Cached,
    is_used: bool,
}

/// Blocks of tables in memory, the most used ones, within a budget. Belongs to a driver, never to a machine. Data,
/// index and filter blocks share the budget.
#[derive(Debug, Clone)]
pub struct BlockCache {
    bytes_max: u64,
    bytes: u64,
    slots: Vec<Slot>,
    /// Looked up only: its order reaches nothing.
    places: HashMap<CacheKey, u32, BuildHasherDefault<PlaceHasher>>,
    hand: usize,
    hits: u64,
    misses: u64,
}

impl BlockCache {
    /// A cache of at most `bytes`.
    pub fn new(bytes: u64) -> BlockCache {
        BlockCache {
            bytes_max: bytes,
            bytes: 0,
            slots: Vec::new(),
            places: HashMap::default(),
            hand: 0,
            hits: 0,
            misses: 0,
        }
    }
    /// Bytes in it now.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
    /// Look-ups that found their block.
    pub fn hits(&self) -> u64 {
        self.hits
    }
    /// Look-ups that had to read.
    pub fn misses(&self) -> u64 {
        self.misses
    }

    #[inline]
    pub(super) fn get(&mut self, key: CacheKey) -> Option<&Cached> {
        let Some(index) = self.places.get(&key) else {
            self.misses += 1;
            return None;
        };
        self.hits += 1;
        let slot = &mut self.slots[*index as usize];
        slot.is_used = true;
        Some(&slot.content)
    }
    pub(super) fn insert(&mut self, key: CacheKey, content: Cached) {
        let bytes = content.bytes();
        if bytes > self.bytes_max || self.places.contains_key(&key) {
            return;
        }
        while self.bytes + bytes > self.bytes_max {
            self.evict();
        }
        self.bytes += bytes;
        self.places.insert(key, self.slots.len() as u32);
        self.slots.push(Slot { key, content, is_used: false });
    }
    /// Forgets what `is_gone` names.
    pub(super) fn retain(&mut self, is_kept: impl Fn(&CacheKey) -> bool) {
        let mut index = 0;
        while index < self.slots.len() {
            if is_kept(&self.slots[index].key) {
                index += 1;
            } else {
                self.remove(index);
            }
        }
    }
    fn evict(&mut self) {
        loop {
            if self.hand >= self.slots.len() {
                self.hand = 0;
            }
            let Some(slot) = self.slots.get_mut(self.hand) else { return };
            if !core::mem::take(&mut slot.is_used) {
                // The newest slot moves here; the hand goes past it, or what is new would always be next.
                self.remove(self.hand);
                self.hand += 1;
                return;
            }
            self.hand += 1;
        }
    }
    fn remove(&mut self, index: usize) {
        let slot = self.slots.swap_remove(index);
        self.places.remove(&slot.key);
        self.bytes -= slot.content.bytes();
        if let Some(moved) = self.slots.get(index) {
            self.places.insert(moved.key, index as u32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(offset: u64) -> CacheKey {
        CacheKey { space: 0, table: 1, offset }
    }

    #[test]
    fn the_budget_is_kept_and_what_is_used_stays() {
        let mut cache = BlockCache::new(10 * (100 + SLOT_BYTES));
        for offset in 0..1000 {
            cache.insert(key(offset), Cached::Filter(Bytes::from(alloc::vec![0; 100])));
            assert!(cache.bytes() <= 10 * (100 + SLOT_BYTES));
            assert!(cache.get(key(0)).is_some(), "used each time, evicted at {offset}");
            assert!(cache.places.contains_key(&key(offset)));
        }
        assert_eq!(cache.slots.len(), cache.places.len());
        cache.retain(|key| key.offset == 0);
        assert_eq!(cache.slots.len(), 1);
        cache.insert(key(5000), Cached::Filter(Bytes::from(alloc::vec![0; 10_000])));
        assert!(cache.get(key(5000)).is_none(), "larger than the cache");
    }
}

//! The latest writes, in memory, in order of key.
//!
//! Batches are copied whole into an append-only arena; slots hold slices of it and stay where they are. A hash index finds
//! the slot of a key, for point reads and overwriting; a B+-tree of slot numbers has them in order. Its nodes keep eight
//! bytes of each key inline, those behind what all their keys begin with, so that a search follows few pointers. Leaves
//! are linked both ways, so that scans need no stack. A key is there once: overwriting replaces its slot in place.
//!
//! One writer. A frozen memtable is shared behind an `Arc` and never changes.

use super::{
    batch::{Op, Ops},
    entry::{Kind, key_prefix, spread},
    ranges::Ranges,
};
use crate::base::{DecodeError, checksum_seeded};
use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};
use core::{cmp::Ordering, ops::Range};
use hashbrown::HashTable;
use smallvec::SmallVec;

/// Slots of a leaf. Inserting moves half of them on average: 48 × 12 bytes is a few cache lines.
const LEAF_SLOT_COUNT: usize = 48;
/// Slots that are allocated at once: a vector of all would be copied whenever it grows.
const SLOT_CHUNK_COUNT: usize = 1 << 10;
/// Children of an inner node.
const INNER_CHILD_COUNT: usize = 64;
/// Bytes of an arena chunk, unless the memtable is smaller or a batch larger.
const CHUNK_BYTES: usize = 256 << 10;
/// What a record costs beside its bytes: its slot, its place in the index, number and prefix at the usual fill of leaves.
pub(super) const SLOT_OVERHEAD_BYTES: u64 = 64;
/// Nodes are half full at least but at the right edge, so 2^32 leaves are never this deep.
const HEIGHT_MAX: usize = 16;
const NONE: u32 = u32::MAX;

/// A record: key and value are neighbours in the arena.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    bytes: Bytes,
    key_len: u32,
    pub(super) kind: Kind,
}

impl Slot {
    #[inline]
    pub(super) fn key(&self) -> &[u8] {
        &self.bytes[..self.key_len as usize]
    }
    pub(super) fn key_bytes(&self) -> Bytes {
        self.bytes.slice(..self.key_len as usize)
    }
    pub(super) fn value(&self) -> Bytes {
        self.bytes.slice(self.key_len as usize..)
    }
    pub(super) fn value_slice(&self) -> &[u8] {
        &self.bytes[self.key_len as usize..]
    }
}

/// Where a cursor stands: a leaf and a slot in it. `None` is past the end.
pub(super) type Position = Option<(u32, u32)>;

/// All slots that were ever filled, by number.
#[derive(Debug, Clone, Default)]
struct Slots {
    chunks: Vec<Vec<Slot>>,
    count: u32,
}

impl Slots {
    #[inline]
    fn at(&self, number: u32) -> &Slot {
        let number = number as usize;
        &self.chunks[number / SLOT_CHUNK_COUNT][number % SLOT_CHUNK_COUNT]
    }
    fn at_mut(&mut self, number: u32) -> &mut Slot {
        let number = number as usize;
        &mut self.chunks[number / SLOT_CHUNK_COUNT][number % SLOT_CHUNK_COUNT]
    }
    #[inline]
    fn key(&self, number: u32) -> &[u8] {
        self.at(number).key()
    }
    fn push(&mut self, slot: Slot) -> u32 {
        let number = self.count;
        self.count += 1;
        match self.chunks.last_mut() {
            Some(chunk) if chunk.len() < SLOT_CHUNK_COUNT => chunk.push(slot),
            // The first chunk grows as it is needed: most memtables of tests and small shards stay in it.
            None => self.chunks.push(alloc::vec![slot]),
            Some(_) => {
                let mut chunk = Vec::with_capacity(SLOT_CHUNK_COUNT);
                chunk.push(slot);
                self.chunks.push(chunk);
            }
        }
        number
    }
}

/// Slot numbers by hash of key. Half of the hash is kept beside them, so that growing reads no keys and few wrong slots
/// are looked at. Looked up only: its order reaches nothing.
#[derive(Debug, Clone, Default)]
struct Index(HashTable<(u32, u32)>);

impl Index {
    #[inline]
    fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let half = hash as u32;
        let found = self.0.find(spread(half), |(other, number)| *other == half && is_it(*number));
        found.map(|(_, number)| *number)
    }
    fn insert(&mut self, hash: u64, number: u32) {
        let half = hash as u32;
        self.0.insert_unique(spread(half), (half, number), |(half, _)| spread(*half));
    }
    fn remove(&mut self, hash: u64, number: u32) {
        let half = hash as u32;
        if let Ok(found) = self.0.find_entry(spread(half), |(_, other)| *other == number) {
            found.remove();
        }
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Memtable {
    tree: Tree,
    pub(super) ranges: Ranges,
    arena: BytesMut,
    chunk_bytes: usize,
    arena_bytes: u64,
}

impl Memtable {
    pub(super) fn new(memtable_bytes: u32, hash_seed: u64) -> Memtable {
        let tree = Tree { hash_seed, ..Tree::default() };
        Memtable { tree, chunk_bytes: CHUNK_BYTES.min(memtable_bytes as usize), ..Memtable::default() }
    }
    /// The hash by which the record of a key is found in this memtable.
    #[inline]
    pub(super) fn hash(&self, key: &[u8]) -> u64 {
        self.tree.hash(key)
    }
    /// Bytes it takes, about, those of overwritten records included.
    pub(super) fn bytes(&self) -> u64 {
        self.arena_bytes + self.tree.count * SLOT_OVERHEAD_BYTES + self.ranges.bytes()
    }
    /// Records in it.
    pub(super) fn count(&self) -> u64 {
        self.tree.count
    }
    pub(super) fn is_empty(&self) -> bool {
        self.tree.count == 0 && self.ranges.is_empty()
    }
    /// Applies the changes of a batch in order. An error leaves those before it applied.
    pub(super) fn apply(&mut self, batch: &[u8]) -> Result<(), DecodeError> {
        let stored = self.store(batch);
        let mut ops = Ops::new(batch);
        while let Some(op) = ops.next()? {
            match op {
                Op::Write { kind, key, key_len, end } => {
                    self.tree.insert(Slot { bytes: stored.slice(key..end), key_len: key_len as u32, kind });
                }
                Op::DeleteRange { from, from_len, end } => {
                    let (from, to) =
                        (stored.slice(from..from + from_len), stored.slice(from + from_len..end));
                    self.tree.remove_range(&from, &to);
                    self.ranges.insert(from, to);
                }
            }
        }
        Ok(())
    }
    /// The record of `key`, whose [`Memtable::hash`] is `hash`.
    #[inline]
    pub(super) fn get(&self, key: &[u8], hash: u64) -> Option<&Slot> {
        let number = self.tree.find(key, hash)?;
        Some(self.tree.slots.at(number))
    }
    pub(super) fn slot(&self, position: Position) -> Option<&Slot> {
        let (leaf, index) = position?;
        let number = self.tree.leaves.get(leaf as usize)?.numbers.get(index as usize)?;
        Some(self.tree.slots.at(*number))
    }
    /// The first record at or after `key`.
    pub(super) fn seek(&self, key: &[u8]) -> Position {
        let (leaf, index) = self.tree.lower_bound(key);
        self.tree.forward(leaf, index)
    }
    /// The last record before `key`.
    pub(super) fn seek_before(&self, key: &[u8]) -> Position {
        let (leaf, index) = self.tree.lower_bound(key);
        self.tree.backward(leaf, index)
    }
    pub(super) fn first(&self) -> Position {
        self.tree.forward(self.tree.first_leaf(), 0)
    }
    pub(super) fn next(&self, position: Position) -> Position {
        let (leaf, index) = position?;
        self.tree.forward(leaf, index + 1)
    }
    pub(super) fn previous(&self, position: Position) -> Position {
        let (leaf, index) = position?;
        self.tree.backward(leaf, index)
    }
    /// Whether the tree is a tree: for tests and [`super::Db::check`].
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let (mut position, mut count, mut last) = (self.first(), 0u64, None::<Bytes>);
        while let Some(slot) = self.slot(position) {
            if last.as_ref().is_some_and(|last| last[..] >= *slot.key()) {
                return Err("memtable keys are out of order");
            }
            if self.get(slot.key(), self.hash(slot.key())).is_none_or(|found| !core::ptr::eq(found, slot)) {
                return Err("memtable index does not lead to a record");
            }
            last = Some(slot.key_bytes());
            count += 1;
            position = self.next(position);
        }
        if count != self.tree.index.0.len() as u64 {
            return Err("memtable index has a record that is not in order");
        }
        if count == self.tree.count { Ok(()) } else { Err("memtable count is not that of its records") }
    }

    /// Copies `bytes` into the arena.
    fn store(&mut self, bytes: &[u8]) -> Bytes {
        if self.arena.capacity() < bytes.len() {
            let capacity = self.chunk_bytes.max(bytes.len());
            self.arena = BytesMut::with_capacity(capacity);
        }
        self.arena.extend_from_slice(bytes);
        self.arena_bytes += bytes.len() as u64;
        self.arena.split().freeze()
    }
}

#[derive(Debug, Clone)]
struct Tree {
    /// A leaf if `height` is 0.
    root: u32,
    height: u32,
    inners: Vec<Inner>,
    leaves: Vec<Leaf>,
    slots: Slots,
    index: Index,
    hash_seed: u64,
    count: u64,
}

/// Eight bytes of each key of a node, as numbers that order as the keys do, but for ties.
#[derive(Debug, Clone, Default)]
struct Heads {
    /// All keys of the node begin with this; the heads are what follows it.
    common: SmallVec<[u8; 24]>,
    heads: Vec<u64>,
}

impl Heads {
    /// Keys before the range are below `key`, keys behind it are above; those within have its head.
    #[inline]
    fn locate(&self, key: &[u8]) -> Range<usize> {
        let skip = self.common.len();
        match key[..key.len().min(skip)].cmp(&self.common) {
            Ordering::Less => 0..0,
            Ordering::Greater => self.heads.len()..self.heads.len(),
            Ordering::Equal => {
                let head = key_prefix(&key[skip..]);
                let start = self.heads.partition_point(|other| *other < head);
                let ties = self.heads[start..].iter().take_while(|other| **other == head).count();
                start..start + ties
            }
        }
    }
    /// Makes room for `key`, which will be the key of that index. `key_of` gives the keys of before.
    fn insert<'a>(&mut self, index: usize, key: &[u8], key_of: impl Fn(usize) -> &'a [u8]) {
        let shared = if self.heads.is_empty() { 0 } else { common_len(&self.common, key) };
        if shared < self.common.len() {
            self.common.truncate(shared);
            for (at, head) in self.heads.iter_mut().enumerate() {
                *head = key_prefix(&key_of(at)[shared..]);
            }
        }
        self.heads.insert(index, key_prefix(&key[shared..]));
    }
    /// Takes the heads from `at` on.
    fn split_off(&mut self, at: usize) -> Heads {
        Heads { common: self.common.clone(), heads: self.heads.split_off(at) }
    }
    /// Skips what all keys, of which these are the first and the last one, begin with, if that is worth it.
    fn tighten<'a>(&mut self, key_of: impl Fn(usize) -> &'a [u8]) {
        let Some(last) = self.heads.len().checked_sub(1) else { return };
        let (first, last) = (key_of(0), key_of(last));
        let shared = common_len(first, last);
        if shared >= self.common.len() + 4 {
            self.common = SmallVec::from_slice(&first[..shared]);
            for (at, head) in self.heads.iter_mut().enumerate() {
                *head = key_prefix(&key_of(at)[shared..]);
            }
        }
    }
}

fn common_len(one: &[u8], two: &[u8]) -> usize {
    one.iter().zip(two).take_while(|(one, two)| one == two).count()
}

#[derive(Debug, Clone, Default)]
struct Leaf {
    heads: Heads,
    /// Of slots, in order of their keys.
    numbers: Vec<u32>,
    next: u32,
    previous: u32,
}

/// `children[i]` holds the keys below `keys[i]` and at or above `keys[i − 1]`.
#[derive(Debug, Clone, Default)]
struct Inner {
    heads: Heads,
    keys: Vec<Bytes>,
    children: Vec<u32>,
}

impl Default for Tree {
    fn default() -> Tree {
        let leaf = Leaf { next: NONE, previous: NONE, ..Leaf::default() };
        Tree {
            root: 0,
            height: 0,
            inners: Vec::new(),
            leaves: alloc::vec![leaf],
            slots: Slots::default(),
            index: Index::default(),
            hash_seed: 0,
            count: 0,
        }
    }
}

impl Leaf {
    /// The first slot whose key is not below `key`.
    #[inline]
    fn find(&self, key: &[u8], slots: &Slots) -> usize {
        let ties = self.heads.locate(key);
        ties.start + self.numbers[ties].partition_point(|number| slots.key(*number) < key)
    }
    fn insert(&mut self, index: usize, number: u32, slots: &Slots) {
        let numbers = &self.numbers;
        self.heads.insert(index, slots.key(number), |at| slots.key(numbers[at]));
        self.numbers.insert(index, number);
    }
    fn tighten(&mut self, slots: &Slots) {
        let numbers = &self.numbers;
        self.heads.tighten(|at| slots.key(numbers[at]));
    }
}

impl Inner {
    /// Which child may hold `key`.
    #[inline]
    fn child_of(&self, key: &[u8]) -> usize {
        let ties = self.heads.locate(key);
        ties.start + self.keys[ties].partition_point(|other| &other[..] <= key)
    }
    fn insert(&mut self, index: usize, separator: Bytes, child: u32) {
        let keys = &self.keys;
        self.heads.insert(index, &separator, |at| &keys[at]);
        self.keys.insert(index, separator);
        self.children.insert(index + 1, child);
    }
    fn tighten(&mut self) {
        let keys = &self.keys;
        self.heads.tighten(|at| &keys[at]);
    }
}

impl Tree {
    #[inline]
    fn hash(&self, key: &[u8]) -> u64 {
        checksum_seeded(key, self.hash_seed)
    }
    #[inline]
    fn leaf_of(&self, key: &[u8]) -> u32 {
        let mut node = self.root;
        for _ in 0..self.height {
            let inner = &self.inners[node as usize];
            node = inner.children[inner.child_of(key)];
        }
        node
    }
    /// The number of the slot of `key`.
    #[inline]
    fn find(&self, key: &[u8], hash: u64) -> Option<u32> {
        self.index.find(hash, |number| self.slots.key(number) == key)
    }
    fn lower_bound(&self, key: &[u8]) -> (u32, u32) {
        let leaf = self.leaf_of(key);
        (leaf, self.leaves[leaf as usize].find(key, &self.slots) as u32)
    }
    fn first_leaf(&self) -> u32 {
        let mut node = self.root;
        for _ in 0..self.height {
            node = self.inners[node as usize].children[0];
        }
        node
    }
    /// The slot at `index` of `leaf`, or the first one of a later leaf. Removed ranges leave empty leaves behind.
    fn forward(&self, mut leaf: u32, mut index: u32) -> Position {
        while leaf != NONE {
            let here = &self.leaves[leaf as usize];
            if (index as usize) < here.numbers.len() {
                return Some((leaf, index));
            }
            (leaf, index) = (here.next, 0);
        }
        None
    }
    /// The slot before `index` of `leaf`, or the last one of an earlier leaf.
    fn backward(&self, mut leaf: u32, mut index: u32) -> Position {
        while index == 0 {
            leaf = self.leaves[leaf as usize].previous;
            if leaf == NONE {
                return None;
            }
            index = self.leaves[leaf as usize].numbers.len() as u32;
        }
        Some((leaf, index - 1))
    }

    fn insert(&mut self, slot: Slot) {
        let hash = self.hash(slot.key());
        if let Some(number) = self.find(slot.key(), hash) {
            *self.slots.at_mut(number) = slot;
            return;
        }
        let mut path = [(0u32, 0u32); HEIGHT_MAX];
        let mut node = self.root;
        for step in &mut path[..self.height as usize] {
            let inner = &self.inners[node as usize];
            let child = inner.child_of(slot.key());
            *step = (node, child as u32);
            node = inner.children[child];
        }
        let index = self.leaves[node as usize].find(slot.key(), &self.slots);
        let number = self.slots.push(slot);
        self.index.insert(hash, number);
        self.count += 1;
        let slots = &self.slots;
        let new = self.leaves.len() as u32;
        let leaf = &mut self.leaves[node as usize];
        if leaf.numbers.len() < LEAF_SLOT_COUNT {
            leaf.insert(index, number, slots);
            return;
        }
        // Keys that come in order fill their leaves: only a leaf in the middle is halved.
        let is_last = leaf.next == NONE && index == leaf.numbers.len();
        let at = if is_last { index } else { leaf.numbers.len() / 2 };
        let mut right = Leaf {
            heads: leaf.heads.split_off(at),
            numbers: leaf.numbers.split_off(at),
            next: leaf.next,
            previous: node,
        };
        let next = core::mem::replace(&mut leaf.next, new);
        if is_last {
            right.insert(0, number, slots);
        } else if index <= at {
            leaf.insert(index, number, slots);
        } else {
            right.insert(index - at, number, slots);
        }
        leaf.tighten(slots);
        right.tighten(slots);
        let separator = slots.at(right.numbers[0]).key_bytes();
        self.leaves.push(right);
        if next != NONE {
            self.leaves[next as usize].previous = new;
        }
        self.insert_child(&path[..self.height as usize], separator, new);
    }

    /// Hangs `child`, whose keys start at `separator`, right of where `path` went.
    fn insert_child(&mut self, path: &[(u32, u32)], mut separator: Bytes, mut child: u32) {
        for (node, index) in path.iter().rev() {
            let inner = &mut self.inners[*node as usize];
            inner.insert(*index as usize, separator, child);
            if inner.children.len() <= INNER_CHILD_COUNT {
                return;
            }
            let is_last = *index as usize + 2 == inner.children.len();
            let at = if is_last { inner.keys.len() - 1 } else { inner.keys.len() / 2 };
            let mut right = Inner {
                heads: inner.heads.split_off(at + 1),
                keys: inner.keys.split_off(at + 1),
                children: inner.children.split_off(at + 1),
            };
            inner.heads.heads.truncate(at);
            let middle = inner.keys.pop();
            inner.tighten();
            right.tighten();
            separator = middle.expect("a node that is split has keys on both sides of `at`");
            child = self.inners.len() as u32;
            self.inners.push(right);
        }
        let mut root = Inner { children: alloc::vec![self.root], ..Inner::default() };
        root.insert(0, separator, child);
        self.root = self.inners.len() as u32;
        self.inners.push(root);
        self.height += 1;
    }

    fn remove_range(&mut self, from: &[u8], to: &[u8]) {
        let (mut leaf, start) = self.lower_bound(from);
        let mut start = start as usize;
        while leaf != NONE {
            let here = &mut self.leaves[leaf as usize];
            let slots = &self.slots;
            let end = here.numbers.partition_point(|number| slots.key(*number) < to).max(start);
            self.count -= (end - start) as u64;
            for number in here.numbers.drain(start..end) {
                self.index.remove(checksum_seeded(slots.key(number), self.hash_seed), number);
            }
            here.heads.heads.drain(start..end);
            if start < here.numbers.len() {
                return;
            }
            (leaf, start) = (here.next, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::BTreeMap;
    use crate::{base::Random, lsm::Batch};

    #[test]
    fn the_tree_agrees_with_a_btree_map() {
        for seed in 0..60 {
            let mut random = Random::new(seed);
            let mut memtable = Memtable::new(1 << 12, 7);
            let mut model = BTreeMap::<Vec<u8>, (Kind, Vec<u8>)>::new();
            let key_count = [10, 300, 5000][random.below(3) as usize];
            let is_sequential = random.chance(1, 4);
            let key = |number: u64| match seed % 3 {
                0 => number.to_be_bytes().to_vec(),
                1 => alloc::format!("a long common prefix {number}").into_bytes(),
                _ => alloc::format!("{number}").into_bytes(),
            };
            for step in 0..random.between(1, 4000) {
                let mut batch = Batch::new();
                let number = if is_sequential { step } else { random.below(key_count) };
                match random.below(200) {
                    0 => {
                        let (from, to) = (key(number), key(random.below(key_count)));
                        batch.delete_range(&from, &to);
                        model.retain(|key, _| !(from <= *key && *key < to));
                        if batch.is_empty() {
                            continue;
                        }
                    }
                    1..20 => {
                        batch.delete(&key(number));
                        model.insert(key(number), (Kind::Deleted, Vec::new()));
                    }
                    _ => {
                        batch.put(&key(number), &step.to_le_bytes(), false);
                        model.insert(key(number), (Kind::Live, step.to_le_bytes().to_vec()));
                    }
                }
                memtable.apply(batch.as_bytes()).unwrap();
            }
            memtable.check().unwrap();
            let mut position = memtable.first();
            for (key, (kind, value)) in &model {
                let slot = memtable.slot(position).unwrap();
                assert_eq!(
                    (slot.key(), slot.kind, slot.value_slice()),
                    (&key[..], *kind, &value[..]),
                    "seed {seed}"
                );
                assert_eq!(memtable.get(key, memtable.hash(key)).unwrap().value(), *value);
                position = memtable.next(position);
            }
            assert_eq!(position, None);
            for _ in 0..50 {
                let probe = key(random.below(key_count + 1));
                assert_eq!(memtable.get(&probe, memtable.hash(&probe)).is_some(), model.contains_key(&probe));
                let at = memtable.slot(memtable.seek(&probe)).map(|slot| slot.key().to_vec());
                assert_eq!(at.as_ref(), model.range(probe.clone()..).next().map(|(key, _)| key));
                let mut back = memtable.seek_before(&probe);
                for (key, _) in model.range(..probe.clone()).rev().take(100) {
                    assert_eq!(memtable.slot(back).unwrap().key(), key);
                    back = memtable.previous(back);
                }
            }
        }
    }
}

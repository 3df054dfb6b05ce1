//! The anti-entropy tree of one partition: 32 branches of 32 leaves, each the wrapping sum of its cells' hashes.
//!
//! Sums, not XOR: two equal faults would cancel. An empty branch costs one word. Derived state: it can be rebuilt from the
//! cells, and is at every start (the design's end is to keep it with the flush; until then opening reads all cells).

use crate::base::{Bug, Micros, Sabotage, hash_key, hash128_seeded};
use crate::message::TreeSums;
use alloc::boxed::Box;

/// Branches of a tree, and leaves of a branch.
pub(super) const FANOUT: usize = 32;

/// The hash by which a cell counts in its leaf: over its bytes, bound to its key.
pub(super) fn cell_sum(key_hash: u64, cell: &[u8]) -> u128 {
    hash128_seeded(cell, key_hash)
}

/// A 64-bit name of a cell's bytes under a key, for key digests.
pub(super) fn cell_digest(key: &[u8], cell: &[u8]) -> u64 {
    cell_sum(hash_key(key), cell) as u64
}

/// What one key adds to its tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Weight {
    pub sum: u128,
    /// Only tombstones.
    pub is_dead: bool,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Tree {
    branches: [Option<Box<[u128; FANOUT]>>; FANOUT],
    sums: [u128; FANOUT],
    root: u128,
    /// Keys that are not only tombstones.
    pub live: u32,
    /// Keys that are only tombstones.
    pub dead: u32,
    /// When it last changed, on this process's clock.
    pub changed: Micros,
    /// When it was last compared although it had just changed.
    pub compared: Micros,
}

fn leaf_of(hash: u32) -> (usize, usize) {
    let leaf = (hash >> 22) as usize;
    (leaf / FANOUT, leaf % FANOUT)
}

/// First and last hash of some leaves of a branch, both inclusive.
pub(super) fn leaves_range(branch: u8, first: u8, last: u8) -> (u32, u32) {
    let leaf = |index: u8| (u32::from(branch) * FANOUT as u32 + u32::from(index)) << 22;
    (leaf(first), leaf(last) | ((1 << 22) - 1))
}

impl Tree {
    /// One key changed from `old` to `new`.
    pub fn change(
        &mut self,
        now: Micros,
        hash: u32,
        old: Option<Weight>,
        new: Option<Weight>,
        sabotage: Sabotage,
    ) {
        let (branch, leaf) = leaf_of(hash);
        let mut delta = new.map_or(0, |weight| weight.sum);
        if let Some(old) = old {
            if !sabotage.is(Bug::TreeKeepsOldHash) {
                delta = delta.wrapping_sub(old.sum);
            }
            *self.count(old.is_dead) -= 1;
        }
        if let Some(new) = new {
            *self.count(new.is_dead) += 1;
        }
        let leaves = self.branches[branch].get_or_insert_with(|| Box::new([0; FANOUT]));
        leaves[leaf] = leaves[leaf].wrapping_add(delta);
        self.sums[branch] = self.sums[branch].wrapping_add(delta);
        self.root = self.root.wrapping_add(delta);
        self.changed = now;
    }
    fn count(&mut self, is_dead: bool) -> &mut u32 {
        if is_dead { &mut self.dead } else { &mut self.live }
    }
    pub fn root(&self) -> u128 {
        self.root
    }
    pub fn branch_sums(&self) -> TreeSums {
        self.sums
    }
    pub fn leaf_sums(&self, branch: u8) -> TreeSums {
        self.branches[usize::from(branch) % FANOUT].as_ref().map_or([0; FANOUT], |leaves| **leaves)
    }
    pub fn is_empty(&self) -> bool {
        self.live == 0 && self.dead == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_the_same_however_it_was_built() {
        let weight = |n: u128| Some(Weight { sum: n, is_dead: false });
        let (mut a, mut b) = (Tree::default(), Tree::default());
        a.change(Micros(1), 5, None, weight(7), Sabotage::NONE);
        a.change(Micros(2), 5, weight(7), weight(9), Sabotage::NONE);
        a.change(Micros(3), u32::MAX, None, weight(11), Sabotage::NONE);
        b.change(Micros(4), u32::MAX, None, weight(11), Sabotage::NONE);
        b.change(Micros(5), 5, None, weight(9), Sabotage::NONE);
        assert_eq!(
            (a.root(), a.branch_sums(), a.leaf_sums(31)),
            (b.root(), b.branch_sums(), b.leaf_sums(31))
        );
        assert_eq!((a.live, a.dead), (2, 0));
        a.change(Micros(6), 5, weight(9), None, Sabotage::NONE);
        a.change(Micros(6), u32::MAX, weight(11), None, Sabotage::NONE);
        assert!(a.is_empty() && a.root() == 0);
    }

    #[test]
    fn leaves_cover_the_hashes_without_a_gap() {
        assert_eq!(leaves_range(0, 0, 0), (0, (1 << 22) - 1));
        assert_eq!(leaves_range(31, 31, 31).1, u32::MAX);
        assert_eq!(leaves_range(3, 4, 4).1 + 1, leaves_range(3, 5, 5).0);
        let (from, to) = leaves_range(7, 9, 9);
        assert_eq!((leaf_of(from), leaf_of(to)), ((7, 9), (7, 9)));
    }
}

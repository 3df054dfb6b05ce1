use super::shard::{OpId, Running};
use crate::base::Order;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::hash::{BuildHasherDefault, Hasher};
use hashbrown::HashMap;

/// Numbers of operations follow each other: one multiplication spreads them.
#[derive(Debug, Clone, Default)]
struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }
    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0 ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// The operations in flight. They are large and many times looked up: each lies in a box of its own, so that none is moved
/// when another one begins or ends.
#[derive(Debug, Clone, Default)]
pub(super) struct Ops(HashMap<OpId, Box<Running>, BuildHasherDefault<NumberHasher>>);

impl Ops {
    #[inline]
    pub fn get(&self, id: &OpId) -> Option<&Running> {
        self.0.get(id).map(|op| &**op)
    }
    #[inline]
    pub fn get_mut(&mut self, id: &OpId) -> Option<&mut Running> {
        self.0.get_mut(id).map(|op| &mut **op)
    }
    #[inline]
    pub fn contains_key(&self, id: &OpId) -> bool {
        self.0.contains_key(id)
    }
    #[inline]
    pub fn insert(&mut self, id: OpId, op: Running) {
        self.0.insert(id, Box::new(op));
    }
    #[inline]
    pub fn remove(&mut self, id: &OpId) -> Option<Running> {
        self.0.remove(id).map(|op| *op)
    }
    pub fn len(&self) -> usize {
        self.0.len()
    }
    /// All of them, in order: what is done to each must not depend on where it lies.
    pub fn ids(&self) -> Vec<OpId> {
        let mut ids: Vec<OpId> = self.0.keys().copied().collect();
        ids.order();
        ids
    }
}

//! Maps and sets in order of their keys.
//!
//! Natively those of `alloc`. In WebAssembly each type of them costs some kilobytes of code, and core has many: there they
//! are sorted arrays, which do the same in a fifth of it. Order is all that a run depends on, and it is the same; that they
//! agree is tested. Inserting in the middle costs a move of what lies behind, so a map there is good for thousands.

#[cfg(not(target_arch = "wasm32"))]
pub use alloc::collections::{BTreeMap, BTreeSet};

#[cfg(target_arch = "wasm32")]
pub use lean::{BTreeMap, BTreeSet};

#[cfg(any(test, target_arch = "wasm32"))]
#[allow(missing_docs, reason = "each does what it does in alloc")]
mod lean {
    use alloc::vec::{self, Vec};
    use core::borrow::Borrow;
    use core::fmt;
    use core::ops::{Bound, RangeBounds};
    use core::slice;

    /// A map that does as `alloc`'s.
    #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct BTreeMap<K, V> {
        /// In order of their keys, each once.
        entries: Vec<(K, V)>,
    }

    /// A set that does as `alloc`'s.
    #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct BTreeSet<K> {
        /// In order, each once.
        keys: Vec<K>,
    }

    /// A place for a key.
    pub enum Entry<'a, K, V> {
        Occupied(&'a mut V),
        Vacant(&'a mut Vec<(K, V)>, usize, K),
    }

    impl<'a, K, V> Entry<'a, K, V> {
        pub fn or_insert_with(self, value: impl FnOnce() -> V) -> &'a mut V {
            match self {
                Entry::Occupied(value) => value,
                Entry::Vacant(entries, at, key) => {
                    entries.insert(at, (key, value()));
                    &mut entries[at].1
                }
            }
        }
        pub fn or_insert(self, value: V) -> &'a mut V {
            self.or_insert_with(|| value)
        }
        pub fn or_default(self) -> &'a mut V
        where
            V: Default,
        {
            self.or_insert_with(V::default)
        }
        pub fn and_modify(mut self, change: impl FnOnce(&mut V)) -> Self {
            if let Entry::Occupied(value) = &mut self {
                change(value);
            }
            self
        }
    }

    /// Where a range of keys lies among `count` of them.
    fn span<T, Q: ?Sized>(
        entries: &[T],
        bounds: (Bound<&Q>, Bound<&Q>),
        is_below: impl Fn(&T, &Q) -> bool,
        is_at_most: impl Fn(&T, &Q) -> bool,
    ) -> (usize, usize) {
        let from = match bounds.0 {
            Bound::Included(key) => entries.partition_point(|entry| is_below(entry, key)),
            Bound::Excluded(key) => entries.partition_point(|entry| is_at_most(entry, key)),
            Bound::Unbounded => 0,
        };
        let to = match bounds.1 {
            Bound::Included(key) => entries.partition_point(|entry| is_at_most(entry, key)),
            Bound::Excluded(key) => entries.partition_point(|entry| is_below(entry, key)),
            Bound::Unbounded => entries.len(),
        };
        (from, to.max(from))
    }

    impl<K, V> BTreeMap<K, V> {
        pub const fn new() -> Self {
            BTreeMap { entries: Vec::new() }
        }
        pub fn len(&self) -> usize {
            self.entries.len()
        }
        pub fn is_empty(&self) -> bool {
            self.entries.is_empty()
        }
        pub fn clear(&mut self) {
            self.entries.clear();
        }
        pub fn iter(&self) -> Iter<'_, K, V> {
            Iter(self.entries.iter())
        }
        pub fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = (&K, &mut V)> + ExactSizeIterator {
            self.entries.iter_mut().map(|(key, value)| (&*key, value))
        }
        pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> + ExactSizeIterator + Clone {
            self.entries.iter().map(|(key, _)| key)
        }
        pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> + ExactSizeIterator + Clone {
            self.entries.iter().map(|(_, value)| value)
        }
        pub fn values_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut V> + ExactSizeIterator {
            self.entries.iter_mut().map(|(_, value)| value)
        }
        pub fn into_values(self) -> impl DoubleEndedIterator<Item = V> + ExactSizeIterator {
            self.entries.into_iter().map(|(_, value)| value)
        }
        pub fn into_keys(self) -> impl DoubleEndedIterator<Item = K> + ExactSizeIterator {
            self.entries.into_iter().map(|(key, _)| key)
        }
        pub fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
            self.entries.retain_mut(|(key, value)| keep(key, value));
        }
        pub fn first_key_value(&self) -> Option<(&K, &V)> {
            self.entries.first().map(|(key, value)| (key, value))
        }
        pub fn last_key_value(&self) -> Option<(&K, &V)> {
            self.entries.last().map(|(key, value)| (key, value))
        }
        pub fn pop_first(&mut self) -> Option<(K, V)> {
            if self.entries.is_empty() { None } else { Some(self.entries.remove(0)) }
        }
        pub fn pop_last(&mut self) -> Option<(K, V)> {
            self.entries.pop()
        }
    }

    impl<K: Ord, V> BTreeMap<K, V> {
        fn find<Q: Ord + ?Sized>(&self, key: &Q) -> Result<usize, usize>
        where
            K: Borrow<Q>,
        {
            self.entries.binary_search_by(|(known, _)| known.borrow().cmp(key))
        }
        pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
        where
            K: Borrow<Q>,
        {
            self.find(key).ok().map(|at| &self.entries[at].1)
        }
        pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
        where
            K: Borrow<Q>,
        {
            self.find(key).ok().map(|at| &mut self.entries[at].1)
        }
        pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
        where
            K: Borrow<Q>,
        {
            self.find(key).is_ok()
        }
        pub fn insert(&mut self, key: K, value: V) -> Option<V> {
            match self.find(&key) {
                Ok(at) => Some(core::mem::replace(&mut self.entries[at].1, value)),
                Err(at) => {
                    self.entries.insert(at, (key, value));
                    None
                }
            }
        }
        pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
        where
            K: Borrow<Q>,
        {
            self.find(key).ok().map(|at| self.entries.remove(at).1)
        }
        pub fn entry(&mut self, key: K) -> Entry<'_, K, V> {
            match self.find(&key) {
                Ok(at) => Entry::Occupied(&mut self.entries[at].1),
                Err(at) => Entry::Vacant(&mut self.entries, at, key),
            }
        }
        pub fn range<Q: Ord + ?Sized>(&self, bounds: impl RangeBounds<Q>) -> Iter<'_, K, V>
        where
            K: Borrow<Q>,
        {
            let bounds = (bounds.start_bound(), bounds.end_bound());
            let (from, to) =
                span(&self.entries, bounds, |e, key| e.0.borrow() < key, |e, key| e.0.borrow() <= key);
            Iter(self.entries[from..to].iter())
        }
        pub fn split_off<Q: Ord + ?Sized>(&mut self, key: &Q) -> Self
        where
            K: Borrow<Q>,
        {
            let at = self.entries.partition_point(|entry| entry.0.borrow() < key);
            BTreeMap { entries: self.entries.split_off(at) }
        }
        pub fn append(&mut self, other: &mut Self) {
            self.extend(core::mem::take(&mut other.entries));
        }
    }

    impl<K, V> Default for BTreeMap<K, V> {
        fn default() -> Self {
            BTreeMap::new()
        }
    }
    impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for BTreeMap<K, V> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_map().entries(self.iter()).finish()
        }
    }
    impl<K: serde::Serialize, V: serde::Serialize> serde::Serialize for BTreeMap<K, V> {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map(self.iter())
        }
    }
    impl<K: Ord, V> Extend<(K, V)> for BTreeMap<K, V> {
        fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
            for (key, value) in entries {
                self.insert(key, value);
            }
        }
    }
    impl<K: Ord, V> FromIterator<(K, V)> for BTreeMap<K, V> {
        fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
            let mut map = BTreeMap::new();
            map.extend(entries);
            map
        }
    }
    impl<K: Ord, V, const COUNT: usize> From<[(K, V); COUNT]> for BTreeMap<K, V> {
        fn from(entries: [(K, V); COUNT]) -> Self {
            entries.into_iter().collect()
        }
    }
    impl<K, V> IntoIterator for BTreeMap<K, V> {
        type Item = (K, V);
        type IntoIter = vec::IntoIter<(K, V)>;
        fn into_iter(self) -> Self::IntoIter {
            self.entries.into_iter()
        }
    }
    impl<'a, K, V> IntoIterator for &'a BTreeMap<K, V> {
        type Item = (&'a K, &'a V);
        type IntoIter = Iter<'a, K, V>;
        fn into_iter(self) -> Self::IntoIter {
            self.iter()
        }
    }
    impl<'a, K, V> IntoIterator for &'a mut BTreeMap<K, V> {
        type Item = (&'a K, &'a mut V);
        type IntoIter = IterMut<'a, K, V>;
        fn into_iter(self) -> Self::IntoIter {
            IterMut(self.entries.iter_mut())
        }
    }
    impl<K: Ord + Borrow<Q>, V, Q: Ord + ?Sized> core::ops::Index<&Q> for BTreeMap<K, V> {
        type Output = V;
        fn index(&self, key: &Q) -> &V {
            match self.find(key) {
                Ok(at) => &self.entries[at].1,
                Err(_) => panic!("no entry found for key"),
            }
        }
    }

    /// Entries in order.
    pub struct Iter<'a, K, V>(slice::Iter<'a, (K, V)>);
    impl<K, V> Clone for Iter<'_, K, V> {
        fn clone(&self) -> Self {
            Iter(self.0.clone())
        }
    }
    impl<'a, K, V> Iterator for Iter<'a, K, V> {
        type Item = (&'a K, &'a V);
        fn next(&mut self) -> Option<Self::Item> {
            self.0.next().map(|(key, value)| (key, value))
        }
        fn size_hint(&self) -> (usize, Option<usize>) {
            self.0.size_hint()
        }
    }
    impl<K, V> DoubleEndedIterator for Iter<'_, K, V> {
        fn next_back(&mut self) -> Option<Self::Item> {
            self.0.next_back().map(|(key, value)| (key, value))
        }
    }
    impl<K, V> ExactSizeIterator for Iter<'_, K, V> {}

    /// Entries in order, to be changed.
    pub struct IterMut<'a, K, V>(slice::IterMut<'a, (K, V)>);
    impl<'a, K, V> Iterator for IterMut<'a, K, V> {
        type Item = (&'a K, &'a mut V);
        fn next(&mut self) -> Option<Self::Item> {
            self.0.next().map(|(key, value)| (&*key, value))
        }
    }

    impl<K> BTreeSet<K> {
        pub const fn new() -> Self {
            BTreeSet { keys: Vec::new() }
        }
        pub fn len(&self) -> usize {
            self.keys.len()
        }
        pub fn is_empty(&self) -> bool {
            self.keys.is_empty()
        }
        pub fn clear(&mut self) {
            self.keys.clear();
        }
        pub fn iter(&self) -> slice::Iter<'_, K> {
            self.keys.iter()
        }
        pub fn retain(&mut self, keep: impl FnMut(&K) -> bool) {
            self.keys.retain(keep);
        }
        pub fn first(&self) -> Option<&K> {
            self.keys.first()
        }
        pub fn last(&self) -> Option<&K> {
            self.keys.last()
        }
        pub fn pop_first(&mut self) -> Option<K> {
            if self.keys.is_empty() { None } else { Some(self.keys.remove(0)) }
        }
        pub fn pop_last(&mut self) -> Option<K> {
            self.keys.pop()
        }
    }
    impl<K: Ord> BTreeSet<K> {
        fn find<Q: Ord + ?Sized>(&self, key: &Q) -> Result<usize, usize>
        where
            K: Borrow<Q>,
        {
            self.keys.binary_search_by(|known| known.borrow().cmp(key))
        }
        pub fn contains<Q: Ord + ?Sized>(&self, key: &Q) -> bool
        where
            K: Borrow<Q>,
        {
            self.find(key).is_ok()
        }
        pub fn insert(&mut self, key: K) -> bool {
            match self.find(&key) {
                Ok(_) => false,
                Err(at) => {
                    self.keys.insert(at, key);
                    true
                }
            }
        }
        pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> bool
        where
            K: Borrow<Q>,
        {
            self.find(key).map(|at| self.keys.remove(at)).is_ok()
        }
        pub fn range<Q: Ord + ?Sized>(&self, bounds: impl RangeBounds<Q>) -> slice::Iter<'_, K>
        where
            K: Borrow<Q>,
        {
            let bounds = (bounds.start_bound(), bounds.end_bound());
            let (from, to) = span(&self.keys, bounds, |k, key| k.borrow() < key, |k, key| k.borrow() <= key);
            self.keys[from..to].iter()
        }
        pub fn is_disjoint(&self, other: &Self) -> bool {
            !self.keys.iter().any(|key| other.contains(key))
        }
        pub fn is_subset(&self, other: &Self) -> bool {
            self.keys.iter().all(|key| other.contains(key))
        }
        pub fn intersection<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a K> {
            self.keys.iter().filter(|key| other.contains(*key))
        }
        pub fn difference<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a K> {
            self.keys.iter().filter(|key| !other.contains(*key))
        }
        pub fn append(&mut self, other: &mut Self) {
            self.extend(core::mem::take(&mut other.keys));
        }
    }
    impl<K> Default for BTreeSet<K> {
        fn default() -> Self {
            BTreeSet::new()
        }
    }
    impl<K: fmt::Debug> fmt::Debug for BTreeSet<K> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_set().entries(self.iter()).finish()
        }
    }
    impl<K: serde::Serialize> serde::Serialize for BTreeSet<K> {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq(self.iter())
        }
    }
    impl<K: Ord> Extend<K> for BTreeSet<K> {
        fn extend<I: IntoIterator<Item = K>>(&mut self, keys: I) {
            for key in keys {
                self.insert(key);
            }
        }
    }
    impl<'a, K: Ord + Copy + 'a> Extend<&'a K> for BTreeSet<K> {
        fn extend<I: IntoIterator<Item = &'a K>>(&mut self, keys: I) {
            self.extend(keys.into_iter().copied());
        }
    }
    impl<K: Ord> FromIterator<K> for BTreeSet<K> {
        fn from_iter<I: IntoIterator<Item = K>>(keys: I) -> Self {
            let mut set = BTreeSet::new();
            set.extend(keys);
            set
        }
    }
    impl<K: Ord, const COUNT: usize> From<[K; COUNT]> for BTreeSet<K> {
        fn from(keys: [K; COUNT]) -> Self {
            keys.into_iter().collect()
        }
    }
    impl<K> IntoIterator for BTreeSet<K> {
        type Item = K;
        type IntoIter = vec::IntoIter<K>;
        fn into_iter(self) -> Self::IntoIter {
            self.keys.into_iter()
        }
    }
    impl<'a, K> IntoIterator for &'a BTreeSet<K> {
        type Item = &'a K;
        type IntoIter = slice::Iter<'a, K>;
        fn into_iter(self) -> Self::IntoIter {
            self.keys.iter()
        }
    }

    #[cfg(test)]
    mod tests {
        use super::{BTreeMap, BTreeSet};
        use crate::base::Random;
        use alloc::collections;

        #[test]
        fn a_lean_map_does_what_the_map_of_alloc_does() {
            for seed in 0..50 {
                let mut random = Random::named(seed, "map");
                let (mut lean, mut twin) = (BTreeMap::new(), collections::BTreeMap::new());
                for turn in 0..400u64 {
                    let (key, other) = (random.below(40), random.below(40));
                    let (low, high) = (key.min(other), key.max(other));
                    match random.below(10) {
                        0..4 => assert_eq!(lean.insert(key, turn), twin.insert(key, turn)),
                        4 => assert_eq!(lean.remove(&key), twin.remove(&key)),
                        5 => {
                            *lean.entry(key).and_modify(|value| *value += 1).or_default() += turn;
                            *twin.entry(key).and_modify(|value| *value += 1).or_default() += turn;
                        }
                        6 => assert!(lean.range(low..high).eq(twin.range(low..high))),
                        7 => assert!(lean.range(low..=high).rev().eq(twin.range(low..=high).rev())),
                        8 if random.chance(1, 10) => {
                            let (mut rest, mut twins) = (lean.split_off(&key), twin.split_off(&key));
                            assert!(rest.iter().eq(&twins));
                            lean.append(&mut rest);
                            twin.append(&mut twins);
                        }
                        8 => {
                            lean.retain(|known, _| known % 7 != key % 7);
                            twin.retain(|known, _| known % 7 != key % 7);
                        }
                        _ => assert_eq!(lean.pop_first(), twin.pop_first()),
                    }
                    assert!(lean.iter().eq(&twin), "{lean:?} {twin:?}");
                    assert_eq!(lean.get(&key), twin.get(&key));
                    assert_eq!(lean.first_key_value(), twin.first_key_value());
                    assert_eq!(lean.last_key_value(), twin.last_key_value());
                }
            }
        }

        #[test]
        fn a_lean_set_does_what_the_set_of_alloc_does() {
            let mut random = Random::named(1, "set");
            for _ in 0..200 {
                let mut draw =
                    || (0..random.below(12)).map(|_| random.below(16)).collect::<alloc::vec::Vec<_>>();
                let (one, other) = (draw(), draw());
                let (mut lean, lean_other): (BTreeSet<_>, BTreeSet<_>) =
                    (one.iter().copied().collect(), other.iter().copied().collect());
                let (mut twin, twin_other): (collections::BTreeSet<_>, collections::BTreeSet<_>) =
                    (one.iter().copied().collect(), other.iter().copied().collect());
                assert!(lean.iter().eq(&twin));
                assert!(lean.range(3..9).eq(twin.range(3..9)));
                assert!(lean.intersection(&lean_other).eq(twin.intersection(&twin_other)));
                assert!(lean.difference(&lean_other).eq(twin.difference(&twin_other)));
                assert_eq!(lean.is_disjoint(&lean_other), twin.is_disjoint(&twin_other));
                assert_eq!(lean.is_subset(&lean_other), twin.is_subset(&twin_other));
                assert_eq!((lean.insert(5), lean.remove(&6)), (twin.insert(5), twin.remove(&6)));
                assert_eq!((lean.pop_first(), lean.pop_last()), (twin.pop_first(), twin.pop_last()));
                assert!(lean.iter().eq(&twin));
            }
        }
    }
}

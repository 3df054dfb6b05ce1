//! Sorting.
//!
//! Natively `core`'s. In WebAssembly each type sorted costs four kilobytes of code that way: there places are sorted, by one
//! function for all types, and then the things moved to their places.

use core::cmp::Ordering;

/// Sorts a slice. What is equal keeps its order.
pub trait Order<T> {
    /// By a comparison.
    fn order_by(&mut self, compare: impl FnMut(&T, &T) -> Ordering);
    /// By a key.
    fn order_by_key<K: Ord>(&mut self, mut key: impl FnMut(&T) -> K) {
        self.order_by(|one, other| key(one).cmp(&key(other)));
    }
    /// By the things themselves.
    fn order(&mut self)
    where
        T: Ord,
    {
        self.order_by(T::cmp);
    }
}

impl<T> Order<T> for [T] {
    fn order_by(&mut self, compare: impl FnMut(&T, &T) -> Ordering) {
        #[cfg(not(target_arch = "wasm32"))]
        self.sort_by(compare);
        #[cfg(target_arch = "wasm32")]
        lean::sort_by(self, compare);
    }
}

#[cfg(any(test, target_arch = "wasm32"))]
mod lean {
    use alloc::vec::Vec;
    use core::cmp::Ordering;

    pub fn sort_by<T>(things: &mut [T], mut compare: impl FnMut(&T, &T) -> Ordering) {
        if things.len() < 2 {
            return;
        }
        let mut places: Vec<u32> = (0..things.len() as u32).collect();
        sort_places(&mut places, &mut |one, other| compare(&things[one as usize], &things[other as usize]));
        // The thing for each place comes to it round by round: in a cycle each moves once.
        for start in 0..places.len() {
            let mut at = start;
            loop {
                let from = core::mem::replace(&mut places[at], at as u32) as usize;
                if from == start {
                    break;
                }
                things.swap(at, from);
                at = from;
            }
        }
    }

    /// Not generic, so that there is one of it.
    #[inline(never)]
    fn sort_places(places: &mut [u32], compare: &mut dyn FnMut(u32, u32) -> Ordering) {
        places.sort_by(|one, other| compare(*one, *other));
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use crate::base::Random;

        #[test]
        fn it_does_what_the_sort_of_core_does() {
            let mut random = Random::named(1, "order");
            for _ in 0..500 {
                let count = random.below(40);
                let things: Vec<(u64, usize)> =
                    (0..count as usize).map(|place| (random.below(1 + count / 2), place)).collect();
                let (mut one, mut other) = (things.clone(), things);
                sort_by(&mut one, |a, b| a.0.cmp(&b.0));
                other.sort_by_key(|thing| thing.0);
                assert_eq!(one, other);
            }
        }
    }
}

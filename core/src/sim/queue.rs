use crate::base::BTreeMap;
use crate::base::Micros;
use alloc::collections::BinaryHeap;
use alloc::{format, string::String};
use core::cmp::Ordering;

/// Events in order of time, those of one time in the order in which they were added: no other order is the same twice.
#[derive(Debug, Clone)]
pub(super) struct Queue<E> {
    heap: BinaryHeap<Entry<E>>,
    added: u64,
}

#[derive(Debug, Clone)]
struct Entry<E> {
    at: Micros,
    order: u64,
    event: E,
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl<E> Eq for Entry<E> {}
impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        // Reversed: the heap keeps its greatest on top, and the earliest is wanted.
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

impl<E> Queue<E> {
    pub fn new() -> Queue<E> {
        Queue { heap: BinaryHeap::new(), added: 0 }
    }
    /// Adds an event to happen at `at`.
    pub fn add(&mut self, at: Micros, event: E) {
        self.added += 1;
        self.heap.push(Entry { at, order: self.added, event });
    }
    /// When the next one happens.
    pub fn next_at(&self) -> Option<Micros> {
        self.heap.peek().map(|entry| entry.at)
    }
    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (Micros, &E)> {
        self.heap.iter().map(|entry| (entry.at, &entry.event))
    }
    /// Takes the next one.
    pub fn take(&mut self) -> Option<(Micros, E)> {
        self.heap.pop().map(|entry| (entry.at, entry.event))
    }
}

impl<E> Queue<E> {
    /// How many events wait, and of which name most.
    pub fn busiest(&self, name: impl Fn(&E) -> String) -> String {
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        for entry in &self.heap {
            *counts.entry(name(&entry.event)).or_default() += 1;
        }
        let most = counts.iter().max_by_key(|(_, count)| **count);
        let most = most.map(|(name, count)| format!("{count} of them {name}")).unwrap_or_default();
        format!("{} wait, {most}", self.heap.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn events_of_one_time_keep_their_order() {
        let mut queue = Queue::new();
        for (at, event) in [(5, 'c'), (1, 'a'), (5, 'd'), (1, 'b'), (9, 'e')] {
            queue.add(Micros(at), event);
        }
        assert_eq!(queue.next_at(), Some(Micros(1)));
        let order: Vec<char> = core::iter::from_fn(|| queue.take()).map(|(_, event)| event).collect();
        assert_eq!(order, ['a', 'b', 'c', 'd', 'e']);
        assert_eq!(queue.next_at(), None);
    }
}

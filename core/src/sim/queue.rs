use crate::base::BTreeMap;
use crate::base::Micros;
use alloc::collections::BinaryHeap;
use alloc::{format, string::String, vec::Vec};
use core::cmp::Reverse;

/// Events in order of time, those of one time in the order in which they were added: no other order is the same twice.
///
/// The heap orders small entries, and the events lie still beside it: moving them about cost a tenth of a run.
#[derive(Debug, Clone)]
pub(super) struct Queue<E> {
    heap: BinaryHeap<Reverse<(Micros, u64, u32)>>,
    /// By the last word of an entry; a place is used again once its event was taken.
    events: Vec<Option<E>>,
    free: Vec<u32>,
    added: u64,
}

impl<E> Queue<E> {
    pub fn new() -> Queue<E> {
        Queue { heap: BinaryHeap::new(), events: Vec::new(), free: Vec::new(), added: 0 }
    }
    /// Adds an event to happen at `at`.
    pub fn add(&mut self, at: Micros, event: E) {
        self.added += 1;
        let place = self.free.pop().unwrap_or(self.events.len() as u32);
        match self.events.get_mut(place as usize) {
            Some(free) => *free = Some(event),
            None => self.events.push(Some(event)),
        }
        self.heap.push(Reverse((at, self.added, place)));
    }
    /// When the next one happens.
    pub fn next_at(&self) -> Option<Micros> {
        self.heap.peek().map(|Reverse((at, ..))| *at)
    }
    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (Micros, &E)> {
        self.heap
            .iter()
            .filter_map(|Reverse((at, _, place))| Some((*at, self.events.get(*place as usize)?.as_ref()?)))
    }
    /// Takes the next one.
    pub fn take(&mut self) -> Option<(Micros, E)> {
        let Reverse((at, _, place)) = self.heap.pop()?;
        let event = self.events.get_mut(place as usize)?.take()?;
        self.free.push(place);
        Some((at, event))
    }
}

impl<E> Queue<E> {
    /// How many events wait, and of which name most.
    pub fn busiest(&self, name: impl Fn(&E) -> String) -> String {
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        for (_, event) in self.iter() {
            *counts.entry(name(event)).or_default() += 1;
        }
        let most = counts.iter().max_by_key(|(_, count)| **count);
        let most = most.map(|(name, count)| format!("{count} of them {name}")).unwrap_or_default();
        format!("{} wait, {most}", self.heap.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

use crate::base::{KEPT_SLOT_COUNT, Micros};
use alloc::vec::Vec;
use bytes::Bytes;

/// The topology in force.
pub(super) const SLOT_TOPOLOGY: u8 = 0;
/// What this voter promised and accepted.
pub(super) const SLOT_ACCEPTOR: u8 = 1;
/// The greatest incarnation used.
pub(super) const SLOT_INCARNATION: u8 = 2;

/// When bytes that were not confirmed are handed out again: a full disk may have refused them.
const AGAIN_AFTER: Micros = Micros::from_millis(1_000);
/// Most tickets of one slot that may still be confirmed; older ones are forgotten.
const ASKED_COUNT_MAX: usize = 8;

/// Hands out what must not be forgotten and knows what is durable: one at a time for each slot, so that a disk slower
/// than its questions is asked for the latest only.
#[derive(Debug, Clone)]
pub(super) struct Keeper {
    next_ticket: u64,
    slots: [Slot; KEPT_SLOT_COUNT as usize],
}

#[derive(Debug, Clone, Default)]
struct Slot {
    latest: Bytes,
    /// Counts what was to be kept here; 0 is what was restored.
    wanted: u64,
    durable: u64,
    /// (ticket, version), oldest first.
    asked: Vec<(u64, u64)>,
    asked_at: Micros,
}

/// Bytes to keep, and the ticket to confirm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub ticket: u64,
    pub slot: u8,
    pub bytes: Bytes,
}

impl Keeper {
    pub fn new() -> Keeper {
        Keeper { next_ticket: 1, slots: Default::default() }
    }
    /// Wants `bytes` kept in `slot`; the version returned is durable once [`Keeper::durable`] has reached it.
    pub fn keep(&mut self, slot: u8, bytes: Bytes) -> u64 {
        let slot = &mut self.slots[usize::from(slot)];
        slot.latest = bytes;
        slot.wanted += 1;
        slot.wanted
    }
    /// The latest version that was to be kept in `slot`.
    pub fn wanted(&self, slot: u8) -> u64 {
        self.slots[usize::from(slot)].wanted
    }
    /// The latest version of `slot` known to be durable.
    pub fn durable(&self, slot: u8) -> u64 {
        self.slots[usize::from(slot)].durable
    }
    /// A ticket was confirmed; unknown ones are ignored.
    pub fn on_persisted(&mut self, ticket: u64) {
        for slot in &mut self.slots {
            if let Some((_, version)) = slot.asked.iter().find(|(asked, _)| *asked == ticket).copied() {
                slot.durable = slot.durable.max(version);
                slot.asked.retain(|(_, version)| *version > slot.durable);
            }
        }
    }
    /// The next bytes to hand out now.
    pub fn poll(&mut self, now: Micros) -> Option<Wanted> {
        for index in 0..KEPT_SLOT_COUNT {
            let slot = &mut self.slots[usize::from(index)];
            if slot.due().is_none_or(|due| now < due) {
                continue;
            }
            let ticket = self.next_ticket;
            self.next_ticket += 1;
            if slot.asked.len() == ASKED_COUNT_MAX {
                slot.asked.remove(0);
            }
            slot.asked.push((ticket, slot.wanted));
            slot.asked_at = now;
            return Some(Wanted { ticket, slot: index, bytes: slot.latest.clone() });
        }
        None
    }
    /// When to poll again.
    pub fn wake_at(&self) -> Option<Micros> {
        self.slots.iter().filter_map(Slot::due).min()
    }
}

impl Slot {
    fn due(&self) -> Option<Micros> {
        if self.wanted == self.durable {
            None
        } else if self.asked.is_empty() {
            Some(Micros(0))
        } else {
            Some(self.asked_at + AGAIN_AFTER)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    #[test]
    fn a_slot_is_asked_for_one_thing_at_a_time_and_the_latest_wins() {
        let mut keeper = Keeper::new();
        let first = keeper.keep(1, bytes("a"));
        let asked = keeper.poll(Micros(0)).unwrap();
        assert_eq!((asked.slot, asked.bytes), (1, bytes("a")));
        keeper.keep(1, bytes("b"));
        let third = keeper.keep(1, bytes("c"));
        assert_eq!(keeper.poll(Micros(0)), None);
        keeper.on_persisted(asked.ticket);
        assert_eq!(keeper.durable(1), first);
        let asked = keeper.poll(Micros(0)).unwrap();
        assert_eq!(asked.bytes, bytes("c"));
        keeper.on_persisted(asked.ticket);
        keeper.on_persisted(asked.ticket);
        assert_eq!((keeper.durable(1), keeper.poll(Micros(0)), keeper.wake_at()), (third, None, None));
    }

    #[test]
    fn what_is_not_confirmed_is_handed_out_again() {
        let mut keeper = Keeper::new();
        let version = keeper.keep(0, bytes("a"));
        let first = keeper.poll(Micros(0)).unwrap();
        let again = keeper.poll(keeper.wake_at().unwrap()).unwrap();
        assert_ne!(first.ticket, again.ticket);
        keeper.on_persisted(first.ticket);
        assert_eq!((keeper.durable(0), keeper.wake_at()), (version, None));
    }
}

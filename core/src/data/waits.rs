use super::shard::OpId;
use crate::base::{Epoch, MemberId, PartitionId};
use crate::lsm::Ticket;
use crate::message::WriteAnswer;
use alloc::collections::VecDeque;

/// What happens once something is on the disk.
#[derive(Debug, Clone)]
pub(super) enum Waiter {
    /// A peer is told.
    Answer { to: MemberId, partition: PartitionId, op: OpId, answer: WriteAnswer },
    /// This node votes in an operation of its own.
    Vote { op: OpId, answer: WriteAnswer },
    /// Control is told that what it wanted kept is.
    Kept(u64),
    /// A partition is merged from enough owners.
    Merged { partition: PartitionId, since: Epoch },
}

/// How sure the disk must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// Written: survives the death of the process.
    Written,
    /// Synced: survives a power cut.
    Synced,
}

/// Those who wait for the log, in order of their tickets.
#[derive(Debug, Clone, Default)]
pub(super) struct Waits {
    written: VecDeque<(Ticket, Waiter)>,
    synced: VecDeque<(Ticket, Waiter)>,
}

impl Waits {
    pub fn add(&mut self, until: Until, ticket: Ticket, waiter: Waiter) {
        let queue = match until {
            Until::Written => &mut self.written,
            Until::Synced => &mut self.synced,
        };
        debug_assert!(queue.back().is_none_or(|last| last.0 <= ticket), "tickets are given in order");
        queue.push_back((ticket, waiter));
    }
    /// Takes one whose ticket is done.
    pub fn take_done(&mut self, written: Ticket, synced: Ticket) -> Option<Waiter> {
        for (queue, through) in [(&mut self.written, written), (&mut self.synced, synced)] {
            if queue.front().is_some_and(|(ticket, _)| *ticket <= through) {
                return queue.pop_front().map(|(_, waiter)| waiter);
            }
        }
        None
    }
    /// Takes one whose ticket failed.
    pub fn take_failed(&mut self, through: Ticket) -> Option<Waiter> {
        self.take_done(through, through)
    }
    /// Whether anybody waits for a sync.
    pub fn wants_sync(&self) -> bool {
        !self.synced.is_empty()
    }
    pub fn len(&self) -> usize {
        self.written.len() + self.synced.len()
    }
}

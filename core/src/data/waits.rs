use super::shard::OpId;
use super::{RequestId, WriteReply};
use crate::base::{Epoch, MemberId, Micros, PartitionId};
use crate::lsm::Ticket;
use crate::message::WriteAnswer;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::Bytes;

/// A put that this node decided alone.
#[derive(Debug, Clone)]
pub(super) struct Decided {
    pub request: RequestId,
    pub op: OpId,
    pub reply: WriteReply,
    pub deadline: Micros,
    /// Its cell, should it have to go to others after all.
    pub cell_key: Bytes,
}

/// What happens once something is on the disk.
#[derive(Debug, Clone)]
pub(super) enum Waiter {
    /// A peer is told.
    Answer { to: MemberId, partition: PartitionId, op: OpId, answer: WriteAnswer },
    /// A client is told of a put that this node decided alone; no later than its deadline.
    Done(Decided),
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
    /// No deadline of those who wait is earlier.
    deadline: Option<Micros>,
}

impl Waits {
    pub fn add(&mut self, until: Until, ticket: Ticket, waiter: Waiter) {
        let queue = match until {
            Until::Written => &mut self.written,
            Until::Synced => &mut self.synced,
        };
        if let Waiter::Done(decided) = &waiter {
            self.deadline = sooner(self.deadline, decided.deadline);
        }
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
        if self.len() == 0 {
            self.deadline = None;
        }
        None
    }
    /// Takes one whose ticket failed.
    pub fn take_failed(&mut self, through: Ticket) -> Option<Waiter> {
        self.take_done(through, through)
    }
    /// When the next of them may be out of time.
    pub fn next_at(&self) -> Option<Micros> {
        self.deadline
    }
    /// Takes those whose deadline has come.
    pub fn take_expired(&mut self, now: Micros) -> Vec<(RequestId, OpId)> {
        let mut expired = Vec::new();
        if self.deadline.is_none_or(|deadline| deadline > now) {
            return expired;
        }
        self.deadline = None;
        for queue in [&mut self.written, &mut self.synced] {
            queue.retain(|(_, waiter)| {
                let Waiter::Done(decided) = waiter else { return true };
                if decided.deadline <= now {
                    expired.push((decided.request, decided.op));
                    return false;
                }
                self.deadline = sooner(self.deadline, decided.deadline);
                true
            });
        }
        expired
    }
    /// Whether anybody waits for a sync.
    pub fn wants_sync(&self) -> bool {
        !self.synced.is_empty()
    }
    pub fn len(&self) -> usize {
        self.written.len() + self.synced.len()
    }
}

fn sooner(known: Option<Micros>, at: Micros) -> Option<Micros> {
    Some(known.map_or(at, |known| known.min(at)))
}

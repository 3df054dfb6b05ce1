//! A cell at a node that holds it: merged with what is there, written if that changed anything, acknowledged once it is as
//! durable as the keyspace asks.
//!
//! Client writes, read repair, handoff, transfer and anti-entropy all end here. Whether a write of an older epoch is still
//! welcome is judged when it is applied, not when it came: a read of the disk may lie between.

use super::key::place_of;
use super::shard::{Ack, OpId, Shard, Then};
use super::store::Held;
use super::waits::{Until, Waiter};
use crate::base::trace::Kind;
use crate::base::{Bug, Epoch, KeyspaceId, MemberId, PartitionId};
use crate::lsm::{self, Lookup};
use crate::message::{DataMessage, Reason, RefusedWhy, WriteAnswer};
use crate::version::{Cell, Resolve, Stamp};
use bytes::Bytes;
use smallvec::SmallVec;

impl Shard {
    /// Why this shard's engine takes no writes, its own or others', if it takes none.
    pub fn refuses_writes(&self) -> Option<lsm::Error> {
        self.store.db().refusing()
    }
    #[allow(clippy::too_many_arguments)] // The fields of the message, taken apart by the router.
    pub(super) fn on_write(
        &mut self,
        from: MemberId,
        partition: PartitionId,
        op: OpId,
        epoch: Epoch,
        keyspace: KeyspaceId,
        reason: Reason,
        key: &Bytes,
        cell: Bytes,
    ) {
        self.saw_epoch(from, epoch);
        let (own_partition, cell_key) = self.cell_key(keyspace, key);
        if own_partition != partition || self.keyspace(keyspace).is_none() {
            return; // A peer of another Q: the handshake lets none in.
        }
        let Some(view) = self.view.clone() else { return };
        let under = match reason {
            Reason::Repair => None,
            Reason::Client | Reason::Hint { .. } | Reason::Handoff => Some(epoch),
        };
        let ack = Ack::Peer { to: from, op, epoch: under };
        let owns = view.owns(partition);
        match reason {
            Reason::Hint { target } if !owns => {
                let hint_key = super::key::hint_key(target, &cell_key);
                self.access(hint_key, Then::KeepHint { cell, ack });
            }
            _ if !owns => {
                self.acknowledge_now(ack.of(partition), WriteAnswer::Refused(RefusedWhy::NotOwner));
            }
            _ => self.access(cell_key, Then::Merge { cell, ack }),
        }
    }
    /// Whether a write of the epoch in `ack` is still welcome.
    fn is_stale(&self, partition: PartitionId, ack: Ack) -> bool {
        let Ack::Peer { epoch: Some(epoch), .. } = ack else { return false };
        self.state_of(partition).is_none_or(|state| epoch < state.since)
    }
    /// What is held is at hand: the two become one.
    pub(super) fn merge(&mut self, cell_key: &Bytes, held: Option<Held>, cell: Bytes, ack: Ack) {
        let Some(place) = place_of(cell_key) else { return };
        let partition = place.partition;
        if self.is_stale(partition, ack) {
            let stale = RefusedWhy::StaleEpoch(self.epoch());
            return self.acknowledge_now(ack.of(partition), WriteAnswer::Refused(stale));
        }
        if self.view.as_ref().is_none_or(|view| !view.owns(partition)) {
            return self.acknowledge_now(ack.of(partition), WriteAnswer::Refused(RefusedWhy::NotOwner));
        }
        // Damaged on its way in spite of the frame's checksum: as good as lost.
        let Ok(incoming) = Cell::decode(&cell) else { return };
        incoming.observe(&mut self.store.clock);
        self.check_memory(partition, &incoming);
        let resolve = self.resolve(place.keyspace);
        let stamp = incoming.stamp_max();
        let new = match &held {
            None => Held { bytes: cell, cell: incoming },
            Some(held) if held.bytes == cell => held.clone(),
            Some(held) => {
                let merged = held.cell.merge(&incoming, resolve, self.config.sabotage);
                self.counters.lww_discarded += u64::from(merged.discarded);
                self.counters.dot_collisions += u64::from(merged.collisions);
                Held::of(merged.cell)
            }
        };
        let is_new = held.as_ref().is_none_or(|held| held.bytes != new.bytes);
        if is_new && let Err(error) = self.store.put_cell(self.now, cell_key, held.as_ref(), &new) {
            return self.acknowledge_now(ack.of(partition), refused(&error));
        }
        self.trace_merged(&place.key, partition, &new, is_new);
        let winner = new.cell.stamp_max();
        let answer = if resolve == Resolve::Lww && winner > stamp {
            WriteAnswer::Outrun(winner)
        } else {
            WriteAnswer::Held
        };
        self.acknowledge(ack.of(partition), answer, false);
    }
    /// Somebody else knows more of this node's living generation than it does: its memory is not what it thought.
    fn check_memory(&mut self, partition: PartitionId, incoming: &Cell) {
        let Some(actors) = &mut self.actors else { return };
        if actors.is_known_better(partition, incoming.context()) {
            actors.forget(partition);
            self.counters.amnesia += 1;
        }
    }
    /// A hint is kept, merged with the one that is there; or, without a cell, a note that `target` missed something.
    pub(super) fn keep_hint(&mut self, hint_key: &Bytes, held: Option<Bytes>, cell: Bytes, ack: Ack) {
        let Some((target, cell_key)) = super::key::cell_of_hint(hint_key) else { return };
        let Some(place) = place_of(&cell_key) else { return };
        let partition = place.partition;
        if self.is_stale(partition, ack) {
            let stale = RefusedWhy::StaleEpoch(self.epoch());
            return self.acknowledge_now(ack.of(partition), WriteAnswer::Refused(stale));
        }
        let known = held.as_ref().filter(|bytes| !bytes.is_empty());
        let new = match (known, cell.is_empty()) {
            (Some(known), true) => known.clone(),
            (None, _) => cell.clone(),
            (Some(known), false) => {
                let (Ok(old), Ok(new)) = (Cell::decode(known), Cell::decode(&cell)) else { return };
                old.merge(&new, self.resolve(place.keyspace), self.config.sabotage).cell.to_bytes()
            }
        };
        if held.as_ref() != Some(&new) {
            if !self.has_room_for(hint_key, held.as_ref(), &new) {
                // For a note nobody waits: anti-entropy finds what it would have told.
                let full = WriteAnswer::Refused(RefusedWhy::HintQuota);
                return self.acknowledge_now(ack.of(partition), full);
            }
            if let Err(error) = self.store.put_hint(hint_key, held.as_ref(), Some(&new)) {
                return self.acknowledge_now(ack.of(partition), refused(&error));
            }
            self.counters.hints_stored += 1;
            self.trace_key(Kind::HintStored, &[u32::from(target.0), u32::from(partition.0)], &place.key);
        }
        let answer = match self.outruns_hint(partition, &cell_key, &cell, self.resolve(place.keyspace)) {
            Some(above) => WriteAnswer::Outrun(above),
            None => WriteAnswer::Held,
        };
        self.acknowledge(ack.of(partition), answer, true);
    }
    /// Whether the quota of hints allows `new` in place of `held`.
    pub(super) fn has_room_for(&self, hint_key: &Bytes, held: Option<&Bytes>, new: &Bytes) -> bool {
        let size = |bytes: &Bytes| (hint_key.len() + bytes.len()) as u64;
        self.store.hints.has_room(held.map_or(0, size), size(new), self.config.hint_bytes_max)
    }
    /// The stamp that wins over `cell` in what is kept here for any owner. Two sloppy quorums of one key need not meet in an
    /// owner's seat; where they meet in whoever stands in, the later write hears of the earlier one and goes above it.
    fn outruns_hint(
        &mut self,
        partition: PartitionId,
        cell_key: &Bytes,
        cell: &Bytes,
        resolve: Resolve,
    ) -> Option<Stamp> {
        if resolve != Resolve::Lww || cell.is_empty() {
            return None;
        }
        let stamp = Cell::decode(cell).ok()?.stamp_max();
        let state = self.state_of(partition)?;
        let owners: SmallVec<[MemberId; 6]> = state.owners.iter().chain(&state.next).copied().collect();
        let kept = owners.iter().filter_map(|owner| {
            // One that lies on disk by now is not looked up: the answer does not wait for it.
            match self.store.get(&super::key::hint_key(*owner, cell_key)) {
                Lookup::Found(bytes) => Cell::decode(&bytes).ok().map(|kept| kept.stamp_max()),
                Lookup::Absent | Lookup::OnDisk(_) => None,
            }
        });
        kept.max().filter(|above| *above > stamp)
    }
    /// Says so once everything written so far is durable enough.
    fn acknowledge(&mut self, ack: AckOf, answer: WriteAnswer, is_hint: bool) {
        let sabotage = self.config.sabotage;
        if sabotage.is(Bug::AckBeforeSync) || is_hint && sabotage.is(Bug::HintAckBeforeSync) {
            return self.acknowledge_now(ack, answer);
        }
        let waiter = match ack.ack {
            Ack::None | Ack::Transfer | Ack::Peer { op: 0, .. } => return,
            Ack::Peer { to, op, .. } => Waiter::Answer { to, partition: ack.partition, op, answer },
            Ack::Own { op } => Waiter::Vote { op, answer },
        };
        let until: Until = self.until();
        self.wait(until, waiter);
    }
    pub(super) fn acknowledge_now(&mut self, ack: AckOf, answer: WriteAnswer) {
        match ack.ack {
            Ack::None | Ack::Peer { op: 0, .. } => {}
            Ack::Transfer => {
                if matches!(answer, WriteAnswer::Refused(_)) {
                    self.begin_again(ack.partition);
                }
            }
            Ack::Peer { to, op, .. } => {
                self.send(to, ack.partition, DataMessage::WriteAnswer { op, answer });
            }
            Ack::Own { op } => self.on_put_answer(self.me(), op, answer),
        }
    }
}

/// An acknowledgement, and the partition by which its receiver routes it.
#[derive(Debug, Clone, Copy)]
pub(super) struct AckOf {
    ack: Ack,
    partition: PartitionId,
}

impl Ack {
    pub(super) fn of(self, partition: PartitionId) -> AckOf {
        AckOf { ack: self, partition }
    }
}

fn refused(error: &lsm::Error) -> WriteAnswer {
    WriteAnswer::Refused(match error {
        lsm::Error::Overloaded => RefusedWhy::Overloaded,
        _ => RefusedWhy::Storage,
    })
}

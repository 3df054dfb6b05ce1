//! Requests that this node decides alone, where what is held is in memory: done at once, without an operation.
//!
//! A shortcut of `put` and `get`, not another rule: what a plan of one seat, held here, would come to. What it cannot
//! do at once goes their way.

use super::key::place_of;
use super::put::{Asker, Dotted, PutSpec};
use super::shard::{OpId, Shard, Then};
use super::store::Held;
use super::waits::{Decided, Waiter};
use super::{Expiry, ReadReply, Refusal, Reply, RequestId, WriteReply};
use crate::base::trace::{Answered, Ended, Kind, Verb, split};
use crate::base::{Bug, Micros, PartitionId};
use crate::lsm::Lookup;
use crate::quorum::Purpose;
use crate::version::Cell;
use bytes::Bytes;

impl Shard {
    /// Whether this node's word alone decides a request that needs `needed` of them, and nobody else is to be told.
    #[inline]
    pub(super) fn decides_alone(&self, partition: PartitionId, purpose: Purpose, needed: u8) -> bool {
        let Some(view) = &self.view else { return false };
        let Some(state) = view.partition(partition) else { return false };
        if !state.next.is_empty() || !state.owners.contains(&view.me) || !view.is_usable(view.me) {
            return false;
        }
        match purpose {
            Purpose::Write => state.owners.len() == 1,
            Purpose::Read => needed <= 1 || state.owners.len() == 1,
        }
    }
    /// What is held, if memory tells and nothing waits for it.
    fn at_hand(&mut self, cell_key: &Bytes) -> Option<Option<Held>> {
        if self.is_waiting_for(cell_key) {
            return None;
        }
        let held = match self.store.get(cell_key) {
            Lookup::Found(bytes) => Some(Held { cell: Cell::decode(&bytes).ok()?, bytes }),
            Lookup::Absent => None,
            Lookup::OnDisk(_) => return None,
        };
        self.trace_memory_read();
        Some(held)
    }
    /// A put at its only owner.
    pub(super) fn put_directly(&mut self, request: RequestId, mut spec: PutSpec) {
        let cell_key = spec.cell_key.clone();
        let Some(held) = self.at_hand(&cell_key) else {
            return self.coordinate_put(Asker::Client(request), spec);
        };
        let (id, stamp) = (self.op_id(), spec.stamp);
        self.trace_started(id, Asker::Client(request), Verb::Write, spec.partition, [1, 0], &spec.key);
        let existed = match self.dot(&mut spec, &cell_key, held.as_ref(), true) {
            Dotted::Twin => true,
            Dotted::Written { existed, .. } => existed,
            // Nothing was changed: an operation waits, or tells the client.
            Dotted::Overloaded | Dotted::Behind(_) | Dotted::TooManySiblings(_) | Dotted::Refused(_) => {
                self.trace_ended(id, Ended::NotDone, 0, 0);
                return self.coordinate_put(Asker::Client(request), spec);
            }
        };
        if spec.stamp != stamp {
            self.trace_op(Kind::Restamped, id, &split(id));
        }
        self.trace_stamped(id, spec.stamp);
        let reply = WriteReply { existed, acks: 1, hinted: 0, stamp: Some(spec.stamp) };
        let is_armed = !self.config.sabotage.is(Bug::DeadlineNeverArmed);
        let deadline = if is_armed { spec.deadline } else { Micros(u64::MAX) };
        let waiter = Waiter::Done(Decided { request, op: id, reply, deadline, cell_key });
        if self.config.sabotage.is(Bug::AckBeforeSync) {
            return self.on_waiter(waiter);
        }
        self.wait(self.until(), waiter);
    }
    /// The put is as durable as it has to be.
    pub(super) fn end_directly(&mut self, decided: Decided) {
        let partition = place_of(&decided.cell_key).map(|place| place.partition);
        if !partition.is_some_and(|partition| self.decides_alone(partition, Purpose::Write, 1)) {
            // The partition began to move meanwhile: others have to hold it too.
            let cell_key = decided.cell_key.clone();
            return self.access(cell_key, Then::SpreadAfterAll(decided));
        }
        self.trace_answered(decided.op, self.me(), Answered::Ack);
        self.trace_ended(decided.op, Ended::Done, 1, 0);
        self.reply(decided.request, Reply::Written(decided.reply));
    }
    /// A put that was this node's alone to decide, and is no more, goes to all holders with the dot it has.
    pub(super) fn spread_after_all(&mut self, decided: Decided, cell: Option<Bytes>) {
        let Decided { request, op, reply, deadline, cell_key } = decided;
        let (Some(place), Some(cell), Some(stamp)) = (place_of(&cell_key), cell, reply.stamp) else {
            return self.leave_in_doubt(request, op);
        };
        self.trace_ended(op, Ended::Unknown, 1, 0);
        let Some(w) = self.keyspace(place.keyspace).map(|keyspace| keyspace.w.max(1)) else { return };
        let spec = PutSpec {
            partition: place.partition,
            keyspace: place.keyspace,
            key: place.key,
            cell_key,
            stamp,
            value: None,
            context: None,
            expiry: Expiry::Never,
            w,
            is_final: true,
            may_be_done: true,
            deadline,
        };
        self.write_cell(Asker::Client(request), spec, cell, reply.existed);
    }
    /// The disk failed, or did not answer in time.
    pub(super) fn leave_in_doubt(&mut self, request: RequestId, id: OpId) {
        self.trace_ended(id, Ended::Unknown, 0, 0);
        self.refuse(request, Refusal::InDoubt { acks: 0, needed: 1 });
    }
    /// A read at a node whose word is enough. `false` if it has to go the long way.
    pub(super) fn get_directly(
        &mut self,
        request: RequestId,
        partition: PartitionId,
        key: &Bytes,
        cell_key: &Bytes,
    ) -> bool {
        let Some(held) = self.at_hand(cell_key) else { return false };
        if self.trace.on() {
            let (id, me) = (self.op_id(), u32::from(self.me().0));
            self.trace_started(id, Asker::Client(request), Verb::Read, partition, [1, 0], key);
            self.trace_op(Kind::ReplicaAsked, id, &[me, 0, 0]);
            let answer = if held.is_some() { Answered::Cell } else { Answered::Absent };
            self.trace_answered(id, self.me(), answer);
            self.trace_ended(id, Ended::Done, 1, 0);
        }
        let cell = held.map(|held| held.cell);
        if let Some(cell) = &cell {
            cell.observe(&mut self.store.clock);
        }
        self.reply(request, Reply::Read(ReadReply { cell }));
        true
    }
}

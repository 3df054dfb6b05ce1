//! A put on its way from the node that the client reached to an owner that gives it its dot.
//!
//! The owner is asked; after a fixed delay the next one is asked too, with the same stamp: two owners may give one put
//! two dots, and its stamp tells that they are one. It is *not done* only if everyone asked has said so.

use super::put::{Asker, PutSpec};
use super::shard::{OpId, Running, Shard};
use super::timers::Timer;
use super::{Expiry, Refusal, Reply, RequestId, WriteReply};
use crate::base::BTreeSet;
use crate::base::trace::{Answered, Ended, Kind, Verb};
use crate::base::{Epoch, KeyspaceId, MemberId, Micros, Order, PartitionId};
use crate::message::{DataMessage, ForwardAnswer, ForwardedPut, RefusedWhy};
use crate::quorum::Plan;
use crate::version::{Actor, Dot, SKEW_MS_MAX, Stamp, VersionVector};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::Bytes;
use smallvec::SmallVec;

/// After this an unanswered put is handed to the next owner too, and then again.
const NEXT_AFTER: Micros = Micros::from_millis(60);

/// Hand-overs that were taken lately.
#[derive(Debug, Clone, Default)]
pub(super) struct Taken {
    order: VecDeque<(MemberId, OpId, Stamp)>,
    known: BTreeSet<(MemberId, OpId, Stamp)>,
}

/// How many are remembered: more than can be on their way twice.
const TAKEN_MAX: usize = 4_096;

impl Taken {
    fn contains(&self, from: MemberId, op: OpId, stamp: Stamp) -> bool {
        self.known.contains(&(from, op, stamp))
    }
    fn add(&mut self, from: MemberId, op: OpId, stamp: Stamp) {
        if self.order.len() >= TAKEN_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.known.insert((from, op, stamp));
        self.order.push_back((from, op, stamp));
    }
}

#[derive(Debug, Clone)]
pub(super) struct ForwardOp {
    request: RequestId,
    pub partition: PartitionId,
    spec: PutSpec,
    /// Who was asked, when, and whether it has said that it did nothing.
    asked: SmallVec<[(MemberId, Micros, bool); 3]>,
    /// When the next one is asked; an earlier timer means nothing.
    next_at: Micros,
}

impl Shard {
    pub(super) fn forward_put(&mut self, request: RequestId, spec: PutSpec) {
        self.forward_from(request, spec, false);
    }
    /// Whether anybody else may give a dot.
    pub(super) fn has_other_giver(&self, partition: PartitionId) -> bool {
        self.dot_givers(partition).iter().any(|giver| *giver != self.me())
    }
    /// Hands a put over; `own_refused` says that this node, which could give the dot, cannot write.
    pub(super) fn forward_from(&mut self, request: RequestId, spec: PutSpec, own_refused: bool) {
        let id = self.op_id();
        let partition = spec.partition;
        self.trace_started(id, Asker::Client(request), Verb::Forward, partition, [spec.w, 0], &spec.key);
        if self.dot_givers(partition).is_empty() {
            let needed = spec.w;
            self.trace_ended(id, Ended::NotDone, 0, 0);
            return self.refuse(request, spec.unsure(Refusal::ClusterDown { reachable: 0, needed }));
        }
        self.arm_deadline(id, spec.deadline);
        let mut asked = SmallVec::new();
        if own_refused {
            asked.push((self.me(), self.now.mono, true));
        }
        let op = ForwardOp { request, partition, spec, asked, next_at: Micros(0) };
        self.ops.insert(id, Running::Forward(op));
        self.hedge_forward(id);
    }
    /// Who may give a dot, the best first: owners that can be reached, the slow ones last; the first fallback when there is
    /// none.
    fn dot_givers(&self, partition: PartitionId) -> Vec<MemberId> {
        let Some(view) = &self.view else { return Vec::new() };
        let Some(state) = view.partition(partition) else { return Vec::new() };
        let usable = state.owners.iter().copied().filter(|owner| view.is_usable(*owner));
        let mut givers: Vec<MemberId> = usable.collect();
        givers.order_by_key(|giver| self.peers.is_slow(*giver, self.now.mono));
        if givers.is_empty() {
            givers.extend(Plan::fallbacks(view, partition).first());
        }
        givers
    }
    fn forward_op(&mut self, id: OpId) -> Option<&mut ForwardOp> {
        match self.ops.get_mut(&id) {
            Some(Running::Forward(op)) => Some(op),
            _ => None,
        }
    }
    /// Hands the put to the next owner, or once more to those that have not answered.
    pub(super) fn hedge_forward(&mut self, id: OpId) {
        let now = self.now;
        let Some(Running::Forward(op)) = self.ops.get(&id) else { return };
        if now.mono < op.next_at {
            return;
        }
        let silent = op.asked.iter().rev().find(|(_, _, is_refused)| !is_refused).map(|(member, ..)| *member);
        let partition = op.partition;
        if let Some(member) = silent {
            self.peers.missed(member, now.mono);
        }
        let (givers, me) = (self.dot_givers(partition), self.me());
        let Some(Running::Forward(op)) = self.ops.get(&id) else { return };
        let fresh = givers.iter().copied().find(|giver| op.asked.iter().all(|(asked, ..)| asked != giver));
        // All were asked: whoever was asked longest ago, for the message or its answer may be lost.
        let oldest = || {
            let asked = op.asked.iter().filter(|(member, ..)| givers.contains(member) && *member != me);
            asked.min_by_key(|(_, at, _)| *at).map(|(member, ..)| *member)
        };
        if let Some(to) = fresh.or_else(oldest) {
            self.hand_to(id, to);
        }
        if let Some(op) = self.forward_op(id) {
            op.next_at = now.mono + NEXT_AFTER;
            self.timers.set(now.mono + NEXT_AFTER, Timer::Hedge(id));
        }
    }
    fn hand_to(&mut self, id: OpId, to: MemberId) {
        let (now, epoch, me) = (self.now, self.epoch(), self.me());
        let Some(op) = self.forward_op(id) else { return };
        // Whoever was asked before and said nothing may have taken it: what it says to this copy proves nothing about
        // that one.
        op.spec.may_be_done |= op.asked.iter().any(|(member, _, is_refused)| *member == to && !is_refused);
        op.asked.retain(|(member, ..)| *member != to);
        op.asked.push((to, now.mono, false));
        let spec = op.spec.clone();
        if to == me {
            // The view changed, and this node gives the dots now. Whoever was asked before may have done it too.
            return self.take_over(id, spec);
        }
        let (expiry, expires_at_ms) = match spec.expiry {
            Expiry::Keep => (0, 0),
            Expiry::Never => (1, 0),
            Expiry::At(at) => (2, at),
        };
        let lifetime = spec.deadline.since(now.mono).as_millis();
        let context = spec.context.map(|seen| seen.iter().map(|dot| (dot.actor.0, dot.counter)).collect());
        let put = ForwardedPut {
            stamp: spec.stamp,
            value: spec.value,
            context,
            expiry,
            expires_at_ms,
            w: spec.w,
            lifetime_ms: lifetime.min(u64::from(u32::MAX)) as u32,
            is_final: spec.is_final,
        };
        self.trace_op(Kind::ReplicaAsked, id, &[u32::from(to.0), 0, 0]);
        let (keyspace, key) = (spec.keyspace, spec.key);
        self.send(to, spec.partition, DataMessage::Forward { op: id, epoch, keyspace, key, put });
    }
    fn take_over(&mut self, id: OpId, spec: PutSpec) {
        let Some(op) = self.forward_op(id) else { return };
        let (request, was_alone) = (op.request, op.asked.len() == 1);
        // An unanswered hand-over makes a refusal here no proof that nothing was done.
        let spec = PutSpec { may_be_done: spec.may_be_done || !was_alone, ..spec };
        self.ops.remove(&id);
        self.coordinate_put(Asker::Client(request), spec);
    }
    pub(super) fn revise_forward(&mut self, id: OpId) {
        let Some(Running::Forward(op)) = self.ops.get(&id) else { return };
        let givers = self.dot_givers(op.partition);
        let hopeless = op.asked.iter().all(|(member, _, is_refused)| *is_refused || !givers.contains(member));
        if hopeless {
            if let Some(op) = self.forward_op(id) {
                op.next_at = Micros(0);
            }
            self.hedge_forward(id);
        }
    }
    pub(super) fn on_forward_answer(&mut self, from: MemberId, id: OpId, answer: ForwardAnswer) {
        let now = self.now.mono;
        let Some(op) = self.forward_op(id) else { return };
        let asked = op.asked.iter().find(|(member, ..)| *member == from).map(|(_, at, _)| *at);
        let Some(at) = asked else { return };
        let (request, needed, stamp) = (op.request, op.spec.w, op.spec.stamp);
        self.peers.answered(from, now.since(at));
        let told = match answer {
            ForwardAnswer::Done { .. } => Answered::Ack,
            ForwardAnswer::Behind(_) => Answered::Behind,
            ForwardAnswer::Outrun(_) => Answered::Outrun,
            ForwardAnswer::InDoubt { .. } => Answered::InDoubt,
            _ => Answered::Refused,
        };
        self.trace_answered(id, from, told);
        match answer {
            ForwardAnswer::Done { existed, acks, hinted } => {
                self.ops.remove(&id);
                self.trace_ended(id, Ended::Done, acks, hinted);
                self.reply(request, Reply::Written(WriteReply { existed, acks, hinted, stamp: Some(stamp) }));
            }
            ForwardAnswer::Behind(above) => self.forward_again(id, from, above, false),
            ForwardAnswer::Outrun(above) => self.forward_again(id, from, above, true),
            ForwardAnswer::InDoubt { acks, needed } => {
                self.end_forward(id, Refusal::InDoubt { acks, needed })
            }
            ForwardAnswer::TooManySiblings(count) => {
                self.refuse_forward(id, from, Refusal::TooManySiblings(count));
            }
            ForwardAnswer::Expired(late_ms) => {
                self.refuse_forward(id, from, Refusal::CameLate { by: from, late_ms });
            }
            ForwardAnswer::Ahead(ahead_ms) => {
                self.refuse_forward(id, from, Refusal::ClockSkew { by: from, ahead_ms });
            }
            ForwardAnswer::TooFew { reachable, .. } => {
                self.refuse_forward(id, from, Refusal::ClusterDown { reachable, needed });
            }
            ForwardAnswer::Refused(why) => {
                if let RefusedWhy::StaleEpoch(epoch) = why {
                    self.saw_epoch(from, epoch);
                }
                // Whoever is asked next may take it; nobody is left only at the deadline.
                self.mark_refused(id, from);
                if !matches!(why, RefusedWhy::StaleEpoch(_)) {
                    self.try_fresh(id);
                }
            }
        }
    }
    fn mark_refused(&mut self, id: OpId, from: MemberId) {
        let Some(op) = self.forward_op(id) else { return };
        if let Some(asked) = op.asked.iter_mut().find(|(member, ..)| *member == from) {
            asked.2 = true;
        }
    }
    fn try_fresh(&mut self, id: OpId) {
        let Some(Running::Forward(op)) = self.ops.get(&id) else { return };
        let givers = self.dot_givers(op.partition);
        let fresh = givers.into_iter().find(|giver| op.asked.iter().all(|(asked, ..)| asked != giver));
        if let Some(to) = fresh {
            self.hand_to(id, to);
        }
    }
    /// Stamps again, above what hindered or won, and hands over anew.
    fn forward_again(&mut self, id: OpId, to: MemberId, above: Stamp, is_final: bool) {
        self.store.clock.observe(above.hlc);
        let stamp = self.stamp();
        self.trace_op(Kind::Restamped, id, &crate::base::trace::split(id));
        self.counters.restamped += 1;
        if let Some(op) = self.forward_op(id) {
            op.spec.stamp = stamp;
            op.spec.is_final |= is_final;
            op.spec.may_be_done |= is_final;
        }
        self.hand_to(id, to);
    }
    /// `from` has said that it did nothing and why. That is the answer only if nobody else was asked.
    fn refuse_forward(&mut self, id: OpId, from: MemberId, refusal: Refusal) {
        self.mark_refused(id, from);
        let Some(op) = self.forward_op(id) else { return };
        if !op.spec.may_be_done && op.asked.iter().all(|(_, _, is_refused)| *is_refused) {
            self.end_forward(id, refusal);
        }
    }
    fn end_forward(&mut self, id: OpId, refusal: Refusal) {
        let Some(Running::Forward(op)) = self.ops.remove(&id) else { return };
        let is_unknown = matches!(refusal, Refusal::InDoubt { .. });
        self.trace_ended(id, if is_unknown { Ended::Unknown } else { Ended::NotDone }, 0, 0);
        self.refuse(op.request, refusal);
    }
    pub(super) fn expire_forward(&mut self, id: OpId) {
        let Some(op) = self.forward_op(id) else { return };
        let needed = op.spec.w;
        let surely_not = !op.spec.may_be_done && op.asked.iter().all(|(_, _, is_refused)| *is_refused);
        let refusal = if surely_not {
            Refusal::TryAgain("no owner took it in time")
        } else {
            Refusal::InDoubt { acks: 0, needed }
        };
        self.end_forward(id, refusal);
    }

    // --- at the owner ---

    #[allow(clippy::too_many_arguments)] // The fields of the message, taken apart by the router.
    pub(super) fn on_forward(
        &mut self,
        from: MemberId,
        partition: PartitionId,
        op: OpId,
        epoch: Epoch,
        keyspace: KeyspaceId,
        key: Bytes,
        put: ForwardedPut,
    ) {
        self.saw_epoch(from, epoch);
        if self.taken.contains(from, op, put.stamp) {
            return; // A second copy: whatever was said to the first stands, and a refusal now would belie it.
        }
        let refuse = |shard: &mut Shard, answer| {
            shard.send(from, partition, DataMessage::ForwardAnswer { op, answer });
        };
        let Some(since) = self.state_of(partition).map(|state| state.since) else { return };
        if epoch < since {
            let answer = ForwardAnswer::Refused(RefusedWhy::StaleEpoch(self.epoch()));
            return refuse(self, answer);
        }
        let (own_partition, cell_key) = self.cell_key(keyspace, &key);
        if own_partition != partition || self.keyspace(keyspace).is_none() || !self.gives_dots(partition) {
            return refuse(self, ForwardAnswer::Refused(RefusedWhy::NotOwner));
        }
        // A copy that sat in a paused process's socket must not come back as news.
        let (wall, stamped) = (self.wall_ms(), put.stamp.hlc.millis());
        let late = wall.saturating_sub(stamped + u64::from(put.lifetime_ms));
        let ahead = stamped.saturating_sub(wall.max(self.store.clock.last().millis()));
        if late > 0 {
            return refuse(self, ForwardAnswer::Expired(late));
        }
        if ahead > SKEW_MS_MAX {
            return refuse(self, ForwardAnswer::Ahead(ahead));
        }
        self.store.clock.observe(put.stamp.hlc);
        let mut seen = VersionVector::new();
        for (actor, counter) in put.context.iter().flatten() {
            seen.add(Dot { actor: Actor(*actor), counter: *counter });
        }
        let expiry = match put.expiry {
            0 => Expiry::Keep,
            2 => Expiry::At(put.expires_at_ms),
            _ => Expiry::Never,
        };
        let spec = PutSpec {
            partition,
            keyspace,
            cell_key,
            stamp: put.stamp,
            value: put.value,
            context: put.context.map(|_| seen),
            expiry,
            w: put.w.max(1),
            is_final: put.is_final,
            may_be_done: false,
            deadline: self.now.mono + Micros::from_millis(u64::from(put.lifetime_ms)),
            key,
        };
        self.taken.add(from, op, put.stamp);
        self.coordinate_put(Asker::Peer(from, op), spec);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Now, Sabotage, ShardIndex};
    use crate::data::{Config, Input, Output};
    use crate::lsm::{BlockCache, Options};
    use crate::ring::fixture;
    use crate::storage::MemoryDisk;
    use crate::version::Hlc;
    use alloc::sync::Arc;

    const NOW: Now = Now { mono: Micros::from_secs(100), wall: Micros::from_secs(1_000_000) };

    #[test]
    fn an_owner_tells_a_late_put_from_one_stamped_ahead() {
        let config = Config {
            shard: ShardIndex(0),
            shard_count: 1,
            entropy: 1,
            key_bytes_max: 100,
            value_bytes_max: 100,
            hint_bytes_max: 100,
            engine: Options::default(),
            sabotage: Sabotage::NONE,
            trace: false,
        };
        let (mut disk, mut cache) = (MemoryDisk::default(), BlockCache::new(1 << 20));
        let (mut shard, ..) = Shard::open(NOW, config, &mut disk, &mut cache).unwrap();
        shard.handle(NOW, Input::View(Arc::new(fixture::view(2, 2))));
        let wall = NOW.wall.as_millis();
        let mut answer_to = |op, millis| {
            let key = Bytes::from_static(b"k");
            let (partition, _) = shard.cell_key(KeyspaceId(0), &key);
            let stamp = Stamp { hlc: Hlc::from_millis(millis), member: MemberId(1) };
            let put = ForwardedPut {
                stamp,
                value: Some(key.clone()),
                context: None,
                expiry: 1,
                expires_at_ms: 0,
                w: 1,
                lifetime_ms: 5_000,
                is_final: false,
            };
            let message = DataMessage::Forward { op, epoch: Epoch(1), keyspace: KeyspaceId(0), key, put };
            shard.handle(NOW, Input::Message { from: MemberId(1), partition, message });
            core::iter::from_fn(|| shard.poll()).find_map(|output| match output {
                Output::Send { message: DataMessage::ForwardAnswer { op: to, answer }, .. } if to == op => {
                    Some(answer)
                }
                _ => None,
            })
        };
        assert_eq!(answer_to(1, wall - 5_300), Some(ForwardAnswer::Expired(300)));
        let ahead = SKEW_MS_MAX + 700;
        assert_eq!(answer_to(2, wall + ahead), Some(ForwardAnswer::Ahead(ahead)), "the whole gap");
        assert_eq!(answer_to(3, wall - 4_000), None, "it is at work");
    }
}

//! A put at the node that gives it its dot: an owner, or, when no owner can be reached, the first fallback.
//!
//! It is stamped once, by the node that the client reached; gets its dot from what is held here; goes to every holder of a
//! seat; and is done when the plan's tally is met. Under `lww` a write that lost to a stamp it had not seen is stamped
//! again, above it, before it is acknowledged: no acknowledged `SET` is undone by one acknowledged before it began.

use super::shard::{Ack, OpId, Running, Shard, Then};
use super::store::Held;
use super::waits::Waiter;
use super::{Expiry, Refusal, Reply, RequestId, WriteReply};
use crate::base::trace::{Answered, Ended, Kind, Verb, split};
use crate::base::{Bug, KeyspaceId, MemberId, Micros, PartitionId};
use crate::lsm;
use crate::message::{DataMessage, ForwardAnswer, Reason, RefusedWhy, WriteAnswer};
use crate::quorum::{Plan, Purpose, Verdict};
use crate::ring::View;
use crate::version::{
    Body, Cell, Cover, Dot, ExpiryMark, Hlc, Merged, Resolve, SIBLING_COUNT_MAX, SIBLING_COUNT_WARN,
    SKEW_MS_MAX, Sibling, Stamp, VersionVector, decode_context,
};
use alloc::string::{String, ToString};
use bytes::Bytes;

/// How long holders that have not answered are waited for before they are sent the cell again.
const RESEND_AFTER: Micros = Micros::from_millis(250);

/// How soon a put is tried again that found the engine overloaded.
const CATCH_UP: Micros = Micros::from_millis(10);

/// What a put is to do, wherever it gets its dot.
#[derive(Debug, Clone)]
pub(super) struct PutSpec {
    pub partition: PartitionId,
    pub keyspace: KeyspaceId,
    pub key: Bytes,
    /// Its cell's engine key.
    pub cell_key: Bytes,
    /// Its identity and its place in the order.
    pub stamp: Stamp,
    /// `None` for a deletion.
    pub value: Option<Bytes>,
    /// What the client had seen; `None` to cover what is held.
    pub context: Option<VersionVector>,
    pub expiry: Expiry,
    pub w: u8,
    /// The stamp lies above everything that W holders named: what wins over it now was concurrent.
    pub is_final: bool,
    /// An earlier copy was handed out, and what became of it is unknown: a refusal now proves nothing.
    pub may_be_done: bool,
    pub deadline: Micros,
}

impl PutSpec {
    /// What a client is told: a refusal, unless an earlier copy may have been taken.
    pub(super) fn unsure(&self, refusal: Refusal) -> Refusal {
        if self.may_be_done { Refusal::InDoubt { acks: 0, needed: self.w } } else { refusal }
    }
}

/// Who is told how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asker {
    /// A client of this node, which stamped the put.
    Client(RequestId),
    /// The node that stamped it and waits under this operation.
    Peer(MemberId, OpId),
}

/// What became of a put where it was to get its dot.
pub(super) enum Dotted {
    /// The very put is held already.
    Twin,
    /// Something held lies above its stamp: nothing was changed.
    Behind(Stamp),
    /// Its cell is written; not yet durable.
    Written { cell: Bytes, existed: bool },
    /// The engine has to catch up first.
    Overloaded,
    /// The key has so many siblings already.
    TooManySiblings(u8),
    /// This node cannot keep it, and why.
    Refused(String),
}

#[derive(Debug, Clone)]
pub(super) struct PutOp {
    pub asker: Asker,
    pub partition: PartitionId,
    spec: PutSpec,
    plan: Plan,
    /// The cell that goes to the holders, once the dot is given.
    cell: Option<Bytes>,
    /// A live value was there before.
    existed: bool,
    /// The greatest stamp that won over this one.
    outrun: Option<Stamp>,
    /// When holders that are silent are sent the cell again; an earlier timer means nothing.
    resend_at: Micros,
}

impl Shard {
    #[allow(clippy::too_many_arguments)] // The fields of a client's put, taken apart by the router.
    pub(super) fn start_put(
        &mut self,
        id: RequestId,
        keyspace: KeyspaceId,
        key: Bytes,
        value: Option<Bytes>,
        context: Option<Bytes>,
        expiry: Expiry,
        w: Option<u8>,
        deadline: Micros,
    ) {
        self.counters.puts += 1;
        let context = match context.map(|bytes| self.read_context(&key, &bytes)).transpose() {
            Ok(context) => context,
            Err(refusal) => return self.refuse(id, refusal),
        };
        let Some(default_w) = self.keyspace(keyspace).map(|keyspace| keyspace.w) else { return };
        let (partition, cell_key) = self.cell_key(keyspace, &key);
        let spec = PutSpec {
            partition,
            keyspace,
            cell_key,
            stamp: self.stamp(),
            value,
            context,
            expiry,
            w: w.unwrap_or(default_w).max(1),
            is_final: false,
            may_be_done: false,
            deadline,
            key,
        };
        if self.decides_alone(partition, Purpose::Write, spec.w) {
            self.put_directly(id, spec);
        } else if self.gives_dots(partition) {
            self.coordinate_put(Asker::Client(id), spec);
        } else {
            // The stamp is used elsewhere: the ceiling has no write of its own to ride on.
            let _ = self.store.keep_ceiling();
            self.forward_put(id, spec);
        }
    }
    fn read_context(&mut self, key: &Bytes, bytes: &Bytes) -> Result<VersionVector, Refusal> {
        let lineage = self.view.as_ref().map_or(0, |view| view.topology.lineage);
        let context = decode_context(lineage, key, bytes).map_err(|_| Refusal::BadContext)?;
        self.adopt(context.hlc)?;
        Ok(context.seen)
    }
    /// Lets the clock go past a time that a client brought, unless it lies too far ahead to be honest.
    fn adopt(&mut self, hlc: Hlc) -> Result<(), Refusal> {
        let ahead_ms = hlc.millis().saturating_sub(self.wall_ms().max(self.store.clock.last().millis()));
        if ahead_ms > SKEW_MS_MAX {
            return Err(Refusal::ClockSkew { by: self.me(), ahead_ms });
        }
        self.store.clock.observe(hlc);
        Ok(())
    }
    /// Whether this node gives dots to puts of `partition`: it is an owner whose store is whole, or no such owner can be
    /// reached and it is the first fallback.
    pub(super) fn gives_dots(&self, partition: PartitionId) -> bool {
        let Some(view) = &self.view else { return false };
        let Some(state) = view.partition(partition) else { return false };
        if state.owners.contains(&view.me) {
            return !self.is_refilling();
        }
        !state.owners.iter().any(|owner| view.is_usable(*owner))
            && Plan::fallbacks(view, partition).first() == Some(&view.me)
    }
    /// Sees a put to its quorum from here.
    pub(super) fn coordinate_put(&mut self, asker: Asker, spec: PutSpec) {
        let Some(view) = self.view.clone() else { return };
        let partition = spec.partition;
        let Some(plan) = Plan::new(&view, partition, spec.w, Purpose::Write, self.config.sabotage) else {
            return;
        };
        let (reachable, needed) = (plan.tally.possible(), plan.tally.needed());
        if plan.tally.verdict() == Verdict::Lost || !plan.tally.is_holder(view.me) {
            let refusal = Refusal::ClusterDown { reachable, needed };
            return self.answer_refused(asker, partition, spec.unsure(refusal));
        }
        let id = self.op_id();
        let verb = if spec.is_final { Verb::Final } else { Verb::Write };
        self.trace_started(id, asker, verb, partition, plan.tally.needed_of_each(), &spec.key);
        self.arm_deadline(id, spec.deadline);
        let engine_key = self.own_key(&plan, &spec.cell_key);
        let op = PutOp {
            asker,
            partition,
            spec,
            plan,
            cell: None,
            existed: false,
            outrun: None,
            resend_at: Micros(0),
        };
        self.ops.insert(id, Running::Put(op));
        self.access(engine_key, Then::GiveDot { op: id });
    }
    pub(super) fn arm_deadline(&mut self, id: OpId, deadline: Micros) {
        if !self.config.sabotage.is(Bug::DeadlineNeverArmed) {
            self.timers.set(deadline, super::timers::Timer::Deadline(id));
        }
    }
    /// Where this node keeps the cell: among its cells, or among its hints for the owner that it stands in for.
    fn own_key(&self, plan: &Plan, cell_key: &Bytes) -> Bytes {
        let stands_in =
            plan.holders().iter().find(|(holder, _)| *holder == self.me()).and_then(|found| found.1);
        match stands_in {
            Some(target) => super::key::hint_key(target, cell_key),
            None => cell_key.clone(),
        }
    }
    fn put_op(&mut self, id: OpId) -> Option<&mut PutOp> {
        match self.ops.get_mut(&id) {
            Some(Running::Put(op)) => Some(op),
            _ => None,
        }
    }

    /// The held cell is at hand: the put gets its dot, unless something held forbids it.
    pub(super) fn give_dot(&mut self, id: OpId, engine_key: &Bytes, held: Option<Held>) {
        let Some(op) = self.put_op(id) else { return };
        let (asker, partition) = (op.asker, op.partition);
        let mut spec = op.spec.clone();
        match self.dot(&mut spec, engine_key, held.as_ref(), matches!(asker, Asker::Client(_))) {
            Dotted::Twin => self.spread(id, held.map(|held| held.bytes), true, None),
            Dotted::Behind(above) => {
                if let Asker::Peer(to, op) = asker {
                    self.ops.remove(&id);
                    let answer = ForwardAnswer::Behind(above);
                    self.send(to, partition, DataMessage::ForwardAnswer { op, answer });
                }
            }
            Dotted::Written { cell, existed } => {
                if spec.stamp != self.put_op(id).map_or(spec.stamp, |op| op.spec.stamp) {
                    self.trace_op(Kind::Restamped, id, &split(id));
                }
                self.spread(id, Some(cell), existed, Some(spec.stamp));
            }
            Dotted::Overloaded => self.try_dot_later(id),
            Dotted::TooManySiblings(count) => self.refuse_put(id, Refusal::TooManySiblings(count)),
            Dotted::Refused(why) => self.pass_on(id, Refusal::Storage(why)),
        }
    }
    /// Gives a put its dot and writes its cell in place of what is held. With `may_stamp` it takes another stamp where
    /// the one it has lies below something that hinders it.
    pub(super) fn dot(
        &mut self,
        spec: &mut PutSpec,
        engine_key: &Bytes,
        held: Option<&Held>,
        may_stamp: bool,
    ) -> Dotted {
        let (partition, is_hint) = (spec.partition, *engine_key != spec.cell_key);
        let resolve = self.resolve(spec.keyspace);
        let held_cell = held.map(|held| &held.cell);
        let body = spec.value.clone().map_or(Body::Tombstone, Body::Value);
        let is_twin = |sibling: &&Sibling| sibling.stamp == spec.stamp;
        let twin = held_cell.and_then(|cell| cell.siblings().iter().find(is_twin));
        if twin.is_some_and(|twin| twin.body == body) {
            // A second copy of the same put: the first one's dot serves.
            return Dotted::Twin;
        }
        let cover = spec.context.as_ref().map_or(Cover::Held, Cover::Context);
        // One stamp on two values: a clock went back over a restart before its ceiling was durable. The later put takes
        // another, rather than be taken for the earlier one.
        let hinders = || held_cell.and_then(|cell| cell.hinders(spec.stamp, cover, resolve));
        if let Some(above) = twin.map(|twin| twin.stamp).or_else(hinders) {
            if !may_stamp {
                return Dotted::Behind(above);
            }
            self.store.clock.observe(above.hlc);
            spec.stamp = self.stamp();
        }
        let stamp = spec.stamp;
        let winner = held_cell.and_then(|cell| cell.winner(self.wall_ms()));
        let existed = winner.is_some();
        let expiry = match spec.expiry {
            Expiry::Never => None,
            Expiry::At(at) => Some(ExpiryMark { stamp, at_ms: Some(at) }),
            Expiry::Keep => winner
                .and_then(|sibling| sibling.expires_at_ms())
                .map(|at| ExpiryMark { stamp, at_ms: Some(at) }),
        };
        let Some(dot) = self.next_dot(partition, held_cell.is_some() && !is_hint) else {
            return Dotted::Refused("the node is starting".to_string());
        };
        let sibling = Sibling { dot, stamp, body, expiry };
        let merged = match (held_cell, &spec.context) {
            (Some(cell), _) => cell.put(sibling, cover, resolve),
            (None, Some(context)) => {
                let empty_handed = Cell::first(sibling.clone());
                empty_handed.put(sibling, Cover::Context(context), resolve)
            }
            (None, None) => Merged { cell: Cell::first(sibling), discarded: 0, collisions: 0 },
        };
        let before = held_cell.map_or(0, Cell::identity_count);
        let after = merged.cell.identity_count();
        if after > SIBLING_COUNT_MAX && after > before && !self.config.sabotage.is(Bug::SiblingBoundIgnored) {
            return Dotted::TooManySiblings(before.min(255) as u8);
        }
        let new = Held::of(merged.cell);
        let held_bytes = held.map(|held| &held.bytes);
        if is_hint && !self.has_room_for(engine_key, held_bytes, &new.bytes) {
            return Dotted::Refused("no room for more hints".to_string());
        }
        let written = if is_hint {
            self.store.put_hint(engine_key, held_bytes, Some(&new.bytes))
        } else {
            self.store.put_cell(self.now, engine_key, held, &new)
        };
        match written {
            Ok(_) => {}
            Err(lsm::Error::Overloaded) => return Dotted::Overloaded,
            Err(error) => return Dotted::Refused(error.to_string()),
        }
        self.counters.crowded_puts += u64::from(after >= SIBLING_COUNT_WARN && after > before);
        self.counters.lww_discarded += u64::from(merged.discarded);
        self.trace_merged(&spec.key, partition, &new, true);
        Dotted::Written { cell: new.bytes, existed }
    }
    /// This node's disk takes no writes: another owner is asked to give the dot, as if this one could not be reached.
    fn pass_on(&mut self, id: OpId, refusal: Refusal) {
        let Some(Running::Put(op)) = self.ops.get(&id) else { return };
        if let Asker::Client(request) = op.asker
            && self.has_other_giver(op.partition)
        {
            let spec = op.spec.clone();
            self.ops.remove(&id);
            return self.forward_from(request, spec, true);
        }
        self.refuse_put(id, refusal);
    }
    /// The engine has to catch up first: the put waits for it, as long as its client does.
    fn try_dot_later(&mut self, id: OpId) {
        let at = self.now.mono + CATCH_UP;
        if let Some(op) = self.put_op(id) {
            op.resend_at = at;
            self.timers.set(at, super::timers::Timer::Hedge(id));
        }
    }
    fn next_dot(&mut self, partition: PartitionId, holds_cell: bool) -> Option<Dot> {
        let actors = self.actors.as_mut()?;
        Some(if holds_cell { actors.next(partition) } else { actors.first() })
    }
    /// The put has its cell: this node votes once it is durable, the other holders are sent it.
    fn spread(&mut self, id: OpId, cell: Option<Bytes>, existed: bool, stamp: Option<Stamp>) {
        let Some(op) = self.put_op(id) else { return };
        op.cell = cell;
        op.existed |= existed;
        if let Some(stamp) = stamp {
            op.spec.stamp = stamp;
        }
        let stamp = op.spec.stamp;
        self.trace_stamped(id, stamp);
        self.vote_when_durable(id, WriteAnswer::Held);
        self.keep_notes(id);
        self.send_to_holders(id);
        self.arm_resend(id);
    }
    fn arm_resend(&mut self, id: OpId) {
        let at = self.now.mono + RESEND_AFTER;
        if let Some(op) = self.put_op(id) {
            op.resend_at = at;
            self.timers.set(at, super::timers::Timer::Hedge(id));
        }
    }
    fn vote_when_durable(&mut self, id: OpId, answer: WriteAnswer) {
        if self.config.sabotage.is(Bug::AckBeforeSync) {
            return self.on_put_answer(self.me(), id, answer);
        }
        self.wait(self.until(), Waiter::Vote { op: id, answer });
    }
    /// Notes for owners whose seat nobody could take: they are sent what they missed when they are back.
    fn keep_notes(&mut self, id: OpId) {
        let Some(op) = self.put_op(id).filter(|op| !op.plan.vacant.is_empty()) else { return };
        let (vacant, cell_key) = (op.plan.vacant.clone(), op.spec.cell_key.clone());
        for target in vacant {
            let hint_key = super::key::hint_key(target, &cell_key);
            self.access(hint_key, Then::KeepHint { cell: Bytes::new(), ack: Ack::None });
        }
    }
    /// Sends the cell to every holder that has not voted, and to owners that refill.
    fn send_to_holders(&mut self, id: OpId) {
        let (me, epoch) = (self.me(), self.epoch());
        let Some(op) = self.put_op(id) else { return };
        let mut targets = op.plan.holders();
        targets.retain(|(holder, _)| *holder != me && !op.plan.tally.has_voted(*holder));
        targets
            .extend(op.plan.observers.iter().filter(|member| **member != me).map(|member| (*member, None)));
        if targets.is_empty() {
            return;
        }
        let Some(cell) = op.cell.clone() else { return };
        let (partition, keyspace, key) = (op.partition, op.spec.keyspace, op.spec.key.clone());
        for (to, stands_in) in targets {
            let reason = stands_in.map_or(Reason::Client, |target| Reason::Hint { target });
            self.trace_op(
                Kind::ReplicaAsked,
                id,
                &[u32::from(to.0), 0, stands_in.map_or(0, |t| u32::from(t.0) + 1)],
            );
            let (key, cell) = (key.clone(), cell.clone());
            self.send(to, partition, DataMessage::Write { op: id, epoch, keyspace, reason, key, cell });
        }
    }
    /// A holder has answered.
    pub(super) fn on_put_answer(&mut self, from: MemberId, id: OpId, answer: WriteAnswer) {
        let sabotage = self.config.sabotage;
        let told = match &answer {
            WriteAnswer::Held => Answered::Ack,
            WriteAnswer::Outrun(_) => Answered::Outrun,
            WriteAnswer::Refused(_) => Answered::Refused,
        };
        self.trace_answered(id, from, told);
        let Some(op) = self.put_op(id) else { return };
        match answer {
            WriteAnswer::Held => op.plan.tally.vote(from, sabotage),
            WriteAnswer::Outrun(above) => {
                op.outrun = op.outrun.max(Some(above));
                op.plan.tally.vote(from, sabotage);
            }
            // Too old an epoch is mended by the next view, a short overload by sending again.
            WriteAnswer::Refused(RefusedWhy::StaleEpoch(_) | RefusedWhy::Overloaded) => {}
            WriteAnswer::Refused(_) => self.replace_holder(id, from),
        }
        self.settle_put(id);
    }
    /// `holder` cannot: the next of the walk takes its seats.
    fn replace_holder(&mut self, id: OpId, holder: MemberId) {
        let Some(view) = self.view.clone() else { return };
        let Some(op) = self.put_op(id) else { return };
        let partition = op.partition;
        let open = op.plan.tally.refuse(holder);
        let mut is_changed = false;
        for owner in open {
            if let Some(next) = op.plan.another(&view, partition) {
                op.plan.tally.stand_in(owner, next);
                is_changed = true;
            } else if owner == holder && !op.plan.vacant.contains(&owner) {
                op.plan.vacant.push(owner);
            }
        }
        if is_changed {
            self.send_to_holders(id);
        }
        self.keep_notes(id);
    }
    /// Ends the put if its tally says so.
    fn settle_put(&mut self, id: OpId) {
        let sabotage = self.config.sabotage;
        let Some(op) = self.put_op(id) else { return };
        if op.cell.is_none() || op.plan.tally.verdict() != Verdict::Met {
            return;
        }
        let lost = op.outrun.filter(|above| *above > op.spec.stamp && !op.spec.is_final);
        if let Some(above) = lost
            && !sabotage.is(Bug::LostWriteNotRestamped)
        {
            return self.stamp_again(id, above);
        }
        let (acks, hinted) = (op.plan.tally.voters().len() as u8, op.plan.tally.hinted());
        let (existed, stamp) = (op.existed, Some(op.spec.stamp));
        self.finish_put(id, Ok(WriteReply { existed, acks, hinted, stamp }));
    }
    /// The write is on W holders, and another one wins there that it had not seen.
    fn stamp_again(&mut self, id: OpId, above: Stamp) {
        let Some(op) = self.put_op(id) else { return };
        if let Asker::Peer(to, asker) = op.asker {
            let partition = op.partition;
            self.ops.remove(&id);
            let answer = ForwardAnswer::Outrun(above);
            return self.send(to, partition, DataMessage::ForwardAnswer { op: asker, answer });
        }
        self.counters.restamped += 1;
        self.store.clock.observe(above.hlc);
        let stamp = self.stamp();
        let (Some(view), Some(Running::Put(mut op))) = (self.view.clone(), self.ops.remove(&id)) else {
            return;
        };
        let (partition, w) = (op.partition, op.spec.w);
        let Some(plan) = Plan::new(&view, partition, w, Purpose::Write, self.config.sabotage) else { return };
        // Another number: an answer to the first copy says nothing about the second.
        let again = self.op_id();
        self.trace_op(Kind::Restamped, id, &split(again));
        op.spec.stamp = stamp;
        op.spec.is_final = true;
        op.spec.may_be_done = true;
        op.outrun = None;
        op.cell = None;
        op.plan = plan;
        let engine_key = self.own_key(&op.plan, &op.spec.cell_key);
        self.arm_deadline(again, op.spec.deadline);
        self.ops.insert(again, Running::Put(op));
        self.access(engine_key, Then::GiveDot { op: again });
    }
    /// Nothing has happened, and nothing will: only before the dot is given.
    pub(super) fn refuse_put(&mut self, id: OpId, refusal: Refusal) {
        let Some(Running::Put(op)) = self.ops.remove(&id) else { return };
        let refusal = op.spec.unsure(refusal);
        self.trace_ended(id, Ended::NotDone, 0, 0);
        self.answer_refused(op.asker, op.partition, refusal);
    }
    fn answer_refused(&mut self, asker: Asker, partition: PartitionId, refusal: Refusal) {
        match asker {
            Asker::Client(id) => self.refuse(id, refusal),
            Asker::Peer(to, op) => {
                let answer = match refusal {
                    Refusal::ClusterDown { reachable, needed } => ForwardAnswer::TooFew { reachable, needed },
                    Refusal::TooManySiblings(count) => ForwardAnswer::TooManySiblings(count),
                    Refusal::InDoubt { acks, needed } => ForwardAnswer::InDoubt { acks, needed },
                    _ => ForwardAnswer::Refused(RefusedWhy::Storage),
                };
                self.send(to, partition, DataMessage::ForwardAnswer { op, answer });
            }
        }
    }
    fn finish_put(&mut self, id: OpId, end: Result<WriteReply, Refusal>) {
        let Some(Running::Put(op)) = self.ops.remove(&id) else { return };
        let (acks, hinted) = end.as_ref().map_or((0, 0), |reply| (reply.acks, reply.hinted));
        self.trace_ended(id, if end.is_ok() { Ended::Done } else { Ended::Unknown }, acks, hinted);
        match (op.asker, end) {
            (Asker::Client(request), Ok(reply)) => self.reply(request, Reply::Written(reply)),
            (Asker::Client(request), Err(refusal)) => self.refuse(request, refusal),
            (Asker::Peer(to, asker), end) => {
                let answer = match end {
                    Ok(WriteReply { existed, acks, hinted, .. }) => {
                        ForwardAnswer::Done { existed, acks, hinted }
                    }
                    Err(_) => ForwardAnswer::InDoubt { acks: 0, needed: op.spec.w },
                };
                self.send(to, op.partition, DataMessage::ForwardAnswer { op: asker, answer });
            }
        }
    }
    /// The client's time is over.
    pub(super) fn expire_put(&mut self, id: OpId) {
        let Some(op) = self.put_op(id) else { return };
        let (acks, needed) = (op.plan.tally.voters().len() as u8, op.plan.tally.needed());
        if op.cell.is_none() && !op.spec.may_be_done {
            return self.refuse_put(id, Refusal::TryAgain("the disk did not answer in time"));
        }
        self.finish_put(id, Err(Refusal::InDoubt { acks, needed }));
    }
    /// Some holders have not answered for a while: they are sent the cell again.
    pub(super) fn hedge_put(&mut self, id: OpId) {
        let now = self.now.mono;
        if self.put_op(id).is_none_or(|op| now < op.resend_at) {
            return;
        }
        let Some(op) = self.put_op(id) else { return };
        if op.cell.is_none() {
            let (plan, cell_key) = (op.plan.clone(), op.spec.cell_key.clone());
            let engine_key = self.own_key(&plan, &cell_key);
            return self.access(engine_key, Then::GiveDot { op: id });
        }
        self.keep_own(id);
        self.send_to_holders(id);
        self.arm_resend(id);
    }
    /// This node's own copy, once more: the first one may have met an engine that was overloaded.
    fn keep_own(&mut self, id: OpId) {
        let me = self.me();
        let Some(op) = self.put_op(id) else { return };
        let own = op.plan.holders().iter().find(|(holder, _)| *holder == me).copied();
        let Some((_, stands_in)) = own.filter(|_| !op.plan.tally.has_voted(me)) else { return };
        let Some(cell) = op.cell.clone() else { return };
        let (ack, cell_key) = (Ack::Own { op: id }, op.spec.cell_key.clone());
        match stands_in {
            None => self.access(cell_key, Then::Merge { cell, ack }),
            Some(target) => {
                self.access(super::key::hint_key(target, &cell_key), Then::KeepHint { cell, ack });
            }
        }
    }
    /// The view changed. Votes stay: who holds the cell holds it. A moved partition gets a new plan; a holder that went
    /// away is stood in for.
    pub(super) fn revise_put(&mut self, id: OpId, is_moved: bool) {
        let Some(view) = self.view.clone() else { return };
        let Some(op) = self.put_op(id) else { return };
        if is_moved {
            return self.plan_again(id, &view);
        }
        let gone: alloc::vec::Vec<MemberId> = op
            .plan
            .holders()
            .iter()
            .map(|(holder, _)| *holder)
            .filter(|holder| !view.is_usable(*holder))
            .collect();
        for holder in gone {
            self.replace_holder(id, holder);
        }
        self.settle_put(id);
    }
    /// The partition moved: a new plan, under another number, for an answer to what was asked under the old one may speak
    /// for a seat that is somebody else's now. A vote stays where the same member still speaks for the same owner.
    fn plan_again(&mut self, id: OpId, view: &View) {
        let sabotage = self.config.sabotage;
        let Some(op) = self.put_op(id) else { return };
        let (partition, w, deadline) = (op.partition, op.spec.w, op.spec.deadline);
        let Some(mut plan) = Plan::new(view, partition, w, Purpose::Write, sabotage) else { return };
        let kept = plan.tally.carry(&op.plan.tally);
        op.plan = plan;
        if op.cell.is_none() {
            return; // It waits for its dot, under the number that it has.
        }
        let Some(running) = self.ops.remove(&id) else { return };
        let again = self.op_id();
        self.ops.insert(again, running);
        self.arm_deadline(again, deadline);
        self.trace_op(Kind::PlannedAgain, id, &split(again));
        for (member, owner) in kept {
            let stood_for = if member == owner { 0 } else { u32::from(owner.0) + 1 };
            self.trace_op(Kind::ReplicaAsked, again, &[u32::from(member.0), 0, stood_for]);
            self.trace_answered(again, member, Answered::Ack);
        }
        self.keep_notes(again);
        self.send_to_holders(again);
        self.arm_resend(again);
        self.settle_put(again);
    }

    /// A cell that needs no dot (its expiry changed, or it has one) goes to the holders as a put does.
    pub(super) fn write_cell(&mut self, asker: Asker, spec: PutSpec, cell: Bytes, existed: bool) {
        let Some(view) = self.view.clone() else { return };
        let Some(plan) = Plan::new(&view, spec.partition, spec.w, Purpose::Write, self.config.sabotage)
        else {
            return;
        };
        let (reachable, needed) = (plan.tally.possible(), plan.tally.needed());
        if plan.tally.verdict() == Verdict::Lost {
            let refusal = Refusal::ClusterDown { reachable, needed };
            return self.answer_refused(asker, spec.partition, spec.unsure(refusal));
        }
        let id = self.op_id();
        self.trace_started(id, asker, Verb::Final, spec.partition, plan.tally.needed_of_each(), &spec.key);
        self.arm_deadline(id, spec.deadline);
        self.trace_stamped(id, spec.stamp);
        let partition = spec.partition;
        let op = PutOp {
            asker,
            partition,
            spec,
            plan,
            cell: Some(cell),
            existed,
            outrun: None,
            resend_at: Micros(0),
        };
        self.ops.insert(id, Running::Put(op));
        self.send_to_holders(id);
        self.arm_resend(id);
        self.keep_own(id);
    }
    /// What happens to concurrent values in a keyspace.
    pub(super) fn resolve(&self, keyspace: KeyspaceId) -> Resolve {
        self.keyspace(keyspace).map_or(Resolve::Lww, |keyspace| keyspace.resolve)
    }
}

//! A get at its coordinator: R holders are asked, the slow ones last; more of them after a delay learned from whoever was
//! asked; the answers are merged, and who was behind is sent what was found.
//!
//! `EXPIRE` begins as a get, for it changes the value that it saw; `KV.EXPLAIN` is a get of everyone.

use super::put::{Asker, PutSpec};
use super::shard::{OpId, Running, Shard, Then};
use super::timers::Timer;
use super::{ExpireWhen, Expiry, ReadReply, Refusal, Reply, RequestId, WriteReply, explain};
use crate::base::trace::{Answered, Ended, Kind, Verb, split};
use crate::base::{Epoch, KeyspaceId, MemberId, Micros, Order, PartitionId};
use crate::message::{DataMessage, ReadAnswer, Reason, RefusedWhy};
use crate::quorum::{Plan, Purpose, Verdict};
use crate::version::{Cell, ExpiryMark};
use bytes::Bytes;
use smallvec::SmallVec;

/// How long those who were asked are waited for, where no peer has taught better, and before all are asked once more.
const PATIENCE: Micros = Micros::from_millis(50);
/// How often that doubles.
const REPEATS_MAX: u8 = 4;

/// What the cell is wanted for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    Read,
    Expire { expiry: Expiry, when: ExpireWhen, w: u8 },
    Explain,
}

/// Whom to ask next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
    /// As many as could meet the tally if they all answered.
    Enough,
    /// Others, for those who were asked cannot or do not say.
    Others,
    /// Others, and if there are none whoever is silent once more.
    Again,
}

#[derive(Debug, Clone)]
pub(super) struct GetOp {
    request: RequestId,
    wanted: Wanted,
    pub partition: PartitionId,
    keyspace: KeyspaceId,
    key: Bytes,
    cell_key: Bytes,
    r: u8,
    plan: Plan,
    deadline: Micros,
    /// When more are asked; an earlier timer of the same operation means nothing.
    hedge_at: Micros,
    /// How often everyone silent was asked once more: each time waits twice as long.
    repeats: u8,
    /// Who was asked, and when.
    asked: SmallVec<[(MemberId, Micros); 4]>,
    /// Who answered what.
    answers: SmallVec<[(MemberId, Option<Bytes>); 4]>,
}

impl Shard {
    pub(super) fn start_get(
        &mut self,
        id: RequestId,
        keyspace: KeyspaceId,
        key: Bytes,
        r: Option<u8>,
        deadline: Micros,
    ) {
        self.counters.gets += 1;
        self.begin_get(id, Wanted::Read, keyspace, key, r, deadline);
    }
    pub(super) fn start_expire(
        &mut self,
        id: RequestId,
        keyspace: KeyspaceId,
        key: Bytes,
        expiry: Expiry,
        when: ExpireWhen,
        deadline: Micros,
    ) {
        self.counters.puts += 1;
        let Some(w) = self.keyspace(keyspace).map(|keyspace| keyspace.w) else { return };
        self.begin_get(id, Wanted::Expire { expiry, when, w }, keyspace, key, None, deadline);
    }
    pub(super) fn start_explain(
        &mut self,
        id: RequestId,
        keyspace: KeyspaceId,
        key: Bytes,
        deadline: Micros,
    ) {
        // Who does not answer soon is shown as silent: this is a picture, not a quorum.
        let deadline = deadline.min(self.now.mono + Micros::from_millis(500));
        self.begin_get(id, Wanted::Explain, keyspace, key, Some(u8::MAX), deadline);
    }
    fn begin_get(
        &mut self,
        request: RequestId,
        wanted: Wanted,
        keyspace: KeyspaceId,
        key: Bytes,
        r: Option<u8>,
        deadline: Micros,
    ) {
        let Some(r) = r.or_else(|| self.keyspace(keyspace).map(|keyspace| keyspace.r)) else { return };
        let (partition, cell_key) = self.cell_key(keyspace, &key);
        if wanted == Wanted::Read
            && self.decides_alone(partition, Purpose::Read, r)
            && self.get_directly(request, partition, &key, &cell_key)
        {
            return;
        }
        let Some(view) = self.view.clone() else { return };
        let Some(plan) = Plan::new(&view, partition, r, Purpose::Read, self.config.sabotage) else { return };
        let (reachable, needed) = (plan.tally.possible(), plan.tally.needed());
        if plan.tally.verdict() == Verdict::Lost && wanted != Wanted::Explain {
            return self.refuse(request, Refusal::ClusterDown { reachable, needed });
        }
        let id = self.op_id();
        // A look at all copies is a picture, no request of a client: it is not told of.
        if wanted != Wanted::Explain {
            let needed = plan.tally.needed_of_each();
            self.trace_started(id, Asker::Client(request), Verb::Read, partition, needed, &key);
        }
        self.arm_deadline(id, deadline);
        let (asked, answers) = (SmallVec::new(), SmallVec::new());
        let hedge_at = Micros(0);
        let op = GetOp {
            request,
            wanted,
            partition,
            keyspace,
            key,
            cell_key,
            r,
            plan,
            deadline,
            hedge_at,
            repeats: 0,
            asked,
            answers,
        };
        self.ops.insert(id, Running::Get(op));
        self.ask_enough(id, Ask::Enough);
    }
    fn get_op(&mut self, id: OpId) -> Option<&mut GetOp> {
        match self.ops.get_mut(&id) {
            Some(Running::Get(op)) => Some(op),
            _ => None,
        }
    }
    /// Asks as many holders as could meet the tally if they all answered: this node first, slow ones last.
    fn ask_enough(&mut self, id: OpId, how: Ask) {
        let (me, now) = (self.me(), self.now.mono);
        let Some(Running::Get(op)) = self.ops.get(&id) else { return };
        let mut hoped = op.plan.tally.clone();
        for (member, _) in &op.asked {
            if how == Ask::Enough || op.answers.iter().any(|(answered, _)| answered == member) {
                hoped.vote(*member, crate::base::Sabotage::NONE);
            }
        }
        let mut holders = op.plan.holders();
        holders.retain(|(holder, _)| !op.asked.iter().any(|(asked, _)| asked == holder));
        holders.order_by_key(|(holder, _)| (*holder != me, self.peers.is_slow(*holder, now)));
        let mut to_ask: SmallVec<[(MemberId, Option<MemberId>); 4]> = SmallVec::new();
        for (holder, stands_in) in holders {
            if hoped.verdict() == Verdict::Met {
                break;
            }
            hoped.vote(holder, crate::base::Sabotage::NONE);
            to_ask.push((holder, stands_in));
        }
        let is_repeat = to_ask.is_empty() && how == Ask::Again;
        if is_repeat {
            // Everyone was asked: a message or its answer may be lost.
            let silent = |(holder, _): &&(MemberId, Option<MemberId>)| !op.plan.tally.has_voted(*holder);
            to_ask = op.plan.holders().iter().filter(silent).copied().collect();
        }
        let mut patience = Micros(0);
        for (holder, stands_in) in to_ask {
            patience = patience.max(if holder == me { Micros(0) } else { self.peers.hedge_after(holder) });
            self.ask(id, holder, stands_in, how != Ask::Enough);
        }
        if let Some(op) = self.get_op(id) {
            let patience = if patience.0 == 0 { PATIENCE } else { patience };
            op.repeats += u8::from(is_repeat && op.repeats < REPEATS_MAX);
            let patience = if is_repeat { Micros(PATIENCE.0 << (op.repeats - 1)) } else { patience };
            op.hedge_at = now + patience;
            self.timers.set(now + patience, Timer::Hedge(id));
        }
    }
    fn ask(&mut self, id: OpId, holder: MemberId, stands_in: Option<MemberId>, is_hedge: bool) {
        let (me, now, epoch) = (self.me(), self.now.mono, self.epoch());
        let Some(op) = self.get_op(id) else { return };
        op.asked.retain(|(asked, _)| *asked != holder);
        op.asked.push((holder, now));
        let (partition, keyspace) = (op.partition, op.keyspace);
        let (key, cell_key) = (op.key.clone(), op.cell_key.clone());
        let stood = stands_in.map_or(0, |target| u32::from(target.0) + 1);
        self.trace_op(Kind::ReplicaAsked, id, &[u32::from(holder.0), u32::from(is_hedge), stood]);
        if holder != me {
            let message = DataMessage::Read { op: id, epoch, keyspace, target: stands_in, key };
            return self.send(holder, partition, message);
        }
        let engine_key = match stands_in {
            Some(target) => super::key::hint_key(target, &cell_key),
            None => cell_key,
        };
        self.access(engine_key, Then::OwnRead { op: id });
    }
    pub(super) fn on_read_answer(&mut self, from: MemberId, id: OpId, answer: ReadAnswer) {
        let now = self.now.mono;
        if let Some(op) = self.get_op(id)
            && let Some((_, at)) = op.asked.iter().find(|(asked, _)| *asked == from)
        {
            let took = now.since(*at);
            self.peers.answered(from, took);
        }
        match answer {
            ReadAnswer::Absent => self.on_read_vote(from, id, None),
            ReadAnswer::Cell(bytes) => self.on_read_vote(from, id, Some(bytes)),
            ReadAnswer::Refused(RefusedWhy::StaleEpoch(epoch)) => self.saw_epoch(from, epoch),
            ReadAnswer::Refused(why) => self.on_read_refused(from, id, why),
        }
    }
    pub(super) fn on_read_vote(&mut self, from: MemberId, id: OpId, value: Option<Bytes>) {
        let sabotage = self.config.sabotage;
        self.trace_answered(id, from, if value.is_some() { Answered::Cell } else { Answered::Absent });
        let Some(op) = self.get_op(id) else { return };
        op.plan.tally.vote(from, sabotage);
        if op.plan.tally.is_holder(from) && !op.answers.iter().any(|(answered, _)| *answered == from) {
            op.answers.push((from, value));
        }
        let is_met = match op.wanted {
            Wanted::Explain => op.answers.len() == op.plan.holders().len(),
            _ => op.plan.tally.verdict() == Verdict::Met,
        };
        if is_met {
            self.finish_get(id);
        }
    }
    /// `from` cannot say: somebody else is asked at once.
    pub(super) fn on_read_refused(&mut self, from: MemberId, id: OpId, why: RefusedWhy) {
        let Some(view) = self.view.clone() else { return };
        let Some(op) = self.get_op(id) else { return };
        let partition = op.partition;
        for owner in op.plan.tally.refuse(from) {
            if let Some(next) = op.plan.another(&view, partition) {
                op.plan.tally.stand_in(owner, next);
            }
        }
        // A disk does not mend itself while a client waits; a view that is behind may.
        if why == RefusedWhy::Storage
            && op.plan.tally.verdict() == Verdict::Lost
            && op.wanted != Wanted::Explain
        {
            let Some(Running::Get(op)) = self.ops.remove(&id) else { return };
            self.trace_ended(id, Ended::NotDone, op.answers.len() as u8, 0);
            let why = "too few replicas can read the key; their logs say why".into();
            return self.refuse(op.request, Refusal::Storage(why));
        }
        self.ask_enough(id, Ask::Others);
    }
    pub(super) fn hedge_get(&mut self, id: OpId) {
        let now = self.now.mono;
        let Some(Running::Get(op)) = self.ops.get(&id) else { return };
        if now < op.hedge_at {
            return;
        }
        let silent =
            op.asked.iter().map(|(member, _)| *member).filter(|member| !op.plan.tally.has_voted(*member));
        for member in silent.collect::<SmallVec<[MemberId; 4]>>() {
            self.peers.missed(member, now);
        }
        self.counters.hedged_reads += 1;
        self.ask_enough(id, Ask::Again);
    }
    /// The view changed: a moved partition, or a holder that went away, wants a new plan, and all is asked anew. It goes by another
    /// number from then on: an answer under the old one may speak for a seat that is somebody else's now, and says nothing
    /// about new owners.
    pub(super) fn revise_get(&mut self, id: OpId, is_moved: bool) {
        let Some(view) = self.view.clone() else { return };
        let sabotage = self.config.sabotage;
        let Some(op) = self.get_op(id) else { return };
        let is_short = op.plan.holders().iter().any(|(holder, _)| !view.is_usable(*holder));
        if !is_moved && !is_short {
            return;
        }
        let Some(plan) = Plan::new(&view, op.partition, op.r, Purpose::Read, sabotage) else { return };
        op.plan = plan;
        op.asked.clear();
        op.answers.clear();
        let (deadline, is_told) = (op.deadline, op.wanted != Wanted::Explain);
        let Some(running) = self.ops.remove(&id) else { return };
        let again = self.op_id();
        self.ops.insert(again, running);
        self.arm_deadline(again, deadline);
        if is_told {
            self.trace_op(Kind::PlannedAgain, id, &split(again));
        }
        self.ask_enough(again, Ask::Enough);
    }
    pub(super) fn expire_get(&mut self, id: OpId) {
        if let Some(op) = self.get_op(id)
            && op.wanted == Wanted::Explain
        {
            return self.finish_get(id);
        }
        let Some(Running::Get(op)) = self.ops.remove(&id) else { return };
        self.trace_ended(id, Ended::NotDone, op.answers.len() as u8, 0);
        self.refuse(op.request, Refusal::TryAgain("too few replicas answered in time"));
    }
    fn finish_get(&mut self, id: OpId) {
        let Some(Running::Get(op)) = self.ops.remove(&id) else { return };
        if op.wanted == Wanted::Explain {
            let Some(view) = self.view.clone() else { return };
            let text = explain::text(&view, op.partition, &op.key, &op.answers, self.wall_ms());
            return self.reply(op.request, Reply::Explained(text));
        }
        self.trace_ended(id, Ended::Done, op.answers.len() as u8, op.plan.tally.hinted());
        let cell = match self.merge_answers(id, &op) {
            Ok(cell) => cell,
            Err(()) => {
                return self.refuse(op.request, Refusal::Storage("a replica sent a damaged cell".into()));
            }
        };
        if let Some(cell) = &cell {
            cell.observe(&mut self.store.clock);
        }
        match op.wanted {
            Wanted::Expire { expiry, when, w } => self.change_expiry(&op, cell, expiry, when, w),
            _ => self.reply(op.request, Reply::Read(ReadReply { cell })),
        }
    }
    /// Merges what was answered and sends the outcome to whoever was behind.
    fn merge_answers(&mut self, id: OpId, op: &GetOp) -> Result<Option<Cell>, ()> {
        let resolve = self.resolve(op.keyspace);
        let mut merged: Option<(Cell, Bytes)> = None;
        let mut is_mixed = false;
        for (_, answer) in &op.answers {
            let Some(bytes) = answer else { continue };
            match &mut merged {
                Some((_, known)) if known == bytes => {}
                Some((cell, known)) => {
                    let other = Cell::decode(bytes).map_err(|_| ())?;
                    *cell = cell.merge(&other, resolve, self.config.sabotage).cell;
                    *known = cell.to_bytes();
                    is_mixed = true;
                }
                None => merged = Some((Cell::decode(bytes).map_err(|_| ())?, bytes.clone())),
            }
        }
        let is_short = merged.is_some() && op.answers.iter().any(|(_, answer)| answer.is_none());
        if let Some((_, bytes)) = &merged
            && (is_mixed || is_short)
        {
            self.repair_readers(id, op, bytes);
        }
        Ok(merged.map(|(cell, _)| cell))
    }
    fn repair_readers(&mut self, id: OpId, op: &GetOp, merged: &Bytes) {
        let Some(state) = self.state_of(op.partition).cloned() else { return };
        let epoch = self.epoch();
        for (member, answer) in &op.answers {
            let owns = state.owners.contains(member) || state.next.contains(member);
            if answer.as_ref() == Some(merged) || !owns {
                continue;
            }
            self.counters.read_repairs += 1;
            self.trace_op(Kind::ReadRepaired, id, &[u32::from(member.0)]);
            let (keyspace, key, cell) = (op.keyspace, op.key.clone(), merged.clone());
            let message = DataMessage::Write { op: 0, epoch, keyspace, reason: Reason::Repair, key, cell };
            self.send(*member, op.partition, message);
        }
    }
    /// The second half of `EXPIRE`: the value that was seen gets another end.
    fn change_expiry(&mut self, op: &GetOp, cell: Option<Cell>, expiry: Expiry, when: ExpireWhen, w: u8) {
        let unchanged = WriteReply { existed: false, acks: 0, hinted: 0, stamp: None };
        let wall_ms = self.wall_ms();
        let winner = cell.as_ref().and_then(|cell| cell.winner(wall_ms)).cloned();
        let (Some(mut cell), Some(winner)) = (cell, winner) else {
            return self.reply(op.request, Reply::Written(unchanged));
        };
        let at_ms = match expiry {
            Expiry::Never => None,
            Expiry::At(at) => Some(at),
            Expiry::Keep => winner.expires_at_ms(),
        };
        if !is_wanted(winner.expires_at_ms(), at_ms, when) {
            return self.reply(op.request, Reply::Written(unchanged));
        }
        let stamp = self.stamp();
        cell.set_expiry(winner.dot, ExpiryMark { stamp, at_ms });
        let spec = PutSpec {
            partition: op.partition,
            keyspace: op.keyspace,
            key: op.key.clone(),
            cell_key: op.cell_key.clone(),
            stamp,
            value: None,
            context: None,
            expiry,
            w,
            is_final: true,
            may_be_done: false,
            deadline: op.deadline,
        };
        self.write_cell(Asker::Client(op.request), spec, cell.to_bytes(), true);
    }

    // --- at the holder ---

    #[allow(clippy::too_many_arguments)] // The fields of the message, taken apart by the router.
    pub(super) fn on_read(
        &mut self,
        from: MemberId,
        partition: PartitionId,
        op: OpId,
        epoch: Epoch,
        keyspace: KeyspaceId,
        target: Option<MemberId>,
        key: &Bytes,
    ) {
        self.saw_epoch(from, epoch);
        let (own_partition, cell_key) = self.cell_key(keyspace, key);
        if own_partition != partition {
            return;
        }
        let Some(view) = self.view.clone() else { return };
        let engine_key = match target {
            Some(target) if !view.owns(partition) => super::key::hint_key(target, &cell_key),
            None if !view.owns(partition) => {
                let answer = ReadAnswer::Refused(RefusedWhy::NotOwner);
                return self.send(from, partition, DataMessage::ReadAnswer { op, answer });
            }
            _ => cell_key,
        };
        self.access(engine_key, Then::AnswerRead { to: from, partition, op, epoch });
    }
    /// What is held is at hand. Whether it counts is judged now, not when it was asked for.
    pub(super) fn answer_read(
        &mut self,
        to: MemberId,
        partition: PartitionId,
        op: OpId,
        epoch: Epoch,
        value: Option<Bytes>,
    ) {
        let Some(since) = self.state_of(partition).map(|state| state.since) else { return };
        let answer = if epoch < since {
            ReadAnswer::Refused(RefusedWhy::StaleEpoch(self.epoch()))
        } else if self.is_refilling() {
            ReadAnswer::Refused(RefusedWhy::Refilling)
        } else {
            value.map_or(ReadAnswer::Absent, ReadAnswer::Cell)
        };
        self.send(to, partition, DataMessage::ReadAnswer { op, answer });
    }
}

/// Whether a change from one end to another is wanted, as Redis decides it: no end is later than any.
fn is_wanted(old: Option<u64>, new: Option<u64>, when: ExpireWhen) -> bool {
    let late = |at: Option<u64>| at.unwrap_or(u64::MAX);
    let is_change = old != new;
    match when {
        ExpireWhen::Always => is_change || new.is_some(),
        ExpireWhen::NoExpiry => old.is_none() && is_change,
        ExpireWhen::HasExpiry => old.is_some(),
        ExpireWhen::Later => late(new) > late(old),
        ExpireWhen::Earlier => late(new) < late(old),
        ExpireWhen::HasLater => old.is_some() && late(new) < late(old),
    }
}

/// Answers by member, for those who draw them.
pub(super) type Answers = [(MemberId, Option<Bytes>)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_change_as_in_redis() {
        let cases: [(Option<u64>, Option<u64>, ExpireWhen, bool); 11] = [
            (None, Some(5), ExpireWhen::Always, true),
            (None, None, ExpireWhen::Always, false),
            (Some(5), Some(5), ExpireWhen::Always, true),
            (None, Some(5), ExpireWhen::Later, false),
            (None, Some(5), ExpireWhen::Earlier, true),
            (Some(4), Some(5), ExpireWhen::Later, true),
            (Some(4), Some(5), ExpireWhen::NoExpiry, false),
            (None, Some(5), ExpireWhen::HasExpiry, false),
            (None, Some(5), ExpireWhen::HasLater, false),
            (Some(6), Some(5), ExpireWhen::HasLater, true),
            (Some(4), Some(5), ExpireWhen::HasLater, false),
        ];
        for (old, new, when, wanted) in cases {
            assert_eq!(is_wanted(old, new, when), wanted, "{old:?} to {new:?} when {when:?}");
        }
    }
}

//! Hinted handoff: what is kept for others goes to them when they are back.
//!
//! Source: Dynamo (SOSP 2007), §4.6. Differs: a hint counts once it is as durable as its keyspace asks (`always`: synced),
//! never expires, and goes only if it is still what was delivered; one whose target no longer owns the partition goes to
//! all who do, and while the partition moves each goes to all who gain it as well.

use super::key::{cell_of_hint, hints_range, place_of};
use super::page::{PageRange, ScanFor};
use super::shard::{OpId, Running, Shard, Then};
use super::timers::Timer;
use crate::base::BTreeMap;
use crate::base::trace::Kind;
use crate::base::{MemberId, Micros, Order, checksum};
use crate::lsm::ScanPage;
use crate::message::{DataMessage, Reason, WriteAnswer};
use bytes::Bytes;
use smallvec::SmallVec;

/// Hints on their way to one target at a time.
const IN_FLIGHT_MAX: u32 = 256;
/// How long an answer is waited for; then the hint is sent again in its turn.
const PATIENCE: Micros = Micros::from_millis(1_000);

/// Where delivery to each target stands.
#[derive(Debug, Clone, Default)]
pub(super) struct Handoff {
    targets: BTreeMap<MemberId, Progress>,
}

#[derive(Debug, Clone, Default)]
struct Progress {
    /// A page is being read.
    is_reading: bool,
    /// Hints on their way.
    in_flight: u32,
    /// Where the next page starts; from the beginning if `None`.
    next: Option<Bytes>,
}

/// A hint on its way.
#[derive(Debug, Clone)]
pub(super) struct DeliveryOp {
    target: MemberId,
    hint_key: Bytes,
    /// Names what was sent.
    sent: u64,
    awaiting: SmallVec<[MemberId; 1]>,
}

impl Shard {
    /// Goes on delivering to every target that can be reached.
    pub(super) fn tend_hints(&mut self) {
        let Some(view) = self.view.clone() else { return };
        let targets: SmallVec<[MemberId; 8]> = self.store.hints.targets().collect();
        for target in targets {
            if view.is_usable(target) || view.topology.member(target).is_none() {
                self.read_hints(target);
            }
        }
    }
    fn read_hints(&mut self, target: MemberId) {
        let progress = self.handoff.targets.entry(target).or_default();
        if progress.is_reading || progress.in_flight > 0 {
            return;
        }
        progress.is_reading = true;
        let (first, to) = hints_range(Some(target));
        let from = progress.next.take().unwrap_or(first);
        let range = PageRange { from, to, limit: IN_FLIGHT_MAX, bytes_max: 1 << 20 };
        self.read_page(range, ScanFor::Hints { target });
    }
    /// The disk could not tell: again in its turn.
    pub(super) fn on_hints_unread(&mut self, target: MemberId) {
        if let Some(progress) = self.handoff.targets.get_mut(&target) {
            progress.is_reading = false;
        }
    }
    pub(super) fn on_hints(&mut self, target: MemberId, page: ScanPage) {
        if let Some(progress) = self.handoff.targets.get_mut(&target) {
            progress.is_reading = false;
            progress.next = page.next;
        }
        for (hint_key, value) in page.entries {
            let Some((_, cell_key)) = cell_of_hint(&hint_key) else { continue };
            if value.is_empty() {
                self.access(cell_key, Then::DeliverNote { hint_key, target });
            } else {
                let sent = checksum(&value);
                self.deliver(target, hint_key, &cell_key, value, sent);
            }
        }
    }
    /// A note's cell is at hand: it is what the target may have missed.
    pub(super) fn deliver_note(
        &mut self,
        hint_key: Bytes,
        target: MemberId,
        cell_key: &Bytes,
        value: Option<Bytes>,
    ) {
        let sent = checksum(&[]);
        match value {
            Some(cell) => self.deliver(target, hint_key, cell_key, cell, sent),
            None => self.access(hint_key, Then::DropHint { sent }),
        }
    }
    fn deliver(&mut self, target: MemberId, hint_key: Bytes, cell_key: &Bytes, cell: Bytes, sent: u64) {
        let Some(place) = place_of(cell_key) else { return };
        let Some(state) = self.state_of(place.partition) else { return };
        let mut awaiting: SmallVec<[MemberId; 1]> = SmallVec::new();
        if state.owners.contains(&target) || state.next.contains(&target) {
            awaiting.push(target);
        } else {
            awaiting.extend_from_slice(&state.owners);
        }
        // Who gains the partition may have been filled from the target before this.
        awaiting.extend_from_slice(&state.next);
        awaiting.order();
        awaiting.dedup();
        let (id, epoch) = (self.op_id(), self.epoch());
        for to in awaiting.clone() {
            let (keyspace, key, cell) = (place.keyspace, place.key.clone(), cell.clone());
            let message = DataMessage::Write { op: id, epoch, keyspace, reason: Reason::Handoff, key, cell };
            self.send(to, place.partition, message);
        }
        self.handoff.targets.entry(target).or_default().in_flight += 1;
        self.ops.insert(id, Running::Delivery(DeliveryOp { target, hint_key, sent, awaiting }));
        self.timers.set(self.now.mono + PATIENCE, Timer::Deadline(id));
    }
    pub(super) fn on_delivery_answer(&mut self, from: MemberId, id: OpId, answer: WriteAnswer) {
        let Some(Running::Delivery(op)) = self.ops.get_mut(&id) else { return };
        if matches!(answer, WriteAnswer::Refused(_)) {
            return self.give_up_delivery(id);
        }
        op.awaiting.retain(|member| *member != from);
        if op.awaiting.is_empty() {
            let (hint_key, sent) = (op.hint_key.clone(), op.sent);
            self.give_up_delivery(id);
            self.access(hint_key, Then::DropHint { sent });
        }
    }
    pub(super) fn give_up_delivery(&mut self, id: OpId) {
        let Some(Running::Delivery(op)) = self.ops.remove(&id) else { return };
        if let Some(progress) = self.handoff.targets.get_mut(&op.target) {
            progress.in_flight = progress.in_flight.saturating_sub(1);
        }
    }
    /// A delivered hint goes, if it is still what was sent.
    pub(super) fn drop_hint(&mut self, hint_key: &Bytes, value: Option<Bytes>, sent: u64) {
        let Some(value) = value.filter(|value| checksum(value) == sent) else { return };
        if self.store.put_hint(hint_key, Some(&value), None).is_err() {
            return; // Sent again in its turn.
        }
        self.counters.hints_delivered += 1;
        if let Some((target, cell_key)) = cell_of_hint(hint_key)
            && let Some(place) = place_of(&cell_key)
        {
            let words = [u32::from(target.0), u32::from(place.partition.0)];
            self.trace_key(Kind::HintDelivered, &words, &place.key);
        }
    }
}

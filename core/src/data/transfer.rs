//! How a partition comes to a new owner, back to one that lost its store, and away from an old one.
//!
//! A partition is *merged* when every cell of enough owners has been merged here after each of them had adopted the epoch
//! of the move: as many as meet every write quorum of theirs. Only durable cells count. An old owner drops its data once
//! the topology says that nobody can still ask for it.

use super::Output;
use super::key::{partition_range, place_of};
use super::page::{HashPage, PageRange, ScanFor};
use super::shard::{Ack, OpId, Running, Shard, Then};
use super::timers::Timer;
use super::waits::{Until, Waiter};
use crate::base::BTreeMap;
use crate::base::trace::Kind;
use crate::base::{Bug, Epoch, KeyspaceId, MemberId, Micros, PartitionId};
use crate::message::{DataMessage, PagedCell};
use crate::ring::{PartitionState, Report, View};
use alloc::vec::Vec;
use smallvec::SmallVec;

/// Partitions that are pulled at once.
const PULLS_MAX: usize = 8;
/// How long a page is waited for; then another owner is asked.
const PATIENCE: Micros = Micros::from_millis(1_000);
/// Cells and bytes of a page.
const PAGE_CELLS: u32 = 256;
const PAGE_BYTES: u32 = 256 << 10;

/// Partitions that this node has to merge, and those whose end it reports.
#[derive(Debug, Clone, Default)]
pub(super) struct Transfer {
    wanted: BTreeMap<PartitionId, Want>,
    /// Merged under this epoch; reported until the topology shows it.
    merged: BTreeMap<PartitionId, (Epoch, bool)>,
}

#[derive(Debug, Clone)]
struct Want {
    /// The partition's `since`.
    since: Epoch,
    /// The store was lost, rather than the partition gained.
    is_refill: bool,
    /// Owners that have been merged from.
    done: SmallVec<[MemberId; 3]>,
    /// The owner that is being pulled from.
    pulling: Option<OpId>,
    /// The owner that was tried last, so that another one is next.
    tried: Option<MemberId>,
    /// Enough owners are merged, and the log is being synced.
    is_settling: bool,
    /// A cell of the page at hand could not be written.
    has_failed: bool,
}

/// A page that is waited for.
#[derive(Debug, Clone)]
pub(super) struct PullOp {
    partition: PartitionId,
    source: MemberId,
}

impl Shard {
    /// The topology changed: who gains, loses, refills or drops what?
    pub(super) fn on_ownership(&mut self, old: Option<&View>, new: &View) {
        let me = new.me;
        let is_refilling = self.is_refilling();
        for number in 0..new.topology.partition_count() {
            let partition = PartitionId(number);
            if !self.serves(partition) {
                continue;
            }
            let Some(state) = new.partition(partition) else { continue };
            let is_gained = new.owns(partition) && !old.is_some_and(|old| old.owns(partition));
            if let Some(actors) = self.actors.as_mut().filter(|_| is_gained) {
                actors.forget(partition);
            }
            self.want(partition, state, me, is_refilling);
            self.drop_if_released(partition, state, me);
        }
    }
    fn want(&mut self, partition: PartitionId, state: &PartitionState, me: MemberId, is_refilling: bool) {
        let gains = state.next.contains(&me) && !state.owners.contains(&me) && !state.ready.contains(&me);
        let refills = is_refilling && (state.owners.contains(&me) || state.next.contains(&me));
        if !gains && !refills {
            self.transfer.wanted.remove(&partition);
            self.transfer.merged.remove(&partition);
            return;
        }
        let is_merged = self.transfer.merged.get(&partition) == Some(&(state.since, refills));
        let is_wanted = self
            .transfer
            .wanted
            .get(&partition)
            .is_some_and(|want| want.since == state.since && want.is_refill == refills);
        if !is_merged && !is_wanted {
            self.transfer.merged.remove(&partition);
            let want = Want {
                since: state.since,
                is_refill: refills,
                done: SmallVec::new(),
                pulling: None,
                tried: None,
                is_settling: false,
                has_failed: false,
            };
            self.transfer.wanted.insert(partition, want);
        }
    }
    fn drop_if_released(&mut self, partition: PartitionId, state: &PartitionState, me: MemberId) {
        let owns = state.owners.contains(&me) || state.next.contains(&me);
        let is_leaving = !state.next.is_empty() && !state.next.contains(&me);
        let is_early = self.config.sabotage.is(Bug::OldOwnerDropsEarly) && is_leaving;
        let is_released = !owns && !state.releasing.contains(&me);
        let holds = self.store.tree(partition).is_some_and(|tree| !tree.is_empty());
        if (is_released || is_early) && holds && self.store.drop_partition(partition).is_ok() {
            self.trace.emit(self.now.mono, Kind::PartitionDropped, &[u32::from(partition.0)]);
            if let Some(actors) = &mut self.actors {
                actors.forget(partition);
            }
        }
    }
    /// Begins pulls, repeats reports.
    pub(super) fn tend_transfers(&mut self) {
        let Some(view) = self.view.clone() else { return };
        let mut reports: Vec<Report> = Vec::new();
        for (partition, (epoch, is_refill)) in &self.transfer.merged {
            let (partition, epoch) = (*partition, *epoch);
            reports.push(match is_refill {
                true => Report::Refilled { partition, epoch },
                false => Report::Transferred { partition, epoch },
            });
        }
        for (number, state) in view.topology.partitions.iter().enumerate() {
            let partition = PartitionId(number as u16);
            if !self.serves(partition) {
                continue;
            }
            if state.releasing.contains(&view.me) && !self.store.hints.has(partition) {
                reports.push(Report::HandedOver { partition, epoch: state.since });
            }
            // A drop that a full disk refused is tried again.
            self.drop_if_released(partition, state, view.me);
        }
        for report in reports {
            self.push(Output::Report(report));
        }
        self.begin_pulls(&view);
    }
    /// Begins as many pulls as there is room for.
    fn begin_pulls(&mut self, view: &View) {
        let running = self.transfer.wanted.values().filter(|want| want.pulling.is_some()).count();
        let idle: Vec<PartitionId> = self
            .transfer
            .wanted
            .iter()
            .filter(|(_, want)| want.pulling.is_none() && !want.is_settling)
            .map(|(partition, _)| *partition)
            .collect();
        let mut room = PULLS_MAX.saturating_sub(running);
        for partition in idle {
            if room == 0 {
                break;
            }
            room -= usize::from(self.pull_next(view, partition));
        }
    }
    /// Owners that can be merged from, and how many of them are enough: with fewer, a write acknowledged by W owners
    /// could be missed.
    fn sources(&self, view: &View, partition: PartitionId) -> (SmallVec<[MemberId; 4]>, usize) {
        let Some(state) = view.partition(partition) else { return (SmallVec::new(), 0) };
        let whole = |member: &&MemberId| {
            **member != view.me && view.topology.member(**member).is_some_and(|member| !member.refilling)
        };
        let sources: SmallVec<[MemberId; 4]> = state.owners.iter().filter(whole).copied().collect();
        let owners = state.owners.len();
        let w = self.keyspace(KeyspaceId(0)).map_or(1, |keyspace| usize::from(keyspace.w)).min(owners);
        let meets_writes = owners + 1 - w;
        let majority = owners / 2 + 1;
        let enough = meets_writes.max(majority).min(sources.len());
        (sources, enough)
    }
    /// Begins to merge from the next owner; `false` if none can be reached.
    fn pull_next(&mut self, view: &View, partition: PartitionId) -> bool {
        let (sources, enough) = self.sources(view, partition);
        let Some(want) = self.transfer.wanted.get(&partition) else { return false };
        if want.done.len() >= enough {
            self.on_enough(partition);
            return false;
        }
        let candidates: SmallVec<[MemberId; 4]> = sources
            .into_iter()
            .filter(|source| !want.done.contains(source) && view.is_usable(*source))
            .collect();
        let another = candidates.iter().copied().find(|source| Some(*source) != want.tried);
        let Some(source) = another.or(candidates.first().copied()) else { return false };
        self.pull(partition, source, 0);
        true
    }
    fn pull(&mut self, partition: PartitionId, source: MemberId, from: u32) {
        let id = self.op_id();
        let Some(want) = self.transfer.wanted.get_mut(&partition) else { return };
        want.pulling = Some(id);
        want.tried = Some(source);
        let epoch = want.since;
        self.ops.insert(id, Running::Pull(PullOp { partition, source }));
        self.timers.set(self.now.mono + PATIENCE, Timer::Deadline(id));
        self.send(source, partition, DataMessage::Pull { op: id, epoch, from });
    }
    pub(super) fn give_up_pull(&mut self, id: OpId) {
        let Some(Running::Pull(op)) = self.ops.remove(&id) else { return };
        if let Some(want) = self.transfer.wanted.get_mut(&op.partition)
            && want.pulling == Some(id)
        {
            want.pulling = None;
        }
    }
    pub(super) fn on_pull_page(
        &mut self,
        from: MemberId,
        id: OpId,
        page: Option<(Vec<PagedCell>, Option<u32>)>,
    ) {
        let Some(Running::Pull(op)) = self.ops.get(&id) else { return };
        let (partition, source) = (op.partition, op.source);
        let is_current = self.transfer.wanted.get(&partition).is_some_and(|want| want.pulling == Some(id));
        self.give_up_pull(id);
        let Some((cells, next)) = page.filter(|_| is_current && source == from) else { return };
        self.counters.transferred_cells += cells.len() as u64;
        let words = [u32::from(partition.0), u32::from(from.0), cells.len() as u32];
        self.trace.emit(self.now.mono, Kind::TransferPage, &words);
        if let Some(want) = self.transfer.wanted.get_mut(&partition) {
            want.has_failed = false;
        }
        for PagedCell { keyspace, key, cell } in cells {
            let (own_partition, cell_key) = self.cell_key(keyspace, &key);
            if own_partition == partition {
                self.access(cell_key, Then::Merge { cell, ack: Ack::Transfer });
            }
        }
        if self.transfer.wanted.get(&partition).is_none_or(|want| want.has_failed) {
            return; // Begun again in its turn.
        }
        if let Some(next) = next {
            return self.pull(partition, source, next);
        }
        if let Some(want) = self.transfer.wanted.get_mut(&partition) {
            want.done.push(source);
        }
        if let Some(view) = self.view.clone()
            && !self.pull_next(&view, partition)
        {
            self.begin_pulls(&view);
        }
    }
    /// Enough owners are merged; it counts once it is durable.
    fn on_enough(&mut self, partition: PartitionId) {
        // Cells whose old value is still being read from the disk are not yet written.
        if self.is_waiting_in(partition) {
            return;
        }
        let Some(want) = self.transfer.wanted.get_mut(&partition) else { return };
        want.is_settling = true;
        let since = want.since;
        self.wait(Until::Synced, Waiter::Merged { partition, since });
    }
    /// A cell that came could not be written: the partition is merged from its beginning again.
    pub(super) fn begin_again(&mut self, partition: PartitionId) {
        if let Some(want) = self.transfer.wanted.get_mut(&partition) {
            want.done.clear();
            want.pulling = None;
            want.is_settling = false;
            want.has_failed = true;
        }
    }
    pub(super) fn on_merged(&mut self, partition: PartitionId, since: Epoch) {
        let is_current =
            self.transfer.wanted.get(&partition).is_some_and(|want| want.since == since && want.is_settling);
        if is_current && let Some(want) = self.transfer.wanted.remove(&partition) {
            self.transfer.merged.insert(partition, (since, want.is_refill));
            self.trace.emit(self.now.mono, Kind::TransferDone, &[u32::from(partition.0)]);
        }
    }

    // --- at the source ---

    pub(super) fn on_pull(
        &mut self,
        from: MemberId,
        partition: PartitionId,
        op: OpId,
        epoch: Epoch,
        hash: u32,
    ) {
        self.saw_epoch(from, epoch);
        let Some(view) = self.view.clone() else { return };
        let Some(state) = view.partition(partition) else { return };
        // Before this node has adopted the move it may still take writes that the new owner will not be sent.
        let may_serve = state.since >= epoch && state.owners.contains(&view.me) && !self.is_refilling();
        if !may_serve {
            return self.send(from, partition, DataMessage::PullPage { op, page: None });
        }
        let (first, to) = partition_range(partition);
        let start = if hash == 0 {
            first
        } else {
            super::key::hash_range(partition, KeyspaceId(0), hash, u32::MAX).0
        };
        let range = PageRange { from: start, to, limit: PAGE_CELLS, bytes_max: PAGE_BYTES };
        self.read_page(range, ScanFor::Pull { to: from, partition, op });
    }
    pub(super) fn on_pull_read(&mut self, to: MemberId, partition: PartitionId, op: OpId, page: HashPage) {
        let next = page.next;
        let cells = page
            .entries
            .into_iter()
            .filter_map(|(engine_key, cell)| {
                let place = place_of(&engine_key)?;
                Some(PagedCell { keyspace: place.keyspace, key: place.key, cell })
            })
            .collect();
        self.send(to, partition, DataMessage::PullPage { op, page: Some((cells, next)) });
    }
}

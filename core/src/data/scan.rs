//! Listing a partition's keys: as many owners as a read wants are asked for the same stretch of hashes; of each key the
//! owner that knows more is believed.
//!
//! A key that is there throughout a whole scan is listed at least once.

use super::key::place_of;
use super::page::{HashPage, ScanFor};
use super::shard::{OpId, Running, Shard};
use super::{Page, PageEntry, Refusal, Reply, RequestId};
use crate::base::BTreeMap;
use crate::base::{Epoch, KeyspaceId, MemberId, Micros, Order, PartitionId};
use crate::message::{DataMessage, ScannedKey};
use crate::version::Cell;
use alloc::vec::Vec;
use bytes::Bytes;
use smallvec::SmallVec;

/// Most keys of one page.
const LIMIT_MAX: u32 = Shard::PAGE;
/// After this a silent owner is no longer waited for, if another has answered.
const PATIENCE: Micros = Micros::from_millis(1_000);

#[derive(Debug, Clone)]
pub(super) struct ScanOp {
    request: RequestId,
    awaiting: SmallVec<[MemberId; 3]>,
    /// The best word on each key so far.
    keys: BTreeMap<(u32, Bytes), ScannedKey>,
    /// Up to here, exclusive, all who answered have told everything.
    end: Option<u32>,
    has_answer: bool,
}

#[derive(Debug, Clone)]
pub(super) struct CountOp {
    request: RequestId,
}

impl Shard {
    pub(super) fn start_scan(
        &mut self,
        request: RequestId,
        keyspace: KeyspaceId,
        partition: PartitionId,
        from: u32,
        limit: u32,
        deadline: Micros,
    ) {
        let Some(r) = self.keyspace(keyspace).map(|keyspace| usize::from(keyspace.r)) else { return };
        let owners = self.readable_owners(partition);
        if owners.is_empty() {
            return self.refuse(request, Refusal::ClusterDown { reachable: 0, needed: 1 });
        }
        let awaiting: SmallVec<[MemberId; 3]> = owners.into_iter().take(r).collect();
        let id = self.op_id();
        self.timers.set(deadline.min(self.now.mono + PATIENCE), super::timers::Timer::Deadline(id));
        let op = ScanOp {
            request,
            awaiting: awaiting.clone(),
            keys: BTreeMap::new(),
            end: None,
            has_answer: false,
        };
        self.ops.insert(id, Running::Scan(op));
        let (epoch, limit) = (self.epoch(), limit.clamp(1, LIMIT_MAX));
        for to in awaiting {
            self.send(to, partition, DataMessage::Scan { op: id, epoch, keyspace, from, limit });
        }
    }
    /// Owners that can be asked, this node first, slow ones last.
    fn readable_owners(&self, partition: PartitionId) -> Vec<MemberId> {
        let Some(view) = &self.view else { return Vec::new() };
        let Some(state) = view.partition(partition) else { return Vec::new() };
        let mut owners: Vec<MemberId> =
            state.owners.iter().copied().filter(|owner| view.is_usable(*owner)).collect();
        owners.order_by_key(|owner| (*owner != view.me, self.peers.is_slow(*owner, self.now.mono)));
        owners
    }
    pub(super) fn on_scan_page(
        &mut self,
        from: MemberId,
        id: OpId,
        keys: Vec<ScannedKey>,
        next: Option<u32>,
        is_refused: bool,
    ) {
        let Some(Running::Scan(op)) = self.ops.get_mut(&id) else { return };
        if !op.awaiting.contains(&from) {
            return;
        }
        op.awaiting.retain(|member| *member != from);
        if !is_refused {
            op.has_answer = true;
            op.end = match (op.end, next) {
                (Some(end), Some(next)) => Some(end.min(next)),
                (end, next) => end.or(next),
            };
            for key in keys {
                let place = (key.hash, key.key.clone());
                let is_better = op.keys.get(&place).is_none_or(|known| known.stamp < key.stamp);
                if is_better {
                    op.keys.insert(place, key);
                }
            }
        }
        if op.awaiting.is_empty() {
            self.finish_scan(id);
        }
    }
    fn finish_scan(&mut self, id: OpId) {
        let Some(Running::Scan(op)) = self.ops.remove(&id) else { return };
        if !op.has_answer {
            return self.refuse(op.request, Refusal::TryAgain("no owner could list its keys"));
        }
        let within = |hash: u32| op.end.is_none_or(|end| hash < end);
        let live = op.keys.into_values().filter(|key| key.live && within(key.hash));
        let entries = live.map(|key| PageEntry { hash: key.hash, key: key.key }).collect();
        self.reply(op.request, Reply::Page(Page { entries, next_hash: op.end }));
    }
    pub(super) fn expire_scan(&mut self, id: OpId) {
        match self.ops.get(&id) {
            Some(Running::Scan(_)) => self.finish_scan(id),
            Some(Running::Count(op)) => {
                let request = op.request;
                self.ops.remove(&id);
                // An estimate at best: what nobody tells counts for nothing.
                self.reply(request, Reply::Count(0));
            }
            _ => {}
        }
    }
    pub(super) fn start_count(&mut self, request: RequestId, partition: PartitionId, deadline: Micros) {
        let owners = self.readable_owners(partition);
        match owners.first() {
            None => self.refuse(request, Refusal::ClusterDown { reachable: 0, needed: 1 }),
            Some(owner) if *owner == self.me() => {
                self.reply(request, Reply::Count(self.live_keys(partition)));
            }
            Some(owner) => {
                let id = self.op_id();
                self.timers.set(deadline.min(self.now.mono + PATIENCE), super::timers::Timer::Deadline(id));
                self.ops.insert(id, Running::Count(CountOp { request }));
                self.send(*owner, partition, DataMessage::Count { op: id });
            }
        }
    }
    fn live_keys(&self, partition: PartitionId) -> u64 {
        self.store.tree(partition).map_or(0, |tree| u64::from(tree.live))
    }
    pub(super) fn on_count_answer(&mut self, id: OpId, count: u64) {
        if let Some(Running::Count(op)) = self.ops.get(&id) {
            let request = op.request;
            self.ops.remove(&id);
            self.reply(request, Reply::Count(count));
        }
    }

    // --- at the owner ---

    pub(super) fn on_count(&mut self, from: MemberId, partition: PartitionId, op: OpId) {
        let count = self.live_keys(partition);
        self.send(from, partition, DataMessage::CountAnswer { op, count });
    }
    #[allow(clippy::too_many_arguments)] // The fields of the message, taken apart by the router.
    pub(super) fn on_scan(
        &mut self,
        from: MemberId,
        partition: PartitionId,
        op: OpId,
        epoch: Epoch,
        keyspace: KeyspaceId,
        hash: u32,
        limit: u32,
    ) {
        self.saw_epoch(from, epoch);
        let is_owner = self.state_of(partition).is_some_and(|state| state.owners.contains(&self.me()));
        if !is_owner || self.is_refilling() {
            return self.refuse_scan(from, partition, op);
        }
        let range = Shard::hashes(partition, keyspace, (hash, u32::MAX), limit.clamp(1, LIMIT_MAX));
        self.read_page(range, ScanFor::Scan { to: from, partition, op });
    }
    pub(super) fn refuse_scan(&mut self, to: MemberId, partition: PartitionId, op: OpId) {
        let message = DataMessage::ScanPage { op, keys: Vec::new(), next: None, refused: true };
        self.send(to, partition, message);
    }
    pub(super) fn on_scan_read(&mut self, to: MemberId, partition: PartitionId, op: OpId, page: HashPage) {
        let now_ms = self.wall_ms();
        let keys = page.entries.iter().filter_map(|(engine_key, bytes)| {
            let (place, cell) = (place_of(engine_key)?, Cell::decode(bytes).ok()?);
            let live = cell.winner(now_ms).is_some();
            Some(ScannedKey { hash: place.hash, key: place.key, stamp: cell.stamp_max(), live })
        });
        let (keys, next) = (keys.collect(), page.next);
        self.send(to, partition, DataMessage::ScanPage { op, keys, next, refused: false });
    }
}

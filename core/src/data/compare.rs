//! Anti-entropy: owners of the same partitions find out where they differ, and send each other what the other lacks.
//!
//! One digest for each group of partitions that two nodes share; if it differs, roots; then branches, leaves and the keys
//! of leaves. No step keeps state: each message says all that the next one needs, so any may be lost or doubled.
//!
//! Source: Dynamo (SOSP 2007), §4.7. Differs: trees are kept up to date by every write instead of built for a comparison.

use super::key::place_of;
use super::page::{HashPage, ScanFor};
use super::shard::{Shard, Then};
use super::tree::{FANOUT, cell_digest, leaves_range};
use crate::base::BTreeMap;
use crate::base::trace::Kind;
use crate::base::{
    Bug, Epoch, KeyspaceId, MemberId, Micros, PartitionId, ShardIndex, Writer, checksum_seeded, hash128,
};
use crate::message::{DataMessage, KeyDigest, Reason};
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;

/// A partition that changed less than this ago is not compared: most of what differs is on its way.
const QUIET_AFTER: Micros = Micros::from_millis(1_500);
/// But one that is never quiet is compared this often all the same.
const COMPARE_ANYWAY: Micros = Micros::from_secs(20);
/// Most partitions of a group that are gone into at once.
const DESCENTS_MAX: usize = 64;

/// Whose turn it is.
#[derive(Debug, Clone, Default)]
pub(super) struct Compare {
    turn: u64,
}

impl Shard {
    /// Sends the next peer a digest for each group.
    pub(super) fn compare_next(&mut self) {
        let Some(view) = self.view.clone() else { return };
        let others: Vec<MemberId> = view
            .topology
            .members
            .iter()
            .map(|member| member.id)
            .filter(|member| *member != view.me && view.is_usable(*member))
            .collect();
        if others.is_empty() || self.is_refilling() {
            return;
        }
        self.compare.turn += 1;
        if self.config.sabotage.is(Bug::ProcessDependentOrder) {
            self.compare.turn += crate::base::sabotage::process_count();
        }
        let peer = others[(self.compare.turn % others.len() as u64) as usize];
        let epoch = self.epoch();
        let mut group = self.config.shard.0;
        while group < ShardIndex::COUNT_MAX {
            let digest = self.digest(peer, group);
            self.send(peer, PartitionId(u16::from(group)), DataMessage::TreeDigest { epoch, group, digest });
            group += self.config.shard_count;
        }
    }
    /// Roots of the group's partitions that stand still and that both nodes own.
    fn roots(&mut self, peer: MemberId, group: u8) -> Vec<(u16, u128)> {
        let Some(view) = self.view.clone() else { return Vec::new() };
        let now = self.now.mono;
        let mut roots = Vec::new();
        let step = usize::from(ShardIndex::COUNT_MAX);
        for (number, state) in
            view.topology.partitions.iter().enumerate().skip(usize::from(group)).step_by(step)
        {
            let is_shared =
                state.next.is_empty() && state.owners.contains(&view.me) && state.owners.contains(&peer);
            if !is_shared {
                continue;
            }
            let partition = PartitionId(number as u16);
            let root = match self.store.tree(partition) {
                None => 0,
                Some(tree) => {
                    let is_quiet = now.since(tree.changed) >= QUIET_AFTER || tree.changed == Micros(0);
                    if !is_quiet && now.since(tree.compared) < COMPARE_ANYWAY {
                        continue;
                    }
                    let root = tree.root();
                    if !is_quiet {
                        self.store.tree_mut(partition).compared = now;
                    }
                    root
                }
            };
            roots.push((partition.0, root));
        }
        roots
    }
    fn digest(&mut self, peer: MemberId, group: u8) -> u128 {
        let mut bytes = Vec::new();
        for (partition, root) in self.roots(peer, group) {
            Writer(&mut bytes).u16(partition);
            Writer(&mut bytes).u128(root);
        }
        hash128(&bytes)
    }
    pub(super) fn on_tree_message(&mut self, from: MemberId, partition: PartitionId, message: DataMessage) {
        match message {
            DataMessage::TreeDigest { epoch, group, digest } => {
                self.saw_epoch(from, epoch);
                if epoch == self.epoch() && self.owns_group(group) && self.digest(from, group) != digest {
                    let roots = self.roots(from, group);
                    self.send(from, partition, DataMessage::TreeRoots { epoch, group, roots });
                }
            }
            DataMessage::TreeRoots { epoch, group, roots } => self.on_roots(from, epoch, group, &roots),
            DataMessage::TreeBranches { epoch, sums } if self.is_settled_in(partition, epoch) => {
                let own = self.store.tree(partition).map(|tree| tree.branch_sums()).unwrap_or_default();
                for branch in differing(&own, &sums) {
                    let sums =
                        self.store.tree(partition).map(|tree| tree.leaf_sums(branch)).unwrap_or_default();
                    self.send(
                        from,
                        partition,
                        DataMessage::TreeLeaves { epoch, branch, sums: Box::new(sums) },
                    );
                }
            }
            DataMessage::TreeLeaves { epoch, branch, sums } if self.is_settled_in(partition, epoch) => {
                let own = self.store.tree(partition).map(|tree| tree.leaf_sums(branch)).unwrap_or_default();
                let leaves: Vec<u8> = differing(&own, &sums).collect();
                if let (Some(first), Some(last)) = (leaves.first(), leaves.last()) {
                    self.counters.tree_differences += leaves.len() as u64;
                    let words = [u32::from(from.0), u32::from(partition.0), 2, leaves.len() as u32];
                    self.trace.emit(self.now.mono, Kind::TreeCompared, &words);
                    let (from_hash, to_hash) = leaves_range(branch % FANOUT as u8, *first, *last);
                    let range = Shard::hashes(partition, KeyspaceId(0), (from_hash, to_hash), Shard::PAGE);
                    let what = ScanFor::DigestOut { to: from, partition, from: from_hash, to_hash };
                    self.read_page(range, what);
                }
            }
            DataMessage::TreeKeys { epoch, from: first, to: last, keys }
                if self.is_settled_in(partition, epoch) =>
            {
                let range = Shard::hashes(partition, KeyspaceId(0), (first, last), Shard::PAGE);
                self.read_page(range, ScanFor::DigestIn { from, partition, first, last, keys });
            }
            DataMessage::TreeWant { epoch, keys } if self.is_settled_in(partition, epoch) => {
                let (Some(first), Some(last)) =
                    (keys.iter().map(|key| key.hash).min(), keys.iter().map(|key| key.hash).max())
                else {
                    return;
                };
                let range = Shard::hashes(partition, KeyspaceId(0), (first, last), Shard::PAGE);
                self.read_page(range, ScanFor::Wanted { to: from, partition, keys });
            }
            _ => {} // Of another epoch, or of a partition that moves: compared again when it stands still.
        }
    }
    fn owns_group(&self, group: u8) -> bool {
        group < ShardIndex::COUNT_MAX && group % self.config.shard_count.max(1) == self.config.shard.0
    }
    fn on_roots(&mut self, from: MemberId, epoch: Epoch, group: u8, roots: &[(u16, u128)]) {
        if epoch != self.epoch() || !self.owns_group(group) {
            return;
        }
        let own: BTreeMap<u16, u128> = self.roots(from, group).into_iter().collect();
        let differ = |(number, root): &&(u16, u128)| own.get(number).is_some_and(|known| known != root);
        let different: Vec<u16> = roots.iter().filter(differ).map(|(number, _)| *number).collect();
        for number in different.into_iter().take(DESCENTS_MAX) {
            let partition = PartitionId(number);
            let sums = self.store.tree(partition).map(|tree| tree.branch_sums()).unwrap_or_default();
            let words = [u32::from(from.0), u32::from(number), 0, 1];
            self.trace.emit(self.now.mono, Kind::TreeCompared, &words);
            self.send(from, partition, DataMessage::TreeBranches { epoch, sums: Box::new(sums) });
        }
    }
    /// This node's keys of some leaves are at hand: the peer is told.
    pub(super) fn send_digests(
        &mut self,
        to: MemberId,
        partition: PartitionId,
        from: u32,
        to_hash: u32,
        page: HashPage,
    ) {
        let keys =
            page.entries.iter().filter_map(|(key, cell)| Entry::of(key, cell)).map(|entry| entry.digest);
        let keys = keys.collect();
        // What did not fit is compared in the next round.
        let last = page.next.map_or(to_hash, |next| next - 1);
        let epoch = self.epoch();
        self.send(to, partition, DataMessage::TreeKeys { epoch, from, to: last, keys });
    }
    /// Both nodes' keys of some leaves are at hand: what this one holds otherwise goes out, what it lacks is asked for.
    pub(super) fn compare_digests(
        &mut self,
        peer: MemberId,
        partition: PartitionId,
        (first, last): (u32, u32),
        theirs: &[KeyDigest],
        page: HashPage,
    ) {
        let last = page.next.map_or(last, |next| next - 1);
        let theirs: BTreeMap<(u32, u64), u64> = theirs
            .iter()
            .filter(|key| (first..=last).contains(&key.hash))
            .map(|key| ((key.hash, key.key), key.cell))
            .collect();
        let mut wanted = theirs.clone();
        for (engine_key, cell) in &page.entries {
            let Some(entry) = Entry::of(engine_key, cell) else { continue };
            let name = (entry.digest.hash, entry.digest.key);
            if theirs.get(&name) == Some(&entry.digest.cell) {
                wanted.remove(&name);
            } else {
                self.send_repair(peer, partition, engine_key, Some(cell.clone()));
            }
        }
        if !wanted.is_empty() {
            let keys = wanted.into_iter().map(|((hash, key), cell)| KeyDigest { hash, key, cell }).collect();
            let epoch = self.epoch();
            self.send(peer, partition, DataMessage::TreeWant { epoch, keys });
        }
    }
    /// What a peer wants is among these.
    pub(super) fn send_wanted(
        &mut self,
        to: MemberId,
        partition: PartitionId,
        keys: &[KeyDigest],
        page: HashPage,
    ) {
        let names: BTreeMap<(u32, u64), ()> = keys.iter().map(|key| ((key.hash, key.key), ())).collect();
        for (engine_key, cell) in &page.entries {
            let is_wanted = Entry::of(engine_key, cell)
                .is_some_and(|entry| names.contains_key(&(entry.digest.hash, entry.digest.key)));
            if is_wanted {
                // Read once more: it may have changed since the page was made.
                self.access(engine_key.clone(), Then::SendRepair { to, partition });
            }
        }
    }
    /// A cell goes to a peer, to be merged there.
    pub(super) fn send_repair(
        &mut self,
        to: MemberId,
        partition: PartitionId,
        engine_key: &Bytes,
        cell: Option<Bytes>,
    ) {
        let (Some(place), Some(cell)) = (place_of(engine_key), cell) else { return };
        let (epoch, keyspace, key) = (self.epoch(), place.keyspace, place.key);
        let message = DataMessage::Write { op: 0, epoch, keyspace, reason: Reason::Repair, key, cell };
        self.send(to, partition, message);
    }
}

/// A cell as it is compared.
struct Entry {
    digest: KeyDigest,
}

impl Entry {
    fn of(engine_key: &Bytes, cell: &Bytes) -> Option<Entry> {
        let place = place_of(engine_key)?;
        let key = checksum_seeded(&place.key, u64::from(place.keyspace.0));
        Some(Entry { digest: KeyDigest { hash: place.hash, key, cell: cell_digest(&place.key, cell) } })
    }
}

fn differing<'a>(own: &'a [u128; FANOUT], theirs: &'a [u128; FANOUT]) -> impl Iterator<Item = u8> + 'a {
    own.iter()
        .zip(theirs)
        .enumerate()
        .filter(|(_, (own, theirs))| own != theirs)
        .map(|(index, _)| index as u8)
}

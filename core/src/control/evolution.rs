//! From one topology to the next: a pure function of what is in force and what members wish.
//!
//! ```text
//! Stable(old) ── join ──▶ Joint(old, next) ── all ready ──▶ Stable(next), old releasing ── handed over ──▶ Stable(next)
//! ```
//!
//! Knows no ballots, no messages and no time. Whatever it returns is decided by the register or forgotten.

use super::reports::{Reports, Subject};
use crate::base::{Epoch, KeyspaceId, MemberId, Order, PartitionId};
use crate::message::JoinRequest;
use crate::ring::{Member, PartitionState, Topology, claim};
use alloc::vec::Vec;

/// Most members of a cluster.
pub(super) const MEMBER_COUNT_MAX: usize = 1_000;

/// What members wish and what is known, as seen by the one who would propose.
pub(super) struct Wishes<'a> {
    /// Who may come in, or come back: their claims to their names have been looked into.
    pub joins: &'a [JoinRequest],
    /// What shards have said.
    pub reports: &'a Reports,
    /// By member, sorted: the epoch that it is known to have adopted; `None` if it is Down.
    pub adopted: &'a [(MemberId, Option<Epoch>)],
}

/// How much there is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Amount {
    /// Nothing.
    Nothing,
    /// Something, and more of the same is to be expected.
    Some,
    /// All that can be expected for now.
    All,
}

/// Whether the topology waits for `member` to say this about a partition as it is since `epoch`.
pub(super) fn is_awaited(topology: &Topology, member: MemberId, subject: Subject, epoch: Epoch) -> bool {
    let (Subject::Transferred(id) | Subject::Refilled(id) | Subject::HandedOver(id)) = subject;
    let Some(state) = topology.partition(id).filter(|state| state.since == epoch) else { return false };
    match subject {
        Subject::Transferred(_) => is_new_owner(state, member) && !state.ready.contains(&member),
        Subject::Refilled(_) => {
            topology.member(member).is_some_and(|member| member.refilling) && holds(state, member)
        }
        Subject::HandedOver(_) => state.releasing.contains(&member),
    }
}

fn is_new_owner(state: &PartitionState, member: MemberId) -> bool {
    state.next.contains(&member) && !state.owners.contains(&member)
}

fn holds(state: &PartitionState, member: MemberId) -> bool {
    state.owners.contains(&member) || state.next.contains(&member)
}

fn partitions(topology: &Topology) -> impl Iterator<Item = (PartitionId, &PartitionState)> {
    (0..).map(PartitionId).zip(&topology.partitions)
}

impl Wishes<'_> {
    fn is_ready(&self, id: PartitionId, state: &PartitionState, member: MemberId) -> bool {
        state.ready.contains(&member) || self.reports.has(Subject::Transferred(id), member, state.since)
    }
    /// Whether every owner to be has merged the partition.
    fn can_settle(&self, id: PartitionId, state: &PartitionState) -> bool {
        let mut new = state.next.iter().filter(|member| !state.owners.contains(member));
        !state.next.is_empty() && new.all(|member| self.is_ready(id, state, *member))
    }
    /// Whether a former owner may drop the partition: it has handed over, and nobody who answers can still ask it.
    fn can_release(&self, id: PartitionId, state: &PartitionState, member: MemberId) -> bool {
        self.reports.has(Subject::HandedOver(id), member, state.since)
            && self.adopted.iter().all(|(_, epoch)| epoch.is_none_or(|epoch| epoch >= state.since))
    }
    /// Whether a refilling member holds everything again.
    fn is_refilled(&self, topology: &Topology, member: MemberId) -> bool {
        let mut held = partitions(topology).filter(|(_, state)| holds(state, member));
        held.all(|(id, state)| {
            self.reports.has(Subject::Refilled(id), member, state.since)
                || (is_new_owner(state, member) && self.is_ready(id, state, member))
        })
    }
    /// Whether this request would change anything now.
    fn is_admissible(&self, topology: &Topology, request: &JoinRequest) -> bool {
        match topology.member_named(&request.name) {
            Some(member) => !request.describes(member),
            None => {
                topology.members.len() < MEMBER_COUNT_MAX
                    && topology.next_member < u16::MAX
                    && topology.partitions.iter().all(|state| state.next.is_empty())
            }
        }
    }
}

/// Whether it is worth while to propose something. Cheap: walks the partitions once.
pub(super) fn amount(topology: &Topology, wishes: &Wishes<'_>) -> Amount {
    let mut amount = Amount::Nothing;
    if wishes.joins.iter().any(|request| wishes.is_admissible(topology, request)) {
        // Nodes that are started together ask to join together.
        amount = Amount::Some;
    }
    let (mut joint, mut settled, mut releasing, mut released) = (0u32, 0u32, 0u32, 0u32);
    for (id, state) in partitions(topology) {
        joint += u32::from(!state.next.is_empty());
        settled += u32::from(wishes.can_settle(id, state));
        releasing += state.releasing.len() as u32;
        released += state.releasing.iter().filter(|m| wishes.can_release(id, state, **m)).count() as u32;
    }
    for (some, all) in [(settled, joint), (released, releasing)] {
        if some > 0 {
            amount = amount.max(if some == all { Amount::All } else { Amount::Some });
        }
    }
    let mut refilling = topology.members.iter().filter(|member| member.refilling);
    if refilling.any(|member| wishes.is_refilled(topology, member.id)) {
        amount = Amount::All;
    }
    amount
}

/// The topology that follows, or `None` if there is nothing to change.
pub(super) fn evolve(topology: &Topology, wishes: &Wishes<'_>) -> Option<Topology> {
    let mut next = topology.clone();
    next.epoch = Epoch(topology.epoch.0.checked_add(1)?);
    for member in topology.members.iter().filter(|member| member.refilling) {
        if wishes.is_refilled(topology, member.id) {
            set_refilling(&mut next, member.id, false);
        }
    }
    for (id, state) in partitions(topology) {
        advance(&mut next.partitions[usize::from(id.0)], (id, state), wishes, next.epoch);
    }
    for request in wishes.joins {
        come_back(&mut next, request);
    }
    admit(&mut next, topology, wishes);
    let is_changed = next.members != topology.members || next.partitions != topology.partitions;
    (is_changed && next.check().is_ok()).then_some(next)
}

fn set_refilling(topology: &mut Topology, id: MemberId, refilling: bool) {
    let epoch = topology.epoch;
    if let Some(member) = topology.members.iter_mut().find(|member| member.id == id) {
        member.refilling = refilling;
    }
    // Whose word counts has changed wherever it is an owner: requests of before must not mix with those of now.
    for state in topology.partitions.iter_mut().filter(|state| holds(state, id)) {
        state.since = epoch;
    }
}

/// One partition's step: settle what is ready, release what is handed over, note who is ready.
fn advance(
    next: &mut PartitionState,
    (id, state): (PartitionId, &PartitionState),
    wishes: &Wishes<'_>,
    epoch: Epoch,
) {
    if wishes.can_settle(id, state) {
        next.owners = core::mem::take(&mut next.next);
        next.ready.clear();
        let gone = state.owners.iter().chain(&state.releasing);
        let mut releasing: Vec<MemberId> = gone.copied().filter(|m| !next.owners.contains(m)).collect();
        releasing.order();
        releasing.dedup();
        next.releasing = releasing;
        next.since = epoch;
        return;
    }
    next.releasing.retain(|member| !wishes.can_release(id, state, *member));
    if next.since == state.since {
        let new = state.next.iter().filter(|m| !state.owners.contains(m) && wishes.is_ready(id, state, **m));
        next.ready = new.copied().collect();
    }
}

/// A member comes back with another store or other addresses.
fn come_back(topology: &mut Topology, request: &JoinRequest) {
    let Some(member) = topology.members.iter_mut().find(|member| member.name == request.name) else { return };
    member.listen.clone_from(&request.listen);
    member.admin.clone_from(&request.admin);
    member.peer.clone_from(&request.peer);
    if member.store == request.store {
        return;
    }
    member.store = request.store;
    let id = member.id;
    set_refilling(topology, id, true);
    for state in &mut topology.partitions {
        // What it had merged, and what it had still to hand over, is gone.
        state.ready.retain(|ready| *ready != id);
        state.releasing.retain(|releasing| *releasing != id);
    }
}

/// New members come in, all that ask at once, and partitions begin to move to them.
fn admit(next: &mut Topology, topology: &Topology, wishes: &Wishes<'_>) {
    let mut is_grown = false;
    for request in wishes.joins {
        if next.member_named(&request.name).is_some() || !wishes.is_admissible(topology, request) {
            continue;
        }
        if next.members.len() >= MEMBER_COUNT_MAX || next.next_member == u16::MAX {
            break;
        }
        next.members.push(Member {
            id: MemberId(next.next_member),
            name: request.name.clone(),
            store: request.store,
            listen: request.listen.clone(),
            admin: request.admin.clone(),
            peer: request.peer.clone(),
            refilling: false,
        });
        next.next_member += 1;
        is_grown = true;
    }
    if is_grown {
        reclaim(next);
    }
}

fn reclaim(topology: &mut Topology) {
    let n = topology.keyspace(KeyspaceId(0)).map_or(1, |keyspace| usize::from(keyspace.n));
    let members: Vec<MemberId> = topology.members.iter().map(|member| member.id).collect();
    let old: Vec<Vec<MemberId>> = topology.partitions.iter().map(|state| state.owners.clone()).collect();
    let claimed = claim(&old, &members, n);
    let epoch = topology.epoch;
    for (state, owners) in topology.partitions.iter_mut().zip(claimed.owners) {
        if owners == state.owners {
            continue;
        }
        let is_same_set =
            owners.len() == state.owners.len() && owners.iter().all(|id| state.owners.contains(id));
        if is_same_set {
            state.owners = owners; // Only their order changes: nothing has to move.
        } else {
            state.releasing.retain(|id| !owners.contains(id));
            state.next = owners;
        }
        state.since = epoch;
    }
}

use super::topology::{PartitionState, Topology};
use crate::base::{MemberId, PartitionId};
use alloc::{sync::Arc, vec::Vec};
use serde::Serialize;

/// Whether a member is believed to answer. Decides whom to ask, never who owns what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Liveness {
    /// It answers, as far as is known.
    Up,
    /// One member reports that it does not; still asked.
    Suspect,
    /// Enough distinct members report that it does not answer: stood in for.
    Down,
}

/// All that a shard knows of its cluster: an immutable picture that `control` publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// The decided topology.
    pub topology: Arc<Topology>,
    /// This node.
    pub me: MemberId,
    /// By member, sorted; members without an entry are [`Liveness::Up`].
    pub liveness: Vec<(MemberId, Liveness)>,
    /// Members that this node cannot reach right now (its link refuses or broke), sorted: stood in for like Down
    /// ones, by this coordinator alone.
    pub unreachable: Vec<MemberId>,
}

impl View {
    /// What is believed of a member.
    pub fn liveness_of(&self, id: MemberId) -> Liveness {
        match self.liveness.binary_search_by_key(&id, |entry| entry.0) {
            Ok(index) => self.liveness[index].1,
            Err(_) => Liveness::Up,
        }
    }
    /// Whether its word may be counted on now: neither Down, nor unreachable from here, nor refilling.
    pub fn is_usable(&self, id: MemberId) -> bool {
        let refilling = self.topology.member(id).is_none_or(|member| member.refilling);
        !refilling && self.liveness_of(id) != Liveness::Down && self.unreachable.binary_search(&id).is_err()
    }
    /// The state of a partition; `None` beyond Q.
    pub fn partition(&self, id: PartitionId) -> Option<&PartitionState> {
        self.topology.partition(id)
    }
    /// Whether this node is, or is becoming, an owner of `partition`.
    pub fn owns(&self, partition: PartitionId) -> bool {
        self.partition(partition)
            .is_some_and(|state| state.owners.contains(&self.me) || state.next.contains(&self.me))
    }
}

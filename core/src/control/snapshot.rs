use super::ledger::Suspected;
use crate::base::{Epoch, MemberId};
use crate::ring::Liveness;
use alloc::{string::String, vec::Vec};
use serde::Serialize;

/// A picture for status pages and the visualizer.
#[derive(Debug, Clone, Serialize)]
pub struct Snapshot {
    /// Latest epoch in force.
    pub epoch: Epoch,
    /// The cluster's lineage; 0 before this node is a member.
    pub lineage: u64,
    /// This node's number, once it has one.
    pub me: Option<MemberId>,
    /// Its name.
    pub name: String,
    /// Its incarnation.
    pub incarnation: u64,
    /// 0 is well; grows when this node is slow or hard of hearing, and stretches its timeouts.
    pub health_score: u8,
    /// Sorted by number.
    pub members: Vec<MemberSnapshot>,
    /// Names that have asked to join and wait.
    pub joining: Vec<String>,
    /// Who decides the next epoch.
    pub voters: Vec<MemberId>,
    /// Partitions on their way to other owners.
    pub moving_count: u32,
    /// Partitions that former owners still hold.
    pub releasing_count: u32,
    /// Why this node does not take part any more.
    pub refused: Option<String>,
}

/// One member as this node sees it.
#[derive(Debug, Clone, Serialize)]
pub struct MemberSnapshot {
    /// Its number.
    pub id: MemberId,
    /// Its name.
    pub name: String,
    /// Where clients reach it.
    pub listen: String,
    /// Where its admin HTTP answers.
    pub admin: String,
    /// Where peers reach it.
    pub peer: String,
    /// Whether it answers.
    pub liveness: Liveness,
    /// The link to it is broken.
    pub is_unreachable: bool,
    /// It lost its store and is being refilled.
    pub refilling: bool,
    /// It holds no partition yet.
    pub joining: bool,
    /// As it names itself.
    pub incarnation: u64,
    /// The newest topology that it is known to have adopted.
    pub epoch: Epoch,
    /// When it last answered a probe of this node.
    pub heard_ms_ago: Option<u64>,
    /// Who suspects it.
    pub suspected_by: Vec<Suspected>,
    /// Whose reports took it Down; empty while it is not.
    pub down_by: Vec<MemberId>,
    /// Partitions of which it is an owner.
    pub partition_count: u32,
}

impl super::Control {
    /// A picture of it.
    pub fn snapshot(&self) -> Snapshot {
        let topology = self.current.as_ref().map(|current| &current.topology);
        let me = self.current.as_ref().map(|current| current.me);
        let partitions = || topology.into_iter().flat_map(|topology| &topology.partitions);
        let member = |member: &crate::ring::Member| {
            let id = member.id;
            let held = |state: &&crate::ring::PartitionState| state.owners.contains(&id);
            let partition_count = partitions().filter(held).count() as u32;
            let is_me = Some(id) == me;
            MemberSnapshot {
                id,
                name: member.name.clone(),
                listen: member.listen.clone(),
                admin: member.admin.clone(),
                peer: member.peer.clone(),
                liveness: self.ledger.liveness_of(self.now, id),
                is_unreachable: self.broken.contains_key(&id),
                refilling: member.refilling,
                joining: partition_count == 0,
                incarnation: if is_me { self.incarnation } else { self.ledger.incarnation_of(id) },
                epoch: match topology {
                    Some(topology) if is_me => topology.epoch,
                    _ => self.ledger.epoch_of(id),
                },
                heard_ms_ago: self.ledger.heard_at(id).map(|at| self.now.since(at).as_millis()),
                suspected_by: self.ledger.lines(self.now, id),
                down_by: self.ledger.down_by(id).to_vec(),
                partition_count,
            }
        };
        Snapshot {
            epoch: topology.map_or(Epoch(0), |topology| topology.epoch),
            lineage: topology.map_or(0, |topology| topology.lineage),
            me,
            name: self.config.name.clone(),
            incarnation: self.incarnation,
            health_score: self.prober.health(),
            members: topology.map_or_else(Vec::new, |topology| topology.members.iter().map(member).collect()),
            joining: self.admission.names().map(String::from).collect(),
            voters: topology.map_or_else(Vec::new, |topology| topology.voters()),
            moving_count: partitions().filter(|state| !state.next.is_empty()).count() as u32,
            releasing_count: partitions().filter(|state| !state.releasing.is_empty()).count() as u32,
            refused: self.refused.clone(),
        }
    }
}

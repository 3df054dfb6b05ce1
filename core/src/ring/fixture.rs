//! A cluster for tests of those who read a view.

use super::{Durability, Keyspace, Member, PartitionState, Topology, View};
use crate::base::{Epoch, KeyspaceId, MemberId};
use crate::version::Resolve;
use alloc::{format, string::String, sync::Arc, vec, vec::Vec};

/// Members 0 up to `members` as the first sees them, all up: `n` owners of each of 64 partitions, in order of their
/// numbers, and a majority for reads and writes.
pub fn view(members: u16, n: u8) -> View {
    let member = |id| Member {
        id: MemberId(id),
        name: format!("n{id}"),
        store: u64::from(id),
        listen: String::new(),
        admin: String::new(),
        peer: String::new(),
        refilling: false,
    };
    let owners = |p: u16| (0..u16::from(n)).map(|i| MemberId((p + i) % members)).collect();
    let partition = |p| PartitionState { owners: owners(p), since: Epoch(1), ..PartitionState::default() };
    let majority = n / 2 + 1;
    let topology = Topology {
        lineage: 1,
        epoch: Epoch(1),
        next_member: members,
        members: (0..members).map(member).collect(),
        partitions: (0..64).map(partition).collect(),
        keyspaces: vec![Keyspace {
            id: KeyspaceId(0),
            n,
            r: majority,
            w: majority,
            resolve: Resolve::Lww,
            durability: Durability::Always,
        }],
    };
    topology.check().expect("members, owners and the keyspace name each other");
    View { topology: Arc::new(topology), me: MemberId(0), liveness: Vec::new(), unreachable: Vec::new() }
}

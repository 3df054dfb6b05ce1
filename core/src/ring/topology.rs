use crate::base::{DecodeError, Epoch, KeyspaceId, MemberId, PartitionId, Reader, Writer};
use crate::version::Resolve;
use alloc::{string::String, vec::Vec};
use core::fmt;
use serde::Serialize;

/// Fewest partitions of a cluster.
pub const PARTITION_COUNT_MIN: u16 = 64;
/// Most partitions of a cluster: one slot each.
pub const PARTITION_COUNT_MAX: u16 = 16_384;
/// Most voters of the topology register.
pub const VOTER_COUNT_MAX: usize = 7;

/// When a replica acknowledges a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// After the log is synced.
    Always,
    /// After the log is written; synced every second.
    Interval,
    /// After the log is written. Never synced for its own sake: what survives a power cut is what was flushed to tables.
    Memory,
}

/// Settings of a keyspace, fixed when it is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Keyspace {
    /// Its number, as in `SELECT`.
    pub id: KeyspaceId,
    /// Replicas of each key.
    pub n: u8,
    /// Answers that a read waits for.
    pub r: u8,
    /// Acknowledgements that a write waits for.
    pub w: u8,
    /// What happens to concurrent values.
    pub resolve: Resolve,
    /// When a replica acknowledges.
    pub durability: Durability,
}

/// A node of the cluster, as decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    /// Its number.
    pub id: MemberId,
    /// The name given by its operator, unique in the cluster.
    pub name: String,
    /// The random number of its data dir: another one under the same name means that its store was lost.
    pub store: u64,
    /// Where clients reach it: host:port.
    pub listen: String,
    /// Where its admin HTTP answers: host:port.
    pub admin: String,
    /// Where peers reach it: host:port.
    pub peer: String,
    /// Its store was lost: it takes writes and transfers, but its word counts in no quorum until it has merged its
    /// partitions from enough others. Decided when it comes back, cleared when it says that it is done.
    pub refilling: bool,
}

/// Who holds one partition. `Stable` when `next` is empty, else `Joint`: quorums are met in both sets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct PartitionState {
    /// The owners, the primary first.
    pub owners: Vec<MemberId>,
    /// The owners to be; empty when no move is under way.
    pub next: Vec<MemberId>,
    /// Those of `next` that have merged the partition from enough of `owners`.
    pub ready: Vec<MemberId>,
    /// Owners of before that still hold data, until all members have seen the new owners.
    pub releasing: Vec<MemberId>,
    /// The epoch in which `owners` or `next`, or the standing of one of them, last changed: requests of an older
    /// epoch are refused.
    pub since: Epoch,
}

/// The whole truth about who is a member and who owns what: the value of the topology register.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Topology {
    /// A random number given at birth: two clusters never mix.
    pub lineage: u64,
    /// Counts decided topologies, from 1.
    pub epoch: Epoch,
    /// The number the next member gets.
    pub next_member: u16,
    /// Sorted by number.
    pub members: Vec<Member>,
    /// One for each partition; a power of two of them.
    pub partitions: Vec<PartitionState>,
    /// Sorted by number; 0 is always there.
    pub keyspaces: Vec<Keyspace>,
}

/// Why a topology is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopologyError(pub &'static str);

impl fmt::Display for TopologyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid topology: {}", self.0)
    }
}
impl core::error::Error for TopologyError {}

impl Topology {
    /// Q.
    pub fn partition_count(&self) -> u16 {
        self.partitions.len() as u16
    }
    /// The member of that number.
    pub fn member(&self, id: MemberId) -> Option<&Member> {
        self.members.binary_search_by_key(&id, |member| member.id).ok().map(|index| &self.members[index])
    }
    /// The member of that name.
    pub fn member_named(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }
    /// The state of a partition; `None` beyond Q.
    pub fn partition(&self, id: PartitionId) -> Option<&PartitionState> {
        self.partitions.get(usize::from(id.0))
    }
    /// The settings of a keyspace.
    pub fn keyspace(&self, id: KeyspaceId) -> Option<&Keyspace> {
        self.keyspaces.iter().find(|keyspace| keyspace.id == id)
    }
    /// The walk: owners of `partition` first, then, clockwise, the owners of the partitions behind it, each member
    /// once. What comes after the owners are the fallbacks.
    pub fn walk(&self, partition: PartitionId) -> Vec<MemberId> {
        let mut seen = Vec::with_capacity(self.members.len());
        let start = usize::from(partition.0);
        for step in 0..self.partitions.len() {
            let state = &self.partitions[(start + step) % self.partitions.len()];
            for id in &state.owners {
                if !seen.contains(id) {
                    seen.push(*id);
                }
            }
            if seen.len() == self.members.len() {
                break;
            }
        }
        seen
    }
    /// The voters that decide the epoch after this one: the members of the smallest numbers whose store is whole.
    pub fn voters(&self) -> Vec<MemberId> {
        let whole = self.members.iter().filter(|member| !member.refilling).map(|member| member.id);
        whole.take(VOTER_COUNT_MAX).collect()
    }
    /// Appends the canonical bytes, version first.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        let mut w = Writer(bytes);
        w.u8(1);
        w.u64(self.lineage);
        w.varint(self.epoch.0);
        w.u16(self.next_member);
        w.varint(self.members.len() as u64);
        for member in &self.members {
            w.u16(member.id.0);
            w.bytes(member.name.as_bytes());
            w.u64(member.store);
            w.bytes(member.listen.as_bytes());
            w.bytes(member.admin.as_bytes());
            w.bytes(member.peer.as_bytes());
            w.u8(u8::from(member.refilling));
        }
        w.varint(self.partitions.len() as u64);
        for partition in &self.partitions {
            for set in [&partition.owners, &partition.next, &partition.ready, &partition.releasing] {
                w.varint(set.len() as u64);
                for id in set {
                    w.u16(id.0);
                }
            }
            w.varint(partition.since.0);
        }
        w.varint(self.keyspaces.len() as u64);
        for keyspace in &self.keyspaces {
            w.u8(keyspace.id.0);
            w.u8(keyspace.n);
            w.u8(keyspace.r);
            w.u8(keyspace.w);
            w.u8(keyspace.resolve as u8);
            w.u8(keyspace.durability as u8);
        }
    }
    /// Reads what [`Topology::encode`] wrote, from bytes that may be anything.
    pub fn decode(r: &mut Reader<'_>) -> Result<Topology, DecodeError> {
        if r.u8()? != 1 {
            return Err(r.error("a topology of version 1"));
        }
        let lineage = r.u64()?;
        let epoch = Epoch(r.varint()?);
        let next_member = r.u16()?;
        let mut members = Vec::new();
        for _ in 0..r.count(15)? {
            members.push(Member {
                id: MemberId(r.u16()?),
                name: text(r)?,
                store: r.u64()?,
                listen: text(r)?,
                admin: text(r)?,
                peer: text(r)?,
                refilling: r.u8()? != 0,
            });
        }
        let mut partitions = Vec::new();
        for _ in 0..r.count(5)? {
            let mut sets = [const { Vec::new() }; 4];
            for set in &mut sets {
                for _ in 0..r.count(2)? {
                    set.push(MemberId(r.u16()?));
                }
            }
            let [owners, next, ready, releasing] = sets;
            partitions.push(PartitionState { owners, next, ready, releasing, since: Epoch(r.varint()?) });
        }
        let mut keyspaces = Vec::new();
        for _ in 0..r.count(6)? {
            keyspaces.push(Keyspace {
                id: KeyspaceId(r.u8()?),
                n: r.u8()?,
                r: r.u8()?,
                w: r.u8()?,
                resolve: match r.u8()? {
                    0 => Resolve::Lww,
                    1 => Resolve::Siblings,
                    _ => return Err(r.error("a known way to resolve")),
                },
                durability: match r.u8()? {
                    0 => Durability::Always,
                    1 => Durability::Interval,
                    2 => Durability::Memory,
                    _ => return Err(r.error("a known durability")),
                },
            });
        }
        let topology = Topology { lineage, epoch, next_member, members, partitions, keyspaces };
        topology.check().map_err(|broken| r.error(broken.0))?;
        Ok(topology)
    }
    /// Whether everything in it fits together.
    pub fn check(&self) -> Result<(), TopologyError> {
        let count = self.partitions.len();
        let in_range = count.is_power_of_two()
            && (usize::from(PARTITION_COUNT_MIN)..=usize::from(PARTITION_COUNT_MAX)).contains(&count);
        if !in_range {
            return Err(TopologyError("a power of two of 64 to 16384 partitions"));
        }
        if !self.members.is_sorted_by(|a, b| a.id < b.id) {
            return Err(TopologyError("members sorted by number, each once"));
        }
        if self.members.iter().any(|member| member.id.0 >= self.next_member) {
            return Err(TopologyError("member numbers below the next one"));
        }
        for (index, member) in self.members.iter().enumerate() {
            if self.members[..index].iter().any(|other| other.name == member.name) {
                return Err(TopologyError("member names that differ"));
            }
        }
        let Some(keyspace) = self.keyspace(KeyspaceId(0)) else {
            return Err(TopologyError("a keyspace 0"));
        };
        for k in &self.keyspaces {
            if k.n == 0 || k.r == 0 || k.w == 0 || k.r > k.n || k.w > k.n {
                return Err(TopologyError("1 <= R, W <= N"));
            }
        }
        let owner_count = usize::from(keyspace.n).min(self.members.len());
        for partition in &self.partitions {
            if partition.owners.is_empty() || partition.owners.len() > owner_count {
                return Err(TopologyError("min(N, members) owners of each partition"));
            }
            for set in [&partition.owners, &partition.next, &partition.ready, &partition.releasing] {
                for (index, id) in set.iter().enumerate() {
                    if self.member(*id).is_none() || set[..index].contains(id) {
                        return Err(TopologyError("distinct members in each set"));
                    }
                }
            }
            if partition.ready.iter().any(|id| !partition.next.contains(id)) {
                return Err(TopologyError("only owners to be that are ready"));
            }
        }
        Ok(())
    }
}

fn text(r: &mut Reader<'_>) -> Result<String, DecodeError> {
    let bytes = r.bytes()?;
    core::str::from_utf8(bytes).map(String::from).map_err(|_| r.error("UTF-8 text"))
}

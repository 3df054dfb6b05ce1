use core::fmt;
use serde::Serialize;

/// A member's number in its cluster. Given once by a decided topology and never reused, so a removed node that
/// returns is a stranger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct MemberId(pub u16);

/// The number of a decided topology. Every request carries one; a greater one is newer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
pub struct Epoch(pub u64);

/// One of the 16,384 positions on the hash ring, as in Redis Cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Slot(pub u16);

/// One of the Q equal parts of the ring: the unit of ownership, transfer and repair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct PartitionId(pub u16);

/// A keyspace has one mode, one N/R/W and one durability. 0 exists at birth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
pub struct KeyspaceId(pub u8);

/// One of a node's shards. A power of two of them, at most [`ShardIndex::COUNT_MAX`], fixed when a data dir is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
pub struct ShardIndex(pub u8);

impl ShardIndex {
    /// Most shards of a node. Trees are compared in this many groups of partitions, so that nodes with different
    /// shard counts can still exchange digests.
    pub const COUNT_MAX: u8 = 16;

    /// The shard that owns `partition` on a node with `shard_count` shards.
    pub fn of(partition: PartitionId, shard_count: u8) -> ShardIndex {
        ShardIndex((partition.0 % u16::from(shard_count.max(1))) as u8)
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}
impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "e{}", self.0)
    }
}
impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}", self.0)
    }
}

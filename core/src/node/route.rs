use crate::base::{PartitionId, ShardIndex};
use crate::data::{Op, Request};
use crate::message::PeerMessage;
use crate::ring::partition_of_key;

/// Who within a node a message or request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addressee {
    /// The control plane.
    Control,
    /// One of the shards.
    Shard(ShardIndex),
}

/// For whom a peer's message is, on a node with `shard_count` shards.
pub fn addressee(message: &PeerMessage, shard_count: u8) -> Addressee {
    match message {
        PeerMessage::Control(_) => Addressee::Control,
        PeerMessage::Data { partition, .. } => Addressee::Shard(ShardIndex::of(*partition, shard_count)),
    }
}

/// The partition that a request is about, in a cluster of `partition_count`.
pub fn partition_of(request: &Request, partition_count: u16) -> PartitionId {
    match &request.op {
        Op::Scan { partition, .. } | Op::Count { partition } => *partition,
        op => op.key().map_or(PartitionId(0), |key| partition_of_key(key, partition_count)),
    }
}

/// The shard that takes a request. Before the topology is known any shard will do: it refuses.
pub fn shard_of(request: &Request, partition_count: Option<u16>, shard_count: u8) -> ShardIndex {
    partition_count.map_or(ShardIndex(0), |count| ShardIndex::of(partition_of(request, count), shard_count))
}

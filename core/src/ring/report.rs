use crate::base::{Epoch, PartitionId};

/// What a shard tells the control plane of its node about a partition. Repeated until the topology shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// This node, an owner to be, has merged the partition from enough of its owners, each of which had adopted at
    /// least `epoch` (the partition's `since`) before it answered.
    Transferred {
        /// Which partition.
        partition: PartitionId,
        /// The `since` under which it was merged.
        epoch: Epoch,
    },
    /// This node, marked `refilling`, has merged the partition from enough of its other owners.
    Refilled {
        /// Which partition.
        partition: PartitionId,
        /// The `since` under which it was merged.
        epoch: Epoch,
    },
    /// This node, still in `releasing`, holds no hint for the partition any more that came from its ownership.
    HandedOver {
        /// Which partition.
        partition: PartitionId,
        /// The `since` of the owners that took over.
        epoch: Epoch,
    },
}

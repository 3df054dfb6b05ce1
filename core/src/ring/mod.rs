//! Where a key lives: slots, partitions, the owner table and the walk.
//!
//! `ring` knows no keys' values, no clocks and no sockets. Liveness is only carried in a [`View`], never judged here.

mod claim;
#[cfg(test)]
pub(crate) mod fixture;
mod report;
mod slot;
mod topology;
mod view;

pub use claim::{Claim, ClaimReport, Share, claim};
pub use report::Report;
pub use slot::{SLOT_COUNT, partition_of, partition_of_key, slot_of};
pub use topology::{
    Durability, Keyspace, Member, PARTITION_COUNT_MAX, PARTITION_COUNT_MIN, PartitionState, Topology,
    TopologyError, VOTER_COUNT_MAX,
};
pub use view::{Liveness, View};

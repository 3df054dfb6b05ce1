use crate::base::Sabotage;
use crate::ring::Durability;
use crate::version::Resolve;
use alloc::string::String;

/// How a node begins when its data dir belongs to no cluster yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// It is the first of a new cluster.
    Bootstrap(Birth),
    /// It asks the node at this peer address to let it in, again and again.
    Join {
        /// host:port of a member.
        seed: String,
    },
}

/// What is fixed when a cluster is born.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Birth {
    /// A random number that names the cluster.
    pub lineage: u64,
    /// Q.
    pub partitions: u16,
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

/// Who this node is, and how it begins.
#[derive(Debug, Clone)]
pub struct Config {
    /// Its name, unique in the cluster.
    pub name: String,
    /// The random number of its data dir.
    pub store: u64,
    /// Where clients reach it: host:port.
    pub listen: String,
    /// Where its admin HTTP answers.
    pub admin: String,
    /// Where peers reach it.
    pub peer: String,
    /// Used only when nothing was restored.
    pub start: Start,
    /// A random number of the host, another one at every start.
    pub entropy: u64,
    /// Which bug is built in.
    pub sabotage: Sabotage,
    /// Whether anybody listens to events.
    pub trace: bool,
}

use super::ClientInfo;
use kvorum_core::ring::View;
use std::sync::Arc;
use std::time::Instant;

/// What does not change while the node runs.
#[derive(Debug, Clone)]
pub struct NodeSettings {
    /// Its name.
    pub name: String,
    /// The random number of its data dir.
    pub store: u64,
    /// Where clients are told to reach it: host:port.
    pub listen: String,
    /// Where its admin HTTP is told to be.
    pub admin: String,
    /// Where peers are told to reach it.
    pub peer: String,
    /// Where it stores.
    pub data_dir: String,
    /// Shards.
    pub shard_count: u8,
    /// Most client connections.
    pub connections_max: u32,
    /// Budget of memtables and block caches.
    pub memory_bytes: u64,
    /// When it started.
    pub since: Instant,
}

/// Numbers that change while it runs.
#[derive(Debug, Clone, Copy, Default)]
pub struct NodeLoad {
    /// Open client connections.
    pub connections: u64,
    /// Client connections since the start.
    pub connections_total: u64,
    /// Commands since the start.
    pub commands: u64,
    /// About how many live keys this node holds.
    pub keys: u64,
    /// Reads and writes since the start.
    pub gets: u64,
    /// Reads and writes since the start.
    pub puts: u64,
}

/// What commands may ask about the node that runs them.
pub trait NodeFacts {
    /// What does not change.
    fn settings(&self) -> &NodeSettings;
    /// The cluster as this node sees it; `None` before it is a member.
    fn view(&self) -> Option<&Arc<View>>;
    /// What changes.
    fn load(&self) -> NodeLoad;
    /// All client connections of the node.
    fn clients(&self) -> Vec<Arc<ClientInfo>>;
    /// Closes a client's connection.
    fn kill(&self, client: &ClientInfo);
    /// Sets counters back (`CONFIG RESETSTAT`).
    fn reset_stats(&self);
}

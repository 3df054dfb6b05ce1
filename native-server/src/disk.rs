//! The directory of one shard, as the server's threads share it.

/// Where a shard's bytes rest.
pub use kvorum_core::storage::FileStorage as Disk;

//! What no layer owns and all use: ids, time, hashing, byte codecs, the deterministic generator, trace events,
//! sabotage switches.
//!
//! `base` knows nothing of keys, nodes or disks. Everything here is a value without behaviour over time.

mod codec;
mod hash;
mod ids;
mod kept;
mod map;
mod order;
mod random;
pub mod sabotage;
#[cfg(test)]
pub(crate) mod tests;
mod time;
pub mod trace;

pub use codec::{DecodeError, Reader, Writer, varint_len};
pub use hash::{checksum, checksum_seeded, hash_key, hash128, hash128_seeded};
pub use ids::{Epoch, KeyspaceId, MemberId, PartitionId, ShardIndex, Slot};
pub use kept::{KEPT_SLOT_COUNT, Kept};
pub use map::{BTreeMap, BTreeSet};
pub use order::Order;
pub use random::Random;
pub use sabotage::{Bug, Sabotage};
pub use time::{Micros, Now};

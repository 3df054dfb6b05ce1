//! What a key holds, and how two opinions of it become one.
//!
//! A [`Cell`] is a version vector of everything seen and the siblings that nothing seen supersedes. Merge is
//! associative, commutative and idempotent, so replicas that heard the same things in any order agree. `version` knows
//! no clocks (stamps come in), no nodes and no disks; a merge never looks at the time.
//!
//! Sources: dotted version vectors (Preguiça et al. 2012); Riak's kv679 for why *whoever forgets takes a new name*.

mod cell;
mod clock;
mod codec;
mod context;
mod dot;
mod resolve;

pub use cell::{Body, Cell, Cover, ExpiryMark, Merged, Sibling};
pub use clock::{Clock, Hlc, SKEW_MS_MAX, Stamp};
pub use codec::{CELL_VALUE_BYTES_MAX, peek_winner_stamp};
pub use context::{ClientContext, ContextError, decode_context, encode_context};
pub use dot::{Actor, Dot, VersionVector};
pub use resolve::Resolve;

/// Siblings from which on a key is worth a warning.
pub const SIBLING_COUNT_WARN: usize = 8;
/// Most siblings that a put may leave. 32 lets every client of a busy key lose one race and still be seen.
pub const SIBLING_COUNT_MAX: usize = 32;

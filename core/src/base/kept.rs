use bytes::Bytes;

/// Slots of what the control plane of a node must not forget: each holds the latest bytes persisted under it.
pub const KEPT_SLOT_COUNT: u8 = 4;

/// What an earlier life of the control plane persisted, by slot.
pub type Kept = [Option<Bytes>; KEPT_SLOT_COUNT as usize];

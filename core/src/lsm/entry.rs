/// What a record says of its key. On disk: add, never change. 3 is reserved for values kept apart in value logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// It has this value.
    Live = 0,
    /// It has this value, which its reader takes for absent.
    Dead = 1,
    /// It has none: hides older records of the key.
    Deleted = 2,
}

impl Kind {
    pub(super) fn from_number(number: u8) -> Option<Kind> {
        match number {
            0 => Some(Kind::Live),
            1 => Some(Kind::Dead),
            2 => Some(Kind::Deleted),
            _ => None,
        }
    }
}

/// The first eight bytes of a key as a number that orders as the key does, but for ties.
#[inline]
pub(super) fn key_prefix(key: &[u8]) -> u64 {
    if let Some(first) = key.first_chunk::<8>() {
        return u64::from_be_bytes(*first);
    }
    let mut prefix = [0; 8];
    prefix[..key.len()].copy_from_slice(key);
    u64::from_be_bytes(prefix)
}

/// All 64 bits for a table in memory from the half of a hash that it keeps.
#[inline]
pub(super) fn spread(half: u32) -> u64 {
    u64::from(half).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Seed of [`key_hash`]. On disk (filters and tags): never change.
const KEY_HASH_SEED: u64 = 0x6b76_6f72_756d_0002;

/// The hash of an engine key, computed once for each look-up: filters and tags take their bits from it.
#[inline]
pub(super) fn key_hash(key: &[u8]) -> u64 {
    crate::base::checksum_seeded(key, KEY_HASH_SEED)
}

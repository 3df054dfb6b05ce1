use xxhash_rust::xxh3;

/// Seed of [`hash_key`]. On disk: never change.
const KEY_SEED: u64 = 0x6b76_6f72_756d_0001;

/// The hash of a user key. Its upper 32 bits order keys inside a partition, choose the leaf of its tree and make the
/// SCAN cursor.
#[inline]
pub fn hash_key(key: &[u8]) -> u64 {
    xxh3::xxh3_64_with_seed(key, KEY_SEED)
}

/// xxh3-64 of `bytes`.
#[inline]
pub fn checksum(bytes: &[u8]) -> u64 {
    xxh3::xxh3_64(bytes)
}

/// xxh3-64 of `bytes` bound to `seed`, so that right bytes at a wrong place do not pass.
#[inline]
pub fn checksum_seeded(bytes: &[u8], seed: u64) -> u64 {
    xxh3::xxh3_64_with_seed(bytes, seed)
}

/// xxh3-128 of `bytes`, for tree leaves and trace hashes.
#[inline]
pub fn hash128(bytes: &[u8]) -> u128 {
    xxh3::xxh3_128(bytes)
}

/// xxh3-128 of `bytes` bound to `seed`.
#[inline]
pub fn hash128_seeded(bytes: &[u8], seed: u64) -> u128 {
    xxh3::xxh3_128_with_seed(bytes, seed)
}

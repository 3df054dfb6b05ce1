//! A blocked Bloom filter: all bits of a key lie in one line of 64 bytes, so that a look-up misses the cache once.
//!
//! ```text
//!  probes u8 ┼ line of 64 bytes ┼ line ┼ …
//! ```
//!
//! Source: Putze, Sanders, Singler, "Cache-, hash- and space-efficient Bloom filters" (2007); the probe sequence is
//! RocksDB's FastLocalBloom.

use alloc::vec::Vec;

const LINE_BYTES: usize = 64;
const PROBE_STEP: u32 = 0x9e37_79b9;

/// The filter of these keys.
pub(super) fn build(hashes: &[u64], bits_per_key: u32) -> Vec<u8> {
    let line_count = (hashes.len() * bits_per_key as usize).div_ceil(LINE_BYTES * 8).max(1);
    // ln 2 × bits per key, rounded down, as many as a line of 512 bits still profits from.
    let probes = (bits_per_key * 69 / 100).clamp(1, 12) as u8;
    let mut filter = alloc::vec![0; 1 + line_count * LINE_BYTES];
    filter[0] = probes;
    for hash in hashes {
        let line = &mut filter[line_start(*hash, line_count)..][..LINE_BYTES];
        let mut bits = *hash as u32;
        for _ in 0..probes {
            let bit = bits >> 23;
            line[(bit >> 3) as usize] |= 1 << (bit & 7);
            bits = bits.wrapping_mul(PROBE_STEP);
        }
    }
    filter
}

/// Whether the key may be there. A damaged filter says yes.
#[inline]
pub(super) fn may_hold(filter: &[u8], hash: u64) -> bool {
    let line_count = filter.len().saturating_sub(1) / LINE_BYTES;
    if line_count == 0 {
        return true;
    }
    let start = line_start(hash, line_count);
    let Some(line) = filter.get(start..start + LINE_BYTES) else { return true };
    let mut bits = hash as u32;
    for _ in 0..filter[0] {
        let bit = bits >> 23;
        if line[(bit >> 3) as usize] & (1 << (bit & 7)) == 0 {
            return false;
        }
        bits = bits.wrapping_mul(PROBE_STEP);
    }
    true
}

#[inline]
fn line_start(hash: u64, line_count: usize) -> usize {
    // The upper half chooses the line, the lower half the bits in it.
    1 + (((hash >> 32) * line_count as u64) >> 32) as usize * LINE_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lsm::entry::key_hash;

    #[test]
    fn keys_are_held_and_others_mostly_not() {
        let hashes: Vec<u64> = (0..20_000u64).map(|key| key_hash(&key.to_le_bytes())).collect();
        let filter = build(&hashes, 10);
        assert!(hashes.iter().all(|hash| may_hold(&filter, *hash)));
        let others = (20_000..120_000u64).map(|key| key_hash(&key.to_le_bytes()));
        let false_positives = others.filter(|hash| may_hold(&filter, *hash)).count();
        assert!(false_positives < 1_800, "{false_positives} of 100000 at 10 bits a key");
        for damaged in [&[][..], &[9], &[255; 30], &[255; 65]] {
            let _ = may_hold(damaged, 77);
        }
    }
}

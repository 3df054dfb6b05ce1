use crate::base::{PartitionId, Slot};

/// Slots of the ring, as in Redis Cluster.
pub const SLOT_COUNT: u16 = 16_384;

const CRC16: [u16; 256] = {
    let mut table = [0u16; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 != 0 { crc << 1 ^ 0x1021 } else { crc << 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

/// The slot of a key: CRC16/XMODEM of its hash tag, or of the whole key, modulo 16,384.
///
/// Source: the Redis Cluster specification, "hash tags": the bytes between the first `{` and the first `}` after it,
/// if there is at least one.
pub fn slot_of(key: &[u8]) -> Slot {
    let hashed = tag(key).unwrap_or(key);
    let mut crc = 0u16;
    for byte in hashed {
        crc = crc << 8 ^ CRC16[usize::from((crc >> 8) as u8 ^ byte)];
    }
    Slot(crc % SLOT_COUNT)
}

fn tag(key: &[u8]) -> Option<&[u8]> {
    let open = key.iter().position(|byte| *byte == b'{')?;
    let behind = &key[open + 1..];
    let close = behind.iter().position(|byte| *byte == b'}')?;
    (close > 0).then(|| &behind[..close])
}

/// The partition of a slot when the ring is cut into `partition_count` equal ones (a power of two up to 16,384).
pub fn partition_of(slot: Slot, partition_count: u16) -> PartitionId {
    PartitionId(slot.0 / (SLOT_COUNT / partition_count.clamp(1, SLOT_COUNT)))
}

/// [`partition_of`] the [`slot_of`] a key.
pub fn partition_of_key(key: &[u8], partition_count: u16) -> PartitionId {
    partition_of(slot_of(key), partition_count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_redis_cluster() {
        assert_eq!(slot_of(b"123456789"), Slot(0x31c3));
        assert_eq!(slot_of(b"foo"), Slot(12_182));
        assert_eq!(slot_of(b"{user1000}.following"), slot_of(b"{user1000}.followers"));
        assert_eq!(slot_of(b"foo{}{bar}"), Slot(8_363));
        assert_eq!(slot_of(b"foo{{bar}}zap"), slot_of(b"{bar"));
        assert_eq!(slot_of(b""), Slot(0));
    }

    #[test]
    fn partitions_cut_the_ring_evenly() {
        assert_eq!(partition_of(Slot(0), 64), PartitionId(0));
        assert_eq!(partition_of(Slot(255), 64), PartitionId(0));
        assert_eq!(partition_of(Slot(256), 64), PartitionId(1));
        assert_eq!(partition_of(Slot(16_383), 16_384), PartitionId(16_383));
    }
}

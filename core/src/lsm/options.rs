use crate::base::Sabotage;

/// Settings of an engine. None of them changes what is on disk in a way that another setting could not read.
#[derive(Debug, Clone)]
pub struct Options {
    /// A memtable of this many bytes, its overhead included, is frozen and flushed.
    pub memtable_bytes: u32,
    /// Wanted size of a table's data block before compression.
    pub block_bytes: u32,
    /// Wanted size of a table.
    pub table_bytes: u32,
    /// Bits of filter for each key in the last level; upper levels get more.
    pub filter_bits: u8,
    /// Bytes of rows: the newest records of keys in use, ahead of memtables and tables. 0 for none.
    pub row_bytes: u64,
    /// Seeds the hashes of what is in memory: another number at each start, so that nobody can choose keys that collide.
    pub hash_seed: u64,
    /// Tells engines apart that share one [`super::BlockCache`]: give each its own number.
    pub cache_space: u32,
    /// Which bug is built in.
    pub sabotage: Sabotage,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            memtable_bytes: 64 << 20,
            block_bytes: 4 << 10,
            table_bytes: 16 << 20,
            filter_bits: 10,
            row_bytes: 0,
            hash_seed: 0,
            cache_space: 0,
            sabotage: Sabotage::NONE,
        }
    }
}

impl Options {
    /// The same settings within bounds that the formats can hold.
    pub(super) fn clamped(mut self) -> Options {
        self.memtable_bytes = self.memtable_bytes.clamp(1 << 10, 1 << 30);
        self.block_bytes = self.block_bytes.clamp(64, 32 << 10);
        self.table_bytes = self.table_bytes.clamp(1 << 10, 1 << 30);
        self.filter_bits = self.filter_bits.min(24);
        self
    }
    /// Size of a log segment: about a memtable, so that a flush frees about a segment.
    pub(super) fn segment_bytes(&self) -> u64 {
        u64::from(self.memtable_bytes).next_multiple_of(4096).max(16 << 10)
    }
}

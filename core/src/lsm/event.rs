use super::Ticket;

/// What an engine did, for whoever shows it. Collected only while somebody listens ([`super::Db::set_listened`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A log write ended.
    Appended {
        /// Its bytes.
        bytes: u64,
        /// Tickets that are written by it.
        records: u64,
    },
    /// Everything up to this ticket is durable.
    Synced(Ticket),
    /// The memtable takes no more writes.
    Frozen {
        /// Its bytes.
        bytes: u64,
    },
    /// A flush wrote a table.
    Flushed {
        /// Its number.
        table: u64,
        /// Records in it.
        entries: u64,
        /// Its bytes.
        bytes: u64,
    },
    /// A compaction ended, or moved whole tables.
    Compacted {
        /// Where its tables are now.
        level: u8,
        /// Tables that it replaced.
        tables_in: u32,
        /// Tables that it made.
        tables_out: u32,
    },
    /// A look-up in a table.
    Read {
        /// How far it went.
        step: ReadStep,
        /// The table's number; 0 for memory.
        table: u64,
    },
}

/// How far a look-up went in one place. Numbers as in trace events: add, never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum ReadStep {
    /// Memory knew.
    Memory = 0,
    /// A table's filter said that the key is not there.
    FilterNo = 1,
    /// A table's filter said that the key may be there.
    FilterYes = 2,
    /// A block that holds the key, if the table does, was searched.
    Block = 3,
}

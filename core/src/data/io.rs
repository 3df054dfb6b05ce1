//! What a driver hands to a shard and performs for it.

use super::{Reply, Request, RequestId};
use crate::base::{Epoch, MemberId, PartitionId, Sabotage, ShardIndex};
use crate::lsm;
use crate::message::DataMessage;
use crate::ring::{Report, View};
use crate::storage::Storage;
use alloc::{sync::Arc, vec::Vec};
use bytes::Bytes;

/// Who this shard is, and its limits.
#[derive(Debug, Clone)]
pub struct Config {
    /// Which of the node's shards.
    pub shard: ShardIndex,
    /// How many the node has; fixed when its data dir is made.
    pub shard_count: u8,
    /// A random number of the host, another one at every start: where generations begin to count.
    pub entropy: u64,
    /// Longest key taken, in bytes.
    pub key_bytes_max: u32,
    /// Longest value taken, in bytes.
    pub value_bytes_max: u32,
    /// Most bytes of hints kept for others.
    pub hint_bytes_max: u64,
    /// The engine's settings.
    pub engine: lsm::Options,
    /// Which bug is built in.
    pub sabotage: Sabotage,
    /// Whether anybody listens to events.
    pub trace: bool,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Input {
    /// A client asks. Every request is answered by exactly one [`Output::Reply`], by its deadline.
    Request {
        /// Names it.
        id: RequestId,
        /// What it asks.
        request: Request,
    },
    /// A peer's shard says something about a partition.
    Message {
        /// Who.
        from: MemberId,
        /// About what.
        partition: PartitionId,
        /// What.
        message: DataMessage,
    },
    /// The cluster looks like this from now on.
    View(Arc<View>),
    /// A log write ended.
    Log(lsm::LogDone),
    /// A log sync ended.
    LogSync(lsm::LogSyncDone),
    /// Work ended.
    Work {
        /// Of which output.
        id: u64,
        /// How.
        done: WorkDone,
    },
    /// Control of this node wants this kept (shard 0 only).
    Persist {
        /// Comes back.
        ticket: u64,
        /// Which of control's slots.
        slot: u8,
        /// What.
        bytes: Bytes,
    },
    /// Time passed.
    Wake,
}

/// What is to be done. A driver hands in all inputs of a turn, then drains: a log write appears when nothing else
/// waits, so that one covers the whole turn.
#[derive(Debug, Clone)]
pub enum Output {
    /// Answer a client.
    Reply {
        /// Which request.
        id: RequestId,
        /// What.
        reply: Reply,
    },
    /// Send this; it may get lost.
    Send {
        /// To whom.
        to: MemberId,
        /// About what.
        partition: PartitionId,
        /// What.
        message: DataMessage,
    },
    /// Run this and hand the end back as [`Input::Log`]. `is_synced` says on which thread it belongs.
    Log {
        /// The write.
        write: lsm::LogWrite,
        /// Whether it waits for the disk.
        is_synced: bool,
    },
    /// Run this beside later log writes and hand the end back as [`Input::LogSync`].
    LogSync(lsm::LogSync),
    /// Run this, at once or elsewhere, and hand the end back as [`Input::Work`].
    Work {
        /// Comes back.
        id: u64,
        /// What to run.
        work: Work,
    },
    /// For the operator: a client's read failed, and this is why.
    Unreadable(lsm::Error),
    /// For this node's control.
    Report(Report),
    /// For this node's control: what it wanted kept is durable.
    Persisted(u64),
    /// For this node's control: a message named a newer epoch.
    SawEpoch {
        /// Who sent it.
        from: MemberId,
        /// Which.
        epoch: Epoch,
    },
}

/// Work on the disk.
#[derive(Debug, Clone)]
pub enum Work {
    /// A point read: short, a client waits.
    Read(lsm::TableRead),
    /// A range read: a page.
    Scan(lsm::Scan),
    /// A flush or compaction: long, in steps.
    Job(lsm::Job),
}

/// How work ended.
#[derive(Debug, Clone)]
pub enum WorkDone {
    /// Of [`Work::Read`].
    Read(lsm::ReadDone),
    /// Of [`Work::Scan`].
    Scan(Result<lsm::ScanPage, lsm::Error>),
    /// Of [`Work::Job`].
    Job(lsm::JobDone),
}

impl Work {
    /// Runs to the end; a driver that wants a job in slices steps it itself.
    pub fn run<S: Storage>(self, storage: &mut S, cache: &mut lsm::BlockCache) -> WorkDone {
        match self {
            Work::Read(read) => WorkDone::Read(read.run(storage, cache)),
            Work::Scan(scan) => WorkDone::Scan(scan.run(storage, cache)),
            Work::Job(job) => WorkDone::Job(job.run(storage, cache)),
        }
    }
}

/// Counts since the start, for metrics. All only grow, but for the gauges.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
#[allow(missing_docs)] // The names are those of the metrics; `docs/operations.md` describes them.
pub struct Counters {
    pub gets: u64,
    pub puts: u64,
    pub refused: u64,
    pub in_doubt: u64,
    pub restamped: u64,
    pub hedged_reads: u64,
    pub read_repairs: u64,
    pub hints_stored: u64,
    pub hints_delivered: u64,
    /// Gauge.
    pub hints_pending: u64,
    /// Gauge.
    pub hint_bytes: u64,
    pub tree_differences: u64,
    pub transferred_cells: u64,
    pub lww_discarded: u64,
    pub dot_collisions: u64,
    pub amnesia: u64,
    /// Gauge: tombstones held, which nothing collects yet.
    pub tombstones: u64,
    /// Gauge: about how many live keys.
    pub keys: u64,
    /// Gauge: keys whose values have all expired, which stay until something overwrites them.
    pub expired_keys: u64,
    /// Gauge: entries of version vectors by actors of which no value is left.
    pub old_vector_entries: u64,
    /// Puts that left a key with so many siblings that somebody should resolve them.
    pub crowded_puts: u64,
}

/// A picture for status pages and the visualizer.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Snapshot {
    /// Which shard.
    pub shard: ShardIndex,
    /// Counts.
    pub counters: Counters,
    /// The engine.
    pub engine: lsm::Stats,
    /// The root of each partition's tree that this node holds.
    pub roots: Vec<(PartitionId, u128)>,
}

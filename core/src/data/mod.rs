//! The data plane: one shard coordinates, replicates, hints, repairs and transfers the partitions it serves.
//!
//! `data` knows no sockets, no clock and no storage: it knows its cluster through the latest [`View`](crate::ring::View), its disk
//! through values handed to the driver.

mod client;
mod shard;

pub use client::{
    ExpireWhen, Expiry, Op, Page, PageEntry, ReadReply, Refusal, Reply, Request, RequestId, WriteReply,
};
pub use shard::{Config, Counters, Input, Output, Shard, Snapshot, Work, WorkDone};

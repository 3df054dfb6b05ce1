//! The data plane: one shard coordinates, replicates, hints, repairs and transfers the partitions it serves.
//!
//! `data` knows no sockets, no clock and no storage: it knows its cluster through the latest [`View`], its disk
//! through values handed to the driver.

mod client;

pub use client::{
    ExpireWhen, Expiry, Op, Page, PageEntry, ReadReply, Refusal, Reply, Request, RequestId, WriteReply,
};

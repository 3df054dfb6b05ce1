//! The data plane: one shard coordinates, replicates, hints, repairs and transfers the partitions it serves.
//!
//! `data` knows no sockets, no clock and no storage: it knows its cluster through the latest
//! [`View`](crate::ring::View), its disk through values handed to the driver.
//!
//! Coordinator: `put`, `forward`, `get`, `scan`. Replica: `replica`. The one repair path (a cell on its way to be merged):
//! `handoff`, `transfer`, `compare`, and read repair in `get`. Below them `store`, which alone touches the engine.

mod actors;
mod audit;
mod census;
mod client;
mod compare;
mod direct;
mod explain;
mod forward;
mod get;
mod handoff;
mod io;
mod key;
mod ledger;
mod ops;
mod page;
mod peers;
mod picture;
mod put;
mod replica;
mod scan;
mod shard;
mod store;
mod timers;
mod told;
mod transfer;
mod tree;
mod waits;

pub use audit::Audit;
pub use client::{
    ExpireWhen, Expiry, Named, Op, Page, PageEntry, ReadReply, Refusal, Reply, Request, RequestId, WriteReply,
};
pub use io::{Config, Counters, Input, Output, Snapshot, Work, WorkDone};
pub use picture::{
    Copies, HintCount, LogPicture, MemtablePicture, Neighbour, ReadStep, ShardPicture, TablePicture, readable,
};
pub use shard::Shard;

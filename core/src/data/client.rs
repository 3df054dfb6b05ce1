//! What a client can ask of a shard, and what it can be told.

use crate::base::{KeyspaceId, MemberId, Micros, PartitionId};
use crate::version::Stamp;
use alloc::{string::String, vec::Vec};
use bytes::Bytes;
use core::fmt;

/// Names a client's request on one node while it is in flight; chosen by the driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// One request about one key or partition. Any node's shard for that partition takes it, owner or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// In which keyspace.
    pub keyspace: KeyspaceId,
    /// When the client gives up, on the monotonic clock. Unfinished by then: [`Refusal::InDoubt`] or `TryAgain`.
    pub deadline: Micros,
    /// What to do.
    pub op: Op,
}

/// What a client asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Read a key. Answered by [`Reply::Read`].
    Get {
        /// The key.
        key: Bytes,
        /// Answers to wait for, if not the keyspace's R.
        r: Option<u8>,
    },
    /// Write a key. Answered by [`Reply::Written`].
    Put {
        /// The key.
        key: Bytes,
        /// The value.
        value: Bytes,
        /// The opaque context of an earlier read, as `version::encode_context` made it. Without one the write
        /// covers what the owner that gives it its dot holds.
        context: Option<Bytes>,
        /// When the value ends.
        expiry: Expiry,
        /// Acknowledgements to wait for, if not the keyspace's W.
        w: Option<u8>,
    },
    /// Delete a key: write a tombstone. Answered by [`Reply::Written`].
    Delete {
        /// The key.
        key: Bytes,
        /// As in [`Op::Put`].
        context: Option<Bytes>,
        /// As in [`Op::Put`].
        w: Option<u8>,
    },
    /// Change when the value that is there ends. Answered by [`Reply::Written`] whose `existed` says whether anything
    /// was changed.
    Expire {
        /// The key.
        key: Bytes,
        /// The new end; [`Expiry::Keep`] changes nothing.
        expiry: Expiry,
        /// Under which condition.
        when: ExpireWhen,
    },
    /// The live keys of one partition in order of their hash. Answered by [`Reply::Page`].
    Scan {
        /// Which partition.
        partition: PartitionId,
        /// Start at this hash, inclusive.
        from_hash: u32,
        /// Stop after about so many keys (keys of equal hash stay together).
        limit: u32,
    },
    /// An estimate of the live keys of one partition. Answered by [`Reply::Count`].
    Count {
        /// Which partition.
        partition: PartitionId,
    },
    /// Where a key lives and what each owner holds. Answered by [`Reply::Explained`].
    Explain {
        /// The key.
        key: Bytes,
    },
}

impl Op {
    /// The key, where the request is about one.
    pub fn key(&self) -> Option<&Bytes> {
        match self {
            Op::Get { key, .. }
            | Op::Put { key, .. }
            | Op::Delete { key, .. }
            | Op::Expire { key, .. }
            | Op::Explain { key } => Some(key),
            Op::Scan { .. } | Op::Count { .. } => None,
        }
    }
}

/// When a value ends, in Unix milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// Never.
    Never,
    /// At this time.
    At(u64),
    /// As the value that it replaces (`KEEPTTL`).
    Keep,
}

/// Condition of [`Op::Expire`], as in Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpireWhen {
    /// Whenever the key lives.
    Always,
    /// Only if it has no expiry (`NX`).
    NoExpiry,
    /// Only if it has one (`XX`).
    HasExpiry,
    /// Only if the new end is later (`GT`).
    Later,
    /// Only if the new end is earlier (`LT`).
    Earlier,
    /// Only if it has one and the new end is earlier (`XX LT`).
    HasLater,
}

/// What a client is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// To [`Op::Get`].
    Read(ReadReply),
    /// To [`Op::Put`], [`Op::Delete`], [`Op::Expire`].
    Written(WriteReply),
    /// To [`Op::Scan`].
    Page(Page),
    /// To [`Op::Count`].
    Count(u64),
    /// To [`Op::Explain`]: JSON text, made by the shard so that no other layer knows cells.
    Explained(String),
    /// Not done, or nobody knows.
    Refused(Refusal),
}

/// The answer to a read: R owners' cells merged.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadReply {
    /// The merged cell; `None` when none of them holds one. It may hold tombstones and expired values: ask
    /// `Cell::winner` and `Cell::live`.
    pub cell: Option<crate::version::Cell>,
}

/// The answer to a write that is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteReply {
    /// Whether a live value was there before, as the owner that gave the dot saw it (for `Expire`: whether anything
    /// was changed).
    pub existed: bool,
    /// Acknowledgements counted.
    pub acks: u8,
    /// How many of them are hints, held by fallbacks.
    pub hinted: u8,
    /// Its place in the order of writes; `None` where nothing was to be written.
    pub stamp: Option<Stamp>,
}

/// Part of a partition's keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Live keys in order of (hash, key).
    pub entries: Vec<PageEntry>,
    /// Where the next page starts; `None` when the partition is done.
    pub next_hash: Option<u32>,
}

/// One live key of a [`Page`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageEntry {
    /// The upper half of [`crate::base::hash_key`].
    pub hash: u32,
    /// The key.
    pub key: Bytes,
}

/// Why there is no result. The three answers that a client must be able to tell apart: some say *not done*, one says
/// *outcome unknown*.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// Not done; the same request may succeed soon (starting, moving, refilling, overloaded).
    TryAgain(&'static str),
    /// Not done: too few owners and fallbacks of the partition are up.
    ClusterDown {
        /// Votes that can be had.
        reachable: u8,
        /// Votes needed.
        needed: u8,
    },
    /// Outcome unknown: it was sent, and too few answered in time.
    InDoubt {
        /// Acknowledgements that came.
        acks: u8,
        /// Acknowledgements needed.
        needed: u8,
    },
    /// Not done: the key holds as many siblings as it may; read, then put with the context.
    TooManySiblings(u8),
    /// Not done: the context is damaged, or of another key or cluster.
    BadContext,
    /// Not done: by the owner's clock it came after its time was over.
    CameLate {
        /// Whose clock.
        by: MemberId,
        /// By how much.
        late_ms: u64,
    },
    /// Not done: the stamp would lie too far ahead of the owner's clock.
    ClockSkew {
        /// Whose clock refused it.
        by: MemberId,
        /// By how much.
        ahead_ms: u64,
    },
    /// Not done: key or value beyond its limit.
    TooLarge {
        /// "key" or "value".
        what: &'static str,
        /// Its size in bytes.
        bytes: u64,
        /// The limit in bytes.
        bytes_max: u64,
    },
    /// Not done: no such keyspace.
    NoKeyspace(KeyspaceId),
    /// Not done: an owner's disk is full or failed.
    Storage(String),
    /// Not done: the request itself is wrong.
    Invalid(&'static str),
}

impl Refusal {
    /// The word before the message in RESP: what a client may do.
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::TryAgain(_) | Refusal::CameLate { .. } => "TRYAGAIN",
            Refusal::ClusterDown { .. } => "CLUSTERDOWN",
            Refusal::InDoubt { .. } => "INDOUBT",
            _ => "ERR",
        }
    }
}

/// A refusal whose text calls the member whose clock differs by this name, not by its number.
#[derive(Debug)]
pub struct Named<'a>(pub &'a Refusal, pub &'a str);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write(f, &self.1)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.whose_clock() {
            Some(by) => self.write(f, &format_args!("member {}", by.0)),
            None => self.write(f, &""),
        }
    }
}

impl Refusal {
    /// The member whose clock refused it, if one did.
    pub fn whose_clock(&self) -> Option<MemberId> {
        match self {
            Refusal::CameLate { by, .. } | Refusal::ClockSkew { by, .. } => Some(*by),
            _ => None,
        }
    }
    fn write(&self, f: &mut fmt::Formatter<'_>, by: &dyn fmt::Display) -> fmt::Result {
        match self {
            Refusal::TryAgain(why) => write!(f, "not done, try again: {why}"),
            Refusal::ClusterDown { reachable, needed } => {
                write!(f, "not done: {reachable} of {needed} needed replicas can be reached")
            }
            Refusal::InDoubt { acks, needed } => {
                write!(f, "outcome unknown: {acks} of {needed} needed replicas answered in time")
            }
            Refusal::TooManySiblings(count) => {
                write!(f, "not done: the key holds {count} siblings; read it and put with its context")
            }
            Refusal::BadContext => f.write_str("not done: the context is damaged or belongs to another key"),
            Refusal::CameLate { late_ms, .. } => {
                write!(
                    f,
                    "not done, try again: it reached {by} {late_ms} ms after its time was over by the clock there; a slow network, or check both clocks"
                )
            }
            Refusal::ClockSkew { ahead_ms, .. } => {
                write!(f, "not done: stamped {ahead_ms} ms ahead of the clock of {by}; check both clocks")
            }
            Refusal::TooLarge { what, bytes, bytes_max } => {
                write!(f, "not done: a {what} of {bytes} bytes; at most {bytes_max} are taken")
            }
            Refusal::NoKeyspace(id) => write!(f, "not done: there is no keyspace {}", id.0),
            Refusal::Storage(what) => write!(f, "not done: {what}"),
            Refusal::Invalid(why) => write!(f, "not done: {why}"),
        }
    }
}

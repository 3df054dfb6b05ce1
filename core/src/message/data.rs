//! What the data planes of two nodes say to each other about one partition.
//!
//! `op` names the asker's operation and comes back with the answer; answers to finished operations are ignored. What
//! is not answered is asked again or given up by whoever asked, so every message may be lost, doubled or late.

use crate::base::{DecodeError, Epoch, KeyspaceId, MemberId, Reader, Writer};
use crate::version::{Hlc, Stamp};
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;

/// Sums of one level of a partition's tree: 32 of them.
pub type TreeSums = [u128; 32];

/// Most cells, keys or hashes in one message. A page that is longer is cut and continued.
pub const PAGE_COUNT_MAX: usize = 1024;

/// Why a cell is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// A client's write. Refused if its epoch is older than the partition's.
    Client,
    /// A client's write for `target`, which is Down: kept as a hint.
    Hint {
        /// The owner that the receiver stands in for.
        target: MemberId,
    },
    /// What another replica holds: read repair, transfer, anti-entropy. Welcome at any owner at any time.
    Repair,
    /// A hint comes to its owner and is given up by its keeper after that. Refused if its epoch is older than the
    /// partition's: who gains the partition may have been filled from here already.
    Handoff,
}

/// What a replica says to a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteAnswer {
    /// It holds the cell, or more, as durably as the keyspace asks.
    Held,
    /// It holds the cell, but another write of this stamp wins over it there (`lww`).
    Outrun(Stamp),
    /// It did nothing.
    Refused(RefusedWhy),
}

/// Why a replica did nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedWhy {
    /// The epoch is older than the partition's; here is the newer one.
    StaleEpoch(Epoch),
    /// It does not serve the partition.
    NotOwner,
    /// It lost its store and is being refilled.
    Refilling,
    /// Its disk is full, failed or damaged.
    Storage,
    /// It holds as many hints as it may.
    HintQuota,
    /// Too much waits already.
    Overloaded,
}

/// What a replica says to a read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadAnswer {
    /// It holds nothing.
    Absent,
    /// It holds this cell.
    Cell(Bytes),
    /// It cannot say.
    Refused(RefusedWhy),
}

/// A put on its way to the owner that gives it its dot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardedPut {
    /// The put's identity and place in the order, given by the node that the client reached.
    pub stamp: Stamp,
    /// The value; `None` for a deletion.
    pub value: Option<Bytes>,
    /// The client's context, decoded, as (actor, counter) pairs; `None` to cover what the owner holds.
    pub context: Option<Vec<(u64, u64)>>,
    /// 0 keep, 1 never, 2 at `expires_at_ms`.
    pub expiry: u8,
    /// When the value ends, for `expiry` 2.
    pub expires_at_ms: u64,
    /// Acknowledgements to wait for.
    pub w: u8,
    /// How long the client waits, from the stamp on, in milliseconds: an owner whose clock is past that refuses.
    pub lifetime_ms: u32,
    /// The stamp lies above everything that W owners named: what wins over it now was concurrent.
    pub is_final: bool,
}

/// How a forwarded put ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForwardAnswer {
    /// Done.
    Done {
        /// A live value was there before.
        existed: bool,
        /// Acknowledgements counted.
        acks: u8,
        /// How many of them are hints.
        hinted: u8,
    },
    /// Nothing was changed: the owner holds something not below the stamp.
    Behind(Stamp),
    /// Stored on W owners, but this stamp won there: stamp again above it.
    Outrun(Stamp),
    /// Not done.
    Refused(RefusedWhy),
    /// Not done: too few owners and fallbacks can be reached.
    TooFew {
        /// Votes that can be had.
        reachable: u8,
        /// Votes needed.
        needed: u8,
    },
    /// Not done: too many siblings.
    TooManySiblings(u8),
    /// Not done: by the owner's clock it came so many milliseconds after its client had given up.
    Expired(u64),
    /// Not done: its stamp lies so many milliseconds further ahead of the owner's clock than it may.
    Ahead(u64),
    /// Outcome unknown.
    InDoubt {
        /// Acknowledgements that came.
        acks: u8,
        /// Acknowledgements needed.
        needed: u8,
    },
}

/// One cell of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PagedCell {
    /// In which keyspace.
    pub keyspace: KeyspaceId,
    /// The key.
    pub key: Bytes,
    /// Its cell.
    pub cell: Bytes,
}

/// One key of a leaf, for comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyDigest {
    /// Upper half of the key's hash: its place in the partition.
    pub hash: u32,
    /// Hash over keyspace and key.
    pub key: u64,
    /// Hash over the cell.
    pub cell: u64,
}

/// One key found by a scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScannedKey {
    /// Upper half of the key's hash.
    pub hash: u32,
    /// The key.
    pub key: Bytes,
    /// The greatest stamp of its cell: the replica that knows more is believed.
    pub stamp: Stamp,
    /// Whether a reader sees a value.
    pub live: bool,
}

/// One message between two data planes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // The fields are those of the asker's operation; each variant says what it is for.
pub enum DataMessage {
    /// Hold this cell. Answered by [`DataMessage::WriteAnswer`].
    Write { op: u64, epoch: Epoch, keyspace: KeyspaceId, reason: Reason, key: Bytes, cell: Bytes },
    /// To [`DataMessage::Write`].
    WriteAnswer { op: u64, answer: WriteAnswer },
    /// What do you hold, yourself or for `target`? Answered by [`DataMessage::ReadAnswer`].
    Read { op: u64, epoch: Epoch, keyspace: KeyspaceId, target: Option<MemberId>, key: Bytes },
    /// To [`DataMessage::Read`].
    ReadAnswer { op: u64, answer: ReadAnswer },
    /// Give this put a dot and see it to its quorum. Answered by [`DataMessage::ForwardAnswer`].
    Forward { op: u64, epoch: Epoch, keyspace: KeyspaceId, key: Bytes, put: ForwardedPut },
    /// To [`DataMessage::Forward`].
    ForwardAnswer { op: u64, answer: ForwardAnswer },
    /// A digest over the roots of all partitions of one group that both nodes own.
    TreeDigest { epoch: Epoch, group: u8, digest: u128 },
    /// The digests differ: my roots of that group.
    TreeRoots { epoch: Epoch, group: u8, roots: Vec<(u16, u128)> },
    /// The roots differ: my branches of the partition.
    TreeBranches { epoch: Epoch, sums: Box<TreeSums> },
    /// The branch differs: my leaves of it.
    TreeLeaves { epoch: Epoch, branch: u8, sums: Box<TreeSums> },
    /// The leaf differs: my keys of it from `from` (inclusive) to `to` (inclusive). The receiver sends the cells that
    /// it holds otherwise and asks for the rest by [`DataMessage::TreeWant`].
    TreeKeys { epoch: Epoch, from: u32, to: u32, keys: Vec<KeyDigest> },
    /// Send me the cells of these keys.
    TreeWant { epoch: Epoch, keys: Vec<KeyDigest> },
    /// Send me all cells of the partition from this hash on. Answered by [`DataMessage::PullPage`].
    Pull { op: u64, epoch: Epoch, from: u32 },
    /// To [`DataMessage::Pull`]: cells, and where the next page starts. `None`: refused, for the partition's epoch
    /// there is older, or the owner is itself being refilled.
    PullPage { op: u64, page: Option<(Vec<PagedCell>, Option<u32>)> },
    /// List keys from this hash on. Answered by [`DataMessage::ScanPage`].
    Scan { op: u64, epoch: Epoch, keyspace: KeyspaceId, from: u32, limit: u32 },
    /// To [`DataMessage::Scan`]: keys, and where the next page starts.
    ScanPage { op: u64, keys: Vec<ScannedKey>, next: Option<u32>, refused: bool },
    /// About how many live keys? Answered by [`DataMessage::CountAnswer`].
    Count { op: u64 },
    /// To [`DataMessage::Count`].
    CountAnswer { op: u64, count: u64 },
}

impl DataMessage {
    /// A number for its kind, as in trace events and on the wire: add, never change.
    pub fn kind(&self) -> u8 {
        match self {
            DataMessage::Write { .. } => 1,
            DataMessage::WriteAnswer { .. } => 2,
            DataMessage::Read { .. } => 3,
            DataMessage::ReadAnswer { .. } => 4,
            DataMessage::Forward { .. } => 5,
            DataMessage::ForwardAnswer { .. } => 6,
            DataMessage::TreeDigest { .. } => 7,
            DataMessage::TreeRoots { .. } => 8,
            DataMessage::TreeBranches { .. } => 9,
            DataMessage::TreeLeaves { .. } => 10,
            DataMessage::TreeKeys { .. } => 11,
            DataMessage::TreeWant { .. } => 12,
            DataMessage::Pull { .. } => 13,
            DataMessage::PullPage { .. } => 14,
            DataMessage::Scan { .. } => 15,
            DataMessage::ScanPage { .. } => 16,
            DataMessage::Count { .. } => 17,
            DataMessage::CountAnswer { .. } => 18,
        }
    }
    /// The operation that it belongs to, as its asker names it (the sender of a question, the receiver of an answer);
    /// 0 if to none.
    pub fn op(&self) -> u64 {
        match self {
            DataMessage::Write { op, .. }
            | DataMessage::WriteAnswer { op, .. }
            | DataMessage::Read { op, .. }
            | DataMessage::ReadAnswer { op, .. }
            | DataMessage::Forward { op, .. }
            | DataMessage::ForwardAnswer { op, .. }
            | DataMessage::Pull { op, .. }
            | DataMessage::PullPage { op, .. }
            | DataMessage::Scan { op, .. }
            | DataMessage::ScanPage { op, .. }
            | DataMessage::Count { op }
            | DataMessage::CountAnswer { op, .. } => *op,
            DataMessage::TreeDigest { .. }
            | DataMessage::TreeRoots { .. }
            | DataMessage::TreeBranches { .. }
            | DataMessage::TreeLeaves { .. }
            | DataMessage::TreeKeys { .. }
            | DataMessage::TreeWant { .. } => 0,
        }
    }
    /// About how many bytes it takes on a wire: for bounds and throttles.
    pub fn weight(&self) -> usize {
        match self {
            DataMessage::Write { key, cell, .. } => 64 + key.len() + cell.len(),
            DataMessage::ReadAnswer { answer: ReadAnswer::Cell(cell), .. } => 64 + cell.len(),
            DataMessage::Forward { key, put, .. } => {
                96 + key.len() + put.value.as_ref().map_or(0, Bytes::len)
            }
            DataMessage::PullPage { page: Some((cells, _)), .. } => {
                cells.iter().map(|cell| 16 + cell.key.len() + cell.cell.len()).sum::<usize>() + 64
            }
            _ => 64,
        }
    }
    /// Appends the message's bytes.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        let mut w = Writer(bytes);
        w.u8(self.kind());
        match self {
            DataMessage::Write { op, epoch, keyspace, reason, key, cell } => {
                head(&mut w, *op, *epoch);
                w.u8(keyspace.0);
                match reason {
                    Reason::Client => w.u8(0),
                    Reason::Repair => w.u8(1),
                    Reason::Handoff => w.u8(3),
                    Reason::Hint { target } => {
                        w.u8(2);
                        w.u16(target.0);
                    }
                }
                w.bytes(key);
                w.bytes(cell);
            }
            DataMessage::WriteAnswer { op, answer } => {
                w.u64(*op);
                match answer {
                    WriteAnswer::Held => w.u8(0),
                    WriteAnswer::Outrun(above) => {
                        w.u8(1);
                        stamp(&mut w, *above);
                    }
                    WriteAnswer::Refused(why) => {
                        w.u8(2);
                        refused(&mut w, *why);
                    }
                }
            }
            DataMessage::Read { op, epoch, keyspace, target, key } => {
                head(&mut w, *op, *epoch);
                w.u8(keyspace.0);
                w.u32(target.map_or(0, |target| u32::from(target.0) + 1));
                w.bytes(key);
            }
            DataMessage::ReadAnswer { op, answer } => {
                w.u64(*op);
                match answer {
                    ReadAnswer::Absent => w.u8(0),
                    ReadAnswer::Cell(cell) => {
                        w.u8(1);
                        w.bytes(cell);
                    }
                    ReadAnswer::Refused(why) => {
                        w.u8(2);
                        refused(&mut w, *why);
                    }
                }
            }
            DataMessage::Forward { op, epoch, keyspace, key, put } => {
                head(&mut w, *op, *epoch);
                w.u8(keyspace.0);
                w.bytes(key);
                stamp(&mut w, put.stamp);
                let flags = u8::from(put.value.is_some())
                    | u8::from(put.context.is_some()) << 1
                    | u8::from(put.is_final) << 2;
                w.u8(flags);
                if let Some(value) = &put.value {
                    w.bytes(value);
                }
                if let Some(context) = &put.context {
                    w.varint(context.len() as u64);
                    for (actor, counter) in context {
                        w.u64(*actor);
                        w.varint(*counter);
                    }
                }
                w.u8(put.expiry);
                w.varint(put.expires_at_ms);
                w.u8(put.w);
                w.u32(put.lifetime_ms);
            }
            DataMessage::ForwardAnswer { op, answer } => {
                w.u64(*op);
                forward_answer(&mut w, answer);
            }
            DataMessage::TreeDigest { epoch, group, digest } => {
                w.varint(epoch.0);
                w.u8(*group);
                w.u128(*digest);
            }
            DataMessage::TreeRoots { epoch, group, roots } => {
                w.varint(epoch.0);
                w.u8(*group);
                w.varint(roots.len() as u64);
                for (partition, root) in roots {
                    w.u16(*partition);
                    w.u128(*root);
                }
            }
            DataMessage::TreeBranches { epoch, sums } => {
                w.varint(epoch.0);
                tree_sums(&mut w, sums);
            }
            DataMessage::TreeLeaves { epoch, branch, sums } => {
                w.varint(epoch.0);
                w.u8(*branch);
                tree_sums(&mut w, sums);
            }
            DataMessage::TreeKeys { epoch, from, to, keys } => {
                w.varint(epoch.0);
                w.u32(*from);
                w.u32(*to);
                digests(&mut w, keys);
            }
            DataMessage::TreeWant { epoch, keys } => {
                w.varint(epoch.0);
                digests(&mut w, keys);
            }
            DataMessage::Pull { op, epoch, from } => {
                head(&mut w, *op, *epoch);
                w.u32(*from);
            }
            DataMessage::PullPage { op, page } => {
                w.u64(*op);
                w.u8(u8::from(page.is_some()));
                if let Some((cells, next)) = page {
                    option_u32(&mut w, *next);
                    w.varint(cells.len() as u64);
                    for cell in cells {
                        w.u8(cell.keyspace.0);
                        w.bytes(&cell.key);
                        w.bytes(&cell.cell);
                    }
                }
            }
            DataMessage::Scan { op, epoch, keyspace, from, limit } => {
                head(&mut w, *op, *epoch);
                w.u8(keyspace.0);
                w.u32(*from);
                w.u32(*limit);
            }
            DataMessage::ScanPage { op, keys, next, refused } => {
                w.u64(*op);
                w.u8(u8::from(*refused));
                option_u32(&mut w, *next);
                w.varint(keys.len() as u64);
                for key in keys {
                    w.u32(key.hash);
                    w.u8(u8::from(key.live));
                    stamp(&mut w, key.stamp);
                    w.bytes(&key.key);
                }
            }
            DataMessage::Count { op } => w.u64(*op),
            DataMessage::CountAnswer { op, count } => {
                w.u64(*op);
                w.varint(*count);
            }
        }
    }
    /// Reads one message from bytes that may be anything.
    pub fn decode(r: &mut Reader<'_>) -> Result<DataMessage, DecodeError> {
        Ok(match r.u8()? {
            1 => {
                let (op, epoch) = read_head(r)?;
                let keyspace = KeyspaceId(r.u8()?);
                let reason = match r.u8()? {
                    0 => Reason::Client,
                    1 => Reason::Repair,
                    3 => Reason::Handoff,
                    2 => Reason::Hint { target: MemberId(r.u16()?) },
                    _ => return Err(r.error("a known reason")),
                };
                DataMessage::Write { op, epoch, keyspace, reason, key: copied(r)?, cell: copied(r)? }
            }
            2 => {
                let op = r.u64()?;
                let answer = match r.u8()? {
                    0 => WriteAnswer::Held,
                    1 => WriteAnswer::Outrun(read_stamp(r)?),
                    2 => WriteAnswer::Refused(read_refused(r)?),
                    _ => return Err(r.error("a known answer")),
                };
                DataMessage::WriteAnswer { op, answer }
            }
            3 => {
                let (op, epoch) = read_head(r)?;
                let keyspace = KeyspaceId(r.u8()?);
                let target = match r.u32()? {
                    0 => None,
                    number => Some(member(r, number - 1)?),
                };
                DataMessage::Read { op, epoch, keyspace, target, key: copied(r)? }
            }
            4 => {
                let op = r.u64()?;
                let answer = match r.u8()? {
                    0 => ReadAnswer::Absent,
                    1 => ReadAnswer::Cell(copied(r)?),
                    2 => ReadAnswer::Refused(read_refused(r)?),
                    _ => return Err(r.error("a known answer")),
                };
                DataMessage::ReadAnswer { op, answer }
            }
            5 => {
                let (op, epoch) = read_head(r)?;
                let keyspace = KeyspaceId(r.u8()?);
                let key = copied(r)?;
                let stamp = read_stamp(r)?;
                let flags = r.u8()?;
                let value = if flags & 1 != 0 { Some(copied(r)?) } else { None };
                let mut context = None;
                if flags & 2 != 0 {
                    let mut entries = Vec::new();
                    for _ in 0..r.count(9)? {
                        entries.push((r.u64()?, r.varint()?));
                    }
                    context = Some(entries);
                }
                let put = ForwardedPut {
                    stamp,
                    value,
                    context,
                    expiry: r.u8()?,
                    expires_at_ms: r.varint()?,
                    w: r.u8()?,
                    lifetime_ms: r.u32()?,
                    is_final: flags & 4 != 0,
                };
                DataMessage::Forward { op, epoch, keyspace, key, put }
            }
            6 => DataMessage::ForwardAnswer { op: r.u64()?, answer: read_forward_answer(r)? },
            7 => DataMessage::TreeDigest { epoch: Epoch(r.varint()?), group: r.u8()?, digest: r.u128()? },
            8 => {
                let epoch = Epoch(r.varint()?);
                let group = r.u8()?;
                let mut roots = Vec::new();
                for _ in 0..r.count(18)? {
                    roots.push((r.u16()?, r.u128()?));
                }
                DataMessage::TreeRoots { epoch, group, roots }
            }
            9 => DataMessage::TreeBranches { epoch: Epoch(r.varint()?), sums: read_tree_sums(r)? },
            10 => DataMessage::TreeLeaves {
                epoch: Epoch(r.varint()?),
                branch: r.u8()?,
                sums: read_tree_sums(r)?,
            },
            11 => DataMessage::TreeKeys {
                epoch: Epoch(r.varint()?),
                from: r.u32()?,
                to: r.u32()?,
                keys: read_digests(r)?,
            },
            12 => DataMessage::TreeWant { epoch: Epoch(r.varint()?), keys: read_digests(r)? },
            13 => {
                let (op, epoch) = read_head(r)?;
                DataMessage::Pull { op, epoch, from: r.u32()? }
            }
            14 => {
                let op = r.u64()?;
                let mut page = None;
                if r.u8()? != 0 {
                    let next = read_option_u32(r)?;
                    let mut cells = Vec::new();
                    for _ in 0..r.count(3)? {
                        cells.push(PagedCell {
                            keyspace: KeyspaceId(r.u8()?),
                            key: copied(r)?,
                            cell: copied(r)?,
                        });
                    }
                    page = Some((cells, next));
                }
                DataMessage::PullPage { op, page }
            }
            15 => {
                let (op, epoch) = read_head(r)?;
                DataMessage::Scan {
                    op,
                    epoch,
                    keyspace: KeyspaceId(r.u8()?),
                    from: r.u32()?,
                    limit: r.u32()?,
                }
            }
            16 => {
                let op = r.u64()?;
                let refused = r.u8()? != 0;
                let next = read_option_u32(r)?;
                let mut keys = Vec::new();
                for _ in 0..r.count(16)? {
                    let hash = r.u32()?;
                    let live = r.u8()? != 0;
                    keys.push(ScannedKey { hash, live, stamp: read_stamp(r)?, key: copied(r)? });
                }
                DataMessage::ScanPage { op, keys, next, refused }
            }
            17 => DataMessage::Count { op: r.u64()? },
            18 => DataMessage::CountAnswer { op: r.u64()?, count: r.varint()? },
            _ => return Err(r.error("a known data message")),
        })
    }
}

fn head(w: &mut Writer<'_>, op: u64, epoch: Epoch) {
    w.u64(op);
    w.varint(epoch.0);
}
fn read_head(r: &mut Reader<'_>) -> Result<(u64, Epoch), DecodeError> {
    Ok((r.u64()?, Epoch(r.varint()?)))
}
fn copied(r: &mut Reader<'_>) -> Result<Bytes, DecodeError> {
    Ok(Bytes::copy_from_slice(r.bytes()?))
}
fn stamp(w: &mut Writer<'_>, stamp: Stamp) {
    w.u64(stamp.hlc.0);
    w.u16(stamp.member.0);
}
fn read_stamp(r: &mut Reader<'_>) -> Result<Stamp, DecodeError> {
    Ok(Stamp { hlc: Hlc(r.u64()?), member: MemberId(r.u16()?) })
}
fn member(r: &Reader<'_>, number: u32) -> Result<MemberId, DecodeError> {
    u16::try_from(number).map(MemberId).map_err(|_| r.error("a member number"))
}
fn option_u32(w: &mut Writer<'_>, value: Option<u32>) {
    w.u8(u8::from(value.is_some()));
    w.u32(value.unwrap_or(0));
}
fn read_option_u32(r: &mut Reader<'_>) -> Result<Option<u32>, DecodeError> {
    let some = r.u8()? != 0;
    let value = r.u32()?;
    Ok(some.then_some(value))
}
fn tree_sums(w: &mut Writer<'_>, sums: &TreeSums) {
    for sum in sums {
        w.u128(*sum);
    }
}
fn read_tree_sums(r: &mut Reader<'_>) -> Result<Box<TreeSums>, DecodeError> {
    let mut sums = Box::new([0; 32]);
    for sum in sums.iter_mut() {
        *sum = r.u128()?;
    }
    Ok(sums)
}
fn digests(w: &mut Writer<'_>, keys: &[KeyDigest]) {
    w.varint(keys.len() as u64);
    for key in keys {
        w.u32(key.hash);
        w.u64(key.key);
        w.u64(key.cell);
    }
}
fn read_digests(r: &mut Reader<'_>) -> Result<Vec<KeyDigest>, DecodeError> {
    let mut keys = Vec::new();
    for _ in 0..r.count(20)? {
        keys.push(KeyDigest { hash: r.u32()?, key: r.u64()?, cell: r.u64()? });
    }
    Ok(keys)
}
fn refused(w: &mut Writer<'_>, why: RefusedWhy) {
    match why {
        RefusedWhy::StaleEpoch(epoch) => {
            w.u8(0);
            w.varint(epoch.0);
        }
        RefusedWhy::NotOwner => w.u8(1),
        RefusedWhy::Refilling => w.u8(2),
        RefusedWhy::Storage => w.u8(3),
        RefusedWhy::HintQuota => w.u8(4),
        RefusedWhy::Overloaded => w.u8(5),
    }
}
fn read_refused(r: &mut Reader<'_>) -> Result<RefusedWhy, DecodeError> {
    Ok(match r.u8()? {
        0 => RefusedWhy::StaleEpoch(Epoch(r.varint()?)),
        1 => RefusedWhy::NotOwner,
        2 => RefusedWhy::Refilling,
        3 => RefusedWhy::Storage,
        4 => RefusedWhy::HintQuota,
        5 => RefusedWhy::Overloaded,
        _ => return Err(r.error("a known refusal")),
    })
}
fn forward_answer(w: &mut Writer<'_>, answer: &ForwardAnswer) {
    match answer {
        ForwardAnswer::Done { existed, acks, hinted } => {
            w.u8(0);
            w.raw(&[u8::from(*existed), *acks, *hinted]);
        }
        ForwardAnswer::Behind(above) => {
            w.u8(1);
            stamp(w, *above);
        }
        ForwardAnswer::Outrun(above) => {
            w.u8(2);
            stamp(w, *above);
        }
        ForwardAnswer::Refused(why) => {
            w.u8(3);
            refused(w, *why);
        }
        ForwardAnswer::TooFew { reachable, needed } => w.raw(&[4, *reachable, *needed]),
        ForwardAnswer::TooManySiblings(count) => w.raw(&[5, *count]),
        ForwardAnswer::Expired(millis) => {
            w.u8(6);
            w.varint(*millis);
        }
        ForwardAnswer::InDoubt { acks, needed } => w.raw(&[7, *acks, *needed]),
        ForwardAnswer::Ahead(millis) => {
            w.u8(8);
            w.varint(*millis);
        }
    }
}
fn read_forward_answer(r: &mut Reader<'_>) -> Result<ForwardAnswer, DecodeError> {
    Ok(match r.u8()? {
        0 => ForwardAnswer::Done { existed: r.u8()? != 0, acks: r.u8()?, hinted: r.u8()? },
        1 => ForwardAnswer::Behind(read_stamp(r)?),
        2 => ForwardAnswer::Outrun(read_stamp(r)?),
        3 => ForwardAnswer::Refused(read_refused(r)?),
        4 => ForwardAnswer::TooFew { reachable: r.u8()?, needed: r.u8()? },
        5 => ForwardAnswer::TooManySiblings(r.u8()?),
        6 => ForwardAnswer::Expired(r.varint()?),
        7 => ForwardAnswer::InDoubt { acks: r.u8()?, needed: r.u8()? },
        8 => ForwardAnswer::Ahead(r.varint()?),
        _ => return Err(r.error("a known answer")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Random;

    fn samples() -> Vec<DataMessage> {
        let stamp = Stamp { hlc: Hlc(7), member: MemberId(3) };
        let key = Bytes::from_static(b"key");
        let digest = KeyDigest { hash: 1, key: 2, cell: 3 };
        let (op, epoch, keyspace) = (9, Epoch(4), KeyspaceId(0));
        let put = ForwardedPut {
            stamp,
            value: Some(key.clone()),
            context: Some(alloc::vec![(1, 2)]),
            expiry: 2,
            expires_at_ms: 5,
            w: 2,
            lifetime_ms: 6,
            is_final: true,
        };
        let paged = PagedCell { keyspace, key: key.clone(), cell: key.clone() };
        let reason = Reason::Hint { target: MemberId(1) };
        alloc::vec![
            DataMessage::Write { op, epoch, keyspace, reason, key: key.clone(), cell: key.clone() },
            DataMessage::WriteAnswer { op, answer: WriteAnswer::Outrun(stamp) },
            DataMessage::WriteAnswer { op, answer: WriteAnswer::Refused(RefusedWhy::StaleEpoch(epoch)) },
            DataMessage::Read { op, epoch, keyspace, target: Some(MemberId(2)), key: key.clone() },
            DataMessage::ReadAnswer { op, answer: ReadAnswer::Cell(key.clone()) },
            DataMessage::Forward { op, epoch, keyspace, key: key.clone(), put },
            DataMessage::ForwardAnswer {
                op,
                answer: ForwardAnswer::Done { existed: true, acks: 2, hinted: 1 }
            },
            DataMessage::ForwardAnswer { op, answer: ForwardAnswer::Expired(300) },
            DataMessage::ForwardAnswer { op, answer: ForwardAnswer::Ahead(300) },
            DataMessage::TreeDigest { epoch, group: 3, digest: 1 << 100 },
            DataMessage::TreeRoots { epoch, group: 3, roots: alloc::vec![(3, 5)] },
            DataMessage::TreeBranches { epoch, sums: Box::new([1; 32]) },
            DataMessage::TreeLeaves { epoch, branch: 1, sums: Box::new([2; 32]) },
            DataMessage::TreeKeys { epoch, from: 1, to: 2, keys: alloc::vec![digest] },
            DataMessage::TreeWant { epoch, keys: alloc::vec![digest] },
            DataMessage::Pull { op, epoch, from: 8 },
            DataMessage::PullPage { op, page: Some((alloc::vec![paged], Some(3))) },
            DataMessage::Scan { op, epoch, keyspace, from: 0, limit: 10 },
            DataMessage::ScanPage {
                op,
                keys: alloc::vec![ScannedKey { hash: 1, key, stamp, live: true }],
                next: None,
                refused: false
            },
            DataMessage::Count { op },
            DataMessage::CountAnswer { op, count: 12 },
        ]
    }

    #[test]
    fn messages_read_back() {
        for message in samples() {
            let mut bytes = Vec::new();
            message.encode(&mut bytes);
            let mut r = Reader::new(&bytes);
            assert_eq!(DataMessage::decode(&mut r).as_ref(), Ok(&message));
            assert_eq!(r.remaining(), 0);
        }
    }

    #[test]
    fn any_bytes_are_refused_without_panic() {
        let mut random = Random::new(crate::base::tests::seed(1));
        for message in samples() {
            let mut bytes = Vec::new();
            message.encode(&mut bytes);
            for _ in 0..crate::base::tests::rounds(200) {
                let mut damaged = bytes.clone();
                let at = random.below(damaged.len() as u64) as usize;
                damaged[at] = random.next_u64() as u8;
                damaged.truncate(random.between(1, damaged.len() as u64) as usize);
                let _ = DataMessage::decode(&mut Reader::new(&damaged));
            }
        }
    }
}

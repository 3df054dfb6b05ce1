use super::{Actor, Cell, Dot, Hlc, VersionVector};
use crate::base::{Reader, Writer, checksum_seeded, hash_key};
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;

const VERSION: u8 = 1;

/// What a client has seen of a key, as it hands it back with a put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientContext {
    /// Which writes.
    pub seen: VersionVector,
    /// The greatest time among them: the put is stamped above it.
    pub hlc: Hlc,
}

/// A context that is damaged, of a later version, or of another key or cluster. It is never taken for an empty one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContextError;

impl fmt::Display for ContextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the context is damaged or belongs to another key or cluster")
    }
}
impl core::error::Error for ContextError {}

fn seal(lineage: u64, key: &[u8], body: &[u8]) -> u64 {
    checksum_seeded(body, hash_key(key) ^ lineage)
}

/// The opaque context of `cell` under `key`: versioned, checksummed, bound to key and cluster.
pub fn encode_context(lineage: u64, key: &[u8], cell: &Cell) -> Bytes {
    let mut body = Vec::new();
    let mut w = Writer(&mut body);
    w.u8(VERSION);
    w.u64(cell.hlc_max().0);
    w.varint(cell.context().len() as u64);
    for dot in cell.context().iter() {
        w.u64(dot.actor.0);
        w.varint(dot.counter);
    }
    let sum = seal(lineage, key, &body);
    Writer(&mut body).u64(sum);
    Bytes::from(body)
}

/// Reads what [`encode_context`] made, from bytes that may be anything.
pub fn decode_context(lineage: u64, key: &[u8], bytes: &[u8]) -> Result<ClientContext, ContextError> {
    let (body, sum) = bytes.split_last_chunk::<8>().ok_or(ContextError)?;
    if seal(lineage, key, body) != u64::from_le_bytes(*sum) {
        return Err(ContextError);
    }
    let mut r = Reader::new(body);
    let mut read = || {
        if r.u8().ok()? != VERSION {
            return None;
        }
        let hlc = Hlc(r.u64().ok()?);
        let mut seen = VersionVector::new();
        for _ in 0..r.count(9).ok()? {
            let dot = Dot { actor: Actor(r.u64().ok()?), counter: r.varint().ok()? };
            seen.push_sorted(dot).then_some(())?;
        }
        (r.remaining() == 0).then_some(ClientContext { seen, hlc })
    };
    read().ok_or(ContextError)
}

//! The bytes of a cell: the same in the log, in memory, in tables and between peers.
//!
//! ```text
//!  ├ version ┼ entries ┼ (actor u64, counter)… ┼ siblings ┼ sibling… ┤    numbers are varints unless sized
//!  sibling: ├ index of actor ┼ counter ┼ hlc u64 ┼ member u16 ┼ kind ┼ [at ┼ hlc u64 ┼ member u16] ┼ [len ┼ value] ┤
//!  kind: bit 0 tombstone, bit 1 expiry mark follows, bit 2 the mark has an end (`at`, else absent)
//! ```

use super::cell::{Body, Cell, ExpiryMark, Sibling};
use super::{Actor, Dot, Hlc, Stamp, VersionVector};
use crate::base::{DecodeError, MemberId, Reader, Writer};
use alloc::vec::Vec;
use bytes::Bytes;
use smallvec::SmallVec;

/// On disk and wire: never change its meaning; a new layout takes a new number.
const VERSION: u8 = 1;
const TOMBSTONE: u8 = 1;
const MARKED: u8 = 2;
const ENDS: u8 = 4;

/// Longest value that a cell takes, in bytes, whatever a server's own limit is.
pub const CELL_VALUE_BYTES_MAX: u32 = 16 << 20;

impl Cell {
    /// Appends the cell's bytes.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        let mut w = Writer(bytes);
        w.u8(VERSION);
        w.varint(self.context.len() as u64);
        for dot in self.context.iter() {
            w.u64(dot.actor.0);
            w.varint(dot.counter);
        }
        w.varint(self.siblings.len() as u64);
        for sibling in &self.siblings {
            let index = self.context.index_of(sibling.dot.actor);
            w.varint(index.expect("a cell's context covers its siblings") as u64);
            w.varint(sibling.dot.counter);
            stamp(&mut w, sibling.stamp);
            let ends = sibling.expiry.and_then(|mark| mark.at_ms);
            let flag = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
            w.u8(flag(sibling.body == Body::Tombstone, TOMBSTONE)
                | flag(sibling.expiry.is_some(), MARKED)
                | flag(ends.is_some(), ENDS));
            if let Some(mark) = sibling.expiry {
                if let Some(at) = mark.at_ms {
                    w.varint(at);
                }
                stamp(&mut w, mark.stamp);
            }
            if let Body::Value(value) = &sibling.body {
                w.bytes(value);
            }
        }
    }
    /// The cell's bytes.
    pub fn to_bytes(&self) -> Bytes {
        let values: usize =
            self.siblings.iter().map(|sibling| sibling.value().map_or(0, Bytes::len) + 40).sum();
        let mut bytes = Vec::with_capacity(8 + self.context.len() * 12 + values);
        self.encode(&mut bytes);
        Bytes::from(bytes)
    }
    /// Reads a cell that fills `bytes`, which may be anything. Values are slices of `bytes`, not copies.
    pub fn decode(bytes: &Bytes) -> Result<Cell, DecodeError> {
        let mut r = Reader::new(bytes);
        if r.u8()? != VERSION {
            return Err(r.error("a cell of version 1"));
        }
        let mut context = VersionVector::new();
        for _ in 0..r.count(9)? {
            let dot = Dot { actor: Actor(r.u64()?), counter: r.varint()? };
            if !context.push_sorted(dot) {
                return Err(r.error("context entries in order"));
            }
        }
        let count = r.count(13)?;
        let mut siblings = SmallVec::with_capacity(count);
        for _ in 0..count {
            let index = r.varint_u32()? as usize;
            let Some(actor) = context.actor_at(index) else { return Err(r.error("a sibling's actor")) };
            let dot = Dot { actor, counter: r.varint()? };
            let stamp = read_stamp(&mut r)?;
            let kind = r.u8()?;
            if kind & !(TOMBSTONE | MARKED | ENDS) != 0 || kind & (MARKED | ENDS) == ENDS {
                return Err(r.error("a known kind of sibling"));
            }
            let mut expiry = None;
            if kind & MARKED != 0 {
                let at_ms = if kind & ENDS != 0 { Some(r.varint()?) } else { None };
                expiry = Some(ExpiryMark { at_ms, stamp: read_stamp(&mut r)? });
            }
            let body = if kind & TOMBSTONE != 0 {
                Body::Tombstone
            } else {
                let value = r.bytes()?;
                Body::Value(bytes.slice(r.offset() - value.len()..r.offset()))
            };
            siblings.push(Sibling { dot, stamp, body, expiry });
        }
        let end = r.error("a cell that holds together");
        r.finish()?;
        let cell = Cell { context, siblings };
        cell.check().map_err(|_| end)?;
        Ok(cell)
    }
}

fn stamp(w: &mut Writer<'_>, stamp: Stamp) {
    w.u64(stamp.hlc.0);
    w.u16(stamp.member.0);
}

fn read_stamp(r: &mut Reader<'_>) -> Result<Stamp, DecodeError> {
    Ok(Stamp { hlc: Hlc(r.u64()?), member: MemberId(r.u16()?) })
}

/// The stamp of the only sibling, without decoding the rest; `None` for any other cell and for damaged bytes.
pub fn peek_winner_stamp(bytes: &[u8]) -> Option<Stamp> {
    let mut r = Reader::new(bytes);
    if r.u8().ok()? != VERSION {
        return None;
    }
    for _ in 0..r.count(9).ok()? {
        r.u64().ok()?;
        r.varint().ok()?;
    }
    if r.varint().ok()? != 1 {
        return None;
    }
    r.varint().ok()?;
    r.varint().ok()?;
    read_stamp(&mut r).ok()
}

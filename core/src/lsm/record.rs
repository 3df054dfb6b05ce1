//! One record of a log or of a manifest.
//!
//! ```text
//!  0       8      12     16        24      28    32        32 + len
//!  ├─ xxh3 ┼─ len ┼─ id ─┼─ first ─┼ count ┼ lag ┼─ payload ─┤ zeros to a multiple of 8    all little-endian
//!          └────────────── xxh3 covers these ────────────────┘
//! ```
//!
//! `id` is the number of the file (its low half; the whole number seeds the checksum), so that what an earlier life
//! of a recycled file left behind is never taken for a record. `first` and `count` number what the record holds. All
//! numbers up to `first − 1 − lag` were durable when it was written: that watermark tells a torn tail, which nobody
//! was promised, from damage to what somebody was.
//!
//! A record is whole or absent. It starts at a multiple of eight bytes, so that looking for one is cheap.

use crate::base::checksum_seeded;
use alloc::vec::Vec;

pub(super) const HEADER_BYTES: usize = 32;
pub(super) const ALIGN_BYTES: usize = 8;

/// A whole record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) offset: usize,
    pub(super) first: u64,
    pub(super) count: u32,
    /// The greatest number that was durable when this was written.
    pub(super) durable: u64,
    pub(super) payload: &'a [u8],
}

impl Record<'_> {
    /// Where the next record starts.
    pub(super) fn end(&self) -> usize {
        (self.offset + HEADER_BYTES + self.payload.len()).next_multiple_of(ALIGN_BYTES)
    }
    /// The greatest number in it.
    pub(super) fn last(&self) -> u64 {
        (self.first + u64::from(self.count)).saturating_sub(1)
    }
}

/// What is known of a record when it is closed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub(super) file_number: u64,
    pub(super) first: u64,
    pub(super) count: u32,
    pub(super) durable: u64,
}

/// Makes room for a header; the payload is then appended to `buffer`. Returns where the record starts.
pub(super) fn begin(buffer: &mut Vec<u8>) -> usize {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; HEADER_BYTES]);
    start
}

/// Fills in the header of the record that starts at `start` and ends with `buffer`, and pads.
pub(super) fn finish(buffer: &mut Vec<u8>, start: usize, header: Header) {
    let len = buffer.len() - start - HEADER_BYTES;
    assert!(len <= u32::MAX as usize, "a batch is bounded, so a record is");
    let lag = (header.first - 1).saturating_sub(header.durable).min(u64::from(u32::MAX)) as u32;
    let fields = &mut buffer[start + 8..start + HEADER_BYTES];
    fields[..4].copy_from_slice(&(len as u32).to_le_bytes());
    fields[4..8].copy_from_slice(&(header.file_number as u32).to_le_bytes());
    fields[8..16].copy_from_slice(&header.first.to_le_bytes());
    fields[16..20].copy_from_slice(&header.count.to_le_bytes());
    fields[20..24].copy_from_slice(&lag.to_le_bytes());
    let sum = checksum_seeded(&buffer[start + 8..], header.file_number);
    buffer[start..start + 8].copy_from_slice(&sum.to_le_bytes());
    buffer.resize(buffer.len().next_multiple_of(ALIGN_BYTES), 0);
}

/// The record at `offset` of the file `file_number`, whose bytes are `bytes`; `None` if none is whole there.
pub(super) fn read(bytes: &[u8], offset: usize, file_number: u64) -> Option<Record<'_>> {
    let rest = bytes.get(offset..)?;
    let (sum, fields) = rest.split_first_chunk::<8>()?;
    let (len, fields) = fields.split_first_chunk::<4>()?;
    let (id, fields) = fields.split_first_chunk::<4>()?;
    let (first, fields) = fields.split_first_chunk::<8>()?;
    let (count, fields) = fields.split_first_chunk::<4>()?;
    let (lag, fields) = fields.split_first_chunk::<4>()?;
    let len = usize::try_from(u32::from_le_bytes(*len)).ok()?;
    if u32::from_le_bytes(*id) != file_number as u32 {
        return None;
    }
    let payload = fields.get(..len)?;
    if checksum_seeded(&rest[8..HEADER_BYTES + len], file_number) != u64::from_le_bytes(*sum) {
        return None;
    }
    let (first, count, lag) =
        (u64::from_le_bytes(*first), u32::from_le_bytes(*count), u32::from_le_bytes(*lag));
    // Zero and overflowing numbers are never written; refusing them here spares the callers.
    let durable = first.checked_sub(1)?;
    first.checked_add(u64::from(count))?;
    let durable = if lag == u32::MAX { 0 } else { durable.saturating_sub(u64::from(lag)) };
    Some(Record { offset, first, count, durable, payload })
}

/// The first whole record at or after `offset`.
pub(super) fn find(bytes: &[u8], offset: usize, file_number: u64) -> Option<Record<'_>> {
    let mut at = offset.next_multiple_of(ALIGN_BYTES);
    while at + HEADER_BYTES <= bytes.len() {
        let id = [bytes[at + 12], bytes[at + 13], bytes[at + 14], bytes[at + 15]];
        if u32::from_le_bytes(id) == file_number as u32
            && let Some(record) = read(bytes, at, file_number)
        {
            return Some(record);
        }
        at += ALIGN_BYTES;
    }
    None
}

/// How many bytes from `offset` on are a record that was begun and not finished, as far as its header tells: zeros
/// and what an earlier life of the file left behind are none.
pub(super) fn torn_bytes(bytes: &[u8], offset: usize, file_number: u64) -> u64 {
    let Some(rest) = bytes.get(offset..).filter(|rest| rest.len() >= HEADER_BYTES) else { return 0 };
    let len = u32::from_le_bytes([rest[8], rest[9], rest[10], rest[11]]) as usize;
    let is_begun = rest[12..16] == (file_number as u32).to_le_bytes();
    if is_begun { rest.len().min(HEADER_BYTES.saturating_add(len)) as u64 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Random;

    fn header(first: u64, durable: u64) -> Header {
        Header { file_number: 7, first, count: 2, durable }
    }

    #[test]
    fn records_read_back_in_order() {
        let mut bytes = Vec::new();
        for (first, durable) in [(1, 0), (3, 2), (5, 2)] {
            let start = begin(&mut bytes);
            bytes.extend_from_slice(b"payload");
            finish(&mut bytes, start, header(first, durable));
        }
        let one = read(&bytes, 0, 7).unwrap();
        assert_eq!(
            (one.first, one.count, one.last(), one.durable, one.payload),
            (1, 2, 2, 0, &b"payload"[..])
        );
        let two = read(&bytes, one.end(), 7).unwrap();
        assert_eq!(two.durable, 2);
        assert_eq!(find(&bytes, one.end() + 1, 7).map(|record| record.first), Some(5));
        assert_eq!(read(&bytes, 0, 8), None);
    }

    #[test]
    fn any_bytes_and_any_flipped_bit_are_taken_without_a_panic() {
        let mut random = Random::new(crate::base::tests::seed(1));
        for _ in 0..crate::base::tests::rounds(2_000) {
            let len = random.below(100) as usize;
            let bytes: Vec<u8> = (0..len).map(|_| random.below(3) as u8 * 7).collect();
            let _ = (find(&bytes, 0, 7), torn_bytes(&bytes, 0, 7));
        }
        let mut bytes = Vec::new();
        let start = begin(&mut bytes);
        bytes.extend_from_slice(b"12345678");
        finish(&mut bytes, start, header(1, 0));
        for at in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[at / 8] ^= 1 << (at % 8);
            assert_eq!(read(&flipped, 0, 7), None, "bit {at}");
        }
    }
}

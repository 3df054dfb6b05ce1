use alloc::vec::Vec;
use core::fmt;

/// Bytes that are not what their format says. Carries the offset at which reading stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeError {
    /// Where, in bytes from the start of what was decoded.
    pub offset: u32,
    /// What was expected there.
    pub expected: &'static str,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "damaged bytes at offset {}: expected {}", self.offset, self.expected)
    }
}
impl core::error::Error for DecodeError {}

/// Appends little-endian integers, varints and length-prefixed bytes to a buffer.
pub struct Writer<'a>(pub &'a mut Vec<u8>);

impl Writer<'_> {
    /// One byte.
    #[inline]
    pub fn u8(&mut self, value: u8) {
        self.0.push(value);
    }
    /// Two bytes, little-endian.
    #[inline]
    pub fn u16(&mut self, value: u16) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }
    /// Four bytes, little-endian.
    #[inline]
    pub fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }
    /// Eight bytes, little-endian.
    #[inline]
    pub fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }
    /// Sixteen bytes, little-endian.
    #[inline]
    pub fn u128(&mut self, value: u128) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }
    /// LEB128: seven bits a byte, least first, at most ten bytes.
    #[inline]
    pub fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
    /// A varint length, then the bytes.
    #[inline]
    pub fn bytes(&mut self, value: &[u8]) {
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }
    /// The bytes alone.
    #[inline]
    pub fn raw(&mut self, value: &[u8]) {
        self.0.extend_from_slice(value);
    }
}

/// How many bytes [`Writer::varint`] takes for `value`.
pub const fn varint_len(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// Reads what [`Writer`] wrote, from bytes that may be anything: never panics, never allocates.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    /// Reads `bytes` from their start.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, offset: 0 }
    }
    /// Bytes read so far.
    pub fn offset(&self) -> usize {
        self.offset
    }
    /// Bytes not yet read.
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.offset
    }
    /// The error that says what was expected here.
    pub fn error(&self, expected: &'static str) -> DecodeError {
        DecodeError { offset: self.offset.min(u32::MAX as usize) as u32, expected }
    }
    /// The next `count` bytes.
    #[inline]
    pub fn raw(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let end = self.offset.checked_add(count).filter(|end| *end <= self.bytes.len());
        let Some(end) = end else { return Err(self.error("more bytes")) };
        let taken = &self.bytes[self.offset..end];
        self.offset = end;
        Ok(taken)
    }
    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let Some(array) = self.bytes[self.offset..].first_chunk() else {
            return Err(self.error("more bytes"));
        };
        self.offset += N;
        Ok(*array)
    }
    /// One byte.
    #[inline]
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        let Some(byte) = self.bytes.get(self.offset) else { return Err(self.error("more bytes")) };
        self.offset += 1;
        Ok(*byte)
    }
    /// Two bytes, little-endian.
    #[inline]
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_le_bytes(self.array()?))
    }
    /// Four bytes, little-endian.
    #[inline]
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_le_bytes(self.array()?))
    }
    /// Eight bytes, little-endian.
    #[inline]
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_le_bytes(self.array()?))
    }
    /// Sixteen bytes, little-endian.
    #[inline]
    pub fn u128(&mut self) -> Result<u128, DecodeError> {
        Ok(u128::from_le_bytes(self.array()?))
    }
    /// A LEB128 number of at most ten bytes.
    #[inline]
    pub fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let low = u64::from(byte & 0x7f);
            if shift == 63 && low > 1 {
                return Err(self.error("a number of 64 bits"));
            }
            value |= low << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.error("a number of at most ten bytes"))
    }
    /// A varint that fits 32 bits.
    #[inline]
    pub fn varint_u32(&mut self) -> Result<u32, DecodeError> {
        u32::try_from(self.varint()?).map_err(|_| self.error("a number of 32 bits"))
    }
    /// Bytes behind a varint length.
    #[inline]
    pub fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.varint()?;
        let length = usize::try_from(length).map_err(|_| self.error("a length that fits memory"))?;
        self.raw(length)
    }
    /// A varint count of items that each take at least `item_bytes_min` bytes: a count that the remaining bytes
    /// cannot hold is refused before anything is allocated for it.
    pub fn count(&mut self, item_bytes_min: usize) -> Result<usize, DecodeError> {
        let count = self.varint()?;
        let fits = (self.remaining() / item_bytes_min.max(1)) as u64;
        if count > fits { Err(self.error("a count that its bytes can hold")) } else { Ok(count as usize) }
    }
    /// Refuses bytes left over.
    pub fn finish(self) -> Result<(), DecodeError> {
        if self.remaining() == 0 { Ok(()) } else { Err(self.error("the end")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_read_back_and_take_the_bytes_they_say() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut bytes = Vec::new();
            Writer(&mut bytes).varint(value);
            assert_eq!(bytes.len(), varint_len(value));
            let mut reader = Reader::new(&bytes);
            assert_eq!(reader.varint(), Ok(value));
            assert!(reader.finish().is_ok());
        }
    }

    #[test]
    fn a_count_beyond_its_bytes_is_refused() {
        let mut bytes = Vec::new();
        Writer(&mut bytes).varint(u64::MAX);
        assert!(Reader::new(&bytes).count(1).is_err());
        assert!(Reader::new(&[0xff; 11]).varint().is_err());
    }
}

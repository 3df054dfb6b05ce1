//! The frame around every peer message, and the handshake.
//!
//! ```text
//!  0        4          8            16
//!  ├─ len ──┼─ xxh3 ───┼─ message ──┼─ payload (len - 8 bytes) ─┤     all little-endian
//!           └ low 32 bits, over what follows it
//! ```
//!
//! `len` counts message id and payload and is bounded before anything is allocated. The first frame on a connection,
//! in both directions, carries a [`Hello`]; all others a [`super::PeerMessage`].

use crate::base::{DecodeError, MemberId, Reader, Writer, checksum};
use alloc::{string::String, vec::Vec};
use core::fmt;

/// The peer protocol spoken by this build. Format v0 promises nothing to other versions: they are refused.
pub const PROTOCOL_VERSION: u16 = 1;
/// Longest frame: the largest value, its key and its cell's overhead.
pub const FRAME_BYTES_MAX: u32 = 17 << 20;

const HEADER_BYTES: usize = 8;

/// Why bytes on a peer connection are not a frame. The connection cannot go on after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameError {
    /// A length beyond [`FRAME_BYTES_MAX`] or too short for a header.
    Length(u32),
    /// The bytes changed on their way.
    Checksum {
        /// As it came.
        stored: u32,
        /// As computed over what came.
        computed: u32,
    },
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameError::Length(length) => write!(f, "a frame of {length} bytes is not a Kvorum frame"),
            FrameError::Checksum { stored, computed } => {
                write!(f, "damaged frame: checksum {stored:08x} stored, {computed:08x} computed")
            }
        }
    }
}
impl core::error::Error for FrameError {}

/// One frame as it stands in a receive buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Shared by the `Sent` and `Received` events of the message.
    pub message_id: u64,
    /// The bytes of a [`Hello`] or a [`super::PeerMessage`].
    pub payload: &'a [u8],
}

impl Frame<'_> {
    /// Appends a frame whose payload `write` appends.
    pub fn encode(bytes: &mut Vec<u8>, message_id: u64, write: impl FnOnce(&mut Vec<u8>)) {
        let start = bytes.len();
        bytes.extend_from_slice(&[0; HEADER_BYTES]);
        Writer(bytes).u64(message_id);
        write(bytes);
        let length = (bytes.len() - start - HEADER_BYTES) as u32;
        let sum = checksum(&bytes[start + HEADER_BYTES..]) as u32;
        bytes[start..start + 4].copy_from_slice(&length.to_le_bytes());
        bytes[start + 4..start + HEADER_BYTES].copy_from_slice(&sum.to_le_bytes());
    }
}

/// The first whole frame in `bytes` and how many bytes it takes; `None` while there is not yet a whole one.
pub fn split_frame(bytes: &[u8]) -> Result<Option<(Frame<'_>, usize)>, FrameError> {
    let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
    let [a, b, c, d, e, f, g, h] = *header;
    let length = u32::from_le_bytes([a, b, c, d]);
    let stored = u32::from_le_bytes([e, f, g, h]);
    if !(8..=FRAME_BYTES_MAX).contains(&length) {
        return Err(FrameError::Length(length));
    }
    let end = HEADER_BYTES + length as usize;
    let Some(body) = bytes.get(HEADER_BYTES..end) else { return Ok(None) };
    let computed = checksum(body) as u32;
    if computed != stored {
        return Err(FrameError::Checksum { stored, computed });
    }
    let (id, payload) = body.split_at(8);
    let mut message_id = [0; 8];
    message_id.copy_from_slice(id);
    Ok(Some((Frame { message_id: u64::from_le_bytes(message_id), payload }, end)))
}

/// Who speaks on a peer connection: its first frame in both directions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// [`PROTOCOL_VERSION`].
    pub protocol: u16,
    /// The cluster's lineage; 0 while it is not yet a member of one.
    pub lineage: u64,
    /// Its number there; `None` while it has none.
    pub member: Option<MemberId>,
    /// Its name.
    pub name: String,
    /// The random number of its data dir.
    pub store: u64,
}

impl Hello {
    /// Appends its bytes.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        let mut w = Writer(bytes);
        w.raw(b"KVOR");
        w.u16(self.protocol);
        w.u64(self.lineage);
        w.u32(self.member.map_or(0, |member| u32::from(member.0) + 1));
        w.u64(self.store);
        w.bytes(self.name.as_bytes());
    }
    /// Reads what [`Hello::encode`] wrote. A greater protocol still decodes, so that it can be refused by name.
    pub fn decode(bytes: &[u8]) -> Result<Hello, DecodeError> {
        let mut r = Reader::new(bytes);
        if r.raw(4)? != b"KVOR" {
            return Err(r.error("a Kvorum handshake"));
        }
        let protocol = r.u16()?;
        let lineage = r.u64()?;
        let member = match r.u32()? {
            0 => None,
            number => {
                let number = u16::try_from(number - 1).map_err(|_| r.error("a member number"))?;
                Some(MemberId(number))
            }
        };
        let store = r.u64()?;
        let name = r.bytes()?;
        let name = core::str::from_utf8(name).map(String::from).map_err(|_| r.error("a name in UTF-8"))?;
        Ok(Hello { protocol, lineage, member, name, store })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_read_back_and_a_flipped_bit_is_found() {
        let hello = Hello { protocol: 1, lineage: 7, member: Some(MemberId(0)), name: "a".into(), store: 9 };
        let mut bytes = Vec::new();
        Frame::encode(&mut bytes, 42, |bytes| hello.encode(bytes));
        let (frame, used) = split_frame(&bytes).unwrap().unwrap();
        assert_eq!((frame.message_id, used), (42, bytes.len()));
        assert_eq!(Hello::decode(frame.payload).unwrap(), hello);
        assert_eq!(split_frame(&bytes[..bytes.len() - 1]), Ok(None));
        bytes[20] ^= 1;
        assert!(matches!(split_frame(&bytes), Err(FrameError::Checksum { .. })));
        assert!(matches!(split_frame(b"GET / HTTP/1.1\r\n"), Err(FrameError::Length(_))));
    }
}

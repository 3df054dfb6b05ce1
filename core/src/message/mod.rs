//! What nodes say to each other, and its bytes.
//!
//! Everything that can come over a wire is decoded here, once, from bytes that may be anything. `message` knows no
//! sockets and decides nothing.

mod control;
mod data;
mod frame;

pub use control::{
    Ballot, ControlMessage, Header, JoinRequest, NEWS_COUNT_MAX, News, SUSPICION_COUNT_MAX, Suspicion, Word,
};
pub use data::{
    DataMessage, ForwardAnswer, ForwardedPut, KeyDigest, PAGE_COUNT_MAX, PagedCell, ReadAnswer, Reason,
    RefusedWhy, ScannedKey, TreeSums, WriteAnswer,
};
pub use frame::{FRAME_BYTES_MAX, Frame, FrameError, Hello, PROTOCOL_VERSION, split_frame};

use crate::base::{DecodeError, PartitionId, Reader, Writer, trace::split};
use alloc::vec::Vec;

/// One message between two nodes, addressed to the other's control plane or to whoever serves a partition there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerMessage {
    /// For the control plane.
    Control(ControlMessage),
    /// For the shard that serves `partition`.
    Data {
        /// Names the shard at the receiver.
        partition: PartitionId,
        /// What is said.
        message: DataMessage,
    },
}

/// Added to a data message's own number where one number names every kind: control messages have those below.
pub const DATA_KIND_FIRST: u32 = 256;

impl PeerMessage {
    /// What trace events say of it: its kind, about how many bytes it has, and the operation that it belongs to (2).
    pub fn traced(&self) -> [u32; 4] {
        let (kind, bytes, op) = match self {
            PeerMessage::Control(message) => (u32::from(message.kind()), 0, 0),
            PeerMessage::Data { message, .. } => {
                (DATA_KIND_FIRST + u32::from(message.kind()), message.weight() as u32, message.op())
            }
        };
        let [low, high] = split(op);
        [kind, bytes, low, high]
    }
    /// Appends the message's bytes.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        match self {
            PeerMessage::Control(message) => {
                Writer(bytes).u8(0);
                message.encode(bytes);
            }
            PeerMessage::Data { partition, message } => {
                let mut w = Writer(bytes);
                w.u8(1);
                w.u16(partition.0);
                message.encode(bytes);
            }
        }
    }
    /// Reads one message that fills `bytes`.
    pub fn decode(bytes: &[u8]) -> Result<PeerMessage, DecodeError> {
        let mut r = Reader::new(bytes);
        let message = match r.u8()? {
            0 => PeerMessage::Control(ControlMessage::decode(&mut r)?),
            1 => {
                PeerMessage::Data { partition: PartitionId(r.u16()?), message: DataMessage::decode(&mut r)? }
            }
            _ => return Err(r.error("a known addressee")),
        };
        r.finish()?;
        Ok(message)
    }
}

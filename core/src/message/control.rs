//! What the control planes of two nodes say to each other.

use crate::base::{DecodeError, Reader};
use alloc::vec::Vec;

/// One message between two control planes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ControlMessage {}

impl ControlMessage {
    /// Appends the message's bytes.
    pub fn encode(&self, _bytes: &mut Vec<u8>) {
        match *self {}
    }
    /// Reads one message from bytes that may be anything.
    pub fn decode(r: &mut Reader<'_>) -> Result<ControlMessage, DecodeError> {
        Err(r.error("a known control message"))
    }
}

//! What the data planes of two nodes say to each other.

use crate::base::{DecodeError, Reader};
use alloc::vec::Vec;

/// One message between two data planes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DataMessage {}

impl DataMessage {
    /// Appends the message's bytes.
    pub fn encode(&self, _bytes: &mut Vec<u8>) {
        match *self {}
    }
    /// Reads one message from bytes that may be anything.
    pub fn decode(r: &mut Reader<'_>) -> Result<DataMessage, DecodeError> {
        Err(r.error("a known data message"))
    }
}

//! The topology as a register that a majority of voters decides: one voter's memory, and one member's attempts.

mod acceptor;
mod proposer;

pub(super) use acceptor::Acceptor;
pub(super) use proposer::{Proposer, Step};

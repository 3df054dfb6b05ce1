//! The protocol of Redis clients, versions 2 and 3: bytes to arguments, answers to bytes.
//!
//! `resp` knows no commands and no sockets. Requests are parsed where they lie, as far as they have come; nothing that
//! a client sends can make it panic or hold more memory than [`Limits`] say.

mod parser;
mod reply;

pub use parser::{Args, Limits, Parser, Step};
pub use reply::{Protocol, Replies};

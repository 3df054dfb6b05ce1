//! What clients can say: the table of commands, arguments to typed requests, answers back to RESP.
//!
//! `command` knows no sockets and no threads. What one thread can answer from what it knows is answered by
//! [`local`]; what needs a shard becomes an [`Op`](kvorum_core::data::Op) with an [`Answer`] that says how to word its reply; what needs
//! many becomes a [`Task`].

mod answer;
mod arguments;
mod glob;
pub mod local;
mod node;
mod plan;
pub mod process;
mod session;
mod table;
mod task;

pub use answer::{Answer, Moment, refuse, words};
pub use arguments::{from_hex, to_hex, ttl};
pub use node::{NodeFacts, NodeLoad, NodeSettings};
pub use plan::{Plan, plan};
pub use session::{ClientInfo, ReplyMode, Session};
pub use table::{Spec, Support, Verb, find, specs};
pub use task::{Task, TaskKind, cursor_of, place_of};

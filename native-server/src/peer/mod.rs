//! What nodes speak: one outgoing connection for each peer and data thread, frames of `kvorum_core::message`.
//!
//! Messages may be lost: a queue that is full drops them, and whoever needs an answer asks again. A connection begins
//! with a hello in both directions; strangers may speak to the control plane only, and a member of another cluster is
//! refused. `peer` knows no keys and decides nothing about members.

mod greeting;
mod inbound;
mod link;
mod links;

pub use greeting::{Greeting, Sender};
pub use inbound::{Inbound, Received};
pub use links::{LinkEvent, Links};

//! The turn loop of the data path: poll → read all that is readable → feed the machines → one log append, one write per
//! socket, one batch per peer link → poll.
//!
//! A data thread owns a shard, its connections, its links and its timers. Of several shards, whoever needs one takes its
//! lock if it is free and drives that machine itself; else it leaves the request in the shard's inbox for the holder.
//! No async, no decision about keys: machines decide, [`thread`] performs.
//!
//! [`cell`] is a shard between threads, [`disk_hands`] are its sync and job threads, [`connection`] is a client,
//! [`shared`] is what all threads see, [`control_seat`] runs the control plane beside shard 0.

mod cell;
mod connection;
mod control_seat;
mod disk_hands;
mod histogram;
mod ids;
mod mailbox;
mod seldom;
mod shared;
mod tasks;
mod thread;

pub use cell::{Refusing, ShardCell, ShardMail, ShardSeat};
pub use connection::{Family, Limits};
pub use control_seat::ControlSeat;
pub use disk_hands::{DiskHands, IdleHands};
pub use histogram::{BOUNDS_US, Histogram};
pub use ids::THREAD_COUNT_MAX;
pub use mailbox::{Calls, Mail, Mailbox};
pub use shared::{Events, REFUSAL_CODES, Shared, Stage, ThreadCounters};
pub use thread::{DataThread, Listeners, WAKER};

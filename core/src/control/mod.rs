//! The control plane of a node: who is a member, who answers, and which topology is decided.
//!
//! `control` knows no keys. It publishes an immutable [`View`]; shards know the cluster only through the latest one.
//! What it must not forget leaves through [`Output::Persist`] and comes back in [`Kept`].

use crate::base::{Epoch, Kept, MemberId, Micros, Now, Sabotage};
use crate::message::ControlMessage;
use crate::ring::{Durability, Report, View};
use crate::version::Resolve;
use alloc::{string::String, sync::Arc, vec::Vec};
use bytes::Bytes;

/// How a node begins when its data dir belongs to no cluster yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// It is the first of a new cluster.
    Bootstrap(Birth),
    /// It asks the node at this peer address to let it in, again and again.
    Join {
        /// host:port of a member.
        seed: String,
    },
}

/// What is fixed when a cluster is born.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Birth {
    /// A random number that names the cluster.
    pub lineage: u64,
    /// Q.
    pub partitions: u16,
    /// Replicas of each key.
    pub n: u8,
    /// Answers that a read waits for.
    pub r: u8,
    /// Acknowledgements that a write waits for.
    pub w: u8,
    /// What happens to concurrent values.
    pub resolve: Resolve,
    /// When a replica acknowledges.
    pub durability: Durability,
}

/// Who this node is, and how it begins.
#[derive(Debug, Clone)]
pub struct Config {
    /// Its name, unique in the cluster.
    pub name: String,
    /// The random number of its data dir.
    pub store: u64,
    /// Where clients reach it: host:port.
    pub listen: String,
    /// Where its admin HTTP answers.
    pub admin: String,
    /// Where peers reach it.
    pub peer: String,
    /// Used only when nothing was restored.
    pub start: Start,
    /// A random number of the host, another one at every start.
    pub entropy: u64,
    /// Which bug is built in.
    pub sabotage: Sabotage,
    /// Whether anybody listens to events.
    pub trace: bool,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Input {
    /// A message came. `from` is `None` when the sender is no member as far as this node knows.
    Message {
        /// Who sent it.
        from: Option<MemberId>,
        /// What it says.
        message: ControlMessage,
    },
    /// A shard of this node says something about a partition.
    Report(Report),
    /// What was to be kept under this ticket is durable.
    Persisted(u64),
    /// The connection to a member works, or broke or was refused.
    Link {
        /// Whose.
        member: MemberId,
        /// Whether it works.
        up: bool,
    },
    /// A message named a newer epoch than this node knows.
    SawEpoch {
        /// Who sent it.
        from: MemberId,
        /// Which epoch.
        epoch: Epoch,
    },
    /// Time passed.
    Wake,
}

/// Whom a message is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A member.
    Member(MemberId),
    /// Whoever answers at this peer address: a seed, or a node that is not yet a member.
    Address(String),
}

/// What is to be done.
#[derive(Debug, Clone)]
pub enum Output {
    /// From now on shards and drivers see the cluster like this.
    View(Arc<View>),
    /// Send this; it may get lost.
    Send {
        /// To whom.
        to: Destination,
        /// What.
        message: ControlMessage,
    },
    /// Keep these bytes under `slot`, in place of what was there, and say [`Input::Persisted`] when they are durable.
    Persist {
        /// Comes back.
        ticket: u64,
        /// Below [`crate::base::KEPT_SLOT_COUNT`].
        slot: u8,
        /// What to keep.
        bytes: Bytes,
    },
    /// Something that an operator wants to read in the log.
    Notice(Notice),
}

/// What an operator wants to know.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// This node is a member now.
    Joined(MemberId),
    /// The seed refuses for good: the reason says what to do. The node cannot go on.
    Refused(String),
    /// A member went Down, by the word of these.
    WentDown(MemberId, Vec<MemberId>),
    /// A member answers again.
    CameUp(MemberId),
    /// A topology of this epoch is in force here.
    Adopted(Epoch),
    /// This node's data dir is not the one that the cluster knows under its name: it will be refilled.
    StoreLost,
}

/// A picture for status pages and the visualizer.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Snapshot {
    /// Latest epoch in force.
    pub epoch: Epoch,
}

/// The control plane of one node.
#[derive(Debug, Clone)]
pub struct Control {}

impl Control {
    /// Begins, or goes on from what was persisted.
    pub fn new(_now: Now, _config: Config, _kept: Kept) -> Control {
        unimplemented!()
    }
    /// Takes what happened.
    pub fn handle(&mut self, _now: Now, _input: Input) {
        unimplemented!()
    }
    /// What to do next; drain until `None`.
    pub fn poll(&mut self) -> Option<Output> {
        unimplemented!()
    }
    /// When to say [`Input::Wake`] if nothing else happens.
    pub fn wake_at(&self) -> Option<Micros> {
        unimplemented!()
    }
    /// A picture of it.
    pub fn snapshot(&self) -> Snapshot {
        unimplemented!()
    }
    /// The latest view published; `None` before the node is a member.
    pub fn view(&self) -> Option<&Arc<View>> {
        unimplemented!()
    }
    /// Takes the events since the last call.
    pub fn take_trace(&mut self) -> Vec<u32> {
        unimplemented!()
    }
    /// Whether the invariants hold.
    pub fn check(&self) -> Result<(), &'static str> {
        unimplemented!()
    }
}

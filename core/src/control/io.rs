use crate::base::{Epoch, MemberId};
use crate::message::ControlMessage;
use crate::ring::{Report, View};
use alloc::{string::String, sync::Arc, vec::Vec};
use bytes::Bytes;

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

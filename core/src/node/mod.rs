//! One node: its control plane and its shards, composed.
//!
//! Nothing is decided here: values go from one machine to the other, and out to the driver. The simulator and the page
//! drive a [`Node`]; the native server moves the same values between threads ([`shard_of`] says to which shard).

mod picture;
mod route;

pub use picture::{
    ClusterPicture, CopyPicture, HintPicture, KeyPicture, KeyspacePicture, NodePicture, NodeSummary, Places,
    RepairPicture, RequestCounts, SeenPicture, SiblingPicture, Suspicion, WalkStep, actor_name, actors,
    dot_text, key_picture, node_picture, suspicions,
};
pub use route::{Addressee, addressee, partition_of, shard_of};

use crate::base::{MemberId, Micros, Now, ShardIndex};
use crate::control::{self, Control, Destination, Notice};
use crate::data::{self, Reply, Request, RequestId, Shard, Work, WorkDone};
use crate::lsm;
use crate::message::PeerMessage;
use crate::ring::View;
use alloc::collections::VecDeque;
use alloc::{format, string::String, sync::Arc, vec::Vec};

/// What happened.
#[derive(Debug, Clone)]
pub enum Input {
    /// A client asks.
    Request {
        /// Names it.
        id: RequestId,
        /// What it asks.
        request: Request,
    },
    /// A message came; `from` is `None` when its sender is no member.
    Message {
        /// Who sent it.
        from: Option<MemberId>,
        /// What it says.
        message: PeerMessage,
    },
    /// The connection to a member works, or broke.
    Link {
        /// Whose.
        member: MemberId,
        /// Whether it works.
        up: bool,
    },
    /// A shard's log write ended.
    Log(ShardIndex, lsm::LogDone),
    /// A shard's log sync ended.
    LogSync(ShardIndex, lsm::LogSyncDone),
    /// A shard's work ended.
    Work(ShardIndex, u64, WorkDone),
    /// Time passed.
    Wake,
}

/// What is to be done.
#[derive(Debug, Clone)]
pub enum Output {
    /// Answer a client.
    Reply {
        /// Which request.
        id: RequestId,
        /// What.
        reply: Reply,
    },
    /// Send this; it may get lost.
    Send {
        /// To whom.
        to: Destination,
        /// What.
        message: PeerMessage,
    },
    /// Write a shard's log; `is_synced` says whether that waits for the disk.
    Log {
        /// Whose.
        shard: ShardIndex,
        /// The write.
        write: lsm::LogWrite,
        /// Whether it waits for the disk.
        is_synced: bool,
    },
    /// Sync a shard's log.
    LogSync {
        /// Whose.
        shard: ShardIndex,
        /// The sync.
        sync: lsm::LogSync,
    },
    /// Run a shard's work.
    Work {
        /// Whose.
        shard: ShardIndex,
        /// Comes back.
        id: u64,
        /// What to run.
        work: Work,
    },
    /// For the operator's log.
    Notice(Notice),
}

/// One node.
#[derive(Debug, Clone)]
pub struct Node {
    now: Now,
    control: Control,
    shards: Vec<Shard>,
    out: VecDeque<Output>,
}

impl Node {
    /// Composes machines that were opened one by one, in order of their index.
    pub fn new(now: Now, control: Control, shards: Vec<Shard>) -> Node {
        Node { now, control, shards, out: VecDeque::new() }
    }
    /// Takes what happened.
    pub fn handle(&mut self, now: Now, input: Input) {
        self.now = now;
        match input {
            Input::Request { id, request } => {
                let partition_count = self.view().map(|view| view.topology.partition_count());
                let shard = shard_of(&request, partition_count, self.shards.len() as u8);
                self.shard(shard, data::Input::Request { id, request });
            }
            Input::Message { from, message } => self.on_message(from, message),
            Input::Link { member, up } => self.control.handle(now, control::Input::Link { member, up }),
            Input::Log(shard, done) => self.shard(shard, data::Input::Log(done)),
            Input::LogSync(shard, done) => self.shard(shard, data::Input::LogSync(done)),
            Input::Work(shard, id, done) => self.shard(shard, data::Input::Work { id, done }),
            Input::Wake => {
                let is_due = |at: Option<Micros>| at.is_some_and(|at| at <= now.mono);
                if is_due(self.control.wake_at()) {
                    self.control.handle(now, control::Input::Wake);
                }
                for shard in &mut self.shards {
                    if is_due(shard.wake_at()) {
                        shard.handle(now, data::Input::Wake);
                    }
                }
            }
        }
    }
    fn shard(&mut self, index: ShardIndex, input: data::Input) {
        let now = self.now;
        if let Some(shard) = self.shards.get_mut(usize::from(index.0)) {
            shard.handle(now, input);
        }
    }
    fn on_message(&mut self, from: Option<MemberId>, message: PeerMessage) {
        let to = addressee(&message, self.shards.len() as u8);
        match (to, message, from) {
            (Addressee::Control, PeerMessage::Control(message), from) => {
                self.control.handle(self.now, control::Input::Message { from, message });
            }
            (Addressee::Shard(index), PeerMessage::Data { partition, message }, Some(from)) => {
                self.shard(index, data::Input::Message { from, partition, message });
            }
            _ => {} // Only members speak about data.
        }
    }
    /// What to do next; drain until `None`.
    pub fn poll(&mut self) -> Option<Output> {
        while self.out.is_empty() {
            if !self.pump() {
                return None;
            }
        }
        self.out.pop_front()
    }
    /// Moves what the machines have put out; `false` if there was nothing.
    fn pump(&mut self) -> bool {
        let mut has_moved = false;
        while let Some(output) = self.control.poll() {
            has_moved = true;
            self.on_control(output);
        }
        for index in 0..self.shards.len() {
            while let Some(output) = self.shards[index].poll() {
                has_moved = true;
                self.on_shard(ShardIndex(index as u8), output);
            }
        }
        has_moved
    }
    fn on_control(&mut self, output: control::Output) {
        match output {
            control::Output::View(view) => {
                for shard in &mut self.shards {
                    shard.handle(self.now, data::Input::View(view.clone()));
                }
            }
            control::Output::Send { to, message } => {
                self.out.push_back(Output::Send { to, message: PeerMessage::Control(message) });
            }
            control::Output::Persist { ticket, slot, bytes } => {
                self.shard(ShardIndex(0), data::Input::Persist { ticket, slot, bytes });
            }
            control::Output::Notice(notice) => self.out.push_back(Output::Notice(notice)),
        }
    }
    fn on_shard(&mut self, shard: ShardIndex, output: data::Output) {
        match output {
            data::Output::Reply { id, reply } => self.out.push_back(Output::Reply { id, reply }),
            data::Output::Send { to, partition, message } => {
                let (to, message) = (Destination::Member(to), PeerMessage::Data { partition, message });
                self.out.push_back(Output::Send { to, message });
            }
            data::Output::Log { write, is_synced } => {
                self.out.push_back(Output::Log { shard, write, is_synced });
            }
            data::Output::LogSync(sync) => self.out.push_back(Output::LogSync { shard, sync }),
            data::Output::Work { id, work } => self.out.push_back(Output::Work { shard, id, work }),
            // Whoever drives a node by itself sees its disk by itself.
            data::Output::Unreadable(_) => {}
            data::Output::Report(report) => {
                self.control.handle(self.now, control::Input::Report(report));
            }
            data::Output::Persisted(ticket) => {
                self.control.handle(self.now, control::Input::Persisted(ticket));
            }
            data::Output::SawEpoch { from, epoch } => {
                self.control.handle(self.now, control::Input::SawEpoch { from, epoch });
            }
        }
    }
    /// When to say [`Input::Wake`] if nothing else happens.
    pub fn wake_at(&self) -> Option<Micros> {
        self.shards.iter().filter_map(Shard::wake_at).chain(self.control.wake_at()).min()
    }
    /// Which of its machines want to be woken by `now`: for whoever finds out that one of them is never content.
    pub fn due(&self, now: Micros) -> String {
        let is_due = |at: Option<Micros>| at.is_some_and(|at| at <= now);
        let mut names = Vec::new();
        if is_due(self.control.wake_at()) {
            names.push(String::from("control"));
        }
        for (index, shard) in self.shards.iter().enumerate().filter(|(_, shard)| is_due(shard.wake_at())) {
            names.push(format!("shard {index} ({:?})", shard.load()));
        }
        names.join(", ")
    }
    /// The latest view; `None` before the node is a member.
    pub fn view(&self) -> Option<&Arc<View>> {
        self.control.view()
    }
    /// Its control plane.
    pub fn control(&self) -> &Control {
        &self.control
    }
    /// Its shards, in order.
    pub fn shards(&self) -> &[Shard] {
        &self.shards
    }
    /// Takes the events of all machines since the last call, control first.
    pub fn take_trace(&mut self, words: &mut Vec<u32>) {
        self.control.take_trace_into(words);
        for shard in &mut self.shards {
            shard.take_trace_into(words);
        }
    }
    /// Whether the invariants of all machines hold.
    pub fn check(&self) -> Result<(), &'static str> {
        self.control.check()?;
        self.shards.iter().try_for_each(Shard::check)
    }
}

use super::shared::Shared;
use kvorum_core::base::{Micros, Now};
use kvorum_core::control::{Control, Destination, Input, Notice, Output};
use kvorum_core::message::ControlMessage;
use kvorum_core::ring::View;
use std::sync::Arc;

/// The control plane and its driver: runs on thread 0, beside shard 0.
pub struct ControlSeat {
    control: Control,
    inputs: Vec<Input>,
    is_traced: bool,
    /// It was driven before: what it wants from its birth on was asked.
    has_run: bool,
    /// Whom a node that is no member yet asks to be taken in, until it is one.
    pub waits_for: Option<Wait>,
}

/// A node that is no member yet waits for this one.
#[derive(Debug, Default)]
pub struct Wait {
    /// The peer address that it asks.
    pub seed: String,
    /// Since when.
    pub since: Option<Micros>,
    /// When the log last said so.
    pub told_at: Option<Micros>,
}

/// What the control plane wants of its thread.
pub enum Wanted {
    /// Hand this view to all shards and links.
    View(Arc<View>),
    /// Send this.
    Send(Destination, ControlMessage),
    /// Have shard 0 keep this.
    Persist(kvorum_core::data::Input),
}

impl ControlSeat {
    /// A seat for a machine that has not run yet; `seed` is whom it asks to be taken in, if it is no member yet.
    pub fn new(control: Control, seed: Option<String>) -> ControlSeat {
        let waits_for = seed.map(|seed| Wait { seed, ..Wait::default() });
        ControlSeat { control, inputs: Vec::new(), is_traced: false, has_run: false, waits_for }
    }
    /// Something for the machine's next turn.
    pub fn push(&mut self, input: Input) {
        self.inputs.push(input);
    }
    /// A picture of the machine.
    pub fn snapshot(&self) -> kvorum_core::control::Snapshot {
        self.control.snapshot()
    }
    /// When the machine wants to be woken.
    pub fn wake_at(&self) -> Option<Micros> {
        self.control.wake_at()
    }
    /// Whether there is anything to do.
    pub fn is_due(&self, now: Now) -> bool {
        !self.has_run || !self.inputs.is_empty() || self.control.wake_at().is_some_and(|at| at <= now.mono)
    }
    /// Feeds what came and performs what is wanted, as far as it is not for the thread.
    pub fn drive(&mut self, now: Now, shared: &Shared, mut want: impl FnMut(Wanted)) {
        self.has_run = true;
        for input in self.inputs.drain(..) {
            self.control.handle(now, input);
        }
        if self.control.wake_at().is_some_and(|at| at <= now.mono) {
            self.control.handle(now, Input::Wake);
        }
        while let Some(output) = self.control.poll() {
            match output {
                Output::View(view) => want(Wanted::View(view)),
                Output::Send { to, message } => want(Wanted::Send(to, message)),
                Output::Persist { ticket, slot, bytes } => {
                    want(Wanted::Persist(kvorum_core::data::Input::Persist { ticket, slot, bytes }));
                }
                Output::Notice(notice) => log(&notice, shared),
            }
        }
        if self.is_traced {
            let words = self.control.take_trace();
            if !words.is_empty() {
                shared.events.push(words);
            }
        }
        if self.is_traced != shared.is_listened_to() {
            self.is_traced = shared.is_listened_to();
            self.control.set_trace(self.is_traced);
        }
    }
}

fn log(notice: &Notice, shared: &Shared) {
    let name = |id| {
        let view = shared.view();
        let member = view.as_ref().and_then(|view| view.topology.member(id));
        member.map_or_else(|| format!("#{}", id.0), |member| member.name.clone())
    };
    match notice {
        Notice::Joined(id) => {
            tracing::info!("this node, {}, is a member now, number #{}", shared.settings.name, id.0);
        }
        Notice::Refused(why) => {
            tracing::error!("the cluster refuses this node: {why}");
            shared.fail(format!("the cluster refuses this node: {why}"));
        }
        Notice::WentDown(id, reporters) => {
            let reporters: Vec<_> = reporters.iter().map(|id| name(*id)).collect();
            tracing::warn!("member {} is down, by the word of {}", name(*id), reporters.join(", "));
        }
        Notice::CameUp(id) => tracing::info!("member {} answers again", name(*id)),
        Notice::Adopted(epoch) => tracing::info!("topology {epoch} is in force"),
        Notice::StoreLost => tracing::warn!(
            "the cluster knows another data dir under this node's name: this one will be refilled from the others \
             before its word counts"
        ),
        notice => tracing::info!("{notice:?}"),
    }
}

use super::mailbox::Calls;
use crate::command::{Moment, Task};
use kvorum_core::data::{Op, Reply};
use std::collections::VecDeque;

/// Requests of one admin call in flight at a time.
const CALLS_WINDOW: usize = 256;

/// Something that takes several requests, and who waits for it.
pub enum Running {
    /// A client's command.
    Command {
        /// What is done.
        task: Box<Task>,
        /// Whose.
        connection: u32,
        /// Which of its commands.
        sequence: u32,
    },
    /// Requests of the admin port.
    Calls {
        /// Still to be asked.
        left: VecDeque<(u32, Op)>,
        /// In order of the requests.
        replies: Vec<Reply>,
        /// Asked and not answered.
        outstanding: usize,
        /// Who waits.
        done: Box<dyn FnOnce(Vec<Reply>) + Send>,
    },
}

impl Running {
    /// What an admin call takes.
    pub fn calls(calls: Calls) -> Running {
        let replies = vec![Reply::Count(0); calls.ops.len()];
        Running::Calls { left: (0..).zip(calls.ops).collect(), replies, outstanding: 0, done: calls.done }
    }
    /// What to ask next, with a number that comes back with its reply.
    pub fn pull(&mut self) -> Option<(u32, Op)> {
        match self {
            Running::Command { task, .. } => task.pull(),
            Running::Calls { outstanding: CALLS_WINDOW.., .. } => None,
            Running::Calls { left, outstanding, .. } => {
                let next = left.pop_front();
                *outstanding += usize::from(next.is_some());
                next
            }
        }
    }
    /// Takes a reply.
    pub fn on_reply(&mut self, number: u32, reply: Reply, moment: Moment) {
        match self {
            Running::Command { task, .. } => task.on_reply(number, reply, moment),
            Running::Calls { replies, outstanding, .. } => {
                *outstanding -= 1;
                if let Some(place) = replies.get_mut(number as usize) {
                    *place = reply;
                }
            }
        }
    }
    /// Whether all is asked and answered. Ask [`Running::pull`] first.
    pub fn is_finished(&self) -> bool {
        match self {
            Running::Command { task, .. } => task.is_finished(),
            Running::Calls { left, outstanding, .. } => left.is_empty() && *outstanding == 0,
        }
    }
}

/// A place for something that runs; its lives keep late replies apart.
#[derive(Default)]
pub struct TaskSlot {
    /// Counts what ran here.
    pub life: u16,
    /// What runs here.
    pub running: Option<Running>,
}

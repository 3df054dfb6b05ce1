use super::{Notice, Output};
use crate::base::trace::{Kind, Trace};
use crate::base::{MemberId, Micros};
use crate::message::Word;
use alloc::{collections::VecDeque, vec::Vec};

/// What the parts of a control plane want done: words to members still without a header, finished outputs, events.
#[derive(Debug, Clone)]
pub(super) struct Outbox {
    pub words: Vec<(MemberId, Word)>,
    pub outputs: VecDeque<Output>,
    pub trace: Trace,
}

impl Outbox {
    pub fn new(trace: bool) -> Outbox {
        // The node's number in events is its member number, set once it has one.
        Outbox { words: Vec::new(), outputs: VecDeque::new(), trace: Trace::new(u32::MAX, trace) }
    }
    pub fn say(&mut self, to: MemberId, word: Word) {
        self.words.push((to, word));
    }
    pub fn notice(&mut self, notice: Notice) {
        self.outputs.push_back(Output::Notice(notice));
    }
    pub fn event(&mut self, now: Micros, kind: Kind, payload: &[u32]) {
        self.trace.emit(now, kind, payload);
    }
}

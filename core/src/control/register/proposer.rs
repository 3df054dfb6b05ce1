use super::super::outbox::Outbox;
use crate::base::{BTreeMap, BTreeSet};
use crate::base::{Bug, Epoch, MemberId, Micros, Random, Sabotage};
use crate::message::{Ballot, Word};
use alloc::vec::Vec;
use bytes::Bytes;

/// When an unanswered question is asked again.
const RESEND: Micros = Micros::from_millis(120);
/// How long an attempt goes on without a decision.
const ATTEMPT: Micros = Micros::from_millis(1_500);
/// Shortest pause after an attempt that met a greater ballot; doubles up to [`PAUSE_MAX`], and half of it is drawn.
const PAUSE: Micros = Micros::from_millis(60);
const PAUSE_MAX: Micros = Micros::from_millis(1_000);

/// Attempts to decide the next topology.
///
/// Source: CASPaxos (arXiv 1802.07000), §2.2. Differs: each epoch is an instance of its own that decides once; the voters
/// are those of the epoch in force.
#[derive(Debug, Clone)]
pub(in crate::control) struct Proposer {
    random: Random,
    sabotage: Sabotage,
    /// Drawn at every start.
    nonce: u64,
    /// The greatest round heard of.
    round: u64,
    attempt: Option<Attempt>,
    /// No attempt before this.
    not_before: Micros,
    conflicts: u32,
}

#[derive(Debug, Clone)]
struct Attempt {
    epoch: Epoch,
    ballot: Ballot,
    voters: Vec<MemberId>,
    /// Promises of phase 1, with what had been accepted.
    promises: BTreeMap<MemberId, Option<(Ballot, Bytes)>>,
    /// The value of phase 2.
    value: Option<Bytes>,
    accepted: BTreeSet<MemberId>,
    resend_at: Micros,
    deadline: Micros,
}

/// What an answer led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::control) enum Step {
    /// Nothing yet.
    Open,
    /// A majority promised: a value is needed. Here is one that must, or in a sabotaged build may, be taken.
    Promised(Option<Bytes>),
    /// A majority accepted: this is the topology of the next epoch.
    Decided(Bytes),
}

impl Proposer {
    pub fn new(mut random: Random, sabotage: Sabotage) -> Proposer {
        let nonce = random.next_u64();
        Proposer { random, sabotage, nonce, round: 0, attempt: None, not_before: Micros(0), conflicts: 0 }
    }
    /// Whether an attempt is under way.
    pub fn is_busy(&self) -> bool {
        self.attempt.is_some()
    }
    /// No attempt starts before this.
    pub fn not_before(&self) -> Micros {
        self.not_before
    }
    /// Somebody uses this round.
    pub fn on_round(&mut self, round: u64) {
        // One message shall not make the rounds run out.
        self.round = self.round.max(round.min(u64::MAX >> 20));
    }
    /// A newer epoch is in force.
    pub fn follow(&mut self, epoch: Epoch) {
        if self.attempt.as_ref().is_some_and(|attempt| attempt.epoch < epoch) {
            self.attempt = None;
        }
        self.conflicts = 0;
        self.not_before = Micros(0);
    }
    /// Begins an attempt to decide the epoch after `epoch`.
    pub fn start(
        &mut self,
        now: Micros,
        me: MemberId,
        epoch: Epoch,
        voters: Vec<MemberId>,
        out: &mut Outbox,
    ) {
        self.round += 1;
        let ballot = Ballot { round: self.round, member: me.0, nonce: self.nonce };
        let attempt = Attempt {
            epoch,
            ballot,
            voters,
            promises: BTreeMap::new(),
            value: None,
            accepted: BTreeSet::new(),
            resend_at: now + RESEND,
            deadline: now + ATTEMPT,
        };
        attempt.ask(out);
        self.attempt = Some(attempt);
    }
    /// A voter promises.
    pub fn on_promise(
        &mut self,
        from: MemberId,
        (epoch, ballot): (Epoch, Ballot),
        accepted: Option<(Ballot, Bytes)>,
    ) -> Step {
        let Some(attempt) = self.attempt.as_mut().filter(|a| a.is(epoch, ballot) && a.voters.contains(&from))
        else {
            return Step::Open;
        };
        if attempt.value.is_some() {
            return Step::Open;
        }
        attempt.promises.insert(from, accepted);
        if attempt.promises.len() < attempt.majority() {
            return Step::Open;
        }
        let accepted = attempt.promises.values().flatten().max_by_key(|(ballot, _)| *ballot);
        Step::Promised(accepted.map(|(_, bytes)| bytes.clone()))
    }
    /// The value that the majority shall accept: what was accepted before, else this node's own. Without either the
    /// attempt is over.
    pub fn propose(
        &mut self,
        now: Micros,
        found: Option<Bytes>,
        own: impl FnOnce() -> Option<Bytes>,
        out: &mut Outbox,
    ) {
        let prefers_own = self.sabotage.is(Bug::ProposerPrefersOwn);
        let value = match found {
            Some(found) if prefers_own => Some(own().unwrap_or(found)),
            Some(found) => Some(found),
            None => own(),
        };
        match (value, &mut self.attempt) {
            (Some(value), Some(attempt)) => {
                attempt.value = Some(value);
                attempt.resend_at = now + RESEND;
                attempt.ask(out);
            }
            _ => self.attempt = None,
        }
    }
    /// A voter accepted.
    pub fn on_accepted(&mut self, from: MemberId, (epoch, ballot): (Epoch, Ballot)) -> Step {
        let Some(attempt) = self.attempt.as_mut().filter(|a| a.is(epoch, ballot) && a.voters.contains(&from))
        else {
            return Step::Open;
        };
        let Some(value) = attempt.value.clone() else { return Step::Open };
        attempt.accepted.insert(from);
        if attempt.accepted.len() < attempt.majority() {
            return Step::Open;
        }
        self.attempt = None;
        Step::Decided(value)
    }
    /// A voter has promised a greater ballot.
    pub fn on_reject(&mut self, now: Micros, (epoch, ballot): (Epoch, Ballot), promised: Ballot) {
        self.on_round(promised.round);
        if self.attempt.as_ref().is_some_and(|attempt| attempt.is(epoch, ballot)) {
            self.give_up(now);
        }
    }
    fn give_up(&mut self, now: Micros) {
        self.attempt = None;
        let pause = Micros(PAUSE.0 << self.conflicts.min(5)).min(PAUSE_MAX);
        self.conflicts = self.conflicts.saturating_add(1);
        self.not_before = now + Micros(self.random.between(pause.0 / 2, pause.0 * 3 / 2));
    }
    /// What is due.
    pub fn tick(&mut self, now: Micros, out: &mut Outbox) {
        let Some(attempt) = &mut self.attempt else { return };
        if attempt.deadline <= now {
            self.give_up(now);
        } else if attempt.resend_at <= now {
            attempt.resend_at = now + RESEND;
            attempt.ask(out);
        }
    }
    pub fn wake_at(&self) -> Option<Micros> {
        self.attempt.as_ref().map(|attempt| attempt.resend_at.min(attempt.deadline))
    }
}

impl Attempt {
    fn is(&self, epoch: Epoch, ballot: Ballot) -> bool {
        self.epoch == epoch && self.ballot == ballot
    }
    fn majority(&self) -> usize {
        self.voters.len() / 2 + 1
    }
    /// Asks the voters that have not answered the question of this phase.
    fn ask(&self, out: &mut Outbox) {
        let (epoch, ballot) = (self.epoch, self.ballot);
        for voter in &self.voters {
            match &self.value {
                None if !self.promises.contains_key(voter) => {
                    out.say(*voter, Word::Prepare { epoch, ballot });
                }
                Some(value) if !self.accepted.contains(voter) => {
                    out.say(*voter, Word::Accept { epoch, ballot, bytes: value.clone() });
                }
                _ => {}
            }
        }
    }
}

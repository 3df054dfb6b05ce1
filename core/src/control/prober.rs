//! Probes: are you there? Directly first, then through others.
//!
//! Source: SWIM (DSN 2002), §3.1 and §4.3; Lifeguard (arXiv 1707.00788), §IV: nacks and the local health score. Differs:
//! a failed probe is only this member's own report; see [`super::ledger`] for what it takes to go Down.

use super::ledger::Ledger;
use super::outbox::Outbox;
use crate::base::BTreeMap;
use crate::base::{MemberId, Micros, Random};
use crate::message::Word;
use alloc::vec::Vec;

/// Between the starts of two rounds; each probes one member.
const ROUND: Micros = Micros::from_millis(400);
/// How long a direct probe waits, and then the indirect ones, when this node is healthy.
const STAGE: Micros = Micros::from_millis(300);
/// How long a helper waits before it says that its probe failed too: within the asker's patience.
const ERRAND: Micros = Micros::from_millis(200);
/// Members asked to probe a member that does not answer directly.
const HELPER_COUNT: usize = 3;
/// Worst local health: timeouts are (2 + health) / 2 times as long.
const HEALTH_MAX: u8 = 6;
/// Most probes on behalf of others at a time.
const ERRAND_COUNT_MAX: usize = 256;

/// The probes of one node.
#[derive(Debug, Clone)]
pub(super) struct Prober {
    random: Random,
    /// The members still to be probed in this cycle.
    order: Vec<MemberId>,
    next_round: Micros,
    probes: BTreeMap<MemberId, Probe>,
    errands: Vec<Errand>,
    /// 0 is well. Grows when this node stands still, is suspected, or gets no word from its helpers either.
    health: u8,
}

#[derive(Debug, Clone)]
struct Probe {
    nonce: u64,
    incarnation: u64,
    started: Micros,
    /// A direct probe is sent twice: one message lost is not worth the trouble that follows.
    resend_at: Option<Micros>,
    deadline: Micros,
    is_indirect: bool,
    /// Helpers asked that have not said anything yet.
    silent: Vec<MemberId>,
    helper_count: usize,
}

#[derive(Debug, Clone)]
struct Errand {
    nonce: u64,
    asker: MemberId,
    asker_nonce: u64,
    target: MemberId,
    resend_at: Option<Micros>,
    deadline: Micros,
}

impl Prober {
    pub fn new(now: Micros, mut random: Random) -> Prober {
        // Nodes that start together shall not probe together.
        let next_round = now + Micros(random.below(ROUND.0));
        Prober {
            random,
            order: Vec::new(),
            next_round,
            probes: BTreeMap::new(),
            errands: Vec::new(),
            health: 0,
        }
    }
    pub fn health(&self) -> u8 {
        self.health
    }
    pub fn is_worse(&mut self) {
        self.health = (self.health + 1).min(HEALTH_MAX);
    }
    fn stretched(&self, span: Micros) -> Micros {
        Micros(span.0 * u64::from(2 + self.health) / 2)
    }
    /// This node stood still: whoever did not answer meanwhile may well have.
    pub fn on_stall(&mut self, now: Micros) {
        self.is_worse();
        self.errands.clear();
        let wait = self.stretched(STAGE);
        for probe in self.probes.values_mut() {
            probe.started = now;
            probe.is_indirect = false;
            probe.resend_at = Some(now);
            probe.deadline = now + wait;
        }
    }
    /// Begins to probe `target`, unless that is under way.
    pub fn start(&mut self, now: Micros, target: MemberId, ledger: &Ledger, out: &mut Outbox) {
        if self.probes.contains_key(&target) {
            return;
        }
        let wait = self.stretched(STAGE);
        let probe = Probe {
            nonce: self.random.next_u64(),
            incarnation: ledger.incarnation_of(target),
            started: now,
            resend_at: Some(now + Micros(wait.0 / 2)),
            deadline: now + wait,
            is_indirect: false,
            silent: Vec::new(),
            helper_count: 0,
        };
        probe.send(now, target, ledger, out);
        self.probes.insert(target, probe);
    }
    /// Somebody asks to have `target` probed.
    pub fn on_probe_for(
        &mut self,
        now: Micros,
        (asker, asker_nonce): (MemberId, u64),
        target: MemberId,
        ledger: &Ledger,
        out: &mut Outbox,
    ) {
        let is_known = self.errands.iter().any(|e| e.asker == asker && e.asker_nonce == asker_nonce);
        if is_known || self.errands.len() >= ERRAND_COUNT_MAX {
            return;
        }
        let nonce = self.random.next_u64();
        let (resend_at, deadline) = (Some(now + Micros(ERRAND.0 / 3)), now + ERRAND);
        self.errands.push(Errand { nonce, asker, asker_nonce, target, resend_at, deadline });
        out.say(target, probe_word(now, nonce, target, ledger));
    }
    /// `from` answered. Returns when the probe that it answers had started, if that was one of this node's own.
    pub fn on_ack(&mut self, from: MemberId, nonce: u64, out: &mut Outbox) -> Option<Micros> {
        for errand in &self.errands {
            if errand.nonce == nonce && errand.target == from {
                let word = Word::ProbedFor { nonce: errand.asker_nonce, target: from, alive: true };
                out.say(errand.asker, word);
            }
        }
        self.errands.retain(|errand| errand.nonce != nonce || errand.target != from);
        if self.probes.get(&from).is_none_or(|probe| probe.nonce != nonce) {
            return None;
        }
        self.health = self.health.saturating_sub(1);
        self.probes.remove(&from).map(|probe| probe.started)
    }
    /// A helper says what came of its probe.
    pub fn on_probed_for(&mut self, from: MemberId, nonce: u64, target: MemberId, alive: bool) {
        let Some(probe) = self.probes.get_mut(&target).filter(|probe| probe.nonce == nonce) else { return };
        probe.silent.retain(|helper| *helper != from);
        if alive {
            self.probes.remove(&target);
        }
    }
    /// A member is gone, or named a new incarnation: its probe proves nothing any more.
    pub fn forget(&mut self, target: MemberId) {
        self.probes.remove(&target);
    }
    /// Follows the members.
    pub fn follow(&mut self, ledger: &Ledger) {
        let is_member = |id: &MemberId| ledger.members().any(|member| member == *id);
        self.probes.retain(|id, _| is_member(id));
        self.order.retain(is_member);
        self.errands.retain(|errand| is_member(&errand.target) && is_member(&errand.asker));
    }
    /// What is due; returns members whose direct and indirect probes failed, with the incarnation that was probed.
    pub fn tick(&mut self, now: Micros, ledger: &Ledger, out: &mut Outbox) -> Vec<(MemberId, u64)> {
        self.run_errands(now, ledger, out);
        let mut failed = Vec::new();
        let due: Vec<MemberId> =
            self.probes.iter().filter(|(_, p)| p.due() <= now).map(|(target, _)| *target).collect();
        for target in due {
            let wait = self.stretched(STAGE);
            let Some(probe) = self.probes.get_mut(&target) else { continue };
            if probe.deadline > now {
                probe.resend_at = None;
                probe.send(now, target, ledger, out);
                continue;
            }
            let mut helpers: Vec<MemberId> =
                ledger.members().filter(|id| *id != target && !ledger.is_down(*id)).collect();
            if !probe.is_indirect && !helpers.is_empty() {
                self.random.shuffle(&mut helpers);
                helpers.truncate(HELPER_COUNT);
                for helper in &helpers {
                    out.say(*helper, Word::ProbeFor { nonce: probe.nonce, target });
                }
                probe.helper_count = helpers.len();
                probe.silent = helpers;
                probe.is_indirect = true;
                probe.resend_at = Some(now + Micros(wait.0 / 2));
                probe.deadline = now + wait;
                continue;
            }
            // No word from any helper: more likely this node cannot hear than that all of them are gone.
            if probe.helper_count > 0 && probe.silent.len() == probe.helper_count {
                self.health = (self.health + 1).min(HEALTH_MAX);
            }
            if probe.incarnation == ledger.incarnation_of(target) {
                failed.push((target, probe.incarnation));
            }
            self.probes.remove(&target);
        }
        if self.next_round <= now {
            self.next_round = now + ROUND;
            if self.order.is_empty() {
                self.order = ledger.members().collect();
                self.random.shuffle(&mut self.order);
            }
            if let Some(target) = self.order.pop() {
                self.start(now, target, ledger, out);
            }
        }
        failed
    }
    fn run_errands(&mut self, now: Micros, ledger: &Ledger, out: &mut Outbox) {
        for errand in &mut self.errands {
            if errand.deadline <= now {
                let word = Word::ProbedFor { nonce: errand.asker_nonce, target: errand.target, alive: false };
                out.say(errand.asker, word);
            } else if errand.resend_at.is_some_and(|at| at <= now) {
                errand.resend_at = None;
                out.say(errand.target, probe_word(now, errand.nonce, errand.target, ledger));
            }
        }
        self.errands.retain(|errand| errand.deadline > now);
    }
    /// When something is due.
    pub fn wake_at(&self) -> Micros {
        let probes = self.probes.values().map(Probe::due);
        let errands = self.errands.iter().map(|e| e.resend_at.unwrap_or(e.deadline).min(e.deadline));
        probes.chain(errands).min().unwrap_or(self.next_round).min(self.next_round)
    }
}

impl Probe {
    fn due(&self) -> Micros {
        self.resend_at.unwrap_or(self.deadline).min(self.deadline)
    }
    fn send(&self, now: Micros, target: MemberId, ledger: &Ledger, out: &mut Outbox) {
        out.say(target, probe_word(now, self.nonce, target, ledger));
    }
}

/// A probe tells the probed what is thought of it, so that it can refute.
fn probe_word(now: Micros, nonce: u64, target: MemberId, ledger: &Ledger) -> Word {
    Word::Probe {
        nonce,
        incarnation: ledger.incarnation_of(target),
        suspected: ledger.liveness_of(now, target) != crate::ring::Liveness::Up,
    }
}

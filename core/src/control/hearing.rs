//! What others say about themselves and each other, and what follows from silence.

use super::ledger::Change;
use super::{Control, Destination, Notice, Output};
use crate::base::trace::{Kind, split};
use crate::base::{Epoch, MemberId, Micros, Writer};
use crate::control::keeper::SLOT_INCARNATION;
use crate::message::{ControlMessage, Header, News, Word};
use alloc::vec::Vec;

/// In a cluster up to this size everybody is told at once; in a larger one some, and gossip does the rest.
const TELL_ALL_COUNT: usize = 16;
/// How many members are told at once in a larger cluster.
const TELL_SOME_COUNT: usize = 8;

impl Control {
    /// Takes in a header. False if its speaker is not to be listened to.
    pub(super) fn hear(&mut self, now: Micros, header: &Header) -> bool {
        let Some(current) = &self.current else { return false };
        let (epoch, me) = (current.topology.epoch, current.me);
        if header.lineage != current.topology.lineage || header.member == me {
            return false;
        }
        let Some(member) = current.topology.member(header.member) else {
            // A stranger: a newer topology may know it, an older one may have.
            if header.epoch > epoch {
                self.fetcher.want(header.epoch, header.member);
            }
            return false;
        };
        if member.store != header.store {
            // Its number belongs to another data dir by now, or did when this topology was made.
            if header.epoch > epoch {
                self.fetcher.want(header.epoch, header.member);
            } else {
                self.out.say(header.member, Word::Gossip);
            }
            return false;
        }
        if header.epoch > epoch {
            self.on_newer(header);
        }
        let own = News { member: header.member, incarnation: header.incarnation, epoch: header.epoch };
        for news in core::iter::once(&own).chain(&header.news) {
            if news.member == me {
                self.refute(news.incarnation, false);
            } else {
                self.on_news(now, *news);
            }
        }
        for suspicion in &header.suspicions {
            if suspicion.target == me {
                self.refute(suspicion.incarnation, true);
                continue;
            }
            // A report that this node made in an earlier life is still one of this member.
            let at = now - Micros::from_millis(u64::from(suspicion.age_ms));
            let (target, reporter) = (suspicion.target, suspicion.reporter);
            let before = self.ledger.incarnation_of(target);
            let (is_new, change) = self.ledger.on_report(target, suspicion.incarnation, reporter, at);
            if suspicion.incarnation > before {
                self.prober.forget(target);
            }
            self.on_change(now, change);
            if is_new {
                self.second_opinion(now, target);
            }
        }
        true
    }
    fn on_news(&mut self, now: Micros, news: News) {
        let before = self.ledger.incarnation_of(news.member);
        let (change, is_newer_epoch) = self.ledger.on_news(news);
        if self.ledger.incarnation_of(news.member) > before {
            self.prober.forget(news.member);
        }
        if is_newer_epoch {
            self.wish.look_again(now);
        }
        self.on_change(now, change);
    }
    /// Somebody suspects a member: this node sees for itself.
    fn second_opinion(&mut self, now: Micros, target: MemberId) {
        let Some(current) = &self.current else { return };
        let count = current.topology.members.len() as u64;
        let few = TELL_SOME_COUNT as u64;
        if !self.ledger.has_reported(now, target, current.me)
            && (count <= TELL_ALL_COUNT as u64 || self.random.chance(few, count))
        {
            self.prober.start(now, target, &self.ledger, &mut self.out);
        }
    }
    /// Somebody knows this node by an incarnation, and perhaps suspects it: a greater one says that it lives.
    pub(super) fn refute(&mut self, incarnation: u64, suspected: bool) {
        let is_wrong = incarnation > self.incarnation || (suspected && incarnation == self.incarnation);
        if !is_wrong || incarnation == u64::MAX {
            return;
        }
        self.set_incarnation(incarnation + 1);
        if suspected {
            self.prober.is_worse();
        }
        self.tell(&Word::Gossip);
    }
    pub(super) fn set_incarnation(&mut self, incarnation: u64) {
        self.incarnation = incarnation;
        let mut bytes = Vec::new();
        Writer(&mut bytes).u64(incarnation);
        self.keeper.keep(SLOT_INCARNATION, bytes.into());
    }
    /// Says something that others should hear soon.
    pub(super) fn tell(&mut self, word: &Word) {
        let mut members: Vec<MemberId> = self.ledger.members().collect();
        if members.len() > TELL_ALL_COUNT {
            self.random.shuffle(&mut members);
            members.truncate(TELL_SOME_COUNT);
        }
        for member in members {
            self.out.say(member, word.clone());
        }
    }
    pub(super) fn on_ack(&mut self, now: Micros, from: MemberId, nonce: u64) {
        let Some(started) = self.prober.on_ack(from, nonce, &mut self.out) else { return };
        self.ledger.on_heard(now, from);
        // The driver may be late with its word that the link works again; an answer is as good.
        if self.broken.get(&from).is_some_and(|since| *since < started) {
            self.broken.remove(&from);
        }
    }
    pub(super) fn on_probe_for(&mut self, now: Micros, asker: (MemberId, u64), target: MemberId) {
        if self.current.as_ref().is_some_and(|current| current.me == target) {
            let word = Word::ProbedFor { nonce: asker.1, target, alive: true };
            return self.out.say(asker.0, word);
        }
        if self.ledger.members().any(|id| id == target) {
            self.prober.on_probe_for(now, asker, target, &self.ledger, &mut self.out);
        }
    }
    pub(super) fn on_link(&mut self, now: Micros, member: MemberId, up: bool) {
        if !self.ledger.members().any(|id| id == member) {
            return;
        }
        if up {
            self.broken.remove(&member);
        } else {
            self.broken.entry(member).or_insert(now);
        }
        self.prober.start(now, member, &self.ledger, &mut self.out);
    }
    /// Runs the probes and judges the ledger.
    pub(super) fn watch(&mut self, now: Micros) {
        let Some(me) = self.current.as_ref().map(|current| current.me) else { return };
        let failed = self.prober.tick(now, &self.ledger, &mut self.out);
        for (target, incarnation) in &failed {
            let [low, high] = split(*incarnation);
            let payload = [u32::from(target.0), u32::from(me.0), low, high];
            self.event(now, Kind::Suspected, &payload);
            let _ = self.ledger.on_report(*target, *incarnation, me, now);
        }
        if !failed.is_empty() {
            self.tell(&Word::Gossip);
            self.bring_up_to_date(&failed);
            self.introduce(now);
        }
        for change in self.ledger.judge(now) {
            self.on_change(now, Some(change));
        }
    }
    /// A member that does not answer may have slept through this node's arrival: then it takes it for a stranger, cannot
    /// ask it for the topology, and must be sent it.
    fn bring_up_to_date(&mut self, silent: &[(MemberId, u64)]) {
        let Some(current) = &self.current else { return };
        for (id, _) in silent {
            if self.ledger.epoch_of(*id) < current.topology.epoch {
                let message = ControlMessage::Welcome { bytes: current.bytes.clone() };
                self.out.outputs.push_back(Output::Send { to: Destination::Member(*id), message });
            }
        }
    }
    /// If nobody answers at all, a copy of this node's folder may have moved in under its name: then the others answer to
    /// that one's address, and hear of this one only what it says itself.
    fn introduce(&mut self, now: Micros) {
        let Some(current) = &self.current else { return };
        let (ledger, me) = (&self.ledger, current.me);
        if ledger.members().all(|id| ledger.has_reported(now, id, me)) {
            for id in ledger.members() {
                let message = ControlMessage::Join(self.request());
                self.out.outputs.push_back(Output::Send { to: Destination::Member(id), message });
            }
        }
    }
    fn on_change(&mut self, now: Micros, change: Option<Change>) {
        match change {
            None => {}
            Some(Change::WentDown { target, incarnation, reporters }) => {
                let bits = reporters.iter().filter(|id| id.0 < 64).fold(0u64, |bits, id| bits | 1 << id.0);
                let ([b0, b1], [i0, i1]) = (split(bits), split(incarnation));
                self.event(now, Kind::WentDown, &[u32::from(target.0), b0, b1, i0, i1]);
                self.out.notice(Notice::WentDown(target, reporters));
                self.wish.look_again(now);
            }
            Some(Change::CameUp { target, incarnation }) => {
                let [low, high] = split(incarnation);
                self.event(now, Kind::CameUp, &[u32::from(target.0), low, high]);
                self.out.notice(Notice::CameUp(target));
                self.wish.look_again(now);
            }
        }
    }
    /// The epoch that each member is known to have adopted; `None` for those that are Down.
    pub(super) fn adopted(&self) -> Vec<(MemberId, Option<Epoch>)> {
        let Some(current) = &self.current else { return Vec::new() };
        let epoch = |id: MemberId| {
            if id == current.me {
                Some(current.topology.epoch)
            } else if self.ledger.is_down(id) {
                None
            } else {
                Some(self.ledger.epoch_of(id))
            }
        };
        current.topology.members.iter().map(|member| (member.id, epoch(member.id))).collect()
    }
}

//! Requests of a data thread to shards, and what becomes of their replies.

use super::super::connection::{Connection, Family, Limits, Pending, Timing};
use super::super::ids::{TASK_COUNT_MAX, Waiter, pack, waiter_of};
use super::super::shared::{REFUSAL_CODES, Shared, bump};
use super::super::tasks::{Running, TaskSlot};
use super::{DataThread, mark};
use crate::command::{Moment, Task};
use kvorum_core::base::{KeyspaceId, Micros, Now};
use kvorum_core::data::{Op, Refusal, Reply, Request, RequestId};
use kvorum_core::node::shard_of;
use std::sync::Arc;

/// How long a client's request may take before it is answered as not done or in doubt.
const REQUEST_TIME: Micros = Micros::from_secs(5);

impl DataThread {
    /// Leaves a request for its shard.
    #[inline]
    pub(super) fn request(&mut self, shared: &Arc<Shared>, now: Now, id: RequestId, op: Op) {
        let request = Request { keyspace: KeyspaceId(0), deadline: now.mono + REQUEST_TIME, op };
        let shard = match shared.shards.len() {
            1 => 0,
            count => {
                let partition_count = self.view.as_ref().map(|view| view.topology.partition_count());
                usize::from(shard_of(&request, partition_count, count as u8).0)
            }
        };
        self.pending[shard].requests.push((id, request));
    }
    pub(super) fn run_task(
        &mut self,
        shared: &Arc<Shared>,
        now: Now,
        place: usize,
        connection: &mut Connection,
        task: Box<Task>,
    ) {
        let protocol = connection.session.protocol;
        let is_silent = connection.is_silent_now();
        let sequence = connection.push(Pending::Task {
            timing: Timing { since: now.mono, family: Family::Other },
            protocol,
            is_silent,
        });
        connection.has_task = true;
        self.start_task(shared, now, Running::Command { task, connection: place as u32, sequence });
    }

    pub(super) fn start_task(&mut self, shared: &Arc<Shared>, now: Now, running: Running) {
        let place = self.free_tasks.pop().unwrap_or_else(|| {
            self.tasks.push(TaskSlot::default());
            (self.tasks.len() - 1) as u32
        });
        assert!(
            (place as usize) < TASK_COUNT_MAX,
            "a connection runs one task, and there are fewer of those"
        );
        let slot = &mut self.tasks[place as usize];
        slot.life = slot.life.wrapping_add(1) & 0x3fff;
        slot.running = Some(running);
        self.pull_task(shared, now, place);
    }

    /// Asks what a task wants asked; ends it when it is finished.
    pub(super) fn pull_task(&mut self, shared: &Arc<Shared>, now: Now, place: u32) {
        let slot = &mut self.tasks[place as usize];
        let life = slot.life;
        let Some(mut running) = slot.running.take() else { return };
        while let Some((number, op)) = running.pull() {
            let waiter = Waiter::Task { task: place, life, number };
            self.request(shared, now, pack(self.index, waiter), op);
        }
        if !running.is_finished() {
            self.tasks[place as usize].running = Some(running);
            return;
        }
        self.free_tasks.push(place);
        match running {
            Running::Command { task, connection: place, sequence } => {
                // When it ends at once, its connection is still in the hands of who started it.
                self.finished.push((place, sequence, task));
            }
            Running::Calls { replies, done, .. } => done(replies),
        }
    }

    pub(super) fn on_task_reply(
        &mut self,
        shared: &Arc<Shared>,
        now: Now,
        place: u32,
        life: u16,
        number: u32,
        reply: Reply,
    ) {
        let moment = self.moment(now);
        let Some(slot) = self.tasks.get_mut(place as usize).filter(|slot| slot.life == life) else { return };
        let Some(running) = &mut slot.running else { return };
        running.on_reply(number, reply, moment);
        self.pull_task(shared, now, place);
    }

    pub(super) fn moment(&self, now: Now) -> Moment {
        let lineage = self.view.as_ref().map_or(0, |view| view.topology.lineage);
        Moment { now_ms: now.wall.as_millis(), lineage }
    }

    #[inline]
    pub(super) fn on_reply(&mut self, shared: &Arc<Shared>, now: Now, id: RequestId, reply: Reply) {
        if let Reply::Refused(refusal) = &reply {
            self.count_refusal(shared, now, refusal);
        }
        match waiter_of(id) {
            Waiter::Client { connection: place, sequence } => {
                let (moment, view) = (self.moment(now), self.view.as_deref());
                let Some(Some(connection)) = self.connections.get_mut(place as usize) else { return };
                let timing = connection.answer(sequence, &self.limits, |answer, out| {
                    if let Some(answer) = answer {
                        answer.encode(&reply, moment, view, out);
                    }
                });
                self.answered.extend(timing);
                after_answer(connection, place as usize, &self.limits, &mut self.dirty, &mut self.waiting);
            }
            Waiter::Task { task, life, number } => {
                self.on_task_reply(shared, now, task, life, number, reply);
            }
        }
    }

    pub(super) fn count_refusal(&mut self, shared: &Arc<Shared>, now: Now, refusal: &Refusal) {
        let code = refusal.code();
        let index = REFUSAL_CODES.iter().position(|known| *known == code).unwrap_or(REFUSAL_CODES.len() - 1);
        bump(&self.counters(shared).refusals[index], 1);
        if let Refusal::Storage(what) = refusal
            && self.storage_complaint.is_due(now.mono)
        {
            tracing::error!("requests are refused: {what}");
        }
    }
}

#[inline]
pub(super) fn after_answer(
    connection: &mut Connection,
    place: usize,
    limits: &Limits,
    dirty: &mut Vec<u32>,
    waiting: &mut Vec<u32>,
) {
    mark(dirty, &mut connection.is_dirty, place);
    let held_may_go = connection.held.is_some() && connection.in_flight() == 0;
    if held_may_go || (connection.is_stalled && connection.may_parse(limits)) {
        mark(waiting, &mut connection.is_waiting, place);
    }
}

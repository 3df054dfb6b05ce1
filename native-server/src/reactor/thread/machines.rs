//! Machines that a data thread drives: control, its own shard, and others whose seat is free.

use super::super::cell::{ShardMail, ShardSeat};
use super::super::control_seat::Wanted;
use super::super::ids::thread_of;
use super::super::mailbox::Mail;
use super::super::shared::Shared;
use super::DataThread;
use kvorum_core::base::{Micros, Now};
use kvorum_core::control::Input as ControlInput;
use kvorum_core::data::{Input, Output, Work, WorkDone};
use kvorum_core::message::PeerMessage;
use kvorum_core::version::{SIBLING_COUNT_MAX, SIBLING_COUNT_WARN};
use std::sync::Arc;

/// How often a shard's counters are published.
const PUBLISH_EVERY: Micros = Micros::from_millis(100);

/// Events are handed on after so many inputs at the latest: in a turn with thousands of them they would fill megabytes of
/// fresh memory, most of which is left out by sampling.
const INPUTS_TRACED: usize = 64;

fn hand_on_events(shared: &Shared, seat: &mut ShardSeat) {
    let words = seat.shard.take_trace();
    if !words.is_empty() {
        shared.events.push(words);
    }
}

impl DataThread {
    pub(super) fn drive_control(&mut self, shared: &Arc<Shared>, now: Now) {
        for event in self.links.take_events() {
            if self.control.is_some() || !event.is_up {
                self.control_inputs.push(ControlInput::Link { member: event.member, up: event.is_up });
            }
        }
        let Some(mut control) = self.control.take() else {
            for input in self.control_inputs.drain(..) {
                shared.tell_control(input);
            }
            return;
        };
        self.control_inputs.drain(..).for_each(|input| control.push(input));
        if control.is_due(now) {
            control.drive(now, shared, |wanted| match wanted {
                Wanted::View(view) => {
                    shared.set_view(view.clone());
                    for pending in &mut self.pending {
                        pending.mail.push(ShardMail::Input(Input::View(view.clone())));
                    }
                    self.refresh_view(shared, now);
                }
                Wanted::Send(to, message) => self.send_control(shared, now, &to, message),
                Wanted::Persist(input) => self.pending[0].mail.push(ShardMail::Input(input)),
            });
        }
        self.control = Some(control);
    }

    /// Drives every shard that there is something for. False when there is more to do at once.
    pub(super) fn drive_shards(&mut self, shared: &Arc<Shared>, now: Now) -> bool {
        for shard in 0..shared.shards.len() {
            let cell = &shared.shards[shard];
            let is_mine = cell.owner == self.index;
            let is_due = is_mine && (cell.has_mail() || cell.wake_at() <= now.mono);
            if self.pending[shard].is_empty() && !is_due {
                continue;
            }
            loop {
                let mut seat = match cell.try_sit() {
                    Some(seat) => seat,
                    None => {
                        let left = &mut self.pending[shard];
                        if left.is_empty() {
                            break;
                        }
                        let request = |(id, request)| ShardMail::Input(Input::Request { id, request });
                        cell.leave(left.mail.drain(..).chain(left.requests.drain(..).map(request)));
                        // The holder may have looked at its inbox before that.
                        match cell.try_sit() {
                            Some(seat) => seat,
                            None => break,
                        }
                    }
                };
                self.drive(shared, now, shard, &mut seat);
                drop(seat);
                if !cell.has_mail() {
                    break;
                }
            }
        }
        let mut replies = std::mem::take(&mut self.replies);
        let is_done = replies.is_empty();
        for (id, reply) in replies.drain(..) {
            let thread = thread_of(id);
            if thread == self.index {
                self.on_reply(shared, now, id, reply);
            } else if let Some(remote) = self.remote_replies.get_mut(thread) {
                remote.push((id, reply));
            }
        }
        self.replies = replies;
        for (thread, remote) in self.remote_replies.iter_mut().enumerate() {
            if !remote.is_empty() {
                shared.mailboxes[thread].send(Mail::Replies(std::mem::take(remote)));
            }
        }
        is_done
    }

    /// One turn of a shard's machine, by whoever holds its seat.
    pub(super) fn drive(&mut self, shared: &Arc<Shared>, now: Now, shard: usize, seat: &mut ShardSeat) {
        let cell = &shared.shards[shard];
        let mut mail = std::mem::take(&mut self.spare_mail);
        cell.take(&mut mail);
        for (index, mail) in mail.drain(..).chain(self.pending[shard].mail.drain(..)).enumerate() {
            match mail {
                ShardMail::Input(input) => {
                    seat.shard.handle(now, input);
                    if seat.is_traced && index % INPUTS_TRACED == 0 {
                        hand_on_events(shared, seat);
                    }
                }
                ShardMail::Look(look) => {
                    let ShardSeat { shard, disk, cache, .. } = &mut *seat;
                    look(shard, disk, cache);
                }
                ShardMail::Trace(on) => {
                    seat.is_traced = on;
                    seat.shard.set_trace(on);
                }
            }
        }
        self.spare_mail = mail;
        for (index, (id, request)) in self.pending[shard].requests.drain(..).enumerate() {
            seat.shard.handle(now, Input::Request { id, request });
            if seat.is_traced && index % INPUTS_TRACED == 0 {
                hand_on_events(shared, seat);
            }
        }
        if seat.shard.wake_at().is_some_and(|at| at <= now.mono) {
            seat.shard.handle(now, Input::Wake);
        }
        while let Some(output) = seat.shard.poll() {
            match output {
                Output::Reply { id, reply } => self.replies.push((id, reply)),
                Output::Send { to, partition, message } => {
                    if self.view.as_ref().is_some_and(|view| view.me == to) {
                        seat.shard.handle(now, Input::Message { from: to, partition, message });
                        continue;
                    }
                    let message = PeerMessage::Data { partition, message };
                    let id = self.next_message_id();
                    let is_queued = self.links.send(now.mono, to, id, &message);
                    self.note_sent(shared, now, id, u32::from(to.0), &message, is_queued);
                }
                Output::Log { write, is_synced: true } => seat.hands.write(write),
                Output::Log { write, is_synced: false } => {
                    let done = write.run(&mut seat.disk);
                    seat.shard.handle(now, Input::Log(done));
                }
                Output::Unreadable(error) => {
                    if seat.unreadable.is_due(now.mono) {
                        tracing::error!(
                            "a read of the disk failed: {error}; if a file is damaged, move the data folder away and start \
                             with an empty one and --join, and the other nodes refill it"
                        );
                    }
                }
                Output::LogSync(sync) => seat.hands.sync(sync),
                Output::Work { id, work: Work::Job(job) } => seat.hands.run(id, job),
                Output::Work { id, work: Work::Read(read) } => {
                    let done = WorkDone::Read(read.run(&seat.disk, &mut seat.cache));
                    seat.shard.handle(now, Input::Work { id, done });
                }
                Output::Work { id, work: Work::Scan(scan) } => {
                    let done = WorkDone::Scan(scan.run(&seat.disk, &mut seat.cache));
                    seat.shard.handle(now, Input::Work { id, done });
                }
                Output::Report(report) => self.control_inputs.push(ControlInput::Report(report)),
                Output::Persisted(ticket) => self.control_inputs.push(ControlInput::Persisted(ticket)),
                Output::SawEpoch { from, epoch } => {
                    self.control_inputs.push(ControlInput::SawEpoch { from, epoch });
                }
            }
        }
        if seat.is_traced {
            hand_on_events(shared, seat);
        }
        if cell.set_wake_at(seat.shard.wake_at()) && cell.owner != self.index {
            shared.mailboxes[cell.owner].notify();
        }
        if seat.published_at + PUBLISH_EVERY <= now.mono {
            seat.published_at = now.mono;
            let counters = seat.shard.gauged();
            let (told, is_told) = &mut seat.crowded;
            if counters.crowded_puts > *told && is_told.is_due(now.mono) {
                let more = counters.crowded_puts - core::mem::replace(told, counters.crowded_puts);
                tracing::warn!(
                    "{} more puts left keys with {SIBLING_COUNT_WARN} or more concurrent values: clients should read them with \
                     KV.GET … WITHCONTEXT and put what they make of them with that context; at {SIBLING_COUNT_MAX} puts are refused",
                    more
                );
            }
            let why = seat.shard.refuses_writes();
            match (seat.refusing.note(now.mono, why.is_some()), why) {
                (Some(true), Some(why)) => tracing::warn!(
                    "writes are refused by shard {shard} of this node: {why}; it goes on answering reads, and where other members can \
                     stand in for it clients notice nothing"
                ),
                (Some(false), _) => tracing::info!("writes are taken again by shard {shard} of this node"),
                _ => {}
            }
            cell.publish(counters);
        }
    }
}

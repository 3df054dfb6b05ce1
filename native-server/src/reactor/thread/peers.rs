//! Peers of a data thread: messages in and out.

use super::super::cell::ShardMail;
use super::super::mailbox::Mail;
use super::super::shared::{Shared, bump};
use super::{DataThread, KIND_INBOUND};
use crate::peer::Inbound;
use kvorum_core::base::trace::{Kind, split};
use kvorum_core::base::{Micros, Now};
use kvorum_core::control::{Destination, Input as ControlInput};
use kvorum_core::data::Input;
use kvorum_core::message::{ControlMessage, PeerMessage};
use kvorum_core::node::{Addressee, addressee};
use mio::net::TcpStream;
use mio::{Interest, Token};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;

/// When the log first says whom a new node waits for, if nothing is known sooner.
const TELL_FIRST: Micros = Micros::from_millis(500);
/// And how often again.
const TELL_EVERY: Micros = Micros::from_secs(5);

impl DataThread {
    pub(super) fn accept_peers(&mut self, shared: &Arc<Shared>) {
        let Some(listeners) = &self.listeners else { return };
        let mut come = Vec::new();
        loop {
            match listeners.peers.accept() {
                Ok((stream, address)) => come.push((stream, address)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => {
                    tracing::warn!("a peer could not be accepted: {error}");
                    break;
                }
            }
        }
        for (stream, address) in come {
            let thread = self.next_thread;
            self.next_thread = (self.next_thread + 1) % shared.mailboxes.len();
            if thread == self.index {
                self.add_inbound(stream, address);
            } else {
                shared.mailboxes[thread].send(Mail::Peer(stream.into(), address));
            }
        }
    }

    pub(super) fn add_inbound(&mut self, mut stream: TcpStream, address: SocketAddr) {
        let _ = stream.set_nodelay(true);
        let place = self.inbounds.iter().position(Option::is_none).unwrap_or(self.inbounds.len());
        let token = Token(place << 2 | KIND_INBOUND);
        if let Err(error) = self.poll.registry().register(&mut stream, token, Interest::READABLE) {
            tracing::warn!("a peer could not be registered: {error}");
            return;
        }
        let inbound = Some(Box::new(Inbound::new(stream, address.to_string())));
        match self.inbounds.get_mut(place) {
            Some(free) => *free = inbound,
            None => self.inbounds.push(inbound),
        }
    }

    pub(super) fn read_inbound(&mut self, shared: &Arc<Shared>, now: Now, place: usize) {
        let Some(mut inbound) = self.inbounds.get_mut(place).and_then(Option::take) else { return };
        let mut scratch = std::mem::take(&mut self.scratch);
        let view = self.view.clone();
        let shard_count = shared.shards.len() as u8;
        let mut count = 0;
        let is_traced = shared.is_listened_to();
        let result =
            inbound.read(self.links.me(), (view.as_deref(), self.view_version), &mut scratch, |received| {
                count += 1;
                if is_traced {
                    self.trace.set_on(true);
                    let from = received.from.map_or(u32::MAX, |member| u32::from(member.0));
                    let to = view.as_ref().map_or(u32::MAX, |view| u32::from(view.me.0));
                    let [kind, bytes, op_low, op_high] = received.message.traced();
                    let [low, high] = split(received.id);
                    let words = [low, high, from, to, kind, bytes, op_low, op_high];
                    self.trace.emit(now.mono, Kind::Received, &words);
                }
                let to = addressee(&received.message, shard_count);
                match (to, received.message, received.from) {
                    (Addressee::Control, PeerMessage::Control(message), from) => {
                        self.control_inputs.push(ControlInput::Message { from, message });
                    }
                    (Addressee::Shard(shard), PeerMessage::Data { partition, message }, Some(from)) => {
                        let input = Input::Message { from, partition, message };
                        self.pending[usize::from(shard.0)].mail.push(ShardMail::Input(input));
                    }
                    _ => {} // Only members speak about data.
                }
            });
        bump(&self.counters(shared).peer_received, count);
        self.scratch = scratch;
        match result {
            Ok(()) => {
                if inbound.is_readable {
                    self.more_inbounds.push(place as u32);
                }
                self.inbounds[place] = Some(inbound);
            }
            Err(why) => {
                if !why.is_empty() {
                    tracing::warn!("peer {} ({}) refused: {why}", inbound.address, inbound.name());
                }
            }
        }
    }

    /// Says, while this node is no member yet, whom it waits for and why nothing comes of it.
    pub(super) fn tell_wait(&mut self, now: Now) {
        let Some(control) = &mut self.control else { return };
        if self.view.is_some() {
            control.waits_for = None;
            return;
        }
        let Some(wait) = &mut control.waits_for else { return };
        let since = *wait.since.get_or_insert(now.mono);
        let (problem, is_up) = (self.links.problem_of(&wait.seed), self.links.is_up(&wait.seed));
        let is_due = match wait.told_at {
            None => problem.is_some() || since + TELL_FIRST <= now.mono,
            Some(at) => at + TELL_EVERY <= now.mono,
        };
        if !is_due {
            return;
        }
        wait.told_at = Some(now.mono);
        if is_up {
            tracing::info!(
                "waiting to be taken in by {}: it answers, and takes nodes in once it is a member itself and no partitions move",
                wait.seed
            );
        } else {
            tracing::warn!(
                "waiting to be taken in by {}: {}; --join takes the --peer address of a node that runs, and asks again until it \
                 answers",
                wait.seed,
                problem.unwrap_or("no answer yet")
            );
        }
    }

    pub(super) fn wake_links(&mut self, shared: &Arc<Shared>, now: Now) {
        for address in self.links.wake(now.mono, self.poll.registry()) {
            resolve(shared, self.index, address);
        }
        self.links_due = self.links.wake_at().unwrap_or(Micros(u64::MAX));
    }

    pub(super) fn send_control(
        &mut self,
        shared: &Arc<Shared>,
        now: Now,
        to: &Destination,
        message: ControlMessage,
    ) {
        let message = PeerMessage::Control(message);
        let id = self.next_message_id();
        let is_queued = match to {
            Destination::Member(member) => self.links.send(now.mono, *member, id, &message),
            Destination::Address(address) => {
                self.links_due = Micros(0);
                self.links.send_to_address(now.mono, address, id, &message)
            }
        };
        let member = match to {
            Destination::Member(member) => u32::from(member.0),
            Destination::Address(_) => u32::MAX,
        };
        self.note_sent(shared, now, id, member, &message, is_queued);
    }

    /// Unique in the cluster: member, thread, count.
    pub(super) fn next_message_id(&mut self) -> u64 {
        self.message_count += 1;
        let me = self.view.as_ref().map_or(u64::from(u16::MAX), |view| u64::from(view.me.0));
        me << 48 | (self.index as u64) << 41 | self.message_count & ((1 << 41) - 1)
    }

    pub(super) fn note_sent(
        &mut self,
        shared: &Arc<Shared>,
        now: Now,
        id: u64,
        to: u32,
        message: &PeerMessage,
        is_queued: bool,
    ) {
        let counters = self.counters(shared);
        bump(if is_queued { &counters.peer_sent } else { &counters.peer_dropped }, 1);
        if shared.is_listened_to() {
            self.trace.set_on(true);
            let me = self.view.as_ref().map_or(u32::MAX, |view| u32::from(view.me.0));
            let [low, high] = split(id);
            if is_queued {
                let [kind, bytes, op_low, op_high] = message.traced();
                let words = [low, high, me, to, kind, bytes, op_low, op_high];
                self.trace.emit(now.mono, Kind::Sent, &words);
            } else {
                self.trace.emit(now.mono, Kind::Lost, &[low, high, me, to, 3]);
            }
        }
    }
}

/// Looks a host name up on a thread of its own, which reports by mail: a look-up may take seconds, and no data thread may wait for one.
fn resolve(shared: &Arc<Shared>, index: usize, address: String) {
    let shared = Arc::downgrade(shared);
    std::thread::spawn(move || {
        use std::net::ToSocketAddrs;
        let found = address.to_socket_addrs().ok().and_then(|mut found| found.next());
        if let Some(shared) = shared.upgrade() {
            shared.mailboxes[index].send(Mail::Resolved(address, found));
        }
    });
}

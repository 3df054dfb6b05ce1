//! What a world looks like from outside: all of its nodes asked at once, as no single one of them could tell.

use super::host::{Arrival, Host};
use super::script::NodeIndex;
use super::world::{Event, World};
use crate::base::{BTreeMap, BTreeSet, Order};
use crate::base::{MemberId, Micros, PartitionId, trace::join};
use crate::data::Copies;
use crate::node::{
    ClusterPicture, KeyPicture, KeyspacePicture, NodePicture, NodeSummary, Places, RequestCounts,
    key_picture, node_picture, suspicions,
};
use crate::ring::{Liveness, View};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A message under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flight {
    /// As in events.
    pub id: u64,
    /// Its sender.
    pub from: NodeIndex,
    /// Its receiver.
    pub to: NodeIndex,
    /// As in events.
    pub kind: u32,
    /// When it was sent.
    pub sent: Micros,
    /// When it arrives.
    pub arrives: Micros,
    /// The operation that it belongs to, 0 for none.
    pub op: u64,
}

impl World {
    /// The whole cluster.
    pub fn picture(&self) -> ClusterPicture {
        let names = self.names();
        let (mut picture, places) = match self.best_view() {
            None => (self.unborn(&names), Places::default()),
            Some((node, view)) => {
                let places = Places::named(view, &names);
                let control = node.control().snapshot();
                (ClusterPicture::seen_by(view, &control, &places, self.now), places)
            }
        };
        picture.now_us = self.now.0;
        picture.events = self.events;
        picture.digest = format!("{:032x}", self.trace_hash());
        picture.cuts = self.network.cuts().map(|(from, to)| (u32::from(from.0), u32::from(to.0))).collect();
        let mut found = BTreeSet::new();
        for host in &self.hosts {
            let Some(node) = host.node.as_ref().filter(|_| !host.is_paused) else { continue };
            found.extend(suspicions(&node.control().snapshot(), &places));
        }
        picture.suspicions = found.into_iter().collect();
        for (host, summary) in self.hosts.iter().zip(&mut picture.nodes) {
            self.fill_in(host, summary);
            // Members count their own reports; the first to count enough is the one that events tell of.
            let bits = summary.member.and_then(|member| self.control_checker.last_reporters(member));
            if let Some(bits) = bits.filter(|_| summary.state == "down") {
                let ids = (0..64).filter(|bit| bits >> bit & 1 == 1).map(MemberId);
                summary.reporters = ids.filter_map(|id| places.at(id)).collect();
            }
        }
        let (asked, done) = (u64::from(self.history.len()), u64::from(self.history.done_count()));
        picture.requests = RequestCounts { asked, done };
        picture
    }
    fn fill_in(&self, host: &Host, summary: &mut NodeSummary) {
        summary.is_running = host.node.is_some();
        summary.slow_ms = self.network.slow(host.index).as_millis() as u32;
        summary.loss_permille = u32::from(self.network.lossy(host.index));
        summary.state = self.state_of(host, summary.state);
        let Some(node) = &host.node else { return };
        for shard in node.shards() {
            let (counters, stats) = (shard.gauged(), shard.engine());
            summary.hints += counters.hints_pending;
            summary.keys += counters.keys;
            summary.memtable_bytes += stats.memtable_bytes;
            summary.memtable_bytes_max += u64::from(self.options.memtable_bytes);
        }
    }
    /// What the others believe, except that nobody need believe in what does not run.
    fn state_of(&self, host: &Host, seen: &'static str) -> &'static str {
        let believed = self.hosts.iter().filter(|other| other.index != host.index && !other.is_paused);
        let liveness = believed.filter_map(|other| {
            let view = other.node.as_ref()?.view()?;
            let member = view.topology.member_named(&host.index.to_string())?;
            Some(view.liveness_of(member.id))
        });
        match liveness.max() {
            Some(Liveness::Down) => "down",
            _ if host.node.is_none() && host.life > 0 => "stopped",
            _ if host.is_paused => "paused",
            Some(Liveness::Suspect) => "suspect",
            _ if matches!(seen, "down" | "suspect") => "up",
            _ => seen,
        }
    }
    /// One node; with a key, with that key's way through it. `None` for a node that there is not.
    pub fn node_picture(&self, node: NodeIndex, key: Option<&[u8]>) -> Option<NodePicture> {
        let host = self.hosts.get(usize::from(node.0))?;
        let name = node.to_string();
        let state = self.state_of(host, "up");
        let Some((running, view)) = host.node.as_ref().and_then(|node| Some((node, node.view()?))) else {
            let (shards, hints, repair) = (Vec::new(), Vec::new(), Vec::new());
            return Some(NodePicture { name, state, shards, hints, repair });
        };
        let places = Places::named(view, &self.names());
        let mut caches = host.caches.clone();
        let mut shards = Vec::new();
        let mut hints = Vec::new();
        for (index, shard) in running.shards().iter().enumerate() {
            // The key's way leads through one of them.
            let key = key.filter(|key| shard.serves_key(key));
            shards.push(shard.picture(key, &host.disks[index], &mut caches[index]));
            hints.extend(shard.hint_counts());
        }
        Some(node_picture(view, &places, state, &name, shards, &hints, &self.differing()))
    }
    /// One key: where it lives, and all that is held of it anywhere. `None` before the cluster was born.
    pub fn key_picture(&self, key: &[u8]) -> Option<KeyPicture> {
        let (_, view) = self.best_view()?;
        let places = Places::named(view, &self.names());
        let mut held: Vec<(u32, Copies)> = Vec::new();
        for host in &self.hosts {
            let Some(node) = &host.node else { continue };
            for (index, shard) in node.shards().iter().enumerate().filter(|(_, shard)| shard.serves_key(key))
            {
                let mut cache = host.caches[index].clone();
                if let Ok(copies) = shard.copies(key, &host.disks[index], &mut cache) {
                    held.push((u32::from(host.index.0), copies));
                }
            }
        }
        Some(key_picture(view, &places, key, &held))
    }
    /// All messages under way, in order of their arrival.
    pub fn flights(&self) -> Vec<Flight> {
        let mut flights: Vec<Flight> = self
            .queue
            .iter()
            .filter_map(|(arrives, event)| match event {
                Event::Arrives { at, life, what: Arrival::Message { from, id, sent, message, .. } }
                    if self.hosts.get(usize::from(at.0)).is_some_and(|host| host.life == *life) =>
                {
                    let [kind, _, low, high] = message.traced();
                    let (from, to, sent, op) = (*from, *at, *sent, join(low, high));
                    Some(Flight { id: *id, from, to, kind, sent, arrives, op })
                }
                _ => None,
            })
            .collect();
        flights.order_by_key(|flight| (flight.arrives, flight.id));
        flights
    }
    /// The places of nodes, by the newest topology; empty before the cluster was born.
    pub fn places(&self) -> Places {
        self.best_view().map_or_else(Places::default, |(_, view)| Places::named(view, &self.names()))
    }
    fn names(&self) -> Vec<String> {
        self.hosts.iter().map(|host| host.index.to_string()).collect()
    }
    fn unborn(&self, names: &[String]) -> ClusterPicture {
        ClusterPicture {
            now_us: 0,
            events: 0,
            digest: String::new(),
            epoch: 0,
            keyspace: KeyspacePicture {
                n: self.options.n,
                r: self.options.r,
                w: self.options.w,
                resolve: self.options.resolve,
            },
            nodes: names.iter().map(|name| NodeSummary::unborn(name)).collect(),
            owners: Vec::new(),
            moving: Vec::new(),
            cuts: Vec::new(),
            suspicions: Vec::new(),
            requests: RequestCounts::default(),
        }
    }
    /// Of those who run, who knows the newest topology.
    pub(super) fn best_view(&self) -> Option<(&crate::node::Node, &Arc<View>)> {
        let nodes = self.hosts.iter().filter_map(|host| host.node.as_ref());
        let views = nodes.filter_map(|node| Some((node, node.view()?)));
        // The first of the newest.
        views.fold(None, |best: Option<(&crate::node::Node, &Arc<View>)>, (node, view)| match best {
            Some((_, known)) if known.topology.epoch >= view.topology.epoch => best,
            _ => Some((node, view)),
        })
    }
    /// Partitions of which two owners that run hold different cells.
    pub(super) fn differing(&self) -> BTreeSet<PartitionId> {
        let mut roots: BTreeMap<PartitionId, u128> = BTreeMap::new();
        let mut differing = BTreeSet::new();
        for host in &self.hosts {
            let Some((node, view)) = host.node.as_ref().and_then(|node| Some((node, node.view()?))) else {
                continue;
            };
            let held: BTreeMap<PartitionId, u128> =
                node.shards().iter().flat_map(|shard| shard.held()).collect();
            for number in 0..view.topology.partition_count() {
                let partition = PartitionId(number);
                if !view.owns(partition) {
                    continue;
                }
                let root = held.get(&partition).copied().unwrap_or(0);
                if *roots.entry(partition).or_insert(root) != root {
                    differing.insert(partition);
                }
            }
        }
        differing
    }
}

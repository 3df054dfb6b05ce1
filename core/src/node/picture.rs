//! What a cluster, a node and a key look like from outside, in the shapes that the page and the npm package know.
//!
//! A member is named by its place among the members, sorted by number. What only a node itself knows (its memtable, its
//! hints) comes from that node: a simulated world asks all of them, a live page asks each.

use crate::base::BTreeSet;
use crate::base::{MemberId, Micros, PartitionId};
use crate::control;
use crate::data::{Copies, HintCount, ShardPicture, readable};
use crate::ring::{Liveness, View, partition_of_key, slot_of};
use crate::version::{Actor, Cell, Dot, Resolve};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use serde::Serialize;

/// Longest text of a value that is shown whole.
const VALUE_CHARS_MAX: usize = 64;

/// A whole cluster.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterPicture {
    /// Virtual time; live: that of the node's process.
    pub now_us: u64,
    /// Events so far; live: 0.
    pub events: u64,
    /// Hash over them, in hexadecimal; live: empty.
    pub digest: String,
    /// Of the topology.
    pub epoch: u64,
    /// The settings of keyspace 0.
    pub keyspace: KeyspacePicture,
    /// By place.
    pub nodes: Vec<NodeSummary>,
    /// By partition: its owners, the primary first.
    pub owners: Vec<Vec<u32>>,
    /// Partitions under way to other owners.
    pub moving: Vec<u16>,
    /// Links that are cut, from and to.
    pub cuts: Vec<(u32, u32)>,
    /// Who suspects whom.
    pub suspicions: Vec<Suspicion>,
    /// What clients asked.
    pub requests: RequestCounts,
}

/// The settings of a keyspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct KeyspacePicture {
    pub n: u8,
    pub r: u8,
    pub w: u8,
    pub resolve: Resolve,
}

/// How many requests were asked, and how many of them were done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct RequestCounts {
    pub asked: u64,
    pub done: u64,
}

/// A node at a glance.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeSummary {
    /// Its name.
    pub name: String,
    /// Its number in the cluster, by which events of its machines name it; `None` while it is no member.
    pub member: Option<u32>,
    /// "up", "suspect", "down", "paused", "stopped", "joining", "refilling".
    pub state: &'static str,
    /// Its process runs, as far as is known.
    pub is_running: bool,
    /// Who reports it, or reported it when it went Down.
    pub reporters: Vec<u32>,
    /// Distinct ones that take it Down.
    pub reporters_needed: u32,
    /// Partitions of which it is an owner.
    pub partitions: u32,
    /// Bytes of its memtables.
    pub memtable_bytes: u64,
    /// A flush is due at so many.
    pub memtable_bytes_max: u64,
    /// Hints that it keeps.
    pub hints: u64,
    /// How much later its messages arrive; simulated only.
    pub slow_ms: u32,
    /// How many of a thousand of its messages are lost; simulated only.
    pub loss_permille: u32,
    /// Live keys of its partitions.
    pub keys: u64,
    /// Where clients reach it.
    pub listen: String,
    /// Where its admin HTTP answers.
    pub admin: String,
}

/// One suspects another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Suspicion {
    /// Who.
    pub by: u32,
    /// Whom.
    pub of: u32,
    /// By its own failed probes; else it has heard of it.
    pub own: bool,
}

/// One node.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodePicture {
    /// Its name.
    pub name: String,
    /// As in [`NodeSummary`].
    pub state: &'static str,
    /// Its engines.
    pub shards: Vec<ShardPicture>,
    /// What it keeps for others.
    pub hints: Vec<HintPicture>,
    /// Each partition that it holds.
    pub repair: Vec<RepairPicture>,
}

/// Hints for one member about one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct HintPicture {
    pub target: u32,
    pub partition: u16,
    pub count: u64,
}

/// How a partition stands with its other owners.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct RepairPicture {
    pub partition: u16,
    /// Its tree differs from another owner's; live, where one node does not know, false.
    pub differs: bool,
    pub moving: bool,
}

/// One key.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyPicture {
    /// As text.
    pub key: String,
    /// CRC16 of it, or of its hash tag.
    pub slot: u16,
    /// Its partition.
    pub partition: u16,
    /// Clockwise: the owners at the key's partition, then what lies behind it as far as the fallbacks in use.
    pub walk: Vec<WalkStep>,
    /// Who holds what.
    pub copies: Vec<CopyPicture>,
    /// All that is held anywhere, merged.
    pub siblings: Vec<SiblingPicture>,
    /// What all siblings have seen, by actor.
    pub common: Vec<SeenPicture>,
    /// All actors of siblings and context.
    pub actors: Vec<String>,
}

/// One stop of the walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct WalkStep {
    /// At which partition.
    pub partition: u16,
    /// Who.
    pub node: u32,
    /// "owner", "taken" or "fallback".
    pub role: &'static str,
    /// Its place among the owners, from 1.
    pub place: Option<u32>,
}

/// A copy of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CopyPicture {
    /// Who holds it.
    pub node: u32,
    /// For which owner it keeps it as a hint.
    pub hint_for: Option<u32>,
    /// Siblings in it.
    pub siblings: u32,
    /// It has seen all that the merged cell has.
    pub is_current: bool,
    /// Nothing of what its shard has written waits for the disk.
    pub is_synced: bool,
}

/// One sibling.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SiblingPicture {
    /// `None` in a tombstone.
    pub value: Option<String>,
    /// Its name.
    pub dot: String,
    /// Who gave it.
    pub actor: String,
    /// Its number there.
    pub counter: u64,
    /// Its place in the order of writes.
    pub stamp_ms: u64,
    /// When it ends.
    pub expires_at_ms: Option<u64>,
}

/// How far an actor's writes have been seen.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct SeenPicture {
    pub actor: String,
    pub counter: u64,
}

/// The places of members.
#[derive(Debug, Clone, Default)]
pub struct Places(Vec<(MemberId, String)>);

impl Places {
    /// Of the members of a view.
    pub fn of(view: &View) -> Places {
        Places(view.topology.members.iter().map(|member| (member.id, member.name.clone())).collect())
    }
    /// By a name that each has: for a world, whose hosts are there before they are members. Members without one are left out.
    pub fn named(view: &View, names: &[String]) -> Places {
        let id_of = |name: &String| view.topology.member_named(name).map_or(MemberId(u16::MAX), |m| m.id);
        Places(names.iter().map(|name| (id_of(name), name.clone())).collect())
    }
    /// The place of a member.
    pub fn at(&self, id: MemberId) -> Option<u32> {
        self.0.iter().position(|(known, _)| *known == id).map(|place| place as u32)
    }
    fn all(&self, ids: &[MemberId]) -> Vec<u32> {
        ids.iter().filter_map(|id| self.at(*id)).collect()
    }
    fn name(&self, id: MemberId) -> &str {
        self.0.iter().find(|(known, _)| *known == id).map_or("?", |(_, name)| name)
    }
}

impl ClusterPicture {
    /// What one member knows of all. Sizes of others than itself are for their own pictures to fill in.
    pub fn seen_by(view: &View, seen: &control::Snapshot, places: &Places, now: Micros) -> ClusterPicture {
        let keyspace = view.topology.keyspaces.first();
        let partitions = &view.topology.partitions;
        let moving = partitions.iter().enumerate().filter(|(_, state)| !state.next.is_empty());
        let mut nodes: Vec<NodeSummary> =
            places.0.iter().map(|(_, name)| NodeSummary::unborn(name)).collect();
        for member in &seen.members {
            let Some(node) = places.at(member.id).and_then(|place| nodes.get_mut(place as usize)) else {
                continue;
            };
            *node = NodeSummary::of(member, places, seen.members.len());
        }
        ClusterPicture {
            now_us: now.0,
            events: 0,
            digest: String::new(),
            epoch: view.topology.epoch.0,
            keyspace: KeyspacePicture {
                n: keyspace.map_or(0, |keyspace| keyspace.n),
                r: keyspace.map_or(0, |keyspace| keyspace.r),
                w: keyspace.map_or(0, |keyspace| keyspace.w),
                resolve: keyspace.map_or(Resolve::Lww, |keyspace| keyspace.resolve),
            },
            nodes,
            owners: partitions.iter().map(|state| places.all(&state.owners)).collect(),
            moving: moving.map(|(number, _)| number as u16).collect(),
            cuts: Vec::new(),
            suspicions: suspicions(seen, places),
            requests: RequestCounts::default(),
        }
    }
}

impl NodeSummary {
    /// A node that is no member yet.
    pub fn unborn(name: &str) -> NodeSummary {
        NodeSummary {
            name: String::from(name),
            member: None,
            state: "joining",
            is_running: false,
            reporters: Vec::new(),
            reporters_needed: 0,
            partitions: 0,
            memtable_bytes: 0,
            memtable_bytes_max: 0,
            hints: 0,
            slow_ms: 0,
            loss_permille: 0,
            keys: 0,
            listen: String::new(),
            admin: String::new(),
        }
    }
    fn of(member: &control::MemberSnapshot, places: &Places, members: usize) -> NodeSummary {
        let state = match member.liveness {
            Liveness::Down => "down",
            Liveness::Suspect => "suspect",
            Liveness::Up if member.refilling => "refilling",
            Liveness::Up if member.joining => "joining",
            Liveness::Up => "up",
        };
        let suspecting: Vec<MemberId> = member.suspected_by.iter().map(|line| line.reporter).collect();
        let reporters = if member.down_by.is_empty() { &suspecting } else { &member.down_by };
        NodeSummary {
            member: Some(u32::from(member.id.0)),
            state,
            is_running: member.liveness != Liveness::Down,
            reporters: places.all(reporters),
            reporters_needed: control::REPORTERS_NEEDED.min(members.saturating_sub(1)) as u32,
            partitions: member.partition_count,
            listen: member.listen.clone(),
            admin: member.admin.clone(),
            ..NodeSummary::unborn(&member.name)
        }
    }
}

/// Whom a member suspects, by its own probes or from hearing, and whose reports it has heard.
pub fn suspicions(seen: &control::Snapshot, places: &Places) -> Vec<Suspicion> {
    let me = seen.me.and_then(|me| places.at(me));
    let mut found = BTreeSet::new();
    for member in &seen.members {
        let Some(of) = places.at(member.id) else { continue };
        let reporters =
            member.suspected_by.iter().map(|line| line.reporter).chain(member.down_by.iter().copied());
        let reporters: BTreeSet<u32> = reporters.filter_map(|id| places.at(id)).collect();
        if let Some(me) = me
            && !reporters.is_empty()
            && !reporters.contains(&me)
        {
            found.insert(Suspicion { by: me, of, own: false });
        }
        found.extend(reporters.into_iter().map(|by| Suspicion { by, of, own: true }));
    }
    found.into_iter().collect()
}

/// One node, of what its shards say.
pub fn node_picture(
    view: &View,
    places: &Places,
    state: &'static str,
    name: &str,
    shards: Vec<ShardPicture>,
    hints: &[HintCount],
    differing: &BTreeSet<PartitionId>,
) -> NodePicture {
    let held = view.topology.partitions.iter().enumerate().filter(|(_, state)| {
        state.owners.contains(&view.me) || state.next.contains(&view.me) || state.releasing.contains(&view.me)
    });
    NodePicture {
        name: String::from(name),
        state,
        shards,
        hints: hints
            .iter()
            .filter_map(|hint| {
                let target = places.at(hint.target)?;
                Some(HintPicture { target, partition: hint.partition.0, count: hint.count })
            })
            .collect(),
        repair: held
            .map(|(number, state)| RepairPicture {
                partition: number as u16,
                differs: differing.contains(&PartitionId(number as u16)),
                moving: !state.next.is_empty(),
            })
            .collect(),
    }
}

/// One key, of the copies that nodes (by their places) said they hold.
pub fn key_picture(view: &View, places: &Places, key: &[u8], held: &[(u32, Copies)]) -> KeyPicture {
    let resolve = view.topology.keyspaces.first().map_or(Resolve::Lww, |keyspace| keyspace.resolve);
    let partition = partition_of_key(key, view.topology.partition_count());
    let mut copies: Vec<(u32, Option<u32>, bool, &Cell)> = Vec::new();
    for (node, found) in held {
        copies.extend(found.own.iter().map(|cell| (*node, None, found.is_synced, cell)));
        for (target, cell) in &found.hints {
            copies.push((*node, places.at(*target), found.is_synced, cell));
        }
    }
    let merged = copies.iter().fold(None::<Cell>, |whole, (.., cell)| match whole {
        None => Some((*cell).clone()),
        Some(whole) => Some(whole.merge(cell, resolve, crate::base::Sabotage::NONE).cell),
    });
    let is_current = |cell: &Cell| {
        merged.as_ref().is_some_and(|merged| {
            cell.context().covers_all(merged.context()) && cell.siblings().len() == merged.siblings().len()
        })
    };
    let fallbacks: BTreeSet<u32> =
        copies.iter().filter(|copy| copy.1.is_some()).map(|(node, ..)| *node).collect();
    let actors = merged.as_ref().map_or_else(Vec::new, actors);
    let named = |actor: Actor| actor_name(&actors, places, actor);
    KeyPicture {
        key: readable(key),
        slot: slot_of(key).0,
        partition: partition.0,
        walk: walk(view, places, partition, &fallbacks),
        copies: copies
            .iter()
            .map(|(node, hint_for, is_synced, cell)| CopyPicture {
                node: *node,
                hint_for: *hint_for,
                siblings: cell.siblings().len() as u32,
                is_current: is_current(cell),
                is_synced: *is_synced,
            })
            .collect(),
        siblings: merged.as_ref().map_or_else(Vec::new, |cell| {
            let sibling = |sibling: &crate::version::Sibling| SiblingPicture {
                value: sibling.value().map(|value| value_text(value)),
                dot: dot_text(&named(sibling.dot.actor), sibling.dot),
                actor: named(sibling.dot.actor),
                counter: sibling.dot.counter,
                stamp_ms: sibling.stamp.hlc.millis(),
                expires_at_ms: sibling.expires_at_ms(),
            };
            cell.siblings().iter().map(sibling).collect()
        }),
        common: merged.as_ref().map_or_else(Vec::new, |cell| {
            let seen = |actor: &Actor| {
                let own = cell.siblings().iter().filter(|sibling| sibling.dot.actor == *actor);
                let first = own.map(|sibling| sibling.dot.counter - 1).min();
                let counter = first.unwrap_or_else(|| cell.context().counter(*actor));
                SeenPicture { actor: named(*actor), counter }
            };
            actors.iter().map(seen).collect()
        }),
        actors: actors.iter().map(|actor| named(*actor)).collect(),
    }
}

/// Who wrote the siblings of a cell, or is in its context; in order.
pub fn actors(cell: &Cell) -> Vec<Actor> {
    let seen = cell.context().iter().map(|dot| dot.actor);
    let own = cell.siblings().iter().map(|sibling| sibling.dot.actor);
    seen.chain(own).collect::<BTreeSet<_>>().into_iter().collect()
}

/// The member's name, and which of its memories if there are several among `actors`: "n0", "n0.2".
pub fn actor_name(actors: &[Actor], places: &Places, actor: Actor) -> String {
    let of_member = actors.iter().filter(|other| other.member() == actor.member());
    let before = of_member.filter(|other| **other < actor).count();
    let name = places.name(actor.member());
    if before == 0 { String::from(name) } else { format!("{name}.{}", before + 1) }
}

/// The name of a write for people.
pub fn dot_text(actor: &str, dot: Dot) -> String {
    format!("{actor}·{}", dot.counter)
}

fn value_text(value: &[u8]) -> String {
    // Lines and tabs are text; other control characters are not.
    let is_text = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    match core::str::from_utf8(value) {
        Ok(text) if text.chars().count() <= VALUE_CHARS_MAX && text.chars().all(is_text) => text.into(),
        _ => readable(value),
    }
}

/// The owners stand at the key's own partition. Behind it, each partition's primary is met in turn until all the
/// fallbacks in use have been: one met before is passed by. Without any in use, the first that could be.
fn walk(view: &View, places: &Places, partition: PartitionId, in_use: &BTreeSet<u32>) -> Vec<WalkStep> {
    let topology = &view.topology;
    let Some(state) = topology.partition(partition) else { return Vec::new() };
    let mut steps = Vec::new();
    let mut taken: BTreeSet<u32> = BTreeSet::new();
    for (index, owner) in state.owners.iter().enumerate() {
        let Some(node) = places.at(*owner) else { continue };
        let place = Some(index as u32 + 1);
        steps.push(WalkStep { partition: partition.0, node, role: "owner", place });
        taken.insert(node);
    }
    let count = topology.partitions.len();
    let mut has_spare = false;
    let is_done = |taken: &BTreeSet<u32>, has_spare| match in_use.is_empty() {
        true => has_spare || taken.len() == topology.members.len(),
        false => in_use.iter().all(|node| taken.contains(node)),
    };
    for step in 1..count {
        let number = (usize::from(partition.0) + step) % count;
        let owners = &topology.partitions[number].owners;
        for owner in owners {
            if is_done(&taken, has_spare) {
                return steps;
            }
            let Some(node) = places.at(*owner) else { continue };
            let step = |role| WalkStep { partition: number as u16, node, role, place: None };
            if taken.insert(node) {
                steps.push(step("fallback"));
                has_spare |= view.is_usable(*owner);
            } else if owners.first() == Some(owner) {
                steps.push(step("taken"));
            }
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_several_lines_is_text_and_bytes_are_not() {
        assert_eq!(value_text("{\n\t\"a\": 1\r\n}".as_bytes()), "{\n\t\"a\": 1\r\n}");
        assert_eq!(value_text("값".as_bytes()), "값");
        for bytes in [&b"\0a"[..], b"\x1b[0m", b"\xff"] {
            assert!(value_text(bytes).starts_with("0x"), "{bytes:?}");
        }
    }
}

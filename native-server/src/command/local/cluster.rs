use super::{arity_of, unknown_subcommand};
use crate::command::arguments::{Wrong, wrong};
use crate::command::{NodeFacts, Spec};
use crate::resp::{Args, Replies};
use kvorum_core::base::MemberId;
use kvorum_core::ring::{Liveness, Member, PartitionState, SLOT_COUNT, View, slot_of};
use std::fmt::Write;

/// Consecutive slots with the same live owners, the one to ask first in front.
struct Range {
    from: u16,
    to: u16,
    owners: Vec<MemberId>,
}

/// The slots that a list of owners holds.
type Group = (Vec<MemberId>, Vec<(u16, u16)>);

/// `CLUSTER` and its kin: the ring as clients of Redis Cluster read it. Every owner answers every request, so the
/// order only says whom to ask first.
pub fn cluster(
    spec: &'static Spec,
    args: Args<'_>,
    node: &dyn NodeFacts,
    out: &mut Replies<'_>,
) -> Result<(), Wrong> {
    let word = args.get(1).to_ascii_lowercase();
    if let (b"keyslot", 3) = (word.as_slice(), args.len()) {
        out.integer(i64::from(slot_of(args.get(2)).0));
        return Ok(());
    }
    let view = node.view().ok_or(Wrong {
        code: "CLUSTERDOWN",
        message: "not done: this node is no member of a cluster yet".into(),
    })?;
    match (word.as_slice(), args.len()) {
        (b"info", 2) => out.verbatim(&info(view)),
        (b"myid", 2) => out.bulk(node_id(view, view.me).as_bytes()),
        (b"myshardid", 2) => out.bulk(node_id(view, view.me).as_bytes()),
        (b"nodes", 2) => out.verbatim(&nodes(view)),
        (b"slots", 2) => slots(view, out),
        (b"shards", 2) => shards(view, out),
        (b"links", 2) => out.array(0),
        (b"replicas" | b"slaves", 3) => out.array(0),
        (b"count-failure-reports", 3) => out.integer(0),
        (b"keyslot" | b"info" | b"myid" | b"nodes" | b"slots" | b"shards" | b"countkeysinslot", _) => {
            return Err(arity_of(spec, &String::from_utf8_lossy(&word)));
        }
        (
            b"meet" | b"forget" | b"failover" | b"addslots" | b"delslots" | b"setslot" | b"reset"
            | b"replicate",
            _,
        ) => {
            return Err(wrong("the topology is Kvorum's own: start a node with --join to add it"));
        }
        _ => return Err(unknown_subcommand(spec, args)),
    }
    Ok(())
}

/// Forty hexadecimal digits, as clients expect them.
fn node_id(view: &View, member: MemberId) -> String {
    format!("{:016x}{:024x}", view.topology.lineage, member.0)
}

fn is_live(view: &View, id: MemberId) -> bool {
    view.liveness_of(id) != Liveness::Down && view.topology.member(id).is_some_and(|member| !member.refilling)
}

/// Live owners in order; all of them when none seems to live, so that a client has whom to ask.
fn owners_of(view: &View, partition: &PartitionState) -> Vec<MemberId> {
    let live: Vec<_> = partition.owners.iter().copied().filter(|id| is_live(view, *id)).collect();
    if live.is_empty() { partition.owners.clone() } else { live }
}

fn ranges(view: &View) -> Vec<Range> {
    let partitions = &view.topology.partitions;
    let width = SLOT_COUNT / view.topology.partition_count().max(1);
    let mut ranges: Vec<Range> = Vec::new();
    for (index, partition) in partitions.iter().enumerate() {
        let owners = owners_of(view, partition);
        let from = index as u16 * width;
        let to = from + (width - 1);
        match ranges.last_mut() {
            Some(last) if last.owners == owners => last.to = to,
            _ => ranges.push(Range { from, to, owners }),
        }
    }
    ranges
}

fn host_port(address: &str) -> (&str, u16) {
    let (host, port) = address.rsplit_once(':').unwrap_or((address, "0"));
    (host.trim_start_matches('[').trim_end_matches(']'), port.parse().unwrap_or(0))
}

fn info(view: &View) -> String {
    let topology = &view.topology;
    let live = topology.members.iter().filter(|member| is_live(view, member.id)).count();
    let down = topology.partitions.iter().filter(|p| !p.owners.iter().any(|id| is_live(view, *id))).count();
    let width = usize::from(SLOT_COUNT / topology.partition_count().max(1));
    let mut text = String::new();
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        let _ = write!(text, "{name}:{value}\r\n");
    };
    line("cluster_enabled", &1);
    line("cluster_state", &if down == 0 { "ok" } else { "fail" });
    line("cluster_slots_assigned", &SLOT_COUNT);
    line("cluster_slots_ok", &(usize::from(SLOT_COUNT) - down * width));
    line("cluster_slots_pfail", &0);
    line("cluster_slots_fail", &(down * width));
    line("cluster_known_nodes", &topology.members.len());
    line("cluster_size", &live);
    line("cluster_current_epoch", &topology.epoch.0);
    line("cluster_my_epoch", &topology.epoch.0);
    text
}

fn nodes(view: &View) -> String {
    let ranges = ranges(view);
    let mut text = String::new();
    for member in &view.topology.members {
        let (host, port) = host_port(&member.listen);
        let bus = host_port(&member.peer).1;
        let me = if member.id == view.me { "myself," } else { "" };
        let down = if is_live(view, member.id) { "" } else { ",fail" };
        let state = if is_live(view, member.id) { "connected" } else { "disconnected" };
        let _ = write!(
            text,
            "{} {host}:{port}@{bus} {me}master{down} - 0 0 {} {state}",
            node_id(view, member.id),
            view.topology.epoch.0
        );
        for range in ranges.iter().filter(|range| range.owners.first() == Some(&member.id)) {
            if range.from == range.to {
                let _ = write!(text, " {}", range.from);
            } else {
                let _ = write!(text, " {}-{}", range.from, range.to);
            }
        }
        text.push('\n');
    }
    text
}

fn members<'a>(view: &'a View, ids: &'a [MemberId]) -> impl Iterator<Item = &'a Member> {
    ids.iter().filter_map(|id| view.topology.member(*id))
}

fn slots(view: &View, out: &mut Replies<'_>) {
    let ranges = ranges(view);
    out.array(ranges.len());
    for range in &ranges {
        let owners: Vec<_> = members(view, &range.owners).collect();
        out.array(2 + owners.len());
        out.integer(i64::from(range.from));
        out.integer(i64::from(range.to));
        for member in owners {
            let (host, port) = host_port(&member.listen);
            out.array(4);
            out.bulk(host.as_bytes());
            out.integer(i64::from(port));
            out.bulk(node_id(view, member.id).as_bytes());
            out.array(0);
        }
    }
}

fn shards(view: &View, out: &mut Replies<'_>) {
    let mut groups: Vec<Group> = Vec::new();
    for range in ranges(view) {
        let slots = (range.from, range.to);
        match groups.iter_mut().find(|(owners, _)| *owners == range.owners) {
            Some((_, group)) => group.push(slots),
            None => groups.push((range.owners, vec![slots])),
        }
    }
    out.array(groups.len());
    for (owners, slots) in &groups {
        out.map(2);
        out.bulk(b"slots");
        out.array(slots.len() * 2);
        for (from, to) in slots {
            out.integer(i64::from(*from));
            out.integer(i64::from(*to));
        }
        out.bulk(b"nodes");
        let members: Vec<_> = members(view, owners).collect();
        out.array(members.len());
        for (index, member) in members.into_iter().enumerate() {
            let (host, port) = host_port(&member.listen);
            out.map(7);
            out.bulk(b"id");
            out.bulk(node_id(view, member.id).as_bytes());
            out.bulk(b"port");
            out.integer(i64::from(port));
            out.bulk(b"ip");
            out.bulk(host.as_bytes());
            out.bulk(b"endpoint");
            out.bulk(host.as_bytes());
            out.bulk(b"role");
            out.bulk(if index == 0 { b"master" } else { b"replica" });
            out.bulk(b"replication-offset");
            out.integer(0);
            out.bulk(b"health");
            out.bulk(b"online");
        }
    }
}

use super::Admin;
use axum::Json;
use axum::extract::{Query, State};
use kvorum_core::ring::{Liveness, View};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is asked for.
#[derive(Debug, Deserialize)]
pub struct StatusQuery {
    /// What this node holds, without asking others.
    local: Option<String>,
}

/// What one node holds.
#[derive(Debug, Serialize, Deserialize)]
pub struct Local {
    /// Its name.
    pub name: String,
    epoch: u64,
    hints: u64,
    keys: u64,
    tombstones: u64,
    /// Of the trees of the partitions that it holds.
    pub roots: BTreeMap<u16, String>,
}

#[derive(Debug, Serialize)]
struct Cluster {
    epoch: u64,
    lineage: String,
    node: String,
    partition_count: u16,
    keyspaces: Vec<kvorum_core::ring::Keyspace>,
    nodes: Vec<Node>,
    moving: usize,
    partitions: Vec<Partition>,
    hints: u64,
    keys: u64,
    tombstones: u64,
}

#[derive(Debug, Serialize)]
struct Node {
    name: String,
    state: Liveness,
    listen: String,
    admin: String,
    peer: String,
    refilling: bool,
    answers: bool,
    hints: Option<u64>,
    keys: Option<u64>,
    primaries: usize,
    replicas: usize,
}

#[derive(Debug, Serialize)]
struct Partition {
    id: u16,
    owners: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    next: Vec<String>,
    roots: BTreeMap<String, String>,
}

/// `GET /status`: the cluster as this node sees it, with what each reachable member holds.
pub async fn status(State(admin): State<Admin>, Query(query): Query<StatusQuery>) -> Json<serde_json::Value> {
    let own = local(&admin).await;
    if query.local.is_some() {
        return json(&own);
    }
    match admin.shared.view() {
        Some(view) => json(&cluster(&admin, &view, own).await),
        None => json(&serde_json::json!({
            "epoch": 0, "node": own.name, "nodes": [], "partitions": [], "hints": own.hints,
        })),
    }
}

/// The cluster and what this node holds, without asking others: the first message of an event stream.
pub async fn snapshot(admin: &Admin) -> serde_json::Value {
    let own = local(admin).await;
    let view = admin.shared.view();
    serde_json::json!({
        "node": own.name,
        "me": view.as_ref().map(|view| view.me),
        "liveness": view.as_ref().map(|view| view.liveness.clone()),
        "topology": view.as_ref().map(|view| view.topology.as_ref().clone()),
        "local": own,
    })
}

fn json(value: &impl Serialize) -> Json<serde_json::Value> {
    Json(serde_json::to_value(value).unwrap_or_default())
}

/// What this node holds.
pub async fn local(admin: &Admin) -> Local {
    let mut local = Local {
        name: admin.shared.settings.name.clone(),
        epoch: admin.shared.view().map_or(0, |view| view.topology.epoch.0),
        hints: 0,
        keys: 0,
        tombstones: 0,
        roots: BTreeMap::new(),
    };
    for snapshot in admin.snapshots().await {
        local.hints += snapshot.counters.hints_pending;
        local.keys += snapshot.counters.keys;
        local.tombstones += snapshot.counters.tombstones;
        let roots = snapshot.roots.iter().map(|(partition, root)| (partition.0, format!("{root:032x}")));
        local.roots.extend(roots);
    }
    local
}

async fn cluster(admin: &Admin, view: &View, own: Local) -> Cluster {
    let topology = &view.topology;
    let mut answers: BTreeMap<String, Local> = BTreeMap::from([(own.name.clone(), own)]);
    for (_, body) in admin.ask_members(view, "/status?local=1").await {
        if let Ok(local) = serde_json::from_slice::<Local>(&body) {
            answers.insert(local.name.clone(), local);
        }
    }
    let name = |id| topology.member(id).map_or_else(String::new, |member| member.name.clone());
    let partition = |(index, state): (usize, &kvorum_core::ring::PartitionState)| {
        let owners: Vec<String> = state.owners.iter().map(|id| name(*id)).collect();
        let root = |owner: &String| {
            let root = answers.get(owner)?.roots.get(&(index as u16))?;
            Some((owner.clone(), root.clone()))
        };
        let roots = owners.iter().filter_map(root).collect();
        Partition { id: index as u16, next: state.next.iter().map(|id| name(*id)).collect(), roots, owners }
    };
    let node = |member: &kvorum_core::ring::Member| {
        let answer = answers.get(&member.name);
        Node {
            name: member.name.clone(),
            state: view.liveness_of(member.id),
            listen: member.listen.clone(),
            admin: member.admin.clone(),
            peer: member.peer.clone(),
            refilling: member.refilling,
            answers: answer.is_some(),
            hints: answer.map(|local| local.hints),
            keys: answer.map(|local| local.keys),
            primaries: topology.partitions.iter().filter(|p| p.owners.first() == Some(&member.id)).count(),
            replicas: topology.partitions.iter().filter(|p| p.owners.contains(&member.id)).count(),
        }
    };
    Cluster {
        epoch: topology.epoch.0,
        lineage: format!("{:016x}", topology.lineage),
        node: name(view.me),
        partition_count: topology.partition_count(),
        keyspaces: topology.keyspaces.clone(),
        nodes: topology.members.iter().map(node).collect(),
        moving: topology.partitions.iter().filter(|state| !state.next.is_empty()).count(),
        partitions: topology.partitions.iter().enumerate().map(partition).collect(),
        hints: answers.values().map(|local| local.hints).sum(),
        keys: answers.values().map(|local| local.keys).sum(),
        tombstones: answers.values().map(|local| local.tombstones).sum(),
    }
}

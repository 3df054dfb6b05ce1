//! What the page draws of a live cluster, in the shapes that the simulated one has too: `wasm/npm/index.d.ts`.
//!
//! Each member tells of itself and of what it believes; the page asks every member and lays the answers together. A node
//! names others by their place among the members, sorted by number.

use super::{Admin, percent};
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use kvorum_core::base::MemberId;
use kvorum_core::control::{MemberSnapshot, Snapshot as ControlSnapshot};
use kvorum_core::data::Snapshot;
use kvorum_core::ring::{Liveness, Topology};
use serde::Serialize;
use serde_json::{Value, json};

/// Longest key of which a picture is drawn: each of its bytes may take three in an address, and those have a limit.
const KEY_BYTES_MAX: usize = 16 << 10;
/// Distinct reporters that take a member Down, while there are so many others.
const REPORTERS_NEEDED: usize = 2;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ClusterPicture {
    /// As events count it: the node's monotonic time.
    now_us: u64,
    events: u64,
    digest: String,
    epoch: u64,
    keyspace: KeyspacePicture,
    nodes: Vec<NodeSummary>,
    owners: Vec<Vec<usize>>,
    moving: Vec<u16>,
    /// Nobody cuts a real link on purpose, so far as a node can tell.
    cuts: Vec<[usize; 2]>,
    suspicions: Vec<Suspicion>,
    requests: Requests,
}

#[derive(Debug, Serialize)]
struct KeyspacePicture {
    n: u8,
    r: u8,
    w: u8,
    resolve: Value,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct NodeSummary {
    /// By which events name it.
    member: MemberId,
    name: String,
    state: &'static str,
    reporters: Vec<usize>,
    reporters_needed: usize,
    partitions: u32,
    memtable_bytes: u64,
    memtable_bytes_max: u64,
    hints: u64,
    slow_ms: u32,
    loss_permille: u32,
    keys: u64,
    listen: String,
    admin: String,
}

#[derive(Debug, Serialize)]
struct Suspicion {
    by: usize,
    of: usize,
    own: bool,
}

#[derive(Debug, Serialize)]
struct Requests {
    asked: u64,
    done: u64,
}

/// `GET /picture`: the cluster, and if asked for (`node`, `key`) this node and what is known of a key.
pub async fn picture(State(admin): State<Admin>, uri: Uri) -> Response {
    let asked = match Asked::read(uri.query().unwrap_or_default()) {
        Ok(asked) => asked,
        Err(message) => {
            let problem = json!({ "code": "ERR", "message": message });
            return (StatusCode::BAD_REQUEST, Json(problem)).into_response();
        }
    };
    Json(whole(&admin, &asked).await).into_response()
}

/// The first message of an event stream: what `/status` knows without asking others, and the picture.
pub async fn first_message(admin: &Admin) -> Value {
    let mut message = super::status::snapshot(admin).await;
    message["picture"] = cluster(admin).await;
    message
}

async fn whole(admin: &Admin, _asked: &Asked) -> Value {
    json!({ "cluster": cluster(admin).await, "node": Value::Null, "key": Value::Null, "wallMs": admin.now_ms() })
}

async fn cluster(admin: &Admin) -> Value {
    let (Some(control), shards) = (admin.control_snapshot().await, admin.snapshots().await) else {
        return Value::Null;
    };
    let view = admin.shared.view();
    let topology = view.as_ref().map(|view| view.topology.as_ref());
    let picture = ClusterPicture {
        now_us: admin.shared.clock.now().mono.0,
        events: admin.hub.event_count(),
        digest: String::new(),
        epoch: control.epoch.0,
        keyspace: keyspace(topology),
        nodes: control.members.iter().map(|member| summary(&control, member, &shards)).collect(),
        owners: topology.map_or_else(Vec::new, |topology| owners(&control, topology)),
        moving: topology.map_or_else(Vec::new, moving),
        cuts: Vec::new(),
        suspicions: suspicions(&control),
        requests: requests(&shards),
    };
    serde_json::to_value(picture).unwrap_or_default()
}

/// By which a picture names a member.
fn place(control: &ControlSnapshot, id: MemberId) -> Option<usize> {
    control.members.binary_search_by_key(&id, |member| member.id).ok()
}

fn keyspace(topology: Option<&Topology>) -> KeyspacePicture {
    match topology.and_then(|topology| topology.keyspaces.first()) {
        None => KeyspacePicture { n: 0, r: 0, w: 0, resolve: json!("lww") },
        Some(keyspace) => KeyspacePicture {
            n: keyspace.n,
            r: keyspace.r,
            w: keyspace.w,
            resolve: serde_json::to_value(keyspace.resolve).unwrap_or_default(),
        },
    }
}

/// What every member knows of one, and what only this node knows of itself: 0 of the others, who say it themselves.
fn summary(control: &ControlSnapshot, member: &MemberSnapshot, shards: &[Snapshot]) -> NodeSummary {
    let own = if control.me == Some(member.id) { shards } else { &[] };
    let sum = |of: &dyn Fn(&Snapshot) -> u64| own.iter().map(of).sum();
    let reporters = member.suspected_by.iter().filter_map(|line| place(control, line.reporter)).collect();
    NodeSummary {
        member: member.id,
        name: member.name.clone(),
        state: match member.liveness {
            Liveness::Down => "down",
            Liveness::Suspect => "suspect",
            Liveness::Up if member.refilling => "refilling",
            Liveness::Up if member.joining => "joining",
            Liveness::Up => "up",
        },
        reporters,
        reporters_needed: REPORTERS_NEEDED.min(control.members.len().saturating_sub(1)),
        partitions: member.partition_count,
        memtable_bytes: sum(&|shard| shard.engine.memtable_bytes),
        memtable_bytes_max: 0,
        hints: sum(&|shard| shard.counters.hints_pending),
        slow_ms: 0,
        loss_permille: 0,
        keys: sum(&|shard| shard.counters.keys),
        listen: member.listen.clone(),
        admin: member.admin.clone(),
    }
}

fn owners(control: &ControlSnapshot, topology: &Topology) -> Vec<Vec<usize>> {
    let places = |ids: &[MemberId]| ids.iter().filter_map(|id| place(control, *id)).collect();
    topology.partitions.iter().map(|state| places(&state.owners)).collect()
}

fn moving(topology: &Topology) -> Vec<u16> {
    (0..).zip(&topology.partitions).filter(|(_, state)| !state.next.is_empty()).map(|(id, _)| id).collect()
}

/// A report is its reporter's own failed probes; whoever holds one of another has heard of it.
fn suspicions(control: &ControlSnapshot) -> Vec<Suspicion> {
    let Some(me) = control.me.and_then(|me| place(control, me)) else { return Vec::new() };
    let mut all = Vec::new();
    for (of, member) in control.members.iter().enumerate() {
        let reporters: Vec<usize> =
            member.suspected_by.iter().filter_map(|line| place(control, line.reporter)).collect();
        all.extend(reporters.iter().map(|by| Suspicion { by: *by, of, own: true }));
        if !reporters.is_empty() && !reporters.contains(&me) {
            all.push(Suspicion { by: me, of, own: false });
        }
    }
    all
}

/// That this node coordinated, since its start.
fn requests(shards: &[Snapshot]) -> Requests {
    let sum = |of: fn(&Snapshot) -> u64| shards.iter().map(of).sum::<u64>();
    let asked = sum(|shard| shard.counters.gets + shard.counters.puts);
    Requests {
        asked,
        done: asked.saturating_sub(sum(|shard| shard.counters.refused + shard.counters.in_doubt)),
    }
}

/// What is asked for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    key: Option<Vec<u8>>,
    node: bool,
}

impl Asked {
    /// From the raw query: a key that is no UTF-8 is a key too.
    fn read(query: &str) -> Result<Asked, String> {
        let mut asked = Asked::default();
        for part in query.split('&') {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            match name {
                "key" => {
                    // As forms and `URLSearchParams` encode a space.
                    let key = percent::decode(&value.replace('+', " "));
                    let key = key.ok_or("the key is not percent-encoded")?;
                    if key.len() > KEY_BYTES_MAX {
                        return Err(format!(
                            "the key is {} bytes long; pictures are drawn of keys of up to {KEY_BYTES_MAX}",
                            key.len()
                        ));
                    }
                    asked.key = Some(key);
                }
                "node" => asked.node = value != "0",
                _ => {}
            }
        }
        Ok(asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_names_any_key_but_a_huge_one() {
        let asked = |query: &str| Asked::read(query);
        assert_eq!(asked(""), Ok(Asked::default()));
        assert_eq!(asked("node=1"), Ok(Asked { key: None, node: true }));
        let key = |key: &[u8]| Ok(Asked { key: Some(key.to_vec()), node: false });
        assert_eq!(asked("key=city%3AKR+Seoul&node=0"), key(b"city:KR Seoul"));
        assert_eq!(asked("key=%ff%00"), key(&[0xff, 0]));
        assert_eq!(asked("key="), key(b""));
        assert!(asked("key=%f").is_err());
        assert!(asked(&format!("key={}", "k".repeat(KEY_BYTES_MAX))).is_ok());
        let refused = asked(&format!("key={}", "k".repeat(KEY_BYTES_MAX + 1))).unwrap_err();
        assert!(refused.contains("16385") && refused.contains("16384"), "{refused}");
    }
}

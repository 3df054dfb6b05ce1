//! What the page draws of a live cluster, in the shapes that the simulated one has too: `wasm/npm/index.d.ts`.
//!
//! Each member tells of itself and of what it believes; the page asks every member and lays the answers together. A node
//! names others by their place among the members, sorted by number.

use super::copies::copies_of;
use super::{Admin, percent};
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use kvorum_core::data::{HintCount, ShardPicture, Snapshot};
use kvorum_core::node::{
    ClusterPicture, KeyspacePicture, NodePicture, Places, RequestCounts, key_picture, node_picture,
};
use kvorum_core::ring::View;
use kvorum_core::version::Resolve;
use serde_json::{Value, json};

/// Longest key of which a picture is drawn: each of its bytes may take three in an address, and those have a limit.
const KEY_BYTES_MAX: usize = 16 << 10;

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
    let picture = cluster(admin, &admin.pictures(None).await).await;
    message["picture"] = serde_json::to_value(picture).unwrap_or_default();
    message
}

async fn whole(admin: &Admin, asked: &Asked) -> Value {
    let view = admin.shared.view();
    let view = view.as_deref();
    let places = view.map(Places::of).unwrap_or_default();
    let shards = admin.pictures(asked.key.as_deref()).await;
    let node = match view {
        Some(view) if asked.node => Some(node(admin, view, &places, shards.clone()).await),
        _ => None,
    };
    let key = match (view, &asked.key) {
        (Some(view), Some(key)) => {
            let held = copies_of(admin, view, &places, key).await;
            Some(key_picture(view, &places, key, &held))
        }
        _ => None,
    };
    json!({
        "place": view.and_then(|view| places.at(view.me)),
        "members": view.map_or_else(Vec::new, |view| view.topology.members.iter().map(|member| member.id).collect()),
        "wallMs": admin.now_ms(),
        "cluster": cluster(admin, &shards).await,
        "node": node,
        "key": key,
    })
}

/// The cluster as this node sees it. Sizes are of this node alone: the others tell theirs themselves.
async fn cluster(admin: &Admin, shards: &[(ShardPicture, Vec<HintCount>)]) -> ClusterPicture {
    let (seen, counts) = (admin.control_snapshot().await, admin.snapshots().await);
    let view = admin.shared.view();
    let now = admin.shared.clock.now().mono;
    let mut picture = match (&view, &seen) {
        (Some(view), Some(seen)) => ClusterPicture::seen_by(view, seen, &Places::of(view), now),
        // No member of any cluster yet.
        _ => ClusterPicture {
            now_us: now.0,
            events: 0,
            digest: String::new(),
            epoch: 0,
            keyspace: KeyspacePicture { n: 0, r: 0, w: 0, resolve: Resolve::Lww },
            nodes: Vec::new(),
            owners: Vec::new(),
            moving: Vec::new(),
            cuts: Vec::new(),
            suspicions: Vec::new(),
            requests: RequestCounts::default(),
        },
    };
    picture.events = admin.hub.event_count();
    picture.requests = requests(&counts);
    let me = view.as_ref().and_then(|view| Places::of(view).at(view.me));
    if let Some(own) = me.and_then(|me| picture.nodes.get_mut(me as usize)) {
        let sum = |of: &dyn Fn(&Snapshot) -> u64| counts.iter().map(of).sum();
        own.memtable_bytes = sum(&|shard| shard.engine.memtable_bytes);
        own.memtable_bytes_max = shards.iter().map(|(shard, _)| shard.memtable.bytes_max).sum();
        own.hints = sum(&|shard| shard.counters.hints_pending);
        own.keys = sum(&|shard| shard.counters.keys);
    }
    picture
}

/// What this node coordinated since its start.
fn requests(shards: &[Snapshot]) -> RequestCounts {
    let sum = |of: fn(&Snapshot) -> u64| shards.iter().map(of).sum::<u64>();
    let asked = sum(|shard| shard.counters.gets + shard.counters.puts);
    let not_done = sum(|shard| shard.counters.refused + shard.counters.in_doubt);
    RequestCounts { asked, done: asked.saturating_sub(not_done) }
}

async fn node(
    admin: &Admin,
    view: &View,
    places: &Places,
    shards: Vec<(ShardPicture, Vec<HintCount>)>,
) -> NodePicture {
    let differing = admin.differing.now(admin, view).await;
    let (shards, hints): (Vec<_>, Vec<_>) = shards.into_iter().unzip();
    let refilling = view.topology.member(view.me).is_some_and(|member| member.refilling);
    // It answers: whatever others believe, it runs.
    let state = if refilling { "refilling" } else { "up" };
    node_picture(view, places, state, &admin.shared.settings.name, shards, &hints.concat(), &differing)
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

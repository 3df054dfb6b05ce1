//! Which partitions of this node differ from another owner's, for its picture.

use super::Admin;
use super::status::Local;
use kvorum_core::base::PartitionId;
use kvorum_core::ring::View;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Roots are fetched again after so long, however many pages ask.
const FRESH_TIME: Duration = Duration::from_secs(2);

type Roots = BTreeMap<u16, String>;

/// What the last comparison found.
#[derive(Debug, Clone, Default)]
pub struct Differing(Arc<Mutex<Last>>);

#[derive(Debug, Default)]
struct Last {
    at: Option<Instant>,
    /// By member's name.
    roots: BTreeMap<String, Roots>,
    found: BTreeSet<PartitionId>,
}

impl Differing {
    /// Partitions that differ, and did so when last compared: what is being written differs for a moment always.
    pub async fn now(&self, admin: &Admin, view: &View) -> BTreeSet<PartitionId> {
        let mut last = self.0.lock().await;
        if last.at.is_some_and(|at| at.elapsed() < FRESH_TIME) {
            return last.found.clone();
        }
        let own = super::status::local(admin).await;
        let name = own.name.clone();
        let mut roots = BTreeMap::from([(own.name, own.roots)]);
        for (_, body) in admin.ask_members(view, "/status?local=1").await {
            if let Ok(local) = serde_json::from_slice::<Local>(&body) {
                roots.insert(local.name, local.roots);
            }
        }
        let found = differing(&name, &last.roots, &roots);
        *last = Last { at: Some(Instant::now()), roots, found };
        last.found.clone()
    }
}

fn differing(
    me: &str,
    before: &BTreeMap<String, Roots>,
    now: &BTreeMap<String, Roots>,
) -> BTreeSet<PartitionId> {
    let stays = |name: &str, partition: &u16| {
        let root = now.get(name)?.get(partition)?;
        (before.get(name)?.get(partition)? == root).then_some(root)
    };
    let differs = |partition: &u16| {
        let Some(own) = stays(me, partition) else { return false };
        now.keys().filter_map(|name| stays(name, partition)).any(|root| root != own)
    };
    let held = now.get(me).into_iter().flat_map(BTreeMap::keys);
    held.filter(|partition| differs(partition)).map(|partition| PartitionId(*partition)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stays_different_differs() {
        let roots = |texts: [&str; 3]| -> Roots { (0..).zip(texts.map(str::to_owned)).collect() };
        let all = |mine, other| {
            BTreeMap::from([("me".to_owned(), roots(mine)), ("other".to_owned(), roots(other))])
        };
        let before = all(["a", "b", "c"], ["a", "x", "y"]);
        // Partition 1 stays different; 2 is being written.
        let now = all(["a", "b", "d"], ["a", "x", "c"]);
        assert_eq!(differing("me", &before, &now), BTreeSet::from([PartitionId(1)]));
        assert!(differing("me", &BTreeMap::new(), &now).is_empty());
        assert!(differing("nobody", &before, &now).is_empty());
    }
}

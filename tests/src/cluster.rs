//! Several nodes on loopback.

use crate::node::{Node, PATIENCE, complaint, kvorum};
use crate::wait::until;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ops::{Index, IndexMut};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

/// `kvorum status --json`.
#[derive(Debug, Deserialize)]
pub struct Status {
    /// Of the topology.
    pub epoch: u64,
    /// The members.
    pub nodes: Vec<NodeStatus>,
    /// In order.
    pub partitions: Vec<PartitionStatus>,
    /// Waiting for their owners, on all nodes that answer.
    pub hints: u64,
    /// Partitions on their way.
    #[serde(default)]
    pub moving: usize,
}

/// One member in a status.
#[derive(Debug, Deserialize)]
pub struct NodeStatus {
    /// Its name.
    pub name: String,
    /// What is believed of it.
    pub state: String,
    /// For clients.
    pub listen: String,
    /// Partitions of which it is the first owner.
    #[serde(default)]
    pub primaries: usize,
    /// Whether its store is still being filled.
    #[serde(default)]
    pub refilling: bool,
}

/// One partition in a status.
#[derive(Debug, Deserialize)]
pub struct PartitionStatus {
    /// Its number.
    pub id: u16,
    /// Names, first owner first.
    pub owners: Vec<String>,
    /// Root of each owner's tree.
    pub roots: BTreeMap<String, String>,
}

impl Status {
    /// As the node at this admin URL sees it.
    pub fn of(url: &str) -> Result<Status, String> {
        let output = kvorum(&["status", "--json", "--admin", url]);
        if !output.status.success() {
            return Err(complaint(&output));
        }
        serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
    }
    /// What a member is believed to be.
    pub fn state_of(&self, name: &str) -> &str {
        self.nodes.iter().find(|node| node.name == name).map_or("", |node| &node.state)
    }
    /// `Ok` if every partition has one root, told by each of its owners; else how far it is from that.
    pub fn agreement(&self) -> Result<(), String> {
        let is_known = |partition: &&PartitionStatus| partition.roots.len() == partition.owners.len();
        let unknown = self.partitions.iter().filter(|partition| !is_known(partition)).count();
        let differs = |partition: &&PartitionStatus| {
            partition.roots.values().any(|root| Some(root) != partition.roots.values().next())
        };
        let differing: Vec<u16> = self.partitions.iter().filter(differs).map(|p| p.id).collect();
        if unknown == 0 && differing.is_empty() && !self.partitions.is_empty() {
            return Ok(());
        }
        Err(format!(
            "{} partitions differ {:?}, {unknown} of {} are not told by all owners",
            differing.len(),
            &differing[..differing.len().min(8)],
            self.partitions.len()
        ))
    }
}

/// Nodes `n1`, `n2`, … under one temporary folder.
pub struct Cluster {
    /// The nodes.
    pub nodes: Vec<Node>,
    dir: TempDir,
}

impl Cluster {
    /// Starts `count` nodes with the same flags and waits until all are members and ready.
    pub fn start(count: usize, flags: &[&str]) -> Cluster {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut cluster = Cluster { nodes: Vec::new(), dir };
        cluster.add(flags).spawn(&["--bootstrap"]);
        cluster[0].wait_ready();
        for _ in 1..count {
            let seed = cluster[0].peer.to_string();
            cluster.add(flags).spawn(&["--join", &seed]);
        }
        cluster.wait_whole();
        cluster
    }
    /// Its folder.
    pub fn root(&self) -> &Path {
        self.dir.path()
    }
    /// One more node, not yet running.
    pub fn add(&mut self, flags: &[&str]) -> &mut Node {
        let name = format!("n{}", self.nodes.len() + 1);
        let node = Node::new(self.dir.path(), &name, flags);
        self.nodes.push(node);
        self.nodes.last_mut().expect("one was pushed")
    }
    /// How the node at `index` starts again, or for the first time.
    pub fn spawn(&mut self, index: usize) {
        let seed = self.nodes[usize::from(index == 0)].peer.to_string();
        self.nodes[index].spawn(&["--join", &seed]);
    }
    /// A status as any node that answers sees it.
    pub fn status(&self) -> Result<Status, String> {
        let mut complaint = "no node".to_owned();
        for node in &self.nodes {
            match Status::of(&node.url()) {
                Ok(status) => return Ok(status),
                Err(why) => complaint = why,
            }
        }
        Err(complaint)
    }
    /// Waits until every node is ready and sees all of them up, and nothing moves.
    pub fn wait_whole(&mut self) -> Duration {
        let began = std::time::Instant::now();
        for node in &mut self.nodes {
            node.wait_ready();
        }
        for node in &self.nodes {
            until(PATIENCE, &format!("{} sees the whole cluster", node.name), || {
                let status = Status::of(&node.url())?;
                let up = status.nodes.iter().filter(|n| n.state == "up" && !n.refilling).count();
                if up != self.nodes.len() || status.nodes.len() != up || status.moving > 0 {
                    let seen: Vec<_> = status
                        .nodes
                        .iter()
                        .map(|n| format!("{} {} {}", n.name, n.state, n.refilling))
                        .collect();
                    return Err(format!("{seen:?}, {} moving", status.moving));
                }
                Ok(())
            });
        }
        began.elapsed()
    }
    /// Waits until all owners of each partition have the same root and no hint is left.
    pub fn wait_agreed(&self, deadline: Duration) -> Duration {
        until(deadline, "all owners agree", || {
            let status = self.status()?;
            status.agreement()?;
            if status.hints > 0 { Err(format!("{} hints wait", status.hints)) } else { Ok(()) }
        })
        .1
    }
}

impl Index<usize> for Cluster {
    type Output = Node;
    fn index(&self, index: usize) -> &Node {
        &self.nodes[index]
    }
}

impl IndexMut<usize> for Cluster {
    fn index_mut(&mut self, index: usize) -> &mut Node {
        &mut self.nodes[index]
    }
}

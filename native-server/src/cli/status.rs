use super::client::{Answer, Client};
use super::{AdminOptions, DONE, NOT_DONE, complain};
use clap::Args;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::Write;

/// Flags of `kvorum status`.
#[derive(Debug, Args)]
pub struct StatusOptions {
    /// For programs: everything, with the root of each owner's tree for each partition
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    admin: AdminOptions,
}

#[derive(Debug, Deserialize)]
struct Status {
    epoch: u64,
    nodes: Vec<Node>,
    partitions: Vec<Partition>,
    hints: u64,
    #[serde(default)]
    moving: usize,
    #[serde(default)]
    keyspaces: Vec<Keyspace>,
}

#[derive(Debug, Deserialize)]
struct Keyspace {
    n: u8,
    r: u8,
    w: u8,
    resolve: String,
    durability: String,
}

#[derive(Debug, Deserialize)]
struct Node {
    name: String,
    state: String,
    listen: String,
    refilling: bool,
    answers: bool,
    hints: Option<u64>,
    keys: Option<u64>,
    primaries: usize,
    replicas: usize,
}

#[derive(Debug, Deserialize)]
struct Partition {
    owners: Vec<String>,
    roots: BTreeMap<String, String>,
}

/// `kvorum status`.
pub fn run(options: &StatusOptions) -> u8 {
    let body = match Client::new(&options.admin).get("/status").and_then(Answer::done) {
        Ok(body) => body,
        Err(why) => {
            complain(why);
            return NOT_DONE;
        }
    };
    let text = if options.json {
        String::from_utf8_lossy(&body).into_owned() + "\n"
    } else {
        match serde_json::from_slice(&body) {
            Ok(status) => table(&status),
            Err(error) => {
                complain(format!("the node's status cannot be read: {error}"));
                return NOT_DONE;
            }
        }
    };
    let mut out = std::io::stdout().lock();
    if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_ok() { DONE } else { NOT_DONE }
}

fn table(status: &Status) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    if status.nodes.is_empty() {
        return "this node is no member of a cluster yet\n".into();
    }
    let rows = status.nodes.iter().map(|node| {
        let number = |value: Option<u64>| value.map_or_else(|| "?".into(), |value| value.to_string());
        let state = match (node.state.as_str(), node.refilling, node.answers) {
            (state, true, _) => format!("{state}, refilling"),
            ("up", _, false) => "up, no answer".into(),
            (state, ..) => state.to_owned(),
        };
        [
            node.name.clone(),
            state,
            node.listen.clone(),
            number(node.keys),
            node.primaries.to_string(),
            node.replicas.to_string(),
            number(node.hints),
        ]
    });
    let head = ["NODE", "STATE", "CLIENTS", "KEYS", "FIRST FOR", "HOLDS", "HINTS"].map(String::from);
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    let mut widths = [0; 7];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.len());
        }
    }
    for row in &rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        let _ = writeln!(text, "{}", line.trim_end());
    }
    let known = |partition: &&Partition| partition.roots.len() == partition.owners.len();
    let compared = status.partitions.iter().filter(known);
    let (mut same, mut differ) = (0, 0);
    for partition in compared {
        let mut roots = partition.roots.values();
        let first = roots.next();
        if roots.all(|root| Some(root) == first) { same += 1 } else { differ += 1 }
    }
    let unknown = status.partitions.len() - same - differ;
    let _ = writeln!(text);
    if let Some(k) = status.keyspaces.first() {
        let _ = writeln!(text, "N={} R={} W={}, {}, durability {}", k.n, k.r, k.w, k.resolve, k.durability);
    }
    let _ = writeln!(
        text,
        "epoch {}, {} partitions: {same} the same on all owners, {differ} differ, {unknown} not compared, {} moving",
        status.epoch,
        status.partitions.len(),
        status.moving
    );
    let _ = writeln!(text, "hints waiting for their owners: {}", status.hints);
    text
}

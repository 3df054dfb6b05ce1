//! A load of writes that remembers what was acknowledged.
//!
//! Each connection writes keys of its own, one write at a time, with numbers that only grow: so what a key may hold
//! afterwards is known exactly.

use crate::resp::{Client, Reply};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Longest wait for one reply: a request that takes longer counts as one whose outcome nobody knows.
const REPLY_MAX: Duration = Duration::from_secs(15);
/// Pause before a connection that broke is made anew.
const RECONNECT_PAUSE: Duration = Duration::from_millis(50);

/// What to write, where.
pub struct Plan {
    /// Of the nodes to write through.
    pub nodes: Vec<SocketAddr>,
    /// Connections to each of them.
    pub connections: usize,
    /// Keys of each connection, written in turn.
    pub keys: usize,
    /// Length of a value, at least; it begins with the number of the write.
    pub value_bytes: usize,
    /// What all keys begin with, so that two loads do not meet.
    pub prefix: String,
}

impl Plan {
    /// Eight connections to each of these nodes, 400 keys each, values of 100 bytes.
    pub fn through(nodes: &[SocketAddr]) -> Plan {
        Plan { nodes: nodes.to_vec(), connections: 8, keys: 400, value_bytes: 100, prefix: "load".into() }
    }
}

#[derive(Debug, Clone, Default)]
struct Key {
    /// Number of the last acknowledged write; 0 is none.
    acked: u64,
    /// Numbers of writes of which nobody knows, refused ones among them.
    unknown: Vec<u64>,
}

struct Lane {
    node: usize,
    prefix: String,
    keys: Vec<Key>,
    /// When each was acknowledged, since the beginning.
    acked_at: Vec<Duration>,
    slowest: Duration,
    refused: BTreeMap<String, u64>,
    examples: BTreeMap<String, String>,
    broken: u64,
}

/// A load under way.
pub struct Load {
    stop: Arc<AtomicBool>,
    acked: Arc<AtomicU64>,
    threads: Vec<JoinHandle<Lane>>,
    began: Instant,
    nodes: Vec<SocketAddr>,
}

impl Load {
    /// Begins to write.
    pub fn start(plan: &Plan) -> Load {
        let (stop, acked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let began = Instant::now();
        let mut threads = Vec::new();
        for (node, address) in plan.nodes.iter().copied().enumerate() {
            for connection in 0..plan.connections {
                let mut lane = Lane {
                    node,
                    prefix: format!("{}:{node}:{connection}:", plan.prefix),
                    keys: vec![Key::default(); plan.keys],
                    acked_at: Vec::new(),
                    slowest: Duration::ZERO,
                    refused: BTreeMap::new(),
                    examples: BTreeMap::new(),
                    broken: 0,
                };
                let (stop, acked, bytes) = (stop.clone(), acked.clone(), plan.value_bytes);
                threads.push(std::thread::spawn(move || {
                    lane.run(address, bytes, began, &stop, &acked);
                    lane
                }));
            }
        }
        Load { stop, acked, threads, began, nodes: plan.nodes.clone() }
    }
    /// Writes acknowledged so far.
    pub fn acked(&self) -> u64 {
        self.acked.load(Ordering::Relaxed)
    }
    /// Waits until so many are acknowledged.
    pub fn wait_acked(&self, count: u64) {
        crate::wait::until(Duration::from_secs(60), &format!("{count} writes are acknowledged"), || {
            if self.acked() >= count { Ok(()) } else { Err(format!("{} are", self.acked())) }
        });
    }
    /// Ends it.
    pub fn finish(self) -> Outcome {
        self.stop.store(true, Ordering::Relaxed);
        let threads = self.threads.into_iter();
        let lanes: Vec<Lane> = threads.map(|thread| thread.join().expect("the load goes on")).collect();
        Outcome { lanes, took: self.began.elapsed(), nodes: self.nodes }
    }
}

fn value_of(number: u64, bytes: usize) -> Vec<u8> {
    let mut value = format!("{number} ").into_bytes();
    value.resize(bytes.max(value.len()), b'.');
    value
}

fn number_of(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.split(' ').next()?.parse().ok()
}

impl Lane {
    fn run(
        &mut self,
        address: SocketAddr,
        bytes: usize,
        began: Instant,
        stop: &AtomicBool,
        acked: &AtomicU64,
    ) {
        let mut connection = None;
        let mut number = 0;
        while !stop.load(Ordering::Relaxed) {
            let client = match &mut connection {
                Some(client) => client,
                None => match Client::connect(address, REPLY_MAX) {
                    Ok(client) => connection.insert(client),
                    Err(_) => {
                        std::thread::sleep(RECONNECT_PAUSE);
                        continue;
                    }
                },
            };
            let index = number as usize % self.keys.len();
            number += 1;
            let name = format!("{}{index}", self.prefix);
            let asked_at = Instant::now();
            let reply = client.ask_bytes(&[b"SET", name.as_bytes(), &value_of(number, bytes)]);
            let key = &mut self.keys[index];
            match reply {
                Ok(Reply::Simple(_)) => {
                    key.acked = number;
                    self.acked_at.push(began.elapsed());
                    acked.fetch_add(1, Ordering::Relaxed);
                }
                Ok(other) => {
                    key.unknown.push(number);
                    let text = other.error().to_owned();
                    let code = text.split(' ').next().unwrap_or_default().to_owned();
                    *self.refused.entry(code.clone()).or_default() += 1;
                    self.examples.entry(code).or_insert(text);
                }
                Err(_) => {
                    key.unknown.push(number);
                    self.broken += 1;
                    connection = None;
                }
            }
            self.slowest = self.slowest.max(asked_at.elapsed());
        }
    }
}

/// What became of a load.
pub struct Outcome {
    lanes: Vec<Lane>,
    took: Duration,
    nodes: Vec<SocketAddr>,
}

impl Outcome {
    /// Writes acknowledged.
    pub fn acked(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.acked_at.len() as u64).sum()
    }
    /// Longest time in which one of the nodes acknowledged nothing.
    pub fn longest_gap(&self) -> Duration {
        (0..self.nodes.len()).map(|node| self.longest_gap_of(node)).max().unwrap_or_default()
    }
    fn longest_gap_of(&self, node: usize) -> Duration {
        let lanes = self.lanes.iter().filter(|lane| lane.node == node);
        let mut times: Vec<Duration> = lanes.flat_map(|lane| lane.acked_at.iter().copied()).collect();
        times.sort_unstable();
        // A node that fell silent for good fell silent until the end.
        times.push(self.took);
        times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(self.took)
    }
    /// Longest time a request took, whatever its reply.
    pub fn slowest(&self) -> Duration {
        self.lanes.iter().map(|lane| lane.slowest).max().unwrap_or_default()
    }
    /// Refusals by the first word of the reply.
    pub fn refused(&self) -> BTreeMap<String, u64> {
        let mut sums = BTreeMap::new();
        for (code, count) in self.lanes.iter().flat_map(|lane| &lane.refused) {
            *sums.entry(code.clone()).or_default() += count;
        }
        sums
    }
    /// Panics if a request failed in a way that does not say "not done, try again".
    pub fn assert_only_retryable(&self) {
        for lane in &self.lanes {
            for (code, text) in &lane.examples {
                assert!(["TRYAGAIN", "CLUSTERDOWN"].contains(&code.as_str()), "a write failed with: {text}");
            }
            assert_eq!(lane.broken, 0, "a connection broke");
        }
    }
    /// The figures in a line.
    pub fn line(&self) -> String {
        format!(
            "{} writes acknowledged in {:.1} s ({:.0}/s), longest gap {} ms, slowest request {} ms, refused {:?}, broken {}",
            self.acked(),
            self.took.as_secs_f64(),
            self.acked() as f64 / self.took.as_secs_f64(),
            self.longest_gap().as_millis(),
            self.slowest().as_millis(),
            self.refused(),
            self.lanes.iter().map(|lane| lane.broken).sum::<u64>(),
        )
    }
    /// Reads every key through a node and panics if an acknowledged write is lost or a value was invented.
    pub fn assert_kept(&self, through: SocketAddr) {
        let mut client = Client::connect(through, REPLY_MAX).expect("the node takes clients");
        let mut problems = Vec::new();
        for lane in &self.lanes {
            for index in 0..lane.keys.len() {
                client.push(&[b"GET", format!("{}{index}", lane.prefix).as_bytes()]);
            }
            client.flush().expect("the keys are asked for");
            for (index, key) in lane.keys.iter().enumerate() {
                let mut reply = client.receive().expect("the key is answered");
                let name = format!("{}{index}", lane.prefix);
                // A read may be told to try again, and does so.
                for _ in 0..20 {
                    if !["TRYAGAIN", "CLUSTERDOWN", "INDOUBT"]
                        .iter()
                        .any(|code| reply.error().starts_with(code))
                    {
                        break;
                    }
                    std::thread::sleep(RECONNECT_PAUSE);
                    let mut again = Client::connect(through, REPLY_MAX).expect("the node takes clients");
                    reply = again.ask(&["GET", &name]).expect("the key is answered");
                }
                let found = match &reply {
                    Reply::Null => 0,
                    Reply::Bulk(value) => number_of(value).unwrap_or(u64::MAX),
                    other => {
                        problems.push(format!("{name}: {other:?}"));
                        continue;
                    }
                };
                // A write of which nobody knows may have come to pass, at any time until its end.
                if found != key.acked && !key.unknown.contains(&found) {
                    problems.push(format!(
                        "{name}: write {} was acknowledged, {found} is there, unknown are {:?}",
                        key.acked, key.unknown
                    ));
                }
            }
        }
        let count = problems.len();
        problems.truncate(10);
        assert_eq!(count, 0, "of {} keys:\n{}", self.key_count(), problems.join("\n"));
    }
    /// Keys with at least one acknowledged write.
    pub fn key_count(&self) -> usize {
        self.lanes.iter().flat_map(|lane| &lane.keys).filter(|key| key.acked > 0).count()
    }
}

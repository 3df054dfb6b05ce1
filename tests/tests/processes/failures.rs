//! Nodes that die, stall and return under load.

use kvorum_tests::cluster::{Cluster, Status};
use kvorum_tests::load::{Load, Outcome, Plan};
use kvorum_tests::node::Node;
use kvorum_tests::resp::Reply;
use kvorum_tests::say;
use kvorum_tests::wait::until;
use rustix::process::Signal;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Writes of a load in which something fails.
const WRITES: u64 = 50_000;
/// All owners agree within this after the load's end.
const AGREED_WITHIN: Duration = Duration::from_secs(20);
/// Far beyond the second that gaps and requests should stay below, because timings are not asserted.
const GAP_MAX: Duration = Duration::from_secs(3);

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    /// `kill -9`, and a start on the same folder.
    Kill,
    /// SIGSTOP for four seconds.
    Stop,
}

/// All nodes but one.
fn others(cluster: &Cluster, victim: usize) -> Vec<SocketAddr> {
    let live = cluster.nodes.iter().enumerate().filter(|(index, _)| *index != victim);
    live.map(|(_, node)| node.listen).collect()
}

/// Puts while a node is away, a hundred of them: how many counted a hint toward W.
fn hinted_puts(through: &Node) -> i64 {
    let mut client = through.client();
    let hinted = (0..100).filter_map(|index| {
        let reply = client.ask(&["KV.PUT", &format!("hinted:{index}"), "v"]).unwrap();
        reply.field("hinted").and_then(Reply::integer)
    });
    hinted.sum()
}

/// One round: a load through all nodes but the victim, which fails and returns meanwhile.
fn round(cluster: &mut Cluster, victim: usize, fault: Fault) -> Outcome {
    let has_fallbacks = cluster.nodes.len() > 3;
    let live = (victim + 1) % cluster.nodes.len();
    let name = cluster[victim].name.clone();
    let prefix = format!("{name}-fails");
    let load = Load::start(&Plan { prefix, ..Plan::through(&others(cluster, victim)) });
    load.wait_acked(WRITES / 5);
    match fault {
        Fault::Kill => cluster[victim].kill(),
        Fault::Stop => cluster[victim].signal(Signal::STOP),
    }
    let began = Instant::now();
    let mut hints = String::new();
    if has_fallbacks {
        let (count, after) = until(Duration::from_secs(10), "fallbacks hold hints", || {
            let status = Status::of(&cluster[live].url())?;
            let state = status.state_of(&name);
            if status.hints > 0 { Ok(status.hints) } else { Err(format!("{name} is {state}")) }
        });
        let hinted = hinted_puts(&cluster[live]);
        assert!(hinted > 0, "no put counted a hint");
        let after = after.as_secs_f64();
        hints = format!("; first hints ({count}) after {after:.1} s, {hinted} of 100 puts counted one");
    }
    match fault {
        Fault::Kill => {
            load.wait_acked(WRITES * 7 / 10);
            cluster.spawn(victim);
        }
        Fault::Stop => {
            // The length of the fault, not a wait for something.
            std::thread::sleep(Duration::from_secs(4).saturating_sub(began.elapsed()));
            cluster[victim].signal(Signal::CONT);
        }
    }
    load.wait_acked(WRITES);
    let outcome = load.finish();
    let agreed = cluster.wait_agreed(AGREED_WITHIN);
    let what = if fault == Fault::Kill { "kill -9" } else { "SIGSTOP" };
    let count = cluster.nodes.len();
    say(format!(
        "{what} of {name} of {count}: {}{hints}; agreed after {:.1} s",
        outcome.line(),
        agreed.as_secs_f64()
    ));
    for node in &cluster.nodes {
        outcome.assert_kept(node.listen);
    }
    outcome.assert_only_retryable();
    assert!(outcome.longest_gap() < GAP_MAX && outcome.slowest() < GAP_MAX, "{}", outcome.line());
    cluster.wait_whole();
    outcome
}

fn rounds(count: usize, fault: Fault) {
    let mut cluster = Cluster::start(count, &[]);
    let outcomes: Vec<Outcome> = (0..3).map(|victim| round(&mut cluster, victim, fault)).collect();
    let median = |of: fn(&Outcome) -> Duration| {
        let mut all: Vec<Duration> = outcomes.iter().map(of).collect();
        all.sort_unstable();
        all[all.len() / 2].as_millis()
    };
    let (gap, slowest) = (median(Outcome::longest_gap), median(Outcome::slowest));
    say(format!("median of 3: longest gap {gap} ms, slowest request {slowest} ms"));
}

#[test]
fn three_nodes_lose_nothing_whichever_is_killed() {
    rounds(3, Fault::Kill);
}

#[test]
fn three_nodes_lose_nothing_whichever_stalls_for_four_seconds() {
    rounds(3, Fault::Stop);
}

#[test]
fn of_five_nodes_fallbacks_hold_hints_for_a_killed_one_and_hand_them_over() {
    rounds(5, Fault::Kill);
}

#[test]
fn of_five_nodes_fallbacks_hold_hints_for_a_stalled_one_and_hand_them_over() {
    rounds(5, Fault::Stop);
}

#[test]
fn everything_acknowledged_is_there_after_all_three_were_killed_at_once() {
    let mut cluster = Cluster::start(3, &[]);
    let all: Vec<SocketAddr> = cluster.nodes.iter().map(|node| node.listen).collect();
    let load = Load::start(&Plan::through(&all));
    load.wait_acked(10_000);
    for node in &mut cluster.nodes {
        node.kill();
    }
    let outcome = load.finish();
    for index in 0..3 {
        cluster.spawn(index);
    }
    let whole = cluster.wait_whole();
    for node in &cluster.nodes {
        outcome.assert_kept(node.listen);
    }
    let agreed = cluster.wait_agreed(AGREED_WITHIN);
    say(format!(
        "kill -9 of all 3: {} writes acknowledged, none of {} keys lost; whole again after {:.1} s, agreed after {:.1} s more",
        outcome.acked(),
        outcome.key_count(),
        whole.as_secs_f64(),
        agreed.as_secs_f64()
    ));
}

#[test]
fn of_sequential_sets_through_different_nodes_the_last_one_wins() {
    let cluster = Cluster::start(3, &[]);
    let mut clients: Vec<_> = cluster.nodes.iter().map(|node| node.client()).collect();
    for round in 0..1_500usize {
        let key = format!("turn:{}", round % 7);
        let value = round.to_string();
        let writer = round % 3;
        assert_eq!(clients[writer].ask(&["SET", &key, &value]).unwrap(), Reply::ok());
        let reader = (round / 3) % 3;
        assert_eq!(clients[reader].ask(&["GET", &key]).unwrap(), Reply::bulk(&value), "round {round}");
    }
}

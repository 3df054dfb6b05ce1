//! Nodes that die, stall and return under load.

use kvorum_tests::cluster::Cluster;
use kvorum_tests::load::{Load, Outcome, Plan};
use kvorum_tests::resp::Reply;
use kvorum_tests::say;
use kvorum_tests::wait::until;
use rustix::process::Signal;
use std::net::SocketAddr;
use std::time::Duration;

/// Writes of a load in which something fails.
const WRITES: u64 = 50_000;
/// All owners agree within this after the load's end.
const AGREED_WITHIN: Duration = Duration::from_secs(20);
/// Far beyond the second that gaps and requests should stay below, because timings are not asserted.
const GAP_MAX: Duration = Duration::from_secs(3);

#[derive(Clone, Copy)]
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

fn load_with(cluster: &mut Cluster, victim: usize, fault: Fault) -> Outcome {
    let load = Load::start(&Plan::through(&others(cluster, victim)));
    load.wait_acked(WRITES / 5);
    match fault {
        Fault::Kill => {
            cluster[victim].kill();
            load.wait_acked(WRITES * 7 / 10);
            cluster.spawn(victim);
        }
        Fault::Stop => {
            cluster[victim].signal(Signal::STOP);
            // The length of the fault, not a wait for something.
            std::thread::sleep(Duration::from_secs(4));
            cluster[victim].signal(Signal::CONT);
        }
    }
    load.wait_acked(WRITES);
    load.finish()
}

fn one_of_three_fails(victim: usize, fault: Fault, what: &str) {
    let mut cluster = Cluster::start(3, &[]);
    let outcome = load_with(&mut cluster, victim, fault);
    let agreed = cluster.wait_agreed(AGREED_WITHIN);
    say(format!(
        "{what} n{} of 3: {}; agreed after {:.1} s",
        victim + 1,
        outcome.line(),
        agreed.as_secs_f64()
    ));
    for node in &cluster.nodes {
        outcome.assert_kept(node.listen);
    }
    outcome.assert_only_retryable();
    assert!(outcome.longest_gap() < GAP_MAX && outcome.slowest() < GAP_MAX, "{}", outcome.line());
}

#[test]
fn three_nodes_lose_nothing_when_the_first_is_killed() {
    one_of_three_fails(0, Fault::Kill, "kill -9 of");
}

#[test]
fn three_nodes_lose_nothing_when_the_second_is_killed() {
    one_of_three_fails(1, Fault::Kill, "kill -9 of");
}

#[test]
fn three_nodes_lose_nothing_when_the_third_is_killed() {
    one_of_three_fails(2, Fault::Kill, "kill -9 of");
}

#[test]
fn three_nodes_lose_nothing_when_one_stalls_for_four_seconds() {
    one_of_three_fails(1, Fault::Stop, "SIGSTOP of");
}

fn one_of_five_fails(fault: Fault, what: &str) {
    let mut cluster = Cluster::start(5, &[]);
    let load = Load::start(&Plan::through(&others(&cluster, 4)));
    load.wait_acked(WRITES / 5);
    match fault {
        Fault::Kill => cluster[4].kill(),
        Fault::Stop => cluster[4].signal(Signal::STOP),
    }
    let began = std::time::Instant::now();
    let (hints, after) = until(Duration::from_secs(10), "fallbacks hold hints", || {
        let status = cluster.status()?;
        if status.hints > 0 { Ok(status.hints) } else { Err(format!("n5 is {}", status.state_of("n5"))) }
    });
    // Counted toward W: some replies say so.
    let mut client = cluster[0].client();
    let hinted = (0..100).filter_map(|index| {
        let reply = client.ask(&["KV.PUT", &format!("hinted:{index}"), "v"]).unwrap();
        reply.field("hinted").and_then(Reply::integer)
    });
    let hinted: i64 = hinted.sum();
    match fault {
        Fault::Kill => {
            load.wait_acked(WRITES * 7 / 10);
            cluster.spawn(4);
        }
        Fault::Stop => {
            std::thread::sleep(Duration::from_secs(4).saturating_sub(began.elapsed()));
            cluster[4].signal(Signal::CONT);
        }
    }
    load.wait_acked(WRITES);
    let outcome = load.finish();
    let agreed = cluster.wait_agreed(AGREED_WITHIN);
    say(format!(
        "{what} n5 of 5: {}; first hints ({hints}) after {:.1} s, {hinted} of 100 puts counted a hint, agreed after {:.1} s",
        outcome.line(),
        after.as_secs_f64(),
        agreed.as_secs_f64()
    ));
    for node in &cluster.nodes {
        outcome.assert_kept(node.listen);
    }
    outcome.assert_only_retryable();
    assert!(hinted > 0, "no put counted a hint");
    assert!(outcome.longest_gap() < GAP_MAX && outcome.slowest() < GAP_MAX, "{}", outcome.line());
}

#[test]
fn fallbacks_hold_hints_for_a_killed_node_and_hand_them_over() {
    one_of_five_fails(Fault::Kill, "kill -9 of");
}

#[test]
fn fallbacks_hold_hints_for_a_stalled_node_and_hand_them_over() {
    one_of_five_fails(Fault::Stop, "SIGSTOP of");
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

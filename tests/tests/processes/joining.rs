//! A fourth node joins three that are at work.

use kvorum_tests::cluster::{Cluster, Status};
use kvorum_tests::load::{Load, Plan};
use kvorum_tests::resp::{Client, Reply};
use kvorum_tests::say;
use kvorum_tests::wait::until;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Everything has moved within this.
const MOVED_WITHIN: Duration = Duration::from_secs(90);

/// Slots by the port of the node that `CLUSTER SLOTS` names first, and by all that it names.
fn slots(client: &mut Client) -> (BTreeMap<i64, i64>, BTreeMap<i64, i64>) {
    let (mut first, mut any) = (BTreeMap::new(), BTreeMap::new());
    for range in client.ask(&["CLUSTER", "SLOTS"]).unwrap().items() {
        let number = |index: usize| range.items()[index].integer().unwrap();
        let count = number(1) - number(0) + 1;
        let ports = range.items()[2..].iter().map(|node| node.items()[1].integer().unwrap());
        for (index, port) in ports.enumerate() {
            *any.entry(port).or_default() += count;
            if index == 0 {
                *first.entry(port).or_default() += count;
            }
        }
    }
    (first, any)
}

fn wait_moved(cluster: &Cluster, members: usize) -> Duration {
    until(MOVED_WITHIN, "all partitions are where they belong", || {
        let status = cluster.status()?;
        let primaries: Vec<usize> = status.nodes.iter().map(|node| node.primaries).collect();
        let (fewest, most) = (primaries.iter().min(), primaries.iter().max());
        let is_fair = most.zip(fewest).is_some_and(|(most, fewest)| most - fewest <= 1);
        let is_done = status.nodes.len() == members && status.moving == 0 && is_fair;
        if is_done { Ok(()) } else { Err(format!("first for {primaries:?}, {} moving", status.moving)) }
    })
    .1
}

#[test]
fn a_fourth_node_takes_its_fair_share_under_load_and_nothing_is_lost() {
    let mut cluster = Cluster::start(3, &[]);
    let nodes: Vec<SocketAddr> = cluster.nodes.iter().map(|node| node.listen).collect();
    let load = Load::start(&Plan { connections: 4, keys: 2_000, ..Plan::through(&nodes) });
    load.wait_acked(20_000);
    cluster.add(&[]);
    cluster.spawn(3);
    let began = Instant::now();
    cluster[3].wait_ready();
    let ready = began.elapsed();
    wait_moved(&cluster, 4);
    let moved = began.elapsed();
    let outcome = load.finish();
    let agreed = cluster.wait_agreed(Duration::from_secs(20));
    say(format!(
        "4th node joins: ready after {:.1} s, all moved after {:.1} s, agreed {:.1} s after the load; {}",
        ready.as_secs_f64(),
        moved.as_secs_f64(),
        agreed.as_secs_f64(),
        outcome.line()
    ));
    for node in &cluster.nodes {
        outcome.assert_kept(node.listen);
        // Each node tells the same to stock clients: 1,024 partitions of 16 slots, 256 for each.
        let (first, any) = slots(&mut node.client());
        assert_eq!(first.values().sum::<i64>(), 16_384);
        assert!(first.len() == 4 && first.values().all(|count| (count / 16 - 256).abs() <= 1), "{first:?}");
        assert_eq!(any.values().sum::<i64>(), 3 * 16_384);
    }
    outcome.assert_only_retryable();
}

#[test]
fn a_cluster_takes_writes_while_it_grows_from_one_node_to_three() {
    let mut cluster = Cluster::start(1, &[]);
    let load = Load::start(&Plan::through(&[cluster[0].listen]));
    load.wait_acked(1_000);
    for index in 1..3 {
        cluster.add(&[]);
        cluster.spawn(index);
    }
    let whole = cluster.wait_whole();
    let acked = load.acked();
    load.wait_acked(acked + 1_000);
    let outcome = load.finish();
    let agreed = cluster.wait_agreed(Duration::from_secs(20));
    say(format!(
        "from 1 node to 3 in {:.1} s, agreed after {:.1} s more; {}",
        whole.as_secs_f64(),
        agreed.as_secs_f64(),
        outcome.line()
    ));
    for node in &cluster.nodes {
        outcome.assert_kept(node.listen);
    }
    outcome.assert_only_retryable();
    assert!(outcome.longest_gap() < Duration::from_secs(3), "{}", outcome.line());
}

#[test]
fn a_joiner_that_is_killed_in_the_midst_of_it_goes_on_when_it_is_back() {
    let mut cluster = Cluster::start(3, &[]);
    let nodes: Vec<SocketAddr> = cluster.nodes.iter().map(|node| node.listen).collect();
    let load = Load::start(&Plan { connections: 2, keys: 1_000, ..Plan::through(&nodes) });
    load.wait_acked(5_000);
    cluster.add(&[]);
    cluster.spawn(3);
    until(MOVED_WITHIN, "some partitions have moved", || {
        let status = cluster.status()?;
        let held = status.nodes.iter().find(|node| node.name == "n4").map_or(0, |node| node.primaries);
        if held > 20 { Ok(()) } else { Err(format!("n4 is first for {held}")) }
    });
    cluster[3].kill();
    let acked = load.acked();
    load.wait_acked(acked + 5_000);
    cluster.spawn(3);
    let moved = wait_moved(&cluster, 4);
    let outcome = load.finish();
    cluster.wait_agreed(Duration::from_secs(20));
    say(format!(
        "killed while joining: all moved {:.1} s after its return; {}",
        moved.as_secs_f64(),
        outcome.line()
    ));
    for node in &cluster.nodes {
        outcome.assert_kept(node.listen);
    }
    outcome.assert_only_retryable();
}

#[test]
fn clients_are_not_sent_to_a_node_that_is_down() {
    let mut cluster = Cluster::start(3, &["--partitions", "64"]);
    let mut client = cluster[0].client();
    assert_eq!(slots(&mut client).0.len(), 3);
    let gone = i64::from(cluster[2].listen.port());
    cluster[2].kill();
    let (_, took) = until(Duration::from_secs(20), "it is left out", || {
        let (first, any) = slots(&mut client);
        assert_eq!(first.values().sum::<i64>(), 16_384, "every slot has a node");
        if any.contains_key(&gone) { Err(format!("{any:?}")) } else { Ok(()) }
    });
    say(format!("a killed node is left out of CLUSTER SLOTS after {:.1} s", took.as_secs_f64()));
    assert_eq!(Status::of(&cluster[0].url()).unwrap().state_of("n3"), "down");
    assert_eq!(client.ask(&["SET", "k", "v"]).unwrap(), Reply::ok());
    cluster.spawn(2);
    until(Duration::from_secs(20), "it is named again", || {
        if slots(&mut client).0.contains_key(&gone) { Ok(()) } else { Err("left out".into()) }
    });
}

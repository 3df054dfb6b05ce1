//! Folders that are copied or half begun.

use kvorum_tests::cluster::{Cluster, Status};
use kvorum_tests::node::{Node, complaint, free_address};
use kvorum_tests::resp::Reply;
use kvorum_tests::wait::until;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// A node on other ports with a copy of the folder of `original`, which may be running.
fn copy(root: &Path, original: &Node) -> Node {
    let mut copy = Node::new(root, &original.name, &[]);
    copy.data = root.join("copy");
    let copied = Command::new("cp").arg("-r").args([&original.data, &copy.data]).status().unwrap();
    assert!(copied.success());
    copy
}

#[test]
fn a_copy_of_a_living_nodes_folder_is_refused_and_the_original_goes_on() {
    let mut cluster = Cluster::start(3, &["--partitions", "64"]);
    for index in 0..100 {
        assert_eq!(cluster[0].client().ask(&["SET", &format!("k{index}"), "v"]).unwrap(), Reply::ok());
    }
    let mut copy = copy(cluster.root(), &cluster[1]);
    let output = copy.refused(&[]);
    let said = complaint(&output);
    let original = cluster[1].peer.to_string();
    assert!(said.contains("a copy of n2's data folder") && said.contains(&original), "{said}");
    assert_eq!(output.status.code(), Some(1));
    assert!(cluster[1].exit_status().is_none());
    for node in &cluster.nodes {
        let status = Status::of(&node.url()).unwrap();
        let listen = status.nodes.iter().find(|node| node.name == "n2").map(|node| node.listen.clone());
        assert_eq!(listen, Some(cluster[1].listen.to_string()), "as {} sees it", node.name);
        assert_eq!(node.client().ask(&["SET", "after", "v"]).unwrap(), Reply::ok());
    }
    // Once the original is gone the copy is the node, moved.
    cluster[1].kill();
    copy.spawn(&[]);
    copy.wait_ready();
    let listen = copy.listen.to_string();
    until(PATIENCE, "n2 is known at its new address", || {
        let status = Status::of(&cluster[0].url())?;
        let here = status.nodes.iter().find(|node| node.name == "n2").ok_or("it is gone")?;
        if here.listen == listen && here.state == "up" { Ok(()) } else { Err(format!("{here:?}")) }
    });
    assert_eq!(copy.client().ask(&["GET", "k7"]).unwrap(), Reply::bulk("v"));
    // Judged while nobody else uses its name: the original, refused below, hangs up in the midst of it.
    assert!(!copy.log().contains("peer 127.0.0.1"), "it quarrels with itself:\n{}", copy.log());
    // And now the original is the copy.
    let output = cluster[1].refused(&[]);
    assert!(complaint(&output).contains("a copy of n2's data folder"), "{}", complaint(&output));
}

#[test]
fn a_lone_node_tells_its_copy_by_itself() {
    let cluster = Cluster::start(1, &["--partitions", "64"]);
    let copy = copy(cluster.root(), &cluster[0]);
    let said = complaint(&copy.refused(&[]));
    assert!(said.contains("a copy of n1's data folder"), "{said}");
    assert_eq!(cluster[0].client().ask(&["SET", "k", "v"]).unwrap(), Reply::ok());
}

/// Starts a node whose seed does not answer, and lets it ask for a while.
fn ask_in_vain(node: &mut Node) {
    node.spawn(&["--join", &free_address().to_string()]);
    until(
        PATIENCE,
        "it has begun",
        || {
            if node.log().contains("clients on") { Ok(()) } else { Err(node.log()) }
        },
    );
    std::thread::sleep(Duration::from_millis(500));
}

#[test]
fn a_folder_that_never_joined_may_begin_in_any_way() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = Node::new(dir.path(), "n1", &["--partitions", "64"]);
    let output = node.refused(&[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(complaint(&output).contains("--bootstrap") && !node.data.exists());
    // A seed that does not answer: it asks until it is stopped.
    ask_in_vain(&mut node);
    let _ = node.terminate();
    assert_eq!(node.refused(&[]).status.code(), Some(2), "it still belongs to no cluster");
    node.spawn(&["--bootstrap"]);
    node.wait_ready();
    assert_eq!(node.client().ask(&["SET", "k", "v"]).unwrap(), Reply::ok());
    // Another one, whose first seed was wrong, joins by a right one.
    let mut late = Node::new(dir.path(), "n2", &[]);
    ask_in_vain(&mut late);
    late.kill();
    late.spawn(&["--join", &node.peer.to_string()]);
    late.wait_ready();
    assert!(late.log().contains("this node, n2, is a member now, number #1"), "{}", late.log());
}

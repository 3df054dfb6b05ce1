//! Clients written for Redis, unchanged, against three nodes. `tests/tools/need.sh redis-cli venv node clients` gets
//! them.

use kvorum_tests::cluster::Cluster;
use kvorum_tests::resp::Reply;
use kvorum_tests::say;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// Runs a client and returns what it printed.
fn run(program: impl AsRef<Path>, args: &[&str]) -> String {
    let program = program.as_ref();
    let output = Command::new(program).args(args).current_dir(root()).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| {
        panic!("{} {error}: `tests/tools/need.sh redis-cli venv node clients` gets it", program.display())
    });
    let (out, complaint) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{} {args:?}: {}\n{out}\n{complaint}", program.display(), output.status);
    out.into_owned()
}

#[test]
fn redis_py_node_redis_ioredis_and_redis_cli_work_unchanged() {
    let cluster = Cluster::start(3, &[]);
    let ports: Vec<String> = cluster.nodes.iter().map(|node| node.listen.port().to_string()).collect();
    let ports: Vec<&str> = ports.iter().map(String::as_str).collect();
    let python = root().join(".tools/venv/bin/python");
    say(run(python, &[&["tests/clients/stock.py"], &ports[..]].concat()).trim());
    say(run("node", &[&["tests/clients/stock.mjs"], &ports[..]].concat()).trim().replace('\n', ", "));

    let cli = |args: &[&str]| run("redis-cli", &[&["-p", ports[1]], args].concat()).trim().to_owned();
    assert_eq!(cli(&["set", "cli:a", "1"]), "OK");
    assert_eq!(cli(&["get", "cli:a"]), "1");
    assert_eq!(cli(&["-3", "get", "cli:a"]), "1");
    assert_eq!(cli(&["-c", "get", "cli:a"]), "1");
    for index in 0..50 {
        assert_eq!(cluster[2].client().ask(&["SET", &format!("scan:{index}"), "v"]).unwrap(), Reply::ok());
    }
    let mut found: Vec<String> = cli(&["--scan", "--pattern", "scan:*"]).lines().map(String::from).collect();
    found.sort();
    found.dedup();
    assert_eq!(found.len(), 50);
    assert!(cli(&["info", "server"]).contains("redis_version:"));
    assert!(cli(&["cluster", "info"]).contains("cluster_state:ok"));
    assert!(cli(&["kv.explain", "cli:a"]).contains("n1"));
    assert_eq!(cli(&["config", "get", "maxmemory-policy"]).lines().count(), 2);
    cli(&["flushdb"]);
    assert_eq!(cli(&["keys", "*"]), "");
}

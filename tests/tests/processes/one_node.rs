//! A single node: its data, its flags, its end.

use kvorum_tests::cluster::Cluster;
use kvorum_tests::load::{Load, Plan};
use kvorum_tests::node::{Node, complaint, kvorum};
use kvorum_tests::resp::Reply;
use kvorum_tests::say;
use kvorum_tests::wait::until_true;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn kept_after_kill(shards: &str) {
    let mut cluster = Cluster::start(1, &["--shards", shards]);
    let load = Load::start(&Plan::through(&[cluster[0].listen]));
    load.wait_acked(3_000);
    cluster[0].kill();
    let outcome = load.finish();
    cluster[0].spawn(&["--bootstrap"]);
    let took = cluster[0].wait_ready();
    outcome.assert_kept(cluster[0].listen);
    say(format!("{shards} shard(s): {}; ready again after {} ms", outcome.line(), took.as_millis()));
}

#[test]
fn what_one_shard_acknowledged_is_there_after_kill_9() {
    kept_after_kill("1");
}

#[test]
fn what_two_shards_acknowledged_is_there_after_kill_9() {
    kept_after_kill("2");
}

#[test]
fn a_node_told_to_end_ends_in_order_and_keeps_everything() {
    let mut cluster = Cluster::start(1, &[]);
    let load = Load::start(&Plan::through(&[cluster[0].listen]));
    load.wait_acked(500);
    let (status, took) = cluster[0].terminate();
    let outcome = load.finish();
    say(format!("SIGTERM under load: {status} after {} ms", took.as_millis()));
    assert!(status.success(), "{status}:\n{}", cluster[0].log());
    assert!(took < Duration::from_secs(5), "{took:?}");
    cluster[0].spawn(&[]);
    cluster[0].wait_ready();
    outcome.assert_kept(cluster[0].listen);
}

#[test]
fn bootstrap_and_join_are_ignored_on_a_folder_that_belongs_to_a_cluster() {
    let mut cluster = Cluster::start(1, &[]);
    assert_eq!(cluster[0].client().ask(&["SET", "k", "v"]).unwrap(), Reply::ok());
    let lineage = |cluster: &Cluster| {
        let text = kvorum_tests::http::get(cluster[0].admin, "/status").unwrap().text();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()["lineage"].clone()
    };
    let born = lineage(&cluster);
    for begin in [&["--bootstrap", "--n", "1", "--r", "1", "--w", "1"][..], &["--join", "127.0.0.1:1"]] {
        cluster[0].kill();
        cluster[0].spawn(begin);
        cluster[0].wait_ready();
        assert!(cluster[0].log().contains("--bootstrap and --join are ignored"), "{}", cluster[0].log());
        assert_eq!(cluster[0].client().ask(&["GET", "k"]).unwrap(), Reply::bulk("v"));
        assert_eq!(lineage(&cluster), born);
    }
}

/// That the server refused, with this exit status, and said all of these.
fn assert_refused(node: &Node, begin: &[&str], status: i32, said: &[&str]) -> String {
    let output = node.refused(begin);
    let text = complaint(&output);
    assert_eq!(output.status.code(), Some(status), "{text}");
    for words in said {
        assert!(text.contains(words), "it should say '{words}':\n{text}");
    }
    text
}

#[test]
fn a_second_server_on_the_same_folder_is_refused_and_the_first_goes_on() {
    let cluster = Cluster::start(1, &[]);
    let mut second = Node::new(cluster.root(), "n1", &[]);
    assert_refused(&second, &["--bootstrap"], 1, &["another server runs on", "--data"]);
    second.name = "other".into();
    assert_refused(&second, &["--bootstrap"], 1, &["another server runs on"]);
    assert_eq!(cluster[0].client().ask(&["PING"]).unwrap(), Reply::Simple("PONG".into()));
}

#[test]
fn a_port_in_use_is_named_with_its_flag() {
    let cluster = Cluster::start(1, &[]);
    for flag in ["listen", "admin", "peer"] {
        let mut second = Node::new(cluster.root(), "second", &[]);
        let taken = match flag {
            "listen" => &mut second.listen,
            "admin" => &mut second.admin,
            _ => &mut second.peer,
        };
        *taken = cluster[0].listen;
        let address = cluster[0].listen.to_string();
        assert_refused(
            &second,
            &["--bootstrap"],
            1,
            &[&format!("--{flag} {address} is in use"), "another port"],
        );
    }
}

#[test]
fn bad_flags_are_refused_with_what_to_give_instead() {
    let dir = tempfile::tempdir().unwrap();
    let node = |flags: &[&str]| Node::new(dir.path(), "n1", flags);
    let cases: &[(&[&str], &[&str])] = &[
        (&["--bootstrap", "--n", "0"], &["--n"]),
        (&["--bootstrap", "--n", "3", "--w", "4"], &["--w 4", "--n 3"]),
        (&["--bootstrap", "--partitions", "100"], &["--partitions 100", "power of two"]),
        (&["--bootstrap", "--shards", "3"], &["--shards 3", "power of two"]),
        (&["--bootstrap", "--memory", "1M"], &["--memory", "8M"]),
        (&["--bootstrap", "--memory", "lots"], &["--memory", "a number of bytes"]),
        (&["--bootstrap", "--durability", "maybe"], &["--durability", "always"]),
        (&["--bootstrap", "--log", "loud"], &["--log"]),
        (&["--bootstrap", "--join", "127.0.0.1:7381"], &["--bootstrap", "--join"]),
        (&["--bootstrap", "--nonsense"], &["--nonsense"]),
        (&[], &["--bootstrap", "--join"]),
    ];
    for (flags, said) in cases {
        assert_refused(&node(flags), &[], 2, said);
    }
    let mut named = node(&[]);
    named.name = "two words".into();
    assert_refused(&named, &["--bootstrap"], 2, &["--name"]);
    let output = kvorum(&["server", "--data", "x", "--name", "n", "--bootstrap", "--listen", "nowhere"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(complaint(&output).contains("HOST:PORT"), "{}", complaint(&output));
    assert_eq!(kvorum(&["fly"]).status.code(), Some(2));
    assert!(String::from_utf8_lossy(&kvorum(&["--version"]).stdout).starts_with("kvorum 0."));
}

#[test]
fn an_address_that_others_can_reach_needs_the_insecure_flag() {
    let dir = tempfile::tempdir().unwrap();
    for flag in ["listen", "admin", "peer"] {
        let mut node = Node::new(dir.path(), "open", &[]);
        let address = match flag {
            "listen" => &mut node.listen,
            "admin" => &mut node.admin,
            _ => &mut node.peer,
        };
        address.set_ip([0, 0, 0, 0].into());
        assert_refused(
            &node,
            &["--bootstrap"],
            2,
            &[&format!("--{flag} 0.0.0.0"), "--insecure-without-auth"],
        );
    }
    let mut node = Node::new(dir.path(), "told", &["--insecure-without-auth", "--advertise", "127.0.0.1"]);
    node.listen.set_ip([0, 0, 0, 0].into());
    node.spawn(&["--bootstrap"]);
    node.wait_ready();
    node.listen.set_ip([127, 0, 0, 1].into());
    assert_eq!(node.client().ask(&["SET", "k", "v"]).unwrap(), Reply::ok());
}

/// The largest file under a folder whose name fulfils a condition.
fn largest(dir: &Path, fits: &dyn Fn(&str) -> bool) -> PathBuf {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if fits(path.file_name().unwrap().to_str().unwrap()) {
                found.push((path.metadata().unwrap().len(), path));
            }
        }
    }
    found.sort();
    found.pop().expect("there is such a file").1
}

fn flip(path: &Path, offset: u64) {
    use std::os::unix::fs::FileExt;
    let file = std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 0x40], offset).unwrap();
}

/// The last byte of a file that is not zero: logs are made at full length.
fn written_end(path: &Path) -> u64 {
    let bytes = std::fs::read(path).unwrap();
    bytes.iter().rposition(|byte| *byte != 0).expect("something was written") as u64
}

#[test]
fn a_damaged_log_is_named_with_its_place_and_nothing_is_changed() {
    let mut cluster = Cluster::start(1, &[]);
    let load = Load::start(&Plan::through(&[cluster[0].listen]));
    load.wait_acked(2_000);
    cluster[0].kill();
    drop(load.finish());
    let is_written = |name: &str| {
        name.ends_with(".wal") && written_end_of(&cluster[0].data, name).is_some_and(|end| end > 0)
    };
    let log = largest(&cluster[0].data, &is_written);
    flip(&log, written_end(&log) / 2);
    let damaged = std::fs::read(&log).unwrap();
    let name = log.file_name().unwrap().to_str().unwrap();
    let node = &cluster[0];
    assert_refused(node, &[], 1, &[name, "damaged at byte", "restore the data folder from a copy"]);
    assert_refused(node, &[], 1, &[name, "damaged at byte"]);
    assert!(std::fs::read(&log).unwrap() == damaged, "the log was changed");
}

fn written_end_of(data: &Path, name: &str) -> Option<u64> {
    let bytes = std::fs::read(data.join("shard-0").join(name)).ok()?;
    bytes.iter().rposition(|byte| *byte != 0).map(|end| end as u64)
}

#[test]
fn a_damaged_table_is_named_with_its_place() {
    let mut cluster = Cluster::start(1, &["--memory", "8M"]);
    let mut client = cluster[0].client();
    for index in 0..6_000 {
        client.push(&[b"SET", format!("k{index}").as_bytes(), format!("{index} ").repeat(1_000).as_bytes()]);
    }
    client.flush().unwrap();
    for _ in 0..6_000 {
        assert_eq!(client.receive().unwrap(), Reply::ok());
    }
    until_true(Duration::from_secs(20), "tables are there", || {
        cluster[0].metric("kvorum_lsm_sstables") > 0.0
    });
    cluster[0].terminate();
    // All of them: one that a compaction had just replaced may still lie there, and nobody reads it again.
    let tables = tables_of(&cluster[0].data);
    for table in &tables {
        flip(table, table.metadata().unwrap().len() / 2);
    }
    // Trees of anti-entropy are built at start for now, which reads everything: so the damage is found then.
    let before: Vec<Vec<u8>> = tables.iter().map(|table| std::fs::read(table).unwrap()).collect();
    let words = ["damaged at byte", "no data was changed", "the other nodes refill it"];
    let said = assert_refused(&cluster[0], &[], 1, &words);
    assert_refused(&cluster[0], &[], 1, &words);
    // Those that no manifest names may be gone.
    for (table, before) in tables.iter().zip(before) {
        assert!(
            !table.exists() || std::fs::read(table).unwrap() == before,
            "{} was changed",
            table.display()
        );
    }
    let is_named = |table: &PathBuf| said.contains(table.file_name().unwrap().to_str().unwrap());
    assert!(tables.iter().any(is_named), "no table is named:\n{said}");
}

fn tables_of(data: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(data.join("shard-0")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    // One that the end of the server found just begun has no bytes yet.
    let is_written = |path: &PathBuf| path.metadata().unwrap().len() > 0;
    paths.filter(|path| path.extension().is_some_and(|end| end == "sst") && is_written(path)).collect()
}

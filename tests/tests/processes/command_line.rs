//! `kvorum get|put|del|import|export|status`.

use kvorum_tests::cluster::Cluster;
use kvorum_tests::node::{Node, binary, complaint, kvorum};
use kvorum_tests::resp::Reply;
use kvorum_tests::say;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Runs a command against a node.
fn run(node: &Node, args: &[&str]) -> Output {
    kvorum(&[args, &["--admin", &node.url()]].concat())
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("it ended by itself")
}

fn file(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn keys_are_put_got_and_deleted_byte_for_byte() {
    let cluster = Cluster::start(1, &[]);
    let node = &cluster[0];
    assert_eq!(code(&run(node, &["put", "a/b c%", "hello"])), 0);
    assert_eq!(run(node, &["get", "a/b c%"]).stdout, b"hello");
    assert_eq!(node.client().ask(&["GET", "a/b c%"]).unwrap(), Reply::bulk("hello"));
    let mut child = Command::new(binary())
        .args(["put", "bytes", "-", "--ttl", "100000", "--admin", &node.url()])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&[0, 255, 10, 13]).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(run(node, &["get", "bytes"]).stdout, [0, 255, 10, 13]);
    assert!(node.client().ask(&["PTTL", "bytes"]).unwrap().integer().unwrap() > 50_000);
    assert_eq!(code(&run(node, &["del", "bytes", "a/b c%", "never"])), 0);
    let gone = run(node, &["get", "bytes"]);
    assert_eq!(code(&gone), 1);
    assert!(
        gone.stdout.is_empty() && complaint(&gone).contains("no such key: bytes"),
        "{}",
        complaint(&gone)
    );
    let long = "k".repeat((64 << 10) + 1);
    let refused = run(node, &["get", &long]);
    assert_eq!(code(&refused), 1);
    assert!(complaint(&refused).contains("65536"), "{}", complaint(&refused));
}

#[test]
fn a_node_that_is_not_there_is_named_with_what_to_do() {
    let url = format!("http://{}", kvorum_tests::node::free_address());
    for args in [&["status"][..], &["get", "k"], &["put", "k", "v"], &["del", "k"]] {
        let output = kvorum(&[args, &["--admin", &url]].concat());
        assert_eq!(code(&output), 1, "{args:?}");
        let text = complaint(&output);
        assert!(text.contains(&url) && text.contains("--admin"), "{text}");
    }
}

#[test]
fn status_is_a_table_for_people_and_json_for_programs() {
    let cluster = Cluster::start(1, &[]);
    let table = String::from_utf8(run(&cluster[0], &["status"]).stdout).unwrap();
    for words in ["NODE", "n1", "up", "durability always", "1024 partitions", "hints"] {
        assert!(table.contains(words), "{words}:\n{table}");
    }
    let json = run(&cluster[0], &["status", "--json"]).stdout;
    assert!(serde_json::from_slice::<serde_json::Value>(&json).unwrap()["partitions"].is_array());
}

#[test]
fn a_csv_file_is_imported_under_a_template_and_exported_again() {
    let cluster = Cluster::start(1, &[]);
    let node = &cluster[0];
    let csv = file(
        cluster.root(),
        "people.csv",
        "id,name,city\n1,Ada,\"London, UK\"\n2,Grace,\"New\nYork\"\n3,민지,서울\n",
    );
    let csv = csv.to_str().unwrap();
    let imported = run(node, &["import", csv, "--key", "person:{city}:{id}"]);
    assert_eq!(code(&imported), 0, "{}", complaint(&imported));
    assert!(complaint(&imported).contains("3 rows written"), "{}", complaint(&imported));
    let value = node.client().ask(&["GET", "person:서울:3"]).unwrap();
    assert_eq!(value, Reply::bulk(r#"{"id":"3","name":"민지","city":"서울"}"#));
    assert_eq!(code(&run(node, &["import", csv, "--key", "id"])), 0);
    assert!(node.client().ask(&["GET", "2"]).unwrap().text().unwrap().contains("New\\nYork"));

    let lines = cluster.root().join("out.jsonl");
    let exported = run(node, &["export", lines.to_str().unwrap()]);
    assert_eq!(code(&exported), 0, "{}", complaint(&exported));
    let text = std::fs::read_to_string(&lines).unwrap();
    let mut keys: Vec<String> = text
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["key"].as_str().unwrap().to_owned()
        })
        .collect();
    keys.sort();
    let expected = ["1", "2", "3", "person:London, UK:1", "person:New\nYork:2", "person:서울:3"];
    assert_eq!(keys, expected);
    let table = cluster.root().join("out.csv");
    assert_eq!(code(&run(node, &["export", table.to_str().unwrap()])), 0);
    assert!(std::fs::read_to_string(&table).unwrap().starts_with("key,value,expires_at_ms\n"));
}

#[test]
fn an_export_is_imported_into_another_cluster_as_it_was() {
    let (from, to) = (Cluster::start(1, &[]), Cluster::start(1, &[]));
    let any: Vec<u8> = (0..=255).collect();
    let large = vec![1u8; 16 << 20]; // As text each byte takes six.
    let pairs: [(&[u8], &[u8]); 7] = [
        (b"plain", b"text"),
        ("키".as_bytes(), "값\r\n\"\\\0".as_bytes()),
        (b"\xff\x00key", b"v"),
        (b"binary", &any),
        (b"empty", b""),
        (b"json", br#"{"key":"k","value":1}"#),
        (b"large", &large),
    ];
    let mut client = from[0].client();
    for (key, value) in pairs {
        assert_eq!(client.ask_bytes(&[b"SET", key, value]).unwrap(), Reply::ok());
    }
    let ends = client.ask(&["TIME"]).unwrap().items()[0].text().unwrap().parse::<i64>().unwrap() + 1_000;
    assert_eq!(client.ask(&["SET", "ends", "v", "EXAT", &ends.to_string()]).unwrap(), Reply::ok());
    assert_eq!(client.ask(&["SET", "ended", "old", "PX", "300"]).unwrap(), Reply::ok());
    let lines = from.root().join("all.jsonl");
    let lines = lines.to_str().unwrap();
    let exported = run(&from[0], &["export", lines]);
    assert_eq!(code(&exported), 0, "{}", complaint(&exported));
    assert!(complaint(&exported).contains("9 keys written"), "{}", complaint(&exported));

    let mut client = to[0].client();
    assert_eq!(client.ask(&["SET", "ended", "new"]).unwrap(), Reply::ok());
    std::thread::sleep(std::time::Duration::from_millis(400));
    let imported = run(&to[0], &["import", lines, "--exported"]);
    assert_eq!(code(&imported), 0, "{}", complaint(&imported));
    let said = complaint(&imported);
    assert!(said.contains("8 rows written") && said.contains("1 left out because they have ended"), "{said}");
    for (key, value) in pairs {
        assert!(client.ask_bytes(&[b"GET", key]).unwrap() == Reply::Bulk(value.to_vec()), "{key:?}");
        assert_eq!(client.ask_bytes(&[b"TTL", key]).unwrap(), Reply::Integer(-1));
    }
    assert_eq!(client.ask(&["EXPIRETIME", "ends"]).unwrap(), Reply::Integer(ends));
    assert_eq!(client.ask(&["GET", "ended"]).unwrap(), Reply::bulk("new"), "it does not cover what is there");

    // A table takes what is text, with ends.
    let mut client = from[0].client();
    for key in [&b"\xff\x00key"[..], b"binary", b"large"] {
        assert_eq!(client.ask_bytes(&[b"DEL", key]).unwrap(), Reply::Integer(1));
    }
    let table = from.root().join("all.csv");
    let table = table.to_str().unwrap();
    assert_eq!(code(&run(&from[0], &["export", table])), 0);
    assert_eq!(to[0].client().ask(&["FLUSHALL"]).unwrap(), Reply::ok());
    assert_eq!(code(&run(&to[0], &["import", table, "--exported"])), 0);
    let mut client = to[0].client();
    assert_eq!(client.ask_bytes(&[b"GET", "키".as_bytes()]).unwrap(), Reply::Bulk(pairs[1].1.to_vec()));
    assert_eq!(client.ask(&["EXPIRETIME", "ends"]).unwrap(), Reply::Integer(ends));

    // Neither or both is a mistake, and so is a file that no export wrote.
    assert_eq!(code(&run(&to[0], &["import", lines])), 2);
    assert_eq!(code(&run(&to[0], &["import", lines, "--exported", "--key", "key"])), 2);
    let other = file(from.root(), "other.jsonl", "{\"id\": 1}\n");
    let refused = run(&to[0], &["import", other.to_str().unwrap(), "--exported"]);
    assert!(
        code(&refused) == 1 && complaint(&refused).contains("no export wrote it"),
        "{}",
        complaint(&refused)
    );
}

/// Files of 2,000 lines have a broken one here.
const BROKEN_LINE: usize = 1_234;

fn broken_lines(dir: &Path) -> PathBuf {
    let line = |number: usize| match number {
        BROKEN_LINE => "{\"id\": 1234, \"oops".to_owned(),
        _ => format!("{{\"id\": {number}, \"name\": \"row {number}\"}}"),
    };
    file(dir, "rows.jsonl", &((1..=2_000).map(line).collect::<Vec<_>>().join("\n") + "\n"))
}

fn broken_csv(dir: &Path) -> PathBuf {
    let line = |number: usize| match number {
        1 => "id,name".to_owned(),
        BROKEN_LINE => "1234,too,many,fields".to_owned(),
        _ => format!("{number},row {number}"),
    };
    file(dir, "rows.csv", &((1..=2_000).map(line).collect::<Vec<_>>().join("\n") + "\n"))
}

/// How many of the rows 1 to 2,000 are there.
fn rows_there(node: &Node, prefix: &str) -> Vec<usize> {
    let mut client = node.client();
    for index in 1..=2_000 {
        client.push(&[b"EXISTS", format!("{prefix}{index}").as_bytes()]);
    }
    client.flush().unwrap();
    (1..=2_000).filter(|_| client.receive().unwrap() == Reply::Integer(1)).collect()
}

#[test]
fn a_broken_line_is_named_and_import_stops_or_goes_on_as_told() {
    let cluster = Cluster::start(1, &[]);
    let node = &cluster[0];
    for (prefix, path) in [("j", broken_lines(cluster.root())), ("c", broken_csv(cluster.root()))] {
        let path = path.to_str().unwrap();
        let head = usize::from(prefix == "c");
        let stopped = run(node, &["import", path, "--key", &format!("{prefix}{{id}}")]);
        let text = complaint(&stopped);
        assert_eq!(code(&stopped), 3, "{text}");
        assert!(text.contains(&format!("{path} line {BROKEN_LINE}: ")), "{text}");
        let there = rows_there(node, prefix);
        assert_eq!(there, (1 + head..BROKEN_LINE).collect::<Vec<_>>(), "all before it, none behind it");
        let resume = format!("--skip-lines {}", BROKEN_LINE - 1);
        assert!(text.contains(&resume), "{text}");
        // As told, but leaving the line out.
        let flags = ["--skip-lines", &(BROKEN_LINE - 1).to_string(), "--on-error", "skip"];
        let again = run(node, &[&["import", path, "--key", &format!("{prefix}{{id}}")], &flags[..]].concat());
        assert_eq!(code(&again), 3, "{}", complaint(&again));
        assert!(complaint(&again).contains(&format!("line {BROKEN_LINE}: ")), "{}", complaint(&again));
        assert_eq!(rows_there(node, prefix).len(), 1_999 - head);
    }
    let path = broken_lines(cluster.root());
    let path = path.to_str().unwrap();
    let skipped = run(node, &["import", path, "--key", "s{id}", "--on-error", "skip"]);
    assert_eq!(code(&skipped), 3, "{}", complaint(&skipped));
    assert!(complaint(&skipped).contains(&format!("line {BROKEN_LINE}: ")), "{}", complaint(&skipped));
    assert_eq!(rows_there(node, "s").len(), 1_999);
    for (args, status, said) in [
        (["import", path, "--key", "nothing"], 1, "line 1: it has no column 'nothing'"),
        (["import", path, "--key", "x{id"], 2, "{"),
        (["import", "no.csv", "--key", "id"], 1, "no.csv"),
        (["import", binary().to_str().unwrap(), "--key", "id"], 1, "must end in"),
    ] {
        let output = run(node, &args);
        assert_eq!(code(&output), status, "{args:?}: {}", complaint(&output));
        assert!(complaint(&output).contains(said), "{args:?}: {}", complaint(&output));
    }
}

#[test]
fn names_that_repeat_are_numbered_if_told_so() {
    let cluster = Cluster::start(1, &[]);
    let path = file(
        cluster.root(),
        "twins.jsonl",
        "{\"n\":\"x\",\"i\":1}\n{\"n\":\"x\",\"i\":2}\n{\"n\":\"y\",\"i\":3}\n",
    );
    let path = path.to_str().unwrap();
    assert_eq!(code(&run(&cluster[0], &["import", path, "--key", "{n}", "--repeat", "number"])), 0);
    let mut client = cluster[0].client();
    assert_eq!(client.ask(&["GET", "x"]).unwrap(), Reply::bulk(r#"{"n":"x","i":1}"#));
    assert_eq!(client.ask(&["GET", "x#2"]).unwrap(), Reply::bulk(r#"{"n":"x","i":2}"#));
    assert_eq!(client.ask(&["EXISTS", "y#2"]).unwrap(), Reply::Integer(0));
}

#[test]
fn an_import_that_loses_its_node_says_how_to_resume_and_that_works() {
    let mut cluster = Cluster::start(1, &[]);
    let count = 300_000;
    let lines: String = (0..count).map(|index| format!("{{\"id\":{index}}}\n")).collect();
    let path = file(cluster.root(), "many.jsonl", &lines);
    let path = path.to_str().unwrap();
    let url = cluster[0].url();
    let mut command = Command::new(binary());
    command.args(["import", path, "--key", "m{id}", "--admin", &url]).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    kvorum_tests::wait::until(kvorum_tests::node::PATIENCE, "some rows are there", || {
        let keys = cluster[0].metric("kvorum_keys");
        if keys > 5_000.0 { Ok(()) } else { Err(format!("{keys} rows")) }
    });
    cluster[0].kill();
    let output = child.wait_with_output().unwrap();
    let text = complaint(&output);
    assert_eq!(code(&output), 3, "{text}");
    let skip = text.split("--skip-lines ").nth(1).and_then(|rest| rest.split(' ').next());
    let skip = skip.unwrap_or_else(|| panic!("it does not say how to resume:\n{text}"));
    say(format!("node killed in the midst of an import: exit status 3, resume with --skip-lines {skip}"));
    cluster[0].spawn(&[]);
    cluster[0].wait_ready();
    let again = run(&cluster[0], &["import", path, "--key", "m{id}", "--skip-lines", skip]);
    assert_eq!(code(&again), 0, "{}", complaint(&again));
    let mut client = cluster[0].client();
    for index in 0..count {
        client.push(&[b"EXISTS", format!("m{index}").as_bytes()]);
        if index % 1_000 == 999 {
            client.flush().unwrap();
            for back in (0..1_000).rev() {
                assert_eq!(client.receive().unwrap(), Reply::Integer(1), "m{}", index - back);
            }
        }
    }
}

//! What strangers, broken clients and wrong nodes send.

use kvorum_core::base::MemberId;
use kvorum_core::message::{Frame, Hello, PROTOCOL_VERSION};
use kvorum_tests::cluster::{Cluster, Status};
use kvorum_tests::node::{Node, PATIENCE, complaint};
use kvorum_tests::resp::{Client, Reply};
use kvorum_tests::wait::{until, until_true};
use kvorum_tests::{http, say};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

fn assert_serves(node: &Node) {
    let mut client = node.client();
    assert_eq!(client.ask(&["SET", "still", "here"]).unwrap(), Reply::ok());
    assert_eq!(client.ask(&["GET", "still"]).unwrap(), Reply::bulk("here"));
}

/// Bytes that differ from run to run by the seed only.
fn noise(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let step = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    (0..count).map(step).collect()
}

#[test]
fn malformed_resp_is_named_and_only_its_connection_ends() {
    let cluster = Cluster::start(1, &[]);
    let cases: &[(&[u8], &str)] = &[
        (b"*1\r\n+PING\r\n", "-ERR Protocol error: expected '$', got '+'"),
        (b"*x\r\n", "-ERR Protocol error: invalid multibulk length"),
        (b"*99999999\r\n", "-ERR Protocol error: invalid multibulk length"),
        (b"*1\r\n$-5\r\n", "-ERR Protocol error: invalid bulk length"),
        (b"*1\r\n$999999999999\r\n", "-ERR Protocol error: invalid bulk length"),
        (b"*1\r\n$4\r\nPINGxx", "-ERR Protocol error"),
        (b"SET \"unbalanced\r\n", "-ERR Protocol error: unbalanced quotes in request"),
    ];
    for (bytes, said) in cases {
        let mut client = cluster[0].client();
        client.send_raw(bytes).unwrap();
        let mut answer = String::new();
        client.stream().read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with(said), "{:?}: {answer}", String::from_utf8_lossy(bytes));
    }
    let mut client = cluster[0].client();
    client.send_raw(&[b'x'; 70 << 10]).unwrap();
    assert!(client.receive().unwrap().error().contains("too big inline request"));
    for seed in 0..200 {
        let mut client = cluster[0].client();
        // The server may have closed the connection before the end.
        let _ = client.send_raw(&noise(seed, 2_000));
        let _ = client.send_raw(b"\r\n");
    }
    assert_serves(&cluster[0]);
}

#[test]
fn commands_that_cannot_be_are_refused_in_the_words_of_redis() {
    let cluster = Cluster::start(1, &[]);
    let mut client = cluster[0].client();
    let cases: &[(&[&str], &str)] = &[
        (&["FLY", "me", "to"], "ERR unknown command 'FLY', with args beginning with: 'me' 'to' "),
        (&["GET"], "ERR wrong number of arguments for 'get' command"),
        (&["SET", "k"], "ERR wrong number of arguments for 'set' command"),
        (&["MSET", "a", "1", "b"], "ERR wrong number of arguments for 'mset' command"),
        (&["SET", "k", "v", "NONSENSE"], "ERR syntax error"),
        (&["SET", "k", "v", "EX", "0"], "ERR invalid expire time in 'set' command"),
        (&["SET", "k", "v", "EX", "soon"], "ERR value is not an integer or out of range"),
        (&["EXPIRE", "k", "soon"], "ERR value is not an integer or out of range"),
        (&["SCAN", "x"], "ERR invalid cursor"),
        (&["HELLO", "9"], "NOPROTO unsupported protocol version"),
    ];
    for (args, said) in cases {
        assert_eq!(client.ask(args).unwrap().error(), *said, "{args:?}");
    }
    for (args, said) in
        [(&["MULTI"][..], "pipeline"), (&["SELECT", "1"], "ERR"), (&["LPUSH", "k", "v"], "strings")]
    {
        let reply = client.ask(args).unwrap();
        assert!(reply.error().starts_with("ERR") && reply.error().contains(said), "{args:?}: {reply:?}");
    }
    for args in [
        &["INCR", "k"][..],
        &["DECRBY", "k", "2"],
        &["SETNX", "k", "v"],
        &["SET", "k", "v", "NX"],
        &["SET", "k", "v", "XX"],
        &["SET", "k", "v", "GET"],
        &["SET", "k", "v", "IFEQ", "w"],
        &["GETSET", "k", "v"],
        &["GETDEL", "k"],
    ] {
        assert!(client.ask(args).unwrap().error().starts_with("NOAPSAFE "), "{args:?}");
    }
    assert_eq!(client.ask(&["GET", "k"]).unwrap(), Reply::Null);
}

#[test]
fn inline_commands_work_as_by_hand() {
    let cluster = Cluster::start(1, &[]);
    let mut client = cluster[0].client();
    client.send_raw(b"\r\nSET greeting \"hello world\"\r\nget greeting\nPING\r\nQUIT\r\n").unwrap();
    assert_eq!(client.receive().unwrap(), Reply::ok());
    assert_eq!(client.receive().unwrap(), Reply::bulk("hello world"));
    assert_eq!(client.receive().unwrap(), Reply::Simple("PONG".into()));
    assert_eq!(client.receive().unwrap(), Reply::ok());
    assert!(client.is_closed());
}

#[test]
fn a_key_or_value_beyond_its_limit_is_refused_and_the_connection_goes_on() {
    let cluster = Cluster::start(1, &[]);
    let mut client = cluster[0].client();
    let (longest_key, longest_value) = (vec![b'k'; 64 << 10], vec![b'v'; 16 << 20]);
    assert_eq!(client.ask_bytes(&[b"SET", &longest_key, b"v"]).unwrap(), Reply::ok());
    let long_key = [&longest_key[..], b"k"].concat();
    let reply = client.ask_bytes(&[b"SET", &long_key, b"v"]).unwrap();
    assert!(reply.error().contains("key") && reply.error().contains("65536"), "{reply:?}");
    let reply = client.ask_bytes(&[b"GET", &long_key]).unwrap();
    assert!(reply.error().contains("key") && reply.error().contains("65536"), "{reply:?}");
    assert_eq!(client.ask_bytes(&[b"SET", b"big", &longest_value]).unwrap(), Reply::ok());
    assert_eq!(client.ask(&["STRLEN", "big"]).unwrap(), Reply::Integer(16 << 20));
    let long_value = [&longest_value[..], b"v"].concat();
    for _ in 0..3 {
        let reply = client.ask_bytes(&[b"SET", b"big", &long_value]).unwrap();
        assert!(reply.error().contains("16777216"), "{reply:?}");
    }
    assert_eq!(client.ask(&["STRLEN", "big"]).unwrap(), Reply::Integer(16 << 20));
}

#[test]
fn a_client_that_never_reads_costs_bounded_memory_and_nobody_else() {
    let cluster = Cluster::start(1, &[]);
    let mut other = cluster[0].client();
    assert_eq!(other.ask_bytes(&[b"SET", b"big", &vec![b'v'; 1 << 20]]).unwrap(), Reply::ok());
    let before = cluster[0].metric("process_resident_memory_bytes");
    let mut rude = Vec::new();
    for _ in 0..4 {
        let mut client = Client::connect(cluster[0].listen, Duration::from_millis(500)).unwrap();
        // 5,000 MiB would be the answer.
        let asked = b"GET big\r\n".repeat(5_000);
        match client.send_raw(&asked) {
            Ok(()) => {}
            Err(error) => assert!(
                matches!(
                    error.kind(),
                    ErrorKind::WouldBlock
                        | ErrorKind::TimedOut
                        | ErrorKind::ConnectionReset
                        | ErrorKind::BrokenPipe
                ),
                "{error}"
            ),
        }
        rude.push(client);
    }
    for index in 0..2_000 {
        assert_eq!(other.ask(&["SET", &format!("k{index}"), "v"]).unwrap(), Reply::ok());
    }
    let after = cluster[0].metric("process_resident_memory_bytes");
    say(format!(
        "4 clients that ask for 5,000 MiB each and never read: {:.0} MiB more",
        (after - before) / 1_048_576.0
    ));
    assert!(after - before < 400e6, "{before} -> {after}");
    assert_serves(&cluster[0]);
}

/// Whether a peer connection that sent this is closed, and what the node said before.
fn says_to_peer(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // The node may have closed it before the end.
    let _ = stream.write_all(bytes);
    let mut said = Vec::new();
    match stream.read_to_end(&mut said) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "it is left open: {error}"),
    }
    said
}

fn hello(lineage: u64, member: Option<u16>, name: &str, store: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let hello =
        Hello { protocol: PROTOCOL_VERSION, lineage, member: member.map(MemberId), name: name.into(), store };
    Frame::encode(&mut bytes, 0, |bytes| hello.encode(bytes));
    bytes
}

#[test]
fn garbage_on_the_peer_port_is_hung_up_on_and_logged() {
    let cluster = Cluster::start(1, &[]);
    for seed in 0..50 {
        says_to_peer(cluster[0].peer, &noise(seed, 4_000));
    }
    says_to_peer(cluster[0].peer, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    // A frame with a good checksum that is no hello.
    let mut bytes = Vec::new();
    Frame::encode(&mut bytes, 0, |bytes| bytes.extend_from_slice(b"not a hello at all"));
    says_to_peer(cluster[0].peer, &bytes);
    // A hello, then nonsense in a good frame.
    let mut bytes = hello(0, None, "stranger", 77);
    Frame::encode(&mut bytes, 1, |bytes| bytes.extend_from_slice(&[0xff; 40]));
    says_to_peer(cluster[0].peer, &bytes);
    until_true(PATIENCE, "the log names it", || cluster[0].log().contains("does not speak Kvorum"));
    assert_serves(&cluster[0]);
}

#[test]
fn a_node_of_another_cluster_is_refused_by_name() {
    let cluster = Cluster::start(1, &[]);
    says_to_peer(cluster[0].peer, &hello(0xf0e1, Some(0), "foreign", 77));
    until_true(PATIENCE, "the log says why", || {
        cluster[0].log().contains("node 'foreign' belongs to another cluster")
    });
    assert_eq!(Status::of(&cluster[0].url()).unwrap().nodes.len(), 1);
    assert_serves(&cluster[0]);
}

#[test]
fn a_joiner_with_a_taken_name_is_told_so_and_changes_nothing() {
    let cluster = Cluster::start(3, &["--partitions", "64"]);
    let dir = tempfile::tempdir().unwrap();
    let twin = Node::new(dir.path(), "n2", &[]);
    let output = twin.refused(&["--join", &cluster[0].peer.to_string()]);
    assert_eq!(output.status.code(), Some(1));
    let text = complaint(&output);
    for words in ["the name n2 is taken", &cluster[1].peer.to_string(), "choose another name"] {
        assert!(text.contains(words), "it should say '{words}':\n{text}");
    }
    let status = Status::of(&cluster[0].url()).unwrap();
    assert_eq!(status.nodes.len(), 3);
    assert!(
        status.nodes.iter().any(|node| node.name == "n2" && node.listen == cluster[1].listen.to_string())
    );
    for node in &cluster.nodes {
        assert_serves(node);
    }
}

#[test]
fn a_joiner_waits_for_a_seed_that_is_not_there_yet() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = Node::new(dir.path(), "n1", &[]);
    let mut second = Node::new(dir.path(), "n2", &[]);
    second.spawn(&["--join", &first.peer.to_string()]);
    until_true(PATIENCE, "the joiner lives", || {
        http::get(second.admin, "/livez").is_ok_and(|answer| answer.status == 200)
    });
    assert_eq!(http::get(second.admin, "/readyz").unwrap().status, 503);
    first.spawn(&["--bootstrap"]);
    first.wait_ready();
    second.wait_ready();
    until(PATIENCE, "both are members", || {
        let status = Status::of(&first.url())?;
        if status.nodes.len() == 2 { Ok(()) } else { Err("one member".into()) }
    });
}

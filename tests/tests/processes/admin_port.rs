//! The admin port: for operators, and not for the pages of strangers.

use kvorum_tests::cluster::Cluster;
use kvorum_tests::http::{Message, WebSocket, get, request};
use kvorum_tests::resp::Reply;
use std::io::ErrorKind;

#[test]
fn health_metrics_and_status_are_served() {
    let cluster = Cluster::start(1, &[]);
    let mut client = cluster[0].client();
    for index in 0..10 {
        assert_eq!(client.ask(&["SET", &format!("k{index}"), "v"]).unwrap(), Reply::ok());
    }
    assert_eq!(get(cluster[0].admin, "/livez").unwrap().status, 200);
    assert_eq!(get(cluster[0].admin, "/readyz").unwrap().status, 200);
    assert_eq!(get(cluster[0].admin, "/nothing").unwrap().status, 404);
    let metrics = get(cluster[0].admin, "/metrics").unwrap();
    assert!(metrics.head.contains("text/plain; version=0.0.4"), "{}", metrics.head);
    let text = metrics.text();
    for name in
        ["kvorum_ready 1", "kvorum_requests_total{verb=\"set\"} 10", "kvorum_keys 10", "kvorum_tombstones 0"]
    {
        assert!(text.contains(name), "{name}:\n{text}");
    }
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        let metric = name.split('{').next().unwrap();
        let of_histogram = ["_bucket", "_sum", "_count"].iter().find_map(|end| metric.strip_suffix(end));
        let metric = match of_histogram {
            Some(name) if text.contains(&format!("# TYPE {name} histogram")) => name,
            _ => metric,
        };
        assert!(text.contains(&format!("# TYPE {metric} ")), "{line}");
        value.parse::<f64>().unwrap_or_else(|_| panic!("{line}"));
    }
    let status: serde_json::Value =
        serde_json::from_str(&get(cluster[0].admin, "/status").unwrap().text()).unwrap();
    assert!(status["epoch"].as_u64().unwrap() > 0);
    assert_eq!(status["partitions"].as_array().unwrap().len(), 1_024);
    for name in ["name", "state", "listen", "admin", "peer"] {
        assert!(status["nodes"][0][name].is_string(), "{name}: {}", status["nodes"][0]);
    }
    let partition = &status["partitions"][7];
    assert_eq!((&partition["id"], &partition["owners"][0]), (&7.into(), &"n1".into()));
    let root = partition["roots"]["n1"].as_str().unwrap();
    assert!(root.bytes().all(|byte| byte.is_ascii_hexdigit()), "{root}");
    assert_eq!(status["hints"], 0);
}

#[test]
fn a_foreign_host_or_origin_is_refused_whatever_is_asked() {
    let cluster = Cluster::start(1, &[]);
    let admin = cluster[0].admin;
    let own = admin.to_string();
    let local = format!("localhost:{}", admin.port());
    let asked = |method, path, headers: &[(&str, &str)], body: &[u8]| {
        request(admin, method, path, headers, body).unwrap().status
    };
    assert_eq!(asked("GET", "/status", &[("Host", &local)], &[]), 200);
    for host in ["evil.example", "evil.example:7380", "127.0.0.1.evil.example", "localhost.evil.example"] {
        assert_eq!(asked("GET", "/status", &[("Host", host)], &[]), 403, "{host}");
        assert_eq!(asked("PUT", "/kv/k", &[("Host", host)], b"v"), 403, "{host}");
    }
    assert_eq!(asked("GET", "/status", &[("Host", &own), ("Origin", &format!("http://{own}"))], &[]), 200);
    for origin in ["http://evil.example", "null", "http://127.0.0.1:1", "https://127.0.0.1", "file://"] {
        for (method, path) in [("GET", "/status"), ("PUT", "/kv/k"), ("DELETE", "/kv/k"), ("POST", "/bulk")] {
            assert_eq!(
                asked(method, path, &[("Host", &own), ("Origin", origin)], b"v"),
                403,
                "{origin} {method}"
            );
        }
        let refused = WebSocket::open(admin, "/events", Some(origin)).err().unwrap();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "{refused}");
        assert!(refused.to_string().contains(" 403 "), "{refused}");
    }
    assert_eq!(cluster[0].client().ask(&["GET", "k"]).unwrap(), Reply::Null);
}

#[test]
fn events_begin_with_a_snapshot_and_go_on_with_records() {
    let cluster = Cluster::start(2, &["--partitions", "64"]);
    // A page of any member may listen to each of them.
    let origin = cluster[1].url();
    let mut socket = WebSocket::open(cluster[0].admin, "/events", Some(&origin)).unwrap();
    let Message::Text(text) = socket.receive().unwrap() else { panic!("the first message is no text") };
    let snapshot: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(snapshot["node"], "n1");
    assert_eq!(snapshot["topology"]["members"].as_array().unwrap().len(), 2);
    assert_eq!(cluster[0].client().ask(&["SET", "seen", "v"]).unwrap(), Reply::ok());
    let Message::Binary(bytes) = socket.receive().unwrap() else {
        panic!("the second message is not binary")
    };
    assert!(!bytes.is_empty() && bytes.len() % 4 == 0, "{} bytes are no words", bytes.len());
    // Each record says its length in words in the upper half of its first one.
    let words: Vec<u32> =
        bytes.chunks_exact(4).map(|w| u32::from_le_bytes([w[0], w[1], w[2], w[3]])).collect();
    let mut at = 0;
    while at < words.len() {
        assert!(words[at] >> 16 > 0, "a record of no length at word {at}");
        at += (words[at] >> 16) as usize;
    }
    assert_eq!(at, words.len());
}

//! What the page lives on: pictures, events and the files themselves, as a browser meets them.

use kvorum_core::base::trace::{Kind, Record, join, records};
use kvorum_tests::cluster::Cluster;
use kvorum_tests::http::{Answer, Message, WebSocket, get, request};
use kvorum_tests::load::{Load, Plan};
use kvorum_tests::node::Node;
use kvorum_tests::resp::Reply;
use kvorum_tests::say;
use kvorum_tests::wait::until;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Far beyond the three seconds in which it should be so.
const DOWN_WITHIN: Duration = Duration::from_secs(15);

fn picture(node: &Node, query: &str) -> Value {
    let answer = get(node.admin, &format!("/picture{query}")).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.head.to_lowercase().contains("content-type: application/json"), "{}", answer.head);
    serde_json::from_slice(&answer.body).unwrap()
}

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    let line = answer.head.lines().find(|line| line.to_lowercase().starts_with(&format!("{name}:")))?;
    Some(line[name.len() + 1..].trim())
}

#[test]
fn members_draw_the_same_cluster_and_name_who_reported_a_dead_one() {
    let mut cluster = Cluster::start(3, &["--partitions", "64"]);
    let pictures: Vec<Value> = cluster.nodes.iter().map(|node| picture(node, "?node=1")).collect();
    for (index, seen) in pictures.iter().enumerate() {
        let drawn = &seen["cluster"];
        assert_eq!(drawn["epoch"], pictures[0]["cluster"]["epoch"]);
        assert_eq!(drawn["owners"], pictures[0]["cluster"]["owners"]);
        assert_eq!(drawn["owners"].as_array().unwrap().len(), 64);
        assert_eq!(drawn["keyspace"], json!({ "n": 3, "r": 2, "w": 2, "resolve": "lww" }));
        assert_eq!(
            (&drawn["moving"], &drawn["suspicions"], &drawn["cuts"]),
            (&json!([]), &json!([]), &json!([]))
        );
        assert_eq!((&seen["place"], &seen["members"]), (&json!(index), &json!([0, 1, 2])));
        assert_eq!(seen["node"]["name"], cluster[index].name.as_str());
        assert_eq!(seen["node"]["state"], "up");
        assert!(seen["key"].is_null());
        for (node, summary) in cluster.nodes.iter().zip(drawn["nodes"].as_array().unwrap()) {
            assert_eq!(summary["name"], node.name.as_str());
            assert_eq!(summary["listen"], node.listen.to_string());
            assert_eq!(summary["admin"], node.admin.to_string());
            assert_eq!((&summary["state"], &summary["partitions"]), (&json!("up"), &json!(64)));
            assert_eq!((&summary["reporters"], &summary["reportersNeeded"]), (&json!([]), &json!(2)));
        }
    }
    let began = Instant::now();
    cluster[2].kill();
    until(DOWN_WITHIN, "both others draw n3 as down, and who says so", || {
        for node in &cluster.nodes[..2] {
            let drawn = &picture(node, "")["cluster"];
            let dead = &drawn["nodes"][2];
            let suspects = |by: u64| {
                let is_own = |line: &Value| *line == json!({ "by": by, "of": 2, "own": true });
                drawn["suspicions"].as_array().unwrap().iter().any(is_own)
            };
            if dead["state"] != "down" || dead["reporters"] != json!([0, 1]) || !suspects(0) || !suspects(1) {
                return Err(format!("{}: {dead} {}", node.name, drawn["suspicions"]));
            }
        }
        Ok(())
    });
    say(format!("n3 is drawn as down by both {:.1} s after kill -9", began.elapsed().as_secs_f64()));
}

#[test]
fn the_page_is_served_with_a_policy_that_names_the_members() {
    let cluster = Cluster::start(2, &["--partitions", "64"]);
    let node = &cluster[0];
    let host = node.admin.to_string();
    let ask = |method, path, more: &[(&str, &str)]| {
        let headers = [&[("Host", host.as_str())], more].concat();
        request(node.admin, method, path, &headers, &[]).unwrap()
    };
    let front = ask("GET", "/", &[]);
    assert_eq!(front.status, 200);
    let policy = header(&front, "content-security-policy").unwrap();
    for rule in [
        "default-src 'none'",
        "script-src 'self' 'wasm-unsafe-eval';",
        "worker-src 'self'",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(rule), "{rule}: {policy}");
    }
    let (_, connect) = policy.split_once("connect-src").unwrap();
    for member in &cluster.nodes {
        for name in [member.admin.to_string(), format!("localhost:{}", member.admin.port())] {
            assert!(connect.contains(&format!(" http://{name}")), "{connect}");
            assert!(connect.contains(&format!(" ws://{name}")), "{connect}");
        }
    }
    assert_eq!(header(&front, "x-content-type-options"), Some("nosniff"));
    match header(&front, "content-type").unwrap() {
        "text/html; charset=utf-8" => {
            assert!(front.text().contains("<script"), "{}", front.text());
            let tag = header(&front, "etag").unwrap();
            assert_eq!(ask("GET", "/", &[("If-None-Match", tag)]).status, 304);
            assert_eq!(header(&front, "cache-control"), Some("no-cache"));
            say("the page is part of this build");
        }
        // A build without it says how to make it.
        _ => assert!(front.text().contains("make web"), "{}", front.text()),
    }
    let head = ask("HEAD", "/", &[]);
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(header(&head, "content-type"), header(&front, "content-type"));
    for path in ["/nothing", "/../Cargo.toml", "/assets/..%2f..%2fCargo.toml", "/%ff", "//"] {
        assert_eq!(ask("GET", path, &[]).status, 404, "{path}");
    }
    assert_eq!(ask("POST", "/", &[]).status, 405);
}

#[test]
fn only_pages_of_members_read_across_origins_and_only_what_changes_nothing() {
    let cluster = Cluster::start(2, &["--partitions", "64"]);
    let (node, other) = (&cluster[0], &cluster[1]);
    let host = node.admin.to_string();
    let ask = |method, path, origin: &str| {
        request(node.admin, method, path, &[("Host", &host), ("Origin", origin)], b"v").unwrap()
    };
    let allowed = |answer: &Answer| header(answer, "access-control-allow-origin").map(str::to_owned);
    let local = format!("http://localhost:{}", other.admin.port());
    for origin in [other.url(), local] {
        for path in ["/status", "/picture", "/picture?node=1", "/picture?key=%f"] {
            let answer = ask("GET", path, &origin);
            assert_eq!(allowed(&answer), Some(origin.clone()), "{path}: {}", answer.head);
            assert_eq!(header(&answer, "vary"), Some("Origin"), "{path}");
            assert_eq!(header(&answer, "access-control-allow-credentials"), None);
        }
        for (method, path) in [
            ("PUT", "/kv/k"),
            ("GET", "/kv/k"),
            ("POST", "/bulk"),
            ("GET", "/metrics"),
            ("GET", "/"),
            ("OPTIONS", "/kv/k"),
        ] {
            assert_eq!(allowed(&ask(method, path, &origin)), None, "{method} {path}");
        }
    }
    for origin in ["http://evil.example", "null", "http://127.0.0.1:1"] {
        for path in ["/status", "/picture", "/events"] {
            let answer = ask("GET", path, origin);
            assert_eq!((answer.status, allowed(&answer)), (403, None), "{origin} {path}");
        }
    }
}

#[test]
fn a_key_is_drawn_with_its_copies_and_a_wrong_one_is_refused() {
    let cluster = Cluster::start(3, &["--partitions", "64"]);
    assert_eq!(cluster[0].client().ask(&["SET", "city:KR:Seoul", "9411260"]).unwrap(), Reply::ok());
    for node in &cluster.nodes {
        let (drawn, _) = until(Duration::from_secs(10), "all three hold it", || {
            let drawn = picture(node, "?key=city%3AKR%3ASeoul&node=1");
            let copies = drawn["key"]["copies"].as_array().unwrap();
            let is_whole =
                |copy: &Value| copy["isCurrent"] == true && copy["isSynced"] == true && copy["siblings"] == 1;
            if copies.len() == 3 && copies.iter().all(is_whole) {
                Ok(drawn.clone())
            } else {
                Err(drawn.to_string())
            }
        });
        let (key, owners) = (&drawn["key"], &drawn["cluster"]["owners"]);
        assert_eq!((&key["key"], &key["slot"]), (&json!("city:KR:Seoul"), &json!(10_446)));
        let partition = key["partition"].as_u64().unwrap() as usize;
        assert_eq!(partition, 10_446 / (16_384 / 64));
        let walked: Vec<&Value> =
            key["walk"].as_array().unwrap().iter().filter(|step| step["role"] == "owner").collect();
        assert_eq!(walked.len(), 3);
        for (place, step) in walked.iter().enumerate() {
            assert_eq!(step["node"], owners[partition][place]);
            assert_eq!(step["place"], place + 1);
        }
        let siblings = key["siblings"].as_array().unwrap();
        assert_eq!(siblings.len(), 1);
        assert_eq!(siblings[0]["value"], "9411260");
        assert!(siblings[0]["stampMs"].as_u64().unwrap() > 1_500_000_000_000);
        let shards = drawn["node"]["shards"].as_array().unwrap();
        assert!(
            shards.iter().any(|shard| {
                let read = shard["read"].as_array().unwrap();
                read.iter().any(|step| step["answer"] == "found")
            }),
            "{shards:?}"
        );
        assert_eq!(drawn["node"]["repair"].as_array().unwrap().len(), 64);
    }
    let unknown = &picture(&cluster[1], "?key=never%20written")["key"];
    assert_eq!(unknown["key"], "never written");
    assert_eq!(
        (&unknown["copies"], &unknown["siblings"], &unknown["actors"]),
        (&json!([]), &json!([]), &json!([]))
    );
    assert_eq!(unknown["walk"].as_array().unwrap().iter().filter(|step| step["role"] == "owner").count(), 3);
    for (query, told) in
        [(format!("?key={}", "k".repeat(20_000)), "20000 bytes"), ("?key=%zz".into(), "percent-encoded")]
    {
        let refused = get(cluster[0].admin, &format!("/picture{query}")).unwrap();
        assert_eq!(refused.status, 400, "{}", refused.head);
        let problem: Value = serde_json::from_slice(&refused.body).unwrap();
        assert!(problem["message"].as_str().unwrap().contains(told), "{problem}");
    }
}

/// What a page hears of one member.
struct Heard {
    socket: WebSocket,
    words: Vec<u32>,
    texts: Vec<Value>,
}

impl Heard {
    fn begin(node: &Node) -> Heard {
        let mut socket = WebSocket::open(node.admin, "/events", Some(&node.url())).unwrap();
        let Message::Text(text) = socket.receive().unwrap() else { panic!("the first message is no text") };
        Heard { socket, words: Vec::new(), texts: vec![serde_json::from_str(&text).unwrap()] }
    }
    /// Listens until there is such a record.
    fn listen_for(&mut self, what: &str, is_it: impl Fn(&Record<'_>) -> bool) {
        let began = Instant::now();
        loop {
            match self.socket.receive().unwrap() {
                Message::Text(text) => self.texts.push(serde_json::from_str(&text).unwrap()),
                Message::Binary(bytes) => {
                    let words: Vec<u32> =
                        bytes.chunks_exact(4).map(|w| u32::from_le_bytes([w[0], w[1], w[2], w[3]])).collect();
                    self.words.extend_from_slice(&words);
                    if records(&words).any(|record| is_it(&record)) {
                        return;
                    }
                }
                Message::Other(_) => {}
            }
            assert!(began.elapsed() < DOWN_WITHIN, "{what}: not heard of");
        }
    }
}

#[test]
fn a_page_under_load_hears_whole_requests_and_misses_no_member() {
    let mut cluster = Cluster::start(3, &["--partitions", "64"]);
    let mut heard: Vec<Heard> = cluster.nodes[..2].iter().map(Heard::begin).collect();
    let first = &heard[0].texts[0];
    assert_eq!((&first["node"], &first["me"]), (&json!("n1"), &json!(0)));
    assert_eq!(first["picture"]["nodes"].as_array().unwrap().len(), 3);
    assert_eq!(first["picture"]["nodes"][2]["name"], first["topology"]["members"][2]["name"]);
    let addresses = [cluster[0].listen, cluster[1].listen];
    let load = Load::start(&Plan::through(&addresses));
    load.wait_acked(10_000);
    cluster[2].kill();
    for heard in &mut heard {
        heard.listen_for("n3 is down", |record| record.kind == Kind::WentDown && record.payload[0] == 2);
    }
    load.wait_acked(20_000);
    cluster.spawn(2);
    for heard in &mut heard {
        heard.listen_for("n3 is back", |record| record.kind == Kind::CameUp && record.payload[0] == 2);
    }
    let outcome = load.finish();
    let mut all = [BTreeSet::new(), BTreeSet::new()];
    for (index, heard) in heard.iter().enumerate() {
        let of = |kind| records(&heard.words).filter(move |record| record.kind == kind);
        let down = of(Kind::WentDown).next().unwrap();
        assert_eq!(join(down.payload[1], down.payload[2]), 0b11, "the two others reported it");
        assert!(of(Kind::Suspected).any(|record| record.payload[0] == 2));
        let named: BTreeSet<u32> = of(Kind::String).map(|record| record.payload[0]).collect();
        let started: BTreeSet<u64> =
            of(Kind::RequestStarted).map(|record| join(record.payload[0], record.payload[1])).collect();
        assert!(of(Kind::RequestStarted).all(|record| named.contains(&record.payload[4])), "keys have names");
        let ended: BTreeSet<u64> =
            of(Kind::RequestEnded).map(|record| join(record.payload[0], record.payload[1])).collect();
        let whole = started.intersection(&ended).count();
        assert!(whole > 50 && whole * 10 > started.len() * 8, "{whole} of {} are whole", started.len());
        let sent = of(Kind::Sent)
            .filter(|record| started.contains(&join(record.payload[6], record.payload[7])))
            .count();
        assert!(sent > whole, "{sent} messages of {whole} requests");
        all[index] = started;
        let told: Vec<&Value> = heard.texts.iter().filter(|text| text["sampled"].is_u64()).collect();
        let sum = |name: &str| told.iter().filter_map(|text| text[name].as_u64()).sum::<u64>();
        let most = told.iter().filter_map(|text| text["sampled"].as_u64()).max().unwrap();
        assert!(most > 1, "{told:?}");
        assert!(heard.texts.iter().all(|text| text["dropped"].is_null()));
        let kept = records(&heard.words).filter(|record| record.kind != Kind::String).count();
        say(format!(
            "{}: {kept} of {} events heard, {} writes, at most one in {most}",
            cluster[index].name,
            sum("events"),
            sum("writes")
        ));
    }
    assert!(all.iter().all(|started| started.len() > 50));
    say(outcome.line());
}

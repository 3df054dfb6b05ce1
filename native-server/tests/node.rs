//! One real process: what clients send, what operators do wrong, and how it ends.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A node on ports that the system chose.
struct Node {
    process: Child,
    clients: String,
    admin: String,
    peers: String,
    /// What it logged since it told its addresses.
    log: Arc<Mutex<String>>,
}

const ONE: &[&str] =
    &["--bootstrap", "--n", "1", "--r", "1", "--w", "1", "--partitions", "64", "--memory", "16M"];

const KEY_BYTES_MAX: usize = 64 << 10;

fn command(dir: &Path, flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kvorum"));
    command.arg("server").arg("--data").arg(dir).args(["--name", "n1"]);
    command.args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--peer", "127.0.0.1:0"]).args(flags);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

impl Node {
    fn start(dir: &Path, flags: &[&str]) -> Node {
        let mut process = command(dir, flags).spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let mut said = String::new();
        let addresses = loop {
            let line = lines.next().unwrap_or_else(|| panic!("the node ended: {said}")).unwrap();
            if let Some((_, addresses)) = line.split_once("clients on ") {
                break addresses.to_owned();
            }
            said.push_str(&line);
        };
        // Keeps reading, so that the node never blocks on its log.
        let log = Arc::new(Mutex::new(String::new()));
        let sink = log.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut log = sink.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        let mut parts = addresses.split(", ").map(|part| part.rsplit(' ').next().unwrap().to_owned());
        let mut next = || parts.next().unwrap();
        let node = Node { process, clients: next(), admin: next(), peers: next(), log };
        let since = Instant::now();
        while !node.http("GET", "/readyz", "").starts_with("HTTP/1.1 200") {
            assert!(since.elapsed() < Duration::from_secs(20), "the node is not ready");
            std::thread::sleep(Duration::from_millis(10));
        }
        node
    }
    fn connect(&self) -> Client {
        let stream = TcpStream::connect(&self.clients).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Client { reader: BufReader::new(stream) }
    }
    /// Waits until the log says so.
    fn logs(&self, words: &str) {
        let since = Instant::now();
        while !self.log.lock().unwrap().contains(words) {
            assert!(since.elapsed() < Duration::from_secs(20), "the log does not say '{words}'");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    fn http(&self, method: &str, path: &str, headers: &str) -> String {
        let mut stream = TcpStream::connect(&self.admin).unwrap();
        let host =
            if headers.contains("Host:") { String::new() } else { format!("Host: {}\r\n", self.admin) };
        let request = format!("{method} {path} HTTP/1.1\r\n{host}{headers}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }
    fn terminate(mut self) -> i32 {
        let pid = rustix::process::Pid::from_raw(self.process.id() as i32).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.process.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Client {
    reader: BufReader<TcpStream>,
}

impl Client {
    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.reader.get_mut().write_all(bytes.as_ref()).unwrap();
    }
    /// One reply, nested ones in brackets.
    fn reply(&mut self) -> String {
        let mut line = String::new();
        if self.reader.read_line(&mut line).unwrap() == 0 {
            return "closed".into();
        }
        let line = line.trim_end();
        let (kind, rest) = line.split_at(1);
        match kind {
            "$" | "=" if rest != "-1" => {
                let mut bytes = vec![0; rest.parse::<usize>().unwrap() + 2];
                self.reader.read_exact(&mut bytes).unwrap();
                bytes.truncate(bytes.len() - 2);
                String::from_utf8_lossy(&bytes).into_owned()
            }
            "*" | "~" | "%" => {
                let count = rest.parse::<usize>().unwrap() * if kind == "%" { 2 } else { 1 };
                let items: Vec<_> = (0..count).map(|_| self.reply()).collect();
                format!("[{}]", items.join(" "))
            }
            _ => line.to_owned(),
        }
    }
    fn ask(&mut self, line: &str) -> String {
        self.send(format!("{line}\r\n"));
        self.reply()
    }
}

fn fails(dir: &Path, flags: &[&str]) -> (i32, String) {
    let Output { status, stderr, .. } = command(dir, flags).output().unwrap();
    let said = String::from_utf8_lossy(&stderr).into_owned();
    (status.code().unwrap_or(-1), said.lines().last().unwrap_or_default().to_owned())
}

#[test]
fn wrong_commands_are_named_and_the_connection_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), ONE);
    let mut client = node.connect();
    for (line, said) in [
        ("NOPE a b", "-ERR unknown command 'NOPE', with args beginning with: 'a' 'b'"),
        ("GET", "-ERR wrong number of arguments for 'get' command"),
        ("CLIENT NOPE", "-ERR unknown subcommand 'NOPE'. Try CLIENT HELP."),
        ("SELECT 3", "-ERR DB index is out of range: Kvorum has keyspace 0 only"),
        ("SET k v EX x", "-ERR value is not an integer or out of range"),
        ("SET k v EX 0", "-ERR invalid expire time in 'set' command"),
        ("SET k v NOPE", "-ERR syntax error"),
        ("SCAN x", "-ERR invalid cursor"),
        ("MEMORY USAGE", "-ERR wrong number of arguments for 'memory|usage' command"),
        ("OBJECT ENCODING", "-ERR wrong number of arguments for 'object|encoding' command"),
        ("OBJECT HELP me", "-ERR wrong number of arguments for 'object|help' command"),
        ("MEMORY USAGE k SAMPLES", "-ERR syntax error"),
        ("MEMORY USAGE k SAMPLES -1", "-ERR syntax error"),
        ("MEMORY USAGE k SAMPLES abc", "-ERR value is not an integer or out of range"),
        ("MEMORY USAGE k SAMPLES 0", "$-1"),
        ("SETEX k 010 v", "-ERR value is not an integer or out of range"),
        ("PSETEX k -0 v", "-ERR value is not an integer or out of range"),
        ("SET k v PXAT +5", "-ERR value is not an integer or out of range"),
        ("GETEX k EX 05", "-ERR value is not an integer or out of range"),
        ("EXPIRE k 00", "-ERR value is not an integer or out of range"),
        ("SCAN 0 COUNT 010", "-ERR value is not an integer or out of range"),
        ("PING", "+PONG"),
    ] {
        assert_eq!(client.ask(line), said, "{line}");
    }
    for (line, code) in [
        ("INCR n", "-NOAPSAFE"),
        ("SET k v NX", "-NOAPSAFE"),
        ("SET k v GET", "-NOAPSAFE"),
        ("GETSET k v", "-NOAPSAFE"),
        ("MULTI", "-ERR unsupported command 'MULTI'"),
        ("LPUSH l 1", "-ERR unsupported command 'LPUSH'"),
        ("KV.PUT k v CONTEXT 00ff", "-ERR"),
    ] {
        let said = client.ask(line);
        assert!(said.starts_with(code), "{line}: {said}");
    }
    client.send("*2\r\n$3\r\nGET\r\n:1\r\n");
    assert_eq!(client.reply(), "-ERR Protocol error: expected '$', got ':'");
    assert_eq!(client.reply(), "closed");
    assert_eq!(node.connect().ask("PING"), "+PONG");
}

#[test]
fn what_a_web_page_sends_is_hung_up_on_and_not_run() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), ONE);
    let mut client = node.connect();
    assert_eq!(client.ask("SET k v"), "+OK");
    let cases = [
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\n\r\n\r\nFLUSHALL\r\n",
        "post /\r\nFLUSHALL\r\n",
        "PUT / HTTP/1.1\r\nhost: h\r\n\r\nDEL k\r\n",
        "*1\r\n$4\r\nPost\r\n*1\r\n$8\r\nFLUSHALL\r\n",
        "*2\r\n$5\r\nHOST:\r\n$1\r\nx\r\n*2\r\n$3\r\nDEL\r\n$1\r\nk\r\n",
    ];
    for bytes in cases {
        let mut page = TcpStream::connect(&node.clients).unwrap();
        page.write_all(bytes.as_bytes()).unwrap();
        let mut said = String::new();
        // Closed with bytes unread, it may be reset.
        let _ = page.read_to_string(&mut said);
        assert!(!said.contains("+OK") && !said.contains(":1"), "{bytes}: {said}");
        assert_eq!(client.ask("GET k"), "v", "{bytes}");
    }
    node.logs("sent POST or Host:");
    assert_eq!(node.log.lock().unwrap().matches("sent POST or Host:").count(), 1, "once for many");
}

#[test]
fn an_error_that_ends_a_connection_reaches_the_client() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), ONE);
    let announced = "*2\r\n$3\r\nGET\r\n$600000000\r\n".to_owned();
    let cases = [
        ("a".repeat(1 << 20), "-ERR Protocol error: too big inline request\r\n"),
        (announced + &"b".repeat(4 << 20), "-ERR Protocol error: invalid bulk length\r\n"),
    ];
    for (bytes, error) in cases.iter().cycle().take(20) {
        let mut stream = TcpStream::connect(&node.clients).unwrap();
        stream.write_all(bytes.as_bytes()).unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        assert_eq!(said, *error);
    }
    // One that neither reads nor goes away is let go of all the same.
    let mut rude = TcpStream::connect(&node.clients).unwrap();
    rude.write_all(b"*x\r\n").unwrap();
    let since = Instant::now();
    let mut client = node.connect();
    while client.ask("CLIENT LIST").lines().count() > 1 {
        assert!(since.elapsed() < Duration::from_secs(10), "it is kept");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn what_is_too_large_is_refused_and_the_next_command_served() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), ONE);
    let mut client = node.connect();
    let set = |key: usize, value: usize| {
        let (key, value) = ("k".repeat(key), "v".repeat(value));
        format!("*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n${}\r\n{value}\r\n", key.len(), value.len())
    };
    client.send(set(KEY_BYTES_MAX + 1, 1));
    assert!(client.reply().contains("a key of 65537 bytes; at most 65536"));
    client.send(set(1, (16 << 20) + 1));
    assert!(client.reply().contains("of 16777217 bytes; at most 16777216"));
    client.send(set(1, 16 << 20));
    assert_eq!(client.reply(), "+OK");
    assert_eq!(client.ask("STRLEN k"), ":16777216");
    client.send(set(KEY_BYTES_MAX, 1));
    assert_eq!(client.reply(), "+OK");
}

#[test]
fn a_pipeline_is_answered_in_order_and_reads_its_own_writes() {
    for shards in ["1", "2"] {
        let dir = tempfile::tempdir().unwrap();
        let node = Node::start(dir.path(), &[ONE, &["--shards", shards]].concat());
        let mut client = node.connect();
        let mut bytes = Vec::new();
        for index in 0..3_000 {
            let _ = write!(bytes, "SET k{index} {index}\r\nGET k{index}\r\nPING {index}\r\n");
        }
        let mut writer = client.reader.get_ref().try_clone().unwrap();
        let sender = std::thread::spawn(move || writer.write_all(&bytes).unwrap());
        for index in 0..3_000 {
            assert_eq!(client.reply(), "+OK");
            assert_eq!(client.reply(), index.to_string());
            assert_eq!(client.reply(), index.to_string());
        }
        sender.join().unwrap();
        assert_eq!(client.ask("MGET k0 k1 none k2999"), "[0 1 $-1 2999]");
        assert_eq!(client.ask("DEL k0 k1 none"), ":2");
        assert_eq!(client.ask("EXISTS k0 k1 k2 k3"), ":2");
        assert_eq!(client.ask("DBSIZE"), ":2998");
        let (mut cursor, mut count) = ("0".to_owned(), 0);
        loop {
            let page = client.ask(&format!("SCAN {cursor} COUNT 100 MATCH k*"));
            let (next, keys) = page[1..page.len() - 2].split_once(" [").unwrap();
            count += keys.split_whitespace().count();
            cursor = next.to_owned();
            if cursor == "0" {
                break;
            }
        }
        assert_eq!(count, 2_998);
        client.send("CLIENT REPLY SKIP\r\nSET k silent\r\nGET k\r\n");
        assert_eq!(client.reply(), "silent");
        assert_eq!(client.ask("FLUSHDB"), "+OK");
        assert_eq!(client.ask("KEYS *"), "[]");
    }
}

#[test]
fn siblings_expiry_and_contexts_speak_resp() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[ONE, &["--resolve", "siblings"]].concat());
    let mut client = node.connect();
    let hello = client.ask("HELLO 3 SETNAME tester");
    assert!(hello.contains("proto :3") && hello.contains("mode cluster"), "{hello}");
    assert_eq!(client.ask("CLIENT GETNAME"), "tester");
    let put = |client: &mut Client, value: &str, context: &str| {
        let said = client.ask(&format!("KV.PUT cart {value} CONTEXT {context}"));
        assert!(said.contains("acks :1"), "{said}");
    };
    assert_eq!(client.ask("SET cart first"), "+OK");
    let context_of = |client: &mut Client| {
        let said = client.ask("KV.GET cart WITHCONTEXT");
        said.split(' ').nth(1).unwrap().to_owned()
    };
    let context = context_of(&mut client);
    put(&mut client, "milk", &context);
    put(&mut client, "eggs", &context);
    let both = client.ask("KV.GET cart");
    assert!(both.contains("milk") && both.contains("eggs") && !both.contains("first"), "{both}");
    let context = context_of(&mut client);
    put(&mut client, "both", &context);
    assert_eq!(client.ask("KV.GET cart"), "[both]");
    assert!(client.ask(&format!("KV.PUT other x CONTEXT {context}")).starts_with("-ERR"));

    assert_eq!(client.ask("SET t v EX 100"), "+OK");
    assert_eq!(client.ask("TTL t"), ":100");
    assert_eq!(client.ask("PEXPIRE t 50000 GT"), ":0");
    assert_eq!(client.ask("GETEX t PERSIST"), "v");
    assert_eq!(client.ask("TTL t"), ":-1");
    assert_eq!(client.ask("EXPIRE t -1"), ":1");
    assert_eq!(client.ask("GET t"), "_");
    assert_eq!(client.ask("TTL t"), ":-2");
}

#[test]
fn acknowledged_writes_are_there_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), ONE);
    let mut client = node.connect();
    for index in 0..100 {
        assert_eq!(client.ask(&format!("SET k{index} v")), "+OK");
    }
    drop(node);
    let node = Node::start(dir.path(), &["--bootstrap"]);
    let mut client = node.connect();
    for index in 0..100 {
        assert_eq!(client.ask(&format!("GET k{index}")), "v");
    }
    assert_eq!(client.ask("SET last v"), "+OK");
    assert_eq!(node.terminate(), 0);
}

#[test]
fn a_client_that_never_reads_costs_the_others_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), ONE);
    let mut client = node.connect();
    let value = "v".repeat(1 << 20);
    client.send(format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${}\r\n{value}\r\n", value.len()));
    assert_eq!(client.reply(), "+OK");
    let deaf = TcpStream::connect(&node.clients).unwrap();
    deaf.set_nonblocking(true).unwrap();
    for _ in 0..2_000 {
        // When the socket is full, the node has stopped reading, as it should.
        if (&deaf).write_all(b"GET k\r\n").is_err() {
            break;
        }
    }
    for _ in 0..10 {
        assert_eq!(client.ask("STRLEN k"), ":1048576");
    }
    let metrics = node.http("GET", "/metrics", "");
    let resident = metrics.lines().find_map(|line| line.strip_prefix("process_resident_memory_bytes "));
    let resident: u64 = resident.unwrap().parse().unwrap();
    assert!(resident < 512 << 20, "{resident} bytes resident");
}

#[test]
fn clients_can_be_listed_and_killed_and_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[ONE, &["--shards", "2", "--max-connections", "3"]].concat());
    let (mut first, mut second) = (node.connect(), node.connect());
    let id = second.ask("CLIENT ID");
    assert_eq!(first.ask("CLIENT LIST").lines().count(), 2);
    let mut third = node.connect();
    assert_eq!(third.ask("PING"), "+PONG");
    let mut fourth = node.connect();
    assert_eq!(fourth.reply(), "-ERR max number of clients reached");
    assert_eq!(fourth.reply(), "closed");
    assert_eq!(first.ask(&format!("CLIENT KILL ID {}", &id[1..])), ":1");
    assert_eq!(second.reply(), "closed");
}

#[test]
fn filters_of_clients_are_judged_before_anybody_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), ONE);
    let (mut first, mut second) = (node.connect(), node.connect());
    let id = second.ask("CLIENT ID").split_off(1);
    for (line, said) in [
        ("CLIENT KILL", "-ERR wrong number of arguments for 'client|kill' command"),
        ("CLIENT KILL nowhere", "-ERR No such client"),
        ("CLIENT KILL SKIPME x", "-ERR syntax error"),
        ("CLIENT KILL ID 1 SKIPME", "-ERR syntax error"),
        ("CLIENT KILL NOPE x", "-ERR syntax error"),
        ("CLIENT KILL TYPE normal NOPE x", "-ERR syntax error"),
        ("CLIENT KILL TYPE foo", "-ERR Unknown client type 'foo'"),
        ("CLIENT KILL USER foo", "-ERR No such user 'foo'"),
        ("CLIENT KILL ID 0", "-ERR client-id should be greater than 0"),
        ("CLIENT KILL ID x", "-ERR client-id should be greater than 0"),
        ("CLIENT KILL ID 01", "-ERR client-id should be greater than 0"),
        ("CLIENT KILL MAXAGE 0", "-ERR maxage should be greater than 0"),
        ("CLIENT KILL TYPE pubsub", ":0"),
        ("CLIENT KILL ADDR 1.2.3.4:5 SKIPME no", ":0"),
        ("CLIENT LIST FOO", "-ERR syntax error"),
        ("CLIENT LIST TYPE foo", "-ERR Unknown client type 'foo'"),
        ("CLIENT LIST TYPE", "-ERR syntax error"),
        ("CLIENT LIST ID x", "-ERR Invalid client ID"),
        ("CLIENT LIST ID 999", ""),
        ("CLIENT LIST TYPE pubsub", ""),
        ("CLIENT NO-EVICT x", "-ERR syntax error"),
        ("CLIENT NO-EVICT on", "+OK"),
        ("CLIENT NO-TOUCH x", "-ERR syntax error"),
    ] {
        assert_eq!(first.ask(line), said, "{line}");
        assert_eq!(second.ask("PING"), "+PONG", "{line}");
    }
    assert!(first.ask(&format!("CLIENT LIST ID {id} 999")).starts_with(&format!("id={id} ")));
    assert_eq!(first.ask("CLIENT LIST TYPE normal").lines().count(), 2);
    assert_eq!(first.ask("CLIENT KILL USER default SKIPME yes"), ":1");
    assert_eq!(second.reply(), "closed");
    assert_eq!(first.ask("CLIENT KILL TYPE normal SKIPME no"), ":1");
    assert_eq!(first.reply(), "closed");
}

#[test]
fn commands_with_subcommands_have_help() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), ONE);
    let mut client = node.connect();
    for (name, word) in [
        ("CLUSTER", "SHARDS"),
        ("CLIENT", "KILL <ip:port>"),
        ("CONFIG", "RESETSTAT"),
        ("COMMAND", "GETKEYS"),
        ("OBJECT", "ENCODING"),
        ("MEMORY", "USAGE"),
    ] {
        let said = client.ask(&format!("{name} HELP"));
        let head = format!("[+{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are: ");
        assert!(said.starts_with(&head), "{said}");
        assert!(
            said.contains(&format!("+{word}")) && said.contains("+HELP +    Prints this help.]"),
            "{said}"
        );
        assert_eq!(client.ask(&format!("{name} help")), said);
    }
    assert_eq!(client.ask("CLIENT HELP x"), "-ERR wrong number of arguments for 'client|help' command");
}

#[test]
fn ends_are_told_in_rounded_seconds_as_in_redis() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), ONE);
    let mut client = node.connect();
    for (at, secs) in [("4000000000499", ":4000000000"), ("4000000000500", ":4000000001")] {
        assert_eq!(client.ask(&format!("SET k v PXAT {at}")), "+OK");
        assert_eq!(client.ask("EXPIRETIME k"), secs);
        assert_eq!(client.ask("PEXPIRETIME k"), format!(":{at}"));
    }
}

/// Runs another command of the binary against a node.
fn run(node: &Node, args: &[&str]) -> (i32, String, String) {
    let admin = format!("http://{}", node.admin);
    let mut command = Command::new(env!("CARGO_BIN_EXE_kvorum"));
    let Output { status, stdout, stderr } = command.args(args).env("KVORUM_ADMIN", admin).output().unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    (status.code().unwrap_or(-1), text(&stdout), text(&stderr))
}

#[test]
fn the_command_line_takes_what_a_redis_client_may_say_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(&dir.path().join("n1"), ONE);
    let mut client = node.connect();
    // The empty key is a key.
    assert_eq!(run(&node, &["get", ""]).0, 1);
    assert_eq!(run(&node, &["put", "", "v"]).0, 0);
    assert_eq!(client.ask("GET \"\""), "v");
    assert_eq!(run(&node, &["get", ""]).1, "v");
    assert_eq!(run(&node, &["del", ""]).0, 0);
    assert_eq!(client.ask("GET \"\""), "$-1");
    // A time to live is one.
    for ttl in ["0", "-1", "x", "9223372036854775808", "18446744073709551615"] {
        let (status, _, said) = run(&node, &["put", "k", "v", &format!("--ttl={ttl}")]);
        assert!(status == 2 && said.contains("--ttl"), "{ttl}: {said}");
    }
    let (status, _, said) = run(&node, &["put", "k", "v", "--ttl", "9223372036854775807"]);
    assert!(status == 1 && said.contains("TTL is a number of milliseconds above 0"), "{said}");
    let refused = client.ask("KV.PUT k v TTL 9223372036854775807");
    assert!(refused.contains("TTL is a number of milliseconds above 0"), "{refused}");
    assert!(node.http("PUT", "/kv/k?ttl_ms=0", "Content-Length: 0\r\n").contains("TTL is a number"));
    assert_eq!(client.ask("GET k"), "$-1");
    assert_eq!(run(&node, &["put", "k", "v", "--ttl", "100000"]).0, 0);
    // An export is .jsonl or .csv.
    let file = |name: &str| dir.path().join(name).display().to_string();
    for name in ["x.txt", "x", "x.json"] {
        let (status, _, said) = run(&node, &["export", &file(name)]);
        assert!(status == 1 && said.contains("its name must end in .jsonl or .csv"), "{said}");
        assert!(!dir.path().join(format!("{name}.part")).exists());
    }
    for name in ["x.jsonl", "x.CSV"] {
        assert_eq!(run(&node, &["export", &file(name)]).0, 0);
    }
    // An admin port speaks HTTP.
    for args in [&["import", "x.csv", "--key", "id"][..], &["get", "k"], &["status"], &["export", "x.csv"]] {
        let since = Instant::now();
        let (status, _, said) = run(&node, &[args, &["--admin", "ftp://x"]].concat());
        assert!(status == 2 && said.contains("http://HOST:PORT"), "{args:?}: {said}");
        assert!(since.elapsed() < Duration::from_secs(5), "it is tried again");
    }
}

#[test]
fn mistakes_of_operators_get_one_clear_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("n1");
    let (status, said) = fails(&path, &["--bootstrap", "--r", "4"]);
    assert!(status == 2 && said.contains("--n 3"), "{said}");
    let (status, said) = fails(&path, &["--bootstrap", "--partitions", "100"]);
    assert!(status == 2 && said.contains("power of two"), "{said}");
    let (status, said) = fails(&path, &[]);
    assert!(status == 2 && said.contains("--bootstrap") && said.contains("--join"), "{said}");

    let (status, said) = fails(&path, &["--bootstrap", "--max-connections", "0"]);
    assert!(status == 2, "{said}");

    let node = Node::start(&path, ONE);
    let (status, said) = fails(&path, ONE);
    assert!(status == 1 && said.contains("another server runs on"), "{said}");
    let mut busy = command(&dir.path().join("n2"), ONE);
    busy.args(["--listen", &node.clients]);
    // clap takes the last of a repeated flag only where told to; here the repetition itself is the mistake.
    let said = String::from_utf8_lossy(&busy.output().unwrap().stderr).into_owned();
    assert!(said.contains("cannot be used multiple times"), "{said}");
    let output = Command::new(env!("CARGO_BIN_EXE_kvorum"))
        .args(["server", "--name", "n2", "--bootstrap", "--listen", &node.clients, "--admin", "127.0.0.1:0"])
        .args(["--peer", "127.0.0.1:0", "--data"])
        .arg(dir.path().join("n2"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && said.contains("is in use"), "{said}");
    let output = Command::new(env!("CARGO_BIN_EXE_kvorum"))
        .args(["server", "--name", "n2", "--bootstrap", "--listen", "0.0.0.0:0", "--data"])
        .arg(dir.path().join("n3"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && said.contains("--insecure-without-auth"), "{said}");

    // The folder of n1 under another name.
    assert_eq!(node.terminate(), 0);
    let output = Command::new(env!("CARGO_BIN_EXE_kvorum"))
        .args([
            "server",
            "--name",
            "other",
            "--bootstrap",
            "--listen",
            "127.0.0.1:0",
            "--admin",
            "127.0.0.1:0",
        ])
        .args(["--peer", "127.0.0.1:0", "--data"])
        .arg(&path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(2) && said.contains("belongs to node n1: start it with --name n1"),
        "{said}"
    );
}

#[test]
fn a_node_that_waits_for_another_says_so_and_why() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("n2");
    let own = "127.0.0.1:21987";
    let output = Command::new(env!("CARGO_BIN_EXE_kvorum"))
        .args(["server", "--name", "n2", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
        .args(["--peer", own, "--join", own, "--data"])
        .arg(&path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && said.contains("this node's own --peer address"), "{said}");
    assert!(!path.exists(), "a mistake in the flags leaves no folder behind");

    let seed = Node::start(&dir.path().join("n1"), ONE);
    let dead = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    for (seed, why) in [
        (dead.as_str(), "connection refused"),
        (&seed.clients, "what answers there does not speak Kvorum"),
        (&seed.admin, "what answers there does not speak Kvorum"),
        ("nosuchhost.invalid:7381", "its name cannot be looked up"),
    ] {
        let mut process = command(&path, &["--join", seed]).spawn().unwrap();
        let lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let (since, mut told, mut all) = (Instant::now(), Vec::new(), Vec::new());
        for line in lines.map_while(Result::ok) {
            all.push(line.clone());
            if line.contains("waiting to be taken in by") {
                told.push((line, since.elapsed()));
            }
            // An unanswered first attempt may be told as such.
            if told.len() == 2 {
                break;
            }
        }
        let _ = process.kill();
        let _ = process.wait();
        let (last, at) = told.last().unwrap();
        assert!(last.contains(&format!("taken in by {seed}: {why};")), "{last}");
        assert!(told[0].1 < Duration::from_secs(4) && *at > Duration::from_secs(4), "{told:?}");
        assert!(all.len() < 10, "it floods the log: {all:?}");
    }
}

#[test]
fn damage_is_named_by_file_and_offset() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), ONE);
    let mut client = node.connect();
    for index in 0..200 {
        assert_eq!(client.ask(&format!("SET k{index} {}", "v".repeat(100))), "+OK");
    }
    drop(node);
    let logs = std::fs::read_dir(dir.path().join("shard-0")).unwrap().map(|entry| entry.unwrap().path());
    let log = logs.filter(|path| path.extension().is_some_and(|name| name == "wal")).min().unwrap();
    let mut bytes = std::fs::read(&log).unwrap();
    bytes[3_000] ^= 0x40;
    std::fs::write(&log, &bytes).unwrap();
    let (status, said) = fails(dir.path(), ONE);
    assert!(status == 1 && said.contains(".wal is damaged at byte") && said.contains("--join"), "{said}");
    assert_eq!(std::fs::read(&log).unwrap(), bytes, "a failed open changes nothing");
}

#[test]
fn admin_refuses_foreign_names_and_pages() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), ONE);
    assert!(node.http("GET", "/livez", "").starts_with("HTTP/1.1 200"));
    assert!(node.http("GET", "/status", "Host: evil.example\r\n").starts_with("HTTP/1.1 403"));
    assert!(node.http("GET", "/status", "Origin: http://evil.example\r\n").starts_with("HTTP/1.1 403"));
    let own = format!("Origin: http://{}\r\n", node.admin);
    let status = node.http("GET", "/status", &own);
    assert!(status.contains(r#""state":"up""#) && status.contains(r#""hints":0"#), "{status}");
    let metrics = node.http("GET", "/metrics", "");
    for name in ["kvorum_requests_total", "kvorum_tombstones", "kvorum_wal_fsync_duration_seconds_count"] {
        assert!(metrics.contains(name), "{name}");
    }
}

#[test]
fn every_request_is_in_a_histogram_of_its_kind() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), ONE);
    let mut client = node.connect();
    for line in ["SET k v", "SET k w", "GET k", "GET k", "GET k", "EXPIRE k 9", "MGET k l", "DEL k", "PING"] {
        assert!(!client.ask(line).starts_with('-'), "{line}");
    }
    let metrics = node.http("GET", "/metrics", "");
    for (family, count) in [("set", 2), ("get", 3), ("del", 1), ("other", 2)] {
        for what in
            [format!("_count{{family=\"{family}\"}}"), format!("_bucket{{family=\"{family}\",le=\"+Inf\"}}")]
        {
            let line = format!("kvorum_request_duration_seconds{what} {count}\n");
            assert!(metrics.contains(&line), "{line} in {metrics}");
        }
    }
    assert!(
        !metrics.contains("kvorum_request_duration_seconds_sum{family=\"set\"} 0\n"),
        "a sync takes time"
    );
}

/// Waits until `/metrics` has this line.
fn wait_metric(node: &Node, line: &str) {
    let begin = std::time::Instant::now();
    loop {
        let metrics = node.http("GET", "/metrics", "");
        if metrics.lines().any(|found| found == line) {
            return;
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "{line} in {metrics}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn what_nothing_collects_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let flags = [ONE, &["--resolve", "siblings"]].concat();
    let node = Node::start(dir.path(), &flags);
    let mut client = node.connect();
    for line in ["SET old 1", "SET ends 1 PX 30", "SET ends-late 1 PX 100000", "SET crowded 0"] {
        assert_eq!(client.ask(line), "+OK");
    }
    wait_metric(&node, "kvorum_expired_keys 1");
    wait_metric(&node, "kvorum_old_vector_entries 0");
    wait_metric(&node, "kvorum_crowded_puts_total 0");
    assert_eq!(client.ask("SET ends 2"), "+OK");
    wait_metric(&node, "kvorum_expired_keys 0");
    // Nine values that all saw the first one and not each other.
    let seen = client.ask("KV.GET crowded WITHCONTEXT");
    let context = seen.split(' ').nth(1).unwrap().to_owned();
    for number in 1..=9 {
        let said = client.ask(&format!("KV.PUT crowded {number} CONTEXT {context}"));
        assert!(!said.starts_with('-'), "{said} with {seen}");
    }
    wait_metric(&node, "kvorum_crowded_puts_total 2");
    // The first write of a key has an actor of its own, whose entry stays when another one has overwritten it.
    assert_eq!(client.ask("SET old 2"), "+OK");
    wait_metric(&node, "kvorum_old_vector_entries 3");
}

#[test]
fn conditions_of_expire_go_together_as_in_redis() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), ONE);
    let mut client = node.connect();
    for (line, said) in [
        ("SET k v", "+OK"),
        ("EXPIRE k 100 XX LT", ":0"),
        ("EXPIRE k 100", ":1"),
        ("EXPIRE k 200 XX LT", ":0"),
        ("EXPIRE k 50 LT XX", ":1"),
        ("TTL k", ":50"),
        ("EXPIRE k 60 XX GT", ":1"),
        ("EXPIRE k 60 NX LT", "-ERR NX and XX, GT or LT options at the same time are not compatible"),
        ("EXPIRE k 60 GT LT", "-ERR GT and LT options at the same time are not compatible"),
        ("EXPIRE k 60 XX GT LT", "-ERR GT and LT options at the same time are not compatible"),
        (
            "GETRANGE k 0 1",
            "-ERR unsupported command 'GETRANGE': a value is read and written whole: GET it, work on it, and SET it",
        ),
    ] {
        assert_eq!(client.ask(line), said, "{line}");
    }
}

#[test]
fn events_flow_while_somebody_listens() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), ONE);
    let mut socket = TcpStream::connect(&node.admin).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let request = format!(
        "GET /events HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        node.admin
    );
    socket.write_all(request.as_bytes()).unwrap();
    let mut reader = BufReader::new(socket);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert!(line.starts_with("HTTP/1.1 101"), "{line}");
    while !line.trim().is_empty() {
        line.clear();
        reader.read_line(&mut line).unwrap();
    }
    let mut frame = || {
        let mut head = [0; 2];
        reader.read_exact(&mut head).unwrap();
        let length = match head[1] {
            126 => {
                let mut bytes = [0; 2];
                reader.read_exact(&mut bytes).unwrap();
                usize::from(u16::from_be_bytes(bytes))
            }
            127 => {
                let mut bytes = [0; 8];
                reader.read_exact(&mut bytes).unwrap();
                u64::from_be_bytes(bytes) as usize
            }
            short => usize::from(short),
        };
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        (head[0] & 15, body)
    };
    let (opcode, snapshot) = frame();
    assert_eq!(opcode, 1);
    assert!(String::from_utf8_lossy(&snapshot).contains("topology"));
    let mut client = node.connect();
    assert_eq!(client.ask("SET seen-key v"), "+OK");
    let since = Instant::now();
    loop {
        let (opcode, body) = frame();
        if opcode == 2 && body.windows(8).any(|bytes| bytes == b"seen-key") {
            let words: Vec<u32> =
                body.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
            assert!(kvorum_core::base::trace::records(&words).count() > 0);
            break;
        }
        assert!(since.elapsed() < Duration::from_secs(20), "no event names the key");
    }
}

#[test]
fn garbage_on_the_peer_port_is_refused_and_the_node_stays_up() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), ONE);
    for garbage in [b"GET / HTTP/1.1\r\n\r\n".as_slice(), &[0xff; 100], &[0; 64]] {
        let mut socket = TcpStream::connect(&node.peers).unwrap();
        socket.write_all(garbage).unwrap();
        let mut answer = Vec::new();
        // It is closed, with or without a word.
        let _ = socket.read_to_end(&mut answer);
    }
    assert_eq!(node.connect().ask("PING"), "+PONG");
}

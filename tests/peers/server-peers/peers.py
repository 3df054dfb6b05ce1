#!/usr/bin/env python3
"""Servers on loopback under the same load: a peer and Kvorum in turns, so that what the machine does meets both.

  peers.py list            the matches, and which of them can be run here
  peers.py run [MATCH ...] default: the short list; each leaves results/MATCH.json
  peers.py report          markdown of what is in results/ (bench.sh makes docs/bench.md of it)

A match starts both servers, fills both with the same keys and then measures row by row: peer, Kvorum, peer, Kvorum
... The server's processes run on all cores but the last, the client on the last one. The figure to compare by is
ops per CPU-second of the server's processes (user + system, all nodes together); `foreign` is the CPU, in cores, that
neither server nor client used meanwhile: above about 0.3, distrust ops/s and latency of that row.

Environment: KVORUM_BIN (the binary), KVLOAD (the load generator), PEERS_RUN (where servers keep their data),
PEERS_SECS (2), PEERS_ROUNDS (3), PEERS_ALL=1 (full key counts, and rows with 1 KiB values and YCSB A).
"""
import http.client
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
RESULTS = os.path.join(HERE, "results")
RUN = os.environ.get("PEERS_RUN", os.path.join(HERE, "run"))
KVLOAD = os.environ.get("KVLOAD", os.path.join(HERE, "kvload/target/release/kvload"))
KVORUM = os.environ.get("KVORUM_BIN", os.path.join(HERE, "../../../target/release/kvorum"))
SECS = float(os.environ.get("PEERS_SECS", "2"))
ROUNDS = int(os.environ.get("PEERS_ROUNDS", "3"))
ALL = os.environ.get("PEERS_ALL") == "1"
WARM_SECS = 0.5
TICKS = os.sysconf("SC_CLK_TCK")
MIB = 1 << 20

CORES = sorted(os.sched_getaffinity(0))
SERVER_CORES = CORES[:-1] or CORES
CLIENT_CORES = CORES[-1:]


# --- what the machine says -------------------------------------------------------------------------------------------

def cpu_secs(pids):
    """User and system time of processes, threads included."""
    total = 0
    for pid in pids:
        try:
            fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
            total += sum(int(field) for field in fields[11:15])
        except FileNotFoundError:
            pass
    return total / TICKS


def busy_secs():
    """Time in which the machine's cores did something."""
    fields = [int(field) for field in open("/proc/stat").readline().split()[1:]]
    return (sum(fields[:3]) + sum(fields[5:8])) / TICKS


def memory_bytes(pids, field="Pss:", file="smaps_rollup"):
    total = 0
    for pid in pids:
        for line in open(f"/proc/{pid}/{file}"):
            if line.startswith(field):
                total += int(line.split()[1]) * 1024
    return total


def disk_bytes(folder):
    return sum(os.stat(os.path.join(at, name)).st_blocks * 512 for at, _, names in os.walk(folder) for name in names)


def ask(port, *args):
    """The first bytes of a RESP server's answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=1) as stream:
        words = [str(arg).encode() for arg in args]
        stream.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words))
        return stream.recv(1 << 20)


def fetch(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def wait_for(what, is_so, secs=120):
    begin = time.time()
    while time.time() - begin < secs:
        try:
            if is_so():
                return
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(0.002)
    raise SystemExit(f"{what}: not within {secs} s")


# --- servers ---------------------------------------------------------------------------------------------------------

class Server:
    """One way to run a server or cluster: names, ports, command lines, and what the load generator must know."""
    kind, extra, wait, keys_part = "resp", [], 0, 1

    def __init__(self):
        self.dir = os.path.join(RUN, self.name)
        self.processes = []

    def is_here(self):
        return shutil.which(self.bin) is not None

    def spawn(self, argv):
        log = open(os.path.join(self.dir, "log"), "ab")
        pin = lambda: os.sched_setaffinity(0, SERVER_CORES)
        self.processes.append(subprocess.Popen(argv, stdout=log, stderr=log, cwd=self.dir, preexec_fn=pin))

    def pids(self):
        return [process.pid for process in self.processes]

    def start(self, fresh=True):
        if fresh:
            shutil.rmtree(self.dir, ignore_errors=True)
        os.makedirs(self.dir, exist_ok=True)
        self.processes = []
        begin = time.time()
        self.launch(fresh)
        wait_for(f"{self.name} up (see {self.dir}/log)", self.is_ready)
        return time.time() - begin

    def stop(self, with_signal=signal.SIGTERM):
        for process in self.processes:
            process.send_signal(with_signal)
        for process in self.processes:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def is_ready(self):
        return all(ask(port, "PING").startswith(b"+PONG") for port in self.ports)

    def settle(self):
        """Waits for background work (rewrites, compactions), so that the next row does not pay for it."""
        for _ in range(60):
            before = cpu_secs(self.pids())
            time.sleep(0.4)
            if cpu_secs(self.pids()) - before <= 0.04 and not self.has_children():
                return

    def has_children(self):
        """Redis rewrites its log in a child, with which it shares its memory."""
        return any(open(f"/proc/{pid}/task/{pid}/children").read() for pid in self.pids())

    def addresses(self):
        return ",".join(f"127.0.0.1:{port}" for port in self.ports)


class Redis(Server):
    bin, ports = "redis-server", [7301]

    def launch(self, fresh):
        self.spawn([self.bin, "--port", str(self.ports[0]), "--bind", "127.0.0.1", "--dir", self.dir, "--daemonize", "no",
                    "--save", "", *self.options])


class RedisEverysec(Redis):
    name, options = "redis-everysec", ["--appendonly", "yes", "--appendfsync", "everysec"]


class RedisAlways(Redis):
    name, options = "redis-always", ["--appendonly", "yes", "--appendfsync", "always"]


class RedisMemory(Redis):
    name, options = "redis-memory", ["--appendonly", "no"]


class ValkeyEverysec(RedisEverysec):
    name, bin, ports = "valkey-everysec", "valkey-server", [7302]


class ValkeyAlways(RedisAlways):
    name, bin, ports = "valkey-always", "valkey-server", [7302]


class RedisCluster(Server):
    """3 masters and 3 replicas, everysec; the client routes by CLUSTER SLOTS."""
    name, bin, ports, extra = "redis-cluster", "redis-server", list(range(7311, 7317)), ["--cluster"]

    def launch(self, fresh):
        for port in self.ports:
            folder = os.path.join(self.dir, str(port))
            os.makedirs(folder, exist_ok=True)
            self.spawn([self.bin, "--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--cluster-enabled", "yes",
                        "--cluster-config-file", "nodes.conf", "--save", "", "--appendonly", "yes", "--appendfsync", "everysec"])
        if fresh:
            wait_for("redis-cluster's processes", lambda: super(RedisCluster, self).is_ready())
            nodes = [f"127.0.0.1:{port}" for port in self.ports]
            subprocess.run(["redis-cli", "--cluster", "create", *nodes, "--cluster-replicas", "1", "--cluster-yes"],
                           check=True, stdout=subprocess.DEVNULL)

    def is_ready(self):
        def is_in_sync(port):
            role = ask(port, "INFO", "replication")
            return b"role:master" in role or b"master_link_status:up" in role
        return all(b"cluster_state:ok" in ask(port, "CLUSTER", "INFO") and is_in_sync(port) for port in self.ports)

    def addresses(self):
        return f"127.0.0.1:{self.ports[0]}"


class RedisClusterWait(RedisCluster):
    """Every SET is followed by WAIT 1 0 in the same round trip: two copies in memory before the reply."""
    name, wait = "redis-cluster-wait1", 1


class Etcd(Server):
    # It takes a hundredth of the others' writes per second: fewer keys.
    kind, bin, keys_part = "etcd", "etcd", 10

    def launch(self, fresh):
        members = [(f"e{index}", port, port + 1) for index, port in enumerate(self.ports)]
        cluster = ",".join(f"{name}=http://127.0.0.1:{peer}" for name, _, peer in members)
        for name, port, peer in members:
            self.spawn([self.bin, "--name", name, "--data-dir", os.path.join(self.dir, name),
                        "--listen-client-urls", f"http://127.0.0.1:{port}", "--advertise-client-urls", f"http://127.0.0.1:{port}",
                        "--listen-peer-urls", f"http://127.0.0.1:{peer}", "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}",
                        "--initial-cluster", cluster, "--initial-cluster-state", "new",
                        "--quota-backend-bytes", str(8 << 30), "--log-level", "error"])

    def is_ready(self):
        return all(b'"health":"true"' in fetch(port, "/health")[1] for port in self.ports)


class Etcd1(Etcd):
    name, ports = "etcd-1", [7331]


class Etcd3(Etcd):
    name, ports = "etcd-3", [7341, 7343, 7345]


class Kvorum(Server):
    bin = KVORUM

    def launch(self, fresh):
        for index, port in enumerate(self.ports):
            first = self.ports[0] + 100
            how = ["--bootstrap", *self.options] if index == 0 else ["--join", f"127.0.0.1:{first}"]
            self.spawn([self.bin, "server", "--data", os.path.join(self.dir, f"n{index + 1}"), "--name", f"n{index + 1}",
                        "--listen", f"127.0.0.1:{port}", "--peer", f"127.0.0.1:{port + 100}", "--admin", f"127.0.0.1:{port + 200}",
                        "--log", "warn", *how])

    def is_ready(self):
        if any(fetch(port + 200, "/readyz")[0] != 200 for port in self.ports):
            return False
        if len(self.ports) == 1:
            return True
        status = json.loads(fetch(self.ports[0] + 200, "/status")[1])
        return status["moving"] == 0 and all(len(each["owners"]) == len(self.ports) for each in status["partitions"])


class Kvorum1Interval(Kvorum):
    name, ports, options = "kvorum-1-interval", [7351], ["--n", "1", "--r", "1", "--w", "1", "--durability", "interval"]


class Kvorum1Always(Kvorum):
    name, ports, options = "kvorum-1-always", [7352], ["--n", "1", "--r", "1", "--w", "1", "--durability", "always"]


class Kvorum3Interval(Kvorum):
    name, ports, options = "kvorum-3-interval", [7361, 7362, 7363], ["--durability", "interval"]


class Kvorum3Always(Kvorum):
    name, ports, options = "kvorum-3-always", [7371, 7372, 7373], ["--durability", "always"]


class Row:
    def __init__(self, mix, pipeline=1, value=100, at_least=None):
        self.mix, self.pipeline, self.value, self.at_least = mix, pipeline, value, at_least
        self.name = f"{mix.upper() if mix != 'a' else 'YCSB A'}, pipeline {pipeline}" + (", 1 KiB" if value > 100 else "")


class Match:
    """Rows with `at_least` are targets: Kvorum's ops per server CPU-second over the peer's."""

    def __init__(self, name, title, peer, own, rows, is_short=True, measures_space=False):
        self.name, self.title, self.peer, self.own = name, title, peer, own
        self.rows, self.is_short, self.measures_space = rows, is_short, measures_space
        if ALL and not peer.kind == "etcd":
            self.rows = rows + [Row("a", 1), Row("set", 1, 1024), Row("get", 1, 1024), Row("set", 16, 1024), Row("get", 16, 1024)]


def both(target=None):
    return [Row(mix, pipeline, at_least=target) for pipeline in (1, 16) for mix in ("set", "get")]


MATCHES = [
    Match("one-interval", "One node: `interval` against Redis, AOF everysec", RedisEverysec, Kvorum1Interval, both(0.8), measures_space=True),
    Match("one-always", "One node: `always` against Redis, AOF always", RedisAlways, Kvorum1Always,
          [Row("set", 1, at_least=0.8), Row("set", 16, at_least=0.8)]),
    Match("three-interval", "Three nodes, N=3 W=2 R=2: `interval` against Redis Cluster 3 + 3 with WAIT 1", RedisClusterWait, Kvorum3Interval,
          [Row("set", 1, at_least=0.8), Row("get", 1), Row("set", 16, at_least=0.8), Row("get", 16)]),
    Match("three-always", "Three nodes, N=3 W=2 R=2: `always` against etcd, linearizable reads", Etcd3, Kvorum3Always,
          [Row("set", 1, at_least=3), Row("get", 1, at_least=3)]),
    Match("one-memory", "One node: `interval` against Redis without persistence", RedisMemory, Kvorum1Interval, both(), False),
    Match("one-interval-valkey", "One node: `interval` against Valkey, AOF everysec", ValkeyEverysec, Kvorum1Interval, both(), False, True),
    Match("one-always-valkey", "One node: `always` against Valkey, AOF always", ValkeyAlways, Kvorum1Always, both(), False),
    Match("one-always-etcd", "One node: `always` against etcd", Etcd1, Kvorum1Always, [Row("set", 1), Row("get", 1)], False),
    Match("three-interval-async", "Three nodes, N=3 W=2 R=2: `interval` against Redis Cluster 3 + 3, asynchronous", RedisCluster, Kvorum3Interval, both(), False),
]


# --- measuring -------------------------------------------------------------------------------------------------------

def load(server, **flags):
    """Runs the load generator once."""
    argv = [KVLOAD, server.kind, "--addr", server.addresses(), *server.extra]
    for flag, value in flags.items():
        argv += [f"--{flag}", str(value)]
    server_before, busy_before, begin = cpu_secs(server.pids()), busy_secs(), time.time()
    pin = lambda: os.sched_setaffinity(0, CLIENT_CORES)
    client = subprocess.Popen(argv, stdout=subprocess.PIPE, preexec_fn=pin)
    out = client.stdout.read()
    _, status, usage = os.wait4(client.pid, 0)
    client.returncode = status
    if status != 0:
        raise SystemExit(f"{' '.join(argv)}: status {status}; see {server.dir}/log")
    server_secs, busy, secs = cpu_secs(server.pids()) - server_before, busy_secs() - busy_before, time.time() - begin
    row = json.loads(out)
    # Its own count begins after the warm-up, the CPU's before.
    ops = row["ops"] * (1 + flags["warm"] / flags["secs"] if not flags.get("ops") else 1)
    client_secs = usage.ru_utime + usage.ru_stime
    row.update(ops_cpu_s=round(ops / max(server_secs, 0.01)), server_cores=round(server_secs / secs, 2),
               client_cores=round(client_secs / secs, 2), foreign=round(max(0, busy - server_secs - client_secs) / secs, 2))
    return row


def fill(server, keys, value):
    return load(server, mix="set", dist="seq", ops=keys, keys=keys, value=value, warm=0, secs=600,
                pipeline=16 if server.kind == "resp" else 1, conns=50 if server.kind == "resp" else 200)


def space(server, keys):
    pids = server.pids()
    return {"keys": keys, "memory": memory_bytes(pids), "peak": memory_bytes(pids, "VmHWM:", "status"), "disk": disk_bytes(server.dir)}


def answers_with(server, key):
    """Seconds from the command line to the first value read."""
    begin = time.time()
    server.processes = []
    server.launch(fresh=False)
    wait_for(f"{server.name} with its data", lambda: ask(server.ports[0], "GET", key).startswith(b"$100"))
    return round(time.time() - begin, 3)


def measure(match):
    pair = [match.peer(), match.own()]
    keys = (1_000_000 if ALL or match.measures_space else 300_000) // match.peer.keys_part
    result = {"match": match.name, "title": match.title, "keys": keys, "servers": {}, "rows": []}
    try:
        for server in pair:
            about = result["servers"][server.name] = {"start_empty": round(server.start(), 3)}
            about["memory_empty"] = memory_bytes(server.pids())
            about["fill"] = fill(server, keys, 100)
            server.settle()
            about.update(space(server, keys))
        value = 100
        for row in match.rows:
            if row.value != value:
                value = row.value
                for server in pair:
                    fill(server, keys // 10, value)
            rounds = []
            for _ in range(ROUNDS):
                round_ = []
                for server in pair:
                    server.settle()
                    flags = {"wait": server.wait} if server.wait and row.mix != "get" else {}
                    dist = "zipf" if row.mix == "a" else "uniform"
                    round_.append(load(server, mix=row.mix, dist=dist, keys=keys // 10 if value > 100 else keys, value=value,
                                       pipeline=row.pipeline, secs=SECS, warm=WARM_SECS, conns=50, **flags))
                rounds.append(round_)
                print(match.name, row.name, *(f"{each['ops_cpu_s']:,}/cpu-s {each['ops_s']:,}/s" for each in round_),
                      file=sys.stderr, flush=True)
            result["rows"].append({"name": row.name, "at_least": row.at_least, "rounds": rounds})
        for server in pair:
            server.settle()
            result["servers"][server.name]["memory_worked"] = memory_bytes(server.pids())
        if match.measures_space:
            for server in pair:
                about = result["servers"][server.name]
                server.stop()
                about["start_clean"] = answers_with(server, "key:000000000001")
                server.stop(signal.SIGKILL)
                about["start_killed"] = answers_with(server, "key:000000000001")
    finally:
        for server in pair:
            server.stop()
            if not os.environ.get("PEERS_KEEP"):
                shutil.rmtree(server.dir, ignore_errors=True)
    os.makedirs(RESULTS, exist_ok=True)
    with open(os.path.join(RESULTS, match.name + ".json"), "w") as file:
        json.dump(result, file, indent=1)


# --- telling ---------------------------------------------------------------------------------------------------------

def results():
    for match in MATCHES:
        path = os.path.join(RESULTS, match.name + ".json")
        if os.path.exists(path):
            with open(path) as file:
                yield match, json.load(file)


def ratio_of(row):
    """Median of the rounds' ratios, and their spread."""
    ratios = sorted(own["ops_cpu_s"] / peer["ops_cpu_s"] for peer, own in row["rounds"])
    return statistics.median(ratios), ratios[0], ratios[-1]


def targets():
    """What is asked for: (what, target, measured, whether it is met)."""
    for match, result in results():
        for row in result["rows"]:
            if row["at_least"]:
                ratio = ratio_of(row)[0]
                yield f"{result['title']}: {row['name']}", f"≥ {row['at_least']} ×", f"{ratio:.2f} ×", ratio >= row["at_least"]
        if match.measures_space and match.is_short:
            # The larger one: a cache fills only once it is read through.
            used = lambda about: max(about["memory"], about.get("memory_worked", 0))
            peer, own = (used(result["servers"][each.name]) for each in (match.peer, match.own))
            yield f"One node: memory with {result['keys']:,} keys of 100 B against Redis", "≤ 1.5 ×", f"{own / peer:.2f} ×", own <= 1.5 * peer


def report():
    lines = []
    for match, result in results():
        lines += [f"### {result['title']}", "",
                  f"{result['keys']:,} keys, 50 connections, median of {len(result['rows'][0]['rounds'])} rounds; "
                  f"`tests/peers/server-peers/peers.py run {match.name}`", "",
                  "| workload | × per server CPU-s (spread) | peer, ops/CPU-s | Kvorum, ops/CPU-s | peer, ops/s (p50, p99 µs) | "
                  "Kvorum, ops/s (p50, p99 µs) | foreign cores | errors |", "|---|--:|--:|--:|--:|--:|--:|---|"]
        for row in result["rows"]:
            middle, low, high = ratio_of(row)
            sides = [[round_[side] for round_ in row["rounds"]] for side in (0, 1)]
            median = lambda side, field: statistics.median(each[field] for each in sides[side])
            speed = [f"{median(side, 'ops_s'):,.0f} ({median(side, 'p50'):,.0f}, {median(side, 'p99'):,.0f})" for side in (0, 1)]
            errors = " ".join(str(each["errs"]) for side in sides for each in side if each["errs"])
            misses = sum(each["misses"] for each in sides[1])
            foreign = max(each["foreign"] for side in sides for each in side)
            lines.append(f"| {row['name']} | **{middle:.2f}** ({low:.2f}–{high:.2f}) | {median(0, 'ops_cpu_s'):,.0f} | "
                         f"{median(1, 'ops_cpu_s'):,.0f} | {speed[0]} | {speed[1]} | {foreign} | {errors}"
                         f"{f' {misses} misses' if misses else ''} |")
        lines.append("")
    lines += ["### Memory, disk, start", "", "All nodes together, after the load has settled. Memory is PSS; the peak is that of resident memory since the start.", "",
              "| server | keys | memory empty, MiB | memory, MiB | after the rows, MiB | peak of the load, MiB | disk, MiB | start empty, s | start with data, s | the same after kill -9, s |",
              "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|"]
    for _, result in results():
        for name, about in result["servers"].items():
            lines.append(f"| {name} | {about['keys']:,} | {about['memory_empty'] / MIB:.0f} | {about['memory'] / MIB:.0f} | "
                         f"{about.get('memory_worked', 0) / MIB:.0f} | {about['peak'] / MIB:.0f} | "
                         f"{about['disk'] / MIB:.0f} | {about['start_empty']:.2f} | {about.get('start_clean', '')} | {about.get('start_killed', '')} |")
    return "\n".join(lines)


def main():
    command, *names = sys.argv[1:] or ["list"]
    if command == "list":
        for match in MATCHES:
            is_here = match.peer().is_here() and match.own().is_here()
            print(f"{match.name:21} {'short' if match.is_short else 'all':7}{'' if is_here else 'NOT HERE  '}{match.title}")
    elif command == "run":
        unknown = set(names) - {match.name for match in MATCHES}
        if unknown:
            raise SystemExit(f"no match is called {', '.join(sorted(unknown))}: see peers.py list")
        for match in MATCHES:
            if match.name in names or (not names and (ALL or match.is_short)):
                if match.peer().is_here() and match.own().is_here():
                    measure(match)
                else:
                    print(f"{match.name}: skipped, {match.peer.bin} or {match.own.bin} is not here", file=sys.stderr)
    elif command == "report":
        print(report())
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main()

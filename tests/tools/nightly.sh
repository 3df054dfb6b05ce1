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
    # The decoders' "any bytes" tests with many more cases, under the nightly sanitizer of integer overflow.
    KVORUM_ANY_BYTES_ROUNDS=20000 cargo +nightly test -p kvorum-core --target-dir target-fuzz --lib any_bytes
    ;;
  *) echo "usage: nightly.sh miri|fuzz" >&2; exit 2 ;;
esac

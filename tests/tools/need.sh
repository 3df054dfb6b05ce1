#!/usr/bin/env bash
# Installs what a bare machine lacks, by name, through ordinary package clients. What is there is left alone.
set -euo pipefail
cd "$(dirname "$0")/../.."

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}
apt() {
  echo "installing $* (apt)" >&2
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq update
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@" >/dev/null
}
has() { command -v "$1" >/dev/null 2>&1; }

for what in "$@"; do
  case "$what" in
    rust)
      rustup component list --installed 2>/dev/null | grep -q rustfmt || rustup component add rustfmt
      rustup component list --installed 2>/dev/null | grep -q clippy || rustup component add clippy
      ;;
    wasm-target | bare-metal-target)
      # Each where it is wanted: the demo needs nothing for bare metal.
      case "$what" in wasm-target) target=wasm32-unknown-unknown ;; *) target=thumbv7em-none-eabihf ;; esac
      rustup target list --installed | grep -qx "$target" || rustup target add "$target"
      ;;
    node) has node || { echo "Node 20 is needed: see https://nodejs.org" >&2; exit 1; } ;;
    curl) has curl || apt curl ;;
    redis-cli) has redis-cli || apt redis-tools ;;
    redis-server)
      # The package starts a server of its own; benchmarks start theirs.
      has redis-server || { apt redis-server; as_root service redis-server stop >/dev/null 2>&1 || true; }
      ;;
    etcd)
      has etcd || { apt etcd-server; as_root service etcd stop >/dev/null 2>&1 || true; }
      ;;
    venv)
      # A venv of our own: the system's Python is nobody's to change.
      if ! .tools/venv/bin/python -c 'import redis' >/dev/null 2>&1; then
        python3 -m venv .tools/venv 2>/dev/null || { apt python3-venv; python3 -m venv .tools/venv; }
        .tools/venv/bin/pip -q install --disable-pip-version-check 'redis==8.1.0'
      fi
      ;;
    clients)
      [ -d tests/clients/node_modules/redis ] || (cd tests/clients && npm ci --silent --no-audit --no-fund)
      ;;
    npm-package)
      # wasm-opt, TypeScript, the package checkers and the browser's driver, as wasm/npm's lock file names them.
      [ -e wasm/npm/node_modules/.bin/wasm-opt ] || (cd wasm/npm && npm ci --silent --no-audit --no-fund)
      ;;
    web) [ -e web/node_modules/.bin/vite ] || (cd web && npm ci --silent --no-audit --no-fund) ;;
    chromium)
      # With a font for Korean.
      has chromium || apt chromium
      fc-list 2>/dev/null | grep -qi nanum || apt fontconfig fonts-nanum
      ;;
    wasm-pack)
      # Only for `make npm`. wasm-bindgen-cli must be of the library's very version; its own lock file names crates that
      # some registries do not have, so it goes without.
      version=$(sed -n 's/^wasm-bindgen = "=\(.*\)"$/\1/p' Cargo.toml)
      [ -x .tools/cargo/bin/wasm-pack ] || cargo install --quiet --root .tools/cargo wasm-pack --version 0.15.1
      .tools/cargo/bin/wasm-bindgen --version 2>/dev/null | grep -qx "wasm-bindgen $version" ||
        cargo install --quiet --root .tools/cargo wasm-bindgen-cli --version "$version"
      ;;
    *) echo "need.sh: nobody knows how to get \`$what\`" >&2; exit 2 ;;
  esac
done

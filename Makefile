# Kvorum. `make demo` runs it, `make test` tests it; both install what a bare machine lacks.
#
# Given are only rustup with a stable toolchain, Node 20 and Python 3.

CARGO ?= cargo
BIN := target/release/kvorum
SEEDS ?= 0..10000
WITHIN ?= 500
export KVORUM_BIN ?= $(CURDIR)/$(BIN)

.PHONY: help
help: ## What there is to make
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.PHONY: build
build: ## The server, optimized
	$(CARGO) build --release --locked -p kvorum-server

.PHONY: demo
demo: web build ## A 3-node cluster on this machine with 171,075 cities in it, and the page that shows it; Ctrl-C ends it
	tests/tools/need.sh node redis-cli curl
	native-server/demo/demo.sh

.PHONY: test
test: ## Everything that must hold, in under 25 minutes on 2 cores
	tests/tools/need.sh rust wasm-target bare-metal-target redis-cli venv node clients
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(MAKE) no-std
	$(CARGO) test --workspace --locked --exclude kvorum-tests
	$(CARGO) test -p kvorum-tests --locked --test tidy
	$(MAKE) web build soak-short sabotage-recorded wasm-test page-test
	$(CARGO) test -p kvorum-tests --release --locked --test '*' -- --test-threads 1

.PHONY: no-std
no-std: ## The core builds without std, for WASM and for bare metal
	$(CARGO) build -p kvorum-core --locked --no-default-features --target wasm32-unknown-unknown
	$(CARGO) build -p kvorum-core --locked --no-default-features --target thumbv7em-none-eabihf

.PHONY: wasm wasm-test npm npm-check wasm-bench
wasm: ## The module and its bindings, quickly, into wasm/npm/dist
	tests/tools/need.sh wasm-target node npm-package
	$(CARGO) run --quiet --locked -p kvorum-xtask -- bindgen
wasm-test: build wasm ## The package: its tests in Node, its types, and the same digests in a page and a worker
	tests/tools/need.sh chromium
	cd wasm/npm && npm run --silent test && npm run --silent test:types && npm run --silent test:browser
.PHONY: web page-test page-bench screenshots
web: wasm ## The page, into web/dist; a server that is built afterwards carries it
	tests/tools/need.sh web
	cd web && npm run --silent build
page-test: web build ## The page: types, lint, units, and a real browser through all of it, simulated and live
	tests/tools/need.sh chromium
	cd web && npm run --silent check && npm run --silent lint && npm run --silent test && \
		CHROMIUM="$$(command -v chromium)" npm run --silent test:e2e
page-bench: web ## What a frame costs, how soon the first put is done: figures, not a test
	tests/tools/need.sh chromium
	cd web && CHROMIUM="$$(command -v chromium)" node test/e2e/bench.mjs
screenshots: web build ## The pictures in docs/screenshots, anew
	tests/tools/need.sh chromium
	cd web && CHROMIUM="$$(command -v chromium)" node test/screenshots.mjs
wasm-bench: build wasm ## Events a second in WebAssembly against native, and sizes
	node wasm/npm/bench.mjs

# As it is published: by wasm-pack, which must find the tools of our versions and download none.
NPM_OUT := target/npm
npm: ## The package `kvorum` as it is published, a tarball in target/npm
	tests/tools/need.sh wasm-target node npm-package wasm-pack
	rm -rf wasm/npm/dist $(NPM_OUT) && mkdir -p $(NPM_OUT)
	PATH="$(CURDIR)/.tools/cargo/bin:$(CURDIR)/wasm/npm/node_modules/.bin:$$PATH" wasm-pack build wasm --target web \
		--profile wasm-release --mode no-install --no-pack --no-typescript --out-dir npm/dist -- --locked
	mv wasm/npm/dist/kvorum_wasm_bg.wasm wasm/npm/dist/kvorum.wasm
	rm -f wasm/npm/dist/.gitignore # It would keep the module out of the tarball.
	cd wasm/npm && npm pack --silent --pack-destination ../../$(NPM_OUT)
npm-check: build npm ## That tarball in a fresh project: in Node, in a page and a worker; publint, attw, sizes
	tests/tools/need.sh chromium
	node wasm/npm/test/package.mjs $(NPM_OUT)/kvorum-*.tgz

.PHONY: soak-short soak
soak-short: ## 300 seeds of the simulator
	$(CARGO) run --release --locked -p kvorum-tests --bin soak -- seeds 0..300 --twice 20
soak: ## Many seeds: SEEDS=A..B (default 0..10000)
	$(CARGO) run --release --locked -p kvorum-tests --bin soak -- seeds $(SEEDS)

# A bug that could be switched on must never share a target folder with what is shipped: cargo would unify the feature.
SABOTAGE := $(CARGO) run --release --locked -p kvorum-tests --features sabotage --target-dir target-sabotage --bin soak --
.PHONY: sabotage sabotage-recorded
sabotage: ## Every named bug is caught by its checker within WITHIN seeds
	$(SABOTAGE) sabotage --within $(WITHIN)
sabotage-recorded: ## Every named bug at its recorded seed, and 50 seeds without one
	$(SABOTAGE) recorded tests/data/sabotage.txt --more 50

.PHONY: bench
bench: build ## First figures against peers, short; ALL=1 for all peers; writes docs/bench.md
	tests/tools/need.sh redis-server redis-cli etcd
	tests/peers/bench.sh

.PHONY: fuzz-short miri
fuzz-short: ## A short fuzz of every decoder (nightly)
	tests/tools/nightly.sh fuzz
miri: ## The core's small tests under Miri (nightly)
	tests/tools/nightly.sh miri

.PHONY: clean
clean: ## Forget what was built and what the demo left
	rm -rf target target-* .kvorum-demo .tools web/dist wasm/npm/dist

# Everything a user or a developer does with this repository. `make help` lists it.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# rustup puts cargo here; a shell opened before the installation does not have it yet.
export PATH := $(PATH):$(HOME)/.cargo/bin

TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
CARGO_FLAGS ?= --locked

# ONNX Runtime where `make setup` puts it, for programs built into another folder.
WITH_ORT = env ORT_DYLIB_PATH=$${ORT_DYLIB_PATH:-$$(ls $(CURDIR)/.tools/onnxruntime/onnxruntime/capi/libonnxruntime.so.* 2>/dev/null | head -n 1)}

ECOMAP_LISTEN ?= 127.0.0.1:8080
# Where `make train` keeps data sets and checkpoints.
TRAIN_DIR ?= .tools/training
# Studies of the page of results, and where `make study` keeps their cells.
STUDIES ?= own own-campus carbon cdp floor campus-carbon campus-contention
STUDY_DIR ?= .tools/studies
# What `make profile` writes.
PROFILE_OUT ?= .tools/measured.json
# Instances that `make peers` generates, and the first seed.
PEERS ?= 20
PEERS_SEED ?= 1

.PHONY: help setup run hostplans test test-long ci fresh-check bench fmt lint docs docs-check validate train profile test-gpu tritonclient cross-check schema deny peers results study bench-peers api-fuzz clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: ## Install the few Debian packages that the build needs; does nothing when all are there
	@bash .ci/setup.sh

run: setup ## Serve a live fleet on 127.0.0.1:8080 (ECOMAP_LISTEN) with a real executor on this machine and three emulated Jetsons
	cargo build $(CARGO_FLAGS) --release -p ecomap-service -p ecomap-executor --features ecomap-executor/emulate --bin ecomap --bin ecomap-executor
	exec $(WITH_ORT) bash service/assets/demo/run.sh $(TARGET_DIR)/release $(ECOMAP_LISTEN)

hostplans: setup ## Run 150 random plans on this machine's cores by the executor; what was predicted and what was measured
	cargo build $(CARGO_FLAGS) --release -p ecomap-benches --bin hostplans
	$(WITH_ORT) $(TARGET_DIR)/release/hostplans --light .tools/onnx-light

test: setup ## Run every test: doctests, then all others (nextest where installed, else cargo test)
	@CARGO_FLAGS="$(CARGO_FLAGS)" bash .ci/test.sh

test-long: setup ## Run the long test: every legal cut of nine ONNX graphs (minutes)
	$(WITH_ORT) cargo test $(CARGO_FLAGS) -p ecomap-executor --test surgery -- --ignored --nocapture

ci: ## What CI runs: format, lints, licences, docs, documented examples, all tests
	@CARGO_FLAGS="$(CARGO_FLAGS)" bash .ci/ci.sh

fresh-check: ## Clone this repository into a temporary folder and run `make ci` there, with nothing built before
	@bash .ci/fresh-check.sh

bench: setup ## Run the Criterion benchmarks and the timed pricing (BENCH=name for one benchmark)
	cargo bench $(CARGO_FLAGS) -p ecomap-benches $(if $(BENCH),--bench $(BENCH))
	$(if $(BENCH),,cargo test $(CARGO_FLAGS) --release -p ecomap-estimator --test pricing -- --ignored --nocapture)

fmt: ## Format the Rust code
	cargo fmt --all
	rustfmt --edition 2024 solver/src/baselines/*.rs

lint: setup ## Clippy on all targets, warnings are errors
	cargo fmt --all --check
	rustfmt --edition 2024 --check solver/src/baselines/*.rs
	cargo clippy $(CARGO_FLAGS) --workspace --all-targets -- -D warnings

docs: setup docs-check ## Build the API documentation, and the book where mdbook is installed
	RUSTDOCFLAGS="-D warnings" cargo doc $(CARGO_FLAGS) --workspace --no-deps
	@if command -v mdbook >/dev/null; then mdbook build docs; else echo "docs: mdbook is not installed, the book is not built (its pages are in docs/src)"; fi

docs-check: setup ## Check the links of all pages, then run the documented examples against the built binary
	python3 docs/check.py links
	cargo build $(CARGO_FLAGS) -p ecomap-service --bin ecomap
	python3 docs/check.py examples --bin $(TARGET_DIR)/debug/ecomap

validate: setup ## Compare predictors and simulator with published measurements (ECOMAP_DATA); rewrites docs/src/validation.md
	cargo run $(CARGO_FLAGS) --release -p ecomap-estimator --bin ecomap-validate -- --out docs/src/validation.md

results: setup ## Redraw docs/src/results.md and its figures from the tables in benches/results/studies (make study writes these)
	cargo build $(CARGO_FLAGS) --release -p ecomap-service --bin ecomap
	ls benches/results/studies/*/study.csv
	rm -f docs/src/results/*.svg
	$(TARGET_DIR)/release/ecomap study --redraw benches/results/studies/* --out docs/src/results --page docs/src/results.md

study: setup ## Run the studies of docs/src/results.md from their seeds (STUDIES, STUDY_DIR, ECOMAP_DATA; hours), then make results
	cargo build $(CARGO_FLAGS) --release -p ecomap-service --bin ecomap
	for name in $(STUDIES); do \
	  $(TARGET_DIR)/release/ecomap study benches/studies/$$name.toml --out $(STUDY_DIR)/$$name; \
	  if [ -f $(STUDY_DIR)/$$name/study.csv ]; then \
	    mkdir -p benches/results/studies/$$name; \
	    cp $(STUDY_DIR)/$$name/*.csv benches/results/studies/$$name/; \
	  fi; \
	done
	$(MAKE) results

train: setup ## Retrain the estimator: data sets, PyTorch, ONNX export, forest, model card (TRAIN_DIR, about two hours)
	bash .ci/setup.sh --venv
	cargo build $(CARGO_FLAGS) --release -p ecomap-service --bin ecomap
	cargo build $(CARGO_FLAGS) --release -p ecomap-estimator --bin ecomap-evaluate
	$(WITH_ORT) ECOMAP_BIN=$(TARGET_DIR)/release/ecomap EVALUATE_BIN=$(TARGET_DIR)/release/ecomap-evaluate bash estimator/training/run.sh $(TRAIN_DIR)

profile: setup ## Measure the light ONNX graphs on this machine's cores and print the error table (PROFILE_OUT; nothing else should run)
	cargo build $(CARGO_FLAGS) --release -p ecomap-service --bin ecomap
	$(WITH_ORT) $(TARGET_DIR)/release/ecomap profile run .tools/onnx-light --out $(PROFILE_OUT)
	$(TARGET_DIR)/release/ecomap profile compare $(PROFILE_OUT) --all

test-gpu: ## Run the executor's tests on an NVIDIA GPU by the CUDA provider; says skipped without one
	@CARGO_FLAGS="$(CARGO_FLAGS)" bash .ci/test-gpu.sh

tritonclient: ## Fetch Triton's Python client into .tools, for the test that infers through it
	bash .ci/setup.sh --venv
	[ -x .tools/tritonclient/bin/python3 ] || python3 -m venv .tools/tritonclient
	.tools/tritonclient/bin/pip install --quiet --disable-pip-version-check "tritonclient[http]==2.73.0"

cross-check: ## Check that the executor compiles for aarch64 boards; says skipped without the target
	@CARGO_FLAGS="$(CARGO_FLAGS)" bash .ci/cross-check.sh

schema: setup ## Regenerate the published JSON Schemas from the types
	ECOMAP_BLESS=1 cargo test $(CARGO_FLAGS) -p ecomap-instances

deny: ## Licences, bans and sources of all dependencies (needs cargo-deny)
	cargo deny --locked check --hide-inclusion-graph licenses bans sources

api-fuzz: setup ## Fuzz the service from its own OpenAPI document with schemathesis from PyPI (FUZZ: examples for an operation)
	cargo build $(CARGO_FLAGS) -p ecomap-service --bin ecomap
	$(WITH_ORT) bash .ci/api-fuzz.sh $(TARGET_DIR)/debug/ecomap $(or $(FUZZ),50)

bench-peers: setup ## Time price decomposition beside HiGHS, CP-SAT and SCIP from PyPI (BENCH_PEERS: arguments; hours without)
	CARGO_FLAGS="$(CARGO_FLAGS)" bash benches/peers/bench.sh $(BENCH_PEERS)

peers: setup ## Export instances as MPS, solve them with SCIP and HiGHS from PyPI, compare the optima
	bash benches/peers/run.sh $(PEERS) $(PEERS_SEED)

clean: ## Remove what builds made (target, the book, the Python environment)
	cargo clean
	rm -rf docs/book .venv .tools

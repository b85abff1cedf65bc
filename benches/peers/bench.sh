#!/usr/bin/env bash
# `make bench-peers`: price decomposition beside other solvers on the same instances, in one run.
#
#   bench.sh [ARGUMENTS OF bench.py run]     without any: every set, 20 seeds, one thread; hours
#
# Measurements go to benches/results/pool.csv, the table of them into docs/src/performance.md.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
target=${CARGO_TARGET_DIR:-target}
bash benches/peers/venv.sh
cargo build ${CARGO_FLAGS:---locked} --release -p ecomap-benches --bin pool
.venv/bin/python benches/peers/bench.py run --pool "$target/release/pool" --anew "$@"
.venv/bin/python benches/peers/bench.py table

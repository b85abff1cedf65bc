#!/usr/bin/env bash
# `make bench-peers`: price decomposition beside other solvers on the same instances, in one run.
#
#   bench.sh [ARGUMENTS OF bench.py run]     without any: every set, 20 seeds, one thread; hours
#
# GAP_FILES names a folder with the OR-Library's assignment files, which are not part of the project; they are run
# too, with clusters, by agents.py; GAP_ARGS are arguments for that.
#
# MMKP_FILES names a folder with the MMKP library's files and their bounds.csv, not part of the project either; they are
# run by mmkp.py; MMKP_ARGS are arguments for that.
#
# Measurements go to benches/results/pool.csv, the table of them into docs/src/performance.md.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
target=${CARGO_TARGET_DIR:-target}
bash benches/peers/venv.sh
cargo build ${CARGO_FLAGS:---locked} --release -p ecomap-benches --bin pool
.venv/bin/python benches/peers/bench.py run --pool "$target/release/pool" --anew "$@"
.venv/bin/python benches/peers/bench.py table
if [ -n "${GAP_FILES:-}" ]; then
    cargo build ${CARGO_FLAGS:---locked} --release -p ecomap-benches --bin mmkp --bin cluster
    # shellcheck disable=SC2086 # words on purpose
    .venv/bin/python benches/peers/agents.py run --bin "$target/release" --gap "$GAP_FILES" --anew ${GAP_ARGS:-}
    .venv/bin/python benches/peers/agents.py table
fi
if [ -n "${MMKP_FILES:-}" ]; then
    cargo build ${CARGO_FLAGS:---locked} --release -p ecomap-benches --bin mmkp
    # shellcheck disable=SC2086 # words on purpose
    .venv/bin/python benches/peers/mmkp.py run --bin "$target/release/mmkp" --files "$MMKP_FILES" --anew ${MMKP_ARGS:-}
    .venv/bin/python benches/peers/mmkp.py table
fi

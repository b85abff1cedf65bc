#!/usr/bin/env bash
# `make peers`: the exported model must have the same optimum in solvers that share nothing with this build.
#
#   run.sh [COUNT] [FIRST_SEED]     COUNT generated scenarios, and the shipped tiny and xavier-* ones
#
# Files go to target/peers; the Python environment to .venv (both git-ignored).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
count=${1:-20}
first=${2:-1}
target=${CARGO_TARGET_DIR:-target}
out=$target/peers
scenarios=instances/data/scenarios

bash benches/peers/venv.sh

cargo build --locked --release -p ecomap-service --bin ecomap
ecomap=$target/release/ecomap

rm -rf "$out"
mkdir -p "$out"
for ((i = 0; i < count; i++)); do
    seed=$((first + i))
    "$ecomap" generate --sites 2 --devices 4 --tenants 8 --seed "$seed" --out "$out/generated-$seed.json"
done
cp "$scenarios"/tiny.json "$scenarios"/xavier-*.json "$out/"

for file in "$out"/*.json; do
    name=$(basename "$file" .json)
    "$ecomap" export "$file" --format mps --out "$out/$name.mps"
    # A plan that is only feasible, or an infeasible model, is a result too: expected.py judges the status.
    "$ecomap" solve "$file" --json --gap 1e-7 --time-limit 600 >"$out/$name.result" || true
done
python3 benches/peers/expected.py "$out"
.venv/bin/python benches/peers/crosscheck.py "$out"

#!/usr/bin/env bash
# Makes .venv (git-ignored) with the solvers of requirements.txt, unless it is there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
bash .ci/setup.sh --venv
stamp=.venv/peers.requirements
if ! cmp -s benches/peers/requirements.txt "$stamp"; then
    echo "peers: making .venv"
    python3 -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: -r benches/peers/requirements.txt
    cp benches/peers/requirements.txt "$stamp"
fi

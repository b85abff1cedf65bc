#!/usr/bin/env bash
# `make ci` on a fresh clone of the committed state, with an empty target folder: what is only on this machine's
# disk does not help it. Needs git and about 4 GB of room in TMPDIR.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
command -v git >/dev/null || { echo "fresh-check: git is needed" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git clone --quiet --no-hardlinks . "$work/ecomap"
if [ -n "$(git status --porcelain)" ]; then
    echo "fresh-check: uncommitted changes are here; they are not in the clone" >&2
fi
unset CARGO_TARGET_DIR
# Tests on published data find it beside the checkout, or by this variable; without it they say that they are skipped.
if [ -z "${ECOMAP_DATA:-}" ] && [ -d ../shared/data ]; then
    ECOMAP_DATA=$(cd ../shared/data && pwd)
    export ECOMAP_DATA
fi
make -C "$work/ecomap" ci

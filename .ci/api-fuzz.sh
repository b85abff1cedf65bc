#!/usr/bin/env bash
# Fuzzes the running service from its own OpenAPI document with schemathesis (PyPI, in an environment of its own): no
# answer 5xx, none that the document does not describe.
#
#   api-fuzz.sh BINARY [most examples for an operation, default 50]
#
# The service runs on a free loopback port with small limits, so that fuzzed problems cannot keep it busy for long.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
binary=$(realpath "${1:?the ecomap binary}")
examples=${2:-50}
version=4.32.5
venv=${API_FUZZ_VENV:-${CARGO_TARGET_DIR:-target}/api-fuzz}

if ! "$venv/bin/schemathesis" --version 2>/dev/null | grep -q "$version"; then
    python3 -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "schemathesis==$version"
fi

work=$(mktemp -d)
"$binary" serve --listen 127.0.0.1:0 --scenario tiny --max-time-limit 2 --store "$work/store.db" \
    --no-demo --jobs-per-key 100000 --jobs 100000 --audit "$work/audit.jsonl" >"$work/banner" 2>"$work/log" &
service=$!
trap 'kill "$service" 2>/dev/null || true; wait "$service" 2>/dev/null || true; rm -rf "$work"' EXIT
for _ in $(seq 300); do
    url=$(sed -n 's|.* \(http://[0-9.:]*\),.*|\1|p' "$work/banner" | head -n 1)
    [ -n "$url" ] && curl -sf "$url/ready" >/dev/null && break
    kill -0 "$service" 2>/dev/null || { cat "$work/log" >&2; exit 1; }
    sleep 0.1
done

status=0
"$venv/bin/schemathesis" --config-file .ci/schemathesis.toml run "$url/openapi.json" --max-examples "$examples" \
    --seed 1 --workers 1 || status=$?
kill -0 "$service" || { echo "api-fuzz: the service ended" >&2; status=1; }
if grep -q '"status":5[0-9][0-9]' "$work/audit.jsonl"; then
    # A 503 says that there is no room; a 500 is a bug.
    grep -o '"status":5[0-9][0-9]' "$work/audit.jsonl" | sort | uniq -c
    if grep -q '"status":500' "$work/audit.jsonl"; then status=1; fi
fi
if grep -q 'panicked' "$work/log"; then
    grep 'panicked' "$work/log" | head
    status=1
fi
exit "$status"

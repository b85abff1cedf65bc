#!/usr/bin/env bash
# Every test. Doctests first, so that the closing line of the main runner comes last.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
read -r -a flags <<<"${CARGO_FLAGS:---locked}"

bash .ci/setup.sh --browser

# ONNX Runtime where setup.sh puts it, for test programs built into another folder.
if [ -z "${ORT_DYLIB_PATH:-}" ]; then
    for library in "$PWD"/.tools/onnxruntime/onnxruntime/capi/libonnxruntime.so.*; do
        [ -e "$library" ] && export ORT_DYLIB_PATH=$library
    done
fi

echo "== doctests"
cargo test "${flags[@]}" --workspace --doc --quiet

if cargo nextest --version >/dev/null 2>&1; then
    echo "== tests (nextest)"
    profile=default
    [ -z "${CI:-}" ] || profile=ci
    cargo nextest run "${flags[@]}" --workspace --profile "$profile" "$@"
else
    echo "== tests (cargo test)"
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    status=0
    cargo test "${flags[@]}" --workspace --lib --bins --tests --no-fail-fast "$@" 2>&1 | tee "$log" || status=$?
    # One sum over all test binaries: the last of them may well hold no test.
    awk '/^test result:/ { passed += $4; failed += $6; ignored += $8 }
         END { printf "%d passed, %d failed, %d skipped\n", passed, failed, ignored; exit passed + failed == 0 }' "$log" || status=1
    exit "$status"
fi

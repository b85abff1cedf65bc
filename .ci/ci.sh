#!/usr/bin/env bash
# The whole check, in the order in which a mistake is cheapest to find. Clippy, the documented examples and the
# tests share the dev profile, so that HiGHS is compiled once.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
read -r -a flags <<<"${CARGO_FLAGS:---locked}"
target=${CARGO_TARGET_DIR:-target}
skipped=()
export CARGO_INCREMENTAL=0 # nothing is built twice here, and the caches of one more build are tens of gigabytes
step() { printf '\n== %s (%d s)\n' "$1" "$SECONDS"; }

step "setup"
bash .ci/setup.sh
for component in fmt clippy; do
    if ! cargo "$component" --version >/dev/null 2>&1; then
        echo "ci: cargo $component is missing; 'rustup component add rustfmt clippy' brings it" >&2
        exit 1
    fi
done

step "format"
cargo fmt --all --check
rustfmt --edition 2024 --check solver/src/baselines/*.rs # declared by a macro: cargo fmt does not see them

step "clippy"
cargo clippy "${flags[@]}" --workspace --all-targets -- -D warnings

step "aarch64"
bash .ci/cross-check.sh

step "licences, bans, sources"
if cargo deny --version >/dev/null 2>&1; then
    cargo deny --locked check --hide-inclusion-graph licenses bans sources
else
    echo "skipped: cargo-deny is not installed"
    skipped+=(cargo-deny)
fi

step "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc "${flags[@]}" --workspace --no-deps --quiet
if command -v mdbook >/dev/null; then
    mdbook build docs
else
    echo "skipped: mdbook is not installed"
    skipped+=(mdbook)
fi
if command -v python3 >/dev/null; then
    python3 docs/check.py links
    step "documented examples"
    cargo build "${flags[@]}" --workspace --bin ecomap # --workspace: the features, and so the builds, of the tests
    python3 docs/check.py examples --bin "$target/debug/ecomap"
else
    echo "skipped: python3 is not installed, links and documented examples are not checked"
    skipped+=(documented-examples)
fi

# The schemas and the OpenAPI document are compared with the committed files by tests.
step "tests"
CARGO_FLAGS="${flags[*]}" bash .ci/test.sh
printf '\nci: everything above passed in %d s%s\n' "$SECONDS" "${skipped:+; skipped, not installed: ${skipped[*]}}"

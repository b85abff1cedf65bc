#!/usr/bin/env bash
# Checks that the executor compiles for the boards (aarch64 Linux). `cargo check` needs the target's standard library but
# no linker and no C compiler, for the executor has no C in it; where the library is not installed, it is skipped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
target=aarch64-unknown-linux-gnu
read -r -a flags <<<"${CARGO_FLAGS:---locked}"
library=$(rustc --print target-libdir --target "$target" 2>/dev/null || true)
if ! compgen -G "$library/libstd-*" >/dev/null && command -v rustup >/dev/null; then
    timeout 300 rustup target add "$target" || true
    library=$(rustc --print target-libdir --target "$target" 2>/dev/null || true)
fi
if ! compgen -G "$library/libstd-*" >/dev/null; then
    echo "skipped: the standard library for $target is not installed, and rustup cannot fetch it"
    exit 0
fi
cargo check "${flags[@]}" --target "$target" -p ecomap-executor --bins
echo "cross-check: ecomap-executor compiles for $target"

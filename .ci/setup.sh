#!/usr/bin/env bash
# Makes sure that the build can run: a new enough Rust, a C++ compiler and CMake (HiGHS is built from
# source), libclang (its bindings are generated). Asks for nothing and downloads nothing when all is there;
# it probes instead of leaving a stamp, because a machine can change under a checkout and probing takes
# a tenth of a second.
#
#   setup.sh [--venv] [--browser]
#       --venv also makes sure that Python can create a virtual environment, --browser that the dashboard's test finds
#       a browser and its driver
#
# Idempotent. Everything it installs comes from Debian by apt-get.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

have() { command -v "$1" >/dev/null 2>&1; }
say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$@"; exit 1; }

# ---------------------------------------------------------------- Rust
wanted=$(sed -n 's/^rust-version *= *"\([0-9.]*\)".*/\1/p' Cargo.toml | head -n 1)
if ! have cargo || ! have rustc; then
    die "Rust is not installed (no cargo on the PATH or in ~/.cargo/bin). Install Rust $wanted or newer by rustup, see rust-lang.org/tools/install, then run this again."
fi
version=$(rustc --version) || die "rustc does not run; 'rustup default stable' selects a toolchain."
found=${version#rustc }
found=${found%%[ -]*}
if [ "$(printf '%s\n%s\n' "$wanted" "$found" | sort -V | head -n 1)" != "$wanted" ]; then
    die "Rust $found is too old: $wanted or newer is needed. 'rustup update stable' brings it."
fi

# ---------------------------------------------------------------- native tools
# clang-sys looks in LIBCLANG_PATH, in LLVM's own folders and in the system's library folders.
have_libclang() {
    local dir file
    for dir in ${LIBCLANG_PATH:-} /usr/lib/llvm-*/lib /usr/lib/*-linux-gnu /usr/lib64 /usr/lib /usr/local/lib; do
        for file in "$dir"/libclang.so* "$dir"/libclang-[0-9]*.so*; do
            [ -e "$file" ] && return 0
        done
    done
    return 1
}

required=()
helpful=()
# rustc links through cc, CMake builds HiGHS with c++; g++ brings both.
{ have cc && have c++; } || required+=(g++)
have make || required+=(make)
have cmake || required+=(cmake)
if ! have_libclang; then
    if have apt-cache && [ -z "$(apt-cache madison libclang1-14 2>/dev/null)" ] && [ -n "$(apt-cache madison libclang1 2>/dev/null)" ]; then
        required+=(libclang1) # a newer Debian, or Ubuntu
    else
        required+=(libclang1-14)
    fi
fi
have pkg-config || helpful+=(pkg-config)
have python3 || helpful+=(python3)
{ have python3 && python3 -m pip --version >/dev/null 2>&1; } || helpful+=(python3-pip)
if [[ " $* " = *" --venv "* ]] && ! python3 -c 'import ensurepip' >/dev/null 2>&1; then
    required+=(python3-venv)
fi

if [[ " $* " = *" --browser "* ]] && ! { have chromium && have chromedriver; }; then
    helpful+=(chromium chromium-driver)
fi

missing=("${required[@]}" "${helpful[@]}")
if [ ${#missing[@]} -gt 0 ]; then
    root=()
    able=yes
    if ! have apt-get; then
        able=no
    elif [ "$(id -u)" -ne 0 ]; then
        # sudo may ask for a password only where somebody can type one.
        if have sudo && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then root=(sudo); else able=no; fi
    fi
    if [ $able = no ]; then
        if [ ${#required[@]} -gt 0 ]; then
            say "missing: ${required[*]}"
            if have apt-get; then
                die "run this as root, then again what you ran:  apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
            fi
            die "this is not a Debian system: install the equivalents of these Debian packages by hand (a C and C++ compiler, make, CMake, libclang 14 or newer)."
        fi
        say "not installed, and needed only by some targets and tests (docs, peers, the learned estimator, the dashboard): ${helpful[*]}"
    else
        say "installing ${missing[*]}"
        log=$(mktemp)
        trap 'rm -f "$log"' EXIT
        install() {
            "${root[@]}" env DEBIAN_FRONTEND=noninteractive \
                apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 "${missing[@]}" </dev/null >"$log" 2>&1
        }
        # A fresh machine has no package lists, an old one has outdated lists.
        if ! install && ! { "${root[@]}" apt-get update -qq >&2; install; }; then
            tail -n 20 "$log" >&2
            [ ${#required[@]} -eq 0 ] || die "apt-get could not install ${missing[*]}; install them by hand, then run this again."
            say "apt-get could not install ${helpful[*]}; only some targets and tests (docs, peers, the learned estimator, the dashboard) need them"
        fi
    fi
fi

# ---------------------------------------------------------------- ONNX Runtime
# The shared library that serves the learned estimator, from its Python wheel. Without it the shipped forest serves,
# and every answer says so; so nothing here is fatal.
fetch_onnxruntime() {
    local version=1.32.0 into=.tools/onnxruntime
    [ -e "$into/onnxruntime/capi/libonnxruntime.so.$version" ] && return 0
    if ! have python3 || ! python3 -m pip --version >/dev/null 2>&1; then
        say "pip is not installed: ONNX Runtime is not fetched, and a random forest predicts instead of the transformer"
        return 0
    fi
    rm -rf "$into"
    if python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --no-deps --only-binary :all: \
        --target "$into" "onnxruntime==$version" >/dev/null 2>&1; then
        say "fetched ONNX Runtime $version into $into"
    else
        rm -rf "$into"
        say "the wheel onnxruntime==$version could not be fetched: a random forest predicts instead of the transformer"
    fi
}
fetch_onnxruntime

# ---------------------------------------------------------------- light ONNX graphs
# Nine published topologies of a few kilobytes each, from the wheel of the `onnx` package; a test compares counts
# with them. Nothing else needs them, so nothing here is fatal.
fetch_light_graphs() {
    local version=1.23.2 into=.tools/onnx-light
    [ -e "$into/light_resnet50.onnx" ] && return 0
    if ! have python3 || ! python3 -m pip --version >/dev/null 2>&1; then
        say "pip is not installed: the light ONNX graphs are not fetched, and the test that counts them is skipped"
        return 0
    fi
    local wheel
    wheel=$(mktemp -d)
    if python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
        --dest "$wheel" "onnx==$version" >/dev/null 2>&1 &&
        python3 - "$wheel" "$into" <<'PY'
import glob, pathlib, sys, zipfile
wheel, into = glob.glob(sys.argv[1] + "/*.whl")[0], pathlib.Path(sys.argv[2])
into.mkdir(parents=True, exist_ok=True)
with zipfile.ZipFile(wheel) as archive:
    for name in archive.namelist():
        if "/data/light/light_" in name and name.endswith(".onnx"):
            (into / pathlib.PurePosixPath(name).name).write_bytes(archive.read(name))
PY
    then
        say "fetched the light ONNX graphs into $into"
    else
        say "the wheel onnx==$version could not be fetched: the test that counts its light graphs is skipped"
    fi
    rm -rf "$wheel"
}
fetch_light_graphs

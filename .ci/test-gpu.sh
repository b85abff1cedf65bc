#!/usr/bin/env bash
# The executor's tests with a CUDA unit, where there is an NVIDIA GPU. ONNX Runtime with CUDA and CUDA's own libraries come
# from wheels (gigabytes), into .tools; the driver must be there. Without a GPU this is skipped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
read -r -a flags <<<"${CARGO_FLAGS:---locked}"
skip() { echo "skipped: $*"; exit 0; }

command -v nvidia-smi >/dev/null || skip "no nvidia-smi, so no NVIDIA driver"
gpus=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null) || skip "nvidia-smi finds no GPU"
[ -n "$gpus" ] || skip "nvidia-smi lists no GPU"

# A version whose wheel is built for CUDA 12.
version=${ONNXRUNTIME_GPU:-1.24.*}
venv=.tools/onnxruntime-gpu
if ! compgen -G "$venv/lib/python3*/site-packages/onnxruntime/capi/libonnxruntime.so.*" >/dev/null; then
    bash .ci/setup.sh --venv
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: "onnxruntime-gpu[cuda,cudnn]==$version"
fi
site=$(compgen -G "$venv/lib/python3*/site-packages" | head -n 1)
ORT_DYLIB_PATH=$PWD/$(compgen -G "$site/onnxruntime/capi/libonnxruntime.so.*" | head -n 1)
LD_LIBRARY_PATH=$(printf '%s:' "$PWD/$site"/nvidia/*/lib)${LD_LIBRARY_PATH:-}
export ORT_DYLIB_PATH LD_LIBRARY_PATH ECOMAP_TEST_GPU=1
echo "GPU: $gpus"
cargo test "${flags[@]}" -p ecomap-executor --test runtime --test inference

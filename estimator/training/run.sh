#!/usr/bin/env bash
# Data sets, training, ablations, export, forest, model card: everything behind `make train`, in one go.
#
#   run.sh WORK_FOLDER        about two hours on two cores; goes on where it was interrupted
#
# ECOMAP_BIN and EVALUATE_BIN are the built programs; MINUTES bounds the training of the shipped network.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
work=${1:?a folder for data sets and checkpoints}
mkdir -p "$work/data" "$work/out" "$work/export"

if [ ! -e "$work/venv/done" ]; then
    python3 -m venv "$work/venv"
    "$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt"
    touch "$work/venv/done"
fi
python=$work/venv/bin/python

dataset() { # split first rows file
    local file=$work/data/$4.parquet
    [ -e "$file" ] && return
    "$ECOMAP_BIN" dataset --split "$1" --first "$2" --rows "$3" --seed "${5:-7}" --out "$file.tmp"
    mv "$file.tmp" "$file"
}
for part in 0 1 2 3 4; do dataset train $((part * 20000)) 20000 "train-$part"; done
dataset pairs 0 30000 pairs 77
dataset validation 0 3000 validation
dataset test 0 10000 test
dataset test-device 0 5000 test-device
dataset test-family 0 5000 test-family

"$python" "$here/train.py" --data "$work/data" --out "$work/out" --variant full --minutes "${MINUTES:-40}" --epochs 24
# Ablations, all alike on a fifth of the data.
mkdir -p "$work/fifth" "$work/out-fifth"
for file in train-0 pairs validation; do ln -sf "$work/data/$file.parquet" "$work/fifth/$file.parquet"; done
for variant in full no-attention no-physics; do
    "$python" "$here/train.py" --data "$work/fifth" --out "$work/out-fifth" --variant $variant --minutes "${MINUTES:-40}" --epochs 12
    "$python" "$here/export.py" --checkpoint "$work/out-fifth/$variant.pt" --data "$work/data" --to "$work/export/$variant.onnx"
done
"$python" "$here/export.py" --checkpoint "$work/out/full.pt" --data "$work/data" --to "$root/estimator/data/model/joint.onnx"
"$EVALUATE_BIN" --data "$work/data" --model "$root/estimator/data/model/joint.onnx" \
    --forest "$root/estimator/data/model/forest.bin" --workloads 250 --out "$root/docs/src/model-card.md" \
    --also "as shipped, on a fifth of the data=$work/export/full.onnx" \
    --also "no attention across tenants, on a fifth=$work/export/no-attention.onnx" \
    --also "no physics features, on a fifth=$work/export/no-physics.onnx"

"""Exports trained checkpoints to ONNX and checks that ONNX Runtime computes the same.

    python export.py --checkpoint OUT/full.pt --data DIR --to estimator/data/model/joint.onnx

Beside the model goes `joint.json`: hash, shapes, versions, training record and the conformal offset of
p95 and p99 that the validation split gives.
"""

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

from data import Table
from model import BLOCK, DEVICE, SEGMENT, TENANT, Joint
from train import VARIANTS

INPUTS = ("blocks", "segments", "owner", "place", "tenants", "device")
TOLERANCE = 2e-4


def load(path):
    saved = torch.load(path, weights_only=True)
    model = Joint(**VARIANTS[saved["variant"]])
    model.load_state_dict(saved["kept"] or saved["average"])
    return model.eval(), saved


def export(model, path, sample):
    dim = torch.export.Dim
    b, s, n, t = dim("plans", max=4096), dim("segments", max=96), dim("blocks", max=32), dim("tenants", max=64)
    shapes = {
        "blocks": {0: b, 1: s, 2: n},
        "segments": {0: b, 1: s},
        "owner": {0: b, 1: t, 2: s},
        "place": {0: b, 2: s},
        "tenants": {0: b, 1: t},
        "device": {0: b},
    }
    program = torch.onnx.export(
        model,
        tuple(sample[k] for k in INPUTS),
        input_names=list(INPUTS),
        output_names=["slowdown", "power"],
        dynamic_shapes=shapes,
        dynamo=True,
        opset_version=20,
    )
    program.optimize()
    proto = program.model_proto
    proto.producer_name, proto.producer_version = "ecomap", ""
    # Traces of the exporter's own files are of no use to anybody else.
    for node in proto.graph.node:
        del node.metadata_props[:]
    for value in (*proto.graph.value_info, *proto.graph.input, *proto.graph.output):
        del value.metadata_props[:]
    del proto.graph.metadata_props[:]
    onnx.checker.check_model(proto)
    path.write_bytes(proto.SerializeToString())


def parity(model, path, table):
    """Largest relative difference between PyTorch and ONNX Runtime, over batches of other shapes."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    worst = 0.0
    for rows in table.batches(97)[:24]:
        x, *_ = table.pack(rows)
        with torch.no_grad():
            wanted = model(**x)
        got = session.run(None, {k: v.numpy() for k, v in x.items()})
        for a, b in zip(wanted, got):
            worst = max(worst, float(np.abs(a.numpy() / b - 1).max()))
    return worst


@torch.no_grad()
def conformal(model, table, level):
    """Factor on p95 or p99 with which the share `level` of requests is answered in time.

    Split conformal prediction on the validation plans, with the requests of a tenant as the sample and
    every tenant counting the same: the score of a request is its latency over the predicted quantile.
    """
    column = {0.95: 1, 0.99: 2}[level]
    ratios = []
    for rows in table.batches(1024):
        x, *_ = table.pack(rows)
        got, _ = model(**x)
        for n, row in enumerate(rows):
            at = slice(table.tenant_at[row], table.tenant_at[row + 1])
            enough = table.completed[at] >= 200
            told = got[n, : enough.size, column].numpy() * table.base[at]
            ratios.append((table.latency[at] / told[:, None])[enough])
    ratios = np.concatenate(ratios)
    low, high = 0.3, 3.0
    for _ in range(40):
        factor = (low + high) / 2
        covered = np.mean([np.interp(factor, r, table.grid, left=0.0, right=1.0) for r in ratios])
        low, high = (factor, high) if covered < level else (low, factor)
    return (low + high) / 2


def main():
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("--checkpoint", type=Path, required=True)
    args.add_argument("--data", type=Path, required=True)
    args.add_argument("--to", type=Path, required=True)
    args = args.parse_args()
    model, saved = load(args.checkpoint)
    table = Table(args.data / "validation.parquet")
    sample, *_ = table.pack(np.arange(64))
    args.to.parent.mkdir(parents=True, exist_ok=True)
    export(model, args.to, sample)
    worst = parity(model, args.to, table)
    if worst > TOLERANCE:
        raise SystemExit(f"ONNX Runtime differs from PyTorch by {worst:.2e}, more than {TOLERANCE}")
    data = args.to.read_bytes()
    card = {
        "format": "ecomap.model/v1",
        "file": args.to.name,
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
        "parameters": sum(p.numel() for p in model.parameters()),
        "features": 1,
        "widths": {"blocks": BLOCK, "segments": SEGMENT, "tenants": TENANT, "device": DEVICE},
        "variant": saved["variant"],
        "seed": saved["seed"],
        "rows": saved["rows"],
        "epochs": saved["state"]["epoch"],
        "minutes": round(saved["state"]["spent"], 1),
        "validation": saved["state"]["log"],
        "parity": worst,
        "torch": torch.__version__.split("+")[0],
        "conformal": {"p95": conformal(model, table, 0.95), "p99": conformal(model, table, 0.99)},
    }
    args.to.with_suffix(".json").write_text(json.dumps(card, indent=1) + "\n")
    print(f"{args.to}: {len(data)} bytes, parity {worst:.1e}")


if __name__ == "__main__":
    main()

"""The same network in PyTorch and through ONNX Runtime in the product, side by side, in one run.

    python benches/peers/torch_joint.py --bin target/release/joint [--checkpoint OUT/full.pt] [--threads 2] [--rounds 3]

Prints one row a batch size: predictions per second of PyTorch (eager, inference mode, same padded shapes) and of
`joint`, and their ratio. Without a checkpoint of `make train` the weights are random, which costs the same. Rounds alternate, so that other load on the machine hits both.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import time

import torch

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "estimator" / "training"))
from model import BLOCK, DEVICE, SEGMENT, TENANT, Joint  # noqa: E402


def inputs(plans):
    """4 tenants of 12 blocks, two of them cut in two: 6 segments of up to 13 blocks, launch included."""
    owner = torch.zeros(plans, 4, 6)
    for tenant, segments in enumerate(((0,), (1, 2), (3,), (4, 5))):
        owner[:, tenant, list(segments)] = 1
    place = torch.zeros(plans, 8, 6)
    place[:, 0] = 1
    return {
        "blocks": torch.rand(plans, 6, 13, BLOCK),
        "segments": torch.rand(plans, 6, SEGMENT),
        "owner": owner,
        "place": place,
        "tenants": torch.rand(plans, 4, TENANT),
        "device": torch.rand(plans, DEVICE),
    }


def main():
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("--checkpoint", type=pathlib.Path)
    args.add_argument("--bin", type=pathlib.Path, required=True)
    args.add_argument("--threads", type=int, default=2)
    args.add_argument("--rounds", type=int, default=3)
    args.add_argument("--seconds", type=float, default=2)
    args = args.parse_args()
    torch.set_num_threads(args.threads)
    model = Joint()
    if args.checkpoint:
        saved = torch.load(args.checkpoint, weights_only=True)
        model.load_state_dict(saved["kept"] or saved["average"])
    model.eval()
    best = {}
    for _ in range(args.rounds):
        command = [args.bin, "--seconds", str(args.seconds), "--threads", str(args.threads)]
        for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines():
            row = json.loads(line)
            key = (row["what"], row["batch"])
            best[key] = max(best.get(key, 0), row["per_second"])
        for size in (1, 64, 1024):
            x = inputs(size)
            with torch.inference_mode():
                model(**x)
                begun, done = time.perf_counter(), 0
                while time.perf_counter() - begun < args.seconds:
                    model(**x)
                    done += size
            rate = done / (time.perf_counter() - begun)
            best["torch", size] = max(best.get(("torch", size), 0), rate)
    print("| batch | PyTorch /s | network /s | ratio | whole joint() /s |\n|--:|--:|--:|--:|--:|")
    for size in (1, 64, 1024):
        t, n, w = best["torch", size], best["network", size], best["whole", size]
        print(f"| {size} | {t:.0f} | {n:.0f} | {n / t:.2f} | {w:.0f} |")


if __name__ == "__main__":
    main()

"""Trains the network and its ablations on data sets of `ecomap dataset`.

    python train.py --data DIR --out DIR [--variant full|no-attention|no-physics] [--minutes 60] [--seed 1]

Seeded; goes on from `OUT/VARIANT.pt` if it is there; stops at the best validation loss of the last
`--patience` epochs, after `--epochs`, or when the minutes are over (the learning rate follows whichever
of epochs and minutes is nearer its end).
"""

import argparse
import copy
import json
import math
import time
from pathlib import Path

import numpy as np
import torch

from data import Table, pairs
from model import Joint

VARIANTS = {
    "full": {},
    "no-attention": {"across": False},
    "no-physics": {"physics": False},
}


def loss_of(out, slowdown, power, weight):
    got, watts = out
    error = (torch.log(got) - torch.log(slowdown)).abs() * torch.tensor([1.0, 1.0, 0.5])
    quantiles = (error.sum(-1) * weight).sum() / weight.sum().clamp_min(1)
    known = torch.isfinite(power)  # measured rows without an energy counter have none
    off = (torch.log(watts[known]) - torch.log(power[known])).abs()
    return quantiles + 5 * off.sum() / known.sum().clamp_min(1)


@torch.no_grad()
def judge(model, table):
    """Median absolute percentage errors of p50, p95, p99 and power, and the loss."""
    model.eval()
    errors, watts, losses = [], [], []
    for rows in table.batches(1024):
        x, slowdown, power, weight = table.pack(rows)
        out = model(**x)
        losses.append(float(loss_of(out, slowdown, power, weight)) * len(rows))
        kept = weight > 0
        errors.append((out[0][kept] / slowdown[kept] - 1).abs())
        known = torch.isfinite(power)
        watts.append((out[1][known] / power[known] - 1).abs())
    q = torch.cat(errors).median(0).values
    return [round(100 * float(v), 3) for v in (*q, torch.cat(watts).median())], sum(losses) / table.rows


def monotone(model, table, whole, part, removed, rows):
    """Mean log by which latencies of those who stay rise when one tenant leaves: should be 0."""
    a, *_ = table.pack(whole[rows])
    b, *_ = table.pack(part[rows])
    full, _ = model(**a)
    less, _ = model(**b)
    keep = torch.arange(full.shape[1])[None] != torch.from_numpy(removed[rows])[:, None]
    count = a["owner"].sum(2).gt(0).sum(1)
    keep &= torch.arange(full.shape[1])[None] < count[:, None]
    there = torch.arange(less.shape[1])[None] < (count - 1)[:, None]
    return torch.relu(torch.log(less[there]) - torch.log(full[keep])).mean()


def main():
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("--data", type=Path, required=True)
    args.add_argument("--out", type=Path, required=True)
    args.add_argument("--variant", choices=VARIANTS, default="full")
    args.add_argument("--seed", type=int, default=1)
    args.add_argument("--epochs", type=int, default=60)
    args.add_argument("--minutes", type=float, default=60)
    args.add_argument("--batch", type=int, default=256)
    args.add_argument("--rate", type=float, default=2e-3)
    args.add_argument("--patience", type=int, default=12)
    args.add_argument("--threads", type=int, default=0)
    args = args.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)

    train, valid = Table(*sorted(args.data.glob("train*.parquet"))), Table(args.data / "validation.parquet")
    paired = args.data / "pairs.parquet"
    paired = Table(paired) if paired.exists() else None
    whole = pairs(paired) if paired else None
    model = Joint(**VARIANTS[args.variant])
    rng = np.random.default_rng(args.seed)
    model.standardise(train.pack(rows)[0] for rows in train.batches(1024, rng)[:20])
    average = copy.deepcopy(model)
    print(f"{args.variant}: {sum(p.numel() for p in model.parameters())} parameters, {train.rows} rows", flush=True)
    best_of = torch.optim.AdamW(model.parameters(), lr=args.rate, weight_decay=1e-2)
    state = {"epoch": 0, "spent": 0.0, "best": math.inf, "since": 0, "log": []}
    checkpoint = args.out / f"{args.variant}.pt"
    kept = None
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(saved["model"])
        average.load_state_dict(saved["average"])
        best_of.load_state_dict(saved["optimiser"])
        kept, state = saved["kept"], saved["state"]
        print(f"goes on after epoch {state['epoch']}", flush=True)

    began = time.monotonic() - 60 * state["spent"]
    while state["epoch"] < args.epochs and state["since"] < args.patience:
        rng = np.random.default_rng((args.seed, state["epoch"]))
        order = train.batches(args.batch, rng)
        model.train()
        over = False
        for n, rows in enumerate(order):
            part = (state["epoch"] + n / len(order)) / args.epochs
            part = max(part, (time.monotonic() - began) / 60 / args.minutes)
            if part >= 1:
                over = True
                break
            warm = min(1.0, (state["epoch"] * len(order) + n + 1) / 200)
            for group in best_of.param_groups:
                group["lr"] = args.rate * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * part)))
            x, slowdown, power, weight = train.pack(rows)
            loss = loss_of(model(**x), slowdown, power, weight)
            if whole and n % 4 == 0:
                some = rng.integers(0, len(whole[0]), args.batch // 2)
                loss = loss + 4.0 * monotone(model, paired, *whole, some)
            best_of.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            best_of.step()
            with torch.no_grad():
                for a, p in zip(average.parameters(), model.parameters()):
                    a.lerp_(p, 0.002 if state["epoch"] > 0 else 0.02)
        state["epoch"] += 1
        state["spent"] = (time.monotonic() - began) / 60
        errors, loss = judge(average, valid)
        state["log"].append([state["epoch"], round(state["spent"], 2), errors, round(loss, 5)])
        print(f"epoch {state['epoch']} {state['spent']:.1f} min: validation p50 p95 p99 power % {errors} loss {loss:.5f}", flush=True)
        if loss < state["best"]:
            state["best"], state["since"], kept = loss, 0, copy.deepcopy(average.state_dict())
        else:
            state["since"] += 1
        torch.save(
            {
                "model": model.state_dict(),
                "average": average.state_dict(),
                "optimiser": best_of.state_dict(),
                "kept": kept,
                "state": state,
                "variant": args.variant,
                "seed": args.seed,
                "rows": train.rows,
            },
            checkpoint,
        )
        if over:
            break
    (args.out / f"{args.variant}.json").write_text(json.dumps({"seed": args.seed, "rows": train.rows, **state}))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Builds the model families under instances/data/families/.

    build_families.py            write the JSON files
    build_families.py --check    fail unless the committed files equal a fresh build
    build_families.py --docs     write docs/src/catalogue.md
    build_families.py --docs --check   fail unless that page is up to date

Needs only Python 3.11's standard library. Every run checks the invariants in
`verify` first. crosscheck.py compares the counts with torchvision and timm
themselves (requirements.txt).
"""

import argparse
import json
import sys
from pathlib import Path

from graph import BYTES, KINDS, MATMUL_KINDS, Net
from published import FAMILIES, SOURCES, Family, Figure, Tier

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "instances/data/families"
PAGE = ROOT / "docs/src/catalogue.md"
FORMAT = "ecomap.family/v1"
TOLERANCE = 0.01
WANTED_BLOCKS, MIN_BLOCKS, MAX_BLOCKS = 8, 6, 12
# A published figure is used as it stands if rounding cannot move it by more.
FINE = 0.005


def comparable_macs(tier: Tier, net: Net) -> int:
    """Our count by the rule that the source of the published MACs follows."""
    return net.macs_with_norms if tier.macs and tier.macs.source == "timm" else net.macs


def pick(figure: Figure | None, counted: int, fine: float) -> tuple[int, str]:
    """The published figure where it is precise and counted as we count;
    otherwise ours."""
    if figure and figure.source != "timm" and figure.half <= fine * figure.value:
        if abs(counted - figure.value) <= TOLERANCE * figure.value:
            return round(figure.value), figure.source
    return counted, "calc"


def tier_json(tier: Tier) -> dict:
    net = tier.build()
    params, params_source = pick(tier.params, net.params, 0.0)
    macs, macs_source = pick(tier.macs, net.macs, FINE)
    blocks = net.blocks(WANTED_BLOCKS)
    shape = [1, *net.input.shape]
    out = {
        "id": tier.id,
        "accuracy": tier.accuracy,
        "params": params,
        "macs": macs,
        "source": {
            "accuracy": tier.accuracy_source,
            "params": params_source,
            "macs": macs_source,
            "blocks": "calc",
        },
        "input": {
            "shape": shape,
            # uint8 pixels, or int32 token ids
            "request_bytes": net.input.size * (1 if len(shape) == 4 else 4),
            "response_bytes": blocks[-1].output_bytes,
        },
        "blocks": [
            {
                "name": b.name,
                "flops": b.flops,
                "weight_bytes": b.weight_bytes,
                "input_bytes": b.input_bytes,
                "output_bytes": b.output_bytes,
                "ops": [
                    {
                        "kind": kind,
                        "count": len(ops),
                        "flops": sum(op.flops for op in ops),
                        "bytes": sum(op.bytes for op in ops),
                    }
                    for kind in KINDS
                    if (ops := [op for op in b.ops if op.kind == kind])
                ],
            }
            for b in blocks
        ],
    }
    if tier.note:
        out["note"] = tier.note
    return out


def family_json(family: Family) -> dict:
    tiers = [tier_json(t) for t in family.tiers]
    used = {key for t in tiers for key in t["source"].values()}
    return {
        "format": FORMAT,
        "id": family.id,
        "name": family.name,
        "task": family.task,
        "metric": {"name": family.metric[0], "dataset": family.metric[1], "unit": "percent"},
        "sources": {key: text for key, text in SOURCES.items() if key in used},
        "tiers": tiers,
    }


def verify(family: Family, made: dict) -> list[str]:
    """Every invariant of the catalogue; returns what is broken."""
    bad = []

    def expect(ok: bool, where: str, what: str) -> None:
        if not ok:
            bad.append(f"{family.id}/{where}: {what}")

    def near(a: float, b: float, slack: float = 0.0) -> bool:
        return abs(a - b) <= TOLERANCE * b + slack

    accuracies = [t["accuracy"] for t in made["tiers"]]
    expect(all(a > b for a, b in zip(accuracies, accuracies[1:])), "tiers", "accuracy must fall")
    expect(len({t["id"] for t in made["tiers"]}) == len(accuracies), "tiers", "ids must differ")
    for tier, t in zip(family.tiers, made["tiers"], strict=True):
        net, blocks, where = tier.build(), t["blocks"], t["id"]
        expect(MIN_BLOCKS <= len(blocks) <= MAX_BLOCKS, where, f"{len(blocks)} blocks")
        expect(len({b["name"] for b in blocks}) == len(blocks), where, "block names must differ")
        size = 1
        for n in t["input"]["shape"]:
            size *= n
        expect(blocks[0]["input_bytes"] == BYTES * size, where, "first input is not the model's")
        expect(blocks[-1]["output_bytes"] == t["input"]["response_bytes"], where, "last output")
        for a, b in zip(blocks, blocks[1:]):
            expect(a["output_bytes"] == b["input_bytes"], where, f"chain breaks at {b['name']}")
        for b in blocks:
            expect(b["flops"] == sum(o["flops"] for o in b["ops"]), where, f"flops of {b['name']}")
            for o in b["ops"]:
                ok = o["kind"] in KINDS and all(o[k] > 0 for k in ("count", "flops", "bytes"))
                expect(ok, where, f"{b['name']}: {o}")
        flops = sum(o["flops"] for b in blocks for o in b["ops"] if o["kind"] in MATMUL_KINDS)
        expect(near(flops, 2 * t["macs"]), where, f"{flops} flops for {t['macs']} MACs")
        weights = sum(b["weight_bytes"] for b in blocks)
        expect(near(weights, BYTES * t["params"]), where, f"{weights} B for {t['params']} params")
        if tier.params and not tier.params_differ:
            exact = tier.params.half == 0
            ok = net.params == tier.params.value if exact else near(
                net.params, tier.params.value, tier.params.half)  # fmt: skip
            expect(ok, where, f"counted {net.params}, published {tier.params.value:.0f} params")
        if tier.macs:
            counted = comparable_macs(tier, net)
            ok = near(counted, tier.macs.value, tier.macs.half)
            expect(ok, where, f"counted {counted}, published {tier.macs.value:.0f} MACs")
    return bad


def dump(family: dict) -> str:
    """Indented JSON with one line an operator. Lines of blocks and operators
    are dense: they are most of the file."""

    def line(value) -> str:
        return json.dumps(value, ensure_ascii=False)

    def dense(value) -> str:
        return json.dumps(value, separators=(",", ":"))

    out = ["{"]
    for key, value in family.items():
        if key == "tiers":
            continue
        if key == "sources":
            body = ",\n".join(f"  {line(k)}: {line(v)}" for k, v in value.items())
            out.append(f' "sources": {{\n{body}\n }},')
        else:
            out.append(f" {line(key)}: {line(value)},")
    out.append(' "tiers": [')
    tiers = []
    for t in family["tiers"]:
        head = ", ".join(f"{line(k)}: {line(t[k])}" for k in ("id", "accuracy", "params", "macs"))
        rows = [f"  {{{head},"]
        rows += [f"   {line(k)}: {line(t[k])}," for k in ("source", "input", "note") if k in t]
        rows.append('   "blocks": [')
        blocks = []
        for b in t["blocks"]:
            first = ",".join(f"{dense(k)}:{dense(v)}" for k, v in b.items() if k != "ops")
            ops = ",\n".join(f"    {dense(o)}" for o in b["ops"])
            blocks.append(f'   {{{first},"ops":[\n{ops}]}}')
        rows.append(",\n".join(blocks) + "]}")
        tiers.append("\n".join(rows))
    out.append(",\n".join(tiers))
    out.append(" ]\n}")
    return "\n".join(out) + "\n"


def page() -> str:
    """The catalogue page of the manual."""
    text = (Path(__file__).parent / "catalogue.head.md").read_text(encoding="utf-8")
    out = [text.rstrip(), ""]
    for family in FAMILIES:
        metric = f"{family.metric[0]} on {family.metric[1]}, percent"
        out += [f"### {family.name} (`{family.id}`)", "", f"Accuracy: {metric}.", "",
                "| tier | accuracy | parameters published | counted | GMACs published | counted | difference |",
                "|---|--:|--:|--:|--:|--:|--:|"]  # fmt: skip
        notes = []
        for tier in family.tiers:
            net = tier.build()
            p, m = tier.params, tier.macs
            shown_p, shown_m, diff = "–", "–", "–"
            if p:
                exact = f"{p.value:,.0f}" if p.half == 0 else f"{p.value / 1e6:g} M"
                shown_p = f"{exact} ({p.source})"
            if m:
                shown_m = f"{m.value / 1e9:g} ({m.source})"
                diff = f"{100 * (comparable_macs(tier, net) / m.value - 1):+.2f} %"
            out.append(f"| {tier.id} | {tier.accuracy:g} ({tier.accuracy_source}) | {shown_p} | "
                       f"{net.params:,} | {shown_m} | {net.macs / 1e9:.4f} | {diff} |")  # fmt: skip
            if tier.note:
                notes.append(f"- {tier.id}: {tier.note}")
        out += ["", *notes, ""] if notes else [""]
    out += ["## Sources", "", "| key | source |", "|---|---|"]
    out += [f"| {key} | {text} |" for key, text in SOURCES.items()]
    return "\n".join(out) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description="Build or check the model families.")
    parser.add_argument("--check", action="store_true", help="compare with the committed files")
    parser.add_argument("--docs", action="store_true", help="the manual's page, not the data")
    args = parser.parse_args()

    made = {f.id: (f, family_json(f)) for f in FAMILIES}
    bad = [line for f, j in made.values() for line in verify(f, j)]
    if bad:
        print("\n".join(bad), file=sys.stderr)
        return 1
    if args.docs:
        files = {PAGE: page()}
    else:
        files = {DATA / f"{id}.json": dump(j) for id, (_, j) in made.items()}
    stale = []
    for path, text in files.items():
        data = text.encode("utf-8")
        if not path.is_file() or path.read_bytes() != data:
            stale.append(path)
            if not args.check:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
    if not args.docs and args.check:
        stale += [p for p in sorted(DATA.glob("*.json")) if p not in files]
    for path in stale:
        print(("stale: " if args.check else "wrote: ") + str(path.relative_to(ROOT)))
    return 1 if args.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Solves assignment files and synthetic clusters by Ecomap and other solvers: same instances, same machine, same run.

    agents.py run --bin FOLDER --gap FOLDER [--kinds gap,a,b,c,d,cluster] [--limit 10] [--peers highs,cp-sat,scip]
    agents.py table [--csv FILE] [--page docs/src/performance.md]

FOLDER of --bin holds the built `mmkp` and `cluster`; FOLDER of --gap the OR-Library's files and `best.csv` (file,
agents, jobs and known values), which are not part of the project: without them only clusters are run.

Every solver has one thread, a process of its own and the same limit; what it says at the end counts. Every plan is
checked against the file, every bound against the best plan of anybody and the known optimum.

Exit status: 0 well, 1 a plan or bound that is wrong, 2 wrong use.
"""

import argparse
import csv
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import bench

COLUMNS = "kind,name,solver,version,threads,limit,seconds,value,bound,gap,status".split(",")
KINDS = ("cluster", "d", "c", "b", "a", "gap")
LABELS = {"gap": "gap1–gap12", "a": "a", "b": "b", "c": "c", "d": "d", "cluster": "cluster 1000×50×751"}
CLUSTERS = range(3)
# Relative gap that peers are asked for; costs of the files are whole numbers.
CLOSED = 1e-6


class Problem(bench.Instance):
    """Maximised: assignment files negated."""

    def __init__(self, path, kind):
        import numpy as np

        numbers = np.array(Path(path).read_bytes().split(), dtype=float)
        (self.cluster if kind == "cluster" else self.assignment)(numbers)
        self.first = np.searchsorted(self.owner, np.arange(self.classes))

    def assignment(self, numbers):
        import numpy as np

        m, n = int(numbers[0]), int(numbers[1])
        costs, loads, rest = numbers[2 : 2 + m * n], numbers[2 + m * n : 2 + 2 * m * n], numbers[2 + 2 * m * n :]
        self.classes, self.rows, self.capacity = n, m, rest[:m]
        self.value = -costs.reshape(m, n).T.ravel()
        self.owner = np.repeat(np.arange(n), m)
        self.weight = np.zeros((n * m, m))
        self.weight[np.arange(n * m), np.tile(np.arange(m), n)] = loads.reshape(m, n).T.ravel()

    def cluster(self, numbers):
        import numpy as np

        n, m = int(numbers[0]), int(numbers[1])
        self.classes, self.rows, self.capacity = n, m, numbers[2 : 2 + m]
        at, value, owner, entries = 2 + m, [], [], []
        for i in range(n):
            count, at = int(numbers[at]), at + 1
            for _ in range(count):
                used = int(numbers[at + 1])
                pairs = numbers[at + 2 : at + 2 + 2 * used].reshape(used, 2)
                entries.extend((len(value), int(row), amount) for row, amount in pairs)
                value.append(numbers[at])
                owner.append(i)
                at += 2 + 2 * used
        self.value, self.owner = np.array(value), np.array(owner)
        self.weight = np.zeros((len(value), m))
        index = np.array([(o, row) for o, row, _ in entries])
        self.weight[index[:, 0], index[:, 1]] = [amount for _, _, amount in entries]


def one(args):
    """In a process of its own: one peer, one file."""
    problem = Problem(args.file, args.kind)
    solver = bench.PEERS[args.peer][1](problem, CLOSED, 1, args.limit)
    answer = bench.finished(problem, solver.solve(), problem.capacity)
    if args.kind != "cluster":
        for key in ("value", "bound"):
            if answer.get(key) is not None:
                answer[key] = -answer[key]
    print(json.dumps(answer), flush=True)
    return 0


def instances(args, folder):
    """Kind, name, file for peers, and the command of Ecomap."""
    for kind in args.kinds.split(","):
        if kind == "cluster":
            for seed in CLUSTERS:
                file = folder / f"cluster-{seed}.txt"
                program = [args.bin / "cluster", "--seed", seed]
                subprocess.run([str(x) for x in [*program, "--export", file]], check=True)
                yield kind, f"cluster-{seed}", file, [*program, "--limit", args.limit], None
        elif args.gap is not None:
            with open(args.gap / "best.csv", newline="", encoding="utf-8") as table:
                for row in csv.DictReader(table):
                    name = Path(row["file"]).name
                    if name.startswith("gap") if kind == "gap" else not name.startswith("gap") and name.startswith(kind):
                        optimum = float(row["optimum"]) if row["optimum"] else None
                        file = args.gap / row["file"]
                        yield kind, name, file, [args.bin / "mmkp", "--limit", args.limit, file], optimum


def gap_of(value, bound):
    return None if value is None or bound is None else abs(value - bound) / max(1e-12, abs(value))


def wrong(kind, name, rows, optimum):
    """Plans that break a row, and bounds that cut off a plan or the known optimum."""
    sign = -1.0 if kind == "cluster" else 1.0
    values = [sign * r["value"] for r in rows if r["value"] is not None] + ([optimum] if optimum is not None else [])
    count = 0
    for r in rows:
        if "WRONG PLAN" in r["status"]:
            print(f"{name}: {r['solver']} returned a plan that does not fit", file=sys.stderr)
            count += 1
        if r["bound"] is not None and values and sign * r["bound"] > min(values) + 1e-6 * abs(min(values)):
            print(f"{name}: {r['solver']} bounds by {r['bound']}, {sign * min(values)} is reached", file=sys.stderr)
            count += 1
        if optimum is not None and r["value"] is not None and r["value"] < optimum - 1e-6:
            print(f"{name}: {r['solver']} is better than the optimum {optimum}", file=sys.stderr)
            count += 1
    return count


def run(args):
    peers = [p for p in args.peers.split(",") if p in bench.PEERS and bench.installed(p)]
    Path(args.csv).parent.mkdir(parents=True, exist_ok=True)
    fresh = args.anew or not Path(args.csv).exists()
    bad = 0
    with open(args.csv, "w" if args.anew else "a", newline="", encoding="utf-8") as out, tempfile.TemporaryDirectory() as folder:
        writer = csv.DictWriter(out, COLUMNS)
        if fresh:
            writer.writeheader()
        for kind, name, file, own, optimum in instances(args, Path(folder)):
            rows = []
            commands = {"ecomap": own} | {
                peer: [sys.executable, __file__, "one", peer, file, "--kind", kind, "--limit", args.limit] for peer in peers
            }
            for solver, command in commands.items():
                answers, killed = bench.lines([str(x) for x in command], 4 * args.limit + 60)
                answer = answers[0] if answers else {"seconds": args.limit, "status": "killed" if killed else "failed"}
                value, bound = answer.get("value"), answer.get("bound")
                if bound is not None and abs(bound) > 1e15:
                    bound = None
                status = "WRONG PLAN" if answer.get("fits") is False and value is not None else str(answer.get("status", ""))
                version = "" if solver == "ecomap" else bench.version(solver)
                rows.append({"kind": kind, "name": name, "solver": solver, "version": version, "threads": 1, "limit": args.limit,
                             "seconds": round(answer["seconds"], 3), "value": value, "bound": bound, "gap": gap_of(value, bound), "status": status})
            bad += wrong(kind, name, rows, optimum)
            writer.writerows(rows)
            out.flush()
            print(name, *(f"{r['solver']} {r['seconds']} s {r['gap']}" for r in rows), sep="; ", flush=True)
    print(f"{bad} wrong")
    return 1 if bad else 0


def closed(row):
    """Whether the optimum is proven: whole costs leave no room below the next whole number."""
    if row["gap"] == "":
        return False
    value, bound = float(row["value"]), float(row["bound"])
    return abs(value - bound) < (1.0 - 1e-6 if row["kind"] != "cluster" else 1e-4 * abs(value))


def table(args):
    with open(args.csv, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    text = ["| files | limit | solver | proved | time, median (largest) | gap where not proved, median (largest) | without a plan |",
            "|---|--:|---|--:|--:|--:|--:|"]
    for kind in reversed(KINDS):
        solvers = dict.fromkeys((r["solver"], r["version"]) for r in rows if r["kind"] == kind)
        for solver, version in solvers:
            mine = [r for r in rows if r["kind"] == kind and r["solver"] == solver]
            times = [float(r["seconds"]) for r in mine]
            open_ = [float(r["gap"]) for r in mine if r["gap"] != "" and not closed(r)]
            left = f"{bench.percent(statistics.median(open_))} ({bench.percent(max(open_))})" if open_ else "–"
            blank = sum(r["value"] == "" for r in mine)
            name = "**Ecomap**" if solver == "ecomap" else f"{solver} {version}"
            text.append(f"| {LABELS[kind]} | {float(mine[0]['limit']):g} s | {name} | {sum(map(closed, mine))} of {len(mine)} | "
                        f"{bench.seconds(statistics.median(times))} ({bench.seconds(max(times))}) | {left} | {blank} |")
    page = Path(args.page)
    body = page.read_text(encoding="utf-8")
    begin, end = "<!-- agents table: begin -->", "<!-- agents table: end -->"
    if begin not in body or end not in body:
        print(f"{page}: the marks of the table are missing", file=sys.stderr)
        return 2
    before, rest = body.split(begin, 1)
    page.write_text(before + begin + "\n" + "\n".join(text) + "\n" + end + rest.split(end, 1)[1], encoding="utf-8")
    return 0


def main():
    parser = argparse.ArgumentParser(description="Solve assignment files and clusters beside other solvers.")
    commands = parser.add_subparsers(dest="command", required=True)
    many = commands.add_parser("run")
    many.add_argument("--bin", type=Path, required=True, help="folder of the built programs")
    many.add_argument("--gap", type=Path, help="folder of the OR-Library's assignment files and best.csv")
    many.add_argument("--kinds", default=",".join(KINDS), help="comma-separated, of: " + ", ".join(KINDS))
    many.add_argument("--limit", type=float, default=10.0)
    many.add_argument("--peers", default="highs,cp-sat,scip")
    many.add_argument("--csv", default="benches/results/agents.csv")
    many.add_argument("--anew", action="store_true", help="begin the CSV anew instead of adding to it")
    shown = commands.add_parser("table")
    shown.add_argument("--csv", default="benches/results/agents.csv")
    shown.add_argument("--page", default="docs/src/performance.md")
    single = commands.add_parser("one")
    single.add_argument("peer", choices=bench.PEERS)
    single.add_argument("file")
    single.add_argument("--kind", required=True)
    single.add_argument("--limit", type=float, default=10.0)
    args = parser.parse_args()
    return {"run": run, "table": table, "one": one}[args.command](args)


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Solves the MMKP library's files by Ecomap and other solvers: same files, same machine, same run.

    mmkp.py run --bin FILE --files FOLDER [--limit 10] [--only NAME,...] [--peers highs,cp-sat,scip] [--csv FILE] [--anew]
    mmkp.py table [--csv FILE] [--page docs/src/performance.md]

--bin is the built `mmkp`; FOLDER holds the library's files and `bounds.csv` (file, bound of the relaxation and the best
value that was published with its source), which are not part of the project.

Every solver has one thread, a process of its own and the same limit; what it says at the end counts. Every plan is
checked against the file, every bound against the best plan of anybody and the best published value.

Exit status: 0 well, 1 a plan or bound that is wrong, 2 wrong use.
"""

import argparse
import csv
import json
import sys
from pathlib import Path

import bench

COLUMNS = "name,classes,rows,published,solver,version,threads,limit,seconds,value,bound,gap,status".split(",")
# Relative gap that peers are asked for: values are whole numbers below 1e5.
CLOSED = 1e-6
LABELS = {"a": "I{:02d}", "b": "INST{:02d}"}


def label(file):
    """The library's name of a file: mmkp_a_07.txt is I07, mmkp_b_01.txt INST01."""
    _, kind, number = Path(file).stem.split("_")
    return LABELS[kind].format(int(number))


def one(args):
    """In a process of its own: one peer, one file."""
    instance = bench.Instance(args.file)
    solver = bench.PEERS[args.peer][1](instance, CLOSED, 1, args.limit)
    print(json.dumps(bench.finished(instance, solver.solve(), instance.capacity)), flush=True)
    return 0


def own(instance, answer):
    """Ecomap's plan checked against the file, like everybody's."""
    plan = answer.pop("plan", None)
    if plan:
        value, fits = instance.judge(plan, instance.capacity)
        answer["fits"] = fits and value is not None and abs(value - answer["value"]) < 1e-6
    return answer


def wrong(rows, published):
    """Plans that break a row, and bounds below a plan or the best published value."""
    values = [r["value"] for r in rows if r["value"] is not None] + ([published] if published is not None else [])
    count = 0
    for r in rows:
        if "WRONG PLAN" in r["status"]:
            print(f"{r['name']}: {r['solver']} returned a plan that does not fit", file=sys.stderr)
            count += 1
        if r["bound"] is not None and values and r["bound"] < max(values) - 1e-6 * abs(max(values)):
            print(f"{r['name']}: {r['solver']} bounds by {r['bound']}, {max(values)} is reached", file=sys.stderr)
            count += 1
    return count


def run(args):
    with open(args.files / "bounds.csv", newline="", encoding="utf-8") as known:
        files = list(csv.DictReader(known))
    only = args.only.split(",") if args.only else None
    peers = [p for p in args.peers.split(",") if p in bench.PEERS and bench.installed(p)]
    Path(args.csv).parent.mkdir(parents=True, exist_ok=True)
    fresh = args.anew or not Path(args.csv).exists()
    bad = 0
    with open(args.csv, "w" if args.anew else "a", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, COLUMNS)
        if fresh:
            writer.writeheader()
        for known in files:
            name = label(known["file"])
            if only and name not in only:
                continue
            file = args.files / known["file"]
            published = float(known["best_value_with_source"]) if known["best_value_with_source"] else None
            instance = bench.Instance(file)
            commands = {"ecomap": [args.bin, "--limit", args.limit, "--plan", file]} | {
                peer: [sys.executable, __file__, "one", peer, file, "--limit", args.limit] for peer in peers
            }
            rows = []
            for solver, command in commands.items():
                answers, killed = bench.lines([str(x) for x in command], 4 * args.limit + 60)
                answer = answers[0] if answers else {"seconds": args.limit, "status": "killed" if killed else "failed"}
                if solver == "ecomap":
                    answer = own(instance, answer)
                value, bound = answer.get("value"), answer.get("bound")
                if bound is not None and abs(bound) > 1e15:
                    bound = None
                status = "WRONG PLAN" if answer.get("fits") is False and value is not None else str(answer.get("status", ""))
                version = "" if solver == "ecomap" else bench.version(solver)
                rows.append({"name": name, "classes": instance.classes, "rows": instance.rows, "published": published, "solver": solver,
                             "version": version, "threads": 1, "limit": args.limit, "seconds": round(answer["seconds"], 3), "value": value,
                             "bound": bound, "gap": bench.gap_of(value, bound), "status": status})
            bad += wrong(rows, published)
            writer.writerows(rows)
            out.flush()
            print(name, *(f"{r['solver']} {r['value']} ≤ {r['bound']} in {r['seconds']} s" for r in rows), sep="; ", flush=True)
    print(f"{bad} wrong")
    return 1 if bad else 0


def cell(row):
    """What one solver reached on one file."""
    if row is None or row["value"] == "":
        return "no plan"
    if row["bound"] == "":
        return f"{float(row['value']):.0f}"
    # Values are whole, so a bound is worth its whole part.
    return f"{float(row['value']):.0f} ≤ {float(row['bound']) // 1:.0f}, {bench.percent(whole_gap(row))}"


def whole_gap(row):
    if row is None or row["value"] == "" or row["bound"] == "":
        return float("inf")
    value = float(row["value"])
    return max(0.0, (float(row["bound"]) + 1e-6) // 1 - value) / value


def table(args):
    with open(args.csv, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    solvers = list(dict.fromkeys((r["solver"], r["version"]) for r in rows))
    peers = [s for s, _ in solvers if s != "ecomap"]
    heads = ["**Ecomap**" if s == "ecomap" else f"{s} {v}" for s, v in solvers]
    text = ["| file | classes × rows | published | " + " | ".join(heads) + " |", "|---|---|--:|" + "--:|" * len(heads)]
    first = at_par = reached = known = 0
    names = list(dict.fromkeys(r["name"] for r in rows))
    for name in names:
        per = {r["solver"]: r for r in rows if r["name"] == name}
        mine = per["ecomap"]
        best = min((whole_gap(per.get(p)) for p in peers), default=float("inf"))
        first += whole_gap(mine) < best - 1e-12
        at_par += abs(whole_gap(mine) - best) <= 1e-12
        published = mine["published"]
        if published:
            known += 1
            reached += mine["value"] != "" and float(mine["value"]) >= float(published)
        shown = f"{float(published):.0f}" if published else "–"
        text.append(f"| {name} | {mine['classes']} × {mine['rows']} | {shown} | " + " | ".join(cell(per.get(s)) for s, _ in solvers) + " |")
    limit = float(rows[0]["limit"])
    text.append("")
    text.append(f"{limit:g} s and one thread each: Ecomap's gap is the least on {first} of {len(names)} files, equal to the best peer's on {at_par}; "
                f"its value is at or above the published one on {reached} of {known}.")
    page = Path(args.page)
    body = page.read_text(encoding="utf-8")
    begin, end = "<!-- mmkp table: begin -->", "<!-- mmkp table: end -->"
    if begin not in body or end not in body:
        print(f"{page}: the marks of the table are missing", file=sys.stderr)
        return 2
    before, rest = body.split(begin, 1)
    page.write_text(before + begin + "\n" + "\n".join(text) + "\n" + end + rest.split(end, 1)[1], encoding="utf-8")
    return 0


def main():
    parser = argparse.ArgumentParser(description="Solve the MMKP library's files beside other solvers.")
    commands = parser.add_subparsers(dest="command", required=True)
    many = commands.add_parser("run")
    many.add_argument("--bin", type=Path, required=True, help="the built `mmkp` program")
    many.add_argument("--files", type=Path, required=True, help="folder of the library's files and bounds.csv")
    many.add_argument("--limit", type=float, default=10.0)
    many.add_argument("--only", help="comma-separated names, such as I07,INST01")
    many.add_argument("--peers", default="highs,cp-sat,scip")
    many.add_argument("--csv", default="benches/results/mmkp.csv")
    many.add_argument("--anew", action="store_true", help="begin the CSV anew instead of adding to it")
    shown = commands.add_parser("table")
    shown.add_argument("--csv", default="benches/results/mmkp.csv")
    shown.add_argument("--page", default="docs/src/performance.md")
    single = commands.add_parser("one")
    single.add_argument("peer", choices=bench.PEERS)
    single.add_argument("file")
    single.add_argument("--limit", type=float, default=10.0)
    args = parser.parse_args()
    return {"run": run, "table": table, "one": one}[args.command](args)


if __name__ == "__main__":
    sys.exit(main())

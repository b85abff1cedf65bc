#!/usr/bin/env python3
"""Times Ecomap's price decomposition beside other solvers: same instances, same machine, same run.

    bench.py run --pool PATH [--sets cold-1000x50,...] [--seeds 20] [--limit 60] [--csv FILE] [--peers highs,...]
    bench.py table [--csv FILE] [--page docs/src/performance.md]

`run` makes every instance by `pool export`, solves it by `pool` and by each peer, each in a process of its
own that is killed when it overruns its limit, checks every plan against the file and every bound against the
best plan of anybody, and appends to the CSV. `table` writes medians, least and largest into the page, between
its two marks.

Times are those of the solve call alone, with the model in memory; reading and building are left out for all.
A peer that has not proved the gap within the limit counts with the limit, so its ratio is a lower bound ("≥").

Exit status: 0 well, 1 a plan or bound that is wrong, 2 wrong use.
"""

import argparse
import csv
import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# name: (tenants, options, rows, what is timed, gap to prove, peers by default)
SETS = {
    "cold-1000x10": (1000, 10, 10, "cold", 1e-3, ["highs"]),
    "cold-1000x50": (1000, 50, 10, "cold", 1e-3, ["highs"]),
    "cold-10000x10": (10000, 10, 10, "cold", 1e-3, ["highs"]),
    "lp-10000x50": (10000, 50, 10, "cold", 1e-3, ["highs-ipm"]),
    "resolve-1000x10": (1000, 10, 10, "resolve", 1e-3, ["highs"]),
    "board-10x10": (10, 10, 5, "proved", 0.0, ["highs"]),
    "fine-1000x50": (1000, 50, 10, "deadline", 1e-4, []),
    "fine-1000x10": (1000, 10, 10, "deadline", 1e-4, []),
    "fine-1000x20": (1000, 10, 20, "deadline", 1e-4, []),
    "lookup-1000x10": (1000, 10, 10, "lookup", 1e-3, []),
}
COLUMNS = "set,tenants,options,rows,seed,solver,version,threads,asked_gap,seconds,value,bound,gap,status".split(",")
# Changes of the cap that a peer answers, seconds each, and that Ecomap answers; the first are the same.
CHANGES, OWN_CHANGES = 5, 20


class Instance:
    """A problem in the MMKP library's layout."""

    def __init__(self, path):
        import numpy as np

        numbers = np.array(Path(path).read_bytes().split(), dtype=float)
        n, m = int(numbers[0]), int(numbers[1])
        self.capacity = numbers[2 : 2 + m]
        at, value, weight, owner = 2 + m, [], [], []
        for i in range(n):
            count = int(numbers[at])
            block = numbers[at + 1 : at + 1 + count * (m + 1)].reshape(count, m + 1)
            value.append(block[:, 0])
            weight.append(block[:, 1:])
            owner.append(np.full(count, i))
            at += 1 + count * (m + 1)
        if at != len(numbers):
            raise ValueError(f"{path}: {len(numbers) - at} numbers too many")
        self.classes, self.rows = n, m
        self.value, self.weight, self.owner = np.concatenate(value), np.concatenate(weight), np.concatenate(owner)
        self.first = np.searchsorted(self.owner, np.arange(n))

    def judge(self, plan, capacity):
        """The plan's value, and whether it keeps the capacities."""
        import numpy as np

        chosen = self.first + np.asarray(plan)
        if not (self.owner[chosen] == np.arange(self.classes)).all():
            return None, False
        return float(self.value[chosen].sum()), bool((self.weight[chosen].sum(axis=0) <= capacity).all())


def share(n):
    """The n-th power cap as a share of the full one; the same sequence as in `pool resolve`."""
    return 0.6 + 0.4 * ((0.618033988749895 * (n + 1)) % 1.0)


def capped(capacity, at):
    capacity = capacity.copy()
    capacity[-2] = float(int(capacity[-2] * at))
    return capacity


def plan_of(instance, x):
    """Chosen option of every class from the 0/1 values of all options."""
    import numpy as np

    chosen = np.flatnonzero(np.asarray(x) > 0.5)
    if len(chosen) != instance.classes or (instance.owner[chosen] != np.arange(instance.classes)).any():
        return None
    return (chosen - instance.first).tolist()


class Highs:
    """HiGHS on the integer program."""

    def __init__(self, instance, gap, threads, limit, integer=True):
        import highspy
        import numpy as np

        self.instance, self.integer = instance, integer
        n, m, count = instance.classes, instance.rows, len(instance.value)
        used = instance.weight != 0
        ends = np.concatenate([[0], np.cumsum(1 + used.sum(axis=1))])
        index = np.empty(ends[-1], dtype=np.int32)
        entry = np.empty(ends[-1])
        index[ends[:-1]], entry[ends[:-1]] = instance.owner, 1.0
        rest = np.ones(ends[-1], dtype=bool)
        rest[ends[:-1]] = False
        index[rest], entry[rest] = n + np.nonzero(used)[1], instance.weight[used]
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = count, n + m
        lp.sense_ = highspy.ObjSense.kMaximize
        lp.col_cost_ = instance.value
        lp.col_lower_, lp.col_upper_ = np.zeros(count), np.ones(count)
        lp.row_lower_ = np.concatenate([np.ones(n), np.full(m, -highspy.kHighsInf)])
        lp.row_upper_ = np.concatenate([np.ones(n), instance.capacity])
        lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = ends.astype(np.int32), index, entry
        if integer:
            lp.integrality_ = [highspy.HighsVarType.kInteger] * count
        self.model = model = highspy.Highs()
        options = {"output_flag": False, "threads": threads, "time_limit": float(limit), "mip_rel_gap": gap, "mip_abs_gap": 1e-6}
        if not integer:
            options |= {"solver": "ipm", "run_crossover": "off"}
        for name, setting in options.items():
            model.setOptionValue(name, setting)
        model.passModel(lp)

    def solve(self, capacity=None, start=None):
        import highspy
        import numpy as np

        model, at = self.model, self.instance.classes + self.instance.rows - 2
        if capacity is not None:
            model.changeRowBounds(at, -highspy.kHighsInf, float(capacity[-2]))
        if start is not None:
            solution = highspy.HighsSolution()
            solution.col_value = start
            model.setSolution(solution)
        began = time.perf_counter()
        model.run()
        seconds = time.perf_counter() - began
        info = model.getInfo()
        status = model.modelStatusToString(model.getModelStatus())
        if not self.integer:
            return {"seconds": seconds, "value": None, "bound": info.objective_function_value, "status": status}
        self.last = np.asarray(model.getSolution().col_value)
        found = info.primal_solution_status == 2
        plan = plan_of(self.instance, self.last) if found else None
        return {"seconds": seconds, "bound": info.mip_dual_bound, "status": status, "plan": plan}


class HighsIpm(Highs):
    """HiGHS' interior point on the relaxation, without crossover: the bound alone, no plan."""

    def __init__(self, instance, gap, threads, limit):
        super().__init__(instance, gap, threads, limit, integer=False)


class CpSat:
    """CP-SAT of OR-Tools."""

    def __init__(self, instance, gap, threads, limit):
        from ortools.sat.python import cp_model

        self.instance, self.cp, self.model = instance, cp_model, cp_model.CpModel()
        self.x = [self.model.new_bool_var("") for _ in instance.value]
        ends = [*instance.first.tolist(), len(self.x)]
        for i in range(instance.classes):
            self.model.add_exactly_one(self.x[ends[i] : ends[i + 1]])
        for k in range(instance.rows):
            column = instance.weight[:, k].astype(int)
            at = column.nonzero()[0].tolist()
            total = cp_model.LinearExpr.weighted_sum([self.x[j] for j in at], column[at].tolist())
            self.model.add(total <= int(instance.capacity[k]))
        self.model.maximize(cp_model.LinearExpr.weighted_sum(self.x, instance.value.astype(int).tolist()))
        self.solver = cp_model.CpSolver()
        self.solver.parameters.num_workers = threads
        self.solver.parameters.max_time_in_seconds = float(limit)
        self.solver.parameters.relative_gap_limit = gap

    def solve(self):
        began = time.perf_counter()
        status = self.solver.solve(self.model)
        seconds = time.perf_counter() - began
        found = status in (self.cp.OPTIMAL, self.cp.FEASIBLE)
        plan = plan_of(self.instance, [self.solver.value(x) for x in self.x]) if found else None
        return {"seconds": seconds, "bound": self.solver.best_objective_bound, "status": self.solver.status_name(status), "plan": plan}


class Scip:
    """SCIP, by PySCIPOpt, from the MPS file that HiGHS writes."""

    def __init__(self, instance, gap, threads, limit):
        import pyscipopt

        self.instance, self.model = instance, pyscipopt.Model()
        with tempfile.NamedTemporaryFile(suffix=".mps") as file:
            Highs(instance, gap, 1, limit).model.writeModel(file.name)
            self.model.hideOutput()
            self.model.readProblem(file.name, "mps")
        for name, setting in (("limits/time", limit), ("limits/gap", gap), ("timing/clocktype", 2), ("parallel/maxnthreads", threads)):
            self.model.setParam(name, setting)

    def solve(self):
        began = time.perf_counter()
        self.model.optimize()
        seconds = time.perf_counter() - began
        sign = 1 if self.model.getObjectiveSense() == "maximize" else -1
        plan = None
        if self.model.getNSols() > 0:
            values = [0.0] * len(self.instance.value)
            for variable in self.model.getVars():
                values[int("".join(filter(str.isdigit, variable.name)))] = self.model.getVal(variable)
            plan = plan_of(self.instance, values)
        return {"seconds": seconds, "bound": sign * self.model.getDualbound(), "status": self.model.getStatus(), "plan": plan}


class Gurobi:
    """Gurobi, with whatever licence is there."""

    def __init__(self, instance, gap, threads, limit):
        import gurobipy

        self.instance = instance
        with tempfile.NamedTemporaryFile(suffix=".mps") as file:
            Highs(instance, gap, 1, limit).model.writeModel(file.name)
            self.model = gurobipy.read(file.name, gurobipy.Env(params={"OutputFlag": 0}))
        self.model.Params.Threads, self.model.Params.TimeLimit, self.model.Params.MIPGap = threads, limit, gap

    def solve(self):
        began = time.perf_counter()
        self.model.optimize()
        seconds = time.perf_counter() - began
        plan = plan_of(self.instance, self.model.X) if self.model.SolCount else None
        bound = -self.model.ModelSense * self.model.ObjBound
        return {"seconds": seconds, "bound": bound, "status": str(self.model.Status), "plan": plan}


class Cplex:
    """CPLEX, with whatever licence is there."""

    def __init__(self, instance, gap, threads, limit):
        import cplex

        self.instance, self.model = instance, cplex.Cplex()
        for stream in ("log", "results", "warning", "error"):
            getattr(self.model, f"set_{stream}_stream")(None)
        with tempfile.NamedTemporaryFile(suffix=".mps") as file:
            Highs(instance, gap, 1, limit).model.writeModel(file.name)
            self.model.read(file.name)
        parameters = self.model.parameters
        parameters.threads.set(threads)
        parameters.timelimit.set(limit)
        parameters.mip.tolerances.mipgap.set(gap)

    def solve(self):
        began = time.perf_counter()
        self.model.solve()
        seconds = time.perf_counter() - began
        solution = self.model.solution
        plan = plan_of(self.instance, solution.get_values()) if solution.is_primal_feasible() else None
        bound = -self.model.objective.get_sense() * solution.MIP.get_best_objective()
        return {"seconds": seconds, "bound": bound, "status": solution.get_status_string(), "plan": plan}


PEERS = {
    "highs": ("highspy", Highs),
    "highs-ipm": ("highspy", HighsIpm),
    "cp-sat": ("ortools", CpSat),
    "scip": ("pyscipopt", Scip),
    "gurobi": ("gurobipy", Gurobi),
    "cplex": ("cplex", Cplex),
}


def installed(name):
    return importlib.util.find_spec(PEERS[name][0]) is not None


def version(name):
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as of

    try:
        return of(PEERS[name][0])
    except PackageNotFoundError:
        return ""


def one(args):
    """In a process of its own: one peer, one file; JSON lines."""
    instance = Instance(args.file)
    solver = PEERS[args.peer][1](instance, args.gap, args.threads, args.limit)
    if args.what != "resolve":
        print(json.dumps(finished(instance, solver.solve(), instance.capacity)), flush=True)
        return 0
    solver.solve()
    for n in range(args.changes):
        capacity = capped(instance.capacity, share(n))
        start = repaired(instance, solver.last, capacity)
        answer = solver.solve(capacity, start)
        print(json.dumps({"change": n} | finished(instance, answer, capacity)), flush=True)
    return 0


def repaired(instance, last, capacity):
    """The running plan, or where it breaks the new cap, the same after taking the lightest option for tenant after
    tenant until it fits: a start that an integer solver can use."""
    import numpy as np

    plan = plan_of(instance, last)
    if plan is None:
        return None
    chosen = instance.first + np.asarray(plan)
    row = instance.rows - 2
    ends = np.append(instance.first, len(instance.value))
    for i in range(instance.classes):
        if (instance.weight[chosen].sum(axis=0) <= capacity).all():
            break
        chosen[i] = ends[i] + np.argmin(instance.weight[ends[i] : ends[i + 1], row])
    x = np.zeros(len(instance.value))
    x[chosen] = 1.0
    return x


def finished(instance, answer, capacity):
    plan = answer.pop("plan", None)
    if plan is not None:
        answer["value"], answer["fits"] = instance.judge(plan, capacity)
    return answer


def gap_of(value, bound):
    return None if value is None or bound is None else max(0.0, bound - value) / max(1e-12, abs(value))


def lines(command, limit):
    """JSON lines of a process that is killed at `limit` seconds."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
        out, killed = done.stdout, False
        if done.returncode != 0:
            print(f"{' '.join(map(str, command))}: {done.stderr.strip()[-400:]}", file=sys.stderr)
    except subprocess.TimeoutExpired as late:
        out, killed = (late.stdout or b"").decode(), True
    return [json.loads(line) for line in out.splitlines() if line.startswith("{")], killed


def run(args):
    wanted = args.sets.split(",") if args.sets else list(SETS)
    unknown = [name for name in wanted if name not in SETS]
    if unknown:
        print(f"unknown set {unknown[0]}; known: {', '.join(SETS)}", file=sys.stderr)
        return 2
    fresh = not Path(args.csv).exists() or args.anew
    Path(args.csv).parent.mkdir(parents=True, exist_ok=True)
    wrong = 0
    with open(args.csv, "w" if args.anew else "a", newline="", encoding="utf-8") as file, tempfile.TemporaryDirectory() as folder:
        out = csv.DictWriter(file, COLUMNS)
        if fresh:
            out.writeheader()
        for name in wanted:
            for seed in range(args.first_seed, args.first_seed + args.seeds):
                rows = list(instance_rows(args, name, seed, Path(folder)))
                wrong += disagreements(name, seed, rows)
                out.writerows(rows)
                file.flush()
                for row in rows:
                    shown = (row["solver"], row["threads"], row["seconds"], row["gap"], row["status"])
                    print(name, seed, *("" if x is None else x for x in shown), flush=True)
    print(f"{wrong} wrong")
    return 1 if wrong else 0


def instance_rows(args, name, seed, folder):
    tenants, options, rows, what, gap, peers = SETS[name]
    if args.peers:
        peers = [p for p in args.peers.split(",") if p in PEERS]
    shape = ["--tenants", tenants, "--options", options, "--rows", rows, "--seed", seed]
    base = {"set": name, "tenants": tenants, "options": options, "rows": rows, "seed": seed, "asked_gap": gap}
    for threads in args.threads:
        own = [args.pool, "cold" if what == "deadline" else what, *shape, "--threads", threads, "--gap", gap]
        if what == "deadline":
            own += ["--limit", 1, "--repeat", 1]
        elif what == "resolve":
            own += ["--changes", OWN_CHANGES]
        answers, _ = lines([str(x) for x in own], 600)
        for answer in answers:
            status = "fits" if answer["fits"] else "WRONG PLAN"
            value, bound = answer.get("value"), answer.get("bound")
            found = answer.get("gap", answer.get("gap_worst"))
            yield base | {"solver": "ecomap", "version": "", "threads": threads, "seconds": answer["seconds"],
                          "value": value, "bound": bound, "gap": found, "status": f"{status} {answer.get('change', '')}".strip()}
    peers = [p for p in peers if installed(p)]
    if not peers:
        return
    file = folder / "instance.txt"
    subprocess.run([str(x) for x in [args.pool, "export", *shape, "--out", file]], check=True)
    for peer in peers:
        for threads in args.threads:
            limit = args.limit * (CHANGES + 1 if what == "resolve" else 1)
            command = [sys.executable, __file__, "one", peer, file, "--what", what, "--gap", gap, "--threads", threads,
                       "--limit", args.limit, "--changes", CHANGES]
            answers, killed = lines([str(x) for x in command], 2 * limit + 60)
            if killed or not answers:
                answers.append({"seconds": args.limit, "status": "killed" if killed else "failed"})
            for answer in answers:
                status = answer.get("status", "")
                if answer.get("fits") is False:
                    status = "WRONG PLAN"
                value, bound = answer.get("value"), answer.get("bound")
                yield base | {"solver": peer, "version": version(peer), "threads": threads, "seconds": answer["seconds"], "value": value,
                              "bound": bound, "gap": gap_of(value, bound), "status": f"{status} {answer.get('change', '')}".strip()}


def disagreements(name, seed, rows):
    """Plans that break a row, and bounds below the best plan of anybody at the same capacities."""
    wrong, best = 0, {}
    key = lambda row: row["status"].split(" ")[-1] if SETS[row["set"]][3] == "resolve" else ""
    for row in rows:
        if "WRONG PLAN" in row["status"]:
            print(f"{name} seed {seed}: {row['solver']} returned a plan that does not fit", file=sys.stderr)
            wrong += 1
        if row["value"] is not None:
            best[key(row)] = max(best.get(key(row), float("-inf")), row["value"])
    for row in rows:
        least = best.get(key(row))
        if row["bound"] is not None and least is not None and row["bound"] < least - 1e-6 * abs(least):
            print(f"{name} seed {seed}: {row['solver']} bounds by {row['bound']}, a plan is worth {least}", file=sys.stderr)
            wrong += 1
    return wrong


def number(text):
    return float(text) if text not in ("", None) else None


def spread(values, form):
    return f"{form(statistics.median(values))} ({form(min(values))}–{form(max(values))})"


def seconds(x):
    for limit, factor, unit in ((1e-3, 1e6, "µs"), (1.0, 1e3, "ms")):
        if x < limit:
            return f"{x * factor:.3g} {unit}"
    return f"{x:.3g} s"


def percent(x):
    return f"{100 * x:.2g} %"


def table(args):
    with open(args.csv, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    text = ["| set | threads | seeds | Ecomap | its gap | peer | peer's time | ratio |", "|---|---|---|---|---|---|---|---|"]
    for name, (tenants, options, count, what, gap, _) in SETS.items():
        for threads in sorted({r["threads"] for r in rows if r["set"] == name}):
            mine = [r for r in rows if r["set"] == name and r["threads"] == threads]
            per = {}
            for r in mine:
                per.setdefault(r["solver"], {}).setdefault(r["seed"], []).append(r)
            own = per.pop("ecomap", {})
            if not own:
                continue
            times = {s: statistics.median(number(r["seconds"]) for r in list_) for s, list_ in own.items()}
            gaps = [max(number(r["gap"]) if r["gap"] != "" else 1.0 for r in list_) for list_ in own.values()]
            label = f"{what} {tenants}×{options}×{count}" + (f" to {percent(gap)}" if what != "lookup" else "")
            reached = "" if what != "deadline" else f", {sum(g <= gap for g in gaps)} of {len(gaps)} in 1 s"
            head = f"| {label} | {threads} | {len(own)} | {spread(list(times.values()), seconds)}{reached} | {spread(gaps, percent)} |"
            if not per:
                text.append(f"{head} – | – | – |")
            for peer, seeds in sorted(per.items()):
                theirs, late = {}, 0
                for seed, list_ in seeds.items():
                    open_ = [r for r in list_ if peer != "highs-ipm" and (r["gap"] == "" or number(r["gap"]) > gap * 1.001 + 1e-9)]
                    late += bool(open_)
                    theirs[seed] = statistics.median(number(r["seconds"]) for r in list_)
                ratios = [theirs[s] / times[s] for s in theirs if s in times]
                mark = "≥ " if late else ""
                note = f", {late} not proved" if late else ""
                text.append(f"{head} {peer} {next(iter(seeds.values()))[0]['version']} | {spread(list(theirs.values()), seconds)}{note} | {mark}{spread(ratios, lambda x: f'{x:.3g}')} |")
    page = Path(args.page)
    body = page.read_text(encoding="utf-8")
    begin, end = "<!-- pool table: begin -->", "<!-- pool table: end -->"
    if begin not in body or end not in body:
        print(f"{page}: the marks of the table are missing", file=sys.stderr)
        return 2
    before, rest = body.split(begin, 1)
    page.write_text(before + begin + "\n" + "\n".join(text) + "\n" + end + rest.split(end, 1)[1], encoding="utf-8")
    return 0


def main():
    parser = argparse.ArgumentParser(description="Time price decomposition beside other solvers.")
    commands = parser.add_subparsers(dest="command", required=True)
    many = commands.add_parser("run")
    many.add_argument("--pool", type=Path, required=True, help="the built `pool` program")
    many.add_argument("--sets", help="comma-separated, of: " + ", ".join(SETS))
    many.add_argument("--seeds", type=int, default=20)
    many.add_argument("--first-seed", type=int, default=0)
    many.add_argument("--threads", type=lambda s: [int(x) for x in s.split(",")], default=[1])
    many.add_argument("--limit", type=float, default=60.0, help="seconds for one solve of a peer")
    many.add_argument("--peers", help="instead of each set's own: " + ", ".join(PEERS))
    many.add_argument("--csv", default="benches/results/pool.csv")
    many.add_argument("--anew", action="store_true", help="begin the CSV anew instead of adding to it")
    shown = commands.add_parser("table")
    shown.add_argument("--csv", default="benches/results/pool.csv")
    shown.add_argument("--page", default="docs/src/performance.md")
    single = commands.add_parser("one")
    single.add_argument("peer", choices=PEERS)
    single.add_argument("file")
    single.add_argument("--what", default="cold")
    single.add_argument("--gap", type=float, default=1e-3)
    single.add_argument("--threads", type=int, default=1)
    single.add_argument("--limit", type=float, default=60.0)
    single.add_argument("--changes", type=int, default=CHANGES)
    args = parser.parse_args()
    return {"run": run, "table": table, "one": one}[args.command](args)


if __name__ == "__main__":
    sys.exit(main())

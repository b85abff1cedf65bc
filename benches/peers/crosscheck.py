#!/usr/bin/env python3
"""Solves MPS files with independent solvers and compares the optima with expected ones.

    crosscheck.py EXPECTED [--solvers scip,highs] [--tolerance 1e-6] [--time-limit 600]

EXPECTED is a file of JSON lines, or a folder with such a file named `expected.jsonl`:

    {"mps": "xavier-3.mps", "objective": 1.25, "sense": "min"}

`mps` is relative to that file. `sense` is that of the stated objective: "max" means that the published
value is the negative of what the MPS file, which is always minimised here, has as its optimum. A model
without a solution is written with `"objective": null`. `"sense": "max"` has no effect on a file that
carries its own OBJSENSE MAX section: its optimum is read as it is.

Each file is solved by every solver asked for, to a relative gap of --gap, and the two values agree when
|a - b| <= tolerance * max(1, |a|, |b|). One line a file and solver, then a summary.

Exit status: 0 all agree, 1 a mismatch or a model that was not solved to optimality, 2 wrong use or no
solver at hand.
"""

import argparse
import json
import math
import sys
import time
from importlib.metadata import version
from pathlib import Path

OPTIMAL = "optimal"
INFEASIBLE = "infeasible"


def maximises(mps):
    """Whether the file carries an OBJSENSE section that says MAX (free-form or fixed-form MPS)."""
    with open(mps, encoding="utf-8") as lines:
        pending = False
        for line in lines:
            words = line.upper().split()
            if not words or words[0].startswith("*"):
                continue
            if words[0] == "OBJSENSE":
                pending = True
                words = words[1:]
            if pending and words:
                return words[0].startswith("MAX")
            if words and words[0] in ("ROWS", "COLUMNS"):
                return False
    return False


class Scip:
    """SCIP, by PySCIPOpt: shares no code with HiGHS."""

    name = "scip"

    def __init__(self):
        import pyscipopt

        self.scip = pyscipopt
        model = pyscipopt.Model()
        self.version = f"SCIP {model.version():.1f} (PySCIPOpt {version('PySCIPOpt')})"

    def solve(self, mps, gap, time_limit):
        model = self.scip.Model()
        model.hideOutput()
        model.setParam("limits/gap", gap)
        model.setParam("limits/time", time_limit)
        model.setParam("numerics/feastol", 1e-9)
        model.setParam("parallel/maxnthreads", 1)
        model.readProblem(str(mps), "mps")
        model.optimize()
        status = model.getStatus()
        if status in ("optimal", "gaplimit") and model.getNSols() > 0:
            return OPTIMAL, model.getObjVal()
        return (INFEASIBLE if status == "infeasible" else status), None


class Highs:
    """HiGHS as the wheel ships it: another build, with presolve, and its own reader of the file."""

    name = "highs"

    def __init__(self):
        import highspy

        self.highs = highspy
        self.version = f"HiGHS {version('highspy')}"

    def solve(self, mps, gap, time_limit):
        model = self.highs.Highs()
        for option, value in (
            ("output_flag", False),
            ("mip_rel_gap", gap),
            ("mip_abs_gap", 1e-9),
            ("mip_feasibility_tolerance", 1e-9),
            ("primal_feasibility_tolerance", 1e-9),
            ("time_limit", time_limit),
            ("threads", 1),
        ):
            model.setOptionValue(option, value)
        if model.readModel(str(mps)) == self.highs.HighsStatus.kError:
            return "unreadable", None
        model.run()
        status = model.getModelStatus()
        if status == self.highs.HighsModelStatus.kOptimal:
            return OPTIMAL, model.getInfo().objective_function_value
        if status == self.highs.HighsModelStatus.kInfeasible:
            return INFEASIBLE, None
        return model.modelStatusToString(status), None


SOLVERS = {solver.name: solver for solver in (Scip, Highs)}


def load_solvers(names):
    """The solvers asked for that are installed; the names of those that are not."""
    found, missing = [], []
    for name in names:
        try:
            found.append(SOLVERS[name]())
        except ImportError:
            missing.append(name)
    return found, missing


def read_expected(path):
    """The cases of a JSON-lines file, with paths resolved."""
    path = Path(path)
    if path.is_dir():
        path = path / "expected.jsonl"
    cases = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        case = json.loads(line)
        if case.get("sense", "min") not in ("min", "max") or "mps" not in case or "objective" not in case:
            raise ValueError(f"{path}:{number}: needs mps, objective, and sense min or max")
        case["mps"] = path.parent / case["mps"]
        if not case["mps"].is_file():
            raise ValueError(f"{path}:{number}: {case['mps']} does not exist")
        cases.append(case)
    return cases


def agree(expected, found, tolerance):
    """Relative above 1, absolute below."""
    if not (math.isfinite(expected) and math.isfinite(found)):
        return False
    return abs(expected - found) <= tolerance * max(1.0, abs(expected), abs(found))


def judge(case, status, value, tolerance):
    """(agrees, the peer's value in the case's sense)."""
    expected = case["objective"]
    if status == INFEASIBLE:
        return expected is None, None
    if status != OPTIMAL or expected is None:
        return False, value
    if case.get("sense", "min") == "max" and not maximises(case["mps"]):
        value = -value
    return agree(expected, value, tolerance), value


def main():
    parser = argparse.ArgumentParser(description="Compare expected optima of MPS files with independent solvers.")
    parser.add_argument("expected", help="JSON lines, or a folder that holds expected.jsonl")
    parser.add_argument("--solvers", default="scip,highs", help="comma-separated, of: " + ", ".join(SOLVERS))
    parser.add_argument("--tolerance", type=float, default=1e-6)
    parser.add_argument("--gap", type=float, default=1e-7, help="relative gap at which a peer may stop")
    parser.add_argument("--time-limit", type=float, default=600.0, help="seconds for one solve")
    parser.add_argument("--allow-missing", action="store_true", help="go on when only some solvers are installed")
    args = parser.parse_args()

    names = [name for name in args.solvers.split(",") if name]
    unknown = [name for name in names if name not in SOLVERS]
    if unknown:
        parser.error(f"unknown solver {unknown[0]}; known: {', '.join(SOLVERS)}")
    try:
        cases = read_expected(args.expected)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    solvers, missing = load_solvers(names)
    if missing:
        print(f"not installed: {', '.join(missing)}", file=sys.stderr)
    if not solvers or (missing and not args.allow_missing):
        return 2
    print("peers: " + ", ".join(solver.version for solver in solvers))

    passed = failed = 0
    for case in cases:
        for solver in solvers:
            start = time.monotonic()
            status, value = solver.solve(case["mps"], args.gap, args.time_limit)
            seconds = time.monotonic() - start
            ok, value = judge(case, status, value, args.tolerance)
            passed += ok
            failed += not ok
            shown = ["-" if v is None else f"{v:.9g}" for v in (case["objective"], value)]
            print(
                f"{'ok  ' if ok else 'FAIL'} {case['mps'].stem:<28} {solver.name:<6} {status:<11}"
                f" ecomap {shown[0]:>16}  peer {shown[1]:>16}  {seconds:7.2f} s",
                flush=True,
            )
    print(f"{len(cases)} models, {len(solvers)} peers: {passed} agree, {failed} do not (tolerance {args.tolerance:g})")
    return 1 if failed or not cases else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Turns the answers of `ecomap solve --json` (NAME.result beside NAME.mps) into expected.jsonl for crosscheck.py.

    expected.py FOLDER

Exit status 1 when an answer is missing, or is neither proven optimal within 1e-6 nor infeasible.
"""

import json
import sys
from pathlib import Path


def expected(result):
    """(objective or None, problem or None) of one answer."""
    status = result["status"]
    certificate = result["certificate"]
    if status == "infeasible":
        return None, None
    if status != "optimal":
        return None, f"status {status}"
    if certificate["gap"] is None or certificate["gap"] > 1e-6:
        return None, f"optimal, but with a gap of {certificate['gap']}"
    return certificate["primal_bound"], None


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = Path(sys.argv[1])
    problems = 0
    with open(folder / "expected.jsonl", "w", encoding="utf-8") as lines:
        for path in sorted(folder.glob("*.result")):
            try:
                objective, problem = expected(json.loads(path.read_text(encoding="utf-8")))
            except (ValueError, KeyError, TypeError) as error:
                objective, problem = None, f"no readable answer ({error!r})"
            if problem:
                print(f"FAIL {path.stem}: {problem}", file=sys.stderr)
                problems += 1
                continue
            lines.write(json.dumps({"mps": f"{path.stem}.mps", "objective": objective, "sense": "min"}) + "\n")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()

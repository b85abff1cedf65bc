#!/usr/bin/env python3
"""Keeps the documentation true.

    check.py links                      every relative link resolves; every page is in SUMMARY.md, and exists
    check.py examples --bin PATH        runs the examples of README.md, docs/src/*.md (or of the pages named)

An example is a fenced block marked `console`:

    ```console
    $ ecomap solve instances/data/scenarios/tiny.json --json
    {
      "status": "optimal",
    ...
    $ ecomap validate broken.json
    ? 1
    ```

A line that begins with `$ ` is a command for bash (`> ` continues it). What follows is its output, standard error
after standard output. `...` alone on a line stands for any number of lines, `[..]` for anything within a line,
`? N` as the first line for exit status N; a command shown without output may print anything. Commands of one page run
one after another in one scratch folder that holds links to `instances` and `docs`; `ecomap` is the binary under test.
A command that names `localhost:8080` or `127.0.0.1:8080` meets a server that is started for it, on a free port, with
the scenario `campus` and its fleet `demo`.

A block marked `console,ignore` is not run; it is counted in the closing line. So is one whose tool is not installed
(curl, jq). Standard library only.
"""

import argparse
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "docs" / "src"
SCENARIO = "instances/data/scenarios/campus.json"
OPTIONAL_TOOLS = ("curl", "jq")
COMMAND_LIMIT_S = 300
SERVER_LIMIT_S = 180


def pages():
    """Everything a user reads."""
    top = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
    return [p for p in top if p.is_file()] + sorted(SOURCE.glob("*.md")) + sorted((ROOT / "docs/adr").glob("*.md"))


def prose(text):
    """The text without fenced blocks and code spans, line structure kept."""
    kept, fence = [], None
    for line in text.splitlines():
        mark = re.match(r"\s*(```+|~~~+)", line)
        if mark and (fence is None or mark[1].startswith(fence)):
            fence = mark[1] if fence is None else None
            line = ""
        kept.append("" if fence else re.sub(r"`[^`]*`", "", line))
    return kept


def anchor(heading):
    """The id that mdBook and code forges give a heading."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.strip().lower())
    return re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", text.replace("`", "")))


def anchors(page):
    headings = re.findall(r"^#{1,6}\s+(.*?)\s*#*$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {anchor(h) for h in headings}


def check_links():
    problems = []
    for page in pages():
        name = page.relative_to(ROOT)
        for number, line in enumerate(prose(page.read_text(encoding="utf-8")), 1):
            for target in re.findall(r"\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)", line):
                if re.match(r"[a-z][a-z0-9+.-]*:", target):
                    continue
                path, _, fragment = target.partition("#")
                file = (page.parent / path).resolve() if path else page
                if not file.exists():
                    problems.append(f"{name}:{number}: {target} does not exist")
                elif fragment and file.suffix == ".md" and fragment not in anchors(file):
                    problems.append(f"{name}:{number}: {path or name} has no heading #{fragment}")
            for target in re.findall(r"\{\{#include ([^}:]+)", line):
                if not (page.parent / target).is_file():
                    problems.append(f"{name}:{number}: included {target} does not exist")
    summary = set(re.findall(r"\]\(([^)]+\.md)\)", (SOURCE / "SUMMARY.md").read_text(encoding="utf-8")))
    for page in sorted(SOURCE.glob("*.md")):
        if page.name != "SUMMARY.md" and page.name not in summary:
            problems.append(f"docs/src/{page.name} is not in SUMMARY.md")
    index = (SOURCE / "adr.md").read_text(encoding="utf-8")
    for record in sorted((ROOT / "docs/adr").glob("*.md")):
        if record.name not in index:
            problems.append(f"docs/adr/{record.name} is not included in docs/src/adr.md")
    for problem in problems:
        print(f"docs: {problem}", file=sys.stderr)
    print(f"docs: {len(pages())} pages, {len(problems)} broken links")
    return 1 if problems else 0


class Example:
    """One command with what it should print."""

    def __init__(self, place, command):
        self.place, self.command, self.status, self.output = place, command, 0, []


def examples(page):
    """(the examples of a page in order, blocks marked to be ignored)."""
    found, ignored, inside, fence = [], 0, False, None
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        mark = re.match(r"(```+)\s*([\w,-]*)", line)
        if mark and fence is None:
            fence, words = mark[1], mark[2].split(",")
            inside = words[0] == "console" and "ignore" not in words
            ignored += words[0] == "console" and "ignore" in words
            current = None
        elif fence and line.strip() == fence:
            fence, inside = None, False
        elif inside and line.startswith("$ "):
            current = Example(f"{page.relative_to(ROOT)}:{number}", line[2:])
            found.append(current)
        elif inside and current and line.startswith("> ") and not current.output:
            current.command += "\n" + line[2:]
        elif inside and current and not current.output and re.fullmatch(r"\? \d+", line):
            current.status = int(line[2:])
        elif inside and current:
            current.output.append(line)
    return found, ignored


def matches(wanted, printed):
    """Whether the printed lines fit the wanted ones with their wildcards."""
    pattern = ""
    for line in wanted:
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += r"[^\n]*?".join(re.escape(part) for part in line.rstrip().split("[..]")) + r"[ \t]*\n"
    return re.fullmatch(pattern, "".join(line.rstrip() + "\n" for line in printed)) is not None


class Server:
    """`ecomap serve`, started when the first command needs it."""

    def __init__(self, binary):
        self.binary, self.process, self.port = binary, None, None

    def address(self):
        if self.process is None:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.port = probe.getsockname()[1]
            self.log = tempfile.TemporaryFile()
            self.process = subprocess.Popen(
                [self.binary, "serve", "--listen", f"127.0.0.1:{self.port}", "--scenario", SCENARIO, "--store", ":memory:"],
                cwd=ROOT, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            )
            self.wait()
        return f"127.0.0.1:{self.port}"

    def wait(self):
        deadline = time.monotonic() + SERVER_LIMIT_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/ready", timeout=5) as answer:
                    if answer.status == 200:
                        return
            except (urllib.error.URLError, OSError):
                pass
            time.sleep(0.1)
        self.log.seek(0)
        sys.stderr.write(self.log.read().decode(errors="replace"))
        raise RuntimeError("docs: the server did not become ready")

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()


def run_examples(binary, chosen):
    binary = str(Path(binary).resolve())
    if not os.access(binary, os.X_OK):
        sys.exit(f"docs: {binary} is not there; build it first")
    chosen = [Path(p).resolve() for p in chosen] or [p for p in pages() if p.parent in (ROOT, SOURCE)]
    server, passed, failed, skipped = Server(binary), 0, 0, 0
    try:
        for page in chosen:
            found, ignored = examples(page)
            skipped += ignored
            if not found:
                continue
            with tempfile.TemporaryDirectory() as scratch:
                tools = Path(scratch, ".bin")
                tools.mkdir()
                (tools / "ecomap").symlink_to(binary)
                for folder in ("instances", "docs"):
                    Path(scratch, folder).symlink_to(ROOT / folder)
                environment = dict(os.environ, PATH=f"{tools}:{os.environ['PATH']}", NO_COLOR="1", COLUMNS="100")
                for example in found:
                    lacking = [t for t in OPTIONAL_TOOLS if re.search(rf"(^|[|;&\s]){t}\s", example.command) and not shutil.which(t)]
                    if lacking:
                        print(f"skipped {example.place}: {lacking[0]} is not installed")
                        skipped += 1
                        continue
                    ok, report = run_one(example, scratch, environment, server)
                    passed, failed = passed + ok, failed + (not ok)
                    if not ok:
                        print(f"FAIL {example.place}: $ {example.command}\n{report}", file=sys.stderr)
    finally:
        server.stop()
    print(f"docs: examples: {passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


def run_one(example, scratch, environment, server):
    command = example.command
    if re.search(r"(localhost|127\.0\.0\.1):8080", command):
        command = re.sub(r"(localhost|127\.0\.0\.1):8080", server.address(), command)
    try:
        done = subprocess.run(
            ["bash", "-c", command], cwd=scratch, env=environment, stdin=subprocess.DEVNULL,
            capture_output=True, timeout=COMMAND_LIMIT_S, check=False,
        )
    except subprocess.TimeoutExpired:
        return False, f"  no end after {COMMAND_LIMIT_S} s"
    printed = (done.stdout + done.stderr).decode(errors="replace").splitlines()
    if done.returncode != example.status:
        return False, f"  exit status {done.returncode}, {example.status} expected\n" + quote(printed)
    while example.output and not example.output[-1].strip():
        example.output.pop()
    while printed and not printed[-1].strip():
        printed.pop()
    if example.output and not matches(example.output, printed):
        return False, "  expected:\n" + quote(example.output) + "\n  printed:\n" + quote(printed)
    return True, ""


def quote(lines, most=60):
    shown = lines[:most] + ([f"({len(lines) - most} more lines)"] if len(lines) > most else [])
    return "\n".join("    " + line for line in shown)


def main():
    parser = argparse.ArgumentParser(description="Check the documentation: links, and examples against the binary.")
    commands = parser.add_subparsers(dest="what", required=True)
    commands.add_parser("links")
    run = commands.add_parser("examples")
    run.add_argument("--bin", required=True, help="the ecomap binary")
    run.add_argument("pages", nargs="*")
    args = parser.parse_args()
    return check_links() if args.what == "links" else run_examples(args.bin, args.pages)


if __name__ == "__main__":
    sys.exit(main())

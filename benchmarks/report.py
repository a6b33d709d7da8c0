"""Runs all benchmarks and writes docs/benchmarks.md:

    python -m benchmarks.report [--from FILE] [--into FILE]

``--from`` takes a file that ``pytest --benchmark-only --benchmark-json=FILE`` has written instead of running them.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from benchmarks import machine, pull_image
from benchmarks.budgets import BUDGETS
from benchmarks.results import Entry, Results

REPOSITORY = Path(__file__).parents[1]
PAGE = REPOSITORY / "docs" / "benchmarks.md"
OURS = "pyrt"

HEAD = """\
# Benchmarks

What pyrt costs beside its peers, on one machine in the same minutes: all contestants of a table take turns, and the tables
give medians. Another machine gives other times; the ratios are what carries over.

    ./dev bench                      # or: pytest --benchmark-only
    python -m benchmarks.report      # the same, and writes this page

The benchmarks need root and the peers, which `./dev bench` installs (Debian, Ubuntu); a peer that is missing is left out.
PYRT_BENCH_IMAGE is the OCI image layout that is pulled, PYRT_BENCH_SCALE a factor for the number of rounds. Everything is
written to a new ext4 in a file below /var/tmp, or into the directory PYRT_BENCH_DIR; nothing is removed before the end
([why](../benchmarks/fresh_directories.py)), so it takes some 60 times the size of the unpacked image. The C floor is
[benchmarks/floor](../benchmarks/floor/start_floor.c): the system calls of the same container and nothing else.
"""


def page(results: Results, measured: str, image: str) -> str:
    """The whole of docs/benchmarks.md."""
    rows = [budget.row(results) for budget in BUDGETS]
    parts = [
        HEAD,
        f"Measured {measured}. {image}\n",
        "## Budgets\n",
        table(("what", "at most", "measured", "met"), rows),
        *(
            part
            for group, entries in results.groups.items()
            for part in (f"## {group[0].upper() + group[1:]}\n", contest(entries))
        ),
        "## The machine\n",
        table(("what", "value"), machine.facts()),
        "## The peers\n",
        table(("program", "version"), machine.versions()),
    ]
    return "\n".join(parts)


def contest(entries: Sequence[Entry]) -> str:
    """One group: memory where that was measured, else times, each also in multiples of pyrt's."""
    if any(entry.peak_mb is not None for entry in entries):
        return table(("what", "peak MB"), [(entry.name, f"{entry.peak_mb:.0f}") for entry in entries])
    first = next((entry for entry in entries if entry.name.startswith(OURS)), entries[0])
    rows = [
        (entry.name, shown(entry.median), shown(entry.minimum), f"{entry.median / first.median:.2f}", str(entry.samples))
        for entry in sorted(entries, key=lambda entry: entry.median)
    ]
    return table(("what", "median", "min", f"x {first.name}", "samples"), rows)


def shown(seconds: float) -> str:
    """A time with three digits in the unit that suits it."""
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1000:.0f} ms" if seconds >= 0.1 else f"{seconds * 1000:.3g} ms"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first are aligned to the right."""
    return "\n".join(_lines(head, rows)) + "\n"


def _lines(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|---|{'--:|' * (len(head) - 1)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def measure(into: Path) -> None:
    """Runs pytest in the repository; its output goes to the terminal. A limit that is not kept is a failed test and still a
    result."""
    pytest = [sys.executable, "-m", "pytest", "--benchmark-only", f"--benchmark-json={into}", "benchmarks"]
    subprocess.run(pytest, cwd=REPOSITORY)
    if not into.exists() or into.stat().st_size == 0:
        raise SystemExit("nothing was measured")


def described_image() -> str:
    """What was pulled, in a sentence."""
    with tempfile.TemporaryDirectory() as directory:
        layers = pull_image.find(Path(directory)).layers()
        size = sum(layer.stat().st_size for layer in layers)
        return f"The pull image has {len(layers)} gzip layers of {size / 1e6:.0f} MB in all."


def main() -> None:
    parser = argparse.ArgumentParser(description="runs the benchmarks and writes docs/benchmarks.md")
    parser.add_argument("--from", dest="source", type=Path, help="what pytest-benchmark has written before")
    parser.add_argument("--into", type=Path, default=PAGE, help="the page to write")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        source = options.source or Path(directory, "results.json")
        if options.source is None:
            measure(source)
        measured = time.strftime("%Y-%m-%d", time.localtime(os.stat(source).st_mtime))
        options.into.write_text(page(Results.load(source), measured, described_image()))
    print(options.into)


if __name__ == "__main__":
    main()

"""The benchmarks keep out of a test run, and their page says what was measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import budgets
from benchmarks.race import Contestant, race
from benchmarks.report import contest
from benchmarks.results import Results

ROOT = Path(__file__).parents[2]
NONE_COLLECTED = 5  # pytest's exit code


def collected(*options: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "benchmarks", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return done.returncode, done.stdout


def test_they_run_only_when_asked_for() -> None:
    code, listed = collected()
    assert code == NONE_COLLECTED and "::" not in listed
    code, listed = collected("--benchmark-only")
    assert code == 0 and "benchmarks/test_start.py::test_back_to_back[pyrt run]" in listed


def test_contestants_take_turns_and_the_first_round_does_not_count() -> None:
    turns: list[str] = []

    def contestant(name: str) -> Contestant:
        def sample() -> list[float]:
            turns.append(name)
            return [1.0]

        return Contestant(name=name, prepare=lambda: turns.append(name.upper()), sample=sample)

    assert race([contestant("a"), contestant("b")], 2) == {"a": [1.0, 1.0], "b": [1.0, 1.0]}
    assert "".join(turns) == "AaBb" + "BbAa" + "AaBb"


@pytest.fixture
def results(tmp_path: Path) -> Results:
    def entry(group: str, name: str, median: float, **extra: float) -> dict[str, object]:
        stats = {"median": median, "min": median / 2, "rounds": 3}
        return {"group": group, "params": {"name": name}, "stats": stats, "extra_info": extra}

    measured = [
        entry(budgets.PULL, "podman", 6.0),
        entry(budgets.PULL, "pyrt", 2.0),
        entry(budgets.COMMAND, "pyrt run", 0.061),
        entry(budgets.MEMORY, "the pull image", 1.0, peak_mb=70.2),
    ]
    (tmp_path / "results.json").write_text(json.dumps({"benchmarks": measured}))
    return Results.load(tmp_path / "results.json")


def test_a_budget_is_met_or_not_or_not_measured(results: Results) -> None:
    rows = {row[0]: row[1:] for row in (budget.row(results) for budget in budgets.BUDGETS)}
    assert rows["cold pull and unpack of the pull image"] == ("0.5 x podman", "0.333 x podman", "yes")
    assert rows["`pyrt run --rm` of a cached image"] == ("60 ms", "61 ms", "**no**")
    assert rows["peak memory of its pull"] == ("150 MB", "70.2 MB", "yes")
    assert rows["unpacking its layers"] == ("1 x GNU tar", "not measured", "")


def test_a_table_compares_with_pyrt(results: Results) -> None:
    assert contest(results.groups[budgets.PULL]).splitlines()[2:] == [
        "| pyrt | 2.00 s | 1.00 s | 1.00 | 3 |",
        "| podman | 6.00 s | 3.00 s | 3.00 | 3 |",
    ]

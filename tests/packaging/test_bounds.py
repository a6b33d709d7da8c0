"""docs/bounds.md says what the code says, and every bound is kept by somebody."""

from __future__ import annotations

import ast
import re

import pytest

from tests.support.bounds_table import BOUNDS, DOCS, ROOT, Bound, bounds, document


def test_the_table_is_that_of_the_code() -> None:
    assert DOCS.read_text() == document(), "python -m tests.support.bounds_table writes it anew"


@pytest.mark.parametrize("bound", bounds(), ids=lambda bound: bound.name)
def test_a_bound_is_kept_and_explained(bound: Bound) -> None:
    assert bound.where, "nobody keeps it"
    assert bound.why


def test_what_the_issue_names() -> None:
    """JSON 4 MiB, extension headers 1 MiB, entries, expansion, zstd window, time without progress, redirects."""
    values = {bound.name: bound.value for bound in bounds()}
    assert values["JSON_BYTES"] == "4 MiB" and values["PYRT_MAX_EXTENSION"] == "1 MiB"
    assert values["PROGRESS_SECONDS"] == "60 s" and values["REDIRECTS"] == "10" and values["ZSTD_WINDOW_LOG"] == "27"
    assert {"EXPANSION_RATIO", "EXPANSION_GRACE_BYTES", "PYRT_DEFAULT_MAX_ENTRIES"} <= values.keys()


BOUNDED = re.compile(r"_?(MAX|MOST)_|_(LIMIT|MAX|MOST)$")
ELSEWHERE = {
    "MAX_ID": "the largest uid, as PYRT_MAX_ID",
    "_MAX_SIZE": "the largest integer of 64 bits",
    "_MAX_PORT": "TCP",
    "MAX_BYTES": "a record that we write ourselves",
    "_MAX_PAGE": "what we serve ourselves",
}


def test_no_bound_stands_elsewhere() -> None:
    """What looks like a bound on foreign input and is defined beside the code that keeps it belongs into the table."""
    for folder in ("oci", "registry", "store"):
        for path in sorted((ROOT / "pyrt" / folder).glob("*.py")):
            for node in ast.parse(path.read_text()).body:
                if path.name != "limits.py" and isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                    name = node.targets[0].id
                    assert not BOUNDED.search(name) or name in ELSEWHERE, f"{path}: {name}"
    for path in sorted(BOUNDS.parent.glob("*.[ch]")):
        if path != BOUNDS:
            assert not re.search(r"#define PYRT_(DEFAULT_)?MAX_", path.read_text()), path

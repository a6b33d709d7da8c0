"""The table of cases is that of the tests that exist, and has no open row."""

from __future__ import annotations

import re

from tests.security.cases import TABLE, cases


def test_the_table_names_the_tests_that_there_are():
    rows = {}
    for line in TABLE.read_text().splitlines():
        cells = line.split(" | ")
        if re.match(r"\| [A-Z]{2}-\d\d$", cells[0]):
            rows[cells[0][2:]] = re.findall(r"`([^`]+::[^`]+)`", line)
    expected = {case.id: [test.removeprefix("tests/") for test in case.tests] for case in cases()}
    assert rows == expected, "python -m tests.security.cases JUNIT.xml writes it anew"


def test_no_row_is_open():
    assert [case.id for case in cases() if not case.tests and not case.later] == []
    assert "**" not in TABLE.read_text()

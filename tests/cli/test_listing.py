"""Tables, filters and times as docker prints and reads them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from pyrt.cli import ages
from pyrt.cli.filters import boolean, grouped, has_labels, parse_filter
from pyrt.cli.format import aligned, listing, objects
from pyrt.errors import UsageError

NOW = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)
HEADINGS = {"ID": "IMAGE ID", "Name": "NAME"}
TABLE = "{{.ID}}\t{{.Name}}"
ROWS = [{"ID": "abc", "Name": "x"}, {"ID": "a-rather-long-one", "Name": "y\tz\nw\x1b"}]


def lines(layout: str) -> list[str]:
    return list(listing(ROWS, HEADINGS, TABLE, layout))


def test_dockers_columns() -> None:
    expected = ["IMAGE ID            NAME", "abc                 x", "a-rather-long-one   y\\tz\\nw\\x1b"]
    assert lines("") == lines("table") == lines(f"table {TABLE}") == expected


def test_narrow_columns_are_ten_wide() -> None:
    assert aligned([["TAG", "X"], ["a", "b"]]) == ["TAG       X", "a         b"]


def test_a_table_of_ones_own_with_tabs_as_a_shell_hands_them_on() -> None:
    assert lines(r"table {{.Name}}\t{{.ID}}")[0] == "NAME          IMAGE ID"
    assert lines(r"table {{upper .Name}}")[0] == "NAME"
    assert lines(r"table {{json .Name}}")[0] == "NAME"


def test_templates_and_json_have_no_heading_and_no_escapes() -> None:
    assert lines(r"{{.ID}}\t{{.Name}}") == ["abc\tx", "a-rather-long-one\ty\tz\nw\x1b"]
    assert lines("json")[0] == '{"ID":"abc","Name":"x"}'


def test_fields_that_are_functions() -> None:
    rows = [{"ID": "1", "Label": lambda name: f"<{name}>"}]
    assert list(listing(rows, HEADINGS, TABLE, '{{.ID}} {{.Label "a.b"}}')) == ["1 <a.b>"]
    assert list(listing(rows, HEADINGS, TABLE, 'table {{.Label "a.b"}}')) == ["b", "<a.b>"]
    assert list(listing(rows, HEADINGS, TABLE, "json")) == ['{"ID":"1"}']


def test_an_unknown_field_is_an_error_even_without_rows() -> None:
    with pytest.raises(UsageError, match="can't evaluate field Nosuch"):
        list(listing([], HEADINGS, TABLE, "table {{.Nosuch}}"))


def test_inspected_objects() -> None:
    assert objects([], "") == "[]"
    assert objects([{"A": 1}], "") == '[\n    {\n        "A": 1\n    }\n]'
    assert objects([{"A": 1}, {"A": 2}], "json") == '[{"A":1},{"A":2}]'
    assert objects([{"A": 1}, {"A": 2}], "{{.A}}") == "1\n2"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (180, "3 minutes"),
        (3599, "59 minutes"),
        (3600, "About an hour"),
        (5399, "About an hour"),
        (5400, "2 hours"),
        (47 * 3600, "47 hours"),
        (48 * 3600, "2 days"),
        (13 * 86400, "13 days"),
        (14 * 86400, "2 weeks"),
        (59 * 86400, "8 weeks"),
        (60 * 86400, "2 months"),
        (729 * 86400, "24 months"),
        (731 * 86400, "2 years"),
    ],
)
def test_spans_in_words(seconds: float, text: str) -> None:
    assert ages.duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31T12:00:00Z", NOW),
        ("2026-01-31T12:00:00.123456789Z", NOW.replace(microsecond=123456)),
        ("2026-01-31T14:00:00+02:00", NOW),
        ("2026-01-31T12:00:00.5Z", NOW.replace(microsecond=500000)),
        ("", ages.NEVER),
        ("yesterday", ages.NEVER),
    ],
)
def test_times_of_images(text: str, moment: datetime) -> None:
    assert ages.parse_time(text) == moment


def test_times_as_printed() -> None:
    assert ages.go_time(NOW) == "2026-01-31 12:00:00 +0000 UTC"
    assert ages.go_time(ages.NEVER) == "0001-01-01 00:00:00 +0000 UTC"
    assert ages.ago(NOW - timedelta(days=20), NOW) == "2 weeks ago"
    assert ages.ago(NOW + timedelta(days=20), NOW) == "Less than a second ago"
    assert ages.ago(ages.NEVER, NOW) == "N/A"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("24h", NOW - timedelta(days=1)),
        ("1h30m", NOW - timedelta(minutes=90)),
        ("1.5s", NOW - timedelta(seconds=1.5)),
        ("2026-01-01", datetime(2026, 1, 1, tzinfo=timezone.utc)),
        ("2026-01-01T10:00:00", datetime(2026, 1, 1, 10, tzinfo=timezone.utc)),
        ("1769860800", NOW),
    ],
)
def test_limits_of_filters(text: str, moment: datetime) -> None:
    assert ages.parse_limit(text, NOW) == moment


@pytest.mark.parametrize("text", ["", "x", "1d", "-1h", "999999999999999h", "2026-13-01"])
def test_no_limits(text: str) -> None:
    with pytest.raises(UsageError):
        ages.parse_limit(text, NOW)


def test_filters() -> None:
    assert parse_filter("Label=a=b") == ("label", "a=b")
    assert grouped([("a", "1"), ("a", "2"), ("b", "3")], ["a", "b"]) == {"a": ("1", "2"), "b": ("3",)}
    assert has_labels([("a", "1")], ["a"])
    assert has_labels([("a", "1")], ["a=1"])
    assert not has_labels([("a", "1")], ["a=2"])
    assert not has_labels([("a", "1")], ["a", "b"])
    assert boolean("dangling", ["true"]) is True
    assert boolean("dangling", ["0"]) is False
    assert boolean("dangling", ["0", "1"]) is None


@pytest.mark.parametrize("text", ["", "x", "=x"])
def test_no_filters(text: str) -> None:
    with pytest.raises(UsageError):
        parse_filter(text)


def test_unknown_filters_are_refused_and_the_known_ones_named() -> None:
    with pytest.raises(UsageError) as caught:
        grouped([("nosuch", "1")], ["label", "until"])
    assert "label, until" in caught.value.hint
    with pytest.raises(UsageError):
        boolean("dangling", ["maybe"])

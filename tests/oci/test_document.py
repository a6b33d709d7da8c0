"""JSON that has one meaning, and that costs no more than its bytes."""

from __future__ import annotations

import json
import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrt.errors import InvalidManifest
from pyrt.oci import limits
from pyrt.oci.document import JsonObject, parse_json, parse_value, to_bytes

BAD = [
    (b"", "not valid JSON"),
    (b"{", "not valid JSON"),
    (b"{}x", "not valid JSON"),
    (b"{}{}", "not valid JSON"),
    (b"{}\0", "not valid JSON"),
    (b'{"a":1,"a":2}', "duplicate name 'a'"),
    (b'{"a":1,"\\u0061":2}', "duplicate name 'a'"),
    (b'{"x":{"a":1,"a":1}}', "duplicate name 'a'"),
    (b'{"a":NaN}', "NaN"),
    (b'{"a":Infinity}', "Infinity"),
    (b'{"a":-Infinity}', "Infinity"),
    (b'{"a":1e999}', "out of range"),
    (b'{"a":' + b"9" * 21 + b"}", "integer of 21 digits"),
    (b'{"a":' + b"9" * 100_000 + b"}", "integer of 100000 digits"),
    (b'\xef\xbb\xbf{"a":1}', "byte order mark"),
    ('{"a":1}'.encode("utf-16"), "byte order mark"),
    ('{"a":1}'.encode("utf-16-le"), "not valid JSON"),
    (b'{"a":"\xff"}', "UTF-8"),
    (b'{"a":"\xed\xa0\x80"}', "UTF-8"),
    (b'{"a":"\\ud800"}', "UTF-8"),
    (b'{"\\udc00":1}', "UTF-8"),
    (b'{"a":["x\\uDEADy"]}', "UTF-8"),
    (b'{"a":"\n"}', "not valid JSON"),
    (b"{'a':1}", "not valid JSON"),
    (b'{"a":01}', "not valid JSON"),
    (b'{"a":1,}', "not valid JSON"),
    (b'{"a":1}//', "not valid JSON"),
    (b"[]", "it has to be an object"),
    (b"null", "it has to be an object"),
    (b"[" * 100_000, "nested"),
    (b'{"a":' * 100_000, "nested"),
    (b'{"\\"[":' * (limits.JSON_DEPTH + 1) + b"1" + b"}" * (limits.JSON_DEPTH + 1), "nested"),
    (b'{"a":[' + b"0," * (limits.JSON_VALUES + 1) + b"0]}", "values"),
    (b" " * (limits.JSON_BYTES + 1), "larger than"),
]


@pytest.mark.parametrize(("raw", "why"), BAD, ids=range(len(BAD)))
def test_im_07_bad_document(raw: bytes, why: str) -> None:
    with pytest.raises(InvalidManifest) as caught:
        parse_json(raw, "manifest")
    assert str(caught.value).startswith("manifest ")
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":"\\ud83d\\ude00"}',
        '{"a":"\U0001f600"}'.encode(),
        b' \n{"a": "[[[[{{{{"}\n ',
        b'{"a":"\\\\"}',
        b'{"a":"\\"[\\\\\\"[["}',
        b'{"a":"' + b"[" * 1000 + b'"}',
        b'{"a":' * (limits.JSON_DEPTH - 1) + b"{}" + b"}" * (limits.JSON_DEPTH - 1),
        b'{"a":-1,"b":1.5e3,"c":18446744073709551615}',
    ],
)
def test_im_07_good_document_is_what_json_says(raw: bytes) -> None:
    assert parse_json(raw, "manifest").fields == json.loads(raw)


HOSTILE = {
    "lists": b"[" + b"[]," * 1_398_000 + b"[]]",
    "objects": b"[" + b'{"":0},' * 590_000 + b"0]",
    "quotes": b'{"a":"' + b'\\"' * 2_000_000,
    "backslashes": b'{"a":"' + b"\\" * 4_000_000,
    "strings": b"[" + b'"",' * 1_390_000 + b'""]',
    "one name twice": b"{" + b"".join(b'"%d":0,' % n for n in range(98_000)) + b'"97999":0}',
    "digits": b'{"a":' + b"9" * 4_000_000 + b"}",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_im_06_hostile_document_of_full_size_costs_little(kind: str) -> None:
    raw = HOSTILE[kind]
    assert len(raw) <= limits.JSON_BYTES
    tracemalloc.start()
    try:
        start = time.process_time()
        with pytest.raises(InvalidManifest):
            parse_json(raw, "manifest")
        spent, (_, peak) = time.process_time() - start, tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert spent < 5
    assert peak < 40 << 20


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.text(max_size=8)
    | st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES, st.booleans())
def test_what_python_writes_is_read_back(value: object, ascii_only: bool) -> None:
    raw = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    try:
        raw.decode()
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeError:
        with pytest.raises(InvalidManifest):
            parse_value(raw, "it")
        return
    assert parse_value(raw, "it") == value
    assert parse_value(to_bytes(value), "it") == value


@given(st.binary(max_size=60) | st.text(alphabet='{}[]",:\\u0dDaf1eE-. \n', max_size=60).map(str.encode))
def test_any_bytes_are_json_or_a_clear_refusal(raw: bytes) -> None:
    try:
        value = parse_value(raw, "it")
    except InvalidManifest:
        return
    assert json.loads(raw) == value


def document(**fields: Any) -> JsonObject:
    return JsonObject("doc", fields)


WRONG = [
    (lambda doc: doc.text("x"), 1, "doc.x is a number, it has to be a string"),
    (lambda doc: doc.text("x"), None, "doc.x is missing, it has to be a string"),
    (lambda doc: doc.integer("x"), True, "doc.x is a boolean, it has to be an integer"),
    (lambda doc: doc.integer("x"), 1.0, "doc.x is a number, it has to be an integer"),
    (lambda doc: doc.flag("x"), "yes", "doc.x is a string, it has to be true or false"),
    (lambda doc: doc.child("x"), [], "doc.x is a list, it has to be an object"),
    (lambda doc: doc.optional("x"), "", "doc.x is a string, it has to be an object"),
    (lambda doc: doc.children("x"), {}, "doc.x is an object, it has to be a list"),
    (lambda doc: doc.children("x"), [{}, 1], "doc.x[1] is a number, it has to be an object"),
    (lambda doc: doc.texts("x"), "a", "doc.x is a string, it has to be a list"),
    (lambda doc: doc.texts("x"), ["a", None], "doc.x[1] is missing, it has to be a string"),
    (lambda doc: doc.pairs("x"), {"a": 1}, "doc.x.a is a number, it has to be a string"),
    (lambda doc: doc.names("x"), ["a"], "doc.x is a list, it has to be an object"),
    (lambda doc: doc.names("x"), {"a": 1}, "doc.x.a is a number, it has to be an object"),
]


@pytest.mark.parametrize(("read", "value", "why"), WRONG)
def test_wrong_type_is_named(read: Any, value: object, why: str) -> None:
    with pytest.raises(InvalidManifest) as caught:
        read(document(x=value))
    assert str(caught.value) == why


def test_null_is_empty_as_go_writes_it() -> None:
    doc = document(x=None)
    assert doc.text("x", "") == ""
    assert doc.integer("x", 7) == 7
    assert not any((doc.children("x"), doc.texts("x"), doc.pairs("x"), doc.names("x")))
    assert doc.optional("x") is None
    assert not doc.has("x") and not doc.flag("x")
    assert document(x={"/data": {}, "/more": None}).names("x") == ("/data", "/more")

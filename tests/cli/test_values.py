"""Whatever stands on a command line or in a file that it names: a value, or one line that says what is wrong."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrt.cli import ages, filters, sizes
from pyrt.cli.command import Value
from pyrt.cli.env import read_env_file, read_label_file
from pyrt.cli.run_options import OPTIONS
from pyrt.cli.template import Template
from pyrt.errors import UsageError

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
PARSERS: dict[str, Callable[[str], object]] = {
    **{option.opts[0]: option.type.parse for option in OPTIONS if isinstance(option.type, Value) and option.type.parse},
    "filter": filters.parse_filter,
    "limit": lambda text: ages.parse_limit(text, NOW),
    "size": sizes.parse_size,
    "template": lambda text: Template(text).fill({"Name": "x", "Items": [1, {"a": None}]}),
}
# What the values of docker's options are made of. A word of a command line has no NUL, and any other byte.
WORDS = [
    ":", ",", "=", "/", ".", "..", "-", "+", "@", "%", "[", "]", "'", '"', "\\", " ", "\n", "0", "1", "-1", "9" * 20,
    "0x1", "1e9",
    "a", "A", "ro", "rw", "z", "type", "bind", "volume", "tmpfs", "source", "src", "target", "dst", "readonly", "true", "false",
    "size", "tmpfs-mode", "bind-propagation", "rshared", "volume-nocopy", "/dev/null", "rwm", "nofile", "core",
    "unlimited", "10m",
    "kernel.shmmax", "net.core", "fs.mqueue.x", "CAP_SYS_ADMIN", "ALL", "SIGKILL", "RTMIN", "host", "none", "private",
    "127.0.0.1",
    "::1", "fe80::1%lo", "host-gateway", "seccomp", "unconfined", "label", "mask", "unmask", "systempaths", "no-new-privileges",
    "linux/amd64", "arm64", "v8", "h", "24h", "2026-01-31", "T12:00:00Z", "é", "\u0661", "\udcff", "\u202e", "x" * 300,
    "{{", "}}",
    ".Name", "range", "end", "json", "index", "if", "else", "printf", "|", "$x", ":=", "upper", "(", ")",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(WORDS), max_size=9).map("".join) | st.text(
    st.characters(codec="utf-8", exclude_characters="\0") | st.sampled_from("\udc80\udcff"), max_size=20
)


@pytest.mark.parametrize("name", sorted(PARSERS))
@given(TEXTS)
def test_fz_any_value_of_an_option(name: str, text: str) -> None:
    before = os.getcwd()
    try:
        PARSERS[name](text)
    except UsageError as error:
        assert str(error)
    assert os.getcwd() == before


@pytest.mark.parametrize("read", [read_env_file, read_label_file])
@given(
    st.binary(max_size=60)
    | st.lists(st.sampled_from([b"A=b", b"\n", b"=", b"#", b" ", b"\xff", b"\0", b"\xef\xbb\xbf", b"\r"])).map(b"".join)
)
def test_fz_any_file_of_variables_or_labels(read: Callable[[str], tuple[object, ...]], content: bytes) -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        try:
            read(file.name)
        except UsageError as error:
            assert "\n" not in str(error)

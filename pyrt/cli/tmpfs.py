"""``--tmpfs TARGET[:OPTIONS]``, with the options of mount(8) that tmpfs(5) and docker share."""

from __future__ import annotations

import os

from pyrt.cli.mounts import octal_mode
from pyrt.cli.sizes import parse_size
from pyrt.cli.volumes import container_path
from pyrt.errors import Unsupported, UsageError
from pyrt.request import Mount

_FLAGS = ("exec", "noexec", "suid", "nosuid", "dev", "nodev")
_REFUSED = (
    "nr_inodes", "nr_blocks", "mpol", "huge", "sync", "async", "dirsync", "atime", "noatime", "diratime", "nodiratime",
    "relatime", "norelatime", "strictatime", "nostrictatime", "private", "rprivate", "slave", "rslave", "shared",
    "rshared", "unbindable", "runbindable",
)  # fmt: skip


def parse_tmpfs(text: str) -> Mount:
    """A Mount from docker's ``--tmpfs``; docker's own noexec, nosuid, nodev hold where nothing else is said."""
    target, _, words = text.partition(":")
    size = mode = None
    read_only = False
    options = []
    for word in words.split(",") if words else ():
        key, equals, value = word.partition("=")
        if key == "size" and equals:
            size = _size(value)
        elif key == "mode" and equals:
            mode = octal_mode(value)
        elif key in ("uid", "gid") and value.isascii() and value.isdigit():
            options.append(f"{key}={int(value)}")
        elif word in ("ro", "rw"):
            read_only = word == "ro"
        elif word in _FLAGS:
            options.append(word)
        elif key in _REFUSED:
            raise Unsupported(f"the option {word!r} is not supported by this version")
        else:
            raise UsageError(f"{word!r} is no option of a tmpfs")
    return Mount(
        kind="tmpfs", target=container_path(target), read_only=read_only, size=size or None, mode=mode,
        options=tuple(options),
    )  # fmt: skip


def _size(text: str) -> int:
    """Bytes; tmpfs(5) also has a percentage of the machine's memory. 0 is no limit."""
    percent = text.removesuffix("%")
    if percent != text and percent.isascii() and percent.isdigit() and 0 < int(percent) <= 100:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * int(percent) // 100
    return parse_size(text)

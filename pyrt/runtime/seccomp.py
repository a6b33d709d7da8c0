"""The seccomp filter of a container: pyrt's own profile (seccomp.json) or a file in docker's format, as the kernel takes it.

A filter is compiled once and kept: the warm way reads one small file and parses nothing. What it was made of stands in front
of it, and a checksum: a file that is damaged, cut off or about something else is made anew.
"""

from __future__ import annotations

import errno
import os
import stat
import zlib
from contextlib import suppress
from functools import lru_cache

from pyrt._version import VERSION
from pyrt.errors import UsageError
from pyrt.host import Host
from pyrt.oci.limits import JSON_BYTES
from pyrt.values import dataclass, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyrt.runtime.seccomp_policy import Policy

DEFAULT = "default"
DEFAULT_PROFILE = os.path.join(os.path.dirname(__file__), "seccomp.json")

_COMPILER = 2  # to be counted up when the same profile gives another filter


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A profile that is to be used. ``identity`` is its content's digest, for our own what stat(2) says of it, which is then
    not read before it has to be: ``content`` is empty."""

    path: str
    identity: str
    content: bytes = b""


def compiled(profile: str, *, capabilities: int, cache: str, emulate_root: bool = False) -> bytes:
    """The filter, an array of struct sock_filter, of a container with this bounding set (bits).

    ``profile`` is the path of a file in docker's or the OCI's format, DEFAULT for our own, "" for none. ``cache`` is a
    directory of ours for compiled filters, "" for none. With ``emulate_root`` the calls that need ids which are not there do
    nothing and succeed (root_emulation). Raises UsageError and Unsupported for what cannot be used in the profile.
    """
    if not profile and not emulate_root:
        return b""
    machine, kernel = Host.kernel()
    return _filter(_source(profile), capabilities, machine, kernel, cache, emulate_root)


def resolved(profile: str, *, capabilities: int) -> dict[str, Any]:
    """The rules that hold for such a container, as ``linux.seccomp`` of the OCI runtime specification."""
    machine, kernel = Host.kernel()
    return _policy(_source(profile), capabilities, machine, kernel, False).to_json()


@lru_cache(maxsize=16)
def _filter(
    source: Source, capabilities: int, machine: str, kernel: tuple[int, int], cache: str, emulate_root: bool
) -> bytes:
    facts = (_COMPILER, VERSION, machine, f"{kernel[0]}.{kernel[1]}", f"{capabilities:x}", int(emulate_root), source.identity)
    key = " ".join(map(str, facts)).encode()
    path = f"{cache}/{zlib.crc32(key) & 0xFFF:03x}"
    found = _cached(path, key) if cache else b""
    if found:
        return found
    from pyrt.runtime.seccomp_filter import compile_policy

    policy = _policy(source, capabilities, machine, kernel, emulate_root)
    try:
        made = compile_policy(policy)
    except UsageError as error:
        raise UsageError(f"{_name(source.path)}: {error}") from error
    if cache:
        _keep(path, key, made)
    return made


def _name(path: str) -> str:
    return f"seccomp profile {path}"


def _policy(source: Source, capabilities: int, machine: str, kernel: tuple[int, int], emulate_root: bool) -> Policy:
    from pyrt.runtime import root_emulation, seccomp_policy, seccomp_profile

    if source.path:
        content = source.content or _content(source.path)
        profile = seccomp_profile.read(content, _name(source.path))
        policy = seccomp_policy.resolve(profile, capabilities=capabilities, machine=machine, kernel=kernel)
    else:
        policy = seccomp_policy.open_to_all(machine)
    return replace(policy, first=root_emulation.RULES) if emulate_root else policy


def _source(profile: str) -> Source:
    if not profile:
        return Source(path="", identity="none")
    if profile != DEFAULT:
        content = _content(profile)
        return Source(path=profile, identity=_digest(content), content=content)
    status = os.stat(DEFAULT_PROFILE)
    return Source(path=DEFAULT_PROFILE, identity=f"default {status.st_mtime_ns} {status.st_size}")


def _digest(content: bytes) -> str:
    try:
        from _blake2 import blake2b  # hashlib itself loads OpenSSL, for longer than the rest of a start takes
    except ImportError:
        from hashlib import blake2b
    return blake2b(content, digest_size=32).hexdigest()


def _content(path: str) -> bytes:
    try:
        content = _bytes(path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"{_name(path)}: {reason}") from error
    if len(content) > JSON_BYTES:
        raise UsageError(f"{_name(path)}: larger than {JSON_BYTES} bytes")
    if not content:
        raise UsageError(f"{_name(path)}: empty")
    return content


def _bytes(path: str, flags: int = 0) -> bytes:
    """A regular file, of a larger one more than JSON_BYTES of it. Raises OSError; ValueError for a path with a NUL."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | flags)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        content, size = b"", min(status.st_size, JSON_BYTES) + 1
        while len(content) <= JSON_BYTES and (more := os.read(fd, size)):
            content += more
        return content
    finally:
        os.close(fd)


def _cached(path: str, key: bytes) -> bytes:
    """The filter that is kept for this key, b"" where there is none that is whole."""
    try:
        content = _bytes(path, os.O_NOFOLLOW)
    except OSError:
        return b""
    checksum, rest = content[:4], content[4:]
    head, _, found = rest.partition(b"\n")
    if head != key or zlib.crc32(rest).to_bytes(4, "little") != checksum or len(found) % 8:
        return b""
    return found


def _keep(path: str, key: bytes, made: bytes) -> None:
    """Writes it down for the next start; where that cannot be, the next start compiles again. A place holds one filter, and
    there are 4096: what is not used any more is overwritten some day, and the directory does not grow without end."""
    rest = key + b"\n" + made
    temporary = f"{path}.new"
    with suppress(OSError):
        os.unlink(temporary)  # of one that was killed, or that writes the same at this moment
    with suppress(OSError):
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with open(fd, "wb") as file:
                file.write(zlib.crc32(rest).to_bytes(4, "little") + rest)
            os.rename(temporary, path)
        except OSError:  # a full disk
            os.unlink(temporary)

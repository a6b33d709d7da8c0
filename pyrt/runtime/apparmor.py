"""AppArmor: whether this kernel has it, which profile a container gets, and how pyrt's own comes into the kernel.

Sources: apparmor.d(5), apparmor_parser(8), aa_query_label(2), Documentation/admin-guide/LSM/apparmor.rst.
"""

from __future__ import annotations

import errno
import os
from functools import lru_cache

from pyrt.errors import Unsupported, UsageError
from pyrt.host import FULL, Host
from pyrt.request import UNCONFINED
from pyrt.values import dataclass

# The name in apparmor.profile. Its number changes with the text (tests/security/test_apparmor.py holds the two together).
PROFILE = "pyrt-default-1"

MAC_ADMIN = 33  # capabilities(7)

_TEXT = os.path.join(os.path.dirname(__file__), "apparmor.profile")
_ABI = "/etc/apparmor.d/abi/3.0"
_PARSER = "apparmor_parser"
_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """``profile`` is the name of what the container's program is executed under, "" for none; ``why`` the reason for that, in
    words for ``pyrt info``."""

    profile: str
    why: str


def choose(
    asked: str, *, privileged: bool, host: Host, load: bool = True, sys: str = "/sys", proc: str = "/proc"
) -> Choice:
    """The profile for one container. ``asked`` is "" for the default, "unconfined", or a name.

    Raises Unsupported for a name on a kernel without AppArmor and UsageError for one that this kernel does not know. What
    keeps the default from being had is no error: it is said in ``why``. With ``load`` ours is loaded where it is missing.
    """
    if asked == UNCONFINED:
        return Choice(profile="", why="apparmor=unconfined")
    if asked:
        return _by_name(asked, sys)
    if privileged:
        return Choice(profile="", why="--privileged")
    why = unavailable(sys) or _kept_by_own(proc)
    if not why and not known(PROFILE, sys):
        why = unloadable(host, sys) or (ensure_loaded(sys) if load else "")
    return Choice(profile="", why=why) if why else Choice(profile=PROFILE, why="the default")


def _by_name(name: str, sys: str) -> Choice:
    if not name.isprintable() or name != name.strip():
        raise UsageError(f"apparmor={name!r}: not the name of a profile")
    why = unavailable(sys)
    if why:
        raise Unsupported(f"apparmor={name}: {why}")
    if known(name, sys) is False:
        raise UsageError(f"apparmor={name}: no such profile in the kernel", hint="apparmor_parser -r FILE loads one")
    return Choice(profile=name, why=f"apparmor={name}")


def writes(profile: str, *, with_init: bool) -> tuple[str, tuple[str, ...], bool]:
    """What stage2 shall write into the kernel, the files below /proc that take it, of which the first that exists counts, and
    whether last.

    Ours is entered at once. A change by the exec of the image's program would clear the parent-death signal (it does so in
    every security module), and a container would live on when its caller is killed. Another one may forbid that very exec,
    or what stage2 has to do before: it is entered by it, as docker does. PID 1 of ``--init`` executes nothing, and has to be
    confined too, or its children could not even signal it: it enters whatever it is, last, and they inherit it.
    """
    at_once = with_init or profile == PROFILE
    command, file = ("changeprofile", "current") if at_once else ("exec", "exec")
    # Its own directory came with Linux 5.8; before that it shares one name with every other security module.
    return f"{command} {profile}", (f"self/attr/apparmor/{file}", f"self/attr/{file}"), at_once and profile != PROFILE


@lru_cache(maxsize=8)
def unavailable(sys: str = "/sys") -> str:
    """Why this kernel has no AppArmor, "" where it has it. That does not change before the next boot."""
    enabled = _read(f"{sys}/module/apparmor/parameters/enabled")
    if enabled == "Y":
        return ""
    return "AppArmor is switched off on the kernel's command line" if enabled else "this kernel has no AppArmor"


@lru_cache(maxsize=8)
def _kept_by_own(proc: str) -> str:
    """Why a process of ours cannot change to another profile, "" where it can: what confines pyrt confines its containers."""
    own = _read(f"{proc}/thread-self/attr/apparmor/current") or _read(f"{proc}/thread-self/attr/current")
    if not own or own == UNCONFINED or own.endswith("(unconfined)"):
        return ""
    return f"pyrt itself runs under {own}, which its containers inherit"


def known(profile: str, sys: str = "/sys") -> bool | None:
    """Whether the kernel has a profile of this name, seen from this process; None where it cannot be asked.

    The file answers a question about a label's permissions (here: to read "/"), and ENOENT where there is no such label. That
    costs as much as two stats; the list of all profiles costs forty times that where there is one, and distributions have
    hundreds.
    """
    try:
        fd = os.open(f"{sys}/kernel/security/apparmor/.access", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        os.write(fd, b"label\0" + os.fsencode(profile) + b"\0\x02/")
    except OSError as error:
        return False if error.errno == errno.ENOENT else None
    finally:
        os.close(fd)
    return True


def unloadable(host: Host, sys: str = "/sys") -> str:
    """Why this process cannot load a profile, "" where it can."""
    if not os.path.exists(f"{sys}/kernel/security/apparmor/.replace"):
        return f"no securityfs is mounted at {sys}/kernel/security"
    if host.uid != 0 or host.rung != FULL or not host.holds(MAC_ADMIN):
        return f"profile {PROFILE} is not loaded, and loading it takes root with CAP_MAC_ADMIN"
    return "" if _parser() else f"profile {PROFILE} is not loaded, and {_PARSER} is not installed"


def ensure_loaded(sys: str = "/sys") -> str:
    """Puts our profile into the kernel; two at the same time replace it by itself. Returns why it failed, or ""."""
    import subprocess

    with open(_TEXT, encoding="ascii") as file:
        text = file.read()
    if os.path.exists(_ABI):
        # Without it newer parsers take the features of 2.x, which know less of the network.
        text = f"abi <abi/3.0>,\n{text}"
    try:
        done = subprocess.run(
            [_parser(), "--skip-cache", "--replace"], input=text, capture_output=True, text=True, cwd="/", timeout=60
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{_PARSER}: {error}"
    if done.returncode != 0 or not known(PROFILE, sys):
        said = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()
        return f"{_PARSER} could not load {PROFILE}: {said[-1].strip()}"
    return ""


def _parser() -> str:
    """Where apparmor_parser is, "" where it is not. A root shell does not always have sbin on its PATH."""
    places = f"{os.environ.get('PATH', '')}:{_SBIN}".split(":")
    found = (f"{place}/{_PARSER}" for place in places if place.startswith("/"))
    return next((path for path in found if os.access(path, os.X_OK)), "")


def _read(path: str) -> str:
    """The first line of a small file of the kernel, "" where there is none."""
    try:
        with open(path, "rb", buffering=0) as file:
            return os.fsdecode(file.read(4096)).strip("\0\n")
    except OSError:
        return ""

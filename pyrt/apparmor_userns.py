"""The AppArmor profile for the one program of pyrt that asks for user namespaces: apparmor.d(5), "userns"."""

from __future__ import annotations

import os

from pyrt._native.userns import PROGRAM

NAME = "pyrt-userns"

_TEXT = """\
# Lets pyrt's program {name} make user namespaces where AppArmor allows them only to
# programs that it knows (kernel.apparmor_restrict_unprivileged_userns=1). It is
# confined no further. To install it, as root:
#
#   put this text into    /etc/apparmor.d/{name}
#   and load it with      apparmor_parser -r /etc/apparmor.d/{name}
#
# The path below is where pyrt is installed now: after an installation somewhere else,
# print it again.
abi <abi/4.0>,
include <tunables/global>

profile {name} {path} flags=(unconfined) {{
  userns,

  include if exists <local/{name}>
}}
"""


def profile(program: str = PROGRAM) -> str:
    """The text, ready to install, for the program at its real path: AppArmor sees no link."""
    return _TEXT.format(name=NAME, path=_quoted(os.path.realpath(program)))


def _quoted(path: str) -> str:
    """As a path in a profile: what would be a pattern or a variable there is only itself."""
    return '"' + "".join(f"\\{character}" if character in '\\"?*[]{}^@' else character for character in path) + '"'

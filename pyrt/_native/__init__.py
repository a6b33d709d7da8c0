"""The boundary to C: the only importer of the compiled module, and the only home of ``ffi`` and ``Any``.

The compiled module carries the version that it was built for. Another one than ours is half an upgrade, and is refused
here: its structures may be laid out differently.
"""

from __future__ import annotations

from pyrt._native._core import ffi, lib
from pyrt._version import VERSION

_built_for = ffi.string(lib.PYRT_BUILT_FOR).decode()
if _built_for != VERSION:
    raise ImportError(f"pyrt {VERSION} has the compiled module of pyrt {_built_for} beside it: install it again")

"""Every system call of the writer fails once: the error names entry, step and errno, and no file descriptor is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.parts import need

# Everything that makes the writer use one of the calls below; then what it said, and the descriptors before and after.
SCRIPT = """
import json, os, sys
from pyrt._native.extract import Extractor
from pyrt.errors import PyrtError
from tests.support.tarwriter import *
data = archive(
    directory("d", uid=1), pax({"SCHILY.xattr.user.a": "b"}), entry("d/f", b"x", uid=2, mode=0o4755), symlink("l", "d", uid=3),
    hardlink("h", "d/f"), entry("p", type="6", mode=0o1644, uid=4), entry("d/.wh.z"), entry("implied/g"), entry("d", b"over"),
    sparse_pax_1_0("s", [(0, b"x")], 9000),
)
root = os.open(sys.argv[1], os.O_RDONLY)
before, said = os.listdir("/proc/self/fd"), None
try:
    with Extractor(root) as extractor:
        extractor.feed(data)
        extractor.finish()
except PyrtError as error:
    said = type(error).__name__, str(error)
print(json.dumps([said, before == os.listdir("/proc/self/fd")]))
"""

STEPS = {
    "openat2": "link", "mkdirat": "mkdir", "pwrite64": "write", "ftruncate": "write", "fchown": "chown",
    "fchownat": "chown", "fchmod": "chmod", "utimensat": "utimensat",
    "symlinkat": "symlink", "linkat": "link", "mknodat": "mknod", "fsetxattr": "setxattr", "unlinkat": "replace",
}  # fmt: skip


@pytest.mark.parametrize("error", ["EIO", "ENOSPC", "EROFS"])
@pytest.mark.parametrize("call", STEPS)
def test_a_call_that_fails(tmp_path: Path, root: None, call: str, error: str) -> None:
    need("strace")
    (tmp_path / "root").mkdir()
    inject = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:error={error}:when=1"]
    done = subprocess.run([*inject, sys.executable, "-c", SCRIPT, tmp_path / "root"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said, nothing_lost = json.loads(done.stdout)
    kind, message = said
    assert nothing_lost
    assert kind == ("NoSpace" if error == "ENOSPC" else "LayerError")
    step = message.partition("': ")[2].partition(":")[0]
    assert message.startswith("layer entry '") and step == STEPS[call], message


def test_without_a_fault(tmp_path: Path, root: None) -> None:
    (tmp_path / "root").mkdir()
    done = subprocess.run([sys.executable, "-c", SCRIPT, tmp_path / "root"], capture_output=True, text=True)
    assert json.loads(done.stdout) == [None, True], done.stderr

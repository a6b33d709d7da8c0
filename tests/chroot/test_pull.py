"""A pull in the sandbox: layers with foreign owners, whiteouts and opaque marks, by a root without CAP_SYS_ADMIN."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.chroot.conftest import REPOSITORY, command
from tests.support import images
from tests.support.images import Entry


def test_pull_run_check_and_remove(tmp_path: Path) -> None:
    base = images.busybox(
        entries=[
            Entry(name="d", kind="dir", mode=0o755),
            Entry(name="d/below", content=b"1"),
            Entry(name="gone", content=b"1"),
            Entry(name="his", content=b"1", uid=1234, gid=1234, mode=0o4755),
            Entry(name=".wh.gone"),
        ]
    )
    images.write_layout(tmp_path / "layout", {"docker.io/library/one:latest": base})
    store = tmp_path / "store"

    def pyrt(*words: str) -> str:
        done = subprocess.run(command(store, *words), cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    pyrt("pull", "-q", f"oci:{tmp_path}/layout:docker.io/library/one:latest")
    assert pyrt("run", "--rm", "one", "stat", "-c", "%u %g %a", "/his") == "1234 1234 4755\n"
    assert pyrt("run", "--name", "kept", "one", "sh", "-c", "chown 77 /his; echo x > /made") == ""
    assert "rung" in pyrt("info").lower() or "chroot" in pyrt("info")
    pyrt("check")
    pyrt("rm", "kept")
    pyrt("rmi", "one")
    assert not list((store / "containers").iterdir()) and not list((store / "layers").iterdir())

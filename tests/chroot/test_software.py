"""The distribution's own software in a container of the rung "chroot", as root in docker's sandbox."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

from pyrt.image_pull import pull
from pyrt.store.store import Store
from tests.chroot.conftest import REPOSITORY, command
from tests.support import distribution
from tests.support.parts import need

PACKAGES = ("python3", "procps", "dbus", "cron", "openssh-server")
TIMEOUT = 300


@pytest.fixture(scope="module")
def software_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("software")
    distribution.make_layer(work / "layer.tar", *PACKAGES)
    distribution.make_layout(work / "layer.tar", work / "layout", "docker.io/library/software:latest")
    store = Store.open(str(work / "store"))
    pull(f"oci:{work}/layout:docker.io/library/software:latest", store=store)
    return work / "store"


def software(store: Path, script: str, *options: str) -> str:
    words = ["run", "--rm", "-e", "LC_ALL=C.UTF-8", *options, "software", "bash", "-ec", script]
    done = subprocess.run(command(store, *words), cwd=REPOSITORY, capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def test_bash_ps_python_and_a_compiler(software_root: Path, tmp_path: Path) -> None:
    script = """
    cat <(echo from a pipe); diff <(seq 3) <(seq 3) && echo same
    sleep 100 & ps -e -o comm= | grep -c sleep; ps -o comm= -p $$; pgrep -c sleep; pkill sleep; wait || true
    python3 -c 'import os, sys; print(sys.executable, os.getcwd(), os.readlink("/proc/self/exe"))'
    python3 -c 'import os; print(len(os.listdir("/proc/self/fd")))'
    python3 -c 'import multiprocessing as m; print(m.Pool(2).map(abs, [-1, -2]), m.Lock())' | cut -c1-6
    python3 -c 'import os; m, s = os.openpty(); print(os.ttyname(s)[:9])'
    cp /bin/echo /out/b; /out/b run; cd /out; ./b again
    mkdir -p tree/a; cd tree/a; echo x > f; ln -s f l; mv f g; ln -sf g l; cat l; pwd; df /out > /dev/null
    find /out -name g -printf '%p %s\\n'; cp -a /out/tree /tmp/copy; diff -r /out/tree /tmp/copy && echo equal
    tar -C /out -cf - tree | tar -C /tmp -xf -; rm -rf /out/tree; ls /out
    nproc > /dev/null; free -m > /dev/null; uptime > /dev/null
    """
    out = software(software_root, script, "-v", f"{tmp_path}:/out", "-w", "/tmp").splitlines()
    assert out == [
        "from a pipe", "same", "1", "bash", "1", "/usr/bin/python3 /tmp /usr/bin/python3.11", "4",
        "[1, 2]", "/dev/pts/", "run", "again",
        "x", "/out/tree/a", "/out/tree/a/g 2", "equal", "b",
    ]  # fmt: skip


def test_a_virtual_environment_in_a_volume(software_root: Path, tmp_path: Path) -> None:
    script = """
    python3 -m venv --without-pip /work/env; cd /work; . env/bin/activate
    python -c 'import sys; print(sys.prefix, sys.executable)'
    printf '#!/work/env/bin/python\\nimport sys\\nprint(sys.argv, sys.prefix)\\n' > env/bin/tool
    chmod +x env/bin/tool; tool x; env/bin/tool y
    """
    out = software(software_root, script, "-v", f"{tmp_path}:/work").splitlines()
    assert out[0] == "/work/env /work/env/bin/python"
    assert out[1] == "['/work/env/bin/tool', 'x'] /work/env" and out[2] == "['env/bin/tool', 'y'] /work/env"


def test_users_and_services(software_root: Path) -> None:
    script = """
    useradd -m someone; su -s /bin/bash someone -c 'id -un; cat /proc/self/comm; echo $HOME; cat <(echo pipe)'
    setpriv --reuid 1000 --clear-groups id -u
    chown someone /tmp; stat -c %U /tmp; sshd -t 2>&1 | head -2; crontab -l 2>&1 | head -1
    """
    out = software(software_root, script).splitlines()
    assert out[:4] == ["someone", "cat", "/home/someone", "pipe"] and out[4:6] == ["1000", "someone"]


def test_apt_installs_a_package_with_scripts(software_root: Path, tmp_path: Path) -> None:
    need("dpkg-deb")
    control = "Package: probe\nVersion: 1\nArchitecture: all\nMaintainer: tests <tests@example.com>\nDescription: a probe\n"
    root = tmp_path / "root"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN" / "control").write_text(control)
    postinst = """#!/bin/sh -e
id probe || useradd --system probe
chown probe:daemon /usr/share/probe
chmod 4750 /usr/share/probe
test -e /proc/self/stat
"""
    (root / "DEBIAN" / "postinst").write_text(postinst)
    (root / "DEBIAN" / "postinst").chmod(0o755)
    (root / "usr/share").mkdir(parents=True)
    (root / "usr/share/probe").write_text("installed")
    package = tmp_path / "repository" / "probe.deb"
    package.parent.mkdir()
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", str(root), str(package)], check=True, capture_output=True)
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    fields = f"{control}Filename: ./probe.deb\nSize: {package.stat().st_size}\nSHA256: {digest}\n"
    (package.parent / "Packages").write_text(fields)
    tmp_path.chmod(0o755)
    script = """
    rm -rf /etc/apt/sources.list.d /etc/apt/sources.list; cp -r /given/repository /repository
    echo 'deb [trusted=yes] file:/repository ./' >/etc/apt/sources.list; apt-get -q update; apt-get -qy install probe
    dpkg --verify probe || true; stat -c '%U %G %a' /usr/share/probe; apt-get -qy purge probe; test ! -e /usr/share/probe
    dpkg-reconfigure -f noninteractive dbus cron 2>&1; apt-get -qy install --reinstall probe
    """
    assert "probe daemon 4750" in software(software_root, script, "-v", f"{tmp_path}:/given:ro")

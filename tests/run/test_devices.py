"""Device nodes that lie in an image, a volume or a bind: none opens but those that pyrt makes in /dev."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from pyrt.request import Mount

OPEN = "for node in %s; do (: <$node) 2>/dev/null && echo $node; done; true"


@pytest.mark.parametrize("options", [{}, {"user": "1000"}, {"read_only": True}, {"cap_drop": ["ALL"]}], ids=str)
def test_ct_40_a_node_in_a_layer_is_not_the_hosts_disk(busybox, options):
    script = "for node in /disk /memory /nothing; do (: <$node) 2>/dev/null && echo $node; done; ls -l /disk | cut -c1"
    assert busybox(script, image="nodes", **options).stdout == b"b\n"


def test_bn_06_the_nodes_of_dev_open_beside_it(busybox):
    script = OPEN % "/dev/null /dev/zero /dev/full /dev/random /dev/urandom"
    assert busybox(script, image="nodes").stdout.split() == [
        b"/dev/null", b"/dev/zero", b"/dev/full", b"/dev/random", b"/dev/urandom",
    ]  # fmt: skip


def test_ct_31_a_node_in_a_bind_or_a_volume_does_not_open(busybox, tmp_path: Path):
    os.mknod(tmp_path / "memory", 0o020666, os.makedev(1, 1))
    os.mknod(tmp_path / "null", 0o020666, os.makedev(1, 3))
    script = OPEN % "/there/memory /there/null"
    assert busybox(script, mounts=[Mount(kind="bind", source=str(tmp_path), target="/there")]).stdout == b""


def test_ct_31_nor_on_what_is_mounted_below_a_bind(busybox, tmp_path: Path):
    (tmp_path / "below").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", tmp_path / "below"], check=True)
    try:
        os.mknod(tmp_path / "below" / "null", 0o020666, os.makedev(1, 3))
        mounts = [Mount(kind="bind", source=str(tmp_path), target="/there")]
        done = busybox("ls /there/below; : </there/below/null", mounts=mounts)
        assert done.stdout == b"null\n" and b"Permission denied" in done.stderr
    finally:
        subprocess.run(["umount", tmp_path / "below"], check=True)


def test_bn_06_dev_null_over_a_file_hides_it(busybox):
    hidden = Mount(kind="bind", source="/dev/null", target="/etc/passwd")
    assert busybox("cat /etc/passwd; echo x >/etc/passwd; echo end", mounts=[hidden]).stdout == b"end\n"


def test_ct_40_a_plain_root_has_no_disk_either(busybox, tmp_path: Path):
    busybox("cp -a /bin /root-of/", mounts=[Mount(kind="bind", source=str(tmp_path), target="/root-of")])
    os.mknod(tmp_path / "memory", 0o020666, os.makedev(1, 1))
    from pyrt.container_run import run

    assert run("", ["sh", "-c", OPEN % "/memory /dev/null"], rootfs=str(tmp_path)).stdout == b"/dev/null\n"

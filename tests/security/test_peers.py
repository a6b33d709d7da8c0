"""Weaker nowhere: what is recorded of docker, podman, crun and runc against what is recorded of pyrt (peers.py)."""

from __future__ import annotations

import json

import pytest

from tests.security import peers
from tests.support.parts import missing


@pytest.fixture(autouse=True)
def same_machine() -> None:
    if not peers.golden.path(peers.MODE).exists():
        missing(f"nothing is recorded for {peers.golden.DIRECTORY.name}")


@pytest.mark.parametrize("peer", ["docker", "podman", "crun", "runc"])
def test_ct_36_ct_58_weaker_nowhere(peer):
    answers = peers.recorded()[peer]["answers"]
    assert peers.unexplained(peer, peers.weaker(peers.ours(), answers)) == []


def test_every_exception_is_one():
    """One that is no more needed is taken out."""
    found = {peer: peers.weaker(peers.ours(), recorded["answers"]) for peer, recorded in peers.recorded().items()}
    for who, what, why in peers.EXCEPTIONS:
        barriers = [barrier for peer, listed in found.items() if who in ("*", peer) for barrier in listed]
        assert any(barrier == what or (what.endswith("*") and barrier.startswith(what[:-1])) for barrier in barriers), what
        assert why


@pytest.mark.parametrize(
    "key", ["capabilities", "namespaces", "acts", "calls", "paths", "mounts", "sockets", "writable", "mknod"]
)
def test_the_comparison_sees_what_is_weaker(key):
    weak = json.loads(json.dumps(peers.ours()))
    if key == "capabilities":
        weak[key]["effective"] += ["CAP_SYS_ADMIN"]
    elif key == "namespaces":
        weak[key]["pid"] = "host"
    elif key == "acts":
        weak[key]["mount tmpfs"] = "works"
    elif key == "calls":
        weak[key] = {"kernel": "0-600"}
    elif key == "paths":
        weak[key]["/proc/sys"] = "writable"
    elif key == "mounts":
        weak[key]["/sys"] = "sysfs nosuid"
    elif key == "sockets":
        weak[key]["icmp"] = "works"
    elif key == "writable":
        weak[key]["/proc/sys"] = 1
    else:
        weak[key] = "mem"
    assert peers.unexplained("podman", peers.weaker(weak, peers.recorded()["podman"]["answers"]))


def test_the_page_is_what_is_recorded():
    assert peers.PAGE.read_text() == peers.page(), "python -m tests.security.peers table writes it anew"

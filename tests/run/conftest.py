from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from pyrt import ladder
from pyrt.errors import PrivilegeError
from pyrt.host import USERNS
from pyrt.request import CompletedRun
from pyrt.store.store import Store
from tests.support import images
from tests.support.leaks import assert_nothing_new, snapshot
from tests.support.scripts import runner

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def store_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the busybox image and some of its odd relatives, made once."""
    from pyrt.image_pull import pull

    root = tmp_path_factory.mktemp("store")
    layout = tmp_path_factory.mktemp("layout")
    made = {"busybox": images.busybox(), **odd_images()}
    images.write_layout(layout, {f"docker.io/library/{name}:latest": image for name, image in made.items()})
    store = Store.open(str(root))
    with suppress(PrivilegeError):
        ladder.here(store.layout.run, USERNS)  # what is remembered of it is no leak
    for name in made:
        pull(f"oci:{layout}:docker.io/library/{name}:latest", store=store)
    return root


def odd_images() -> dict[str, images.BuiltImage]:
    """Images whose configuration or tree is what a test is about."""
    entry = images.Entry
    return {
        "configured": images.busybox(
            config={
                "Env": [images.PATH, "COLOUR=blue", "EMPTY="],
                "Entrypoint": ["/bin/echo", "entry"],
                "Cmd": ["cmd"],
                "User": "app",
                "WorkingDir": "/made/here",
                "Volumes": {"/data": {}},
                "Labels": {"kind": "test"},
                "StopSignal": "SIGINT",
            },
            entries=[
                entry(name="data", kind="dir", mode=0o755, uid=1000, gid=1000),
                entry(name="data/file", content=b"from the image", uid=1000, gid=1000),
            ],
        ),
        "links": images.busybox(
            entries=[
                entry(name="var/run", kind="sym", link="/run"),
                entry(name="run", kind="dir", mode=0o755),
                entry(name="etc/resolv.conf", kind="sym", link="/run/systemd/resolve/stub-resolv.conf"),
                entry(name="out", kind="sym", link="../../../../../../tmp"),
                entry(name="dangling", kind="sym", link="/not/there"),
            ]
        ),
        "proclink": images.busybox(entries=[entry(name="proc", kind="sym", link="/tmp")]),
        "devlink": images.busybox(entries=[entry(name="dev", kind="sym", link="/tmp")]),
        "opaque": images.busybox(
            config={"Cmd": ["/bin/ls", "/"]},
            entries=[
                entry(name=".wh..wh..opq"),
                entry(name="bin", kind="dir", mode=0o755),
                entry(name="bin/ls", content=Path("/bin/busybox").read_bytes(), mode=0o755),
            ],
        ),
        "twice": _twice(),
        "nodes": images.busybox(
            entries=[
                entry(name="disk", kind="block", device=_a_disk(), mode=0o666),
                entry(name="memory", kind="char", device=(1, 1), mode=0o666),
                entry(name="nothing", kind="char", device=(1, 3), mode=0o666),
            ]
        ),
        "nothing": images.image([], config={"Env": [images.PATH]}),
        "volumes": images.busybox(
            config={"Volumes": {"/data": {}, "/data/below": {}, "/var/run/x": {}, "/new/v": {}}},
            entries=[entry(name="var/run", kind="sym", link="/run"), entry(name="run", kind="dir", mode=0o755)],
        ),
        "empty": images.busybox(config={"Cmd": None}),
        "nouser": images.busybox(config={"User": "nobody-has-this-name"}),
        "script": images.busybox(
            entries=[
                entry(name="noexec", content=b"#!/bin/sh\n", mode=0o644),
                entry(name="noshebang", content=b"\x7fELFnot really", mode=0o755),
                entry(name="nointerpreter", content=b"#!/not/there\n", mode=0o755),
            ]
        ),
    }


def _a_disk() -> tuple[int, int]:
    """The numbers of the disk below the root directory, or of the first RAM disk where that is none of its own."""
    device = os.stat("/").st_dev
    return (os.major(device), os.minor(device)) if os.major(device) else (1, 0)


def _twice() -> images.BuiltImage:
    """An image with the same layer at two places, as each RUN that changes nothing makes them."""
    again, between = (
        images.layer(images.tar([images.Entry(name=name, content=content)]))
        for name, content in (("again", b"again "), ("between", b"between"))
    )
    bottom = images.layer(images.tar(images.busybox_entries()))
    return images.image([bottom, again, between, again], config={"Env": [images.PATH]})


@pytest.fixture
def store(store_root: Path) -> Iterator[Store]:
    """The store; after the test no container, mount, process or fd is there that was not before."""
    before = snapshot(store_root)
    yield Store.open(str(store_root))
    for name in os.listdir(store_root / "containers"):
        subprocess.run(["rm", "-rf", str(store_root / "containers" / name)], check=True)
        pytest.fail(f"a container was left behind: {name}")
    assert_nothing_new(before, store_root)


@pytest.fixture
def busybox(store: Store) -> Callable[..., CompletedRun]:
    """``pyrt.run`` of a shell script in the busybox image; other options as they are."""
    return runner(store)


@pytest.fixture
def pyrt(store: Store, store_root: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command line on the same store."""

    def command(*words: str, **options: object) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "pyrt", "--root", str(store_root), *words]
        options = {"capture_output": True, "text": True, "timeout": 60, **options}
        return subprocess.run(argv, cwd=options.pop("cwd", REPOSITORY), **options)  # type: ignore[call-overload, no-any-return]

    return command

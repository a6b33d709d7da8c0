"""Images whose configuration or tree means harm, run: their words are data, and what they reach is theirs."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pyrt.container_run import run
from pyrt.errors import CommandNotExecutable, CommandNotFound, PyrtError, StartError, UsageError
from pyrt.image_pull import pull
from pyrt.request import CompletedRun
from pyrt.store.store import Store
from tests.support import images
from tests.support.images import Blob, BuiltImage, Entry
from tests.support.parts import missing
from tests.support.trees import manifest

pytestmark = pytest.mark.usefixtures("root")
NAME = "localhost/hostile:1"


@pytest.fixture
def root() -> None:
    if os.geteuid() != 0:
        missing("not root")


@pytest.fixture
def own(tmp_path: Path) -> Store:
    """A store of the test's own."""
    return Store.open(str(tmp_path / "store"))


@pytest.fixture
def brought(own: Store, tmp_path: Path) -> Callable[[BuiltImage], str]:
    """Brings an image into the store, and gives its name."""

    def bring(image: BuiltImage) -> str:
        layout = tmp_path / f"layout-{len(os.listdir(tmp_path))}"
        layout.mkdir()
        images.write_layout(layout, {NAME: image})
        pull(f"oci:{layout}:{NAME}", store=own)
        return NAME

    return bring


@pytest.fixture
def canary() -> Iterator[Path]:
    """A directory of the host where everybody may write, the same at the end."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o777)
        (path / "file").write_text("sings")
        before = manifest(path, ctime=True)
        yield path
        assert manifest(path, ctime=True) == before


def output(result: CompletedRun) -> str:
    assert result.returncode == 0, result.stderr
    return result.stdout.decode()


HOSTILE_ENV = ["LD_PRELOAD=/evil.so", "LD_LIBRARY_PATH=/evil", "PYTHONPATH=/evil", "PYTHONSTARTUP=/evil", "PATH=",
               "LINES=a\nPATH=/evil", "EQUALS=a=b=c", "=nameless", "PYRT_ROOT=/evil", "HTTPS_PROXY=http://evil"]  # fmt: skip


def test_im_20_hostile_environment_stays_inside(own: Store, brought: Callable[[BuiltImage], str]) -> None:
    name = brought(images.busybox(config={"Env": HOSTILE_ENV}))
    before = dict(os.environ)
    shown = output(run(name, ["/bin/env", "-0"], hostname="h", store=own)).split("\0")
    assert dict(os.environ) == before
    assert {"LD_PRELOAD=/evil.so", "LINES=a\nPATH=/evil", "EQUALS=a=b=c", "PATH="} <= set(shown)
    assert not any(text.startswith("=") for text in shown)
    # PID 1's is the program's: nothing of ours was ever started with these words.
    assert output(run(name, ["/bin/cat", "/proc/1/environ"], hostname="h", store=own)).split("\0") == shown


@pytest.mark.parametrize("size", [100_000, 2 << 20])
def test_im_20_an_environment_too_large_for_the_kernel(
    own: Store, brought: Callable[[BuiltImage], str], size: int
) -> None:
    name = brought(images.busybox(config={"Env": [images.PATH, "BIG=" + "x" * size]}))
    if size < 128 << 10:  # MAX_ARG_STRLEN, execve(2)
        assert len(output(run(name, ["sh", "-c", "echo $BIG"], store=own))) == size + 1
        return
    with pytest.raises(PyrtError) as caught:
        run(name, ["true"], store=own)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


CONTROLS = {
    "containerd.io/restart.loguri": "binary:///bin/sh?-c=touch",
    "io.pyrt.privileged": "true",
    "pyrt.security-opt": "seccomp=unconfined",
    "run.oci.handler": "krun",
    "run.oci.systemd.subgroup": "../../x",
    "run.oci.hooks.stderr": "/tmp/x",
    "org.systemd.property.ExecStartPre": "['/bin/sh']",
    "io.podman.annotations.privileged": "TRUE",
    "io.podman.annotations.seccomp": "unconfined",
    "io.kubernetes.cri-o.userns-mode": "host",
    "io.containers.capabilities": "SYS_ADMIN",
    "com.docker.compose.project": "x",
}


def annotated(image: BuiltImage, annotations: dict[str, str]) -> BuiltImage:
    """The image with annotations in its manifest and in each descriptor."""
    document = json.loads(image.top.content)
    document["annotations"] = annotations
    for descriptor in (document["config"], *document["layers"]):
        descriptor["annotations"] = annotations
    top = Blob(media_type=image.top.media_type, content=images.encode(document))
    return BuiltImage(top=top, blobs=(top, *image.blobs[1:]), platform=image.platform)


def planned(store: Store, name: str) -> dict[str, object]:
    """What ``--dry-run`` says, without what is another each time."""
    words = [sys.executable, "-m", "pyrt", "--root", store.layout.root, "run", "--dry-run", "--name", "n"]
    done = subprocess.run([*words, "--hostname", "h", name, "true"], capture_output=True, text=True, check=True)
    spec: dict[str, object] = json.loads(done.stdout)
    return spec


def test_im_21_im_22_labels_and_annotations_control_nothing(own: Store, brought: Callable[[BuiltImage], str]) -> None:
    """The twin is the same image without them: one plan for both, and one view from inside."""
    script = "grep -v -E 'Pid|ctxt|Vm|Rss|Cpus|Mems' /proc/self/status; cut -d' ' -f4- /proc/self/mountinfo"
    look = ["sh", "-c", f"{script} | sed 's/lowerdir.*//'"]
    plain = brought(images.busybox())
    wanted, seen = planned(own, plain), output(run(plain, look, store=own, hostname="h"))
    labelled = brought(annotated(images.busybox(config={"Labels": CONTROLS}), CONTROLS))
    spec = planned(own, labelled)
    for document in (spec, wanted):
        document.pop("annotations", None)  # data for people
    assert without_paths(spec) == without_paths(wanted)
    assert without_paths(output(run(labelled, look, store=own, hostname="h"))) == without_paths(seen)
    assert not os.path.exists("/tmp/x")


def without_paths(value: object) -> str:
    import re

    return re.sub(r"[0-9a-f]{12,64}|size=\d+k?", "...", json.dumps(value, sort_keys=True))


WORKDIRS = [
    ("", "/"),
    ("/", "/"),
    ("../../..", "/"),
    ("relative/new", "/relative/new"),
    ("/missing/deep/er", "/missing/deep/er"),
    ("/tmp/../tmp/x/../y", "/tmp/y"),
    ("/out/new", None),  # below a link to the canary: in the image's own tree
    ("/climb/new", None),
    ("/data/new", "/data/new"),  # on a volume
]


@pytest.mark.parametrize(("workdir", "shown"), WORKDIRS)
def test_im_24_bn_11_workdir_is_made_inside(
    own: Store, brought: Callable[[BuiltImage], str], canary: Path, workdir: str, shown: str | None
) -> None:
    """A missing one belongs to the user; a link leads to a place in the image."""
    links = [
        Entry(name="out", kind="sym", link=str(canary)),
        Entry(name="climb", kind="sym", link="../" * 40 + str(canary).lstrip("/")),
    ]
    config = {"WorkingDir": workdir, "Volumes": {"/data": {}}, "User": "app:extra"}
    name = brought(images.busybox(config=config, entries=links))
    text = output(run(name, ["sh", "-c", "pwd -P; stat -c %u:%g ."], store=own)).splitlines()
    assert text[0] == (shown or f"{canary}/new")
    assert text[1] == "1000:2000" or text[0] == "/"


@pytest.mark.parametrize("workdir", ["/proc/self/fd/7", "/proc/1/root", "/etc/passwd", "/proc/self/cwd/../../x"])
def test_im_24_workdir_that_is_nowhere(own: Store, brought: Callable[[BuiltImage], str], workdir: str) -> None:
    name = brought(images.busybox(config={"WorkingDir": workdir}))
    try:
        text = output(run(name, ["sh", "-c", "pwd -P; ls -d /bin/busybox"], store=own)).splitlines()
    except PyrtError as error:
        assert "\n" not in str(error)
    else:
        assert workdir == "/proc/1/root" and text == ["/", "/bin/busybox"]


ENTRYPOINTS = [
    ([""], UsageError, 125),
    (["/proc/self/fd/3"], PyrtError, None),
    (["/etc"], CommandNotExecutable, 126),
    (["/loop-a"], CommandNotExecutable, 126),
    (["/circle"], PyrtError, None),
    (["/to-nothing"], CommandNotFound, 127),
    (["/bin/echo", "x" * (2 << 20)], PyrtError, None),
    (["/bin/echo", *["y" * 100_000] * 30], PyrtError, None),
]


@pytest.mark.parametrize(("entrypoint", "error", "code"), ENTRYPOINTS, ids=range(len(ENTRYPOINTS)))
def test_im_25_entrypoints_that_are_none(
    own: Store,
    brought: Callable[[BuiltImage], str],
    entrypoint: list[str],
    error: type[PyrtError],
    code: int | None,
) -> None:
    entries = [
        Entry(name="loop-a", content=b"#!/loop-b\n", mode=0o755),
        Entry(name="loop-b", content=b"#!/loop-a\n", mode=0o755),
        Entry(name="circle", kind="sym", link="circle"),
        Entry(name="to-nothing", kind="sym", link="/not/there"),
    ]
    name = brought(images.busybox(config={"Entrypoint": entrypoint, "Cmd": None}, entries=entries))
    with pytest.raises(error) as caught:
        run(name, store=own)
    assert code is None or caught.value.exit_code == code
    assert caught.value.exit_code in (125, 126, 127)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_im_25_the_last_step_is_not_there_to_be_started_again(
    own: Store, brought: Callable[[BuiltImage], str]
) -> None:
    """/proc/self/exe at that moment is our last step: it finds no payload and ends; see CT-01 for its bytes."""
    name = brought(images.busybox(config={"Entrypoint": ["/proc/self/exe"], "Cmd": ["x"]}))
    try:
        assert run(name, store=own, timeout=20).returncode != 0
    except StartError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("count", [1, 127, 128, 500])
def test_im_14_bn_13_layers_of_every_number_run(own: Store, brought: Callable[[BuiltImage], str], count: int) -> None:
    """No path of a layer is cut off the mount's options, and no layer is lost."""
    bottom = images.layer(images.tar(images.busybox_entries()))
    above = [
        images.layer(images.tar([Entry(name="n", kind="dir", mode=0o755), Entry(name=f"n/{number}")]))
        for number in range(count - 1)
    ]
    name = brought(images.image([bottom, *above], config={"Env": [images.PATH], "User": "app"}))
    script = "[ -d /n ] && ls /n | wc -l || echo 0; id -u"
    assert output(run(name, ["sh", "-c", script], store=own)).split() == [str(count - 1), "1000"]


def test_id_02_a_number_is_a_number(own: Store, brought: Callable[[BuiltImage], str]) -> None:
    """An account whose name is a number is not found by it: "1000" would be root (CVE-2016-3697)."""
    passwd = b"root:x:0:0::/root:/bin/sh\n1000:x:0:0::/:/bin/sh\n4294967295:x:0:0::/:\n"
    entries = [Entry(name="etc/passwd", content=passwd), Entry(name="etc/group", content=b"root:x:0:\n2000:x:0:\n")]
    name = brought(images.busybox(entries=entries))
    assert output(run(name, ["sh", "-c", "id -u; id -g"], user="1000:2000", store=own)).split() == ["1000", "2000"]
    with pytest.raises(UsageError):
        run(name, ["id"], user="4294967295", store=own)


@pytest.mark.parametrize("home", ["/x\nevil:x:0:0::/:/bin/sh", "/x\\nevil:x:0:0::/:/bin/sh", "/x:0:0::/", "", "relative"])
def test_id_09_home_is_written_nowhere(own: Store, brought: Callable[[BuiltImage], str], home: str) -> None:
    """CVE-2022-4318 and its bypass: a line break in HOME made a line of /etc/passwd."""
    name = brought(images.busybox(config={"Env": [images.PATH, f"HOME={home}", f"USER={home}"], "User": "4242"}))
    for env in ({}, {"HOME": home}):
        result = run(name, ["sh", "-c", "cat /etc/passwd; echo; echo \"$HOME\""], env=env, store=own)
        assert output(result) == f"{images.PASSWD}\n{home}\n"


def test_id_13_home_is_of_the_account(own: Store, brought: Callable[[BuiltImage], str]) -> None:
    """Each variable once; HOME by passwd, "/" for whom it does not know; nothing of the caller's."""
    name = brought(images.busybox(config={"Env": ["A=1", "A=2", "HOSTNAME=image"]}))
    for user, home in (("root", "/root"), ("app", "/home/app"), ("77", "/")):
        env = output(run(name, ["/bin/env"], user=user, hostname="h", store=own)).splitlines()
        names = [text.partition("=")[0] for text in env]
        assert len(names) == len(set(names)) and {"A=2", f"HOME={home}"} <= set(env)
        assert any(text.startswith("PATH=/usr/local/sbin:") for text in env)
        assert set(names) == {"PATH", "HOSTNAME", "A", "HOME"}


def test_id_14_umask_is_not_the_callers(own: Store, brought: Callable[[BuiltImage], str]) -> None:
    name = brought(images.busybox())
    for mask in (0, 0o077, 0o777):
        before = os.umask(mask)
        try:
            result = run(name, ["sh", "-c", "umask; touch /f; mkdir /d; stat -c %a /f /d"], store=own)
        finally:
            os.umask(before)
        assert output(result).split() == ["0022", "644", "755"]


PROGRAM = r"""
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int main(void) {
    char line[256];
    FILE *status = fopen("/proc/self/status", "r");
    printf("%d %d ", (int)getuid(), (int)geteuid());
    while (status && fgets(line, sizeof line, status))
        if (strncmp(line, "CapEff:", 7) == 0)
            printf("%s", line + 8);
    return 0;
}
"""
NET_BIND_SERVICE = 1 << 10
CAPABILITY = (0x02000001).to_bytes(4, "little") + NET_BIND_SERVICE.to_bytes(4, "little") + bytes(12)  # VFS_CAP_REVISION_2


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("program") / "who"
    subprocess.run(["cc", "-static", "-x", "c", "-", "-o", path], input=PROGRAM.encode(), check=True)
    return path.read_bytes()


@pytest.mark.full
def test_bn_09_setuid_and_file_capabilities_work(
    own: Store, brought: Callable[[BuiltImage], str], program: bytes
) -> None:
    """sudo and ping, as far as the container's bounding set goes."""
    entries = [
        Entry(name="who", content=program, mode=0o755),
        Entry(name="suid", content=program, mode=0o4755),
        Entry(name="cap", content=program, mode=0o755, xattrs={"security.capability": CAPABILITY.decode("latin-1")}),
    ]
    name = brought(images.busybox(entries=entries))
    plain, suid, cap = (output(run(name, [f"/{what}"], user="app", store=own)).split() for what in ("who", "suid", "cap"))
    assert plain == ["1000", "1000", "0" * 16]
    assert suid[:2] == ["1000", "0"] and int(suid[2], 16)
    assert cap == ["1000", "1000", f"{NET_BIND_SERVICE:016x}"]


@pytest.mark.full
def test_tx_43_nobody_else_starts_what_lies_in_the_store(program: bytes) -> None:
    """A setuid program of an image is root's on the host (umoci#181): nobody else gets to it. The twin: a container does."""
    with tempfile.TemporaryDirectory() as where:
        os.chmod(where, 0o755)
        store = Store.open(f"{where}/store")
        os.mkdir(f"{where}/layout")
        built = images.busybox(entries=[Entry(name="suid", content=program, mode=0o4755)])
        images.write_layout(Path(where) / "layout", {NAME: built})
        image = pull(f"oci:{where}/layout:{NAME}", store=store)
        path = f"{store.layers.path(image.diff_ids[1])}/suid"
        assert os.stat(path).st_mode & stat.S_ISUID and subprocess.run([path], capture_output=True, check=True)
        with pytest.raises(PermissionError):
            subprocess.run([path], user=65534, group=65534, extra_groups=[], cwd="/", check=False)
        assert output(run(NAME, ["/suid"], user="app", store=store)).split()[1] == "0"


TOOLS = ("tar", "xz", "unxz", "gzip", "gunzip", "pigz", "unpigz", "zstd", "unzstd", "bzip2", "lz4", "mount", "ldconfig", "sh")


def test_tx_69_nothing_of_an_image_is_started_on_the_host(tmp_path: Path) -> None:
    """Not even where its directory is the caller's, and first on the PATH (CVE-2026-41567)."""
    script = f"#!/bin/busybox sh\n/bin/busybox touch {tmp_path}/touched\n".encode()
    tools = [Entry(name=f"bin/{name}", content=script, mode=0o755) for name in TOOLS]
    root = tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    for name in TOOLS:
        (root / "bin" / name).write_bytes(script.replace(b"#!/bin/busybox sh", b"#!/bin/sh"))
        (root / "bin" / name).chmod(0o755)
        os.link(root / "bin" / name, root / name)
    subprocess.run([root / "bin/tar"], check=False)
    assert (tmp_path / "touched").exists(), "the trap does not bite"
    (tmp_path / "touched").unlink()
    environ = {"PATH": f"{root}/bin", "HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    for number, compression in enumerate(images.COMPRESSIONS):
        layout = tmp_path / f"layout-{number}"
        layout.mkdir()
        images.write_layout(layout, {NAME: images.busybox(compression, entries=tools)})
        words = [sys.executable, "-m", "pyrt", "--root", str(tmp_path / f"store-{number}")]
        subprocess.run([*words, "pull", f"oci:{layout}:{NAME}"], cwd=root, env=environ, check=True, capture_output=True)
        words += ["run", "--rm", NAME, "/bin/busybox", "echo", "fine"]
        done = subprocess.run(words, cwd=root, env=environ, capture_output=True)
        assert done.stdout == b"fine\n", done.stderr
    assert not (tmp_path / "touched").exists()

"""pyrt.sh, the Dockerfile and docker-compose.yml, with Debian's docker: what people on macOS and Windows use."""

from __future__ import annotations

import fcntl
import os
import pty
import shutil
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pyrt._version import VERSION
from tests.places.place import Shelf
from tests.support import images, registries
from tests.support.dockerd import Docker, running_dockerd
from tests.support.parts import need

ROOT = Path(__file__).parents[2]
IMAGE = "pyrt-test"
GUEST = 31_000
Script = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def docker(shelf: Shelf) -> Iterator[Docker]:
    """A daemon with the image, built from the Dockerfile on a base that mmdebstrap made."""
    directory = shelf.root / "d"
    with running_dockerd(directory) as daemon:
        daemon.check("import", shelf.base_tar, "base")
        daemon.check("build", "--network=host", "--build-arg=BASE=base", f"--tag={IMAGE}", ROOT, timeout=900)
        yield daemon
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def busybox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of an image that a registry of this machine serves."""
    work = tmp_path_factory.mktemp("registry")
    images.write_layout(work / "layout", {"latest": images.busybox()})
    with registries.running_registry(work / "registry") as registry:
        registry.push(work / "layout", "library/busybox:latest")
        yield f"{registry.host}/library/busybox:latest"


@pytest.fixture
def here(shelf: Shelf) -> Iterator[Path]:
    """A person's directory, where the script is started."""
    directory = shelf.root / "projects" / "of mine"
    directory.mkdir(parents=True)
    os.chown(directory, GUEST, GUEST)
    yield directory
    shutil.rmtree(directory.parent)


@pytest.fixture
def script(docker: Docker, here: Path) -> Iterator[Script]:
    """``pyrt.sh WORDS...`` in that directory; ``options`` are the engine's. What it kept is removed after the test."""

    def call(*words: str, options: str = "", **others: object) -> subprocess.CompletedProcess[str]:
        given = {"capture_output": True, "text": True, "stdin": subprocess.DEVNULL, "timeout": 120, "cwd": here, **others}
        if "input" in given:
            del given["stdin"]
        return subprocess.run([ROOT / "pyrt.sh", *words], env=environment(docker, options), **given)  # type: ignore[call-overload, no-any-return]

    yield call
    docker.check("volume", "rm", "pyrt-store")


def environment(docker: Docker, options: str = "") -> dict[str, str]:
    # No bridge here: the network of this machine is all that the container can have.
    return {**docker.environment, "PYRT_SH_IMAGE": IMAGE, "PYRT_SH_OPTIONS": f"--network=host {options}"}


# What the script is given, and the isolation that has to come of it.
GIVEN = {"docker's default": ("", "chroot"), "SYS_ADMIN": ("--cap-add SYS_ADMIN", "userns")}


@pytest.mark.parametrize(("options", "rung"), GIVEN.values(), ids=GIVEN)
def test_hello_world(script: Script, busybox: str, options: str, rung: str):
    done = script("run", busybox, "echo", "hello world", options=options)
    assert (done.returncode, done.stdout) == (0, "hello world\n"), done
    assert done.stderr.splitlines()[0].startswith(f"pyrt.sh: isolation {rung}"), done


@pytest.mark.parametrize("options", [options for options, _ in GIVEN.values()], ids=GIVEN)
def test_input_output_exit_code_and_directory(script: Script, busybox: str, here: Path, options: str):
    (here / "given").write_text("from outside\n")
    command = "cat; cat given; echo error >&2; echo inside >made; exit 42"
    done = script(
        "run", "--rm", "-i", "-v", f"{here}:/w", "-w", "/w", busybox, "sh", "-c", command, input="input\n", options=options
    )
    assert (done.returncode, done.stdout) == (42, "input\nfrom outside\n"), done
    assert "error\n" in done.stderr
    assert (here / "made").read_text() == "inside\n"
    # What the image is, is kept: no registry is asked.
    again = script("run", "--rm", "--pull=never", busybox, "true", options=options)
    assert again.returncode == 0, again


def test_who_gave_root_up_writes_as_the_owner_of_the_directory(script: Script, busybox: str, here: Path):
    done = script("run", "--rm", "-v", f"{here}:/w", busybox, "touch", "/w/made", options="--cap-add SYS_ADMIN")
    assert done.returncode == 0, done
    assert (here / "made").stat().st_uid == GUEST


def test_pyrt_runs_as_an_ordinary_user_where_that_gives_the_better_means(script: Script):
    """Without a container: whose the store is that it makes."""
    for options, user in {"": 0, "--cap-add SYS_ADMIN": GUEST}.items():
        root = script("info", "--format", "{{.DockerRootDir}}", options=options)
        assert root.stdout == f"/var/lib/pyrt/{user}/store\n", root


# The engine tells the size in its own time.
_TERMINAL = """
test -t 0 && test -t 1 || exit 1
for _ in $(seq 100); do stty size | grep -q '^31 97$' && exit 7; sleep 0.1; done
"""


def test_a_terminal_is_passed_on(docker: Docker, script: Script, busybox: str, here: Path):
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 31, 97, 0, 0))
    command = [ROOT / "pyrt.sh", "run", "--rm", "-it", busybox, "sh", "-c", _TERMINAL]
    os.set_blocking(ours, False)
    process = subprocess.Popen(
        command, cwd=here, env=environment(docker), stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    shown = b""
    while process.poll() is None:
        shown += read(ours)
        time.sleep(0.05)
    shown += read(ours)
    os.close(ours)
    assert process.returncode == 7, shown


def read(fd: int) -> bytes:
    try:
        return os.read(fd, 1 << 16)
    except OSError:  # nothing yet, or the other side is closed
        return b""


def test_a_signal_ends_the_container(docker: Docker, script: Script, busybox: str, here: Path):
    assert script("pull", "-q", busybox).returncode == 0
    command = [ROOT / "pyrt.sh", "run", "--rm", busybox, "sh", "-c", "trap 'exit 9' TERM; echo up; while :; do sleep 0.1; done"]
    with subprocess.Popen(
        command, cwd=here, env=environment(docker), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == b"up\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 9
    assert docker.check("ps", "-q") == ""


@pytest.fixture
def podman(docker: Docker, shelf: Shelf) -> Iterator[dict[str, str]]:
    """An environment in which podman has the same image, and files of its own only."""
    need("podman")
    directory = shelf.root / "p"
    directory.mkdir()
    (directory / "storage.conf").write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{directory}/root"\nrunroot = "{directory}/run"\n'
    )
    # Its own default for open files may be more than this machine allows.
    (directory / "containers.conf").write_text(
        '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "none"\n'
        '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]\n'
    )
    docker.check("save", "--output", directory / "image.tar", IMAGE)
    env = {
        **os.environ,
        "CONTAINERS_STORAGE_CONF": f"{directory}/storage.conf",
        "CONTAINERS_CONF": f"{directory}/containers.conf",
        "PYRT_ENGINE": "podman",
        "PYRT_SH_IMAGE": f"localhost/{IMAGE}",
        "PYRT_SH_OPTIONS": "--network=host",
    }
    podman = ["podman", "load", "--quiet", "--input", directory / "image.tar"]
    subprocess.run(podman, env=env, check=True, capture_output=True)
    (directory / "image.tar").unlink()
    yield env
    subprocess.run(["podman", "system", "reset", "--force"], env=env, check=True, capture_output=True)
    subprocess.run(["umount", "-R", directory / "root" / "overlay"], capture_output=True)
    shutil.rmtree(directory)


def test_podman_lets_an_ordinary_user_have_a_user_namespace(podman: dict[str, str], busybox: str, here: Path):
    command = [ROOT / "pyrt.sh", "run", "--rm", "-v", f"{here}:/w", busybox]
    command += ["sh", "-c", "touch /w/made; echo hello world; exit 5"]
    done = subprocess.run(command, env=podman, cwd=here, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stdout) == (5, "hello world\n"), done
    assert done.stderr.splitlines()[0] == "pyrt.sh: isolation userns"
    assert (here / "made").stat().st_uid == GUEST


def test_compose(docker: Docker, busybox: str, here: Path):
    need("docker-compose")
    shutil.copy(ROOT / "docker-compose.yml", here)
    (here / "docker-compose.override.yml").write_text(f"services: {{pyrt: {{image: {IMAGE}, network_mode: host}}}}\n")
    compose = ["docker-compose", "--project-name", "pyrttest"]

    def call(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*compose, *words],
            cwd=here,
            env=docker.environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=120,
        )

    try:
        done = call("run", "--rm", "-T", "pyrt", "run", busybox, "echo", "hello world")
        assert (done.returncode, done.stdout) == (0, "hello world\n"), done
    finally:
        down = call("down", "--volumes")
    assert down.returncode == 0, down


def plain(directory: Path, *engines: str) -> dict[str, str]:
    """An environment with a shell's usual programs, and engines that cannot reach anything."""
    for program in ("sh", "dirname", "pwd", "sed"):
        (directory / program).symlink_to(shutil.which(program) or f"/bin/{program}")
    for engine in engines:
        (directory / engine).write_text("#!/bin/sh\nexit 1\n")
        (directory / engine).chmod(0o755)
    return {"PATH": str(directory)}


@pytest.mark.parametrize(
    ("engines", "named", "said"),
    [
        ((), "", "there is neither docker nor podman"),
        ((), "nerdctl", "PYRT_ENGINE=nerdctl: there is no such program"),
        (("docker",), "", "docker: no answer"),
        (("docker", "podman"), "", "docker and podman: no answer"),
        (("docker", "podman"), "podman", "podman: no answer"),
    ],
)
def test_no_engine_is_said_in_one_line(tmp_path: Path, engines: tuple[str, ...], named: str, said: str):
    env = plain(tmp_path, *engines) | ({"PYRT_ENGINE": named} if named else {})
    done = subprocess.run([ROOT / "pyrt.sh", "info"], env=env, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 125 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"pyrt.sh: {said}")


@pytest.mark.parametrize("directory", ["/", "/usr", "/etc", "/proc/self", "a:b"])
def test_a_directory_that_cannot_be_passed_on_is_refused(tmp_path: Path, directory: str):
    env = plain(tmp_path) | {"PYRT_SH_IMAGE": "x", "PYRT_ENGINE": "engine"}
    (tmp_path / "engine").write_text("#!/bin/sh\necho called >&2\n")
    (tmp_path / "engine").chmod(0o755)
    (tmp_path / "a:b").mkdir()
    done = subprocess.run([ROOT / "pyrt.sh", "info"], env=env, capture_output=True, text=True, cwd=tmp_path / directory)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 125 and ("a directory of your own" in line or "colon" in line)


def test_the_engine_is_asked_for_nothing_but_its_default(tmp_path: Path):
    """Beyond volumes, variables and the terminal: what it is called with, word for word."""
    env = plain(tmp_path) | {"PYRT_SH_IMAGE": "an-image", "PYRT_ENGINE": "engine"}
    (tmp_path / "engine").write_text('#!/bin/sh\n[ "$1" = version ] || printf "%s\\n" "$@"\n')
    (tmp_path / "engine").chmod(0o755)
    words = subprocess.run(
        [ROOT / "pyrt.sh", "run", "a b", "", "*"], env=env, capture_output=True, text=True, cwd=tmp_path, check=True
    ).stdout.splitlines()
    settings = ("TERM", "NO_COLOR", "PYRT_STRICT", "PYRT_SH_QUIET")
    proxies = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
    passed = [word for name in (*settings, *proxies) for word in ("--env", name)]
    volumes = ["--volume", "pyrt-store:/var/lib/pyrt", "--volume", f"{tmp_path}:{tmp_path}", "--workdir", str(tmp_path)]
    assert words == ["run", "--rm", "--interactive", *volumes, *passed, "an-image", "run", "a b", "", "*"]


@pytest.mark.parametrize("script", ["pyrt.sh", "docker/entry"])
def test_a_plain_posix_shell_reads_it(script: str):
    assert subprocess.run(["sh", "-n", ROOT / script], capture_output=True).returncode == 0


def test_the_first_call_builds_the_image(tmp_path: Path):
    env = plain(tmp_path) | {"PYRT_ENGINE": "engine"}
    (tmp_path / "engine").write_text(_NEW_ENGINE)
    (tmp_path / "engine").chmod(0o755)
    for calls in (["image inspect TAG", "build --tag TAG ROOT", "run TAG info"], ["image inspect TAG", "run TAG info"]):
        done = subprocess.run([ROOT / "pyrt.sh", "info"], env=env, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done
        # What the build says is not the output of the command.
        assert done.stdout == "ran\n" and ("built" in done.stderr) == (len(calls) == 3)
        log = (tmp_path / "log").read_text().replace(str(ROOT), "ROOT").replace(f"pyrt-runtime:{VERSION}", "TAG")
        assert log.splitlines() == calls
        (tmp_path / "log").unlink()


_NEW_ENGINE = """#!/bin/sh
say() { printf '%s\\n' "$*" >>"${0%/*}/log"; }
case $1 in
version) ;;
image) say "$@"; [ -e "${0%/*}/image" ] ;;
build) say "$@"; : >"${0%/*}/image"; echo built ;;
run) while [ $# -gt 2 ]; do shift; done; say run "$@"; echo ran ;;
esac
"""


def test_a_failed_build_is_said(tmp_path: Path):
    env = plain(tmp_path) | {"PYRT_ENGINE": "engine"}
    (tmp_path / "engine").write_text('#!/bin/sh\n[ "$1" = version ]\n')
    (tmp_path / "engine").chmod(0o755)
    done = subprocess.run([ROOT / "pyrt.sh", "info"], env=env, capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr.splitlines()[-1] == "pyrt.sh: the image could not be built, see above"

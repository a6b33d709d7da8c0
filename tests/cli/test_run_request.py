"""``pyrt run`` words to a RunRequest: every option once, docker's rules where options meet, and bad values by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyrt.cli.run import command
from pyrt.cli.run_request import run_request
from pyrt.errors import Unsupported, UsageError
from pyrt.request import Device, DeviceRule, Mount, RunRequest, Ulimit

BIND = Mount(kind="bind", source="/a", target="/b", read_only=True, create_source=True)
ENVIRON = {"HOME": "/home/me", "LANG": "C", "RAW": "\udcff"}


OPTIONS: list[tuple[list[str], dict[str, object]]] = [
    (["--rm"], {"remove": True}),
    (["--rm=true"], {"remove": True}),
    (["--rm=false"], {}),
    (["--rm", "--rm=0"], {}),
    (["-i"], {"interactive": True}),
    (["--tty"], {"tty": True}),
    (["-it"], {"interactive": True, "tty": True}),
    (["--init=t"], {"init": True}),
    (["--read-only"], {"read_only": True}),
    (["--privileged"], {"privileged": True}),
    (["-q"], {}),
    (["-e", "A=1", "-eB=2", "--env=C="], {"env": (("A", "1"), ("B", "2"), ("C", ""))}),
    (["-e", "HOME", "-e", "NOSUCH", "-e", "RAW"], {"env": (("HOME", "/home/me"), ("RAW", "\udcff"))}),
    (["-w", "/x"], {"workdir": "/x"}),
    (["-w", ""], {}),
    (["-u", "1000:app"], {"user": "1000:app"}),
    (["--user="], {}),
    (["--group-add", "audio", "--group-add=20"], {"group_add": ("audio", "20")}),
    (["--name", "web"], {"name": "web"}),
    (["--name", "/web"], {"name": "web"}),
    (["--name="], {}),
    (["-h", "box"], {"hostname": "box"}),
    (["-hbox"], {"hostname": "box"}),
    (["--domainname", "example.com"], {"domainname": "example.com"}),
    (["--entrypoint", "/bin/sh -c"], {"entrypoint": ("/bin/sh -c",)}),
    (["--entrypoint", ""], {"entrypoint": ()}),
    (["-v", "/a:/b:ro"], {"mounts": (BIND,)}),
    (["--mount", "target=/c", "-v", "/a:/b:ro"], {"mounts": (BIND, Mount(kind="volume", target="/c"))}),
    (["--tmpfs", "/t"], {"mounts": (Mount(kind="tmpfs", target="/t"),)}),
    (["--scratch", "disk"], {"scratch": "disk"}),
    (["--shm-size", "1g"], {"shm_size": 1 << 30}),
    (["--shm-size", "0"], {}),
    (["--network", "none"], {"network": "none"}),
    (["--net=none"], {"network": "none"}),
    (["--net", "none", "--network=none"], {"network": "none"}),
    (["--pull=always"], {"pull": "always"}),
    (["--platform", "linux/arm64"], {"platform": "linux/arm64"}),
    (["--cap-add", "ALL", "--cap-drop=MKNOD"], {"cap_add": ("ALL",), "cap_drop": ("MKNOD",)}),
    (["--privileged"], {"privileged": True}),
    (["--security-opt", "no-new-privileges"], {"no_new_privileges": True}),
    (["--security-opt=no-new-privileges:true"], {"no_new_privileges": True}),
    (["--security-opt", "no-new-privileges", "--security-opt=no-new-privileges=false"], {}),
    (["--security-opt", "seccomp=unconfined"], {"seccomp": "unconfined"}),
    (["--security-opt", "seccomp:unconfined"], {"seccomp": "unconfined"}),
    (["--security-opt", "seccomp=unconfined", "--security-opt", "seccomp=builtin"], {}),
    (["--security-opt", "seccomp=/proc/self/status"], {"seccomp": "/proc/self/status"}),
    (["--security-opt", "apparmor=docker-default"], {"apparmor": "docker-default"}),
    (["--security-opt", "label=type:a_t", "--security-opt", "label=level:s0:c1"], {"label": ("type:a_t", "level:s0:c1")}),
    (["--security-opt", "label:disable"], {"label": ("disable",)}),
    (["--security-opt", "mask=/a:/b", "--security-opt", "mask=/c"], {"mask": ("/a", "/b", "/c")}),
    (["--security-opt", "unmask=/proc/*:/sys/firmware"], {"unmask": ("/proc/*", "/sys/firmware")}),
    (["--security-opt", "systempaths=unconfined"], {"unmask": ("ALL",)}),
    (["--pid", "host"], {"pid": "host"}),
    (["--pid=private", "--ipc=host"], {"pid": "private", "ipc": "host"}),
    (["--uts=host"], {"uts": "host"}),
    (["--cgroupns=host"], {"cgroupns": "host"}),
    (["--userns=host"], {"userns": "host"}),
    (["--isolation=userns"], {"isolation": "userns"}),
    (["--min-isolation=chroot"], {"min_isolation": "chroot"}),
    (["--device", "/dev/null:r"], {"devices": (Device(source="/dev/null", target="/dev/null", permissions="r"),)}),
    (["--device-cgroup-rule", "c 42:* rwm"], {"device_rules": (DeviceRule(kind="c", major=42, minor=None),)}),
    (["--device-cgroup-rule=a *:0 r"], {"device_rules": (DeviceRule(kind="a", major=None, minor=0, permissions="r"),)}),
    (["--ulimit", "core=0"], {"ulimits": (Ulimit(name="core", soft=0, hard=0),)}),
    (["--sysctl", "kernel.shmall=1"], {"sysctls": (("kernel.shmall", "1"),)}),
    (["--net=none", "--sysctl=net.x.y=1"], {"network": "none", "sysctls": (("net.x.y", "1"),)}),
    (["-l", "a=1", "--label", "b"], {"labels": (("a", "1"), ("b", ""))}),
    (["--annotation", "a=1"], {"annotations": (("a", "1"),)}),
    (["--add-host", "db:::1"], {"add_host": (("db", "::1"),)}),
    (["--dns", "1.1.1.1"], {"dns": ("1.1.1.1",)}),
    (["--dns-search", "a.b"], {"dns_search": ("a.b",)}),
    (["--dns-option", "ndots:1", "--dns-opt", "debug"], {"dns_option": ("ndots:1", "debug")}),
    (["--stop-signal", "INT"], {"stop_signal": "INT"}),
    (["--stop-timeout", "3"], {"stop_timeout": 3}),
    (["--timeout", "1.5"], {"timeout": 1.5}),
    (["--timeout", "0"], {}),
    (["--cidfile", ""], {}),
    (["--cidfile", "/nosuch/id"], {"cidfile": "/nosuch/id"}),
    (["--name", "one", "--name", "two"], {"name": "two"}),
]  # fmt: skip


def request(*words: str) -> RunRequest:
    """What the command line would ask for."""
    context = command.make_context("run", list(words))
    options = {name: value for name, value in context.params.items() if name not in ("quiet", "dry_run")}
    return run_request(**options, environ=ENVIRON)


def test_nothing_said_is_dockers_default() -> None:
    assert request("busybox") == RunRequest(image="busybox")


@pytest.mark.parametrize(("words", "changed"), OPTIONS)
def test_options(words: list[str], changed: dict[str, object]) -> None:
    assert request(*words, "busybox") == RunRequest(image="busybox", **changed)  # type: ignore[arg-type]


def test_every_field_of_a_request_can_be_asked_for() -> None:
    reached = {name for _, changed in OPTIONS for name in changed}
    assert reached | {"image", "rootfs", "argv"} == set(RunRequest.__slots__)


def test_options_end_at_the_image() -> None:
    asked = request("--rm", "busybox", "ls", "--rm", "-it", "--", "--nosuch", "-e", "A=1")
    assert asked == RunRequest(image="busybox", argv=("ls", "--rm", "-it", "--", "--nosuch", "-e", "A=1"), remove=True)
    assert request("--", "busybox", "-x").argv == ("-x",)


def test_bytes_of_the_command_stay_as_they_are() -> None:
    assert request("busybox", "echo", "\udcff", "\n", "").argv == ("echo", "\udcff", "\n", "")


def test_files_come_before_single_options(tmp_path: Path) -> None:
    (tmp_path / "env").write_text("A=file\nHOME\nB=file\n")
    (tmp_path / "labels").write_text("k=file\n")
    asked = request(
        "-e", "A=option", "--env-file", f"{tmp_path}/env", "-l", "k=option", "--label-file", f"{tmp_path}/labels", "x"
    )
    assert asked.env == (("A", "file"), ("HOME", "/home/me"), ("B", "file"), ("A", "option"))
    assert asked.labels == (("k", "file"), ("k", "option"))


def test_a_directory_instead_of_an_image(tmp_path: Path) -> None:
    asked = request("--rootfs", str(tmp_path), "sh", "-c", "true")
    assert asked == RunRequest(rootfs=str(tmp_path), argv=("sh", "-c", "true"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "'run' requires at least 1 argument"),
        ([""], "the name of the image is empty"),
        (["--rm=x", "i"], 'invalid argument "x" for --rm: must be true or false'),
        (["-v", "x", "i"], 'invalid argument "x" for --volume: '),
        (["-v", "/a:/b", "--tmpfs", "/b", "i"], "two mounts at /b"),
        (["--mount", "type=x,target=/b", "i"], 'invalid argument "type=x,target=/b" for --mount: '),
        (["--tmpfs", "x", "i"], 'invalid argument "x" for --tmpfs: '),
        (["-e", "=1", "i"], 'invalid argument "=1" for --env: '),
        (["--env-file", "/nosuch", "i"], 'invalid argument "/nosuch" for --env-file: no such file'),
        (["--label-file", "/nosuch", "i"], 'invalid argument "/nosuch" for --label-file: no such file'),
        (["-w", "x", "i"], 'invalid argument "x" for --workdir: '),
        (["--name", "a b", "i"], 'invalid argument "a b" for --name: '),
        (["-h", "a b", "i"], 'invalid argument "a b" for --hostname: '),
        (["--shm-size", "big", "i"], 'invalid argument "big" for --shm-size: '),
        (["--scratch", "x", "i"], 'invalid argument "x" for --scratch: '),
        (["--pull", "often", "i"], 'invalid argument "often" for --pull: '),
        (["--platform", "a/b/c/d", "i"], 'invalid argument "a/b/c/d" for --platform: '),
        (["--cap-add", "FOO", "i"], 'invalid argument "FOO" for --cap-add: '),
        (["--cap-drop", "FOO", "i"], 'invalid argument "FOO" for --cap-drop: '),
        (["--device", "x", "i"], 'invalid argument "x" for --device: '),
        (["--ulimit", "x", "i"], 'invalid argument "x" for --ulimit: '),
        (["--sysctl", "x", "i"], 'invalid argument "x" for --sysctl: '),
        (["--sysctl", "net.x.y=1", "i"], "--sysctl net.x.y: would change the host's own network"),
        (["--add-host", "x", "i"], 'invalid argument "x" for --add-host: '),
        (["--dns", "x", "i"], 'invalid argument "x" for --dns: '),
        (["--dns-search", "-x", "i"], 'invalid argument "-x" for --dns-search: '),
        (["--stop-signal", "x", "i"], 'invalid argument "x" for --stop-signal: '),
        (["--stop-timeout", "x", "i"], 'invalid argument "x" for --stop-timeout: '),
        (["--timeout", "x", "i"], 'invalid argument "x" for --timeout: '),
        (["--cidfile", "/etc/passwd", "i"], 'invalid argument "/etc/passwd" for --cidfile: the file exists'),
        (["--rootfs", "/nosuch", "i"], 'invalid argument "/nosuch" for --rootfs: not a directory'),
        (["--net", "host", "--net", "none", "i"], "--network: host and none exclude each other"),
    ],
)
def test_bad_values_name_the_option_and_the_value(words: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        request(*words)
    assert str(caught.value).startswith(message)
    assert not isinstance(caught.value, Unsupported)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--security-opt", "nosuch", "i"], "'nosuch' is no security option"),
        (["--security-opt", "seccomp", "i"], "seccomp needs a value"),
        (["--security-opt", "seccomp=/nosuch", "i"], "seccomp=/nosuch: no such file"),
        (["--security-opt", "no-new-privileges=maybe", "i"], "no-new-privileges: must be true or false"),
        (["--security-opt", "systempaths=x", "i"], "the only value is unconfined"),
        (["--security-opt", "mask=x", "i"], "'x' is no absolute path"),
        (["--security-opt", "mask=ALL", "i"], "'ALL' is no absolute path"),
        (["--security-opt", "unmask=/a:", "i"], "'' is no absolute path and not ALL"),
        (["--security-opt", "writable-cgroups=true", "i"], "cgroups are read-only"),
        (["--pid", "container:x", "i"], "container:x is not supported"),
        (["--ipc", "shareable", "i"], "shareable is not supported"),
        (["--uts", "other", "i"], "must be private or host"),
        (["--userns", "keep-id", "i"], "keep-id: not supported"),
        (["--ipc", "host", "--shm-size", "1m", "i"], "--shm-size: with --ipc host"),
    ],
)
def test_confinement_that_cannot_be(words: list[str], message: str) -> None:
    with pytest.raises((UsageError, Unsupported)) as caught:
        request(*words)
    assert words[0] in str(caught.value) or words[2] in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--network", "bridge", "i"], '--network: the network "bridge" is not supported by this version'),
        (["--mount", "type=image,target=/b", "i"], "--mount: the type 'image' is not supported by this version"),
        (["--device", "v.com/c=n", "i"], "--device: CDI device names are not supported by this version"),
    ],
)
def test_values_that_docker_has_and_we_do_not(words: list[str], message: str) -> None:
    with pytest.raises(Unsupported) as caught:
        request(*words)
    assert str(caught.value).startswith(message)

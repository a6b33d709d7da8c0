"""A process's own properties: capabilities, no_new_privs, keyring, limits, who can see and signal whom, and who can read pyrt's
own state."""

from __future__ import annotations

import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pyrt.container_run import run
from pyrt.errors import PrivilegeError, PyrtError, UsageError
from pyrt.request import Mount, Ulimit
from pyrt.runtime.capabilities import DEFAULT, NAMES, bits
from tests.support import images, prober
from tests.support.parts import need

REPOSITORY = Path(__file__).parents[2]


def capabilities(found: prober.Answers) -> dict[str, int]:
    return {field: int(found["status"][field], 16) for field in ("CapBnd", "CapPrm", "CapEff", "CapInh", "CapAmb")}


def held() -> int:
    return int(prober.bare()["status"]["CapEff"], 16)


@pytest.mark.parametrize("user", ["1000", "app", "1000:0", "4294967294"])
def test_ct_33_a_user_has_no_capability(probe, user):
    found = capabilities(probe("--user", user, sections=("process",)))
    assert {name: mask for name, mask in found.items() if name != "CapBnd" and mask} == {}
    assert found["CapBnd"] == bits(DEFAULT) & held()


def test_ct_33_nor_one_that_root_was_given(probe):
    found = capabilities(probe("--user", "1000", "--cap-add", "NET_ADMIN", sections=("process",)))
    assert found["CapEff"] == found["CapPrm"] == found["CapInh"] == found["CapAmb"] == 0


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (("--cap-add", "net_admin"), {*DEFAULT, "NET_ADMIN"}),
        (("--cap-add", "CAP_NET_ADMIN", "--cap-drop", "CHOWN"), {*DEFAULT, "NET_ADMIN"} - {"CHOWN"}),
        (("--cap-drop", "all"), set()),
        (("--cap-drop", "ALL", "--cap-add", "Chown"), {"CHOWN"}),
        (("--cap-add", "ALL"), {*NAMES}),
        (("--cap-add", "ALL", "--cap-drop", "SYS_ADMIN"), {*NAMES} - {"SYS_ADMIN"}),
        (("--cap-drop", "MKNOD"), {*DEFAULT}),
    ],
    ids=str,
)
def test_ct_34_capabilities_are_exactly_those(probe, options, names):
    found = capabilities(probe(*options, sections=("process",)))
    wanted = sum(1 << NAMES.index(name) for name in names) & held()
    assert found == {"CapBnd": wanted, "CapPrm": wanted, "CapEff": wanted, "CapInh": 0, "CapAmb": 0}


@pytest.mark.parametrize("name", ["NO_SUCH", "CAP_", "", "CHOWN,KILL", "41", "CAP_CAP_CHOWN", "CHOWN\n"])
def test_ct_34_an_unknown_capability_is_an_error(store, name):
    for options in ({"cap_add": [name]}, {"cap_drop": [name]}):
        with pytest.raises(UsageError, match="capability"):
            run("busybox", ["true"], store=store, **options)


def test_ct_34_one_that_the_caller_lacks_is_an_error_and_a_default_one_is_not(store, security_root):
    """In a caller whose bounding set lacks two of them."""
    need("capsh")
    script = (
        "import sys, pyrt\nfrom pyrt.store.store import Store\nstore = Store.open(sys.argv[1])\n"
        "print(pyrt.run('busybox', ['sh', '-c', 'grep CapEff /proc/self/status'], store=store).stdout.split()[1].decode())\n"
        "try:\n pyrt.run('busybox', ['true'], cap_add=['NET_ADMIN'], store=store)\n"
        "except pyrt.PrivilegeError as error:\n print(error)\n"
    )
    argv = ["capsh", "--drop=cap_chown,cap_net_admin", "--shell=" + sys.executable, "--", "-c", script, str(security_root)]
    result = subprocess.run(argv, capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONPATH": str(REPOSITORY)})
    lines = result.stdout.splitlines()
    assert int(lines[0], 16) == bits(DEFAULT) & held() & ~1, result
    assert "NET_ADMIN" in lines[1] and issubclass(PrivilegeError, PyrtError)


def test_ct_35_no_new_privileges_holds_against_setuid(make, store):
    """A setuid program of the image gains with it nothing, and without it what it is for."""
    image = make(
        images.Entry(name="setuid", content=prober.program(), mode=0o4755),
        images.Entry(name="setgid", content=prober.program(), mode=0o2755, gid=5),
    )

    def ids(program: str, **options: bool) -> tuple[str, str]:
        result = run(image, [program, "process"], user="1000", store=store, **options)  # type: ignore[arg-type]
        status = prober.parse(result.stdout)["status"]
        return status["Uid"].split()[1], status["Gid"].split()[1]

    assert (ids("/setuid"), ids("/setgid")) == (("0", "1000"), ("1000", "5"))
    assert ids("/setuid", no_new_privileges=True) == ids("/setgid", no_new_privileges=True) == ("1000", "1000")


def test_ct_35_file_capabilities(make, store):
    """The same for a file that has them: security.capability of CAP_CHOWN, effective."""
    value = (0x02000001).to_bytes(4, "little") + (1).to_bytes(4, "little") + b"\0" * 12
    entry = images.Entry(name="busybox-capable", content=Path("/bin/busybox").read_bytes(), mode=0o755)
    image = make(entry)
    layer = next(path for path in Path(store.layout.root, "layers").rglob("busybox-capable"))
    os.setxattr(layer, "security.capability", value)
    without = run(image, ["/busybox-capable", "grep", "CapEff", "/proc/self/status"], user="1000", store=store)
    with_it = run(
        image, ["/busybox-capable", "grep", "CapEff", "/proc/self/status"], user="1000", no_new_privileges=True, store=store
    )
    assert (int(without.stdout.split()[1], 16), int(with_it.stdout.split()[1], 16)) == (1, 0)


def test_ct_41_keys_are_its_own_and_none_are_left(store, probe):
    """The session keyring of the caller is not handed on, /proc/keys is hidden, many containers leave the quota as it was."""
    found = probe("--security-opt", "seccomp=unconfined", sections=("process",))
    assert found["session_keyring"] > 0 and found["session_keyring"] != prober.bare()["session_keyring"]
    assert found["keys"] == []

    def keys() -> int:
        lines = Path("/proc/key-users").read_text().splitlines() if Path("/proc/key-users").exists() else []
        row = next((line for line in lines if line.split()[0] == "0:"), "0: 0 0/0 0/0 0/0")
        return int(row.split()[3].split("/")[0])

    before = keys()
    count = int(os.environ.get("PYRT_TEST_KEYRINGS", "40"))
    for _ in range(count):
        assert run("busybox", ["true"], store=store).returncode == 0
    deadline = time.monotonic() + 10
    while keys() > before + 5 and time.monotonic() < deadline:
        time.sleep(0.2)  # the kernel collects them in the background
    assert keys() <= before + 5


def test_ct_48_signals_and_listings_end_at_the_namespace(busybox):
    outside = subprocess.Popen(["sleep", "300"])
    try:
        script = "kill -9 -1 2>/dev/null; kill -9 0; true"
        assert busybox(script).returncode in (0, 137)
        script = f"kill -9 {outside.pid} 2>/dev/null && echo killed; ls -d /proc/{outside.pid} 2>/dev/null; echo end"
        assert busybox(script).stdout == b"end\n"
        assert outside.poll() is None
    finally:
        outside.kill()
        outside.wait()


def test_ct_48_the_hosts_processes_when_they_are_asked_for(busybox):
    assert int(busybox("ls /proc | grep -c '^[0-9]'", pid="host").stdout) > 5


def test_ct_49_abstract_sockets_of_the_host(busybox, tmp_path):
    """They belong to the network namespace; with one of its own a container reaches none. pyrt itself opens none."""
    name = f"\0pyrt-canary-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as canary:
        canary.bind(name)
        canary.listen()
        script = f"grep -c pyrt-canary-{os.getpid()} /proc/net/unix; true"
        assert busybox(script, network="none").stdout.strip() == b"0"
        assert busybox(script, network="host").stdout.strip() == b"1", "what the host's network means"
    script = "while [ ! -e /s/stop ]; do cat /proc/net/unix > /s/sockets; sleep 0.05; done"
    mounts = [Mount(kind="bind", source=str(tmp_path), target="/s")]
    thread = threading.Thread(target=lambda: busybox(script, mounts=mounts, timeout=60))
    thread.start()
    time.sleep(1)
    (tmp_path / "stop").touch()
    thread.join()
    listening = (tmp_path / "sockets").read_text()
    assert listening and not [
        line for line in listening.splitlines() if "@" in line and "pyrt" in line and "canary" not in line
    ]


def test_ct_60_the_oom_killer_finds_it_as_the_caller_said(probe, tmp_path):
    """Inherited, and not to be lowered: that takes CAP_SYS_RESOURCE, which no container has by default."""
    own = Path("/proc/self/oom_score_adj")
    before = own.read_text()
    try:
        own.write_text("500")
        found = probe(sections=("process", "acts"))
        assert found["oom_score_adj"] == ["500"] and found["acts"]["lower oom_score_adj"] in (1, 13)
    finally:
        try:
            own.write_text(before)
        except OSError:  # without CAP_SYS_RESOURCE nobody lowers it below what he was started with, which 500 is not
            own.write_text("0")


def test_ct_61_limits_are_set_exactly_or_refused(store):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    script = (
        "ulimit -Sn; ulimit -Hn; ulimit -Sl; ulimit -Hl; ulimit -Sc; ulimit -Ss; ulimit -n 100 && ulimit -n; "
        "(ulimit -Hn 200) 2>/dev/null || echo no"
    )
    limits = [
        Ulimit(name="nofile", soft=50, hard=100),
        Ulimit(name="memlock", soft=65536, hard=65536),
        Ulimit(name="core", soft=0, hard=0),
    ]
    lines = run("busybox", ["sh", "-c", script], ulimits=limits, store=store).stdout.decode().split()
    assert lines[:5] == ["50", "100", "64", "64", "0"] and lines[-2:] == ["100", "no"], lines
    assert soft <= hard
    raised = Ulimit(name="nofile", soft=hard + 1, hard=hard + 1)
    if held() >> NAMES.index("SYS_RESOURCE") & 1:
        assert run("busybox", ["sh", "-c", "ulimit -Hn"], ulimits=[raised], store=store).stdout.split() == [
            str(hard + 1).encode()
        ]
    else:
        with pytest.raises(PyrtError, match="resource limits"):
            run("busybox", ["true"], ulimits=[raised], store=store)


@pytest.mark.parametrize("text", ["nofile", "nofile=x", "nosuch=1", "nofile=2:1", "core=-2", "nofile=1:2:3", "=1"])
def test_ct_61_what_is_no_limit(command, text):
    result = command("--ulimit", text, "busybox", "true")
    assert result.returncode == 125 and result.stderr.count(b"\n") == 1, result


def test_ct_67_the_store_is_closed_to_others(store, security_root):
    """Directories 0700 from the root on, no file that another user can read through them, no socket in a public place."""
    for path in (security_root, *security_root.iterdir()):
        if path.is_dir() and path.name not in ("run",):
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    script = (
        f"import os\nos.setgid(65534); os.setgroups([]); os.setuid(65534)\nfor d in {[str(security_root)]!r}:\n os.listdir(d)"
    )
    blocked = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert "PermissionError" in blocked.stderr or "Permission denied" in blocked.stderr


def test_ct_67_also_while_a_container_runs(store, security_root, tmp_path):
    argv = [sys.executable, "-m", "pyrt", "--root", str(security_root), "run", "--rm", "busybox", "sh", "-c"]
    argv += ["trap 'exit 0' TERM; echo up; while :; do sleep 0.1; done"]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(REPOSITORY)})
    try:
        assert process.stdout is not None and process.stdout.readline() == b"up\n"
        for path in security_root.rglob("*"):
            parents = [parent for parent in path.parents if security_root in (parent, *parent.parents)]
            assert any(stat.S_IMODE(parent.stat().st_mode) & 0o077 == 0 for parent in parents), path
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)

"""Users, groups and the environment, as a program in a container finds them (the rules alone: tests/runtime/test_users.py)."""

from __future__ import annotations

import os

import pytest

from pyrt.container_run import run
from pyrt.errors import ImageError, PyrtError, UsageError
from tests.support import images

Entry = images.Entry
PASSWD = "root:x:0:0::/root:/bin/sh\n1000:x:0:0:number as a name:/:\napp:x:1000:1000::/home/app:\nbad\x7f:x:7:7::/:\n"
GROUP = "root:x:0:\napp:x:1000:\nextra:x:2000:app\nother:x:3000:nobody\n70:x:4000:\n"


@pytest.fixture
def people(make) -> str:
    files = [Entry(name="etc/passwd", content=PASSWD.encode()), Entry(name="etc/group", content=GROUP.encode())]
    shared = [
        Entry(name="shared", content=b"for the group\n", mode=0o070, uid=7, gid=2000),
        Entry(name="denied", mode=0o705, uid=7, gid=2000),
    ]
    return make(*files, *shared)


@pytest.mark.parametrize(
    ("spec", "ids"),
    [
        ("1", "1 0 0"),
        ("1:2", "1 2 2"),
        ("app", "1000 1000 1000 2000"),
        ("app:extra", "1000 2000 2000"),
        ("01", "1 0 0"),
        ("", "0 0 0"),
    ],
)
def test_id_01_specifications_arrive(people, store, spec, ids):
    result = run(people, ["sh", "-c", "echo $(id -u) $(id -g) $(id -G)"], user=spec or None, store=store)
    assert result.stdout.decode().split()[:2] == ids.split()[:2] and {*result.stdout.split()[2:]} == {*ids.encode().split()[2:]}


@pytest.mark.parametrize("spec", [" ", ":g", "1:", "0x1", "+1", "-1", "1 ", "app\n", "1:2:3", "\t"])
def test_id_01_what_is_none_is_no_root(people, store, spec):
    with pytest.raises(UsageError):
        run(people, ["id", "-u"], user=spec, store=store)


def test_id_02_a_number_is_a_number(people, store):
    """An account named 1000 with uid 0 (CVE-2016-3697), and a group named 70."""
    assert run(people, ["sh", "-c", "id -u"], user="1000", store=store).stdout == b"1000\n"
    assert run(people, ["sh", "-c", "id -g"], user="1:70", store=store).stdout == b"70\n"


@pytest.mark.parametrize("number", [2**31 - 1, 2**31, 2**32 - 2])
def test_id_03_large_ids(people, store, number):
    assert (
        run(people, ["sh", "-c", "id -u; id -g"], user=f"{number}:{number}", store=store).stdout.split()
        == [str(number).encode()] * 2
    )


@pytest.mark.parametrize("number", [2**32 - 1, 2**32, 2**32 + 1, 2**64, 10**30])
def test_id_03_ids_that_would_wrap(people, store, number):
    for spec in (f"{number}", f"1:{number}"):
        with pytest.raises(UsageError, match="out of range"):
            run(people, ["id"], user=spec, store=store)


def test_id_04_groups_are_exactly_those_of_the_image(people, store):
    """Seen by what a file's group bits allow, and, the other way round, forbid (CVE-2022-2989)."""
    script = "cat /shared; cat /denied 2>/dev/null && echo read; id -G"
    assert run(people, ["sh", "-c", script], user="app", store=store).stdout == b"for the group\n1000 2000\n"
    assert run(people, ["sh", "-c", script], user="app:app", store=store).stdout == b"read\n1000\n"
    assert run(people, ["sh", "-c", "cat /shared"], user="1", group_add=["extra"], store=store).stdout == b"for the group\n"


def test_id_05_the_callers_groups_are_not_there(people, store):
    before = os.getgroups()
    os.setgroups([0, 4, 27, 2000])
    try:
        for user, groups in ((None, [b"0"]), ("1", [b"0"]), ("app:app", [b"1000"])):
            assert run(people, ["id", "-G"], user=user, store=store).stdout.split() == groups
    finally:
        os.setgroups(before)


def test_id_06_id_07_files_that_are_none(make, store):
    """Followed inside; a FIFO, a device or a giant holds nobody up."""
    for entry in (
        Entry(name="etc/passwd", kind="sym", link="/etc/passwd"),
        Entry(name="etc/passwd", kind="fifo"),
        Entry(name="etc/passwd", kind="char", device=(1, 5)),
        Entry(name="etc/passwd", kind="dir", mode=0o755),
        Entry(name="etc/passwd", content=b"\n" * (11 << 20)),
    ):
        with pytest.raises(ImageError, match="/etc/passwd"):
            run(make(entry), ["true"], user="app", store=store)
    for entry in (
        Entry(name="etc/passwd", kind="sym", link="/etc/shadow"),
        Entry(name="etc/passwd", kind="sym", link="../../../../etc/passwd-"),
    ):
        with pytest.raises(UsageError, match="no such user"):
            run(make(entry), ["true"], user="app", store=store)


@pytest.mark.parametrize(
    "value", ["/root\nadmin:x:0:0::/:/bin/sh", "/root\\nadmin:x:0:0::/:", "/a:b", "", "relative", "/x\x1b[2J"]
)
def test_id_09_home_is_a_variable_and_nothing_else(make, store, value):
    """No file of the image is written from it (CVE-2022-4318)."""
    image = make(config={"Env": [images.PATH, f"HOME={value}", f"USER={value}"]})
    result = run(image, ["sh", "-c", 'sha256sum < /etc/passwd; printf %s "$HOME"'], store=store)
    import hashlib

    digest, _, home = result.stdout.partition(b"  -\n")
    assert (digest.decode(), home.decode()) == (hashlib.sha256(images.PASSWD.encode()).hexdigest(), value)


def test_id_09_a_home_of_the_images_passwd(make, store):
    rows = b"app:x:1000:1000::/home/app:\nrel:x:1001:1001::relative:\nctl:x:1002:1002::/a\x01b:\n"
    image = make(Entry(name="etc/passwd", content=rows))
    homes = [run(image, ["sh", "-c", 'printf %s "$HOME"'], user=name, store=store).stdout for name in ("app", "rel")]
    assert homes == [b"/home/app", b"/"]


@pytest.mark.parametrize("user", ["nosuch", "nosuch:app", "app:nosuch", "bad\x7f"])
def test_id_10_unknown_names_are_errors(people, store, user):
    with pytest.raises(UsageError):
        run(people, ["true"], user=user, store=store)


@pytest.mark.parametrize("user", ["nosuch", "app ", "app\n", " app", "app\0", "1000\n", "app:\n"])
def test_id_10_id_11_also_those_of_an_image(make, store, user):
    with pytest.raises(PyrtError) as caught:
        run(make(config={"User": user}), ["true"], store=store)
    assert "\n" not in str(caught.value)


def test_id_12_nothing_of_the_callers_environment(store, monkeypatch):
    for name in (
        "http_proxy",
        "HTTPS_PROXY",
        "no_proxy",
        "AWS_SECRET_ACCESS_KEY",
        "LD_PRELOAD_NOT",
        "TERM",
        "LANG",
        "USER",
        "PYRT_X",
    ):
        monkeypatch.setenv(name, "secret-of-the-host")
    found = run("busybox", ["env"], store=store).stdout.decode()
    assert "secret-of-the-host" not in found
    assert {line.partition("=")[0] for line in found.split()} == {"PATH", "HOSTNAME", "HOME"}


def test_id_12_nor_of_another_containers(store):
    run("busybox", ["true"], env={"SECRET": "of-a-neighbour"}, store=store)
    assert b"of-a-neighbour" not in run("busybox", ["env"], store=store).stdout


def test_id_13_defaults(store, make, command):
    plain = dict(line.split("=", 1) for line in run("busybox", ["env"], store=store).stdout.decode().split())
    assert plain["PATH"] == images.PATH.partition("=")[2] and plain["HOME"] == "/root" and len(plain["HOSTNAME"]) == 12
    assert dict(line.split("=", 1) for line in command("-t", "busybox", "env").stdout.decode().split())["TERM"] == "xterm"
    doubled = make(config={"Env": ["PATH=/first", images.PATH, "A=1", "A=2", "HOME=", "EMPTY="]})
    lines = run(doubled, ["env"], env={"A": "3"}, store=store).stdout.decode().splitlines()
    assert (
        [line for line in lines if line.startswith(("A=", "PATH="))] == [images.PATH, "A=3"]
        and "HOME=" in lines
        and "EMPTY=" in lines
    )


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777])
def test_id_14_the_umask_is_22_whatever_the_callers(store, umask):
    before = os.umask(umask)
    try:
        result = run("busybox", ["sh", "-c", "umask; touch /tmp/f; mkdir /tmp/d; stat -c %a /tmp/f /tmp/d"], store=store)
    finally:
        os.umask(before)
    assert result.stdout.split() == [b"0022", b"644", b"755"]

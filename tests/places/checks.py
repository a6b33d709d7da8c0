"""What is run in every place: one table for all of them. A check raises AssertionError; it may record facts for the table of
docs/where-it-runs.md."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.places.place import Inside, Place, Shelf

BUSYBOX, SOFTWARE = "busybox", "software"
APT = "dbus openssh-server cron man-db sudo postgresql-common"
Record = Callable[[str, object], None]


@dataclass(frozen=True)
class Visit:
    """One check's view of a place: ``root`` is its store there."""

    place: Place
    inside: Inside
    shelf: Shelf
    record: Record

    def pull(self, image: str) -> None:
        done = self.inside.pyrt("pull", "-q", f"oci:{self.shelf.image(image)}:docker.io/library/{image}:latest", timeout=300)
        assert done.returncode == 0, done

    def run(self, *words: str, timeout: float = 120, input: str = "") -> str:
        """Standard output of ``pyrt run --rm WORDS...``, which has to succeed."""
        done = self.inside.pyrt("run", "--rm", *words, timeout=timeout, input=input)
        assert done.returncode == 0, done
        return done.stdout

    def facts(self) -> dict[str, object]:
        """``pyrt info``."""
        done = self.inside.pyrt("info", "--format", "json")
        assert done.returncode == 0, done
        found: dict[str, object] = json.loads(done.stdout)
        return found

    @contextmanager
    def directory(self) -> Iterator[str]:
        """A new directory of the user's, in the place."""
        path = self.inside.check("mktemp", "-d", f"{self.inside.home}/XXXXXX").strip()
        try:
            yield path
        finally:
            self.inside.check("rm", "-rf", path)


def info(visit: Visit) -> None:
    found = visit.facts()
    isolation = found["Isolation"]
    assert isinstance(isolation, dict)
    visit.record("rung", isolation["Rung"])
    visit.record("barriers", json.dumps(isolation["Barriers"]))
    assert isolation["Rung"] == visit.place.expected.rung, isolation
    if visit.place.expected.rung != "none":
        off = {barrier["Name"] for barrier in isolation["Barriers"] if not barrier["On"]}
        assert off - OFTEN_OFF == visit.place.expected.off, isolation


def doctor(visit: Visit) -> None:
    """What holds the place back, each with a line; and the exit code says whether containers start."""
    done = visit.inside.pyrt("doctor", "--format", "json")
    found = json.loads(done.stdout)
    visit.record("obstacles", json.dumps(found["Obstacles"]))
    assert found["Rung"] == visit.place.expected.rung, found
    assert {one["Raises"] for one in found["Obstacles"]} == visit.place.expected.raised, found
    assert all(one["Lines"] for one in found["Obstacles"]), found
    assert done.returncode == (1 if visit.place.expected.rung == "none" else 0), done


# Off in every place unless an option asks for them, or the kernel of the machine brings them.
OFTEN_OFF = frozenset({"network namespace", "user namespace", "no_new_privs", "AppArmor", "SELinux", "non-root user"})


def first_run(visit: Visit) -> None:
    number = visit.run(BUSYBOX, "sh", "-c", "echo $$").strip()
    assert number.isdigit()
    if "pid namespace" not in visit.place.expected.off:
        assert number == "1"


def exit_codes(visit: Visit) -> None:
    cases = {
        ("true",): 0, ("sh", "-c", "exit 3"): 3, ("/not/there",): 127, ("/etc/passwd",): 126,
        ("sh", "-c", "sh -c 'kill -TERM $$'; exit $?"): 143,
        ("sh", "-c", "sh -c 'kill -KILL $$'; exit $?"): 137,
    }  # fmt: skip
    for command, code in cases.items():
        done = visit.inside.pyrt("run", "--rm", BUSYBOX, *command)
        assert done.returncode == code, done
    assert visit.inside.pyrt("run", "--rm", "--no-such-flag", BUSYBOX).returncode == 125


def streams(visit: Visit) -> None:
    done = visit.inside.pyrt("run", "--rm", "-i", BUSYBOX, "sh", "-c", "cat; echo error >&2", input="some lines\n" * 10_000)
    assert (done.returncode, done.stdout) == (0, "some lines\n" * 10_000) and "error\n" in done.stderr


def files_of_volumes(visit: Visit) -> None:
    """What container root makes in a directory of the user's is the user's, and what is there can be read."""
    with visit.directory() as path:
        visit.inside.check("sh", "-c", f"echo outside >{path}/given; mkdir -m 700 {path}/closed; echo x >{path}/closed/x")
        script = (
            "cat /v/given /v/closed/x; mkdir /v/made; echo inside >/v/made/file; mv /v/given /v/moved; stat -c %u /v/made/file"
        )
        assert visit.run("-v", f"{path}:/v", BUSYBOX, "sh", "-ec", script).split() == ["outside", "x", "0"]
        owner = visit.inside.check("sh", "-c", "echo $(id -u):$(id -g)").strip()
        listed = visit.inside.check("find", path, "-mindepth", "1", "-printf", "%U:%G %P\n").splitlines()
        names = ("closed", "closed/x", "made", "made/file", "moved")
        assert sorted(listed) == [f"{owner} {name}" for name in names]
        assert visit.inside.check("cat", f"{path}/made/file") == "inside\n"
        done = visit.inside.pyrt("run", "--rm", "-v", f"{path}:/v:ro", BUSYBOX, "touch", "/v/made/other")
        assert done.returncode == 1 and "ead-only" in done.stderr, done


def users(visit: Visit) -> None:
    for user, shown in {"1000": "1000:1000", "app": "1000:1000", "1000:0": "1000:0"}.items():
        assert visit.run("--user", user, BUSYBOX, "sh", "-c", "echo $(id -u):$(id -g)").strip() == shown
    assert visit.run("--user", "app", BUSYBOX, "sh", "-c", "touch /tmp/x; stat -c %u /tmp/x").split() == ["1000"]
    if visit.place.expected.ids == "all":
        assert visit.run("--user", "app", BUSYBOX, "sh", "-c", "test -w /etc || echo closed").split() == ["closed"]
        assert visit.run(BUSYBOX, "sh", "-ec", "touch /x; chown 33:44 /x; stat -c %u:%g /x /home/app").split() == [
            "33:44",
            "1000:1000",
        ]
    else:
        visit.run(BUSYBOX, "sh", "-ec", "touch /x; chown 33:44 /x")  # a program that insists goes on


# What a container may leave that makes its removal hard: other owners, closed directories, files that nobody may write.
_STUBBORN = """
mkdir -p /a/b; echo x >/a/b/file; chmod 400 /a/b/file; chown -R 1000:1000 /a; chmod 000 /a/b; rm -r /home/app /bin/wget
mkdir /etc/new; chmod 500 /etc/new; ln -s /nowhere /link; mkfifo /fifo; chmod 0 /etc/passwd
"""


def nothing_is_left(visit: Visit) -> None:
    """A container is kept, and removed, and the image after it: the store is then as an empty one is."""
    root = str(visit.facts()["DockerRootDir"])
    done = visit.inside.pyrt("run", "--name", "kept", BUSYBOX, "sh", "-ec", _STUBBORN)
    assert done.returncode == 0, done
    for words in (("rm", "kept"), ("rmi", BUSYBOX)):
        done = visit.inside.pyrt(*words)
        assert done.returncode == 0, done
    found = visit.inside.run(
        "find", root, "-mindepth", "2", "-not", "-path", f"{root}/filters/*", "-not", "-path", f"{root}/locks/*"
    )
    left = [line for line in found.stdout.splitlines() if line.removeprefix(f"{root}/") not in _SKELETON]
    left = [path for path in left if not path.startswith(f"{root}/run/")]
    assert (left, found.stderr) == ([], "")


_SKELETON = {"blobs/sha256"}


def apt(visit: Visit) -> None:
    """In the packages are programs that change owners, make users and device nodes, and set ids."""
    install = f"DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends {APT}"
    script = f"exec 2>&1; apt-get update; {install}; dpkg --audit; dpkg-query -W -f '${{db:Status-Status}}\\n' {APT} | sort -u"
    said = visit.run(SOFTWARE, "sh", "-ec", script, timeout=600)
    assert said.splitlines()[-1] == "installed", said


def pip(visit: Visit) -> None:
    script = """
mkdir /p; cd /p; python3 -m venv --system-site-packages /v
printf '[build-system]\\nrequires = ["setuptools"]\\nbuild-backend = "setuptools.build_meta"\\n[project]\\nname = "probe"\\nversion = "1"\\n' >pyproject.toml
echo 'ANSWER = 42' >probe.py
/v/bin/pip -q install --no-index --no-build-isolation .
cd /; /v/bin/python -c 'import probe; print(probe.ANSWER)'
"""  # noqa: E501 (a file in one line)
    assert visit.run(SOFTWARE, "sh", "-ec", script, timeout=300).split()[-1] == "42"


def npm(visit: Visit) -> None:
    """npm runs a package's scripts as the owner of the directory."""
    script = """
mkdir /probe /app; cd /probe
echo '{"name": "probe", "version": "1.0.0", "main": "i.js", "scripts": {"install": "echo 42 >made"}}' >package.json
echo 'module.exports = require("fs").readFileSync(__dirname + "/made", "utf8")' >i.js
npm pack --silent >/dev/null; cd /app; npm install --silent --offline --no-audit /probe/probe-1.0.0.tgz >/dev/null
node -e 'process.stdout.write(require("probe"))'
"""
    assert visit.run(SOFTWARE, "sh", "-ec", script, timeout=300).split()[-1] == "42"


def dnf(visit: Visit) -> None:
    script = """
mkdir -p /probe /out; cd /probe
cat >probe.spec <<'END'
Name: probe
Version: 1
Release: 1
Summary: a probe
License: none
BuildArch: noarch
Provides: /bin/sh
%description
A probe.
%install
mkdir -p %{buildroot}/usr/share/probe; echo 42 >%{buildroot}/usr/share/probe/answer
%pre
useradd --system probe
%files
%attr(4750, root, daemon) /usr/share/probe/answer
%dir %attr(0755, daemon, daemon) /usr/share/probe
END
rpmbuild --quiet -bb --define '_rpmdir /out' probe.spec >/dev/null 2>&1
dnf -q -y --disablerepo='*' --setopt=gpgcheck=0 --nogpgcheck install /out/noarch/probe-1-1.noarch.rpm
grep -c '^probe:' /etc/passwd; stat -c %a /usr/share/probe/answer; cat /usr/share/probe/answer
"""
    assert visit.run(SOFTWARE, "sh", "-ec", script, timeout=300).split()[-3:] == ["1", "4750", "42"]


def refused(visit: Visit) -> None:
    """Where no container can be started: one line that names the cause, and one that says what would change it."""
    done = visit.inside.pyrt("run", "--rm", BUSYBOX, "true")
    visit.record("refused", done.stderr.strip())
    lines = done.stderr.strip().splitlines()
    assert done.returncode == 125 and len(lines) <= 2 and lines[0].startswith("pyrt: "), done
    assert re.search(visit.place.expected.refused, done.stderr), done


@dataclass(frozen=True)
class Check:
    """``what`` says it in a few words. ``image`` is what has to be there, "" for nothing; ``server`` whether it
    asks servers of the network."""

    what: str
    does: Callable[[Visit], None]
    image: str = "busybox"
    server: bool = False


CHECKS: dict[str, Check] = {
    "doctor": Check("`pyrt doctor`: what holds the place back, and the lines for it", doctor, image=""),
    "info": Check("`pyrt info --format json`: rung and barriers", info),
    "run": Check("`pyrt run busybox sh -c 'echo $$'`", first_run),
    "exit codes": Check("0, the program's own, 125, 126, 127, 128+n", exit_codes),
    "streams": Check("standard input and both outputs, through a container", streams),
    "volumes": Check("`-v`: who owns what container root writes; `:ro`", files_of_volumes),
    "users": Check("`--user` by number, by name, with a group; chown", users),
    "rm": Check("nothing is left after `pyrt rm` and `pyrt rmi`, whoever owned it", nothing_is_left),
    "apt": Check(f"`apt-get update && apt-get install {APT}`", apt, "software", server=True),
    "pip": Check("`pip install` of a source tree into a venv", pip, "software"),
    "npm": Check("`npm install` of a package with an install script", npm, "software"),
    "dnf": Check("`dnf install` of an rpm with owners, modes and a user of its own", dnf, "software"),
    "refused": Check("`pyrt run` where there is no rung: the exact cause and the line that changes it", refused),
}


def due(place: Place, name: str) -> bool:
    """Whether a check says something about a place."""
    if place.expected.rung == "none":
        return name in ("doctor", "info", "refused")
    return name != "refused"

"""ps, inspect and rm on records in a store; containers that really ran are in tests/run."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from pyrt.store.records import Held, Record, State
from pyrt.store.store import Store
from tests.cli.conftest import Pyrt, code_for

SPEC = {
    "hostname": "box",
    "root": {"path": "/nosuch", "readonly": True},
    "process": {"args": ["sh", "-c", "echo one two three"], "env": ["A=1"], "cwd": "/w", "user": {"uid": 7, "gid": 8},
                "apparmorProfile": "pyrt-default-1"},
    "linux": {"namespaces": [{"type": "pid"}, {"type": "network"}]},
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc", "options": []},
        {"destination": "/etc/hosts", "type": "bind", "source": "/somewhere", "options": ["bind"]},
        {"destination": "/d", "type": "bind", "source": "/srv", "options": ["rbind", "rprivate", "ro"]},
        {"destination": "/v", "type": "bind", "source": "/root/volumes/vol/data", "options": ["rbind", "rslave", "rw"]},
    ],
}


def record(number: int, name: str, **more: object) -> Record:
    fields: dict[str, object] = {
        "id": f"{number:064x}",
        "name": name,
        "image": "old:1",
        "image_digest": "",
        "layers": (),
        "command": ("sh", "-c", "echo one two three"),
        "created": f"2026-01-0{number}T10:00:00.123456789Z",
        "spec": SPEC,
        **more,
    }
    now = {name: fields.pop(name) for name in State.__slots__ if name in fields}
    return Record(**fields, now=State(**now))  # type: ignore[arg-type]


@pytest.fixture
def three(pyrt: Pyrt, store: Store) -> Iterator[Pyrt]:
    """One that was made, one that has ended, one that runs (this process holds it)."""
    held: list[Held] = []
    for one in (
        record(1, "made"),
        record(
            2, "ended", state="exited", exit_code=3, started="2026-01-02T10:00:01Z", finished="2026-01-02T10:00:02Z",
            labels=(("a", "1"), ("b.c", "x\ty")),
        ),
        record(3, "runs", state="running", pid=1, started="2026-01-03T10:00:01Z", image="docker.io/library/new:latest"),
    ):  # fmt: skip
        with store.using():
            held.append(store.containers.create(one))
    for ended in held[:2]:
        ended.release()
    yield pyrt
    held[2].release()


def names(pyrt: Pyrt, *words: str) -> list[str]:
    told = pyrt("ps", "--format", "{{.Names}}", *words)
    assert (told.code, told.err) == (0, "")
    return told.lines


def test_the_table(three: Pyrt) -> None:
    told = three("ps", "-a")
    assert told.lines[0].split() == ["CONTAINER", "ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"]
    assert [line.split()[-1] for line in told.lines[1:]] == ["runs", "ended", "made"]
    assert told.lines[1].startswith('000000000000   new:latest   "sh -c echo one two …"   ')
    assert " Up " in told.lines[1]
    assert "Exited (3) " in told.lines[2]
    assert three("container", "ls", "-a").out == told.out
    assert three("container", "ps", "-a").out == told.out


def test_without_all_only_those_that_run(three: Pyrt) -> None:
    assert names(three) == ["runs"]
    assert names(three, "-a") == ["runs", "ended", "made"]
    assert names(three, "-n", "2") == ["runs", "ended"]
    assert names(three, "--latest") == ["runs"]
    assert names(three, "-n", "-1") == ["runs"]
    assert three("ps", "-q").out == "000000000000\n"
    assert three("ps", "-aq", "--no-trunc").lines[2] == f"{1:064x}"


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (["name=e"], ["ended", "made"]),
        (["name=^made$"], ["made"]),
        (["name=/ended"], ["ended"]),
        (["id=" + "0" * 63 + "2"], ["ended"]),
        (["status=exited"], ["ended"]),
        (["status=created"], ["made"]),
        (["status=running"], ["runs"]),
        (["status=running", "status=exited"], ["runs", "ended"]),
        (["status=paused"], []),
        (["exited=3"], ["ended"]),
        (["exited=0"], []),
        (["label=a"], ["ended"]),
        (["label=a=1", "label=b.c"], ["ended"]),
        (["label=a=2"], []),
        (["ancestor=old:1"], ["ended", "made"]),
        (["ancestor=docker.io/library/new:latest"], ["runs"]),
        (["ancestor=nosuch"], []),
        (["before=ended"], ["made"]),
        (["since=ended"], ["runs"]),
        (["name=e", "label=a"], ["ended"]),
    ],
)
def test_filters(three: Pyrt, filters: list[str], expected: list[str]) -> None:
    words = [word for text in filters for word in ("--filter", text)]
    assert names(three, "-a", *words) == expected


def test_a_status_shows_those_that_have_ended_too(three: Pyrt) -> None:
    assert "ended" in names(three, "-f", "status=exited")


def test_formats(three: Pyrt) -> None:
    row = json.loads(three("ps", "-n", "2", "--format", "json").lines[1])
    assert row["Names"] == "ended"
    assert row["State"] == "exited"
    assert row["Command"] == '"sh -c echo one two …"'
    assert row["Labels"] == "a=1,b.c=x\ty"
    assert row["Networks"] == "none"
    assert row["Mounts"] == "/srv,vol"
    assert row["LocalVolumes"] == "1"
    assert row["CreatedAt"] == "2026-01-02 10:00:00 +0000 UTC"
    assert names(three, "-a", "-f", "name=ended") == ["ended"]
    assert three("ps", "-a", "-f", "name=ended", "--format", '{{.Label "a"}}|{{.Label "no"}}|').out == "1||\n"
    assert three("ps", "--format", 'table {{.Names}}\\t{{.Label "x.y"}}').lines[0] == "NAMES     y"
    assert three("ps", "-a", "--format", "table {{.Labels}}").lines[2] == "a=1,b.c=x\\ty"


def test_inspect_has_dockers_shape(three: Pyrt, store: Store) -> None:
    (document,) = json.loads(three("inspect", "ended").out)
    assert document["Name"] == "/ended"
    assert document["Path"] == "sh"
    assert document["Args"] == ["-c", "echo one two three"]
    assert document["State"]["Status"] == "exited"
    assert document["State"]["ExitCode"] == 3
    assert document["State"]["Running"] is False
    assert document["State"]["FinishedAt"] == "2026-01-02T10:00:02Z"
    assert document["Config"]["Labels"] == {"a": "1", "b.c": "x\ty"}
    assert document["Config"]["Hostname"] == "box"
    assert document["Config"]["User"] == "7:8"
    assert document["Config"]["WorkingDir"] == "/w"
    assert document["AppArmorProfile"] == "pyrt-default-1" and document["ProcessLabel"] == ""
    assert document["HostConfig"]["NetworkMode"] == "none"
    assert document["HostConfig"]["ReadonlyRootfs"] is True
    assert document["HostConfig"]["Binds"] == ["/srv:/d:ro", "vol:/v"]
    assert [mount["Type"] for mount in document["Mounts"]] == ["bind", "volume"]
    assert document["Mounts"][1]["Propagation"] == "rslave"
    assert three("container", "inspect", "ended").out == three("inspect", "--type=container", "ended").out
    assert three("inspect", f"{2:064x}").out == three("inspect", "ended").out


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{.State.Status}}", "running"),
        ("{{.State.Running}} {{.State.Pid}} {{.State.ExitCode}}", "true 1 0"),
        ("{{.Name}}", "/runs"),
        ("{{.Config.Labels}}", "map[]"),
        ("{{range .Mounts}}{{.Source}}->{{.Destination}} {{end}}", "/srv->/d /root/volumes/vol/data->/v "),
        ("{{json .Config.Env}}", '["A=1"]'),
        ("{{if .State.Running}}yes{{end}}", "yes"),
    ],
)
def test_inspect_by_template(three: Pyrt, template: str, text: str) -> None:
    assert three("inspect", "--format", template, "runs").out == f"{text}\n"


def test_xc_08_what_a_container_was_told_reaches_no_terminal_as_such(pyrt: Pyrt, store: Store) -> None:
    odd = "\x1b]52;c;eA==\x07\u202etxt"
    spec = {**SPEC, "process": {**SPEC["process"], "args": ["sh", odd]}}  # type: ignore[dict-item]
    store.containers.create(record(4, "odd", command=("sh", odd), image=odd, labels=(("l", odd),), spec=spec)).release()
    for words in (["ps", "-a", "--no-trunc"], ["inspect", "odd"], ["ps", "-a", "--format", "table {{.Command}} {{.Labels}}"]):
        shown = pyrt(*words).out
        assert "\x1b" not in shown and "\x07" not in shown and "\u202e" not in shown, words


def test_rm(three: Pyrt, store: Store) -> None:
    told = three("rm", "ended", "nosuch", "made")
    assert (told.code, told.lines) == (1, ["ended", "made"])
    assert told.err.startswith("pyrt: container nosuch: no such container")
    told = three("rm", "runs")
    assert (told.code, told.out) == (1, "")
    assert "running" in told.err
    told = three("rm", "--force", "nosuch")
    assert (told.code, told.out) == (0, "")
    assert [one.name for one in store.containers.list()] == ["runs"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ps", "x"], "'pyrt ps' accepts no arguments"),
        (["ps", "-f", "nosuch=1"], "--filter nosuch=1: no such filter"),
        (["ps", "-f", "status=x"], "--filter status=x: no such status"),
        (["ps", "-f", "exited=x"], "--filter exited=x: not an exit code"),
        (["ps", "-f", "name=("], "--filter name=(: no regular expression"),
        (["ps", "-f", "before=nosuch"], "container nosuch: no such container"),
        (["ps", "-n", "x"], 'invalid argument "x" for --last'),
        (["ps", "--format", "{{.Nosuch}}"], "template parsing error"),
        (["container", "inspect", "nosuch"], "container nosuch: no such container"),
        (["inspect", "0000"], "3 ids begin with that"),
        (["rm"], "'pyrt rm' requires at least 1 argument"),
        (["container", "rm"], "'pyrt container rm' requires at least 1 argument"),
    ],
)
def test_bad_input(three: Pyrt, words: list[str], message: str) -> None:
    told = three(*words)
    assert told.code == code_for(message)
    assert told.out in ("", "[]\n")
    assert message in told.err
    assert told.err.count("\n") == 1

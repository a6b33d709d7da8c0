"""pull, images, tag, rmi, image inspect and image prune, on real stores."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.conftest import NEW, OLD, Pyrt, code_for


def test_pull_prints_the_name_on_stdout_and_the_rest_on_stderr(pyrt: Pyrt, layout: Path) -> None:
    told = pyrt("pull", f"oci:{layout}:{OLD}")
    assert (told.code, told.out) == (0, f"{OLD}\n")
    said = told.err.splitlines()
    assert said[0] == "1: Pulling from library/old"
    assert said[1].endswith(": Pull complete")
    assert said[2].startswith("Digest: sha256:")
    assert said[3] == "Status: Downloaded newer image for old:1"
    again = pyrt("pull", f"oci:{layout}:{OLD}")
    assert again.err.splitlines()[1].endswith(": Already exists")
    assert again.err.splitlines()[-1] == "Status: Image is up to date for old:1"


def test_pull_q_prints_nothing_but_the_names(pyrt: Pyrt, layout: Path) -> None:
    told = pyrt("pull", "-q", f"oci:{layout}:{OLD}", f"oci:{layout}:{NEW}")
    assert (told.code, told.out, told.err) == (0, f"{OLD}\n{NEW}\n", "")


def test_an_image_without_a_name_gets_one(pyrt: Pyrt, tmp_path: Path) -> None:
    from tests.support import images

    images.write_layout(tmp_path / "some", {"": images.image([images.layer(images.tar([]))])})
    told = pyrt("pull", f"oci:{tmp_path}/some")
    assert told.code == 0
    assert told.out.startswith("localhost/")
    assert pyrt("image", "inspect", told.out.strip()).code == 0


def test_the_table(two_images: Pyrt) -> None:
    told = two_images("images")
    assert [line.split()[:2] for line in told.lines] == [
        ["REPOSITORY", "TAG"],
        ["registry.example:5000/team/new", "latest"],
        ["old", "1"],
    ]
    assert re.split(" {3,}", told.lines[0]) == ["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"]
    assert told.lines[0].index("TAG") == len("registry.example:5000/team/new") + 3
    assert two_images("image", "ls").out == told.out
    assert two_images("images", "-a").out == told.out


def test_columns_of_ones_own(two_images: Pyrt) -> None:
    ids = two_images("images", "-q").lines
    assert [len(text) for text in ids] == [12, 12]
    whole = two_images("images", "-q", "--no-trunc").lines
    assert [text.partition(":")[2][:12] for text in whole] == ids
    row = json.loads(two_images("images", "--format", "json", "old").out)
    assert (row["Repository"], row["Tag"], row["ID"]) == ("old", "1", ids[1])
    assert row["CreatedAt"] == "2020-01-02 03:04:05 +0000 UTC"
    assert "years ago" in row["CreatedSince"]
    assert two_images("images", "--format", "{{.Repository}}:{{.Tag}}", "old").out == "old:1\n"
    assert two_images("images", "--format", "table {{.Tag}}\\t{{.Repository}}", "old").lines[0] == "TAG       REPOSITORY"
    assert "sha256:" in two_images("images", "--digests").lines[1]
    assert two_images("images", "--format", "{{json .}}", "old").out == two_images("images", "--format", "json", "old").out


@pytest.mark.parametrize(
    ("words", "tags"),
    [
        (["old"], ["1"]),
        (["old:1"], ["1"]),
        (["docker.io/library/old"], ["1"]),
        (["old:2"], []),
        (["nosuch"], []),
        (["o*"], ["1"]),
        (["*"], ["1"]),
        (["*/*/*"], ["latest"]),
        (["registry.example:5000/team/new"], ["latest"]),
        (["-f", "reference=[m-p]ld:?"], ["1"]),
        (["-f", "reference=old", "-f", "reference=*/team/new"], ["latest", "1"]),
        (["-f", "label=kind"], ["latest", "1"]),
        (["-f", "label=kind=old"], ["1"]),
        (["-f", "label=kind=old", "-f", "label=kind=new"], []),
        (["-f", "before=registry.example:5000/team/new"], ["1"]),
        (["-f", "since=old:1"], ["latest"]),
        (["-f", "until=2022-01-01"], ["1"]),
        (["-f", "until=24h"], ["latest", "1"]),
        (["-f", "dangling=false"], ["latest", "1"]),
        (["-f", "dangling=true"], []),
    ],
)
def test_filters(two_images: Pyrt, words: list[str], tags: list[str]) -> None:
    assert two_images("images", "--format", "{{.Tag}}", *words).lines == tags


def test_an_image_that_lost_its_name(pyrt: Pyrt, layout: Path) -> None:
    pyrt("pull", "-q", f"oci:{layout}:{OLD}", f"oci:{layout}:{NEW}")
    assert pyrt("tag", NEW, "old:1").code == 0
    assert "<none>" in pyrt("images").out
    identifier = pyrt("images", "-q", "-f", "dangling=true").out.strip()
    assert pyrt("image", "inspect", "-f", "{{.RepoTags}}", identifier).out == "[]\n"
    told = pyrt("image", "prune", "-f")
    assert told.code == 0
    assert told.lines[0] == "Deleted Images:"
    assert told.lines[1].startswith("deleted: sha256:")
    assert told.lines[-1].startswith("Total reclaimed space: ")
    assert "<none>" not in pyrt("images").out


def test_tag_and_rmi(two_images: Pyrt) -> None:
    told = two_images("tag", "old:1", "copy")
    assert (told.code, told.out, told.err) == (0, "", "")
    told = two_images("rmi", "copy")
    assert (told.code, told.out) == (0, "Untagged: copy:latest\n")
    identifier = two_images("images", "-q", "--no-trunc", "old").out.strip()
    two_images("tag", identifier, "copy:2")
    assert two_images("rmi", identifier[7:19]).code == 1
    told = two_images("rmi", "-f", identifier[7:19])
    assert f"Deleted: {identifier}" in told.lines
    assert two_images("images", "-q", "old").out == ""


def test_rmi_goes_on_after_a_failure(two_images: Pyrt) -> None:
    told = two_images("rmi", "nosuch", "old:1")
    assert told.code == 1
    assert told.err.startswith("pyrt: image nosuch: not in the store")
    assert "Untagged: old:1" in told.lines


def test_image_inspect_has_dockers_shape(two_images: Pyrt) -> None:
    (document,) = json.loads(two_images("image", "inspect", "old:1").out)
    assert document["Id"] == two_images("images", "-q", "--no-trunc", "old").out.strip()
    assert document["RepoTags"] == ["old:1"]
    assert document["RepoDigests"][0].startswith("old@sha256:")
    assert document["Created"] == "2020-01-02T03:04:05.678901234Z"
    assert document["Author"] == "somebody"
    assert document["Os"] == "linux"
    assert document["RootFS"]["Type"] == "layers"
    assert len(document["RootFS"]["Layers"]) == 1
    assert document["Config"]["Env"] == ["A=1"]
    assert document["Config"]["Labels"] == {"kind": "old", "org.x": "\x1b[31m"}
    assert document["Config"]["ExposedPorts"] == {"80/tcp": {}}
    assert two_images("inspect", "old:1").out == two_images("image", "inspect", "old:1").out
    assert two_images("inspect", "--type", "container", "old:1").code == 1


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{.Os}}", "linux"),
        ("{{.Config.Env}}", "[A=1]"),
        ('{{index .Config.Labels "kind"}}', "old"),
        ("{{.Config.Labels.nosuch}}", "<no value>"),
        ("{{json .Config.Cmd}}", '["sh"]'),
        ("{{range .RepoTags}}{{.}}{{end}}", "old:1"),
        ("{{range $p, $c := .Config.ExposedPorts}}{{$p}}{{end}}", "80/tcp"),
    ],
)
def test_image_inspect_by_template(two_images: Pyrt, template: str, text: str) -> None:
    assert two_images("image", "inspect", "--format", template, "old:1").out == f"{text}\n"


def test_what_is_missing_is_said_after_what_is_there(two_images: Pyrt) -> None:
    told = two_images("image", "inspect", "-f", "{{.Os}}", "old:1", "nosuch")
    assert (told.code, told.out) == (1, "linux\n")
    assert told.err.startswith("pyrt: image nosuch: not in the store")
    assert two_images("image", "inspect", "nosuch").out == "[]\n"
    assert two_images("inspect", "nosuch").err == "pyrt: nosuch: no such container or image\n"


def test_prune_with_all_and_filters(two_images: Pyrt) -> None:
    assert two_images("image", "prune", "-f", "--filter", "until=2019-01-01", "-a").lines == ["Total reclaimed space: 0B"]
    told = two_images("image", "prune", "-af", "--filter", "label!=kind=new")
    assert "untagged: old:1" in told.lines
    assert two_images("images", "--format", "{{.Tag}}").lines == ["latest"]
    told = two_images("image", "prune", "--all", "--force")
    assert two_images("images", "-q").out == ""


def test_prune_asks_and_a_machine_cannot_answer(two_images: Pyrt) -> None:
    told = two_images("image", "prune", "-a")
    assert told.code == 1
    assert "--force" in told.err
    assert len(two_images("images", "-q").lines) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["tag", "old:1"], "'pyrt tag' requires exactly 2 arguments"),
        (["tag", "old:1", "Bad"], "invalid reference 'Bad'"),
        (["tag", "nosuch", "x"], "image nosuch: not in the store"),
        (["tag", "old:1", "x@sha256:" + "0" * 64], "a name with a digest cannot be given"),
        (["pull"], "'pyrt pull' requires at least 1 argument"),
        (["pull", "Bad"], "invalid reference 'Bad'"),
        (["pull", "--platform", "x/y/z/w", "busybox"], 'invalid argument "x/y/z/w" for --platform'),
        (["pull", "oci:/nosuch"], "/nosuch"),
        (["images", "a", "b"], "'pyrt images' requires at most 1 argument"),
        (["images", "-f", "x"], 'invalid argument "x" for --filter'),
        (["images", "-f", "nosuch=1"], "--filter nosuch=1: no such filter"),
        (["images", "-f", "dangling=x"], "--filter dangling=x: must be true or false"),
        (["images", "-f", "until=x"], "'x' is neither a span"),
        (["images", "-f", "before=nosuch"], "image nosuch: not in the store"),
        (["images", "--format", "{{.Nosuch}}"], "template parsing error"),
        (["images", "--format", "{{"], "template parsing error"),
        (["image", "inspect", "-f", "{{", "old"], "template parsing error"),
        (["image", "inspect", "-f", "{{.Nosuch}}", "old:1"], "template parsing error"),
        (["inspect", "--type", "volume", "x"], 'invalid argument "volume" for --type'),
    ],
)
def test_bad_input(two_images: Pyrt, words: list[str], message: str) -> None:
    told = two_images(*words)
    assert (told.code, told.out) == (code_for(message), "")
    assert told.err.startswith("pyrt: ")
    assert message in told.err
    assert told.err.count("\n") == 1


def test_control_characters_of_an_image_reach_no_terminal_as_such(two_images: Pyrt) -> None:
    assert "\x1b" not in two_images("image", "inspect", "old:1").out
    assert "\x1b" not in two_images("images", "--format", "table {{.Repository}}").out

"""-v, --mount and --tmpfs: docker's tables of what is a bind, what a volume, and what is refused."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrt.cli.mounts import parse_mount
from pyrt.cli.tmpfs import parse_tmpfs
from pyrt.cli.volumes import parse_volume
from pyrt.errors import Unsupported, UsageError
from pyrt.request import Mount


def bind(source: str, target: str, **more: object) -> Mount:
    return Mount(kind="bind", source=source, target=target, create_source=True, **more)  # type: ignore[arg-type]


HERE = os.getcwd()


@pytest.mark.parametrize(
    ("text", "mount"),
    [
        ("/data", Mount(kind="volume", target="/data")),
        ("/data/", Mount(kind="volume", target="/data")),
        ("/a:/b", bind("/a", "/b")),
        ("/a/../c/:/b//c", bind("/c", "/b/c")),
        ("/a:/b:ro", bind("/a", "/b", read_only=True)),
        ("/a:/b:rw", bind("/a", "/b")),
        ("/a:/b:ro,rshared", bind("/a", "/b", read_only=True, propagation="rshared")),
        ("/a:/b:z", bind("/a", "/b")),
        ("/a:/b:Z,ro,cached", bind("/a", "/b", read_only=True)),
        ("/a:/b:", bind("/a", "/b")),
        (".:/b", bind(HERE, "/b")),
        ("./x:/b", bind(f"{HERE}/x", "/b")),
        ("../x:/b", bind(f"{os.path.dirname(HERE)}/x", "/b")),
        (".hidden:/b", bind(f"{HERE}/.hidden", "/b")),
        ("name:/b", Mount(kind="volume", source="name", target="/b")),
        ("my-vol_1.x:/b:ro", Mount(kind="volume", source="my-vol_1.x", target="/b", read_only=True)),
        ("name:/b:nocopy", Mount(kind="volume", source="name", target="/b", copy=False)),
    ],
)
def test_volume(text: str, mount: Mount) -> None:
    assert parse_volume(text, selinux=False) == mount


@pytest.mark.parametrize(
    "text",
    [
        "", ":", "/a:", ":/b", "/a:/b:ro:x", "/a:b", "/a:ro", "a:rw", "/", "/a:/", "/a:/.", "/a:/b/..", "relative",
        "/a:/b:roo", "/a:/b:ro,rw", "/a:/b:shared,slave", "/a:/b:nocopy", "name:/b:shared", "x:/b", "-x:/b", "a/b:/c",
        "~/x:/b", "a b:/c", "/a:/b:,", "/a:/b:ro,ro",
    ],
)  # fmt: skip
def test_no_volume(text: str) -> None:
    with pytest.raises(UsageError):
        parse_volume(text, selinux=False)


def test_labels_are_refused_where_selinux_is() -> None:
    with pytest.raises(Unsupported, match="SELinux"):
        parse_volume("/a:/b:z", selinux=True)


@given(st.text(st.characters(exclude_characters=":\0"), min_size=1, max_size=20))
def test_every_path_of_the_host_without_a_colon_is_taken(name: str) -> None:
    mount = parse_volume(f"/{name}:/b", selinux=False)
    assert mount.kind == "bind"
    assert mount.source == os.path.abspath(f"/{name}")


@given(st.text(max_size=24))
def test_any_text_is_a_volume_or_refused(text: str) -> None:
    try:
        mount = parse_volume(text, selinux=False)
    except UsageError:
        return
    assert mount.target.startswith("/")
    assert mount.target != "/"
    assert mount.kind == "volume" or mount.source.startswith("/")


@pytest.mark.parametrize(
    ("text", "mount"),
    [
        ("target=/b", Mount(kind="volume", target="/b")),
        ("type=volume,src=vol,dst=/b,readonly", Mount(kind="volume", source="vol", target="/b", read_only=True)),
        ("Type=Volume,source=vol,destination=/b,ro=false", Mount(kind="volume", source="vol", target="/b")),
        ("source=vol,target=/b,volume-nocopy", Mount(kind="volume", source="vol", target="/b", copy=False)),
        ("source=vol,target=/b,volume-nocopy=0", Mount(kind="volume", source="vol", target="/b")),
        ("type=bind,source=/,target=/b", Mount(kind="bind", source="/", target="/b")),
        ("type=bind,source=.,target=/b,ro=1", Mount(kind="bind", source=HERE, target="/b", read_only=True)),
        ('type=bind,source=/,"target=/b,c"', Mount(kind="bind", source="/", target="/b,c")),
        (
            "type=bind,source=/,target=/b,bind-propagation=rslave,bind-nonrecursive",
            Mount(kind="bind", source="/", target="/b", propagation="rslave", recursive=False),
        ),
        (
            "type=bind,src=/,dst=/b,bind-recursive=disabled,consistency=cached",
            Mount(kind="bind", source="/", target="/b", recursive=False),
        ),
        ("type=tmpfs,target=/b", Mount(kind="tmpfs", target="/b")),
        (
            "type=tmpfs,target=/b,tmpfs-size=2k,tmpfs-mode=1770",
            Mount(kind="tmpfs", target="/b", size=2048, mode=0o1770),
        ),
        ("target=/a,target=/b", Mount(kind="volume", target="/b")),
    ],
)
def test_mount(text: str, mount: Mount) -> None:
    assert parse_mount(text) == mount


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "nothing given"),
        ("type=bind,source=/", "the target is missing"),
        ("type=bind,target=/b", "a bind mount needs a source"),
        ("type=bind,source=/nosuch/dir,target=/b", "the source '/nosuch/dir' does not exist"),
        ("type=bind,source=rel,target=/b", "must be an absolute path"),
        ("type=bind,source=/,target=b", "must be absolute"),
        ("type=bind,source=/,target=/", "cannot be /"),
        ("type=nosuch,target=/b", "'nosuch' is no type of mount"),
        ("type=bind,source=/,target=/b,foo=bar", "'foo' is no key of a mount"),
        ("type=bind,source=/,target=/b,foo", "'foo' is no key of a mount"),
        ("type=bind,source=/,target", "'target' needs a value"),
        ("type=bind,source=/,target=/b,ro=maybe", "'readonly=maybe': must be true or false"),
        ("type=bind,source=/,target=/b,volume-nocopy", "'volume-nocopy' cannot be used with the type 'bind'"),
        ("type=volume,target=/b,tmpfs-size=1", "'tmpfs-size' cannot be used with the type 'volume'"),
        ("type=volume,source=/abs,target=/b", "is no volume's name"),
        ("type=tmpfs,target=/b,source=x", "a tmpfs has no source"),
        ("type=tmpfs,target=/b,tmpfs-mode=9", "'9' is no octal mode"),
        ("type=tmpfs,target=/b,tmpfs-size=x", "not a size"),
        ("type=bind,source=/,target=/b,bind-propagation=x", "'x' is no propagation"),
        ("type=bind,source=/,target=/b,bind-recursive=x", "must be enabled"),
        ('type=bind,"source=/', "unexpected end of data"),
    ],
)
def test_no_mount(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_mount(text)
    assert message in str(caught.value)
    assert not isinstance(caught.value, Unsupported)


@pytest.mark.parametrize(
    "text",
    [
        "type=image,source=x,target=/b",
        "type=cluster,target=/b",
        "type=npipe,target=/b",
        "source=vol,target=/b,volume-subpath=x",
        "source=vol,target=/b,volume-driver=x",
        "source=vol,target=/b,volume-opt=x",
        "source=vol,target=/b,volume-label=x",
        "type=bind,source=/,target=/b,bind-recursive=readonly",
    ],
)
def test_mounts_that_docker_has_and_we_do_not(text: str) -> None:
    with pytest.raises(Unsupported, match="not supported by this version"):
        parse_mount(text)


def test_the_source_of_a_bind_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        parse_mount(f"type=bind,source={tmp_path}/new,target=/b")
    assert not (tmp_path / "new").exists()


@given(st.text(max_size=40))
def test_any_text_is_a_mount_or_refused(text: str) -> None:
    with suppress(UsageError):
        assert parse_mount(text).target.startswith("/")


@pytest.mark.parametrize(
    ("text", "mount"),
    [
        ("/run", Mount(kind="tmpfs", target="/run")),
        ("/run:", Mount(kind="tmpfs", target="/run")),
        ("/run:size=64m,mode=755", Mount(kind="tmpfs", target="/run", size=64 << 20, mode=0o755)),
        ("/run:size=65536k", Mount(kind="tmpfs", target="/run", size=64 << 20)),
        ("/run:rw,noexec,nosuid", Mount(kind="tmpfs", target="/run", options=("noexec", "nosuid"))),
        ("/run:ro", Mount(kind="tmpfs", target="/run", read_only=True)),
        ("/run:exec,uid=1000,gid=0", Mount(kind="tmpfs", target="/run", options=("exec", "uid=1000", "gid=0"))),
        ("/run:size=0", Mount(kind="tmpfs", target="/run")),
    ],
)  # fmt: skip
def test_tmpfs(text: str, mount: Mount) -> None:
    assert parse_tmpfs(text) == mount


BAD_TMPFS_OPTIONS = ("foo", "size", "size=x", "size=0%", "size=101%", "mode=8", "uid=root", "exec=1", "ro=1", "ro,")


def test_tmpfs_in_parts_of_the_memory() -> None:
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert parse_tmpfs("/run:size=50%").size == memory // 2


@pytest.mark.parametrize("text", ["", "run", "/", *(f"/run:{option}" for option in BAD_TMPFS_OPTIONS)])
def test_no_tmpfs(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_tmpfs(text)
    assert not isinstance(caught.value, Unsupported)


@pytest.mark.parametrize("option", ["nr_inodes=1k", "noatime", "mpol=bind", "huge=always", "shared"])
def test_tmpfs_options_that_docker_has_and_we_do_not(option: str) -> None:
    with pytest.raises(Unsupported):
        parse_tmpfs(f"/run:{option}")

"""Which prefix means what, and which name an archive's image gets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pyrt.errors import InvalidReference, Unsupported, UsageError
from pyrt.oci.descriptor import Descriptor
from pyrt.oci.digest import Digest
from pyrt.oci.reference import Reference
from pyrt.registry.source import Source
from pyrt.registry.transports import is_local, open_source
from tests.registry.test_archives_layout import no_registry, small
from tests.support import image_tools, images


class NoSource:
    """Stands for a registry's source: only its identity counts here."""

    def manifest(self, which: str | Digest | None) -> tuple[bytes, str]:
        raise NotImplementedError

    def blob(self, descriptor: Descriptor, offset: int = 0) -> Iterator[bytes]:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("docker://busybox", "docker.io/library/busybox:latest"),
        ("docker://127.0.0.1:5000/a:b", "127.0.0.1:5000/a:b"),
        ("docker.io/library/oci:latest", "docker.io/library/oci:latest"),
        ("dir:latest", "docker.io/library/dir:latest"),
        ("oci-archive/x:1", "docker.io/oci-archive/x:1"),
    ],
)
def test_registry(text: str, canonical: str) -> None:
    asked: list[str] = []
    registry = NoSource()

    def record(reference: Reference) -> Source:
        asked.append(str(reference))
        return registry

    source, reference = open_source(text, record)
    assert source is registry
    assert str(reference) == canonical
    assert asked == [canonical]
    assert not is_local(text)


@pytest.mark.parametrize("text", ["dir:/tmp/x", "docker-daemon:a/b:1", "sif:./x.sif", "containers-storage:[x]y/z"])
def test_other_transports_are_refused_by_name(text: str) -> None:
    with pytest.raises(Unsupported, match=text.partition(":")[0]):
        open_source(text, no_registry)


@pytest.mark.parametrize("text", ["oci:", "oci-archive:", "docker-archive::x"])
def test_missing_path(text: str) -> None:
    with pytest.raises(UsageError, match="no path"):
        open_source(text, no_registry)


def test_wrong_reference() -> None:
    with pytest.raises(InvalidReference, match="must be lowercase"):
        open_source("docker://Busybox", no_registry)


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("", None),
        (":latest", None),
        (":a:b", None),
        (":docker.io/library/busybox:latest", "docker.io/library/busybox:latest"),
        (":ghcr.io/a/b:1", "ghcr.io/a/b:1"),
    ],
)
def test_layout_names_an_image_only_by_what_the_user_typed_in_full(
    tmp_path: Path, name: str, reference: str | None
) -> None:
    images.write_layout(tmp_path, {name[1:] or images.BUSYBOX: small()})
    assert is_local(f"oci:{tmp_path}{name}")
    source, found = open_source(f"oci:{tmp_path}{name}", no_registry)
    source.close()
    assert (None if found is None else str(found)) == reference
    assert source.names == (name[1:] or images.BUSYBOX,)  # type: ignore[attr-defined]  # a LayoutSource


@pytest.mark.parametrize(
    ("name", "reference"),
    [("", None), (":@0", None), (":busybox", images.BUSYBOX), (f":{images.BUSYBOX}", images.BUSYBOX)],
)
def test_docker_archive_names_an_image_only_by_what_the_user_typed(
    tmp_path: Path, name: str, reference: str | None
) -> None:
    archive = image_tools.docker_archive(tmp_path, small())
    source, found = open_source(f"docker-archive:{archive}{name}", no_registry)
    source.close()
    assert (None if found is None else str(found)) == reference

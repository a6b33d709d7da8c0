"""Where an image's name points: to a registry, or by a prefix to a directory or an archive.

    busybox, docker://busybox       a registry
    oci:DIR[:REF]                   an OCI image layout
    oci-archive:FILE[:REF]          a tar of one
    docker-archive:FILE[:REF]       what docker save writes

As with skopeo and podman, the path ends at the first colon, and a prefix wins over an image of that name:
``docker.io/library/oci:latest`` is the way to write that image. Source: containers-transports(5).
"""

from __future__ import annotations

from collections.abc import Callable

from pyrt.errors import InvalidReference, Unsupported, UsageError
from pyrt.oci.reference import Reference
from pyrt.registry.docker_archive import DockerArchiveSource
from pyrt.registry.members import DirectoryMembers, Members
from pyrt.registry.oci_layout import LayoutSource
from pyrt.registry.source import Source
from pyrt.registry.tar_members import TarMembers

_OTHERS = ("dir:", "docker-daemon:", "containers-storage:", "ostree:", "sif:", "tarball:")


def is_local(text: str) -> bool:
    """Whether ``text`` names a directory or an archive, not an image at a registry."""
    return any(text.startswith(prefix) for prefix in _OPENERS)


def open_source(
    text: str, registry: Callable[[Reference], Source], *, tmp_dir: str | None = None
) -> tuple[Source, Reference | None]:
    """The source that ``text`` names, and the reference of the image there.

    ``registry`` opens a registry's source. For an archive or a layout the reference is the REF that the user typed (for
    a layout, where any word may be a name, only a complete reference), else None: names that only the archive claims
    are not taken, the source has them in ``names``. ``tmp_dir`` is for decompressing archives. Raises InvalidReference,
    Unsupported, ImageNotFound, InvalidManifest.
    """
    for prefix, opener in _OPENERS.items():
        if text.startswith(prefix):
            path, _, name = text.removeprefix(prefix).partition(":")
            if not path:
                raise UsageError(f"{text}: no path behind {prefix}")
            return opener(path, name, tmp_dir), _typed(prefix, name)
    for prefix in _OTHERS:
        if text.startswith(prefix) and _names_a_path(text.removeprefix(prefix)):
            raise Unsupported(f"the transport {prefix} is not supported: {text}")
    reference = Reference.parse(text.removeprefix("docker://"))
    return registry(reference), reference


def _layout(path: str, name: str, tmp_dir: str | None) -> Source:
    members = DirectoryMembers(path)
    return _or_close(members, lambda: LayoutSource(members, name))


def _oci_archive(path: str, name: str, tmp_dir: str | None) -> Source:
    members = TarMembers(path, tmp_dir=tmp_dir)
    return _or_close(members, lambda: LayoutSource(members, name))


def _docker_archive(path: str, name: str, tmp_dir: str | None) -> Source:
    members = TarMembers(path, links=True, tmp_dir=tmp_dir)
    return _or_close(members, lambda: DockerArchiveSource(members, name))


def _or_close(members: Members, build: Callable[[], Source]) -> Source:
    try:
        return build()
    except BaseException:
        members.close()
        raise


def _typed(prefix: str, name: str) -> Reference | None:
    """The reference that a REF is: in docker-archive any, in a layout one that is written out, registry and all."""
    try:
        reference = Reference.parse(name)
    except InvalidReference:
        return None
    return reference if str(reference) == name or prefix == "docker-archive:" else None


def _names_a_path(rest: str) -> bool:
    """``dir:latest`` may be an image called dir; a path shows by its slash."""
    return "/" in rest


_OPENERS: dict[str, Callable[[str, str, str | None], Source]] = {
    "oci:": _layout,
    "oci-archive:": _oci_archive,
    "docker-archive:": _docker_archive,
}

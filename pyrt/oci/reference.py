"""Image references: ``[registry/]repository[:tag][@digest]``.

Source: the grammar of github.com/distribution/reference, with its normalisation of short names: "busybox" is
docker.io/library/busybox:latest. Everything is checked here, before any URL or path is made of it.
"""

from __future__ import annotations

import re

from pyrt.errors import InvalidReference, UsageError
from pyrt.oci import limits
from pyrt.oci.digest import Digest
from pyrt.values import dataclass, replace

DEFAULT_REGISTRY = "docker.io"
DEFAULT_TAG = "latest"
_LEGACY_REGISTRY = "index.docker.io"
_OFFICIAL = "library/"
_API_HOSTS = {DEFAULT_REGISTRY: "registry-1.docker.io"}

_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_REGISTRY = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?P<port>:[0-9]+)?")
_COMPONENT = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_IDENTIFIER = re.compile(r"[a-f0-9]{64}")
_MAX_PORT = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The name of an image at a registry, complete and valid.

    ``registry`` is a host with an optional port, ``repository`` the path there. At least one of ``tag`` and ``digest``
    is set; with both, the digest decides and the tag is for people.
    """

    registry: str
    repository: str
    tag: str | None
    digest: Digest | None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """The reference that a user typed; InvalidReference names the part that is wrong."""
        shown = text if len(text) <= 100 else text[:100] + "..."
        try:
            return _parse(text)
        except UsageError as error:
            raise InvalidReference(f"invalid reference {shown!r}: {error}", hint=error.hint) from error

    @property
    def name(self) -> str:
        """Registry and repository, without tag and digest."""
        return f"{self.registry}/{self.repository}"

    def familiar_name(self) -> str:
        """The shortest name that means the same: without docker.io and library where they are implied."""
        if self.registry != DEFAULT_REGISTRY:
            return self.name
        official = self.repository.removeprefix(_OFFICIAL)
        if "/" not in official and official != self.repository:
            return self.name if _IDENTIFIER.fullmatch(official) else official
        first, slash, _ = self.repository.partition("/")
        return self.name if not slash or _is_registry(first) else self.repository

    def familiar(self) -> str:
        """As docker prints it: "busybox:latest" for docker.io/library/busybox:latest."""
        return self.familiar_name() + self._suffix()

    def api_host(self) -> str:
        """The host[:port] where the registry answers; Docker Hub's is not the one in the name."""
        return _API_HOSTS.get(self.registry, self.registry)

    def with_digest(self, digest: Digest) -> Reference:
        """The same name and tag, pinned to ``digest``."""
        return replace(self, digest=digest)

    def __str__(self) -> str:
        return self.name + self._suffix()

    def _suffix(self) -> str:
        tag = "" if self.tag is None else f":{self.tag}"
        return tag if self.digest is None else f"{tag}@{self.digest}"


def _parse(text: str) -> Reference:
    if not text:
        raise UsageError("it is empty")
    if len(text) > limits.REFERENCE_BYTES:
        raise UsageError(f"longer than {limits.REFERENCE_BYTES} characters")
    rest, at, digest_text = text.partition("@")
    digest = Digest.parse(digest_text) if at else None
    name, tag = _split_tag(rest)
    if _IDENTIFIER.fullmatch(name):
        raise UsageError("64 hexadecimal digits are an image's id, not a repository name")
    registry, repository = _split_name(name)
    _check_registry(registry)
    _check_repository(repository)
    if tag is None and digest is None:
        tag = DEFAULT_TAG
    return Reference(registry=registry, repository=repository, tag=tag, digest=digest)


def _split_tag(rest: str) -> tuple[str, str | None]:
    """The last colon begins a tag, unless a slash follows it: then it was a port."""
    name, colon, tag = rest.rpartition(":")
    if not colon or "/" in tag:
        return rest, None
    if not TAG.fullmatch(tag):
        raise UsageError(
            f"tag {tag[:140]!r} is not 1 to 128 letters, digits, '_', '.' and '-' with a first one not '.' or '-'"
        )
    return name, tag


def _split_name(name: str) -> tuple[str, str]:
    first, slash, remainder = name.partition("/")
    if slash and _is_registry(first):
        registry, repository = first, remainder
    else:
        registry, repository = DEFAULT_REGISTRY, name
    if registry == _LEGACY_REGISTRY:
        registry = DEFAULT_REGISTRY
    if registry == DEFAULT_REGISTRY and repository and "/" not in repository:
        repository = _OFFICIAL + repository
    return registry, repository


def _is_registry(first: str) -> bool:
    return "." in first or ":" in first or first == "localhost" or first.lower() != first


def _check_registry(registry: str) -> None:
    match = _REGISTRY.fullmatch(registry)
    if match is None:
        raise UsageError(f"registry {registry!r} is not a host name or address with an optional port")
    if match["port"] and not 0 < int(match["port"][1:]) <= _MAX_PORT:
        raise UsageError(f"port {match['port'][1:]} of registry {registry!r} is not between 1 and {_MAX_PORT}")


def _check_repository(repository: str) -> None:
    shown = repository.removeprefix(_OFFICIAL)
    if not repository:
        raise UsageError("the repository name is empty")
    if len(repository) > limits.REPOSITORY_BYTES:
        raise UsageError(f"the repository name is longer than {limits.REPOSITORY_BYTES} characters")
    if repository.lower() != repository:
        raise UsageError(f"repository name {shown!r} must be lowercase")
    for component in repository.split("/"):
        if not component:
            raise UsageError(f"repository name {shown!r} has an empty component")
        if not _COMPONENT.fullmatch(component):
            raise UsageError(
                f"repository name {shown!r}: component {component!r} is not made of lowercase letters and digits with"
                " single '.', one or two '_', or any '-' between them"
            )

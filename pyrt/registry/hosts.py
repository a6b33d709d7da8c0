"""Where to go for a name: mirrors first, then the registry itself, as registries.conf and daemon.json have it."""

from __future__ import annotations

import os
from collections.abc import Mapping

from pyrt.errors import InvalidReference, RegistryError
from pyrt.oci.reference import DEFAULT_REGISTRY, Reference
from pyrt.registry.addresses import is_loopback, split_host_port
from pyrt.registry.config_paths import ConfigPaths
from pyrt.registry.docker_daemon import DockerDaemon
from pyrt.registry.registries_conf import RegistriesConf
from pyrt.values import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One place that is asked for a repository.

    ``registry`` is the name that credentials and certificates go by (``docker.io``), ``host`` is host[:port] of the
    server (``registry-1.docker.io``), ``repository`` the path there. ``scheme`` is "https", "http", or "" where it has
    to be found out, which only happens where plain http is allowed. ``insecure``: certificates are not checked.
    """

    registry: str
    host: str
    repository: str
    scheme: str = "https"
    insecure: bool = False
    is_mirror: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosts:
    """The rules of this machine, read once."""

    conf: RegistriesConf
    daemon: DockerDaemon

    @classmethod
    def load(cls, paths: ConfigPaths | None = None, environ: Mapping[str, str] = os.environ) -> Hosts:
        """Reads registries.conf with its drop-ins, and daemon.json. Raises UsageError for a file that is wrong."""
        paths = paths or ConfigPaths.from_environ(environ)
        return cls(conf=RegistriesConf.load(paths), daemon=DockerDaemon.load(paths.docker_daemon))

    def candidates(self, text: str) -> tuple[Reference, ...]:
        """What a name that a user typed can mean, in the order in which it is to be tried.

        A name with a registry means itself. A short name means its alias, else the name at each of the
        ``unqualified-search-registries``, else the one at Docker Hub. Raises InvalidReference.
        """
        reference = Reference.parse(text)
        first, slash, _ = text.partition("/")
        typed_registry = slash and (first == reference.registry or first == "index.docker.io")
        if typed_registry:
            return (reference,)
        short = _strip(text)
        alias = dict(self.conf.aliases).get(short)
        if alias:
            return (Reference.parse(alias + text[len(short) :]),)
        if not self.conf.search:
            return (reference,)
        return tuple(Reference.parse(f"{registry}/{text}") for registry in self.conf.search)

    def endpoints(self, reference: Reference) -> tuple[Endpoint, ...]:
        """The places to ask for ``reference``, the last one being the registry itself.

        Raises RegistryError where a rule blocks the name, InvalidReference where a rule makes an impossible name.
        """
        rule = self.conf.rule_for(reference.name)
        if rule is None:
            return self._hub_mirrors(reference) + (self._endpoint(reference, insecure=False),)
        if rule.blocked:
            raise RegistryError(f"registry {rule.prefix} is blocked by registries.conf", host=reference.registry)
        covered = rule.match(reference.name)
        found: list[Endpoint] = []
        for mirror in rule.mirrors:
            if mirror.serves(by_digest=reference.digest is not None):
                place = _moved(reference, covered, mirror.location)
                found.append(replace(self._endpoint(place, insecure=mirror.insecure), is_mirror=True))
        primary = _moved(reference, covered, rule.location) if rule.location else reference
        if not found and primary.registry == DEFAULT_REGISTRY:
            found.extend(self._hub_mirrors(primary))
        return (*found, self._endpoint(primary, insecure=rule.insecure))

    def host(self, registry: str) -> Endpoint:
        """The place of a registry as a whole, for login: ``registry`` is host[:port]. Raises InvalidReference."""
        reference = Reference.parse(f"{registry}/check/check")
        if reference.registry != registry:
            raise InvalidReference(f"not a registry, which is host[:port]: {registry!r}")
        return replace(self.endpoints(reference)[-1], repository="")

    def _hub_mirrors(self, reference: Reference) -> tuple[Endpoint, ...]:
        if reference.registry != DEFAULT_REGISTRY:
            return ()
        return tuple(
            Endpoint(
                registry=mirror.host,
                host=mirror.host,
                repository=reference.repository,
                scheme=mirror.scheme,
                insecure=self.daemon.is_insecure(mirror.host),
                is_mirror=True,
            )
            for mirror in self.daemon.mirrors
        )

    def _endpoint(self, reference: Reference, *, insecure: bool) -> Endpoint:
        host = reference.api_host()
        insecure = insecure or self.daemon.is_insecure(reference.registry)
        unsure = insecure or is_loopback(split_host_port(host)[0])
        return Endpoint(
            registry=reference.registry,
            host=host,
            repository=reference.repository,
            scheme="" if unsure else "https",
            insecure=insecure,
        )


def _strip(text: str) -> str:
    """A short name without tag and digest."""
    name = text.partition("@")[0]
    before, colon, tag = name.rpartition(":")
    return before if colon and "/" not in tag else name


def _moved(reference: Reference, covered: int, location: str) -> Reference:
    """The reference with the first ``covered`` characters of its name replaced by ``location``."""
    name = location + reference.name[covered:]
    registry, slash, _ = name.partition("/")
    if not slash:
        raise InvalidReference(f"registries.conf moves {reference.name} to {name}, which has no repository")
    moved = Reference.parse(f"{name}:{reference.tag or 'latest'}")
    if moved.registry != registry:
        raise InvalidReference(f"registries.conf moves {reference.name} to {name}, which begins with no registry")
    return replace(moved, tag=reference.tag, digest=reference.digest)

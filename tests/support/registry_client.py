"""What tests of the registry client share: a clock that does not wait, a home of their own, clients for both."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from pyrt.oci import media_types
from pyrt.oci.digest import Digest
from pyrt.oci.reference import Reference
from pyrt.registry.client import RegistrySource, open_registry
from pyrt.registry.config_paths import ConfigPaths
from pyrt.registry.credentials import Credentials
from pyrt.registry.retry import RetryPolicy
from pyrt.registry.wire import Timeouts, WireSettings

Handler = Callable[[httpx.Request], httpx.Response]


@dataclass
class FakeClock:
    """Time passes only by sleeping, or by hand."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return 1_700_000_000.0 + self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def jitter(self) -> float:
        return 0.0


@dataclass(frozen=True, kw_only=True)
class World:
    """A machine's configuration below one directory."""

    root: Path
    environ: dict[str, str]

    @classmethod
    def below(cls, root: Path) -> World:
        home = root / "home"
        home.mkdir(parents=True)
        environ = {"HOME": str(home), "PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": str(root / "run")}
        return cls(root=root, environ=environ)

    @property
    def paths(self) -> ConfigPaths:
        return ConfigPaths.from_environ(self.environ, etc=str(self.root / "etc"))

    def write(self, path: str, text: str) -> Path:
        """A file below the root: "etc/..." or "home/...", "run/..."."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def open(
        self,
        reference: str,
        handler: Handler | None = None,
        *,
        clock: FakeClock | None = None,
        credentials: Credentials | None = None,
        public: tuple[str, ...] = (),
        timeouts: Timeouts | None = None,
        accept: tuple[str, ...] = media_types.ACCEPT,
        patient: bool = True,
        lookup: Callable[[str, int], list[str]] | None = None,
    ) -> RegistrySource:
        """A source that talks to ``handler``, or to the network of loopback where there is none.

        Pauses take no time with a ``clock`` of ours, and little without.
        """
        retry = RetryPolicy() if clock or handler else RetryPolicy(first=0.01, cap=0.02)
        wire = WireSettings(
            transport=httpx.MockTransport(handler) if handler else None,
            retry=retry if patient else retry.once(),
            timeouts=timeouts or Timeouts(),
            treat_as_public=frozenset(public),
            lookup=lookup,
            **({"clock": clock or FakeClock()} if clock or handler else {}),
        )
        if accept != media_types.ACCEPT:
            parsed = Reference.parse(reference)
            return RegistrySource(
                parsed, environ=self.environ, credentials=credentials, paths=self.paths, wire=wire, accept=accept
            )
        return open_registry(reference, environ=self.environ, credentials=credentials, paths=self.paths, wire=wire)


MANIFEST_BODY = b'{"schemaVersion":2,"layers":[]}'


def manifest_answer(body: bytes = MANIFEST_BODY, **headers: str) -> httpx.Response:
    """A manifest as a registry sends it; ``headers`` have underscores for hyphens."""
    sent = {"content-type": media_types.OCI_MANIFEST, "docker-content-digest": str(Digest.of(body))}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(200, content=body, headers=sent)

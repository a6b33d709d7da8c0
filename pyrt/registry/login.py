"""pyrt login and logout: credentials are tried, then kept where docker and podman find them too."""

from __future__ import annotations

import base64
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from pyrt.errors import AccessDenied, StoreError, UsageError
from pyrt.registry.api_check import ApiState, check_api
from pyrt.registry.client import open_client
from pyrt.registry.config_paths import ConfigPaths
from pyrt.registry.connection import Connection
from pyrt.registry.credential_helpers import CredentialHelper
from pyrt.registry.credentials import HUB, AuthFile, Credentials, CredentialStore, names_registry, server_key, to_helper
from pyrt.registry.hosts import Hosts
from pyrt.registry.wire import WireSettings
from pyrt.values import replace


def login(
    registry: str,
    credentials: Credentials,
    *,
    environ: Mapping[str, str] = os.environ,
    paths: ConfigPaths | None = None,
    wire: WireSettings | None = None,
) -> str:
    """Verifies credentials at a registry (host[:port], "" for Docker Hub) and keeps them; the result says where.

    Raises AccessDenied where they are refused, NotARegistry, RegistryUnreachable, RegistryError (a credential helper
    failed), UsageError, StoreError; nothing is written then.
    """
    paths = paths or ConfigPaths.from_environ(environ)
    registry = registry_name(registry)
    accepted = _try(registry, credentials, environ, paths, wire)
    return _keep(registry, accepted, environ, paths)


def logout(registry: str, *, environ: Mapping[str, str] = os.environ, paths: ConfigPaths | None = None) -> tuple[str, ...]:
    """Forgets the credentials of a registry, everywhere; the result says where there were any.

    Raises UsageError, StoreError, RegistryError (a credential helper failed).
    """
    paths = paths or ConfigPaths.from_environ(environ)
    registry = registry_name(registry)
    found: list[str] = []
    for path in paths.auth_files:
        file = AuthFile.read(path)
        if file is None:
            continue
        if helper := file.helper(registry):
            program = CredentialHelper(helper, environ)
            if program.get(server_key(registry)) is not None:
                program.erase(server_key(registry))
                found.append(program.program)
        auths = file.table("auths")
        kept = {key: value for key, value in auths.items() if not names_registry(key, registry)}
        if len(kept) < len(auths):
            _write(path, {**file.document, "auths": kept})
            found.append(path)
    old = AuthFile.read(paths.dockercfg) if paths.dockercfg else None
    if old is not None:
        kept = {key: value for key, value in old.document.items() if not names_registry(key, registry)}
        if len(kept) < len(old.document):
            _write(old.path, kept)
            found.append(old.path)
    return tuple(found)


def registry_name(text: str) -> str:
    """The registry that a user means: "" is Docker Hub; a scheme and a path are dropped, as docker does."""
    name = text.strip().partition("://")[2] or text.strip()
    name = name.partition("/")[0]
    if "@" in name:
        raise UsageError("a registry is written host[:port], without a user name")
    return HUB if name in ("", "index.docker.io", "registry-1.docker.io") else name


def check(
    registry: str,
    *,
    credentials: Credentials | None = None,
    environ: Mapping[str, str] = os.environ,
    paths: ConfigPaths | None = None,
    wire: WireSettings | None = None,
) -> ApiState:
    """Asks a registry (host[:port], "" for Docker Hub) for its API, as ``credentials`` or whoever is logged in there.

    Raises NotARegistry where there is none, AccessDenied where a token server refuses, RegistryUnreachable,
    RateLimited, UsageError.
    """
    paths = paths or ConfigPaths.from_environ(environ)
    registry = registry_name(registry)
    stored = CredentialStore(paths, environ)
    with _connected(registry, environ, paths, wire, lambda: credentials or stored.find(registry)) as connection:
        return check_api(connection)


def _try(
    registry: str, credentials: Credentials, environ: Mapping[str, str], paths: ConfigPaths, wire: WireSettings | None
) -> Credentials:
    """The credentials as they are to be kept: an identity token instead of the password where there is one."""
    with _connected(registry, environ, paths, wire, lambda: credentials, offline=True) as connection:
        if check_api(connection) is not ApiState.OPEN:
            hint = "check the user name and the password"
            raise AccessDenied(f"{registry}: login refused", host=connection.endpoint.host, hint=hint)
        token = connection.auth.identity_token
    return replace(credentials, password="", identity_token=token) if token else credentials


@contextmanager
def _connected(
    registry: str,
    environ: Mapping[str, str],
    paths: ConfigPaths,
    wire: WireSettings | None,
    credentials: Callable[[], Credentials | None],
    *,
    offline: bool = False,
) -> Iterator[Connection]:
    wire = wire or WireSettings()
    endpoint = Hosts.load(paths).host(registry)
    with open_client(wire, paths=paths, environ=environ, endpoints=(endpoint,)) as client:
        yield Connection(endpoint, client, wire, credentials=credentials, offline=offline)


def _keep(registry: str, credentials: Credentials, environ: Mapping[str, str], paths: ConfigPaths) -> str:
    file = _file_to_write(registry, paths)
    key = server_key(registry)
    helper = file.helper(registry)
    entry: dict[str, str] = {}
    if helper:
        CredentialHelper(helper, environ).store(key, *to_helper(credentials))
    else:
        pair = f"{credentials.username}:{credentials.password}".encode()
        entry["auth"] = base64.b64encode(pair).decode("ascii")
        if credentials.identity_token:
            entry["identitytoken"] = credentials.identity_token
    # With a helper docker keeps an empty entry, by which "docker logout" and others see that there is something.
    _write(file.path, {**file.document, "auths": {**file.table("auths"), key: entry}})
    return f"docker-credential-{helper}" if helper else file.path


def _file_to_write(registry: str, paths: ConfigPaths) -> AuthFile:
    """The file that the registry's credentials are read from now, else the one for new entries."""
    for path in paths.auth_files:
        file = AuthFile.read(path)
        if file is not None and (file.entry(registry, "") or server_key(registry) in file.table("auths")):
            return file
    return AuthFile.read(paths.login_file) or AuthFile(path=paths.login_file, document={})


def _write(path: str, document: Mapping[str, object]) -> None:
    """Replaces a file of credentials in one step, readable by its owner only. A link is written through."""
    target = os.path.realpath(path)
    directory = os.path.dirname(target)
    temporary = ""
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        fd, temporary = tempfile.mkstemp(prefix=".pyrt-", dir=directory)  # mode 0600
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            json.dump(document, file, indent="\t", ensure_ascii=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except OSError as error:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)
        raise StoreError(f"{path}: cannot be written: {error.strerror}") from error

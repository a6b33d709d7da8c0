"""With whom to log in: the entries of auth.json, config.json and .dockercfg, and of the helpers that these name.

Sources: containers-auth.json(5); docker's documentation of config.json. No environment variable with a token is read,
and no entry is ever used for another registry than the one that it names (CVE-2021-41092).
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping

from pyrt.errors import RegistryError, UsageError
from pyrt.oci import limits
from pyrt.registry.config_paths import ConfigPaths
from pyrt.registry.credential_helpers import CredentialHelper
from pyrt.values import dataclass

HUB = "docker.io"
HUB_KEY = "https://index.docker.io/v1/"
_HUB_KEYS = (HUB_KEY, "index.docker.io", "registry-1.docker.io")
_TOKEN_USER = "<token>"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Credentials:
    """A user and password, or an identity token (OAuth2 refresh token), or a ready bearer token.

    The representation shows none of them.
    """

    username: str = ""
    password: str = ""
    identity_token: str = ""
    registry_token: str = ""

    def __repr__(self) -> str:
        return "Credentials(...)"

    def __bool__(self) -> bool:
        return bool(self.username or self.password or self.identity_token or self.registry_token)

    def secrets(self) -> frozenset[str]:
        """What must not be shown anywhere."""
        basic = base64.b64encode(f"{self.username}:{self.password}".encode()).decode() if self.password else ""
        return frozenset(filter(None, (self.password, self.identity_token, self.registry_token, basic)))


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthFile:
    """One file of credentials as it is on disk. ``document`` keeps every key, so that it can be written back."""

    path: str
    document: dict[str, object]

    @classmethod
    def read(cls, path: str) -> AuthFile | None:
        """The file, None where there is none that we may read. UsageError where it is not a JSON object."""
        try:
            with open(path, "rb") as file:
                raw = file.read(limits.CREDENTIAL_FILE_BYTES + 1)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return None
        except OSError as error:
            raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
        try:
            # The text of a JSON error never quotes the document, and "from None" keeps the document out of tracebacks.
            document = json.loads(raw) if raw.strip() else {}
        except (ValueError, RecursionError):
            raise UsageError(f"{path}: not valid JSON") from None
        if len(raw) > limits.CREDENTIAL_FILE_BYTES or not isinstance(document, dict):
            raise UsageError(f"{path}: not a JSON object of at most {limits.CREDENTIAL_FILE_BYTES} bytes")
        return cls(path=path, document=document)

    def table(self, key: str) -> dict[str, object]:
        """A member that is an object; an empty one where it is missing or something else."""
        value = self.document.get(key)
        return value if isinstance(value, dict) else {}

    def entry(self, registry: str, repository: str) -> Credentials | None:
        """What ``auths`` has for the most specific of the keys that apply."""
        return _entry(self.table("auths"), registry, repository)

    def helper(self, registry: str) -> str:
        """The name of the credential helper for ``registry``, "" for none: its own in credHelpers, else credsStore."""
        own = self.table("credHelpers")
        for key in (registry, *(_HUB_KEYS if registry == HUB else ())):
            if isinstance(name := own.get(key), str) and name:
                return name
        store = self.document.get("credsStore")
        return store if isinstance(store, str) else ""


class CredentialStore:
    """Looks credentials up. A helper that fails does not stop a pull, as with docker; ``notes`` tells of it."""

    def __init__(self, paths: ConfigPaths | None = None, environ: Mapping[str, str] = os.environ) -> None:
        self._paths = paths or ConfigPaths.from_environ(environ)
        self._environ = environ
        self.notes: list[str] = []

    def find(self, registry: str, repository: str = "") -> Credentials | None:
        """Credentials for a registry (host[:port], "docker.io" for Docker Hub) and a path there, None for nobody.

        Raises UsageError for a file that is not valid.
        """
        for path in self._paths.auth_files:
            file = AuthFile.read(path)
            if file is not None and (found := self._ask(file, registry, repository)):
                return found
        old = AuthFile.read(self._paths.dockercfg) if self._paths.dockercfg else None
        return _entry(old.document, registry, repository) if old else None

    def _ask(self, file: AuthFile, registry: str, repository: str) -> Credentials | None:
        name = file.helper(registry)
        if name:
            try:
                answer = CredentialHelper(name, self._environ).get(server_key(registry))
            except RegistryError as error:
                self.notes.append(str(error))
            else:
                if answer is not None:
                    return from_helper(*answer)
        return file.entry(registry, repository)


def server_key(registry: str) -> str:
    """The key of a registry in config.json and for helpers; Docker Hub's is an address for historical reasons."""
    return HUB_KEY if registry == HUB else registry


def from_helper(username: str, secret: str) -> Credentials:
    """What a helper answered: with the user ``<token>`` the secret is an identity token."""
    if username == _TOKEN_USER:
        return Credentials(identity_token=secret)
    return Credentials(username=username, password=secret)


def to_helper(credentials: Credentials) -> tuple[str, str]:
    """User and secret as a helper keeps them."""
    if credentials.identity_token:
        return _TOKEN_USER, credentials.identity_token
    return credentials.username, credentials.password


def keys_for(registry: str, repository: str) -> tuple[str, ...]:
    """The keys that can hold credentials for a repository, the most specific first."""
    parts = repository.split("/") if repository else []
    paths = tuple("/".join([registry, *parts[:count]]) for count in range(len(parts), -1, -1))
    return paths + (_HUB_KEYS if registry == HUB else ())


def names_registry(key: str, registry: str) -> bool:
    """Whether a key of ``auths`` means a registry as a whole. Docker's older versions wrote https://host/v1/."""
    return key in keys_for(registry, "") or ("://" in key and key.partition("://")[2].partition("/")[0] == registry)


def _entry(auths: dict[str, object], registry: str, repository: str) -> Credentials | None:
    exact = [key for key in keys_for(registry, repository) if key in auths]
    legacy = [key for key in auths if names_registry(key, registry)]
    found = (_parse(auths[key]) for key in exact + legacy)
    return next((credentials for credentials in found if credentials), None)


def _parse(value: object) -> Credentials | None:
    if not isinstance(value, dict):
        return None
    username, password = _text(value, "username"), _text(value, "password")
    encoded = _text(value, "auth")
    if encoded:
        try:
            decoded = base64.b64decode(encoded, validate=True).decode()
        except ValueError:  # not base64, not even ASCII, or not UTF-8 inside
            return None
        username, _, password = decoded.partition(":")
        password = password.rstrip("\0")
    found = Credentials(
        username=username,
        password=password,
        identity_token=_text(value, "identitytoken"),
        registry_token=_text(value, "registrytoken"),
    )
    return found or None


def _text(value: dict[str, object], key: str) -> str:
    text = value.get(key)
    # Half of a surrogate pair, which JSON can write, is no character that a request could carry.
    return text if isinstance(text, str) and not any("\ud800" <= character <= "\udfff" for character in text) else ""

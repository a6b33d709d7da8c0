"""docker-credential-NAME: programs that keep credentials for docker and its relatives.

Protocol: github.com/docker/docker-credential-helpers: the verb is the argument, the server or a JSON object is on
standard input, the answer on standard output.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping

from pyrt.errors import RegistryError
from pyrt.oci import limits
from pyrt.oci.shown import printable

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_NOT_FOUND = "credentials not found"


class CredentialHelper:
    """One helper, by the name that config.json has for it. ``time_limit`` is in seconds, per call.

    RegistryError where it is missing, takes too long, or does not answer as the protocol says; what it printed is never
    repeated, because it can be a secret.
    """

    def __init__(
        self, name: str, environ: Mapping[str, str] = os.environ, *, time_limit: float = limits.HELPER_SECONDS
    ) -> None:
        self.program = f"docker-credential-{printable(name, 60)}"
        if not _NAME.fullmatch(name):
            raise RegistryError(f"{self.program}: not a name for a credential helper")
        self._environ = environ
        self._time_limit = time_limit

    def get(self, server: str) -> tuple[str, str] | None:
        """User and secret for a server, None where the helper has none. Raises RegistryError."""
        code, output = self._run("get", server)
        if code != 0:
            if _NOT_FOUND in output.lower():
                return None
            raise RegistryError(f"{self.program} get: failed with exit code {code}")
        try:
            answer = json.loads(output)
            username, secret = answer["Username"], answer["Secret"]
        except (ValueError, KeyError, TypeError):
            raise RegistryError(f"{self.program} get: the answer is not what the protocol says") from None
        if not isinstance(username, str) or not isinstance(secret, str):
            raise RegistryError(f"{self.program} get: the answer is not what the protocol says")
        return (username, secret) if username or secret else None

    def store(self, server: str, username: str, secret: str) -> None:
        """Keeps a user and secret for a server. Raises RegistryError."""
        code, _ = self._run("store", json.dumps({"ServerURL": server, "Username": username, "Secret": secret}))
        if code != 0:
            raise RegistryError(f"{self.program} store: failed with exit code {code}")

    def erase(self, server: str) -> None:
        """Forgets a server; one that is not known is no error. Raises RegistryError."""
        code, output = self._run("erase", server)
        if code != 0 and _NOT_FOUND not in output.lower():
            raise RegistryError(f"{self.program} erase: failed with exit code {code}")

    def _run(self, verb: str, given: str) -> tuple[int, str]:
        import subprocess

        path = shutil.which(self.program, path=self._environ.get("PATH", os.defpath))
        if path is None:
            raise RegistryError(f"{self.program}: not found on PATH")
        try:
            done = subprocess.run(
                [path, verb],
                input=given.encode(),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=dict(self._environ),
                timeout=self._time_limit,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise RegistryError(f"{self.program} {verb}: no answer within {self._time_limit:g} s") from None
        except OSError as error:
            raise RegistryError(f"{self.program} {verb}: cannot be executed: {error.strerror}") from error
        return done.returncode, done.stdout.decode(errors="replace")

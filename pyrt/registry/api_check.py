"""Is there a registry at all? The answer to ``/v2/``, told apart (distribution-spec, "Determining Support")."""

from __future__ import annotations

from enum import Enum

from pyrt.errors import InvalidManifest, NotARegistry
from pyrt.oci import limits
from pyrt.registry import failures
from pyrt.registry.connection import Answer, Connection

_VERSION = "docker-distribution-api-version"


class ApiState(Enum):
    """What a registry says to whoever we are: come in, log in first, or stay out."""

    OPEN = "open"
    NEEDS_LOGIN = "needs login"
    FORBIDDEN = "forbidden"


def check_api(connection: Connection) -> ApiState:
    """Asks for ``/v2/``, logging in on the way where the connection has credentials.

    Raises NotARegistry where the API is missing or something else answers, RateLimited, RegistryUnreachable, and
    AccessDenied where the token server refuses.
    """
    host = connection.endpoint.host
    try:
        answer = connection.fetch("/v2/", limit=limits.ANSWER_BYTES)
    except InvalidManifest as error:
        raise NotARegistry(f"{host}: not a registry: {error}", host=host) from error
    named = answer.headers.get(_VERSION, "").strip().lower().startswith("registry/2")
    if answer.status == 404:
        raise NotARegistry(f"{host}: no registry of API version 2: /v2/ is not found", host=host)
    if answer.status == 200 and (named or _is_json(answer)):
        return ApiState.OPEN
    if answer.status == 401 and (named or answer.headers.get("www-authenticate")):
        return ApiState.NEEDS_LOGIN
    if answer.status == 403 and (named or not failures.is_html(answer.headers, answer.body)):
        return ApiState.FORBIDDEN
    if answer.status in (200, 401, 403):
        raise NotARegistry(f"{host}: not a registry: its answer to /v2/ is not one of the API", host=host)
    raise connection.refusal(answer, f"{host}/v2/")


def _is_json(answer: Answer) -> bool:
    """Registries of the current specification need no version header; an empty body or a JSON object is usual."""
    if failures.is_html(answer.headers, answer.body):
        return False
    return answer.body.strip()[:1] in (b"", b"{")

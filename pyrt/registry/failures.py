"""Every way in which a request fails, turned into pyrt's exceptions: the one place where this is done."""

from __future__ import annotations

import errno
import json
import socket
import ssl
from collections.abc import Iterator

import httpx

from pyrt.errors import (
    AccessDenied,
    ImageNotFound,
    NotARegistry,
    PyrtError,
    RateLimited,
    RegistryError,
    RegistryUnreachable,
)
from pyrt.oci.shown import printable
from pyrt.registry.shown import without_secrets
from pyrt.registry.transport import AnswerTooLarge, NameLeadsInside
from pyrt.registry.wire import Timeouts

# What OpenSSL says when the other side does not speak TLS at all.
_NOT_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG")
_WEB_PAGE = (400, 404, 405, 410)
_CLOCK = ("not yet valid", "has expired")


def causes(error: BaseException) -> Iterator[BaseException]:
    """An exception and those that it was raised from."""
    following: BaseException | None = error
    while following is not None:
        yield following
        following = following.__cause__ or following.__context__


def ssl_error(error: BaseException) -> ssl.SSLError | None:
    """The TLS error behind an exception."""
    return next((each for each in causes(error) if isinstance(each, ssl.SSLError)), None)


def speaks_no_tls(error: httpx.TransportError) -> bool:
    """Whether a failed TLS handshake means that the other side speaks something else (or nothing)."""
    tls = ssl_error(error)
    if tls is not None:
        return isinstance(tls, ssl.SSLEOFError) or (tls.reason or "") in _NOT_TLS
    reset = any(isinstance(each, ConnectionResetError) for each in causes(error))
    # A proxy may refuse to tunnel to a port and yet pass on plain http.
    lost = (httpx.ConnectTimeout, httpx.ReadTimeout, httpx.RemoteProtocolError, httpx.ProxyError)
    return reset or isinstance(error, lost)


def was_refused(error: httpx.TransportError) -> bool:
    """Whether nobody listens there."""
    return any(isinstance(each, ConnectionRefusedError) for each in causes(error))


def is_transient(error: httpx.TransportError) -> bool:
    """Whether the same request may succeed a moment later: a connection that broke. A time-out has waited enough."""
    if isinstance(error, (httpx.ReadError, httpx.WriteError)):
        return ssl_error(error) is None or isinstance(ssl_error(error), ssl.SSLEOFError)
    broken = ("Server disconnected", "peer closed connection")
    return isinstance(error, httpx.RemoteProtocolError) and str(error).startswith(broken)


def unreachable(error: httpx.TransportError, host: str, timeouts: Timeouts) -> RegistryError:
    """The exception for a request that got no complete answer. ``host`` is the registry's."""
    place = _place(error, host)
    if isinstance(error, AnswerTooLarge):
        return NotARegistry(f"{place}: its answer is {error}", host=host)
    if isinstance(error, NameLeadsInside):
        return RegistryError(f"{place}: we were sent there, and {printable(str(error))}", host=host)
    tls = ssl_error(error)
    if tls is not None:
        return _tls_failure(tls, place, host)
    if isinstance(error, httpx.ConnectTimeout):
        return RegistryUnreachable(f"{place}: no connection within {timeouts.connect:g} s", host=host)
    if isinstance(error, httpx.ReadTimeout):
        return RegistryUnreachable(f"{place}: no answer, or too slow an answer, within the time allowed", host=host)
    for each in causes(error):
        if isinstance(each, socket.gaierror):
            return RegistryUnreachable(f"{place}: name lookup failed: {each.strerror}", host=host)
        if isinstance(each, OSError) and each.errno:
            reason = errno.errorcode.get(each.errno, str(each.errno))
            return RegistryUnreachable(f"{place}: {each.strerror or reason}", host=host)
    if isinstance(error, httpx.ProxyError):
        return RegistryUnreachable(f"{place}: the proxy refused: {printable(str(error))}", host=host)
    if isinstance(error, httpx.RemoteProtocolError) and not is_transient(error):
        return NotARegistry(f"{place}: its answer is not HTTP: {printable(str(error))}", host=host)
    return RegistryUnreachable(f"{place}: connection lost: {printable(str(error))}", host=host)


def _place(error: httpx.TransportError, host: str) -> str:
    try:
        other = error.request.url.netloc.decode()
    except RuntimeError:  # httpx: no request was attached
        return host
    return host if other == host or not other else f"{host}: {printable(other)}"


def _tls_failure(tls: ssl.SSLError, place: str, host: str) -> RegistryError:
    if isinstance(tls, ssl.SSLCertVerificationError):
        why = tls.verify_message or "certificate verify failed"
        hint = f"to trust its authority, put the certificate into /etc/docker/certs.d/{host}/ca.crt"
        if any(words in why for words in _CLOCK):
            hint = "check the date of this machine"
        return RegistryUnreachable(f"{place}: TLS: {printable(why)}", host=host, hint=hint)
    if (tls.reason or "") in _NOT_TLS:
        hint = f"if plain http is meant, mark {host} as insecure in registries.conf"
        return RegistryUnreachable(f"{place}: it does not speak TLS", host=host, hint=hint)
    return RegistryUnreachable(f"{place}: TLS: {printable((tls.reason or str(tls)).replace('_', ' '))}", host=host)


def is_html(headers: httpx.Headers, body: bytes) -> bool:
    """Whether an answer is a web page."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind in ("text/html", "application/xhtml+xml") or body[:64].lstrip()[:5].lower() in (b"<!doc", b"<html")


def refusal(
    *,
    status: int,
    headers: httpx.Headers,
    body: bytes,
    host: str,
    registry: str,
    subject: str,
    retry_after: float | None = None,
    secrets: frozenset[str] = frozenset(),
    note: str = "",
    logged_in: bool = False,
) -> PyrtError:
    """The exception for an answer that is an error (or not what was asked for).

    A web page means that there is no registry, but for those that a proxy before a registry sends: for a login, a
    refusal, an overload. ``subject`` is what was asked for, ``registry`` the name that a login goes by, ``note`` a
    further hint, ``logged_in`` whether it was asked with credentials.
    """
    challenge = headers.get("www-authenticate")
    if is_html(headers, body) and (status < 300 or status in _WEB_PAGE or (status == 401 and not challenge)):
        return NotARegistry(f"{host}: not a registry: it answers with a web page (status {status})", host=host)
    said = "" if is_html(headers, body) else without_secrets(problem(body), secrets)
    because = f": {said}" if said else ""
    if status in (401, 403):
        hint = f"log in with: pyrt login {registry}" + (f" ({note})" if note else "")
        hint = f"the login that is kept for it does not suffice; {hint}" if logged_in else hint
        doubt = ", or there is no such repository" if status == 401 else ""
        return AccessDenied(f"{subject}: access denied{doubt}{because}", host=host, hint=hint)
    if status == 404:
        return ImageNotFound(f"{subject}: not found at {host}{because}")
    if status == 429:
        when = f", try again in {retry_after:.0f} s" if retry_after is not None else ""
        hint = "" if logged_in else f"a login may raise the limit: pyrt login {registry}"
        message = f"{host}: too many requests{when}{because}"
        return RateLimited(message, host=host, retry_after=retry_after, hint=hint)
    return RegistryError(f"{subject}: {host} answered with status {status}{because}", host=host)


def problem(body: bytes) -> str:
    """What an error answer says, on one line: ``{"errors": [{"code", "message"}]}`` or the text itself."""
    try:
        document = json.loads(body)
        first = document["errors"][0]
        code, message = str(first.get("code", "")), str(first.get("message", ""))
        return printable(f"{code}: {message}" if code and message else code or message)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return printable(body[:1000].decode(errors="replace"))

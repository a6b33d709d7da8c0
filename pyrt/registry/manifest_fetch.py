"""A manifest from one endpoint, verified before anybody sees it."""

from __future__ import annotations

from pyrt.errors import DigestMismatch, ImageNotFound, InvalidManifest, NotARegistry, PyrtError, UsageError
from pyrt.oci import limits, media_types
from pyrt.oci.digest import Digest
from pyrt.oci.manifest import parse_document
from pyrt.oci.shown import printable
from pyrt.registry import failures
from pyrt.registry.connection import Answer, Connection
from pyrt.registry.retry import RetryPolicy


def fetch_manifest(
    connection: Connection,
    which: str | Digest,
    *,
    accept: tuple[str, ...] = media_types.ACCEPT,
    retry: RetryPolicy | None = None,
) -> tuple[bytes, str]:
    """The bytes and the content type of a manifest by tag or digest.

    By digest, the bytes are checked against it; by tag, against Docker-Content-Digest where the server sends it. Raises
    ImageNotFound, AccessDenied, RateLimited, NotARegistry, DigestMismatch, InvalidManifest (too large), RegistryError.
    """
    endpoint = connection.endpoint
    path = f"/v2/{endpoint.repository}/manifests/{which}"
    headers = {"accept": ", ".join(accept)}
    answer = connection.fetch(path, headers=headers, limit=limits.JSON_BYTES, retry=retry)
    if answer.status != 200:
        raise _refusal(connection, which, answer)
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    _check_kind(connection, answer, kind)
    _check_digest(which, answer, kind)
    return answer.body, kind


def _subject(connection: Connection, which: str | Digest) -> str:
    endpoint = connection.endpoint
    joint = "@" if isinstance(which, Digest) else ":"
    return f"{endpoint.registry}/{endpoint.repository}{joint}{which}"


def _refusal(connection: Connection, which: str | Digest, answer: Answer) -> PyrtError:
    subject = _subject(connection, which)
    error = connection.refusal(answer, subject)
    if not isinstance(error, ImageNotFound):
        return error
    said = failures.problem(answer.body)
    endpoint = connection.endpoint
    if "NAME_UNKNOWN" in said:
        return ImageNotFound(f"{endpoint.registry}/{endpoint.repository}: the registry has no such repository")
    what = "digest" if isinstance(which, Digest) else "tag"
    return ImageNotFound(f"{subject}: the registry has no such {what}")


def _check_kind(connection: Connection, answer: Answer, kind: str) -> None:
    host = connection.endpoint.host
    if failures.is_html(answer.headers, answer.body):
        raise NotARegistry(f"{host}: not a registry: it answers with a web page", host=host)
    if kind and kind not in media_types.GENERIC and not kind.endswith(("+json", "+prettyjws")):
        raise NotARegistry(f"{host}: not a manifest: its content type is {printable(kind, 80)}", host=host)


def _check_digest(which: str | Digest, answer: Answer, kind: str) -> None:
    if isinstance(which, Digest):
        expected = which
    else:
        text = answer.headers.get("docker-content-digest", "")
        if not text:
            return
        try:
            expected = Digest.parse(text)
        except UsageError as error:
            raise InvalidManifest(f"Docker-Content-Digest of the answer: {error}") from error
    hasher = expected.hasher()
    hasher.update(answer.body)
    if expected.matches(hasher):
        return
    actual = f"{expected.algorithm}:{hasher.hexdigest()}"
    if _is_signed(answer.body, kind):
        # The digest of a signed schema 1 manifest is that of the document without its signatures.
        actual = str(parse_document(answer.body, kind).digest)
    if actual != str(expected):
        message = f"manifest {expected}: its bytes have digest {actual}"
        raise DigestMismatch(message, expected=str(expected), actual=actual)


def _is_signed(body: bytes, kind: str) -> bool:
    return kind == media_types.SCHEMA1_SIGNED or (kind in media_types.GENERIC and b'"signatures"' in body)

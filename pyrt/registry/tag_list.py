"""The tags of a repository, page by page (distribution-spec, "Listing Tags")."""

from __future__ import annotations

import re

from pyrt.errors import InvalidManifest
from pyrt.oci import limits
from pyrt.oci.document import parse_json
from pyrt.oci.reference import TAG
from pyrt.registry.connection import Connection

_NEXT = re.compile(r'<([^<>]{1,2048})>\s*;\s*rel="?next"?')


def fetch_tags(connection: Connection) -> tuple[str, ...]:
    """All tags, in the registry's order. A next page is only followed at the registry itself (RG-13).

    Raises ImageNotFound, AccessDenied, RegistryError, InvalidManifest for an answer that is no list of tags.
    """
    endpoint = connection.endpoint
    path = f"/v2/{endpoint.repository}/tags/list"
    tags: list[str] = []
    for _ in range(limits.TAG_PAGES):
        answer = connection.fetch(path, headers={"accept": "application/json"}, limit=limits.JSON_BYTES)
        if answer.status != 200:
            raise connection.refusal(answer, f"{endpoint.registry}/{endpoint.repository}")
        document = parse_json(answer.body, "list of tags")
        page = document.texts("tags") if document.has("tags") else ()
        if not all(map(TAG.fullmatch, page)):
            raise InvalidManifest(f"{endpoint.registry}/{endpoint.repository}: its list of tags has what is no tag")
        tags.extend(page)
        if len(tags) > limits.TAGS:
            raise InvalidManifest(f"{endpoint.registry}/{endpoint.repository}: more than {limits.TAGS} tags")
        match = _NEXT.search(answer.headers.get("link", ""))
        if match is None:
            return tuple(tags)
        path = str(connection.resolve(match[1], "next page"))
    raise InvalidManifest(f"{endpoint.registry}/{endpoint.repository}: more than {limits.TAG_PAGES} pages of tags")

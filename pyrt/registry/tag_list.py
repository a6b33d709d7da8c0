"""The tags of a repository, page by page (distribution-spec, "Listing Tags")."""

from __future__ import annotations

import re

from pyrt.errors import InvalidManifest
from pyrt.oci.document import parse_json
from pyrt.registry.connection import Connection
from pyrt.registry.wire import MANIFEST_LIMIT

PAGE_LIMIT = 1000
TAG_LIMIT = 1_000_000
_NEXT = re.compile(r'<([^<>]{1,2048})>\s*;\s*rel="?next"?')


def fetch_tags(connection: Connection) -> tuple[str, ...]:
    """All tags, in the registry's order. A next page is only followed at the registry itself (RG-13).

    Raises ImageNotFound, AccessDenied, RegistryError, InvalidManifest for an answer that is no list of tags.
    """
    endpoint = connection.endpoint
    path = f"/v2/{endpoint.repository}/tags/list"
    tags: list[str] = []
    for _ in range(PAGE_LIMIT):
        answer = connection.fetch(path, headers={"accept": "application/json"}, limit=MANIFEST_LIMIT)
        if answer.status != 200:
            raise connection.refusal(answer, f"{endpoint.registry}/{endpoint.repository}")
        document = parse_json(answer.body, "list of tags")
        tags.extend(document.texts("tags") if document.has("tags") else ())
        if len(tags) > TAG_LIMIT:
            raise InvalidManifest(f"{endpoint.registry}/{endpoint.repository}: more than {TAG_LIMIT} tags")
        match = _NEXT.search(answer.headers.get("link", ""))
        if match is None:
            return tuple(tags)
        path = str(connection.resolve(match[1], "next page"))
    raise InvalidManifest(f"{endpoint.registry}/{endpoint.repository}: more than {PAGE_LIMIT} pages of tags")

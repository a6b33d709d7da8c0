"""What the listing of images shows of each, and which of them a filter means."""

from __future__ import annotations

import re
from datetime import datetime

from pyrt.cli import ages
from pyrt.cli.filters import boolean, grouped, has_labels
from pyrt.cli.sizes import format_size
from pyrt.errors import InvalidReference, PyrtError, UsageError
from pyrt.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyrt.cli.filters import Filter
    from pyrt.oci.image import Image
    from pyrt.store.images import ImageRecord
    from pyrt.store.store import Store

FILTERS = ("before", "dangling", "label", "reference", "since", "until")
NONE = "<none>"
_SHORT = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedImage:
    """One line. ``image`` is None for an entry that cannot be read: another tool's, or a damaged one."""

    record: ImageRecord
    image: Image | None
    created: datetime

    @property
    def id(self) -> str:
        """docker's image id, the digest of the configuration; the manifest's where there is none."""
        return str(self.image.id if self.image is not None else self.record.descriptor.digest)

    @property
    def size(self) -> int:
        """Bytes of the image as it was pulled: its compressed layers and its configuration."""
        if self.image is None:
            return 0
        return sum(part.size or 0 for part in (self.image.manifest.config, *self.image.layers))


def listed(store: Store) -> list[ListedImage]:
    """All images, the newest first."""
    rows = []
    for record in store.images.list():
        try:
            image = store.images.load(record)
        except PyrtError:
            image = None
        created = ages.parse_time(image.config.created) if image is not None else ages.NEVER
        rows.append(ListedImage(record=record, image=image, created=created))
    return sorted(rows, key=lambda row: row.created, reverse=True)


def chosen(rows: list[ListedImage], filters: Iterable[Filter], now: datetime) -> list[ListedImage]:
    """The images that all filters fit. Raises UsageError."""
    wanted = grouped(filters, FILTERS)
    dangling = boolean("dangling", wanted.get("dangling", ()))
    limits = [ages.parse_limit(text, now) for text in wanted.get("until", ())]
    before = [_created(rows, text) for text in wanted.get("before", ())]
    since = [_created(rows, text) for text in wanted.get("since", ())]
    patterns = [reference_pattern(text) for text in wanted.get("reference", ())]
    return [
        row
        for row in rows
        if (dangling is None or dangling == (row.record.reference is None))
        and all(row.created < limit for limit in (*limits, *before))
        and all(row.created > limit for limit in since)
        and has_labels(row.image.config.labels if row.image else (), wanted.get("label", ()))
        and (not patterns or any(fits_reference(row.record, pattern) for pattern in patterns))
    ]


def reference_pattern(text: str) -> re.Pattern[str]:
    """A pattern of Go's path.Match: ``*`` and ``?`` stop at a slash, ``[a-c]`` is a set. Raises UsageError."""
    translated = re.sub(
        r"\*+|\?|\[\^?[^\]]*\]|\\.|[^*?\[\\]+|.",
        lambda match: _translated(match.group()),
        text,
        flags=re.DOTALL,
    )
    try:
        return re.compile(translated)
    except re.error as error:
        raise UsageError(f"{text!r} is no pattern") from error


def fits_reference(record: ImageRecord, pattern: re.Pattern[str]) -> bool:
    """Whether a pattern means an image: by name and tag, or by name alone, as docker writes them."""
    if record.reference is None:
        return False
    names = (record.reference.familiar(), record.reference.familiar_name())
    return any(pattern.fullmatch(name) for name in names)


def familiar_argument(text: str) -> str:
    """The NAME argument as a pattern: a complete name is shortened as docker shows it, a pattern stays."""
    from pyrt.oci.reference import Reference

    if re.search(r"[*?\[]", text):
        return text
    try:
        reference = Reference.parse(text)
    except InvalidReference as error:
        raise UsageError(str(error)) from error
    tagged = text.endswith(f":{reference.tag}") or reference.digest is not None
    return reference.familiar() if tagged else reference.familiar_name()


def row(image: ListedImage, now: datetime, *, whole: bool) -> dict[str, str]:
    """The fields that docker's templates have."""
    reference, digest = image.record.reference, image.id
    return {
        "ID": digest if whole else digest.partition(":")[2][:_SHORT],
        "Repository": reference.familiar_name() if reference is not None else NONE,
        "Tag": (reference.tag if reference is not None else None) or NONE,
        "Digest": str(image.record.resolved),
        "CreatedSince": ages.ago(image.created, now),
        "CreatedAt": ages.go_time(image.created),
        "Size": format_size(image.size),
        "Containers": "N/A",
        "SharedSize": "N/A",
        "UniqueSize": "N/A",
    }


def _translated(piece: str) -> str:
    if piece.startswith("*"):
        return "[^/]*"
    if piece == "?":
        return "[^/]"
    if piece.startswith("[") and len(piece) > 1:
        inside = piece[1:-1].replace("\\", "\\\\").replace("[", "\\[")
        return f"(?=[^/])[{inside}]"
    return re.escape(piece[1:] if piece.startswith("\\") and len(piece) > 1 else piece)


def _created(rows: list[ListedImage], text: str) -> datetime:
    """When the image was made that ``before=`` or ``since=`` names."""
    for candidate in rows:
        name = candidate.record.reference
        digest = candidate.id.partition(":")[2]
        if (name is not None and text in (name.familiar(), str(name), name.familiar_name())) or (
            len(text) >= 4 and digest.startswith(text.removeprefix("sha256:"))
        ):
            return candidate.created
    raise UsageError(f"image {text}: not in the store")

"""What ``ps`` shows of each container, and which of them a filter means."""

from __future__ import annotations

import re
from datetime import datetime

from pyrt.cli import ages
from pyrt.cli.container_json import mounts, network
from pyrt.cli.filters import grouped, has_labels
from pyrt.cli.go_values import go_json
from pyrt.errors import InvalidReference, PyrtError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pyrt.cli.filters import Filter
    from pyrt.cli.format import Cell
    from pyrt.store.records import Record
    from pyrt.store.store import Store

FILTERS = ("ancestor", "before", "exited", "id", "label", "name", "since", "status")
STATES = ("created", "running", "exited")
_OTHER_STATES = ("paused", "restarting", "removing", "dead")  # docker's; no container of ours is ever in one
_SHORT = 12
_COMMAND_WIDTH = 20


def chosen(store: Store, records: Sequence[Record], filters: Iterable[Filter], *, ended: bool) -> list[Record]:
    """The containers that all filters fit; only running ones unless the ``ended`` too are wanted, or a status."""
    wanted = grouped(filters, FILTERS)
    states = [_state(text) for text in wanted.get("status", ())]
    exits = [_exit_code(text) for text in wanted.get("exited", ())]
    names = [_pattern(text) for text in wanted.get("name", ())]
    before = [store.containers.find(text).created for text in wanted.get("before", ())]
    since = [store.containers.find(text).created for text in wanted.get("since", ())]
    ancestors = [_ancestor(store, text) for text in wanted.get("ancestor", ())]
    ids = wanted.get("id", ())
    return [
        record
        for record in records
        if (ended or states or record.now.state == "running")
        and (not states or record.now.state in states)
        and (not exits or (record.now.state == "exited" and record.now.exit_code in exits))
        and (not names or any(pattern.search(record.name) for pattern in names))
        and (not ids or any(record.id.startswith(text) for text in ids))
        and (not ancestors or any(record.image in images or record.image_digest in images for images in ancestors))
        and all(record.created < moment for moment in before)
        and all(record.created > moment for moment in since)
        and has_labels(record.labels, wanted.get("label", ()))
    ]


def row(record: Record, now: datetime, *, whole: bool) -> dict[str, Cell]:
    """The fields that docker's templates have."""
    labels = dict(record.labels)
    created = ages.parse_time(record.created)
    places = mounts(record.spec)
    return {
        "ID": record.id if whole else record.id[:_SHORT],
        "Names": record.name,
        "Image": _familiar(record.image) or record.image_digest,
        "Command": _command(record.command, whole),
        "CreatedAt": ages.go_time(created),
        "RunningFor": ages.ago(created, now),
        "Ports": "",
        "State": record.now.state,
        "Status": status(record, now),
        "Size": "N/A",
        "Labels": ",".join(f"{key}={value}" for key, value in sorted(labels.items())),
        "Label": lambda name: labels.get(name, ""),
        "Mounts": ",".join(str(place.get("Name") or place["Source"]) for place in places),
        "LocalVolumes": str(sum(place["Type"] == "volume" for place in places)),
        "Networks": network(record.spec),
    }


def status(record: Record, now: datetime) -> str:
    """``Up 2 minutes``, ``Exited (0) 3 hours ago``, ``Created``."""
    if record.now.state == "running":
        return f"Up {ages.duration(_since(record.now.started, now))}"
    if record.now.state == "exited":
        ended = f" {ages.duration(_since(record.now.finished, now))} ago" if record.now.finished else ""
        return f"Exited ({record.now.exit_code}){ended}"
    return record.now.state.capitalize()


def _since(text: str, now: datetime) -> float:
    return max(0.0, (now - ages.parse_time(text)).total_seconds())


def _command(words: Sequence[str], whole: bool) -> str:
    text = " ".join(words)
    if not whole and len(text) > _COMMAND_WIDTH:
        text = text[: _COMMAND_WIDTH - 1] + "…"
    return go_json(text)


def _familiar(image: str) -> str:
    from pyrt.oci.reference import Reference

    try:
        reference = Reference.parse(image)
    except InvalidReference:
        return image
    # docker shows what was typed; the record has either that or the complete name.
    return reference.familiar() if image == str(reference) else image


def _ancestor(store: Store, text: str) -> set[str]:
    """What may stand in the record of a container of this image."""
    names = {text}
    try:
        found = store.images.find(text)
    except PyrtError:
        return names
    names.add(str(found.descriptor.digest))
    if found.reference is not None:
        names |= {str(found.reference), found.reference.familiar()}
    return names


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text.removeprefix("/").replace("^/", "^"))
    except re.error as error:
        raise UsageError(f"--filter name={text}: no regular expression") from error


def _state(text: str) -> str:
    if text not in (*STATES, *_OTHER_STATES):
        raise UsageError(f"--filter status={text}: no such status", hint=f"there are {', '.join(STATES)}")
    return text


def _exit_code(text: str) -> int:
    if not re.fullmatch(r"-?\d{1,9}", text, re.ASCII):
        raise UsageError(f"--filter exited={text}: not an exit code")
    return int(text)

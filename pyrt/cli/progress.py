"""A pull as the person at the terminal sees it: docker's words, always on stderr, so that stdout stays the command's.

On a terminal one line per layer moves (rich, imported only then); elsewhere each layer gets one line when it is done.
"""

from __future__ import annotations

import sys

from pyrt.cli.message import one_line
from pyrt.cli.sizes import format_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

    from rich.progress import Progress, TaskID

    from pyrt.store.progress import PullEvent

_SHORT = 12
_WORDS = {
    "start": "Pulling fs layer",
    "download": "Downloading",
    "unpack": "Extracting",
    "exists": "Already exists",
    "done": "Pull complete",
}
_LAST = ("exists", "done")


def watcher(stream: TextIO | None = None) -> PullProgress:
    """What to hand to a pull as its progress. Nothing is printed or imported before the first event."""
    stream = stream or sys.stderr
    return TerminalProgress(stream) if stream.isatty() else PullProgress(stream)


class PullProgress:
    """One plain line for each layer. A callback; ``finish`` leaves the terminal as it was."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def __call__(self, event: PullEvent) -> None:
        """Takes an event of a pull; they come one at a time."""
        if event.kind == "resolved":
            self.say(_pulling_from(event.text))
        elif event.kind == "note":
            self.say(f"pyrt: note: {event.text}")
        else:
            self.layer(event)

    def layer(self, event: PullEvent) -> None:
        """Says what became of a layer."""
        if event.kind in _LAST:
            self.say(f"{_short(event.digest)}: {_WORDS[event.kind]}")

    def say(self, text: str) -> None:
        """Writes one line."""
        print(one_line(text), file=self.stream, flush=True)

    def finish(self) -> None:
        """Ends whatever moves. Can be repeated."""


class TerminalProgress(PullProgress):
    """One moving line for each layer, for as long as any layer is under way."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self.live: Progress | None = None
        self.tasks: dict[str, TaskID] = {}
        self.under_way: set[str] = set()

    def layer(self, event: PullEvent) -> None:
        """Moves the layer's line. With the last one done the display ends: whoever started the pull may print then."""
        if event.kind not in _WORDS:
            return
        if self.live is None and event.kind in _LAST:
            super().layer(event)
            return
        if event.kind in _LAST:
            self.under_way.discard(event.digest)
        else:
            self.under_way.add(event.digest)
        self.show(event)
        if not self.under_way:
            self.finish()

    def show(self, event: PullEvent) -> None:
        """Brings the layer's line up to date."""
        if self.live is None:
            self.live = _live(self.stream)
            self.live.start()
        state, amount = _WORDS[event.kind], _amount(event)
        if event.digest not in self.tasks:
            self.tasks[event.digest] = self.live.add_task(_short(event.digest), total=None, state=state, amount=amount)
        moving = event.kind == "download"
        self.live.update(
            self.tasks[event.digest],
            state=state,
            amount=amount,
            completed=event.current if moving else 0,
            total=event.total if moving else None,
        )

    def say(self, text: str) -> None:
        """Writes one line above those that move."""
        if self.live is None:
            super().say(text)
        else:
            self.live.console.print(one_line(text), markup=False, highlight=False, soft_wrap=True)

    def finish(self) -> None:
        """Leaves the lines as they are and gives the terminal back."""
        if self.live is not None:
            self.live.stop()
            self.live = None
            self.tasks.clear()


def _live(stream: TextIO) -> Progress:
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn, Task
    from rich.progress_bar import ProgressBar
    from rich.table import Column
    from rich.text import Text

    class Words(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.description}: {task.fields['state']}")

    class Bar(ProgressColumn):
        """The bar, only while bytes come in of a layer whose size is known."""

        def render(self, task: Task) -> ProgressBar | Text:
            if task.fields["state"] != _WORDS["download"] or task.total is None:
                return Text("")
            return ProgressBar(total=task.total, completed=task.completed, width=24)

    class Amount(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(task.fields["amount"])

    plain = Column(no_wrap=True)
    console = Console(file=stream)  # honours NO_COLOR
    return Progress(Words(plain.copy()), Bar(plain.copy()), Amount(plain.copy()), console=console)


def _amount(event: PullEvent) -> str:
    if event.kind == "download":
        of = f"/{format_size(event.total)}" if event.total is not None else ""
        return f"{format_size(event.current)}{of}"
    return format_size(event.current) if event.kind == "unpack" else ""


def _pulling_from(text: str) -> str:
    from pyrt.errors import InvalidReference
    from pyrt.oci.reference import Reference

    try:
        reference = Reference.parse(text)
    except InvalidReference:
        return f"Pulling from {text}"
    return f"{reference.tag or reference.digest}: Pulling from {reference.repository}"


def _short(digest: str) -> str:
    return digest.rpartition(":")[2][:_SHORT]

"""``pyrt pull IMAGE...``: progress on stderr, the complete name of each image on stdout."""

from __future__ import annotations

import click

from pyrt.cli import refused
from pyrt.cli.command import Command, Option, Value
from pyrt.cli.login import surroundings
from pyrt.cli.output import note, write_line
from pyrt.cli.progress import watcher
from pyrt.cli.run_options import parse_platform
from pyrt.cli.settings import settings_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrt.cli.progress import PullProgress
    from pyrt.store.images import ImageRecord
    from pyrt.store.progress import PullEvent


@click.pass_context
def _pull(ctx: click.Context, *, images: tuple[str, ...], platform: str | None, authfile: str | None, quiet: bool) -> None:
    """Download images, or take them from an archive.

    IMAGE is a name as busybox:latest or registry.example/team/image@sha256:..., or one of oci:DIR[:REF],
    oci-archive:FILE[:REF], docker-archive:FILE[:REF].
    """
    from pyrt import image_pull

    store = settings_of(ctx).open_store()
    for text in images:
        before = {record.name: record for record in store.images.list()}
        with _Listener(None if quiet else watcher()) as listener:
            image_pull.pull(
                text,
                store=store,
                platform=platform,
                policy="always",
                environ=surroundings(authfile),
                progress=listener,
            )
        record = store.images.find(listener.name)
        if not quiet:
            _say_what_happened(record, before.get(record.name))
        write_line(record.name)


class _Listener:
    """Hears of a pull and hands on what it hears; ``name`` is that of the image, also where an archive's had none."""

    def __init__(self, display: PullProgress | None) -> None:
        self.display = display
        self.name = ""

    def __call__(self, event: PullEvent) -> None:
        if event.kind == "resolved":
            self.name = event.text
        if self.display is not None:
            self.display(event)

    def __enter__(self) -> _Listener:
        return self

    def __exit__(self, *failure: object) -> None:
        if self.display is not None:
            self.display.finish()


def _say_what_happened(record: ImageRecord, before: ImageRecord | None) -> None:
    name = record.reference.familiar() if record.reference is not None else record.name
    same = before is not None and before.descriptor.digest == record.descriptor.digest
    note(f"Digest: {record.resolved}")
    note(f"Status: {'Image is up to date' if same else 'Downloaded newer image'} for {name}")


command = Command(
    "pull",
    refused=refused.PULL,
    callback=_pull,
    help=_pull.__doc__,
    params=[
        Option(["--platform"], type=Value("OS/ARCH", parse_platform), metavar="OS/ARCH", help="As in linux/arm64."),
        Option(["--authfile"], metavar="FILE", help="Logins, instead of docker's and containers' own files."),
        Option(["--quiet", "-q"], is_flag=True, help="No progress."),
        click.Argument(["images"], metavar="IMAGE...", nargs=-1, required=False),
    ],
)

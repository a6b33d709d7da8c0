"""Answers that never end, in all the ways in which an answer can be long; and names that lead inside."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator

import pytest

from pyrt.errors import NotARegistry, PyrtError, RegistryError, RegistryUnreachable
from pyrt.oci import limits
from pyrt.oci.digest import Digest
from pyrt.registry.credentials import Credentials
from pyrt.registry.wire import Timeouts
from tests.support.fault_registry import FaultRegistry, Reply, Seen, image, noise, ranged, redirect
from tests.support.registry_client import World

SHORT = Timeouts(connect=0.5, header=0.5, document=0.5, progress=0.5, floor=1024, probe=0.5)
DATA = noise(100_000)
MANIFEST = "/v2/a/manifests/1"
ANNA = Credentials(username="anna", password="secret-pa55")


@pytest.fixture
def registry() -> Iterator[FaultRegistry]:
    with FaultRegistry() as running:
        image(running, "a", "1", DATA)
        yield running


def refused(world: World, registry: FaultRegistry, kind: type[PyrtError], within: float = 3.0) -> PyrtError:
    """What a pull of the manifest ends with."""
    started = time.monotonic()
    with world.open(f"{registry.host}/a:1", timeouts=SHORT, patient=False) as source, pytest.raises(kind) as caught:
        source.manifest()
    assert time.monotonic() - started < within
    return caught.value


@pytest.mark.parametrize(
    "reply",
    [
        Reply(headers=(("X", "y" * 90_000),), header_drip=(5_000, 0.1)),
        Reply(body=b" " * 4_000_000, drip=(50_000, 0.1)),
        Reply(status=404, body=b" " * 1_000_000, drip=(20_000, 0.1)),
    ],
    ids=["header", "document", "error"],
)
def test_rg_23_a_drip_above_the_floor(world: World, registry: FaultRegistry, reply: Reply) -> None:
    """Each half second brings more than the kilobyte that a blob needs: heads and documents have a time as a whole."""
    registry.script(MANIFEST, reply)
    if reply.status == 404:  # what there is of an error suffices
        refused(world, registry, PyrtError)
    else:
        refused(world, registry, RegistryUnreachable)


def test_rg_23_a_blob_may_take_as_long_as_it_needs(world: World, registry: FaultRegistry) -> None:
    """The twin: two seconds for a blob, where a document has half of one."""
    data = noise(2_000_000, 3)
    blob = registry.blob("a", data, Reply(body=data, drip=(100_000, 0.1)))
    with world.open(f"{registry.host}/a:1", timeouts=SHORT, patient=False) as source:
        assert b"".join(source.blob(blob)) == data


def test_rg_23_redirects_that_take_their_time(world: World, registry: FaultRegistry) -> None:
    """Ten hops of a little less than the time for one."""
    registry.script(MANIFEST, Reply(status=307, headers=(("Location", MANIFEST),), delay=0.3))
    refused(world, registry, RegistryUnreachable)


@pytest.mark.parametrize("early", [5_000, 3])
def test_rg_26_provisional_answers(world: World, registry: FaultRegistry, early: int) -> None:
    """httpcore reads 1xx for ever; a few are honest."""
    manifest = registry.answer(Seen(method="GET", target=MANIFEST, headers={}))
    registry.script(MANIFEST, Reply(body=manifest.body, headers=manifest.headers, early=early))
    if early > 1_000:
        refused(world, registry, NotARegistry)
        return
    with world.open(f"{registry.host}/a:1") as source:
        assert Digest.of(source.manifest()[0])


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=b" " * 1000, drip=(1, 0.0), chunked=True, extension=90_000),
        Reply(body=b" " * 4_000_000, drip=(1, 0.0), chunked=True),
    ],
    ids=["extensions", "single bytes"],
)
def test_rg_25_more_framing_than_content(world: World, registry: FaultRegistry, reply: Reply) -> None:
    """One byte of a document for ninety kilobytes of the wire: within the limit of the document for days."""
    registry.script(MANIFEST, reply)
    started = time.monotonic()
    with world.open(f"{registry.host}/a:1", patient=False) as source, pytest.raises(RegistryError):
        source.manifest()
    assert time.monotonic() - started < 30


@pytest.mark.parametrize("size", [64, 4096])
def test_rg_25_small_chunks_are_fine(world: World, registry: FaultRegistry, size: int) -> None:
    """The twin: as small as a server's buffers may be."""
    blob = registry.blob("a", DATA, Reply(body=DATA, drip=(size, 0.0), chunked=True, extension=10))
    with world.open(f"{registry.host}/a:1", patient=False) as source:
        assert b"".join(source.blob(blob)) == DATA


def test_rg_25_a_list_of_tags_is_made_of_tags(world: World, registry: FaultRegistry) -> None:
    """A thousand pages of four megabytes each would be kept as they are."""
    registry.script("/v2/a/tags/list", Reply(body=b'{"name":"a","tags":["' + b"x" * 3_000_000 + b'"]}'))
    with world.open(f"{registry.host}/a:1") as source:
        with pytest.raises(PyrtError, match="what is no tag") as caught:
            source.tags()
        assert len(str(caught.value)) < 200
        registry.script("/v2/a/tags/list", Reply(body=b'{"name":"a","tags":["1","latest"]}'))
        assert source.tags() == ("1", "latest")


def test_rg_13_pages_without_end(world: World, registry: FaultRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TAG_PAGES", 20)
    link = ("Link", '</v2/a/tags/list>; rel="next"')
    registry.script("/v2/a/tags/list", Reply(body=b'{"name":"a","tags":[]}', headers=(link,)))
    with world.open(f"{registry.host}/a:1") as source, pytest.raises(PyrtError, match="more than 20 pages"):
        source.tags()


INSIDE, PUBLIC_HOST, OTHER = "127.0.0.1", "127.0.0.2", "127.0.0.3"


@pytest.fixture
def three() -> Iterator[dict[str, FaultRegistry]]:
    with FaultRegistry(INSIDE) as inside, FaultRegistry(PUBLIC_HOST) as public, FaultRegistry(OTHER) as other:
        image(public, "a", "1", DATA)
        yield {INSIDE: inside, PUBLIC_HOST: public, OTHER: other}


def sends_to(three: dict[str, FaultRegistry], by: str, port: int) -> Reply:
    url = f"http://storage.example:{port}/x"
    if by == "redirect":
        return redirect(url)
    return Reply(status=401, headers=(("WWW-Authenticate", f'Bearer realm="{url}",service="s"'),))


@pytest.mark.parametrize("by", ["redirect", "realm"])
@pytest.mark.parametrize("answers", [[INSIDE], ["169.254.169.254"], ["0.0.0.0"], ["::ffff:127.0.0.1"], [INSIDE, "::1"]])
def test_rg_09_a_name_that_resolves_inside(
    world: World, three: dict[str, FaultRegistry], by: str, answers: list[str]
) -> None:
    """Without TLS nobody has to prove that the name is his: the address decides, and it is the one we connect to."""
    public = three[PUBLIC_HOST]
    world.write("etc/containers/registries.conf", f'[[registry]]\nlocation = "{public.host}"\ninsecure = true\n')
    three[INSIDE].script("/x", Reply(body=b'{"token": "stolen"}'))
    public.script(MANIFEST, sends_to(three, by, three[INSIDE].port))
    with (
        world.open(f"{public.host}/a:1", public=(PUBLIC_HOST, OTHER), credentials=ANNA, lookup=lambda *_: answers) as source,
        pytest.raises(RegistryError, match="storage.example.*we were sent there, and .* inside this network"),
    ):
        source.manifest()
    assert not three[INSIDE].requests()


@pytest.mark.parametrize("answers", [[OTHER], [INSIDE, OTHER]], ids=["public", "public too"])
def test_bn_19_a_name_that_resolves_outside(world: World, three: dict[str, FaultRegistry], answers: list[str]) -> None:
    """The twin: storage at another public host. Of several addresses only an allowed one is used, and DNS is asked once
    for a connection: an answer that changes later changes nothing."""
    public, other = three[PUBLIC_HOST], three[OTHER]
    world.write("etc/containers/registries.conf", f'[[registry]]\nlocation = "{public.host}"\ninsecure = true\n')
    changing = itertools.chain([answers], itertools.repeat([INSIDE]))
    blob = public.blob("a", DATA, redirect(f"http://storage.example:{other.port}/x?X-Amz-Signature=1"))
    other.script("/x", lambda seen: ranged(seen, DATA))
    options: dict[str, Callable[[str, int], list[str]]] = {"lookup": lambda *_: next(changing)}
    with world.open(f"{public.host}/a:1", public=(PUBLIC_HOST, OTHER), **options) as source:
        assert b"".join(source.blob(blob)) == DATA
    assert [seen.target for seen in other.requests()] == ["/x?X-Amz-Signature=1"]
    assert not three[INSIDE].requests()


def test_bn_18_a_private_registry_has_private_storage(world: World, three: dict[str, FaultRegistry]) -> None:
    """The twin: nothing is public here, and the names of one network may mean its machines."""
    private, storage = three[PUBLIC_HOST], three[OTHER]
    world.write("etc/containers/registries.conf", f'[[registry]]\nlocation = "{private.host}"\ninsecure = true\n')
    blob = private.blob("a", DATA, redirect(f"http://storage.example:{storage.port}/x"))
    storage.script("/x", Reply(body=DATA))
    with world.open(f"{private.host}/a:1", lookup=lambda *_: [OTHER]) as source:
        assert b"".join(source.blob(blob)) == DATA


@pytest.mark.parametrize("target", ["https://169.254.169.254/x", "https://[fe80::1]/x", "https://0.0.0.0/x"])
def test_rg_09_link_local_is_nobodys_storage(world: World, three: dict[str, FaultRegistry], target: str) -> None:
    """Not even a private registry's: that is where clouds keep their machines' credentials."""
    private = three[PUBLIC_HOST]
    blob = private.blob("a", DATA, redirect(target))
    with (
        world.open(f"{private.host}/a:1") as source,
        pytest.raises(RegistryError, match="an address inside this network"),
    ):
        b"".join(source.blob(blob))

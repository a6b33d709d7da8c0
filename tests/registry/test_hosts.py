"""registries.conf and daemon.json: where a name leads."""

from __future__ import annotations

import pytest

from pyrt.errors import InvalidReference, RegistryError, UsageError
from pyrt.oci.digest import Digest
from pyrt.oci.reference import Reference
from pyrt.registry.hosts import Hosts
from tests.support.registry_client import World

USER_CONF = "home/.config/containers/registries.conf"
SYSTEM_CONF = "etc/containers/registries.conf"
DIGEST = Digest.of(b"x")


def hosts(world: World) -> Hosts:
    return Hosts.load(world.paths)


def places(world: World, text: str) -> list[str]:
    return [f"{each.host}/{each.repository}" for each in hosts(world).endpoints(Reference.parse(text))]


def names(world: World, text: str) -> list[str]:
    return [str(reference) for reference in hosts(world).candidates(text)]


def test_without_configuration(world: World) -> None:
    (endpoint,) = hosts(world).endpoints(Reference.parse("busybox"))
    assert (endpoint.registry, endpoint.host) == ("docker.io", "registry-1.docker.io")
    assert (endpoint.repository, endpoint.scheme) == ("library/busybox", "https")
    assert not endpoint.insecure and not endpoint.is_mirror
    assert names(world, "busybox") == ["docker.io/library/busybox:latest"]


@pytest.mark.parametrize("registry", ["localhost", "localhost:5000", "127.0.0.1:5000", "127.8.8.8", "[::1]:5000"])
def test_rg_37_plain_http_is_possible_on_loopback(world: World, registry: str) -> None:
    """RG-37 for the IPv6 one."""
    (endpoint,) = hosts(world).endpoints(Reference.parse(f"{registry}/a:1"))
    assert endpoint.scheme == "" and not endpoint.insecure and endpoint.host == registry


@pytest.mark.parametrize("registry", ["registry.example", "10.0.0.1:5000", "127.1:5000", "localhost.example"])
def test_plain_http_is_impossible_elsewhere(world: World, registry: str) -> None:
    (endpoint,) = hosts(world).endpoints(Reference.parse(f"{registry}/a:1"))
    assert endpoint.scheme == "https"


def test_mirrors_in_order_with_rewriting(world: World) -> None:
    world.write(
        SYSTEM_CONF,
        """
        [[registry]]
        prefix = "example.com/foo"
        location = "internal.example:5000/bar"
        insecure = true
        [[registry.mirror]]
        location = "one.example/mirrored"
        [[registry.mirror]]
        location = "two.example"
        insecure = true
        """,
    )
    found = hosts(world).endpoints(Reference.parse("example.com/foo/image:3"))
    assert [(each.host, each.repository) for each in found] == [
        ("one.example", "mirrored/image"),
        ("two.example", "image"),
        ("internal.example:5000", "bar/image"),
    ]
    assert [each.insecure for each in found] == [False, True, True]
    assert [each.is_mirror for each in found] == [True, True, False]
    assert [each.scheme for each in found] == ["https", "", ""]
    assert places(world, "example.com/foobar/image") == ["example.com/foobar/image"]


def test_longest_prefix_decides(world: World) -> None:
    world.write(
        SYSTEM_CONF,
        """
        [[registry]]
        location = "example.com"
        blocked = true
        [[registry]]
        prefix = "example.com/allowed"
        location = "example.com/allowed"
        [[registry]]
        prefix = "*.example.com"
        location = "cache.test"
        """,
    )
    assert places(world, "example.com/allowed/a") == ["example.com/allowed/a"]
    with pytest.raises(RegistryError, match="example.com is blocked by registries.conf"):
        places(world, "example.com/other/a")
    assert places(world, "deep.sub.example.com:5000/a/b") == ["cache.test/a/b"]


def test_wildcard_without_location_keeps_the_name(world: World) -> None:
    world.write(SYSTEM_CONF, '[[registry]]\nprefix = "*.example.com"\ninsecure = true\n')
    (endpoint,) = hosts(world).endpoints(Reference.parse("a.example.com/x/y"))
    assert (endpoint.host, endpoint.repository, endpoint.insecure) == ("a.example.com", "x/y", True)
    assert not hosts(world).endpoints(Reference.parse("example.com/x/y"))[0].insecure


@pytest.mark.parametrize(
    ("setting", "by_tag", "by_digest"),
    [
        ("", True, True),
        ('pull-from-mirror = "all"', True, True),
        ('pull-from-mirror = "digest-only"', False, True),
        ('pull-from-mirror = "tag-only"', True, False),
    ],
)
def test_which_mirrors_serve(world: World, setting: str, by_tag: bool, by_digest: bool) -> None:
    world.write(
        SYSTEM_CONF, f'[[registry]]\nlocation = "example.com"\n[[registry.mirror]]\nlocation = "m.example"\n{setting}\n'
    )
    assert (len(places(world, "example.com/a/b:1")) == 2) is by_tag
    assert (len(places(world, f"example.com/a/b@{DIGEST}")) == 2) is by_digest


def test_mirror_by_digest_only(world: World) -> None:
    world.write(
        SYSTEM_CONF,
        '[[registry]]\nlocation = "example.com"\nmirror-by-digest-only = true\n[[registry.mirror]]\nlocation = "m.example"\n',
    )
    assert len(places(world, "example.com/a/b:1")) == 1
    assert len(places(world, f"example.com/a/b@{DIGEST}")) == 2


def test_user_file_replaces_the_system_file_and_drop_ins_override(world: World) -> None:
    world.write(SYSTEM_CONF, 'unqualified-search-registries = ["system.example"]\n')
    assert names(world, "a/b") == ["system.example/a/b:latest"]
    world.write(USER_CONF, 'unqualified-search-registries = ["user.example", "docker.io"]\n')
    assert names(world, "a:1") == ["user.example/a:1", "docker.io/library/a:1"]
    world.write("etc/containers/registries.conf.d/10.conf", 'unqualified-search-registries = ["ten.example"]\n')
    world.write("etc/containers/registries.conf.d/ignored.txt", "not toml [")
    assert names(world, "a:1") == ["ten.example/a:1"]
    world.write("home/.config/containers/registries.conf.d/05.conf", 'unqualified-search-registries = ["five.example"]')
    assert names(world, "a:1") == ["five.example/a:1"]
    assert names(world, "other.example/a") == ["other.example/a:latest"]
    assert names(world, "docker.io/a") == ["docker.io/library/a:latest"]


def test_the_variable_names_the_only_file(world: World) -> None:
    world.write(SYSTEM_CONF, 'unqualified-search-registries = ["system.example"]\n')
    world.write("etc/containers/registries.conf.d/10.conf", 'unqualified-search-registries = ["ten.example"]\n')
    mine = world.write("mine.conf", 'unqualified-search-registries = ["mine.example"]\n')
    world.environ["CONTAINERS_REGISTRIES_CONF"] = str(mine)
    assert names(world, "a") == ["mine.example/a:latest"]


def test_aliases_go_before_the_search(world: World) -> None:
    world.write(
        SYSTEM_CONF,
        'unqualified-search-registries = ["x.example"]\n'
        '[aliases]\n"fedora" = "registry.example/fedora"\n"gone" = "g.example/g"\n',
    )
    world.write("etc/containers/registries.conf.d/1.conf", '[aliases]\n"gone" = ""\n')
    assert names(world, "fedora") == ["registry.example/fedora:latest"]
    assert names(world, "fedora:40") == ["registry.example/fedora:40"]
    assert names(world, f"fedora@{DIGEST}") == [f"registry.example/fedora@{DIGEST}"]
    assert names(world, "gone:1") == ["x.example/gone:1"]


def test_docker_daemon_json(world: World) -> None:
    world.write(
        "etc/docker/daemon.json",
        '{"registry-mirrors": ["https://mirror.example/", "http://127.0.0.1:5000"],'
        ' "insecure-registries": ["plain.example:5000", "10.0.0.0/8"], "debug": true}',
    )
    found = hosts(world).endpoints(Reference.parse("busybox"))
    assert [(each.scheme, each.host, each.is_mirror) for each in found] == [
        ("https", "mirror.example", True),
        ("http", "127.0.0.1:5000", True),
        ("https", "registry-1.docker.io", False),
    ]
    assert found[0].registry == "mirror.example"  # the credentials of docker.io stay where they belong
    for registry, insecure in {
        "plain.example:5000": True, "plain.example": False, "10.3.2.1:80": True, "11.0.0.1": False,
    }.items():  # fmt: skip
        (endpoint,) = hosts(world).endpoints(Reference.parse(f"{registry}/a"))
        assert endpoint.insecure is insecure and endpoint.scheme == ("" if insecure else "https")


def test_mirrors_of_docker_io_in_registries_conf_go_before_those_of_docker(world: World) -> None:
    world.write("etc/docker/daemon.json", '{"registry-mirrors": ["https://docker-mirror.example"]}')
    world.write(SYSTEM_CONF, '[[registry]]\nlocation = "docker.io"\n[[registry.mirror]]\nlocation = "m.example/hub"\n')
    assert places(world, "busybox") == ["m.example/hub/library/busybox", "registry-1.docker.io/library/busybox"]


def test_endpoint_for_login(world: World) -> None:
    assert hosts(world).host("docker.io").host == "registry-1.docker.io"
    assert hosts(world).host("registry.example:5000").repository == ""
    with pytest.raises(InvalidReference):
        hosts(world).host("not a host")
    with pytest.raises(InvalidReference, match="not a registry"):
        hosts(world).host("word")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[[registry]\n", "not valid TOML"),
        ("[registries.search]\nregistries = []\n", "version 1"),
        ("[[registry]]\ninsecure = true\n", "neither prefix nor location"),
        ('[[registry]]\nlocation = "https://example.com"\n', "host\\[:port\\]"),
        ('[[registry]]\nlocation = "a.example"\ninsecure = "yes"\n', "insecure is not true or false"),
        ('[[registry]]\nlocation = "a.example"\n[[registry.mirror]]\ninsecure = true\n', "no location"),
        (
            '[[registry]]\nlocation = "a.example"\n[[registry.mirror]]\nlocation = "b.example"\npull-from-mirror = "x"\n',
            "one of",
        ),
        (
            '[[registry]]\nlocation = "a.example"\nmirror-by-digest-only = true\n[[registry.mirror]]\n'
            'location = "b.example"\npull-from-mirror = "all"\n',
            "exclude each other",
        ),
        ('unqualified-search-registries = "docker.io"\n', "not a list"),
        ("registry = 3\n", "not a list of tables"),
        ("aliases = 3\n", "not a table"),
        ("[aliases]\na = 3\n", "not a string"),
    ],
)
def test_wrong_registries_conf(world: World, text: str, why: str) -> None:
    path = world.write(SYSTEM_CONF, text)
    with pytest.raises(UsageError, match=why) as caught:
        hosts(world)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["[", "[]", '{"registry-mirrors": "x"}', '{"registry-mirrors": ["ftp://x"]}', '{"insecure-registries": [1]}',
     '{"registry-mirrors": ["http://["]}', '{"registry-mirrors": ["http://a:b"]}'],
)
def test_wrong_daemon_json(world: World, text: str) -> None:
    world.write("etc/docker/daemon.json", text)
    with pytest.raises(UsageError, match=r"daemon\.json"):
        hosts(world)


@pytest.mark.parametrize("location", ["mirror", "m.example/UPPER", "m.example/..", "m.example/a%2e"])
def test_rg_42_impossible_rewriting_is_refused(world: World, location: str) -> None:
    """No name that the grammar does not allow is made by a rule."""
    world.write(SYSTEM_CONF, f'[[registry]]\nprefix = "example.com"\nlocation = "{location}"\n')
    with pytest.raises(InvalidReference):
        places(world, "example.com/a/b")


@pytest.mark.parametrize("text", ["a = " + "9" * 5000, "a = " + "[" * 100_000, "a = 2000-13-01", "a = \x00"])
def test_fz_toml_that_is_none(world: World, text: str) -> None:
    world.write(SYSTEM_CONF, text)
    with pytest.raises(UsageError, match="not valid TOML"):
        hosts(world)

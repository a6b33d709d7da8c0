"""Every option and command that docker has is either carried out or refused by its name, and with its own words."""

from __future__ import annotations

import click
import pytest

from pyrt.cli import refused
from pyrt.cli.group import Group
from pyrt.cli.main import COMMANDS, command, main

# docker 28: the options of "docker run", from its reference page and `docker run --help`.
DOCKER_RUN = """
--add-host --annotation --attach -a --blkio-weight --blkio-weight-device --cap-add --cap-drop --cgroup-parent --cgroupns
--cidfile --cpu-count --cpu-percent --cpu-period --cpu-quota --cpu-rt-period --cpu-rt-runtime --cpu-shares -c --cpus
--cpuset-cpus --cpuset-mems --detach -d --detach-keys --device --device-cgroup-rule --device-read-bps --device-read-iops
--device-write-bps --device-write-iops --disable-content-trust --dns --dns-opt --dns-option --dns-search --domainname
--entrypoint --env -e --env-file --expose --gpus --group-add --health-cmd --health-interval --health-retries
--health-start-interval --health-start-period --health-timeout --help --hostname -h --init --interactive -i
--io-maxbandwidth --io-maxiops --ip --ip6 --ipc --isolation --kernel-memory --label -l --label-file --link
--link-local-ip --log-driver --log-opt --mac-address --memory -m --memory-reservation --memory-swap --memory-swappiness
--mount --name --net --net-alias --network --network-alias --no-healthcheck --oom-kill-disable --oom-score-adj --pid
--pids-limit --platform --privileged --publish -p --publish-all -P --pull --quiet -q --read-only --restart --rm
--runtime --security-opt --shm-size --sig-proxy --stop-signal --stop-timeout --storage-opt --sysctl --tmpfs --tty -t
--ulimit --use-api-socket --user -u --userns --uts --volume -v --volume-driver --volumes-from --workdir -w
""".split()  # noqa: SIM905 (as in docker's own page)

# docker 28: its commands, from `docker --help` with the usual plugins.
DOCKER = """
attach build builder buildx checkpoint commit compose config container context cp create diff events exec export history
image images import info inspect kill load login logout logs manifest network node pause plugin port ps pull push rename
restart rm rmi run save search secret service stack start stats stop swarm system tag top trust unpause update version
volume wait
""".split()  # noqa: SIM905

TABLES = {
    ("run",): refused.RUN,
    ("pull",): refused.PULL,
    ("images",): refused.IMAGES,
    ("rmi",): refused.RMI,
    ("ps",): refused.PS,
    ("rm",): refused.RM,
    ("inspect",): refused.INSPECT,
    ("image", "inspect"): refused.IMAGE_INSPECT,
}
REFUSED_FLAGS = [(path, flag) for path, table in TABLES.items() for flag in table]
REFUSED_COMMANDS = [
    ((), refused.COMMANDS),
    (("container",), refused.CONTAINER),
    (("image",), refused.IMAGE),
    (("system",), refused.SYSTEM),
]


def find(path: tuple[str, ...]) -> click.Command:
    found: click.Command = command
    for name in path:
        assert isinstance(found, Group)
        inner = found.get_command(click.Context(found), name)
        assert inner is not None
        found = inner
    return found


def flags_of(path: tuple[str, ...]) -> set[str]:
    found = find(path)
    context = click.Context(found, info_name="x", **found.context_settings)
    return {name for param in found.get_params(context) if isinstance(param, click.Option) for name in param.opts}


def test_no_option_of_docker_run_is_unknown() -> None:
    assert set(DOCKER_RUN) <= flags_of(("run",)) | set(refused.RUN)


def test_no_command_of_docker_is_unknown() -> None:
    assert set(DOCKER) <= set(COMMANDS) | set(refused.COMMANDS)


@pytest.mark.parametrize(("path", "table"), TABLES.items())
def test_what_is_refused_is_not_carried_out(path: tuple[str, ...], table: dict[str, str]) -> None:
    assert not flags_of(path) & set(table)


@pytest.mark.parametrize(("path", "table"), REFUSED_COMMANDS)
def test_refused_commands_are_not_carried_out(path: tuple[str, ...], table: dict[str, str]) -> None:
    group = find(path)
    assert isinstance(group, Group)
    assert not set(table) & ({*group.modules} | {*group.aliases})
    assert group.refused is table


@pytest.mark.parametrize(("path", "flag"), REFUSED_FLAGS)
def test_a_refused_option_is_named(path: tuple[str, ...], flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([flag, "x"], [f"{flag}=x"]):
        assert main([*path, *words]) == 125
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.startswith(f"pyrt: {flag}: not supported by this version")
        assert said.err.count("\n") == 1


@pytest.mark.parametrize(("path", "name"), [(path, name) for path, table in REFUSED_COMMANDS for name in table])
def test_a_refused_command_is_named(path: tuple[str, ...], name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*path, name, "--any", "thing"]) == 125
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"pyrt: {' '.join((*path, name))}: not supported by this version")


@pytest.mark.parametrize("flag", refused.GLOBAL)
def test_a_refused_global_option_is_named(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([flag, "x", "version"]) == 125
    assert capsys.readouterr().err.startswith(f"pyrt: {flag}: not supported by this version")

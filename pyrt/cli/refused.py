"""What docker has and this version has not, by name and with the reason: so that nobody has to guess from "unknown".

Source: the reference pages of docker 28's command line. A test holds that nothing here is also carried out.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_LIMITS = "resource limits on the container as a whole are not there yet; --ulimit is"
_DETACHED = "containers run in the foreground"
_NETWORK = "there is no network of the container's own yet"
_WINDOWS = "it is for Windows containers"
_VOLUMES = "volumes are plain directories of the store"


def _table(reasons: Mapping[str, str]) -> Mapping[str, str]:
    return {flag: reason for flags, reason in reasons.items() for flag in flags.split()}


RUN: Mapping[str, str] = _table(
    {
        "--memory -m --memory-reservation --memory-swap --memory-swappiness --kernel-memory": _LIMITS,
        "--cpus --cpu-shares -c --cpu-period --cpu-quota --cpu-rt-period --cpu-rt-runtime": _LIMITS,
        "--cpuset-cpus --cpuset-mems --pids-limit --oom-kill-disable --oom-score-adj": _LIMITS,
        "--blkio-weight --blkio-weight-device --device-read-bps --device-read-iops --device-write-bps": _LIMITS,
        "--device-write-iops --cgroup-parent --storage-opt": _LIMITS,
        "--detach -d --detach-keys --attach -a --sig-proxy --restart": _DETACHED,
        "--log-driver --log-opt": "nothing is logged: " + _DETACHED,
        "--health-cmd --health-interval --health-retries --health-start-interval": "health checks are not there yet",
        "--health-start-period --health-timeout --no-healthcheck": "health checks are not there yet",
        "--publish -p --publish-all -P --expose --link --link-local-ip --ip --ip6 --mac-address": _NETWORK,
        "--network-alias --net-alias": _NETWORK,
        "--runtime": "pyrt is the runtime",
        "--gpus": "devices by CDI are not there yet; --device is",
        "--volume-driver --volumes-from": _VOLUMES,
        "--disable-content-trust": "there is no content trust to disable",
        "--use-api-socket": "there is no daemon with a socket",
        "--cpu-count --cpu-percent --io-maxbandwidth --io-maxiops": _WINDOWS,
    }
)

PULL: Mapping[str, str] = _table(
    {"--all-tags -a": "one image at a time", "--disable-content-trust": "there is no content trust to disable"}
)
IMAGES: Mapping[str, str] = _table({"--tree": ""})
RMI: Mapping[str, str] = _table({"--no-prune": "there are no untagged parents", "--platform": "one platform per image"})
IMAGE_INSPECT: Mapping[str, str] = _table({"--platform": "one platform per image"})
PS: Mapping[str, str] = _table({"--size -s": "sizes of containers are not measured yet"})
RM: Mapping[str, str] = _table({"--link -l": _NETWORK, "--volumes -v": "volumes are not listed yet"})
INSPECT: Mapping[str, str] = _table({"--size -s": "sizes of containers are not measured yet"})

GLOBAL: Mapping[str, str] = _table(
    {
        "--host -H --context -c --tls --tlscacert --tlscert --tlskey --tlsverify": "there is no daemon to talk to",
        "--config": "set DOCKER_CONFIG instead",
        "--log-level -l": "use --debug",
    }
)

_LIFE = _DETACHED + ", and end with it"
_BUILD = "images are pulled, not built"

COMMANDS: Mapping[str, str] = _table(
    {
        "attach exec logs start stop restart kill pause unpause wait stats top rename update port": _LIFE,
        "create cp diff export commit events": _LIFE,
        "build builder buildx bake import load save push search history manifest trust": _BUILD,
        "compose network volume": "one container at a time, without networks and volumes of its own",
        "swarm node service stack secret config": "there is no swarm",
        "context plugin checkpoint debug init scout": "",
    }
)
CONTAINER: Mapping[str, str] = _table(
    {
        "attach exec logs start stop restart kill pause unpause wait stats top rename update port": _LIFE,
        "create cp diff export commit": _LIFE,
        "prune": "pyrt rm removes single ones",
    }
)
IMAGE: Mapping[str, str] = _table({"build history import load push save": _BUILD})
SYSTEM: Mapping[str, str] = _table({"df events prune dial-stdio": ""})

"""``pyrt run``: from what was asked for to an exit code, in the order in which it happens.

    request -> image (pulled where missing) -> account -> spec -> plan -> process -> exit code

``prepared`` makes everything that a container needs before it exists, ``started`` brings it to life, and each registers with
one ExitStack how it is undone. Nobody else undoes anything: whatever fails, or whoever presses Ctrl-C, the stack unwinds
and the machine is as it was before. ``run`` (Python) and ``run_foreground`` (the command line) differ only in what becomes
of the three streams.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, contextmanager, suppress
from functools import lru_cache, partial

from pyrt import ladder
from pyrt._native.launch import Started, launch
from pyrt.errors import CommandFailed, ContainerTimeout, ImageError, ImageNotFound, PrivilegeError, UsageError
from pyrt.host import CHROOT, Host, start_time
from pyrt.ids import Ids
from pyrt.isolation import Isolation
from pyrt.notes import note
from pyrt.oci.image import Image
from pyrt.oci.spec import Spec
from pyrt.plan import Plan
from pyrt.request import (
    HOST,
    TRANSPORTS,
    UNCONFINED,
    CompletedRun,
    Device,
    DeviceRule,
    Mount,
    RunRequest,
    Ulimit,
)
from pyrt.runtime import apparmor, barriers, bundle, capabilities, compile, copy_up, etcfiles, seccomp, users
from pyrt.runtime.process import Process, Streams, communicate
from pyrt.runtime.tree import ImageTree
from pyrt.store import orphans
from pyrt.store.records import CREATED, EXITED, RUNNING, Held, Record, automatic_name, check_name
from pyrt.store.store import Store
from pyrt.store.volumes import Volumes
from pyrt.values import dataclass, replace
from pyrt.worker import call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import IO, Any

    from pyrt.runtime.cgroup import Cgroup
    from pyrt.store.layout import StoreLayout
    from pyrt.store.progress import Progress

PIPE, STDOUT, DEVNULL = -1, -2, -3  # subprocess's numbers
INHERIT = None
_APT_CONF = "etc/apt.conf"  # of the container's own files
_COPY = "copy"  # an image's tree in a container's directory, where it cannot be an overlay


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A container that is ready to be started."""

    held: Held
    spec: Spec
    plan: Plan
    cgroup: Cgroup | None
    isolation: Isolation


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """What a container's root is made of: an image's layers, uppermost first, or a plain directory."""

    image: Image | None
    layers: tuple[str, ...]

    @property
    def tree(self) -> ImageTree:
        return ImageTree(self.layers)


def run(
    image: str,
    argv: Sequence[str] = (),
    *,
    env: Mapping[str, str] | None = None,
    workdir: str | None = None,
    user: str | None = None,
    mounts: Sequence[Mount] = (),
    input: bytes | None = None,
    stdout: int | IO[Any] | None = PIPE,
    stderr: int | IO[Any] | None = PIPE,
    timeout: float | None = None,
    check: bool = False,
    network: str = "host",
    entrypoint: Sequence[str] | None = None,
    rootfs: str = "",
    name: str | None = None,
    hostname: str | None = None,
    init: bool = False,
    read_only: bool = False,
    shm_size: int = 64 << 20,
    pull: str = "missing",
    platform: str | None = None,
    group_add: Sequence[str] = (),
    cap_add: Sequence[str] = (),
    cap_drop: Sequence[str] = (),
    privileged: bool = False,
    seccomp: str = "",
    apparmor: str = "",
    label: Sequence[str] = (),
    no_new_privileges: bool = False,
    mask: Sequence[str] = (),
    unmask: Sequence[str] = (),
    pid: str = "",
    ipc: str = "",
    uts: str = "",
    cgroupns: str = "",
    devices: Sequence[Device] = (),
    device_rules: Sequence[DeviceRule] = (),
    ulimits: Sequence[Ulimit] = (),
    isolation: str = "",
    min_isolation: str = "",
    sysctls: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    store: Store | None = None,
) -> CompletedRun:
    """Runs a command in a new container of ``image`` and waits for its end, like ``subprocess.run``; the container is gone
    when this returns.

    ``image`` is a reference or a transport ("busybox", "ghcr.io/org/x@sha256:...", "oci:DIR"); "" with ``rootfs``, a
    directory that becomes the root. ``argv`` are the words of the command, the image's own where it is empty. ``input`` is
    fed to stdin, which is empty without it. ``stdout`` and ``stderr`` are PIPE (captured), INHERIT, DEVNULL, a file or an
    fd; ``stderr`` also STDOUT. ``timeout`` is in seconds from the start of the program.

    Raises ContainerTimeout when the time is up: everything in the container has been killed, and ``error.result`` has what
    was printed. With ``check`` raises CommandFailed for another exit code than 0. Raises CommandNotFound,
    CommandNotExecutable, and every other PyrtError for what keeps the container from starting.
    """
    request = RunRequest(
        image=image,
        rootfs=rootfs,
        argv=_words(argv),
        env=tuple((env or {}).items()),
        workdir=workdir,
        user=user,
        mounts=tuple(mounts),
        network=network,
        entrypoint=None if entrypoint is None else _words(entrypoint),
        name=name,
        hostname=hostname,
        init=init,
        read_only=read_only,
        shm_size=shm_size,
        pull=pull,
        platform=platform,
        group_add=tuple(group_add),
        cap_add=tuple(cap_add),
        cap_drop=tuple(cap_drop),
        privileged=privileged,
        seccomp=seccomp if seccomp in ("", UNCONFINED) else os.path.abspath(seccomp),
        apparmor=apparmor,
        label=tuple(label),
        no_new_privileges=no_new_privileges,
        mask=tuple(mask),
        unmask=tuple(unmask),
        pid=pid,
        ipc=ipc,
        uts=uts,
        cgroupns=cgroupns,
        devices=tuple(devices),
        device_rules=tuple(device_rules),
        ulimits=tuple(ulimits),
        isolation=isolation,
        min_isolation=min_isolation,
        sysctls=tuple((sysctls or {}).items()),
        labels=tuple((labels or {}).items()),
        remove=True,
        timeout=timeout,
    )
    with ExitStack() as undo:
        container = prepared(request, store or Store.shared(), undo)
        theirs, streams = _pipes(stdout, stderr, input is not None, undo)
        begun = time.monotonic()
        process, _ = started(container, (theirs[0], theirs[1], theirs[2]), undo)
        _close_all(theirs)
        deadline = None if timeout is None else begun + timeout
        captured = communicate(process, streams, input or b"", deadline)
        result = CompletedRun(
            argv=container.spec.process.args,
            returncode=process.wait(),
            stdout=captured.stdout,
            stderr=captured.stderr,
            duration=time.monotonic() - begun,
            image_digest=container.held.record.image_digest,
            container_id=container.held.record.id,
            isolation=container.isolation,
        )
    if captured.timed_out:
        raise ContainerTimeout(f"{_shown(result.argv)}: not done after {timeout:g} s, and killed", result=result)
    if check and result.returncode != 0:
        raise CommandFailed(f"{_shown(result.argv)}: exit code {result.returncode}", result=result)
    return result


def run_foreground(
    request: RunRequest,
    *,
    store: Store,
    progress: Callable[[], Progress | None] = lambda: None,
    say: Callable[[str], None] = lambda text: None,
) -> int:
    """Runs a container on the caller's own stdin, stdout, stderr and terminal, and returns its exit code.

    Signals that reach this process reach PID 1 of the container; a second SIGINT within 3 s kills it. ``progress`` is asked
    for a progress display only when something has to be pulled; ``say`` gets a line that a person should see. Main thread
    only. Raises every PyrtError that keeps the container from starting.
    """
    from pyrt.runtime import foreground

    if request.tty and not os.isatty(0) and request.interactive:
        note("the input is not a terminal", say)
    with ExitStack() as undo:
        signals = undo.enter_context(foreground.forwarded_signals())
        container = prepared(request, store, undo, progress=progress)
        with foreground.stdio(request.interactive and not request.tty) as stdio:
            signals.hold()
            process, master = started(container, stdio, undo, born=signals.attach)
        code, timed_out = foreground.attend(process, master, interactive=request.interactive, timeout=request.timeout)
        if timed_out:
            say(f"not done after {request.timeout:g} s, and killed")
        return code


def dry_run(request: RunRequest, *, store: Store) -> dict[str, Any]:
    """The spec and the plan that ``run`` would carry out, as JSON; nothing is made and nothing is started."""
    bundle.check(request)
    host = ladder.here(store.layout.run, request.isolation, root=store.layout.root)
    request = _fitted(request, host)
    with _rooted(request, store, lambda: None) as root:
        container_id = os.urandom(32).hex()
        memory, profile = _memory(request, host), _apparmor(request, host, load=False).profile
        spec, plan, _ = planned(request, root, host, container_id, store, memory, profile=profile, fill_volumes=False)
    document = spec.to_json()
    if spec.seccomp:
        document["linux"]["seccomp"] = seccomp.resolved(spec.seccomp, capabilities=plan.program.bounding)
    return {"spec": document, "plan": plan.to_json()}


def prepared(
    request: RunRequest, store: Store, undo: ExitStack, *, progress: Callable[[], Progress | None] = lambda: None
) -> Prepared:
    """Everything but the process: the image is here, and the container has its spec, its plan and its record."""
    bundle.check(request)
    host = ladder.here(store.layout.run, request.isolation, root=store.layout.root)
    _require(host, store)
    barriers.require(request, host)
    request = _fitted(request, host)
    if request.name is not None:
        check_name(request.name)
    confined = _apparmor(request, host)  # a profile or label that cannot be used ends it before anything is pulled
    _selinux_label(request)
    if request.seccomp:
        _filter(bundle.seccomp_profile(request), bundle.bounding_set(request, host.held), store.layout.filters)
    store.containers.sweep_some()
    container_id = os.urandom(32).hex()
    with _rooted(request, store, progress) as root:
        memory = _memory(request, host)
        spec, plan, cgroup = planned(request, root, host, container_id, store, memory, profile=confined.profile)
        record = _record(request, container_id, root.image, spec, cgroup, in_memory=memory > 0)
        held = store.containers.create(record)
        undo.callback(_let_go, held)
    if root.image is not None and _is_copied(host, memory):
        into = plan.newroot if host.rung == CHROOT else f"{store.containers.path(container_id)}/{_COPY}"
        _copy_root(root.layers, into) if host.ids is None else call(host.ids, _copy_root, root.layers, into)
    _write_cidfile(request, held)
    isolation = barriers.of(spec, host, (("AppArmor", confined.why),))
    return Prepared(held=held, spec=spec, plan=plan, cgroup=cgroup, isolation=isolation)


def _require(host: Host, store: Store) -> None:
    """Raises PrivilegeError where no container can be started, with the cause and the line that would change it."""
    try:
        host.require()
    except PrivilegeError as error:
        from pyrt import machine, obstacles

        raise PrivilegeError(str(error), hint=obstacles.hint(host, machine.read(host, store.layout.root))) from None


def default_isolation(host: Host) -> Isolation:
    """What stands between the host and a container that nothing special was asked for; nothing is made."""
    account = users.Account(uid=0, gid=0, groups=(0,), home="/root")
    request = RunRequest(argv=("true",))
    confined = _apparmor(request, host, load=False)
    place = bundle.Surroundings(
        hostname="",
        root_path="/",
        etc_files=(),
        volumes=(),
        held=host.held,
        apparmor_profile=confined.profile,
        ids=host.ids,
        fresh_proc=host.step("proc") == 0,
    )
    spec = bundle.make(_fitted(request, host), None, account, place)
    if host.rung == CHROOT:
        from pyrt.runtime import compile_chroot

        spec = compile_chroot.without_namespaces(spec)
    return barriers.of(spec, host, (("AppArmor", confined.why),))


def planned(
    request: RunRequest,
    root: Root,
    host: Host,
    container_id: str,
    store: Store,
    memory: int,
    *,
    profile: str = "",
    fill_volumes: bool = True,
) -> tuple[Spec, Plan, Cgroup | None]:
    """What the container will be, what C shall do for it, and its cgroup if it needs one, which is not made yet. What it
    writes is on ``memory`` bytes of a tmpfs, 0 for disk. ``profile`` is AppArmor's, "" for none."""
    account = _account(request, root, host.ids)
    ids = _ids(host, account)
    alone = ids is not None and ids.is_single
    name = _hostname(request, container_id)
    directory = store.layout.scratch if memory else store.containers.path(container_id)
    files = _etc_files(request, name)
    if alone and _has_apt(root.layers):
        files = (*files, (_APT_CONF, etcfiles.APT_AS_ROOT))
    place = bundle.Surroundings(
        hostname=name,
        root_path=request.rootfs or f"{directory}/root",
        etc_files=tuple((etcfiles.APT_CONFIG if file == _APT_CONF else f"/{file}", f"{directory}/{file}") for file, _ in files),
        volumes=_volumes(request, root, store, host.ids, fill=fill_volumes),
        held=host.held,
        apparmor_profile=profile,
        selinux_label=_selinux_label(request),
        ids=ids,
        fresh_proc=host.step("proc") == 0 and request.pid != HOST,
    )
    spec = bundle.make(request, root.image.config if root.image else None, account, place)
    bounding = capabilities.bits(spec.process.capabilities.bounding)
    in_chroot = host.rung == CHROOT
    cgroup = _cgroup(request, spec, bounding, container_id) if not in_chroot else None
    placement = compile.Placement(
        directory=directory,
        memory=memory,
        files=files,
        last_capability=host.last_capability,
        cgroup=cgroup.path if cgroup is not None and cgroup.version == 2 else "",
        joins=cgroup.joins if cgroup is not None else (),
        with_init=request.init,
        any_name=request.hostname is None,
        window=_window() if request.tty else (0, 0),
        filter=_filter(spec.seccomp, bounding, store.layout.filters if fill_volumes else "", emulate_root=alone),
    )
    if in_chroot:
        return (*_planned_chroot(request, root, host, spec, placement, store), None)
    return spec, compile.plan(spec, _root_mount(request, root, directory, _is_copied(host, memory)), placement), cgroup


def _fitted(request: RunRequest, host: Host) -> RunRequest:
    """The request as this rung can carry it out."""
    if host.rung != CHROOT:
        return request
    from pyrt.runtime import compile_chroot

    return compile_chroot.fitted(request)


def _planned_chroot(
    request: RunRequest, root: Root, host: Host, spec: Spec, placement: compile.Placement, store: Store
) -> tuple[Spec, Plan]:
    from pyrt._native import landlock
    from pyrt.runtime import compile_chroot

    place = compile_chroot.Place(
        root=request.rootfs and os.path.realpath(request.rootfs) or f"{placement.directory}/root",
        copied=root.image is not None,
        nodes=_nodes_work(store.layout.tmp),
        landlock=landlock.version() >= compile_chroot.LANDLOCK,
        machine=host.kernel()[0],
    )
    spec = compile_chroot.without_namespaces(spec)
    return spec, compile_chroot.plan(spec, placement, place)


@lru_cache(maxsize=4)
def _nodes_work(directory: str) -> bool:
    """Whether a device node can be made in a file system, and opens: it takes CAP_MKNOD, and no nodev."""
    path = f"{directory}/node-{os.getpid()}"
    try:
        os.mknod(path, 0o020600, os.makedev(1, 3))
        os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))
    except OSError:
        return False
    finally:
        with suppress(OSError):
            os.unlink(path)
    return True


def _copy_root(layers: tuple[str, ...], into: str) -> None:
    """Raises StoreError, NoSpace."""
    from pyrt.store import copied_root
    from pyrt.store.layout import refused

    try:
        copied_root.copy_layers(layers, into)
    except OSError as error:
        raise refused(into, error) from error


def _cgroup(request: RunRequest, spec: Spec, bounding: int, container_id: str) -> Cgroup | None:
    """A cgroup costs a start more time than its namespaces, so there is one only for what nothing else can do: device rules,
    and to find everything of a container that does not end with its pid namespace."""
    if not spec.device_rules and "pid" in spec.namespaces:
        return None
    from pyrt.runtime import cgroup

    if not spec.device_rules:
        return cgroup.find(container_id, "--pid host")
    return cgroup.find(container_id, bundle.device_request(request, bounding), devices=True)


def started(
    container: Prepared,
    stdio: tuple[int, int, int],
    undo: ExitStack,
    *,
    born: Callable[[Process], None] = lambda process: None,
) -> tuple[Process, int]:
    """The running container, and the master of its terminal, -1 without one. ``born`` is called first of all. Its end is
    the undoing: killed if it still runs, then removed if it was to be."""
    held, begun, process = container.held, Started(), Process()
    # Before the start: an interrupt that was held back during it comes with the first instruction after it.
    undo.callback(_end, held, begun, process)
    if container.cgroup is not None:
        from pyrt.runtime import cgroup

        cgroup.make(container.cgroup, container.spec.device_rules)
    launch(container.plan, stdio, begun)
    process.pidfd, process.control = begun.pidfd, begun.control
    born(process)
    held.write(state=RUNNING, pid=begun.pid, birth=start_time(begun.pid), started=_now())
    return process, begun.master


def _end(held: Held, begun: Started, process: Process) -> None:
    """Nothing runs any more, and the record says so or is gone."""
    if begun.master >= 0:
        os.close(begun.master)
    process.control = begun.control
    if begun.pidfd < 0:
        process.close()
        return
    process.pidfd = begun.pidfd
    try:
        process.kill()
        code = process.wait()
        if process.killed and begun.control >= 0 and held.record.image_digest:  # a root that is nobody else's
            orphans.end_in_root(held.record.spec["root"]["path"])
        if not held.record.remove:
            held.remove_cgroups()
            held.write(state=EXITED, pid=0, finished=_now(), exit_code=code)
    finally:
        process.close()
        if held.record.remove:
            held.remove()


def _let_go(held: Held) -> None:
    """Of a container that was never started nothing stays, as if it had never been tried."""
    if held.record.now.state == CREATED:
        held.remove()
    held.release()


@contextmanager
def _rooted(request: RunRequest, store: Store, progress: Callable[[], Progress | None]) -> Iterator[Root]:
    """The root, safe from garbage collection for the length of the block; the image is pulled where it is missing."""
    if request.rootfs:
        with store.using():
            yield _plain_root(request)
        return
    for _ in range(3):
        with store.using():
            image = _here(request, store)
            if image is not None:
                yield Root(image=image, layers=store.layers.stack(image.config.diff_ids))
                return
        pulled = _pull(request, store, progress)
        request = replace(request, image=pulled, pull="never", platform=None)
    raise ImageNotFound(f"image {request.image}: another command removes it as often as it is pulled")


def _here(request: RunRequest, store: Store) -> Image | None:
    """The image, if it is complete in the store and nothing was said that asks for a pull first."""
    if request.pull == "always" or request.platform is not None or request.image.startswith(TRANSPORTS):
        return None
    try:
        image = store.images.load(store.images.find(request.image))
    except ImageError:  # not here, another tool's, or damaged: a pull says which, or mends it
        return None
    return image if store.images.present(image) else None


def _pull(request: RunRequest, store: Store, progress: Callable[[], Progress | None]) -> str:
    """Pulls the image and returns a name for exactly what was pulled: its manifest's digest."""
    from pyrt.image_pull import pull

    image = pull(request.image, store=store, platform=request.platform, policy=request.pull, progress=progress())
    return str(image.digest)


def _plain_root(request: RunRequest) -> Root:
    path = os.path.abspath(request.rootfs)
    if request.image:
        raise UsageError("an image and --rootfs: only one of them can be the root")
    if not os.path.isdir(path):
        raise UsageError(f"--rootfs {request.rootfs}: not a directory")
    if path == "/":
        raise UsageError("--rootfs /: the host's own root cannot be a container's")
    return Root(image=None, layers=(path,))


def _record(
    request: RunRequest, container_id: str, image: Image | None, spec: Spec, cgroup: Cgroup | None, *, in_memory: bool
) -> Record:
    return Record(
        id=container_id,
        name=request.name or automatic_name(container_id),
        image=request.image or request.rootfs,
        image_digest=str(image.digest) if image else "",
        layers=tuple(diff_id.hex for diff_id in image.config.diff_ids) if image else (),
        command=spec.process.args,
        created=_now(),
        remove=request.remove,
        in_memory=in_memory,
        cgroups=(cgroup.path,) if cgroup is not None else (),
        labels=_labels(request, image),
        stop_signal=request.stop_signal or (image.config.stop_signal if image else ""),
        stop_timeout=request.stop_timeout,
        confinement=request.confinement(),
        spec=spec.to_json(),
    )


def _labels(request: RunRequest, image: Image | None) -> tuple[tuple[str, str], ...]:
    return tuple({**dict(image.config.labels if image else ()), **dict(request.labels)}.items())


def _write_cidfile(request: RunRequest, held: Held) -> None:
    if request.cidfile is None:
        return
    try:
        fd = os.open(request.cidfile, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise UsageError(f"--cidfile {request.cidfile}: {error.strerror}") from error
    with os.fdopen(fd, "w") as file:
        file.write(held.record.id)


def _account(request: RunRequest, root: Root, ids: Ids | None) -> users.Account:
    """Who the program runs as. An image's layers never change, so what they say of a user is read once."""
    if root.image is None:
        return users.find(request.user or "", request.group_add, root.tree)
    user = request.user if request.user is not None else root.image.config.user
    try:
        return _account_of_layers(root.layers, user, request.group_add)
    except PermissionError:  # a passwd that only an image's own root may read
        if ids is None:
            raise
        account: users.Account = call(ids, _account_there, root.layers, user, request.group_add)
        return account


@lru_cache(maxsize=256)
def _has_apt(layers: tuple[str, ...]) -> bool:
    with ExitStack() as opened:
        return bool(ImageTree(layers).directories("/etc/apt", opened))


def _account_there(layers: tuple[str, ...], user: str, group_add: tuple[str, ...]) -> users.Account:
    return users.find(user, group_add, ImageTree(layers))


@lru_cache(maxsize=256)
def _account_of_layers(layers: tuple[str, ...], user: str, group_add: tuple[str, ...]) -> users.Account:
    return users.find(user, group_add, ImageTree(layers))


def _apparmor(request: RunRequest, host: Host, *, load: bool = True) -> apparmor.Choice:
    return apparmor.choose(request.apparmor, privileged=request.privileged, host=host, load=load)


def _selinux_label(request: RunRequest) -> str:
    if not request.label:
        return ""
    from pyrt.runtime import selinux

    return selinux.choose(request.label)


def _volumes(
    request: RunRequest, root: Root, store: Store, ids: Ids | None, *, fill: bool
) -> tuple[tuple[str, str], ...]:
    """Where each named volume is, made and filled where it is new; a missing host directory of ``-v`` is made too."""
    found = []
    for mount in request.mounts:
        target = bundle.normal(mount.target)
        if mount.kind == "volume" and mount.source:
            layers = root.layers if mount.copy and root.image is not None else ()
            if not fill:
                found.append((target, store.volumes.path(mount.source)))
            elif ids is None or store.volumes.ready(mount.source):
                found.append((target, _use_volume(store.volumes, mount.source, target, layers)))
            else:
                found.append((target, call(ids, _use_volume_there, store.layout, mount.source, target, layers)))
        elif mount.kind == "bind" and not os.path.exists(mount.source):
            if not mount.create_source:
                raise UsageError(f"bind mount {mount.source}: no such file or directory")
            if fill:
                _make_source(mount.source)
    return tuple(found)


def _use_volume(volumes: Volumes, name: str, target: str, layers: tuple[str, ...]) -> str:
    """A named volume's directory; a new one gets what the layers have at ``target``, with its owners."""
    content = partial(copy_up.copy_up, ImageTree(layers), target) if layers else lambda directory: None
    return volumes.use(name, content)


def _use_volume_there(layout: StoreLayout, name: str, target: str, layers: tuple[str, ...]) -> str:
    """The worker's part: the owners may be ids that this process has only there."""
    return _use_volume(Volumes(layout), name, target, layers)


def _make_source(path: str) -> None:
    """A host directory for ``-v``; the program may be another user, so whatever our umask says all can look into it."""
    try:
        os.makedirs(path)
        os.chmod(path, 0o755)
    except FileExistsError as error:
        if not os.path.isdir(path):
            raise UsageError(f"bind mount {path}: a link to nowhere stands there") from error
    except OSError as error:
        raise UsageError(f"bind mount {path}: cannot be made: {error.strerror}") from error


def _hostname(request: RunRequest, container_id: str) -> str:
    if request.uts == HOST:
        return os.uname().nodename
    return request.hostname if request.hostname is not None else container_id[:12]


def _etc_files(request: RunRequest, name: str) -> tuple[tuple[str, str], ...]:
    if name:
        etcfiles.check_hostname(name)
    host_hosts = _read("/etc/hosts") if request.network == "host" else None
    resolv_conf = etcfiles.resolv_conf(
        _read("/etc/resolv.conf"), request.dns, request.dns_search, request.dns_option
    )
    return (
        ("etc/hostname", etcfiles.hostname(name)),
        ("etc/hosts", etcfiles.hosts(host_hosts, name, request.add_host)),
        ("etc/resolv.conf", resolv_conf),
    )


def _is_copied(host: Host, memory: int) -> bool:
    """Whether a container's root is a copy of the image: without mounts, and where overlayfs takes no upper directory."""
    return host.rung == CHROOT or bool(host.step("overlay-memory" if memory else "overlay"))


def _root_mount(
    request: RunRequest, root: Root, directory: str, copied: bool
) -> compile.OverlayRoot | compile.PlainRoot:
    if root.image is None:
        return compile.PlainRoot(path=root.layers[0])
    if copied:
        return compile.PlainRoot(path=f"{directory}/{_COPY}")
    return compile.OverlayRoot(layers=root.layers, volatile=request.remove)


def _filter(profile: str, bounding: int, cache: str, *, emulate_root: bool = False) -> bytes:
    """The filter of the profile that a spec names, for a container with these capabilities."""
    return seccomp.compiled(profile, capabilities=bounding, cache=cache, emulate_root=emulate_root)


def _ids(host: Host, account: users.Account) -> Ids | None:
    """The ids of the container's user namespace. Raises UsageError for an account that has none there."""
    if host.ids is None:
        return None
    ids = host.ids.for_user(account.uid, account.gid)
    if not ids.has_user(account.uid) or not ids.has_group(account.gid):
        raise UsageError(
            f"user {account.uid}:{account.gid}: no such id in the container's user namespace",
            hint="larger ranges in /etc/subuid and /etc/subgid: subuid(5)",
        )
    return ids


def _memory(request: RunRequest, host: Host) -> int:
    """Bytes of memory that may hold what the container writes. Only for one that goes away with its process, and only
    where there is plenty: half of what is available, from two gibibytes on."""
    if not request.remove or request.scratch == "disk":
        return 0
    if host.step("overlay-memory") or host.rung == CHROOT:
        return 0
    available = host.available_memory()
    if request.scratch == "auto" and available < 2 << 30:
        return 0
    return available // 2


def _window() -> tuple[int, int]:
    from pyrt.runtime import terminal

    return next((size for fd in (0, 1, 2) if (size := terminal.size(fd)) != (0, 0)), (0, 0))


def _pipes(
    stdout: int | IO[Any] | None, stderr: int | IO[Any] | None, with_input: bool, undo: ExitStack
) -> tuple[list[int], Streams]:
    """The container's three fds, to be closed here after the start, and our ends of those that are pipes."""
    streams = Streams()
    undo.callback(streams.close)
    child: list[int] = []
    undo.callback(_close_all, child)
    if with_input:
        end, streams.stdin = os.pipe()
        child.append(end)
    else:
        child.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    for number, target in ((1, stdout), (2, stderr)):
        if target is PIPE:
            end_read, end = os.pipe()
            child.append(end)
            if number == 1:
                streams.stdout = end_read
            else:
                streams.stderr = end_read
        elif target is STDOUT and number == 2:
            child.append(os.dup(child[1]))
        elif target is DEVNULL:
            child.append(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC))
        else:
            fd = number if target is None else target if isinstance(target, int) else target.fileno()
            if fd < 0:
                raise UsageError(f"{'stdout' if number == 1 else 'stderr'}={fd}: not a file, an fd, PIPE or DEVNULL")
            child.append(os.dup(fd))
    return child, streams


def _close_all(fds: list[int]) -> None:
    while fds:
        os.close(fds.pop())


def _words(argv: Sequence[str]) -> tuple[str, ...]:
    if isinstance(argv, (str, bytes)):
        raise UsageError("argv is a list of words, not a string", hint='for a shell: ["sh", "-c", ...]')
    return tuple(argv)


def _shown(argv: tuple[str, ...]) -> str:
    return argv[0] if len(argv) == 1 else f"{argv[0]} ..."


def _read(path: str) -> str:
    try:
        with open(path, "rb", buffering=0) as file:
            return os.fsdecode(file.readall())
    except OSError:
        return ""


def _now() -> str:
    nanoseconds = time.time_ns()
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(nanoseconds // 10**9))
    return f"{whole}.{nanoseconds % 10**9:09d}Z"

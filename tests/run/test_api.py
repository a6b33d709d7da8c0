"""``pyrt.run``: what the program gets, what comes back, and what stays behind."""

from __future__ import annotations

import mmap
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

import pyrt
from pyrt.container_run import run
from pyrt.errors import (
    CommandFailed,
    CommandNotExecutable,
    CommandNotFound,
    ContainerError,
    ContainerTimeout,
    ImageNotFound,
    StartError,
    Unsupported,
    UsageError,
)
from pyrt.request import CompletedRun, Device, Mount, Ulimit


def test_the_program_is_pid_1(busybox):
    assert busybox("echo $$").stdout == b"1\n"


def test_result_carries_what_happened(busybox, store):
    result = busybox("echo out; echo err >&2; exit 7")
    assert (result.returncode, result.stdout, result.stderr) == (7, b"out\n", b"err\n")
    assert result.argv == ("sh", "-c", "echo out; echo err >&2; exit 7")
    assert 0 < result.duration < 30
    assert result.image_digest == str(store.images.find("busybox").descriptor.digest)


def test_the_childs_stack_is_memory_like_any_other_afterwards(busybox):
    """For make asan: the child left its red zones there, and the interpreter's frames, mapped at the same address some time
    later, were taken for an overflow; one run in twenty was aborted."""
    busybox("true")
    for size in (4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20):
        with mmap.mmap(-1, size) as memory:
            memory.write(bytes(size))
            assert memory[: size // 2] == bytes(size // 2)


@pytest.mark.parametrize("code", [0, 1, 2, 125, 126, 127, 128, 137, 255])
def test_exit_codes_are_the_programs_own(busybox, code):
    assert busybox(f"exit {code}").returncode == code


@pytest.mark.parametrize(("name", "number"), [("KILL", 9), ("TERM", 15), ("SEGV", 11), ("USR1", 10)])
def test_death_by_signal_is_128_and_its_number(busybox, name, number):
    # PID 1 is spared what it has no handler for, so the signal goes to a child whose status the shell hands on.
    assert busybox(f"sh -c 'kill -{name} $$'; exit $?").returncode == 128 + number


def test_binary_output_arrives_as_it_is(busybox):
    content = bytes(range(256)) * 4096
    assert busybox("cat", input=content).stdout == content


def test_input_is_empty_without_one(busybox):
    assert busybox("cat; echo end").stdout == b"end\n"


def test_input_that_nobody_reads_is_no_error(busybox):
    assert busybox("exec 0<&-; echo done", input=b"x" * (1 << 20)).stdout == b"done\n"


def test_streams_where_they_were_sent(busybox, tmp_path):
    with open(tmp_path / "out", "wb") as file:
        result = busybox("echo out; echo err >&2", stdout=file, stderr=pyrt.DEVNULL)
    assert (result.stdout, result.stderr) == (b"", b"")
    assert (tmp_path / "out").read_bytes() == b"out\n"
    assert busybox("echo out; echo err >&2", stderr=pyrt.STDOUT).stdout == b"out\nerr\n"


def test_timeout_kills_everything_and_keeps_what_was_printed(busybox):
    begun = time.monotonic()
    with pytest.raises(ContainerTimeout) as caught:
        busybox("echo early; (trap '' TERM; sleep 60) & sleep 60", timeout=0.5)
    assert time.monotonic() - begun < 10
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.result.stdout == b"early\n"
    assert caught.value.result.returncode == 137


def test_check_raises_with_the_result(busybox):
    with pytest.raises(CommandFailed) as caught:
        busybox("echo partial; exit 3", check=True)
    assert (caught.value.result.returncode, caught.value.result.stdout) == (3, b"partial\n")


def test_id_13_environment_is_the_images_and_what_was_asked_for(store, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_CALLER", "leaks")
    monkeypatch.setenv("http_proxy", "http://leaks.invalid")
    result = run("configured", entrypoint=["env"], env={"EXTRA": "1", "COLOUR": "red"}, hostname="here", store=store)
    values = dict(line.split("=", 1) for line in result.stdout.decode().splitlines())
    assert values == {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOSTNAME": "here", "COLOUR": "red", "EMPTY": "", "EXTRA": "1", "HOME": "/home/app",
    }  # fmt: skip


@pytest.mark.full
def test_bn_11_configuration_of_the_image_is_used(store):
    assert run("configured", store=store).stdout == b"entry cmd\n"
    assert run("configured", ["own"], store=store).stdout == b"entry own\n"
    script = "id -u; id -g; id -G; pwd; stat -c %U:%G /made/here; cat /data/file; touch /data/new && echo writable"
    result = run("configured", ["-c", script], entrypoint=["sh"], store=store)
    assert result.stdout.decode() == "1000\n1000\n1000 2000\n/made/here\napp:app\nfrom the imagewritable\n"


def test_a_layer_whose_root_is_opaque_hides_all_below(store):
    # dev, etc, proc and sys are mount points of ours.
    assert set(run("opaque", store=store).stdout.split()) == {b"bin", b"dev", b"etc", b"proc", b"sys"}


def test_no_command_at_all(store):
    with pytest.raises(UsageError, match="no command"):
        run("empty", store=store)


def test_id_10_user_unknown_to_the_image(store):
    with pytest.raises(UsageError, match="nobody-has-this-name"):
        run("nouser", ["id"], store=store)


def test_id_12_nothing_of_the_caller_leaks(store, tmp_path):
    leaked = os.open(tmp_path, os.O_RDONLY)
    before = signal.signal(signal.SIGQUIT, signal.SIG_IGN)
    try:
        os.set_inheritable(leaked, True)
        fds = run("busybox", ["ls", "/proc/self/fd"], store=store).stdout.split()
        status = _status(run("busybox", ["cat", "/proc/self/status"], store=store))
    finally:
        signal.signal(signal.SIGQUIT, before)
        os.close(leaked)
    assert fds == [b"0", b"1", b"2", b"3"]  # the last is the directory that ls has opened
    for name in ("SigBlk", "SigIgn", "SigCgt", "CapInh", "CapAmb"):
        assert int(status[name], 16) == 0, name
    assert status["Umask"] == "0022"


def _status(result: CompletedRun) -> dict[str, str]:
    return dict(line.split(":\t", 1) for line in result.stdout.decode().splitlines())


def _held() -> int:
    return int(next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if "CapEff" in line), 16)


@pytest.mark.full
def test_default_capabilities_are_podmans_eleven(busybox):
    held = _held()
    lines = busybox("grep Cap /proc/self/status").stdout.decode().splitlines()
    values = {line.split(":\t")[0]: int(line.split(":\t")[1], 16) for line in lines}
    assert values == {"CapInh": 0, "CapPrm": 0x800405FB & held, "CapEff": 0x800405FB & held,
                      "CapBnd": 0x800405FB & held, "CapAmb": 0}  # fmt: skip


def test_a_user_has_no_capabilities(busybox):
    lines = busybox("grep Cap /proc/self/status", user="1000").stdout.decode()
    assert "CapPrm:\t0000000000000000" in lines and "CapEff:\t0000000000000000" in lines


def test_namespaces_are_its_own(busybox):
    lines = busybox("for n in pid mnt uts ipc cgroup net; do readlink /proc/self/ns/$n; done").stdout.decode().split()
    ours = [os.readlink(f"/proc/self/ns/{name}") for name in ("pid", "mnt", "uts", "ipc", "cgroup", "net")]
    assert [own == host for own, host in zip(lines, ours, strict=True)] == [False, False, False, False, False, True]


def test_network_none_has_a_loopback_that_works(busybox):
    result = busybox("readlink /proc/self/ns/net; ls /sys/class/net; ping -c1 -W1 127.0.0.1 >/dev/null; echo $?",
                     network="none", cap_add=["NET_RAW"])  # fmt: skip
    lines = result.stdout.decode().split()
    assert lines[0] != os.readlink("/proc/self/ns/net")
    assert lines[1:] == ["lo", "0"]


def test_masked_and_read_only_paths(busybox):
    script = """
        cat /proc/kcore | wc -c; cat /proc/keys | wc -c; ls /sys/firmware | wc -l
        for f in /proc/sys/kernel/hostname /proc/sysrq-trigger /sys/kernel/uevent_helper; do
            (echo x > $f) 2>/dev/null && echo "wrote $f"
        done; umount /proc/keys 2>/dev/null && echo unmasked; true"""
    assert busybox(script).stdout.split() == [b"0", b"0", b"0"]


def test_devices_are_the_six(busybox):
    nodes = busybox("find /dev -type c | sort; echo x > /dev/null; head -c 4 /dev/urandom | wc -c").stdout.decode().split()
    names = ["full", "null", "pts/ptmx", "random", "tty", "urandom", "zero"]
    assert nodes == [f"/dev/{name}" for name in names] + ["4"]


def test_the_hosts_mounts_are_not_there(busybox, store_root):
    mounts = busybox("cat /proc/self/mountinfo").stdout.decode()
    assert str(store_root) not in mounts
    assert {line.split()[4] for line in mounts.splitlines()} >= {"/", "/proc", "/dev", "/dev/pts", "/dev/shm", "/sys"}


def test_volumes_read_and_write(busybox, tmp_path):
    (tmp_path / "in").write_text("content")
    mounts = [Mount(kind="bind", source=str(tmp_path), target="/host")]
    busybox("cat /host/in > /host/out; chmod 640 /host/out", mounts=mounts, check=True)
    assert (tmp_path / "out").read_text() == "content"
    read_only = [Mount(kind="bind", source=str(tmp_path), target="/host", read_only=True)]
    assert b"Read-only" in busybox("echo x > /host/in", mounts=read_only).stderr


@pytest.mark.full
def test_read_only_volume_covers_what_is_mounted_below(busybox, tmp_path):
    below = tmp_path / "with space" / "below"
    below.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(below)], check=True)
    try:
        mounts = [Mount(kind="bind", source=str(tmp_path), target="/host", read_only=True)]
        assert b"Read-only" in busybox("echo x > '/host/with space/below/f'", mounts=mounts).stderr
        mounts = [Mount(kind="bind", source=str(tmp_path), target="/host")]
        assert busybox("echo x > '/host/with space/below/f'", mounts=mounts, check=True)
    finally:
        subprocess.run(["umount", str(below)], check=True)


def test_a_file_as_a_volume(busybox, tmp_path):
    (tmp_path / "file").write_text("one file")
    mounts = [Mount(kind="bind", source=str(tmp_path / "file"), target="/etc/deep/new/file")]
    assert busybox("cat /etc/deep/new/file", mounts=mounts).stdout == b"one file"


def test_tmpfs_has_its_size_and_options(busybox):
    mounts = [Mount(kind="tmpfs", target="/scratch", size=1 << 20)]
    script = "grep ' /scratch ' /proc/mounts; stat -c %a /scratch; head -c 2000000 /dev/zero > /scratch/f"
    result = busybox(script, mounts=mounts)
    fields = result.stdout.decode().split()
    assert {"nosuid", "nodev", "noexec", "size=1024k"} <= set(fields[3].split(","))
    assert fields[-1] == "1777"
    assert result.stderr and busybox(script + "; wc -c < /scratch/f", mounts=mounts).stdout.split()[-1] == b"1048576"


def test_read_only_root(busybox):
    result = busybox("touch /new; touch /tmp/new; touch /dev/shm/new && echo shm", read_only=True)
    assert result.stdout == b"shm\n" and result.stderr.count(b"Read-only") == 2


def test_volumes_of_the_image_stay_writable_on_a_read_only_root(store):
    script = "cat /data/file; echo x > /data/new; cat /data/new; touch /other 2>/dev/null || echo closed"
    result = run("configured", ["-c", script], entrypoint=["sh"], read_only=True, store=store)
    assert result.stdout == b"from the imagex\nclosed\n"


@pytest.mark.full
def test_named_volume_is_filled_once_and_kept(store, busybox):
    mounts = [Mount(kind="volume", source="kept", target="/data")]
    try:
        options = {"entrypoint": ["sh"], "mounts": mounts, "store": store}
        first = run("configured", ["-c", "cat /data/file; echo more >> /data/file; stat -c %u /data/file"], **options)
        assert first.stdout == b"from the image1000\n"
        assert run("configured", ["-c", "cat /data/file"], **options).stdout == b"from the imagemore\n"
    finally:
        import shutil

        shutil.rmtree(os.path.dirname(store.volumes.path("kept")))


def test_resolver_and_hosts_are_ours_even_behind_links(busybox):
    script = "cat /etc/resolv.conf; cat /etc/hosts; cat /etc/hostname; hostname"
    result = busybox(script, image="links", hostname="odd-name", network="none")
    text = result.stdout.decode()
    assert "127.0.0.1\tlocalhost" in text and "127.0.1.1\todd-name" in text
    assert text.endswith("odd-name\nodd-name\n")
    assert all(line in text for line in Path("/etc/resolv.conf").read_text().splitlines())


def test_bn_01_links_of_the_image_stay_inside(busybox, tmp_path):
    (tmp_path / "f").write_text("x")
    mounts = [Mount(kind="bind", source=str(tmp_path), target=target) for target in ("/var/run/x", "/out/y", "/dangling/z")]
    listing = busybox("ls -d /run/x/f /tmp/y/f /not/there/z/f", image="links", mounts=mounts)
    assert sorted(listing.stdout.split()) == [b"/not/there/z/f", b"/run/x/f", b"/tmp/y/f"]
    assert not os.path.exists("/tmp/y") and not os.path.exists("/not")


@pytest.mark.parametrize("image", ["proclink", "devlink"])
def test_proc_and_dev_must_be_directories(store, image):
    with pytest.raises(StartError) as caught:
        run(image, ["true"], store=store)
    assert caught.value.errno in (20, 40)


@pytest.mark.parametrize("target", ["/proc", "/proc/self/attr", "/proc/sys/kernel", "/"])
def test_no_volume_over_proc_or_the_root(busybox, tmp_path, target):
    with pytest.raises(UsageError):
        busybox("true", mounts=[Mount(kind="bind", source=str(tmp_path), target=target)])


def test_no_volume_on_proc_by_way_of_a_link(store, tmp_path):
    mounts = [Mount(kind="bind", source=str(tmp_path), target="/p/sys")]
    with pytest.raises(StartError):
        run("", ["true"], rootfs=_root_with_link(tmp_path, "p", "/proc"), mounts=mounts, store=store)


def _root_with_link(tmp_path: Path, name: str, target: str) -> str:
    import shutil

    root = tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "bin/true")
    (root / name).symlink_to(target)
    return str(root)


def test_plain_root_directory(store, tmp_path):
    root = _root_with_link(tmp_path, "x", "y")
    os.symlink("true", f"{root}/bin/sh")
    result = run("", ["sh", "-c", "echo $$; echo written > /new"], rootfs=root, store=store)
    assert result.stdout == b"1\n"
    assert (tmp_path / "root/new").read_text() == "written\n"


@pytest.mark.parametrize(
    ("words", "error", "code"),
    [
        (["nosuch"], CommandNotFound, 127),
        (["/bin/nosuch"], CommandNotFound, 127),
        (["/nointerpreter"], CommandNotFound, 127),
        (["/etc"], CommandNotExecutable, 126),
        (["/noexec"], CommandNotExecutable, 126),
        (["/noshebang"], CommandNotExecutable, 126),
        (["/etc/passwd/x"], CommandNotFound, 127),
    ],
)
def test_im_25_commands_that_cannot_start(store, words, error, code):
    with pytest.raises(error) as caught:
        run("script", words, store=store)
    assert caught.value.exit_code == code
    assert "\n" not in str(caught.value)


def test_im_24_working_directory_through_a_leaked_fd(busybox):
    for number in range(3, 12):
        with pytest.raises(StartError):
            busybox("pwd", workdir=f"/proc/self/fd/{number}")


def test_working_directory_that_is_a_file(busybox):
    with pytest.raises(StartError, match="/etc/passwd"):
        busybox("pwd", workdir="/etc/passwd")


def test_limits(busybox):
    limits = [Ulimit(name="nofile", soft=100, hard=200), Ulimit(name="core", soft=0, hard=0)]
    assert busybox("ulimit -Sn; ulimit -Hn; ulimit -Sc", ulimits=limits).stdout.split() == [b"100", b"200", b"0"]


def test_sysctls_of_its_own_namespaces(busybox):
    sysctls = {"net.ipv4.ip_unprivileged_port_start": "80", "kernel.msgmax": "4096"}
    script = "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/msgmax"
    assert busybox(script, sysctls=sysctls, network="none").stdout.split() == [b"80", b"4096"]


@pytest.mark.parametrize(
    "name", ["kernel.core_pattern", "kernel/../x", "vm.swappiness", "net.ipv4.ip_forward", "fs.mqueue.x y", "kernel.msgmax\n"]
)
def test_sysctls_of_the_machine_are_refused(busybox, name):
    before = Path("/proc/sys/kernel/core_pattern").read_text()
    with pytest.raises((UsageError, Unsupported)):
        busybox("true", sysctls={name: "1"})
    assert Path("/proc/sys/kernel/core_pattern").read_text() == before


def test_init_reaps_and_hands_on(busybox):
    script = "echo $$; (sleep 0.01 &) ; sleep 0.2; ps -o stat | grep -c Z; exit 9"
    result = busybox(script, init=True)
    assert result.stdout.split()[0] != b"1"
    assert (result.stdout.split()[1], result.returncode) == (b"0", 9)
    assert busybox("kill -TERM $$", init=True).returncode == 143


def test_cap_add_and_drop(busybox):
    script = "grep CapEff /proc/self/status"
    assert busybox(script, cap_drop=["ALL"]).stdout.split()[1] == b"0000000000000000"
    assert int(busybox(script, cap_drop=["ALL"], cap_add=["net_raw", "CAP_CHOWN"]).stdout.split()[1], 16) == 1 << 13 | 1
    assert int(busybox(script, cap_drop=["CHOWN"]).stdout.split()[1], 16) & 1 == 0
    with pytest.raises(UsageError, match="no such capability"):
        busybox("true", cap_add=["NONSENSE"])


@pytest.mark.full
def test_privileged_opens_what_it_says(busybox):
    script = (
        "grep CapEff /proc/self/status; touch /proc/sys/kernel/x 2>&1 | grep -c Read-only; "
        "ls /dev | wc -l; grep ' /sys ' /proc/mounts"
    )
    lines = busybox(script, privileged=True).stdout.decode().splitlines()
    held = _held()
    assert int(lines[0].split()[1], 16) == held
    assert lines[1] == "0" and int(lines[2]) > 15 and " rw," in lines[3]


@pytest.mark.full
def test_id_04_groups(busybox):
    assert busybox("id -G", user="app").stdout == b"1000 2000\n"
    assert busybox("id -G", user="app:extra").stdout == b"2000\n"
    assert busybox("id -u; id -g; id -G", user="4242:4343").stdout == b"4242\n4343\n4343\n"
    assert busybox("id -G", user="app", group_add=["nogroup", "77"]).stdout.split() == [b"1000", b"77", b"2000", b"65534"]


def test_lc_17_many_threads_at_once(store):
    results: list[bytes] = []

    def work(number: int) -> None:
        for _ in range(5):
            results.append(run("busybox", ["sh", "-c", f"echo {number}"], store=store).stdout)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == sorted(f"{n}\n".encode() for n in range(8) for _ in range(5))


def test_a_string_is_not_a_command(store):
    with pytest.raises(UsageError, match="list of words"):
        run("busybox", "echo hello", store=store)  # type: ignore[arg-type]


def test_an_image_that_may_not_be_pulled(store):
    with pytest.raises(ImageNotFound):
        run("nosuchimage", ["true"], pull="never", store=store)


def test_the_name_of_the_module_is_not_in_the_way():
    import pyrt.container_run  # noqa: F401
    import pyrt.image_pull  # noqa: F401

    assert callable(pyrt.run) and callable(pyrt.pull)


def test_im_15_an_image_may_have_a_layer_twice(store):
    assert run("twice", ["cat", "/again", "/between"], store=store).stdout == b"again between"


def test_im_14_an_image_may_have_no_layer(store):
    mounts = [Mount(kind="bind", source="/bin/busybox", target="/sh", read_only=True)]
    result = run("nothing", ["/sh", "-c", "echo x > /new; read x < /new; echo $x"], mounts=mounts, store=store)
    assert result.stdout == b"x\n"


def test_volumes_below_one_another_stay_writable_on_a_read_only_root(store):
    script = "for d in /data /data/below /var/run/x /new/v; do echo $d > $d/f && cat $d/f; done; touch /f || echo closed"
    result = run("volumes", ["sh", "-c", script], read_only=True, store=store)
    assert result.stdout.split() == [b"/data", b"/data/below", b"/var/run/x", b"/new/v", b"closed"]


@pytest.mark.full
def test_an_empty_volume_is_filled_when_an_image_has_something_there(store):
    mounts = [Mount(kind="volume", source="empty", target="/data")]
    try:
        run("busybox", ["true"], mounts=mounts, store=store)
        assert run("configured", ["-c", "cat /data/file"], entrypoint=["sh"], mounts=mounts, store=store).stdout
    finally:
        import shutil

        shutil.rmtree(os.path.dirname(store.volumes.path("empty")))


def test_an_etc_of_the_callers_has_our_files(busybox, tmp_path):
    (tmp_path / "own").write_text("own")
    mounts = [Mount(kind="bind", source=str(tmp_path), target="/etc")]
    assert busybox("cat /etc/own /etc/hostname", mounts=mounts, hostname="here").stdout == b"ownhere\n"


@pytest.mark.full
def test_devices_of_a_directory(busybox, tmp_path):
    (tmp_path / "below").mkdir()
    os.mknod(tmp_path / "below/null", 0o020666, os.makedev(1, 3))
    device = Device(source=str(tmp_path), target="/dev/several")
    script = "cd /dev/several/below; echo x > null; stat -c %t:%T null"
    assert busybox(script, devices=[device]).stdout == b"1:3\n"


def test_lc_29_arguments_too_large_for_the_kernel(busybox):
    with pytest.raises(CommandNotExecutable, match="too long"):
        busybox("true", env={"A": "x" * (3 << 20)})


def test_lc_31_interrupt_with_the_first_instruction_after_the_start(store, monkeypatch):
    """Signals are held back during a start, so this is where a Ctrl-C during it comes."""
    from pyrt import container_run
    from pyrt._native.launch import launch

    def interrupted(*arguments: object) -> None:
        launch(*arguments)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(container_run, "launch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run("busybox", ["sleep", "600"], store=store)


def test_a_stream_that_cannot_be_leaves_nothing(store):
    with pytest.raises(UsageError):
        run("busybox", ["true"], stdout=-7, store=store)
    assert os.listdir(store.layout.containers) == []


def test_lc_05_caller_that_collects_all_children(store):
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        with pytest.raises(ContainerError, match="exit code is lost"):
            run("busybox", ["sh", "-c", "exit 4"], store=store)
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert os.listdir(store.layout.containers) == []


@pytest.mark.full
def test_plain_root_directory_that_has_a_procfs_mounted(store, tmp_path):
    root = _root_with_link(tmp_path, "x", "y")
    os.mkdir(f"{root}/proc")
    subprocess.run(["mount", "-t", "proc", "proc", f"{root}/proc"], check=True)
    try:
        assert run("", ["true"], rootfs=root, store=store).returncode == 0
    finally:
        subprocess.run(["umount", f"{root}/proc"], check=True)

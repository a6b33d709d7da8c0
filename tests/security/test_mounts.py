"""Mounts: every place of an image is looked for inside of its root, and what is mounted is what was meant."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pyrt.container_run import run
from pyrt.errors import StartError, UsageError
from pyrt.request import Mount
from pyrt.store.store import Store
from tests.support import images

Entry = images.Entry


def bind(source: object, target: str, **options: object) -> Mount:
    return Mount(kind="bind", source=str(source), target=target, **options)  # type: ignore[arg-type]


def host_mounts() -> set[str]:
    return {" ".join(line.split()[3:6]) for line in Path("/proc/self/mountinfo").read_text().splitlines()}


def test_ct_11_the_old_root_is_gone(busybox, security_root, tmp_path):
    (tmp_path / "given").mkdir()
    lines = busybox("cat /proc/self/mountinfo; ls /", mounts=[bind(tmp_path / "given", "/given")]).stdout.decode().splitlines()
    table = [line.split() for line in lines if " - " in line]
    assert str(security_root) not in "\n".join(lines)
    roots = {fields[4]: fields[3] for fields in table}
    assert {place for place, root in roots.items() if "given" in root} == {"/given"}
    allowed = ("/", "/null", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/bus", "/fs", "/irq", "/sys", "/sysrq-trigger")
    assert {root for place, root in roots.items() if place != "/given"} <= {*allowed}


CHROOT = """
mkdir -p /tmp/jail/bin && cp /bin/busybox /tmp/jail/bin/busybox
cat > /tmp/escape.sh <<'END'
cd ../../../../../../../../../../../../../../../../..
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do cd ..; done
/bin/busybox ls -d etc/passwd canary-of-the-host 2>/dev/null
END
chroot /tmp/jail /bin/busybox true && sh /tmp/escape.sh
"""


def test_ct_12_chroot_and_dots_end_at_the_root(busybox, canary):
    """With SYS_CHROOT, which is a default: the classic way out leads to the container's own root."""
    assert busybox(CHROOT).stdout.split() == [b"etc/passwd"]


def test_ct_12_a_process_that_left_its_chroot_is_in_the_container(make, store, tmp_path):
    """mkdir, chroot, fchdir to the old root, and up."""
    from tests.support.parts import need

    need("gcc")
    source = tmp_path / "escape.c"
    source.write_text(
        "#include <fcntl.h>\n#include <stdio.h>\n#include <sys/stat.h>\n#include <unistd.h>\n"
        'int main(void) { int here = open("/", O_RDONLY); mkdir("/jail", 0755); if (chroot("/jail")) return 2; '
        'if (fchdir(here)) return 3; for (int i = 0; i < 1000; i++) if (chdir("..")) return 4; if (chroot(".")) return 5; '
        'puts(access("/etc/passwd", F_OK) ? "nothing" : "passwd"); '
        'puts(access("/bin/busybox", F_OK) ? "host" : "container"); puts(access("/boot", F_OK) ? "-" : "host"); }\n'
    )
    subprocess.run(["gcc", "-static", "-o", str(tmp_path / "escape"), str(source)], check=True)
    image = make(Entry(name="escape", content=(tmp_path / "escape").read_bytes(), mode=0o755))
    result = run(image, ["/escape"], store=store)
    assert result.stdout.split() == [b"passwd", b"container", b"-"], result


# Waits for the container, mounts something, and says so.
MOUNT_LATE = 'while [ ! -e "$1/ready" ]; do sleep 0.05; done; mount -t tmpfs late "$1/late"; touch "$1/late/file" "$1/go"'


@contextmanager
def shared_directory(tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen[bytes]]]:
    """A shared directory of the host, with a mount in ``late`` that its process makes while the container runs."""
    shared = tmp_path / "shared"
    (shared / "late").mkdir(parents=True)
    subprocess.run(["mount", "--bind", str(shared), str(shared)], check=True)
    subprocess.run(["mount", "--make-shared", str(shared)], check=True)
    helper = subprocess.Popen(["sh", "-c", MOUNT_LATE, "sh", str(shared)])
    try:
        yield shared, helper
    finally:
        helper.kill()
        helper.wait()
        subprocess.run(["umount", str(shared / "late")], check=False)
        subprocess.run(["umount", str(shared)], check=True)


@pytest.mark.parametrize("propagation", ["rprivate", "private"])
def test_ct_13_mounts_of_the_host_do_not_appear(busybox, tmp_path, propagation):
    with shared_directory(tmp_path) as (shared, helper):
        wait = "touch /s/ready; while [ ! -e /s/go ]; do sleep 0.05; done; ls /s/late"
        result = busybox(wait, mounts=[bind(shared, "/s", propagation=propagation)], timeout=60)
        assert result.stdout == b""
        helper.wait(timeout=60)
    assert not any(str(shared) in line for line in host_mounts())


def test_ct_13_a_slave_sees_the_hosts_and_gives_nothing_back(busybox, tmp_path):
    with shared_directory(tmp_path) as (shared, helper):
        wait = (
            "mkdir -p /s/own; mount -t tmpfs own /s/own; touch /s/ready; while [ ! -e /s/go ]; do sleep 0.05; done; ls /s/late"
        )
        options = {"mounts": [bind(shared, "/s", propagation="rslave")], "cap_add": ["SYS_ADMIN"], "timeout": 60}
        assert busybox(wait, **options).stdout == b"file\n"
        helper.wait(timeout=60)
        assert not any("/own" in line for line in host_mounts())


@pytest.mark.parametrize("kind", ["core_pattern", "regular", "other", "directory", "dangling"])
def test_ct_15_a_forged_null_hides_nothing_and_starts_nothing(store, tmp_path, kind):
    """A /dev of the caller's whose null is something else (CVE-2025-31133)."""
    dev = tmp_path / "dev"
    dev.mkdir()
    null = dev / "null"
    if kind == "core_pattern":
        null.symlink_to("/proc/sys/kernel/core_pattern")
    elif kind == "regular":
        null.write_text("")
    elif kind == "other":
        os.mknod(null, 0o20666, os.makedev(1, 1))
    elif kind == "directory":
        null.mkdir()
    before = Path("/proc/sys/kernel/core_pattern").read_text()
    with pytest.raises(StartError) as caught:
        run("busybox", ["sh", "-c", "echo x > /proc/keys"], mounts=[bind(dev, "/dev")], store=store)
    assert caught.value.step == "mask", caught.value
    assert Path("/proc/sys/kernel/core_pattern").read_text() == before


def test_bn_06_a_dev_of_the_callers_with_a_true_null(busybox, tmp_path):
    os.mknod(tmp_path / "null", 0o20666, os.makedev(1, 3))
    assert busybox("ls /dev; cat /proc/keys 2>/dev/null | wc -c", mounts=[bind(tmp_path, "/dev")]).stdout.split() == [
        b"null",
        b"0",
    ]


@pytest.mark.parametrize("name", ["proc", "sys", "dev"])
@pytest.mark.parametrize("kind", ["absolute", "relative", "file", "loop", "fifo"])
def test_ct_18_ct_19_proc_sys_and_dev_are_directories(make, store, canary, name, kind):
    stands = {
        "absolute": Entry(name=name, kind="sym", link=str(canary)),
        "relative": Entry(name=name, kind="sym", link=f"../../..{canary}"),
        "file": Entry(name=name, content=b"file"),
        "loop": Entry(name=name, kind="sym", link=name),
        "fifo": Entry(name=name, kind="fifo"),
    }[kind]
    plain = [entry for entry in images.busybox_entries() if entry.name != name]
    image = make(layers=[images.layer(images.tar([*plain, stands]))], config={"Env": [images.PATH]})
    with pytest.raises(StartError) as caught:
        run(image, ["true"], store=store)
    assert f"/{name}" in str(caught.value) and "\n" not in str(caught.value)


def test_bn_07_an_image_without_proc_sys_and_dev(make, store):
    plain = [entry for entry in images.busybox_entries() if entry.name not in ("proc", "sys", "dev")]
    image = make(layers=[images.layer(images.tar(plain))], config={"Env": [images.PATH]})
    assert (
        run(image, ["sh", "-c", "test -e /proc/1/stat && test -d /sys/kernel && test -c /dev/null"], store=store).returncode
        == 0
    )


PLACES = ("/dev/shm", "/dev/mqueue", "/dev/pts", "/sys/fs/cgroup")


@pytest.mark.parametrize("place", PLACES)
def test_ct_21_places_below_dev_and_sys_are_not_the_images(make, store, canary, place):
    image = make(Entry(name=place[1:], kind="sym", link=str(canary))) if place.startswith("/dev") else make()
    lines = run(image, ["cat", "/proc/self/mountinfo"], store=store).stdout.decode().splitlines()
    assert {line.split()[3] for line in lines if line.split()[4] == place} <= {"/"}
    assert not any(str(canary) in line for line in lines)


@pytest.mark.parametrize("link", ["absolute", "relative", "dangling", "dots"])
@pytest.mark.parametrize("kind", ["tmpfs", "bind", "volume"])
def test_ct_21_ct_22_links_lead_to_places_inside(make, store, canary, tmp_path, link, kind):
    target = {
        "absolute": str(canary),
        "relative": f"../../../../../..{canary}",
        "dangling": "/not/there",
        "dots": f"/../../..{canary}",
    }[link]
    image = make(Entry(name="place", kind="sym", link=target))
    source = tmp_path / "source"
    source.mkdir()
    (source / "own").write_text("")
    mounts = {
        "tmpfs": [Mount(kind="tmpfs", target="/place/below")],
        "bind": [bind(source, "/place/below")],
        "volume": [Mount(kind="volume", source=f"v{abs(hash((link, str(tmp_path))))}", target="/place/below")],
    }[kind]
    inside = "/not/there" if link == "dangling" else str(canary)
    result = run(
        image, ["sh", "-c", f"grep -c ' {inside}/below ' /proc/self/mountinfo; ls {inside}"], mounts=mounts, store=store
    )
    assert result.stdout.split() == [b"1", b"below"], result
    assert not os.path.exists("/not/there") and not (canary / "below").exists()


@pytest.mark.parametrize(
    "target", ["/proc", "/proc/self/attr", "/proc/sys/kernel", "/proc/sys", "/proc/../proc", "/proc/1", "/sys/../proc/sys"]
)
@pytest.mark.parametrize("kind", ["bind", "tmpfs", "volume"])
def test_ct_25_nothing_covers_proc(store, tmp_path, target, kind):
    mount = {"bind": bind(tmp_path, target), "tmpfs": Mount(kind="tmpfs", target=target),
             "volume": Mount(kind="volume", source="named", target=target)}[kind]  # fmt: skip
    with pytest.raises(UsageError, match="/proc"):
        run("busybox", ["true"], mounts=[mount], store=store)


@pytest.mark.parametrize("link", ["/proc", "/proc/sys", "../proc/self"])
def test_ct_25_nothing_covers_proc_by_way_of_a_link(make, store, tmp_path, link):
    image = make(Entry(name="way", kind="sym", link=link))
    for mount in (bind(tmp_path, "/way"), Mount(kind="tmpfs", target="/way"), bind(tmp_path, "/way/fs")):
        with pytest.raises(StartError):
            run(image, ["true"], mounts=[mount], store=store)


def test_ct_25_a_volume_over_sys_is_only_that(busybox, tmp_path, canary):
    """As with docker and podman; what would have been hidden in it is looked for inside of the root."""
    place = tmp_path / "sys"
    place.mkdir()
    (place / "firmware").symlink_to(canary)
    (place / "devices").symlink_to(f"../../../../..{tmp_path}")
    result = busybox("ls /sys; test -e /sys/firmware/plain || echo hidden", mounts=[bind(place, "/sys")])
    assert result.stdout.split() == [b"devices", b"firmware", b"hidden"], result
    assert sorted(os.listdir(tmp_path)) == ["canary", "sys"]


@pytest.mark.parametrize("target", ["/sys", "/dev"])
def test_ct_25_a_tmpfs_over_sys_or_dev_is_only_that(busybox, target):
    script = f"cut -d' ' -f5 /proc/self/mountinfo | grep -cx {target}; cat /proc/keys | wc -c; test -c /dev/null && echo null"
    assert busybox(script, mounts=[Mount(kind="tmpfs", target=target)]).stdout.split() == [b"1", b"0", b"null"]


def test_bn_06_a_file_of_proc_that_lxcfs_serves(busybox, tmp_path):
    (tmp_path / "cpuinfo").write_text("processor: none\n")
    assert busybox("cat /proc/cpuinfo", mounts=[bind(tmp_path / "cpuinfo", "/proc/cpuinfo")]).stdout == b"processor: none\n"


ETC = {
    "etc-link": lambda canary: [Entry(name="etc", kind="sym", link=str(canary))],
    "etc-relative": lambda canary: [Entry(name="etc", kind="sym", link=f"../../..{canary}")],
    "file-links": lambda canary: [
        Entry(name=f"etc/{name}", kind="sym", link=f"{canary}/{name}") for name in ("hosts", "hostname", "resolv.conf")
    ],
    "file-dots": lambda canary: [
        Entry(name=f"etc/{name}", kind="sym", link=f"../../../../../..{canary}/{name}")
        for name in ("hosts", "hostname", "resolv.conf")
    ],
    "fifos": lambda canary: [Entry(name=f"etc/{name}", kind="fifo") for name in ("hosts", "hostname", "resolv.conf")],
    "directories": lambda canary: [
        Entry(name=f"etc/{name}", kind="dir", mode=0o755) for name in ("hosts", "hostname", "resolv.conf")
    ],
    "loops": lambda canary: [Entry(name=f"etc/{name}", kind="sym", link=name) for name in ("hosts", "hostname", "resolv.conf")],
    "devices": lambda canary: [
        Entry(name=f"etc/{name}", kind="block", device=(7, 0)) for name in ("hosts", "hostname", "resolv.conf")
    ],
}


@pytest.mark.parametrize("kind", ETC)
def test_ct_27_files_that_we_put_into_etc(make, store, canary, kind):
    """In the container, or an error; the host's tree is as it was, and nothing waits for a FIFO."""
    skip = ("etc", "etc/passwd", "etc/group") if kind.startswith("etc") else ()
    plain = [entry for entry in images.busybox_entries() if entry.name not in skip]
    image = make(layers=[images.layer(images.tar([*plain, *ETC[kind](canary)]))], config={"Env": [images.PATH]})
    try:
        result = run(image, ["sh", "-c", "cat /etc/hostname; hostname"], store=store, timeout=60)
    except StartError as error:
        assert kind in ("directories", "loops"), error
    else:
        name, own = result.stdout.split()
        assert name == own, result


def test_ct_28_mtab(make, store, canary):
    for link in ("../proc/self/mounts", "/proc/mounts", "mtab", str(canary / "plain")):
        assert run(make(Entry(name="etc/mtab", kind="sym", link=link)), ["true"], store=store).returncode == 0


def test_ct_30_a_read_only_bind_stays_so(busybox, tmp_path):
    """With what is mounted below it, against remounting, by the fd of what is below, and by hard links."""
    source = tmp_path / "source"
    (source / "below").mkdir(parents=True)
    (source / "file").write_text("content")
    subprocess.run(["mount", "-t", "tmpfs", "below", str(source / "below")], check=True)
    try:
        script = """
            for f in /ro/new /ro/file /ro/below/new; do (echo x > $f) 2>/dev/null && echo "wrote $f"; done
            mount -o remount,rw /ro 2>/dev/null && echo remounted
            mount -o remount,rw,bind /ro/below 2>/dev/null && echo remounted
            umount /ro/below 2>/dev/null && echo unmounted
            (ln /ro/file /ro/link || chmod 777 /ro/file || chown 1 /ro/file || touch /ro/file) 2>/dev/null && echo changed
            cat /ro/file"""
        assert busybox(script, mounts=[bind(source, "/ro", read_only=True)]).stdout == b"content"
        assert busybox("echo x > /rw/below/new; ls /rw/below", mounts=[bind(source, "/rw")]).stdout == b"new\n"
    finally:
        subprocess.run(["umount", str(source / "below")], check=True)


def test_ct_31_setuid_and_devices_of_a_tmpfs(busybox):
    script = (
        "cp /bin/busybox /t/su; chmod 4755 /t/su; mknod /t/mem c 1 1 2>/dev/null; "
        "grep ' /t ' /proc/self/mountinfo | cut -d' ' -f6; "
        "(: < /t/mem) 2>/dev/null && echo opened"
    )
    options = busybox(script, mounts=[Mount(kind="tmpfs", target="/t")], cap_add=["MKNOD"]).stdout.decode().split()
    assert {"nosuid", "nodev", "noexec"} <= {*options[0].split(",")} and options[1:] == []


def test_ct_71_places_are_compared_by_components(busybox, tmp_path):
    """/devices is not below /dev, /procfs not below /proc, /etcetera not below /etc."""
    (tmp_path / "f").write_text("x")
    mounts = [bind(tmp_path, target) for target in ("/devices", "/procfs", "/etcetera", "/system")]
    ours = "test -c /dev/null && test -e /proc/1 && test -s /etc/hosts && test -d /sys/kernel && echo all"
    script = f"cat /devices/f /procfs/f /etcetera/f /system/f; {ours}"
    assert busybox(script, mounts=mounts).stdout == b"xxxxall\n"


def test_ct_72_lower_layers_are_nobodys_to_change(store, security_root):
    """Two containers on one layer: written to, mapped, copied up, truncated, removed, renamed."""
    script = """
        busybox dd if=/dev/zero of=/bin/busybox bs=1 count=16 conv=notrunc 2>/dev/null; : > /etc/passwd; rm -rf /usr /home
        mv /etc /moved; chmod -R 777 /bin 2>/dev/null; chown -R 7:7 /moved; ln /moved/group /hard; echo x >> /hard; true"""
    layers = Path(security_root, "layers")

    def state() -> dict[str, tuple[object, ...]]:
        found = {}
        for path in sorted(layers.rglob("*")):
            status = path.lstat()
            content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
            found[str(path)] = (status.st_mode, status.st_uid, status.st_size, status.st_ctime_ns, content)
        return found

    before = state()
    for scratch in ({}, {"user": "0"}):
        assert run("busybox", ["sh", "-c", script], store=store, **scratch).returncode in (0, 126, 127, 139)
    assert run("busybox", ["id", "-u"], store=store).stdout == b"0\n"
    assert state() == before


ODD = ("with,comma", "with:colon", "with\\back", "with\nnewline", "with space", "lowerdir=x", "a,upperdir=b", "quote\"'")


@pytest.mark.parametrize("name", ODD)
def test_ct_73_no_name_is_a_mount_option(tmp_path, name, store):
    """A store, a source and a place in the container with characters that overlayfs and mount(8) know."""
    odd = tmp_path / name
    odd.mkdir()
    (odd / "file").write_text("found")
    target = f"/place-{name}"
    result = run("busybox", ["cat", f"{target}/file"], mounts=[bind(odd, target)], store=store)
    assert result.stdout == b"found", result
    layout = tmp_path / "layout"
    images.write_layout(layout, {"odd": images.busybox()})
    from pyrt.image_pull import pull

    own = Store.open(str(odd / "store"))
    image = pull(f"oci:{layout}:odd", store=own)
    shown = run(str(image.digest), ["cat", "/proc/self/mountinfo"], store=own)
    root = shown.stdout.decode().splitlines()[0]
    assert shown.returncode == 0 and name not in root, root
    assert root.count("lowerdir=") == 1 and "x" not in root.partition("lowerdir=")[2].partition(",")[0].split("/")


@pytest.mark.parametrize(
    "text", ["size=1m,exec", "mode=777,suid", "size=1m\nexec", "uid=0,lowerdir=/", "nr_inodes=-1", "source=/etc"]
)
def test_ct_73_options_of_a_tmpfs_are_checked(command, text):
    """What is known is taken as it is, and everything else is refused by name, before anything is mounted."""
    known = text in ("size=1m,exec", "mode=777,suid")
    result = command("--tmpfs", f"/t:{text}", "busybox", "grep", " /t ", "/proc/self/mountinfo")
    assert (result.returncode == 0) == known, result
    if known:
        assert b"lowerdir" not in result.stdout and b" tmpfs " in result.stdout
    else:
        assert result.returncode == 125 and result.stderr.count(b"\n") == 1


@pytest.mark.parametrize(
    ("place", "size", "options"),
    [
        ("/dev", 64 << 20, {}),
        ("/dev/shm", 2 << 20, {"shm_size": 2 << 20}),
        ("/t", 1 << 20, {"mounts": [Mount(kind="tmpfs", target="/t", size=1 << 20)]}),
    ],
)
def test_ct_74_what_is_in_memory_is_bounded(busybox, place, size, options):
    script = f"dd if=/dev/zero of={place}/fill bs=64k 2>&1 | grep -o 'No space left'; stat -c %s {place}/fill"
    lines = busybox(script, **options).stdout.decode().splitlines()
    assert lines[0] == "No space left" and size // 2 < int(lines[1]) <= size


def test_ct_74_nothing_can_be_written_to_what_hides(busybox):
    script = (
        "for d in /proc/acpi /sys/firmware /proc/scsi; do (echo x > $d/file || mkdir $d/dir) 2>/dev/null && echo $d; done; true"
    )
    assert busybox(script).stdout == b""

"""What the keeper serves: /proc, /dev and volumes, by every way that leads there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chroot.conftest import REPOSITORY, Run, command

pytestmark = pytest.mark.usefixtures("leakless")


def test_proc_self_is_who_asks(run: Run) -> None:
    out = run(
        "echo $$; readlink /proc/self; sh -c 'echo $$; cat /proc/self/stat; true' ; cat /proc/$$/comm; true"
    ).stdout.splitlines()
    assert out[0] != out[1]  # readlink is another process
    assert out[4] == "sh" and out[3].split()[0] != out[0]


def test_the_list_of_processes_has_the_containers_own_only(run: Run) -> None:
    out = run("sleep 100 & ps; cat /proc/1/comm; ls -d /proc/1; kill $!", check=False)
    rows = out.stdout.splitlines()
    assert any("sleep 100" in row for row in rows) and "/proc/1" in rows
    assert len([row for row in rows if row.split()[:1] and row.split()[0].isdigit()]) <= 3
    assert "cat: can't open '/proc/1/comm'" in out.stderr


def test_links_of_proc_are_the_containers_paths(run: Run) -> None:
    script = "readlink /proc/self/exe; readlink /proc/self/root; cd /tmp; readlink /proc/self/cwd; readlink /proc/$$/cwd"
    assert run(script).stdout.splitlines() == ["/bin/busybox", "/", "/tmp", "/tmp"]


def test_files_of_the_machine_in_proc_are_read_only(run: Run) -> None:
    done = run("echo 1 > /proc/sys/vm/drop_caches; echo 700 > /proc/self/oom_score_adj; cat /proc/self/oom_score_adj")
    assert done.stdout == "700\n"
    assert "/proc/sys/vm/drop_caches: Read-only file system" in done.stderr


def test_masked_paths(run: Run) -> None:
    out = run(
        "cat /proc/timer_list | wc -c; ls /sys/firmware | wc -l; cat /proc/version | wc -l; ls -l /proc/timer_list"
    ).stdout
    assert out.split()[:3] == ["0", "0", "1"] and "1,   3" in out


def test_a_link_of_the_image_into_proc(run: Run) -> None:
    out = run("cat /etc/mtab > /dev/null && head -c1 /etc/mtab > /dev/null; cd /etc; cat mtab | wc -c", image="odd")
    assert out.stderr == ""


def test_fds_of_dev(run: Run) -> None:
    script = (
        "cat /dev/stdin; echo out > /dev/stdout; echo err > /dev/stderr; exec 7< /etc/hostname; "
        "cat /dev/fd/7 > /dev/null; echo $?"
    )
    done = run(script, "-i", input="in\n")
    assert done.stdout == "in\nout\n0\n" and done.stderr == "err\n"


def test_device_nodes_and_shared_memory(run: Run) -> None:
    script = (
        "head -c3 /dev/zero | wc -c; echo x > /dev/null; echo x > /dev/full; head -c2 /dev/urandom | wc -c; "
        "stat -c %a /dev/shm; echo m > /dev/shm/m; cat /dev/shm/m; cat /dev/null"
    )
    done = run(script, image="odd")
    assert done.stdout.split() == ["3", "2", "1777", "m"] and "No space left" in done.stderr


def test_nodes_of_the_image_are_not_there(run: Run) -> None:
    assert run("ls /dev/sda", image="odd", check=False).returncode != 0


def test_etc_files_are_the_containers_own(run: Run, store_root: Path) -> None:
    out = run(
        "cat /etc/hostname; cat /etc/resolv.conf; test -L /etc/resolv.conf; echo $?; grep -c localhost /etc/hosts", image="odd"
    ).stdout.splitlines()
    assert out[0] == os.uname().nodename and out[-2] == "1" and int(out[-1]) >= 1


def test_a_link_in_the_place_of_proc_is_refused(run: Run) -> None:
    done = run("true", image="proclink", check=False)
    assert done.returncode == 125 and done.stderr.startswith("pyrt: cannot make the mount point /proc: ")


def test_a_volume_is_the_directory_itself(run: Run, tmp_path: Path) -> None:
    (tmp_path / "seen").write_text("from outside\n")
    script = """
    cat /data/seen; echo inside > /data/made; mkdir -p /data/a/b; touch /data/a/b/c; chmod 640 /data/a/b/c;
    chown 12:34 /data/a/b/c
    ln -s b /data/a/link; ls /data/a/link; mv /data/a/b/c /data/a/d; ln /data/a/d /data/a/e; rm /data/seen; rmdir /data/a/b
    stat -c '%a %u %g %h' /data/a/d; readlink /data/a/link; truncate -s 5 /data/made;
    touch -d '2001-02-03 04:05:06' /data/made; ls /data
    """
    out = run(script, "-v", f"{tmp_path}:/data").stdout.splitlines()
    assert out == ["from outside", "c", "640 12 34 2", "b", "a", "made"]
    assert (tmp_path / "made").read_text() == "insid" and not (tmp_path / "seen").exists()
    status = (tmp_path / "a" / "d").stat()
    assert (status.st_uid, status.st_gid, status.st_nlink) == (12, 34, 2)
    assert int((tmp_path / "made").stat().st_mtime) == 981173106


def test_what_a_volume_covers_is_not_seen(run: Run, tmp_path: Path) -> None:
    (tmp_path / "own").write_text("x")
    assert run("ls /data; cd /data; ls; cat covered 2>&1", "-v", f"{tmp_path}:/data", image="odd", check=False).stdout.split(
        "\n"
    )[:2] == ["own", "own"]
    assert run("cat /data/covered; stat -c '%a %u' /data", image="odd").stdout == "of the image750 1000\n"


def test_a_read_only_volume(run: Run, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "f").write_text("text\n")
    script = """
    cat /v/f;
    for c in 'touch /v/new' 'rm /v/f' 'mkdir /v/x' 'mv /v/f /v/g' 'ln /v/f /v/g' 'ln -s f /v/g' 'chmod 777 /v/f' \\
      'chown 1 /v/f' 'rmdir /v/d' 'truncate -s 0 /v/f' 'touch /v/f' 'mkfifo /v/p'; do
      $c 2>&1 | grep -q 'Read-only file system' || echo "$c"; done
    (echo x > /v/f) 2>&1; cd /v; (echo x >> f) 2>&1; (echo x > new) 2>&1; rm f 2>&1; true
    """
    out = run(script, "-v", f"{tmp_path}:/v:ro").stdout.splitlines()
    assert out[0] == "text"
    assert len(out) == 5 and all("Read-only file system" in line for line in out[1:5]), out
    assert (tmp_path / "f").read_text() == "text\n" and sorted(p.name for p in tmp_path.iterdir()) == ["d", "f"]


def test_across_the_border_names_do_not_move(run: Run, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (tmp_path / "f").write_text("moved")
    script = """
    ln /v/f /tmp/g 2>&1; ln /bin/busybox /v/b 2>&1; ln /v/f /w/f 2>&1; mv /v/f /tmp/f; cat /tmp/f; mv /tmp/f /w/f; cat /w/f
    """
    out = run(script, "-v", f"{tmp_path}:/v", "-v", f"{other}:/w", check=False).stdout
    assert out.count("Invalid cross-device link") == 3 and out.endswith("movedmoved")
    assert (other / "f").read_text() == "moved"


def test_working_in_a_volume(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "f").write_text("f\n")
    (tmp_path / "l").symlink_to("a/b")
    script = """
    cd /v/a; pwd; cat f; cd b; pwd; cat ../f; /bin/pwd; cd ../../..; pwd; cd /v/l; /bin/pwd; cat ../f; cd /v; ls;
    sh -c 'cd a && /bin/pwd'
    mkdir new; cd new; echo x > y; cd ..; mv new newer; cat newer/y; cd newer; mv /v/newer /v/newest; /bin/pwd; ls;
    cd /v; rm -r newest; ls
    """
    out = run(script, "-v", f"{tmp_path}:/v", "-w", "/v").stdout.split("\n")
    assert out == [
        "/v/a",
        "f",
        "/v/a/b",
        "f",
        "/v/a/b",
        "/",
        "/v/a/b",
        "f",
        "a",
        "l",
        "/v/a",
        "x",
        "/v/newest",
        "y",
        "a",
        "l",
        "",
    ]


def test_the_first_working_directory_is_in_a_volume(run: Run, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    assert run("pwd; touch made", "-v", f"{tmp_path}:/v", "-w", "/v/deep").stdout == "/v/deep\n"
    assert (tmp_path / "deep" / "made").exists()


def test_a_working_directory_that_a_volume_lacks_is_made_there(run: Run, tmp_path: Path) -> None:
    assert run("pwd", "-v", f"{tmp_path}:/v", "-w", "/v/new/one").stdout == "/v/new/one\n"


def test_programs_of_a_volume(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "busybox").write_bytes(Path("/bin/busybox").read_bytes())
    (tmp_path / "script").write_text("#!/v/bin/busybox sh\necho script $0; readlink /proc/$$/exe\n")
    (tmp_path / "plain").write_text("#!/bin/sh\necho plain $1\n")
    for name in ("bin/busybox", "script", "plain"):
        (tmp_path / name).chmod(0o755)
    (tmp_path / "not").write_text("#!/bin/sh\n")
    script = """
    /v/bin/busybox echo one; cd /v; ./bin/busybox echo two; ./script; PATH=/v:$PATH plain three; ./not; echo $?
    printf '#!/bin/sh\\necho changed\\n' > /v/plain; /v/plain; rm /v/plain; /v/plain; echo $?
    printf '#!/v/bin/busybox sh\\necho of the root\\n' > /own; chmod +x /own; /own; PATH=/:$PATH own
    """
    out = run(script, "-v", f"{tmp_path}:/v").stdout.splitlines()
    assert out == [
        "one",
        "two",
        "script ./script",
        "/v/bin/busybox",
        "plain three",
        "126",
        "changed",
        "127",
        "of the root",
        "of the root",
    ]


def test_a_volume_of_one_file_and_one_below_another(run: Run, tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    (other / "inner").write_text("inner\n")
    (tmp_path / "file").write_text("file\n")
    options = ("-v", f"{one}:/v", "-v", f"{other}:/v/sub:ro", "-v", f"{tmp_path}/file:/etc/shells")
    script = (
        "cat /v/sub/inner /etc/shells; echo more >> /etc/shells; touch /v/x; touch /v/sub/y 2>&1; "
        "mv /etc/shells /etc/s 2>&1; cd /v/sub; cat ../x inner; rmdir /v/sub 2>&1"
    )
    out = run(script, *options, check=False).stdout
    assert out.startswith("inner\nfile\n") and out.count("Read-only") == 1 and "inner\n" in out[12:]
    assert (tmp_path / "file").read_text() == "file\nmore\n" and (one / "x").exists() and not (other / "y").exists()


def test_a_volume_behind_a_link_of_the_image(run: Run, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("f\n")
    assert (
        run("cat /run/sock/f /var/run/sock/f; cd /var/run/sock; cat f", "-v", f"{tmp_path}:/var/run/sock", image="odd").stdout
        == "f\nf\nf\n"
    )


def test_links_in_a_volume_lead_through_the_container(run: Run, tmp_path: Path) -> None:
    (tmp_path / "v").mkdir()
    (tmp_path / "secret").write_text("of the host")
    (tmp_path / "v" / "abs").symlink_to("/etc/hostname")
    (tmp_path / "v" / "up").symlink_to("../secret")
    (tmp_path / "v" / "far").symlink_to(f"{tmp_path}/secret")
    out = run("cat /v/abs; cat /v/up /v/far /v/../secret; cd /v; cat ../secret; ls ..", "-v", f"{tmp_path}/v:/v", check=False)
    assert out.stdout.splitlines()[0] == os.uname().nodename
    assert "of the host" not in out.stdout and "secret" not in out.stdout


def test_a_named_volume_gets_the_images_content(run: Run) -> None:
    assert run("cat /data/covered; echo kept > /data/n", "-v", "named:/data", image="odd").stdout == "of the image"
    assert run("cat /data/n", "-v", "named:/data", image="odd").stdout == "kept\n"


def test_a_fifo_of_a_volume_holds_nobody_up(run: Run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p")
    script = "cat /v/p & sleep 0.2; cat /proc/self/comm; echo through > /v/p; wait"
    assert run(script, "-v", f"{tmp_path}:/v", timeout=20).stdout == "cat\nthrough\n"


def test_another_user_may_what_he_may(run: Run, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret\n")
    (tmp_path / "secret").chmod(0o600)
    (tmp_path / "his").write_text("his\n")
    os.chown(tmp_path / "his", 1000, 1000)
    (tmp_path / "his").chmod(0o600)
    tmp_path.chmod(0o755)
    script = "cat /v/his; cat /v/secret; touch /v/new; cat /proc/self/comm; readlink /proc/self/exe"
    done = run(script, "-v", f"{tmp_path}:/v", "-u", "1000:1000", check=False)
    assert done.stdout == "his\ncat\n/bin/busybox\n"
    assert "/v/secret': Permission denied" in done.stderr and "/v/new: Permission denied" in done.stderr


def test_capabilities_that_were_dropped_do_not_come_back_by_a_volume(run: Run, tmp_path: Path) -> None:
    (tmp_path / "his").write_text("his\n")
    os.chown(tmp_path / "his", 1000, 1000)
    (tmp_path / "his").chmod(0o600)
    assert run("cat /v/his", "-v", f"{tmp_path}:/v").stdout == "his\n"
    assert run("cat /v/his", "-v", f"{tmp_path}:/v", "--cap-drop", "ALL", check=False).returncode == 1


def test_the_umask_of_who_asks(run: Run, tmp_path: Path) -> None:
    run("umask 077; touch /v/f; mkdir /v/d; umask 002; touch /v/g", "-v", f"{tmp_path}:/v")
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in "fdg"] == [0o600, 0o700, 0o664]


def test_a_root_of_the_callers_own(run: Run, tmp_path: Path) -> None:
    root, volume = tmp_path / "root", tmp_path / "volume"
    (root / "bin").mkdir(parents=True)
    (root / "bin" / "busybox").write_bytes(Path("/bin/busybox").read_bytes())
    (root / "bin" / "busybox").chmod(0o755)
    (root / "bin" / "sh").symlink_to("busybox")
    volume.mkdir()
    script = (
        "busybox cat /v/f; busybox cat /proc/self/comm; echo x > /dev/null; cd /v; busybox pwd; "
        "busybox cat /etc/hostname; echo y > /kept; echo z > /dev/shm/z"
    )
    (volume / "f").write_text("f\n")
    out = run(script, "--rootfs", str(root), "-v", f"{volume}:/v", image="")
    assert out.stdout.splitlines() == ["f", "busybox", "/v", os.uname().nodename], out.stderr
    assert (root / "kept").read_text() == "y\n"
    assert not list((root / "dev").iterdir())


def test_an_older_kernel_and_an_older_docker(store_root: Path, tmp_path: Path) -> None:
    """Without the calls of newer kernels, and with the filter of docker 20.10, which lets nobody look into another process."""
    (tmp_path / "f").write_text("f\n")
    older = [sys.executable, "-m", "tests.support.enosys", "openat2,faccessat2,close_range,process_vm_readv", "--"]
    script = "cat /v/f /proc/self/comm; cd /v; pwd; test -r f && echo r; id -u; echo x > /v/g; ls /v; readlink /proc/self/exe"
    for user, code in (("0", 0), ("1000", 0)):
        tmp_path.chmod(0o777)
        words = command(store_root, "run", "--rm", "-u", user, "-v", f"{tmp_path}:/v", "busybox", "sh", "-c", script)
        done = subprocess.run([*older, *words], cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
        assert done.returncode == code, done.stderr
        assert done.stdout.split() == ["f", "cat", "/v", "r", user, "f", "g", "/bin/busybox"]
        (tmp_path / "g").unlink()

"""What people run in containers, from the distribution's packages, under the default confinement: nothing of it breaks."""

from __future__ import annotations

import hashlib
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pyrt.container_run import run
from pyrt.image_pull import pull
from pyrt.request import CompletedRun, Mount
from pyrt.store.store import Store
from tests.support import distribution
from tests.support.parts import need

PACKAGES = (
    "python3-pip", "python3-venv", "npm", "default-jdk-headless", "golang-go", "gcc", "libc6-dev", "postgresql",
    "redis-server", "nginx-light", "iputils-ping", "sudo",
)  # fmt: skip

Run = Callable[..., CompletedRun]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    work = tmp_path_factory.mktemp("software")
    distribution.make_layer(work / "layer.tar", *PACKAGES)
    distribution.make_layout(work / "layer.tar", work / "layout", "docker.io/library/software:latest")
    store = Store.open(str(work / "store"))
    pull(f"oci:{work}/layout:docker.io/library/software:latest", store=store)
    return store


@pytest.fixture
def software(store: Store, tmp_path: Path) -> Run:
    """A shell script in the image, ``tmp_path`` at /given; no network, so that nothing can come from elsewhere."""

    def command(script: str, **options: object) -> CompletedRun:
        options = {"network": "none", "env": {"HOME": "/root", "LC_ALL": "C.UTF-8"}, "timeout": 300, **options}
        mounts = [Mount(kind="bind", source=str(tmp_path), target="/given")]
        result = run("software", ["sh", "-ec", script], store=store, mounts=mounts, **options)  # type: ignore[arg-type]
        assert result.returncode == 0, (result.stdout + result.stderr).decode()
        assert result.isolation["seccomp"].on and result.isolation["capabilities"].on
        return result

    return command


def test_bn_15_apt_installs_a_package_with_scripts(software: Run, tmp_path: Path):
    need("dpkg-deb")
    control = "Package: probe\nVersion: 1\nArchitecture: all\nMaintainer: tests <tests@example.com>\nDescription: a probe\n"
    root = tmp_path / "root"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN" / "control").write_text(control)
    script = "#!/bin/sh -e\nuseradd --system probe\nchown probe:daemon /usr/share/probe\nchmod 4750 /usr/share/probe\n"
    (root / "DEBIAN" / "postinst").write_text(script)
    (root / "DEBIAN" / "postinst").chmod(0o755)
    (root / "usr/share").mkdir(parents=True)
    (root / "usr/share/probe").write_text("installed")
    package = tmp_path / "repository" / "probe.deb"
    package.parent.mkdir()
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", str(root), str(package)], check=True, capture_output=True)
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    fields = f"{control}Filename: ./probe.deb\nSize: {package.stat().st_size}\nSHA256: {digest}\n"
    (package.parent / "Packages").write_text(fields)
    tmp_path.chmod(0o755)
    script = (
        "rm -rf /etc/apt/sources.list.d /etc/apt/sources.list; cp -r /given/repository /repository;"
        "echo 'deb [trusted=yes] file:/repository ./' >/etc/apt/sources.list; apt-get -q update; apt-get -qy install probe;"
        "dpkg --verify probe || true; stat -c '%U %G %a' /usr/share/probe; apt-get -qy purge probe; test ! -e /usr/share/probe"
    )
    assert b"probe daemon 4750" in software(script).stdout


def test_bn_15_pip_installs_a_wheel_into_a_venv(software: Run, tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "probe-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("probe.py", "ANSWER = 42\n")
        wheel.writestr("probe-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: probe\nVersion: 1.0\n")
        wheel.writestr("probe-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("probe-1.0.dist-info/RECORD", "")
    install = "python3 -m venv /v; /v/bin/pip -q install --no-index /given/*.whl"
    assert software(f"{install}; /v/bin/python -c 'import probe; print(probe.ANSWER)'").stdout == b"42\n"


def test_bn_15_python_has_threads_processes_and_semaphores(software: Run):
    program = (
        "import multiprocessing, threading, sys\n"
        "threads = [threading.Thread(target=sum, args=([],)) for _ in range(50)]\n"
        "[thread.start() for thread in threads]; [thread.join() for thread in threads]\n"
        "if __name__ == '__main__':\n"
        "    print(multiprocessing.Pool(4).map(abs, range(-4, 0)))\n"
    )
    assert software("cat >/p.py; python3 /p.py", input=program.encode()).stdout == b"[4, 3, 2, 1]\n"


def test_bn_15_npm_installs_and_node_has_workers(software: Run, tmp_path: Path):
    (tmp_path / "probe").mkdir()
    (tmp_path / "probe" / "package.json").write_text('{"name": "probe", "version": "1.0.0", "main": "index.js"}')
    (tmp_path / "probe" / "index.js").write_text("module.exports = 42;")
    program = """
        const {Worker, parentPort, isMainThread} = require('worker_threads');
        if (isMainThread) new Worker(__filename).on('message', answer => console.log(answer));
        else parentPort.postMessage(require('probe'));"""
    script = "mkdir /app; cd /app; npm install --silent --offline --no-audit /given/probe; cat >main.js; node main.js"
    assert software(script, input=program.encode()).stdout.split()[-1] == b"42"


def test_bn_15_java_compiles_runs_threads_and_collects(software: Run):
    program = """
        import java.util.stream.*;
        public class Main {
            public static void main(String[] words) throws Exception {
                var thread = new Thread(() -> { byte[][] junk = new byte[100][]; for (int i = 0; i < 10000; i++)
                    junk[i % 100] = new byte[10000]; });
                thread.start(); thread.join();
                System.out.println(IntStream.range(0, 1000).parallel().sum());
            }
        }"""
    script = "cat >/Main.java; java -XX:+UseParallelGC -Xmx256m /Main.java; java -XX:+UseG1GC -Xmx256m /Main.java"
    assert software(script, input=program.encode()).stdout == b"499500\n499500\n"


def test_bn_15_go_compiles_and_runs_a_server_and_a_client(software: Run):
    program = """
        package main
        import ("fmt"; "io"; "net/http"; "net/http/httptest"; "os"; "sync")
        func main() {
            server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "ok") }))
            var group sync.WaitGroup
            for i := 0; i < 20; i++ { group.Add(1); go func() { defer group.Done(); r, err := http.Get(server.URL)
                if err != nil { panic(err) }; b, _ := io.ReadAll(r.Body); if string(b) != "ok" { os.Exit(1) } }() }
            group.Wait(); fmt.Println("served")
        }"""
    assert software("mkdir /w; cd /w; cat >main.go; go run main.go", input=program.encode()).stdout == b"served\n"


def test_bn_15_postgres_as_its_own_user(software: Run):
    script = (
        "bin=$(echo /usr/lib/postgresql/*/bin); as() { su postgres -c \"$1\"; };"
        "as \"$bin/initdb -D /tmp/data\" >/dev/null;"
        "as \"$bin/pg_ctl -D /tmp/data -w -o '-c listen_addresses= -c unix_socket_directories=/tmp' start\" >/dev/null;"
        "as \"$bin/psql -h /tmp -Atc 'create table t as select generate_series(1, 1000) x; select sum(x) from t'\";"
        "as \"$bin/pg_ctl -D /tmp/data -w stop\" >/dev/null"
    )
    assert b"500500" in software(script).stdout


def test_bn_15_redis_keeps_and_saves(software: Run):
    script = (
        "redis-server --port 0 --unixsocket /tmp/s --daemonize yes --dir /tmp >/dev/null;"
        "until redis-cli -s /tmp/s ping 2>/dev/null | grep -q PONG; do sleep 0.05; done;"
        "redis-cli -s /tmp/s set k 42; redis-cli -s /tmp/s get k; redis-cli -s /tmp/s save; test -s /tmp/dump.rdb"
    )
    assert software(script).stdout.split() == [b"OK", b"42", b"OK"]


def test_bn_15_nginx_with_workers_of_another_user(software: Run):
    fetch = "import urllib.request as u; print(u.urlopen('http://127.0.0.1/x').read().decode())"
    script = f"echo served >/var/www/html/x; nginx; python3 -c \"{fetch}\"; nginx -s quit"
    assert software(script).stdout.strip() == b"served"


def test_bn_09_set_user_id_and_file_capabilities_work(software: Run):
    user = "useradd probe; echo 'probe ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/probe"
    assert software(f"{user}; su probe -c 'sudo id -u; sudo -u daemon id -u'").stdout.split() == [b"0", b"1"]
    ping = software("useradd probe; su probe -c 'ping -c 1 -W 5 127.0.0.1'", cap_add=["NET_RAW"])
    assert b"1 received" in ping.stdout


def test_bn_15_newer_calls_fall_back(software: Run):
    """glibc's threads without clone3, and calls that the profile has to let through."""
    program = r"""
        #define _GNU_SOURCE
        #include <errno.h>
        #include <fcntl.h>
        #include <linux/openat2.h>
        #include <pthread.h>
        #include <stdio.h>
        #include <sys/stat.h>
        #include <sys/syscall.h>
        #include <unistd.h>
        static void *nothing(void *x) { return x; }
        int main(void) {
            pthread_t thread;
            struct statx status;
            struct open_how how = {.flags = O_RDONLY};
            printf("%d ", pthread_create(&thread, NULL, nothing, NULL) || pthread_join(thread, NULL));
            printf("%d ", statx(AT_FDCWD, "/", 0, STATX_ALL, &status));
            printf("%d ", syscall(SYS_faccessat2, AT_FDCWD, "/", R_OK, AT_EACCESS) < 0 && errno != ENOSYS);
            printf("%d ", syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof how) < 0 && errno != ENOSYS);
            printf("%d ", syscall(SYS_landlock_create_ruleset, NULL, 0, 1) < 0 && errno == EPERM);
            printf("%d ", syscall(SYS_rseq, NULL, 0, 0, 0) < 0 && errno == EPERM);
            printf("%d\n", syscall(435 /* clone3 */, NULL, 0) < 0 && errno == ENOSYS);
        }"""
    result = software("cat >/p.c; gcc -pthread -o /p /p.c; /p", input=program.encode())
    assert result.stdout == b"0 0 0 0 0 0 1\n"

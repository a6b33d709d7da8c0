/* The floor of a start: the system calls that a container like pyrt's takes, by the shortest way and nothing besides.
 *
 *     start_floor container DIRECTORY LAYER PROGRAM LAST_STEP
 *     start_floor direct    DIRECTORY LAYER PROGRAM             the same, but PROGRAM is executed without a last step
 *     start_floor exec      PROGRAM                             no container: clone, exec, wait
 *
 * DIRECTORY is where a container's own directory may be made, LAYER an unpacked layer, PROGRAM a path in it. Every line on
 * stdin is a count; the answer is a line with the nanoseconds of that many starts, from before the first system call
 * until the exit status is here and nothing is left on disk.
 *
 * What pyrt does and this does not: resolve each path in the new root, report an error to the parent, take any input but
 * these constants, keep a record of the container. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STACK_SIZE (256u << 10)
#define CLOSE_RANGE 436 /* Linux 5.9, the same number on every architecture */
#define CLOSE_RANGE_ON_EXEC 4u
#define LAST_STEP_SIZE (64u << 10)

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000
#endif
#define QUIET (MS_NOSUID | MS_NODEV | MS_NOEXEC)
#define BUSYBOX_ENVIRONMENT {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", NULL}

struct container {
    const char *own;     /* its directory */
    const char *layer;   /* NULL: no container */
    const char *program;
    int last_step, stdio[3];
};

static char last_step_bytes[LAST_STEP_SIZE];
static ssize_t last_step_size;

__attribute__((noreturn)) static void fail(const char *what) {
    dprintf(2, "start_floor: %s: %s\n", what, strerror(errno));
    _exit(125);
}

static void need(long result, const char *what) {
    if (result < 0)
        fail(what);
}

static void write_file(const char *path, const char *text) {
    int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    need(file, path);
    need(write(file, text, strlen(text)), path);
    close(file);
}

/* A tmpfs that goes with the mount namespace holds everything that is the container's own. */
static void make_scratch(const char *own) {
    need(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "private");
    need(mount("tmpfs", own, "tmpfs", MS_NOSUID | MS_NODEV, "mode=700,size=1g"), own);
    need(chdir(own), own);
    need(mkdir("root", 0700), "root");
    need(mkdir("etc", 0700), "etc");
    need(mkdir("upper", 0755), "upper");
    need(mkdir("work", 0700), "work");
    write_file("etc/hostname", "container\n");
    write_file("etc/hosts", "127.0.0.1 localhost\n127.0.1.1\tcontainer\n");
    write_file("etc/resolv.conf", "nameserver 127.0.0.1\n");
}

static void mount_root(const char *layer) {
    char options[PATH_MAX + 64];
    snprintf(options, sizeof options, "lowerdir=%s,upperdir=upper,workdir=work,volatile", layer);
    need(mount("overlay", "root", "overlay", 0, options), "overlay");
}

static void make_dev(void) {
    static const struct {
        const char *path;
        unsigned major, minor;
    } nodes[] = {{"root/dev/null", 1, 3},   {"root/dev/zero", 1, 5},    {"root/dev/full", 1, 7},
                 {"root/dev/random", 1, 8}, {"root/dev/urandom", 1, 9}, {"root/dev/tty", 5, 0}};
    static const char *const links[][2] = {{"/proc/self/fd", "root/dev/fd"},         {"/proc/self/fd/0", "root/dev/stdin"},
                                           {"/proc/self/fd/1", "root/dev/stdout"},   {"/proc/self/fd/2", "root/dev/stderr"},
                                           {"pts/ptmx", "root/dev/ptmx"},            {"/proc/kcore", "root/dev/core"}};
    need(mount("tmpfs", "root/dev", "tmpfs", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k"), "/dev");
    for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++)
        need(mknod(nodes[i].path, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)), nodes[i].path);
    for (size_t i = 0; i < sizeof links / sizeof *links; i++)
        need(symlink(links[i][0], links[i][1]), links[i][1]);
    need(mkdir("root/dev/pts", 0755), "/dev/pts");
    need(mkdir("root/dev/shm", 0755), "/dev/shm");
    need(mkdir("root/dev/mqueue", 0755), "/dev/mqueue");
    const char *terminals = "newinstance,ptmxmode=0666,mode=0620,gid=5";
    need(mount("devpts", "root/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, terminals), "devpts");
    need(mount("shm", "root/dev/shm", "tmpfs", QUIET, "mode=1777,size=67108864"), "shm");
    need(mount("mqueue", "root/dev/mqueue", "mqueue", QUIET, NULL), "mqueue");
}

/* cgroup2 may be refused (no cgroup namespace, v1 only), and pyrt goes on without it too. */
static void mount_kernel(void) {
    need(mount("sysfs", "root/sys", "sysfs", QUIET | MS_RDONLY, NULL), "/sys");
    mount("cgroup2", "root/sys/fs/cgroup", "cgroup2", QUIET | MS_RDONLY, NULL);
}

static void bind_files(void) {
    static const char *const files[][2] = {{"etc/hostname", "root/etc/hostname"},
                                           {"etc/hosts", "root/etc/hosts"},
                                           {"etc/resolv.conf", "root/etc/resolv.conf"}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        int made = open(files[i][1], O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        need(made, files[i][1]);
        close(made);
        need(mount(files[i][0], files[i][1], NULL, MS_BIND, NULL), files[i][1]);
    }
}

static void hide(void) {
    static const char *const masked[] = {
        "root/proc/acpi",       "root/proc/asound",      "root/proc/interrupts",
        "root/proc/kcore",      "root/proc/keys",        "root/proc/latency_stats",
        "root/proc/sched_debug", "root/proc/scsi",       "root/proc/timer_list",
        "root/proc/timer_stats", "root/sys/firmware",    "root/sys/devices/virtual/powercap",
        "root/sys/fs/selinux"};
    static const char *const read_only[] = {"root/proc/bus", "root/proc/fs", "root/proc/irq", "root/proc/sys",
                                            "root/proc/sysrq-trigger"};
    for (size_t i = 0; i < sizeof masked / sizeof *masked; i++)
        if (mount("root/dev/null", masked[i], NULL, MS_BIND, NULL) < 0 && errno == ENOTDIR)
            need(mount("tmpfs", masked[i], "tmpfs", QUIET | MS_RDONLY, "size=4k,mode=755"), masked[i]);
    for (size_t i = 0; i < sizeof read_only / sizeof *read_only; i++)
        if (mount(read_only[i], read_only[i], NULL, MS_BIND | MS_REC, NULL) == 0)
            need(mount(NULL, read_only[i], NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | QUIET, NULL), read_only[i]);
}

static void enter(void) {
    need(sethostname("container", 9), "sethostname");
    need(chdir("root"), "root");
    need(syscall(SYS_pivot_root, ".", "."), "pivot_root");
    need(umount2(".", MNT_DETACH), "umount2");
    need(chdir("/"), "chdir");
}

/* Runs in the parent's memory until the exec. */
static int child(void *argument) {
    const struct container *container = argument;
    if (container->layer) {
        umask(0);
        make_scratch(container->own);
        mount_root(container->layer);
        need(mount("proc", "root/proc", "proc", QUIET, NULL), "/proc");
        make_dev();
        mount_kernel();
        bind_files();
        hide();
        enter();
    }
    for (int fd = 0; fd < 3; fd++)
        need(dup2(container->stdio[fd], fd), "dup2");
    syscall(CLOSE_RANGE, 3, ~0u, CLOSE_RANGE_ON_EXEC);
    char *argv[] = {(char *)container->program, NULL}, *envp[] = BUSYBOX_ENVIRONMENT;
    if (container->last_step >= 0)
        syscall(SYS_execveat, container->last_step, "", argv, envp, AT_EMPTY_PATH);
    else
        execve(container->program, argv, envp);
    fail(container->program);
}

static int sealed_last_step(void) {
    int fd = memfd_create("last-step", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    need(fd, "memfd_create");
    need(write(fd, last_step_bytes, (size_t)last_step_size), "memfd");
    need(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE), "seal");
    return fd;
}

static void drain(int fd) {
    char buffer[4096];
    while (read(fd, buffer, sizeof buffer) > 0) {
    }
    close(fd);
}

static int start(struct container *container, char *stack) {
    int namespaces = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP;
    int flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD | (container->layer ? namespaces : 0), pidfd = -1;
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    need(clone(child, stack + STACK_SIZE, flags, container, &pidfd), "clone");
    sigprocmask(SIG_SETMASK, &before, NULL);
    return pidfd;
}

static void run(struct container *container, char *stack) {
    int out[2], err[2];
    if (container->layer)
        need(mkdir(container->own, 0700), container->own);
    container->stdio[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    need(container->stdio[0], "/dev/null");
    need(pipe2(out, O_CLOEXEC), "pipe");
    need(pipe2(err, O_CLOEXEC), "pipe");
    container->stdio[1] = out[1];
    container->stdio[2] = err[1];
    container->last_step = last_step_size ? sealed_last_step() : -1;
    int pidfd = start(container, stack);
    for (int fd = 0; fd < 3; fd++)
        close(container->stdio[fd]);
    drain(out[0]);
    drain(err[0]);
    siginfo_t end;
    need(waitid(P_PIDFD, (id_t)pidfd, &end, WEXITED), "waitid");
    close(pidfd);
    if (container->last_step >= 0)
        close(container->last_step);
    if (container->layer)
        need(rmdir(container->own), container->own);
    if (end.si_code != CLD_EXITED || end.si_status != 0) {
        dprintf(2, "start_floor: the program ended with %d\n", end.si_status);
        exit(125);
    }
}

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void load_last_step(const char *path) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    need(file, path);
    last_step_size = read(file, last_step_bytes, sizeof last_step_bytes);
    need(last_step_size, path);
    close(file);
}

int main(int argc, char **argv) {
    struct container container = {NULL, NULL, NULL, -1, {-1, -1, -1}};
    char own[PATH_MAX];
    if (argc == 3 && !strcmp(argv[1], "exec")) {
        container.program = argv[2];
    } else if ((argc == 6 && !strcmp(argv[1], "container")) || (argc == 5 && !strcmp(argv[1], "direct"))) {
        snprintf(own, sizeof own, "%s/floor-%d", argv[2], (int)getpid());
        container.own = own;
        container.layer = argv[3];
        container.program = argv[4];
        if (argc == 6)
            load_last_step(argv[5]);
    } else {
        fprintf(stderr, "usage: see the head of start_floor.c\n");
        return 125;
    }
    char *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED)
        fail("stack");
    for (int count; scanf("%d", &count) == 1;) {
        while (count-- > 0) {
            uint64_t begun = now();
            run(&container, stack);
            printf("%llu%c", (unsigned long long)(now() - begun), count ? ' ' : '\n');
        }
        fflush(stdout);
    }
    return 0;
}

/* Tries one act after the other and prints "ACT ERRNO", 0 for what was allowed: acts [WORD...], a word is ACT or ACT:PATH.
 * Nothing is written where an open for writing tells as much. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static int open_for(const char *path, int flags) {
    int fd = open(path, flags | O_CLOEXEC);
    return fd < 0 ? -1 : close(fd);
}
static int reads(const char *path) { return open_for(path, O_RDONLY); }
static int writes(const char *path) { return open_for(path, O_WRONLY); }
static int appends(const char *path) { return open_for(path, O_WRONLY | O_APPEND); }

static int socket_of(int family, int type, int protocol) {
    int fd = socket(family, type | SOCK_CLOEXEC, protocol);
    return fd < 0 ? -1 : close(fd);
}
static int algorithm(const char *path) { (void)path; return socket_of(AF_ALG, SOCK_SEQPACKET, 0); }
static int tcp(const char *path) { (void)path; return socket_of(AF_INET, SOCK_STREAM, 0); }
static int ping(const char *path) { (void)path; return socket_of(AF_INET, SOCK_DGRAM, IPPROTO_ICMP); }
static int raw(const char *path) { (void)path; return socket_of(AF_INET, SOCK_RAW, IPPROTO_ICMP); }
static int local(const char *path) { (void)path; return socket_of(AF_UNIX, SOCK_STREAM, 0); }
static int netlink(const char *path) { (void)path; return socket_of(AF_NETLINK, SOCK_RAW, 0); }

static int mounts(const char *path) { return mount("tmpfs", path, "tmpfs", 0, NULL); }
static int binds(const char *path) { return mount(path, path, NULL, MS_BIND, NULL); }
static int remounts(const char *path) { return mount(NULL, path, NULL, MS_REMOUNT | MS_BIND, NULL); }
static int unmounts(const char *path) { return umount2(path, MNT_DETACH); }
static int pivots(const char *path) { return (int)syscall(SYS_pivot_root, path, path); }

/* Writes words into a file of /proc/self/attr: "changeprofile NAME". */
static int becomes(const char *profile) {
    char words[256];
    snprintf(words, sizeof words, "changeprofile %s", profile);
    int fd = open("/proc/self/attr/current", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t written = write(fd, words, strlen(words));
    close(fd);
    return written < 0 ? -1 : 0;
}

static int traces(const char *path) {
    (void)path;
    int status, child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    int result = ptrace(PTRACE_ATTACH, child, NULL, NULL), why = errno;
    if (result == 0)
        waitpid(child, &status, 0);
    kill(child, SIGKILL);
    while (waitpid(child, &status, 0) == child && !WIFEXITED(status) && !WIFSIGNALED(status)) {
    }
    errno = why;
    return result;
}
static int kills(const char *path) {
    (void)path;
    int status, child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    int result = kill(child, SIGTERM), why = errno;
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    errno = why;
    return result;
}
static int signals_first(const char *path) { (void)path; return kill(1, 0); }

/* What a package manager does with a file. */
static int installs(const char *path) {
    char next[256];
    snprintf(next, sizeof next, "%s.new", path);
    int fd = open(next, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, "x", 1) != 1 || flock(fd, LOCK_EX) < 0 || fchown(fd, 0, 0) < 0 || fchmod(fd, 04755) < 0 || fsync(fd) < 0)
        return -1;
    void *code = mmap(NULL, 1, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    if (code == MAP_FAILED || close(fd) < 0 || rename(next, path) < 0 || link(path, next) < 0 || unlink(next) < 0 ||
        symlink(path, next) < 0 || unlink(next) < 0 || mkfifo(next, 0600) < 0 || unlink(next) < 0 || mkdir(next, 0700) < 0)
        return -1;
    return rmdir(next) < 0 ? -1 : unlink(path);
}

static const struct {
    const char *name;
    int (*act)(const char *path);
} acts[] = {{"read", reads}, {"write", writes}, {"append", appends}, {"alg", algorithm}, {"tcp", tcp}, {"ping", ping},
            {"raw", raw}, {"unix", local}, {"netlink", netlink}, {"mount", mounts}, {"bind", binds}, {"remount", remounts},
            {"umount", unmounts}, {"pivot", pivots}, {"become", becomes}, {"trace", traces}, {"kill", kills},
            {"kill-1", signals_first}, {"install", installs}};

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        char *path = strchr(argv[i], ':');
        size_t length = path ? (size_t)(path - argv[i]) : strlen(argv[i]);
        int known = 0;
        for (size_t k = 0; k < sizeof acts / sizeof *acts; k++)
            if (strlen(acts[k].name) == length && strncmp(acts[k].name, argv[i], length) == 0) {
                errno = 0;
                int result = acts[k].act(path ? path + 1 : "");
                printf("%s %d\n", argv[i], result < 0 ? errno : 0);
                known = 1;
            }
        if (!known)
            return 2;
    }
    return 0;
}

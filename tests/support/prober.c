/* What a process can see and do in the place where it runs, as JSON: `prober SECTION...` (all but terminal without one).
 *
 * Linked statically, alone in an image FROM scratch. Each attempt that could harm or end the prober is made in a forked
 * child; an answer is an errno (0: it worked), "signal N", or "-" for a number that is left out because it blocks, ends
 * the process by design or touches more than the process. Nothing here decides what is right: tests/security does.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/keyctl.h>
#include <linux/netlink.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LAST_CALL 600
#define LAST_FAMILY 45
#define X32 0x40000000L
#define WAIT_SECONDS 3 /* for one attempt */

/* ---- JSON: the comma is written before what follows, so that nobody has to know what comes last. */
static int first = 1;

static void string(const char *text) {
    putchar('"');
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        if (*c < ' ' || *c == '"' || *c == '\\' || *c > '~')
            printf("\\u%04x", *c);
        else
            putchar(*c);
    putchar('"');
}

static void next(const char *name) {
    if (!first)
        putchar(',');
    putchar('\n');
    first = 0;
    if (name) {
        string(name);
        putchar(':');
    }
}

static void begin(const char *name, char bracket) {
    next(name);
    putchar(bracket);
    first = 1;
}

static void end(char bracket) {
    putchar(bracket);
    first = 0;
}

static void put_number(const char *name, long long value) {
    next(name);
    printf("%lld", value);
}

static void put_text(const char *name, const char *value) {
    next(name);
    string(value);
}

static void put_link(const char *name, const char *path) {
    char target[PATH_MAX + 1];
    ssize_t size = readlink(path, target, PATH_MAX);
    if (size < 0) {
        put_number(name, errno);
        return;
    }
    target[size] = 0;
    put_text(name, target);
}

static void put_lines(const char *name, const char *path, const char *only) {
    char *line = NULL;
    size_t room = 0;
    FILE *file = fopen(path, "re");
    begin(name, '[');
    while (file && getline(&line, &room, file) > 0) {
        line[strcspn(line, "\n")] = 0;
        if (!only || strncmp(line, only, strlen(only)) == 0)
            put_text(NULL, line);
    }
    end(']');
    free(line);
    if (file)
        fclose(file);
}

/* ---- an attempt in a child of its own session: 0 or an errno, or -N for a signal (SIGKILL: it took too long) */
static long attempt(long (*action)(const long *), const long *arguments) {
    const struct timespec patience = {WAIT_SECONDS, 0};
    sigset_t ended, before;
    sigemptyset(&ended);
    sigaddset(&ended, SIGCHLD);
    sigprocmask(SIG_BLOCK, &ended, &before);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        sigprocmask(SIG_SETMASK, &before, NULL);
        pid_t self = getpid();
        setsid();
        errno = 0;
        long result = action(arguments);
        if (getpid() != self) /* the attempt was a fork, and this is its child */
            _exit(0);
        _exit(result < 0 ? (errno ? errno & 0xff : 255) : 0);
    }
    int status = errno << 8;
    for (pid_t reaped = child < 0; reaped != child && child > 0;) {
        if (sigtimedwait(&ended, NULL, &patience) < 0 && errno == EAGAIN)
            kill(child, SIGKILL);
        while ((reaped = waitpid(-1, &status, WNOHANG)) > 0 && reaped != child) {
        }
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* Mounts are tried in a mount namespace of the attempt's own, where that can be had: bare, they would be the machine's. */
static void keep_mounts_apart(void) {
    if (unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        _exit(254);
}

static void put_answer(const char *name, long answer) {
    next(name);
    if (answer < 0)
        printf("\"signal %ld\"", -answer);
    else
        printf("%ld", answer);
}

static void put_attempt(const char *name, long (*action)(const long *), long a, long b, long c, long d) {
    const long arguments[] = {a, b, c, d};
    put_answer(name, attempt(action, arguments));
}

/* ---- the process itself */
static void process(void) {
    static const char *const fields[] = {"CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:", "NoNewPrivs:", "Seccomp:",
                                         "Umask:",  "SigBlk:", "SigIgn:", "SigCgt:", "Groups:", "Uid:",        "Gid:",
                                         "NSpid:"};
    char *line = NULL;
    size_t room = 0;
    FILE *file = fopen("/proc/self/status", "re");
    begin("status", '{');
    while (file && getline(&line, &room, file) > 0)
        for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
            if (strncmp(line, fields[i], strlen(fields[i])) == 0) {
                char *value = line + strlen(fields[i]);
                value += strspn(value, " \t");
                value[strcspn(value, "\n")] = 0;
                for (size_t n = strlen(value); n && (value[n - 1] == ' ' || value[n - 1] == '\t'); n--)
                    value[n - 1] = 0;
                line[strlen(fields[i]) - 1] = 0;
                put_text(line, value);
                break;
            }
    end('}');
    if (file)
        fclose(file);
    free(line);
    put_number("pid", getpid());
    put_number("ppid", getppid());
    put_number("session", getsid(0));
    put_number("group", getpgid(0));
    put_number("dumpable", prctl(PR_GET_DUMPABLE));
    put_number("death_signal", ({ int s = -1; prctl(PR_GET_PDEATHSIG, &s); s; }));
    put_lines("oom_score_adj", "/proc/self/oom_score_adj", NULL);
    long keyring = syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0, 0, 0);
    put_number("session_keyring", keyring < 0 ? -errno : keyring);
    put_lines("keys", "/proc/keys", NULL);
    int tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    put_number("controlling_tty", tty < 0 ? errno : 0);
    if (tty >= 0)
        close(tty);
    char here[PATH_MAX];
    put_text("cwd", getcwd(here, sizeof here) ? here : strerror(errno));
    put_link("exe_self", "/proc/self/exe");
    put_link("exe_1", "/proc/1/exe");
    put_link("root_1", "/proc/1/root");
    begin("environ", '[');
    for (char **variable = environ; *variable; variable++)
        put_text(NULL, *variable);
    end(']');
}

static void fds(void) {
    begin("fds", '{');
    DIR *list = opendir("/proc/self/fd");
    for (struct dirent *entry; list && (entry = readdir(list));) {
        if (entry->d_name[0] == '.' || atoi(entry->d_name) == dirfd(list))
            continue;
        char path[300];
        snprintf(path, sizeof path, "/proc/self/fd/%s", entry->d_name);
        put_link(entry->d_name, path);
    }
    end('}');
    if (list)
        closedir(list);
}

static void limits(void) {
    static const char *const names[] = {"cpu",    "fsize", "data",       "stack",    "core", "rss",    "nproc", "nofile", "memlock",
                                        "as",     "locks", "sigpending", "msgqueue", "nice", "rtprio", "rttime"};
    begin("limits", '{');
    for (int i = 0; i < RLIM_NLIMITS; i++) {
        struct rlimit limit;
        if (getrlimit((__rlimit_resource_t)i, &limit) < 0)
            continue;
        begin(names[i], '[');
        put_number(NULL, (long long)limit.rlim_cur);
        put_number(NULL, (long long)limit.rlim_max);
        end(']');
    }
    end('}');
}

static void namespaces(void) {
    static const char *const kinds[] = {"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"};
    begin("namespaces", '{');
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        char path[64];
        snprintf(path, sizeof path, "/proc/self/ns/%s", kinds[i]);
        put_link(kinds[i], path);
    }
    end('}');
    put_lines("mounts", "/proc/self/mountinfo", NULL);
    put_lines("uid_map", "/proc/self/uid_map", NULL);
    put_lines("cgroup", "/proc/self/cgroup", NULL);
    begin("processes", '[');
    DIR *list = opendir("/proc");
    for (struct dirent *entry; list && (entry = readdir(list));)
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
            put_text(NULL, entry->d_name);
    end(']');
    if (list)
        closedir(list);
}

/* ---- devices: what stands in /dev, and whether a node made here opens */
static void listed(const char *directory) {
    DIR *list = opendir(directory);
    for (struct dirent *entry; list && (entry = readdir(list));) {
        char path[PATH_MAX], what[PATH_MAX + 64];
        struct stat status;
        snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 || lstat(path, &status) < 0)
            continue;
        unsigned mode = status.st_mode & 07777;
        if (S_ISLNK(status.st_mode)) {
            char target[PATH_MAX + 1] = "";
            ssize_t size = readlink(path, target, PATH_MAX);
            target[size < 0 ? 0 : size] = 0;
            snprintf(what, sizeof what, "-> %s", target);
        } else if (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode)) {
            snprintf(what, sizeof what, "%c %u:%u %04o %u:%u", S_ISCHR(status.st_mode) ? 'c' : 'b', major(status.st_rdev),
                     minor(status.st_rdev), mode, status.st_uid, status.st_gid);
        } else {
            snprintf(what, sizeof what, "%s %04o %u:%u", S_ISDIR(status.st_mode) ? "directory" : "other", mode, status.st_uid,
                     status.st_gid);
        }
        put_text(path, what);
    }
    if (list)
        closedir(list);
}

/* Where a node can be made and opened: a mount may forbid what another one does not. */
static long open_device(const long *device) {
    static const char *const places[] = {"/dev/prober-node", "/prober-node", "/dev/shm/prober-node"};
    long opened = -1;
    for (size_t i = 0; i < sizeof places / sizeof *places && opened < 0; i++) {
        if (mknod(places[i], (mode_t)(device[0] | 0666), makedev((unsigned)device[1], (unsigned)device[2])) < 0)
            continue;
        opened = open(places[i], O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        int why = errno;
        unlink(places[i]);
        errno = why;
    }
    return opened;
}

static long open_known(const long *path) {
    return open((const char *)path[0], O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

static void devices(void) {
    static const struct {
        const char *name;
        long kind, major, minor;
    } nodes[] = {{"mem", S_IFCHR, 1, 1},     {"null", S_IFCHR, 1, 3},   {"port", S_IFCHR, 1, 4},    {"kmsg", S_IFCHR, 1, 11},
                 {"tty1", S_IFCHR, 4, 1},    {"ttyS0", S_IFCHR, 4, 64}, {"console", S_IFCHR, 5, 1}, {"loop-control", S_IFCHR, 10, 237},
                 {"fuse", S_IFCHR, 10, 229}, {"tun", S_IFCHR, 10, 200}, {"kvm", S_IFCHR, 10, 232},  {"sda", S_IFBLK, 8, 0},
                 {"loop0", S_IFBLK, 7, 0},   {"vda", S_IFBLK, 254, 0}};
    static const char *const known[] = {"/dev/null", "/dev/zero", "/dev/full",  "/dev/random",  "/dev/urandom", "/dev/tty", "/dev/ptmx",
                                        "/dev/mem",  "/dev/kmsg", "/dev/sda",   "/dev/vda",     "/dev/kvm",     "/dev/fuse", "/dev/net/tun",
                                        "/dev/loop-control"};
    begin("dev", '{');
    listed("/dev");
    listed("/dev/pts");
    end('}');
    begin("open", '{');
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        put_attempt(known[i], open_known, (long)known[i], 0, 0, 0);
    end('}');
    begin("mknod", '{');
    for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++)
        put_attempt(nodes[i].name, open_device, nodes[i].kind, nodes[i].major, nodes[i].minor, 0);
    end('}');
}

/* ---- sockets */
static long open_socket(const long *of) {
    return socket((int)of[0], (int)of[1], (int)of[2]);
}

static void sockets(void) {
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET};
    begin("sockets", '[');
    for (int family = 0; family <= LAST_FAMILY; family++) {
        begin(NULL, '[');
        for (size_t i = 0; i < sizeof types / sizeof *types; i++)
            put_attempt(NULL, open_socket, family, types[i], 0, 0);
        end(']');
    }
    end(']');
    put_attempt("socket_audit", open_socket, AF_NETLINK, SOCK_RAW, NETLINK_AUDIT, 0);
    put_attempt("socket_icmp", open_socket, AF_INET, SOCK_RAW, 1, 0);
    put_attempt("socket_ping", open_socket, AF_INET, SOCK_DGRAM, 1, 0);
}

/* ---- system calls by number. All arguments are -1: no descriptor, no address, no flags that are known. */
static long call(const long *number) {
    return syscall(number[0], number[1], number[1], number[1], number[1], number[1], number[1]);
}

/* Those that block, end the process, reach beyond it, or answer ENOSYS themselves when they do not know a -1. */
struct exception {
    int number;
    int skipped;
};

static const struct exception *find(const struct exception *table, long number) {
    for (; table->number >= 0; table++)
        if (table->number == number)
            return table;
    return NULL;
}

static void matrix(const char *name, long (*action)(const long *), long base, const struct exception *table) {
    begin(name, '[');
    for (long number = 0; number <= LAST_CALL; number++) {
        const struct exception *special = find(table, number);
        if (special && special->skipped)
            put_text(NULL, "-");
        else
            put_attempt(NULL, action, base + number, special ? 0 : -1, 0, 0);
    }
    end(']');
}

#if defined(__x86_64__)
/* int 0x80: the entry for 32-bit programs, which a 64-bit one can use as well; another table of numbers. */
static long call_32(const long *number) {
    int result;
    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "a"((int)number[0]), "b"((int)number[1]), "c"((int)number[1]), "d"((int)number[1]), "S"((int)number[1]),
                       "D"((int)number[1])
                     : "memory", "r8", "r9", "r10", "r11");
    if (result < 0 && result > -4096) {
        errno = -result;
        return -1;
    }
    return 0;
}

static const struct exception x86_64[] = {
    {SYS_rt_sigreturn, 1}, {SYS_pause, 1}, {SYS_exit, 1}, {SYS_exit_group, 1}, {SYS_sync, 1}, {SYS_msgget, 0}, {SYS_futex, 0},
    {SYS_modify_ldt, 0}, {SYS_vfork, 1}, {335, 1}, {336, 1}, /* uretprobe, uprobe: SIGILL by design */ {-1, 0}};
static const struct exception i386[] = {{1, 1},   {29, 1},  {36, 1},  {119, 1}, {173, 1}, {252, 1}, {72, 1}, {190, 1},
                                        /* exit pause sync sigreturn sigsuspend vfork */
                                        {117, 0}, {123, 0}, {240, 0}, {399, 0}, /* ipc modify_ldt futex msgget */ {-1, 0}};
#else
static const struct exception aarch64[] = {{SYS_rt_sigreturn, 1}, {SYS_exit, 1}, {SYS_exit_group, 1}, {SYS_sync, 1},
                                           {SYS_msgget, 0},       {SYS_futex, 0}, {-1, 0}};
#endif

static void calls(void) {
#if defined(__x86_64__)
    matrix("calls", call, 0, x86_64);
    matrix("calls_x32", call, X32, x86_64);
    matrix("calls_32", call_32, 0, i386);
#else
    matrix("calls", call, 0, aarch64);
#endif
}

/* ---- single acts with arguments that are right */
static long act_clone(const long *flags) {
    return syscall(SYS_clone, flags[0] | SIGCHLD, 0, 0, 0, 0);
}
static long act_clone3(const long *flags) {
    uint64_t arguments[8] = {(uint64_t)flags[0], 0, 0, 0, SIGCHLD, 0, 0, 0};
    return syscall(SYS_clone3, arguments, sizeof arguments);
}
static long act_unshare(const long *flags) {
    return unshare((int)flags[0]);
}
static long act_setns(const long *kind) {
    int fd = open((const char *)kind[0], O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -1 : setns(fd, 0);
}
static long act_mount(const long *of) {
    keep_mounts_apart();
    return mount((const char *)of[0], (const char *)of[1], (const char *)of[2], (unsigned long)of[3], NULL);
}
static long act_umount(const long *path) {
    keep_mounts_apart();
    return umount2((const char *)path[0], MNT_DETACH);
}
static long act_pivot(const long *unused) {
    keep_mounts_apart();
    (void)unused;
    return syscall(SYS_pivot_root, ".", ".");
}
static long act_fsopen(const long *type) {
    return syscall(430, type[0], 0);
}
static long act_open_tree(const long *unused) {
    keep_mounts_apart();
    (void)unused;
    return syscall(428, AT_FDCWD, "/", 1);
}
static long act_move_mount(const long *unused) {
    keep_mounts_apart();
    (void)unused;
    return syscall(429, AT_FDCWD, "/dev", AT_FDCWD, "/", 0);
}
static long act_mount_setattr(const long *unused) {
    keep_mounts_apart();
    (void)unused;
    uint64_t attributes[4] = {0, 1, 0, 0};
    return syscall(442, AT_FDCWD, "/proc/sys", 0, attributes, sizeof attributes);
}
static long act_chroot(const long *unused) {
    (void)unused;
    return chroot("/");
}
static long act_hostname(const long *unused) {
    (void)unused;
    char name[65];
    return gethostname(name, sizeof name) < 0 ? -1 : sethostname(name, strlen(name));
}
/* The time as it is now: where this is allowed it moves the clock by a few microseconds. */
static long act_settime(const long *unused) {
    (void)unused;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return clock_settime(CLOCK_REALTIME, &now);
}
static long act_settimeofday(const long *unused) {
    (void)unused;
    struct timeval now;
    gettimeofday(&now, NULL);
    return settimeofday(&now, NULL);
}
static long act_adjtimex(const long *modes) {
    struct timex how;
    memset(&how, 0, sizeof how);
    if (adjtimex(&how) < 0)
        return -1;
    how.modes = (unsigned)modes[0];
    return adjtimex(&how) < 0 ? -1 : 0;
}
static long act_ptrace(const long *unused) {
    (void)unused;
    return ptrace(PTRACE_SEIZE, getppid(), NULL, NULL); /* the prober, which is not stopped by this */
}
static long act_traceme(const long *unused) {
    (void)unused;
    return ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}
static long act_keyctl(const long *unused) {
    (void)unused;
    return syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0, 0, 0);
}
static long act_add_key(const long *unused) {
    (void)unused;
    return syscall(SYS_add_key, "user", "prober", "x", 1, KEY_SPEC_PROCESS_KEYRING);
}
static long act_bpf(const long *unused) {
    (void)unused;
    uint64_t map[16] = {1 | (uint64_t)4 << 32, 4 | (uint64_t)1 << 32};
    return syscall(SYS_bpf, 0, map, 48); /* BPF_MAP_CREATE */
}
static long act_perf(const long *unused) {
    (void)unused;
    uint32_t event[28] = {1, 112}; /* PERF_TYPE_SOFTWARE, PERF_ATTR_SIZE_VER5 */
    return syscall(SYS_perf_event_open, event, 0, -1, -1, 0);
}
static long act_userfaultfd(const long *flags) {
    return syscall(SYS_userfaultfd, flags[0]);
}
static long act_io_uring(const long *unused) {
    (void)unused;
    char parameters[120] = "";
    return syscall(425, 2, parameters);
}
/* The old escape by file handles: the root of the file system that /etc/hosts or / lies on, by its inode number. */
static long act_handle(const long *unused) {
    (void)unused;
    struct {
        struct file_handle head;
        unsigned char bytes[128];
    } handle;
    int mount_id, at = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    handle.head.handle_bytes = sizeof handle.bytes;
    if (name_to_handle_at(AT_FDCWD, "/", &handle.head, &mount_id, 0) < 0) {
        handle.head.handle_bytes = 8;
        handle.head.handle_type = 1;
        memcpy(handle.bytes, "\2\0\0\0\0\0\0\0", 8);
    }
    return open_by_handle_at(at, &handle.head, O_RDONLY);
}
static long act_personality(const long *persona) {
    return personality((unsigned long)persona[0]);
}
static long act_syslog(const long *unused) {
    (void)unused;
    return syscall(SYS_syslog, 10, NULL, 0); /* SYSLOG_ACTION_SIZE_BUFFER */
}
static long act_write_file(const long *of) {
    int fd = open((const char *)of[0], O_WRONLY | O_CLOEXEC);
    return fd < 0 ? -1 : write(fd, (const char *)of[1], strlen((const char *)of[1]));
}
static long act_raise_limit(const long *unused) {
    (void)unused;
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_max++;
    return setrlimit(RLIMIT_NOFILE, &limit);
}
static long act_nice(const long *unused) {
    (void)unused;
    return setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) - 1);
}
static long act_swapoff(const long *unused) {
    (void)unused;
    return syscall(SYS_swapoff, "/prober-is-no-swap");
}
static long act_kexec(const long *unused) {
    (void)unused;
    return syscall(SYS_kexec_load, 0, 17, NULL, 0); /* more than 16 segments: EINVAL where it is allowed */
}
static long act_module(const long *unused) {
    (void)unused;
    return syscall(SYS_delete_module, "prober_is_no_module", O_NONBLOCK);
}
static long act_setuid(const long *unused) {
    (void)unused;
    return setuid(0);
}

static void acts(void) {
    static const struct {
        const char *name;
        long flags;
    } kinds[] = {{"user", CLONE_NEWUSER}, {"mount", CLONE_NEWNS}, {"pid", CLONE_NEWPID},      {"net", CLONE_NEWNET},
                 {"ipc", CLONE_NEWIPC},   {"uts", CLONE_NEWUTS},  {"cgroup", CLONE_NEWCGROUP}};
    begin("acts", '{');
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        char name[32];
        snprintf(name, sizeof name, "clone %s", kinds[i].name);
        put_attempt(name, act_clone, kinds[i].flags, 0, 0, 0);
        snprintf(name, sizeof name, "unshare %s", kinds[i].name);
        put_attempt(name, act_unshare, kinds[i].flags, 0, 0, 0);
    }
    put_attempt("clone", act_clone, 0, 0, 0, 0);
    put_attempt("clone3", act_clone3, 0, 0, 0, 0);
    put_attempt("clone3 user", act_clone3, CLONE_NEWUSER, 0, 0, 0);
    put_attempt("setns", act_setns, (long)"/proc/self/ns/uts", 0, 0, 0);
    put_attempt("mount tmpfs", act_mount, (long)"tmpfs", (long)"/", (long)"tmpfs", 0);
    put_attempt("mount proc", act_mount, (long)"proc", (long)"/proc", (long)"proc", 0);
    put_attempt("mount bind", act_mount, (long)"/", (long)"/", 0, MS_BIND);
    put_attempt("remount writable", act_mount, 0, (long)"/proc/sys", 0, MS_REMOUNT | MS_BIND);
    put_attempt("umount mask", act_umount, (long)"/proc/keys", 0, 0, 0);
    put_attempt("pivot_root", act_pivot, 0, 0, 0, 0);
    put_attempt("fsopen", act_fsopen, (long)"proc", 0, 0, 0);
    put_attempt("open_tree", act_open_tree, 0, 0, 0, 0);
    put_attempt("move_mount", act_move_mount, 0, 0, 0, 0);
    put_attempt("mount_setattr", act_mount_setattr, 0, 0, 0, 0);
    put_attempt("chroot", act_chroot, 0, 0, 0, 0);
    put_attempt("sethostname", act_hostname, 0, 0, 0, 0);
    put_attempt("clock_settime", act_settime, 0, 0, 0, 0);
    put_attempt("settimeofday", act_settimeofday, 0, 0, 0, 0);
    put_attempt("adjtimex read", act_adjtimex, 0, 0, 0, 0);
    put_attempt("adjtimex write", act_adjtimex, ADJ_OFFSET, 0, 0, 0);
    put_attempt("ptrace", act_ptrace, 0, 0, 0, 0);
    put_attempt("ptrace traceme", act_traceme, 0, 0, 0, 0);
    put_attempt("keyctl", act_keyctl, 0, 0, 0, 0);
    put_attempt("add_key", act_add_key, 0, 0, 0, 0);
    put_attempt("bpf", act_bpf, 0, 0, 0, 0);
    put_attempt("perf_event_open", act_perf, 0, 0, 0, 0);
    put_attempt("userfaultfd", act_userfaultfd, O_CLOEXEC, 0, 0, 0);
    put_attempt("io_uring_setup", act_io_uring, 0, 0, 0, 0);
    put_attempt("open_by_handle_at", act_handle, 0, 0, 0, 0);
    put_attempt("personality linux", act_personality, PER_LINUX, 0, 0, 0);
    put_attempt("personality no_randomize", act_personality, ADDR_NO_RANDOMIZE, 0, 0, 0);
    put_attempt("personality read_implies_exec", act_personality, READ_IMPLIES_EXEC, 0, 0, 0);
    put_attempt("syslog", act_syslog, 0, 0, 0, 0);
    put_attempt("lower oom_score_adj", act_write_file, (long)"/proc/self/oom_score_adj", (long)"-1000", 0, 0);
    put_attempt("raise hard limit", act_raise_limit, 0, 0, 0, 0);
    put_attempt("raise priority", act_nice, 0, 0, 0, 0);
    put_attempt("swapoff", act_swapoff, 0, 0, 0, 0);
    put_attempt("kexec_load", act_kexec, 0, 0, 0, 0);
    put_attempt("delete_module", act_module, 0, 0, 0, 0);
    put_attempt("setuid 0", act_setuid, 0, 0, 0, 0);
    end('}');
}

/* ---- files of the kernel: what stands there, and whether it opens for writing (nothing is written) */
static void look(const char *path) {
    char buffer[16];
    struct stat status;
    begin(path, '{');
    if (stat(path, &status) < 0) {
        put_number("missing", errno);
        end('}');
        return;
    }
    if (S_ISDIR(status.st_mode)) {
        int count = 0;
        DIR *list = opendir(path);
        while (list && readdir(list))
            count++;
        if (list)
            closedir(list);
        put_number("entries", list ? count - 2 : -1);
        int made = mkdirat(AT_FDCWD, path, 0700); /* EEXIST, or EROFS */
        (void)made;
        char inside[PATH_MAX];
        snprintf(inside, sizeof inside, "%s/prober", path);
        int fd = open(inside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        put_number("create", fd < 0 ? errno : 0);
        if (fd >= 0) {
            close(fd);
            unlink(inside);
        }
    } else {
        int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        ssize_t size = fd < 0 ? -errno : read(fd, buffer, sizeof buffer);
        put_number("read", fd >= 0 && size < 0 ? -errno : size > 0 ? 1 : size);
        if (fd >= 0)
            close(fd);
        fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        put_number("write", fd < 0 ? errno : 0);
        if (fd >= 0)
            close(fd);
        if (S_ISCHR(status.st_mode))
            put_number("null", status.st_rdev == makedev(1, 3));
    }
    end('}');
}

static long seen, openable;

static void walk_writable(const char *directory, int depth) {
    DIR *list = depth > 12 ? NULL : opendir(directory);
    for (struct dirent *entry; list && (entry = readdir(list));) {
        char path[PATH_MAX];
        if (entry->d_name[0] == '.' && (entry->d_name[1] == 0 || strcmp(entry->d_name, "..") == 0))
            continue;
        if (snprintf(path, sizeof path, "%s/%s", directory, entry->d_name) >= (int)sizeof path)
            continue;
        if (entry->d_type == DT_DIR) {
            walk_writable(path, depth + 1);
        } else if (entry->d_type == DT_REG) {
            seen++;
            int fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
            if (fd < 0)
                continue;
            close(fd);
            if (openable++ < 20)
                put_text(NULL, path);
        }
    }
    if (list)
        closedir(list);
}

static void put_writable(const char *directory) {
    seen = openable = 0;
    begin(directory, '[');
    walk_writable(directory, 0);
    put_number(NULL, openable);
    put_number(NULL, seen);
    end(']');
}

static void paths(void) {
    static const char *const watched[] = {
        "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug",
        "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
        "/proc/sysrq-trigger", "/proc/kmsg", "/proc/mtrr", "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname",
        "/proc/sys/kernel/modprobe", "/proc/sys/kernel/shm_rmid_forced", "/proc/sys/net/ipv4/ip_forward",
        "/proc/sys/vm/overcommit_memory", "/proc/sys/vm/drop_caches", "/proc/sys/fs/binfmt_misc",
        "/proc/sys/fs/binfmt_misc/register", "/sys", "/sys/firmware", "/sys/fs/selinux", "/sys/fs/cgroup", "/sys/fs/bpf",
        "/sys/devices/virtual/powercap", "/sys/devices/system/cpu/cpu0/thermal_throttle", "/sys/kernel/uevent_helper",
        "/sys/kernel/debug", "/sys/kernel/tracing", "/sys/kernel/security", "/sys/module", "/sys/power/state"};
    begin("paths", '{');
    for (size_t i = 0; i < sizeof watched / sizeof *watched; i++)
        look(watched[i]);
    end('}');
    begin("writable", '{');
    put_writable("/proc/sys");
    put_writable("/proc/irq");
    put_writable("/proc/bus");
    put_writable("/proc/fs");
    put_writable("/sys");
    end('}');
}

/* ---- keystrokes into whatever terminal stands on fd 0 */
static long act_tiocsti(const long *unused) {
    (void)unused;
    return ioctl(0, TIOCSTI, "#");
}
static long act_tioclinux(const long *unused) {
    (void)unused;
    return ioctl(0, TIOCLINUX, "\3");
}
static long act_take_terminal(const long *force) {
    return ioctl(0, TIOCSCTTY, force[0]) < 0 ? -1 : ioctl(0, TIOCSTI, "#");
}

static void terminal(void) {
    begin("terminal", '{');
    put_answer("is_one", isatty(0) ? 0 : errno);
    put_answer("tiocsti", ioctl(0, TIOCSTI, "#") < 0 ? errno : 0); /* in this session, which may have the terminal */
    put_attempt("tiocsti elsewhere", act_tiocsti, 0, 0, 0, 0);
    put_attempt("tioclinux", act_tioclinux, 0, 0, 0, 0);
    put_attempt("take", act_take_terminal, 0, 0, 0, 0);
    put_attempt("take by force", act_take_terminal, 1, 0, 0, 0);
    struct winsize size = {0, 0, 0, 0};
    ioctl(0, TIOCGWINSZ, &size);
    put_number("rows", size.ws_row);
    put_number("columns", size.ws_col);
    end('}');
}

static const struct {
    const char *name;
    void (*print)(void);
    int always;
} sections[] = {{"process", process, 1}, {"fds", fds, 1},         {"limits", limits, 1}, {"namespaces", namespaces, 1}, {"devices", devices, 1},
                {"sockets", sockets, 1}, {"calls", calls, 1},     {"acts", acts, 1},     {"paths", paths, 1},           {"terminal", terminal, 0}};

int main(int argc, char **argv) {
    putchar('{');
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
        int wanted = argc < 2 && sections[i].always;
        for (int word = 1; word < argc; word++)
            wanted |= strcmp(argv[word], sections[i].name) == 0;
        if (wanted)
            sections[i].print();
    }
    puts("\n}");
    return 0;
}

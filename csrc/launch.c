#define _GNU_SOURCE
#include "launch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

#include "cleanup.h"
#include "clone.h"
#include "keeper_table.h"
#include "payload.h"
#include "walk.h"

#define STACK_SIZE (256u << 10)
#define STACKS_SIZE (2 * STACK_SIZE) /* one for the way into a user namespace, one for the container's first process */
#define SIGNAL_SET_SIZE 8 /* the kernel's sigset_t, _NSIG / 8 */
#define LAST_SIGNAL 64
#define FIRST_FREE_FD (PYRT_KEEPER_FD + 1)
#define SYS_CLOSE_RANGE 436 /* Linux 5.9, the same number on every architecture */

int pyrt_sealed_memfd(const char *name, const void *bytes, uint64_t size) {
    pyrt_fd fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -1;
    for (uint64_t done = 0; done < size;) {
        ssize_t more = write(fd, (const char *)bytes + done, size - done);
        if (more < 0)
            return -1;
        done += (uint64_t)more;
    }
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        return -1;
    return pyrt_take(&fd);
}

/* Dispositions and mask as a new process expects them: CPython ignores SIGPIPE and SIGXFSZ, and ignored signals survive an
 * exec. The raw call, because libc refuses its own two signals. */
static void reset_signals(void) {
    struct {
        void (*handler)(int);
        unsigned long flags;
        void (*restorer)(void);
        uint64_t mask;
    } standard;
    memset(&standard, 0, sizeof standard);
    for (int number = 1; number <= LAST_SIGNAL; number++)
        syscall(SYS_rt_sigaction, number, &standard, NULL, SIGNAL_SET_SIZE);
    uint64_t none = 0;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, SIGNAL_SET_SIZE);
}

/* close_range(2) by hand, before Linux 5.9: what /proc/self/fd lists. It has to be opened before the root is left. */
static void close_listed(int list, int first) {
    char entries[2048];
    long size;
    while ((size = syscall(SYS_getdents64, list, entries, sizeof entries)) > 0)
        for (long position = 0; position < size;) {
            struct dirent64 *entry = (struct dirent64 *)(void *)(entries + position);
            int fd = 0;
            const char *digit = entry->d_name;
            while (*digit >= '0' && *digit <= '9')
                fd = fd * 10 + (*digit++ - '0');
            if (digit != entry->d_name && fd >= first && fd != list)
                fcntl(fd, F_SETFD, FD_CLOEXEC);
            position += entry->d_reclen;
        }
}

/* Who is not root loses all capabilities by the exec of stage2, which needs them to give up the rest: in a user namespace where
 * the caller is another user than root they are made ambient (capabilities(7)). stage2 clears that. */
static int keep_capabilities(void) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    if (geteuid() == 0)
        return 0;
    if (syscall(SYS_capget, &header, data) < 0)
        return -1;
    for (int half = 0; half < 2; half++)
        data[half].inheritable = data[half].permitted;
    if (syscall(SYS_capset, &header, data) < 0)
        return -1;
    for (int capability = 0; capability < 64; capability++)
        if (data[capability / 32].permitted >> capability % 32 & 1 &&
            prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) < 0)
            return -1;
    return 0;
}

struct child {
    struct pyrt_walk walk;
    int status; /* the write end */
    int joins;  /* whether it has been started outside of its cgroup */
};

/* A directory on 0, 1 or 2 would be a way out of every root: openat(0, "../.."). */
static int refuse_directory(int fd) {
    struct stat status;
    if (fstat(fd, &status) < 0)
        return -1;
    if (!S_ISDIR(status.st_mode))
        return 0;
    errno = EISDIR;
    return -1;
}

/* How many fds stage2 gets: procfs is the last, and only there where a label has to be written. A keeper has more. */
static int count_fds(const struct child *child) {
    if (child->walk.launch->keeper >= 0)
        return FIRST_FREE_FD;
    return child->walk.proc < 0 ? PYRT_PROC_FD : PYRT_PROC_FD + 1;
}

/* Puts the fds in their places: 0, 1, 2, then payload, status, stage2, procfs; or the keeper's instead of the last. All are
 * first moved out of the way. */
static int arrange_fds(struct child *child, int count) {
    const struct pyrt_launch *launch = child->walk.launch;
    int keeps = launch->keeper >= 0, program = keeps ? PYRT_KEEPER_FD : PYRT_STAGE2_FD;
    int wanted[FIRST_FREE_FD] = {launch->stdio[0], launch->stdio[1], launch->stdio[2], launch->payload,
                                 child->status,    launch->stage2,   keeps ? child->walk.root : child->walk.proc,
                                 launch->control,  launch->table,    launch->keeper};
    if (child->walk.terminal >= 0)
        wanted[0] = wanted[1] = wanted[2] = child->walk.terminal;
    for (int i = 0; i <= STDERR_FILENO; i++)
        if (refuse_directory(wanted[i]) < 0)
            return -1;
    for (int i = 0; i < count; i++)
        if ((wanted[i] = fcntl(wanted[i], F_DUPFD_CLOEXEC, FIRST_FREE_FD)) < 0)
            return -1;
    for (int i = 0; i < count; i++)
        if (dup3(wanted[i], i, i == program ? O_CLOEXEC : 0) < 0)
            return -1;
    return 0;
}

static int run_child(void *argument) {
    struct child *child = argument;
    const struct pyrt_launch *launch = child->walk.launch;
    int list = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (child->joins && pyrt_join_cgroup(launch->cgroup, "cgroup.procs") < 0) {
        pyrt_walk_fail(&child->walk, PYRT_AT_CGROUP, "cgroup.procs");
        return 1;
    }
    if (pyrt_walk_operations(&child->walk) < 0)
        return 1;
    child->walk.index = -1;
    if (launch->userns >= 0 && keep_capabilities() < 0) {
        pyrt_walk_fail(&child->walk, PYRT_AT_USERNS, "capabilities");
        return 1;
    }
    int count = count_fds(child);
    if (arrange_fds(child, count) < 0) {
        pyrt_walk_fail(&child->walk, PYRT_AT_FDS, "");
        return 1;
    }
    if (syscall(SYS_CLOSE_RANGE, count, ~0u, 0) < 0)
        close_listed(list, count);
    reset_signals();
    syscall(SYS_execveat, launch->keeper >= 0 ? PYRT_KEEPER_FD : PYRT_STAGE2_FD, "", launch->argv, launch->envp, AT_EMPTY_PATH);
    pyrt_walk_fail(&child->walk, PYRT_AT_STAGE2, "");
    return 1;
}

static int receive_fd(int socket) {
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    char byte;
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    if (recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != 1 || message.msg_controllen < CMSG_LEN(sizeof(int)))
        return -1;
    int fd;
    memcpy(&fd, CMSG_DATA(&control.header), sizeof fd);
    return fd;
}

static void reap(int pid) {
    while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR) {
    }
}

/* One record from stage2, or the end of file that an exec leaves. Returns 0 when the program has been executed. */
static int read_status(int status, struct pyrt_error *error) {
    struct pyrt_error record;
    ssize_t size;
    do
        size = read(status, &record, sizeof record);
    while (size < 0 && errno == EINTR);
    if (size == 0)
        return 0;
    if (size == (ssize_t)sizeof record)
        *error = record;
    else
        pyrt_fail(error, PYRT_AT_STAGE2, size < 0 ? errno : EPROTO, -1, "", 0);
    return -1;
}

/* The child has left its frames by exec, and AddressSanitizer still holds their red zones for poisoned: whoever is mapped at
 * this address next, the interpreter's own stack of frames for one, would be accused. */
static void forget_frames(void *stack) {
#ifdef __SANITIZE_ADDRESS__
    __asan_unpoison_memory_region(stack, STACKS_SIZE);
#else
    (void)stack;
#endif
}

/* The way into a user namespace: only a process without other threads may enter one, and only who is in it may make the other
 * namespaces there. So a first child enters, and makes the container's first process as a sibling, which is the caller's
 * child like any other. The first one shares the caller's fds, or the pidfd would end with it. */
struct entrance {
    struct child *child;
    char *stack;
    long pid;
    int pidfd, err;
};

static long clone_container(struct child *child, uint64_t flags, void *stack, int *pidfd) {
    const struct pyrt_launch *launch = child->walk.launch;
    flags |= launch->namespaces;
    long pid = pyrt_clone(flags, launch->cgroup, run_child, child, stack, STACK_SIZE, pidfd);
    /* No clone3 (ENOSYS), or one that does not know the flag or that its arguments have a field for it (before Linux 5.7). */
    if (pid < 0 && launch->cgroup >= 0 && (errno == ENOSYS || errno == EINVAL || errno == E2BIG)) {
        child->joins = 1;
        pid = pyrt_clone(flags, -1, run_child, child, stack, STACK_SIZE, pidfd);
    }
    return pid;
}

static int run_entrance(void *argument) {
    struct entrance *entrance = argument;
    struct child *child = entrance->child;
    if (setns(child->walk.launch->userns, CLONE_NEWUSER) < 0) {
        pyrt_walk_fail(&child->walk, PYRT_AT_USERNS, "");
        return 1;
    }
    entrance->pid = clone_container(child, CLONE_PARENT, entrance->stack, &entrance->pidfd);
    entrance->err = errno;
    return 0;
}

static long clone_entered(struct child *child, char *stack, int *pidfd) {
    if (child->walk.launch->userns < 0)
        return clone_container(child, 0, stack, pidfd);
    struct entrance entrance = {.child = child, .stack = stack + STACK_SIZE, .pid = -1, .pidfd = -1};
    int own = -1;
    long first = pyrt_clone(CLONE_FILES, -1, run_entrance, &entrance, stack, STACK_SIZE, &own);
    if (first < 0)
        return first;
    pyrt_close(&own);
    reap((int)first);
    *pidfd = entrance.pidfd;
    errno = entrance.err;
    return entrance.pid;
}

static int start(const struct pyrt_launch *launch, struct pyrt_started *started, struct pyrt_error *error, void *stack) {
    int pipe_ends[2], console_ends[2];
    if (pipe2(pipe_ends, O_CLOEXEC) < 0)
        return pyrt_fail(error, PYRT_AT_PREPARE, errno, -1, "pipe", 4);
    pyrt_fd status = pipe_ends[0], status_write = pipe_ends[1];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, console_ends) < 0)
        return pyrt_fail(error, PYRT_AT_PREPARE, errno, -1, "socketpair", 10);
    pyrt_fd console = console_ends[0], console_write = console_ends[1];
    struct child child = {
        .walk = {.launch = launch, .error = error, .root = -1, .null = -1, .console = console_write, .terminal = -1,
                 .proc = -1, .sysctls = -1, .own = {-1, -1, -1}, .index = -1},
        .status = status_write,
    };
    int pidfd = -1;
    long pid = clone_entered(&child, stack, &pidfd);
    if (pid < 0 && error->step != 0)
        return -1;
    if (pid < 0)
        return pyrt_fail(error, PYRT_AT_CLONE, errno, -1, "", 0);
    pyrt_close(&status_write);
    if (error->step != 0 || read_status(status, error) < 0) {
        pyrt_close(&pidfd);
        reap((int)pid);
        return -1;
    }
    started->master = child.walk.terminal >= 0 ? receive_fd(console) : -1;
    if (child.walk.terminal >= 0 && started->master < 0) {
        pyrt_fail(error, PYRT_AT_CONSOLE, EMFILE, -1, "SCM_RIGHTS", 10); /* recvmsg cuts it off, and says no more */
        syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
        pyrt_close(&pidfd);
        reap((int)pid);
        return -1;
    }
    started->pid = (int)pid;
    started->pidfd = pidfd;
    return 0;
}

int pyrt_launch(const struct pyrt_launch *launch, struct pyrt_started *started, struct pyrt_error *error) {
    memset(error, 0, sizeof *error);
    void *stack = mmap(NULL, STACKS_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED)
        return pyrt_fail(error, PYRT_AT_PREPARE, errno, -1, "stack", 5);
    /* No handler of the caller may run in the child, which shares its memory. The raw call blocks libc's signals too. */
    uint64_t all = ~(uint64_t)0, before = 0;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, SIGNAL_SET_SIZE);
    int result = start(launch, started, error, stack);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, SIGNAL_SET_SIZE);
    forget_frames(stack);
    munmap(stack, STACKS_SIZE);
    return result;
}

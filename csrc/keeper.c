/* pyrt-keeper: stands between pyrt and the program of a container that has no namespaces (the chroot rung, ARCHITECTURE.md).
 *
 * Theory of operation. The launcher has put the root together; it executes this program with stage2's own fds and four more
 * (keeper_table.h). The keeper forks: the child changes its root, gives up what Landlock can take, and executes stage2, which
 * goes on as in every other rung, but for one more filter, whose listener it sends back to us. From then on we
 *
 *   - answer the system calls that the filter asks about (seccomp_unotify(2)): paths into /proc, /sys, volumes, which the
 *     root does not have. All else goes on natively (SECCOMP_USER_NOTIF_FLAG_CONTINUE).
 *   - adopt whoever loses his parent, and reap him. When the program ends we kill what is left, and leave with its exit code.
 *   - pass signals on to the program.
 *   - kill everything when a byte or the end of file comes from pyrt, or pyrt has died. SIGKILL for us would leave orphans, so
 *     pyrt never sends it, and no parent-death signal is set.
 *
 *   Should:  serve paths as a convenience. It is no boundary: a call that goes on natively is read again by the kernel, and a
 *            program that wants to can have put another path there (seccomp(2)).
 *   Mustn't: do for a process what it may not do itself: paths are opened with its ids and capabilities. Believe anything
 *            that it reads of the container's memory; wait for anybody.
 */
#include <asm/ioctl.h>
#include <linux/filter.h>
#include <linux/poll.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/mman.h>
#include <linux/openat2.h>
#include <linux/signal.h>
#include <linux/signalfd.h>
#include <linux/socket.h>
#include <linux/uio.h>
#include <asm/stat.h>

#include "freestanding.h"
#include "keeper.h"
#include "launch.h"
#include "not_started.h"
#include "payload.h"

#define EXIT_KILLED 137
#define ALL_SIGNALS (~(uint64_t)0)
#define UNIX 1
#define STREAM 1
#define RIGHTS 1 /* SCM_RIGHTS, SOL_SOCKET: socket(7) */
#define SET_FLAGS _IOW('!', 4, __u64) /* SECCOMP_IOCTL_NOTIF_SET_FLAGS, Linux 6.6 */
#define SYNC_WAKE_UP 1
#define SLICE 100000 /* nanoseconds, the shortest */

struct keeper keeper;

static char texts[1 << 18];
static size_t used;

static const struct pyrt_keeper_table *read_table(void) {
    long size = call3(__NR_lseek, PYRT_KEEPER_TABLE_FD, 0, 2);
    if (size < (long)sizeof(struct pyrt_keeper_table))
        leave(EXIT_NOT_STARTED); /* executed by somebody else than the launcher */
    long where = call6(__NR_mmap, 0, size, PROT_READ, MAP_PRIVATE, PYRT_KEEPER_TABLE_FD, 0);
    const struct pyrt_keeper_table *table = (const struct pyrt_keeper_table *)where;
    if ((where < 0 && where > -4096) || table->magic != PYRT_KEEPER_MAGIC || table->version != PYRT_KEEPER_VERSION ||
        table->size != (uint64_t)size || table->nplaces > PYRT_KEEPER_MAX_PLACES)
        leave(EXIT_NOT_STARTED);
    return table;
}

static const char *keep(const char *text) {
    size_t size = text_size(text) + 1;
    if (used + size > sizeof texts)
        fail(PYRT_AT_PREPARE, -E2BIG, text);
    text_add(texts + used, text);
    used += size;
    return texts + used - size;
}

static void add_place(int fd, unsigned flags, const char *target) {
    static char path[PATH_SIZE];
    struct stat status;
    struct place *place = &keeper.places[keeper.nplaces++];
    long result = call2(__NR_fstat, fd, (long)&status);
    if (result == 0 && fd_path(fd, path, sizeof path) < 0)
        result = -ENAMETOOLONG;
    if (result < 0)
        fail(PYRT_AT_SOURCE, result, target);
    place->fd = fd;
    place->mode = status.st_mode;
    place->flags = flags;
    place->target = keep(target);
    place->target_size = text_size(target);
    place->source = keep(path);
    place->source_size = text_size(path);
    place->name = place->target;
    if (keeper.nplaces > 1 && IS(place->mode, DIRECTORY) && !text_below(target, "/proc", 5) && !text_below(target, "/sys", 4) &&
        !text_below(target, "/dev", 4))
        keeper.volumes = 1;
    for (const char *at = place->target; *at; at++)
        if (*at == '/')
            place->name = at + 1;
}

/* The target without links, in the root; below a place that is served as it stands. Whether it is there. */
static int find_target(const char *target, char *path) {
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    static char host[PATH_SIZE];
    if (text_size(target) >= PATH_SIZE)
        fail(PYRT_AT_RESOLVE, -ENAMETOOLONG, target);
    text_add(path, target);
    if (place_of(target) != 0)
        return 1;
    long fd = call4(__NR_openat2, keeper.places[0].fd, (long)target, (long)&how, sizeof how);
    if (fd == -ENOSYS || fd == -EPERM) /* before Linux 5.6: as it stands */
        return 1;
    long size = fd < 0 ? fd : fd_path((int)fd, host, sizeof host);
    if (fd >= 0)
        call1(__NR_close, fd);
    return size > 0 && path_inside(host, path, PATH_SIZE) > 1;
}

static void read_places(const struct pyrt_keeper_table *table) {
    static char path[PATH_SIZE];
    const char *base = (const char *)table;
    const struct pyrt_keeper_place *places = (const struct pyrt_keeper_place *)(const void *)(base + table->places);
    add_place(PYRT_KEEPER_ROOT_FD, 0, "");
    for (uint32_t i = 0; i < table->nplaces; i++) {
        const char *target = base + places[i].target, *source = base + places[i].source;
        unsigned flags = places[i].flags;
        struct stat status;
        long fd = call4(__NR_openat, AT_FDCWD, (long)source, O_PATH | O_CLOEXEC, 0);
        if (fd < 0 && flags & PYRT_PLACE_OPTIONAL)
            continue;
        if (fd < 0)
            fail(PYRT_AT_SOURCE, fd, source);
        if (places[i].empty && call2(__NR_fstat, fd, (long)&status) == 0 && IS(status.st_mode, DIRECTORY)) {
            call1(__NR_close, fd);
            fd = call4(__NR_openat, AT_FDCWD, (long)(base + places[i].empty), O_PATH | O_CLOEXEC, 0);
        } else if (places[i].empty) {
            call1(__NR_close, fd);
            fd = call4(__NR_openat, AT_FDCWD, (long)"/dev/null", O_PATH | O_CLOEXEC, 0);
        }
        if (fd < 0)
            fail(PYRT_AT_MASK, fd, target);
        if (find_target(target, path) || flags & PYRT_PLACE_ABSENT)
            add_place((int)fd, flags, path);
        else if (flags & PYRT_PLACE_OPTIONAL)
            call1(__NR_close, fd);
        else
            fail(PYRT_AT_RESOLVE, -ENOENT, target);
    }
}

/* Whoever asks us waits for us: a short slice has us run soon (EEVDF, Linux 6.12; sched_setattr(2)), and takes nothing from
 * anybody. Without it, on a machine with more to do than processors, each answer may take somebody else's whole slice. */
static void answer_soon(void) {
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t slice, deadline, period;
    } attributes;
    if (call4(__NR_sched_getattr, 0, (long)&attributes, sizeof attributes, 0) < 0 || attributes.policy != 0)
        return;
    attributes.slice = SLICE;
    call3(__NR_sched_setattr, 0, (long)&attributes, 0);
}

static void know_ourselves(void) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {{0}, {0}};
    call2(__NR_capget, (long)&header, (long)data);
    keeper.capabilities = data[0].permitted | (uint64_t)data[1].permitted << 32;
    keeper.ngroups = (int)call2(__NR_getgroups, 256, (long)keeper.groups);
    if (keeper.ngroups < 0)
        keeper.ngroups = 0;
    keeper.self = (int)call1(__NR_getpid, 0);
    keeper.listener = -1;
    keeper.reads_memory = asker_reads_memory();
    keeper.proc = (int)call4(__NR_openat, AT_FDCWD, (long)"/proc", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    if (keeper.proc < 0)
        fail(PYRT_AT_PREPARE, keeper.proc, "/proc");
}

/* The program's side: the root, Landlock, stage2. */
__attribute__((noreturn)) static void become_program(const struct pyrt_keeper_table *table, int socket, char **argv,
                                                     char **envp) {
    static const uint64_t none = 0;
    long result = call1(__NR_fchdir, PYRT_KEEPER_ROOT_FD);
    if (result == 0)
        result = call1(__NR_chroot, (long)".");
    if (result < 0)
        fail(PYRT_AT_PIVOT, result, "chroot");
    if (table->flags & PYRT_KEEP_LANDLOCK) {
        result = call5(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        if (result == 0)
            result = restrict_files();
        if (result < 0)
            fail(PYRT_AT_LANDLOCK, result, "");
    }
    call3(__NR_dup3, socket, PYRT_LISTENER_FD, 0);
    for (int fd = PYRT_LISTENER_FD + 1; fd <= PYRT_KEEPER_FD; fd++)
        call1(__NR_close, fd);
    call3(__NR_fcntl, PYRT_STAGE2_FD, F_SETFD, FD_CLOEXEC);
    call5(__NR_rt_sigprocmask, SIG_SETMASK, (long)&none, 0, sizeof none, 0);
    result = call5(__NR_execveat, PYRT_STAGE2_FD, (long)"", (long)argv, (long)envp, AT_EMPTY_PATH);
    fail(PYRT_AT_STAGE2, result, "");
}

/* The listener of the filter, which stage2 sends; -1 when it ended before. */
static int receive_listener(int socket) {
    struct {
        size_t size;
        int level, type, fd, padding;
    } control;
    char byte;
    struct iovec data = {&byte, 1};
    struct {
        void *name;
        int name_size;
        struct iovec *pieces;
        size_t npieces;
        void *control;
        size_t control_size;
        unsigned flags;
    } message = {0, 0, &data, 1, &control, sizeof control, 0};
    memset(&control, 0, sizeof control);
    long result = call3(__NR_recvmsg, socket, (long)&message, 0x40000000 /* MSG_CMSG_CLOEXEC */);
    if (result != 1 || control.type != RIGHTS || control.size < 16 + sizeof(int))
        return -1;
    uint64_t flags = SYNC_WAKE_UP; /* on the asker's own processor: he waits for us anyway */
    call3(__NR_ioctl, control.fd, (long)SET_FLAGS, (long)flags);
    return control.fd;
}

static void answer(void) {
    static struct asker asker;
    struct seccomp_notif request;
    struct seccomp_notif_resp response;
    memset(&request, 0, sizeof request);
    if (call3(__NR_ioctl, keeper.listener, (long)SECCOMP_IOCTL_NOTIF_RECV, (long)&request) < 0)
        return; /* ENOENT: the asker has been killed */
    asker.id = request.id;
    asker.tid = (int)request.pid;
    asker.known = 0;
    long value = 0;
    long result = asker.tid ? serve(&asker, &request.data, &value) : UNKNOWN;
    if (result == ANSWERED)
        return;
    memset(&response, 0, sizeof response);
    response.id = request.id;
    if (result == UNKNOWN)
        response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    else if (result < 0)
        response.error = (int)result;
    else
        response.val = value;
    call3(__NR_ioctl, keeper.listener, (long)SECCOMP_IOCTL_NOTIF_SEND, (long)&response);
}

static void handle_signal(int signals) {
    struct signalfd_siginfo info;
    if (call3(__NR_read, signals, (long)&info, sizeof info) != (long)sizeof info)
        return;
    if (info.ssi_signo != SIGCHLD) {
        call2(__NR_kill, keeper.program, (long)info.ssi_signo);
        return;
    }
    int code = reap_ended();
    if (code < 0)
        return;
    kill_tree();
    leave(code);
}

__attribute__((noreturn)) static void attend(int socket, int parent, int signals) {
    enum { CALLS, CONTROL, PARENT, SIGNALS, LISTENER };
    struct pollfd fds[] = {{-1, POLLIN, 0}, {PYRT_KEEPER_CONTROL_FD, POLLIN, 0}, {parent, POLLIN, 0}, {signals, POLLIN, 0},
                           {socket, POLLIN, 0}};
    for (;;) {
        if (call5(__NR_ppoll, (long)fds, 5, 0, 0, 8) < 0)
            continue;
        if (fds[CALLS].revents & POLLIN)
            answer();
        else if (fds[CALLS].revents)
            fds[CALLS].fd = -1; /* nobody is left who could ask */
        if (fds[CONTROL].revents || fds[PARENT].revents) {
            kill_tree();
            leave(EXIT_KILLED);
        }
        if (fds[SIGNALS].revents)
            handle_signal(signals);
        if (fds[LISTENER].revents) {
            fds[CALLS].fd = keeper.listener = receive_listener(socket);
            call1(__NR_close, socket);
            fds[LISTENER].fd = -1;
        }
    }
}

static void program(long *stack) {
    static const uint64_t all = ALL_SIGNALS;
    char **argv = (char **)(stack + 1);
    char **envp = argv + *stack + 1;
    const struct pyrt_keeper_table *table = read_table();
    int parent = (int)call2(__NR_pidfd_open, call1(__NR_getppid, 0), 0);
    call5(__NR_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
    call5(__NR_prctl, PR_SET_NAME, (long)"pyrt-keeper", 0, 0, 0);
    call2(__NR_setpgid, 0, 0); /* a terminal's signals come from pyrt, and not twice */
    call1(__NR_umask, 0);
    know_ourselves();
    read_places(table);
    call5(__NR_rt_sigprocmask, SIG_SETMASK, (long)&all, 0, sizeof all, 0);
    long signals = call4(__NR_signalfd4, -1, (long)&all, sizeof all, O_CLOEXEC);
    int pair[2];
    long result = signals < 0 ? signals : call4(__NR_socketpair, UNIX, STREAM | O_CLOEXEC, 0, (long)pair);
    if (result == 0)
        result = call5(__NR_prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    if (result < 0)
        fail(PYRT_AT_PREPARE, result, "keeper");
    result = call5(__NR_clone, SIGCHLD, 0, 0, 0, 0);
    if (result < 0)
        fail(PYRT_AT_INIT, result, "");
    if (result == 0)
        become_program(table, pair[1], argv, envp);
    keeper.program = (int)result;
    answer_soon();
    call1(__NR_close, pair[1]);
    for (int fd = 0; fd <= PYRT_STAGE2_FD; fd++)
        call1(__NR_close, fd);
    attend(pair[0], parent, (int)signals);
}

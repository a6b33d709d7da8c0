/* stage2: the last step on the host's side of a container, and the only program that crosses into it.
 *
 * Theory of operation. The launcher has made the namespaces and the root; it executes this program from a sealed memfd
 * with the image's own argv and environment, and three fds: the payload (3), the status pipe (4) and this program (5,
 * close-on-exec); and a procfs (6) where a label has to be written. What the container can find of us in /proc is a sealed
 * memfd of three kilobytes: no interpreter, no heap, no host path (CVE-2019-5736). Order, and why:
 *
 *   label                          first, so that no filter is in the way; last where it is in force at once and may forbid
 *                                  the rest. The kernel takes the words from the process that opened the file alone
 *                                  (Linux 5.13), so nobody can do it for us
 *   limits, groups, bounding set   while we still may
 *   no_new_privs, seccomp          a filter needs either no_new_privs or CAP_SYS_ADMIN, so it comes before the ids unless
 *                                  no_new_privs is set, then last
 *   working directory              as root first, as the user where that fails (runc does both)
 *   ids, capabilities              then nothing is left to give up
 *   parent check, exec
 *
 *   Should:  report each failure as one struct pyrt_error on the status pipe; an end of file there means "executed".
 *   Mustn't: trust anything inherited; do anything when the payload is missing (an image whose entrypoint is
 *            /proc/self/exe executes this program again, confined).
 *
 * No libc: every byte here is mapped into a container, and a static libc would make it a hundred times larger.
 */
#include <asm/ioctls.h>
#include <asm/statfs.h>
#include <asm/unistd.h>
#include <linux/capability.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/filter.h>
#include <linux/magic.h>
#include <linux/mman.h>
#include <linux/poll.h>
#include <linux/prctl.h>
#include <linux/signal.h>
#include <linux/time_types.h>
#include <linux/wait.h>
#include <stddef.h>
#include <stdint.h>

#include "freestanding.h"
#include "keeper_table.h"
#include "launch.h"
#include "not_started.h"
#include "payload.h"

#define KEYCTL_JOIN_SESSION_KEYRING 1
#define SECCOMP_SET_MODE_FILTER 1
#define NEW_LISTENER 8u   /* SECCOMP_FILTER_FLAG_NEW_LISTENER, Linux 5.0 */
#define WAIT_KILLABLE 32u /* SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, Linux 5.19: a signal does not take an answer away */
#define ALL_SIGNALS (~(uint64_t)0)

static long prctl(long option, long value) {
    return call5(__NR_prctl, option, value, 0, 0, 0);
}

/* The payload, or the end: without it this program has been executed by somebody else than the launcher. */
static const struct pyrt_payload *read_payload(void) {
    long size = call3(__NR_lseek, PYRT_PAYLOAD_FD, 0, 2);
    if (size < (long)sizeof(struct pyrt_payload))
        leave(EXIT_NOT_STARTED);
    long where = call6(__NR_mmap, 0, size, PROT_READ, MAP_PRIVATE, PYRT_PAYLOAD_FD, 0);
    if (where < 0 && where > -4096)
        fail(PYRT_AT_PAYLOAD, where, 0);
    const struct pyrt_payload *payload = (const struct pyrt_payload *)where;
    if (payload->magic != PYRT_PAYLOAD_MAGIC || payload->version != PYRT_PAYLOAD_VERSION ||
        payload->size != (uint64_t)size)
        leave(EXIT_NOT_STARTED);
    call1(__NR_close, PYRT_PAYLOAD_FD);
    call3(__NR_fcntl, PYRT_STATUS_FD, F_SETFD, FD_CLOEXEC);
    return payload;
}

static const void *at(const struct pyrt_payload *payload, uint32_t offset) {
    return (const char *)payload + offset;
}

static const char *after(const char *string) {
    while (*string)
        string++;
    return string + 1;
}

/* The file that takes the words for the security module, -1 where there are none. Below a procfs of ours, never below the
 * container's /proc, and looked at once more: words that land in another file are no label (CVE-2019-16884). */
static int open_label(const struct pyrt_payload *payload) {
    if (!payload->label)
        return -1;
    long file = -ENOENT;
    const char *path = at(payload, payload->label_files);
    for (; file == -ENOENT && *path; path = after(path))
        file = call6(__NR_openat, PYRT_PROC_FD, (long)path, O_WRONLY | O_CLOEXEC, 0, 0, 0);
    call1(__NR_close, PYRT_PROC_FD);
    /* file is 3, the lowest that is free, since the payload is closed: it outlives the close_range to come. */
    struct statfs fs;
    long result = file < 0 ? file : call2(__NR_fstatfs, file, (long)&fs);
    if (result < 0)
        fail(PYRT_AT_LABEL, result, at(payload, payload->label));
    if (fs.f_type != PROC_SUPER_MAGIC)
        fail(PYRT_AT_LABEL, -ENXIO, at(payload, payload->label));
    return (int)file;
}

static void write_label(const struct pyrt_payload *payload, int *file) {
    if (*file < 0)
        return;
    const char *label = at(payload, payload->label);
    long result = call3(__NR_write, *file, (long)label, after(label) - label - 1);
    if (result < 0)
        fail(PYRT_AT_LABEL, result, label);
    call1(__NR_close, *file);
    *file = -1;
}

static void set_session(const struct pyrt_payload *payload) {
    call1(__NR_umask, payload->umask);
    /* EPERM: we lead one already (PID 1 of a new pid namespace leads none, an exec'd process might). */
    call1(__NR_setsid, 0);
    if (payload->flags & PYRT_CONTROLLING_TTY) {
        long result = call3(__NR_ioctl, 0, TIOCSCTTY, 0);
        if (result < 0)
            fail(PYRT_AT_CONSOLE, result, "TIOCSCTTY");
    }
    /* ENOSYS, EPERM and EDQUOT are a kernel without keys, an outer sandbox, or a full quota: the same as runc and crun. */
    if (!(payload->flags & PYRT_KEEP_KEYRING))
        call5(__NR_keyctl, KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0);
}

static void set_limits(const struct pyrt_payload *payload) {
    const struct pyrt_limit *limits = at(payload, payload->limits);
    for (uint32_t i = 0; i < payload->nlimits; i++) {
        uint64_t pair[2] = {limits[i].soft, limits[i].hard}, now[2];
        long resource = (long)limits[i].resource;
        if (limits[i].how == PYRT_LIMIT_AT_MOST && call5(__NR_prlimit64, 0, resource, 0, (long)now, 0) == 0)
            for (int j = 0; j < 2; j++)
                pair[j] = now[j] < pair[j] ? now[j] : pair[j];
        long result = call5(__NR_prlimit64, 0, resource, (long)pair, 0, 0);
        if (result < 0 && limits[i].how != PYRT_LIMIT_IF_POSSIBLE)
            fail(PYRT_AT_LIMITS, result, 0);
    }
}

static void set_groups(const struct pyrt_payload *payload) {
    long result = 0;
    if (!(payload->flags & PYRT_KEEP_GROUPS))
        result = call2(__NR_setgroups, (long)payload->ngroups, (long)at(payload, payload->groups));
    if (result < 0)
        fail(PYRT_AT_GROUPS, result, 0);
    result = call3(__NR_setresgid, (long)payload->gid, (long)payload->gid, (long)payload->gid);
    if (result < 0)
        fail(PYRT_AT_GROUPS, result, 0);
}

static void drop_bounding(const struct pyrt_payload *payload) {
    for (uint32_t capability = 0; capability <= payload->last_capability && capability < 64; capability++) {
        if (payload->bounding >> capability & 1)
            continue;
        long result = prctl(PR_CAPBSET_DROP, (long)capability);
        if (result < 0 && result != -EINVAL)
            fail(PYRT_AT_CAPABILITIES, result, 0);
    }
}

static void load_filter(const struct pyrt_payload *payload) {
    if (payload->nfilter == 0)
        return;
    struct sock_fprog program = {(unsigned short)payload->nfilter, (struct sock_filter *)at(payload, payload->filter)};
    long result = call3(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, (long)&program);
    if (result < 0)
        fail(PYRT_AT_SECCOMP, result, 0);
}

/* SCM_RIGHTS: nothing else that a keeper may do hands it the listener (pidfd_getfd is not in docker's profile). */
static long send_listener(int listener) {
    char byte = 0;
    struct {
        size_t size;
        int level, type, fd, padding;
    } control = {16 + sizeof(int), 1 /* SOL_SOCKET */, 1 /* SCM_RIGHTS */, listener, 0};
    struct {
        void *base;
        size_t size;
    } piece = {&byte, 1};
    struct {
        void *name;
        size_t name_size;
        void *pieces;
        size_t npieces;
        void *control;
        size_t control_size;
        size_t flags;
    } message = {0, 0, &piece, 1, &control, sizeof control, 0};
    return call3(__NR_sendmsg, PYRT_LISTENER_FD, (long)&message, 0);
}

/* Before the profile, which need not allow what this takes; the kernel carries out the strictest answer of all filters, whatever
 * their order. And before the working directory, which may be one that only the keeper knows. */
static void load_notify(const struct pyrt_payload *payload) {
    if (payload->nnotify == 0)
        return;
    struct sock_fprog program = {(unsigned short)payload->nnotify, (struct sock_filter *)at(payload, payload->notify)};
    long listener = call3(__NR_seccomp, SECCOMP_SET_MODE_FILTER, NEW_LISTENER | WAIT_KILLABLE, (long)&program);
    if (listener == -EINVAL)
        listener = call3(__NR_seccomp, SECCOMP_SET_MODE_FILTER, NEW_LISTENER, (long)&program);
    long result = listener < 0 ? listener : send_listener((int)listener);
    if (result < 0)
        fail(PYRT_AT_NOTIFY, result, 0);
    call1(__NR_close, listener);
    call1(__NR_close, PYRT_LISTENER_FD);
    prctl(PR_SET_DUMPABLE, 1); /* the keeper reads the paths in our memory */
}

static long enter(const char *workdir) {
    char where[4096];
    long result = call1(__NR_chdir, (long)workdir);
    if (result < 0)
        return result;
    /* A directory outside of the root shows as "(unreachable)...": never work there (CVE-2024-21626). */
    result = call2(__NR_getcwd, (long)where, sizeof where);
    if (result < 0)
        return result;
    return where[0] == '/' ? 0 : -ENOENT;
}

static void set_capabilities(uint64_t permitted, uint64_t inheritable) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    for (int half = 0; half < 2; half++) {
        data[half].effective = data[half].permitted = (uint32_t)(permitted >> (32 * half));
        data[half].inheritable = (uint32_t)(inheritable >> (32 * half));
    }
    long result = call2(__NR_capset, (long)&header, (long)data);
    if (result < 0)
        fail(PYRT_AT_CAPABILITIES, result, 0);
    call5(__NR_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    for (long capability = 0; inheritable >> capability; capability++)
        if (inheritable >> capability & 1) {
            result = call5(__NR_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0);
            if (result < 0)
                fail(PYRT_AT_CAPABILITIES, result, 0);
        }
}

static void set_user(const struct pyrt_payload *payload) {
    if (payload->uid != 0 && payload->permitted)
        prctl(PR_SET_KEEPCAPS, 1);
    long result = call3(__NR_setresuid, (long)payload->uid, (long)payload->uid, (long)payload->uid);
    if (result < 0)
        fail(PYRT_AT_USER, result, 0);
    set_capabilities(payload->permitted, payload->ambient);
}

/* A change of ids clears the death signal, so it comes after them; whoever died before is seen by the lost reader of the
 * status pipe (a parent outside of the pid namespace is always 0 for getppid). */
static void die_with_parent(void) {
    long result = prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (result < 0)
        fail(PYRT_AT_PARENT, result, 0);
    struct pollfd status = {PYRT_STATUS_FD, 0, 0};
    struct __kernel_timespec now = {0, 0};
    if (call5(__NR_ppoll, (long)&status, 1, (long)&now, 0, 8) > 0 && (status.revents & POLLERR))
        leave(EXIT_NOT_STARTED);
}

/* execvp(3)'s rules: a missing candidate is passed over, a forbidden one is remembered, anything else ends the search. */
__attribute__((noreturn)) static void execute(const struct pyrt_payload *payload, char **argv, char **envp) {
    const char *candidate = at(payload, payload->candidates), *forbidden = 0;
    const char *last = candidate;
    for (uint32_t i = 0; i < payload->ncandidates; i++) {
        long result = call3(__NR_execve, (long)candidate, (long)argv, (long)envp);
        last = candidate;
        if (result == -EACCES)
            forbidden = forbidden ? forbidden : candidate;
        else if (result != -ENOENT && result != -ENOTDIR)
            fail(PYRT_AT_EXEC, result, candidate);
        candidate = after(candidate);
    }
    if (forbidden)
        fail(PYRT_AT_EXEC, -EACCES, forbidden);
    fail(PYRT_AT_EXEC, -ENOENT, last);
}

static long wait_for(long pid, int *status, int options) {
    return call5(__NR_wait4, pid, (long)status, options, 0, 0);
}

/* PID 1 of --init: passes signals on, reaps whatever ends, leaves with the program's exit code. */
__attribute__((noreturn)) static void reap(long program, int with_tty) {
    static const uint64_t all = ALL_SIGNALS;
    call1(__NR_close, PYRT_STATUS_FD);
    for (;;) {
        long signal = call5(__NR_rt_sigtimedwait, (long)&all, 0, 0, sizeof all, 0);
        if (signal == -EINTR)
            continue;
        if (signal <= 0)
            leave(EXIT_NOT_STARTED); /* a profile without this call: there is nothing to wait with, and no spinning */
        if (signal != SIGCHLD) {
            if (!with_tty || (signal != SIGTTIN && signal != SIGTTOU))
                call2(__NR_kill, program, signal);
            continue;
        }
        int status, code = -1;
        for (long pid; (pid = wait_for(-1, &status, WNOHANG)) > 0;)
            if (pid == program)
                code = (status & 0x7f) ? 128 + (status & 0x7f) : (status >> 8 & 0xff);
        if (code >= 0)
            leave(code);
    }
}

static void become_init(int with_tty) {
    static const uint64_t all = ALL_SIGNALS, none = 0;
    call5(__NR_rt_sigprocmask, SIG_SETMASK, (long)&all, 0, sizeof all, 0);
    long program = call5(__NR_clone, SIGCHLD, 0, 0, 0, 0);
    if (program < 0)
        fail(PYRT_AT_INIT, program, 0);
    if (program > 0) {
        prctl(PR_SET_NAME, (long)"pyrt-init"); /* instead of the number of the fd that it was executed from */
        reap(program, with_tty);
    }
    /* A group of its own, in front of the terminal: Ctrl-C must reach the program once, not once more through PID 1. */
    call2(__NR_setpgid, 0, 0);
    if (with_tty) {
        int group = (int)call1(__NR_getpid, 0);
        call3(__NR_ioctl, 0, TIOCSPGRP, (long)&group);
    }
    call5(__NR_rt_sigprocmask, SIG_SETMASK, (long)&none, 0, sizeof none, 0);
}

static void program(long *stack) {
    char **argv = (char **)(stack + 1);
    char **envp = argv + *stack + 1;
    const struct pyrt_payload *payload = read_payload();
    prctl(PR_SET_DUMPABLE, 0);
    int label = open_label(payload);
    /* No profile has a say in this: before the filter. */
    call3(__NR_close_range, payload->nnotify ? PYRT_LISTENER_FD + 1 : PYRT_STATUS_FD + 1, -1, 0);
    if (!(payload->flags & PYRT_LABEL_LAST))
        write_label(payload, &label);
    set_session(payload);
    set_limits(payload);
    set_groups(payload);
    drop_bounding(payload);
    if (payload->flags & PYRT_NO_NEW_PRIVILEGES) {
        long result = prctl(PR_SET_NO_NEW_PRIVS, 1);
        if (result < 0)
            fail(PYRT_AT_NO_NEW_PRIVILEGES, result, 0);
        load_notify(payload);
    } else {
        load_filter(payload);
    }
    const char *workdir = at(payload, payload->workdir);
    long entered = enter(workdir);
    set_user(payload);
    if (payload->nnotify)
        prctl(PR_SET_DUMPABLE, 1); /* which a change of ids has undone */
    if (entered < 0)
        entered = enter(workdir);
    if (entered < 0)
        fail(PYRT_AT_WORKDIR, entered, workdir);
    if (payload->flags & PYRT_NO_NEW_PRIVILEGES)
        load_filter(payload);
    if (payload->flags & PYRT_DIE_WITH_PARENT)
        die_with_parent();
    write_label(payload, &label);
    if (payload->flags & PYRT_WITH_INIT)
        become_init(payload->flags & PYRT_CONTROLLING_TTY ? 1 : 0);
    execute(payload, argv, envp);
}

/* userns: makes a user namespace, enters one, and finds out what one may do here. The only program of pyrt that asks for a user
 * namespace, at a path that does not change, so that an AppArmor profile can name it (Ubuntu 24.04 lets no program without a
 * profile have one that is worth anything).
 *
 *   userns hold [INSIDE-UID UID INSIDE-GID GID]
 *                  makes a namespace, with these single ids mapped (user_namespaces(7)); says "ready" on fd 1 and stays
 *                  until the end of fd 0. Who wants the namespace opens /proc/PID/ns/user meanwhile.
 *   userns enter FD PROGRAM ARGUMENT...
 *                  executes a program in the namespace of FD
 *   userns probe DIRECTORY [inside]
 *                  one line for each thing that containers want: its name and the errno, 0 where it works. DIRECTORY is
 *                  an empty one of the caller's. "inside": in the namespace where we are.
 *
 * Every step that fails is a line "NAME ERRNO" on fd 1. No libc, as all of them (freestanding.h).
 */
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/mount.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/signal.h>
#include <stdint.h>

#include "freestanding.h"
#include "freestanding_text.h"

#define MAP_SIZE 64

static long parse_number(const char *text) {
    long number = 0;
    while (*text >= '0' && *text <= '9' && number < 1L << 33)
        number = number * 10 + (*text++ - '0');
    return number;
}

/* A line, and whether the step worked. */
static int report(const char *step, long result) {
    char line[96];
    char *end = text_add_number(text_add(text_add(line, step), " "), result < 0 ? (unsigned long)-result : 0);
    *end++ = '\n';
    call3(__NR_write, 1, (long)line, end - line);
    return result >= 0;
}

static long write_file(const char *path, const char *text, long size) {
    long fd = call6(__NR_openat, AT_FDCWD, (long)path, O_WRONLY | O_CLOEXEC, 0, 0, 0);
    if (fd < 0)
        return fd;
    long result = call3(__NR_write, fd, (long)text, size);
    call1(__NR_close, fd);
    return result;
}

static long write_map(const char *path, unsigned long inside, unsigned long outside) {
    char map[MAP_SIZE];
    char *end = text_add(text_add_number(text_add(text_add_number(map, inside), " "), outside), " 1\n");
    return write_file(path, map, end - map);
}

/* The ids of one user each; a group map asks for setgroups to be given up first (user_namespaces(7)). */
static long map_single(unsigned long inside_uid, unsigned long uid, unsigned long inside_gid, unsigned long gid) {
    long result = write_file("/proc/self/setgroups", "deny", 4);
    if (result >= 0 || result == -ENOENT)
        result = write_map("/proc/self/uid_map", inside_uid, uid);
    return result < 0 ? result : write_map("/proc/self/gid_map", inside_gid, gid);
}

static int hold(char **arguments) {
    long result = call1(__NR_unshare, CLONE_NEWUSER);
    if (result < 0)
        return report("unshare", result);
    if (arguments[0] && arguments[1] && arguments[2] && arguments[3]) {
        result = map_single((unsigned long)parse_number(arguments[0]), (unsigned long)parse_number(arguments[1]),
                            (unsigned long)parse_number(arguments[2]), (unsigned long)parse_number(arguments[3]));
        if (result < 0)
            return report("map", result);
    }
    report("ready", 0);
    char byte;
    while ((result = call3(__NR_read, 0, (long)&byte, 1)) > 0 || result == -EINTR) {
    }
    return 1;
}

static int enter(char **arguments, char **environment) {
    if (!arguments[0] || !arguments[1])
        return 0;
    long result = call2(__NR_setns, parse_number(arguments[0]), CLONE_NEWUSER);
    if (result < 0)
        return report("setns", result);
    result = call3(__NR_execve, (long)arguments[1], (long)(arguments + 1), (long)environment);
    return report("execve", result);
}

static long mount(const char *source, const char *target, const char *type, unsigned long flags, const char *options) {
    return call5(__NR_mount, (long)source, (long)target, (long)type, (long)flags, (long)options);
}

static long mkdir(const char *path) {
    return call3(__NR_mkdirat, AT_FDCWD, (long)path, 0755);
}

/* Where DIRECTORY is a new tmpfs or a directory of the store: whether layers can be stacked there, and a directory that hides
 * another one be made, which takes an extended attribute. */
static long try_overlay(const char *options, const char *const *directories) {
    for (; *directories; directories++) {
        long result = mkdir(*directories);
        if (result < 0)
            return result;
    }
    long result = mount("overlay", "root", "overlay", MS_NODEV, options);
    if (result < 0)
        return result;
    result = call3(__NR_unlinkat, AT_FDCWD, (long)"root/below", AT_REMOVEDIR);
    if (result >= 0)
        result = mkdir("root/below");
    call2(__NR_umount2, (long)"root", 2 /* MNT_DETACH */);
    return result;
}

/* A procfs of a pid namespace of one's own is made by a process that lives in it. */
static long try_proc(void) {
    long result = call1(__NR_unshare, CLONE_NEWPID);
    if (result < 0)
        return result;
    long child = call5(__NR_clone, SIGCHLD, 0, 0, 0, 0);
    if (child == 0) {
        result = mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, 0);
        leave(result < 0 ? (int)-result : 0);
    }
    if (child < 0)
        return child;
    int status = 0;
    while (call5(__NR_wait4, child, (long)&status, 0, 0, 0) == -EINTR) {
    }
    return -(status >> 8 & 0xff);
}

static int probe(char **arguments) {
    static const char *const store[] = {"lower", "lower/below", "upper", "work", "root", 0};
    static const char *const memory[] = {"memory/upper", "memory/work", 0};
    unsigned long uid = (unsigned long)call1(__NR_geteuid, 0), gid = (unsigned long)call1(__NR_getegid, 0);
    if (!arguments[0])
        return 0;
    report("chroot", call1(__NR_chroot, (long)"/"));
    int inside = arguments[1] && text_same(arguments[1], "inside");
    if (!inside && (!report("unshare", call1(__NR_unshare, CLONE_NEWUSER)) || !report("map", map_single(0, uid, 0, gid))))
        return 1;
    long others = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
    if (!report("namespaces", call1(__NR_unshare, others)) ||
        !report("private", mount(0, "/", 0, MS_REC | MS_PRIVATE, 0)) ||
        !report("directory", call1(__NR_chdir, (long)arguments[0])))
        return 1;
    long result = try_overlay("lowerdir=lower,upperdir=upper,workdir=work,userxattr", store);
    report("overlay", result);
    result = mkdir("memory");
    if (result >= 0)
        result = mount("tmpfs", "memory", "tmpfs", MS_NOSUID | MS_NODEV, "mode=700");
    if (report("tmpfs", result))
        report("overlay-memory", try_overlay("lowerdir=lower,upperdir=memory/upper,workdir=memory/work,userxattr", memory));
    report("sysfs", mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, 0));
    report("proc", try_proc());
    return 1;
}

static void program(long *stack) {
    char **arguments = (char **)(stack + 1);
    char **environment = arguments + *stack + 1;
    int understood = 0;
    if (*stack >= 2 && text_same(arguments[1], "hold"))
        understood = hold(arguments + 2);
    else if (*stack >= 2 && text_same(arguments[1], "enter"))
        understood = enter(arguments + 2, environment);
    else if (*stack >= 2 && text_same(arguments[1], "probe"))
        understood = probe(arguments + 2);
    leave(understood ? 0 : 1);
}

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "cleanup.h"
#include "resolve.h"
#include "submounts.h"
#include "walk.h"

/* Numbers and structures of linux/mount.h that older headers lack; the system call numbers are those of every
 * architecture. */
#define SYS_OPEN_TREE 428
#define SYS_MOVE_MOUNT 429
#define SYS_MOUNT_SETATTR 442
#define TREE_CLONE 1u
#define TREE_CLOEXEC O_CLOEXEC
#define TREE_RECURSIVE 0x8000u
#define MOVE_FROM_EMPTY 0x4u
#define MOVE_TO_EMPTY 0x40u
#define ATTR_RDONLY 0x1u
#define ATTR_NOSUID 0x2u
#define ATTR_NODEV 0x4u
#define ATTR_NOEXEC 0x8u

struct mount_attributes {
    uint64_t set, clear, propagation, userns;
};

#define FD_DIRECTORY "/proc/self/fd/"
#define OPTIONS_SIZE 4096 /* mount(2) takes a page of options */

/* Appends text to a bounded string; returns the new length, or SIZE_MAX and E2BIG once it does not fit. */
static size_t append(char *options, size_t length, const char *text) {
    size_t more = strlen(text);
    if (length == SIZE_MAX || length + more + 1 > OPTIONS_SIZE) {
        errno = E2BIG;
        return SIZE_MAX;
    }
    memcpy(options + length, text, more + 1);
    return length + more;
}

static int open_directory(const char *path) {
    return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* Appends key and the name of the directory below /proc/self/fd, where we are while overlay looks for it: no path of the
 * host is in the options, so none has to be escaped, none shows in the container's mountinfo, and the 500 layers fit that
 * overlay stacks at most. The fds end with the exec. */
static size_t append_directory(char *options, size_t length, const char *key, const char *path) {
    int fd = open_directory(path);
    if (fd < 0)
        return SIZE_MAX;
    return append(options, append(options, length, key), pyrt_fd_path(fd).text + sizeof FD_DIRECTORY - 1);
}

static int open_new_root(struct pyrt_walk *walk) {
    walk->root = open_directory(walk->launch->newroot);
    return walk->root < 0 ? pyrt_walk_fail(walk, PYRT_AT_ROOT, walk->launch->newroot) : 0;
}

int pyrt_mount_overlay(struct pyrt_walk *walk, const struct pyrt_step *op) {
    char options[OPTIONS_SIZE];
    size_t length = 0;
    pyrt_fd here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int failed;
    for (const char *lower = op->source; *lower; lower += strlen(lower) + 1) {
        length = append_directory(options, length, length ? ":" : "lowerdir=", lower);
        if (length == SIZE_MAX)
            return pyrt_walk_fail(walk, PYRT_AT_OVERLAY, lower);
    }
    if (op->target) {
        length = append_directory(options, length, ",upperdir=", op->target);
        if (length == SIZE_MAX)
            return pyrt_walk_fail(walk, PYRT_AT_OVERLAY, op->target);
        length = append_directory(options, length, ",workdir=", op->data);
        if (length == SIZE_MAX)
            return pyrt_walk_fail(walk, PYRT_AT_OVERLAY, op->data);
        if (op->flags & PYRT_VOLATILE)
            length = append(options, length, ",volatile");
    }
    if (op->flags & PYRT_USERXATTR)
        length = append(options, length, ",userxattr");
    if (length == SIZE_MAX)
        return pyrt_walk_fail(walk, PYRT_AT_OVERLAY, "options");
    if (here < 0 || chdir(FD_DIRECTORY) < 0)
        return pyrt_walk_fail(walk, PYRT_AT_OVERLAY, FD_DIRECTORY);
    failed = mount("overlay", walk->launch->newroot, "overlay", (unsigned long)op->mount_flags, options);
    if (failed < 0 || fchdir(here) < 0)
        return pyrt_walk_fail(walk, PYRT_AT_OVERLAY, "overlay");
    return open_new_root(walk);
}

static uint64_t attributes_of(uint32_t flags) {
    return (flags & PYRT_READ_ONLY ? ATTR_RDONLY : 0) | (flags & PYRT_NOSUID ? ATTR_NOSUID : 0) |
           (flags & PYRT_NODEV ? ATTR_NODEV : 0) | (flags & PYRT_NOEXEC ? ATTR_NOEXEC : 0);
}

static unsigned long legacy_flags_of(uint32_t flags) {
    return (flags & PYRT_READ_ONLY ? MS_RDONLY : 0) | (flags & PYRT_NOSUID ? MS_NOSUID : 0) |
           (flags & PYRT_NODEV ? MS_NODEV : 0) | (flags & PYRT_NOEXEC ? MS_NOEXEC : 0);
}

/* A user namespace may not clear those that are there. */
unsigned long pyrt_present_flags(int fd) {
    struct statfs fs;
    if (fstatfs(fd, &fs) < 0)
        return 0;
    unsigned long kept = 0, there = (unsigned long)fs.f_flags;
    static const struct {
        unsigned long statfs, mount;
    } table[] = {{1, MS_RDONLY}, {2, MS_NOSUID}, {4, MS_NODEV}, {8, MS_NOEXEC}, {1024, MS_NOATIME},
                 {2048, MS_NODIRATIME}, {4096, MS_RELATIME}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (there & table[i].statfs)
            kept |= table[i].mount;
    return kept;
}

static bool same_file(int one, int other) {
    struct stat a, b;
    return fstat(one, &a) == 0 && fstat(other, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* Before open_tree (5.2) or mount_setattr (5.12): bind, then change the mount that now covers the target, found by its
 * path again and recognised by what it shows, and those below it one by one. */
static int bind_by_mount(struct pyrt_walk *walk, const struct pyrt_step *op, int source, int target) {
    unsigned long recursive = op->flags & PYRT_RECURSIVE ? MS_REC : 0;
    if (mount(pyrt_fd_path(source).text, pyrt_fd_path(target).text, NULL, MS_BIND | recursive, NULL) < 0)
        return -1;
    struct pyrt_place place = pyrt_place_of(walk, op->target);
    pyrt_fd top = walk->root < 0 ? open_directory(walk->launch->newroot)
                                 : pyrt_resolve(place.root, place.path, O_PATH | O_CLOEXEC);
    if (top < 0)
        return -1;
    if (!same_file(source, top)) {
        errno = EAGAIN;
        return -1;
    }
    struct pyrt_fd_path on = pyrt_fd_path(top);
    unsigned long change = legacy_flags_of(op->flags);
    if (change && mount(NULL, on.text, NULL, MS_REMOUNT | MS_BIND | change | pyrt_present_flags(top), NULL) < 0)
        return -1;
    if (change && recursive && pyrt_change_submounts(top, change) < 0)
        return -1;
    return op->mount_flags ? mount(NULL, on.text, NULL, (unsigned long)op->mount_flags, NULL) : 0;
}

int pyrt_bind_fd(struct pyrt_walk *walk, const struct pyrt_step *op, int source, int target, int step) {
    unsigned recursive = op->flags & PYRT_RECURSIVE ? TREE_RECURSIVE : 0;
    pyrt_fd tree = (int)syscall(SYS_OPEN_TREE, source, "", AT_EMPTY_PATH | TREE_CLONE | TREE_CLOEXEC | recursive);
    struct mount_attributes attributes = {attributes_of(op->flags), 0, op->mount_flags & ~(uint64_t)MS_REC, 0};
    int done = tree < 0 ? -1 : 0;
    if (done == 0 && (attributes.set || attributes.propagation))
        done = (int)syscall(SYS_MOUNT_SETATTR, tree, "", AT_EMPTY_PATH | recursive, &attributes, sizeof attributes);
    if (done == 0)
        done = (int)syscall(SYS_MOVE_MOUNT, tree, "", target, "", MOVE_FROM_EMPTY | MOVE_TO_EMPTY);
    else if (errno == ENOSYS)
        done = bind_by_mount(walk, op, source, target);
    return done < 0 ? pyrt_walk_fail(walk, step, op->target) : 0;
}

int pyrt_mount_root(struct pyrt_walk *walk, const struct pyrt_step *op) {
    pyrt_fd source = open_directory(op->source);
    if (source < 0)
        return pyrt_walk_fail(walk, PYRT_AT_ROOT, op->source);
    pyrt_fd target = open_directory(walk->launch->newroot);
    if (target < 0)
        return pyrt_walk_fail(walk, PYRT_AT_ROOT, walk->launch->newroot);
    struct pyrt_step bind = *op;
    bind.target = op->source;
    if (pyrt_bind_fd(walk, &bind, source, target, PYRT_AT_ROOT) < 0)
        return -1;
    return open_new_root(walk);
}

static const struct own_mount {
    const char *place, *filesystem;
    long type; /* linux/magic.h */
} own_mounts[PYRT_OWN_MOUNTS] = {
    [PYRT_OWN_PROC] = {"/proc", "proc", PYRT_PROC_MAGIC},
    [PYRT_OWN_SYS] = {"/sys", "sysfs", 0x62656572},
    [PYRT_OWN_DEV] = {"/dev", "tmpfs", 0x01021994},
};

struct pyrt_place pyrt_place_of(const struct pyrt_walk *walk, const char *path) {
    for (int i = 0; i < PYRT_OWN_MOUNTS; i++) {
        size_t length = strlen(own_mounts[i].place);
        if (walk->own[i] >= 0 && strncmp(path, own_mounts[i].place, length) == 0 && (path[length] == '/' || !path[length]))
            return (struct pyrt_place){walk->own[i], path[length] ? path + length : "/"};
    }
    return (struct pyrt_place){walk->root, path};
}

/* Keeps hold of one of our own three, once it is mounted: what is masked, made and opened below it is from now on looked
 * for in this very mount, wherever its place in a root that others share may be moved. */
static int keep_own(struct pyrt_walk *walk, const struct pyrt_step *op, int covered) {
    for (int i = 0; i < PYRT_OWN_MOUNTS; i++) {
        if (strcmp(op->target, own_mounts[i].place) != 0)
            continue;
        if (op->kind == PYRT_OP_MOUNT && strcmp(op->source, own_mounts[i].filesystem) != 0)
            continue;
        pyrt_fd top = openat(walk->root, op->target + 1, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        struct statfs fs;
        if (top < 0 || fstatfs(top, &fs) < 0)
            return pyrt_walk_fail(walk, PYRT_AT_MOUNT, op->target);
        if (fs.f_type != own_mounts[i].type || same_file(top, covered)) {
            errno = EAGAIN;
            return pyrt_walk_fail(walk, PYRT_AT_MOUNT, op->target);
        }
        walk->own[i] = pyrt_take(&top);
    }
    return 0;
}

/* /proc and /sys are trusted by what comes after them, so their place must be what it seems: no link on the way. */
static int open_mount_point(struct pyrt_walk *walk, const struct pyrt_step *op) {
    if (op->flags & PYRT_REAL_DIRECTORY) {
        int target = openat(walk->root, op->target + 1, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (target >= 0 || errno != ENOENT)
            return target;
    }
    return pyrt_make_directories(walk, op->target, op->mode ? op->mode : 0755, PYRT_OWNER_STAYS, PYRT_OWNER_STAYS);
}

/* Looked at after all links have been followed: nothing may cover procfs, or what is written there later (sysctls, labels)
 * goes to somebody's file instead (CVE-2019-19921). */
static int refuse_proc(struct pyrt_walk *walk, const struct pyrt_step *op, int target) {
    struct statfs fs;
    if (fstatfs(target, &fs) < 0)
        return pyrt_walk_fail(walk, PYRT_AT_RESOLVE, op->target);
    if (fs.f_type != PYRT_PROC_MAGIC || op->flags & PYRT_ON_PROC)
        return 0;
    errno = EPERM;
    return pyrt_walk_fail(walk, PYRT_AT_RESOLVE, op->target);
}

int pyrt_mount_filesystem(struct pyrt_walk *walk, const struct pyrt_step *op) {
    pyrt_fd target = open_mount_point(walk, op);
    if (target < 0)
        return pyrt_walk_fail(walk, PYRT_AT_MKDIR, op->target);
    /* Our own three may cover what a plain root directory has mounted there, its /proc for one. */
    if (!(op->flags & PYRT_REAL_DIRECTORY) && refuse_proc(walk, op, target) < 0)
        return -1;
    if (mount(op->source, pyrt_fd_path(target).text, op->source, (unsigned long)op->mount_flags, op->data) == 0)
        return op->flags & PYRT_REAL_DIRECTORY ? keep_own(walk, op, target) : 0;
    if (op->flags & PYRT_OPTIONAL && (errno == ENODEV || errno == EPERM))
        return 0;
    return pyrt_walk_fail(walk, PYRT_AT_MOUNT, op->target);
}

/* The host's /sys or /proc in the place of one of the container's own, which a user namespace may not always mount. */
static int bind_own(struct pyrt_walk *walk, const struct pyrt_step *op, int source) {
    pyrt_fd target = open_mount_point(walk, op);
    if (target < 0)
        return pyrt_walk_fail(walk, PYRT_AT_MKDIR, op->target);
    return pyrt_bind_fd(walk, op, source, target, PYRT_AT_BIND) < 0 ? -1 : keep_own(walk, op, target);
}

int pyrt_mount_bind(struct pyrt_walk *walk, const struct pyrt_step *op) {
    pyrt_fd source = open(op->source, O_PATH | O_CLOEXEC);
    struct stat status;
    if (source < 0 || fstat(source, &status) < 0)
        return pyrt_walk_fail(walk, PYRT_AT_SOURCE, op->source);
    if (op->flags & PYRT_REAL_DIRECTORY)
        return bind_own(walk, op, source);
    pyrt_fd target = S_ISDIR(status.st_mode) ? pyrt_make_directories(walk, op->target, 0755, PYRT_OWNER_STAYS, PYRT_OWNER_STAYS)
                                             : pyrt_make_file(walk, op->target);
    if (target < 0)
        return pyrt_walk_fail(walk, PYRT_AT_RESOLVE, op->target);
    if (refuse_proc(walk, op, target) < 0)
        return -1;
    return pyrt_bind_fd(walk, op, source, target, PYRT_AT_BIND);
}

int pyrt_mount_volume(struct pyrt_walk *walk, const struct pyrt_step *op) {
    pyrt_fd target = pyrt_make_directories(walk, op->target, 0755, PYRT_OWNER_STAYS, PYRT_OWNER_STAYS);
    if (target < 0)
        return pyrt_walk_fail(walk, PYRT_AT_RESOLVE, op->target);
    if (refuse_proc(walk, op, target) < 0)
        return -1;
    return pyrt_bind_fd(walk, op, target, target, PYRT_AT_BIND);
}

/* The container's /dev/null, looked at before it hides anything: a forged one would put what it leads to, writable, in
 * the place of what shall be hidden (CVE-2025-31133). */
static int verified_null(struct pyrt_walk *walk) {
    if (walk->null >= 0)
        return walk->null;
    struct pyrt_place place = pyrt_place_of(walk, "/dev/null");
    pyrt_fd null = pyrt_resolve(place.root, place.path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat status;
    if (null < 0 || fstat(null, &status) < 0)
        return -1;
    if (!S_ISCHR(status.st_mode) || status.st_rdev != makedev(1, 3)) {
        errno = ENXIO;
        return -1;
    }
    return walk->null = pyrt_take(&null);
}

int pyrt_mount_mask(struct pyrt_walk *walk, const struct pyrt_step *op) {
    struct pyrt_place place = pyrt_place_of(walk, op->target);
    pyrt_fd target = pyrt_resolve(place.root, place.path, O_PATH | O_CLOEXEC);
    struct stat status;
    if (target < 0 && (errno == ENOENT || errno == ENOTDIR))
        return 0;
    if (target < 0 || fstat(target, &status) < 0)
        return pyrt_walk_fail(walk, PYRT_AT_MASK, op->target);
    if (S_ISDIR(status.st_mode)) {
        unsigned long flags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
        if (mount("tmpfs", pyrt_fd_path(target).text, "tmpfs", flags, "size=4k,mode=755") < 0)
            return pyrt_walk_fail(walk, PYRT_AT_MASK, op->target);
        return 0;
    }
    int null = verified_null(walk);
    if (null < 0)
        return pyrt_walk_fail(walk, PYRT_AT_MASK, "/dev/null");
    return pyrt_bind_fd(walk, op, null, target, PYRT_AT_MASK);
}

int pyrt_mount_readonly(struct pyrt_walk *walk, const struct pyrt_step *op) {
    struct pyrt_place place = pyrt_place_of(walk, op->target);
    pyrt_fd target = pyrt_resolve(place.root, place.path, O_PATH | O_CLOEXEC);
    if (target < 0 && (errno == ENOENT || errno == ENOTDIR))
        return 0;
    if (target < 0)
        return pyrt_walk_fail(walk, PYRT_AT_READONLY, op->target);
    struct pyrt_step bind = *op;
    bind.flags |= PYRT_READ_ONLY | PYRT_RECURSIVE;
    return pyrt_bind_fd(walk, &bind, target, target, PYRT_AT_READONLY);
}

int pyrt_remount_root(struct pyrt_walk *walk, const struct pyrt_step *op) {
    (void)op;
    unsigned long flags = MS_REMOUNT | MS_BIND | MS_RDONLY | pyrt_present_flags(walk->root);
    if (mount(NULL, pyrt_fd_path(walk->root).text, NULL, flags, NULL) < 0)
        return pyrt_walk_fail(walk, PYRT_AT_READONLY, "/");
    return 0;
}

/* Where pivot_root is refused: docker's seccomp profile does so to every container, whatever its capabilities are, and the kernel
 * itself where the root is an initramfs. The new root is laid over the old one, which nothing in the container can reach: from
 * "/" no path leads below a mount, and uncovering it takes CAP_SYS_ADMIN over this mount namespace. */
static int move_over_root(void) {
    return mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ? -1 : 0;
}

int pyrt_pivot(struct pyrt_walk *walk, const struct pyrt_step *op) {
    (void)op;
    int entered = fchdir(walk->root);
    if (entered == 0) {
        /* pivot_root(2), NOTES: the same directory twice stacks the old root on the new one, and it is detached at once. */
        entered = (int)syscall(SYS_pivot_root, ".", ".");
        if (entered == 0)
            entered = umount2(".", MNT_DETACH);
        else if (errno == EPERM || errno == ENOSYS || errno == EINVAL)
            entered = move_over_root();
    }
    if (entered < 0 || chdir("/") < 0)
        return pyrt_walk_fail(walk, PYRT_AT_PIVOT, walk->launch->newroot);
    return 0;
}

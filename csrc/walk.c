#define _GNU_SOURCE
#include "walk.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "cleanup.h"
#include "private_proc.h"
#include "resolve.h"

int pyrt_walk_fail(struct pyrt_walk *walk, int step, const char *subject) {
    return pyrt_fail(walk->error, step, errno, walk->index, subject, strlen(subject));
}

static int make_private(struct pyrt_walk *walk, const struct pyrt_step *op) {
    if (mount(NULL, "/", NULL, (unsigned long)op->mount_flags, NULL) < 0)
        return pyrt_walk_fail(walk, PYRT_AT_PRIVATE, "/");
    return 0;
}

/* The container's own directory on the host is ours alone (0700 above it), so its paths may be used as they are. */
static int mount_scratch(struct pyrt_walk *walk, const struct pyrt_step *op) {
    if (mount("tmpfs", op->target, "tmpfs", MS_NOSUID | MS_NODEV, op->data) < 0)
        return pyrt_walk_fail(walk, PYRT_AT_SCRATCH, op->target);
    return 0;
}

static int make_scratch_directory(struct pyrt_walk *walk, const struct pyrt_step *op) {
    if (mkdir(op->target, op->mode) < 0 && errno != EEXIST)
        return pyrt_walk_fail(walk, PYRT_AT_SCRATCH, op->target);
    return 0;
}

/* The whole text in one write, or -1 and errno. */
int pyrt_write_text(int fd, const char *text) {
    size_t size = strlen(text);
    ssize_t written = write(fd, text, size);
    if (written >= 0 && (size_t)written < size)
        errno = ENOSPC;
    return written == (ssize_t)size ? 0 : -1;
}

static int make_scratch_file(struct pyrt_walk *walk, const struct pyrt_step *op) {
    pyrt_fd file = open(op->target, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, op->mode);
    if (file < 0 || pyrt_write_text(file, op->data) < 0)
        return pyrt_walk_fail(walk, PYRT_AT_SCRATCH, op->target);
    return 0;
}

static int make_scratch_link(struct pyrt_walk *walk, const struct pyrt_step *op) {
    return symlink(op->source, op->target) < 0 ? pyrt_walk_fail(walk, PYRT_AT_SCRATCH, op->target) : 0;
}

int pyrt_join_cgroup(int directory, const char *file) {
    pyrt_fd members = openat(directory, file, O_WRONLY | O_CLOEXEC);
    return members < 0 ? -1 : pyrt_write_text(members, "0");
}

static int join_cgroup(struct pyrt_walk *walk, const struct pyrt_step *op) {
    return pyrt_join_cgroup(AT_FDCWD, op->target) < 0 ? pyrt_walk_fail(walk, PYRT_AT_CGROUP, op->target) : 0;
}

/* Not by a flag of clone: the kernel would take the caller's cgroups for its root. */
static int make_cgroup_namespace(struct pyrt_walk *walk, const struct pyrt_step *op) {
    (void)op;
    return unshare(CLONE_NEWCGROUP) < 0 ? pyrt_walk_fail(walk, PYRT_AT_CLONE, "cgroup") : 0;
}

static int make_node(struct pyrt_walk *walk, const struct pyrt_step *op) {
    const char *name;
    pyrt_fd parent = pyrt_open_parent(walk, op->target, &name);
    if (parent < 0 || mknodat(parent, name, op->mode, (dev_t)op->device) < 0 ||
        fchownat(parent, name, op->uid, op->gid, AT_SYMLINK_NOFOLLOW) < 0)
        return pyrt_walk_fail(walk, PYRT_AT_NODE, op->target);
    return 0;
}

static int make_symlink(struct pyrt_walk *walk, const struct pyrt_step *op) {
    const char *name;
    pyrt_fd parent = pyrt_open_parent(walk, op->target, &name);
    if (parent < 0 || symlinkat(op->source, parent, name) < 0)
        return pyrt_walk_fail(walk, PYRT_AT_SYMLINK, op->target);
    return 0;
}

static int make_directory(struct pyrt_walk *walk, const struct pyrt_step *op) {
    int root = walk->root;
    pyrt_fd other = op->source ? open(op->source, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    if (op->source && other < 0)
        return pyrt_walk_fail(walk, PYRT_AT_SOURCE, op->source);
    if (op->source)
        walk->root = other;
    pyrt_fd made = pyrt_make_directories(walk, op->target, op->mode, op->uid, op->gid);
    walk->root = root;
    return made < 0 ? pyrt_walk_fail(walk, PYRT_AT_MKDIR, op->target) : 0;
}

/* Through a procfs that is mounted nowhere, and checked to be one: a sysctl written through a path that leads elsewhere
 * would be any other file of the kernel (CVE-2025-52881). */
static int write_sysctl(struct pyrt_walk *walk, const struct pyrt_step *op) {
    if (walk->sysctls < 0)
        walk->sysctls = pyrt_private_proc(walk->launch->newroot);
    pyrt_fd sysctl = walk->sysctls < 0 ? -1 : pyrt_resolve(walk->sysctls, op->target, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
    struct statfs fs;
    if (sysctl < 0 || fstatfs(sysctl, &fs) < 0)
        return pyrt_walk_fail(walk, PYRT_AT_SYSCTL, op->target);
    errno = ENXIO;
    if (fs.f_type != PYRT_PROC_MAGIC || pyrt_write_text(sysctl, op->data) < 0)
        return pyrt_walk_fail(walk, PYRT_AT_SYSCTL, op->target);
    return 0;
}

static int open_proc(struct pyrt_walk *walk, const struct pyrt_step *op) {
    (void)op;
    walk->proc = pyrt_private_proc(walk->launch->newroot);
    return walk->proc < 0 ? pyrt_walk_fail(walk, PYRT_AT_PROC, "") : 0;
}

static int set_hostname(struct pyrt_walk *walk, const struct pyrt_step *op) {
    int result = op->kind == PYRT_OP_HOSTNAME ? sethostname(op->data, strlen(op->data))
                                              : setdomainname(op->data, strlen(op->data));
    if (result < 0 && op->flags & PYRT_OPTIONAL && errno == EPERM)
        return 0;
    return result < 0 ? pyrt_walk_fail(walk, PYRT_AT_HOSTNAME, op->data) : 0;
}

static int raise_loopback(struct pyrt_walk *walk, const struct pyrt_step *op) {
    (void)op;
    struct ifreq request;
    memset(&request, 0, sizeof request);
    memcpy(request.ifr_name, "lo", sizeof "lo");
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    pyrt_fd any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (any < 0 || ioctl(any, SIOCSIFFLAGS, &request) < 0)
        return pyrt_walk_fail(walk, PYRT_AT_LOOPBACK, "lo");
    return 0;
}

static int (*const carry_out[])(struct pyrt_walk *, const struct pyrt_step *) = {
    [PYRT_OP_JOIN] = join_cgroup,
    [PYRT_OP_CGROUP_NAMESPACE] = make_cgroup_namespace,
    [PYRT_OP_PRIVATE] = make_private,
    [PYRT_OP_SCRATCH] = mount_scratch,
    [PYRT_OP_SCRATCH_DIRECTORY] = make_scratch_directory,
    [PYRT_OP_SCRATCH_FILE] = make_scratch_file,
    [PYRT_OP_OVERLAY] = pyrt_mount_overlay,
    [PYRT_OP_ROOT] = pyrt_mount_root,
    [PYRT_OP_MOUNT] = pyrt_mount_filesystem,
    [PYRT_OP_BIND] = pyrt_mount_bind,
    [PYRT_OP_VOLUME] = pyrt_mount_volume,
    [PYRT_OP_MASK] = pyrt_mount_mask,
    [PYRT_OP_READONLY] = pyrt_mount_readonly,
    [PYRT_OP_REMOUNT_ROOT] = pyrt_remount_root,
    [PYRT_OP_NODE] = make_node,
    [PYRT_OP_SYMLINK] = make_symlink,
    [PYRT_OP_MKDIR] = make_directory,
    [PYRT_OP_PROC] = open_proc,
    [PYRT_OP_SYSCTL] = write_sysctl,
    [PYRT_OP_HOSTNAME] = set_hostname,
    [PYRT_OP_DOMAINNAME] = set_hostname,
    [PYRT_OP_LOOPBACK] = raise_loopback,
    [PYRT_OP_CONSOLE] = pyrt_open_console,
    [PYRT_OP_PIVOT] = pyrt_pivot,
    [PYRT_OP_DIRECTORY] = pyrt_open_root_directory,
    [PYRT_OP_PLACE] = pyrt_make_place,
    [PYRT_OP_FILE] = pyrt_write_file,
    [PYRT_OP_SCRATCH_LINK] = make_scratch_link,
};

static const char *text_at(const struct pyrt_launch *launch, uint32_t offset) {
    return offset ? launch->texts + offset : NULL;
}

int pyrt_walk_operations(struct pyrt_walk *walk) {
    const struct pyrt_launch *launch = walk->launch;
    umask(0); /* ours alone: the child does not share CLONE_FS */
    for (uint32_t i = 0; i < launch->nops; i++) {
        const struct pyrt_op *op = &launch->ops[i];
        struct pyrt_step step = {
            .kind = op->kind, .flags = op->flags, .mode = op->mode, .uid = op->uid, .gid = op->gid,
            .device = op->device, .mount_flags = op->mount_flags, .target = text_at(launch, op->target),
            .source = text_at(launch, op->source), .data = text_at(launch, op->data),
        };
        walk->index = (int)i;
        if (step.kind >= sizeof carry_out / sizeof *carry_out) {
            errno = ENOSYS;
            return pyrt_walk_fail(walk, PYRT_AT_PREPARE, "operation");
        }
        if (carry_out[step.kind](walk, &step) < 0)
            return -1;
    }
    return 0;
}

#define _GNU_SOURCE
#include "metadata.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cleanup.h"
#include "layer_step.h"

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452 /* Linux 6.6, the same number on all architectures */
#endif
#define SPECIAL_BITS 07000u

static bool is_empty(int root) {
    _Alignas(8) char names[128];
    pyrt_fd directory = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    /* "." and ".." take 24 bytes each; a third name does not fit into what is left only if it is long. */
    long first = directory < 0 ? -1 : syscall(SYS_getdents64, directory, names, sizeof names);
    long second = first < 0 ? -1 : syscall(SYS_getdents64, directory, names, sizeof names);

    return first == 48 && second == 0;
}

/* A new file takes its group from a setgid directory (or any, on a file system mounted with grpid), and its mode from
   a default ACL. In an empty root with none of these, and with all owners of directories set at the end, neither can
   happen. */
int pyrt_policy_init(struct pyrt_policy *policy, int root) {
    struct stat status;

    if (fstat(root, &status) < 0)
        return -errno;
    if (!S_ISDIR(status.st_mode))
        return -ENOTDIR;
    policy->uid = geteuid();
    policy->gid = getegid();
    policy->owner_is_known = !(status.st_mode & S_ISGID) && status.st_gid == policy->gid &&
                             fgetxattr(root, "system.posix_acl_default", NULL, 0) < 0 && is_empty(root);
    return 0;
}

bool pyrt_owner_differs(const struct pyrt_policy *policy, const struct pyrt_attributes *attributes) {
    return policy->chown &&
           (!policy->owner_is_known || attributes->uid != policy->uid || attributes->gid != policy->gid);
}

static bool starts(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Overlay's own xattrs would let a layer redirect or hide what it does not own; labels of security modules other than
   file capabilities belong to the machine that wrote them. */
bool pyrt_xattr_is_wanted(const char *name) {
    if (starts(name, "trusted.overlay.") || starts(name, "user.overlay."))
        return false;
    return !starts(name, "security.") || strcmp(name, "security.capability") == 0;
}

/* A file system that has no such xattr, or none of this kind for this user, loses it; a file capability is never lost
   silently where we are root. */
static bool may_lack(const struct pyrt_policy *policy, const char *name, int err) {
    if (strcmp(name, "security.capability") == 0)
        return err == EPERM && !policy->chown;
    if (err == ENOTSUP || err == EPERM)
        return true;
    return starts(name, "system.") && (err == EINVAL || err == EACCES);
}

static int set_xattr(const struct pyrt_policy *policy, int fd, const struct pyrt_xattr *xattr) {
    if (pyrt_xattr_is_wanted(xattr->name) && fsetxattr(fd, xattr->name, xattr->value, xattr->size, 0) < 0 &&
        !may_lack(policy, xattr->name, errno))
        return PYRT_LAYER_XATTR;
    return 0;
}

static int set_xattrs(const struct pyrt_policy *policy, int fd, const struct pyrt_attributes *attributes) {
    int failed = 0;

    for (size_t i = 0; i < attributes->xattr_count && !failed; i++)
        failed = set_xattr(policy, fd, &attributes->xattrs[i]);
    return failed;
}

bool pyrt_xattr_waits(const char *name) {
    return starts(name, "system.");
}

int pyrt_set_early(const struct pyrt_policy *policy, int fd, const struct pyrt_attributes *attributes) {
    int failed = 0;

    for (size_t i = 0; i < attributes->xattr_count && !failed; i++)
        if (!pyrt_xattr_waits(attributes->xattrs[i].name))
            failed = set_xattr(policy, fd, &attributes->xattrs[i]);
    return failed;
}

/* There is no fsetxattr for what cannot be opened, and a path below /proc/self/fd is the way around (setxattrat needs
   Linux 6.13). The last component is not followed. */
static int set_node_xattrs(const struct pyrt_policy *policy, int parent, const char *name,
                           const struct pyrt_attributes *attributes) {
    char path[64 + NAME_MAX];

    if (attributes->xattr_count == 0)
        return 0;
    if (snprintf(path, sizeof path, "/proc/self/fd/%d/%s", parent, name) >= (int)sizeof path) {
        errno = ENAMETOOLONG;
        return PYRT_LAYER_XATTR;
    }
    for (size_t i = 0; i < attributes->xattr_count; i++) {
        const struct pyrt_xattr *xattr = &attributes->xattrs[i];

        if (pyrt_xattr_is_wanted(xattr->name) && lsetxattr(path, xattr->name, xattr->value, xattr->size, 0) < 0 &&
            !may_lack(policy, xattr->name, errno))
            return PYRT_LAYER_XATTR;
    }
    return 0;
}

/* chown takes away setuid bits and file capabilities, so it comes first; utimensat comes last. */
int pyrt_set_file(const struct pyrt_policy *policy, int fd, const struct pyrt_attributes *attributes,
                  uint32_t as_created) {
    bool chowns = pyrt_owner_differs(policy, attributes);
    int failed;

    if (chowns && fchown(fd, attributes->uid, attributes->gid) < 0)
        return PYRT_LAYER_CHOWN;
    failed = set_xattrs(policy, fd, attributes);
    if (failed)
        return failed;
    if ((attributes->mode & SPECIAL_BITS || attributes->mode != as_created || !policy->umask_is_zero ||
         !policy->owner_is_known) &&
        fchmod(fd, attributes->mode) < 0)
        return PYRT_LAYER_CHMOD;
    return futimens(fd, attributes->times) < 0 ? PYRT_LAYER_TIMES : 0;
}

int pyrt_set_directory(const struct pyrt_policy *policy, int fd, const struct pyrt_attributes *attributes) {
    return pyrt_set_file(policy, fd, attributes, UINT32_MAX);
}

/* Not through glibc first: its AT_SYMLINK_NOFOLLOW takes /proc where the kernel has no fchmodat2. */
static int change_mode(int parent, const char *name, uint32_t mode) {
    if (syscall(SYS_fchmodat2, parent, name, mode, AT_SYMLINK_NOFOLLOW) == 0)
        return 0;
    if (errno != ENOSYS && errno != EPERM)
        return -1;
    return fchmodat(parent, name, mode, AT_SYMLINK_NOFOLLOW);
}

int pyrt_set_node(const struct pyrt_policy *policy, int parent, const char *name,
                  const struct pyrt_attributes *attributes, bool has_mode) {
    bool chowns = pyrt_owner_differs(policy, attributes);
    int failed;

    if (chowns && fchownat(parent, name, attributes->uid, attributes->gid, AT_SYMLINK_NOFOLLOW) < 0)
        return PYRT_LAYER_CHOWN;
    failed = set_node_xattrs(policy, parent, name, attributes);
    if (failed)
        return failed;
    if (has_mode && (attributes->mode & SPECIAL_BITS || !policy->umask_is_zero || !policy->owner_is_known) &&
        change_mode(parent, name, attributes->mode) < 0)
        return PYRT_LAYER_CHMOD;
    return utimensat(parent, name, attributes->times, AT_SYMLINK_NOFOLLOW) < 0 ? PYRT_LAYER_TIMES : 0;
}

int pyrt_set_made_mode(const struct pyrt_policy *policy, int parent, const char *name, uint32_t mode) {
    if (policy->umask_is_zero && policy->owner_is_known)
        return 0;
    return change_mode(parent, name, mode) < 0 ? PYRT_LAYER_CHMOD : 0;
}

int pyrt_set_implied(const struct pyrt_policy *policy, int parent, const char *name) {
    struct pyrt_attributes root = {.mode = 0755};

    if (pyrt_owner_differs(policy, &root) && fchownat(parent, name, 0, 0, AT_SYMLINK_NOFOLLOW) < 0)
        return PYRT_LAYER_CHOWN;
    return pyrt_set_made_mode(policy, parent, name, root.mode);
}

#define _GNU_SOURCE
/* Directories, links, FIFOs and devices. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "cleanup.h"
#include "extract.h"
#include "layer_step.h"

/* Until its attributes are set at the end, a directory is ours alone. */
static int make_directory(struct pyrt_writer *writer, int parent, bool opaque, struct pyrt_error *error) {
    const struct pyrt_name *name = &writer->name;
    const char *base = pyrt_writer_base(writer);
    int directory;

    if (mkdirat(parent, base, 0700) < 0 || pyrt_set_made_mode(&writer->policy, parent, base, 0700) != 0)
        return pyrt_writer_fail(writer, PYRT_LAYER_MKDIR, errno, error);
    directory = pyrt_directories_enter(&writer->directories, parent, base, name->text, name->size);
    if (directory < 0)
        return pyrt_writer_fail(writer, PYRT_LAYER_MKDIR, -directory, error);
    if (opaque && pyrt_make_opaque(&writer->policy, directory) < 0)
        return pyrt_writer_fail(writer, PYRT_LAYER_OPAQUE, errno, error);
    return pyrt_writer_defer(writer, directory, error);
}

int pyrt_write_directory(struct pyrt_writer *writer, struct pyrt_error *error) {
    const struct pyrt_name *name = &writer->name;
    int parent = pyrt_writer_parent(writer, error);
    struct stat status;

    if (parent < 0)
        return -1;
    if (fstatat(parent, pyrt_writer_base(writer), &status, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno != ENOENT)
            return pyrt_writer_fail(writer, PYRT_LAYER_MKDIR, errno, error);
        return make_directory(writer, parent, false, error);
    }
    if (S_ISDIR(status.st_mode)) {
        int directory = pyrt_directories_find(&writer->directories, name->text, name->size, false);
        if (directory < 0)
            return pyrt_writer_fail(writer, PYRT_LAYER_MKDIR, -directory, error);
        return pyrt_writer_defer(writer, directory, error);
    }
    /* A whiteout of this layer, or a file, has hidden what the layers below have under that name: the directory is new,
       and nothing of theirs may show through it. */
    parent = pyrt_writer_replace(writer, parent, error);
    return parent < 0 ? -1 : make_directory(writer, parent, true, error);
}

int pyrt_write_symlink(struct pyrt_writer *writer, struct pyrt_error *error) {
    const struct pyrt_entry *entry = writer->entry;
    const char *base = pyrt_writer_base(writer);
    int parent = pyrt_writer_parent(writer, error);
    int step;

    if (parent < 0)
        return -1;
    if (symlinkat(entry->link, parent, base) < 0) {
        if (errno != EEXIST)
            return pyrt_writer_fail(writer, PYRT_LAYER_SYMLINK, errno, error);
        parent = pyrt_writer_replace(writer, parent, error);
        if (parent < 0)
            return -1;
        if (symlinkat(entry->link, parent, base) < 0)
            return pyrt_writer_fail(writer, PYRT_LAYER_SYMLINK, errno, error);
    }
    step = pyrt_set_node(&writer->policy, parent, base, &entry->attributes, false);
    return step ? pyrt_writer_fail(writer, step, errno, error) : 0;
}

/* Nobody makes a device in a user namespace: an empty file keeps its place, hides what a lower layer has there, and can be
 * linked to. Containers have a /dev of their own. */
static mode_t type_bits(enum pyrt_kind kind, bool devices) {
    switch (kind) {
    case PYRT_CHARACTER:
        return devices ? S_IFCHR : S_IFREG;
    case PYRT_BLOCK:
        return devices ? S_IFBLK : S_IFREG;
    default:
        return S_IFIFO;
    }
}

int pyrt_write_node(struct pyrt_writer *writer, struct pyrt_error *error) {
    const struct pyrt_entry *entry = writer->entry;
    const char *base = pyrt_writer_base(writer);
    mode_t mode = type_bits(entry->kind, !writer->policy.no_devices) | (entry->attributes.mode & 0777);
    dev_t device = makedev(entry->major, entry->minor);
    int parent = pyrt_writer_parent(writer, error);
    int step;

    if (parent < 0)
        return -1;
    if (entry->kind == PYRT_CHARACTER && device == 0)
        return pyrt_writer_fail(writer, PYRT_LAYER_DEVICE, EINVAL, error);
    if (mknodat(parent, base, mode, device) < 0) {
        if (errno != EEXIST)
            return pyrt_writer_fail(writer, PYRT_LAYER_MKNOD, errno, error);
        parent = pyrt_writer_replace(writer, parent, error);
        if (parent < 0)
            return -1;
        if (mknodat(parent, base, mode, device) < 0)
            return pyrt_writer_fail(writer, PYRT_LAYER_MKNOD, errno, error);
    }
    step = pyrt_set_node(&writer->policy, parent, base, &entry->attributes, true);
    return step ? pyrt_writer_fail(writer, step, errno, error) : 0;
}

/* The directory of a hard link's target: ".." in it is resolved in the root, as for any path of the image. Owned. */
static int open_target_parent(struct pyrt_writer *writer, size_t size) {
    char parent[PYRT_MAX_NAME + 2] = "/";

    memcpy(parent + 1, writer->entry->link, size);
    parent[size + 1] = 0;
    return pyrt_directories_resolve(&writer->directories, parent);
}

/* Links what the entry points to, a link itself rather than its target. 0 or a negative errno. */
static int link_target(struct pyrt_writer *writer, int target_parent, const char *target, int parent) {
    struct stat status;

    if (fstatat(target_parent, target, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (S_ISDIR(status.st_mode))
        return -EISDIR;
    /* A whiteout is a statement about other layers, and no file that could have a second name. */
    if (S_ISCHR(status.st_mode) && status.st_rdev == 0)
        return -ENOENT;
    return linkat(target_parent, target, parent, pyrt_writer_base(writer), 0) < 0 ? -errno : 0;
}

/* A link to itself has nothing to replace. */
static bool same_file(int one_parent, const char *one, int other_parent, const char *other) {
    struct stat left, right;

    return fstatat(one_parent, one, &left, AT_SYMLINK_NOFOLLOW) == 0 &&
           fstatat(other_parent, other, &right, AT_SYMLINK_NOFOLLOW) == 0 && left.st_ino == right.st_ino &&
           left.st_dev == right.st_dev;
}

int pyrt_write_hardlink(struct pyrt_writer *writer, struct pyrt_error *error) {
    const struct pyrt_entry *entry = writer->entry;
    const char *slash = memrchr(entry->link, '/', entry->link_size);
    const char *target = slash ? slash + 1 : entry->link;
    int parent = pyrt_writer_parent(writer, error);
    pyrt_fd target_parent = -1;
    int failed;

    if (parent < 0)
        return -1;
    target_parent = open_target_parent(writer, (size_t)(target - entry->link));
    if (target_parent < 0)
        return pyrt_writer_fail(writer, PYRT_LAYER_LINK, -target_parent, error);
    failed = link_target(writer, target_parent, target, parent);
    if (failed == -EEXIST && !same_file(target_parent, target, parent, pyrt_writer_base(writer))) {
        parent = pyrt_writer_replace(writer, parent, error);
        if (parent < 0)
            return -1;
        failed = link_target(writer, target_parent, target, parent);
    } else if (failed == -EEXIST) {
        failed = 0;
    }
    return failed < 0 ? pyrt_writer_fail(writer, PYRT_LAYER_LINK, -failed, error) : 0;
}

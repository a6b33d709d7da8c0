#define _GNU_SOURCE
/* What the root of a container gets where nothing can be mounted: the places of what a keeper serves (keeper.c). */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "walk.h"

int pyrt_open_root_directory(struct pyrt_walk *walk, const struct pyrt_step *op) {
    walk->root = open(op->source, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return walk->root < 0 ? pyrt_walk_fail(walk, PYRT_AT_ROOT, op->source) : 0;
}

/* Makes an empty directory of the one at `directory`: what was in it, and cannot be seen from now on, is moved to `aside`. By
 * its name in its parent, which the kernel says for an fd that is open; nobody is in the container yet. */
static int empty(int directory, const char *aside) {
    char path[PATH_MAX];
    struct stat status;
    ssize_t size = readlink(pyrt_fd_path(directory).text, path, sizeof path - 1);
    if (size <= 0 || fstat(directory, &status) < 0)
        return -1;
    path[size] = 0;
    const char *name = strrchr(path, '/') + 1;
    pyrt_fd parent = openat(directory, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0)
        return -1;
    if (unlinkat(parent, name, AT_REMOVEDIR) < 0 && renameat(parent, name, AT_FDCWD, aside) < 0)
        return -1;
    if (mkdirat(parent, name, status.st_mode & 07777) < 0)
        return -1;
    return fchownat(parent, name, status.st_uid, status.st_gid, AT_SYMLINK_NOFOLLOW);
}

int pyrt_make_place(struct pyrt_walk *walk, const struct pyrt_step *op) {
    struct stat status = {.st_mode = S_IFDIR};
    if (op->source && stat(op->source, &status) < 0)
        return op->flags & PYRT_OPTIONAL ? 0 : pyrt_walk_fail(walk, PYRT_AT_SOURCE, op->source);
    pyrt_fd place = -1;
    if (op->flags & PYRT_REAL_DIRECTORY) {
        place = openat(walk->root, op->target + 1, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (place < 0 && errno != ENOENT)
            return pyrt_walk_fail(walk, PYRT_AT_RESOLVE, op->target);
    }
    if (place < 0)
        place = S_ISDIR(status.st_mode) ? pyrt_make_directories(walk, op->target, op->mode ? op->mode : 0755, 0, 0)
                                        : pyrt_make_file(walk, op->target);
    if (place < 0)
        return pyrt_walk_fail(walk, PYRT_AT_RESOLVE, op->target);
    if (op->data && S_ISDIR(status.st_mode) && empty(place, op->data) < 0)
        return pyrt_walk_fail(walk, PYRT_AT_RESOLVE, op->target);
    return 0;
}

int pyrt_write_file(struct pyrt_walk *walk, const struct pyrt_step *op) {
    const char *name;
    pyrt_fd parent = pyrt_open_parent(walk, op->target, &name);
    if (parent < 0 || (unlinkat(parent, name, 0) < 0 && errno != ENOENT))
        return pyrt_walk_fail(walk, PYRT_AT_SCRATCH, op->target);
    pyrt_fd file = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, op->mode);
    if (file < 0 || pyrt_write_text(file, op->data) < 0)
        return pyrt_walk_fail(walk, PYRT_AT_SCRATCH, op->target);
    return 0;
}

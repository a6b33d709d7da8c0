#define _GNU_SOURCE
#include "tree_digest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bounds.h"
#include "cleanup.h"
#include "directory_record.h"
#include "tree_entry.h"

#define LISTED ((size_t)1 << 15)
#define DIRECTORY (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* A directory on the way from the root to the one at hand. */
struct level {
    dev_t device;
    ino_t inode;
    size_t path;    /* the size of its own path */
    size_t pending; /* where its directories begin among those that are still to be entered */
};

struct walk {
    struct pyrt_tree tree;
    struct pyrt_bytes levels;  /* struct level */
    struct pyrt_bytes pending; /* names of directories, each with its NUL, those of the deepest level last */
    char *listed;
    int directory; /* at hand */
    dev_t device;
};

static void walk_free(struct walk *walk) {
    pyrt_close(&walk->directory);
    pyrt_links_free(&walk->tree.links);
    pyrt_bytes_free(&walk->tree.path);
    pyrt_bytes_free(&walk->tree.record);
    pyrt_bytes_free(&walk->tree.names);
    pyrt_bytes_free(&walk->tree.value);
    pyrt_bytes_free(&walk->levels);
    pyrt_bytes_free(&walk->pending);
    free(walk->tree.block);
    free(walk->listed);
}

static struct level *top(const struct walk *walk) {
    return (struct level *)(void *)(walk->levels.at + walk->levels.size) - 1;
}

static int add_listed(struct walk *walk, const struct pyrt_directory_record *record) {
    struct pyrt_bytes *path = &walk->tree.path;
    size_t here = path->size, length = strlen(record->name);
    unsigned char type = record->type;
    int failed;

    if (strcmp(record->name, ".") == 0 || strcmp(record->name, "..") == 0)
        return 0;
    if (pyrt_bytes_add(path, record->name, length) < 0)
        return -ENOMEM;
    if (type == DT_UNKNOWN) {
        struct stat status;

        if (fstatat(walk->directory, record->name, &status, AT_SYMLINK_NOFOLLOW) < 0)
            return -errno;
        type = IFTODT(status.st_mode);
    }
    if (type == DT_DIR) {
        if (walk->pending.size > PYRT_MAX_PENDING)
            return -E2BIG;
        failed = pyrt_bytes_add(&walk->pending, record->name, length + 1);
    } else {
        failed = pyrt_tree_add(&walk->tree, walk->directory, record->name, type == DT_REG);
    }
    if (!failed)
        path->size = here; /* in an error the path is the subject */
    return failed;
}

/* Adds everything in the directory at hand but directories, which come to the pending ones. */
static int list(struct walk *walk) {
    for (;;) {
        long size = syscall(SYS_getdents64, walk->directory, walk->listed, LISTED);

        if (size <= 0)
            return size < 0 ? -errno : 0;
        for (size_t i = 0; i < (size_t)size;) {
            const struct pyrt_directory_record *record = (const void *)(walk->listed + i);
            int failed = add_listed(walk, record);

            if (failed)
                return failed;
            i += record->size;
        }
    }
}

/* Makes the directory fd, whose path is tree->path, the one at hand, and reads it. */
static int enter(struct walk *walk, int fd, size_t path, const struct stat *status) {
    struct level level = {
        .device = status->st_dev, .inode = status->st_ino, .path = path, .pending = walk->pending.size};
    size_t size = walk->tree.path.size;

    pyrt_close(&walk->directory);
    walk->directory = fd;
    if (pyrt_bytes_add(&walk->levels, &level, sizeof level) < 0)
        return -ENOMEM;
    if (size > 0 && pyrt_bytes_add(&walk->tree.path, "/", 1) < 0)
        return -ENOMEM;
    return list(walk);
}

/* One that we can neither list nor leave again is added as that, and gives 0 with *entered false. */
static int add_unreadable(struct walk *walk, const char *name) {
    struct stat status;

    if (fstatat(walk->directory, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    return S_ISDIR(status.st_mode) ? pyrt_tree_add_directory(&walk->tree, -1, &status, false) : -ESTALE;
}

static const char *last_pending(struct walk *walk) {
    const char *names = (const char *)walk->pending.at;
    size_t start = walk->pending.size - 1;

    while (start > 0 && names[start - 1] != '\0')
        start--;
    walk->pending.size = start;
    return names + start;
}

/* Takes the last of the pending directories. */
static int descend(struct walk *walk) {
    const char *name = last_pending(walk);
    size_t here = walk->tree.path.size;
    pyrt_fd fd = openat(walk->directory, name, DIRECTORY);
    bool refused = fd < 0 && errno == EACCES;
    struct stat status, above;
    int failed;

    if (fd < 0 && !refused)
        return -errno;
    if (pyrt_bytes_add(&walk->tree.path, name, strlen(name)) < 0)
        return -ENOMEM;
    refused = refused || (fstatat(fd, "..", &above, AT_SYMLINK_NOFOLLOW) < 0 && errno == EACCES);
    if (refused) {
        failed = add_unreadable(walk, name);
        if (!failed)
            walk->tree.path.size = here;
        return failed;
    }
    if (fstat(fd, &status) < 0)
        return -errno;
    if (status.st_dev != walk->device)
        return -EXDEV;
    failed = pyrt_tree_add_directory(&walk->tree, fd, &status, true);
    return failed ? failed : enter(walk, pyrt_take(&fd), here, &status);
}

/* Back to the directory above. */
static int ascend(struct walk *walk) {
    size_t path = top(walk)->path;
    struct stat status;
    int above;

    walk->levels.size -= sizeof(struct level);
    walk->tree.path.size = path;
    if (walk->levels.size == 0)
        return 0;
    above = openat(walk->directory, "..", DIRECTORY);
    if (above < 0)
        return -errno;
    pyrt_close(&walk->directory);
    walk->directory = above;
    if (fstat(above, &status) < 0)
        return -errno;
    return status.st_ino == top(walk)->inode && status.st_dev == top(walk)->device ? 0 : -ESTALE;
}

static int walk_tree(struct walk *walk, int root) {
    pyrt_fd fd = openat(root, ".", DIRECTORY);
    struct stat status;
    int failed;

    walk->listed = malloc(LISTED);
    walk->tree.block = malloc(PYRT_TREE_BLOCK);
    if (walk->listed == NULL || walk->tree.block == NULL)
        return -ENOMEM;
    if (fd < 0 || fstat(fd, &status) < 0)
        return -errno;
    walk->device = status.st_dev;
    failed = pyrt_tree_add_directory(&walk->tree, fd, &status, true);
    if (!failed)
        failed = enter(walk, pyrt_take(&fd), 0, &status);
    while (!failed && walk->levels.size > 0)
        failed = walk->pending.size > top(walk)->pending ? descend(walk) : ascend(walk);
    if (!failed)
        pyrt_tree_add_links(&walk->tree);
    return failed;
}

int pyrt_tree_digest(int root, struct pyrt_tree_digest *digest, struct pyrt_error *error) {
    struct walk walk = {.tree = {.digest = digest}, .directory = -1};
    int failed;

    *digest = (struct pyrt_tree_digest){0};
    failed = walk_tree(&walk, root);
    if (failed)
        (void)pyrt_fail(error, 0, -failed, -1, (const char *)walk.tree.path.at, walk.tree.path.size);
    walk_free(&walk);
    return failed ? -1 : 0;
}

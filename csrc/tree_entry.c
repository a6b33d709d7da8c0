#define _GNU_SOURCE
#include "tree_entry.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "bounds.h"
#include "cleanup.h"
#include "xxh64.h"

/* The content of a file, and the entries of a directory, that we may not read. */
#define UNREADABLE 1u

/* The hash of an entry is over this, its path, a NUL, and the target of a symbolic link. In the machine's byte order: a
   record of a digest does not leave its machine. */
struct facts {
    uint32_t mode, uid, gid, nanoseconds;
    int64_t seconds;
    uint64_t device, size, content, xattrs;
};

static bool counts(const char *xattr) {
    return strncmp(xattr, "security.", 9) != 0 || strcmp(xattr, "security.capability") == 0;
}

static int make_room(struct pyrt_bytes *bytes, size_t size) {
    static const uint8_t nothing[256];

    bytes->size = 0;
    while (bytes->room < size)
        if (pyrt_bytes_add(bytes, nothing, sizeof nothing) < 0)
            return -ENOMEM;
    return 0;
}

/* Where an entry's xattrs are asked for: by its descriptor, or where it has none by a path below /proc/self/fd, as
   listxattr has no *at form (listxattrat(2) is of Linux 6.13). */
struct place {
    int fd;
    char path[sizeof "/proc/self/fd/" + 11 + NAME_MAX + 1];
};

static ssize_t list_xattrs(const struct place *place, void *into, size_t room) {
    return place->fd >= 0 ? flistxattr(place->fd, into, room) : llistxattr(place->path, into, room);
}

static ssize_t get_xattr(const struct place *place, const char *name, void *into, size_t room) {
    return place->fd >= 0 ? fgetxattr(place->fd, name, into, room) : lgetxattr(place->path, name, into, room);
}

static int add_xattr(struct pyrt_tree *tree, const struct place *place, const char *name, uint64_t *sum) {
    ssize_t size;

    if (!counts(name))
        return 0;
    if (make_room(&tree->value, PYRT_MAX_XATTR_SIZE) < 0)
        return -ENOMEM;
    size = get_xattr(place, name, tree->value.at, tree->value.room);
    if (size < 0)
        return -errno;
    *sum += pyrt_xxh64(tree->value.at, (size_t)size, pyrt_xxh64(name, strlen(name), 0));
    return 0;
}

/* The sum of the hashes of the xattrs: a file system lists them in any order. */
static int hash_xattrs(struct pyrt_tree *tree, const struct place *place, uint64_t *sum) {
    ssize_t size = list_xattrs(place, NULL, 0);
    int failed = 0;

    *sum = 0;
    if (size <= 0) /* none; a file system without; one that we may not ask */
        return size == 0 || errno == ENOTSUP || errno == EACCES || errno == EPERM || errno == ENOENT ? 0 : -errno;
    if (make_room(&tree->names, (size_t)size) < 0)
        return -ENOMEM;
    size = list_xattrs(place, tree->names.at, tree->names.room);
    if (size < 0)
        return -errno;
    for (size_t i = 0; i < (size_t)size && !failed; i += strlen((const char *)tree->names.at + i) + 1)
        failed = add_xattr(tree, place, (const char *)tree->names.at + i, sum);
    return failed;
}

/* "" is in the sums as two hashes with different seeds. */
static void add_hash(struct pyrt_tree *tree, const void *bytes, size_t size, uint64_t kind) {
    tree->digest->sums[0] += pyrt_xxh64(bytes, size, kind);
    tree->digest->sums[1] += pyrt_xxh64(bytes, size, ~kind);
}

static int add_entry(struct pyrt_tree *tree, const struct stat *status, uint64_t content, uint64_t xattrs,
                     const char *target, size_t target_size) {
    bool is_directory = S_ISDIR(status->st_mode), is_device = S_ISCHR(status->st_mode) || S_ISBLK(status->st_mode);
    struct facts facts = {.mode = status->st_mode,
                          .uid = status->st_uid,
                          .gid = status->st_gid,
                          .seconds = status->st_mtim.tv_sec,
                          .nanoseconds = (uint32_t)status->st_mtim.tv_nsec,
                          .device = is_device ? status->st_rdev : 0,
                          .size = is_directory ? 0 : (uint64_t)status->st_size,
                          .content = content,
                          .xattrs = xattrs};

    tree->record.size = 0;
    if (pyrt_bytes_add(&tree->record, &facts, sizeof facts) < 0 ||
        pyrt_bytes_add(&tree->record, tree->path.at, tree->path.size) < 0 ||
        pyrt_bytes_add(&tree->record, "", 1) < 0 || pyrt_bytes_add(&tree->record, target, target_size) < 0)
        return -ENOMEM;
    add_hash(tree, tree->record.at, tree->record.size, 0);
    tree->digest->entries++;
    if (S_ISREG(status->st_mode))
        tree->digest->bytes += (uint64_t)status->st_size;
    return 0;
}

int pyrt_tree_add_directory(struct pyrt_tree *tree, int directory, const struct stat *status, bool readable) {
    struct place place = {.fd = directory};
    uint64_t xattrs = 0;
    int failed = readable ? hash_xattrs(tree, &place, &xattrs) : 0;

    return failed ? failed : add_entry(tree, status, readable ? 0 : UNREADABLE, xattrs, "", 0);
}

static bool is_zero(const uint8_t *bytes, size_t size) {
    return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

/* As much of a block as there is. */
static ssize_t read_block(int fd, uint8_t *block, size_t size, off_t at) {
    size_t done = 0;

    while (done < size) {
        ssize_t got = pread(fd, block + done, size - done, at + (off_t)done);

        if (got < 0 && errno != EINTR)
            return -errno;
        if (got == 0)
            break;
        if (got > 0)
            done += (size_t)got;
    }
    return (ssize_t)done;
}

/* The beginning of the first block from `at` on that has data; `size` where none has. */
static off_t skip_hole(int fd, off_t at, off_t size) {
    off_t data = lseek(fd, at, SEEK_DATA);

    if (data < 0)
        return errno == ENXIO ? size : at;
    return data & ~(off_t)(PYRT_TREE_BLOCK - 1);
}

static int hash_content(struct pyrt_tree *tree, int fd, const struct stat *status, uint64_t *hash) {
    bool has_holes = status->st_blocks < status->st_size / 512;
    off_t at = 0;

    *hash = 0;
    while (at < status->st_size) {
        off_t left;
        ssize_t size;

        if (has_holes && (at = skip_hole(fd, at, status->st_size)) >= status->st_size)
            break;
        left = status->st_size - at;
        size = read_block(fd, tree->block, left < (off_t)PYRT_TREE_BLOCK ? (size_t)left : PYRT_TREE_BLOCK, at);
        if (size < 0)
            return (int)size;
        if (!is_zero(tree->block, (size_t)size)) {
            uint64_t chain[] = {*hash, (uint64_t)at, pyrt_xxh64(tree->block, (size_t)size, 0)};
            *hash = pyrt_xxh64(chain, sizeof chain, 0);
        }
        at += (off_t)PYRT_TREE_BLOCK;
    }
    return 0;
}

/* A regular file's content; that of a file with several names is read once. fd is -1 for one that we may not read. */
static int content_of(struct pyrt_tree *tree, int fd, const struct stat *status, uint64_t *content) {
    struct pyrt_link *link = NULL;
    int failed = 0;

    *content = fd < 0 && S_ISREG(status->st_mode) ? UNREADABLE : 0;
    if (status->st_nlink > 1) {
        link = pyrt_links_find(&tree->links, status->st_dev, status->st_ino);
        if (link == NULL)
            return -ENOMEM;
    }
    if (link != NULL && link->count > 0)
        *content = link->content;
    else if (fd >= 0)
        failed = hash_content(tree, fd, status, content);
    if (link != NULL) {
        link->content = *content;
        link->paths += pyrt_xxh64(tree->path.at, tree->path.size, 0);
        link->count++;
    }
    return failed;
}

static int open_regular(int parent, const char *name) {
    const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    int fd = openat(parent, name, flags | O_NOATIME); /* the owner's right; else every file would be written to */

    return fd < 0 && errno == EPERM ? openat(parent, name, flags) : fd;
}

static int add_regular(struct pyrt_tree *tree, int fd) {
    struct place place = {.fd = fd};
    struct stat status;
    uint64_t content, xattrs;
    int failed;

    if (fstat(fd, &status) < 0)
        return -errno;
    if (!S_ISREG(status.st_mode))
        return -ESTALE;
    failed = content_of(tree, fd, &status, &content);
    if (!failed)
        failed = hash_xattrs(tree, &place, &xattrs);
    return failed ? failed : add_entry(tree, &status, content, xattrs, "", 0);
}

/* What is not opened: links, devices, FIFOs, sockets, and files that we may not read. */
static int add_unopened(struct pyrt_tree *tree, int parent, const char *name, const struct stat *status) {
    struct place place = {.fd = -1};
    char target[PATH_MAX];
    ssize_t size = 0;
    uint64_t content, xattrs;
    int failed;

    (void)snprintf(place.path, sizeof place.path, "/proc/self/fd/%d/%s", parent, name);
    if (S_ISLNK(status->st_mode) && (size = readlinkat(parent, name, target, sizeof target)) < 0)
        return -errno;
    failed = content_of(tree, -1, status, &content);
    if (!failed)
        failed = hash_xattrs(tree, &place, &xattrs);
    return failed ? failed : add_entry(tree, status, content, xattrs, target, (size_t)size);
}

int pyrt_tree_add(struct pyrt_tree *tree, int parent, const char *name, bool is_regular) {
    pyrt_fd fd = is_regular ? open_regular(parent, name) : -1;
    struct stat status;

    if (fd >= 0)
        return add_regular(tree, fd);
    if (is_regular && errno != EACCES)
        return -errno;
    if (fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    return add_unopened(tree, parent, name, &status);
}

void pyrt_tree_add_links(struct pyrt_tree *tree) {
    for (size_t i = 0; i < tree->links.room; i++) {
        const struct pyrt_link *link = &tree->links.slots[i];
        uint64_t names[] = {link->paths, link->count};

        if (link->count > 0)
            add_hash(tree, names, sizeof names, 1);
    }
}

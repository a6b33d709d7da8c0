#define _GNU_SOURCE
#include "extract.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "layer_step.h"
#include "removal.h"

int pyrt_writer_fail(const struct pyrt_writer *writer, int step, int err, struct pyrt_error *error) {
    const struct pyrt_entry *entry = writer->entry;

    return pyrt_fail(error, step, err, entry ? entry->index : -1, entry ? entry->name : "",
                     entry ? entry->name_size : 0);
}

int pyrt_writer_init(struct pyrt_writer *writer, int root, bool by_walk, struct pyrt_error *error) {
    int failed;

    writer->root = root;
    writer->file = -1;
    failed = pyrt_policy_init(&writer->policy, root);
    if (failed < 0)
        return pyrt_fail(error, PYRT_LAYER_ROOT, -failed, -1, "", 0);
    pyrt_directories_init(&writer->directories, root, &writer->policy, &writer->allowance, by_walk);
    return 0;
}

void pyrt_writer_free(struct pyrt_writer *writer) {
    pyrt_close(&writer->file);
    pyrt_directories_forget(&writer->directories);
    pyrt_deferred_free(&writer->deferred);
}

int pyrt_writer_parent(struct pyrt_writer *writer, struct pyrt_error *error) {
    int parent = pyrt_directories_find(&writer->directories, writer->name.text, writer->name.parent, true);

    if (parent < 0)
        return pyrt_writer_fail(writer, parent == -EFBIG ? PYRT_LAYER_LIMIT : PYRT_LAYER_PARENT, -parent, error);
    return parent;
}

static void directory_gone(void *self, dev_t device, ino_t inode) {
    struct pyrt_writer *writer = self;

    pyrt_undefer(&writer->deferred, device, inode);
}

/* The parent again, after a directory or a link has been replaced. An entry that has replaced a link on its own path
   ("a" to "/", then the directory "a/a") has no parent any more that its name leads to. */
static int same_parent(struct pyrt_writer *writer, const struct stat *before, struct pyrt_error *error) {
    struct stat after;
    int parent;

    pyrt_directories_forget(&writer->directories);
    parent = pyrt_directories_find(&writer->directories, writer->name.text, writer->name.parent, false);
    if (parent < 0 || fstat(parent, &after) < 0 || after.st_ino != before->st_ino || after.st_dev != before->st_dev)
        return pyrt_writer_fail(writer, PYRT_LAYER_REPLACE, EINVAL, error);
    return parent;
}

int pyrt_writer_replace(struct pyrt_writer *writer, int parent, struct pyrt_error *error) {
    struct pyrt_removal removal = {.gone = directory_gone, .self = writer};
    struct stat status, before;
    int failed;

    if (fstat(parent, &before) < 0 || fstatat(parent, pyrt_writer_base(writer), &status, AT_SYMLINK_NOFOLLOW) < 0)
        return pyrt_writer_fail(writer, PYRT_LAYER_REPLACE, errno, error);
    failed = pyrt_remove(parent, pyrt_writer_base(writer), &removal);
    if (failed < 0)
        return pyrt_writer_fail(writer, PYRT_LAYER_REPLACE, -failed, error);
    if (!S_ISDIR(status.st_mode) && !S_ISLNK(status.st_mode))
        return parent;
    return same_parent(writer, &before, error);
}

int pyrt_writer_defer(struct pyrt_writer *writer, int directory, struct pyrt_error *error) {
    const struct pyrt_name *name = &writer->name;
    struct stat status;
    int step, failed;

    if (fstat(directory, &status) < 0)
        return pyrt_writer_fail(writer, PYRT_LAYER_MKDIR, errno, error);
    step = pyrt_set_early(&writer->policy, directory, &writer->entry->attributes);
    if (step)
        return pyrt_writer_fail(writer, step, errno, error);
    failed = pyrt_defer(&writer->deferred, status.st_dev, status.st_ino, name->text, name->size, writer->entry);
    if (failed < 0)
        return pyrt_writer_fail(writer, failed == -EFBIG ? PYRT_LAYER_LIMIT : PYRT_LAYER_MEMORY, -failed, error);
    return 0;
}

/* ".", "./" and "/" are the layer's root: it has attributes, and it stays the directory that it is. */
static int write_root(struct pyrt_writer *writer, struct pyrt_error *error) {
    if (writer->entry->kind != PYRT_DIRECTORY)
        return pyrt_writer_fail(writer, PYRT_LAYER_ROOT, ENOTDIR, error);
    return pyrt_writer_defer(writer, writer->root, error);
}

static int write_kind(struct pyrt_writer *writer, struct pyrt_error *error) {
    switch (writer->entry->kind) {
    case PYRT_REGULAR:
        return pyrt_open_regular(writer, error);
    case PYRT_HARDLINK:
        return pyrt_write_hardlink(writer, error);
    case PYRT_SYMLINK:
        return pyrt_write_symlink(writer, error);
    case PYRT_DIRECTORY:
        return pyrt_write_directory(writer, error);
    case PYRT_CHARACTER:
    case PYRT_BLOCK:
    case PYRT_FIFO:
        return pyrt_write_node(writer, error);
    }
    return pyrt_writer_fail(writer, PYRT_LAYER_MKNOD, EINVAL, error);
}

static int write_entry(struct pyrt_writer *writer, struct pyrt_error *error) {
    enum pyrt_whiteout whiteout = pyrt_whiteout_of(&writer->name);

    if (writer->name.size == 0)
        return write_root(writer, error);
    if (whiteout != PYRT_NO_WHITEOUT && whiteout != PYRT_AUFS && writer->entry->kind == PYRT_DIRECTORY)
        whiteout = PYRT_BAD_WHITEOUT;
    switch (whiteout) {
    case PYRT_NO_WHITEOUT:
        return write_kind(writer, error);
    case PYRT_HIDES:
        return pyrt_write_whiteout(writer, error);
    case PYRT_OPAQUE:
        return pyrt_write_opaque(writer, error);
    case PYRT_AUFS:
        return 0;
    case PYRT_BAD_WHITEOUT:
        break;
    }
    return pyrt_writer_fail(writer, PYRT_LAYER_NAME, EINVAL, error);
}

/* An xattr is a system call and a region of a sparse file a block on the disk, for twenty bytes of the archive. */
static uint64_t count_things(const struct pyrt_entry *entry) {
    uint64_t things = 1 + entry->regions;

    for (size_t i = 0; i < entry->attributes.xattr_count; i++)
        things += pyrt_xattr_is_wanted(entry->attributes.xattrs[i].name);
    return things;
}

static bool within_limits(struct pyrt_writer *writer) {
    uint64_t things = count_things(writer->entry);

    if (things > writer->allowance.things || writer->entry->size > writer->max_bytes - writer->bytes)
        return false;
    writer->allowance.things -= things;
    writer->entries++;
    writer->bytes += writer->entry->size;
    return true;
}

static int start_entry(void *self, const struct pyrt_entry *entry, struct pyrt_error *error) {
    struct pyrt_writer *writer = self;
    int failed;

    writer->entry = entry;
    if (!within_limits(writer))
        return pyrt_writer_fail(writer, PYRT_LAYER_LIMIT, EFBIG, error);
    failed = pyrt_name_set(&writer->name, entry->name, entry->name_size);
    if (failed < 0)
        return pyrt_writer_fail(writer, PYRT_LAYER_NAME, -failed, error);
    return write_entry(writer, error);
}

struct pyrt_sink pyrt_writer_sink(struct pyrt_writer *writer) {
    return (struct pyrt_sink){
        .self = writer, .entry = start_entry, .data = pyrt_write_data, .end = pyrt_close_regular};
}

/* A link has come on the way to the directory, and its name leads to nothing any more. */
static bool leads_nowhere(int failed) {
    return failed == -ENOENT || failed == -ENOTDIR || failed == -ELOOP || failed == -ENAMETOOLONG;
}

static int set_deferred(struct pyrt_writer *writer, const struct pyrt_deferred *item, struct pyrt_error *error) {
    int fd = pyrt_directories_find(&writer->directories, item->name, item->size, false);
    struct stat status;
    int step;

    if (item->gone || leads_nowhere(fd))
        return 0;
    if (fd < 0)
        return pyrt_fail(error, fd == -EFBIG ? PYRT_LAYER_LIMIT : PYRT_LAYER_PARENT, -fd, item->index, item->name, item->size);
    if (fstat(fd, &status) == 0 && (status.st_ino != item->inode || status.st_dev != item->device))
        return 0;
    step = pyrt_set_directory(&writer->policy, fd, &item->attributes);
    return step ? pyrt_fail(error, step, errno, item->index, item->name, item->size) : 0;
}

int pyrt_writer_finish(struct pyrt_writer *writer, struct pyrt_error *error) {
    pyrt_deferred_sort(&writer->deferred);
    for (size_t i = 0; i < writer->deferred.count; i++)
        if (set_deferred(writer, &writer->deferred.items[i], error) < 0)
            return -1;
    return 0;
}

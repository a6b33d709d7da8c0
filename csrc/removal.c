#define _GNU_SOURCE
#include "removal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"
#include "bounds.h"
#include "directory_record.h"

static int remove_at(int parent, const char *name, const struct pyrt_removal *removal, unsigned depth);

static bool is_dots(const char *name) {
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static int remove_batch(int directory, const char *batch, size_t size, const struct pyrt_removal *removal,
                        unsigned depth, bool *removed) {
    for (size_t i = 0; i < size;) {
        const struct pyrt_directory_record *record = (const void *)(batch + i);
        int failed = is_dots(record->name) ? 0 : remove_at(directory, record->name, removal, depth);

        if (failed < 0)
            return failed;
        *removed = *removed || !is_dots(record->name);
        i += record->size;
    }
    return 0;
}

/* Starts over after each round that removed something: a directory that changes may skip names while it is read. */
static int remove_children(int directory, const struct pyrt_removal *removal, unsigned depth) {
    _Alignas(struct pyrt_directory_record) char batch[2048];
    bool removed = false;

    for (;;) {
        long size = syscall(SYS_getdents64, directory, batch, sizeof batch);
        int failed;

        if (size < 0)
            return -errno;
        if (size == 0 && !removed)
            return 0;
        if (size == 0) {
            removed = false;
            if (lseek(directory, 0, SEEK_SET) < 0)
                return -errno;
            continue;
        }
        failed = remove_batch(directory, batch, (size_t)size, removal, depth, &removed);
        if (failed < 0)
            return failed;
    }
}

static int remove_directory(int parent, const char *name, const struct pyrt_removal *removal, unsigned depth) {
    pyrt_fd directory = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat status;
    int failed;

    if (directory < 0 || fstat(directory, &status) < 0)
        return -errno;
    if (depth == PYRT_MAX_REMOVAL_DEPTH)
        return -ELOOP;
    failed = remove_children(directory, removal, depth + 1);
    if (failed < 0)
        return failed;
    removal->gone(removal->self, status.st_dev, status.st_ino);
    return unlinkat(parent, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

static int remove_at(int parent, const char *name, const struct pyrt_removal *removal, unsigned depth) {
    if (unlinkat(parent, name, 0) == 0)
        return 0;
    /* Linux says EISDIR for a directory; POSIX and some file systems EPERM. */
    if (errno != EISDIR && errno != EPERM)
        return -errno;
    return remove_directory(parent, name, removal, depth);
}

int pyrt_remove(int parent, const char *name, const struct pyrt_removal *removal) {
    return remove_at(parent, name, removal, 0);
}

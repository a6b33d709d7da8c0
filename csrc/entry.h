/* What the tar parser says about one entry, and whom it tells. The writer sees this and no header bytes. */
#ifndef PYRT_ENTRY_H
#define PYRT_ENTRY_H
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "error.h"

enum pyrt_kind {
    PYRT_REGULAR,
    PYRT_HARDLINK,
    PYRT_SYMLINK,
    PYRT_CHARACTER,
    PYRT_BLOCK,
    PYRT_DIRECTORY,
    PYRT_FIFO
};

struct pyrt_xattr {
    const char *name; /* terminated */
    const uint8_t *value;
    size_t size;
};

struct pyrt_attributes {
    uint32_t mode; /* permission bits with setuid, setgid and sticky, no type bits */
    uint32_t uid;
    uint32_t gid;
    struct timespec times[2]; /* access and modification, as utimensat takes them, clamped to bounds.h */
    const struct pyrt_xattr *xattrs;
    size_t xattr_count;
};

struct pyrt_entry {
    enum pyrt_kind kind;
    const char *name; /* as the archive has it, terminated, no NUL inside, at most PYRT_MAX_NAME bytes */
    size_t name_size;
    const char *link; /* target of a hard or symbolic link, else "" */
    size_t link_size;
    uint64_t size; /* apparent size of a regular file, else 0 */
    size_t regions; /* of a sparse file, else 0 */
    uint32_t major;
    uint32_t minor;
    struct pyrt_attributes attributes;
    int32_t index; /* counted from 0 */
};

/* One entry is one call of `entry`, any number of `data`, one `end`. The entry stays valid until `end` has returned.
   Offsets of data rise; what lies between is a hole. Each returns 0, or -1 with the error filled. */
struct pyrt_sink {
    void *self;
    int (*entry)(void *self, const struct pyrt_entry *entry, struct pyrt_error *error);
    int (*data)(void *self, const uint8_t *bytes, size_t size, uint64_t offset, struct pyrt_error *error);
    int (*end)(void *self, struct pyrt_error *error);
};

#endif

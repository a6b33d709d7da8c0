/* The records of pax extended headers (POSIX.1-2017, pax, "pax Extended Header") that matter for a layer. Pure. */
#ifndef PYRT_PAX_H
#define PYRT_PAX_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "bytes.h"
#include "entry.h"
#include "sparse.h"

enum pyrt_pax_key {
    PYRT_PAX_PATH = 1 << 0,
    PYRT_PAX_LINK = 1 << 1,
    PYRT_PAX_SIZE = 1 << 2,
    PYRT_PAX_UID = 1 << 3,
    PYRT_PAX_GID = 1 << 4,
    PYRT_PAX_MTIME = 1 << 5,
    PYRT_PAX_ATIME = 1 << 6,
    PYRT_PAX_SOCKET = 1 << 7,       /* SCHILY.filetype says that it is a socket */
    PYRT_PAX_SPARSE_MAJOR = 1 << 8,
    PYRT_PAX_SPARSE_MINOR = 1 << 9,
    PYRT_PAX_SPARSE_SIZE = 1 << 10, /* GNU.sparse.size or GNU.sparse.realsize */
    PYRT_PAX_SPARSE_COUNT = 1 << 11,
    PYRT_PAX_SPARSE_NAME = 1 << 12,
    PYRT_PAX_SPARSE_MAP = 1 << 13   /* at least one record of a map, 0.0 or 0.1 */
};

struct pyrt_text {
    size_t at; /* offset into pyrt_pax.text, where it is terminated */
    size_t size;
};

struct pyrt_pax_xattr {
    struct pyrt_text name;
    struct pyrt_text value;
};

struct pyrt_pax {
    uint32_t set;     /* keys with a value */
    uint32_t deleted; /* keys with an empty value: what the header and a global record say does not count */
    struct pyrt_bytes text;
    struct pyrt_text path;
    struct pyrt_text link;
    struct pyrt_text sparse_name;
    uint64_t size;
    uint64_t uid;
    uint64_t gid;
    struct timespec mtime;
    struct timespec atime;
    uint64_t sparse_major;
    uint64_t sparse_minor;
    uint64_t sparse_count;
    struct pyrt_sparse map;
    struct pyrt_pax_xattr *xattrs;
    size_t xattr_count;
    size_t xattr_room;
};

/* Adds the records of one header to what is there; a later record wins. Returns 0 or a step of layer_step.h. In a
   global header, records that describe one file (path, linkpath, size, xattrs, the sparse ones) are refused: tar
   programs do not agree about them. */
int pyrt_pax_read(struct pyrt_pax *pax, const uint8_t *body, size_t size, bool global);
/* Keeps a GNU long name (L) or long link (K) under the key of the pax record that says the same. */
int pyrt_pax_keep(struct pyrt_pax *pax, enum pyrt_pax_key key, const uint8_t *value, size_t size);
const char *pyrt_pax_text(const struct pyrt_pax *pax, struct pyrt_text text);
/* Seconds with a fraction of any length, as pax writes times; saturates, then clamps to bounds.h. */
bool pyrt_pax_time(const char *text, size_t size, struct timespec *time);
int64_t pyrt_clamp_time(int64_t seconds);

void pyrt_pax_clear(struct pyrt_pax *pax);
void pyrt_pax_free(struct pyrt_pax *pax);

#endif
